//! The file store: a record and a state for each user, as files, behind the [`Store`] of totp-core. What is decided is
//! none of this module's business.
//!
//! - [`FileStore`] here: looking
//! - `transaction`: deciding under the user's lock, and writing it
//! - `administration`: what the administrator's command changes
//! - [`ByUid`]: which enrollment an account without one of its own name has; `uids`: `uids/UID`, the index for that, and
//!   `index`: making and comparing all of it
//! - `records`: `users/NAME.toml`; `states`: `state/NAME`, and `blocks`: what is inside; `memory`: where that is while
//!   the disk can't be written; `decoy`: what stands in for users who have neither
//! - `disk`: overwriting and flushing, where tests break in; `fault`: errors, as the core calls them

mod administration;
mod blocks;
mod by_uid;
mod decoy;
mod disk;
mod fault;
mod index;
mod memory;
mod records;
mod states;
#[cfg(test)]
mod tests;
mod transaction;
pub(crate) mod uids;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use totp_core::name::UserName;
use totp_core::record::{EnrollmentId, Entry};
use totp_core::state::Meter;
use totp_core::state::Visit;
use totp_core::store::{
    Change, Committed, Enrolled, Fault, FaultKind, Found, Opening, Store, View,
};
use totp_core::time::UnixTime;

use self::blocks::Blocks;
use self::disk::{Disk, RealDisk};
use self::fault::unavailable;
use self::memory::Memory;
use self::records::Records;
use self::states::Seat;
use self::uids::Uids;
use crate::clock;
use crate::files::{Directory, FileError, Owner, Shared};
use crate::identity::Identity;

pub use administration::{Expected, NotChanged};
pub use by_uid::ByUid;
pub use index::IndexState;

/// Whether a read-only disk is a fault, and no reason to decide in memory.
static READ_ONLY_IS_A_FAULT: AtomicBool = AtomicBool::new(false);

/// From now on, this process takes no read-only mount for a disk that can't be written: it denies. For a process in a mount
/// namespace of its own, where a mount may be read-only that other logins can write.
pub fn deny_read_only_disks() {
    READ_ONLY_IS_A_FAULT.store(true, Ordering::Relaxed);
}

fn unless_denied(path: &Path) -> Result<(), Fault> {
    if !READ_ONLY_IS_A_FAULT.load(Ordering::Relaxed) {
        return Ok(());
    }
    let detail = format!(
        "{}: read-only in this process's own mount namespace, which may differ from that of other logins",
        path.display()
    );
    Err(fault::fault(FaultKind::Unavailable, detail))
}

/// Records and states in files.
#[derive(Debug)]
pub struct FileStore {
    path: PathBuf,
    owner: Owner,
    directories: OnceLock<Directories>,
    /// Which installation's it must be; `None` where that is not asked.
    identity: Option<Arc<Identity>>,
    memory: Memory,
    disk: Arc<dyn Disk>,
    /// When process 1 started; tests say it themselves.
    started: fn() -> Option<UnixTime>,
}

#[derive(Debug)]
struct Directories {
    records: Records,
    states: Directory,
    uids: Uids,
}

/// What is known of a user, read without a lock: for people to look at.
#[derive(Debug)]
pub struct Inspected {
    /// What is decided, and the state.
    pub found: Found,
    /// What was refused.
    pub meter: Meter,
    /// Whether the state is in memory because the disk couldn't be written.
    pub volatile: bool,
}

/// A look at a user: the record, and the state with whether it is in memory.
struct Peeked {
    entry: Option<Entry>,
    state: Result<(Blocks, bool), Fault>,
}

/// A record's file name, without its extension, and what it says.
pub type Listed = (String, Result<Entry, Fault>);

impl FileStore {
    /// The store in `state_dir`, with `run_dir` for when that can't be written. Nothing is opened yet.
    #[must_use]
    pub fn new(state_dir: &Path, run_dir: &Path, owner: Owner) -> Self {
        Self {
            path: state_dir.to_owned(),
            owner,
            directories: OnceLock::new(),
            identity: None,
            memory: Memory::new(run_dir, owner),
            disk: Arc::new(RealDisk),
            started: || clock::start_of_process_1(clock::now()),
        }
    }

    /// The same store, which refuses all work where the state directory is not this installation's.
    #[must_use]
    pub(crate) fn of(self, identity: Arc<Identity>) -> Self {
        Self { identity: Some(identity), ..self }
    }

