//! The account phase, over libpam directly: who is asked and shown what, what is worthless afterwards, and what is left as it
//! was. The real programs are in `enrollment_at_login`.

use std::fs;
use std::process::Child;

use pam_totp_tests::{Answer, Application, Heard, House, Login, Outcome, PASSWORD, Pam, Phone};

use crate::{CODE, NEXT};

/// What begins every enrollment.
pub const BEGIN: &str = "Two-factor login has to be set up.";
/// What asks for a code of the new key.
pub const CONFIRM: &str = "Code in the app (changes in ";
/// What asks whether recovery codes are noted.
pub const NOTED: &str = "Press Enter once that is noted;";
const KEY: &str = "Or type in this key: ";

/// A house where all services of these tests show keys.
fn here(config: &str) -> House {
    let services = ["trust", "bare", "order"].map(|name| crate::ENROLLS.replace("code", name));
    House::with_config(&format!("{config}{}{}", crate::ENROLLS, services.concat()))
}

/// Opens an enrollment for `user`; the code for it.
pub fn opened(house: &House, user: &str) -> String {
    let document = house.admin_json(&["enroll", user, "--at-login", "--json"]);
    document["enrollment_code"].as_str().expect("an enrollment code").to_string()
}

/// Opens one without a code.
pub fn opened_on_trust(house: &House, user: &str) {
    let document =
        house.admin_json(&["enroll", user, "--at-login", "--trust-first-factor", "--json"]);
    assert!(document["enrollment_code"].is_null(), "{document}");
}

/// The key that was shown last, in these prompts.
pub fn phone_in(prompts: &[&str]) -> Option<Phone> {
    let mut lines = prompts.iter().rev().flat_map(|prompt| prompt.lines());
    let key = lines.find_map(|line| line.strip_prefix(KEY))?;
    Some(Phone::new(&key.replace(' ', "")))
}

/// The recovery codes that were shown, in these prompts.
fn codes_in(prompts: &[&str]) -> Vec<String> {
    let lines = prompts.iter().flat_map(|prompt| prompt.lines());
    let codes = lines.filter(|line| line.starts_with("  ") && line.len() == 21);
    let codes: Vec<String> = codes.map(|line| line.trim().to_string()).collect();
    codes.into_iter().filter(|code| code.matches('-').count() == 3).collect()
}

/// The recovery code inside a prompt.
fn next_code(outcome: &Outcome) -> Option<String> {
    let prompt = outcome.prompts().into_iter().find(|prompt| prompt.starts_with("Your next"))?;
    prompt.split_once(": ")?.1.get(..19).map(str::to_string)
}

/// `pam_acct_mgmt` with somebody who reads: `answer` gets each prompt and the phone that has scanned what was shown so far.
fn account(
    login: &mut Login<'_>,
    mut answer: impl FnMut(&str, Option<&Phone>) -> Option<String>,
) -> Outcome {
    login.begin("acct 0");
    let mut heard: Vec<Heard> = Vec::new();
    loop {
        let next = login.hear();
        match &next {
            Heard::Returned(code) => return Outcome { code: *code, heard },
            Heard::Ask { text, .. } => {
                let earlier = heard.iter().filter_map(Heard::prompt);
                let prompts: Vec<&str> = earlier.chain([text.as_str()]).collect();
                let answer = answer(text, phone_in(&prompts).as_ref());
                login.answer(answer.map_or(Answer::Refuse, |text| Answer::from(&text)));
            }
            Heard::Tell { .. } | Heard::Delay(_) => {}
        }
        heard.push(next);
    }
}

/// Somebody who does all that is asked.
fn willing(prompt: &str, phone: Option<&Phone>) -> Option<String> {
    Some(if prompt.contains(CONFIRM) { phone.expect("a key").now() } else { String::new() })
}

/// Logs in with `code` and goes through the account phase.
fn log_in(
    house: &House,
    code: &str,
    answer: impl FnMut(&str, Option<&Phone>) -> Option<String>,
) -> Outcome {
    let mut application = house.application();
    let mut login = application.login("code", "alice");
    let outcome = login.authenticate([code]);
    assert_eq!(outcome.code, Pam::Success, "{outcome:?}");
    account(&mut login, answer)
}

/// Goes through the account phase behind `new`; the phone that was enrolled.
pub fn enroll_another(login: &mut Login<'_>) -> Phone {
    let outcome = account(login, willing);
    assert_eq!(outcome.code, Pam::Success, "{outcome:?}");
    phone_in(&outcome.prompts()).expect("a key")
}

