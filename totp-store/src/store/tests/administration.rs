//! Changes by administrators.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use nix::errno::Errno;
use totp_core::evaluate::Reason;
use totp_core::record::{EnrollmentId, Entry};
use totp_core::store::{Durability, Found, StateRead, Store as _};

use super::house::{
    House, NOW, Trouble, code, expected, first_state, is_accepted, reason, record, tombstone,
    try_code, user, wrong,
};
use crate::store::{Expected, FileStore, NotChanged};

fn enrolled(n: u8) -> Expected {
    expected("alice", n)
}

#[test]
fn a_change_prepared_against_something_else_is_refused() {
    let house = House::with_alice();
    let alice = user("alice");
    let refused = Err(NotChanged::Meanwhile(alice.clone()));
    for expected in [Expected::Absent, Expected::Disabled, Expected::Unusable, enrolled(7)] {
        let installed = house.store.install(record("alice", 2), expected, &|_| first_state(2));
        assert_eq!(installed, refused);
        assert_eq!(house.store.switch_off(tombstone("alice"), expected), refused);
        assert_eq!(house.store.remove(&alice, expected), Err(NotChanged::Meanwhile(alice.clone())));
    }
    assert!(is_accepted(&house.enter(&code(NOW), NOW)));
}

#[test]
fn a_change_prepared_before_another_one_within_the_enrollment_is_refused() {
    let house = House::with_alice();
    let alice = user("alice");
    let before = house.store.expect(&alice).unwrap().0;
    let phone = Some("+420123456789".parse().unwrap());
    let set = |entry: &mut Entry| entry.decision_mut().contact.phone.clone_from(&phone);
    house.store.amend(&alice, before, &mut { set }).unwrap();
    let refused = Err(NotChanged::Meanwhile(alice.clone()));
    assert_eq!(house.store.amend(&alice, before, &mut |_| ()), refused);
    assert_eq!(house.store.install(record("alice", 2), before, &|_| first_state(2)), refused);
    assert!(is_accepted(&house.enter(&code(NOW), NOW)));
}

#[test]
fn what_the_meter_alone_knows_to_be_spent_is_carried_on() {
    let house = House::with_alice();
    assert!(is_accepted(&house.enter(&code(NOW), NOW)));
    let next = code(NOW.plus(30));
    assert!(is_accepted(&house.enter(&next, NOW)));
    // The newest block is damaged: the older one and the meter are left.
    let mut bytes = fs::read(house.state_file()).unwrap();
    let seq = |block: &[u8]| {
        let text = String::from_utf8_lossy(block).into_owned();
        text.lines().find_map(|line| line.strip_prefix("seq ")?.parse::<u64>().ok())
    };
    let newest = if seq(&bytes[..4096]) > seq(&bytes[4096..8192]) { 0 } else { 4096 };
    bytes[newest] ^= 1;
    fs::write(house.state_file(), bytes).unwrap();
    let carried = |current: Option<&totp_core::state::State>| {
        let mut state = current.unwrap().clone();
        state.enrollment = EnrollmentId::fresh([2; 8]);
        state
    };
    house.store.install(record("alice", 2), enrolled(1), &carried).unwrap();
    assert_eq!(house.reason(&next, NOW), Reason::Replay);
}

#[test]
fn a_new_enrollment_begins_with_its_own_floors_and_the_users_meter() {
    let house = House::with_alice();
    assert!(is_accepted(&house.enter(&code(NOW), NOW)));
    let _ = house.enter(&wrong(NOW), NOW);
    let spent = |house: &House| house.store.inspect(&user("alice")).unwrap().meter.spending;
    let before = spent(&house);
    house.enroll("alice", 2, enrolled(1));
    assert_eq!(spent(&house), before);
    assert!(is_accepted(&house.enter(&code(NOW), NOW)));
    assert_eq!(house.reason(&code(NOW), NOW), Reason::Replay);
}

#[test]
fn an_enrollment_carried_on_sees_what_was_spent() {
    let house = House::with_alice();
    assert!(is_accepted(&house.enter(&code(NOW), NOW)));
    let carried = |current: Option<&totp_core::state::State>| {
        let mut state = current.unwrap().clone();
        state.enrollment = EnrollmentId::fresh([2; 8]);
        state
    };
    house.store.install(record("alice", 2), enrolled(1), &carried).unwrap();
    assert_eq!(house.reason(&code(NOW), NOW), Reason::Replay);
}

