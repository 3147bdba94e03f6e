//! What an administrator's command changes: records, replaced whole. One change at a time, under a lock of all
//! administration that no login ever takes; and under the user's own, so that no login is in the middle of it.
//!
//! None of these is to be called with a prompt open: everything is asked before.

use std::fs::File;

use thiserror::Error;
use totp_core::name::UserName;
use totp_core::record::{EnrollmentId, Entry, Pending, Record, Tombstone, Version};
use totp_core::state::{Meter, State};
use totp_core::store::{Fault, FaultKind, StateRead};

use super::blocks::Blocks;
use super::by_uid::indexed_uid;
use super::decoy;
use super::fault::{InPlace, fault, in_place, state_fault, unavailable};
use super::states::{DEMAND, Made, Opened, Seat};
use super::{Directories, FileStore, enrollment};
use crate::clock;
use crate::files::{Access, Directory, FileError, Shared};
use crate::flock::{Held, NoLock, lock};

/// What a change was prepared against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// There is no record.
    Absent,
    /// The tombstone of somebody switched off.
    Disabled,
    /// This enrollment, with exactly this record.
    Enrolled(Version),
    /// The same, still open.
    Pending(Version),
    /// A record that can't be used.
    Unusable,
}

/// Why nothing was changed, or not for good.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum NotChanged {
    /// Somebody else changed the user meanwhile.
    #[error("{0} was changed by somebody else in the meantime; look again and repeat")]
    Meanwhile(UserName),
    /// The store is in trouble.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// It was changed all the same: that may not survive a power failure.
    #[error("{0}")]
    NotDurable(Fault),
}

impl Directories {
    /// Writes a record. Its name stands in the index by uid before it does, and is taken out of where it stood only once it is
    /// on disk: whatever ends this in between, no enrollment is unknown to the index.
    fn write(&self, entry: &Entry) -> Result<InPlace<()>, Fault> {
        let user = &entry.decision().user;
        let (before, after) = (self.indexed_uid(user), indexed_uid(entry));
        if let Some(uid) = after {
            let added = self.uids.add(uid, user);
            // What was in the index, or missing there, is no more and no less so now: that keeps nothing from being changed.
            if before != after {
                added?;
            }
        }
        let written = self.records.write(entry)?;
        if let (Some(uid), None) = (before.filter(|_| before != after), &written.1) {
            self.uids.take_out(uid, user);
        }
        Ok(written)
    }

    /// The uid by which what is kept under this name is found now.
    fn indexed_uid(&self, user: &UserName) -> Option<u32> {
        self.records.read(user).ok().flatten().as_ref().and_then(indexed_uid)
    }
}

fn lasting<T>((made, undurable): InPlace<T>) -> Result<T, NotChanged> {
    undurable.map_or(Ok(made), |fault| Err(NotChanged::NotDurable(fault)))
}

impl Expected {
    /// What a change is to be prepared against where there is this.
    #[must_use]
    pub fn of_entry(entry: &Entry) -> Self {
        match (entry, entry.version()) {
            (Entry::Enrolled(_), Some(version)) => Self::Enrolled(version),
            (Entry::Pending(_), Some(version)) => Self::Pending(version),
            (Entry::Disabled(_), _) | (_, None) => Self::Disabled,
        }
    }

    /// Of which enrollment, where there is one.
    #[must_use]
    pub fn enrollment(&self) -> Option<EnrollmentId> {
        match self {
            Self::Enrolled(version) | Self::Pending(version) => Some(version.enrollment()),
            Self::Absent | Self::Disabled | Self::Unusable => None,
        }
    }

    /// What is there now, for a change to be prepared against.
    #[must_use]
    pub fn of(read: &Result<Option<Entry>, Fault>) -> Option<Self> {
        match read {
            Ok(None) => Some(Self::Absent),
            Ok(Some(entry)) => Some(Self::of_entry(entry)),
            Err(fault) if fault.kind.is_the_users_own() => Some(Self::Unusable),
            Err(_) => None,
        }
    }
}

impl FileStore {
    /// What a change to this user is to be prepared against, and what is there.
    ///
    /// # Errors
    /// Where the directories can't be read. A record that can't be used is none: that can be replaced.
    pub fn expect(&self, user: &UserName) -> Result<(Expected, Option<Entry>), Fault> {
        let read = self.directories()?.records.read(user);
        match Expected::of(&read) {
            Some(expected) => Ok((expected, read.ok().flatten())),
            None => Err(read.err().unwrap_or_else(|| self.busy(&user.file_name()))),
        }
    }

