use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use proptest::prelude::*;
use tempfile::TempDir;
use totp_core::event::{Place, QueuedEvent};
use totp_core::time::DAY;
use totp_core::visible::is_plain;

use super::*;
use crate::files::Owner;
use crate::outbox::Mail;
use crate::permanent::{Details, Entry, Recorded};

const NOW: UnixTime = UnixTime(1_800_000_000);

fn notices() -> (TempDir, Notices) {
    let temp = TempDir::new().unwrap();
    fs::create_dir(temp.path().join("notices")).unwrap();
    let mode = fs::Permissions::from_mode(0o700);
    fs::set_permissions(temp.path().join("notices"), mode).unwrap();
    let owner = Owner::this_process();
    let above = Directory::open(temp.path(), owner, Shared::Readable).unwrap();
    (temp, Notices::beneath(&above).unwrap())
}

fn leave(temp: &TempDir, text: &str) {
    let path = temp.path().join("notices/alice");
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
}

fn alice() -> UserName {
    UserName::new("alice").unwrap()
}

fn about(event: EventKind, by: Option<&str>) -> About {
    About {
        seq: 7,
        time: NOW,
        event,
        user: "alice".to_owned(),
        by: by.map(str::to_owned),
        from: None,
        host: None,
        service: None,
        reason: None,
        details: Details::default(),
        of: None,
    }
}

/// By root, with this reason.
fn because(reason: &str) -> About {
    let reason = Some(reason.to_owned());
    About { reason, ..about(EventKind::RecoveryCodesIssued, Some("root")) }
}

fn hash(n: u64) -> String {
    format!("{n:016x}").repeat(4)
}

fn add(notices: &Notices, n: u64, about: &About) {
    notices.add_event(about, &hash(n)).unwrap();
}

fn look(notices: &Notices, now: UnixTime) -> Waiting {
    notices.look(&alice(), now).unwrap()
}

fn reasons(waiting: &Waiting) -> Vec<String> {
    let reason = |notice: &Notice| notice.event().unwrap().reason.clone().unwrap();
    waiting.notices.iter().map(reason).collect()
}

#[test]
fn no_hidden_character_of_a_line_is_shown() {
    let all: Vec<char> = ('\0'..=char::MAX).collect();
    for some in all.chunks(300) {
        let text: String = some.iter().collect();
        let notice = Notice::parse(&format!("- {text}")).unwrap();
        assert!(notice.sentence().bytes().all(is_plain));
    }
}

#[test]
fn what_a_program_took_is_shown_for_seven_days_more() {
    let (_temp, notices) = notices();
    add(&notices, 1, &because("one"));
    assert_eq!(reasons(&look(&notices, NOW.plus(300 * DAY))), ["one"], "nobody has seen it");
    notices.show(&alice(), &look(&notices, NOW), NOW).unwrap();
    let last = NOW.plus(7 * DAY).minus(1);
    notices.show(&alice(), &look(&notices, last), last).unwrap();
    assert_eq!(reasons(&look(&notices, last)), ["one"]);
    assert!(look(&notices, NOW.plus(7 * DAY)).is_empty(), "counted from the first time");
    // A clock that was set back is no reason to show less.
    assert_eq!(reasons(&look(&notices, NOW.minus(30 * DAY))), ["one"]);
}

#[test]
fn what_alarms_is_shown_for_thirty_days() {
    let (_temp, notices) = notices();
    let kinds = [
        EventKind::CodeAlreadyUsed,
        EventKind::RecoveryCodeUsed,
        EventKind::BypassCodeUsed,
        EventKind::Disabled,
        EventKind::Reset,
    ];
    for (n, kind) in (0..).zip(kinds) {
        add(&notices, n, &about(kind, None));
    }
    add(&notices, 10, &because("no alarm"));
    notices.show(&alice(), &look(&notices, NOW), NOW).unwrap();
    let last = NOW.plus(30 * DAY).minus(1);
    let left = look(&notices, last);
    assert_eq!(left.notices.iter().map(|one| one.kind().unwrap()).collect::<Vec<_>>(), kinds);
    notices.show(&alice(), &left, last).unwrap();
    assert!(look(&notices, NOW.plus(30 * DAY)).is_empty(), "counted from the first time");
}

