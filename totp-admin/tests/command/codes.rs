//! Codes that are good once: issued at enrollment, by `recovery-codes` and by `bypass-code`; evaluated by `verify`, voided by
//! `repair`.

use std::fs;

use serde_json::Value;

use crate::support::{House, OTHER, SECRET, USER, code};

const AS_USER: (&str, &str) = ("SUDO_UID", "1");
const SECOND: &str = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP";

/// The codes of a document.
fn listed(document: &Value) -> Vec<String> {
    let codes = document["recovery_codes"].as_array().unwrap().iter();
    codes.map(|code| code.as_str().unwrap().to_owned()).collect()
}

/// Enrolls with [`SECRET`], and gives the recovery codes.
fn enrolled(house: &House, user: &str) -> Vec<String> {
    let args = ["enroll", user, "--secret-file", "-", "--no-confirm", "--json"];
    listed(&house.run_with(&args, SECRET, &[]).done().json())
}

fn left(house: &House, user: &str) -> Value {
    house.run(&["show", user, "--json"]).done().json()["recovery_codes_left"].clone()
}

/// What `verify` says of a code.
fn fate(house: &House, user: &str, code: &str) -> (String, Value) {
    let output = house.run_with(&["verify", user, "--json"], &format!("{code}\n"), &[]);
    let document = output.json();
    assert_eq!(document["accepted"].as_bool(), Some(output.code == 0), "{document}");
    (document["result"].as_str().unwrap().to_owned(), document["kind"].clone())
}

#[test]
fn enrolling_issues_as_many_as_the_configuration_says() {
    for (settings, count) in [
        ("", 5),
        ("[recovery]\ncount = 8", 8),
        ("[recovery]\nmode = \"rotating\"\ncount = 8", 1),
        ("[recovery]\nmode = \"off\"", 0),
    ] {
        let Some(house) = House::new(settings) else { return };
        let codes = enrolled(&house, USER);
        assert_eq!(codes.len(), count, "{settings}");
        let expected = if count == 0 { Value::Null } else { count.into() };
        assert_eq!(left(&house, USER), expected, "{settings}");
        let kept = fs::read_to_string(house.file_of(USER)).unwrap();
        for code in &codes {
            assert_eq!(code.len(), 19, "{code}");
            assert!(!kept.contains(code) && !kept.contains(&code.replace('-', "")), "{kept}");
            assert_eq!(fate(&house, USER, code), ("right".to_owned(), "recovery-code".into()));
        }
    }
}

#[test]
fn they_are_shown_with_a_sentence_on_where_to_keep_them_and_never_again() {
    let Some(house) = House::new("") else { return };
    let output = house.run(&["enroll", USER, "--no-confirm", "--qr", "none"]).done();
    assert!(output.out.contains("each logs daemon in once without the phone. Not shown again."));
    assert!(output.err.contains("Keep them where the phone is not"), "{}", output.err);
    let shown = |text: &str| text.split_whitespace().filter(|word| word.len() == 19).count();
    assert_eq!(shown(&output.out), 5, "{}", output.out);
    for args in [&["show", USER][..], &["list"], &["log"]] {
        assert_eq!(shown(&house.run(args).done().out), 0);
    }
}

#[test]
fn another_authenticator_keeps_them_and_starting_over_replaces_them() {
    let Some(house) = House::new("") else { return };
    let first = enrolled(&house, USER);
    let bypass = house.run(&["bypass-code", USER, "--json"]).done().json();
    let bypass = bypass["code"].as_str().unwrap();
    let args = ["enroll", USER, "--no-confirm", "--json"];
    let add = house.run(&[&args[..], &["--add", "--name", "tablet"]].concat()).done().json();
    assert_eq!(listed(&add), Vec::<String>::new());
    assert_eq!(left(&house, USER), 5);
    assert_eq!(fate(&house, USER, &first[0]).0, "right");
    assert_eq!(fate(&house, USER, bypass).0, "right");
    let second = listed(&house.run(&[&args[..], &["--replace"]].concat()).done().json());
    assert_eq!(fate(&house, USER, &second[0]).0, "right");
    for void in [first[0].as_str(), bypass] {
        assert_eq!(fate(&house, USER, void), ("wrong".to_owned(), Value::Null));
    }
}

