//! `init`: what is made, what is adopted, what is refused, and that everything else refuses without an identity.

use std::fs;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};

use serde_json::json;

use crate::support::{House, USER};

fn word(house: &House, side: &str) -> String {
    fs::read_to_string(house.path(side).join("installation-id")).unwrap()
}

/// As version 0.1 left it: enrolled, and without an identity.
fn version_0_1() -> Option<House> {
    let house = House::new("")?;
    house.enroll(USER);
    fs::remove_file(house.path("installation-id")).unwrap();
    fs::remove_file(house.path("state/installation-id")).unwrap();
    Some(house)
}

#[test]
fn a_new_installation_is_made_once() {
    let Some(house) = House::unmade("") else { return };
    let made = house.run(&["init", "--json"]).done().json();
    assert_eq!((&made["identity"], &made["changed"]), (&json!("new"), &json!(true)));
    assert_eq!(made["record"], json!(null));
    assert!(made["made"].as_array().unwrap().contains(&json!(house.path("state/users"))));
    let mode = |name: &str| fs::metadata(house.path(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("installation-id"), mode("state/installation-id")), (0o644, 0o600));
    assert_eq!(word(&house, ""), word(&house, "state"));
    let before = word(&house, "");
    let again = house.run(&["init", "--json"]).done().json();
    assert_eq!((&again["identity"], &again["changed"]), (&json!("kept"), &json!(false)));
    assert_eq!(word(&house, ""), before);
    assert!(house.run(&["init"]).done().out.contains("in order"));
    assert_eq!(house.events(), [""; 0]);
}

#[test]
fn directories_that_are_made_without_asking_come_back() {
    let Some(house) = House::new("") else { return };
    fs::remove_dir(house.path("state/remembered")).unwrap();
    let again = house.run(&["init", "--json"]).done().json();
    assert_eq!(again["made"], json!([house.path("state/remembered")]));
    assert_eq!((&again["identity"], &again["changed"]), (&json!("kept"), &json!(true)));
}

#[test]
fn an_installation_of_version_0_1_is_adopted_on_record_and_goes_on() {
    let Some(house) = version_0_1() else { return };
    house.run(&["show", USER]).refused(&["not mounted?", "totp-admin init"]);
    let adopted = house.run(&["init", "--json"]).done().json();
    assert_eq!((&adopted["identity"], &adopted["record"]), (&json!("adopted"), &json!(2)));
    assert_eq!(house.events(), ["enrolled", "installation-adopted"]);
    assert_eq!(house.record()[1]["user"], json!(null));
    house.run(&["show", USER]).done();
    house.run(&["log", "--verify"]).done();
    assert!(house.run(&["log"]).done().out.contains("installation-adopted"));
}

#[test]
fn without_an_identity_everything_that_reads_or_changes_refuses() {
    for side in ["installation-id", "state/installation-id"] {
        let Some(house) = House::new("") else { return };
        house.enroll(USER);
        fs::remove_file(house.path(side)).unwrap();
        for args in [
            &["show", USER][..],
            &["list"],
            &["log"],
            &["disable", USER],
            &["enroll", "bin", "--no-confirm"],
            &["unlock", USER],
            &["verify", USER],
            &["outbox", "list"],
            &["remembered", "list", "--all"],
            &["init"],
        ] {
            house.run(args).refused(&["installation-id", "not mounted?", "init --config"]);
        }
        assert_eq!(house.events(), ["enrolled"]);
    }
}

#[test]
fn a_disk_that_is_not_mounted_is_refused_until_it_is_back() {
    let Some(house) = House::new("") else { return };
    house.enroll(USER);
    fs::rename(house.path("state"), house.path("elsewhere")).unwrap();
    fs::DirBuilder::new().mode(0o700).create(house.path("state")).unwrap();
    for args in [&["init"][..], &["list"]] {
        house.run(args).refused(&["not mounted?"]);
    }
    assert_eq!(fs::read_dir(house.path("state")).unwrap().count(), 0, "something was made");
    fs::remove_dir(house.path("state")).unwrap();
    house.run(&["init"]).refused(&["not mounted?"]);
    fs::rename(house.path("elsewhere"), house.path("state")).unwrap();
    house.run(&["init"]).done();
    house.run(&["show", USER]).done();
}

#[test]
fn by_order_another_state_directory_is_adopted_with_a_new_identity() {
    let Some(house) = House::new("") else { return };
    house.enroll(USER);
    let before = word(&house, "");
    fs::write(house.path("state/installation-id"), before.replace(['0', '1', '2', '3'], "f"))
        .unwrap();
    house.run(&["init"]).refused(&["differ", "--adopt"]);
    let adopted = house.run(&["init", "--adopt", "--json"]).done().json();
    assert_eq!((&adopted["identity"], &adopted["record"]), (&json!("adopted"), &json!(2)));
    assert_eq!(word(&house, ""), word(&house, "state"));
    assert_ne!(word(&house, ""), before);
    let reason = &house.record()[1]["reason"];
    assert!(reason.as_str().unwrap().contains("--adopt"), "{reason}");
    house.run(&["show", USER]).done();
}

#[test]
fn why_it_refuses_is_said_once() {
    let Some(house) = House::new("") else { return };
    fs::remove_file(house.path("state/installation-id")).unwrap();
    let refused = house.run(&["init"]).refused(&["not mounted?"]);
    assert_eq!(refused.err.matches("not mounted?").count(), 1, "{}", refused.err);
}

#[test]
fn a_damaged_installation_is_refused() {
    let Some(house) = House::new("") else { return };
    fs::remove_dir(house.path("state/state")).unwrap();
    house.run(&["init"]).refused(&["state/state", "damaged or not mounted?"]);
    house.run(&["init", "--adopt"]).done();
    assert!(house.path("state/state").exists());
}

#[test]
fn an_adoption_that_cannot_be_recorded_is_not_made() {
    let Some(house) = version_0_1() else { return };
    fs::set_permissions(house.path("log"), fs::Permissions::from_mode(0o777)).unwrap();
    house.run(&["init"]).refused(&["chmod"]);
    assert!(
        !house.path("installation-id").exists() && !house.path("state/installation-id").exists()
    );
}

#[test]
fn a_configuration_that_cannot_be_used_makes_nothing() {
    let Some(house) = House::unmade("nonsense") else { return };
    house.run(&["init"]).refused(&["config.toml", "line 1"]);
    assert!(!house.path("state").exists());
}
