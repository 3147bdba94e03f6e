//! Where states are kept while the disk can't be written: a directory in memory, which a restart forgets. As long as
//! a state is here it is the state, and what the disk has is old.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use super::blocks::SIZE_ON_DISK;
use crate::files::{Access, Demand, Directory, FileError, Owner, Problem, Shared};

/// The directory `run_dir`, which comes into being when it is first needed: after a restart it is gone.
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
    pub(super) fn open(&self, name: &str, access: Access) -> Result<Option<File>, FileError> {
        match self.existing()? {
            Some(directory) => directory.file(name, access, DEMAND),
            None => Ok(None),
        }
    }

    /// Whether `file` still is the state here.
    pub(super) fn names(&self, name: &str, file: &File) -> Result<bool, FileError> {
        self.existing()?.map_or(Ok(false), |directory| directory.names(name, file))
    }

    /// Puts a whole state here, at once.
    pub(super) fn put(&self, name: &str, bytes: &[u8]) -> Result<(), FileError> {
        self.made()?.replace(name, bytes)
    }

    /// Makes an empty state. `EEXIST` where there is one.
    pub(super) fn create(&self, name: &str) -> Result<File, FileError> {
        self.made()?.create(name)
    }

    pub(super) fn remove(&self, name: &str) -> Result<(), FileError> {
        self.existing()?.map_or(Ok(()), |directory| directory.remove(name).map(|_| ()))
    }

    fn existing(&self) -> Result<Option<&Directory>, FileError> {
        if let Some(directory) = self.directory.get() {
            return Ok(Some(directory));
        }
        match Directory::open(&self.path, self.owner, Shared::Nobody) {
            Ok(directory) => Ok(Some(self.directory.get_or_init(|| directory))),
            Err(error) if error.problem == Problem::NoDirectory => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn made(&self) -> Result<&Directory, FileError> {
        if let Some(directory) = self.existing()? {
            return Ok(directory);
        }
        let name = self.path.file_name().and_then(|name| name.to_str());
        let (Some(above), Some(name)) = (self.path.parent(), name) else {
            return Err(FileError::new(&self.path, Problem::BadName));
        };
        let made = Directory::open(above, self.owner, Shared::Readable)?.inner_or_made(name)?;
        Ok(self.directory.get_or_init(|| made))
    }
}

const DEMAND: Demand = Demand::private(SIZE_ON_DISK);
