//! Screen lockers, which run as the user whose screen they lock: the real i3lock on a real X server, and the PAM services of
//! others as their packages have them.

use std::fs;

use nix::sys::signal::Signal;
use pam_totp_tests::{Decider, Desktop, House, Outcome, PASSWORD, Pam, Phone, Plan, guide};

use crate::account_phase::opened;
use crate::written_stacks::{COMMON_ACCOUNT, COMMON_AUTH, first_steps};
use crate::{CODE, NEXT};

/// Services of packages that are one line: `auth include login`.
const INCLUDE_LOGIN: [&str; 2] = ["i3lock", "swaylock"];

/// A house with what Debian has: the common files, and each locker's own, as its package has it. alice is enrolled.
fn house() -> (House, Phone) {
    let house = House::from_plan(&Plan { decided_by: Decider::Daemon, ..Plan::default() });
    house.stack("common-auth", COMMON_AUTH);
    house.stack("common-account", COMMON_ACCOUNT);
    for service in ["i3lock", "swaylock", "xscreensaver"] {
        let file = fs::read_to_string(format!("/etc/pam.d/{service}"));
        house.stack(service, &file.unwrap_or_else(|_| panic!("{service} is needed")));
    }
    let phone = house.enroll("alice");
    (house, phone)
}

/// The lines of the guide for programs that answer every prompt with the one password, and no pause after a refusal.
fn one_answer() -> String {
    let block = guide().block("### i3lock and swaylock", "pam_totp.so");
    block.replace("pam_totp.so", "pam_totp.so nodelay")
}

/// The README's lines for password and code.
fn two_answers() -> String {
    first_steps().replace("auth    required pam_totp.so", "auth required pam_totp.so nodelay")
}

/// Types a password that the module refuses. That i3lock reads it and asks proves that the screen was locked until then; that it
/// is locked still, the next line proves.
fn is_refused(house: &House, desktop: &Desktop<'_>, password: &str) {
    house.syslog().clear();
    desktop.type_line(password);
    let _ = house.syslog().expect("pam_totp(i3lock:auth): authentication failure");
}

#[test]
fn i3lock_unlocks_with_password_and_code_in_one_and_with_nothing_less() {
    let (house, phone) = house();
    house.stack("i3lock", &one_answer());
    let desktop = Desktop::open(&house, "alice");
    let code = phone.now();
    let right = format!("{PASSWORD}{code}");
    let mut locker = desktop.lock();
    is_refused(&house, &desktop, &format!("{PASSWORD}{}", phone.wrong(0)));
    is_refused(&house, &desktop, PASSWORD);
    // What is expected to unlock comes behind a line with nothing in it that could have.
    is_refused(&house, &desktop, "wrong horse");
    desktop.type_line(&right);
    assert!(locker.unlocked().success());
    let mut locker = desktop.lock();
    is_refused(&house, &desktop, &right);
    is_refused(&house, &desktop, "wrong horse");
    desktop.type_line(&format!("{PASSWORD},{}", phone.in_steps(1)));
    assert!(locker.unlocked().success());
}

#[test]
fn a_right_code_behind_a_wrong_password_unlocks_nothing() {
    let (house, phone) = house();
    house.stack("i3lock", &one_answer());
    let desktop = Desktop::open(&house, "alice");
    let _locker = desktop.lock();
    desktop.type_line(&format!("wrong horse{}", phone.now()));
    let _ = house.syslog().expect("accepted totp for alice");
    is_refused(&house, &desktop, PASSWORD);
}

#[test]
fn behind_the_lines_of_login_i3lock_never_unlocks_for_an_enrolled_user() {
    let (house, phone) = house();
    house.stack("login", &two_answers());
    let desktop = Desktop::open(&house, "alice");
    let _locker = desktop.lock();
    is_refused(&house, &desktop, PASSWORD);
    is_refused(&house, &desktop, PASSWORD);
    // pam_unix takes the whole of it for the password, and common-auth ends there.
    desktop.type_line(&format!("{PASSWORD}{}", phone.now()));
    let _ = house.syslog().expect("pam_unix(i3lock:auth): authentication failure");
    is_refused(&house, &desktop, PASSWORD);
}

#[test]
fn with_nullok_a_user_who_is_not_enrolled_unlocks_i3lock_with_the_password_alone() {
    for lines in [two_answers(), one_answer()] {
        let (house, _) = house();
        house.stack("login", &lines);
        let desktop = Desktop::open(&house, "bob");
        let mut locker = desktop.lock();
        desktop.type_line("wrong horse");
        let _ = house.syslog().expect("pam_unix(i3lock:auth): authentication failure");
        desktop.type_line(PASSWORD);
        assert!(locker.unlocked().success());
        let _ = house.syslog().expect("pam_totp(i3lock:auth): not asked for bob: not required");
    }
}

#[test]
fn xscreensaver_asks_for_the_password_and_then_for_the_code() {
    let (house, phone) = house();
    house.stack("xscreensaver", &two_answers());
    let desktop = Desktop::open(&house, "alice");
    let mut screen = desktop.lock_with_xscreensaver();
    screen.answer("Password: ", PASSWORD).answer(CODE, &phone.wrong(0));
    screen.answer(NEXT, &phone.now()).expect("authentication succeeded").expect("unlocking");
    let _ = house.syslog().expect("pam_totp(xscreensaver:auth): accepted totp for alice");
}

