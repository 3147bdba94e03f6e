//! The outbox as a whole: enqueued from the record, claimed, delivered, broken.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use tempfile::TempDir;
use totp_core::contact::Email;
use totp_core::event::EventKind;
use totp_core::name::UserName;
use totp_core::time::UnixTime;

use super::message::tests::message;
use super::*;
use crate::flock::Wait;
use crate::permanent::{Entry, PermanentRecord};

const NOW: UnixTime = UnixTime(1_800_000_000);

struct House {
    temp: TempDir,
    outbox: Outbox,
    record: PermanentRecord,
}

impl House {
    fn new() -> Self {
        let temp = TempDir::new().unwrap();
        for name in ["outbox", "notices"] {
            fs::create_dir(temp.path().join(name)).unwrap();
            let mode = fs::Permissions::from_mode(0o700);
            fs::set_permissions(temp.path().join(name), mode).unwrap();
        }
        let outbox = Outbox::open(temp.path(), Owner::this_process()).unwrap();
        let record = PermanentRecord::new(&temp.path().join("record"), Owner::this_process());
        Self { temp, outbox, record }
    }

    /// With the cursor at the beginning.
    fn installed() -> Self {
        let house = Self::new();
        drop(house.outbox.hold(&house.record, Wait::No).unwrap());
        house
    }

    fn path(&self, name: &str) -> PathBuf {
        self.temp.path().join(name)
    }

    fn happens(&self, event: EventKind, of: Option<u64>) -> u64 {
        self.happens_at(NOW, event, of)
    }

    fn happens_at(&self, time: UnixTime, event: EventKind, of: Option<u64>) -> u64 {
        let user = Some("bob".to_owned());
        let entry = Entry { user, of, ..Entry::new(time, event) };
        self.record.append(&entry, time, Wait::No).unwrap().seq
    }

    fn enqueue(&self) -> Vec<String> {
        let hold = self.outbox.hold(&self.record, Wait::No).unwrap();
        hold.enqueue_new(&self.record, NOW, &recipients).unwrap();
        self.outbox.mail_names().unwrap()
    }

    fn notices(&self) -> usize {
        let bob = UserName::new("bob").unwrap();
        self.outbox.notices().look(&bob, UnixTime(0)).unwrap().notices.len()
    }
}

fn recipients(_: &About) -> Vec<Email> {
    vec!["bob@example.com".parse().unwrap(), "copy@example.com".parse().unwrap()]
}

#[test]
fn what_is_new_in_the_record_becomes_mail_and_a_notice_once() {
    let house = House::installed();
    house.happens(EventKind::Enrolled, None);
    house.happens(EventKind::Disabled, None);
    assert_eq!(house.enqueue(), ["1", "2"]);
    assert_eq!(house.enqueue(), ["1", "2"]);
    assert_eq!(house.notices(), 2);
    let mail = house.outbox.look("2").unwrap().unwrap();
    assert_eq!((mail.about.event, mail.about.user.as_str()), (EventKind::Disabled, "bob"));
    assert_eq!((mail.to.len(), mail.next), (2, NOW));
}

#[test]
fn nobody_is_told_of_what_happened_before_there_was_an_outbox() {
    let house = House::new();
    house.happens(EventKind::Enrolled, None);
    assert!(house.enqueue().is_empty());
    house.happens(EventKind::Disabled, None);
    assert_eq!(house.enqueue(), ["2"]);
}

#[test]
fn a_crash_between_mail_and_cursor_makes_nothing_twice() {
    let house = House::installed();
    let cursor = fs::read(house.path("outbox/.cursor")).unwrap();
    house.happens(EventKind::Disabled, None);
    house.enqueue();
    fs::write(house.path("outbox/.cursor"), cursor).unwrap();
    assert_eq!(house.enqueue(), ["1"]);
    assert_eq!(house.notices(), 1);
}

