//! Services with one password field, and what is typed by machines: password and code in one answer are evaluated once, an
//! empty answer not at all, and the account's password in place of a code is named.

use std::fs;

use pam_totp_tests::{Answer, FirstFactor, House, Outcome, PASSWORD, Pam, Sshd};

use crate::account_phase::opened;
use crate::{CODE, ENROLLS, NEXT, ONE_PASSWORD, failures, reasons};

const BOTH: &str = "Password and verification code, together: ";
const NOTHING: &str = "Nothing was typed, so nothing was checked.";

/// What has been spent of a user's budget, as the state file says it.
fn spent(house: &House, user: &str) -> String {
    let bytes = fs::read(house.path(format!("/var/lib/pam-totp/state/{user}"))).unwrap();
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let line = text.lines().find(|line| line.starts_with("spent ")).expect("a meter");
    line.split(" credited").next().unwrap().to_string()
}

fn log_in(house: &House, service: &str, user: &str, answers: &[&str]) -> Outcome {
    house.application().login(service, user).authenticate(answers.iter().copied())
}

#[test]
fn with_forward_pass_there_is_one_prompt_one_evaluation_and_one_line_whatever_is_typed() {
    let house = House::build();
    let phone = house.enroll("alice");
    house.stack("mail", ONE_PASSWORD);
    let right = format!("{PASSWORD}{}", phone.now());
    let wrong = format!("{PASSWORD}{}", phone.wrong(0));
    let mut last = None;
    for (user, typed, code, reason) in [
        ("alice", right.as_str(), Pam::Success, None),
        ("alice", &right, Pam::AuthErr, Some("replay")),
        ("alice", &wrong, Pam::AuthErr, Some("wrong")),
        ("alice", PASSWORD, Pam::AuthErr, Some("wrong")),
        ("alice", "?", Pam::AuthErr, Some("wrong")),
        ("alice", "sms", Pam::AuthErr, Some("wrong")),
        ("bob", &wrong, Pam::AuthErr, Some("not-enrolled")),
        ("nobody-here", &wrong, Pam::AuthErr, Some("no-account")),
    ] {
        house.syslog().clear();
        let outcome = log_in(&house, "mail", user, &[typed, typed, typed]);
        assert_eq!((outcome.code, outcome.prompts()), (code, vec![BOTH]), "{user} {typed}");
        assert_eq!(reasons(&house), reason.into_iter().collect::<Vec<_>>(), "{user} {typed}");
        assert_eq!(failures(&house), usize::from(reason.is_some()), "{user} {typed}");
        if let Some(reason) = reason {
            let refused: Vec<_> = outcome.messages().into_iter().map(str::to_string).collect();
            let same = last.get_or_insert_with(|| refused.clone());
            assert_eq!(*same, refused, "{reason}");
        }
    }
}

#[test]
fn a_wrong_code_behind_a_password_costs_as_much_as_one_alone() {
    let house = House::build();
    let _ = (house.enroll("alice"), house.enroll("bob"));
    let phone = house.enroll("carol");
    house.stack("mail", ONE_PASSWORD);
    let wrong = phone.wrong(0);
    let _ = log_in(&house, "code", "alice", &[&wrong]);
    let _ = log_in(&house, "mail", "bob", &[&format!("{PASSWORD}{wrong}")]);
    assert_eq!(spent(&house, "alice"), spent(&house, "bob"));
    let before = spent(&house, "carol");
    let _ = log_in(&house, "mail", "carol", &[PASSWORD]);
    assert_eq!(spent(&house, "carol"), before, "no code was guessed at");
}

#[test]
fn the_password_goes_to_the_next_module_as_what_was_accepted_has_it() {
    let house = House::build();
    house.stack("mail", ONE_PASSWORD);
    // Its last six characters are digits: by the form of the answer alone they would be a code.
    let password = "tail,123456";
    let set = format!("printf '%s\\n' 'alice:{password}' | chpasswd");
    house.stack("chpasswd", "password required pam_unix.so sha512\n");
    house.run("sh", &["-c", &set]);
    let document =
        house.admin_json(&["enroll", "alice", "--json", "--no-confirm", "--digits", "8"]);
    let secret = document["secret"].as_str().unwrap().to_string();
    let code = |steps: i64| {
        let now = format!("now + {} seconds", steps * 30);
        let shown = std::process::Command::new("oathtool")
            .args(["--totp", "--base32", "--digits", "8", "--now", &now, &secret])
            .output()
            .expect("oathtool is needed");
        String::from_utf8(shown.stdout).unwrap().trim().to_string()
    };
    let recovery = document["recovery_codes"][0].as_str().unwrap();
    for text in [
        format!("{password}{}", code(0)),
        format!("{password},{}", code(1)),
        format!("{password}{recovery}"),
    ] {
        let outcome = log_in(&house, "mail", "alice", &[&text]);
        assert_eq!(outcome.code, Pam::Success, "{text}");
    }
}

