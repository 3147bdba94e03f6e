//! The line in `/etc/pam.d` and the configuration, the same for both hooks: where they can't be used, nobody is let in.

use std::ffi::CStr;

use totp_core::policy::Config;
use totp_store::config;
use totp_store::files::Owner;

use crate::arguments::Arguments;
use crate::host::{Host, Priority, ReturnCode};

/// Parses what stands on the line; where that fails, the log says what to correct.
pub(crate) fn arguments(host: &dyn Host, words: &[&CStr]) -> Result<Arguments, ReturnCode> {
    Arguments::parse(words).map_err(|error| {
        let service = host.service().escape_ascii().to_string();
        let line = format!("{error}; correct the line of pam_totp.so in /etc/pam.d/{service}");
        host.log(Priority::Error, &line);
        ReturnCode::ServiceErr
    })
}

/// Reads `config.toml`; where that fails, the log says why.
pub(crate) fn configuration(host: &dyn Host, arguments: &Arguments) -> Result<Config, ReturnCode> {
    config::load(arguments.config.as_deref(), Owner::ROOT).map_err(|error| {
        host.log(Priority::Error, &format!("{error}; until then nobody is let in"));
        ReturnCode::ServiceErr
    })
}
