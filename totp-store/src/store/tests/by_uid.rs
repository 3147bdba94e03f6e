//! Enrollments found by the uid of their account: the index, its order beside the records, and what becomes of a bad one.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use totp_core::name::UserName;
use totp_core::record::{EnrollmentId, Pending, Record};
use totp_core::store::{FaultKind, Found, Store as _};

use super::house::{House, NOW, decision, expected, first_state, record, tombstone, user};
use crate::store::{ByUid, Expected};

const UID: u32 = 1000;

/// What the account `alicia`, which has nothing of its own, is found to be.
fn found(house: &House) -> Result<Option<Vec<UserName>>, FaultKind> {
    match house.store.by_uid(&user("alicia"), UID) {
        Ok(ByUid::Nothing | ByUid::Disabled(_)) => Ok(None),
        Ok(ByUid::One(name, _)) => Ok(Some(vec![name])),
        Ok(ByUid::Several(names)) => Ok(Some(names)),
        Err(fault) => Err(fault.kind),
    }
}

fn is_found_as(house: &House, names: &[&str]) {
    let names: Vec<UserName> = names.iter().map(|name| user(name)).collect();
    assert_eq!(found(house), Ok(Some(names)));
}

fn with_uid(name: &str, uid: u32) -> Record {
    let mut record = record(name, 1);
    record.decision.uid = Some(uid);
    record
}

