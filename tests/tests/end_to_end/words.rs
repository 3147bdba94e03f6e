//! Words at the prompt: `sms` and `new`, typed by people who have a number, an account, or neither.

use std::fs;

use pam_totp_tests::{Application, FirstFactor, House, Login, PASSWORD, Pam, Phone, Plan, Sshd};

use crate::account_phase::opened;
use crate::{CODE, NEXT};

const SMS: &str = "[sms]\ncommand = [\"/bin/true\", \"{phone}\"]\n";

/// What stands in the prompt after any word.
const WORDS: &str = "After sms, a code is on its way if your number is known here.";

fn house() -> House {
    House::with_config(&format!("{SMS}{}", crate::ENROLLS))
}

fn with_number(house: &House, user: &str) -> Phone {
    let arguments = ["enroll", user, "--phone", "+420123456789", "--json", "--no-confirm"];
    let document = house.admin_json(&arguments);
    Phone::new(document["secret"].as_str().expect("enroll --json gives the secret"))
}

/// The codes of the messages that wait in the outbox, oldest first.
fn codes_in_outbox(house: &House) -> Vec<String> {
    let outbox = fs::read_dir(house.path("/var/lib/pam-totp/outbox")).unwrap();
    let mut found: Vec<(std::time::SystemTime, String)> = outbox
        .map(Result::unwrap)
        .filter(|entry| entry.file_name().to_string_lossy().starts_with("text-"))
        .map(|entry| {
            let text = fs::read_to_string(entry.path()).unwrap();
            let said = text.lines().find_map(|line| line.strip_prefix("text ")).unwrap();
            let code = said.split("%20is%20your").next().unwrap().replace("%20", "");
            (entry.metadata().unwrap().modified().unwrap(), code)
        })
        .collect();
    found.sort();
    found.into_iter().map(|(_, code)| code).collect()
}

/// Types `word`, and then gives up after two wrong codes; the prompts.
fn prompts_after(application: &mut Application, user: &str, word: &str) -> Vec<String> {
    let outcome = application.login("code", user).authenticate([word, "123456", "234567"]);
    assert_eq!(outcome.code, Pam::AuthErr, "{outcome:?}");
    outcome.prompts().into_iter().map(str::to_string).collect()
}

#[test]
fn every_word_is_answered_alike_for_everyone() {
    let house = house();
    let _alice = with_number(&house, "alice");
    let _bob = house.enroll("bob");
    let mut application = house.application();
    let expected = prompts_after(&mut application, "alice", "sms");
    assert_eq!((expected.len(), expected[0].as_str(), expected[2].as_str()), (3, CODE, NEXT));
    assert!(expected[1].starts_with(WORDS), "{expected:?}");
    for user in ["alice", "bob", "carol", "mallory"] {
        for word in ["sms", "new", "xyz"] {
            assert_eq!(prompts_after(&mut application, user, word), expected, "{user} {word}");
        }
    }
    // Two by the stranger who tried alice, and nobody else's.
    assert_eq!(codes_in_outbox(&house).len(), 2);
}

#[test]
fn whoever_has_an_open_enrollment_sees_the_same_after_words_and_wrong_codes() {
    let house = house();
    let _alice = with_number(&house, "alice");
    let _code = opened(&house, "bob");
    let mut application = house.application();
    // Of everything that can be typed wrong: a word, a code, two, one that is good once, and nothing.
    let answers = ["sms", "new", "123456", "123456 234567", "K7QM-2XVA-9TRC-HW4E", ""];
    for first in answers {
        for second in answers {
            let mut attempt = |user| {
                application.login("code", user).authenticate([first, second, "345678", "456789"])
            };
            let expected = attempt("alice");
            assert_eq!(expected.code, Pam::AuthErr, "{first:?} {second:?}: {expected:?}");
            for user in ["bob", "carol", "mallory"] {
                assert_eq!(attempt(user), expected, "{user}: {first:?} {second:?}");
            }
        }
    }
}

#[test]
fn strangers_leave_an_enrollment_code_its_three_logins() {
    let house = house();
    let code = opened(&house, "alice");
    let mut application = house.application();
    for n in 0..40 {
        let mut login = application.login("code", "alice");
        let wrong = ["K7QM-2XVA-9TRC-HW4E", "123456", "sms"];
        let outcome = login.from(&format!("203.0.{n}.1")).authenticate(wrong);
        assert_eq!(outcome.code, Pam::AuthErr, "{outcome:?}");
    }
    let mut lets_in = || {
        let mut login = application.login("code", "alice");
        login.from("198.51.100.7").authenticate([&code, &code]).code == Pam::Success
    };
    assert_eq!([lets_in(), lets_in(), lets_in(), lets_in()], [true, true, true, false]);
}

