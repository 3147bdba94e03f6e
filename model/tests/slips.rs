//! The checker finds what is wrong: each thing that the product takes care to do is left out once, and a property fails. So
//! the model is no proof of nothing, and none of these is there for nothing.

// A test reports by panicking, and shows the run that was found.
#![allow(clippy::panic, clippy::print_stdout)]

use stateright::{Checker as _, HasDiscoveries, Model as _};
use totp_model::Protocol;
use totp_model::scene::Task::{Login, RenameThereAndBack, Replace};
use totp_model::scene::{Faults, Scene, Slip, Task};

const NONE: Faults =
    Faults { kills: 0, stops: 0, mistaken: 0, losses: 0, refusals: 0, evictions: 0, rots: 0 };

const TWICE: &str = "no code is accepted twice";
const SPENT: &str = "what was accepted stays spent";
const LOST: &str = "the state is never lost";
const OUT: &str = "nobody is kept out";
const ORACLE: &str = "nothing shows before the debit";

/// With `slip` there is a run in which `property` fails; without it there is none.
fn is_found(slip: Slip, tasks: &[Task], faults: Faults, property: &'static str) {
    let scene = Scene::new(tasks, faults);
    let slipping = Protocol(scene.clone().with(slip));
    let until = HasDiscoveries::AnyOf([property].into());
    let checker = slipping.clone().checker().finish_when(until).threads(2).spawn_bfs().join();
    match checker.discovery(property) {
        None => panic!("{slip:?} is not found in {} states", checker.unique_state_count()),
        Some(run) => println!("{slip:?}:\n{}", slipping.in_words(run.into_actions())),
    }
    let checker = Protocol(scene).checker().threads(2).spawn_bfs().join();
    assert!(checker.discovery(property).is_none(), "{slip:?} is found where nothing is wrong");
}

#[test]
fn reading_before_the_lock() {
    is_found(Slip::ReadBeforeLock, &[Login(1), Login(1)], NONE, TWICE);
}

#[test]
fn no_look_at_the_inode() {
    is_found(Slip::NoInodeCheck, &[Login(1), Login(1), RenameThereAndBack], NONE, TWICE);
}

#[test]
fn no_flush_before_success() {
    is_found(Slip::NoFlush, &[Login(1), Login(1)], Faults { losses: 1, ..NONE }, TWICE);
}

#[test]
fn the_newest_block_overwritten() {
    is_found(Slip::NewestOverwritten, &[Login(1)], Faults { losses: 1, ..NONE }, LOST);
}

#[test]
fn a_block_taken_for_flushed() {
    let faults = Faults { kills: 1, losses: 1, ..NONE };
    is_found(Slip::TakenForFlushed, &[Login(1), Login(2)], faults, LOST);
}

#[test]
fn a_block_flushed_and_not_rewritten() {
    let faults = Faults { kills: 1, refusals: 2, losses: 1, ..NONE };
    is_found(Slip::FlushedButNotRewritten, &[Login(1), Login(2)], faults, LOST);
}

#[test]
fn a_flush_noted_before_it_is_done() {
    let faults = Faults { kills: 1, losses: 1, ..NONE };
    is_found(Slip::NotedBeforeFlushed, &[Login(1), Login(2)], faults, LOST);
}

#[test]
fn a_debit_after_the_state() {
    is_found(Slip::DebitAfterState, &[Login(1)], NONE, ORACLE);
}

#[test]
fn a_meter_that_repeats_nothing() {
    is_found(Slip::NothingRepeated, &[Login(1), Login(1)], Faults { rots: 1, ..NONE }, TWICE);
}

#[test]
fn a_waiter_that_goes_on_without_the_lock() {
    let tasks = [Login(1), Login(1), Login(1)];
    is_found(Slip::NoLockAfterEnding, &tasks, Faults { stops: 1, ..NONE }, TWICE);
}

#[test]
fn a_stopped_holder_left_alone() {
    is_found(Slip::StoppedLeftAlone, &[Login(1), Login(2)], Faults { stops: 1, ..NONE }, OUT);
}

#[test]
fn memory_that_accepts_what_a_restart_has_forgotten() {
    let faults = Faults { refusals: 1, losses: 1, ..NONE };
    let slip = Slip::MemoryAcceptsCodesOfBeforeTheStart;
    is_found(slip, &[Login(1), Login(1)], faults, TWICE);
}

#[test]
fn memory_removed_before_it_is_on_disk() {
    let faults = Faults { refusals: 2, losses: 1, ..NONE };
    is_found(Slip::MemoryRemovedBeforeFlush, &[Login(1), Login(1)], faults, SPENT);
}

#[test]
fn a_record_before_its_first_block() {
    is_found(Slip::RecordBeforeBlock, &[Replace], Faults { losses: 1, ..NONE }, LOST);
}

#[test]
fn the_first_block_over_the_newest_of_before() {
    is_found(Slip::FirstBlockOverNewest, &[Replace], Faults { kills: 1, ..NONE }, LOST);
}

#[test]
fn a_record_that_may_not_be_on_disk_taken_for_one_that_is() {
    let tasks = [Login(1), Login(1), RenameThereAndBack];
    let faults = Faults { kills: 1, losses: 1, ..NONE };
    is_found(Slip::RecordNotKept, &tasks, faults, TWICE);
}
