//! The index by uid: `uids/UID`, and the marker that says that all of `users/` is in it.
//!
//! A login reads it where nothing is kept under the account's own name; commands write it under the administrators' lock: a
//! name before its enrollment, and takes it out after. Whatever is missing or damaged here is a fault, never an absence.

use std::collections::BTreeSet;

use totp_core::name::UserName;
use totp_core::store::{Fault, FaultKind};
use totp_core::time::UnixTime;
use totp_core::uid_index::{Listed, MOST_BYTES, parse, print};

use super::decoy;
use super::fault::{fault, is_the_processs};
use crate::entropy;
use crate::files::{Access, Demand, Directory, FileError, Problem, Shared};

/// What the directory is called in the state directory.
pub(crate) const NAME: &str = "uids";

/// The file that says that the index is complete.
pub(crate) const MARKER: &str = ".complete";

const COMPLETE: &str = "pam-totp uids 1\n";

const DEMAND: Demand = Demand::private(MOST_BYTES as u64);

/// The directory of the index; one that can't be opened comes up when it is needed.
#[derive(Debug)]
pub(super) struct Uids {
    directory: Result<Directory, FileError>,
    /// What mends everything that can be wrong here.
    remedy: String,
}

impl Uids {
    /// `init` is the command that makes the index again.
    pub(super) fn beneath(state_dir: &Directory, init: &str) -> Self {
        let remedy = format!(
            "until it is made again, accounts without an enrollment of their own name are denied: {init}"
        );
        Self { directory: state_dir.inner(NAME, Shared::Nobody), remedy }
    }

    /// The names of `uid`: `None` where it is proven that no enrollment has it.
    ///
    /// # Errors
    /// The index is not there, not complete or damaged.
    pub(super) fn of(&self, uid: u32) -> Result<Option<Listed>, Fault> {
        let listed = self.read(uid)?;
        self.check_marker()?;
        Ok(listed)
    }

    /// As many looks as [`Uids::of`] takes, for users whose uid is not asked for: they must not be told by the time.
    pub(super) fn look_for_nobody(&self) {
        if let Ok(directory) = &self.directory {
            let _ = directory.file(decoy::NOBODY, Access::Read, DEMAND);
            let _ = self.check_marker();
        }
    }

    /// Checks that the index is complete.
    ///
    /// # Errors
    /// It is not, or that can't be found out.
    pub(super) fn check_marker(&self) -> Result<(), Fault> {
        let directory = self.directory()?;
        match directory.text(MARKER, DEMAND).map_err(|error| self.unusable(error))? {
            Some(text) if *text == *COMPLETE => Ok(()),
            Some(_) => Err(self.damaged(MARKER, "is damaged")),
            None => Err(self.damaged(MARKER, "does not exist: the index by uid is not complete")),
        }
    }

    /// The names in the file of `uid`, whether or not the index is complete.
    pub(super) fn read(&self, uid: u32) -> Result<Option<Listed>, Fault> {
        let name = uid.to_string();
        let text = self.directory()?.text(&name, DEMAND).map_err(|error| self.unusable(error))?;
        let listed = text.map(|text| parse(uid, &text)).transpose();
        listed.map_err(|error| self.damaged(&name, &error.to_string()))
    }

    /// All uids that have a file.
    pub(super) fn all(&self) -> Result<BTreeSet<u32>, Fault> {
        let names = self.directory()?.list().map_err(|error| self.unusable(error))?;
        Ok(names.iter().filter_map(|name| name.parse().ok()).collect())
    }

    /// Adds a name, unless it is there: on disk when this returns.
    pub(super) fn add(&self, uid: u32, user: &UserName) -> Result<(), Fault> {
        let mut names = self.read(uid)?.map(|listed| listed.names).unwrap_or_default();
        if names.insert(user.clone()) {
            self.write(uid, names, true)?;
        }
        Ok(())
    }

    /// Takes a name out. One that stays is harmless: its enrollment is looked at.
    pub(super) fn take_out(&self, uid: u32, user: &UserName) {
        let Ok(Some(Listed { mut names, .. })) = self.read(uid) else { return };
        if names.remove(user) {
            let _ = self.write(uid, names, true);
        }
    }

    /// Puts `names` in the place of what is there. One that need not be durable is brought to disk with [`Uids::complete`].
    pub(super) fn write(
        &self,
        uid: u32,
        names: BTreeSet<UserName>,
        durable: bool,
    ) -> Result<(), Fault> {
        let (directory, name) = (self.directory()?, uid.to_string());
        if names.is_empty() {
            return directory.remove(&name).map(drop).map_err(|error| self.unusable(error));
        }
        let change = entropy::bytes().map_err(|error| self.damaged(&name, &error.to_string()))?;
        let listed = Listed { uid, change: u64::from_ne_bytes(change), names };
        let text = print(&listed).map_err(|_| self.damaged(&name, "has too many names"))?;
        directory
            .replace_prepared(&name, text.as_bytes(), durable, |_| Ok(()))
            .map_err(|error| self.unusable(error))
    }

    /// Takes away what killed changes left.
    pub(super) fn sweep(&self, now: UnixTime) {
        if let Ok(directory) = &self.directory {
            let _ = directory.sweep(now);
        }
    }

    /// Says that the index is not complete, until [`Uids::complete`].
    pub(super) fn incomplete(&self) -> Result<(), Fault> {
        self.directory()?.remove(MARKER).map(drop).map_err(|error| self.unusable(error))
    }

    /// Brings all files to disk, and then says that the index is complete.
    pub(super) fn complete(&self) -> Result<(), Fault> {
        let directory = self.directory()?;
        directory.sync_all_files().map_err(|error| self.unusable(error))?;
        directory.replace(MARKER, COMPLETE.as_bytes()).map_err(|error| self.unusable(error))
    }

    fn directory(&self) -> Result<&Directory, Fault> {
        self.directory.as_ref().map_err(|error| self.unusable(error.clone()))
    }

    fn damaged(&self, name: &str, what: &str) -> Fault {
        let path = match &self.directory {
            Ok(directory) => directory.path().join(name),
            Err(error) => error.path.clone(),
        };
        fault(FaultKind::IndexDamaged, format!("{}: {what}; {}", path.display(), self.remedy))
    }

    fn unusable(&self, error: FileError) -> Fault {
        if error.errno_if_system().is_some_and(is_the_processs) {
            return fault(FaultKind::Unavailable, error.to_string());
        }
        let remedy = &self.remedy;
        let detail = match error.problem {
            // The usual text says that something is not mounted: the directory above is there.
            Problem::NoDirectory => format!("{}: does not exist; {remedy}", error.path.display()),
            _ => format!("{error}; {remedy}"),
        };
        fault(FaultKind::IndexDamaged, detail)
    }
}