/// A login at a service in a program that runs as the user `caller`.
fn own(house: &House, caller: &str, (service, user): (&str, &str), answers: &[&str]) -> Outcome {
    let mut application = house.application_as(caller);
    application.login(service, user).authenticate(answers.iter().copied())
}

/// Each service, with the README's lines where its file has them.
fn with_the_readmes_lines(service: &str) -> (House, Phone) {
    let (house, phone) = house();
    if INCLUDE_LOGIN.contains(&service) {
        house.stack("login", &two_answers());
    } else {
        house.stack(service, &two_answers());
    }
    (house, phone)
}

const SERVICES: [&str; 3] = ["i3lock", "swaylock", "xscreensaver"];

#[test]
fn a_locker_asks_for_a_code_of_the_users_own_which_is_good_once() {
    for service in SERVICES {
        let (house, phone) = with_the_readmes_lines(service);
        let (code, wrong) = (phone.now(), phone.wrong(0));
        let outcome = own(&house, "alice", (service, "alice"), &[PASSWORD, &code]);
        assert_eq!((outcome.code, outcome.prompts().len()), (Pam::Success, 2), "{outcome:?}");
        let again = own(&house, "alice", (service, "alice"), &[PASSWORD, &code, &wrong]);
        assert_eq!((again.code, &again.prompts()[1..]), (Pam::AuthErr, &[CODE, NEXT][..]));
    }
}

#[test]
fn a_locker_never_unlocks_with_the_code_of_another_account() {
    for service in SERVICES {
        let (house, phone) = with_the_readmes_lines(service);
        // The password of another account can't be checked either; what is ours is alone here.
        let lines = two_answers().replace("@include common-auth\n", "");
        house.stack(service, &format!("{lines}auth required pam_permit.so\n"));
        let (code, wrong) = (phone.now(), phone.wrong(0));
        for user in ["alice", "carol", "mallory"] {
            let outcome = own(&house, "bob", (service, user), &[&code, &wrong]);
            assert_eq!((outcome.code, outcome.prompts()), (Pam::AuthErr, vec![CODE, NEXT]));
        }
        let outcome = own(&house, "alice", (service, "alice"), &[&code]);
        assert_eq!(outcome.code, Pam::Success, "not spent by another user: {outcome:?}");
    }
}

#[test]
fn with_nullok_a_locker_lets_its_user_in_who_is_not_enrolled() {
    for service in SERVICES {
        let (house, _) = with_the_readmes_lines(service);
        let outcome = own(&house, "bob", (service, "bob"), &[PASSWORD]);
        assert_eq!((outcome.code, outcome.prompts().len()), (Pam::Success, 1), "{outcome:?}");
        let without = two_answers().replace(" nullok", "");
        house.stack(if service == "xscreensaver" { service } else { "login" }, &without);
        let wrong = ["123456", "234567"];
        let outcome = own(&house, "bob", (service, "bob"), &[PASSWORD, wrong[0], wrong[1]]);
        assert_eq!((outcome.code, &outcome.prompts()[1..]), (Pam::AuthErr, &[CODE, NEXT][..]));
    }
}

#[test]
fn with_nullok_an_error_is_no_user_who_is_not_enrolled() {
    let (house, _) = with_the_readmes_lines("i3lock");
    let alone = |answers: &[&str]| own(&house, "bob", ("i3lock", "bob"), answers).code;
    assert_eq!(alone(&[PASSWORD]), Pam::Success);
    let users = house.path("/var/lib/pam-totp/users");
    fs::rename(&users, users.with_extension("away")).unwrap();
    assert_eq!(alone(&[PASSWORD]), Pam::SystemErr);
    fs::rename(users.with_extension("away"), &users).unwrap();
    fs::write(users.join("bob.toml"), "status = \"enrold\"\n").unwrap();
    assert_eq!(alone(&[PASSWORD, "123456", "234567"]), Pam::AuthErr);
    fs::remove_file(users.join("bob.toml")).unwrap();
    assert_eq!(alone(&[PASSWORD]), Pam::Success);
}

#[test]
fn with_nullok_a_locker_does_not_let_in_a_user_who_is_to_enroll() {
    let (house, _) = with_the_readmes_lines("i3lock");
    let code = opened(&house, "bob");
    let outcome = own(&house, "bob", ("i3lock", "bob"), &[PASSWORD, &code, &code]);
    assert_eq!(outcome.code, Pam::AuthErr, "{outcome:?}");
}

#[test]
fn the_policy_of_a_locker_is_that_of_its_own_service_whatever_its_file_includes() {
    let (house, _) = with_the_readmes_lines("i3lock");
    let prompts = |service: &str| {
        house.configure(&format!("[service.{service}]\nexempt = [\"alice\"]\n"));
        own(&house, "alice", ("i3lock", "alice"), &[PASSWORD]).prompts().len()
    };
    assert_eq!((prompts("login"), prompts("i3lock")), (2, 1));
}

#[test]
fn while_the_daemon_is_stopped_a_screen_stays_locked_and_then_unlocks() {
    let (mut house, phone) = house();
    house.stack("i3lock", &one_answer());
    let both = format!("{PASSWORD},{}", phone.now());
    house.end_daemon(Signal::SIGTERM);
    let answers = |house: &House| own(house, "alice", ("i3lock", "alice"), &[&both]);
    let stopped = answers(&house);
    assert_eq!(stopped.code, Pam::SystemErr, "{stopped:?}");
    house.start_daemon();
    assert_eq!(answers(&house).code, Pam::Success);
}