#[test]
fn who_is_switched_off_is_found_so_and_their_secret_is_gone() {
    let house = House::with_alice();
    house.store.switch_off(tombstone("alice"), enrolled(1)).unwrap();
    assert!(matches!(house.store.look(&user("alice")), Ok(Found::Disabled(_))));
    let text = fs::read_to_string(house.lib("users/alice.toml")).unwrap();
    assert!(!text.contains("secret"));
    let (verdict, _) = house.try_code("alice", &code(NOW), NOW).unwrap();
    assert_eq!(reason(verdict), Reason::NotEnrolled);
    house.enroll("alice", 2, Expected::Disabled);
    assert!(is_accepted(&house.enter(&code(NOW), NOW)));
}

#[test]
fn an_unusable_record_can_be_replaced_and_switched_off() {
    let house = House::with_alice();
    fs::write(house.lib("users/alice.toml"), "damaged").unwrap();
    assert_eq!(house.store.expect(&user("alice")).unwrap().0, Expected::Unusable);
    house.store.switch_off(tombstone("alice"), Expected::Unusable).unwrap();
    assert!(matches!(house.store.look(&user("alice")), Ok(Found::Disabled(_))));
}

#[test]
fn of_somebody_removed_nothing_is_left() {
    let house = House::with_alice();
    house.disk.fail(Trouble::Writes(Errno::EROFS));
    let _ = house.enter(&wrong(NOW), NOW);
    assert!(house.run("alice").exists());
    assert_eq!(house.store.remove(&user("alice"), enrolled(1)), Ok(true));
    for path in [house.lib("users/alice.toml"), house.state_file(), house.run("alice")] {
        assert!(!path.exists());
    }
    assert!(matches!(house.store.look(&user("alice")), Ok(Found::Absent)));
    assert_eq!(house.store.remove(&user("alice"), Expected::Absent), Ok(false));
}

/// A login that waits for the lock of alice's state while `meanwhile` happens.
fn login_during(house: &House, meanwhile: impl FnOnce()) -> Reason {
    let store = house.another_store();
    let file = fs::File::open(house.state_file()).unwrap();
    let held = crate::flock::Held::take(&file).unwrap().unwrap();
    std::thread::scope(|scope| {
        let login = scope.spawn(|| try_code(&store, "alice", &code(NOW), NOW).unwrap().0);
        std::thread::sleep(std::time::Duration::from_millis(50));
        meanwhile();
        drop(held);
        reason(login.join().unwrap())
    })
}

#[test]
fn a_login_that_waits_for_a_removed_state_begins_again() {
    let house = House::with_alice();
    let answer = login_during(&house, || {
        fs::remove_file(house.lib("users/alice.toml")).unwrap();
        fs::remove_file(house.state_file()).unwrap();
    });
    assert_eq!(answer, Reason::NotEnrolled);
}

#[test]
fn a_login_that_waits_for_a_replaced_state_reads_the_new_one() {
    let house = House::with_alice();
    let before = fs::read(house.state_file()).unwrap();
    assert!(is_accepted(&house.enter(&code(NOW), NOW)));
    let replacement = house.lib("state/.replacement");
    fs::copy(house.state_file(), &replacement).unwrap();
    fs::write(house.state_file(), before).unwrap();
    let replace = || fs::rename(&replacement, house.state_file()).unwrap();
    assert_eq!(login_during(&house, replace), Reason::Replay);
}

#[test]
fn a_full_disk_refuses_an_enrollment_and_leaves_the_old_one() {
    for trouble in [Trouble::Writes(Errno::ENOSPC), Trouble::Flushes(Errno::EIO)] {
        let house = House::with_alice();
        assert!(is_accepted(&house.enter(&code(NOW), NOW)));
        house.disk.fail(trouble);
        let fault = house
            .store
            .install(record("alice", 2), enrolled(1), &|_| first_state(2))
            .unwrap_err()
            .to_string();
        assert!(fault.contains("read-only, full or broken"), "{fault}");
        house.disk.heal();
        assert_eq!(house.reason(&code(NOW), NOW), Reason::Replay);
        assert!(is_accepted(&house.enter(&code(NOW.plus(30)), NOW.plus(30))));
    }
}

#[test]
fn an_enrollment_broken_off_before_its_record_leaves_the_old_one_whole() {
    let house = House::with_alice();
    assert!(is_accepted(&house.enter(&code(NOW), NOW)));
    let record_before = fs::read(house.lib("users/alice.toml")).unwrap();
    house.enroll("alice", 2, enrolled(1));
    // Killed between the new state's flush and the record's rename, before the note.
    fs::write(house.lib("users/alice.toml"), record_before).unwrap();
    let found = house.store.look(&user("alice")).unwrap();
    let Found::Enrolled(found) = found else { panic!("{found:?}") };
    assert!(matches!(found.state, StateRead::Good(_)));
    assert_eq!(house.reason(&code(NOW), NOW), Reason::Replay);
    assert!(is_accepted(&house.enter(&code(NOW.plus(30)), NOW.plus(30))));
}

