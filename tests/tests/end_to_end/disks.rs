//! Disks that are full or read-only, a `su` with a limit, and logins that are stopped or killed: the owner gets in, and a
//! code that was good once is not good again.

use std::fs;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use pam_totp_tests::{Decider, House, Outcome, PASSWORD, Pam, Phone, Plan};

use crate::limits::lowered;
use crate::{CODE, NEXT};

const STATE: &str = "/var/lib/pam-totp";

/// A house whose records lie on a small disk of its own.
fn house_with_small_disk(decided_by: Decider) -> House {
    let house = House::from_plan(&Plan { decided_by, ..Plan::default() });
    house.mount_small_state();
    house
}

fn log_in(house: &House, code: &str) -> Outcome {
    house.application().login("code", "alice").authenticate([code])
}

fn is_let_in(house: &House, code: &str) {
    let outcome = log_in(house, code);
    assert_eq!(outcome.code, Pam::Success, "{outcome:?}");
}

/// A code that was used: the second prompt comes, and giving up there is no success.
fn is_refused(house: &House, code: &str) {
    let mut application = house.application();
    let mut login = application.login("code", "alice");
    let outcome = login.authenticate([code, code]);
    assert_eq!(outcome.code, Pam::AuthErr, "{outcome:?}");
    assert_eq!(outcome.prompts(), [CODE, NEXT]);
}

/// Writes until there is no room for a single byte.
fn fill(house: &House) -> std::path::PathBuf {
    let file = house.path(STATE).join("fill");
    for size in ["1M", "4k", "1"] {
        let script = format!(
            "dd if=/dev/zero bs={size} oflag=append conv=notrunc of={STATE}/fill; sync -f {STATE}"
        );
        let _ = house.attempt("sh", &["-c", &script]);
    }
    assert!(fs::write(house.path(STATE).join("more"), [0; 8192]).is_err(), "the disk isn't full");
    let _ = fs::remove_file(house.path(STATE).join("more"));
    file
}

#[test]
fn on_a_full_disk_the_right_code_logs_in_once() {
    let house = house_with_small_disk(Decider::usual());
    let phone = house.enroll("alice");
    let fill = fill(&house);
    let code = phone.now();
    is_let_in(&house, &code);
    is_refused(&house, &code);
    fs::remove_file(fill).unwrap();
    is_refused(&house, &code);
    is_let_in(&house, &phone.in_steps(1));
}

/// The recovery codes that the permanent record says were used: what it says of each.
fn used_on_record(house: &House) -> Vec<String> {
    let records = house.records().into_iter();
    let used = records.filter(|record| record["event"] == "recovery-code-used");
    used.map(|record| record["reason"].as_str().unwrap().to_string()).collect()
}

#[test]
fn what_a_login_leaves_on_a_full_disk_is_on_record_once_when_there_is_room_again() {
    const COUNT: usize = 16;
    let house = house_with_small_disk(Decider::usual());
    house.configure(&format!("[recovery]\ncount = {COUNT}\n"));
    // The permanent record lies on the same disk.
    house.run("install", &["-d", "-m", "700", &format!("{STATE}/log")]);
    house.run("mount", &["--bind", &format!("{STATE}/log"), "/var/log/pam-totp"]);
    let document = house.admin_json(&["enroll", "alice", "--json", "--no-confirm"]);
    let phone = Phone::new(document["secret"].as_str().unwrap());
    let codes: Vec<&str> = document["recovery_codes"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|code| code.as_str())
        .collect();
    let fill = fill(&house);
    // Some lines fit into the last block of the record; then three more codes are used.
    let mut used = Vec::new();
    for (n, code) in codes.iter().enumerate() {
        is_let_in(&house, code);
        used.push(*code);
        if n + 1 - used_on_record(&house).len() == 3 {
            break;
        }
    }
    let expected: Vec<String> = (1..=used.len()).map(|n| format!("{} left", COUNT - n)).collect();
    assert_eq!(used_on_record(&house).len() + 3, used.len(), "there is room after all");
    for code in &used {
        is_refused(&house, code);
    }
    fs::remove_file(fill).unwrap();
    is_let_in(&house, &phone.now());
    assert_eq!(used_on_record(&house), expected);
    is_let_in(&house, &phone.in_steps(1));
    assert_eq!(used_on_record(&house), expected);
    assert!(house.run("totp-admin", &["log", "--verify"]).contains("unchanged"));
    for code in &used {
        is_refused(&house, code);
    }
}

/// The states in volatile memory, decoys left out.
fn in_memory(house: &House) -> Vec<String> {
    let entries = fs::read_dir(house.path("/run/pam-totp/state")).unwrap().flatten();
    let names = entries.map(|entry| entry.file_name().into_string().unwrap());
    names.filter(|name| !name.starts_with('.')).collect()
}

fn remount(house: &House, how: &str) {
    house.run("mount", &["-o", &format!("remount,{how}"), STATE]);
}

