//! What every flow says, word for word, for a person to read. `1` is standard output, `2` standard error.

use crate::support::{House, OTHER, Output, SECRET, USER, code, two_codes, wrong_code};
use crate::terminal::{PICTURE, at, key, utf8};

const SECOND: &str = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP";

/// Everything said, one run after the other.
struct Transcript {
    house: House,
    text: String,
}

impl Transcript {
    fn run(&mut self, args: &[&str]) {
        self.run_with(args, "", &[]);
    }

    fn run_with(&mut self, args: &[&str], stdin: &str, env: &[(&str, &str)]) {
        let Output { code, out, err } = self.house.run_with(args, stdin, env);
        let who = if env.is_empty() { "" } else { "daemon: " };
        self.text.push_str(&format!("{who}$ totp-admin {}\n", args.join(" ")));
        for (stream, text) in [("1", out), ("2", err)] {
            for line in text.lines() {
                self.text.push_str(&format!("{stream} {line}\n"));
            }
        }
        self.text.push_str(&format!("exit {code}\n\n"));
    }
}

fn begin(settings: &str) -> Option<Transcript> {
    Some(Transcript { house: House::new(settings)?, text: String::new() })
}

/// Holds the text against the one that was read, with what changes from run to run made equal.
fn hold(name: &str, house: &House, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.add_filter(&house.path("").display().to_string(), "/house/");
    settings.add_filter(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d(:\d\dZ)?", "[TIME]");
    settings.add_filter(r"\d{4}-\d\d-\d\d", "[DATE]");
    // One of the two has its date where they are of different days.
    settings.add_filter(r"\b(for|says) \d\d:\d\d", "$1 [TIME]");
    settings.add_filter(r"\b\d{6}\b", "[CODE]");
    settings.add_filter(r"\b[0-9a-f]{64}\b", "[HASH]");
    settings.add_filter(r"changes in \d+ s(, better wait for the next)?", "changes in [N] s");
    settings.add_filter(r"accepted in \d+ s", "accepted in [N] s");
    settings.add_filter(r"key: ([A-Z2-7]{4} ?){8}", "key: [KEY]");
    settings.add_filter(r"\b[0-9A-HJKMNP-TV-Z]{4}(-[0-9A-HJKMNP-TV-Z]{4}){3}\b", "[ONE-TIME CODE]");
    settings.bind(|| insta::assert_snapshot!(name, text.trim_end()));
}

#[test]
fn enrolling_at_a_terminal() {
    let Some(house) = House::new("[totp]\nissuer = \"web1\"") else { return };
    let mut terminal = at(&house, 24, 80, &format!("enroll {USER}"), "NO_COLOR=1");
    let mut text = terminal.exp_string("Code in the app").unwrap();
    let secret = key(&text);
    let answers = [
        "12345".to_owned(),
        wrong_code(&secret),
        code(&secret, 7200),
        code(&secret, 300),
        code(&secret, 0),
    ];
    for (n, answer) in answers.iter().enumerate() {
        text.push_str("Code in the app");
        text.push_str(&terminal.exp_string("): ").unwrap());
        text.push_str(&format!("): {answer}\n"));
        terminal.send_line(answer).unwrap();
        if n + 1 < answers.len() {
            text.push_str(&terminal.exp_string("Code in the app").unwrap());
        }
    }
    text.push_str(&terminal.exp_eof().unwrap());
    let text = utf8(&text).replace('\r', "");
    let mut lines: Vec<&str> = text
        .lines()
        .map(|line| if line.contains(PICTURE) { "[QR code]" } else { line.trim() })
        .collect();
    lines.dedup();
    hold("enroll_at_a_terminal", &house, &lines.join("\n"));
}

#[test]
fn enrolling_from_a_script() {
    let Some(mut t) = begin("[totp]\nissuer = \"web1\"") else { return };
    let from_input = ["enroll", USER, "--secret-file", "-"];
    t.run_with(&from_input, &format!("{SECRET}\n{}\n", wrong_code(SECRET)), &[]);
    t.run_with(&from_input, &format!("{SECRET}\n{}\n", code(SECRET, 0)), &[]);
    t.run(&["enroll", USER]);
    t.run(&["enroll", USER, "--if-missing"]);
    t.run_with(&[&from_input[..], &["--no-confirm", "--add"]].concat(), SECOND, &[]);
    t.run_with(
        &[&from_input[..], &["--no-confirm", "--add", "--name", "tablet"]].concat(),
        SECRET,
        &[],
    );
    t.run_with(
        &[&from_input[..], &["--no-confirm", "--add", "--name", "tablet"]].concat(),
        SECOND,
        &[],
    );
    t.run(&["enroll", "nobody-we-know"]);
    t.run(&["enroll", OTHER, "--no-account"]);
    t.run_with(&["enroll", OTHER, "--secret-file", "-"], "JBSW\n", &[]);
    t.run(&["enroll", OTHER, "--json"]);
    hold("enroll_from_a_script", &t.house, &t.text);
}

/// Codes, one a line.
fn lines(codes: &[&str]) -> String {
    codes.iter().map(|code| format!("{code}\n")).collect()
}

#[test]
fn administering() {
    let Some(mut t) = begin("") else { return };
    let as_user = ("SUDO_UID", "1");
    t.house.enroll(USER);
    t.run(&["show", USER]);
    t.run(&["list", "--status", "active"]);
    t.run_with(&["verify", USER], &lines(&[&code(SECRET, 0)]), &[]);
    t.run_with(&["verify", USER], &lines(&[&wrong_code(SECRET)]), &[]);
    t.run_with(&["verify", USER], &lines(&[&code(SECRET, 7200)]), &[]);
    t.run_with(&["verify", USER], &lines(&["12345"]), &[]);
    t.run_with(&["resync", USER], &lines(&[&code(SECRET, 0), &wrong_code(SECRET)]), &[]);
    let (first, second) = two_codes(SECRET, -300);
    t.run_with(&["resync", USER], &lines(&[&first, &second]), &[]);
    t.run_with(&["disable", USER], "", &[as_user]);
    t.run_with(&["disable", USER], &wrong_code(SECRET), &[as_user]);
    t.run(&["unlock", USER]);
    t.run(&["unlock", USER]);
    t.run(&["disable", USER, "--reason", "phone stolen, called 03:10"]);
    t.run(&["disable", USER]);
    t.run(&["show", USER]);
    t.run(&["list", "--status", "disabled"]);
    t.run_with(&["verify", USER], &lines(&["123456"]), &[]);
    t.run(&["remove", USER]);
    t.run(&["remove", USER]);
    t.run(&["show", USER]);
    t.run(&["show", "nobody-we-know"]);
    t.run(&["log"]);
    t.run(&["log", "--verify"]);
    hold("administer", &t.house, &t.text);
}

#[test]
fn ways_in_and_out() {
    let Some(mut t) = begin("") else { return };
    t.run(&["enroll", USER, "--at-login", "--email", "daemon@example.com"]);
    t.run(&["enroll", USER, "--at-login", "--trust-first-factor", "--within", "8h"]);
    t.run(&["show", USER]);
    t.run(&["list", "--status", "pending"]);
    t.run(&["recovery-codes", USER]);
    t.house.enroll(USER);
    t.run(&["enroll", USER, "--at-login"]);
    t.run(&["recovery-codes", USER, "--count", "2"]);
    t.run(&["bypass-code", USER]);
    t.run_with(&["verify", USER], &lines(&["K7QM-2XVA-9TRC-HW4E"]), &[]);
    t.run(&["contact", USER]);
    t.run(&["contact", USER, "--no-email", "--phone", "+420 123 456 789"]);
    t.run(&["contact", OTHER, "--phone", "+420 123 456 789"]);
    t.run(&["repair", USER]);
    t.run(&["repair", "--all"]);
    t.run(&["reset", USER, "--reason", "phone lost"]);
    t.run_with(&["verify", USER], &lines(&["K7QM-2XVA-9TRC-HW4E"]), &[]);
    t.run(&["rename", USER, OTHER]);
    t.run(&["rename", OTHER, USER]);
    t.run(&["disable", USER]);
    t.run(&["log"]);
    hold("ways_in_and_out", &t.house, &t.text);
}

#[test]
fn settings() {
    let Some(mut t) = begin("[totp]\nissuer = \"web1\"") else { return };
    t.run(&["config", "check"]);
    t.run(&["config", "show"]);
    t.house.configure("[policy]\nrequired = \"everyone\"");
    t.run(&["config", "check"]);
    t.run(&["list"]);
    t.house.configure("[totp]\ndigits = 9");
    t.run(&["config", "check"]);
    hold("settings", &t.house, &t.text);
}
