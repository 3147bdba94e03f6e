//! The record as a whole: written, read, followed, tampered with.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use tempfile::TempDir;
use totp_core::event::{EventKind, Place, QueuedEvent};
use totp_core::name::UserName;
use totp_core::time::UnixTime;

use super::chain::FIRST;
use super::*;
use crate::actor::Actor;
use crate::flock::{Held, Wait};

const NOW: UnixTime = UnixTime(1_800_000_000);

fn record() -> (TempDir, PermanentRecord) {
    let temp = TempDir::new().unwrap();
    let path = temp.path().join("notifications.jsonl");
    (temp, PermanentRecord::new(&path, Owner::this_process()))
}

fn entry(user: &str) -> Entry {
    Entry { user: Some(user.to_owned()), ..Entry::new(NOW, EventKind::Disabled) }
}

fn login(id: u64, time: UnixTime) -> Entry {
    let place = Place::new("sshd", "192.0.2.1");
    let event =
        QueuedEvent { id, time, kind: EventKind::StateRebuilt, place, detail: String::new() };
    Entry::of_login(&UserName::new("alice").unwrap(), &event, None)
}

fn with_users(users: &[&str]) -> (TempDir, PermanentRecord) {
    let (temp, record) = record();
    for user in users {
        record.append(&entry(user), NOW, Wait::No).unwrap();
    }
    (temp, record)
}

fn lines(record: &PermanentRecord) -> Vec<String> {
    fs::read_to_string(record.path()).unwrap().lines().map(str::to_owned).collect()
}

fn rewrite(record: &PermanentRecord, lines: &[String]) {
    fs::write(record.path(), lines.join("\n") + "\n").unwrap();
}

fn findings(record: &PermanentRecord) -> Vec<String> {
    record.verify(&[]).unwrap().findings.iter().map(ToString::to_string).collect()
}

fn add(record: &PermanentRecord, bytes: &[u8]) {
    let mut file = fs::OpenOptions::new().append(true).open(record.path()).unwrap();
    file.write_all(bytes).unwrap();
}

#[test]
fn entries_are_numbered_and_chained_and_the_file_is_private() {
    let (_temp, record) = with_users(&["a", "b", "c"]);
    let verified = record.verify(&[]).unwrap();
    assert_eq!((verified.lines, verified.findings.len(), verified.incomplete), (3, 0, false));
    assert_eq!(verified.last.unwrap().seq, 3);
    assert_eq!(fs::metadata(record.path()).unwrap().permissions().mode() & 0o7777, 0o600);
}

#[test]
fn a_missing_or_untrusted_directory_records_nothing() {
    let (temp, record) = record();
    fs::set_permissions(temp.path(), fs::Permissions::from_mode(0o777)).unwrap();
    assert!(matches!(record.append(&entry("a"), NOW, Wait::No), Err(RecordError::File(_))));
    drop(temp);
    let error = record.append(&entry("a"), NOW, Wait::No).unwrap_err();
    assert!(matches!(error, RecordError::File(_)));
    assert!(std::error::Error::source(&error).is_none(), "it would be said twice");
}

#[test]
fn an_incomplete_last_line_is_cut_off_by_the_next_writer() {
    let (_temp, record) = with_users(&["a", "b"]);
    let whole = fs::read(record.path()).unwrap();
    let last = whole[..whole.len() - 1].iter().rposition(|&b| b == b'\n').unwrap() + 1;
    for cut in last..whole.len() {
        fs::write(record.path(), &whole[..cut]).unwrap();
        assert_eq!(record.verify(&[]).unwrap().incomplete, cut > last);
        let recorded = record.append(&entry("c"), NOW, Wait::No).unwrap();
        assert_eq!(recorded.seq, 2, "cut at {cut}");
        assert!(findings(&record).is_empty());
        assert_eq!(lines(&record).len(), 2);
    }
}

#[test]
fn zeros_that_a_power_failure_left_are_an_incomplete_line() {
    let (_temp, record) = with_users(&["a"]);
    add(&record, &[0; 700]);
    assert_eq!(record.append(&entry("b"), NOW, Wait::No).unwrap().seq, 2);
    assert!(findings(&record).is_empty());
}