/// Whether a login with `code` is accepted.
fn lets_in(house: &House, code: &str) -> bool {
    let outcome = house.application().login("code", "alice").authenticate([code]);
    assert!(matches!(outcome.code, Pam::Success | Pam::AuthErr | Pam::ConvErr), "{outcome:?}");
    outcome.code == Pam::Success
}

fn record_of(house: &House, user: &str) -> String {
    fs::read_to_string(house.path(format!("/var/lib/pam-totp/users/{user}.toml"))).unwrap()
}

fn module_said(house: &House, text: &str) -> bool {
    house.syslog().module_lines().iter().any(|line| line.contains(text))
}

/// Enrolls alice with recovery codes, as she does it herself.
fn enrolled(house: &House) -> (Phone, Vec<String>) {
    let outcome = log_in(house, &opened(house, "alice"), willing);
    assert_eq!(outcome.code, Pam::Success, "{outcome:?}");
    let prompts = outcome.prompts();
    (phone_in(&prompts).expect("a key"), codes_in(&prompts))
}

#[test]
fn an_enrollment_code_leads_to_a_phone_and_recovery_codes_that_log_in() {
    let house = here("");
    let (phone, codes) = enrolled(&house);
    assert_eq!(codes.len(), 5);
    assert_eq!(
        house.events(),
        ["pending", "enrollment-offered", "enrolled", "recovery-codes-issued"]
    );
    let enrolled = &house.records()[2];
    assert_eq!(
        (enrolled["actor"]["name"].as_str(), enrolled["service"].as_str()),
        (Some("alice"), Some("code"))
    );
    assert_eq!(enrolled["rhost"], "192.0.2.1");
    assert!(lets_in(&house, &phone.in_steps(1)));
    assert!(lets_in(&house, &codes[3]) && !lets_in(&house, &codes[3]));
    let log = house.syslog().module_lines().join("\n");
    assert!(!log.contains(phone.secret()) && !codes.iter().any(|code| log.contains(code)), "{log}");
}

#[test]
fn the_enrollment_code_is_void_once_the_enrollment_is_complete() {
    let house = here("");
    let code = opened(&house, "alice");
    let outcome = log_in(&house, &code, willing);
    assert_eq!(outcome.code, Pam::Success);
    assert!(!lets_in(&house, &code));
}

#[test]
fn whoever_breaks_off_has_seen_nothing_of_worth_and_three_times_is_the_end() {
    let house = here("");
    let code = opened(&house, "alice");
    let before = record_of(&house, "alice");
    let mut seen = Vec::new();
    for _ in 0..3 {
        let outcome =
            log_in(&house, &code, |prompt, _| (!prompt.contains(CONFIRM)).then(String::new));
        assert_eq!(outcome.code, Pam::PermDenied, "{outcome:?}");
        seen.push(phone_in(&outcome.prompts()).expect("a key"));
    }
    assert!(seen[0] != seen[1] && seen[1] != seen[2], "every display has a secret of its own");
    assert_eq!(record_of(&house, "alice"), before);
    for phone in seen {
        assert!(!before.contains(phone.secret()) && !lets_in(&house, &phone.now()));
    }
    assert!(!lets_in(&house, &code), "three logins at most");
}

#[test]
fn show_and_list_count_the_logins_of_an_enrollment_code_down_to_used_up() {
    let house = here("");
    let code = opened(&house, "alice");
    for (left, status) in [(3, "pending"), (2, "pending"), (1, "pending"), (0, "used-up")] {
        let shown = house.admin_json(&["show", "alice", "--json"]);
        assert_eq!(
            (shown["enrollment_logins_left"].as_u64(), shown["status"].as_str()),
            (Some(left), Some(status))
        );
        let listed = house.admin_json(&["list", "--status", status, "--json"]);
        assert_eq!(listed[0]["enrollment_logins_left"], left);
        assert_eq!(lets_in(&house, &code), left > 0);
    }
    assert!(house.run("totp-admin", &["show", "alice"]).contains("used-up: the enrollment code"));
    opened_on_trust(&house, "bob");
    let trusted = house.admin_json(&["show", "bob", "--json"]);
    assert!(trusted["enrollment_logins_left"].is_null(), "{trusted}");
}

