//! The permanent record: what was decided about second factors, by whom, one JSON object a line, each chained to the one
//! before it. Lines are added here and never changed.
//!
//! Who holds root can recompute the whole chain; so each line is also one line of syslog, with its hash, which a central log
//! keeps. That line is returned to the caller, who knows how to send it.

mod append;
mod chain;
mod details;
mod entry;
mod read;
#[cfg(test)]
mod tests;
mod verify;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use thiserror::Error;

pub use details::{ContactChange, Details, Terms, Told};
pub use entry::{Entry, Recorded};
pub use read::{Filter, Line, Logged, Reader};
pub use verify::{Finding, Last, Mention, Verified};

use crate::files::{Access, Demand, Directory, FileError, Owner, Problem, Shared};
use crate::identity::Identity;

/// The permanent record's file.
#[derive(Clone, Debug)]
pub struct PermanentRecord {
    path: PathBuf,
    owner: Owner,
    /// The installation without whose state directory nothing is recorded or read; `None` where that is not asked.
    identity: Option<Arc<Identity>>,
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
        Self { path: path.to_owned(), owner, identity: None }
    }

    /// The same record, which refuses where the state directory is not this installation's: what is recorded is about
    /// what is kept there.
    #[must_use]
    pub(crate) fn of(self, identity: Arc<Identity>) -> Self {
        Self { identity: Some(identity), ..self }
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

    /// Whether there is such a file with anything in it.
    ///
    /// # Errors
    /// Where that can't be found out.
    pub(crate) fn exists(&self) -> Result<bool, FileError> {
        match self.open(Access::Read) {
            Ok(None) => Ok(false),
            Ok(Some(file)) => {
                let found = file.metadata();
                let found =
                    found.map_err(|error| FileError::system(&self.path, "fstat", &error))?;
                Ok(found.len() > 0)
            }
            Err(error) if error.problem == Problem::NoDirectory => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn directory(&self) -> Result<(Directory, &str), FileError> {
        let name = self.path.file_name().and_then(|name| name.to_str());
        let (Some(above), Some(name)) = (self.path.parent(), name) else {
            return Err(FileError::new(&self.path, Problem::BadName));
        };
        if let Some(identity) = &self.identity {
            identity.open_state_dir()?;
        }
        Ok((Directory::open(above, self.owner, Shared::Readable)?, name))
    }

    fn open(&self, access: Access) -> Result<Option<File>, FileError> {
        let (directory, name) = self.directory()?;
        directory.file(name, access, DEMAND)
    }
}

/// It grows as long as the machine lives.
const DEMAND: Demand = Demand::private(u64::MAX);