#[test]
fn a_used_one_stays_used_beside_another_authenticator() {
    let Some(house) = House::new("") else { return };
    let codes = enrolled(&house, USER);
    let mine = ["enroll", USER, "--add", "--name", "mine", "--no-confirm"];
    house.run_with(&mine, &format!("{}\n", codes[2]), &[AS_USER]).done();
    assert_eq!(fate(&house, USER, &codes[2]), ("replay".to_owned(), Value::Null));
    assert_eq!(left(&house, USER), 4);
    let output = house.run_with(&["disable", USER], &format!("{}\n", codes[2]), &[AS_USER]);
    output.refused(&["used or void"]);
    assert!(house.run(&["list"]).done().out.contains("4"));
}

#[test]
fn a_fresh_set_voids_the_older_one_and_leaves_the_secret() {
    let Some(house) = House::new("") else { return };
    let first = enrolled(&house, USER);
    let document = house.run(&["recovery-codes", USER, "--json", "--count", "3"]).done().json();
    assert_eq!((&document["changed"], &document["record"]), (&true.into(), &2.into()));
    let second = listed(&document);
    assert_eq!(second.len(), 3);
    assert_eq!(fate(&house, USER, &first[0]).0, "wrong");
    assert_eq!(fate(&house, USER, &second[0]).0, "right");
    assert_eq!(fate(&house, USER, &code(SECRET, 0)).0, "right");
    assert_eq!(left(&house, USER), 3);
    assert_eq!(house.events(), ["enrolled", "recovery-codes-issued"]);
    let said = house.run(&["recovery-codes", USER]).done().out;
    assert!(said.contains("daemon has fresh recovery codes; the earlier ones are void."), "{said}");
}

#[test]
fn a_rotating_one_is_a_single_one_and_none_are_issued_where_that_is_off() {
    let Some(house) = House::new("[recovery]\nmode = \"rotating\"") else { return };
    house.enroll(USER);
    let output = house.run(&["recovery-codes", USER]).done();
    assert!(output.out.contains("and then shows the next one. Not shown again."), "{}", output.out);
    house.run(&["recovery-codes", USER, "--count", "2"]).wrong_usage();
    house.configure("[recovery]\nmode = \"off\"");
    house.run(&["recovery-codes", USER]).refused(&["mode = \"off\"", "config edit", "bypass-code"]);
    assert_eq!(left(&house, USER), 1, "what was issued before is good");
    assert_eq!(house.events(), ["enrolled", "recovery-codes-issued"]);
}

#[test]
fn a_bypass_code_has_an_end_and_voids_the_one_before() {
    let Some(house) = House::new("") else { return };
    let recovery = enrolled(&house, USER);
    let issue = |more: &[&str]| {
        let document = house.run(&[&["bypass-code", USER, "--json"], more].concat()).done().json();
        let until: totp_core::time::UnixTime = document["until"].as_str().unwrap().parse().unwrap();
        (document["code"].as_str().unwrap().to_owned(), until.since(crate::support::now()))
    };
    let (first, usual) = issue(&[]);
    assert!((28_790..=28_800).contains(&usual), "8 hours: {usual}");
    let (second, short) = issue(&["--for", "2m"]);
    assert!((110..=120).contains(&short), "{short}");
    assert_eq!(fate(&house, USER, &first).0, "wrong");
    assert_eq!(fate(&house, USER, &second), ("right".to_owned(), "bypass-code".into()));
    assert_eq!(fate(&house, USER, &recovery[0]).0, "right");
    assert_eq!(fate(&house, USER, &code(SECRET, 0)).0, "right");
    let third = house.run(&["bypass-code", USER]).done().out;
    assert!(third.contains("; the earlier one is void. Record "), "{third}");
    let (second, _) = issue(&[]);
    let issued = house.events().split_off(1);
    assert_eq!(issued, ["bypass-code-issued"; 4]);
    assert!(house.record()[1]["reason"].as_str().unwrap().starts_with("good until "));
    let text = fs::read_to_string(house.file_of(USER)).unwrap();
    let (before, end) = text.split_once("[bypass]").unwrap();
    let (_, rest) = end.split_once("until = ").unwrap();
    let (_, rest) = rest.split_once('\n').unwrap();
    let code_line = end.lines().find(|line| line.starts_with("code = ")).unwrap();
    let past = format!("{before}[bypass]\n{code_line}\nuntil = \"2020-01-01T00:00:00Z\"\n{rest}");
    fs::write(house.file_of(USER), past).unwrap();
    assert_eq!(fate(&house, USER, &second).0, "expired");
}