#[test]
fn three_wrong_codes_switch_nothing_on() {
    let house = here("");
    let code = opened(&house, "alice");
    let outcome = log_in(&house, &code, |prompt, phone| {
        Some(if prompt.contains(CONFIRM) { phone.unwrap().wrong(0) } else { String::new() })
    });
    assert_eq!(outcome.code, Pam::PermDenied);
    assert_eq!(outcome.prompts().iter().filter(|prompt| prompt.contains(CONFIRM)).count(), 3);
    assert!(outcome.messages().last().unwrap().starts_with("Not set up, nothing has changed."));
    assert_eq!(house.events(), ["pending", "enrollment-offered"]);
}

#[test]
fn recovery_codes_that_nobody_noted_are_worthless_and_the_phone_works() {
    let house = here("");
    let code = opened(&house, "alice");
    let outcome =
        log_in(
            &house,
            &code,
            |prompt, phone| {
                if prompt.contains(NOTED) { None } else { willing(prompt, phone) }
            },
        );
    assert_eq!(outcome.code, Pam::Success);
    let prompts = outcome.prompts();
    for code in codes_in(&prompts) {
        assert!(!lets_in(&house, &code));
    }
    assert_eq!(house.events(), ["pending", "enrollment-offered", "enrolled"]);
    assert!(lets_in(&house, &phone_in(&prompts).unwrap().in_steps(1)));
}

#[test]
fn where_nobody_answers_nothing_is_shown_and_the_log_says_what_to_change() {
    let house = here("");
    let code = opened(&house, "alice");
    let outcome = log_in(&house, &code, |_, _| None);
    assert_eq!(outcome.code, Pam::PermDenied);
    assert_eq!(outcome.messages(), [] as [&str; 0]);
    assert!(module_said(&house, "KbdInteractiveAuthentication yes"));
    assert_eq!(house.events(), ["pending"]);
}

#[test]
fn without_a_mark_nobody_is_asked_or_shown_anything() {
    let house = here("");
    opened_on_trust(&house, "alice");
    // As sudo -n under NOPASSWD, su by root, cron and sshd with a public key alone do it.
    let mut application = house.application();
    let outcome = application.login("code", "alice").account();
    assert_eq!((outcome.code, outcome.heard), (Pam::Success, vec![]));
    assert_eq!(house.events(), ["pending"]);
}

/// Ends the daemon with the test, however that ends.
struct Daemon(Child);

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn cron_runs_the_jobs_of_whoever_has_to_enroll_and_tells_them_nothing() {
    let house = here("");
    opened_on_trust(&house, "alice");
    let _code = opened(&house, "bob");
    let waiting = || fs::read(house.path("/var/lib/pam-totp/notices/alice")).unwrap_or_default();
    let (record, notices) = (record_of(&house, "alice"), waiting());
    assert!(!notices.is_empty(), "alice is to be told of it");
    let stack = fs::read_to_string(house.path("/etc/pam.d/both")).unwrap();
    house.stack("cron", &stack);
    house.run("mount", &["-t", "tmpfs", "house", "/var/spool"]);
    house.run("install", &["-d", "/var/spool/cron", "/var/spool/cron/crontabs"]);
    for user in ["alice", "bob"] {
        let crontab = format!("/var/spool/cron/crontabs/{user}");
        fs::write(house.path(&crontab), "MAILTO=\"\"\n@reboot logger a job of $(id -un)\n")
            .unwrap();
        house.run("chmod", &["600", &crontab]);
        house.run("chown", &[user, &crontab]);
    }
    let _cron = Daemon(house.command("cron").arg("-f").spawn().expect("cron (Debian) is needed"));
    for user in ["alice", "bob"] {
        let _ = house.syslog().expect(&format!("a job of {user}"));
    }
    assert_eq!(house.syslog().module_lines(), [] as [String; 0]);
    assert_eq!((record_of(&house, "alice"), waiting()), (record, notices));
    assert_eq!(house.events(), ["pending", "pending"]);
}

