//! Bypass codes: good for one login, for some hours; and the enrollment code as far as the first login with it.

use pam_totp_tests::{FirstFactor, House, PASSWORD, Pam, Phone, Plan, Sshd};

use crate::clocks::{NOON, house_with_clock, set_clock};
use crate::recovery::let_in_at_once;
use crate::{CODE, NEXT};

fn bypass_code(house: &House, more: &[&str]) -> String {
    let document = house.admin_json(&[&["bypass-code", "alice", "--json"], more].concat());
    document["code"].as_str().expect("bypass-code --json gives the code").to_string()
}

fn log_in(house: &House, codes: &[&str]) -> Pam {
    house.application().login("code", "alice").authenticate(codes.iter().copied()).code
}

#[test]
fn a_bypass_code_logs_in_once_over_ssh_and_the_phone_still_does() {
    let house = House::build();
    let phone: Phone = house.enroll("alice");
    let code = bypass_code(&house, &["--for", "8h"]);
    let sshd = Sshd::start(&house, FirstFactor::PublicKey);
    let mut first = sshd.connect("alice");
    first.expect("Password: ").type_line(PASSWORD);
    first.expect(CODE).type_line(&code).expect("in as alice");
    let _ = house.syslog().expect("accepted bypass-code for alice from 127.0.0.1");
    let mut second = sshd.connect("alice");
    second.expect("Password: ").type_line(PASSWORD);
    second.expect(CODE).type_line(&code);
    second.expect(NEXT).type_line(&phone.now()).expect("in as alice");
    let used = house.records().into_iter().find(|line| line["event"] == "bypass-code-used");
    assert_eq!(used.expect("it is recorded")["user"], "alice");
    assert_eq!(house.admin_json(&["show", "alice", "--json"])["recovery_codes_left"], 5);
}

#[test]
fn of_32_processes_with_one_bypass_code_exactly_one_is_let_in() {
    let house = House::build();
    let _phone = house.enroll("alice");
    for _ in 0..5 {
        assert_eq!(let_in_at_once(&house, &bypass_code(&house, &[])), 1);
    }
}

/// The server's clock is past the end of it.
#[test]
fn a_bypass_code_ends() {
    let house = house_with_clock(&Plan::default(), NOON);
    let _phone = house.enroll("alice");
    let code = bypass_code(&house, &["--for", "10m"]);
    let at = |minutes: i64| {
        let now: i64 = house.run("date", &["+%s"]).trim().parse().unwrap();
        set_clock(&house, now + minutes * 60);
        log_in(&house, &[&code, &code])
    };
    assert_eq!(at(10), Pam::AuthErr);
    let _ = house.syslog().expect("reason=expired user=alice");
    assert_eq!(at(9), Pam::Success);
    assert_eq!(log_in(&house, &[&code, &code]), Pam::AuthErr);
}

#[test]
fn a_further_one_voids_the_one_before() {
    let house = House::build();
    let _phone = house.enroll("alice");
    let (first, second) = (bypass_code(&house, &[]), bypass_code(&house, &[]));
    assert_eq!(log_in(&house, &[&first, &first]), Pam::AuthErr);
    assert_eq!(log_in(&house, &[&second]), Pam::Success);
}

#[test]
fn who_was_reset_gets_in_with_the_enrollment_code_and_nothing_of_before() {
    let house = House::with_config(crate::ENROLLS);
    let document = house.admin_json(&["enroll", "alice", "--json", "--no-confirm"]);
    let phone = Phone::new(document["secret"].as_str().unwrap());
    let recovery = document["recovery_codes"][0].as_str().unwrap();
    let bypass = bypass_code(&house, &[]);
    let reset = house.admin_json(&["reset", "alice", "--reason", "phone lost", "--json"]);
    let code = reset["enrollment_code"].as_str().unwrap();
    for void in [phone.now().as_str(), recovery, &bypass] {
        assert_eq!(log_in(&house, &[void, void]), Pam::AuthErr);
    }
    assert_eq!(log_in(&house, &[code]), Pam::Success);
    house.syslog().clear();
    house.run("totp-admin", &["repair", "alice"]);
    assert_eq!(log_in(&house, &[code, code]), Pam::AuthErr);
    let _ = house.syslog().expect("reason=expired user=alice");
}

#[test]
fn of_32_processes_with_one_enrollment_code_three_are_let_in_to_enroll() {
    let house = House::with_config(crate::ENROLLS);
    let opened = house.admin_json(&["enroll", "alice", "--at-login", "--json"]);
    // A mistyped password costs one of three; the account phase enrolls once (its own tests).
    assert_eq!(let_in_at_once(&house, opened["enrollment_code"].as_str().unwrap()), 3);
}