#[test]
fn codes_are_issued_to_who_is_enrolled_alone() {
    let Some(house) = House::new("") else { return };
    for command in ["recovery-codes", "bypass-code"] {
        house
            .run(&[command, USER])
            .refused(&["daemon is not enrolled", "totp-admin enroll daemon"]);
        house.run(&[command, "no-such-user"]).refused(&["there is no user no-such-user"]);
    }
    house.run(&["enroll", USER, "--at-login"]).done();
    house.run(&["disable", OTHER]).done();
    for command in ["recovery-codes", "bypass-code"] {
        house.run(&[command, USER]).refused(&["still to enroll", "totp-admin reset daemon"]);
        house.run(&[command, OTHER]).refused(&["is switched off", "totp-admin reset bin"]);
    }
    assert_eq!(house.events(), ["pending", "disabled"]);
}

#[test]
fn ones_own_are_issued_with_a_current_code_or_a_recovery_code_alone() {
    let Some(house) = House::new("") else { return };
    let codes = enrolled(&house, USER);
    let told = house.run(&["bypass-code", USER, "--json"]).done().json();
    let told = told["code"].as_str().unwrap();
    for command in ["recovery-codes", "bypass-code"] {
        let nothing = house.run_with(&[command, USER], "", &[AS_USER]);
        nothing.refused(&["this needs a current code or a recovery code", "no code was entered"]);
        // What somebody else told one on the telephone is good for a login, and stays so.
        let output = house.run_with(&[command, USER], &format!("{told}\n"), &[AS_USER]);
        output.refused(&["good for a login alone", "It takes a current code or a recovery code"]);
    }
    assert_eq!(fate(&house, USER, told).0, "right");
    house.run_with(&["bypass-code", USER], &format!("{}\n", codes[0]), &[AS_USER]).done();
    let current = format!("{}\n", code(SECRET, 0));
    house.run_with(&["recovery-codes", USER], &current, &[AS_USER]).done();
    house.enroll(OTHER);
    house.run_with(&["recovery-codes", OTHER], "", &[AS_USER]).done();
    house.run_with(&["bypass-code", OTHER], "", &[AS_USER]).done();
}

#[test]
fn where_the_state_is_lost_nothing_is_issued_that_the_next_login_would_void() {
    let Some(house) = House::new("") else { return };
    house.enroll(USER);
    fs::write(house.path(format!("state/state/{USER}")), [0; 12_288]).unwrap();
    assert_eq!(left(&house, USER), 0);
    for command in ["recovery-codes", "bypass-code"] {
        house.run(&[command, USER]).refused(&["state is lost", "totp-admin repair"]);
    }
    house.run(&["repair", USER]).done();
    let codes = listed(&house.run(&["recovery-codes", USER, "--json"]).done().json());
    assert_eq!(fate(&house, USER, &codes[0]).0, "right");
}