#[test]
fn behind_an_earlier_password_there_is_one_prompt_where_no_code_in_it_is_right() {
    let house = House::build();
    let phone = house.enroll("alice");
    house.stack(
        "tried",
        "auth optional pam_unix.so nodelay\nauth required pam_totp.so nodelay try_first_pass forward_pass\n\
         auth required pam_unix.so use_first_pass nodelay\naccount required pam_permit.so\n",
    );
    let with = |code: String| format!("{PASSWORD}{code}");
    let (wrong, right) = (with(phone.wrong(0)), with(phone.in_steps(-1)));
    let outcome = log_in(&house, "tried", "alice", &[&right]);
    assert_eq!((outcome.code, outcome.prompts()), (Pam::Success, vec!["Password: "]));
    // A password may end as a code does.
    for (answer, code) in [(phone.wrong(1), Pam::AuthErr), (phone.now(), Pam::Success)] {
        let outcome = log_in(&house, "tried", "alice", &[&wrong, &answer, &answer]);
        assert_eq!((outcome.code, outcome.prompts()), (code, vec!["Password: ", NEXT]));
    }
    for (answer, code) in [(phone.wrong(1), Pam::AuthErr), (phone.in_steps(1), Pam::Success)] {
        let outcome = log_in(&house, "tried", "alice", &[PASSWORD, &answer, &answer]);
        assert_eq!((outcome.code, outcome.prompts()), (code, vec!["Password: ", CODE]));
    }
}

#[test]
fn an_empty_answer_is_no_answer_whoever_gives_it() {
    let house = House::build();
    let _ = house.enroll("alice");
    house.stack("mail", ONE_PASSWORD);
    let before = spent(&house, "alice");
    for (service, prompt) in [("code", CODE), ("mail", BOTH)] {
        for user in ["alice", "bob", "nobody-here"] {
            house.syslog().clear();
            let outcome = log_in(&house, service, user, &["", "", ""]);
            assert_eq!((outcome.code, outcome.prompts()), (Pam::AuthErr, vec![prompt]), "{user}");
            assert_eq!(outcome.messages(), [NOTHING]);
            assert_eq!((reasons(&house), failures(&house)), (vec!["no-reply".to_string()], 0));
        }
    }
    assert_eq!(spent(&house, "alice"), before);
}

#[test]
fn an_empty_answer_behind_a_wrong_one_leaves_the_failure_line_of_that() {
    let house = House::build();
    let phone = house.enroll("alice");
    let outcome = log_in(&house, "code", "alice", &[&phone.wrong(0), "", ""]);
    assert_eq!((outcome.code, outcome.prompts()), (Pam::AuthErr, vec![CODE, NEXT]));
    assert_eq!((reasons(&house), failures(&house)), (vec!["wrong".into(), "no-reply".into()], 1));
}

#[test]
fn over_ssh_enter_pressed_by_mistake_costs_a_round_and_says_so() {
    let house = House::build();
    let phone = house.enroll("alice");
    let sshd = Sshd::start(&house, FirstFactor::PublicKey);
    house.stack("sshd", "auth required pam_totp.so nodelay\naccount required pam_permit.so\nsession required pam_permit.so\n");
    let client = pam_totp_tests::Client { tries: 2, ..Default::default() };
    let mut terminal = sshd.connect_as("alice", client);
    terminal.expect(CODE).type_line("").expect(NOTHING).expect(CODE).type_line(&phone.now());
    let _ = terminal.expect("in as alice");
    assert_eq!((reasons(&house), failures(&house)), (vec!["no-reply".to_string()], 0));
}

#[test]
fn over_ssh_the_password_method_leaves_one_reason_and_what_to_set() {
    let house = House::build();
    let _ = house.enroll("alice");
    let sshd = Sshd::start(&house, FirstFactor::PasswordMethod);
    let before = spent(&house, "alice");
    let mut terminal = sshd.connect("alice");
    terminal.expect("password: ").type_line(PASSWORD).expect("Permission denied");
    assert_eq!((reasons(&house), failures(&house)), (vec!["password-typed".to_string()], 1));
    let lines = house.syslog().module_lines();
    let hints = lines.iter().filter(|line| line.contains("Set KbdInteractiveAuthentication yes"));
    assert_eq!(hints.count(), 1, "{lines:?}");
    assert_eq!(spent(&house, "alice"), before, "words are no guess at a code");
}

