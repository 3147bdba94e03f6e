//! The outbox: what people are to be told, until it has been delivered. One file a notification.
//!
//! - `812`: mail about line 812 of the permanent record ([`Mail`]), kept until everybody in it has been served
//! - `text-…`: a text message ([`Message`]), left here by a login, thrown away after a few minutes
//! - `decoy-…`: what a login left that had nothing to send: nobody is to see by the time which of the two it was
//! - `.cursor`: how far the permanent record has been gone through (`enqueue`); `.agent`: there is one agent
//!
//! Nothing is sent from here. Who delivers takes a file by its lock ([`ClaimedMail`], [`ClaimedMessage`]), so that the
//! command and the agent never send the same one.

mod claim;
mod enqueue;
mod mail;
mod message;
#[cfg(test)]
mod tests;
mod text;
mod told;

use std::path::{Path, PathBuf};

use thiserror::Error;
use totp_core::contact::Phone;
use totp_core::time::UnixTime;
use zeroize::Zeroizing;

pub use claim::{ClaimedMail, ClaimedMessage, OnlyAgent};
pub use enqueue::Hold;
pub(crate) use enqueue::{CURSOR, first_cursor};
pub use mail::{About, Mail, Recipient};
pub use message::Message;
pub use text::NotOfThisFormat;
pub(crate) use text::{Words, field};
pub use told::{Audience, audience, recipients};

use crate::entropy;
use crate::files::{Demand, Directory, FileError, Owner, Problem, Shared};
use crate::limits;
use crate::notices::Notices;
use crate::permanent::RecordError;

/// Text messages that wait at most, and as many decoys; one that comes beyond is dropped. The agent takes them away within
/// seconds, sent or not.
pub const MOST_MESSAGES: usize = 500;

/// A file here is never larger, in bytes.
const DEMAND: Demand = Demand::private(65_536);

/// What the directory is called in the state directory.
pub(crate) const NAME: &str = "outbox";

const TEXT: &str = "text-";
const DECOY: &str = "decoy-";

/// The outbox of an installation, open.
#[derive(Debug)]
pub struct Outbox {
    directory: Directory,
    notices: Notices,
}

/// Why something in the outbox can't be done.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum OutboxError {
    /// A file or a directory.
    #[error("the outbox: {0}")]
    File(FileError), // no source: it would be said twice
    /// The permanent record, of which people are told.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// Somebody else is going through the permanent record, for too long.
    #[error("the outbox {}: another program has held its lock too long; look at it with: fuser -v {}",
        .0.display(), .0.display())]
    Busy(PathBuf),
    /// A file that these programs didn't write.
    #[error("{}: line {} is not of this format; look at it, and remove it", .path.display(), .line)]
    Format {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
    },
    /// A text message that has no room in a file.
    #[error("a text message is too long")]
    TooLong,
    /// Too many text messages wait.
    #[error("the outbox {}: {MOST_MESSAGES} text messages wait already; is totp-agent running?", .0.display())]
    Full(PathBuf),
}

impl From<FileError> for OutboxError {
    fn from(error: FileError) -> Self {
        Self::File(error)
    }
}

/// What lies in the outbox, by its name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Item {
    /// Mail about this line of the permanent record.
    Mail {
        /// The line.
        seq: u64,
        /// The file.
        name: String,
    },
    /// A text message.
    Message(String),
    /// What stands for one.
    Decoy(String),
    /// Nothing of ours.
    Unknown(String),
}

impl Item {
    fn of(name: String) -> Self {
        // Two records that both begin at 1 (the older one moved away) may have the same line waiting.
        let number = name.split_once('.').map_or(name.as_str(), |(number, _)| number);
        match number.parse::<u64>() {
            Ok(seq) if seq.to_string() == number => Self::Mail { seq, name },
            _ if name.starts_with(TEXT) => Self::Message(name),
            _ if name.starts_with(DECOY) => Self::Decoy(name),
            _ => Self::Unknown(name),
        }
    }
}

impl Outbox {
    /// Opens `outbox/` and `notices/` of `state_dir`.
    ///
    /// # Errors
    /// Where one is missing or can't be trusted.
    pub fn open(state_dir: &Path, owner: Owner) -> Result<Self, OutboxError> {
        Self::beneath(&Directory::open(state_dir, owner, Shared::Readable)?)
    }

    pub(crate) fn beneath(state_dir: &Directory) -> Result<Self, OutboxError> {
        let directory = state_dir.inner(NAME, Shared::Nobody)?;
        Ok(Self { directory, notices: Notices::beneath(state_dir)? })
    }

    /// Where it is, for messages, and to be watched.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// What users are shown at their next login.
    #[must_use]
    pub fn notices(&self) -> &Notices {
        &self.notices
    }

    /// All there is, mail first, in the order of the permanent record.
    ///
    /// # Errors
    /// Where the directory can't be read.
    pub fn items(&self) -> Result<Vec<Item>, OutboxError> {
        let mut items: Vec<Item> = self.directory.list()?.into_iter().map(Item::of).collect();
        items.sort();
        Ok(items)
    }

    /// Puts a text message into the outbox, from where the agent sends it. Neither waits for anything nor flushes.
    ///
    /// # Errors
    /// Where it can't be written, is too long, or too many wait: then it is not sent.
    pub fn put_message(&self, message: &Message) -> Result<(), OutboxError> {
        self.put(TEXT, message)
    }

    /// The same work as [`Outbox::put_message`], for who has no number: nothing is sent.
    ///
    /// # Errors
    /// As [`Outbox::put_message`].
    pub fn pretend_message(
        &self,
        user: &str,
        text: &str,
        until: UnixTime,
    ) -> Result<(), OutboxError> {
        // A number that is none: should this file ever be taken for a real one, it reaches nobody.
        let Ok(phone) = "+99999999999".parse::<Phone>() else { return Err(OutboxError::TooLong) };
        let text = Zeroizing::new(text.to_owned());
        self.put(DECOY, &Message::new(user.to_owned(), phone, text, until))
    }

    fn put(&self, kind: &str, message: &Message) -> Result<(), OutboxError> {
        // Each kind by itself: what anybody can cause without a number keeps no message from being sent.
        let waits = self.directory.names_that(|name| name.starts_with(kind))?.len();
        let full = waits >= MOST_MESSAGES;
        let mut bytes = message.print().ok_or(OutboxError::TooLong)?;
        let random = entropy::bytes::<8>().map_err(|_| self.failed("getrandom"))?;
        let mut name = format!("{kind}{:016x}", u64::from_ne_bytes(random));
        if full {
            // The same work, and always the same file with nothing in it: how long this takes tells nobody which kind it was.
            name = format!("{DECOY}{:016x}", 0);
            bytes.fill(b'\n');
        }
        limits::allow_file_size(u64::try_from(bytes.len()).unwrap_or(u64::MAX))
            .map_err(|_| self.failed("write (file-size limit)"))?;
        self.directory.replace_prepared(&name, &bytes, false, |_| Ok(()))?;
        if full { Err(OutboxError::Full(self.path().to_owned())) } else { Ok(()) }
    }

    fn failed(&self, call: &'static str) -> OutboxError {
        let problem = Problem::System { call, errno: nix::errno::Errno::EAGAIN };
        FileError::new(self.path(), problem).into()
    }

    fn format(&self, name: &str, error: NotOfThisFormat) -> OutboxError {
        OutboxError::Format { path: self.path().join(name), line: error.0 }
    }
}