#[test]
fn an_enrollment_on_trust_is_once_and_for_the_user_of_the_last_auth_alone() {
    let house = here("");
    house.stack(
        "trust",
        "auth required pam_totp.so nodelay\nauth required pam_permit.so\n\
         account required pam_totp.so\naccount required pam_permit.so\n",
    );
    opened_on_trust(&house, "alice");
    let mut application = house.application();
    let mut login = application.login("trust", "alice");
    assert_eq!(login.authenticate([] as [&str; 0]).code, Pam::Success);
    let outcome = account(&mut login, |_, _| None);
    assert!(outcome.code == Pam::PermDenied && outcome.prompts()[0].starts_with(BEGIN));
    // The mark is used up, for the same user as well; and what was due is due.
    let again = login.account();
    assert_eq!((again.code, again.heard), (Pam::PermDenied, vec![]));
    assert_eq!(login.authenticate([] as [&str; 0]).code, Pam::Success);
    let outcome = account(&mut login, willing);
    assert_eq!(outcome.code, Pam::Success, "{outcome:?}");
    assert!(record_of(&house, "alice").contains("status = \"enrolled\""));
}

#[test]
fn a_program_that_asks_again_after_a_refused_enrollment_is_refused_again() {
    let house = here("");
    let code = opened(&house, "alice");
    let mut application = house.application();
    let mut login = application.login("code", "alice");
    assert_eq!(login.authenticate([&code]).code, Pam::Success);
    assert_eq!(login.account().code, Pam::PermDenied);
    let again = login.account();
    assert_eq!((again.code, again.prompts().len()), (Pam::PermDenied, 0));
    assert_eq!(login.set_credentials().code, Pam::PermDenied);
}

#[test]
fn where_the_account_line_is_missing_an_enrollment_code_lets_nobody_in() {
    let house = here("");
    let code = opened(&house, "alice");
    let phone = house.enroll("bob");
    house.stack("bare", "auth required pam_totp.so nodelay\naccount required pam_permit.so\n");
    let mut application = house.application();
    let mut login = application.login("bare", "alice");
    assert_eq!(login.authenticate([&code]).code, Pam::Success);
    assert_eq!(login.account().code, Pam::Success);
    assert_eq!(login.set_credentials().code, Pam::PermDenied);
    assert!(module_said(&house, "account required pam_totp.so"));
    drop(login);
    let mut login = application.login("bare", "bob");
    assert_eq!(login.authenticate([&phone.now()]).code, Pam::Success);
    assert_eq!(login.set_credentials().code, Pam::Success);
}

#[test]
fn an_enrollment_that_was_withdrawn_meanwhile_is_refused() {
    let house = here("");
    let code = opened(&house, "alice");
    // Before anything is shown, and when it was.
    for at in [BEGIN, CONFIRM] {
        let outcome = log_in(&house, &code, |prompt, phone| {
            if prompt.contains(at) {
                house.run("cp", &["-a", "/var/lib/pam-totp/users/alice.toml", "/run/kept.toml"]);
                house.run("totp-admin", &["disable", "alice", "--yes", "--reason", "left"]);
            }
            willing(prompt, phone)
        });
        assert_eq!(outcome.code, Pam::PermDenied, "{outcome:?}");
        assert!(record_of(&house, "alice").contains("status = \"disabled\""));
        house.run("cp", &["-a", "/run/kept.toml", "/var/lib/pam-totp/users/alice.toml"]);
    }
}

#[test]
fn what_cannot_be_recorded_is_not_shown() {
    let house = here("");
    let code = opened(&house, "alice");
    house.run("chmod", &["666", "/var/log/pam-totp/notifications.jsonl"]);
    let outcome = log_in(&house, &code, willing);
    assert_eq!(outcome.code, Pam::PermDenied);
    assert!(phone_in(&outcome.prompts()).is_none(), "{outcome:?}");
    assert!(outcome.messages()[0].starts_with("Two-factor login can't be set up now."));
}

/// As many logins as there are applications, each brought to its first prompt of `auth`.
fn at_the_prompt<'a>(applications: &'a mut [Application]) -> Vec<Login<'a>> {
    let begin = |application: &'a mut Application| {
        let mut login = application.login("code", "alice");
        assert_eq!(login.begin("auth 0").hear().prompt(), Some(CODE));
        login
    };
    applications.iter_mut().map(begin).collect()
}