#[test]
fn a_change_that_was_not_made_and_nobody_was_told_of_is_not_told() {
    let house = House::installed();
    let failed = house.happens(EventKind::Disabled, None);
    house.happens(EventKind::NotDone, Some(failed));
    assert!(house.enqueue().is_empty());
    let told = house.happens(EventKind::Disabled, None);
    assert_eq!(house.enqueue(), ["3"]);
    house.happens(EventKind::NotDone, Some(told));
    assert_eq!(house.enqueue(), ["3", "4"]);
}

#[test]
fn nobody_is_told_of_the_telling() {
    let house = House::installed();
    house.happens(EventKind::Delivered, Some(1));
    house.happens(EventKind::Undelivered, Some(1));
    assert!(house.enqueue().is_empty());
    assert_eq!(house.notices(), 0);
}

#[test]
fn a_record_that_was_moved_away_begins_anew_and_its_numbers_are_told_apart() {
    let house = House::installed();
    house.happens(EventKind::Enrolled, None);
    house.happens(EventKind::Enrolled, None);
    house.enqueue();
    fs::rename(house.path("record"), house.path("older")).unwrap();
    house.happens(EventKind::Disabled, None);
    assert_eq!(house.enqueue(), ["1", "1.2", "2"]);
    assert_eq!(house.outbox.look("1.2").unwrap().unwrap().about.event, EventKind::Disabled);
    assert_eq!(house.enqueue().len(), 3);
}

#[test]
fn a_record_whose_past_was_cut_out_is_gone_on_with() {
    let house = House::installed();
    house.happens(EventKind::Enrolled, None);
    house.happens(EventKind::Enrolled, None);
    house.enqueue();
    house.happens(EventKind::Disabled, None);
    let text = fs::read_to_string(house.path("record")).unwrap();
    let last = text.lines().last().unwrap();
    fs::write(house.path("record"), format!("{last}\n")).unwrap();
    assert_eq!(house.enqueue(), ["1", "2", "3"]);
}

#[test]
fn of_a_record_that_came_back_from_a_backup_nothing_is_told_again() {
    let house = House::installed();
    for n in 0..3 {
        house.happens_at(NOW.plus(n), EventKind::Enrolled, None);
    }
    assert_eq!(house.enqueue(), ["1", "2", "3"]);
    for name in house.enqueue() {
        house.outbox.claim_mail(&name).unwrap().unwrap().finish().unwrap();
    }
    let text = fs::read_to_string(house.path("record")).unwrap();
    let first = text.lines().next().unwrap();
    fs::write(house.path("record"), format!("{first}\n")).unwrap();
    assert_eq!(house.enqueue(), [""; 0]);
    house.happens_at(NOW.plus(60), EventKind::Disabled, None);
    assert_eq!(house.enqueue(), ["2"]);
}

#[test]
fn of_somebody_who_is_gone_nothing_is_shown_to_who_has_the_name_later() {
    let house = House::installed();
    house.happens(EventKind::Disabled, None);
    house.happens(EventKind::Removed, None);
    assert_eq!(house.enqueue(), ["1", "2"]);
    assert_eq!(house.notices(), 0);
}

#[test]
fn while_one_goes_through_the_record_nobody_else_does() {
    let house = House::installed();
    let hold = house.outbox.hold(&house.record, Wait::No).unwrap();
    let other = Outbox::open(house.temp.path(), Owner::this_process()).unwrap();
    assert!(matches!(other.hold(&house.record, Wait::No), Err(OutboxError::Busy(_))));
    drop(hold);
    assert!(other.hold(&house.record, Wait::No).is_ok());
}

#[test]
fn one_users_notices_keep_nobody_from_being_told_by_mail() {
    let house = House::installed();
    fs::create_dir(house.path("notices/bob")).unwrap();
    house.happens(EventKind::Enrolled, None);
    house.happens(EventKind::Disabled, None);
    let hold = house.outbox.hold(&house.record, Wait::No).unwrap();
    let trouble = hold.enqueue_new(&house.record, NOW, &recipients).unwrap();
    let [one] = trouble.as_slice() else { panic!("{trouble:?}") };
    assert!(one.contains("notices/bob") && one.ends_with("not shown at the next login"), "{one}");
    assert_eq!(house.outbox.mail_names().unwrap(), ["1", "2"]);
    // Gone through is gone through.
    assert!(hold.enqueue_new(&house.record, NOW, &recipients).unwrap().is_empty());
}

