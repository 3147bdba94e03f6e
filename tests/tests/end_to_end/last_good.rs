//! A configuration that can't be used any more: logins go on with the last one that could, and every program says so.

use std::fs;

use nix::sys::signal::Signal;
use pam_totp_tests::{Decider, House, PASSWORD, Pam, Phone, Plan};

const CONFIG: &str = "/etc/pam-totp/config.toml";

/// alice is enrolled, bob is not and need not be: by a policy that the defaults do not have.
fn house(decided_by: Decider) -> (House, Phone) {
    let config = Some("[policy]\nrequire = \"enrolled\"\n".to_owned());
    let house = House::from_plan(&Plan { config, decided_by, ..Plan::default() });
    let phone = house.enroll("alice");
    (house, phone)
}

/// Both are served as by the configuration of before, and the log says why.
fn goes_on(house: &House, code: &str) {
    let mut application = house.application();
    let bob = application.login("both", "bob").authenticate([PASSWORD]);
    assert_eq!(bob.code, Pam::Success, "{bob:?}");
    let alice = application.login("code", "alice").authenticate([code]);
    assert_eq!(alice.code, Pam::Success, "{alice:?}");
    let line = house.syslog().expect("the last good configuration is in force");
    assert!(line.contains(CONFIG), "{line}");
}

#[test]
fn a_typo_leaves_the_last_good_configuration_in_force_through_a_restart() {
    let (mut house, phone) = house(Decider::Daemon);
    house.configure("[policy]\nrequire = \"enrolled\"\nexmept = []\n");
    goes_on(&house, &phone.now());
    house.end_daemon(Signal::SIGTERM);
    house.start_daemon();
    goes_on(&house, &phone.in_steps(1));
}

#[test]
fn totpd_once_uses_the_last_good_configuration_too() {
    let (house, phone) = house(Decider::Once);
    house.configure("surprise = true\n");
    goes_on(&house, &phone.now());
}

#[test]
fn a_configuration_that_is_gone_or_is_another_users_is_replaced_by_the_last_good_one() {
    let (house, phone) = house(Decider::usual());
    let text = fs::read_to_string(house.path(CONFIG)).unwrap();
    fs::remove_file(house.path(CONFIG)).unwrap();
    goes_on(&house, &phone.now());
    house.configure(&text);
    let bob = house.person("bob").uid.to_string();
    house.run("chown", &[&bob, CONFIG]);
    goes_on(&house, &phone.in_steps(1));
}

#[test]
fn administrators_are_told_at_login_and_others_are_not() {
    let (house, phone) = house(Decider::usual());
    let root = house.enroll("root");
    house.configure("surprise = true\n");
    let told = |user: &str, code: &str| {
        let mut application = house.application();
        let mut login = application.login("code", user);
        assert_eq!(login.authenticate([code]).code, Pam::Success);
        assert_eq!(login.account().messages(), [] as [&str; 0]);
        let session = login.open_session();
        session.messages().iter().any(|line| line.contains("last good configuration"))
    };
    assert!(told("root", &root.now()));
    assert!(!told("alice", &phone.now()));
}

#[test]
fn the_commands_say_so_and_config_check_does_not_use_the_copy() {
    let (house, _) = house(Decider::usual());
    house.configure("surprise = true\n");
    let list = house.attempt("totp-admin", &["list"]);
    assert!(list.status.success(), "{list:?}");
    assert!(String::from_utf8_lossy(&list.stderr).contains("last good configuration"), "{list:?}");
    assert!(!house.attempt("totp-admin", &["config", "check"]).status.success());
    let status = house.attempt("totp-admin", &["status", "--json"]);
    assert_eq!(status.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&status.stdout).contains("last-good"), "{status:?}");
}
