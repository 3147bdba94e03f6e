//! Every kind of code, in every size of race.

use std::fs;

use pam_totp_tests::{Decider, House, Phone, Plan};
use serde_json::Value;

use super::arena::{Arena, SIZES, Snapshot};
use crate::CODE;

const STATE: &str = "/var/lib/pam-totp";

/// Rounds of one kind in one place, over all sizes together. `make race` has a thousand.
fn rounds() -> usize {
    let named = std::env::var("PAM_TOTP_RACE_ROUNDS").ok();
    named.map_or(12, |rounds| rounds.parse().expect("PAM_TOTP_RACE_ROUNDS is a number"))
}

/// Races with one code after the other; when all are used, `again` makes them good again and gives them.
#[allow(clippy::print_stdout)] // what `make race` shows
fn race(
    kind: &str,
    arena: &mut Arena<'_>,
    expected: Expected,
    again: &mut dyn FnMut(&House) -> Vec<String>,
) {
    let mut codes: Vec<String> = Vec::new();
    let mut let_in = [0; 3];
    for round in 0..rounds() {
        if codes.is_empty() {
            codes = again(arena.house());
            codes.reverse();
        }
        let code = codes.pop().expect("there is always one more");
        let of = round % SIZES.len();
        let winners = arena.let_in("code", "alice", &code, SIZES[of]);
        let_in[of] += winners;
        assert_eq!(
            winners,
            expected.of(SIZES[of]),
            "{kind}, round {round}, {} processes",
            SIZES[of]
        );
    }
    println!("RACE {kind}: {} rounds, let in {let_in:?} of 2, 8 and 32", rounds());
}

/// How many are to be let in.
#[derive(Clone, Copy)]
enum Expected {
    One,
    /// In memory nothing that is good once counts.
    None,
    /// Of an enrollment code: a mistyped password costs one of three.
    Three,
}

impl Expected {
    fn of(self, size: usize) -> usize {
        match self {
            Self::One => 1,
            Self::None => 0,
            Self::Three => size.min(3),
        }
    }
}

/// Whether the state is kept on the disk or, while that can't be written, in memory.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    Disk,
    Memory,
}

/// A house in which the disk can be made read-only.
fn house(config: &str, place: Place) -> House {
    let decided_by = match place {
        Place::Disk => Decider::usual(),
        // In a mount namespace of its own, as this house is one, `totpd --once` takes no read-only disk for a broken one.
        Place::Memory => Decider::Daemon,
    };
    let plan = Plan { config: Some(config.to_string()), decided_by, ..Plan::default() };
    let house = House::from_plan(&plan);
    house.mount_small_state();
    house
}

impl Place {
    /// From here on the disk is as this says.
    fn settle(self, house: &House) {
        if self == Self::Memory {
            house.run("mount", &["-o", "remount,ro", STATE]);
        }
    }

    fn reset(self, snapshot: &Snapshot) {
        match self {
            Self::Disk => snapshot.put_back(),
            Self::Memory => snapshot.forget_memory(),
        }
    }
}

/// Codes of a phone, `steps` of them beginning at each of the `starts`, which count from the code before the present
/// one. All of them are good still when the phone shows the next one.
fn of_phone(place: Place, starts: &[usize], steps: usize, kind: &str) {
    let house = house("", place);
    let phone: Phone = house.enroll("alice");
    let snapshot = Snapshot::of(&house, "alice");
    place.settle(&house);
    let mut arena = Arena::in_house(&house);
    race(kind, &mut arena, Expected::One, &mut |_| {
        place.reset(&snapshot);
        let last = starts.iter().max().map_or(steps, |start| start + steps);
        let all: Vec<String> = (-1..).take(last).map(|step| phone.in_steps(step)).collect();
        starts.iter().map(|start| all[*start..start + steps].join(" ")).collect()
    });
}

#[test]
fn a_code_is_good_for_one_of_many_processes() {
    of_phone(Place::Disk, &[1, 2], 1, "one code, on disk");
}

#[test]
fn a_code_is_good_for_one_of_many_processes_in_memory() {
    of_phone(Place::Memory, &[1, 2], 1, "one code, in memory");
}

#[test]
fn two_codes_in_a_row_are_good_for_one_of_many_processes() {
    of_phone(Place::Disk, &[0, 2, 4, 6, 8, 10], 2, "two in a row, on disk");
}

#[test]
fn two_codes_in_a_row_are_good_for_one_of_many_processes_in_memory() {
    of_phone(Place::Memory, &[1], 2, "two in a row, in memory");
}

