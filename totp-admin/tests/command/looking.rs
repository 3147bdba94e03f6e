//! `show`, `list` and `verify`: they say what is, and change nothing.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::Value;

use crate::support::{House, OTHER, SECRET, USER, code, two_codes, wrong_code};

fn of<'a>(list: &'a Value, user: &str) -> &'a Value {
    list.as_array().unwrap().iter().find(|row| row["user"] == user).unwrap()
}

#[test]
fn list_has_a_row_for_whoever_is_known_or_missing() {
    let Some(house) = House::new("") else { return };
    house.enroll(USER);
    house.run(&["disable", OTHER, "--reason", "no phone"]).done();
    let list = house.run(&["list", "--json"]).done().json();
    assert_eq!(of(&list, USER)["status"], "active");
    assert_eq!(of(&list, OTHER)["status"], "disabled");
    assert_eq!(of(&list, "root")["status"], "missing", "root has a shell");
    let table = house.run(&["list"]).done().out;
    assert!(table.starts_with("USER"), "{table}");
    assert!(
        table.lines().any(|line| line.contains("disabled") && line.ends_with("by root: no phone"))
    );
    for (status, user) in [("active", USER), ("disabled", OTHER)] {
        let only = house.run(&["list", "--status", status, "--json"]).done().json();
        assert_eq!(
            (only.as_array().unwrap().len(), of(&only, user)["status"].as_str()),
            (1, Some(status))
        );
    }
}

#[test]
fn nobody_is_missing_where_only_the_enrolled_are_asked() {
    let Some(house) = House::new("[policy]\nrequire = \"enrolled\"") else { return };
    let output = house.run(&["list"]).done();
    assert_eq!(output.out, "");
    assert!(output.err.contains("Nobody"));
    assert_eq!(house.run(&["list", "--json"]).done().json(), serde_json::json!([]));
    house.run(&["show", USER]).refused(&["is not enrolled"]);
}

#[test]
fn one_damaged_record_hides_nobody_else() {
    let Some(house) = House::new("") else { return };
    house.enroll(USER);
    house.enroll(OTHER);
    fs::write(house.file_of(OTHER), "secret = \"GEZDGNBV\"\n").unwrap();
    let list = house.run(&["list", "--json"]).done().json();
    assert_eq!(of(&list, USER)["status"], "active");
    assert_eq!(of(&list, OTHER)["status"], "damaged");
    assert!(of(&list, OTHER)["problem"].as_str().unwrap().contains("bin.toml"));
    let shown = house.run(&["show", OTHER]).refused(&["bin.toml"]);
    assert!(!shown.err.contains("GEZDGNBV"));
    house.run(&["enroll", OTHER, "--no-confirm"]).refused(&["bin.toml", "--replace"]);
    house.run(&["enroll", OTHER, "--no-confirm", "--replace"]).done();
    assert_eq!(house.run(&["show", OTHER, "--json"]).done().json()["status"], "active");
}

#[test]
fn a_record_that_others_can_read_is_refused_and_named() {
    let Some(house) = House::new("") else { return };
    house.enroll(USER);
    fs::set_permissions(house.file_of(USER), fs::Permissions::from_mode(0o644)).unwrap();
    house.run(&["show", USER]).refused(&["daemon.toml", "chmod 600"]);
    house.run(&["verify", USER, "123456"]).refused(&["daemon.toml"]);
}

#[test]
fn a_recycled_name_is_shown_as_such() {
    let Some(house) = House::new("") else { return };
    house.enroll(USER);
    let text = fs::read_to_string(house.file_of(USER)).unwrap();
    fs::write(house.file_of(USER), text.replace("uid = 1\n", "uid = 4711\n")).unwrap();
    let shown = house.run(&["show", USER, "--json"]).done().json();
    assert_eq!(shown["status"], "damaged");
    assert!(shown["problem"].as_str().unwrap().contains("4711"), "{shown}");
}

#[test]
fn show_names_no_secret() {
    let Some(house) = House::new("") else { return };
    house.enroll(USER);
    for args in
        [&["show", USER][..], &["show", USER, "--json"], &["list"], &["list", "--json"], &["log"]]
    {
        let output = house.run(args).done();
        assert!(!output.out.contains(SECRET) && !output.err.contains(SECRET), "{args:?}");
    }
}

#[test]
fn verify_says_what_would_become_of_a_code_and_consumes_nothing() {
    let Some(house) = House::new("") else { return };
    house.enroll(USER);
    let verify = |code: &str| {
        let output = house.run(&["verify", USER, code, "--json"]);
        let document = output.json();
        assert_eq!(document["accepted"].as_bool(), Some(output.code == 0));
        document["result"].as_str().unwrap().to_owned()
    };
    let right = code(SECRET, 0);
    assert_eq!(verify(&right), "right");
    assert_eq!(verify(&right), "right", "nothing was consumed");
    assert_eq!(verify(&wrong_code(SECRET)), "wrong");
    assert_eq!(verify(&code(SECRET, 7200)), "other-time");
    assert_eq!(verify("12345"), "not-a-code");
    assert_eq!(verify("hello"), "not-a-code");
    let spoken = house.run(&["verify", USER, &code(SECRET, 7200)]);
    assert!(spoken.code == 1 && spoken.out.starts_with("Right for "), "{}", spoken.out);
    assert_eq!(house.run_with(&["verify", USER], &format!("{right}\n"), &[]).code, 0);
    house.run(&["verify", USER]).refused(&["no code"]);
    assert_eq!(house.run(&["show", USER, "--json"]).done().json()["last_failure"], Value::Null);
}

/// Floors rise with a resynchronisation as they do with logins before a clock is set back.
#[test]
fn a_floor_ahead_of_the_clock_is_told_with_its_end() {
    let Some(house) = House::new("") else { return };
    house.enroll(USER);
    let (first, second) = two_codes(SECRET, 5 * 3600);
    let spoken = house.run(&["resync", USER, &first, &second]).done();
    assert!(
        spoken.err.contains("not accepted before ") && spoken.err.contains("(in 5 h)"),
        "{}",
        spoken.err
    );
    let verified = house.run(&["verify", USER, &code(SECRET, 0)]);
    assert!(
        verified.code == 1 && verified.out.starts_with("Nothing is right before "),
        "{}",
        verified.out
    );
    let document = house.run(&["verify", USER, &code(SECRET, 0), "--json"]).json();
    assert_eq!(document["result"], "clock");
    assert!(document["waits"].as_u64().unwrap() > 17_000, "{document}");
}

#[test]
fn who_may_enroll_until_a_day_is_missing_until_then_and_locked_out_after_it() {
    let Some(house) = House::new("[policy]\nenroll_by = 2999-01-31") else { return };
    let list = house.run(&["list", "--json"]).done().json();
    assert_eq!(of(&list, "root")["status"], "missing");
    assert_eq!(of(&list, "root")["may_enroll_until"], "2999-01-31");
    let table = house.run(&["list"]).done().out;
    assert!(table.contains("required; may enroll until 2999-01-31"), "{table}");
    let shown = house.run(&["show", "root"]).done().out;
    assert!(shown.contains("may enroll at a login until 2999-01-31"), "{shown}");
    house.configure("[policy]\nenroll_by = 2020-01-31");
    let table = house.run(&["list"]).done().out;
    assert!(table.contains("required; cannot log in") && !table.contains("may enroll"), "{table}");
}
