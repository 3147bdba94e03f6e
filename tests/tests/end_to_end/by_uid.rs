//! Accounts that are enrolled under another name than their own: renamed in the directory, or an alias with the same uid.

use std::fs;
use std::thread;

use pam_totp_tests::{House, Outcome, Pam, Phone};

use crate::CODE;

const ENROLLED: &str = "[policy]\nrequire = \"enrolled\"\n";

/// Gives an account another name, as a directory does.
fn account_is_renamed(house: &House, old: &str, new: &str) {
    for file in ["/etc/passwd", "/etc/shadow"] {
        let path = house.path(file);
        let text = fs::read_to_string(&path).unwrap();
        let renamed = text.replace(&format!("\n{old}:"), &format!("\n{new}:"));
        assert_ne!(renamed, text);
        fs::write(&path, renamed).unwrap();
    }
}

/// Adds an account with the uid of another.
fn alias(house: &House, of: &str, name: &str) {
    for file in ["/etc/passwd", "/etc/shadow"] {
        let path = house.path(file);
        let mut text = fs::read_to_string(&path).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(&format!("{of}:"))).unwrap();
        let line = format!("{name}:{line}\n");
        text.push_str(&line);
        fs::write(&path, text).unwrap();
    }
}

fn log_in(house: &House, user: &str, answers: [&str; 2]) -> Outcome {
    house.application().login("code", user).authenticate(answers)
}

fn is_challenged(house: &House, user: &str) -> bool {
    !log_in(house, user, ["123456", "234567"]).prompts().is_empty()
}

fn lose_the_index(house: &House) {
    house.run("rm", &["-r", "/var/lib/pam-totp/uids"]);
}

#[test]
fn a_renamed_account_is_challenged_whatever_the_policy_and_one_code_lets_it_in_once() {
    for (config, arguments) in
        [("", ""), (ENROLLED, ""), ("", "nullok"), ("[policy]\nrequire = [\"bob\"]\n", "")]
    {
        let house = House::with_arguments(arguments);
        house.configure(config);
        let phone = house.enroll("alice");
        account_is_renamed(&house, "alice", "alicia");
        let wrong = log_in(&house, "alicia", [&phone.wrong(0), &phone.wrong(1)]);
        assert_eq!(wrong.code, Pam::AuthErr, "{config} {arguments}: {wrong:?}");
        assert_eq!(wrong.prompts()[0], CODE);
        let _ = house.syslog().expect("reason=wrong user=alicia enrolled-as=alice");
        let code = phone.now();
        assert_eq!(log_in(&house, "alicia", [&code, ""]).code, Pam::Success);
        let _ = house.syslog().expect("accepted totp for alicia from 192.0.2.1");
        assert_eq!(log_in(&house, "alicia", [&code, &code]).code, Pam::AuthErr);
    }
}

#[test]
fn an_alias_has_the_codes_and_the_budget_of_the_enrollment() {
    let house = House::with_config(ENROLLED);
    let phone = house.enroll("alice");
    alias(&house, "alice", "ali");
    let code = phone.now();
    assert_eq!(log_in(&house, "ali", [&code, ""]).code, Pam::Success);
    assert_eq!(log_in(&house, "alice", [&code, &code]).code, Pam::AuthErr);
    let mut application = house.application();
    for nth in 0..80 {
        let (one, other) = (phone.wrong(2 * nth), phone.wrong(2 * nth + 1));
        let _ = application.login("code", "ali").from("203.0.113.9").authenticate([&one, &other]);
    }
    assert_ne!(house.admin_json(&["show", "alice", "--json"])["codes_required"], 1);
}

#[test]
fn of_one_code_tried_under_both_names_at_once_one_login_comes() {
    let house = House::with_config(ENROLLED);
    let phone = house.enroll("alice");
    alias(&house, "alice", "ali");
    Phone::wait_for_fresh_code(10);
    let code = phone.now();
    let granted = thread::scope(|scope| {
        let logins: Vec<_> = ["alice", "ali", "alice", "ali", "alice", "ali"]
            .map(|user| scope.spawn(|| log_in(&house, user, [&code, &code]).code == Pam::Success))
            .into_iter()
            .collect();
        logins.into_iter().map(|login| login.join().unwrap()).filter(|granted| *granted).count()
    });
    assert_eq!(granted, 1);
}

