//! Users, groups and services that the configuration names: by uid, gid and file, and what follows where they do not
//! exist.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::symlink;

use pam_totp_tests::{House, PASSWORD, Pam};

use crate::CODE;

/// Whether a login is challenged; without a code it must fail then, and otherwise the first factor decides.
fn is_challenged_at(house: &House, service: &str, user: &str) -> bool {
    let outcome = house.application().login(service, user).authenticate([PASSWORD]);
    let challenged = outcome.prompts().contains(&CODE);
    let known = !["root", "mallory"].contains(&user); // no password lets those in
    assert_eq!(outcome.code == Pam::Success, known && !challenged, "{outcome:?}");
    challenged
}

fn is_challenged(house: &House, user: &str) -> bool {
    is_challenged_at(house, "both", user)
}

fn add_line(house: &House, file: &str, line: &str) {
    let mut file = fs::OpenOptions::new().append(true).open(house.path(file)).unwrap();
    writeln!(file, "{line}").unwrap();
}

#[test]
fn a_required_name_that_does_not_exist_requires_every_user_and_the_log_names_it() {
    for (name, called) in [
        ("Root", "the user \"Root\""),
        ("CORP\\\\dora", "the user \"CORP\\\\dora\""),
        ("@nosuchgroup", "the group \"nosuchgroup\""),
        ("@SUDO", "the group \"SUDO\""),
    ] {
        let house = House::with_config(&format!("[policy]\nrequire = [\"{name}\"]\n"));
        add_line(&house, "/etc/group", "sudo:x:27:alice");
        for user in ["root", "alice", "bob", "mallory"] {
            assert!(is_challenged(&house, user), "{name}: {user}");
        }
        let line = house.syslog().expect("which does not exist");
        let expected = format!(
            "/etc/pam-totp/config.toml: [policy] require names {called}, which does not exist: every user needs a second \
             factor until it is corrected"
        );
        assert!(line.ends_with(&expected), "{line}");
    }
}

#[test]
fn an_enrolled_user_logs_in_whatever_require_names() {
    let house = House::with_config("[policy]\nrequire = [\"Root\"]\n");
    let phone = house.enroll("alice");
    let outcome = house.application().login("both", "alice").authenticate([PASSWORD, &phone.now()]);
    assert_eq!(outcome.code, Pam::Success, "{outcome:?}");
    let lines = house.syslog().module_lines().join("\n");
    assert!(!lines.contains("which does not exist"), "{lines}");
}

#[test]
fn a_name_counts_from_the_login_on_before_which_it_came_into_being() {
    let house = House::with_config("[policy]\nrequire = [\"@late\"]\n");
    assert!(is_challenged(&house, "bob"));
    add_line(&house, "/etc/group", "late:x:900:carol");
    assert!(!is_challenged(&house, "bob"));
    assert!(is_challenged(&house, "carol"));
}

#[test]
fn an_exempt_name_that_does_not_exist_exempts_no_user_of_that_name_and_the_log_names_it() {
    let house = House::with_config("[policy]\nexempt = [\"mallory\", \"@nosuchgroup\"]\n");
    assert!(is_challenged(&house, "mallory"));
    assert!(is_challenged(&house, "bob"));
    let _ = house.syslog().expect(
        "config.toml: [policy] exempt names the user \"mallory\", which does not exist: it exempts no user",
    );
}

#[test]
fn two_names_of_one_uid_are_one_user() {
    let house = House::with_config("[policy]\nexempt = [\"robert\"]\n");
    let uid = house.person("bob").uid;
    add_line(&house, "/etc/passwd", &format!("robert:x:{uid}:{uid}::/home/{uid}:/bin/sh"));
    assert!(!is_challenged(&house, "bob"));
    assert!(is_challenged(&house, "alice"));
}

#[test]
fn a_section_of_no_service_requires_every_user_at_services_without_a_requirement_of_their_own() {
    let settings = "[policy]\nrequire = \"enrolled\"\n[service.su]\nrequire = \"enrolled\"\n";
    for required in ["\"everyone\"", "[\"root\"]"] {
        let house = House::with_config(&format!("{settings}[service.ssh]\nrequire = {required}\n"));
        assert!(is_challenged_at(&house, "sshd", "bob"), "{required}");
        assert!(is_challenged_at(&house, "both", "bob"), "{required}");
        assert!(!is_challenged_at(&house, "su", "bob"), "{required}");
        let _ = house.syslog().expect(
            "config.toml: [service.ssh] sets require, and there is no service \"ssh\" in /etc/pam.d: every user needs",
        );
    }
    let house = House::with_config(&format!("{settings}[service.SSHD]\nrequire = \"everyone\"\n"));
    assert!(is_challenged_at(&house, "sshd", "bob"), "libpam uses lower case");
    assert!(!is_challenged_at(&house, "both", "bob"));
    let house = House::with_config(&format!("{settings}[service.ssh]\nexempt = []\n"));
    assert!(!is_challenged_at(&house, "sshd", "bob"), "it requires nothing");
}

#[test]
fn where_it_cannot_be_found_out_which_services_there_are_logins_are_denied() {
    let settings = "[policy]\nrequire = \"enrolled\"\n[service.ssh]\nrequire = \"everyone\"\n";
    let house = House::with_config(settings);
    symlink("ssh", house.path("/etc/pam.d/ssh")).unwrap(); // a loop; root may read all else
    let outcome = house.application().login("sshd", "bob").authenticate([PASSWORD]);
    assert_eq!(outcome.code, Pam::SystemErr, "{outcome:?}");
    let _ = house.syslog().expect("cannot look for the PAM service /etc/pam.d/ssh");
}
