//! Power failures, for every file but the state (which has its own in `store/tests/crashes.rs`): whatever was written and not
//! flushed is lost behind any of its bytes, and what the disk has is read by the next program. Needs no root.
//!
//! Files that are replaced are flushed before they get their name (`tests/flushes/`), so that what may be torn is a file that
//! has none yet. The permanent record is written at its end, notices and text messages in place.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)] // a test
#![allow(clippy::arithmetic_side_effects)] // of its own numbers

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use tempfile::TempDir;
use totp_core::contact::{Contact, Email};
use totp_core::event::{EventKind, Place, QueuedEvent};
use totp_core::name::UserName;
use totp_core::record::{Decision, EnrollmentId, Tombstone};
use totp_core::remembered::{Arrival, Fingerprint, Terms};
use totp_core::store::{Found, Store as _};
use totp_core::time::{DAY, UnixTime};
use totp_store::Wait;
use totp_store::files::Owner;
use totp_store::notices::Notice;
use totp_store::outbox::{About, Message, Outbox, OutboxError};
use totp_store::permanent::{Details, Entry, PermanentRecord};
use totp_store::remembered::Remembered;
use totp_store::store::{Expected, FileStore};
use zeroize::Zeroizing;

const NOW: UnixTime = UnixTime(1_763_000_000);

/// What a replacement that was broken off is called.
const UNFINISHED: &str = ".new-0123456789abcdef";

/// All directories of an installation.
struct House(TempDir);

impl House {
    fn new() -> Self {
        let temp = TempDir::new().unwrap();
        for name in ["", "users", "state", "uids", "outbox", "notices", "remembered", "run"] {
            let path = temp.path().join(name);
            fs::create_dir_all(&path).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(0o700)).unwrap();
        }
        Self(temp)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn store(&self) -> FileStore {
        FileStore::new(self.0.path(), &self.path("run"), Owner::this_process())
    }

    fn record(&self) -> PermanentRecord {
        PermanentRecord::new(&self.path("record"), Owner::this_process())
    }

    fn outbox(&self) -> Outbox {
        Outbox::open(self.0.path(), Owner::this_process()).unwrap()
    }

    fn remembered(&self) -> Remembered {
        Remembered::new(self.0.path(), Owner::this_process())
    }

    /// A file as a power failure left it.
    fn leave(&self, name: &str, bytes: &[u8]) {
        fs::write(self.path(name), bytes).unwrap();
        fs::set_permissions(self.path(name), Permissions::from_mode(0o600)).unwrap();
    }

    fn enqueue(&self) -> Vec<String> {
        let (outbox, record) = (self.outbox(), self.record());
        outbox.hold(&record, Wait::No).unwrap().enqueue_new(&record, NOW, &to_bob).unwrap();
        outbox.mail_names().unwrap()
    }

    fn happens(&self, event: EventKind) {
        let entry = Entry { user: Some("bob".to_owned()), ..Entry::new(NOW, event) };
        self.record().append(&entry, NOW, Wait::No).unwrap();
    }

    /// A notice with this reason, whose line in the audit log has this hash.
    fn notice(&self, reason: &str, hash: char) {
        let about = About {
            seq: 1,
            time: NOW,
            event: EventKind::Reset,
            user: "bob".to_owned(),
            by: None,
            from: None,
            host: None,
            service: None,
            reason: Some(reason.to_owned()),
            details: Details::default(),
            of: None,
        };
        self.outbox().notices().add_event(&about, &hash.to_string().repeat(64)).unwrap();
    }

    fn notices(&self) -> Vec<String> {
        let waiting = self.outbox().notices().look(&bob(), NOW).unwrap();
        waiting.notices.iter().map(Notice::sentence).collect()
    }
}

fn bob() -> UserName {
    UserName::new("bob").unwrap()
}

fn to_bob(_: &About) -> Vec<Email> {
    vec!["bob@example.com".parse().unwrap()]
}

/// Every part of `bytes` from its beginning; and here and there with what a file has that grew before it was written.
fn torn(bytes: &[u8]) -> Vec<Vec<u8>> {
    let zeros = |length: usize| [&bytes[..length], &vec![0; bytes.len() - length]].concat();
    let parts = (0..bytes.len()).map(|length| bytes[..length].to_vec());
    parts.chain((0..bytes.len()).step_by(16).map(zeros)).collect()
}

