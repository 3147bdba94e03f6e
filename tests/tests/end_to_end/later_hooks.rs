//! Account and setcred: behind a refusal that the stack passed over, behind auth about another user or long ago, and where
//! auth did not run and nothing that decides is there.

use nix::sys::signal::Signal;
use pam_totp_tests::{Decider, House, Outcome, PASSWORD, Pam, Phone, Plan};

use crate::chance::leave_out;

/// Where no daemon listens, and what can't be started in its place.
const NOTHING: &str = "socket=/run/no-such-socket once=/nonexistent";

/// Alice and bob, enrolled, with a stack in which the password is `required` and the code is `control`, and these lines of
/// the account phase.
fn behind_a_password(house: &House, control: &str, account: &str) {
    let auth = "auth required pam_unix.so nodelay";
    house.stack("lax", &format!("{auth}\nauth {control} pam_totp.so nodelay\n{account}\n"));
}

fn enrolled() -> (House, Phone) {
    let config = Some("[service.due]\nenroll_in = [\"due\"]\n".to_string());
    let house = House::from_plan(&Plan { config, decided_by: Decider::Daemon, ..Plan::default() });
    let phone = house.enroll("alice");
    (house, phone)
}

fn refused_twice(phone: &Phone) -> [String; 3] {
    [PASSWORD.to_string(), phone.wrong(0), phone.wrong(1)]
}

/// Auth with these answers, which the stack as a whole grants; then account.
fn account_behind<const N: usize>(house: &House, answers: &[String; N]) -> Outcome {
    let mut application = house.application();
    let mut login = application.login("lax", "alice");
    let auth = login.authenticate(answers);
    assert_eq!(auth.code, Pam::Success, "{auth:?}");
    login.account()
}

const OURS: &str = "account required pam_totp.so\naccount required pam_permit.so";

#[test]
fn two_refusals_grant_nothing_where_the_line_is_optional_or_sufficient() {
    let (house, phone) = enrolled();
    for control in ["optional", "sufficient"] {
        behind_a_password(&house, control, OURS);
        let outcome = account_behind(&house, &refused_twice(&phone));
        assert_eq!(outcome.code, Pam::PermDenied, "{control}: {outcome:?}");
    }
    // A code that is right is enough in either.
    for (control, step) in [("optional", 0), ("sufficient", 1)] {
        behind_a_password(&house, control, OURS);
        let right = [PASSWORD.to_string(), phone.in_steps(step)];
        assert_eq!(account_behind(&house, &right).code, Pam::Success, "{control}");
    }
}

#[test]
fn or_other_leaves_a_refused_login_to_the_module_below() {
    let (house, phone) = enrolled();
    for (below, expected) in [("permit", Pam::Success), ("deny", Pam::AuthErr)] {
        let account =
            format!("account required pam_totp.so or-other\naccount required pam_{below}.so");
        behind_a_password(&house, "optional", &account);
        let outcome = account_behind(&house, &refused_twice(&phone));
        assert_eq!(outcome.code, expected, "pam_{below} {outcome:?}");
    }
}

#[test]
fn eleven_minutes_behind_auth_account_denies_whatever_auth_came_to() {
    let (mut house, phone) = enrolled();
    behind_a_password(&house, "optional", OURS);
    // A clock that counts from the start of the machine, which no program can set but for itself and what it starts.
    let later = |minutes: u32| format!("--boottime={}", minutes * 60);
    let uptime = |by: &[&str]| -> f64 {
        let output = house.command(by[0]).args(&by[1..]).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        said.split(' ').next().unwrap().parse().unwrap_or_default()
    };
    let plain = uptime(&["cat", "/proc/uptime"]);
    if uptime(&["unshare", "--time", &later(60), "cat", "/proc/uptime"]) < plain + 3600.0 {
        leave_out("account long behind auth", "no time namespace can be made here");
        return;
    }
    let right = |step| [PASSWORD.to_string(), phone.in_steps(step), phone.in_steps(step)];
    for (minutes, answers, expected) in [
        (9, right(0), Pam::Success),
        (11, right(1), Pam::PermDenied),
        (11, refused_twice(&phone), Pam::PermDenied),
    ] {
        let mut application = house.application();
        let mut login = application.login("lax", "alice");
        assert_eq!(login.authenticate(&answers).code, Pam::Success);
        house.start_daemon_by(&[], &["unshare", "--time", &later(minutes)]);
        let outcome = login.account();
        assert_eq!(outcome.code, expected, "{minutes} minutes: {outcome:?}");
        drop(login);
        house.start_daemon();
    }
}