#[test]
fn over_ssh_a_code_as_long_as_the_password_does_not_tell_whom_sshd_refuses() {
    let house = House::build();
    let _ = house.enroll("alice");
    house.stack(
        "sshd",
        "auth required pam_unix.so nodelay\nauth required pam_totp.so nodelay\naccount required pam_permit.so\n",
    );
    let lines = "UsePAM yes\nKbdInteractiveAuthentication yes\nPasswordAuthentication no\n\
                 AuthenticationMethods keyboard-interactive\nDenyUsers bob";
    let sshd = Sshd::start_as_written(&house, lines, "keyboard-interactive");
    // sshd gives modules junk of the same length for every answer of bob's.
    for (password, code, next) in
        [("abcdef", "123456", NEXT), ("abc", "xyz", "After sms"), ("a", "b", "Type one of")]
    {
        for user in ["alice", "bob", "nobody-here"] {
            let mut terminal = sshd.connect(user);
            terminal.expect("Password: ").type_line(password).expect(CODE).type_line(code);
            let _ = terminal.expect(next);
        }
    }
}

#[test]
fn a_password_in_place_of_a_code_is_an_answer_like_any_other_and_is_named_in_the_log() {
    let house = House::build();
    let _ = house.enroll("alice");
    let before = spent(&house, "alice");
    for (user, password, reason) in [
        ("alice", "12345678", "password-typed"),
        ("alice", "123456", "password-typed"),
        ("bob", "123456", "not-enrolled"),
        ("nobody-here", "123456", "no-account"),
    ] {
        house.syslog().clear();
        let mut application = house.application();
        let mut login = application.login("both", user);
        let outcome = login.item("tty", "").authenticate([password, password, password]);
        assert_ne!(outcome.code, Pam::Success);
        assert_eq!(outcome.prompts(), ["Password: ", CODE, NEXT]);
        assert_eq!((reasons(&house), failures(&house)), (vec![reason.to_string()], 1));
        let _ = house.syslog().expect("forward_pass above the module that checks the password");
        if password.len() == 8 {
            assert_eq!(spent(&house, "alice"), before);
        }
    }
    assert_ne!(spent(&house, "alice"), before);
}

#[test]
fn an_enrollment_code_is_as_good_as_before_where_nobody_could_be_asked() {
    let house = House::with_config(ENROLLS);
    let code = opened(&house, "alice");
    let mut application = house.application();
    for _ in 0..4 {
        let mut login = application.login("code", "alice");
        assert_eq!(login.authenticate([&code]).code, Pam::Success);
        let account = login.call("acct 0", [Answer::Refuse]);
        assert_eq!((account.code, account.prompts().len()), (Pam::PermDenied, 1));
    }
    // The same handle has nothing to give back a second time.
    let mut login = application.login("code", "alice");
    assert_eq!(login.authenticate([&code]).code, Pam::Success);
    for _ in 0..3 {
        assert_eq!(login.call("acct 0", [Answer::Refuse]).code, Pam::PermDenied);
    }
    drop(login);
    // Who was asked, and declined, has had a login of the code.
    for _ in 0..3 {
        let mut login = application.login("code", "alice");
        assert_eq!(login.authenticate([&code]).code, Pam::Success);
        assert_eq!(login.call("acct 0", ["n"]).code, Pam::PermDenied);
    }
    let outcome = application.login("code", "alice").authenticate([&code, &code]);
    assert_eq!(outcome.code, Pam::AuthErr, "three logins");
}

#[test]
fn a_program_that_never_calls_account_gets_three_logins_by_an_enrollment_code() {
    let house = House::with_config(ENROLLS);
    let code = opened(&house, "alice");
    let mut application = house.application();
    let mut let_in = 0;
    for _ in 0..5 {
        let outcome = application.login("code", "alice").authenticate([&code]);
        let_in += usize::from(outcome.code == Pam::Success);
    }
    assert_eq!(let_in, 3);
}

#[test]
fn a_stack_that_passes_over_account_is_not_let_in_for_ever_by_an_enrollment_code() {
    let house = House::with_config(ENROLLS);
    let code = opened(&house, "alice");
    house.stack("code", "auth required pam_totp.so nodelay\naccount optional pam_totp.so\naccount required pam_permit.so\n");
    let mut application = house.application();
    let let_in = (0..20).filter(|_| {
        let mut login = application.login("code", "alice");
        let is_in = login.authenticate([&code]).code == Pam::Success;
        let _ = login.call("acct 0", [Answer::Refuse]);
        is_in
    });
    assert_eq!(let_in.count(), 12);
}

#[test]
fn over_ssh_the_password_method_uses_up_no_enrollment_code() {
    let house = House::build();
    let code = opened(&house, "alice");
    house.stack("sshd", ONE_PASSWORD);
    let sshd = Sshd::start(&house, FirstFactor::PasswordMethod);
    for _ in 0..4 {
        house.syslog().clear();
        let mut terminal = sshd.connect("alice");
        terminal.expect("password: ").type_line(&format!("{PASSWORD},{code}"));
        let _ = terminal.expect_one_of(&["Permission denied", "Connection closed"]);
        let _ = house.syslog().expect("accepted enrollment-code for alice");
        let _ = house.syslog().expect("the enrollment code of alice is as good as before");
    }
    let shown = house.admin_json(&["show", "alice", "--json"]);
    assert!(shown.to_string().contains("\"enrollment_logins_left\":3"), "{shown}");
}