#[test]
fn what_is_over_is_forgotten_at_the_next_showing_and_not_added_again() {
    let (temp, notices) = notices();
    add(&notices, 1, &because("one"));
    notices.show(&alice(), &look(&notices, NOW), NOW).unwrap();
    add(&notices, 2, &because("two"));
    let later = NOW.plus(8 * DAY);
    notices.show(&alice(), &look(&notices, later), later).unwrap();
    let text = fs::read_to_string(temp.path().join("notices/alice")).unwrap();
    assert!(
        !text.contains("one") && text.contains(&format!("\nseen {}\n", &hash(1)[..16])),
        "{text}"
    );
    add(&notices, 1, &because("one"));
    assert_eq!(reasons(&look(&notices, later)), ["two"]);
}

#[test]
fn showing_again_writes_nothing() {
    let (temp, notices) = notices();
    add(&notices, 1, &because("one"));
    notices.show(&alice(), &look(&notices, NOW), NOW).unwrap();
    let file = temp.path().join("notices/alice");
    let before = fs::metadata(&file).unwrap().modified().unwrap();
    let later = NOW.plus(DAY);
    notices.show(&alice(), &look(&notices, later), later).unwrap();
    assert_eq!(fs::metadata(&file).unwrap().modified().unwrap(), before);
}

#[test]
fn what_was_read_is_gone_and_what_came_in_between_stays() {
    let (_temp, notices) = notices();
    add(&notices, 1, &because("one"));
    let read = look(&notices, NOW);
    // Shown meanwhile: it still is the one that was read.
    notices.show(&alice(), &read, NOW).unwrap();
    add(&notices, 2, &because("two"));
    notices.mark_read(&alice(), &read).unwrap();
    assert_eq!(reasons(&look(&notices, NOW)), ["two"]);
    notices.mark_read(&alice(), &read).unwrap();
    assert_eq!(reasons(&look(&notices, NOW)), ["two"]);
    add(&notices, 1, &because("one"));
    assert_eq!(reasons(&look(&notices, NOW)), ["two"], "not added again");
}

#[test]
fn an_event_is_kept_once_whoever_adds_it_and_of_the_host_nothing() {
    let (temp, notices) = notices();
    add(&notices, 1, &because("one"));
    add(&notices, 1, &because("one"));
    add(&notices, 2, &about(EventKind::StateVolatile, None));
    assert_eq!(reasons(&look(&notices, NOW)), ["one"]);
    add(&notices, 3, &about(EventKind::Removed, Some("root")));
    assert!(!temp.path().join("notices/alice").exists());
}

#[test]
fn all_of_an_event_comes_back() {
    let (_temp, notices) = notices();
    let whole = About {
        by: Some("carol o'hara".to_owned()),
        from: Some("192.0.2.7".to_owned()),
        service: Some("sshd".to_owned()),
        ..because("phone = 100 % lost")
    };
    add(&notices, 1, &whole);
    let waiting = look(&notices, NOW);
    assert_eq!(waiting.notices[0].event(), Some(&Event::of(&whole)));
    assert_eq!(waiting.notices[0].sentence(), sentence(&whole));
    notices.show(&alice(), &waiting, NOW).unwrap();
    assert_eq!(look(&notices, NOW).notices[0].first_shown(), Some(NOW));
}

#[test]
fn a_line_cannot_hold_another_one_or_move_a_cursor() {
    let (_temp, notices) = notices();
    add(&notices, 1, &because("a\nmore 7\n\x1b[2J"));
    let waiting = look(&notices, NOW);
    assert_eq!(
        (reasons(&waiting), waiting.more),
        (vec!["a\\x0amore 7\\x0a\\x1b[2J".to_owned()], 0)
    );
}

