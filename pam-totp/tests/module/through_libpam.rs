//! The module behind the real libpam: loaded, called, refused.
//!
//! What is asked of users is tested where it is decided, in totp-core, and end to end in the
//! workspace's `tests`. Here is what lies between: entry points, arguments, panics, conversations.

use crate::support::Stack;

// The return values of `<security/_pam_types.h>`.
const SERVICE_ERR: i32 = 3;
const SYSTEM_ERR: i32 = 4;

/// Everything in front of it denies nothing: whatever denies is the module.
const ALONE: &str = "auth required MODULE";

#[test]
fn a_panic_denies_prints_nothing_and_is_logged_by_its_place() {
    let stack = Stack::new(&format!("{ALONE} test_panic"));
    let shown = stack.run(&["rhost=192.0.2.1"], &["auth", "auth"]);
    let log = "log 3: pam_totp(test:auth): login denied by an error in the module itself, at ";
    let lines: Vec<&str> = shown.lines().collect();
    assert_eq!(lines.len(), 5, "{shown}");
    for at in [0, 2] {
        assert!(lines[at].starts_with(log), "{shown}");
        assert!(lines[at].contains("src/arguments.rs:"), "{shown}");
        assert_eq!(lines[at + 1], format!("auth = {SYSTEM_ERR}"));
    }
    assert!(!shown.contains("on request"), "{shown}");
}

#[test]
fn an_unknown_argument_denies_and_is_named_with_the_remedy() {
    let stack = Stack::new("auth required MODULE nulok\naccount required MODULE nulok");
    let shown = stack.run(&[], &["auth", "account"]);
    for hook in ["auth", "account"] {
        let log = format!("log 3: pam_totp(test:{hook}): unknown argument \"nulok\" (known: ");
        assert!(shown.contains(&log), "{shown}");
        assert!(shown.contains(&format!("{hook} = {SERVICE_ERR}\n")), "{shown}");
    }
    assert!(shown.contains("correct the line of pam_totp.so in /etc/pam.d/test"), "{shown}");
}

#[test]
fn an_account_line_alone_asks_nothing() {
    let stack = Stack::new("account required MODULE\naccount required pam_permit.so");
    assert_eq!(stack.run(&[], &["account"]), "account = 0\nhost goes on\n");
}

#[test]
fn setcred_succeeds() {
    let stack = Stack::new(ALONE);
    assert_eq!(stack.run(&[], &["setcred"]), "setcred = 0\nhost goes on\n");
}

#[test]
fn a_configuration_relative_to_the_callers_directory_denies() {
    let stack = Stack::new(&format!("{ALONE} config=relative.toml"));
    let shown = stack.run(&[], &["auth"]);
    assert!(shown.contains("the path must begin with /"), "{shown}");
    assert!(shown.contains(&format!("auth = {SERVICE_ERR}\n")), "{shown}");
}
