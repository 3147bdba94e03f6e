//! `log`: reading, filtering, following, verifying.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use crate::support::{COMMAND, House, OTHER, SECRET, USER};

#[test]
fn an_empty_record_is_no_error() {
    let Some(house) = House::new("") else { return };
    let output = house.run(&["log", "--json"]).done();
    assert_eq!(output.out, "");
    assert!(output.err.contains("Nothing has been recorded"));
    assert_eq!(house.run(&["log", "--verify", "--json"]).done().json()["valid"], true);
}

#[test]
fn records_can_be_told_by_user_and_time() {
    let Some(house) = House::new("") else { return };
    house.enroll(USER);
    house.enroll(OTHER);
    house.run(&["disable", USER, "--reason", "x"]).done();
    let lines = |args: &[&str]| house.run(args).done().out.lines().count();
    assert_eq!(lines(&["log"]), 3);
    assert_eq!(lines(&["log", "--user", USER]), 2);
    assert_eq!(lines(&["log", "--since", "1h"]), 3);
    assert_eq!(lines(&["log", "--since", "2999-01-01"]), 0);
    let json = house.run(&["log", "--json", "--user", OTHER]).done().out;
    assert_eq!(
        json,
        fs::read_to_string(house.path("log/notifications.jsonl"))
            .unwrap()
            .lines()
            .nth(1)
            .unwrap()
            .to_owned()
            + "\n"
    );
}

#[test]
fn a_changed_line_is_named_and_shown_as_exit_code_one() {
    let Some(house) = House::new("") else { return };
    house.enroll(USER);
    house.enroll(OTHER);
    let file = house.path("log/notifications.jsonl");
    let whole = fs::read_to_string(&file).unwrap();
    fs::write(&file, whole.replacen("daemon", "demon1", 1)).unwrap();
    let output = house.run(&["log", "--verify"]).refused(&["notifications.jsonl", "central log"]);
    assert!(output.out.contains("record 1"), "{}", output.out);
    let output = house.run(&["log", "--verify", "--json"]);
    assert_eq!((output.code, output.json()["valid"].as_bool()), (1, Some(false)));
    fs::write(&file, whole).unwrap();
    assert!(house.run(&["log", "--verify"]).done().out.contains("2 records, unchanged"));
}

#[test]
fn a_cut_end_is_told_by_the_users_records() {
    let Some(house) = House::new("") else { return };
    house.enroll(USER);
    house.enroll(OTHER);
    let file = house.path("log/notifications.jsonl");
    let whole = fs::read_to_string(&file).unwrap();
    fs::write(&file, whole.split_inclusive('\n').next().unwrap()).unwrap();
    let output = house.run(&["log", "--verify"]).refused(&["central log"]);
    assert!(output.out.contains("record 2 is missing; 2 decided about bin"), "{}", output.out);
    // Where the user's record was put back as well, the outbox knows of a line, because it has gone through it.
    fs::write(&file, &whole).unwrap();
    let before = fs::read(house.file_of(OTHER)).unwrap();
    house.run(&["disable", OTHER, "--yes"]).done();
    fs::write(house.file_of(OTHER), before).unwrap();
    fs::write(&file, &whole).unwrap();
    let output = house.run(&["log", "--verify"]).refused(&["central log"]);
    assert!(output.out.contains("people have been told of 3"), "{}", output.out);
    fs::remove_file(&file).unwrap();
    let output = house.run(&["log", "--verify", "--json"]);
    assert_eq!((output.code, output.json()["valid"].as_bool()), (1, Some(false)));
}

#[test]
fn a_user_is_found_by_the_name_that_was_recorded() {
    let Some(house) = House::new("") else { return };
    let enroll = ["enroll", "R2Alice", "--no-account", "--secret-file", "-", "--no-confirm"];
    house.run_with(&enroll, SECRET, &[]).done();
    for name in ["R2Alice", "r2alice"] {
        let output = house.run(&["log", "--user", name]).done();
        assert!(output.out.contains("enrolled r2alice"), "{name}: {}", output.out);
        assert_eq!(output.err, "");
    }
    let output = house.run(&["log", "--user", "somebody"]).done();
    assert_eq!(
        (output.out.as_str(), output.err.as_str()),
        ("", "Nothing is recorded about somebody.\n")
    );
    let output = house.run(&["log", "--user", "r2alice", "--since", "2999-01-01"]).done();
    assert_eq!(output.err, "Nothing is recorded about r2alice since then.\n");
}

#[test]
fn a_since_that_is_none_is_found_before_anything_is_done() {
    let Some(house) = House::new("") else { return };
    fs::remove_dir_all(house.path("state")).unwrap();
    let output = house.run(&["log", "--since", "yesterday"]).wrong_usage();
    assert!(!output.err.contains("could not be moved"), "{}", output.err);
}

#[test]
fn following_shows_what_is_added() {
    let Some(house) = House::new("") else { return };
    let mut follower = Command::new(COMMAND)
        .arg("--config")
        .arg(house.config())
        .args(["log", "--follow", "--json"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(follower.stdout.take().unwrap()).lines();
    for (user, event) in [(USER, "enrolled"), (OTHER, "enrolled")] {
        house.enroll(user);
        let line: serde_json::Value =
            serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
        assert_eq!((line["user"].as_str(), line["event"].as_str()), (Some(user), Some(event)));
    }
    follower.kill().unwrap();
    follower.wait().unwrap();
}