#[test]
fn lines_of_an_earlier_version_are_read_shown_and_forgotten_like_others() {
    let (temp, notices) = notices();
    leave(
        &temp,
        "00112233445566ff recovery codes issued\n- a line of its own\nmore 3\nseen 1122334455667788\n",
    );
    let waiting = look(&notices, NOW);
    let lines: Vec<String> = waiting.notices.iter().map(Notice::sentence).collect();
    assert_eq!(
        (lines, waiting.more),
        (vec!["recovery codes issued".into(), "a line of its own".into()], 3)
    );
    notices.show(&alice(), &waiting, NOW).unwrap();
    let again = look(&notices, NOW.plus(DAY));
    assert!(again.notices.iter().all(|one| one.first_shown() == Some(NOW)) && again.more == 3);
    assert!(look(&notices, NOW.plus(7 * DAY)).is_empty());
    notices.add_event(&because("known"), "00112233445566ff").unwrap();
    notices.add_event(&because("was shown"), "1122334455667788").unwrap();
    assert_eq!(look(&notices, NOW).notices.len(), 2);
}

#[test]
fn what_has_no_room_is_counted_and_the_newest_stay() {
    let (temp, notices) = notices();
    for n in 0..200 {
        add(&notices, n, &because(&format!("{n} {}", "x".repeat(90))));
    }
    let waiting = look(&notices, NOW);
    assert_eq!(u64::try_from(waiting.notices.len()).unwrap() + waiting.more, 200);
    assert!(waiting.more > 0 && waiting.notices.len() > 30);
    assert!(reasons(&waiting).last().unwrap().starts_with("199 "));
    assert!(fs::metadata(temp.path().join("notices/alice")).unwrap().len() < 10_000);
    notices.show(&alice(), &waiting, NOW).unwrap();
    assert!(look(&notices, NOW.plus(7 * DAY)).is_empty(), "the count is over as well");
    notices.mark_read(&alice(), &waiting).unwrap();
    assert!(look(&notices, NOW).is_empty());
}

#[test]
fn what_is_dropped_after_it_was_shown_is_counted_and_told_anew() {
    let (_temp, notices) = notices();
    for n in 0..200 {
        add(&notices, n, &because(&"x".repeat(90)));
    }
    let shown = look(&notices, NOW);
    notices.show(&alice(), &shown, NOW).unwrap();
    let later = NOW.plus(6 * DAY);
    add(&notices, 200, &About { time: later, ..because("later") });
    let then = look(&notices, later);
    assert!(then.more > shown.more);
    assert_eq!(u64::try_from(then.notices.len()).unwrap() + then.more, 201);
    assert_eq!(look(&notices, NOW.plus(7 * DAY)).more, then.more, "not told yet");
    // What was over is no loss, nor is it counted with what is lost later.
    notices.show(&alice(), &then, later).unwrap();
    let long_after = NOW.plus(14 * DAY);
    add(&notices, 201, &About { time: long_after, ..because("late") });
    let then = look(&notices, NOW);
    assert_eq!((reasons(&then), then.more), (vec!["late".to_owned()], 0));
}