#[test]
fn an_account_with_the_uid_of_several_enrollments_is_denied_and_they_are_named() {
    let house = House::with_config(ENROLLED);
    let alice = house.enroll("alice");
    alias(&house, "alice", "ali");
    let ali = house.enroll("ali");
    alias(&house, "alice", "third");
    for code in [alice.now(), ali.now()] {
        let outcome = log_in(&house, "third", [&code, &code]);
        assert_eq!((outcome.code, outcome.prompts()[0]), (Pam::AuthErr, CODE));
    }
    let _ = house.syslog().expect("several are with its uid 20000: ali, alice");
    let _ = house.syslog().expect("reason=several-enrollments user=third");
    // Names with an enrollment of their own keep it.
    assert_eq!(log_in(&house, "alice", [&alice.now(), ""]).code, Pam::Success);
    assert_eq!(log_in(&house, "ali", [&ali.now(), ""]).code, Pam::Success);
    let status = house.admin_json(&["status", "--json"]);
    assert_eq!(status["index"]["shared_uids"][0]["users"], serde_json::json!(["ali", "alice"]));
}

#[test]
fn a_lost_index_denies_accounts_without_an_enrollment_of_their_own_and_no_others() {
    let house = House::with_config(ENROLLED);
    let phone = house.enroll("alice");
    assert!(!is_challenged(&house, "bob"));
    lose_the_index(&house);
    let outcome = log_in(&house, "bob", ["123456", "234567"]);
    assert_eq!((outcome.code, outcome.prompts()[0]), (Pam::AuthErr, CODE));
    let _ = house.syslog().expect("/var/lib/pam-totp/uids: does not exist");
    let _ = house.syslog().expect("reason=index-damaged user=bob");
    assert_eq!(log_in(&house, "alice", [&phone.now(), ""]).code, Pam::Success);
    assert!(!house.attempt("totp-admin", &["status"]).status.success());
    house.run("totp-admin", &["init"]);
    assert!(!is_challenged(&house, "bob"));
    account_is_renamed(&house, "alice", "alicia");
    assert!(is_challenged(&house, "alicia"));
}

#[test]
fn an_exemption_holds_whatever_the_index_says() {
    let house = House::with_config("[policy]\nexempt = [\"bob\"]\n");
    lose_the_index(&house);
    assert!(!is_challenged(&house, "bob"));
}

#[test]
fn an_open_enrollment_under_the_former_name_denies_and_says_how_to_rename() {
    let house = House::with_config(ENROLLED);
    let _ = house.admin_json(&["enroll", "alice", "--at-login", "--trust-first-factor", "--json"]);
    account_is_renamed(&house, "alice", "alicia");
    assert_eq!(log_in(&house, "alicia", ["123456", "234567"]).code, Pam::AuthErr);
    let _ = house.syslog().expect("totp-admin rename alice alicia");
}

#[test]
fn a_disabled_marker_is_not_inherited_with_the_uid() {
    let house = House::build();
    let _phone = house.enroll("alice");
    house.run("totp-admin", &["disable", "alice", "--yes"]);
    assert!(!is_challenged(&house, "alice"));
    account_is_renamed(&house, "alice", "alicia");
    assert_eq!(log_in(&house, "alicia", ["123456", "234567"]).code, Pam::AuthErr);
}

#[test]
fn who_is_denied_once_disabled_is_denied_by_every_name_of_the_account() {
    let house = House::with_config(&format!("{ENROLLED}disabled = \"denied\"\n"));
    let _phone = house.enroll("alice");
    alias(&house, "alice", "al");
    assert!(is_challenged(&house, "al"));
    house.run("totp-admin", &["disable", "alice", "--yes"]);
    assert_eq!(log_in(&house, "al", ["123456", "234567"]).code, Pam::AuthErr);
    let _ = house.syslog().expect("disabled under the name alice");
}

#[test]
fn what_follows_a_login_by_the_new_name_is_kept_under_the_old_one() {
    let house = House::with_config(&format!("{ENROLLED}{}", crate::ENROLLS));
    let phone = house.enroll("alice");
    account_is_renamed(&house, "alice", "alicia");
    let mut application = house.application();
    let mut login = application.login("code", "alicia");
    assert_eq!(login.authenticate(["new", &phone.now()]).code, Pam::Success);
    let new = crate::account_phase::enroll_another(&mut login);
    let document = house.admin_json(&["show", "alicia", "--json"]);
    assert_eq!((&document["user"], &document["renamed_to"]), (&"alice".into(), &"alicia".into()));
    assert!(!house.path("/var/lib/pam-totp/users/alicia.toml").exists());
    let (old, code) = (phone.in_steps(1), new.in_steps(1));
    assert_eq!(log_in(&house, "alicia", [&old, &old]).code, Pam::AuthErr);
    assert_eq!(log_in(&house, "alicia", [&code, ""]).code, Pam::Success);
    house.run("totp-admin", &["rename", "alice", "alicia"]);
    assert_eq!(log_in(&house, "alicia", [&code, &code]).code, Pam::AuthErr);
}

