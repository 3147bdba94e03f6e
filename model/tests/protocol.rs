//! The protocol holds: in each scene every order of steps and faults is gone through, and no property fails. That the
//! checker does find what is wrong is tried by `slips.rs`.

// A test reports by panicking, and says how much it has gone through.
#![allow(clippy::panic, clippy::print_stdout)]

use stateright::{Checker as _, Model as _};
use totp_model::Protocol;
use totp_model::scene::Task::{Login, RenameThereAndBack, Replace};
use totp_model::scene::{Faults, Scene, Task, WRONG};

const NONE: Faults =
    Faults { kills: 0, stops: 0, mistaken: 0, losses: 0, refusals: 0, evictions: 0, rots: 0 };

/// One code twice, and the one after it.
const LOGINS: [Task; 3] = [Login(1), Login(1), Login(2)];

/// Goes through everything. `seen` has to come about in some run, so that the properties aren't true of nothing.
fn holds(tasks: &[Task], faults: Faults, seen: &[&'static str]) {
    let protocol = Protocol(Scene::new(tasks, faults));
    let checker = protocol.clone().checker().threads(2).spawn_bfs().join();
    println!("{tasks:?} {faults:?}: {} states", checker.unique_state_count());
    for property in protocol.properties() {
        let found = checker.discovery(property.name);
        match found {
            Some(run) if !is_sight(property.name) => {
                panic!("{}:\n{}", property.name, protocol.in_words(run.into_actions()))
            }
            None if seen.contains(&property.name) => panic!("never: {}", property.name),
            _ => {}
        }
    }
}

/// Whether a property says what has to be possible, rather than what has to hold.
fn is_sight(name: &str) -> bool {
    [BOTH, ENDED, USED, BACK, NEW].contains(&name)
}

const BOTH: &str = "both codes are accepted";
const ENDED: &str = "a holder is ended and all come through";
const USED: &str = "a code is refused as used";
const BACK: &str = "memory is taken back with a code in it";
const NEW: &str = "the new enrollment lets somebody in";

#[test]
fn logins_that_are_killed_while_the_power_fails() {
    holds(&LOGINS, Faults { kills: 1, losses: 1, ..NONE }, &[BOTH, USED]);
}

#[test]
fn logins_through_two_power_failures() {
    holds(&LOGINS, Faults { losses: 2, ..NONE }, &[BOTH, USED]);
}

#[test]
fn logins_that_are_stopped_or_taken_for_stuck() {
    holds(&LOGINS, Faults { stops: 1, mistaken: 1, ..NONE }, &[BOTH, ENDED, USED]);
}

#[test]
fn a_wrong_code_beside_right_ones() {
    let tasks = [Login(1), Login(1), Login(WRONG)];
    holds(&tasks, Faults { kills: 1, stops: 1, losses: 1, ..NONE }, &[ENDED, USED]);
}

#[test]
fn logins_on_a_disk_that_refuses_now_and_then() {
    let faults = Faults { refusals: 2, losses: 1, evictions: 1, ..NONE };
    holds(&[Login(1), Login(1), Login(2)], faults, &[BOTH, USED, BACK]);
}

#[test]
fn logins_with_a_block_that_rots() {
    holds(&LOGINS, Faults { rots: 1, kills: 1, ..NONE }, &[BOTH, USED]);
}

#[test]
fn logins_while_the_enrollment_is_replaced() {
    let tasks = [Login(1), Login(1), Replace];
    holds(&tasks, Faults { kills: 1, losses: 1, ..NONE }, &[USED, NEW]);
}

#[test]
fn logins_while_the_enrollment_is_replaced_on_a_disk_that_refuses() {
    let tasks = [Login(1), Login(1), Replace];
    holds(&tasks, Faults { refusals: 2, losses: 1, ..NONE }, &[USED, NEW, BACK]);
}

#[test]
fn logins_while_the_account_is_renamed_and_renamed_back() {
    let tasks = [Login(1), Login(1), RenameThereAndBack];
    holds(&tasks, Faults { kills: 1, losses: 1, ..NONE }, &[USED]);
}

#[test]
fn logins_while_the_account_is_renamed_on_a_disk_that_refuses() {
    let tasks = [Login(1), Login(1), RenameThereAndBack];
    holds(&tasks, Faults { refusals: 2, losses: 1, ..NONE }, &[USED, BACK]);
}

#[test]
#[ignore = "minutes: make race"]
fn logins_with_everything_that_may_happen_to_processes() {
    let faults = Faults { kills: 1, stops: 1, mistaken: 1, losses: 1, ..NONE };
    holds(&LOGINS, faults, &[BOTH, ENDED, USED]);
}

#[test]
#[ignore = "minutes: make race"]
fn logins_killed_on_a_disk_that_refuses() {
    let faults = Faults { kills: 1, refusals: 2, losses: 1, evictions: 1, ..NONE };
    holds(&LOGINS, faults, &[BOTH, USED, BACK]);
}

#[test]
#[ignore = "minutes: make race"]
fn logins_and_a_replaced_enrollment_with_everything_that_may_happen_to_processes() {
    let faults = Faults { kills: 1, stops: 1, mistaken: 1, losses: 1, ..NONE };
    holds(&[Login(1), Login(1), Replace], faults, &[ENDED, USED, NEW]);
}

#[test]
#[ignore = "minutes: make race"]
fn a_login_and_a_replaced_enrollment_with_everything_that_may_happen_to_the_disk() {
    let faults = Faults { kills: 1, refusals: 2, losses: 2, evictions: 1, ..NONE };
    holds(&[Login(1), Replace], faults, &[NEW, BACK]);
}

#[test]
#[ignore = "minutes: make race"]
fn logins_and_a_renamed_account_with_everything_that_may_happen_to_processes() {
    let faults = Faults { kills: 1, stops: 1, mistaken: 1, losses: 1, ..NONE };
    holds(&[Login(1), Login(1), RenameThereAndBack], faults, &[ENDED, USED]);
}