fn spoil(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

#[test]
fn an_account_without_an_enrollment_of_its_own_name_has_the_one_with_its_uid() {
    let house = House::with_alice();
    let Ok(ByUid::One(name, Found::Enrolled(enrolled))) = house.store.by_uid(&user("alicia"), UID)
    else {
        panic!("not found")
    };
    assert_eq!((name, enrolled.record.enrollment), (user("alice"), EnrollmentId::fresh([1; 8])));
    assert!(matches!(house.store.by_uid(&user("alicia"), UID + 1), Ok(ByUid::Nothing)));
}

#[test]
fn several_enrollments_with_one_uid_are_named() {
    let house = House::with_alice();
    house.enroll("toor", 2, Expected::Absent);
    is_found_as(&house, &["alice", "toor"]);
    assert_eq!(house.store.index_state().unwrap().shared.len(), 1);
}

#[test]
fn a_disabled_marker_is_no_enrollment_and_is_found_as_what_it_is() {
    let house = House::with_alice();
    house.store.switch_off(tombstone("alice"), expected("alice", 1)).unwrap();
    let by_uid = house.store.by_uid(&user("alicia"), UID);
    assert!(matches!(by_uid, Ok(ByUid::Disabled(name)) if name == user("alice")));
    house.enroll("toor", 2, Expected::Absent);
    is_found_as(&house, &["toor"]);
    assert!(house.store.index_state().unwrap().shared.is_empty());
}

#[test]
fn an_open_enrollment_is_found() {
    let house = House::empty();
    let (decision, enrollment) = (decision("alice"), EnrollmentId::fresh([1; 8]));
    let pending = Pending { decision, enrollment, code: None, until: NOW.plus(60) };
    house.store.open_enrollment(pending, Expected::Absent).unwrap();
    let found = house.store.by_uid(&user("alicia"), UID);
    assert!(matches!(found, Ok(ByUid::One(_, Found::Pending(_)))));
}

#[test]
fn names_without_an_account_are_not_in_the_index() {
    let house = House::empty();
    let mut vpn = record("vpn", 1);
    vpn.decision.uid = None;
    house.store.install(vpn, Expected::Absent, &|_| first_state(1)).unwrap();
    assert_eq!(fs::read_dir(house.lib("uids")).unwrap().count(), 1); // the marker
    assert!(house.store.index_state().unwrap().is_in_order());
}

#[test]
fn the_index_follows_every_change() {
    let house = House::with_alice();
    let (alice, alina) = (user("alice"), user("alina"));
    house.store.rename(&alice, &alina, expected("alice", 1), 9).unwrap();
    is_found_as(&house, &["alina"]);
    let (now, _) = house.store.expect(&alina).unwrap();
    house.store.amend(&alina, now, &mut |entry| entry.decision_mut().uid = Some(7)).unwrap();
    assert_eq!(found(&house), Ok(None));
    assert!(matches!(house.store.by_uid(&alice, 7), Ok(ByUid::One(name, _)) if name == alina));
    let (now, _) = house.store.expect(&alina).unwrap();
    house.store.remove(&alina, now).unwrap();
    assert!(matches!(house.store.by_uid(&alice, 7), Ok(ByUid::Nothing)));
    assert!(house.store.index_state().unwrap().is_in_order());
    assert_eq!(fs::read_dir(house.lib("uids")).unwrap().count(), 1);
}

#[test]
fn a_line_too_many_is_harmless() {
    let house = House::with_alice();
    let index = fs::read(house.lib("uids/1000")).unwrap();
    house.store.remove(&user("alice"), expected("alice", 1)).unwrap();
    fs::write(house.lib("uids/1000"), &index).unwrap();
    fs::set_permissions(house.lib("uids/1000"), fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(found(&house), Ok(None));
    // Nor is one whose name is enrolled with another uid.
    house.store.install(with_uid("alice", 7), Expected::Absent, &|_| first_state(1)).unwrap();
    assert_eq!(found(&house), Ok(None));
    assert_eq!(house.store.index_state().unwrap().stale, [(UID, user("alice"))]);
    assert_eq!(house.store.make_index(), Ok(1));
    assert!(house.store.index_state().unwrap().is_in_order());
}

#[test]
fn an_index_that_is_lost_or_torn_is_a_fault_and_no_absence() {
    let lost: [fn(&House); 6] = [
        |house| fs::remove_dir_all(house.lib("uids")).unwrap(),
        |house| fs::remove_file(house.lib("uids/.complete")).unwrap(),
        |house| spoil(&house.lib("uids/.complete"), ""),
        |house| spoil(&house.lib("uids/1000"), ""),
        |house| {
            let whole = fs::read_to_string(house.lib("uids/1000")).unwrap();
            spoil(&house.lib("uids/1000"), &whole.replace("user alice\n", ""));
        },
        |house| {
            let path = house.lib("uids/1000");
            fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap();
        },
    ];
    for (nth, lose) in lost.iter().enumerate() {
        let house = House::with_alice();
        lose(&house);
        let store = house.another_store();
        let fault = store.by_uid(&user("alicia"), UID).map(drop).unwrap_err();
        assert_eq!(fault.kind, FaultKind::IndexDamaged, "{nth}");
        assert!(fault.kind.is_the_users_own() && fault.detail.contains("totp-admin init"));
        // An entry of one's own needs no index.
        assert!(matches!(store.look(&user("alice")), Ok(Found::Enrolled(_))), "{nth}");
        assert!(!store.index_state().unwrap().is_in_order(), "{nth}");
    }
}

#[test]
fn an_index_that_was_lost_is_made_again_out_of_the_enrollments() {
    let house = House::with_alice();
    house.enroll("toor", 2, Expected::Absent);
    house.store.install(with_uid("bob", 7), Expected::Absent, &|_| first_state(1)).unwrap();
    let files = |house: &House| {
        let mut names: Vec<_> = fs::read_dir(house.lib("uids")).unwrap().flatten().collect();
        names.sort_by_key(fs::DirEntry::file_name);
        names.into_iter().map(|entry| entry.file_name()).collect::<Vec<_>>()
    };
    let before = files(&house);
    for entry in fs::read_dir(house.lib("uids")).unwrap().flatten() {
        fs::remove_file(entry.path()).unwrap();
    }
    assert_eq!(house.store.make_index(), Ok(3));
    assert_eq!(files(&house), before);
    is_found_as(&house, &["alice", "toor"]);
    assert_eq!(house.store.make_index(), Ok(0));
}

#[test]
fn an_enrollment_that_the_index_does_not_know_is_found_by_the_comparison() {
    let house = House::with_alice();
    fs::remove_file(house.lib("uids/1000")).unwrap();
    assert_eq!(house.store.index_state().unwrap().unlisted, [(UID, user("alice"))]);
}

#[test]
fn an_enrollment_that_cannot_be_read_denies_the_accounts_with_its_uid() {
    let house = House::with_alice();
    spoil(&house.lib("users/alice.toml"), "damaged");
    assert_eq!(found(&house), Err(FaultKind::RecordDamaged));
    // The index is the only thing that knows its uid.
    assert_eq!(house.store.make_index(), Ok(0));
    assert_eq!(found(&house), Err(FaultKind::RecordDamaged));
}

#[test]
fn an_index_is_not_complete_without_an_enrollment_whose_uid_nothing_tells() {
    let house = House::with_alice();
    let whole = fs::read_to_string(house.lib("users/alice.toml")).unwrap();
    let lose = || {
        fs::remove_file(house.lib("uids/.complete")).unwrap();
        fs::remove_file(house.lib("uids/1000")).unwrap();
    };
    lose();
    spoil(&house.lib("users/alice.toml"), "damaged");
    let fault = house.store.make_index().unwrap_err();
    assert!(fault.detail.contains("totp-admin remove alice"), "{fault}");
    assert_eq!(found(&house), Err(FaultKind::IndexDamaged));
    // What is left of its text does.
    spoil(&house.lib("users/alice.toml"), &whole.replace("secret = ", "secret "));
    house.store.make_index().unwrap();
    assert_eq!(found(&house), Err(FaultKind::RecordDamaged));
}

/// The index beside each state of the records that a change passes through, as a power failure leaves it that brings the
/// old record back: what is not on disk for good may or may not be there.
#[test]
fn a_name_is_in_the_index_before_its_enrollment_and_until_that_is_gone_for_good() {
    use super::administration::where_records_may_not_last;
    use crate::store::NotChanged;
    let house = House::empty();
    let store = where_records_may_not_last(&house);
    let not_for_good = |result: Result<(), NotChanged>| {
        assert!(matches!(result, Err(NotChanged::NotDurable(_))), "{result:?}");
    };
    not_for_good(store.install(record("alice", 1), Expected::Absent, &|_| first_state(1)));
    is_found_as(&house, &["alice"]);
    let now = || house.store.expect(&user("alice")).unwrap().0;
    let listed = |uid: u32| fs::read_to_string(house.lib(&format!("uids/{uid}"))).unwrap();
    not_for_good(store.amend(&user("alice"), now(), &mut |entry| {
        entry.decision_mut().uid = Some(7);
    }));
    assert!(listed(UID).contains("user alice\n") && listed(7).contains("user alice\n"));
    not_for_good(store.remove(&user("alice"), now()).map(drop));
    assert!(listed(7).contains("user alice\n"));
}

#[test]
fn where_the_index_takes_no_name_nothing_is_enrolled() {
    let house = House::empty();
    spoil(&house.lib("uids/1000"), "torn");
    let refused = house.store.install(record("alice", 1), Expected::Absent, &|_| first_state(1));
    assert!(refused.unwrap_err().to_string().contains("totp-admin init"));
    assert!(!house.lib("users/alice.toml").exists());
}

#[test]
fn a_lost_index_keeps_nothing_from_being_changed_that_it_need_not_know() {
    let mut house = House::with_alice();
    fs::remove_dir_all(house.lib("uids")).unwrap();
    house.store = house.another_store();
    house.enroll("alice", 2, expected("alice", 1));
    house.store.switch_off(tombstone("alice"), expected("alice", 2)).unwrap();
    assert_eq!(house.store.remove(&user("alice"), Expected::Disabled), Ok(true));
}

#[test]
fn a_renaming_that_passes_a_login_by_is_seen_by_it() {
    let house = House::with_alice();
    let names = [user("alice"), user("alina")];
    let stop = std::sync::atomic::AtomicBool::new(false);
    let relaxed = std::sync::atomic::Ordering::Relaxed;
    let another = house.another_store();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for nth in 0..60 {
                let (old, new) = (&names[nth % 2], &names[(nth + 1) % 2]);
                let (expected, _) = another.expect(old).unwrap();
                another.rename(old, new, expected, 9).unwrap();
            }
            stop.store(true, relaxed);
        });
        while !stop.load(relaxed) {
            // Denied at worst, never nothing.
            let by_uid = house.store.by_uid(&user("alicia"), UID);
            assert!(!matches!(by_uid, Ok(ByUid::Nothing)), "{by_uid:?}");
        }
    });
}

#[test]
fn what_killed_changes_left_in_the_index_is_swept_away() {
    let house = House::with_alice();
    let left = house.lib("uids/.new-0011223344556677");
    fs::File::create(&left).unwrap().set_modified(std::time::UNIX_EPOCH).unwrap();
    house.enroll("bob", 2, Expected::Absent);
    assert!(!left.exists());
}
