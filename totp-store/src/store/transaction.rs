//! One transaction: open the state, lock it, see that its path still names it, read, let the core decide, write what it
//! says, on disk or, while that takes nothing, in memory; unlock.

use std::fs::File;

use nix::errno::Errno;
use totp_core::name::UserName;
use totp_core::record::{EnrollmentId, Entry};
use totp_core::store::{Change, Committed, Durability, Fault, FaultKind, View, Volatile, Writes};

use super::blocks::Blocks;
use super::disk::RealDisk;
use super::fault::{fault, state_fault};
use super::states::{DEMAND, Made, Opened, Seat};
use super::{FileStore, decoy, enrollment, found};
use crate::files::Access;
use crate::flock::lock;

/// How often a transaction begins again because a file was replaced while its lock was waited for.
const TRIES: u32 = 16;

/// How an attempt at a transaction ended.
enum Turn<T> {
    Done(Committed<T>),
    /// A file was replaced meanwhile.
    Again,
    /// The user is enrolled and has no state.
    StateWanted,
}

impl FileStore {
    pub(super) fn transacted<T>(
        &self,
        user: &UserName,
        record_of: Option<&UserName>,
        f: &dyn Fn(&View) -> Change<T>,
    ) -> Result<Committed<T>, Fault> {
        self.room_in_memory()?;
        let own = Seat::own(user, record_of);
        let decoy = Seat::decoy(user, record_of);
        // Before the first write, be it a decoy's.
        self.room_for_files(&own.name)?;
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
        let memory = self.read(seat, &in_memory);
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
        let memory = self.read(seat, &file);
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
            if enrollment(entry.as_ref()).is_some() {
                return Ok(None);
            }
        }
        Ok(Some(entry))
    }

    fn on_disk<T>(
        &self,
        seat: &Seat<'_>,
        opened: &Opened,
        entry: Option<Entry>,
        f: &dyn Fn(&View) -> Change<T>,
    ) -> Result<Turn<T>, Fault> {
        let blocks = self.read(seat, &opened.file);
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
        // Whatever the disk says: a right code is the one that is flushed, and must not be told from a wrong one.
        if let Ok(committed) = written {
            return Ok(Turn::Done(committed));
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
    pub(super) fn take_back(
        &self,
        seat: &Seat<'_>,
        opened: &Opened,
        enrollment: Option<EnrollmentId>,
        memory: &Blocks,
    ) -> Result<bool, Fault> {
        if !opened.writable {
            return Ok(false);
        }
        let on_disk = self.read(seat, &opened.file);
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

    /// The look that finds nothing, for whoever has a state.
    fn look_for_nobody(&self) {
        if let Some(directories) = self.directories.get() {
            let _ = directories.states.file(decoy::NOBODY, Access::Write, DEMAND);
        }
    }
}
