//! The account hook. It has nothing to do yet, and says so: `PAM_IGNORE`.
//!
//! It runs without any auth before it (sudo -n, su by root, cron, a public key alone), so whatever it
//! will do for a user must stand behind auth's mark.

use std::ffi::CStr;

use crate::arguments;
use crate::host::{Host, ReturnCode};

/// Called at each login behind auth, or without it.
pub(crate) fn manage(host: &mut dyn Host, words: &[&CStr]) -> ReturnCode {
    match arguments::read(host, words) {
        Ok(_) => ReturnCode::Ignore,
        Err(code) => code,
    }
}