#[test]
fn a_damaged_last_line_keeps_nobody_from_recording_and_stays_named() {
    let (_temp, record) = with_users(&["a"]);
    add(&record, b"garbage\n");
    assert_eq!(record.append(&entry("b"), NOW, Wait::No).unwrap().seq, 2);
    assert_eq!(findings(&record), ["line 2 is not a line of the record"]);
}

#[test]
fn a_file_that_is_no_record_is_left_alone() {
    let (temp, record) = with_users(&["a"]);
    for content in [b"some\nother\nfile\n".as_slice(), &[b'x'; 200_000]] {
        fs::write(temp.path().join("notifications.jsonl"), content).unwrap();
        let refused = record.append(&entry("b"), NOW, Wait::No);
        assert!(matches!(refused, Err(RecordError::Foreign(_))));
        assert_eq!(fs::read(record.path()).unwrap(), content);
    }
}

#[test]
fn a_changed_line_is_named() {
    let (_temp, record) = with_users(&["a", "b", "c"]);
    let mut all = lines(&record);
    all[1] = all[1].replace("\"user\":\"b\"", "\"user\":\"x\"");
    rewrite(&record, &all);
    assert_eq!(findings(&record), ["line 2 (record 2) was changed"]);
}

#[test]
fn a_line_replaced_with_a_hash_of_its_own_is_named() {
    let (_temp, record) = with_users(&["a", "b", "c"]);
    let mut all = lines(&record);
    let before =
        all[1].split(",\"hash\"").next().unwrap().replace("\"user\":\"b\"", "\"user\":\"x\"");
    all[1] = format!("{before},\"hash\":\"{}\"}}", chain::hash(&before));
    rewrite(&record, &all);
    assert_eq!(
        findings(&record),
        ["line 2 (record 2) was replaced: the next one was chained to another"]
    );
}

#[test]
fn a_missing_line_is_named() {
    let (_temp, record) = with_users(&["a", "b", "c", "d", "e"]);
    let all = lines(&record);
    rewrite(&record, &[all[0].clone(), all[3].clone(), all[4].clone()]);
    assert_eq!(findings(&record), ["records 2 to 3 are missing"]);
    rewrite(&record, &all[1..]);
    assert_eq!(findings(&record), ["record 1 is missing"]);
}

#[test]
fn a_moved_line_is_named_and_only_that() {
    let (_temp, record) = with_users(&["a", "b", "c", "d", "e"]);
    let mut all = lines(&record);
    let fifth = all.remove(4);
    all.insert(1, fifth);
    rewrite(&record, &all);
    assert_eq!(findings(&record), ["line 2 (record 5) was moved here, or is a copy"]);
    let first = all[0].clone();
    all.remove(1);
    all.insert(2, first);
    rewrite(&record, &all);
    assert_eq!(findings(&record), ["line 3 (record 1) was moved here, or is a copy"]);
}

#[test]
fn a_cut_tail_is_seen_by_what_names_it_alone() {
    let (_temp, record) = with_users(&["a", "b", "c"]);
    let named = |seq, user: &str| Mention { seq, user: Some(user.to_owned()) };
    let mentions = [named(1, "a"), named(3, "c"), named(2, "b")];
    assert!(record.verify(&mentions).unwrap().findings.is_empty());
    rewrite(&record, &lines(&record)[..2]);
    assert!(findings(&record).is_empty());
    let cut = |mentions: &[Mention]| -> Vec<String> {
        record.verify(mentions).unwrap().findings.iter().map(ToString::to_string).collect()
    };
    assert_eq!(cut(&mentions), ["the end was cut off: record 3 is missing; 3 decided about c"]);
    let told = Mention { seq: 4, user: None };
    assert_eq!(
        cut(&[named(3, "c"), told]),
        ["the end was cut off: records 3 to 4 are missing; people have been told of 4"]
    );
    fs::remove_file(record.path()).unwrap();
    assert_eq!(
        cut(&mentions),
        ["the end was cut off: records 1 to 3 are missing; 3 decided about c"]
    );
}