#[test]
fn every_change_takes_away_what_killed_ones_left() {
    const LEFT: &str = ".new-0011223344556677";
    let all = |house: &House| {
        [house.lib("users").join(LEFT), house.lib("uids").join(LEFT), house.run(LEFT)]
    };
    let leftovers = |house: &House| {
        for path in all(house) {
            let file = fs::File::create(&path).unwrap();
            file.set_modified(std::time::UNIX_EPOCH).unwrap();
        }
    };
    let none_left = |house: &House| all(house).iter().all(|path| !path.exists());
    let house = House::with_alice();
    leftovers(&house);
    house.enroll("bob", 2, Expected::Absent);
    assert!(none_left(&house));
    leftovers(&house);
    house.store.switch_off(tombstone("alice"), enrolled(1)).unwrap();
    assert!(none_left(&house));
    leftovers(&house);
    let _ = house.store.everybody(NOW);
    assert!(none_left(&house));
}

/// A store where a new or renamed record is in place, and a power failure may bring the old one back.
pub(super) fn where_records_may_not_last(house: &House) -> FileStore {
    use crate::store::{Directories, Records};
    let (store, another) = (house.another_store(), house.another_store());
    another.directories().unwrap();
    let Directories { states, uids, .. } = another.directories.into_inner().unwrap();
    let users = crate::files::Directory::open(
        &house.lib("users"),
        crate::files::Owner::this_process(),
        crate::files::Shared::Nobody,
    );
    let records = Records::new(users.unwrap().that_fails_to_sync(Errno::EIO));
    store.directories.set(Directories { records, states, uids }).unwrap();
    store
}

#[test]
fn what_is_accepted_under_a_new_record_is_on_disk_only_once_the_record_is() {
    let house = House::empty();
    let store = where_records_may_not_last(&house);
    let _ = store.install(record("alice", 1), Expected::Absent, &|_| first_state(1));
    let enter = |store: &FileStore, at| try_code(store, "alice", &code(at), at).unwrap().1;
    // Whoever installed it couldn't flush it, or was killed before: then its login has to, and can't either.
    assert_eq!(enter(&store, NOW), Durability::Volatile);
    let later = NOW.plus(60);
    assert_eq!(enter(&house.another_store(), later), Durability::Disk);
    assert!(!house.run("alice").exists());
    // From then on it is known to be there.
    assert_eq!(enter(&store, later.plus(60)), Durability::Disk);
}

#[test]
fn what_is_accepted_under_a_new_name_is_on_disk_only_once_the_name_is() {
    let house = House::with_alice();
    let store = where_records_may_not_last(&house);
    let enter = |store: &FileStore, name, at| try_code(store, name, &code(at), at).unwrap().1;
    assert_eq!(enter(&store, "alice", NOW), Durability::Disk);
    let expected = house.store.expect(&user("alice")).unwrap().0;
    house.store.rename(&user("alice"), &user("alicia"), expected, 7).unwrap();
    let later = NOW.plus(60);
    let (alicia, alina) = (user("alicia"), user("alina"));
    let expected = house.store.expect(&alicia).unwrap().0;
    assert!(store.rename(&alicia, &alina, expected, 8).is_err());
    assert_eq!(enter(&store, "alicia", later), Durability::Volatile);
    let later = later.plus(60);
    assert_eq!(enter(&house.another_store(), "alicia", later), Durability::Disk);
    assert_eq!(enter(&store, "alicia", later.plus(60)), Durability::Disk);
}

#[test]
fn a_state_is_kept_under_the_old_name_until_the_new_one_is_on_disk() {
    let house = House::with_alice();
    let store = where_records_may_not_last(&house);
    let renamed = store.rename(&user("alice"), &user("alicia"), enrolled(1), 7);
    assert!(matches!(renamed, Err(NotChanged::NotDurable(_))));
    assert!(house.state_file().exists() && house.lib("state/alicia").exists());
}

#[test]
fn a_change_that_may_not_survive_a_power_failure_is_made_whole_and_says_so() {
    let mut house = House::empty();
    house.store = where_records_may_not_last(&house);
    let is_in_place = |result: Result<(), NotChanged>| {
        let Err(error @ NotChanged::NotDurable(_)) = result else { panic!("{result:?}") };
        assert!(error.to_string().contains("the change is in place"), "{error}");
    };
    is_in_place(house.store.install(record("alice", 1), Expected::Absent, &|_| first_state(1)));
    assert!(is_accepted(&house.enter(&code(NOW), NOW)));
    is_in_place(house.store.switch_off(tombstone("alice"), enrolled(1)));
    assert!(matches!(house.store.look(&user("alice")), Ok(Found::Disabled(_))));
    is_in_place(house.store.remove(&user("alice"), Expected::Disabled).map(|_| ()));
    assert!(matches!(house.store.look(&user("alice")), Ok(Found::Absent)));
    assert!(!house.state_file().exists());
}