#[test]
fn a_flood_of_one_kind_leaves_the_others_in_the_file_and_in_the_line() {
    let (_temp, notices) = notices();
    let others = [EventKind::RecoveryCodeUsed, EventKind::Enrolled, EventKind::CodeAlreadyUsed];
    let at = |n: u64, event: About| About { time: NOW.plus(n), ..event };
    for (n, kind) in (0..).zip(others) {
        add(&notices, n, &at(n, about(kind, None)));
    }
    notices.show(&alice(), &look(&notices, NOW), NOW).unwrap();
    for n in 10..310 {
        add(&notices, n, &at(n, about(EventKind::EnrollmentOffered, None)));
    }
    let waiting = look(&notices, NOW.plus(400));
    let kinds: Vec<EventKind> = waiting.notices.iter().map(|one| one.kind().unwrap()).collect();
    assert_eq!(kinds[..3], others);
    assert!(kinds[3..].iter().all(|kind| *kind == EventKind::EnrollmentOffered));
    assert_eq!(u64::try_from(kinds.len()).unwrap() + waiting.more, 303);
    let line = waiting.summary(&alice()).unwrap();
    let at = |text: &str| line.find(text).unwrap_or_else(|| panic!("{text}: {line}"));
    assert!(at("A CODE OF YOURS") < at("a new key for"), "{line}");
    assert!(at("a new key for") < at("second factor switched on"), "{line}");
    assert!(at("second factor switched on") < at("recovery code used"), "{line}");
}

#[test]
fn many_writers_and_readers_lose_nothing() {
    let (_temp, notices) = notices();
    let mut seen: Vec<String> = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..4_u64)
            .map(|w| {
                let notices = &notices;
                scope.spawn(move || {
                    (0..15).for_each(|n| add(notices, w * 15 + n, &because(&format!("{w}-{n}"))));
                })
            })
            .collect();
        let mut seen = Vec::new();
        while writers.iter().any(|writer| !writer.is_finished()) {
            let waiting = look(&notices, NOW);
            notices.mark_read(&alice(), &waiting).unwrap();
            seen.extend(reasons(&waiting));
        }
        seen
    });
    seen.extend(reasons(&look(&notices, NOW)));
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 60, "as many as have room at once");
}

/// alice, who logs in at sshd.
fn login(now: UnixTime) -> Login<'static> {
    Login { names: ["alice", "al"], from: "192.0.2.7", service: "sshd", now }
}

fn from(address: &str, service: Option<&str>, event: About) -> About {
    let from = Some(address.to_owned()).filter(|address| !address.is_empty());
    About { from, service: service.map(str::to_owned), ..event }
}

#[test]
fn what_a_user_has_just_done_from_the_same_place_is_no_news() {
    let at_login = |by| from("192.0.2.7", Some("sshd"), about(EventKind::RecoveryCodeUsed, by));
    for own in [
        at_login(None),
        at_login(Some("alice")),
        at_login(Some("al")),
        from("192.0.2.7", None, about(EventKind::RecoveryCodesIssued, Some("alice"))),
    ] {
        assert!(Event::of(&own).is_own_of(&login(NOW.plus(599))), "{own:?}");
        assert!(!Event::of(&own).is_own_of(&login(NOW.plus(600))), "the next login: {own:?}");
        assert!(!Event::of(&own).is_own_of(&login(NOW.minus(1))), "a clock that was set: {own:?}");
    }
}

#[test]
fn what_others_did_or_what_was_done_elsewhere_is_told_at_once() {
    let used = |by| about(EventKind::RecoveryCodeUsed, by);
    for other in [
        from("198.51.100.9", Some("sshd"), used(None)),
        from("192.0.2.7", Some("su"), used(None)),
        from("", Some("sshd"), used(None)),
        from("192.0.2.7", Some("sshd"), used(Some("root"))),
        // A command of an unknown actor.
        from("192.0.2.7", None, used(None)),
        from("192.0.2.7", Some("sshd"), about(EventKind::CodeAlreadyUsed, None)),
        from("192.0.2.7", Some("sshd"), about(EventKind::MoreCodesRequired, None)),
        from("192.0.2.7", Some("sshd"), about(EventKind::StateRebuilt, None)),
    ] {
        assert!(!Event::of(&other).is_own_of(&login(NOW)), "{other:?}");
    }
}