#[test]
fn three_codes_in_a_row_are_good_for_one_of_many_processes() {
    of_phone(Place::Disk, &[0, 3, 6, 9, 12, 15, 18], 3, "three in a row, on disk");
}

#[test]
fn three_codes_in_a_row_are_good_for_one_of_many_processes_in_memory() {
    of_phone(Place::Memory, &[0], 3, "three in a row, in memory");
}

/// Codes that are good once: on disk for one, in memory for nobody.
fn once(config: &str, place: Place, kind: &str, make: impl Fn(&House) -> Vec<String>) {
    let house = house(config, place);
    let codes = make(&house);
    let snapshot = Snapshot::of(&house, "alice");
    place.settle(&house);
    let expected = match place {
        Place::Disk => Expected::One,
        Place::Memory => Expected::None,
    };
    let mut arena = Arena::in_house(&house);
    race(kind, &mut arena, expected, &mut |_| {
        place.reset(&snapshot);
        codes.clone()
    });
}

fn texts(document: &Value) -> Vec<String> {
    let codes = document.as_array().expect("a list").iter();
    codes.map(|code| code.as_str().unwrap().to_string()).collect()
}

fn recovery_codes(house: &House) -> Vec<String> {
    texts(&house.admin_json(&["enroll", "alice", "--json", "--no-confirm"])["recovery_codes"])
}

fn bypass_code(house: &House) -> Vec<String> {
    let _phone = house.enroll("alice");
    let document = house.admin_json(&["bypass-code", "alice", "--json"]);
    vec![document["code"].as_str().unwrap().to_string()]
}

/// What `sms` at the prompt leaves for the agent to send.
fn text_message_code(house: &House) -> Vec<String> {
    house.run(
        "totp-admin",
        &["enroll", "alice", "--phone", "+420123456789", "--json", "--no-confirm"],
    );
    let mut application = house.application();
    let mut login = application.login("code", "alice");
    assert_eq!(login.begin("auth 0").hear().prompt(), Some(CODE));
    login.answer("sms");
    let _ = login.rest([] as [&str; 0]);
    let outbox = fs::read_dir(house.path(STATE).join("outbox")).unwrap().flatten();
    let mut messages =
        outbox.filter(|file| file.file_name().to_string_lossy().starts_with("text-"));
    let message = fs::read_to_string(messages.next().expect("a message waits").path()).unwrap();
    let text = message.lines().find_map(|line| line.strip_prefix("text ")).expect("its text");
    let said = text.split("%20is%20your").next().unwrap().replace("%20", "");
    vec![said.chars().filter(char::is_ascii_digit).collect()]
}

const SMS: &str = "[sms]\ncommand = [\"/bin/true\"]\n";
const ROTATING: &str = "[recovery]\nmode = \"rotating\"\n";

#[test]
fn a_recovery_code_is_good_for_one_of_many_processes() {
    once("", Place::Disk, "a recovery code, on disk", recovery_codes);
}

#[test]
fn a_recovery_code_is_good_for_nobody_in_memory() {
    once("", Place::Memory, "a recovery code, in memory", recovery_codes);
}

#[test]
fn a_rotating_recovery_code_is_good_for_one_of_many_processes() {
    once(ROTATING, Place::Disk, "a rotating one, on disk", recovery_codes);
}

#[test]
fn a_rotating_recovery_code_is_good_for_nobody_in_memory() {
    once(ROTATING, Place::Memory, "a rotating one, in memory", recovery_codes);
}

#[test]
fn a_bypass_code_is_good_for_one_of_many_processes() {
    once("", Place::Disk, "a bypass code, on disk", bypass_code);
}

#[test]
fn a_bypass_code_is_good_for_nobody_in_memory() {
    once("", Place::Memory, "a bypass code, in memory", bypass_code);
}

#[test]
fn a_text_messages_code_is_good_for_one_of_many_processes() {
    once(SMS, Place::Disk, "a text message's code, on disk", text_message_code);
}

#[test]
fn a_text_messages_code_is_good_for_nobody_in_memory() {
    once(SMS, Place::Memory, "a text message's code, in memory", text_message_code);
}

#[test]
fn an_enrollment_code_is_good_for_three_of_many_processes() {
    let house = house(crate::ENROLLS, Place::Disk);
    let opened = house.admin_json(&["enroll", "alice", "--at-login", "--json"]);
    let code = opened["enrollment_code"].as_str().unwrap().to_string();
    let snapshot = Snapshot::of(&house, "alice");
    let mut arena = Arena::in_house(&house);
    race("an enrollment code, on disk", &mut arena, Expected::Three, &mut |_| {
        snapshot.put_back();
        vec![code.clone()]
    });
}