/// The daemon decides: `totpd --once` in a mount namespace of its caller's, as this house is one, denies (below).
#[test]
fn on_a_read_only_disk_the_right_code_logs_in_once() {
    let house = house_with_small_disk(Decider::Daemon);
    let phone = house.enroll("alice");
    remount(&house, "ro");
    let code = phone.now();
    is_let_in(&house, &code);
    is_refused(&house, &code);
    assert_eq!(in_memory(&house), ["alice"]);
    remount(&house, "rw");
    is_refused(&house, &code);
    is_let_in(&house, &phone.in_steps(1));
    assert!(in_memory(&house).is_empty());
    assert_eq!(house.events(), ["installation-adopted", "enrolled", "state-volatile"]);
    // What was accepted meanwhile stays used on the disk alone.
    is_refused(&house, &code);
}

/// Right and wrong are denied, and look alike.
fn is_denied_whatever_the_code(house: &House, phone: &Phone) {
    let attempt =
        |codes: [String; 2]| house.application().login("code", "alice").authenticate(codes.iter());
    let right = attempt([phone.now(), phone.in_steps(1)]);
    let wrong = attempt([phone.wrong(0), phone.wrong(1)]);
    assert_eq!(right.code, Pam::SystemErr, "{right:?}");
    assert_eq!(right, wrong);
}

#[test]
fn where_neither_disk_nor_memory_can_be_written_right_and_wrong_look_alike() {
    let house = house_with_small_disk(Decider::usual());
    let phone = house.enroll("alice");
    remount(&house, "ro");
    house.run("mount", &["-t", "tmpfs", "-o", "ro", "house", "/run/pam-totp/state"]);
    is_denied_whatever_the_code(&house, &phone);
}

#[test]
fn on_a_disk_that_its_caller_sees_read_only_totpd_once_denies_and_uses_no_code() {
    let house = house_with_small_disk(Decider::Once);
    let phone = house.enroll("alice");
    remount(&house, "ro");
    is_denied_whatever_the_code(&house, &phone);
    assert!(in_memory(&house).is_empty());
    remount(&house, "rw");
    is_let_in(&house, &phone.now());
}

#[test]
fn a_su_under_a_file_size_limit_lets_in_with_the_right_code_alone() {
    for decided_by in [Decider::Daemon, Decider::Once] {
        let house = House::from_plan(&Plan { decided_by, ..Plan::default() });
        let phone = house.enroll("alice");
        // Without the trap su itself, which writes to files too, might die of the signal.
        let limit = lowered("ulimit -X -f 0", decided_by);
        let script = format!("trap '' XFSZ; {limit}; exec su alice -c 'echo in'");
        let attempt = |code: &str| {
            let mut terminal = house.terminal_as("bob", "sh", &["-c", &script]);
            terminal.expect("Password: ").type_line(PASSWORD);
            while terminal.expect_or_end(&[CODE, NEXT]).is_some() {
                terminal.type_line(code);
            }
            terminal.wait().success()
        };
        let code = phone.now();
        assert!(!attempt(&phone.wrong(0)), "{decided_by:?}");
        assert!(attempt(&code), "{decided_by:?}");
        assert!(!attempt(&code), "{decided_by:?}");
    }
}

#[test]
fn logins_stopped_or_killed_at_any_moment_keep_nobody_out_and_lose_no_used_code() {
    const ROUNDS: u32 = 60;
    let people = (0..ROUNDS).map(|n| format!("user{n}")).collect();
    let house = House::from_plan(&pam_totp_tests::Plan { people, ..Default::default() });
    for round in 0..ROUNDS {
        let user = format!("user{round}");
        let phone: Phone = house.enroll(&user);
        let code = phone.now();
        let mut victim = house.application();
        let pid = Pid::from_raw(i32::try_from(victim.pid()).unwrap());
        {
            let mut login = victim.login("code", &user);
            assert_eq!(login.begin("auth 0").hear().prompt(), Some(CODE));
            login.answer(&code);
            // Somewhere between the answer and the end of the login, which takes about a millisecond.
            let moment = Instant::now() + Duration::from_micros(u64::from(round) * 40);
            while Instant::now() < moment {
                std::hint::spin_loop();
            }
            kill(pid, if round % 2 == 0 { Signal::SIGKILL } else { Signal::SIGSTOP }).unwrap();
            std::mem::forget(login);
        }
        let mut application = house.application();
        let outcome = application.login("code", &user).authenticate([&code, &phone.in_steps(1)]);
        assert_eq!(outcome.code, Pam::Success, "round {round}: {outcome:?}");
        let outcome = application.login("code", &user).authenticate([&code, &code]);
        assert_eq!(outcome.code, Pam::AuthErr, "round {round}: {outcome:?}");
        let _ = kill(pid, Signal::SIGKILL);
    }
}