#[test]
fn a_login_event_is_recorded_once() {
    let (_temp, record) = record();
    let events = [login(1, NOW), login(2, NOW)];
    assert_eq!(record.append_once(&events[..1], NOW, Wait::No).unwrap().len(), 1);
    assert_eq!(record.append_once(&events, NOW.plus(5), Wait::No).unwrap()[0].1.seq, 2);
    for late in [60, 86_400, 31_536_000] {
        record.append_once(&[login(late, NOW)], NOW.plus(late), Wait::No).unwrap();
        assert!(record.append_once(&events, NOW.plus(late), Wait::No).unwrap().is_empty());
    }
    assert!(findings(&record).is_empty());
}

#[test]
fn without_events_nothing_is_opened_or_made() {
    let (_temp, record) = record();
    assert_eq!(record.append_once(&[], NOW, Wait::No), Ok(Vec::new()));
    assert!(!record.path().exists());
}

#[test]
fn an_old_event_recorded_later_hides_no_younger_one() {
    let (_temp, record) = record();
    let young = login(1, NOW);
    record.append_once(std::slice::from_ref(&young), NOW, Wait::No).unwrap();
    record.append_once(&[login(2, NOW.minus(1_000_000))], NOW.plus(1), Wait::No).unwrap();
    assert!(record.append_once(&[young], NOW.plus(2), Wait::No).unwrap().is_empty());
}

#[test]
fn looking_back_ends_where_the_event_had_not_happened_yet() {
    let (_temp, record) = record();
    record.append_once(&[login(1, NOW)], NOW, Wait::No).unwrap();
    record.append(&entry("a"), NOW, Wait::No).unwrap();
    // The same id, a day later: another event, as far as the bounded look can tell.
    let later = NOW.plus(86_400);
    assert_eq!(record.append_once(&[login(1, later)], later, Wait::No).unwrap().len(), 1);
}

#[test]
fn a_login_does_not_wait_and_an_administrator_only_so_long() {
    let (_temp, record) = with_users(&["a"]);
    let file = fs::File::open(record.path()).unwrap();
    let held = Held::take(&file).unwrap().unwrap();
    let busy = Err(RecordError::Busy(record.path().to_owned()));
    assert_eq!(record.append(&entry("b"), NOW, Wait::No), busy);
    assert_eq!(record.append(&entry("b"), NOW, Wait::AtMost(Duration::from_millis(20))), busy);
    drop(held);
    assert!(record.append(&entry("b"), NOW, Wait::No).is_ok());
}

#[test]
fn many_writers_make_one_chain() {
    let (_temp, record) = record();
    std::thread::scope(|scope| {
        for n in 0..4 {
            let record = &record;
            scope.spawn(move || {
                for _ in 0..10 {
                    let wait = Wait::AtMost(Duration::from_secs(20));
                    record.append(&entry(&format!("user{n}")), NOW, wait).unwrap();
                }
            });
        }
    });
    assert_eq!(record.verify(&[]).unwrap().lines, 40);
    assert!(findings(&record).is_empty());
}

#[test]
fn a_reader_filters_and_shows_what_is_damaged() {
    let (_temp, record) = with_users(&["alice", "bob"]);
    add(&record, b"garbage\n");
    record.append(&Entry { time: NOW.plus(60), ..entry("alice") }, NOW, Wait::No).unwrap();
    let read = |filter: Filter| -> Vec<u64> {
        let lines = record.read().unwrap().unwrap().map(Result::unwrap);
        lines.filter(|line| filter.wants(line)).map(|line| line.number).collect()
    };
    assert_eq!(read(Filter::default()), [1, 2, 3, 4]);
    assert_eq!(read(Filter { names: vec!["alice".to_owned()], since: None }), [1, 3, 4]);
    assert_eq!(read(Filter { names: vec![], since: Some(NOW.plus(1)) }), [3, 4]);
}