/// The codes with which `auth` ends where all are given the same answer at once.
fn all_at_once(logins: &mut [Login<'_>], code: &str) -> Vec<Pam> {
    logins.iter_mut().for_each(|login| login.answer(code));
    logins.iter_mut().map(|login| login.rest([] as [&str; 0]).code).collect()
}

#[test]
fn of_32_processes_with_one_enrollment_code_one_completes_the_enrollment() {
    let house = here("");
    let code = opened(&house, "alice");
    let mut applications: Vec<Application> = (0..32).map(|_| house.application()).collect();
    let mut logins = at_the_prompt(&mut applications);
    let passed = all_at_once(&mut logins, &code);
    let mut inside: Vec<(Login<'_>, Phone)> = Vec::new();
    for (mut login, passed) in logins.into_iter().zip(passed) {
        if passed != Pam::Success {
            continue;
        }
        // To the question for a code, where all of them wait.
        login.begin("acct 0");
        let phone = loop {
            match login.hear() {
                Heard::Ask { text, .. } if text.contains(CONFIRM) => break phone_in(&[&text]),
                Heard::Ask { .. } => login.answer(""),
                other => panic!("{other:?}"),
            }
        };
        inside.push((login, phone.expect("a key")));
    }
    assert_eq!(inside.len(), 3, "three logins at most");
    for (login, phone) in &mut inside {
        login.answer(&phone.now());
    }
    let ends: Vec<Pam> = inside.iter_mut().map(|(login, _)| login.rest(["", ""]).code).collect();
    assert_eq!(ends.iter().filter(|end| **end == Pam::Success).count(), 1, "{ends:?}");
    assert_eq!(ends.iter().filter(|end| **end == Pam::PermDenied).count(), 2, "{ends:?}");
    for (end, (_, phone)) in ends.iter().zip(&inside) {
        assert_eq!(record_of(&house, "alice").contains(phone.secret()), *end == Pam::Success);
    }
    let events = house.events();
    let made = events.iter().filter(|event| *event == "enrolled").count();
    let not_made = events.iter().filter(|event| *event == "not-done").count();
    assert_eq!(made - not_made, 1, "{events:?}");
}

fn rotating() -> House {
    here("[recovery]\nmode = \"rotating\"\n")
}

#[test]
fn using_the_rotating_code_shows_the_next_one_which_is_valid_once_noted() {
    let house = rotating();
    let (phone, codes) = enrolled(&house);
    assert_eq!(codes.len(), 1);
    // Declined: the new phone. Broken off: the next code.
    let outcome =
        log_in(&house, &codes[0], |prompt, _| (!prompt.starts_with("Your next")).then(String::new));
    assert_eq!(outcome.code, Pam::Success, "{outcome:?}");
    let unseen = next_code(&outcome).expect("a code");
    assert!(!lets_in(&house, &unseen) && !lets_in(&house, &codes[0]));
    // It stays due, also behind a code of the phone.
    let outcome = log_in(&house, &phone.in_steps(1), |_, _| Some(String::new()));
    let next = next_code(&outcome).expect("it stays due");
    assert_ne!(next, unseen);
    let events = house.events();
    assert_eq!(events.iter().filter(|event| *event == "recovery-codes-issued").count(), 2);
    // And then no more.
    let outcome =
        log_in(&house, &next, |prompt, _| (!prompt.starts_with("Your next")).then(String::new));
    assert!(next_code(&outcome).is_some_and(|after| after != next), "{outcome:?}");
}

#[test]
fn of_32_processes_with_one_rotating_code_one_is_let_in() {
    let house = rotating();
    let (_, codes) = enrolled(&house);
    let mut applications: Vec<Application> = (0..32).map(|_| house.application()).collect();
    let mut logins = at_the_prompt(&mut applications);
    let passed = all_at_once(&mut logins, &codes[0]);
    assert_eq!(passed.iter().filter(|code| **code == Pam::Success).count(), 1, "{passed:?}");
}

#[test]
fn few_recovery_codes_left_are_said() {
    let house = here("[recovery]\ncount = 2\n");
    let (_, codes) = enrolled(&house);
    let said = |code: &str| {
        let outcome = log_in(&house, code, |_, _| Some("n".into()));
        outcome.messages().last().unwrap().to_string()
    };
    assert!(said(&codes[0]).starts_with("One recovery code is left."));
    assert!(said(&codes[1]).starts_with("That was your last recovery code."));
}

/// Types `new`, then `code`, and goes through the account phase.
fn with_new(
    house: &House,
    code: &str,
    answer: impl FnMut(&str, Option<&Phone>) -> Option<String>,
) -> Outcome {
    let mut application = house.application();
    let mut login = application.login("code", "alice");
    let outcome = login.authenticate(["new", code]);
    assert_eq!(outcome.code, Pam::Success, "{outcome:?}");
    account(&mut login, answer)
}

#[test]
fn a_replacement_that_is_given_up_leaves_all_as_it_was() {
    let house = here("");
    let (old, codes) = enrolled(&house);
    assert!(lets_in(&house, &codes[0]));
    // Given up: all is as before.
    let outcome = with_new(&house, &old.in_steps(1), |prompt, _| {
        (!prompt.contains(CONFIRM)).then(String::new)
    });
    assert_eq!(outcome.code, Pam::Success, "the login goes on");
    let unseen = phone_in(&outcome.prompts()).expect("a key");
    assert!(record_of(&house, "alice").contains(old.secret()) && !lets_in(&house, &unseen.now()));
    // Nobody answers: the same.
    let outcome = with_new(&house, &codes[1], |_, _| None);
    assert_eq!((outcome.code, phone_in(&outcome.prompts())), (Pam::Success, None));
    assert!(record_of(&house, "alice").contains(old.secret()));
    assert!(lets_in(&house, &codes[2]), "the codes are as before");
}

#[test]
fn a_phone_replaced_by_a_code_of_it_keeps_the_recovery_codes_and_what_is_used() {
    let house = here("");
    let (old, codes) = enrolled(&house);
    assert!(lets_in(&house, &codes[0]));
    let outcome = with_new(&house, &old.in_steps(1), willing);
    assert_eq!(outcome.code, Pam::Success, "{outcome:?}");
    let new = phone_in(&outcome.prompts()).expect("a key");
    assert_eq!(codes_in(&outcome.prompts()), [] as [String; 0]);
    let record = record_of(&house, "alice");
    assert!(record.contains(new.secret()) && !record.contains(old.secret()));
    let last = house.records().pop().unwrap();
    assert_eq!(
        (last["event"].as_str(), last["reason"].as_str()),
        (Some("enrolled"), Some("in place of phone, after a code of it"))
    );
    assert!(!lets_in(&house, &codes[0]), "used before");
    assert!(lets_in(&house, &codes[1]) && lets_in(&house, &new.in_steps(1)));
}

#[test]
fn a_lost_phone_is_replaced_by_a_recovery_code_and_everything_before_ends() {
    let house = here("");
    let (old, codes) = enrolled(&house);
    let outcome = log_in(&house, &codes[0], |prompt, phone| {
        if prompt.starts_with("Is the phone lost?") {
            Some("y".into())
        } else {
            willing(prompt, phone)
        }
    });
    assert_eq!(outcome.code, Pam::Success, "{outcome:?}");
    let prompts = outcome.prompts();
    let (new, fresh) = (phone_in(&prompts).expect("a key"), codes_in(&prompts));
    assert_eq!(fresh.len(), 5);
    assert!(!record_of(&house, "alice").contains(old.secret()));
    assert!(!lets_in(&house, &codes[1]) && !lets_in(&house, &old.in_steps(1)));
    assert!(lets_in(&house, &fresh[0]) && lets_in(&house, &new.in_steps(1)));
}

/// A house in which who must enroll may put it off until this day.
fn until(day: &str) -> House {
    let house = here(&format!("[policy]\nenroll_by = {day}\n"));
    house.stack(
        "code",
        "auth required pam_totp.so nodelay\nauth required pam_permit.so\n\
         account required pam_totp.so\naccount required pam_permit.so\n",
    );
    house
}

#[test]
fn until_a_day_enter_skips_the_enrollment_and_yes_does_it() {
    let house = until("2199-12-31");
    let come = |answer: fn(&str, Option<&Phone>) -> Option<String>| {
        let mut application = house.application();
        let mut login = application.login("code", "alice");
        let auth = login.authenticate([] as [&str; 0]);
        assert_eq!((auth.code, auth.heard), (Pam::Success, vec![]));
        account(&mut login, answer)
    };
    let skipped = come(|_, _| Some(String::new()));
    assert_eq!(skipped.code, Pam::Success);
    let prompts = skipped.prompts();
    assert!(prompts.len() == 1 && prompts[0].starts_with("Two-factor login is required in "));
    assert!(
        !house.path("/var/lib/pam-totp/users/alice.toml").exists() && house.events().is_empty()
    );
    let mute = come(|_, _| None);
    assert_eq!((mute.code, mute.messages().len()), (Pam::Success, 0));
    let given_up = come(|prompt, _| (!prompt.contains(CONFIRM)).then(|| "y".into()));
    assert_eq!(given_up.code, Pam::Success);
    assert!(!house.path("/var/lib/pam-totp/users/alice.toml").exists());
    let done = come(|prompt, phone| {
        if prompt.starts_with("Two-factor login is required") {
            Some("y".into())
        } else {
            willing(prompt, phone)
        }
    });
    assert_eq!(done.code, Pam::Success, "{done:?}");
    assert!(lets_in(&house, &phone_in(&done.prompts()).unwrap().in_steps(1)));
}

#[test]
fn after_the_day_only_an_administrator_opens_the_door() {
    let house = until("2020-01-31");
    let mut application = house.application();
    let outcome = application.login("code", "alice").authenticate(["123456", "234567"]);
    assert_eq!((outcome.code, outcome.prompts()), (Pam::AuthErr, vec![CODE, NEXT]));
}

#[test]
fn a_wrong_password_in_any_order_of_the_stack_shows_nothing_and_leaves_no_mark() {
    let house = here("");
    opened_on_trust(&house, "alice");
    let (unix, ours) = ("pam_unix.so nodelay", "pam_totp.so nodelay");
    let rest = "account required pam_totp.so\naccount required pam_permit.so\n";
    for (first, second) in [(unix, ours), (ours, unix)] {
        for control in ["required", "requisite"] {
            house.stack(
                "order",
                &format!("auth {control} {first}\nauth {control} {second}\n{rest}"),
            );
            let mut application = house.application();
            let mut login = application.login("order", "alice");
            let wrong = login.authenticate(["wrong horse"]);
            assert_eq!((wrong.code, wrong.messages().len()), (Pam::AuthErr, 0), "{wrong:?}");
            // The next try is somebody else's, with the right password: nothing of the first one is left.
            let mut application = house.application();
            let mut login = application.login("order", "bob");
            let other = login.authenticate([PASSWORD, "123456", "234567"]);
            assert_eq!(other.code, Pam::AuthErr, "{other:?}");
            assert_eq!(other.messages().iter().filter(|line| line.contains("key")).count(), 0);
        }
    }
    assert_eq!(house.events(), ["pending"]);
}

#[test]
fn the_mark_is_for_who_passed_and_gone_at_the_next_auth() {
    let house = here("");
    let phone = house.enroll("alice");
    let mut application = house.application();
    let mut login = application.login("code", "alice");
    assert_eq!(login.account().code, Pam::Success, "nobody has asked for anything");
    assert_eq!(login.authenticate([&phone.now()]).code, Pam::Success);
    assert_eq!(login.account().code, Pam::Success);
    assert_eq!(login.authenticate(["123456", "234567"]).code, Pam::AuthErr);
    // As well where the stack makes of the first refusal what it likes.
    assert_eq!(login.account().code, Pam::PermDenied);
}

#[test]
fn the_mark_is_used_up_by_one_account_phase() {
    let house = here("");
    let (_phone, codes) = enrolled(&house);
    let mut application = house.application();
    let mut login = application.login("code", "alice");
    assert_eq!(login.authenticate([&codes[0]]).code, Pam::Success);
    let first = login.account();
    assert!(!first.messages().is_empty(), "{first:?}");
    assert_eq!(login.account(), Outcome { code: Pam::Success, heard: vec![] });
}

#[test]
fn the_mark_is_nothing_for_another_user_of_the_same_handle() {
    let house = here("");
    let phone = house.enroll("alice");
    let _bobs = house.enroll("bob");
    let mut application = house.application();
    let mut login = application.login("code", "alice");
    assert_eq!(login.authenticate([&phone.now()]).code, Pam::Success);
    login.item("user", "bob");
    let outcome = login.account();
    assert_eq!((outcome.code, outcome.heard), (Pam::PermDenied, vec![]));
    drop(login);
    // It was there to be told.
    let of_bob = fs::read_to_string(house.path("/var/lib/pam-totp/notices/bob")).unwrap();
    assert!(of_bob.contains(" enrolled "), "{of_bob}");
}

#[test]
fn in_account_it_lets_nobody_in_by_itself() {
    let house = here("");
    let phone = house.enroll("alice");
    house.stack("alone", "auth required pam_totp.so nodelay\naccount required pam_totp.so\n");
    let mut application = house.application();
    let mut login = application.login("alone", "alice");
    assert_eq!(login.authenticate([&phone.now()]).code, Pam::Success);
    // Every module has said PAM_IGNORE, which libpam refuses.
    assert_eq!(login.account().code, Pam::PermDenied);
}
