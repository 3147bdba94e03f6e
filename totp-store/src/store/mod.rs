//! The file store: a record and a state for each user, as files, behind the [`Store`] of totp-core.
//!
//! One transaction is: open the state, lock it, see that its path still names it, read record and blocks, let the core
//! decide, write what it says, unlock. What is decided is none of this module's business.
//!
//! - [`FileStore`] here: looking and transacting
//! - `administration`: what the administrator's command changes
//! - `records`: `users/NAME.toml`; `blocks`: what is inside `state/NAME`; `memory`: where that is while the disk
//!   can't be written; `decoy`: what stands in for users who have neither
//! - `lock`, `holder`: the lock on a state, and the end of one who won't let go
//! - `disk`: overwriting and flushing, where tests break in; `fault`: errors, as the core calls them

mod administration;
mod blocks;
mod decoy;
mod disk;
mod fault;
mod holder;
mod lock;
mod memory;
mod records;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use nix::errno::Errno;
use totp_core::name::UserName;
use totp_core::record::{EnrollmentId, Entry};
use totp_core::state::Meter;
use totp_core::store::{
    Change, Committed, Durability, Enrolled, Fault, FaultKind, Found, Store, View, Volatile, Writes,
};
use totp_core::time::UnixTime;

use self::blocks::{Blocks, SIZE_ON_DISK};
use self::disk::{Disk, RealDisk};
use self::fault::{fault, state_fault, takes_no_writes, unavailable};
use self::lock::{NoLock, lock};
use self::memory::Memory;
use self::records::Records;
use crate::clock;
use crate::files::{Access, Demand, Directory, FileError, Owner, Shared, errno_of};
use crate::limits;

pub use administration::{Expected, NotChanged};

/// Records and states in files.
#[derive(Debug)]
pub struct FileStore {
    path: PathBuf,
    owner: Owner,
    directories: OnceLock<Directories>,
    memory: Memory,
    disk: Arc<dyn Disk>,
    /// When process 1 started; tests say it themselves.
    started: fn() -> Option<UnixTime>,
}

#[derive(Debug)]
struct Directories {
    records: Records,
    states: Directory,
    /// What they are in; locked by whoever administrates.
    above: Directory,
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
            memory: Memory::new(run_dir, owner),
            disk: Arc::new(RealDisk),
            started: || clock::start_of_process_1(clock::now()),
        }
    }

    /// All that is known of a user.
    ///
    /// # Errors
    /// Anything but a proven answer.
    pub fn inspect(&self, user: &UserName) -> Result<Inspected, Fault> {
        let entry = self.directories()?.records.read(user)?;
        let enrolled = matches!(entry, Some(Entry::Enrolled(_)));
        let seat = if enrolled { Seat::own(user, None) } else { Seat::decoy(user, None) };
        let (blocks, volatile) = match self.peek(&seat) {
            Err(_) if !enrolled => (Blocks::blank(&seat.whose), false),
            peeked => peeked?,
        };
        let meter = blocks.meter();
        Ok(Inspected { found: found(entry, &blocks), meter, volatile })
    }

    /// Everybody about whom something is decided, by file name, sorted; a file that can't be used gives its
    /// fault. Takes leftovers of killed administration away.
    ///
    /// # Errors
    /// Where the directory can't be read.
    pub fn everybody(&self, now: UnixTime) -> Result<Vec<Listed>, Fault> {
        self.directories()?.records.all(now)
    }

    fn directories(&self) -> Result<&Directories, Fault> {
        if let Some(directories) = self.directories.get() {
            return Ok(directories);
        }
        let open = || -> Result<Directories, FileError> {
            let above = Directory::open(&self.path, self.owner, Shared::Readable)?;
            let records = Records::new(above.inner("users", Shared::Nobody)?);
            let states = above.inner("state", Shared::Nobody)?;
            Ok(Directories { records, states, above })
        };
        let opened = open().map_err(unavailable)?;
        Ok(self.directories.get_or_init(|| opened))
    }

    /// Reads a state without its lock, wherever it is. One of its blocks may be half overwritten; never both.
    fn peek(&self, seat: &Seat<'_>) -> Result<(Blocks, bool), Fault> {
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
            Some(file) => Ok((self.read(seat, &file)?, volatile)),
            None => Ok((Blocks::blank(&seat.whose), false)),
        }
    }

    fn failed(&self, name: &str, call: &'static str, error: &std::io::Error) -> Fault {
        unavailable(FileError::system(&self.path.join("state").join(name), call, error))
    }
}