#[test]
fn what_is_in_the_way_of_one_mail_keeps_no_other_back() {
    let house = House::installed();
    fs::create_dir(house.path("outbox/1")).unwrap();
    house.happens(EventKind::Enrolled, None);
    house.happens(EventKind::Disabled, None);
    house.enqueue();
    assert_eq!(house.outbox.mail_names().unwrap(), ["1", "1.2", "2"]);
}

#[test]
fn a_long_record_is_gone_through_in_parts_and_to_its_end() {
    let house = House::installed();
    let changed = house.happens(EventKind::Disabled, None);
    let telling = Entry { user: Some("bob".to_owned()), ..Entry::new(NOW, EventKind::Delivered) };
    for id in 0..600 {
        let entry = Entry { id: Some(id), ..telling.clone() };
        house.record.append(&entry, NOW, Wait::No).unwrap();
    }
    house.happens(EventKind::NotDone, Some(changed));
    // Too far apart to be seen together: both are told, and neither alone.
    assert_eq!(house.enqueue(), ["1", "602"]);
    let cursor = fs::read_to_string(house.path("outbox/.cursor")).unwrap();
    assert!(cursor.contains("\nseq 602\n"), "{cursor}");
    // Nothing is known of how far it was gone through: it counts as gone through to the end.
    fs::remove_file(house.path("outbox/.cursor")).unwrap();
    assert_eq!(house.enqueue().len(), 2);
    assert_eq!(fs::read_to_string(house.path("outbox/.cursor")).unwrap(), cursor);
}

#[test]
fn claimed_mail_is_nobody_elses_also_after_it_was_written_anew() {
    let house = House::installed();
    house.happens(EventKind::Disabled, None);
    house.enqueue();
    let other = Outbox::open(house.temp.path(), Owner::this_process()).unwrap();
    let mut claimed = house.outbox.claim_mail("1").unwrap().unwrap();
    assert!(other.claim_mail("1").unwrap().is_none());
    claimed.mail.to[0].served = true;
    claimed.save().unwrap();
    assert!(other.claim_mail("1").unwrap().is_none());
    drop(claimed);
    let again = other.claim_mail("1").unwrap().unwrap();
    assert!(again.mail.to[0].served && !again.mail.is_done());
    again.finish().unwrap();
    assert!(house.outbox.claim_mail("1").unwrap().is_none());
    // Gone through is gone through.
    assert!(house.enqueue().is_empty());
}

#[test]
fn what_cannot_be_read_is_told_and_stays() {
    let house = House::installed();
    house.happens(EventKind::Disabled, None);
    house.enqueue();
    fs::write(house.path("outbox/1"), "else\n").unwrap();
    let error = house.outbox.claim_mail("1").unwrap_err().to_string();
    assert!(error.contains("outbox/1: line 1"), "{error}");
    fs::set_permissions(house.path("outbox/1"), fs::Permissions::from_mode(0o644)).unwrap();
    assert!(matches!(house.outbox.claim_mail("1"), Err(OutboxError::File(_))));
    assert!(house.path("outbox/1").exists());
}

#[test]
fn a_message_is_sent_once_and_its_code_overwritten() {
    let house = House::installed();
    house.outbox.put_message(&message()).unwrap();
    let names = house.outbox.message_names().unwrap();
    let [name] = names.as_slice() else { panic!("{names:?}") };
    // A second name keeps the file after its removal, to look at.
    let path = house.path("outbox").join(name);
    let open = fs::File::open(&path).unwrap();
    let claimed = house.outbox.claim_message(name).unwrap().unwrap();
    assert_eq!(claimed.message, message());
    let other = Outbox::open(house.temp.path(), Owner::this_process()).unwrap();
    assert!(other.claim_message(name).unwrap().is_none());
    claimed.finish().unwrap();
    assert!(!path.exists());
    let left = std::io::read_to_string(open).unwrap();
    assert!(left.trim().is_empty(), "{left}");
}

