//! What people are to be told. A login adds to what its user is shown at the next one; mail is made of the permanent record by
//! the agent or the command, which go through it. Nothing of this prevents a login.

use totp_core::name::UserName;
use totp_store::installation::Installation;
use totp_store::notices::Shown;
use totp_store::outbox::{About, Outbox, OutboxError};
use totp_store::permanent::{Entry, Recorded};

use crate::login::host::{Host, Priority};

/// The notices of an installation, as a login uses them.
#[derive(Clone, Copy)]
pub(crate) struct Telling<'a> {
    pub(crate) host: &'a dyn Host,
    pub(crate) site: &'a Installation,
}

impl Telling<'_> {
    /// What the user is to be shown.
    pub(crate) fn notices(&self, user: &UserName) -> Shown {
        let shown = self.outbox().and_then(|outbox| Ok(outbox.notices().look(user)?));
        shown.unwrap_or_else(|error| {
            let line = format!("{error}; {user} isn't shown what happened since the last login");
            self.host.log(Priority::Warning, &line);
            Shown::default()
        })
    }

    /// They were shown.
    pub(crate) fn shown(&self, user: &UserName, shown: &Shown) {
        let removed = self.outbox().and_then(|outbox| Ok(outbox.notices().remove(user, shown)?));
        if let Err(error) = removed {
            let line = format!("{error}; {user} is shown the same once more");
            self.host.log(Priority::Warning, &line);
        }
    }

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