    /// Enrolls, or replaces an enrollment by another. `first` makes the first state out of the present one; its number is
    /// set here. State and record are on disk when this returns; nothing has changed where it fails, unless it is
    /// [`NotChanged::NotDurable`].
    ///
    /// # Errors
    /// [`NotChanged`] says why.
    pub fn install(
        &self,
        record: Record,
        expected: Expected,
        first: &dyn Fn(Option<&State>) -> State,
    ) -> Result<(), NotChanged> {
        self.put(Entry::Enrolled(record), expected, first)
    }

    /// Opens an enrollment: the user is to enroll at one of the next logins. What was there before is erased.
    ///
    /// # Errors
    /// As [`FileStore::install`].
    pub fn open_enrollment(&self, pending: Pending, expected: Expected) -> Result<(), NotChanged> {
        let enrollment = pending.enrollment;
        let first = |old: Option<&State>| {
            let mut first = State::new(enrollment, 0, Vec::new());
            if let Some(old) = old {
                first.last_login.clone_from(&old.last_login);
                first.events = old.events.clone();
            }
            first
        };
        self.put(Entry::Pending(pending), expected, &first)
    }

    /// Changes what is decided about a user within the same enrollment (contact, recovery codes, a bypass code): `change`
    /// gets what is there now, under the lock. The state stays.
    ///
    /// # Errors
    /// [`NotChanged`] says why.
    pub fn amend(
        &self,
        user: &UserName,
        expected: Expected,
        change: &mut dyn FnMut(&mut Entry),
    ) -> Result<(), NotChanged> {
        self.change(user, expected, |directories| {
            let mut entry = directories.records.read(user)?.ok_or_else(|| {
                let detail = format!("there is nothing about {user} to be changed");
                fault(FaultKind::Unavailable, detail)
            })?;
            let before = entry.enrollment();
            change(&mut entry);
            debug_assert!(entry.enrollment() == before && entry.decision().user == *user);
            directories.write(&entry)
        })
    }

    /// Puts an entry with an enrollment in place, with the first state of it.
    fn put(
        &self,
        entry: Entry,
        expected: Expected,
        first: &dyn Fn(Option<&State>) -> State,
    ) -> Result<(), NotChanged> {
        let user = entry.decision().user.clone();
        let seat = Seat::own(&user, Some(&user));
        self.room_for_files(&seat.name)?;
        let directories = self.directories()?;
        let _alone = self.alone(directories)?;
        let opened = self.opened_for_change(&seat)?;
        let _held = lock(&opened.file).map_err(|no| self.no_lock(&seat.name, no))?;
        let current = self.as_expected(directories, &user, expected)?;
        let blocks = self.ready_to_change(&seat, &opened, current)?;
        let seq = blocks.highest().saturating_add(1);
        let meter = blocks.meter();
        let state = match current.map(|enrollment| blocks.state(enrollment)) {
            Some(StateRead::Good(state)) => first(Some(&state)),
            _ => first(None),
        };
        let state = State { seq, ..state };
        self.write_first(&seat, &opened.file, &blocks, current, &state)?;
        let written = directories.write(&entry)?;
        // Only a note: without it the next login flushes once more, the record's directory too.
        let noted = if written.1.is_none() { seq } else { blocks.noted() };
        let meter = Meter { repeated: Some(state.repeated()), ..meter };
        let _ = blocks.write_meter(&*self.disk, &opened.file, &meter, noted);
        self.make_decoys(directories);
        lasting(written)
    }

    /// Switches off: puts a tombstone in the record's place.
    ///
    /// # Errors
    /// [`NotChanged`] says why.
    pub fn switch_off(&self, tombstone: Tombstone, expected: Expected) -> Result<(), NotChanged> {
        let user = tombstone.decision.user.clone();
        self.change(&user, expected, |directories| {
            let written = directories.write(&Entry::Disabled(tombstone))?;
            directories.records.make_decoy();
            Ok(written)
        })
    }