/// What `change` makes of a file, and what it was before; the file is as before when this returns.
fn replaced(house: &House, name: &str, change: impl Fn()) -> Vec<u8> {
    let before = fs::read(house.path(name)).ok();
    change();
    let after = fs::read(house.path(name)).unwrap();
    match before {
        Some(before) => house.leave(name, &before),
        None => fs::remove_file(house.path(name)).unwrap(),
    }
    after
}

fn tombstone(reason: &str) -> Tombstone {
    let decision = Decision {
        user: bob(),
        uid: Some(1000),
        since: NOW,
        by: "carol".to_owned(),
        seq: 1,
        contact: Contact::default(),
    };
    Tombstone { decision, reason: Some(reason.to_owned()) }
}

fn reason_on_disk(house: &House) -> Option<String> {
    match house.store().look(&bob()).unwrap() {
        Found::Disabled(tombstone) => tombstone.reason,
        other => panic!("{other:?}"),
    }
}

#[test]
fn of_a_record_any_part_of_the_new_one_may_be_lost_and_the_old_one_counts() {
    let house = House::new();
    house.store().switch_off(tombstone("first"), Expected::Absent).unwrap();
    let expected = || house.store().expect(&bob()).unwrap().0;
    let new = replaced(&house, "users/bob.toml", || {
        house.store().switch_off(tombstone("second"), expected()).unwrap();
    });
    for part in torn(&new) {
        house.leave(&format!("users/{UNFINISHED}"), &part);
        assert_eq!(reason_on_disk(&house).as_deref(), Some("first"));
        assert_eq!(house.store().everybody(NOW).unwrap().len(), 1);
    }
    house.store().switch_off(tombstone("second"), expected()).unwrap();
    assert_eq!(reason_on_disk(&house).as_deref(), Some("second"));
}

#[test]
fn of_the_permanent_record_any_part_of_the_last_lines_may_be_lost_and_the_chain_goes_on() {
    let house = House::new();
    house.happens(EventKind::Enrolled);
    house.happens(EventKind::Disabled);
    let before = fs::read(house.path("record")).unwrap();
    let place = || Place::new("sshd", "192.0.2.1");
    let events: Vec<Entry> = (1..=2)
        .map(|id| {
            let (kind, detail) = (EventKind::RecoveryCodeUsed, "4 left".to_owned());
            let event = QueuedEvent { id, time: NOW, kind, place: place(), detail };
            Entry::of_login(&bob(), &event, None)
        })
        .collect();
    let record = house.record();
    record.append_once(&events, NOW, Wait::No).unwrap();
    let after = fs::read(house.path("record")).unwrap();
    for part in torn(&after[before.len()..]) {
        house.leave("record", &[before.as_slice(), &part].concat());
        let verified = record.verify(&[]).unwrap();
        assert!(verified.findings.is_empty(), "{:?} of {}", verified.findings, part.len());
        // The events are in a state still, and are moved once more: each is there once then.
        record.append_once(&events, NOW, Wait::No).unwrap();
        house.happens(EventKind::Unlocked);
        let verified = record.verify(&[]).unwrap();
        assert_eq!((verified.lines, verified.findings.len(), verified.incomplete), (5, 0, false));
        assert!(fs::read(house.path("record")).unwrap().starts_with(&before));
    }
}

#[test]
fn of_mail_and_cursor_any_part_may_be_lost_and_everybody_is_told_once() {
    let house = House::new();
    drop(house.outbox().hold(&house.record(), Wait::No).unwrap());
    house.happens(EventKind::Disabled);
    let cursor = fs::read(house.path("outbox/.cursor")).unwrap();
    assert_eq!(house.enqueue(), ["1"]);
    let [mail, passed] =
        ["outbox/1", "outbox/.cursor"].map(|name| fs::read(house.path(name)).unwrap());
    // What has no name is read by nobody, whatever part of it is there: one of eight parts is enough.
    for part in torn(&mail).iter().chain(&torn(&passed)).step_by(8) {
        // Before the mail has its name, and between it and the cursor.
        for has_mail in [false, true] {
            house.leave("outbox/.cursor", &cursor);
            let _ = fs::remove_file(house.path("outbox/1"));
            if has_mail {
                house.leave("outbox/1", &mail);
            }
            house.leave(&format!("outbox/{UNFINISHED}"), part);
            assert_eq!(house.enqueue(), ["1"]);
            assert_eq!(house.outbox().look("1").unwrap().unwrap().to.len(), 1);
            assert_eq!(house.notices().len(), 1);
            assert_eq!(house.outbox().passed().unwrap(), Some(1));
        }
    }
}

