//! What a caller of su may have limited: each test in a process of its own.

use std::fs;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use totp_core::record::EnrollmentId;
use totp_core::store::FaultKind;

use super::house::{House, NOW, code, first_state, record, tombstone};
use crate::store::Expected;

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
    let enrolled = |n| Expected::Enrolled(EnrollmentId::fresh([n; 8]));
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
