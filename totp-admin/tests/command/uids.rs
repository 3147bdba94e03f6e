//! Enrollments kept under another name than the account's, or for another uid: what is said of them, and `rename`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::{Value, json};

use crate::support::{House, OTHER, USER};

/// A record as it would be for another name and uid.
fn write_record(house: &House, name: &str, text: &str) {
    fs::write(house.file_of(name), text).unwrap();
    fs::set_permissions(house.file_of(name), fs::Permissions::from_mode(0o600)).unwrap();
}

/// The account `daemon`, enrolled by a former name.
fn renamed() -> Option<House> {
    let house = House::new("")?;
    house.enroll(USER);
    let text = fs::read_to_string(house.file_of(USER)).unwrap();
    house.run(&["remove", USER, "--yes"]).done();
    write_record(&house, "formerly", &text.replace("\"daemon\"", "\"formerly\""));
    house.run(&["init"]).done();
    Some(house)
}

/// The account `daemon`, enrolled when it had another uid.
fn with_another_uid() -> Option<House> {
    let house = House::new("")?;
    house.enroll(USER);
    let text = fs::read_to_string(house.file_of(USER)).unwrap();
    write_record(&house, USER, &text.replace("uid = 1\n", "uid = 4242\n"));
    house.run(&["init"]).done();
    Some(house)
}

fn listed(house: &House, user: &str) -> Option<Value> {
    let all = house.run(&["list", "--json"]).done().json();
    all.as_array().unwrap().iter().find(|one| one["user"] == user).cloned()
}

#[test]
fn a_renamed_account_is_named_with_the_command_that_renames() {
    let Some(house) = renamed() else { return };
    let one = listed(&house, "formerly").unwrap();
    assert_eq!((&one["uid"], &one["account_uid"]), (&json!(1), &json!(null)));
    assert_eq!(one["renamed_to"], USER);
    let said = house.run(&["list"]).done();
    assert!(said.out.contains("totp-admin rename formerly daemon"), "{}", said.out);
    let shown = house.run(&["show", USER, "--json"]).done();
    assert_eq!(shown.json()["user"], "formerly");
    assert!(house.run(&["show", USER]).done().err.contains("daemon is enrolled as formerly"));
}

#[test]
fn commands_change_nothing_under_a_name_that_was_not_typed() {
    let Some(house) = renamed() else { return };
    let before = fs::read(house.file_of("formerly")).unwrap();
    for arguments in [
        &["disable", USER, "--yes"][..],
        &["reset", USER, "--yes"],
        &["remove", USER, "--yes"],
        &["verify", USER],
        &["contact", USER, "--email", "a@example.com"],
        &["recovery-codes", USER, "--yes"],
        &["rename", "--uid", USER],
        &["enroll", USER, "--no-confirm"],
        &["enroll", USER, "--at-login"],
    ] {
        let said = house.run(arguments);
        said.refused(&["daemon is enrolled as formerly", "totp-admin rename formerly daemon"]);
    }
    assert_eq!(fs::read(house.file_of("formerly")).unwrap(), before);
    assert!(!house.file_of(USER).exists());
}

#[test]
fn a_rename_the_wrong_way_round_is_said() {
    let Some(house) = renamed() else { return };
    let advice =
        "kept about formerly; where that was the former name: totp-admin rename formerly daemon";
    house.run(&["rename", USER, "formerly"]).refused(&["nothing is kept about daemon", advice]);
    house.run(&["rename", "formerly", USER]).done();
    assert!(listed(&house, "formerly").is_none());
    house.run(&["status"]).done();
}

#[test]
fn an_account_with_another_uid_keeps_its_enrollment_by_rename_uid() {
    let Some(house) = with_another_uid() else { return };
    let one = listed(&house, USER).unwrap();
    assert_eq!((&one["status"], &one["uid"]), (&json!("damaged"), &json!(4242)));
    assert!(one["problem"].as_str().unwrap().contains("totp-admin rename --uid daemon"));
    let done = house.run(&["rename", "--uid", USER, "--json"]).done().json();
    assert_eq!((&done["uid_before"], &done["uid"]), (&json!(4242), &json!(1)));
    assert_eq!(listed(&house, USER).unwrap()["status"], "active");
    let last = house.record().pop().unwrap();
    assert_eq!(last["event"], "uid-changed");
    assert_eq!(
        (&last["user"], &last["reason"]),
        (&json!(USER), &json!("formerly uid 4242, now 1"))
    );
    house.run(&["status"]).done();
    let again = house.run(&["rename", "--uid", USER, "--json"]).done().json();
    assert_eq!(again["changed"], false);
}

