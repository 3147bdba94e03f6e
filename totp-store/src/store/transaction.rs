//! One transaction: open the state, lock it, see that its path still names it, read, let the core decide, write what it
//! says, on disk or, while that takes nothing, in memory; unlock.

use std::fs::File;
use std::io;

use totp_core::name::UserName;
use totp_core::record::{EnrollmentId, Entry};
use totp_core::store::{
    Change, Committed, Durability, Fault, FaultKind, Found, View, Volatile, Writes,
};

use super::blocks::Blocks;
use super::disk::RealDisk;
use super::fault::{fault, state_fault};
use super::states::{DEMAND, Made, Opened, Seat};
use super::{FileStore, decoy, enrollment, found};
use crate::files::Access;
use crate::flock::{Held, Place, lock};

/// How often a transaction begins again because a file was replaced while its lock was waited for.
const TRIES: u32 = 16;

/// A decision on its way to disk, whatever its outcome is: one transaction for all of them, not one for each kind of
/// outcome.
trait Decision {
    /// Decides by what is seen.
    fn decide(&mut self, view: &View);

    /// Writes what was decided, and only then has an outcome.
    fn commit(&mut self, write: &mut Write<'_>) -> Result<(), NotWritten>;
}

type Write<'a> = dyn FnMut(&Writes) -> Result<Durability, NotWritten> + 'a;

/// Why a decision has no outcome.
enum NotWritten {
    /// The disk takes it not.
    Disk,
    /// Memory neither.
    Fault(Fault),
}

/// A decision with an outcome of one kind.
struct Deciding<'a, T> {
    f: &'a dyn Fn(&View) -> Change<T>,
    decided: Option<Change<T>>,
    committed: Option<Committed<T>>,
}

impl<T> Decision for Deciding<'_, T> {
    fn decide(&mut self, view: &View) {
        self.decided = Some((self.f)(view));
    }

    fn commit(&mut self, write: &mut Write<'_>) -> Result<(), NotWritten> {
        let change = self.decided.take().ok_or(NotWritten::Disk)?; // `decide` comes first
        self.committed = Some(change.commit(write)?);
        Ok(())
    }
}