#[test]
fn of_notices_any_part_may_be_lost_and_the_next_one_is_shown() {
    let house = House::new();
    let outbox = house.outbox();
    house.notice("the first", '1');
    let before = fs::read(house.path("notices/bob")).unwrap();
    house.notice("the second", '2');
    let after = fs::read(house.path("notices/bob")).unwrap();
    let shown = outbox.notices().look(&bob(), NOW).unwrap();
    for part in torn(&after) {
        // Over what was there, or where nothing of it was.
        for below in [before.as_slice(), &[]] {
            let rest = below.get(part.len()..).unwrap_or_default();
            house.leave("notices/bob", &[part.as_slice(), rest].concat());
            house.notice("the third", '3');
            let lines = house.notices();
            assert!(lines.last().is_some_and(|line| line.ends_with("(the third)")), "{lines:?}");
            let printable = |line: &String| line.bytes().all(|byte| matches!(byte, b' '..=b'~'));
            assert!(lines.iter().all(printable), "{lines:?}");
            // Reading what another program showed before takes nothing else away.
            outbox.notices().mark_read(&bob(), &shown).unwrap();
            assert!(house.notices().iter().any(|line| line.ends_with("(the third)")));
        }
    }
}

#[test]
fn of_a_text_message_any_part_may_be_lost_and_it_is_sent_as_it_was_or_not_at_all() {
    let house = House::new();
    let outbox = house.outbox();
    let text = Zeroizing::new("12345678 is your code".to_owned());
    let phone = "+420123456789".parse().unwrap();
    outbox.put_message(&Message::new("bob".to_owned(), phone, text, NOW)).unwrap();
    let name = outbox.message_names().unwrap().remove(0);
    let file = format!("outbox/{name}");
    let first = fs::read(house.path(&file)).unwrap();
    let mut claimed = outbox.claim_message(&name).unwrap().unwrap();
    claimed.message.begun = 1;
    claimed.save().unwrap();
    let wanted = claimed.message.text.clone();
    drop(claimed);
    let second = fs::read(house.path(&file)).unwrap();
    let used = first.iter().rposition(|byte| *byte != b'\n').unwrap();
    for length in 0..=used {
        // Noted over what was there: the old or the new number of tries.
        house.leave(&file, &[&second[..length], &first[length..]].concat());
        let claimed = outbox.claim_message(&name).unwrap().unwrap();
        assert_eq!(
            (claimed.message.text.as_str(), claimed.message.begun <= 1),
            (wanted.as_str(), true)
        );
        drop(claimed);
        // New, and never flushed: nothing, or something that says where it lies.
        house.leave(&file, &first[..length]);
        match outbox.claim_message(&name) {
            Ok(None) => assert_eq!(length, 0),
            Ok(Some(_)) => assert!(length > used, "a part of a text was taken for all of it"),
            Err(error) => assert!(matches!(error, OutboxError::Format { .. }), "{error}"),
        }
    }
}

#[test]
fn of_remembered_devices_any_part_of_the_new_list_may_be_lost_and_the_old_one_counts() {
    const TERMS: Terms = Terms { seconds: 30 * DAY, same_network: false };
    let house = House::new();
    let arrival = |key: u8| Arrival {
        key: Fingerprint([key; 32]),
        network: None,
        enrollment: EnrollmentId::fresh([7; 8]),
        now: NOW,
    };
    let knows =
        |key| house.remembered().read(&bob()).unwrap().known(&arrival(key), &TERMS).is_some();
    house.remembered().remember(&bob(), &arrival(1), &TERMS).unwrap();
    let new = replaced(&house, "remembered/bob", || {
        house.remembered().remember(&bob(), &arrival(2), &TERMS).unwrap();
    });
    for part in torn(&new) {
        house.leave(&format!("remembered/{UNFINISHED}"), &part);
        assert!(knows(1) && !knows(2));
    }
    house.remembered().remember(&bob(), &arrival(2), &TERMS).unwrap();
    assert!(knows(1) && knows(2));
    // Should the list itself ever be torn, whoever is enrolled is asked: nobody is known by a part of it.
    for length in 0..new.len() - 1 {
        house.leave("remembered/bob", &new[..length]);
        let known = house
            .remembered()
            .read(&bob())
            .is_ok_and(|devices| devices.known(&arrival(3), &TERMS).is_some());
        assert!(!known);
    }
}
