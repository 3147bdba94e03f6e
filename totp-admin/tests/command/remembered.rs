//! `remembered list` and `remembered forget`, and what `show` says of devices.

use std::fs;
use std::path::Path;

use totp_core::name::UserName;
use totp_core::record::{self, EnrollmentId};
use totp_core::remembered::{Arrival, Fingerprint, Terms};
use totp_core::time::DAY;
use totp_store::clock;
use totp_store::files::Owner;
use totp_store::remembered::Remembered;

use crate::support::{House, OTHER, USER};

const SETTINGS: &str = "[remember]\ndays = 30";
const ONE: Fingerprint = Fingerprint([1; 32]);
const TWO: Fingerprint = Fingerprint([2; 32]);

/// daemon is enrolled.
fn house(settings: &str) -> Option<House> {
    let house = House::new(settings)?;
    house.enroll(USER);
    Some(house)
}

fn enrollment(house: &House) -> EnrollmentId {
    let text = fs::read_to_string(house.file_of(USER)).unwrap();
    record::parse(&text).unwrap().enrollment().unwrap()
}

/// As the module does it, some days ago.
fn remember(house: &House, keys: &[Fingerprint], days_ago: u64) {
    let now = clock::now().minus(days_ago * DAY);
    for key in keys {
        let arrival = Arrival { key: *key, network: None, enrollment: enrollment(house), now };
        let terms = Terms { seconds: 30 * DAY, same_network: false };
        let lists = Remembered::new(Path::new(&house.path("state")), Owner::ROOT);
        lists.remember(&UserName::new(USER).unwrap(), &arrival, &terms).unwrap();
    }
}

fn count(house: &House) -> usize {
    let listed = house.run(&["remembered", "list", USER, "--json"]).done().json();
    listed.as_array().unwrap().len()
}

#[test]
fn devices_are_listed_for_one_and_for_all() {
    let Some(house) = house(SETTINGS) else { return };
    house.enroll_with(OTHER, "MFRGGZDFMZTWQ2LKMFRGGZDFMZTWQ2LK", &[]);
    remember(&house, &[ONE, TWO], 1);
    for who in [USER, "--all"] {
        let listed = house.run(&["remembered", "list", who, "--json"]).done().json();
        assert_eq!(listed[0]["user"], USER);
        assert_eq!(listed[0]["fingerprint"], ONE.to_string());
        assert!(listed[0]["network"].is_null() && listed[0]["until"].is_string());
        assert_eq!(listed.as_array().unwrap().len(), 2);
        let text = house.run(&["remembered", "list", who]).done().out;
        assert!(text.contains(&format!("  {TWO} until ")), "{text}");
    }
    let none = house.run(&["remembered", "list", OTHER]).done();
    assert!(none.out.is_empty() && none.err.contains("No device is remembered."));
}

#[test]
fn show_says_how_many_there_are() {
    let Some(house) = house(SETTINGS) else { return };
    assert_eq!(house.run(&["show", USER, "--json"]).done().json()["remembered"], 0);
    remember(&house, &[ONE, TWO], 1);
    assert_eq!(house.run(&["show", USER, "--json"]).done().json()["remembered"], 2);
    let text = house.run(&["show", USER]).done().out;
    assert!(text.contains("2 devices that are not asked"), "{text}");
}

#[test]
fn a_forgotten_device_is_recorded_and_forgetting_it_twice_is_no_error() {
    let Some(house) = house(SETTINGS) else { return };
    remember(&house, &[ONE, TWO], 1);
    let forget = ["remembered", "forget", USER, &ONE.to_string(), "--json"];
    let told = house.run(&forget).done().json();
    assert_eq!((&told["changed"], &told["record"]), (&true.into(), &2.into()));
    assert_eq!(told["forgotten"][0], ONE.to_string());
    assert_eq!(house.record()[1]["reason"], ONE.to_string());
    let again = house.run(&forget).done().json();
    assert!(again["changed"] == false && again["record"].is_null());
    assert_eq!(count(&house), 1);
    assert_eq!(house.events(), ["enrolled", "device-forgotten"]);
}

#[test]
fn all_are_forgotten_at_once_even_where_they_cannot_be_read() {
    let Some(house) = house(SETTINGS) else { return };
    remember(&house, &[ONE, TWO], 1);
    let told = house.run(&["remembered", "forget", USER, "--all", "--json"]).done().json();
    assert_eq!(told["forgotten"].as_array().unwrap().len(), 2);
    let again = house.run(&["remembered", "forget", USER, "--all", "--json"]).done().json();
    assert_eq!(again["changed"], false);
    remember(&house, &[ONE], 1);
    let list = house.path(format!("state/remembered/{USER}"));
    fs::write(&list, "nonsense\n").unwrap();
    house
        .run(&["remembered", "forget", USER, &ONE.to_string()])
        .refused(&["line 1", "totp-admin remembered forget --all daemon"]);
    let told = house.run(&["remembered", "forget", USER, "--all", "--json"]).done().json();
    assert!(told["changed"] == true && !list.exists());
}

#[test]
fn who_enrolls_again_has_no_device_left() {
    let Some(house) = house(SETTINGS) else { return };
    remember(&house, &[ONE], 1);
    assert_eq!(count(&house), 1);
    house.enroll_with(USER, "MFRGGZDFMZTWQ2LKMFRGGZDFMZTWQ2LK", &["--replace"]);
    assert_eq!(count(&house), 0);
}

#[test]
fn the_configuration_of_now_decides_how_long_a_device_is_remembered() {
    let Some(house) = house(SETTINGS) else { return };
    remember(&house, &[ONE], 8);
    assert_eq!(count(&house), 1);
    house.configure("[remember]\ndays = 7");
    assert_eq!(count(&house), 0);
    house.configure("");
    let output = house.run(&["remembered", "list", "--all"]).done();
    assert!(output.out.is_empty() && output.err.contains("[remember] days = 0"));
}

#[test]
fn wrong_usage_is_exit_code_two() {
    let Some(house) = house(SETTINGS) else { return };
    for args in [
        &["remembered", "forget", USER][..],
        &["remembered", "list"],
        &["remembered", "forget", USER, "x"],
    ] {
        assert_eq!(house.run(args).code, 2, "{args:?}");
    }
}
