//! What people are to be told. A login adds to its user's login notices; mail is made of the permanent record by
//! the agent or the command, which go through it. Nothing of this prevents a login.

use totp_store::installation::Installation;
use totp_store::outbox::{About, Outbox, OutboxError};
use totp_store::permanent::{Entry, Recorded};

use crate::login::host::{Host, Priority};

/// Tells of what a login has recorded.
#[derive(Clone, Copy)]
pub(crate) struct Telling<'a> {
    pub(crate) host: &'a dyn Host,
    pub(crate) site: &'a Installation,
}

impl Telling<'_> {
    /// A line of the permanent record, as it has been written: also one of the log, and one for its user.
    pub(crate) fn recorded(&self, entry: &Entry, recorded: &Recorded) {
        self.host.log(Priority::Notice, &recorded.syslog);
        let Some(about) = About::of_entry(entry, recorded) else { return };
        let added = self
            .outbox()
            .and_then(|outbox| Ok(outbox.notices().add_event(&about, &recorded.hash)?));
        if let Err(error) = added {
            self.host.log(Priority::Warning, &format!("{error}; the agent or the command add it"));
        }
    }

    fn outbox(&self) -> Result<Outbox, OutboxError> {
        self.site.outbox()
    }
}
