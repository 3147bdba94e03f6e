//! What people are to be told: from the permanent record into the outbox, from where the agent delivers, and to the user at
//! the next login. Nothing of it keeps anybody from logging in.

use std::path::Path;

use totp_core::contact::Contact;
use totp_core::name::UserName;
use totp_core::policy::Config;
use totp_core::store::{Found, Store};
use totp_store::clock;
use totp_store::files::Owner;
use totp_store::notices::Shown;
use totp_store::outbox::{About, Outbox, OutboxError, recipients};
use totp_store::permanent::PermanentRecord;

use crate::host::{Host, Priority};

/// The outbox and the notices of an installation, as a login uses them.
pub(crate) struct Telling<'a, S> {
    pub(crate) host: &'a dyn Host,
    pub(crate) store: &'a S,
    pub(crate) record: &'a PermanentRecord,
    pub(crate) config: &'a Config,
}

impl<S: Store> Telling<'_, S> {
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

    /// Makes mail and notices of what is new in the permanent record.
    pub(crate) fn enqueue(&self) {
        self.enqueue_after(|| ());
    }

    /// The same after `change`, and nobody else does it meanwhile, so that a change which is recorded and then fails is never
    /// told as made. Where somebody else is at it the change is made all the same.
    pub(crate) fn enqueue_after<T>(&self, change: impl FnOnce() -> T) -> T {
        let outbox = self.outbox();
        let hold = match &outbox {
            Ok(outbox) => outbox.hold_if_free(self.record),
            Err(error) => Err(error.clone()),
        };
        let changed = change();
        let enqueued = match hold {
            Ok(Some(hold)) => hold
                .enqueue_new(self.record, clock::now(), &|about| self.recipients(about))
                .map(drop),
            Ok(None) => Ok(()),
            Err(error) => Err(error),
        };
        if let Err(error) = enqueued {
            let line = format!("{error}; the agent or the command tell people later");
            self.host.log(Priority::Warning, &line);
        }
        changed
    }

    fn recipients(&self, about: &About) -> Vec<totp_core::contact::Email> {
        let contact = UserName::new(&about.user).map(|user| self.contact(&user));
        let contacts: Vec<Contact> = contact.into_iter().collect();
        recipients(&self.config.mail, about.event, &about.user, &contacts)
    }

    fn contact(&self, user: &UserName) -> Contact {
        match self.store.look(user) {
            Ok(Found::Enrolled(enrolled)) => enrolled.record.decision.contact.clone(),
            Ok(Found::Pending(opening)) => opening.pending.decision.contact.clone(),
            Ok(Found::Disabled(tombstone)) => tombstone.decision.contact,
            Ok(Found::Absent) | Err(_) => Contact::default(),
        }
    }

    fn outbox(&self) -> Result<Outbox, OutboxError> {
        Outbox::open(Path::new(self.config.paths.state_dir.as_str()), Owner::ROOT)
    }
}
