//! Taking one file of the outbox to deliver it: by its lock, which ends with the process, however that ends.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};

use nix::errno::Errno;
use rustix::fs::{FlockOperation, flock};
use totp_core::time::UnixTime;
use zeroize::Zeroizing;

use super::message::SIZE;
use super::{DECOY, DEMAND, Item, Mail, Message, Outbox, OutboxError};
use crate::files::{Access, FileError};
use crate::flock::lock_unless_at_work;
use crate::{clock, limits};

/// An open file with its lock, which ends with this value; a program that is started meanwhile doesn't prolong it.
#[derive(Debug)]
struct Locked(File);

impl Locked {
    /// `None`: somebody else has it, and is at work.
    fn take(file: File) -> Result<Option<Self>, Errno> {
        let Some(held) = lock_unless_at_work(&file)? else { return Ok(None) };
        std::mem::forget(held); // what it would do in the end is done by our own
        Ok(Some(Self(file)))
    }
}

impl Drop for Locked {
    fn drop(&mut self) {
        // Fails only for a descriptor that isn't open any more, and then there is no lock either.
        let _ = flock(&self.0, FlockOperation::Unlock);
    }
}

/// Mail that nobody else delivers while this is held.
#[derive(Debug)]
pub struct ClaimedMail<'a> {
    outbox: &'a Outbox,
    name: String,
    locked: Locked,
    /// What the file says.
    pub mail: Mail,
}

impl ClaimedMail<'_> {
    /// Writes down what became of it: on stable storage when this returns.
    ///
    /// # Errors
    /// Where it can't be written: the file says what it said.
    pub fn save(&mut self) -> Result<(), OutboxError> {
        let directory = &self.outbox.directory;
        let bytes = self.mail.print();
        // The new file is ours before it can be found by its name.
        self.locked = directory.replace_prepared(&self.name, bytes.as_bytes(), true, |file| {
            let failed = |errno| FileError::errno(self.outbox.path(), "flock", errno);
            Locked::take(file).map_err(failed)?.ok_or_else(|| failed(Errno::EAGAIN))
        })?;
        Ok(())
    }

    /// Removes it: everybody in it has been told.
    ///
    /// # Errors
    /// Where it can't be removed.
    pub fn finish(self) -> Result<(), OutboxError> {
        self.outbox.directory.remove(&self.name)?;
        Ok(())
    }
}

/// A text message that nobody else sends while this is held.
#[derive(Debug)]
pub struct ClaimedMessage<'a> {
    outbox: &'a Outbox,
    name: String,
    locked: Locked,
    /// What the file says.
    pub message: Message,
}

impl ClaimedMessage<'_> {
    /// The file's name: it tells one message from another.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Writes down how often it was tried. Neither the file nor its size becomes another one, so this takes no room.
    ///
    /// # Errors
    /// Where it can't be written.
    pub fn save(&self) -> Result<(), OutboxError> {
        let bytes = self.message.print().ok_or(OutboxError::TooLong)?;
        let path = self.outbox.path().join(&self.name);
        let written = limits::allow_file_size(u64::try_from(SIZE).unwrap_or(u64::MAX))
            .map_err(std::io::Error::from)
            .and_then(|()| self.locked.0.write_all_at(&bytes, 0));
        Ok(written.map_err(|e| FileError::system(&path, "write", &e))?)
    }

    /// Overwrites the code, and removes the file.
    ///
    /// # Errors
    /// Where it can't be removed.
    pub fn finish(self) -> Result<(), OutboxError> {
        // What can't be overwritten is removed all the same: the code is good for minutes only.
        let _ =
            self.locked.0.write_all_at(&[b'\n'; SIZE], 0).and_then(|()| self.locked.0.sync_data());
        self.outbox.directory.unlink(&self.name)?;
        Ok(())
    }
}

/// The right to be the one agent of an installation, which ends with this value.
#[derive(Debug)]
pub struct OnlyAgent {
    _locked: Locked,
}

impl Outbox {
    /// `None`: another agent is at work.
    ///
    /// # Errors
    /// Where the file with the lock can't be made or trusted.
    pub fn only_agent(&self) -> Result<Option<OnlyAgent>, OutboxError> {
        const NAME: &str = ".agent";
        let file = match self.directory.file(NAME, Access::Write, DEMAND)? {
            Some(file) => file,
            None => self.directory.create(NAME)?,
        };
        let failed = |errno| FileError::errno(self.path(), "flock", errno);
        let locked = Locked::take(file).map_err(failed)?;
        Ok(locked.map(|locked| OnlyAgent { _locked: locked }))
    }

