//! A name service that is down, slow, or wrong, when a login begins and in its middle: no user gets in unasked, and none is kept
//! waiting without an end.

use std::fs;
use std::path::Path;
use std::process::Command;

use pam_totp_tests::{Decider, House, Outcome, PASSWORD, Pam, Phone, Plan};

use crate::CODE;

/// A house whose daemon asks the name service of the tests before `/etc/passwd`, and lets accounts in that are not enrolled.
fn house() -> (House, Phone) {
    house_with("slow", "nodelay nullok")
}

/// A house whose daemon asks a name service of the tests before `/etc/passwd`.
fn house_with(service: &str, arguments: &str) -> (House, Phone) {
    let arguments = arguments.to_owned();
    // The environment of `totpd --once` is empty, and with it the path of a library.
    let plan = Plan { arguments, decided_by: Decider::Daemon, ..Plan::default() };
    let mut house = House::from_plan(&plan);
    let phone = house.enroll("alice");
    let source = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join(format!("tests/end_to_end/name_service/{service}.c"));
    house.run("mkdir", &["/run/nss"]);
    let status = Command::new("cc")
        .args(["-shared", "-fPIC", "-std=c11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror"])
        .args(["-O1", "-o"])
        .args([&house.path(format!("/run/nss/libnss_{service}.so.2")), &source])
        .status()
        .expect("a C compiler (build-essential) is needed");
    assert!(status.success());
    let settings =
        format!("passwd: {service} [TRYAGAIN=return] files\ngroup: files\nshadow: files\n");
    fs::write(house.path("/etc/nsswitch.conf"), settings).unwrap();
    house.start_daemon_by(&[("LD_LIBRARY_PATH", "/run/nss")], &[]);
    (house, phone)
}

/// What the name service says from now on.
fn says(house: &House, what: &str) {
    fs::write(house.path("/run/name-service"), what).unwrap();
}

fn log_in(house: &House, user: &str, answers: &[&str]) -> Outcome {
    let answers = [&[PASSWORD], answers].concat();
    house.application().login("both", user).authenticate(answers)
}

#[test]
fn one_that_says_nothing_changes_nothing() {
    let (house, phone) = house();
    assert_eq!(log_in(&house, "alice", &[&phone.now()]).code, Pam::Success);
    assert_eq!(log_in(&house, "bob", &[]).code, Pam::Success);
}

#[test]
fn one_that_is_down_is_no_absence() {
    let (house, phone) = house();
    // Down, and no other service to go on with.
    let settings = "passwd: slow [UNAVAIL=return] files\ngroup: files\nshadow: files\n";
    fs::write(house.path("/etc/nsswitch.conf"), settings).unwrap();
    says(&house, "down");
    for user in ["alice", "bob"] {
        let code = phone.now();
        let outcome = house.application().login("code", user).authenticate([&code, &code]);
        assert_ne!(outcome.code, Pam::Success, "{user}: {outcome:?}");
    }
}

#[test]
fn one_that_says_that_an_enrolled_user_does_not_exist_lets_that_user_in_with_no_code_and_without() {
    let (house, phone) = house();
    let settings = "passwd: slow [NOTFOUND=return] files\ngroup: files\nshadow: files\n";
    fs::write(house.path("/etc/nsswitch.conf"), settings).unwrap();
    says(&house, "wrong");
    let code = phone.now();
    let outcome = house.application().login("code", "alice").authenticate([&code, &code]);
    assert_eq!(outcome.code, Pam::AuthErr, "{outcome:?}");
}

#[test]
fn one_that_is_slow_delays_a_login_and_ends_it_neither_with_a_grant_nor_without_an_end() {
    let (house, phone) = house();
    says(&house, "slow");
    let wrong =
        house.application().login("code", "alice").authenticate([&phone.wrong(0), &phone.wrong(1)]);
    assert!(matches!(wrong.code, Pam::AuthErr | Pam::SystemErr), "{wrong:?}");
}

