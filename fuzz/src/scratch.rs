//! Files that a target reads its input from, in memory where that can be had: one directory for each thread.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

thread_local! {
    static SCRATCH: TempDir = {
        let memory = Path::new("/dev/shm");
        let directory = tempfile::Builder::new().prefix("totp-fuzz.").tempdir_in(memory);
        directory.or_else(|_| tempfile::tempdir()).unwrap()
    };
}

/// This thread's directory, which goes with the thread.
pub(crate) fn directory() -> PathBuf {
    SCRATCH.with(|scratch| scratch.path().to_owned())
}
