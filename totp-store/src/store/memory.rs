//! Where states are kept while the disk can't be written: a directory in memory, which a restart forgets. As long as
//! a state is here it is the state, and what the disk has is old. Nothing in it need survive a
//! power failure.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use nix::errno::Errno;
use totp_core::store::Fault;
use totp_core::time::UnixTime;

use super::blocks::SIZE_ON_DISK;
use super::fault::{in_place, state_fault, unavailable};
use crate::files::{Access, Demand, Directory, FileError, Owner, Problem, Shared};

/// The directory `run_dir`, which comes into being when it is first needed: after a restart it is gone. So does the one above
/// it, /run/pam-totp by default, which others may read: the daemon's sockets are in there.
#[derive(Debug)]
pub(super) struct Memory {
    path: PathBuf,
    owner: Owner,
    directory: OnceLock<Directory>,
}

impl Memory {
    pub(super) fn new(path: &Path, owner: Owner) -> Self {
        Self { path: path.to_owned(), owner, directory: OnceLock::new() }
    }

    /// Opens a state that is here. `None`: it isn't, or there is no such directory.
    pub(super) fn open(&self, name: &str, access: Access) -> Result<Option<File>, Fault> {
        match self.existing()? {
            Some(directory) => directory.file(name, access, DEMAND).map_err(state_fault),
            None => Ok(None),
        }
    }

    /// Whether `file` still is the state here.
    pub(super) fn names(&self, name: &str, file: &File) -> Result<bool, Fault> {
        self.existing()?
            .map_or(Ok(false), |directory| directory.names(name, file).map_err(state_fault))
    }

    /// Puts a whole state here, at once.
    pub(super) fn put(&self, name: &str, bytes: &[u8]) -> Result<(), Fault> {
        in_place(self.made()?.replace(name, bytes), ()).map(|_| ()).map_err(unavailable)
    }

    /// Makes an empty state, if there is none.
    pub(super) fn make(&self, name: &str) -> Result<(), Fault> {
        match self.made()?.create(name) {
            Ok(_) => Ok(()),
            Err(error) if error.errno_if_system() == Some(Errno::EEXIST) => Ok(()),
            Err(error) => Err(unavailable(error)),
        }
    }

    pub(super) fn remove(&self, name: &str) -> Result<(), Fault> {
        self.existing()?.map_or(Ok(()), |directory| {
            in_place(directory.remove(name), true).map(|_| ()).map_err(state_fault)
        })
    }

    /// The names of the users' states that are here.
    pub(super) fn list(&self) -> Result<Vec<String>, Fault> {
        let names = self.existing()?.map(Directory::list).transpose().map_err(unavailable)?;
        Ok(names.unwrap_or_default())
    }

    /// Takes away what killed logins left half written.
    pub(super) fn sweep(&self, now: UnixTime) {
        if let Ok(Some(directory)) = self.existing() {
            let _ = directory.sweep(now); // it harms nobody
        }
    }

    fn existing(&self) -> Result<Option<&Directory>, Fault> {
        if let Some(directory) = self.directory.get() {
            return Ok(Some(directory));
        }
        match Directory::open(&self.path, self.owner, Shared::Nobody) {
            Ok(directory) => Ok(Some(self.directory.get_or_init(|| directory))),
            Err(error) if error.problem == Problem::NoDirectory => Ok(None),
            Err(error) => Err(unavailable(error)),
        }
    }

    fn made(&self) -> Result<&Directory, Fault> {
        if let Some(directory) = self.existing()? {
            return Ok(directory);
        }
        let made = self.make_directory().map_err(unavailable)?;
        Ok(self.directory.get_or_init(|| made))
    }

    fn make_directory(&self) -> Result<Directory, FileError> {
        let name = self.path.file_name().and_then(|name| name.to_str());
        let (Some(above), Some(name)) = (self.path.parent(), name) else {
            return Err(FileError::new(&self.path, Problem::BadName));
        };
        Directory::open_or_make(above, self.owner, Shared::Readable)?
            .inner_or_made(name, Shared::Nobody)
    }
}

const DEMAND: Demand = Demand::private(SIZE_ON_DISK);
