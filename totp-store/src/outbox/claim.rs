//! Taking one file of the outbox to deliver it: by its lock, which ends with the process, however that ends.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};

use nix::errno::Errno;
use totp_core::time::UnixTime;
use zeroize::Zeroizing;

use super::message::SIZE;
use super::{DECOY, DEMAND, Item, Mail, Message, Outbox, OutboxError};
use crate::files::{Access, FileError, errno_of};
use crate::flock::Claim;
use crate::{clock, limits};

/// `None`: another process has it. A program that is started meanwhile doesn't prolong it.
fn claimed(file: File) -> Result<Option<Claim>, Errno> {
    Claim::take(file).map_err(|errno| errno_of(&errno.into()))
}

/// Mail that nobody else delivers while this is held.
#[derive(Debug)]
pub struct ClaimedMail<'a> {
    outbox: &'a Outbox,
    name: String,
    claim: Claim,
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
        self.claim = directory.replace_prepared(&self.name, bytes.as_bytes(), true, |file| {
            let failed = |errno| FileError::errno(self.outbox.path(), "flock", errno);
            claimed(file).map_err(failed)?.ok_or_else(|| failed(Errno::EAGAIN))
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
    claim: Claim,
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
            .and_then(|()| self.claim.file().write_all_at(&bytes, 0));
        Ok(written.map_err(|e| FileError::system(&path, "write", &e))?)
    }

    /// Overwrites the code, and removes the file.
    ///
    /// # Errors
    /// Where it can't be removed.
    pub fn finish(self) -> Result<(), OutboxError> {
        // What can't be overwritten is removed all the same: the code is good for minutes only.
        let _ = self
            .claim
            .file()
            .write_all_at(&[b'\n'; SIZE], 0)
            .and_then(|()| self.claim.file().sync_data());
        self.outbox.directory.unlink(&self.name)?;
        Ok(())
    }
}

/// The right to be the one agent of an installation, which ends with this value.
#[derive(Debug)]
pub struct OnlyAgent {
    _claim: Claim,
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
        let claim = claimed(file).map_err(failed)?;
        Ok(claim.map(|claim| OnlyAgent { _claim: claim }))
    }

    /// Takes a mail to deliver it. `None`: it is gone, or somebody else delivers it.
    ///
    /// # Errors
    /// What can't be read or trusted; it stays.
    pub fn claim_mail(&self, name: &str) -> Result<Option<ClaimedMail<'_>>, OutboxError> {
        let Some((claim, text)) = self.claim(name)? else { return Ok(None) };
        let mail = Mail::parse(&text).map_err(|error| self.format(name, error))?;
        Ok(Some(ClaimedMail { outbox: self, name: name.to_owned(), claim, mail }))
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
        let Some((claim, text)) = self.claim(name)? else { return Ok(None) };
        if text.trim_end_matches('\n').is_empty() {
            self.directory.unlink(name)?; // overwritten, and then in the way of nobody
            return Ok(None);
        }
        let message = match Message::parse(&text) {
            Ok(message) => message,
            // Its writer doesn't flush: a power failure may have cut it. The code in it is void since long.
            Err(_) if is_old(claim.file(), clock::now()) => {
                self.directory.unlink(name)?;
                return Ok(None);
            }
            Err(error) => return Err(self.format(name, error)),
        };
        Ok(Some(ClaimedMessage { outbox: self, name: name.to_owned(), claim, message }))
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

    fn claim(&self, name: &str) -> Result<Option<(Claim, Zeroizing<String>)>, OutboxError> {
        let Some(file) = self.directory.file(name, Access::Write, DEMAND)? else { return Ok(None) };
        let path = self.path().join(name);
        let failed = |errno| FileError::errno(&path, "flock", errno);
        let Some(claim) = claimed(file).map_err(failed)? else { return Ok(None) };
        // Whoever had it before may have replaced or removed it.
        if !self.directory.names(name, claim.file())? {
            return Ok(None);
        }
        let mut text = Zeroizing::new(String::with_capacity(2048));
        claim
            .file()
            .take(DEMAND.at_most)
            .read_to_string(&mut text)
            .map_err(|e| FileError::system(&path, "read", &e))?;
        Ok(Some((claim, text)))
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