#[test]
fn what_was_written_is_read_back() {
    let (_temp, record) = record();
    let actor = Actor {
        name: Some("alice".to_owned()),
        uid: Some(0),
        loginuid: Some(1000),
        real_uid: Some(0),
        sudo_uid: Some(1001),
        tty: Some("/dev/pts/1".to_owned()),
        from: Some("198.51.100.4".to_owned()),
    };
    let reason = Some("a \"line\"\nand \u{1b}[31m another, \u{e9}".to_owned());
    let written =
        Entry { actor: actor.clone(), reason: reason.clone(), of: Some(7), ..entry("bob") };
    let contact = |email: &str, phone: &str| Told {
        email: email.parse().ok(),
        phone: Some(phone.to_owned()).filter(|phone| !phone.is_empty()),
    };
    let (before, after) = (contact("", "…123"), contact("bob@example.com", ""));
    let details = Details {
        outcome: Some("right".to_owned()),
        terms: Some(Terms { code: false, until: NOW.plus(60) }),
        contact: Some(ContactChange { before, after }),
    };
    let written = Entry { details: details.clone(), ..written };
    record.append(&written, NOW, Wait::No).unwrap();
    let line = record.read().unwrap().unwrap().next().unwrap().unwrap();
    let logged = line.logged.unwrap();
    assert_eq!((logged.actor, logged.reason, logged.of), (actor, reason, Some(7)));
    assert_eq!(logged.details, details);
    assert_eq!((logged.time, logged.event.as_str(), logged.seq), (NOW, "disabled", 1));
    assert_eq!(line.text, lines(&record)[0]);
}

/// As version 0.1 wrote them, without the keys that came later.
#[test]
fn lines_of_an_earlier_version_are_read_and_hold_in_the_chain() {
    let (_temp, record) = record();
    fs::write(record.path(), "").unwrap();
    fs::set_permissions(record.path(), fs::Permissions::from_mode(0o600)).unwrap();
    let mut prev = FIRST.to_owned();
    for seq in 1..=2 {
        let before = format!(
            "{{\"seq\":{seq},\"time\":\"{NOW}\",\"event\":\"pending\",\"user\":\"bob\",\"actor\":{{\"name\":\"alice\",\
             \"uid\":0,\"loginuid\":1000,\"tty\":null,\"from\":null}},\"host\":null,\"service\":null,\"rhost\":null,\
             \"reason\":\"on the first factor alone, until {NOW}\",\"prev\":\"{prev}\""
        );
        prev = super::chain::hash(&before);
        add(&record, format!("{before},\"hash\":\"{prev}\"}}\n").as_bytes());
    }
    record.append(&entry("bob"), NOW, Wait::No).unwrap();
    let verified = record.verify(&[]).unwrap();
    assert_eq!((verified.lines, verified.findings), (3, Vec::new()));
    let line = record.read().unwrap().unwrap().next().unwrap().unwrap().logged.unwrap();
    assert_eq!((line.actor.loginuid, line.actor.real_uid), (Some(1000), None));
    assert_eq!(line.details, Details::default());
}

#[test]
fn a_reader_follows_what_is_added_and_waits_for_the_end_of_a_line() {
    let (_temp, record) = with_users(&["a"]);
    let mut reader = record.read().unwrap().unwrap();
    assert_eq!(reader.poll().unwrap().unwrap().number, 1);
    assert!(reader.poll().unwrap().is_none());
    add(&record, b"{\"seq\":2,\"time\":\"2026-");
    assert!(reader.poll().unwrap().is_none());
    assert!(reader.poll().unwrap().is_none());
    record.append(&entry("b"), NOW, Wait::No).unwrap();
    let line = reader.poll().unwrap().unwrap();
    assert_eq!(line.logged.unwrap().user.as_deref(), Some("b"));
    assert!(reader.poll().unwrap().is_none());
}

#[test]
fn nothing_recorded_yet_is_nothing_to_read_and_holds() {
    let (_temp, record) = record();
    assert!(record.read().unwrap().is_none());
    assert_eq!(record.verify(&[]).unwrap(), Verified::default());
}