    /// The files of users whose state is in memory, until the disk can be written again.
    ///
    /// # Errors
    /// Where `run_dir` is there and can't be read or trusted.
    pub fn users_in_memory(&self) -> Result<Vec<String>, Fault> {
        let mut names = self.memory.list()?;
        names.sort_unstable();
        Ok(names)
    }

    /// All that is known of a user.
    ///
    /// # Errors
    /// Anything but a proven answer.
    pub fn inspect(&self, user: &UserName) -> Result<Inspected, Fault> {
        let peeked = self.peeked(user)?;
        let enrolled = enrollment(peeked.entry.as_ref()).is_some();
        let (blocks, volatile) = match peeked.state {
            Err(_) if !enrolled => (Blocks::blank(user), false),
            state => state?,
        };
        let meter = blocks.meter();
        Ok(Inspected { found: found(peeked.entry, &blocks), meter, volatile })
    }

    /// The record, and the state or what stands in for it, read without a lock.
    fn peeked(&self, user: &UserName) -> Result<Peeked, Fault> {
        let entry = self.directories()?.records.read(user).inspect_err(|_| {
            let _ = self.peek(&Seat::decoy(user, None)); // as for everybody
        })?;
        let enrolled = enrollment(entry.as_ref()).is_some();
        let seat = if enrolled { Seat::own(user, None) } else { Seat::decoy(user, None) };
        Ok(Peeked { entry, state: self.peek(&seat) })
    }

    /// The last login that a user's state remembers, of whichever enrollment: also of somebody who has been switched
    /// off since.
    ///
    /// # Errors
    /// Where the state can't be read or trusted.
    pub fn last_login(&self, user: &UserName) -> Result<Option<Visit>, Fault> {
        Ok(self.peek(&Seat::own(user, None))?.0.last_login())
    }

    /// Everybody about whom something is decided, by file name, sorted; a file that can't be used gives its
    /// fault. Takes leftovers of killed administration away.
    ///
    /// # Errors
    /// Where the directory can't be read.
    pub fn everybody(&self, now: UnixTime) -> Result<Vec<Listed>, Fault> {
        self.memory.sweep(now);
        let directories = self.directories()?;
        directories.uids.sweep(now);
        directories.records.all(now)
    }

    fn directories(&self) -> Result<&Directories, Fault> {
        if let Some(directories) = self.directories.get() {
            return Ok(directories);
        }
        let open = || -> Result<Directories, FileError> {
            let above = Directory::open(&self.path, self.owner, Shared::Readable)?;
            if let Some(identity) = &self.identity {
                identity.check(&above)?;
            }
            let init = self.identity.as_ref().map_or("totp-admin init", |identity| identity.init());
            let records = Records::new(above.inner("users", Shared::Nobody)?);
            let states = above.inner("state", Shared::Nobody)?;
            Ok(Directories { records, states, uids: Uids::beneath(&above, init) })
        };
        let opened = open().map_err(unavailable)?;
        Ok(self.directories.get_or_init(|| opened))
    }
}

impl Store for FileStore {
    /// A state that can't be read is as good as none here: its fault comes up under the lock, after the prompts, so that
    /// whoever is enrolled is asked like everybody else.
    fn look(&self, user: &UserName) -> Result<Found, Fault> {
        let peeked = self.peeked(user)?;
        let blocks = peeked.state.map_or_else(|_| Blocks::blank(user), |(blocks, _)| blocks);
        Ok(found(peeked.entry, &blocks))
    }

    fn transact<T>(
        &self,
        user: &UserName,
        f: &dyn Fn(&View) -> Change<T>,
    ) -> Result<Committed<T>, Fault> {
        self.transacted(user, Some(user), f)
    }

    fn pretend<T>(
        &self,
        user: &UserName,
        f: &dyn Fn(&View) -> Change<T>,
    ) -> Result<Committed<T>, Fault> {
        self.transacted(user, None, f)
    }
}

fn enrollment(entry: Option<&Entry>) -> Option<EnrollmentId> {
    entry.and_then(Entry::enrollment)
}

fn found(entry: Option<Entry>, blocks: &Blocks) -> Found {
    match entry {
        None => Found::Absent,
        Some(Entry::Disabled(tombstone)) => Found::Disabled(tombstone),
        Some(Entry::Enrolled(record)) => {
            let state = blocks.state(record.enrollment);
            Found::Enrolled(Box::new(Enrolled { record, state }))
        }
        Some(Entry::Pending(pending)) => {
            let state = blocks.state(pending.enrollment);
            Found::Pending(Box::new(Opening { pending, state }))
        }
    }
}
