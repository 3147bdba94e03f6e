//! Keys and recovery codes where others may read them: the output of a command, the log of a program that writes messages there.
//! None is shown, nothing is used up, and the user and the log say why.

use std::fs;

use pam_totp_tests::{FirstFactor, House, Outcome, PASSWORD, Pam, Sshd, eventually};

use crate::account_phase::{BEGIN, opened, opened_on_trust, phone_in};
use crate::{CODE, ENROLLS, NEXT};

/// What a shell runs to have a command's output in a file.
fn into_file(command: &str) -> String {
    format!("{command} > /run/output/file")
}

/// A house with a directory for what users redirect.
fn house() -> House {
    let house = House::build();
    house.run("install", &["-d", "-m", "777", "/run/output"]);
    house
}

fn output(house: &House) -> String {
    fs::read_to_string(house.path("/run/output/file")).unwrap_or_default()
}

fn logs(house: &House, text: &str) -> usize {
    house.syslog().module_lines().iter().filter(|line| line.contains(text)).count()
}

/// Two programs on a terminal whose standard output is a file: alice's own sudo, and bob's su to alice.
const ON_TERMINALS: [(&str, &str, &str); 2] = [
    ("alice", "sudo -u carol id", "[sudo] password for alice: "),
    ("bob", "su alice -c id", "Password: "),
];

#[test]
fn with_its_output_in_a_file_a_command_refuses_an_enrollment_and_says_why() {
    for (user, command, password) in ON_TERMINALS {
        let house = house();
        opened_on_trust(&house, "alice");
        let mut terminal = house.terminal_as(user, "sh", &["-c", &into_file(command)]);
        terminal.expect(password).type_line(PASSWORD);
        terminal.expect(BEGIN).expect("repeat this without redirecting its output").type_line("");
        assert!(!terminal.wait().success());
        assert_eq!(output(&house), "", "{command}");
        assert_eq!(logs(&house, "alice has to enroll and can't here: standard output"), 1);
        assert_eq!(house.events(), ["pending"], "no key was made");
    }
}

#[test]
fn with_its_output_in_a_file_a_command_takes_no_enrollment_code_and_counts_none() {
    for (user, command, password) in ON_TERMINALS {
        let house = house();
        let code = opened(&house, "alice");
        for _ in 0..3 {
            let mut terminal = house.terminal_as(user, "sh", &["-c", &into_file(command)]);
            terminal.expect(password).type_line(PASSWORD);
            terminal.expect(CODE).type_line(&code).expect(NEXT).type_line(&code);
            assert!(!terminal.wait().success());
        }
        assert!(!output(&house).contains("key"), "{}", output(&house));
        assert_eq!(logs(&house, "reason=enroll-elsewhere user=alice"), 6, "{command}");
        assert_eq!(logs(&house, "alice has to enroll and can't here: standard output"), 3);
        let mut terminal = house.terminal_as(user, "sh", &["-c", command]);
        terminal.expect(password).type_line(PASSWORD);
        terminal.expect(CODE).type_line(&code).expect(BEGIN);
    }
}

#[test]
fn with_its_errors_in_a_file_su_shows_no_key_either() {
    let house = house();
    opened_on_trust(&house, "alice");
    // Its prompts go there, too.
    let command = "su alice -c id 2> /run/output/file";
    let mut terminal = house.terminal_as("bob", "sh", &["-c", command]);
    eventually("su asks", || output(&house).contains("Password: ").then_some(()));
    terminal.type_line(PASSWORD);
    eventually("su says why", || output(&house).contains("redirecting").then_some(()));
    terminal.type_line("");
    assert!(!terminal.wait().success());
    assert!(phone_in(&[&output(&house)]).is_none(), "{}", output(&house));
    assert_eq!(house.events(), ["pending"]);
}

/// A service that shows messages where others read them, as cockpit does: on standard error, which is the journal.
fn cockpit(config: &str) -> House {
    let house = House::with_config(config);
    house.stack(
        "cockpit",
        "auth required pam_unix.so nodelay\nauth required pam_totp.so nodelay\n\
         account required pam_totp.so\naccount required pam_permit.so\n",
    );
    house
}

fn log_in(house: &House, answers: &[&str], account: &[&str]) -> (Outcome, Option<Outcome>) {
    let mut application = house.application();
    let mut login = application.login("cockpit", "alice");
    let auth = login.authenticate(answers.iter().copied());
    let account =
        (auth.code == Pam::Success).then(|| login.call("acct 0", account.iter().copied()));
    (auth, account)
}

#[test]
fn a_service_that_is_not_listed_refuses_an_enrollment_in_a_prompt_that_names_others() {
    let house = cockpit("");
    opened_on_trust(&house, "alice");
    let (_, account) = log_in(&house, &[PASSWORD], &["", ""]);
    let account = account.expect("the password is right");
    assert_eq!(account.code, Pam::PermDenied);
    assert!(account.messages().is_empty(), "{account:?}");
    let prompts = account.prompts();
    assert!(prompts.len() == 1 && prompts[0].starts_with(BEGIN), "{prompts:?}");
    assert!(prompts[0].contains("log in at one of these first: sshd, login, su,"), "{prompts:?}");
    assert_eq!(logs(&house, "the service cockpit is not in enroll_in of [policy]; add it if"), 1);
    assert_eq!(house.events(), ["pending"]);
}

