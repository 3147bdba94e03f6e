//! The command beside real logins: what an administrator changes holds at the next login, and stands in
//! the permanent record.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::MetadataExt;
use std::process::{Output, Stdio};

use pam_totp_tests::{FirstFactor, House, PASSWORD, Pam, Phone, Sshd};

use crate::{CODE, NEXT};

const RECORD: &str = "/var/lib/pam-totp/users/alice.toml";
const STATE: &str = "/var/lib/pam-totp/state/alice";
const LOG: &str = "/var/log/pam-totp/notifications.jsonl";

fn code_of(house: &House, codes: &[&str]) -> Pam {
    house.application().login("code", "alice").authenticate(codes.iter().copied()).code
}

fn succeeds(house: &House, arguments: &[&str]) -> bool {
    house.attempt("totp-admin", arguments).status.success()
}

/// The command with codes on its standard input, one a line.
fn given(house: &House, arguments: &[&str], codes: &[&str]) -> Output {
    let mut command = house.command("totp-admin");
    let mut child = command.args(arguments).stdin(Stdio::piped()).spawn().unwrap();
    let lines: String = codes.iter().map(|code| format!("{code}\n")).collect();
    child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

#[test]
fn another_administrator_switches_bob_off_and_it_is_on_record() {
    let house = House::build();
    let alice = house.enroll("alice");
    let bob = house.enroll("bob");
    let sshd = Sshd::start(&house, FirstFactor::Password);

    let mut before = sshd.connect("bob");
    before.expect("Password: ").type_line(PASSWORD);
    before.expect(CODE).type_line(&bob.now()).expect("in as bob");

    let reason = "phone stolen, called 03:10";
    let mut sudo = house.terminal_as("alice", "sudo", &["totp-admin", "disable", "bob"]);
    sudo.expect("[sudo] password for alice: ").type_line(PASSWORD);
    sudo.expect(CODE).type_line(&alice.now());
    sudo.expect("Reason").type_line(reason);
    sudo.expect("[y/N]").type_line("y");
    assert!(sudo.wait().success(), "{}", sudo.shown());

    let mut after = sshd.connect("bob");
    after.expect("Password: ").type_line(PASSWORD).expect("in as bob");
    assert!(!after.shown().contains(CODE));

    let records = house.records();
    let last = records.last().unwrap();
    assert_eq!(last["event"], "disabled");
    assert_eq!(last["user"], "bob");
    assert_eq!(last["reason"], reason);
    assert_eq!(last["actor"]["name"], "alice");
    // A central log anchors the chain.
    let _ = house.syslog().expect(last["hash"].as_str().unwrap());
    assert!(succeeds(&house, &["log", "--verify"]));
    let list = house.admin_json(&["list", "--json"]);
    let of = |name: &str| list.as_array().unwrap().iter().find(|row| row["user"] == name).cloned();
    assert_eq!(of("bob").unwrap()["status"], "disabled");
    assert_eq!(of("alice").unwrap()["status"], "active");
    let record = fs::read_to_string(house.path("/var/lib/pam-totp/users/bob.toml")).unwrap();
    assert!(!record.contains(bob.secret()), "the secret is erased:\n{record}");
}

#[test]
fn switching_off_ones_own_needs_a_current_code() {
    let house = House::build();
    let alice = house.enroll("alice");
    let mut sudo = house.terminal_as(
        "alice",
        "sudo",
        &["totp-admin", "--yes", "disable", "alice", "--reason", "x"],
    );
    sudo.expect("[sudo] password for alice: ").type_line(PASSWORD);
    sudo.expect(CODE).type_line(&alice.now());
    sudo.expect("ode").type_line(&alice.wrong(0));
    assert!(!sudo.wait().success(), "{}", sudo.shown());
    assert_eq!(house.admin_json(&["show", "alice", "--json"])["status"], "active");
}

#[test]
fn a_login_never_rewrites_the_record_nor_replaces_the_state() {
    let house = House::build();
    let phone = house.enroll("alice");
    let look = || {
        let record = fs::metadata(house.path(RECORD)).unwrap();
        let state = fs::metadata(house.path(STATE)).unwrap();
        (
            fs::read(house.path(RECORD)).unwrap(),
            (record.ino(), record.mtime(), record.mtime_nsec()),
            (state.ino(), state.len()),
        )
    };
    let before = look();
    let code = phone.now();
    assert_eq!(code_of(&house, &[&code]), Pam::Success);
    assert_eq!(code_of(&house, &[&code, &phone.wrong(0)]), Pam::AuthErr);
    assert_eq!(code_of(&house, &[&phone.wrong(1), &phone.wrong(2)]), Pam::AuthErr);
    assert_eq!(look(), before);
}

#[test]
fn verify_says_what_would_be_and_consumes_nothing() {
    let house = House::build();
    let phone = house.enroll("alice");
    let code = phone.now();
    let verify = |code: &str| given(&house, &["verify", "alice"], &[code]).status.success();
    assert!(verify(&code));
    assert!(verify(&code));
    assert!(!verify(&phone.wrong(0)));
    assert_eq!(code_of(&house, &[&code]), Pam::Success);
    assert!(!verify(&code));
}

#[test]
fn resync_learns_a_clock_that_is_minutes_off() {
    let house = House::build();
    let phone = house.enroll("alice");
    let shown = |steps: i64| phone.in_steps(steps + 16);
    assert_eq!(code_of(&house, &[&shown(0)]), Pam::ConvErr);
    assert!(given(&house, &["resync", "alice"], &[&shown(-1), &shown(0)]).status.success());
    assert_eq!(code_of(&house, &[&shown(1)]), Pam::Success);
    // What was spent for it is spent.
    assert_eq!(code_of(&house, &[&shown(0), &shown(0)]), Pam::AuthErr);
}

#[test]
fn after_resync_a_clock_that_is_hours_off_takes_three_codes() {
    let house = House::build();
    let phone = house.enroll("alice");
    let shown = |steps: i64| phone.in_steps(steps + 200);
    let output = given(&house, &["resync", "alice"], &[&shown(0), &shown(1)]);
    assert!(output.status.success(), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("three codes"), "{said}");
    assert_eq!(code_of(&house, &[&shown(2)]), Pam::ConvErr);
    let three = [2, 3, 4].map(shown).join(" ");
    assert_eq!(code_of(&house, &[&three]), Pam::Success);
}

#[test]
fn unlock_gives_the_guess_budget_back_and_no_used_code() {
    let house = House::build();
    let phone = house.enroll("alice");
    let used = phone.now();
    assert_eq!(code_of(&house, &[&used]), Pam::Success);
    let mut application = house.application();
    for n in 0..50 {
        let codes = [phone.wrong(2 * n), phone.wrong(2 * n + 1)];
        let mut login = application.login("code", "alice");
        assert_eq!(login.from("203.0.113.9").authenticate(codes.iter()).code, Pam::AuthErr);
    }
    let required = || house.admin_json(&["show", "alice", "--json"])["codes_required"].clone();
    assert_eq!(required(), 2);
    assert!(succeeds(&house, &["unlock", "alice"]));
    assert_eq!(required(), 1);
    assert_eq!(house.records().last().unwrap()["event"], "unlocked");
    assert_eq!(code_of(&house, &[&used, &used]), Pam::AuthErr);
    assert_eq!(code_of(&house, &[&phone.in_steps(1)]), Pam::Success);
}

#[test]
fn after_replace_the_old_phone_is_dead_and_the_new_one_logs_in() {
    let house = House::build();
    let old = house.enroll("alice");
    assert!(!succeeds(&house, &["enroll", "alice", "--no-confirm"]), "refused without --replace");
    let document = house.admin_json(&["enroll", "alice", "--replace", "--json", "--no-confirm"]);
    let new = Phone::new(document["secret"].as_str().unwrap());
    assert_eq!(code_of(&house, &[&old.now(), &old.in_steps(1)]), Pam::AuthErr);
    assert_eq!(code_of(&house, &[&new.now()]), Pam::Success);
}

#[test]
fn after_add_both_phones_log_in_each_code_once() {
    let house = House::build();
    let first = house.enroll("alice");
    let document = house.admin_json(&[
        "enroll",
        "alice",
        "--add",
        "--name",
        "tablet",
        "--json",
        "--no-confirm",
    ]);
    assert_eq!(document["authenticator"], "tablet");
    let second = Phone::new(document["secret"].as_str().unwrap());
    for phone in [&first, &second] {
        let code = phone.now();
        assert_eq!(code_of(&house, &[&code]), Pam::Success);
        assert_eq!(code_of(&house, &[&code, &code]), Pam::AuthErr);
    }
    let _ = house.syslog().expect("accepted totp for alice from 192.0.2.1 authenticator=tablet");
}

#[test]
fn who_was_removed_is_not_enrolled() {
    let house = House::build();
    let phone = house.enroll("alice");
    assert!(succeeds(&house, &["remove", "alice", "--yes"]));
    assert!(!house.path(RECORD).exists());
    let mut application = house.application();
    let outcome =
        application.login("code", "alice").authenticate([&phone.now(), &phone.in_steps(1)]);
    assert_eq!((outcome.code, outcome.prompts()), (Pam::AuthErr, vec![CODE, NEXT]));
    let _ = house.syslog().expect("reason=not-enrolled user=alice");
}

#[test]
fn enrolled_again_after_disable_a_code_is_asked_for_again() {
    let house = House::build();
    let _old = house.enroll("alice");
    assert!(succeeds(&house, &["disable", "alice", "--yes"]));
    // Twice is no error and changes nothing.
    assert_eq!(house.admin_json(&["disable", "alice", "--json"])["changed"], false);
    let new = house.enroll("alice");
    assert_eq!(code_of(&house, &[&new.now()]), Pam::Success);
}

/// A name without an account, as of a VPN: nobody but the record says which of the two it is.
#[test]
fn who_is_renamed_logs_in_under_the_new_name_alone_and_with_no_used_code() {
    let house = House::build();
    let document = house.admin_json(&["enroll", "vpn1", "--no-account", "--json", "--no-confirm"]);
    let phone = Phone::new(document["secret"].as_str().unwrap());
    let recovery = document["recovery_codes"][0].as_str().unwrap();
    let log_in = |user: &str, codes: &[&str]| {
        house.application().login("code", user).authenticate(codes.iter().copied()).code
    };
    let code = phone.now();
    assert_eq!(log_in("vpn1", &[&code]), Pam::Success);
    assert!(succeeds(&house, &["rename", "vpn1", "vpn2"]));
    assert_eq!(log_in("vpn1", &[&phone.in_steps(1), recovery]), Pam::AuthErr);
    assert_eq!(log_in("vpn2", &[&code, &code]), Pam::AuthErr);
    assert_eq!(log_in("vpn2", &[recovery]), Pam::Success);
    assert_eq!(log_in("vpn2", &[recovery, recovery]), Pam::AuthErr);
    assert_eq!(log_in("vpn2", &[&phone.in_steps(1)]), Pam::Success);
}

#[test]
fn an_account_that_was_renamed_takes_its_second_factor_along() {
    let house = House::build();
    let phone = house.enroll("alice");
    let renamed = |file: &str| {
        let path = house.path(file);
        let text = fs::read_to_string(&path).unwrap();
        let of = |line: &str| line.strip_prefix("alice:").map(|rest| format!("alina:{rest}"));
        let lines = text.lines().map(|line| of(line).unwrap_or_else(|| line.to_string()) + "\n");
        fs::write(&path, lines.collect::<String>()).unwrap();
    };
    assert!(!succeeds(&house, &["rename", "alice", "bob"]), "another account");
    assert!(!succeeds(&house, &["rename", "alice", "alina"]), "no account");
    renamed("/etc/passwd");
    renamed("/etc/shadow");
    let log_in = |user: &str, code: &str| {
        house.application().login("code", user).authenticate([code, code]).code
    };
    let code = phone.now();
    assert_eq!(log_in("alina", &code), Pam::Success, "by its uid");
    assert!(succeeds(&house, &["rename", "alice", "alina"]));
    assert_eq!(log_in("alina", &code), Pam::AuthErr, "used before");
    let next = phone.in_steps(1);
    assert_eq!(log_in("alice", &next), Pam::AuthErr);
    assert_eq!(log_in("alina", &next), Pam::Success);
}

#[test]
fn the_permanent_record_stays_whole_when_many_write_and_tells_when_somebody_changes_it() {
    let people = (0..12).map(|n| format!("user{n}")).collect();
    let house = House::from_plan(&pam_totp_tests::Plan { people, ..Default::default() });
    std::thread::scope(|scope| {
        for n in 0..12 {
            let house = &house;
            scope.spawn(move || house.enroll(&format!("user{n}")));
        }
    });
    assert_eq!(house.records().len(), 12);
    assert!(succeeds(&house, &["log", "--verify"]));

    let whole = fs::read_to_string(house.path(LOG)).unwrap();
    let lines: Vec<&str> = whole.lines().collect();
    let changed = whole.replacen("user5", "user6", 1);
    let missing = whole.replacen(&format!("{}\n", lines[4]), "", 1);
    let mut moved = lines.clone();
    moved.swap(6, 7);
    for spoilt in [changed, missing, moved.join("\n") + "\n"] {
        fs::write(house.path(LOG), spoilt).unwrap();
        assert!(!succeeds(&house, &["log", "--verify"]));
    }
    fs::write(house.path(LOG), whole).unwrap();
    assert!(succeeds(&house, &["log", "--verify"]));
}