#[test]
fn everybody_is_listed_with_what_is_wrong() {
    let house = House::with_alice();
    house.enroll("carol", 3, Expected::Absent);
    house.store.switch_off(tombstone("bob"), Expected::Absent).unwrap();
    fs::write(house.lib("users/carol.toml"), "damaged").unwrap();
    let all = house.store.everybody(NOW).unwrap();
    let names: Vec<_> = all.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["alice", "bob", "carol"]);
    assert!(matches!(all[0].1, Ok(Entry::Enrolled(_))));
    assert!(matches!(all[1].1, Ok(Entry::Disabled(_))));
    assert!(all[2].1.is_err());
}

#[test]
fn what_is_spent_goes_along_with_a_name() {
    let house = House::with_alice();
    assert!(is_accepted(&house.enter(&code(NOW), NOW)));
    let (alice, alina) = (user("alice"), user("alina"));
    let expected = house.store.expect(&alice).unwrap().0;
    house.store.rename(&alice, &alina, expected, 9).unwrap();
    assert_eq!(house.reason(&code(NOW.plus(30)), NOW), Reason::NotEnrolled);
    let under_the_new_name = |typed: &str| house.try_code("alina", typed, NOW).unwrap().0;
    assert_eq!(reason(under_the_new_name(&code(NOW))), Reason::Replay);
    assert!(is_accepted(&under_the_new_name(&code(NOW.plus(30)))));
    assert!(!house.lib("users/alice.toml").exists() && !house.state_file().exists());
    assert_eq!(house.store.expect(&alina).unwrap().1.unwrap().decision().seq, 9);
}

#[test]
fn a_name_is_not_given_to_somebody_about_whom_something_is_decided() {
    let house = House::with_alice();
    house.enroll("alina", 2, Expected::Absent);
    let (alice, alina) = (user("alice"), user("alina"));
    let expected = house.store.expect(&alice).unwrap().0;
    let renamed = house.store.rename(&alice, &alina, expected, 9);
    assert_eq!(renamed, Err(NotChanged::Meanwhile(alina.clone())));
    let renamed = house.store.rename(&alice, &user("other"), Expected::Disabled, 9);
    assert_eq!(renamed, Err(NotChanged::Meanwhile(alice)));
    assert!(is_accepted(&house.enter(&code(NOW), NOW)));
}

/// What is on disk where a renaming was killed: after the state was copied, after the record says both names, and after it
/// was renamed.
#[test]
fn wherever_a_renaming_is_killed_one_of_the_two_names_gets_in_and_no_code_is_good_twice() {
    for stage in ["copied", "both names", "renamed"] {
        let house = House::with_alice();
        assert!(is_accepted(&house.enter(&code(NOW), NOW)));
        let (alice, alina) = (user("alice"), user("alina"));
        let expected = house.store.expect(&alice).unwrap().0;
        let (record, state) = (house.lib("users/alice.toml"), house.state_file());
        let before = (fs::read(&record).unwrap(), fs::read(&state).unwrap());
        house.store.rename(&alice, &alina, expected, 9).unwrap();
        let private = |path: &std::path::Path, bytes: &[u8]| {
            fs::write(path, bytes).unwrap();
            fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
        };
        private(&state, &before.1);
        match stage {
            "copied" => {
                fs::remove_file(house.lib("users/alina.toml")).unwrap();
                private(&record, &before.0);
            }
            "both names" => fs::rename(house.lib("users/alina.toml"), &record).unwrap(),
            _ => {}
        }
        let enter = |name: &str, typed: &str| house.try_code(name, typed, NOW).unwrap().0;
        let next = code(NOW.plus(30));
        let let_in = ["alice", "alina"].map(|name| {
            assert!(!is_accepted(&enter(name, &code(NOW))), "{stage}: used before");
            is_accepted(&enter(name, &next))
        });
        assert_eq!(
            let_in,
            if stage == "renamed" { [false, true] } else { [true, false] },
            "{stage}"
        );
        if stage != "renamed" {
            let listed = house.store.everybody(NOW).unwrap();
            assert_eq!(listed.len(), 1);
            assert_eq!(listed[0].1.as_ref().unwrap().decision().user, alice, "{stage}");
            let expected = house.store.expect(&alice).unwrap().0;
            house.store.rename(&alice, &alina, expected, 10).unwrap();
            assert_eq!(reason(enter("alina", &next)), Reason::Replay, "{stage}");
        }
    }
}
