//! The auth hook.

use std::ffi::CStr;

use crate::arguments;
use crate::host::{Host, Priority, ReturnCode};

/// Called when somebody is to prove who they are.
pub(crate) fn authenticate(host: &mut dyn Host, words: &[&CStr]) -> ReturnCode {
    let arguments = match arguments::read(host, words) {
        Ok(arguments) => arguments,
        Err(code) => return code,
    };
    if let Err(error) = host.clear_mark() {
        host.log(Priority::Error, &error.to_string());
    }
    let _ = arguments;
    ReturnCode::SystemErr
}
