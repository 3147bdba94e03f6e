//! Clocks that are off: the server's, or the phone's. libfaketime tells totpd the time, so the daemon decides in all of
//! these tests: the environment of `totpd --once` is empty, and nothing can be preloaded into it.

use std::fs;

use pam_totp_tests::{FirstFactor, House, Outcome, PASSWORD, Pam, Phone, Plan, Sshd};

use crate::{CODE, NEXT};

/// Noon of a day long ago or far away: the tests' own time stands still there.
pub const NOON: i64 = 1_900_000_000;
const HOUR: i64 = 3600;

/// Where libfaketime reads what time it is: the clock moves while totpd runs.
const CLOCK: &str = "/etc/faketimerc";

/// The variables that make a program read the clock of the house. Only clocks of the day are faked.
pub fn variables() -> [(&'static str, &'static str); 5] {
    [
        ("LD_PRELOAD", "libfaketime.so.1"),
        (
            "LD_LIBRARY_PATH",
            "/usr/lib/x86_64-linux-gnu/faketime:/usr/lib/aarch64-linux-gnu/faketime",
        ),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
        ("FAKETIME_NO_CACHE", "1"),
        ("FAKETIME_FMT", "%s"),
    ]
}

pub fn set_clock(house: &House, time: i64) {
    // Whole or not at all: totpd may be reading.
    let fresh = house.path(CLOCK).with_extension("new");
    fs::write(&fresh, format!("{time}\n")).unwrap();
    fs::rename(fresh, house.path(CLOCK)).unwrap();
}

/// A house in which totpd reads the clock of the house.
pub fn house_with_clock(plan: &Plan, time: i64) -> House {
    let mut house = House::from_plan(plan);
    set_clock(&house, time);
    house.start_daemon_by(&variables(), &[]);
    house
}

/// Enrolled and logged in once at noon.
fn house_at_noon() -> (House, Phone) {
    let house = house_with_clock(&Plan::default(), NOON);
    let phone = house.enroll("alice");
    let noon = log_in(&house, NOON, [phone.at(NOON)]);
    assert_eq!(noon.code, Pam::Success, "{noon:?}");
    house.syslog().clear();
    (house, phone)
}

fn log_in<const N: usize>(house: &House, clock: i64, codes: [String; N]) -> Outcome {
    set_clock(house, clock);
    let mut application = house.application();
    let mut login = application.login("code", "alice");
    login.authenticate(codes.iter())
}

#[test]
fn a_clock_set_forward_accepts_the_codes_of_its_own_time() {
    let (house, phone) = house_at_noon();
    let later = NOON + 24 * HOUR;
    assert_eq!(log_in(&house, later, [phone.at(later)]).code, Pam::Success);
    assert_eq!(log_in(&house, later, [phone.at(later), phone.at(later)]).code, Pam::AuthErr);
    assert_eq!(log_in(&house, later, [phone.at(NOON), phone.at(NOON + 30)]).code, Pam::AuthErr);
}

#[test]
fn a_clock_set_back_makes_no_used_code_good_again() {
    let (house, phone) = house_at_noon();
    let earlier = NOON - HOUR;
    let outcome = log_in(&house, earlier, [phone.at(earlier), phone.at(earlier + 30)]);
    assert_eq!(outcome.code, Pam::AuthErr, "{outcome:?}");
    let line = house.syslog().expect("reason=clock user=alice");
    assert!(line.contains("3600") || line.contains("35") || line.contains("36"), "{line}");
    // Past the floor again, all is as before.
    assert_eq!(log_in(&house, NOON, [phone.at(NOON), phone.at(NOON)]).code, Pam::AuthErr);
    assert_eq!(log_in(&house, NOON + 30, [phone.at(NOON + 30)]).code, Pam::Success);
}

#[test]
fn a_clock_set_forward_and_back_again_needs_no_administrator() {
    let (house, phone) = house_at_noon();
    let later = NOON + 10 * 60;
    assert_eq!(log_in(&house, later, [phone.at(later)]).code, Pam::Success);
    assert_eq!(
        log_in(&house, NOON + 60, [phone.at(NOON + 60), phone.at(NOON + 90)]).code,
        Pam::AuthErr
    );
    assert_eq!(log_in(&house, later + 30, [phone.at(later + 30)]).code, Pam::Success);
}