    /// Takes a mail to deliver it. `None`: it is gone, or somebody else delivers it.
    ///
    /// # Errors
    /// What can't be read or trusted; it stays.
    pub fn claim_mail(&self, name: &str) -> Result<Option<ClaimedMail<'_>>, OutboxError> {
        let Some((locked, text)) = self.claim(name)? else { return Ok(None) };
        let mail = Mail::parse(&text).map_err(|error| self.format(name, error))?;
        Ok(Some(ClaimedMail { outbox: self, name: name.to_owned(), locked, mail }))
    }

    /// Looks at a mail, whoever delivers it just now. `None`: it is gone.
    ///
    /// # Errors
    /// What can't be read or trusted.
    pub fn look(&self, name: &str) -> Result<Option<Mail>, OutboxError> {
        let Some(text) = self.directory.text(name, DEMAND)? else { return Ok(None) };
        Mail::parse(&text).map(Some).map_err(|error| self.format(name, error))
    }

    /// Takes a text message to send it. `None`: it is gone, or somebody else sends it.
    ///
    /// # Errors
    /// What can't be read or trusted, or is done and can't be removed; it stays.
    pub fn claim_message(&self, name: &str) -> Result<Option<ClaimedMessage<'_>>, OutboxError> {
        let Some((locked, text)) = self.claim(name)? else { return Ok(None) };
        if text.trim_end_matches('\n').is_empty() {
            self.directory.unlink(name)?; // overwritten, and then in the way of nobody
            return Ok(None);
        }
        let message = match Message::parse(&text) {
            Ok(message) => message,
            // Its writer doesn't flush: a power failure may have cut it. The code in it is void since long.
            Err(_) if is_old(&locked.0, clock::now()) => {
                self.directory.unlink(name)?;
                return Ok(None);
            }
            Err(error) => return Err(self.format(name, error)),
        };
        Ok(Some(ClaimedMessage { outbox: self, name: name.to_owned(), locked, message }))
    }

    /// Takes decoys away, and what killed writers left behind.
    ///
    /// # Errors
    /// Where the directory can't be read, or a decoy not be removed.
    pub fn sweep(&self, now: UnixTime) -> Result<(), OutboxError> {
        for name in self.directory.names_that(|name| name.starts_with(DECOY))? {
            self.directory.unlink(&name)?;
        }
        Ok(self.directory.sweep(now)?)
    }

    fn claim(&self, name: &str) -> Result<Option<(Locked, Zeroizing<String>)>, OutboxError> {
        let Some(file) = self.directory.file(name, Access::Write, DEMAND)? else { return Ok(None) };
        let path = self.path().join(name);
        let failed = |errno| FileError::errno(&path, "flock", errno);
        let Some(locked) = Locked::take(file).map_err(failed)? else { return Ok(None) };
        // Whoever had it before may have replaced or removed it.
        if !self.directory.names(name, &locked.0)? {
            return Ok(None);
        }
        let mut text = Zeroizing::new(String::with_capacity(2048));
        (&locked.0)
            .take(DEMAND.at_most)
            .read_to_string(&mut text)
            .map_err(|e| FileError::system(&path, "read", &e))?;
        Ok(Some((locked, text)))
    }

    /// The names of all mail, in the order of the permanent record.
    ///
    /// # Errors
    /// Where the directory can't be read.
    pub fn mail_names(&self) -> Result<Vec<String>, OutboxError> {
        let name = |item| match item {
            Item::Mail { name, .. } => Some(name),
            _ => None,
        };
        Ok(self.items()?.into_iter().filter_map(name).collect())
    }

    /// The names of all text messages.
    ///
    /// # Errors
    /// Where the directory can't be read.
    pub fn message_names(&self) -> Result<Vec<String>, OutboxError> {
        Ok(self.directory.names_that(|name| name.starts_with(super::TEXT))?)
    }
}

/// Whether a file was last written more than an hour ago: longer than any code of a text message is good.
fn is_old(file: &File, now: UnixTime) -> bool {
    const OLD: u64 = 3600;
    let written = file.metadata().ok().and_then(|found| u64::try_from(found.mtime()).ok());
    written.is_some_and(|written| now.since(UnixTime(written)) > OLD)
}
