//! A program that lives long and logs many people in, as a screen locker or a web server does: nothing is used up, and nothing
//! about it changes. Some hundreds of logins here; `PAM_TOTP_LOGINS` says otherwise.

use std::collections::BTreeMap;
use std::fs;

use pam_totp_tests::{Answer, Application, Heard, House, PASSWORD, Pam, Phone, Plan};

use crate::hosts::shape;

/// glibc keeps seven freed blocks of each size at hand, and takes thousands of logins to have met all sizes: that would look
/// like something that grows.
const WITHOUT_BLOCKS_AT_HAND: (&str, &str) = ("GLIBC_TUNABLES", "glibc.malloc.tcache_count=0");

/// Logins of one round, below.
const IN_A_ROUND: usize = 13;

fn rounds(usually: usize) -> usize {
    let given = std::env::var("PAM_TOTP_LOGINS").ok().and_then(|text| text.parse::<usize>().ok());
    given.map_or(usually, |logins| logins.div_ceil(IN_A_ROUND))
}

/// alice has a phone, bob was switched off, carol's record is damaged, dave is to enroll, eve isn't enrolled.
fn settled() -> House {
    let people = ["alice", "bob", "carol", "dave", "eve"].map(str::to_string).to_vec();
    let house = House::from_plan(&Plan {
        people,
        config: Some(crate::ENROLLS.to_string()),
        ..Plan::default()
    });
    let _ = (house.enroll("bob"), house.enroll("carol"));
    house.run("totp-admin", &["disable", "bob", "--yes"]);
    fs::write(house.path("/var/lib/pam-totp/users/carol.toml"), "damaged").unwrap();
    house
}

/// One of everything that can become of a login.
fn round(house: &House, application: &mut Application) {
    let document = house.admin_json(&["enroll", "alice", "--replace", "--json", "--no-confirm"]);
    let phone = Phone::new(document["secret"].as_str().unwrap());
    let recovery = document["recovery_codes"][0].as_str().unwrap().to_string();
    let right = phone.in_steps(0);
    let wrong = [phone.wrong(0), phone.wrong(1)];
    let pair = [2, 3].map(|step| phone.in_steps(step)).concat();
    let code = "code";
    for (service, user, answers, expected) in [
        (code, "alice", vec![right.clone()], Pam::Success),
        (code, "alice", vec![right, wrong[0].clone()], Pam::AuthErr),
        (code, "alice", wrong.to_vec(), Pam::AuthErr),
        (
            code,
            "alice",
            vec!["?".into(), "sms".into(), wrong[1].clone(), wrong[0].clone()],
            Pam::AuthErr,
        ),
        ("both", "alice", vec![PASSWORD.to_string(), pair], Pam::Success),
        (code, "alice", vec![recovery], Pam::Success),
        ("both", "bob", vec![PASSWORD.to_string()], Pam::Success),
        (code, "carol", wrong.to_vec(), Pam::AuthErr),
        (code, "eve", wrong.to_vec(), Pam::AuthErr),
        (code, "mallory", wrong.to_vec(), Pam::AuthErr),
    ] {
        let mut login = application.login(service, user);
        let outcome = login.authenticate(&answers);
        assert_eq!(outcome.code, expected, "{user}: {outcome:?}");
        let _ = (login.account(), login.set_credentials());
    }
    for silence in [Answer::NoReply, Answer::NoArray] {
        let outcome = application.login(code, "alice").authenticate([silence]);
        assert_eq!(outcome.code, Pam::ConvErr, "{outcome:?}");
    }
    enrolls(house, application);
    // What was guessed here is no attack.
    house.run("totp-admin", &["unlock", "alice"]);
}

/// dave enrolls at the login, and is to do so again next time.
fn enrolls(house: &House, application: &mut Application) {
    let document = house.admin_json(&["reset", "dave", "--yes", "--json"]);
    let code = document["enrollment_code"].as_str().unwrap();
    let mut login = application.login("code", "dave");
    assert_eq!(login.authenticate([code]).code, Pam::Success);
    login.begin("acct 0");
    loop {
        match login.hear() {
            Heard::Returned(code) => return assert_eq!(code, Pam::Success),
            Heard::Ask { text, .. } => {
                let phone = crate::account_phase::phone_in(&[&text]);
                login.answer(&phone.map(|phone| phone.now()).unwrap_or_default());
            }
            Heard::Tell { .. } | Heard::Delay(_) => {}
        }
    }
}