/// What is held while a transaction runs.
#[expect(dead_code)] // it is enough that they are there
enum Locked<'a> {
    File(Held<'a>),
    Place(Place<'a>),
}

/// How an attempt at a transaction ended.
enum Turn {
    Done,
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
        let mut deciding = Deciding { f, decided: None, committed: None };
        self.decided(user, record_of, &mut deciding)?;
        deciding.committed.ok_or_else(|| self.busy(&user.file_name())) // there is one: it is done
    }

    fn decided(
        &self,
        user: &UserName,
        record_of: Option<&UserName>,
        f: &mut dyn Decision,
    ) -> Result<(), Fault> {
        self.room_in_memory()?;
        let own = Seat::own(user, record_of);
        let decoy = Seat::decoy(user, record_of);
        // Before the first write, be it a decoy's.
        self.room_for_files(&own.name)?;
        let mut made = None;
        for _ in 0..TRIES {
            let opened = match self.open_state(&own.name) {
                // Somebody whose own files are at fault: what is pretended goes on without them.
                Err(fault) if record_of.is_none() && fault.kind.is_the_users_own() => None,
                opened => opened?,
            };
            let turn = match opened {
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
                Turn::Done => return Ok(()),
                Turn::Again => {}
                Turn::StateWanted => made = Some(self.make_state(&own.name)?),
            }
        }
        Err(self.busy(&own.name))
    }

    /// Locks a state and transacts. Without one on disk, that in memory is locked.
    fn under_lock(
        &self,
        seat: &Seat<'_>,
        opened: Option<Opened>,
        f: &mut dyn Decision,
    ) -> Result<Turn, Fault> {
        let directories = self.directories()?;
        let Some(opened) = opened else {
            return self.in_memory_alone(seat, f);
        };
        let _held = self.lock(seat, &opened.file)?;
        if !directories.states.names(&seat.name, &opened.file).map_err(state_fault)? {
            return Ok(Turn::Again);
        }
        let Some(entry) = self.entry(seat)? else { return Ok(Turn::StateWanted) };
        let enrollment = enrollment(entry.as_ref());
        let in_memory = self.memory.open(&seat.name, Access::Write);
        if seat.is_only_locked() {
            // What everybody would be refused for, they are too.
            unless_the_users_own(in_memory)?;
            return self.pretended(seat, &opened, f);
        }
        let Some(in_memory) = in_memory? else {
            return self.on_disk(seat, &opened, entry, f);
        };
        let _held = self.lock(seat, &in_memory)?;
        if !self.memory.names(&seat.name, &in_memory)? {
            return Ok(Turn::Again);
        }
        let memory = self.read(seat, &in_memory);
        if self.take_back(seat, &opened, enrollment, &memory)? {
            return self.on_disk(seat, &opened, entry, f);
        }
        self.in_memory(seat, &in_memory, &memory, entry, f)
    }

    /// The user's lock. A decoy's file is many users': one that waits there waits for a login of the same name, as with a
    /// file of its own, or who waits for whom would tell that neither has one.
    fn lock<'a>(&self, seat: &Seat<'_>, file: &'a File) -> Result<Locked<'a>, Fault> {
        if let Some(user) = &seat.shared_by {
            let key = self.directories()?.records.places_key();
            return Ok(Locked::Place(Place::lock(file, user.number(&key))));
        }
        lock(file).map(Locked::File).map_err(|no| self.no_lock(&seat.name, no))
    }

    /// Where the disk has no state and takes none.
    fn in_memory_alone(&self, seat: &Seat<'_>, f: &mut dyn Decision) -> Result<Turn, Fault> {
        let Some(file) = self.memory.open(&seat.name, Access::Write)? else {
            self.memory.make(&seat.name)?;
            return Ok(Turn::Again);
        };
        let _held = self.lock(seat, &file)?;
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
                unless_the_users_own(records.look_for_nobody())?;
                records.read_decoy();
                None
            }
        };
        if seat.is_decoy {
            records.make_missed_decoy();
            if enrollment(entry.as_ref()).is_some() {
                return Ok(None);
            }
        }
        Ok(Some(entry))
    }

    /// What is pretended for whoever has a state of their own, under the lock that a code of theirs takes, or who waits
    /// for whom would tell that they have one. As much is read and written as on a decoy, and nothing changes.
    fn pretended(
        &self,
        seat: &Seat<'_>,
        opened: &Opened,
        f: &mut dyn Decision,
    ) -> Result<Turn, Fault> {
        let blocks = self.read(seat, &opened.file);
        let view = View { found: Found::Absent, meter: blocks.meter(), volatile: None };
        f.decide(&view);
        let kept = f.commit(&mut |_| {
            // Where it can't be written nothing is lost.
            let _ = blocks.write_meter_again(&*self.disk, &opened.file);
            Ok(Durability::Disk)
        });
        self.written(kept, seat)
    }

    fn on_disk(
        &self,
        seat: &Seat<'_>,
        opened: &Opened,
        entry: Option<Entry>,
        f: &mut dyn Decision,
    ) -> Result<Turn, Fault> {
        let blocks = self.read(seat, &opened.file);
        let enrollment = enrollment(entry.as_ref());
        let mut view = View { found: found(entry, &blocks), meter: blocks.meter(), volatile: None };
        f.decide(&view);
        let written = f.commit(&mut |writes| {
            if opened.writable {
                let written = self.write_blocks(&blocks, opened, enrollment, writes);
                written.map_err(|_| NotWritten::Disk)?;
            } else if *writes != Writes::default() {
                return Err(NotWritten::Disk);
            }
            Ok(Durability::Disk)
        });
        // Whatever the disk says: a right code is the one that is flushed, and must not be told from a wrong one.
        if written.is_ok() {
            return Ok(Turn::Done);
        }
        view.volatile = Some(self.volatile(true)?);
        f.decide(&view);
        self.written(
            f.commit(&mut |writes| {
                let after = blocks.after(enrollment, writes);
                self.memory.put(&seat.name, after.bytes()).map_err(NotWritten::Fault)?;
                Ok(Durability::Volatile)
            }),
            seat,
        )
    }

    fn in_memory(
        &self,
        seat: &Seat<'_>,
        file: &File,
        memory: &Blocks,
        entry: Option<Entry>,
        f: &mut dyn Decision,
    ) -> Result<Turn, Fault> {
        let enrollment = enrollment(entry.as_ref());
        let volatile = Some(self.volatile(memory.is_short())?);
        let view = View { found: found(entry, memory), meter: memory.meter(), volatile };
        f.decide(&view);
        self.written(
            f.commit(&mut |writes| {
                let written = memory.write(&RealDisk, file, enrollment, writes, &|| Ok(()));
                written.map_err(|e| {
                    NotWritten::Fault(self.failed(&seat.name, "write to memory", &e))
                })?;
                Ok(Durability::Volatile)
            }),
            seat,
        )
    }

    /// What comes of a commit behind which there is no other place to write to.
    fn written(&self, written: Result<(), NotWritten>, seat: &Seat<'_>) -> Result<Turn, Fault> {
        match written {
            Ok(()) => Ok(Turn::Done),
            Err(NotWritten::Fault(fault)) => Err(fault),
            Err(NotWritten::Disk) => Err(self.busy(&seat.name)), // can't be reached
        }
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
        let written = self
            .write_blocks(&on_disk, opened, enrollment, &writes)
            .and_then(|()| disk.flush(&opened.file));
        if written.is_err() {
            return Ok(false);
        }
        self.memory.remove(&seat.name)?;
        Ok(true)
    }

    fn write_blocks(
        &self,
        blocks: &Blocks,
        opened: &Opened,
        enrollment: Option<EnrollmentId>,
        writes: &Writes,
    ) -> io::Result<()> {
        let keep_record = || self.keep_record(blocks, enrollment);
        blocks.write(&*self.disk, &opened.file, enrollment, writes, &keep_record)
    }

    /// Before a state is written that means nothing under any other record. Whoever put this one in place may have been
    /// killed before the directory was flushed: then a power failure brings the one before back, and with it, after a
    /// renaming, a state that knows nothing of what is accepted now.
    pub(super) fn keep_record(
        &self,
        blocks: &Blocks,
        enrollment: Option<EnrollmentId>,
    ) -> io::Result<()> {
        match self.directories.get() {
            Some(directories) if blocks.unnoted(enrollment).is_some() => {
                directories.records.directory().sync().map_err(io::Error::other)
            }
            _ => Ok(()),
        }
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

/// What one user's files are like shows in nothing that is pretended; what everybody would be refused for does.
fn unless_the_users_own<T>(found: Result<T, Fault>) -> Result<(), Fault> {
    match found {
        Err(fault) if !fault.kind.is_the_users_own() => Err(fault),
        _ => Ok(()),
    }
}