#[test]
fn a_decoy_looks_like_a_message_and_is_only_taken_away() {
    let house = House::installed();
    house.outbox.pretend_message("bob", &message().text, message().until).unwrap();
    assert!(house.outbox.message_names().unwrap().is_empty());
    let Item::Decoy(name) = &house.outbox.items().unwrap()[0] else { panic!() };
    let found = fs::metadata(house.path("outbox").join(name)).unwrap();
    assert_eq!((found.len(), found.permissions().mode() & 0o7777), (1024, 0o600));
    house.outbox.sweep(NOW).unwrap();
    assert!(house.outbox.items().unwrap().is_empty());
}

/// What lies in the outbox with a name that begins so.
fn count(house: &House, kind: &str) -> usize {
    let is = |item: &Item| matches!(item, Item::Message(name) | Item::Decoy(name) if name.starts_with(kind));
    house.outbox.items().unwrap().iter().filter(|item| is(item)).count()
}

#[test]
fn decoys_are_in_the_way_of_no_message_and_are_not_kept_beyond_the_cap() {
    let house = House::installed();
    for n in 1..=MOST_MESSAGES {
        fs::write(house.path(&format!("outbox/decoy-{n}")), "").unwrap();
    }
    house.outbox.put_message(&message()).unwrap();
    for _ in 0..3 {
        let pretended = house.outbox.pretend_message("bob", "x", NOW);
        assert!(matches!(pretended, Err(OutboxError::Full(_))));
    }
    // One more, always the same, for the work of it.
    assert_eq!((count(&house, DECOY), count(&house, TEXT)), (MOST_MESSAGES + 1, 1));
}

#[test]
fn messages_are_not_kept_beyond_the_cap_and_their_codes_nowhere() {
    let house = House::installed();
    for n in 0..MOST_MESSAGES {
        fs::write(house.path(&format!("outbox/text-{n}")), "").unwrap();
    }
    for _ in 0..3 {
        assert!(matches!(house.outbox.put_message(&message()), Err(OutboxError::Full(_))));
    }
    assert_eq!((count(&house, DECOY), count(&house, TEXT)), (1, MOST_MESSAGES));
    let decoy = house.path("outbox/decoy-0000000000000000");
    assert!(fs::read_to_string(decoy).unwrap().trim().is_empty());
}

#[test]
fn how_often_a_message_was_tried_is_kept_in_its_file() {
    let house = House::installed();
    house.outbox.put_message(&message()).unwrap();
    let name = house.outbox.message_names().unwrap().remove(0);
    let mut claimed = house.outbox.claim_message(&name).unwrap().unwrap();
    claimed.message.begun = 1;
    claimed.save().unwrap();
    drop(claimed);
    let again = house.outbox.claim_message(&name).unwrap().unwrap();
    assert_eq!((again.message.begun, again.message.failed), (1, 0));
    assert_eq!(fs::metadata(house.path("outbox").join(&name)).unwrap().len(), 1024);
    drop(again);
    // Overwritten, but not removed.
    fs::write(house.path("outbox").join(&name), "\n".repeat(1024)).unwrap();
    assert!(house.outbox.claim_message(&name).unwrap().is_none());
    assert!(house.outbox.message_names().unwrap().is_empty());
}

#[test]
fn a_missing_directory_is_an_error_that_says_so() {
    let house = House::new();
    fs::remove_dir(house.path("notices")).unwrap();
    let error = Outbox::open(house.temp.path(), Owner::this_process()).unwrap_err().to_string();
    assert!(error.contains("notices: no such directory"), "{error}");
}

#[test]
fn a_text_message_that_a_power_failure_cut_is_an_error_for_an_hour_and_then_gone() {
    let house = House::new();
    let name = "text-0123456789abcdef";
    let file = house.path("outbox").join(name);
    fs::write(&file, "to = +420").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    assert!(house.outbox.claim_message(name).is_err());
    assert!(file.exists());
    let long_ago = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_700_000_000);
    fs::File::options().write(true).open(&file).unwrap().set_modified(long_ago).unwrap();
    assert!(house.outbox.claim_message(name).unwrap().is_none());
    assert!(!file.exists());
}
