//! Under a file-size limit, which a caller of su or sudo hands on, nothing is begun: a write past it would end the
//! process. Each in a process of its own. Needs no root.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;
use totp_core::event::EventKind;
use totp_core::name::UserName;
use totp_core::store::{FaultKind, Store as _};
use totp_core::time::UnixTime;
use totp_core::upkeep::read;
use totp_store::Wait;
use totp_store::files::Owner;
use totp_store::permanent::{Entry, PermanentRecord};
use totp_store::store::FileStore;

/// Names the directory in which an inner test works.
const WHERE: &str = "PAM_TOTP_TEST_LIMIT";

const NOW: UnixTime = UnixTime(1_763_000_000);

#[test]
fn no_login_is_decided() {
    limited("inner_login");
}

#[test]
fn nothing_is_recorded() {
    limited("inner_recording");
}

#[test]
#[ignore = "runs inside the one above"]
fn inner_login() {
    let store = FileStore::new(&place().join("lib"), &place().join("run"), Owner::this_process());
    let fault = store.transact(&UserName::new("alice").unwrap(), &|_| read(())).unwrap_err();
    assert_eq!(fault.kind, FaultKind::Unavailable, "{fault}");
}

#[test]
#[ignore = "runs inside the one above"]
fn inner_recording() {
    let record = PermanentRecord::new(&place().join("record"), Owner::this_process());
    let error = record.append(&Entry::new(NOW, EventKind::Unlocked), NOW, Wait::No).unwrap_err();
    assert!(error.to_string().contains("file-size limit"), "{error}");
    assert_eq!(fs::read(place().join("record")).unwrap(), b"");
}

/// Runs an inner test again, in a process that may not write to files.
fn limited(inner: &str) {
    let temp = TempDir::new().unwrap();
    for name in ["", "lib", "lib/users", "lib/state", "lib/uids", "run"] {
        let path = temp.path().join(name);
        fs::create_dir_all(&path).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o700)).unwrap();
    }
    // What it says goes through a pipe, to which the limit doesn't apply.
    let output = Command::new("sh")
        .args(["-c", "ulimit -f 0; exec \"$@\"", "sh"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "--ignored", "--nocapture", inner])
        .env(WHERE, temp.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    let passed = output.status.success() && said.contains("1 passed");
    assert!(passed, "{}: {said}{complained}", output.status);
}

fn place() -> PathBuf {
    Path::new(&std::env::var_os(WHERE).expect("the test outside")).to_owned()
}