#[test]
fn a_program_of_the_users_own_is_asked_by_the_new_name() {
    let house = House::with_config(ENROLLED);
    let phone = house.enroll("alice");
    let mut application = house.application_as("alice");
    account_is_renamed(&house, "alice", "alicia");
    let code = phone.now();
    let outcome = application.login("code", "alicia").authenticate([&code]);
    assert_eq!((outcome.code, outcome.prompts().len()), (Pam::Success, 1), "{outcome:?}");
    assert_eq!(application.login("code", "alicia").authenticate([&code, &code]).code, Pam::AuthErr);
}

#[test]
fn a_mark_for_the_former_name_opens_no_account_phase() {
    let house = House::with_config(ENROLLED);
    let phone = house.enroll("alice");
    let mut application = house.application();
    let mut login = application.login("code", "alice");
    assert_eq!(login.authenticate([&phone.now()]).code, Pam::Success);
    account_is_renamed(&house, "alice", "alicia");
    login.item("user", "alicia");
    assert_eq!(login.account().code, Pam::PermDenied);
}

#[test]
fn commands_under_the_former_name_leave_the_renamed_account_its_second_factor() {
    let house = House::with_config(ENROLLED);
    let phone = house.enroll("alice");
    account_is_renamed(&house, "alice", "alicia");
    for arguments in [
        &["reset", "alice", "--yes"][..],
        &["disable", "alice", "--yes"],
        &["remove", "alice", "--yes"],
        &["enroll", "alice", "--no-account", "--replace", "--no-confirm"],
    ] {
        let said = house.attempt("totp-admin", arguments);
        assert!(!said.status.success(), "{arguments:?}");
        let error = String::from_utf8_lossy(&said.stderr);
        assert!(error.contains("totp-admin rename alice alicia"), "{arguments:?}: {error}");
    }
    assert_eq!(log_in(&house, "alicia", [&phone.now(), ""]).code, Pam::Success);
}

#[test]
fn what_is_decided_while_an_account_is_gone_holds_for_it_under_its_new_name() {
    let house = House::with_config(ENROLLED);
    let _phone = house.enroll("alice");
    let passwd = fs::read_to_string(house.path("/etc/passwd")).unwrap();
    let without: String = passwd.lines().filter(|line| !line.starts_with("alice:")).fold(
        String::new(),
        |mut text, line| {
            text.push_str(line);
            text.push('\n');
            text
        },
    );
    fs::write(house.path("/etc/passwd"), without).unwrap();
    house.run("totp-admin", &["reset", "alice", "--yes"]);
    fs::write(house.path("/etc/passwd"), passwd).unwrap();
    account_is_renamed(&house, "alice", "alicia");
    assert_eq!(log_in(&house, "alicia", ["123456", "234567"]).code, Pam::AuthErr);
    let _ = house.syslog().expect("totp-admin rename alice alicia");
}

#[test]
fn an_alias_is_told_the_name_that_it_is_enrolled_under() {
    let house = House::with_config(ENROLLED);
    let _phone = house.enroll("alice");
    alias(&house, "alice", "ali");
    let said = house.attempt("totp-admin", &["disable", "ali", "--yes"]);
    let error = String::from_utf8_lossy(&said.stderr);
    assert!(error.contains("Give that name: alice"), "{error}");
}

/// An account that was deleted and made anew with the same name and uid has a home directory of its own.
#[test]
fn a_home_directory_that_was_made_after_the_enrollment_is_named() {
    let house = House::build();
    let _phone = house.enroll("alice");
    house.run("sh", &["-c", "rm -rf ~alice && mkdir ~alice"]);
    let made = house.run("sh", &["-c", "stat -c %W ~alice"]);
    // Not every file system knows.
    if made.trim().parse::<i64>().unwrap_or(0) <= 0 {
        return;
    }
    let record = house.path("/var/lib/pam-totp/users/alice.toml");
    let text = fs::read_to_string(&record).unwrap();
    let since = text.lines().find(|line| line.starts_with("since = ")).unwrap();
    fs::write(&record, text.replace(since, "since = \"1980-01-01T00:00:00Z\"")).unwrap();
    assert!(house.admin_json(&["show", "alice", "--json"])["home_made"].is_string());
    for command in [&["show", "alice"][..], &["list"]] {
        let said = house.run("totp-admin", command);
        assert!(said.contains("home directory made after the enrollment"), "{said}");
    }
}
