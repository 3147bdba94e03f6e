//! `status`: what it counts, and what it calls wrong.

use std::fs;

use serde_json::json;

use crate::support::{House, OTHER, USER};

#[test]
fn an_installation_in_order_is_described() {
    let Some(house) = House::new("") else { return };
    house.enroll(USER);
    house.run(&["enroll", OTHER, "--at-login"]).done();
    house.run(&["disable", "sys"]).done();
    let status = house.run(&["status", "--json"]).done().json();
    assert_eq!(status["ok"], json!(true));
    assert_eq!(status["config"]["in_force"], json!("file"));
    assert_eq!(status["config"]["path"], json!(house.config()));
    assert_eq!(status["identity"], json!({"ok": true, "problem": null}));
    assert_eq!(status["state_dir"], json!(house.path("state")));
    assert_eq!(status["log_file"], json!(house.path("log/notifications.jsonl")));
    let users = json!({"enrolled": 1, "pending": 1, "disabled": 1, "damaged": 0});
    assert_eq!(status["users"], users);
    assert_eq!(status["in_memory"], json!([]));
    let said = house.run(&["status"]).done();
    assert!(said.out.contains("1 enrolled, 1 still to enroll, 1 disabled"), "{}", said.out);
    assert_eq!(said.err, "");
}

#[test]
fn an_installation_without_identity_is_wrong() {
    let Some(house) = House::new("") else { return };
    fs::remove_file(house.path("state/installation-id")).unwrap();
    let output = house.run(&["status", "--json"]).refused(&["not mounted?"]);
    let status = output.json();
    assert_eq!((&status["ok"], &status["identity"]["ok"]), (&json!(false), &json!(false)));
    assert_eq!(status["users"], json!(null));
    assert_eq!(status["problems"].as_array().unwrap().len(), 1, "{status}");
    house.run(&["status"]).refused(&["not mounted?", "init --config"]);
}

#[test]
fn what_waits_for_a_disk_is_wrong() {
    let Some(house) = House::new("") else { return };
    house.enroll(USER);
    fs::rename(house.path("state/state").join(USER), house.path("run").join(USER)).unwrap();
    let status = house.run(&["status", "--json"]).refused(&["wait for", "repair the disk"]).json();
    assert_eq!(status["in_memory"], json!([USER]));
}

#[test]
fn a_configuration_or_enrollment_that_cannot_be_used_is_wrong() {
    let Some(house) = House::new("") else { return };
    house.enroll(USER);
    fs::write(house.file_of(USER), "nonsense").unwrap();
    let status = house.run(&["status", "--json"]).refused(&[".toml"]).json();
    assert_eq!(status["users"]["damaged"], json!(1));
    house.configure("nonsense");
    let status = house.run(&["status", "--json"]).refused(&["line 1"]).json();
    assert_eq!(status["config"]["in_force"], json!("none"));
}
