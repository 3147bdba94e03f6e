//! The permanent record: what was decided about second factors, by whom, one JSON object a line, each chained to the one
//! before it. Lines are added here and never changed.
//!
//! Who holds root can recompute the whole chain; so each line is also one line of syslog, with its hash, which a central log
//! keeps. That line is returned to the caller, who knows how to send it.

mod append;
mod chain;
mod entry;
mod read;
#[cfg(test)]
mod tests;
mod verify;

use std::fs::File;
use std::path::{Path, PathBuf};

use thiserror::Error;

pub use entry::{Entry, Recorded};
pub use read::{Filter, Line, Logged, Reader};
pub use verify::{Finding, Last, Mention, Verified};

use crate::files::{Access, Demand, Directory, FileError, Owner, Shared};

/// The permanent record's file.
#[derive(Clone, Debug)]
pub struct PermanentRecord {
    path: PathBuf,
    owner: Owner,
}

/// Why nothing was recorded, or can't be read.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum RecordError {
    /// The file or its directory.
    #[error("the permanent record: {0}")]
    File(FileError), // no source: it would be said twice
    /// Somebody else is writing, for too long.
    #[error("the permanent record {}: another program has held its lock too long; look at it with: fuser -v {}",
        .0.display(), .0.display())]
    Busy(PathBuf),
    /// The file has content, and none of it is a line of the record.
    #[error("the permanent record {}: the file is something else; move it away and a new one begins", .0.display())]
    Foreign(PathBuf),
}

impl From<FileError> for RecordError {
    fn from(error: FileError) -> Self {
        Self::File(error)
    }
}

impl PermanentRecord {
    /// The record in the file `path`; nothing is opened yet.
    #[must_use]
    pub fn new(path: &Path, owner: Owner) -> Self {
        Self { path: path.to_owned(), owner }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Why a login couldn't record anything here; `None`: it can.
    #[must_use]
    pub fn problem(&self) -> Option<FileError> {
        self.open(Access::Write).err()
    }

    fn directory(&self) -> Result<(Directory, &str), FileError> {
        let name = self.path.file_name().and_then(|name| name.to_str());
        let (Some(above), Some(name)) = (self.path.parent(), name) else {
            return Err(FileError::new(&self.path, crate::files::Problem::BadName));
        };
        Ok((Directory::open(above, self.owner, Shared::Readable)?, name))
    }

    fn open(&self, access: Access) -> Result<Option<File>, FileError> {
        let (directory, name) = self.directory()?;
        directory.file(name, access, DEMAND)
    }
}

/// It grows as long as the machine lives.
const DEMAND: Demand = Demand::private(u64::MAX);