impl Store for FileStore {
    fn look(&self, user: &UserName) -> Result<Found, Fault> {
        Ok(self.inspect(user)?.found)
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

/// How often a transaction begins again because a file was replaced while its lock was waited for.
const TRIES: u32 = 16;

const DEMAND: Demand = Demand::private(SIZE_ON_DISK);

impl FileStore {
    fn transacted<T>(
        &self,
        user: &UserName,
        record_of: Option<&UserName>,
        f: &dyn Fn(&View) -> Change<T>,
    ) -> Result<Committed<T>, Fault> {
        let own = Seat::own(user, record_of);
        let decoy = Seat::decoy(user, record_of);
        let mut made = None;
        for _ in 0..TRIES {
            let turn = match record_of.map(|_| self.open_state(&own.name)).transpose()?.flatten() {
                Some(opened) => {
                    self.look_for_nobody();
                    self.under_lock(&own, Some(opened), f)?
                }
                None if made == Some(Made::Nowhere) => self.under_lock(&own, None, f)?,
                None => {
                    let opened = self.open_or_make_state(&decoy.name)?;
                    self.under_lock(&decoy, opened, f)?
                }
            };
            match turn {
                Turn::Done(committed) => return Ok(committed),
                Turn::Again => {}
                Turn::StateWanted => made = Some(self.make_state(&own.name)?),
            }
        }
        Err(self.busy(&own.name))
    }

    /// The look that finds nothing, for whoever has a state.
    fn look_for_nobody(&self) {
        if let Some(directories) = self.directories.get() {
            let _ = directories.states.file(decoy::NOBODY, Access::Write, DEMAND);
        }
    }

    /// Opens a state on disk; read-only where the disk is.
    fn open_state(&self, name: &str) -> Result<Option<Opened>, Fault> {
        let states = &self.directories()?.states;
        match states.file(name, Access::Write, DEMAND) {
            Ok(file) => Ok(file.map(|file| Opened { file, writable: true })),
            Err(error) if error.errno_if_system() == Some(Errno::EROFS) => {
                let file = states.file(name, Access::Read, DEMAND).map_err(state_fault)?;
                Ok(file.map(|file| Opened { file, writable: false }))
            }
            Err(error) => Err(state_fault(error)),
        }
    }

    /// `None` where there is none on disk, and none can be made.
    fn open_or_make_state(&self, name: &str) -> Result<Option<Opened>, Fault> {
        if let Some(opened) = self.open_state(name)? {
            return Ok(Some(opened));
        }
        match self.make_state(name)? {
            Made::OnDisk => self.open_state(name),
            Made::Nowhere => Ok(None),
        }
    }

    /// Makes an empty state on disk: what is to be locked. The first write fills it.
    fn make_state(&self, name: &str) -> Result<Made, Fault> {
        let states = &self.directories()?.states;
        match states.create(name).and_then(|_| states.sync()) {
            Ok(()) => Ok(Made::OnDisk),
            Err(error) => match error.errno_if_system() {
                Some(Errno::EEXIST) => Ok(Made::OnDisk),
                Some(errno) if takes_no_writes(errno) => Ok(Made::Nowhere),
                _ => Err(state_fault(error)),
            },
        }
    }

    /// Locks a state and transacts. Without one on disk, that in memory is locked.
    fn under_lock<T>(
        &self,
        seat: &Seat<'_>,
        opened: Option<Opened>,
        f: &dyn Fn(&View) -> Change<T>,
    ) -> Result<Turn<T>, Fault> {
        let directories = self.directories()?;
        let Some(opened) = opened else {
            return self.in_memory_alone(seat, f);
        };
        let _held = lock(&opened.file).map_err(|no| self.no_lock(&seat.name, no))?;
        if !directories.states.names(&seat.name, &opened.file).map_err(state_fault)? {
            return Ok(Turn::Again);
        }
        let Some(entry) = self.entry(seat)? else { return Ok(Turn::StateWanted) };
        let enrollment = enrollment(entry.as_ref());
        let Some(in_memory) = self.memory.open(&seat.name, Access::Write)? else {
            return self.on_disk(seat, &opened, entry, f);
        };
        let _held = lock(&in_memory).map_err(|no| self.no_lock(&seat.name, no))?;
        if !self.memory.names(&seat.name, &in_memory)? {
            return Ok(Turn::Again);
        }
        let memory = self.read(seat, &in_memory)?;
        if self.take_back(seat, &opened, enrollment, &memory)? {
            return self.on_disk(seat, &opened, entry, f);
        }
        self.in_memory(seat, &in_memory, &memory, entry, f)
    }

    /// Where the disk has no state and takes none.
    fn in_memory_alone<T>(
        &self,
        seat: &Seat<'_>,
        f: &dyn Fn(&View) -> Change<T>,
    ) -> Result<Turn<T>, Fault> {
        let Some(file) = self.memory.open(&seat.name, Access::Write)? else {
            self.memory.make(&seat.name)?;
            return Ok(Turn::Again);
        };
        let _held = lock(&file).map_err(|no| self.no_lock(&seat.name, no))?;
        let current = self.memory.names(&seat.name, &file)?;
        if !current || self.open_state(&seat.name)?.is_some() {
            return Ok(Turn::Again);
        }
        let Some(entry) = self.entry(seat)? else { return Ok(Turn::StateWanted) };
        let memory = self.read(seat, &file)?;
        self.in_memory(seat, &file, &memory, entry, f)
    }

    /// The user's record, read under the lock. The outer `None`: it is the decoy that is locked, and the user turns
    /// out to be enrolled.
    #[allow(clippy::option_option)] // two different absences, parted at once by the caller
    fn entry(&self, seat: &Seat<'_>) -> Result<Option<Option<Entry>>, Fault> {
        let records = &self.directories()?.records;
        let entry = match seat.record_of {
            Some(user) => records.read(user)?,
            None => {
                records.read_decoy();
                None
            }
        };
        if seat.is_decoy {
            records.make_decoy();
            if matches!(entry, Some(Entry::Enrolled(_))) {
                return Ok(None);
            }
        }
        Ok(Some(entry))
    }

    fn read(&self, seat: &Seat<'_>, file: &File) -> Result<Blocks, Fault> {
        let blocks = Blocks::read(&seat.whose, file);
        let blocks = blocks.map_err(|e| self.failed(&seat.name, "read", &e))?;
        if seat.is_decoy && blocks.is_short() {
            return Ok(decoy::first_blocks(&seat.whose));
        }
        Ok(blocks)
    }

    fn on_disk<T>(
        &self,
        seat: &Seat<'_>,
        opened: &Opened,
        entry: Option<Entry>,
        f: &dyn Fn(&View) -> Change<T>,
    ) -> Result<Turn<T>, Fault> {
        self.room_for_files(&seat.name)?;
        let blocks = self.read(seat, &opened.file)?;
        let enrollment = enrollment(entry.as_ref());
        let mut view = View { found: found(entry, &blocks), meter: blocks.meter(), volatile: None };
        let written = f(&view).commit(|writes| {
            if opened.writable {
                blocks.write(&*self.disk, &opened.file, enrollment, writes)?;
            } else if *writes != Writes::default() {
                return Err(Errno::EROFS.into());
            }
            Ok::<_, std::io::Error>(Durability::Disk)
        });
        match written {
            Ok(committed) => return Ok(Turn::Done(committed)),
            Err(error) if takes_no_writes(errno_of(&error)) => {}
            Err(error) => return Err(self.failed(&seat.name, "write", &error)),
        }
        view.volatile = Some(self.volatile(true)?);
        let committed = f(&view).commit(|writes| {
            let after = blocks.after(enrollment, writes);
            self.memory.put(&seat.name, after.bytes())?;
            Ok::<_, Fault>(Durability::Volatile)
        })?;
        Ok(Turn::Done(committed))
    }

    fn in_memory<T>(
        &self,
        seat: &Seat<'_>,
        file: &File,
        memory: &Blocks,
        entry: Option<Entry>,
        f: &dyn Fn(&View) -> Change<T>,
    ) -> Result<Turn<T>, Fault> {
        self.room_for_files(&seat.name)?;
        let enrollment = enrollment(entry.as_ref());
        let volatile = Some(self.volatile(memory.is_short())?);
        let view = View { found: found(entry, memory), meter: memory.meter(), volatile };
        let committed = f(&view).commit(|writes| {
            memory
                .write(&RealDisk, file, enrollment, writes)
                .map_err(|e| self.failed(&seat.name, "write to memory", &e))?;
            Ok::<_, Fault>(Durability::Volatile)
        })?;
        Ok(Turn::Done(committed))
    }

    /// Takes a state from memory back to disk; `false` where the disk still can't be written.
    fn take_back(
        &self,
        seat: &Seat<'_>,
        opened: &Opened,
        enrollment: Option<EnrollmentId>,
        memory: &Blocks,
    ) -> Result<bool, Fault> {
        if !opened.writable {
            return Ok(false);
        }
        self.room_for_files(&seat.name)?;
        let on_disk = self.read(seat, &opened.file)?;
        let writes = on_disk.taking_back(enrollment, memory);
        let disk = &*self.disk;
        let written = on_disk
            .write(disk, &opened.file, enrollment, &writes)
            .and_then(|()| disk.flush(&opened.file));
        if written.is_err() {
            return Ok(false);
        }
        self.memory.remove(&seat.name)?;
        Ok(true)
    }

    fn volatile(&self, first: bool) -> Result<Volatile, Fault> {
        let since = (self.started)().ok_or_else(|| {
            let detail = "the disk can't be written, and without /proc/1/stat it can't be told since when \
                          memory remembers; mount /proc";
            fault(FaultKind::Unavailable, detail.to_owned())
        })?;
        Ok(Volatile { since, first })
    }

    /// A caller's file-size limit (`ulimit -f 0; su`) would kill this process at the first write: before anything
    /// is evaluated, whatever was typed.
    fn room_for_files(&self, name: &str) -> Result<(), Fault> {
        limits::allow_file_size(SIZE_ON_DISK).map_err(|_| {
            let path = self.path.join("state").join(name);
            let detail =
                format!("{}: the process's file-size limit (ulimit -f) is too low", path.display());
            fault(FaultKind::Unavailable, detail)
        })
    }

    fn no_lock(&self, name: &str, no_lock: NoLock) -> Fault {
        match no_lock {
            NoLock::Busy => self.busy(name),
            NoLock::Failed(errno) => {
                unavailable(FileError::errno(&self.path.join("state").join(name), "flock", errno))
            }
        }
    }

    fn busy(&self, name: &str) -> Fault {
        let path = self.path.join("state").join(name);
        let path = path.display();
        let detail =
            format!("{path}: another process has held its lock for too long; fuser -v {path}");
        fault(FaultKind::Busy, detail)
    }
}

/// A state file on disk, open.
struct Opened {
    file: File,
    writable: bool,
}

/// What became of making a state file.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Made {
    OnDisk,
    /// The disk takes nothing.
    Nowhere,
}

/// How an attempt at a transaction ended.
enum Turn<T> {
    Done(Committed<T>),
    /// A file was replaced meanwhile.
    Again,
    /// The user is enrolled and has no state.
    StateWanted,
}

/// On whose state a transaction works.
struct Seat<'a> {
    /// As the blocks call it.
    whose: UserName,
    /// As the file is called.
    name: String,
    /// Whose record counts. `None`: nobody's, whatever there is.
    record_of: Option<&'a UserName>,
    is_decoy: bool,
}

impl<'a> Seat<'a> {
    fn own(user: &UserName, record_of: Option<&'a UserName>) -> Self {
        Self { whose: user.clone(), name: user.file_name(), record_of, is_decoy: false }
    }

    fn decoy(user: &UserName, record_of: Option<&'a UserName>) -> Self {
        let whose = decoy::of(user);
        Self { name: whose.as_str().to_owned(), whose, record_of, is_decoy: true }
    }
}

fn enrollment(entry: Option<&Entry>) -> Option<EnrollmentId> {
    match entry {
        Some(Entry::Enrolled(record)) => Some(record.enrollment),
        _ => None,
    }
}

fn found(entry: Option<Entry>, blocks: &Blocks) -> Found {
    match entry {
        None => Found::Absent,
        Some(Entry::Disabled(tombstone)) => Found::Disabled(tombstone),
        Some(Entry::Enrolled(record)) => {
            let state = blocks.state(record.enrollment);
            Found::Enrolled(Box::new(Enrolled { record, state }))
        }
    }
}
