//! What a caller of su may have limited: each test in a process of its own.

use std::fs;

use nix::errno::Errno;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use totp_core::store::{FaultKind, Store as _, View};
use totp_core::upkeep::read;

use super::house::{House, NOW, code, expected, first_state, record, tombstone, user};

fn alone(inner: &str) {
    let me = std::env::current_exe().unwrap();
    let inner = format!("store::tests::limits::{inner}");
    let run = std::process::Command::new(me)
        .args(["--exact", "--ignored", "--test-threads=1", &inner])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success() && said.contains("1 passed"), "{:?} {said}", run.status);
}

#[test]
fn a_file_size_limit_refuses_everybody_before_anything_is_written() {
    alone("inner_file_size");
}

#[test]
#[ignore = "runs inside the one above"]
fn inner_file_size() {
    let house = House::with_alice();
    fs::remove_file(house.state_file()).unwrap();
    fs::remove_file(house.lib("users/.decoy.toml")).unwrap();
    for entry in fs::read_dir(house.lib("state")).unwrap() {
        fs::remove_file(entry.unwrap().path()).unwrap();
    }
    let (_, hard) = getrlimit(Resource::RLIMIT_FSIZE).unwrap();
    setrlimit(Resource::RLIMIT_FSIZE, 100, hard).unwrap();
    let enrolled = |n| expected("alice", n);
    let [alice, bob] =
        ["alice", "bob"].map(|name| house.try_code(name, &code(NOW), NOW).unwrap_err());
    let enrolling = house.store.install(record("alice", 2), enrolled(1), &|_| first_state(2));
    let switching = house.store.switch_off(tombstone("alice"), enrolled(1));
    setrlimit(Resource::RLIMIT_FSIZE, hard, hard).unwrap();
    for error in [enrolling.unwrap_err(), switching.unwrap_err()] {
        assert!(error.to_string().contains("ulimit -f"), "{error}");
    }
    assert_eq!((alice.kind, bob.kind), (FaultKind::Unavailable, FaultKind::Unavailable));
    assert_eq!(alice.detail.replace("alice", "bob"), bob.detail);
    assert_eq!(fs::read_dir(house.lib("state")).unwrap().count(), 0);
    assert_eq!(fs::read_dir(house.lib("users")).unwrap().count(), 1);
}

#[test]
fn a_process_without_memory_is_refused_before_anything_is_evaluated() {
    alone("inner_memory");
}

#[test]
#[ignore = "runs inside the one above"]
fn inner_memory() {
    let house = House::with_alice();
    let evaluated = std::cell::Cell::new(false);
    let (name, note) = (user("alice"), |_: &View| {
        evaluated.set(true);
        read(())
    });
    let before = fs::read(house.state_file()).unwrap();
    let limits = [Resource::RLIMIT_AS, Resource::RLIMIT_DATA]
        .map(|limit| (limit, getrlimit(limit).unwrap()));
    let mut taken: Vec<Vec<u8>> = Vec::with_capacity(10_000);
    for (limit, (_, hard)) in limits {
        setrlimit(limit, 0, hard).unwrap();
    }
    // Everything that malloc still has at hand, down to pieces that are too small.
    while taken.len() < 10_000 {
        let mut piece = Vec::new();
        if piece.try_reserve_exact(64 * 1024).is_err() {
            break;
        }
        taken.push(piece);
    }
    let room = crate::limits::room_in_memory();
    let refused = house.store.transact(&name, &note).map(|_| ());
    for (limit, (soft, hard)) in limits {
        setrlimit(limit, soft, hard).unwrap();
    }
    drop(taken);
    assert_eq!(room, Err(Errno::ENOMEM));
    let fault = refused.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Unavailable);
    assert!(fault.detail.contains("ulimit -v"), "{fault}");
    assert!(!evaluated.get());
    assert_eq!(fs::read(house.state_file()).unwrap(), before);
    assert_eq!(crate::limits::room_in_memory(), Ok(()));
    assert!(house.store.transact(&name, &note).is_ok() && evaluated.get());
}
