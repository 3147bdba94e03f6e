//! Logins while the disk can't be written.

use std::fs;

use nix::errno::Errno;
use totp_core::evaluate::Reason;
use totp_core::store::{Durability, FaultKind};
use totp_core::time::UnixTime;

use super::house::{House, NOW, Trouble, code, is_accepted, wrong};

const TROUBLES: [Trouble; 11] = [
    Trouble::Writes(Errno::ENOSPC),
    Trouble::Writes(Errno::EDQUOT),
    Trouble::Writes(Errno::EROFS),
    Trouble::Writes(Errno::EIO),
    Trouble::Flushes(Errno::EIO),
    Trouble::Flushes(Errno::ENOSPC),
    // What broken disks and file systems say, each in its own words.
    Trouble::Flushes(Errno::ENODATA),
    Trouble::Flushes(Errno::EUCLEAN),
    Trouble::Flushes(Errno::EBADMSG),
    Trouble::Writes(Errno::ETIMEDOUT),
    Trouble::Writes(Errno::EREMOTEIO),
];

#[test]
fn a_code_is_good_once_while_the_disk_fails_and_after_it_is_back() {
    for trouble in TROUBLES {
        let house = House::with_alice();
        assert!(is_accepted(&house.enter(&code(NOW), NOW)));
        house.disk.fail(trouble);
        let then = NOW.plus(60);
        let (verdict, durability) = house.try_code("alice", &code(then), then).unwrap();
        assert!(is_accepted(&verdict), "{trouble:?}");
        assert_eq!(durability, Durability::Volatile);
        assert!(house.run("alice").exists());
        assert_eq!(house.reason(&code(then), then), Reason::Replay);
        assert!(is_accepted(&house.enter(&code(then.plus(30)), then.plus(30))));

        house.disk.heal();
        assert_eq!(house.reason(&code(then.plus(30)), then.plus(30)), Reason::Replay);
        assert!(!house.run("alice").exists(), "{trouble:?}");
        assert_eq!(house.reason(&code(then), then.plus(30)), Reason::Replay);
        assert!(is_accepted(&house.enter(&code(then.plus(60)), then.plus(60))));
    }
}

#[test]
fn what_comes_back_from_memory_lowers_no_floor_on_disk() {
    let house = House::with_alice();
    house.disk.fail(Trouble::Writes(Errno::EROFS));
    assert!(is_accepted(&house.enter(&code(NOW), NOW)));
    let (older, kept) = (house.run("alice"), house.run("kept"));
    fs::rename(&older, &kept).unwrap();
    house.disk.heal();
    let then = NOW.plus(60);
    assert!(is_accepted(&house.enter(&code(then), then)));
    fs::rename(&kept, &older).unwrap();
    assert_eq!(house.reason(&code(then), then), Reason::Replay);
    assert!(!older.exists());
}

#[test]
fn what_was_guessed_stays_debited_through_memory_and_back() {
    // What a wrong code of six digits costs, in 10^-18.
    const PRICE: u64 = 3_000_721_335_412;
    let house = House::with_alice();
    let spent = |house: &House| {
        house.store.inspect(&super::house::user("alice")).unwrap().meter.spending.unknown
    };
    house.disk.fail(Trouble::Writes(Errno::EROFS));
    for n in 1..=3 {
        assert_eq!(house.reason(&wrong(NOW), NOW), Reason::Wrong);
        assert_eq!(spent(&house), n * PRICE);
    }
    house.disk.heal();
    assert_eq!(house.reason(&wrong(NOW), NOW), Reason::Wrong);
    assert!(!house.run("alice").exists());
    assert_eq!(spent(&house), 4 * PRICE);
}