#[test]
fn one_that_fails_between_the_code_and_the_account_phase_denies() {
    let (house, phone) = house();
    let settings = "passwd: slow [UNAVAIL=return] files\ngroup: files\nshadow: files\n";
    fs::write(house.path("/etc/nsswitch.conf"), settings).unwrap();
    let mut application = house.application();
    let mut login = application.login("code", "alice");
    assert_eq!(login.authenticate([&phone.now()]).code, Pam::Success);
    says(&house, "down");
    let outcome = login.account();
    assert_ne!(outcome.code, Pam::Success, "{outcome:?}");
    assert_eq!(outcome.prompts(), [] as [&str; 0]);
}

#[test]
fn the_prompt_is_the_same_whatever_it_says() {
    let (house, phone) = house();
    let known = house.application().login("code", "alice").authenticate([&phone.wrong(0)]);
    says(&house, "wrong");
    let wrong = house.application().login("code", "alice").authenticate([&phone.wrong(0)]);
    assert_eq!((known.prompts()[0], wrong.prompts()[0]), (CODE, CODE));
}

/// A house where `CORP\bob` and `bob@corp.example` are the account bob.
fn realm(config: &str) -> (House, Phone) {
    let (house, phone) = house_with("realm", "nodelay");
    house.configure(config);
    (house, phone)
}

fn is_challenged(house: &House, user: &str) -> bool {
    let outcome = log_in(house, user, &[]);
    let challenged = outcome.prompts().contains(&CODE);
    assert_eq!(outcome.code == Pam::Success, !challenged, "{outcome:?}");
    challenged
}

#[test]
fn a_user_is_required_by_any_name_that_the_name_service_knows_and_no_other_user_is() {
    for name in ["CORP\\\\bob", "bob@corp.example", "bob"] {
        let (house, _phone) = realm(&format!("[policy]\nrequire = [\"{name}\"]\n"));
        assert!(is_challenged(&house, "bob"), "{name}");
        assert!(!is_challenged(&house, "carol"), "{name}");
    }
}

#[test]
fn a_user_is_exempt_by_any_name_that_the_name_service_knows() {
    let (house, _phone) = realm("[policy]\nexempt = [\"CORP\\\\bob\", \"carol@corp.example\"]\n");
    assert!(!is_challenged(&house, "bob"));
    assert!(!is_challenged(&house, "carol"));
    assert!(is_challenged(&house, "alice"));
}

#[test]
fn one_that_cannot_say_whom_policy_requires_denies_and_keeps_out_no_enrolled_user() {
    let (house, phone) = realm("[policy]\nrequire = [\"CORP\\\\broken\"]\n");
    let outcome = log_in(&house, "bob", &[]);
    assert_eq!(outcome.code, Pam::SystemErr, "{outcome:?}");
    let _ = house.syslog().expect("look at /etc/nsswitch.conf");
    assert_eq!(log_in(&house, "alice", &[&phone.now()]).code, Pam::Success);
}

#[test]
fn one_that_cannot_say_whom_an_entry_exempts_exempts_no_user_by_it_and_all_by_the_others() {
    let (house, phone) = realm("[policy]\nexempt = [\"CORP\\\\broken\", \"carol\"]\n");
    assert!(is_challenged(&house, "bob"));
    let _ = house.syslog().expect("until then it exempts no user");
    assert!(!is_challenged(&house, "carol"));
    assert_eq!(log_in(&house, "alice", &[&phone.now()]).code, Pam::Success);
}

#[test]
fn one_that_cannot_say_whom_a_caller_may_ask_about_refuses_as_a_wrong_code_does_and_names_it() {
    let allow = "{ bob = [\"CORP\\\\broken\", \"carol\"], \"CORP\\\\broken\" = [\"alice\"] }";
    let (house, alice) = realm(&format!("[callers]\nallow = {allow}\n"));
    let carol = house.enroll("carol");
    let asks = |user: &str, code: &str| {
        let mut application = house.application_as("bob");
        application.login("code", user).authenticate([code, code])
    };
    let refused = asks("carol", &carol.wrong(0));
    assert_eq!((refused.code, refused.prompts().len()), (Pam::AuthErr, 2));
    for user in ["alice", "mallory"] {
        assert_eq!(asks(user, &alice.now()), refused, "{user}");
    }
    let _ =
        house.syslog().expect("[callers] allow of bob names CORP\\broken, and the name service");
    let _ = house
        .syslog()
        .expect("[callers] allow names the caller CORP\\broken, and the name service");
    assert_eq!(asks("carol", &carol.now()).code, Pam::Success, "by another entry");
}