#[test]
fn all_uids_of_a_directory_are_changed_and_a_dry_run_changes_none() {
    let Some(house) = with_another_uid() else { return };
    house.run(&["enroll", OTHER, "--no-confirm"]).done();
    let before = fs::read(house.file_of(USER)).unwrap();
    let dry = house.run(&["rename", "--uid", "--all", "--dry-run", "--json"]).done().json();
    let expected =
        json!([{"user": USER, "changed": false, "record": null, "uid_before": 4242, "uid": 1}]);
    assert_eq!(dry, expected);
    let said = house.run(&["rename", "--uid", "--all", "--dry-run"]).done();
    assert!(said.out.contains("daemon: uid 4242, now 1"), "{}", said.out);
    assert_eq!(fs::read(house.file_of(USER)).unwrap(), before);
    let done = house.run(&["rename", "--uid", "--all", "--yes", "--json"]).done().json();
    assert_eq!((&done[0]["user"], &done[0]["changed"]), (&json!(USER), &json!(true)));
    assert_eq!(done.as_array().unwrap().len(), 1);
    assert_eq!(house.record().pop().unwrap()["event"], "uid-changed");
    assert_eq!(house.run(&["rename", "--uid", "--all", "--json"]).done().json(), json!([]));
}

#[test]
fn enrollments_that_would_share_a_uid_are_named() {
    let Some(house) = with_another_uid() else { return };
    let text = fs::read_to_string(house.file_of(USER)).unwrap();
    let text = text.replace("\"daemon\"", "\"formerly\"").replace("uid = 4242", "uid = 1");
    write_record(&house, "formerly", &text);
    house.run(&["init"]).done();
    let said = house.run(&["rename", "--uid", "--all", "--dry-run"]).done();
    assert!(
        said.err.contains("uid 1 has several enrollments then: daemon, formerly"),
        "{}",
        said.err
    );
    let said = house.run(&["rename", "--uid", USER, "--yes"]).done();
    assert!(said.err.contains("Enrolled with uid 1 as well: formerly"), "{}", said.err);
    let status = house.run(&["status", "--json"]).done().json();
    assert_eq!(status["index"]["shared_uids"], json!([{"uid": 1, "users": [USER, "formerly"]}]));
}

#[test]
fn an_index_that_differs_is_wrong_and_init_makes_it_again() {
    let Some(house) = House::new("") else { return };
    house.enroll(USER);
    fs::remove_file(house.path("state/uids/1")).unwrap();
    let status =
        house.run(&["status", "--json"]).refused(&["daemon (uid 1) is enrolled and not in it"]);
    assert_eq!(status.json()["index"]["ok"], false);
    let made = house.run(&["init", "--json"]).done().json();
    assert_eq!((&made["changed"], &made["index_files"]), (&json!(true), &json!(1)));
    house.run(&["status"]).done();
    fs::remove_dir_all(house.path("state/uids")).unwrap();
    house.run(&["status"]).refused(&["state/uids", "init --config"]);
    house.run(&["enroll", OTHER, "--no-confirm"]).refused(&["init --config"]);
    house.run(&["init"]).done();
    house.run(&["status"]).done();
}

#[test]
fn an_installation_from_before_the_index_gets_it_by_init() {
    let Some(house) = House::new("") else { return };
    house.enroll(USER);
    fs::remove_dir_all(house.path("state/uids")).unwrap();
    let made = house.run(&["init", "--json"]).done().json();
    assert_eq!((&made["identity"], &made["index_files"]), (&json!("kept"), &json!(2)));
    assert_eq!(made["made"], json!([house.path("state/uids")]));
    house.run(&["status"]).done();
}

#[test]
fn an_enrollment_whose_uid_nothing_tells_keeps_the_index_from_being_made() {
    let Some(house) = House::new("") else { return };
    write_record(&house, "unknown", "nonsense");
    fs::remove_dir_all(house.path("state/uids")).unwrap();
    house.run(&["init"]).refused(&["unknown.toml", "totp-admin remove unknown"]);
    house.run(&["remove", "unknown", "--yes"]).done();
    house.run(&["init"]).done();
    house.run(&["status"]).done();
}

#[test]
fn an_alias_of_an_account_that_is_there_may_be_enrolled_for_itself() {
    let Some(house) = House::new("") else { return };
    house.enroll(USER);
    let text = fs::read_to_string(house.file_of(USER)).unwrap();
    // Of two names of one uid the account that is looked up by it is the first.
    house.run(&["remove", USER, "--yes"]).done();
    write_record(&house, OTHER, &text.replace("\"daemon\"", "\"bin\""));
    house.run(&["init"]).done();
    house.run(&["enroll", USER, "--no-confirm"]).done();
}

#[test]
fn what_makes_no_sense_is_wrong_usage() {
    let Some(house) = House::new("") else { return };
    for arguments in [
        &["rename", "one"][..],
        &["rename", "--uid"],
        &["rename", "--uid", "one", "two"],
        &["rename", "--all"],
        &["rename", "--uid", "--all", "one"],
        &["rename", "one", "two", "--dry-run"],
        &["rename", "--uid", "one", "--dry-run"],
    ] {
        house.run(arguments).wrong_usage();
    }
}