#[test]
fn several_make_one_line_with_what_alarms_first_and_then_the_newest() {
    let (_temp, notices) = notices();
    let at = |minutes: u64, event: About| About { time: NOW.plus(minutes * 60), ..event };
    add(&notices, 1, &at(0, about(EventKind::Enrolled, Some("root"))));
    add(&notices, 2, &at(1, about(EventKind::CodeAlreadyUsed, None)));
    add(&notices, 3, &at(2, about(EventKind::RecoveryCodesIssued, Some("root"))));
    assert_eq!(
        look(&notices, NOW).summary(&alice()).unwrap(),
        "pam-totp: A CODE OF YOURS WAS USED BY SOMEBODY ELSE before you entered it, 2027-01-15 08:01 UTC; \
         recovery codes issued by root, 2027-01-15 08:02 UTC; second factor switched on by root, 2027-01-15 08:00 UTC"
    );
    assert_eq!(Waiting::default().summary(&alice()), None);
}

#[test]
fn what_has_no_room_in_a_message_is_counted_with_the_command_that_lists_it() {
    let (_temp, notices) = notices();
    for n in 0..20 {
        add(&notices, n, &because(&"x".repeat(90)));
    }
    let line = look(&notices, NOW).summary(&alice()).unwrap();
    assert!(
        line.len() <= 511 && line.ends_with("; and 17 more: totp-admin notices alice"),
        "{line}"
    );
    let odd = UserName::new("a b;reboot").unwrap();
    assert!(look(&notices, NOW).summary(&odd).unwrap().ends_with("totp-admin notices USER"));
    let more = Waiting { more: 3, ..Waiting::default() };
    assert_eq!(
        more.summary(&alice()).unwrap(),
        "pam-totp: 3 notices for you: totp-admin notices alice"
    );
    for n in 1..=25 {
        let waiting =
            Waiting { notices: look(&notices, NOW).notices.into_iter().take(n).collect(), more: 0 };
        assert!(waiting.summary(&alice()).unwrap().len() <= 511);
    }
}

proptest! {
    #[test]
    fn who_says_where_a_login_came_from_is_never_cut(caller in "[a-z0-9._-]{1,32}", rhost in r#"[\\ %="aé]{0,90}|(?s).{0,90}"#) {
        let place = Place::on_the_word_of(&caller, &"s".repeat(40), &rhost);
        let (kind, detail) = (EventKind::NotDone, "x".repeat(128));
        let event = QueuedEvent { id: 1, time: NOW, kind, place, detail };
        let entry = Entry::of_login(&alice(), &event, None);
        let recorded = Recorded { seq: 1, hash: hash(1), syslog: String::new() };
        let about = About::of_entry(&entry, &recorded).unwrap();
        let says = format!(" (says {caller})");
        prop_assert!(sentence(&about).contains(&says), "{}", sentence(&about));
        let waiting = Waiting { notices: vec![Notice::new(Event::of(&about), &hash(1))], more: 0 };
        let line = waiting.summary(&alice()).unwrap();
        prop_assert!(line.contains(&says), "{}", line);
        let mail = Mail::new(about, hash(1), Vec::new(), NOW).print();
        let from = Mail::parse(&mail).unwrap().about.from.unwrap();
        prop_assert!(from.ends_with(&says), "{}", from);
    }
}

#[test]
fn what_was_not_done_after_all_says_that_nothing_changed_and_why() {
    let about = About {
        time: UnixTime(60),
        reason: Some("no space left".to_owned()),
        ..about(EventKind::NotDone, Some("carol"))
    };
    assert_eq!(
        sentence(&about),
        "a change told before failed and was not made, everything is as it was before it: tried by carol, \
         1970-01-01 00:01 UTC (no space left)"
    );
}

#[test]
fn every_event_has_a_sentence_of_its_own() {
    let sentence = |kind| sentence(&about(kind, None));
    let mut all: Vec<String> = EventKind::ALL.iter().map(|(kind, _)| sentence(*kind)).collect();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), EventKind::ALL.len());
}
