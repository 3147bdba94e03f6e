//! Recovery codes: each is good once, typed in place of the code; what voids them, and when they are not accepted.

use std::fs;

use pam_totp_tests::{Application, Decider, FirstFactor, House, Login, PASSWORD, Pam, Plan, Sshd};
use serde_json::Value;

use crate::{CODE, NEXT};

const STATE: &str = "/var/lib/pam-totp";
const PROCESSES: usize = 32;

/// What whoever comes with a recovery code is asked once they are let in.
const LOST: &str = "Is the phone lost?";

/// Enrolls alice, and gives her recovery codes.
fn enrolled(house: &House) -> Vec<String> {
    codes_of(&house.admin_json(&["enroll", "alice", "--json", "--no-confirm"]))
}

fn codes_of(document: &Value) -> Vec<String> {
    let codes = document["recovery_codes"].as_array().expect("a list").iter();
    codes.map(|code| code.as_str().unwrap().to_string()).collect()
}

fn log_in(house: &House, codes: &[&str]) -> Pam {
    house.application().login("code", "alice").authenticate(codes.iter().copied()).code
}

fn is_refused(house: &House, code: &str, why: &str) {
    house.syslog().clear();
    // The same answer again is what clients type that answer every prompt alike.
    assert_eq!(log_in(house, &[code, code]), Pam::AuthErr, "{why}");
    let _ = house.syslog().expect(&format!("reason={why} user=alice"));
}

fn left(house: &House) -> Value {
    house.admin_json(&["show", "alice", "--json"])["recovery_codes_left"].clone()
}

#[test]
fn a_recovery_code_logs_in_once_over_ssh_and_is_told() {
    let house = House::build();
    let codes = enrolled(&house);
    let sshd = Sshd::start(&house, FirstFactor::Password);
    let mut first = sshd.connect("alice");
    first.expect("Password: ").type_line(PASSWORD);
    first.expect(CODE).type_line(&codes[0]);
    first.expect(LOST).type_line("n").expect("in as alice");
    let _ = house.syslog().expect("accepted recovery-code for alice from 127.0.0.1");
    assert_eq!(left(&house), 4);
    let mut second = sshd.connect("alice");
    second.expect("Password: ").type_line(PASSWORD);
    second.expect(CODE).type_line(&codes[0]);
    second.expect(NEXT).type_line(&codes[0]).expect("Permission denied");
    let _ = house.syslog().expect("reason=replay user=alice");
    // Small letters and blanks are as good.
    let mut third = sshd.connect("alice");
    third.expect("Password: ").type_line(PASSWORD);
    let typed = codes[1].to_lowercase().replace('-', " ");
    third.expect(CODE).type_line(&typed);
    third.expect(LOST).type_line("").expect("in as alice");
    assert!(house.run("totp-admin", &["log"]).contains("recovery-code-used alice"));
    assert_eq!(house.events().iter().filter(|event| *event == "recovery-code-used").count(), 2);
}

/// A login of the service `code` at its first prompt.
fn at_the_prompt(application: &mut Application) -> Login<'_> {
    let mut login = application.login("code", "alice");
    assert_eq!(login.begin("auth 0").hear().prompt(), Some(CODE));
    login
}

/// How many of 32 processes get in with one code at once.
pub fn let_in_at_once(house: &House, code: &str) -> usize {
    let mut applications: Vec<Application> = (0..PROCESSES).map(|_| house.application()).collect();
    let mut logins: Vec<Login<'_>> = applications.iter_mut().map(at_the_prompt).collect();
    for login in &mut logins {
        login.answer(code);
    }
    let results = logins.into_iter().map(|mut login| login.rest([] as [&str; 0]).code);
    results.filter(|result| *result == Pam::Success).count()
}

#[test]
fn of_32_processes_with_one_recovery_code_exactly_one_is_let_in() {
    let house = House::build();
    for code in enrolled(&house) {
        assert_eq!(let_in_at_once(&house, &code), 1);
    }
    assert_eq!(left(&house), 0);
}

#[test]
fn fresh_ones_void_the_older_ones_and_leave_the_phone() {
    let house = House::build();
    let document = house.admin_json(&["enroll", "alice", "--json", "--no-confirm"]);
    let phone = pam_totp_tests::Phone::new(document["secret"].as_str().unwrap());
    let older = codes_of(&document);
    let fresh = codes_of(&house.admin_json(&["recovery-codes", "alice", "--json"]));
    is_refused(&house, &older[0], "wrong");
    assert_eq!(log_in(&house, &[&fresh[0]]), Pam::Success);
    is_refused(&house, &fresh[0], "replay");
    assert_eq!(log_in(&house, &[&phone.now()]), Pam::Success);
}

