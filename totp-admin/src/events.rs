//! Events that logins left in their users' states, moved to the permanent record before anything is shown or changed. The
//! agent does the same; how is in its library.

use anyhow::Result;
use totp_agent::events;
use totp_core::name::UserName;

use crate::site::Site;
use crate::syslog::PROGRAM;

/// Moves what waits, of all enrolled users. Users whose files can't be read keep theirs.
pub fn move_all(site: &Site) -> Result<()> {
    Ok(events::move_all(site.store(), site.record(), PROGRAM)?)
}

/// Moves what waits of one user: before a change that would erase it.
pub fn move_of(site: &Site, user: &UserName) -> Result<()> {
    Ok(events::move_of(site.store(), site.record(), user, PROGRAM)?)
}
