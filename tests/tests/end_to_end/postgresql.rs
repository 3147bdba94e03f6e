//! PostgreSQL, whose server runs as a user of its own and asks PAM about the users of its clients: the guide's lines.

use std::fs;

use pam_totp_tests::{Decider, House, PASSWORD, Pam, Phone, Plan, PostgreSql, guide, manual};

use crate::written_stacks::COMMON_ACCOUNT;

const SECTION: &str = "## PostgreSQL and FreeRADIUS";

/// The guide's lines for the code alone.
fn code_alone() -> String {
    guide().block(SECTION, "auth    required pam_totp.so prompts=1")
}

/// The guide's lines for password and code in one answer.
fn one_answer() -> String {
    guide().block(SECTION, "forward_pass")
}

/// No pause after a refusal.
fn without_delay(stack: &str) -> String {
    let changed =
        stack.replace("auth    required pam_totp.so", "auth required pam_totp.so nodelay");
    assert_ne!(changed, stack);
    changed.replace("pam_unix.so use_first_pass", "pam_unix.so use_first_pass nodelay")
}

/// Who may be asked about.
const CONFIG: &str = "[callers]\nallow = { postgres = [\"@dbusers\"] }\n";

/// A house with a service account for the server, and with alice and carol in the group that it may ask about.
fn house() -> House {
    let people = ["alice", "bob", "carol", "postgres"].map(str::to_string).to_vec();
    let config = Some(CONFIG.to_owned());
    let house =
        House::from_plan(&Plan { people, config, decided_by: Decider::Daemon, ..Plan::default() });
    let group = fs::read_to_string(house.path("/etc/group")).unwrap();
    fs::write(house.path("/etc/group"), format!("{group}dbusers:x:900:alice,carol\n")).unwrap();
    house
}

/// The failure lines of a wrong code typed for this user.
fn failures(house: &House, user: &str) -> usize {
    let uid = house.person("postgres").uid;
    let line = format!(
        "authentication failure; logname= uid={uid} euid={uid} tty= ruser= rhost=127.0.0.1  user={user}"
    );
    house.syslog().module_lines().iter().filter(|said| said.ends_with(&line)).count()
}

/// pam_unix of a program that is not root reads the file itself, where it may.
fn lets_group_42_read_shadow(house: &House) {
    house.run("chgrp", &["42", "/etc/shadow"]);
    house.run("chmod", &["640", "/etc/shadow"]);
}

fn enroll(house: &House) -> [Phone; 2] {
    ["alice", "bob"].map(|name| house.enroll(name))
}

#[test]
fn the_manual_has_the_guides_lines() {
    let (manual, section) = (manual("pam_totp.8"), ".SH PROGRAMS THAT DO NOT RUN AS ROOT");
    assert_eq!(manual.block(section, "pam_totp.so prompts=1"), code_alone());
    assert!(one_answer().starts_with(&manual.block(section, "pam_totp.so forward_pass prompts=1")));
}

#[test]
fn a_listed_user_logs_in_with_each_code_once_and_no_other_user_does() {
    let house = house();
    house.stack("postgresql", &without_delay(&code_alone()));
    let [alice, bob] = enroll(&house);
    let server = PostgreSql::start(&house, "--clear-groups");
    for wrong in 1..=3_u8 {
        assert!(!server.login("alice", &alice.wrong(wrong.into())));
        assert_eq!(failures(&house, "alice"), usize::from(wrong), "each wrong code has its line");
    }
    let code = alice.now();
    assert!(server.login("alice", &code));
    assert!(!server.login("alice", &code), "one code, one login");
    let code = bob.now();
    assert!(!server.login("bob", &code), "not listed");
    assert_eq!(failures(&house, "bob"), 1);
    assert!(!server.login("carol", &code), "listed, and not enrolled");
    assert_eq!(failures(&house, "carol"), 1);
    let outcome = house.application().login("code", "bob").authenticate([&code]);
    assert_eq!(outcome.code, Pam::Success, "not spent by the server");
}

#[test]
fn a_listed_user_logs_in_with_password_and_code_in_one_answer() {
    let house = house();
    house.stack("postgresql", &without_delay(&one_answer()));
    lets_group_42_read_shadow(&house);
    let [alice, _] = enroll(&house);
    let server = PostgreSql::start(&house, "--groups=42");
    let both = |password: &str, code: &str| format!("{password}{code}");
    assert!(!server.login("alice", &both(PASSWORD, &alice.wrong(0))));
    assert!(!server.login("alice", &both("wrong", &alice.in_steps(-1))));
    let code = alice.now();
    assert!(server.login("alice", &both(PASSWORD, &code)));
    assert!(!server.login("alice", &both(PASSWORD, &code)), "one code, one login");
}

/// What the account step comes to in a program of the user `postgres` with these groups.
fn account(house: &House, groups: &str, lines: &str) -> Pam {
    house.stack("service", &format!("auth required pam_permit.so\n{lines}"));
    let uid = house.person("postgres").uid.to_string();
    let arguments = ["--reuid", &uid, "--regid", &uid, groups, "--"];
    let mut application = house.application_under("setpriv", &arguments);
    let mut login = application.login("service", "alice");
    assert_eq!(login.authenticate([""; 0]).code, Pam::Success);
    login.call("acct 0", [""; 0]).code
}

#[test]
fn for_a_service_our_account_line_is_no_answer_and_that_of_pam_unix_has_to_read_shadow() {
    let house = house();
    house.stack("common-account", COMMON_ACCOUNT);
    let _ = enroll(&house);
    lets_group_42_read_shadow(&house);
    let (ours, permit) = ("account required pam_totp.so\n", "account required pam_permit.so\n");
    for (groups, reads_shadow) in [("--clear-groups", false), ("--groups=42", true)] {
        assert_eq!(account(&house, groups, ours), Pam::PermDenied);
        assert_eq!(account(&house, groups, &format!("{ours}{permit}")), Pam::Success);
        let pam_unix = account(&house, groups, "@include common-account\n");
        assert_eq!(pam_unix == Pam::Success, reads_shadow, "{pam_unix:?}");
    }
}