#[test]
fn a_clock_that_was_years_ahead_denies_who_logged_in_then_but_for_a_recovery_code() {
    let house = house_with_clock(&Plan::default(), NOON);
    let document = house.admin_json(&["enroll", "alice", "--json", "--no-confirm"]);
    let phone = Phone::new(document["secret"].as_str().unwrap());
    let recovery = document["recovery_codes"][0].as_str().unwrap().to_owned();
    let ahead = NOON + 10 * 365 * 24 * HOUR;
    assert_eq!(log_in(&house, ahead, [phone.at(ahead)]).code, Pam::Success);
    let denied = log_in(&house, NOON, [phone.at(NOON), phone.at(NOON + 30)]);
    assert_eq!(denied.code, Pam::AuthErr, "{denied:?}");
    let line = house.syslog().expect("reason=clock user=alice");
    let seconds = line.rsplit_once("seconds=").unwrap().1.parse::<i64>().unwrap();
    assert!((seconds - (ahead - NOON)).abs() <= 120, "{line}");
    assert_eq!(log_in(&house, NOON, [recovery.clone()]).code, Pam::Success);
    assert_eq!(log_in(&house, NOON, [recovery.clone(), recovery]).code, Pam::AuthErr);
}

#[test]
fn a_phone_8_minutes_off_comes_in_with_two_codes_and_then_with_one() {
    for off in [8 * 60, -8 * 60] {
        let (house, phone) = house_at_noon();
        let now = NOON + HOUR;
        let shown = |steps: i64| phone.at(now + off + steps * 30);
        let alone = log_in(&house, now, [shown(0), shown(0)]);
        assert_eq!(alone.code, Pam::AuthErr);
        // The second one is typed when the phone shows it.
        let mut application = house.application();
        let mut login = application.login("code", "alice");
        assert_eq!(login.begin("auth 0").hear().prompt(), Some(CODE));
        login.answer(&shown(0));
        assert_eq!(login.hear().prompt(), Some(NEXT));
        set_clock(&house, now + 30);
        login.answer(&shown(1));
        let pair = login.rest([] as [&str; 0]);
        assert_eq!(pair.code, Pam::Success, "{pair:?}");
        drop(login);
        // Its drift is known now.
        let one = log_in(&house, now + 60, [shown(2)]);
        assert_eq!(one.code, Pam::Success, "{one:?}");
        let line = house.syslog().expect(&format!("drift={}", off / 30));
        assert!(line.contains("accepted totp for alice"), "{line}");
    }
}

#[test]
fn a_phone_8_minutes_off_may_give_both_codes_in_one_answer() {
    let (house, phone) = house_at_noon();
    let now = NOON + HOUR;
    let pair = format!("{} {}", phone.at(now - 480), phone.at(now - 450));
    assert_eq!(log_in(&house, now, [pair]).code, Pam::Success);
}

#[test]
fn a_server_5_hours_off_lets_in_with_three_codes() {
    for off in [5 * HOUR, -5 * HOUR] {
        let house = house_with_clock(&Plan::default(), NOON);
        let phone = house.enroll("alice");
        let real = NOON + 24 * HOUR;
        let clock = real + off;
        let codes = [0, 30, 60].map(|later| phone.at(real + later));
        let pair = log_in(&house, clock, [codes[0].clone(), codes[1].clone()]);
        assert_eq!(pair.code, Pam::AuthErr, "{pair:?}");
        let triple = log_in(&house, clock, [codes.join(" ")]);
        assert_eq!(triple.code, Pam::Success, "{triple:?}");
        // Each of them is used.
        let again = log_in(&house, clock, [codes.join(" "), codes[2].clone()]);
        assert_eq!(again.code, Pam::AuthErr, "{again:?}");
    }
}

#[test]
fn sshd_itself_with_a_clock_that_was_set_back() {
    let house = house_with_clock(&Plan::default(), NOON);
    let phone = house.enroll("alice");
    let sshd = Sshd::start(&house, FirstFactor::Password);
    let mut terminal = sshd.connect("alice");
    terminal.expect("Password: ").type_line(PASSWORD).expect(CODE).type_line(&phone.at(NOON));
    terminal.expect("in as alice");
    assert!(terminal.wait().success());
    set_clock(&house, NOON - HOUR);
    let mut terminal = sshd.connect("alice");
    terminal.expect("Password: ").type_line(PASSWORD).expect(CODE).type_line(&phone.at(NOON));
    terminal.expect(NEXT).type_line(&phone.at(NOON - HOUR));
    terminal.expect("Permission denied");
    let _ = house.syslog().expect("reason=clock user=alice");
}