    /// Gives everything that is known about `old` to `new`, about whom nothing may be decided: the account is called so
    /// now. The enrollment stays the same, and so does all that is spent.
    ///
    /// At each instant one of the two names has the record, never both: the state is copied first, which means nothing
    /// without a record, and then the record's file is renamed, which is one step. Both states are locked: nobody spends a
    /// code in between. Whatever ends the program before that step leaves all with the old name, after it with the new.
    ///
    /// # Errors
    /// [`NotChanged`] says why.
    pub fn rename(
        &self,
        old: &UserName,
        new: &UserName,
        expected: Expected,
        seq: u64,
    ) -> Result<(), NotChanged> {
        let (from, to) = (Seat::own(old, Some(old)), Seat::own(new, Some(new)));
        self.room_for_files(&from.name)?;
        let directories = self.directories()?;
        let _alone = self.alone(directories)?;
        let source = self.opened_for_change(&from)?;
        let _held = lock(&source.file).map_err(|no| self.no_lock(&from.name, no))?;
        let target = self.opened_for_change(&to)?;
        let _held_too = lock(&target.file).map_err(|no| self.no_lock(&to.name, no))?;
        let current = self.as_expected(directories, old, expected)?;
        self.as_expected(directories, new, Expected::Absent)?;
        let Some(mut entry) = directories.records.read(old)? else {
            return Err(NotChanged::Meanwhile(old.clone()));
        };
        let blocks = self.ready_to_change(&from, &source, current)?;
        // Else a power failure might bring back a record under the new name, with a half-written copy.
        self.keep_record(&blocks, current).map_err(|_| self.unwritable(&from))?;
        // What was left under the new name is nobody's: the record that it was of is gone.
        self.memory.remove(&to.name)?;
        let copied = blocks.under(new).fill(&*self.disk, &target.file);
        copied.and_then(|()| target.file.sync_all()).map_err(|_| self.unwritable(&to))?;
        directories.states.sync().map_err(unavailable)?;
        entry.decision_mut().user = new.clone();
        entry.decision_mut().seq = seq;
        let uid = indexed_uid(&entry);
        if let Some(uid) = uid {
            directories.uids.add(uid, new)?;
        }
        let renamed = directories.records.rename(old, &entry)?;
        // What is left of the old name is nobody's now, if that is for good. A login that waits for its lock finds it gone.
        if renamed.1.is_none() {
            let _ = directories.states.remove(&from.name);
            if let Some(uid) = uid {
                directories.uids.take_out(uid, old);
            }
        }
        self.take_along(old, new);
        lasting(renamed)
    }

    /// Notices and remembered devices. Without them nothing is shown, and everybody is asked.
    fn take_along(&self, old: &UserName, new: &UserName) {
        let Ok(above) = Directory::open(&self.path, self.owner, Shared::Readable) else { return };
        for name in ["notices", "remembered"] {
            if let Ok(directory) = above.inner(name, Shared::Nobody) {
                let _ = directory.rename(&old.file_name(), &new.file_name());
            }
        }
    }

    /// Erases all there is about a user; `false` where there was nothing.
    ///
    /// # Errors
    /// [`NotChanged`] says why.
    pub fn remove(&self, user: &UserName, expected: Expected) -> Result<bool, NotChanged> {
        let name = user.file_name();
        self.change(user, expected, |directories| {
            let before = directories.indexed_uid(user);
            let (record, undurable) = directories.records.remove(user)?;
            if let (Some(uid), None) = (before, &undurable) {
                directories.uids.take_out(uid, user);
            }
            // A login that waits for this state's lock finds it gone, and begins again.
            let removed = in_place(directories.states.remove(&name), true);
            let (state, too) = removed.map_err(state_fault)?;
            self.memory.remove(&name)?;
            Ok((record || state, undurable.or(too)))
        })
    }

    /// A change that leaves the state's content alone.
    fn change<T>(
        &self,
        user: &UserName,
        expected: Expected,
        change: impl FnOnce(&Directories) -> Result<InPlace<T>, Fault>,
    ) -> Result<T, NotChanged> {
        let seat = Seat::own(user, Some(user));
        self.room_for_files(&seat.name)?;
        let directories = self.directories()?;
        let _alone = self.alone(directories)?;
        // A state that can't be trusted can't be locked either, and must not keep anybody from switching off.
        let opened = self.open_state(&seat.name).ok().flatten();
        let _held = match &opened {
            Some(opened) => Some(lock(&opened.file).map_err(|no| self.no_lock(&seat.name, no))?),
            None => None,
        };
        self.as_expected(directories, user, expected)?;
        lasting(change(directories)?)
    }

