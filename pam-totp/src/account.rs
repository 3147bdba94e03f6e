//! The account hook. It has nothing to do yet, and says so: `PAM_IGNORE`.
//!
//! It runs without any auth before it (sudo -n, su by root, cron, a public key alone), so whatever it
//! will do for a user must stand behind auth's mark.

use std::ffi::CStr;

use crate::arguments;
use crate::configuration::configuration;
use crate::host::{Host, Priority, ReturnCode};

/// Called at each login behind auth, or without it.
pub(crate) fn manage(host: &mut dyn Host, words: &[&CStr]) -> ReturnCode {
    let arguments = match arguments::read(host, words) {
        Ok(arguments) => arguments,
        Err(code) => return code,
    };
    if let Err(code) = configuration(host, &arguments) {
        return code;
    }
    if arguments.debug {
        let passed = host.marked().map(|user| user.escape_ascii().to_string());
        let line = match passed {
            Some(user) => format!("debug: {user} has passed our auth; nothing to do"),
            None => "debug: nobody has passed our auth; nothing to do".to_owned(),
        };
        host.log(Priority::Debug, &line);
    }
    ReturnCode::Ignore
}
