//! Login notices: what a user is shown at logins, one line an event, in `notices/NAME`. Whoever records an event at a login adds
//! its line, and whoever goes through the audit log later adds it as well: a line is known by the hash of the log's, also for a
//! while after it is gone.
//!
//! A notice stays until seven days after a program first took it (30 days, if it alarms), or until `totp-admin notices --read`:
//! that a program took it does not mean that the user has read it.
//!
//! Not brought to stable storage: mail and the audit log have it, too.
//!
//! - [`event`]: an event as a line
//! - [`notice`]: one notice, and its line in the file
//! - [`content`]: the file
//! - [`summary`]: several notices as one message

mod content;
mod event;
mod notice;
mod summary;
#[cfg(test)]
mod tests;

use std::fs::File;

use nix::errno::Errno;
use totp_core::event::EventKind;
use totp_core::name::UserName;
use totp_core::time::UnixTime;

use self::content::Content;
pub use self::event::{Event, Login, minute, sentence};
pub use self::notice::Notice;
use crate::files::{Access, Demand, Directory, FileError, Problem, Shared};
use crate::flock::{Held, NoLock, lock_within};
use crate::outbox::{About, Audience, audience};
use crate::waits;

/// What the directory is called in the state directory.
pub(crate) const NAME: &str = "notices";

const DEMAND: Demand = Demand::private(65_536);

/// The notices of an installation.
#[derive(Debug)]
pub struct Notices {
    directory: Directory,
}

/// What a user is to be shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Waiting {
    /// Oldest first.
    pub notices: Vec<Notice>,
    /// How many more there were than could be kept.
    pub more: u64,
}

impl Waiting {
    /// Whether there is nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.notices.is_empty() && self.more == 0
    }

    /// Without what the user of this login has just done.
    #[must_use]
    pub fn without_own_of(mut self, login: &Login<'_>) -> Self {
        self.notices.retain(|notice| !notice.is_own_of(login));
        self
    }
}

impl Notices {
    pub(crate) fn beneath(state_dir: &Directory) -> Result<Self, FileError> {
        Ok(Self { directory: state_dir.inner(NAME, Shared::Nobody)? })
    }

    /// Adds what is to be said of an event of which its user is told, once. `hash` is that of its line in the audit log. Of
    /// somebody who is gone nobody who later has the name is told anything.
    ///
    /// # Errors
    /// Where it can't be written.
    pub fn add_event(&self, about: &About, hash: &str) -> Result<(), FileError> {
        if audience(about.event) != Audience::User {
            return Ok(());
        }
        let Ok(user) = UserName::new(&about.user) else { return Ok(()) };
        if about.event == EventKind::Removed {
            return self.directory.unlink(&user.file_name()).map(drop);
        }
        let notice = Notice::new(Event::of(about), hash);
        let name = user.file_name();
        loop {
            let file = self.open_or_create(&name)?;
            if self.changed(&name, &file, |content| content.add(notice.clone(), about.time))? {
                return Ok(());
            }
        }
    }

    /// What is to be shown at `now`.
    ///
    /// # Errors
    /// What can't be read or trusted.
    pub fn look(&self, user: &UserName, now: UnixTime) -> Result<Waiting, FileError> {
        let name = user.file_name();
        loop {
            let Some(file) = self.directory.file(&name, Access::Read, DEMAND)? else {
                return Ok(Waiting::default());
            };
            let Some(held) = self.locked(&file, &name)? else { continue };
            let content = Content::read(&file).map_err(|e| self.system(&name, "read", &e))?;
            drop(held);
            return Ok(content.waiting(now));
        }
    }

    /// Notes that a program took these at `now`. Waits for no other user's login, and where nothing is new, writes nothing.
    ///
    /// # Errors
    /// Where it can't be written: they are shown for longer.
    pub fn show(&self, user: &UserName, shown: &Waiting, now: UnixTime) -> Result<(), FileError> {
        self.change(user, |content| content.show(shown, now))
    }

    /// Takes away what was read. What was added since then stays.
    ///
    /// # Errors
    /// Where it can't be written: they are still shown.
    pub fn mark_read(&self, user: &UserName, read: &Waiting) -> Result<(), FileError> {
        self.change(user, |content| content.mark_read(read))
    }

    /// `change` says whether anything is to be written.
    fn change(
        &self,
        user: &UserName,
        change: impl Fn(&mut Content) -> bool,
    ) -> Result<(), FileError> {
        let name = user.file_name();
        loop {
            let Some(file) = self.directory.file(&name, Access::Write, DEMAND)? else {
                return Ok(());
            };
            if self.changed(&name, &file, &change)? {
                return Ok(());
            }
        }
    }

    /// Changes an open file; `false` where it was removed meanwhile and another one has to be opened.
    fn changed(
        &self,
        name: &str,
        file: &File,
        change: impl Fn(&mut Content) -> bool,
    ) -> Result<bool, FileError> {
        let Some(held) = self.locked(file, name)? else { return Ok(false) };
        let mut content = Content::read(file).map_err(|e| self.system(name, "read", &e))?;
        let done = if !change(&mut content) {
            Ok(())
        } else if content.is_empty() {
            self.directory.unlink(name).map(drop)
        } else {
            content.write(file).map_err(|e| self.system(name, "write", &e))
        };
        drop(held);
        done.map(|()| true)
    }

    fn open_or_create(&self, name: &str) -> Result<File, FileError> {
        loop {
            if let Some(file) = self.directory.file(name, Access::Write, DEMAND)? {
                return Ok(file);
            }
            match self.directory.create(name) {
                Err(error) if error.errno_if_system() == Some(Errno::EEXIST) => {}
                created => return created,
            }
        }
    }

    /// The lock of an open file; `None` where the file was removed meanwhile and another one has to be opened.
    fn locked<'a>(&self, file: &'a File, name: &str) -> Result<Option<Held<'a>>, FileError> {
        let held = lock_within(file, waits::LINE_OF_A_LOGIN).map_err(|no_lock| {
            let errno = match no_lock {
                NoLock::Busy => Errno::EWOULDBLOCK,
                NoLock::Failed(errno) => errno,
            };
            self.system(name, "flock", &errno.into())
        })?;
        Ok(self.directory.names(name, file)?.then_some(held))
    }

    fn system(&self, name: &str, call: &'static str, error: &std::io::Error) -> FileError {
        let errno = crate::files::errno_of(error);
        FileError::new(&self.directory.path().join(name), Problem::System { call, errno })
    }
}