#[test]
fn a_service_that_is_not_listed_takes_no_enrollment_code_and_counts_none() {
    let house = cockpit("");
    let code = opened(&house, "alice");
    for _ in 0..4 {
        let (auth, _) = log_in(&house, &[PASSWORD, &code, &code], &[]);
        assert_eq!((auth.code, &auth.prompts()[1..]), (Pam::AuthErr, &[CODE, NEXT][..]));
    }
    house.configure("[service.cockpit]\nenroll_in = [\"cockpit\"]\n");
    let (auth, _) = log_in(&house, &[PASSWORD, &code], &[]);
    assert_eq!(auth.code, Pam::Success, "it was not used up");
}

#[test]
fn a_service_that_is_not_listed_goes_on_without_what_can_be_put_off() {
    let house = cockpit("[policy]\nenroll_by = 2199-12-31\n");
    let (_, account) = log_in(&house, &[PASSWORD], &["y"]);
    let account = account.expect("it may be put off");
    assert_eq!((account.code, account.heard), (Pam::Success, vec![]));
    assert_eq!(logs(&house, "alice is shown no key or recovery code: the service cockpit"), 1);
}

#[test]
fn no_message_of_an_enrollment_holds_a_secret() {
    let listed = ENROLLS.replace("code", "cockpit");
    let house = cockpit(&format!("[recovery]\nmode = \"rotating\"\n{listed}"));
    let code = opened(&house, "alice");
    let mut application = house.application();
    let mut login = application.login("cockpit", "alice");
    assert_eq!(login.authenticate([PASSWORD, &code]).code, Pam::Success);
    login.begin("acct 0");
    let (mut heard, mut phone) = (Vec::new(), None);
    let code = loop {
        let next = login.hear();
        match &next {
            pam_totp_tests::Heard::Returned(code) => break *code,
            pam_totp_tests::Heard::Ask { text, .. } => {
                let scanned = phone_in(&[text]);
                login
                    .answer(scanned.as_ref().map(|phone| phone.now()).unwrap_or_default().as_str());
                phone = scanned.or(phone);
            }
            _ => {}
        }
        heard.push(next);
    };
    let outcome = Outcome { code, heard };
    assert_eq!(outcome.code, Pam::Success, "{outcome:?}");
    let (phone, messages) = (phone.expect("a key"), outcome.messages().join("\n"));
    let prompts = outcome.prompts();
    let recovery = prompts.iter().flat_map(|prompt| prompt.lines()).find(|line| line.len() == 21);
    let recovery = recovery.expect("a recovery code").trim();
    for secret in [phone.secret(), &phone.secret()[..4], recovery, "\u{2588}"] {
        assert!(!messages.contains(secret), "{messages}");
    }
    assert!(messages.contains("Two-factor login is set up"), "{messages}");
}

#[test]
fn at_a_service_that_is_not_listed_no_phone_is_replaced_and_the_next_recovery_code_stays_due() {
    let house = cockpit("[recovery]\nmode = \"rotating\"\n");
    let document = house.admin_json(&["enroll", "alice", "--json", "--no-confirm"]);
    let first = document["recovery_codes"][0].as_str().unwrap();
    let (_, account) = log_in(&house, &[PASSWORD, "new", first], &["", ""]);
    let account = account.expect("it is right");
    assert_eq!((account.code, account.prompts()), (Pam::Success, vec![]));
    let said = account.messages().join("\n");
    assert!(said.contains("No phone can be set up here."), "{said}");
    assert!(said.contains("Your next recovery code is not shown yet."), "{said}");
    // It is handed out behind the next login at another service.
    let phone = pam_totp_tests::Phone::new(document["secret"].as_str().unwrap());
    let sshd = Sshd::start(&house, FirstFactor::Password);
    let mut terminal = sshd.connect("alice");
    terminal.expect("Password: ").type_line(PASSWORD);
    terminal.expect(CODE).type_line(&phone.in_steps(1));
    terminal.expect("Your next recovery code, in place of the used one: ").type_line("");
    terminal.expect("in as alice");
}

#[test]
fn an_enrollment_without_the_account_line_is_named_each_time() {
    let house = House::with_config("[policy]\nenroll_by = 2199-12-31\n");
    house.stack(
        "sshd",
        "auth required pam_unix.so nodelay\nauth required pam_totp.so nodelay\n\
         account required pam_unix.so\nsession required pam_permit.so\n",
    );
    let code = opened(&house, "alice");
    opened_on_trust(&house, "bob");
    let sshd = Sshd::start(&house, FirstFactor::Password);
    for (user, code) in [("alice", Some(&code)), ("bob", None), ("carol", None)] {
        for times in 1..=2 {
            let mut terminal = sshd.connect(user);
            terminal.expect("Password: ").type_line(PASSWORD);
            if let Some(code) = code {
                terminal.expect(CODE).type_line(code);
            }
            terminal.expect(&format!("in as {user}"));
            assert!(terminal.wait().success());
            let line = format!(
                "/etc/pam.d/sshd has no `account required pam_totp.so`: the enrollment of {user} can't be made"
            );
            assert_eq!(logs(&house, &line), times, "{user}");
        }
    }
}
