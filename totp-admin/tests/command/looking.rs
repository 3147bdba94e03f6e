//! `show`, `list` and `verify`: they say what is, and change nothing that a user has.

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
    house.verify(USER, "123456").refused(&["daemon.toml"]);
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
        let output = house.run_with(&["verify", USER, "--json"], &format!("{code}\n"), &[]);
        let document = output.json();
        assert_eq!(document["accepted"].as_bool(), Some(output.code == 0));
        document["result"].as_str().unwrap().to_owned()
    };
    let right = code(SECRET, 0);
    assert_eq!(verify(&right), "right");
    assert_eq!(verify(&right), "right", "nothing was consumed");
    assert_eq!(verify(&wrong_code(SECRET)), "wrong");
    assert_eq!(verify(&code(SECRET, 7200)), "wrong", "of another hour a single code tells nothing");
    let (first, second) = two_codes(SECRET, 7200);
    assert_eq!(verify(&format!("{first}{second}")), "other-time");
    assert_eq!(verify("12345"), "not-a-code");
    assert_eq!(verify("hello"), "not-a-code");
    let spoken = house.verify(USER, &format!("{first} {second}"));
    assert!(spoken.code == 1 && spoken.out.starts_with("Right for "), "{}", spoken.out);
    let spoken = house.verify(USER, &right).done();
    assert!(
        spoken.out.contains("Right (phone)") && spoken.err.contains("Not spent"),
        "{}",
        spoken.out
    );
    house.run(&["verify", USER]).refused(&["no code"]);
    let shown = house.run(&["show", USER, "--json"]).done().json();
    assert_eq!(shown["last_login"], Value::Null);
    assert_eq!(shown["last_failure"]["service"], "totp-admin");
}

#[test]
fn what_verify_came_to_is_recorded_without_the_code_and_nobody_is_told() {
    let Some(house) = House::new("") else { return };
    house.enroll(USER);
    let (right, wrong) = (code(SECRET, 0), wrong_code(SECRET));
    let documents = [&right, &wrong].map(|typed| {
        house.run_with(&["verify", USER, "--json"], &format!("{typed}\n"), &[]).json()
    });
    for (seq, (document, outcome)) in documents.iter().zip(["right", "wrong"]).enumerate() {
        let line = &house.record()[seq + 1];
        assert_eq!((&line["event"], &line["user"]), (&"verified".into(), &USER.into()), "{line}");
        assert_eq!((&line["outcome"], &line["reason"]), (&outcome.into(), &Value::Null), "{line}");
        assert_eq!((&document["record"], &document["result"]), (&line["seq"], &outcome.into()));
        assert!(!line.to_string().contains(&right) && !line.to_string().contains(&wrong));
    }
    house.run(&["log", "--verify"]).done();
    let log = house.run(&["log", "--user", USER]).done().out;
    assert!(log.contains("verified daemon as right, by root"), "{log}");
    let outbox = fs::read_dir(house.path("state/outbox")).unwrap();
    let waiting = outbox.filter(|one| one.as_ref().unwrap().file_name() != ".cursor").count();
    assert_eq!(waiting, 0);
    assert!(
        !house.path(format!("state/notices/{USER}")).exists() || {
            let notices = fs::read_to_string(house.path(format!("state/notices/{USER}"))).unwrap();
            !notices.contains("verified")
        }
    );
}

#[test]
fn where_it_cannot_be_recorded_verify_says_nothing_of_the_code() {
    let Some(house) = House::new("") else { return };
    house.enroll(USER);
    let log = house.path("log/notifications.jsonl");
    fs::remove_file(&log).unwrap();
    fs::create_dir(&log).unwrap();
    let said = [code(SECRET, 0), wrong_code(SECRET)].map(|typed| {
        let output = house.verify(USER, &typed).refused(&["could not be recorded"]);
        assert_eq!(output.out, "");
        output.err
    });
    assert_eq!(said[0], said[1]);
}

#[test]
fn guesses_by_verify_use_up_the_budget_that_logins_have() {
    let Some(house) = House::new("") else { return };
    house.enroll(USER);
    let soon: Vec<String> = (10..90).map(|step| code(SECRET, step * 30)).collect();
    let results: Vec<String> = soon.iter().map(|code| house.verified(USER, code)).collect();
    assert!(results.iter().all(|result| result == "wrong" || result == "budget"), "{results:?}");
    let evaluated = results.iter().filter(|result| *result == "wrong").count();
    assert_eq!(evaluated, 75);
    assert_eq!(house.run(&["show", USER, "--json"]).done().json()["codes_required"], 2);
    assert_eq!(house.verified(USER, &code(SECRET, 0)), "budget");
}

#[test]
fn a_code_is_no_argument_and_is_not_repeated() {
    let Some(house) = House::new("") else { return };
    house.enroll(USER);
    for args in [
        &["verify", USER, "418203"][..],
        &["verify", USER, "K7QM-2XVA-9TRC-HW4E", "418203"],
        &["resync", USER, "418203"],
        &["resync", USER, "418203", "077213"],
    ] {
        let output = house.run(args).wrong_usage().err;
        assert!(output.contains("a code can't be given as an argument"), "{output}");
        for code in ["418203", "077213", "K7QM"] {
            assert!(!output.contains(code), "{output}");
        }
    }
    assert_eq!(house.record().len(), 1);
}

/// Floors rise with a resynchronisation as they do with logins before a clock is set back.
#[test]
fn a_floor_ahead_of_the_clock_is_told_with_its_end() {
    let Some(house) = House::new("") else { return };
    house.enroll(USER);
    let (first, second) = two_codes(SECRET, 5 * 3600);
    let spoken = house.resync(USER, [&first, &second], &[]).done();
    assert!(
        spoken.err.contains("not accepted before ") && spoken.err.contains("(in 5 h)"),
        "{}",
        spoken.err
    );
    let verified = house.verify(USER, &code(SECRET, 0));
    assert!(
        verified.code == 1 && verified.out.starts_with("Nothing is right before "),
        "{}",
        verified.out
    );
    let typed = format!("{}\n", code(SECRET, 0));
    let document = house.run_with(&["verify", USER, "--json"], &typed, &[]).json();
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