/// Kibibytes that are this process's alone, and bytes of its heap.
fn size(pid: u32) -> (u64, u64) {
    let smaps = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
    let dirty = smaps.lines().find_map(|line| line.strip_prefix("Private_Dirty:")).unwrap();
    let dirty = dirty.trim().trim_end_matches(" kB").parse().unwrap();
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let heap = maps.lines().find(|line| line.ends_with("[heap]")).unwrap();
    let (start, end) = heap.split_once(' ').unwrap().0.split_once('-').unwrap();
    let [start, end] = [start, end].map(|at| u64::from_str_radix(at, 16).unwrap());
    (dirty, end - start)
}

#[test]
fn hundreds_of_logins_use_nothing_up_and_change_nothing_about_the_program() {
    let house = settled();
    let _ = house.admin_json(&["enroll", "dave", "--at-login", "--json"]);
    let mut application = house.application_with(&[WITHOUT_BLOCKS_AT_HAND]);
    application.take_identity("some-locker");
    round(&house, &mut application);
    round(&house, &mut application);
    let (pid, locale) = (application.pid(), application.locale());
    let (before, at_first): (BTreeMap<String, String>, _) = (shape(pid), size(pid));
    for _ in 0..rounds(10) {
        round(&house, &mut application);
    }
    assert_eq!((shape(pid), application.locale()), (before, locale));
    assert_eq!(application.complaints(), "");
    let (dirty, heap) = size(pid);
    assert!(heap <= at_first.1 + 65_536, "a heap of {heap} bytes after {}", at_first.1);
    assert!(dirty <= at_first.0 + 64, "{dirty} KiB after {} KiB", at_first.0);
    // The connection to syslog, and the name it was opened with, are the program's.
    application.log("still itself");
    let line = house.syslog().expect("still itself");
    assert!(line.starts_with("some-locker["), "{line}");
    let mut lines = house.syslog().lines();
    lines.retain(|line| line.contains("pam_totp("));
    assert!(
        !lines.is_empty() && lines.iter().all(|line| line.starts_with("some-locker[")),
        "{:?}",
        lines.last()
    );
}

/// What valgrind says of a process after so many rounds: its verdict, and how many bytes are still reachable.
fn under_valgrind(rounds: usize) -> (i32, u64, String) {
    let house = settled();
    let _ = house.admin_json(&["enroll", "dave", "--at-login", "--json"]);
    let mut application = house.application_under(
        "valgrind",
        &[
            "--error-exitcode=99",
            "--leak-check=full",
            "--show-leak-kinds=all",
            "--errors-for-leak-kinds=definite,indirect,possible",
            "--log-file=/run/valgrind.log",
        ],
    );
    for _ in 0..rounds {
        round(&house, &mut application);
    }
    let verdict = application.finish();
    let log = fs::read_to_string(house.path("/run/valgrind.log")).unwrap();
    let reachable = log.lines().find_map(|line| line.split_once("still reachable: "));
    let reachable = reachable.and_then(|(_, rest)| rest.split(' ').next());
    let bytes = reachable.unwrap_or("0").replace(',', "").parse().unwrap();
    (verdict, bytes, log)
}

#[test]
fn valgrind_finds_nothing_that_grows_with_the_number_of_logins() {
    let (verdict, once, log) = under_valgrind(1);
    assert_eq!(verdict, 0, "{log}");
    let (verdict, again, log) = under_valgrind(rounds(3));
    assert_eq!(verdict, 0, "{log}");
    assert!(
        again <= once,
        "still reachable: {once} bytes after one round, {again} after more\n{log}"
    );
}

/// What libasan says goes where `ASAN_OPTIONS` has it, for `make sanitize` to show.
#[test]
#[ignore = "needs a module and an application that AddressSanitizer watches: make sanitize"]
fn the_address_sanitizer_finds_nothing_however_many_logins_there_are() {
    let options = std::env::var("ASAN_OPTIONS").expect("make sanitize says what is watched");
    let house = settled();
    let _ = house.admin_json(&["enroll", "dave", "--at-login", "--json"]);
    let mut application = house.application_with(&[("ASAN_OPTIONS", &options)]);
    round(&house, &mut application);
    let before = shape(application.pid());
    for _ in 1..rounds(10) {
        round(&house, &mut application);
    }
    assert_eq!(shape(application.pid()), before);
    // Unless it is the sanitizer's own module nothing was watched.
    let maps = fs::read_to_string(format!("/proc/{}/maps", application.pid())).unwrap();
    assert!(maps.contains("/libasan.so"), "{maps}");
    assert_eq!(application.complaints(), "");
    assert_eq!(application.finish(), 0, "leaks are looked for at the end");
}
