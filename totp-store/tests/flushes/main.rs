//! What is called done is on stable storage: seen by letting flushes fail, in a process of its own with a library of
//! the test's own in front of libc. Needs no root.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::errno::Errno;
use tempfile::TempDir;
use totp_core::event::EventKind;
use totp_core::time::UnixTime;
use totp_store::Wait;
use totp_store::files::{Directory, Owner, Problem, Shared};
use totp_store::permanent::{Entry, PermanentRecord, RecordError};

/// Names the directory in which an inner test works.
const WHERE: &str = "PAM_TOTP_TEST_FLUSHES";

const NOW: UnixTime = UnixTime(1_763_000_000);

#[test]
fn a_file_that_is_not_flushed_does_not_replace_another() {
    let temp = private();
    fs::write(temp.path().join("file"), "old").unwrap();
    chmod(&temp.path().join("file"), 0o600);
    failing("file", "inner_replacing", temp.path());
    assert_eq!(fs::read(temp.path().join("file")).unwrap(), b"old");
}

#[test]
fn a_file_is_not_replaced_before_its_directory_is_flushed() {
    failing("directory", "inner_replacing", private().path());
}

#[test]
fn a_file_is_not_removed_before_its_directory_is_flushed() {
    let temp = private();
    fs::write(temp.path().join("file"), "old").unwrap();
    failing("directory", "inner_removing", temp.path());
}

#[test]
fn an_entry_that_is_not_flushed_is_not_recorded_and_leaves_nothing() {
    let temp = private();
    record(temp.path()).append(&entry(), NOW, Wait::No).unwrap();
    let before = fs::read(temp.path().join("record")).unwrap();
    failing("file", "inner_recording", temp.path());
    assert_eq!(fs::read(temp.path().join("record")).unwrap(), before);
}

#[test]
#[ignore = "runs inside those above"]
fn inner_replacing() {
    let error = directory().replace("file", b"new").unwrap_err();
    assert_eq!(error.errno_if_system(), Some(Errno::EIO), "{error}");
    let is_new = fs::read(place().join("file")).is_ok_and(|file| file == b"new");
    assert_eq!(error.is_in_place(), is_new, "{error}");
}

#[test]
#[ignore = "runs inside those above"]
fn inner_removing() {
    let error = directory().remove("file").unwrap_err();
    assert_eq!(error.problem, Problem::NotDurable(Errno::EIO));
    assert!(!place().join("file").exists());
}

#[test]
#[ignore = "runs inside those above"]
fn inner_recording() {
    let error = record(&place()).append(&entry(), NOW, Wait::No).unwrap_err();
    assert!(matches!(error, RecordError::File(_)), "{error}");
}

/// Runs an inner test again, in a process whose flushes of `what` fail.
fn failing(what: &str, inner: &str, place: &Path) {
    let library = TempDir::new().unwrap();
    let library = library.path().join("failing.so");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/flushes/failing.c");
    let compiled =
        Command::new("cc").args(["-shared", "-fPIC", "-o"]).args([&library, &source]).status();
    assert!(compiled.expect("cc (apt-get install gcc libc6-dev)").success());
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--ignored", inner])
        .env("LD_PRELOAD", &library)
        .env("FAILING", what)
        .env(WHERE, place)
        .status()
        .unwrap();
    assert!(status.success());
}

fn private() -> TempDir {
    let temp = TempDir::new().unwrap();
    chmod(temp.path(), 0o700);
    temp
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn place() -> PathBuf {
    std::env::var_os(WHERE).expect("the test outside").into()
}

fn directory() -> Directory {
    Directory::open(&place(), Owner::this_process(), Shared::Nobody).unwrap()
}

fn record(place: &Path) -> PermanentRecord {
    PermanentRecord::new(&place.join("record"), Owner::this_process())
}

fn entry() -> Entry {
    Entry::new(NOW, EventKind::Unlocked)
}