#[test]
fn beside_another_authenticator_codes_of_a_lost_state_are_void() {
    let Some(house) = House::new("") else { return };
    let codes = enrolled(&house, USER);
    fs::write(house.path(format!("state/state/{USER}")), [0; 12_288]).unwrap();
    house.run(&["enroll", USER, "--no-confirm", "--add", "--name", "tablet"]).done();
    assert_eq!(left(&house, USER), 0);
    assert_eq!(fate(&house, USER, &codes[0]).0, "replay");
}

#[test]
fn repair_voids_what_a_backup_may_have_brought_back() {
    let Some(house) = House::new("") else { return };
    let codes = enrolled(&house, USER);
    let bypass = house.run(&["bypass-code", USER, "--json"]).done().json();
    let current = code(SECRET, 0);
    assert_eq!(fate(&house, USER, &current).0, "right");
    let devices = house.path(format!("state/remembered/{USER}"));
    fs::write(&devices, "").unwrap();
    let output = house.run(&["repair", USER]).done();
    assert!(!devices.exists());
    assert!(output.err.contains("totp-admin recovery-codes daemon"), "{}", output.err);
    assert_ne!(fate(&house, USER, &current).0, "right");
    assert_eq!(fate(&house, USER, &codes[0]).0, "replay");
    assert_eq!(fate(&house, USER, bypass["code"].as_str().unwrap()).0, "replay");
    assert_eq!(left(&house, USER), 0);
    assert_eq!(house.run(&["show", USER, "--json"]).json()["codes_required"], 2);
    let fresh = listed(&house.run(&["recovery-codes", USER, "--json"]).done().json());
    assert_eq!(fate(&house, USER, &fresh[0]).0, "right");
    assert_eq!(house.events().last().unwrap(), "recovery-codes-issued");
    assert!(house.events().contains(&"repaired".to_owned()));
}

#[test]
fn repair_of_all_closes_open_enrollments_and_lets_nobody_stand_in_the_way() {
    let Some(house) = House::new("") else { return };
    house.enroll(USER);
    house.enroll("games");
    fs::write(house.file_of("games"), "nonsense").unwrap();
    let opened = house.run(&["enroll", OTHER, "--at-login", "--json"]).done().json();
    house.run(&["disable", "sync"]).done();
    let output = house.run(&["repair", "--all", "--json"]);
    assert_eq!(output.code, 1, "{}", output.err);
    let document = output.json();
    let of =
        |user: &str| document.as_array().unwrap().iter().find(|row| row["user"] == user).cloned();
    assert_eq!(of(USER).unwrap()["changed"], true);
    assert_eq!(of(OTHER).unwrap()["changed"], true);
    assert_eq!(of("sync").unwrap()["changed"], false);
    assert!(of("games").unwrap()["error"].as_str().unwrap().contains("games.toml"));
    assert_eq!(fate(&house, OTHER, opened["enrollment_code"].as_str().unwrap()).0, "expired");
    fs::remove_file(house.file_of("games")).unwrap();
    let again = house.run(&["repair", "--all"]).done();
    assert!(again.out.contains("daemon: every code up to now"), "{}", again.out);
    assert!(!again.out.contains("bin: "), "closed already: {}", again.out);
    house.run(&["repair", "sync"]).done();
    house.run(&["repair", "no-such-user"]).refused(&["there is no user"]);
}

#[test]
fn a_code_that_is_nobodys_is_wrong_and_one_that_was_spent_is_told_as_such() {
    let Some(house) = House::new("") else { return };
    let codes = enrolled(&house, USER);
    assert_eq!(fate(&house, USER, "K7QM-2XVA-9TRC-HW4E"), ("wrong".to_owned(), Value::Null));
    let lower = codes[1].to_ascii_lowercase().replace('-', " ");
    assert_eq!(fate(&house, USER, &lower).0, "right");
    house.run_with(&["disable", USER], &format!("{}\n", codes[1]), &[AS_USER]).done();
    house.enroll_with(USER, SECOND, &[]);
    assert_eq!(fate(&house, USER, &codes[1]).0, "wrong", "of an earlier enrollment");
}