    /// Nobody else administrates while this is held. What killed changes and logins left is taken away: it may hold a
    /// secret.
    pub(super) fn alone<'a>(&self, directories: &'a Directories) -> Result<Held<'a>, Fault> {
        let directory = directories.records.directory();
        let held = lock(directory).map_err(|no_lock| match no_lock {
            NoLock::Failed(errno) => {
                unavailable(FileError::errno(directory.path(), "flock", errno))
            }
            NoLock::Busy => {
                let path = directory.path().display();
                let detail = format!(
                    "{path}: another administrator's change takes too long; fuser -v {path}"
                );
                fault(FaultKind::Busy, detail)
            }
        })?;
        let now = clock::now();
        directories.uids.sweep(now);
        let _ = directory.sweep(now); // that it stays must not keep anybody from switching off
        self.memory.sweep(now);
        Ok(held)
    }

    /// Whether the record still is what the change was prepared against; gives its enrollment.
    fn as_expected(
        &self,
        directories: &Directories,
        user: &UserName,
        expected: Expected,
    ) -> Result<Option<EnrollmentId>, NotChanged> {
        let read = directories.records.read(user);
        if Expected::of(&read) == Some(expected) {
            return Ok(enrollment(read.ok().flatten().as_ref()));
        }
        match read {
            Err(fault) if !fault.kind.is_the_users_own() => Err(fault.into()),
            _ => Err(NotChanged::Meanwhile(user.clone())),
        }
    }

    fn opened_for_change(&self, seat: &Seat<'_>) -> Result<Opened, Fault> {
        if let Some(opened) = self.open_state(&seat.name)? {
            return Ok(opened);
        }
        let unwritable = || self.unwritable(seat);
        match self.make_state(&seat.name)? {
            Made::OnDisk => self.open_state(&seat.name)?.ok_or_else(unwritable),
            Made::Nowhere => Err(unwritable()),
        }
    }

    /// The blocks as they are on disk, which must be where the state is.
    fn ready_to_change(
        &self,
        seat: &Seat<'_>,
        opened: &Opened,
        enrollment: Option<EnrollmentId>,
    ) -> Result<Blocks, Fault> {
        if let Some(file) = self.memory.open(&seat.name, Access::Write)? {
            let _held = lock(&file).map_err(|no| self.no_lock(&seat.name, no))?;
            let memory = self.read(seat, &file);
            if !self.take_back(seat, opened, enrollment, &memory)? {
                return Err(self.unwritable(seat));
            }
        }
        if !opened.writable {
            return Err(self.unwritable(seat));
        }
        let blocks = self.read(seat, &opened.file);
        Ok(if blocks.is_short() { Blocks::unwritten(&seat.whose) } else { blocks })
    }

    /// The first block of an enrollment, over the older one. The newest of the old enrollment, and what the meter notes of
    /// it, stay until the record is there.
    fn write_first(
        &self,
        seat: &Seat<'_>,
        file: &File,
        blocks: &Blocks,
        current: Option<EnrollmentId>,
        state: &State,
    ) -> Result<(), Fault> {
        let disk = &*self.disk;
        let written = self
            .keep_record(blocks, current)
            .and_then(|()| blocks.fill(disk, file))
            .and_then(|()| blocks.write_state(disk, file, current, state))
            .and_then(|()| file.sync_all());
        written.map_err(|_| self.unwritable(seat))?;
        self.directories()?.states.sync().map_err(unavailable)
    }

    fn unwritable(&self, seat: &Seat<'_>) -> Fault {
        let path = self.path.join("state").join(&seat.name);
        let detail = format!(
            "{}: the disk is read-only, full or broken; make room or repair it first",
            path.display()
        );
        fault(FaultKind::Unavailable, detail)
    }

    /// So that the first stranger's login makes none. Where this fails, a login will make them.
    fn make_decoys(&self, directories: &Directories) {
        directories.records.make_decoy();
        let Ok(any) = UserName::new("decoy") else { return };
        for decoy in decoy::all(&any) {
            if matches!(directories.states.file(decoy.as_str(), Access::Read, DEMAND), Ok(None)) {
                let _ = directories
                    .states
                    .create(decoy.as_str())
                    .map(|file| decoy::first_blocks(&decoy).fill(&*self.disk, &file));
            }
        }
    }
}
