//! What `init` makes, keeps, adopts and refuses, and what one that is killed leaves.
#![allow(clippy::arithmetic_side_effects)] // of small numbers

use std::fs;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::os::unix::net::UnixListener;

use totp_core::store::{Found, Store as _};

use super::super::tests::{House, alice, owner};
use super::*;

const OTHER: &str = "0123456789abcdef0123456789abcdef\n";

fn mode(house: &House, name: &str) -> u32 {
    fs::metadata(house.path(name)).unwrap().permissions().mode() & 0o7777
}

fn word(house: &House, name: &str) -> String {
    fs::read_to_string(house.path(name).join(identity::FILE)).unwrap()
}

fn refused(house: &House) -> String {
    let before = listing(house);
    let refusal = house.init(false).unwrap_err().to_string();
    assert_eq!(listing(house), before, "something was made");
    refusal
}

/// Every path below the house.
fn listing(house: &House) -> Vec<PathBuf> {
    let mut all = vec![house.path("")];
    let mut next = 0;
    while let Some(path) = all.get(next).cloned() {
        next += 1;
        if path.is_dir() {
            all.extend(fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
        }
    }
    all.sort();
    all
}

/// As `make install` of version 0.1 left it, with somebody in it.
fn version_0_1(house: &House) {
    for name in ["var/lib", "var/lib/users", "var/lib/state", "var/log", "run/pam-totp"] {
        fs::DirBuilder::new().mode(0o700).create(house.path(name)).unwrap();
    }
    house.enroll();
}

#[test]
fn a_new_installation_has_all_directories_with_their_modes_and_an_identity() {
    let house = House::new();
    assert_eq!(house.init(false).unwrap(), Means::New);
    for (name, wanted) in [
        ("etc/pam-totp", 0o755),
        ("etc/pam-totp/installation-id", 0o644),
        ("var/lib", 0o700),
        ("var/lib/installation-id", 0o600),
        ("var/lib/users", 0o700),
        ("var/lib/state", 0o700),
        ("var/lib/outbox", 0o700),
        ("var/lib/outbox/.cursor", 0o600),
        ("var/lib/notices", 0o700),
        ("var/lib/remembered", 0o700),
        ("var/lib/last-config", 0o700),
        ("var/log", 0o700),
        ("run/pam-totp", 0o755),
        ("run/pam-totp/state", 0o700),
    ] {
        assert_eq!(mode(&house, name), wanted, "{name}");
    }
    assert_eq!(word(&house, "etc/pam-totp"), word(&house, "var/lib"));
    assert_eq!(house.open().unwrap().outbox().unwrap().passed().unwrap(), Some(0));
}

#[test]
fn directories_that_are_there_and_empty_are_a_new_installation() {
    let house = House::new();
    for name in ["var/lib", "var/lib/users", "var/lib/outbox"] {
        fs::DirBuilder::new().mode(0o700).create(house.path(name)).unwrap();
    }
    house.write("var/lib/outbox/.cursor", "anything");
    assert_eq!(house.init(false).unwrap(), Means::New);
}

#[test]
fn an_installation_of_version_0_1_is_adopted() {
    let house = House::new();
    version_0_1(&house);
    assert!(house.open().unwrap().store().look(&alice()).is_err());
    assert!(matches!(house.init(false).unwrap(), Means::Adopt(why) if why.contains("0.1")));
    assert_eq!(house.open().unwrap().check_identity(), Ok(()));
    assert!(house.path("var/lib/users/alice.toml").exists());
    assert_eq!(house.init(false).unwrap(), Means::Keep);
}

#[test]
fn a_populated_tree_without_one_of_its_directories_is_damaged() {
    let house = House::new();
    version_0_1(&house);
    fs::remove_dir(house.path("var/lib/state")).unwrap();
    let refusal = refused(&house);
    assert!(refusal.contains("var/lib/state: ") && refusal.contains("not mounted?"), "{refusal}");
    assert!(matches!(house.init(true).unwrap(), Means::Adopt(_)));
    assert_eq!(house.open().unwrap().check_identity(), Ok(()));
}

#[test]
fn an_empty_tree_beside_an_audit_log_with_records_is_not_taken_for_a_new_one() {
    let house = House::new();
    fs::DirBuilder::new().mode(0o700).create(house.path("var/log")).unwrap();
    house.write("var/log/record", "a line\n");
    let refusal = refused(&house);
    assert!(refusal.contains("not mounted?") && refusal.contains("--adopt"), "{refusal}");
    assert!(matches!(house.init(true).unwrap(), Means::Adopt(_)));
}

#[test]
fn a_made_installation_stays_as_it_is_and_gets_back_what_is_made_without_asking() {
    let house = House::made();
    house.enroll();
    let (before, identity) = (listing(&house), word(&house, "var/lib"));
    assert_eq!(house.init(false).unwrap(), Means::Keep);
    assert_eq!(listing(&house), before);
    for name in ["outbox", "notices", "remembered"] {
        fs::remove_dir_all(house.path("var/lib").join(name)).unwrap();
    }
    let init = Init::prepare(&house.places, None, owner(), false).unwrap();
    let made = ["outbox", "notices", "remembered"].map(|name| house.path("var/lib").join(name));
    assert_eq!(init.make_directories().unwrap(), made);
    assert_eq!(listing(&house), before);
    assert_eq!(word(&house, "var/lib"), identity);
    assert_eq!(word(&house, "etc/pam-totp"), identity);
}

#[test]
fn a_made_installation_without_its_enrollments_is_refused() {
    for name in ["users", "state"] {
        let house = House::made();
        fs::remove_dir(house.path("var/lib").join(name)).unwrap();
        let refusal = refused(&house);
        let path = house.path("var/lib").join(name).display().to_string();
        assert!(refusal.contains(&path), "{refusal}");
        assert!(refusal.contains("damaged or not mounted?"), "{refusal}");
    }
}

#[test]
fn an_identity_on_one_side_or_another_one_is_refused_and_adopted_by_order() {
    for (spoil, said) in [
        ("var/lib", "does not exist"),
        ("etc/pam-totp", "does not"),
        ("different", "differ"),
        ("tree", "does not exist"),
    ] {
        let house = House::made();
        let before = word(&house, "var/lib");
        match spoil {
            "different" => house.write("var/lib/installation-id", OTHER),
            "tree" => fs::remove_dir_all(house.path("var/lib")).unwrap(),
            side => fs::remove_file(house.path(side).join(identity::FILE)).unwrap(),
        }
        let refusal = refused(&house);
        for part in [said, "installation-id", "not mounted?", "totp-admin init --adopt"] {
            assert!(refusal.contains(part), "{spoil}: {refusal}");
        }
        assert!(matches!(house.init(true).unwrap(), Means::Adopt(_)), "{spoil}");
        let adopted = word(&house, "var/lib");
        assert_eq!(word(&house, "etc/pam-totp"), adopted);
        assert!(adopted != before && adopted != OTHER, "a disk that comes back is another one's");
        assert_eq!(house.open().unwrap().check_identity(), Ok(()));
    }
}

#[test]
fn a_damaged_identity_is_refused_and_replaced_by_order() {
    let house = House::made();
    house.write("var/lib/installation-id", "half");
    let refusal = refused(&house);
    assert!(refusal.contains("var/lib/installation-id: is not"), "{refusal}");
    house.init(true).unwrap();
    assert_eq!(house.open().unwrap().check_identity(), Ok(()));
}

#[test]
fn a_configuration_that_does_not_parse_is_never_replaced_by_the_last_good_one() {
    let house = House::made();
    house.open().unwrap();
    house.write_config("nonsense");
    assert!(house.open().is_ok());
    assert!(matches!(house.init(false), Err(NotMade::Config(_))));
}

#[test]
fn states_that_version_0_1_left_in_memory_move_along() {
    let house = House::new();
    version_0_1(&house);
    house.write("run/pam-totp/alice", "a state");
    house.write("run/pam-totp/.decoy-01", "a dummy");
    house.write("run/pam-totp/.new-0123456789abcdef", "half a state");
    let _socket = UnixListener::bind(house.path("run/pam-totp/root.sock")).unwrap();
    house.init(false).unwrap();
    let names = |name: &str| {
        let entries = fs::read_dir(house.path(name)).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };
    assert_eq!(names("run/pam-totp"), [".new-0123456789abcdef", "root.sock", "state"]);
    assert_eq!(names("run/pam-totp/state"), [".decoy-01", "alice"]);
    assert_eq!(mode(&house, "run/pam-totp"), 0o755);
    assert_eq!(house.open().unwrap().store().users_in_memory().unwrap(), ["alice"]);
}

#[test]
fn an_older_installation_with_an_audit_log_has_no_cursor_made() {
    let house = House::new();
    version_0_1(&house);
    house.write("var/log/record", "a line\n");
    house.init(false).unwrap();
    assert!(!house.path("var/lib/outbox/.cursor").exists());
}

#[test]
fn directories_come_into_being_once_the_memory_is_needed() {
    let house = House::made();
    fs::remove_dir_all(house.path("run/pam-totp")).unwrap();
    let run_dir = house.path("run/pam-totp/state");
    let made = Directory::open_or_make(&house.places.run, owner(), Shared::Readable).unwrap();
    made.inner_or_made("state", Shared::Nobody).unwrap();
    assert!(run_dir.exists());
    assert_eq!(mode(&house, "run/pam-totp"), 0o755);
    assert_eq!(mode(&house, "run/pam-totp/state"), 0o700);
}

/// Does the first `count` steps of an initialisation, as one that is killed; `false` where there are no more.
fn killed_after(house: &House, adopt: bool, count: usize) -> bool {
    let init = Init::prepare(&house.places, None, owner(), adopt).unwrap();
    let steps = init.steps();
    for step in steps.iter().take(count) {
        init.take(step).unwrap();
    }
    if count > steps.len() {
        init.write_inside().unwrap();
    }
    if count > steps.len() + 1 {
        init.write_beside().unwrap();
    }
    count < steps.len() + 2
}

/// Nobody is unenrolled by a tree in which alice is.
fn nobody_is_let_in_unasked(house: &House) {
    let found = house.open().unwrap().store().look(&alice());
    assert!(!matches!(found, Ok(Found::Absent)), "{found:?}");
}

#[test]
fn a_killed_initialisation_is_completed_or_refused_and_lets_nobody_in() {
    for is_new in [true, false] {
        let mut count = 0;
        let mut is_unfinished = true;
        while is_unfinished {
            let house = House::new();
            if !is_new {
                version_0_1(&house);
            }
            is_unfinished = killed_after(&house, false, count);
            let works = house.open().unwrap().store().look(&alice()).is_ok_and(|_| true);
            assert!(!(works && is_unfinished), "step {count} gave an identity too early");
            if !is_new {
                nobody_is_let_in_unasked(&house);
            }
            if house.init(false).is_err() {
                assert!(is_unfinished);
                house.init(true).unwrap();
            }
            assert_eq!(house.open().unwrap().check_identity(), Ok(()), "after {count} steps");
            count += 1;
        }
        assert!(count > 10);
    }
}

#[test]
fn a_killed_adoption_is_completed_or_refused_and_lets_nobody_in() {
    let mut count = 0;
    let mut is_unfinished = true;
    while is_unfinished {
        let house = House::made();
        house.enroll();
        house.write("var/lib/installation-id", OTHER);
        is_unfinished = killed_after(&house, true, count);
        nobody_is_let_in_unasked(&house);
        assert_eq!(house.open().unwrap().check_identity().is_ok(), !is_unfinished);
        house.init(true).unwrap();
        assert_eq!(house.open().unwrap().check_identity(), Ok(()), "after {count} steps");
        count += 1;
    }
}