#[test]
fn a_code_from_before_the_start_of_process_1_is_refused_in_memory() {
    let mut house = House::with_alice();
    house.store.started = || Some(NOW);
    house.disk.fail(Trouble::Writes(Errno::EROFS));
    assert!(!is_accepted(&house.enter(&code(NOW.minus(30)), NOW)));
    let later = UnixTime(NOW.0 + 60);
    assert!(is_accepted(&house.enter(&code(later), later)));
}

#[test]
fn of_a_state_in_memory_a_restart_leaves_nothing_and_the_disks_counts() {
    let mut house = House::with_alice();
    assert!(is_accepted(&house.enter(&code(NOW), NOW)));
    house.disk.fail(Trouble::Writes(Errno::EROFS));
    let then = NOW.plus(60);
    assert!(is_accepted(&house.enter(&code(then), then)));
    assert_eq!(house.reason(&code(then), then), Reason::Replay);
    fs::remove_dir_all(house.run("")).unwrap(); // the restart
    house.store = house.another_store();
    house.disk.heal();
    // What the disk knew is known; what memory alone did is forgotten (docs/formats.md).
    assert_eq!(house.reason(&code(NOW), NOW.plus(30)), Reason::Replay);
    assert!(is_accepted(&house.enter(&code(then), then)));
    assert_eq!(house.reason(&code(then), then), Reason::Replay);
}

#[test]
fn where_nothing_can_be_written_right_and_wrong_look_alike() {
    let mut house = House::with_alice();
    house.store.started = || None;
    house.disk.fail(Trouble::Writes(Errno::EROFS));
    let right = house.try_code("alice", &code(NOW), NOW).unwrap_err();
    let wrong = house.try_code("alice", &wrong(NOW), NOW).unwrap_err();
    assert_eq!(right, wrong);
    assert_eq!(right.kind, FaultKind::Unavailable);
}

#[test]
fn a_directory_in_memory_is_made_when_it_is_needed() {
    let mut house = House::with_alice();
    fs::remove_dir(house.run("")).unwrap();
    house.store = house.another_store();
    house.disk.fail(Trouble::Writes(Errno::EROFS));
    assert!(is_accepted(&house.enter(&code(NOW), NOW)));
    assert!(house.run("alice").exists());
}

#[test]
fn a_directory_in_memory_that_is_somebody_elses_is_not_believed() {
    use std::os::unix::fs::PermissionsExt as _;
    let mut house = House::with_alice();
    fs::set_permissions(house.run(""), fs::Permissions::from_mode(0o777)).unwrap();
    house.store = house.another_store();
    let fault = house.try_code("alice", &code(NOW), NOW).unwrap_err();
    assert_eq!(fault.kind, FaultKind::Unavailable);
    assert!(fault.detail.contains("/run: others have access"), "{fault}");
}

#[test]
fn strangers_are_debited_in_memory_too() {
    let house = House::with_alice();
    house.disk.fail(Trouble::Writes(Errno::ENOSPC));
    let (verdict, durability) = house.try_code("mallory", "123456", NOW).unwrap();
    assert_eq!(super::house::reason(verdict), Reason::NotEnrolled);
    assert_eq!(durability, Durability::Volatile);
    house.disk.heal();
    let (_, durability) = house.try_code("mallory", "123456", NOW).unwrap();
    assert_eq!(durability, Durability::Disk);
    assert_eq!(fs::read_dir(house.run("")).unwrap().count(), 0);
}

#[test]
fn an_accepted_code_survives_a_failed_flush_and_a_failed_memory() {
    // The first flush fails after the block has reached the page cache; memory takes it; then the disk is back.
    let house = House::with_alice();
    house.disk.fail(Trouble::Flushes(Errno::EIO));
    assert!(is_accepted(&house.enter(&code(NOW), NOW)));
    fs::remove_file(house.run("alice")).unwrap(); // a restart
    house.disk.heal();
    assert_eq!(house.reason(&code(NOW), NOW), Reason::Replay);
    assert!(is_accepted(&house.enter(&code(NOW.plus(30)), NOW.plus(30))));
}