#[test]
fn whoever_sshd_refuses_is_shown_the_same_after_a_word() {
    let house = house();
    let _alice = with_number(&house, "alice");
    let sshd = Sshd::start(&house, FirstFactor::Password);
    for user in ["alice", "mallory"] {
        let mut terminal = sshd.connect(user);
        terminal.expect("Password: ").type_line("wrong horse");
        terminal.expect(CODE).type_line("sms");
        terminal.expect("Verification code: ").type_line("123456");
        terminal.expect(NEXT).type_line("234567");
        assert!(!terminal.wait().success());
        let shown = terminal.shown().replace(user, "USER");
        assert!(shown.contains(WORDS), "{shown}");
    }
}

#[test]
fn the_code_of_a_text_message_logs_in_once() {
    let house = house();
    let _phone = with_number(&house, "alice");
    let sshd = Sshd::start(&house, FirstFactor::Password);
    let mut terminal = sshd.connect("alice");
    terminal.expect("Password: ").type_line(PASSWORD);
    terminal.expect(CODE).type_line("sms");
    terminal.expect("Verification code: ");
    let codes = codes_in_outbox(&house);
    assert_eq!((codes.len(), codes[0].len()), (1, 8));
    terminal.type_line(&codes[0]);
    terminal.expect("in as alice");
    assert!(terminal.wait().success());
    let again = house.application().login("code", "alice").authenticate([&codes[0], &codes[0]]);
    assert_eq!(again.code, Pam::AuthErr);
    let _ = house.syslog().expect("accepted text-message for alice");
    let _ = house.syslog().expect("reason=wrong user=alice");
}

/// Hears a login that was given its code to the end, giving up at the second prompt.
fn result(mut login: Login<'_>) -> Pam {
    login.rest([] as [&str; 0]).code
}

#[test]
fn of_32_processes_with_one_text_messages_code_exactly_one_is_let_in() {
    let users: Vec<String> = (0..10).map(|n| format!("user{n}")).collect();
    let config = Some(SMS.to_string());
    let house = House::from_plan(&Plan { people: users.clone(), config, ..Plan::default() });
    let mut applications: Vec<Application> = (0..32).map(|_| house.application()).collect();
    for (round, user) in users.iter().enumerate() {
        let _phone = with_number(&house, user);
        let mut logins: Vec<Login<'_>> = Vec::new();
        for (n, application) in applications.iter_mut().enumerate() {
            let mut login = application.login("code", user);
            assert_eq!(login.begin("auth 0").hear().prompt(), Some(CODE));
            if n == 0 {
                login.answer("sms");
                assert!(login.hear().prompt().unwrap().starts_with(WORDS));
            }
            logins.push(login);
        }
        let codes = codes_in_outbox(&house);
        let code = &codes[round];
        for login in &mut logins {
            login.answer(code);
        }
        let results: Vec<Pam> = logins.into_iter().map(result).collect();
        let let_in = results.iter().filter(|&&code| code == Pam::Success).count();
        assert_eq!(let_in, 1, "round {round}: {results:?}");
    }
}

#[test]
fn strangers_who_ask_for_texts_neither_bomb_anybody_nor_keep_the_owner_out() {
    let house = house();
    let phone = with_number(&house, "alice");
    let mut application = house.application();
    let mut login = application.login("code", "alice");
    assert_eq!(login.from("198.51.100.7").authenticate([&phone.now()]).code, Pam::Success);
    drop(login);
    for n in 0..40 {
        let mut login = application.login("code", "alice");
        let outcome = login.from(&format!("203.0.{n}.1")).authenticate(["sms"; 3]);
        assert_ne!(outcome.code, Pam::Success);
    }
    assert_eq!(codes_in_outbox(&house).len(), 2);
    // One is left for the owner, and none of the others has voided it.
    let mut login = application.login("code", "alice");
    login.from("198.51.100.7").begin("auth 0").hear();
    login.answer("sms");
    assert!(login.hear().prompt().unwrap().starts_with(WORDS));
    let codes = codes_in_outbox(&house);
    assert_eq!(codes.len(), 3);
    login.answer(&codes[2]);
    assert_eq!(result(login), Pam::Success);
    let mut login = application.login("code", "alice");
    let outcome = login.from("198.51.100.7").authenticate([&phone.in_steps(1)]);
    assert_eq!(outcome.code, Pam::Success);
}

#[test]
fn who_gets_in_after_their_code_was_accepted_elsewhere_is_on_record() {
    let house = House::build();
    let phone = house.enroll("alice");
    let mut application = house.application();
    let code = phone.now();
    let mut login = application.login("code", "alice");
    assert_eq!(login.from("203.0.113.9").authenticate([&code]).code, Pam::Success);
    drop(login);
    let mut login = application.login("code", "alice");
    let next = phone.in_steps(1);
    assert_eq!(login.from("198.51.100.7").authenticate([&code, &next]).code, Pam::Success);
    drop(login);
    let records = house.records();
    let alarm = records.iter().find(|record| record["event"] == "code-already-used").unwrap();
    assert_eq!((&alarm["user"], &alarm["rhost"]), (&"alice".into(), &"198.51.100.7".into()));
    let reason = alarm["reason"].as_str().unwrap();
    assert!(reason.ends_with("by code from 203.0.113.9"), "{reason}");
}
