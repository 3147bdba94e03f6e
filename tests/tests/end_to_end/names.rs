//! Names: what the name service calls the account is what counts, and no name reaches another file.

use std::fs;

use pam_totp_tests::{House, Pam, Plan};

use crate::{CODE, NEXT};

const USERS: &str = "/var/lib/pam-totp/users";

/// Whatever `/etc/passwd` can hold (no space, `#`, `+` or `-` in front: those it skips).
fn odd_names() -> Vec<String> {
    let mut names = [
        "../evil/f",
        "/etc/passwd",
        "a/b",
        "..",
        ".",
        ".hidden",
        "back\\slash",
        "50%",
        "%2e%2e",
        "%s%n",
        "with space",
        "trailing ",
        "käthe",
        "名前",
        "quo\"te",
        "o'neil",
        "tab\there",
        "semi;colon",
        "$(reboot)",
        "alice.toml",
        "user@example.com",
    ]
    .map(str::to_string)
    .to_vec();
    names.push("n".repeat(255));
    names.push("ä".repeat(127));
    names
}

#[test]
fn accounts_with_odd_names_enroll_and_log_in_each_with_a_file_of_its_own() {
    let names = odd_names();
    let house = House::from_plan(&Plan { people: names.clone(), ..Plan::default() });
    let mut application = house.application();
    for name in &names {
        let arguments = ["enroll", "--json", "--no-confirm", "--", name];
        let document = house.admin_json(&arguments);
        assert_eq!(document["user"], name.as_str());
        let phone = pam_totp_tests::Phone::new(document["secret"].as_str().unwrap());
        let outcome = application.login("code", name).authenticate([&phone.now()]);
        assert_eq!(outcome.code, Pam::Success, "{name:?}: {outcome:?}");
    }
    let records = fs::read_dir(house.path(USERS)).unwrap().flatten();
    let mut files: Vec<String> =
        records.map(|entry| entry.file_name().into_string().unwrap()).collect();
    // What users without a record are compared with.
    files.retain(|file| file != ".decoy.toml");
    files.sort();
    assert_eq!(files.len(), names.len(), "{files:?}");
    for file in &files {
        let plain = |c: char| c.is_ascii_alphanumeric() || "._@-%~".contains(c);
        assert!(file.chars().all(plain) && !file.starts_with('.') && file.len() < 255, "{file:?}");
    }
    // Whatever was typed, every line of the log is a line.
    for line in house.syslog().lines() {
        assert!(!line.chars().any(char::is_control), "{line:?}");
    }
}

#[test]
fn a_name_that_differs_in_case_is_no_account_and_learns_nothing() {
    let house = House::build();
    let phone = house.enroll("alice");
    let mut application = house.application();
    for name in
        ["Alice", "ALICE", "alice ", " alice", "alice\n", "./alice", "alice/", "../users/alice"]
    {
        let outcome =
            application.login("code", name).authenticate([phone.now().as_str(), "123456"]);
        assert_eq!(outcome.code, Pam::AuthErr, "{name:?}");
        assert_eq!(outcome.prompts(), [CODE, NEXT], "{name:?}");
    }
    assert_eq!(application.login("code", "alice").authenticate([&phone.now()]).code, Pam::Success);
}

#[test]
fn names_that_are_no_accounts_are_answered_like_a_wrong_code_whatever_they_look_like() {
    let house = House::build();
    let mut application = house.application();
    // As long as an answer may be.
    let junk = [&b"\x08\n\r\x7fINCORRECT"[..], b"", b"\xff\xfe", b"%s%n%n", &[b'9'; 4096]];
    let mut names: Vec<Vec<u8>> = odd_names().into_iter().map(String::into_bytes).collect();
    names.extend([b"\xff\xfe".to_vec(), vec![b'x'; 5000], b"a\x1b[2Jb".to_vec()]);
    for (name, answer) in names.iter().zip(junk.iter().cycle()) {
        let mut login = application.login("code", name);
        let answers = [answer, &junk[0]].map(|text| pam_totp_tests::Answer::Say(text.to_vec()));
        let outcome = login.authenticate(answers);
        assert_eq!(outcome.code, Pam::AuthErr, "{name:?}");
        let prompts = if answer.is_empty() { vec![CODE] } else { vec![CODE, NEXT] };
        assert_eq!(outcome.prompts(), prompts, "{name:?}");
    }
    for line in house.syslog().lines() {
        assert!(line.is_ascii() && !line.chars().any(char::is_control), "{line:?}");
    }
}

#[test]
fn a_hostile_name_writes_no_line_of_its_own() {
    let house = House::build();
    let mut application = house.application();
    let mut login = application.login("code", "x\n\u{1b}[2J rhost=203.0.113.9");
    login.item("ruser", "x rhost=203.0.113.9");
    let _ = login.authenticate(["11", "22"]);
    drop(login);
    let failure = house.syslog().expect("authentication failure");
    let expected =
        "ruser=x\\x20rhost=203.0.113.9 rhost=192.0.2.1  user=x\\x0a\\x1b[2J\\x20rhost=203.0.113.9";
    assert!(failure.ends_with(expected), "{failure}");
}