#[test]
fn a_rotating_one_is_taken_once() {
    let house = House::with_config("[recovery]\nmode = \"rotating\"\n");
    let codes = enrolled(&house);
    assert_eq!(codes.len(), 1);
    assert_eq!(let_in_at_once(&house, &codes[0]), 1);
    is_refused(&house, &codes[0], "replay");
}

#[test]
fn after_repair_none_is_good_until_there_are_fresh_ones() {
    let house = House::build();
    let document = house.admin_json(&["enroll", "alice", "--json", "--no-confirm"]);
    let phone = pam_totp_tests::Phone::new(document["secret"].as_str().unwrap());
    let codes = codes_of(&document);
    let backup = |name: &str| fs::read(house.path(STATE).join(name)).unwrap();
    let state = backup("state/alice");
    let code = phone.now();
    assert_eq!(log_in(&house, &[&code]), Pam::Success);
    assert_eq!(log_in(&house, &[&codes[0]]), Pam::Success);
    // The backup of before knows of neither.
    fs::write(house.path(STATE).join("state/alice"), state).unwrap();
    house.run("totp-admin", &["repair", "--all"]);
    is_refused(&house, &codes[0], "replay");
    is_refused(&house, &codes[1], "replay");
    assert_ne!(log_in(&house, &[&code, &code]), Pam::Success);
    // The owner gets in with two codes in a row.
    assert_eq!(log_in(&house, &[&phone.in_steps(2), &phone.in_steps(3)]), Pam::Success);
    let fresh = codes_of(&house.admin_json(&["recovery-codes", "alice", "--json"]));
    assert_eq!(log_in(&house, &[&fresh[0]]), Pam::Success);
}

#[test]
fn a_lost_state_voids_them() {
    let house = House::build();
    let codes = enrolled(&house);
    fs::write(house.path(STATE).join("state/alice"), [0; 12_288]).unwrap();
    is_refused(&house, &codes[0], "replay");
    is_refused(&house, &codes[0], "replay");
    assert_eq!(left(&house), 0);
    let fresh = codes_of(&house.admin_json(&["recovery-codes", "alice", "--json"]));
    assert_eq!(log_in(&house, &[&fresh[0]]), Pam::Success);
}

/// The daemon decides: `totpd --once` in a mount namespace of its caller's, as this house is one, denies before any of this.
#[test]
fn none_is_accepted_while_the_disk_cannot_be_written_and_none_is_used_up_by_that() {
    let house = House::from_plan(&Plan { decided_by: Decider::Daemon, ..Plan::default() });
    house.mount_small_state();
    let codes = enrolled(&house);
    let bypass = house.admin_json(&["bypass-code", "alice", "--json"]);
    house.run("mount", &["-o", "remount,ro", STATE]);
    is_refused(&house, &codes[0], "unavailable");
    is_refused(&house, bypass["code"].as_str().unwrap(), "unavailable");
    house.run("mount", &["-o", "remount,rw", STATE]);
    assert_eq!(log_in(&house, &[&codes[0]]), Pam::Success);
    is_refused(&house, &codes[0], "replay");
}

#[test]
fn switching_off_ones_own_takes_a_recovery_code_that_is_not_used() {
    let house = House::build();
    let codes = enrolled(&house);
    let disable = |for_sudo: &str, for_the_command: &str| {
        let arguments = ["totp-admin", "--yes", "disable", "alice", "--reason", "x"];
        let mut sudo = house.terminal_as("alice", "sudo", &arguments);
        sudo.expect("[sudo] password for alice: ").type_line(PASSWORD);
        sudo.expect(CODE).type_line(for_sudo);
        sudo.expect(LOST).type_line("n");
        sudo.expect("Your code now:").type_line(for_the_command);
        (sudo.wait().success(), sudo.shown())
    };
    let (done, shown) = disable(&codes[0], &codes[0]);
    assert!(!done && shown.contains("used or void"), "{shown}");
    assert_eq!(house.admin_json(&["show", "alice", "--json"])["status"], "active");
    let (done, shown) = disable(&codes[1], &codes[2]);
    assert!(done, "{shown}");
    assert_eq!(house.admin_json(&["show", "alice", "--json"])["status"], "disabled");
}
