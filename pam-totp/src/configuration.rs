//! The configuration, the same for both hooks: where it can't be used, nobody is let in.

use totp_core::policy::Config;
use totp_store::config;
use totp_store::files::Owner;

use crate::arguments::Arguments;
use crate::host::{Host, Priority, ReturnCode};

/// Reads it; where that fails, the log says why.
pub(crate) fn configuration(host: &dyn Host, arguments: &Arguments) -> Result<Config, ReturnCode> {
    config::load(arguments.config.as_deref(), Owner::ROOT).map_err(|error| {
        host.log(Priority::Error, &format!("{error}; until then nobody is let in"));
        ReturnCode::ServiceErr
    })
}