/// A login that auth has granted for its enrollment alone; then what `between` does, account, and what setcred comes to.
fn setcred_of_a_due_enrollment(
    house: &mut House,
    account: &str,
    between: impl Fn(&mut House),
) -> Pam {
    let code = crate::account_phase::opened(house, "carol");
    house.stack("due", &format!("auth required pam_totp.so nodelay\n{account}\n"));
    let mut application = house.application();
    let mut login = application.login("due", "carol");
    assert_eq!(login.authenticate([&code]).code, Pam::Success);
    between(house);
    assert_eq!(login.account().code, Pam::Success);
    login.set_credentials().code
}

#[test]
fn an_enrollment_that_is_due_is_refused_by_setcred_too_where_account_failed() {
    let (mut house, _) = enrolled();
    // Passed over, since it is optional: its argument is none that there is.
    let account = "account optional pam_totp.so surprise\naccount required pam_permit.so";
    let code = setcred_of_a_due_enrollment(&mut house, account, |_| ());
    assert_eq!(code, Pam::PermDenied);
}

#[test]
fn an_enrollment_that_is_due_is_refused_by_setcred_too_where_account_found_no_program_that_decides()
{
    let (mut house, _) = enrolled();
    let account = format!("account optional pam_totp.so {NOTHING}\naccount required pam_permit.so");
    let code = setcred_of_a_due_enrollment(&mut house, &account, |_| ());
    assert_eq!(code, Pam::PermDenied);
}

#[test]
fn an_enrollment_that_is_due_is_refused_by_setcred_long_behind_auth() {
    let (mut house, _) = enrolled();
    let code = setcred_of_a_due_enrollment(&mut house, "account required pam_permit.so", |house| {
        house.start_daemon_by(&[], &["unshare", "--time", "--boottime=660"]);
    });
    assert_eq!(code, Pam::PermDenied);
}

#[test]
fn what_auth_granted_to_one_user_is_denied_to_another() {
    let (house, phone) = enrolled();
    let bob = house.enroll("bob");
    behind_a_password(&house, "required", OURS);
    let mut application = house.application();
    let mut login = application.login("lax", "alice");
    assert_eq!(login.authenticate([PASSWORD, &phone.now()]).code, Pam::Success);
    login.item("user", "bob");
    assert_eq!(login.account().code, Pam::PermDenied);
    // Another auth in the same handle counts for the user that it is about.
    assert_eq!(login.authenticate([PASSWORD, &bob.now()]).code, Pam::Success);
    assert_eq!(login.account().code, Pam::Success);
}

#[test]
fn a_refused_login_is_denied_by_account_where_nothing_decides_any_more() {
    let (mut house, phone) = enrolled();
    behind_a_password(
        &house,
        "optional",
        "account required pam_totp.so once=/nonexistent\naccount required pam_permit.so",
    );
    let mut application = house.application();
    let mut login = application.login("lax", "alice");
    assert_eq!(login.authenticate(&refused_twice(&phone)).code, Pam::Success);
    house.end_daemon(Signal::SIGTERM);
    assert_eq!(login.account().code, Pam::SystemErr);
}

#[test]
fn where_auth_did_not_run_account_and_setcred_need_nothing_that_decides() {
    let house = House::from_plan(&Plan { decided_by: Decider::Once, ..Plan::default() });
    let _phone = house.enroll("alice");
    let stack = format!(
        "auth sufficient pam_rootok.so\nauth required pam_totp.so {NOTHING}\n\
         account required pam_totp.so {NOTHING}\naccount required pam_permit.so\n\
         session required pam_permit.so\n"
    );
    for service in ["cron", "su"] {
        house.stack(service, &stack);
    }
    // As cron does.
    let mut application = house.application();
    let mut login = application.login("cron", "alice");
    let account = login.account();
    assert_eq!((account.code, account.heard.len()), (Pam::Success, 0), "{account:?}");
    assert_eq!(login.set_credentials().code, Pam::Success);
    assert_eq!(house.run("su", &["alice", "-c", "id -un"]), "alice\n");
    assert_eq!(house.syslog().module_lines(), [""; 0]);
    // Another user is challenged, and denied where nothing decides.
    let mut su = house.terminal_as("bob", "su", &["alice", "-c", "id -un"]);
    assert!(!su.wait().success(), "{}", su.shown());
}
