//! The state files: opened where they are, made where they are not.

use std::fs::File;

use nix::errno::Errno;
use totp_core::name::UserName;
use totp_core::store::Fault;

use super::blocks::{Blocks, SIZE_ON_DISK};
use super::fault::{is_the_processs, state_fault, unavailable};
use super::{FileStore, decoy, unless_denied};
use crate::files::{Access, Demand};

/// What a state file must be.
pub(super) const DEMAND: Demand = Demand::private(SIZE_ON_DISK);

/// On whose state a transaction works.
pub(super) struct Seat<'a> {
    /// As the blocks call it.
    pub(super) whose: UserName,
    /// As the file is called.
    pub(super) name: String,
    /// Whose record counts. `None`: nobody's, whatever there is.
    pub(super) record_of: Option<&'a UserName>,
    pub(super) is_decoy: bool,
    /// Where the file is many users': this one.
    pub(super) shared_by: Option<UserName>,
}

impl<'a> Seat<'a> {
    pub(super) fn own(user: &UserName, record_of: Option<&'a UserName>) -> Self {
        Self {
            whose: user.clone(),
            name: user.file_name(),
            record_of,
            is_decoy: false,
            shared_by: None,
        }
    }

    pub(super) fn decoy(user: &UserName, record_of: Option<&'a UserName>) -> Self {
        let whose = decoy::of(user);
        let shared_by = Some(user.clone());
        Self { name: whose.as_str().to_owned(), whose, record_of, is_decoy: true, shared_by }
    }

    /// Whether a transaction only pretends here, for somebody who has a state.
    pub(super) fn is_only_locked(&self) -> bool {
        self.record_of.is_none() && !self.is_decoy
    }
}

/// A state file on disk, open.
pub(super) struct Opened {
    pub(super) file: File,
    pub(super) writable: bool,
}

/// What became of making a state file.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Made {
    OnDisk,
    /// The disk takes nothing.
    Nowhere,
}

impl FileStore {
    /// Opens a state on disk; read-only where the disk is.
    pub(super) fn open_state(&self, name: &str) -> Result<Option<Opened>, Fault> {
        let states = &self.directories()?.states;
        match states.file(name, Access::Write, DEMAND) {
            Ok(file) => Ok(file.map(|file| Opened { file, writable: true })),
            Err(error) if error.errno_if_system() == Some(Errno::EROFS) => {
                unless_denied(states.path())?;
                let file = states.file(name, Access::Read, DEMAND).map_err(state_fault)?;
                Ok(file.map(|file| Opened { file, writable: false }))
            }
            Err(error) => Err(state_fault(error)),
        }
    }

    /// `None` where there is none on disk, and none can be made.
    pub(super) fn open_or_make_state(&self, name: &str) -> Result<Option<Opened>, Fault> {
        if let Some(opened) = self.open_state(name)? {
            return Ok(Some(opened));
        }
        match self.make_state(name)? {
            Made::OnDisk => self.open_state(name),
            Made::Nowhere => Ok(None),
        }
    }

    /// Makes an empty state on disk: what is to be locked. The first write fills it.
    pub(super) fn make_state(&self, name: &str) -> Result<Made, Fault> {
        let states = &self.directories()?.states;
        match states.create(name) {
            Ok(_) => Ok(if states.sync().is_ok() { Made::OnDisk } else { Made::Nowhere }),
            Err(error) => match error.errno_if_system() {
                Some(Errno::EEXIST) => Ok(Made::OnDisk),
                Some(Errno::EROFS) => unless_denied(states.path()).map(|()| Made::Nowhere),
                // The directory was removed; or it is the process that is short of something.
                Some(errno) if errno == Errno::ENOENT || is_the_processs(errno) => {
                    Err(unavailable(error))
                }
                Some(_) => Ok(Made::Nowhere),
                None => Err(state_fault(error)),
            },
        }
    }

    pub(super) fn read(&self, seat: &Seat<'_>, file: &File) -> Blocks {
        let blocks = Blocks::read(&seat.whose, &*self.disk, file);
        if seat.is_decoy && blocks.is_short() {
            return decoy::first_blocks(&seat.whose);
        }
        blocks
    }

    /// Reads a state without its lock, wherever it is. One of its blocks may be half overwritten; never both.
    pub(super) fn peek(&self, seat: &Seat<'_>) -> Result<(Blocks, bool), Fault> {
        let in_memory = self.memory.open(&seat.name, Access::Read)?;
        let volatile = in_memory.is_some();
        let file = match in_memory {
            Some(file) => Some(file),
            None => self
                .directories()?
                .states
                .file(&seat.name, Access::Read, DEMAND)
                .map_err(state_fault)?,
        };
        match file {
            Some(file) => Ok((self.read(seat, &file), volatile)),
            None => Ok((Blocks::blank(&seat.whose), false)),
        }
    }
}
