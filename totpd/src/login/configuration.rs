//! The line in `/etc/pam.d` and the configuration, the same for all hooks. Where they can't be used, logins are denied.

use std::path::Path;

use totp_store::files::Owner;
use totp_store::installation::Installation;

use super::Logins;
use super::arguments::{ArgumentError, Arguments};
use super::host::{Host, Priority, ReturnCode};
use crate::request::Request;

/// Parses what stands on the line; where that fails, the log says what to correct.
pub(crate) fn arguments(host: &dyn Host, request: &Request) -> Result<Arguments, ReturnCode> {
    let words = request.words.as_deref().ok_or(ArgumentError::TooMany);
    let parsed = words.and_then(Arguments::parse).map_err(|error| {
        let service = request.service.as_deref().unwrap_or_default().escape_default();
        let line = format!("{error}; correct the line of pam_totp.so in /etc/pam.d/{service}");
        host.log(Priority::Error, &line);
        ReturnCode::ServiceErr
    })?;
    Ok(if request.caller.is_root() { parsed } else { parsed.of_a_user() })
}

/// The configuration that is named; `None` is the usual one.
pub(crate) fn named<'a>(arguments: &'a Arguments, logins: &'a Logins) -> Option<&'a Path> {
    arguments.config.as_deref().or(logins.config.as_deref())
}

/// Reads `config.toml`, and opens nothing yet. Where the file can't be used, the last one that could is in force, and the log says
/// so at each login; where there is none, the log says why.
pub(crate) fn installation(
    host: &dyn Host,
    arguments: &Arguments,
    logins: &Logins,
) -> Result<Installation, ReturnCode> {
    let opened = Installation::open(named(arguments, logins), Owner::ROOT).map_err(|error| {
        host.log(Priority::Error, &format!("{error}; until then all logins are denied"));
        ReturnCode::ServiceErr
    })?;
    if let Some(warning) = opened.warning() {
        host.log(Priority::Error, &warning);
    }
    Ok(opened)
}
