//! The three blocks of a state file: which is the newest, which may be overwritten, and in what order.

use std::fs::File;
use std::io;
use std::ops::Range;

use totp_core::name::UserName;
use totp_core::record::EnrollmentId;
use totp_core::state::{
    BLOCK, BlockError, Meter, Spent, State, Visit, parse_meter, parse_state, print_meter,
    print_state,
};
use totp_core::store::{StateRead, Writes};

use super::disk::Disk;

/// Bytes of a state file.
pub(super) const SIZE: usize = 12_288;

/// The same, as file sizes are counted.
pub(super) const SIZE_ON_DISK: u64 = 12_288;

/// Where in the file a block stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Slot {
    A,
    B,
    Meter,
}

impl Slot {
    fn offset(self) -> u64 {
        match self {
            Self::A => 0,
            Self::B => 4096,
            Self::Meter => 8192,
        }
    }

    fn range(self) -> Range<usize> {
        let from = usize::try_from(self.offset()).unwrap_or(usize::MAX);
        from..from.saturating_add(BLOCK)
    }

    fn other(self) -> Self {
        if self == Self::A { Self::B } else { Self::A }
    }
}

/// What a state file holds.
#[derive(Clone, Debug)]
pub(super) struct Blocks {
    user: UserName,
    bytes: Vec<u8>,
    /// The file was shorter than the three blocks.
    short: bool,
    a: Result<State, BlockError>,
    b: Result<State, BlockError>,
    meter: Result<Meter, BlockError>,
}

impl Blocks {
    /// Reads `file`, which is `user`'s: at once, or block by block where that fails. A block that can't be read counts as damaged: the others are as good as before.
    /// But an older block alone is not: where neither the newest nor the floors that the meter repeats may have been
    /// read, there is no state.
    pub(super) fn read(user: &UserName, disk: &dyn Disk, file: &File) -> Self {
        let mut bytes = vec![0; SIZE];
        if let Ok(filled) = read_at(disk, file, 0, &mut bytes) {
            return Self { short: filled < SIZE, ..Self::parse(user, bytes) };
        }
        let mut short = false;
        let mut unread = Vec::new();
        for slot in [Slot::A, Slot::B, Slot::Meter] {
            if let Some(space) = bytes.get_mut(slot.range()) {
                match read_at(disk, file, slot.offset(), space) {
                    Ok(filled) => short |= filled < BLOCK,
                    Err(_) => {
                        space.fill(0);
                        unread.push(slot);
                    }
                }
            }
        }
        if unread.len() > 1 && unread.contains(&Slot::Meter) {
            bytes.fill(0);
        }
        Self { short, ..Self::parse(user, bytes) }
    }

    /// As read from a file of exactly these bytes.
    fn parse(user: &UserName, bytes: Vec<u8>) -> Self {
        Self {
            user: user.clone(),
            short: false,
            a: parse_state(user, block(&bytes, Slot::A)),
            b: parse_state(user, block(&bytes, Slot::B)),
            meter: parse_meter(user, block(&bytes, Slot::Meter)),
            bytes,
        }
    }

    /// A file that has never been written.
    pub(super) fn blank(user: &UserName) -> Self {
        Self { short: true, ..Self::parse(user, vec![0; SIZE]) }
    }

    /// A file that is to be written for the first time, by an administrator: with a fresh meter.
    pub(super) fn unwritten(user: &UserName) -> Self {
        let mut blocks = Self::blank(user);
        blocks.put(Slot::Meter, &print_meter(user, &Meter::default()));
        Self { short: true, ..Self::parse(user, blocks.bytes) }
    }

    /// Whether the file doesn't hold all three blocks yet, so that the next write writes all.
    pub(super) fn is_short(&self) -> bool {
        self.short
    }

    /// What a file is to begin with that has not been written yet: the same state in both blocks, a fresh meter.
    pub(super) fn first(user: &UserName, state: &State) -> Self {
        let mut blocks = Self::blank(user);
        let printed = print_state(user, state);
        blocks.put(Slot::A, &printed);
        blocks.put(Slot::B, &printed);
        let meter = Meter { noted: state.seq, ..Meter::default() };
        blocks.put(Slot::Meter, &print_meter(user, &meter));
        Self { short: true, ..Self::parse(user, blocks.bytes) }
    }

    /// The same under another name, as it is written to a file of its own. A block that can't be read stays one.
    pub(super) fn under(&self, user: &UserName) -> Self {
        let mut other = Self::blank(user);
        for (slot, block) in [(Slot::A, &self.a), (Slot::B, &self.b)] {
            if let Ok(state) = block {
                other.put(slot, &print_state(user, state));
            }
        }
        if let Ok(meter) = &self.meter {
            // Nothing is noted of it until its record is there for good.
            other.put(Slot::Meter, &print_meter(user, &Meter { noted: 0, ..meter.clone() }));
        }
        Self { short: true, ..Self::parse(user, other.bytes) }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The state of an enrollment, with what the meter alone knows to be spent: it may be the older block. Its number is raised
    /// to the highest in the file, so that the next one is above all.
    pub(super) fn state(&self, enrollment: EnrollmentId) -> StateRead {
        let seq = self.highest();
        match self.newest(enrollment) {
            Some((_, state)) => {
                StateRead::Good(State { seq, ..state.clone() }.recalled(&self.meter()))
            }
            None => StateRead::Lost { seq },
        }
    }

    /// The meter; where it can't be read, one that has used its singles up.
    pub(super) fn meter(&self) -> Meter {
        self.meter.clone().unwrap_or_else(|_| Meter::unreadable())
    }

    /// The highest number that is seen anywhere.
    pub(super) fn highest(&self) -> u64 {
        let seq = |block: &Result<State, BlockError>| block.as_ref().map_or(0, |state| state.seq);
        seq(&self.a).max(seq(&self.b)).max(self.noted())
    }

    pub(super) fn noted(&self) -> u64 {
        self.meter.as_ref().map_or(0, |meter| meter.noted)
    }

    fn newest<'a>(&'a self, enrollment: EnrollmentId) -> Option<(Slot, &'a State)> {
        let of = |slot, block: &'a Result<State, BlockError>| {
            let state = block.as_ref().ok().filter(|state| state.enrollment == enrollment);
            state.map(|state| (slot, state))
        };
        [of(Slot::A, &self.a), of(Slot::B, &self.b)]
            .into_iter()
            .flatten()
            .max_by_key(|(_, state)| state.seq)
    }

    /// The newest block of an enrollment, where nothing notes that it was flushed. Nor is it known then that its record is
    /// there for good.
    pub(super) fn unnoted(&self, enrollment: Option<EnrollmentId>) -> Option<Slot> {
        let kept = enrollment.and_then(|enrollment| self.newest(enrollment));
        kept.filter(|(_, kept)| kept.seq > self.noted()).map(|(slot, _)| slot)
    }

    /// The last login in the newest block, whatever its enrollment.
    pub(super) fn last_login(&self) -> Option<Visit> {
        let newest = if self.younger() == Slot::A { &self.a } else { &self.b };
        newest.as_ref().ok().and_then(|state| state.last_login.clone())
    }

    /// The block with the higher number, whatever its enrollment; one that can't be read has none.
    fn younger(&self) -> Slot {
        let seq = |block: &Result<State, BlockError>| block.as_ref().ok().map(|state| state.seq);
        if seq(&self.a) >= seq(&self.b) { Slot::A } else { Slot::B }
    }

    /// Writes a decision to disk, in the order that keeps it: the debit first, unflushed; then the state over the
    /// older block, flushed; then the meter with the note that this block is on disk.
    ///
    /// `enrollment` is the one whose newest block must survive until the new one is there. `keep_record` makes sure of the
    /// record before a state is written under it: after the debit, for what it does follows a right code, and shows.
    pub(super) fn write(
        &self,
        disk: &dyn Disk,
        file: &File,
        enrollment: Option<EnrollmentId>,
        writes: &Writes,
        keep_record: &dyn Fn() -> io::Result<()>,
    ) -> io::Result<()> {
        self.fill(disk, file)?;
        if let Some(meter) = &writes.debit {
            self.write_meter(disk, file, meter, self.noted())?;
        }
        if let Some(state) = &writes.state {
            keep_record()?;
            self.write_state(disk, file, enrollment, state)?;
            let after = writes.settle.as_ref().or(writes.debit.as_ref());
            self.write_meter(disk, file, after.unwrap_or(&self.meter()), state.seq)?;
        } else if let Some(meter) = &writes.settle {
            self.write_meter(disk, file, meter, self.noted())?;
        }
        Ok(())
    }

    /// Writes a file that is too short as a whole, really, so that later writes need no more room. Not flushed.
    pub(super) fn fill(&self, disk: &dyn Disk, file: &File) -> io::Result<()> {
        if self.short { disk.write(file, &self.bytes, 0) } else { Ok(()) }
    }

    /// The part of [`Blocks::write`] that concerns the state, without the note: it is on disk when this returns.
    pub(super) fn write_state(
        &self,
        disk: &dyn Disk,
        file: &File,
        enrollment: Option<EnrollmentId>,
        state: &State,
    ) -> io::Result<()> {
        if let Some(slot) = self.unnoted(enrollment) {
            // Its writer was killed before the flush, or the flush failed, and then a second one alone would report success
            // without having written anything (the kernel takes failed pages for clean).
            disk.write(file, block(&self.bytes, slot), slot.offset())?;
            disk.flush(file)?;
        }
        disk.write(file, &print_state(&self.user, state), self.target(enrollment).offset())?;
        disk.flush(file)
    }

    pub(super) fn write_meter(
        &self,
        disk: &dyn Disk,
        file: &File,
        meter: &Meter,
        noted: u64,
    ) -> io::Result<()> {
        disk.write(file, &self.meter_block(meter, noted), Slot::Meter.offset())
    }

    /// Writes the meter as it is, where there is one.
    pub(super) fn write_meter_again(&self, disk: &dyn Disk, file: &File) -> io::Result<()> {
        match &self.meter {
            Ok(meter) if !self.short => self.write_meter(disk, file, meter, meter.noted),
            _ => Ok(()),
        }
    }

    /// What the file would be after `writes`, for a place where it is written at once.
    pub(super) fn after(&self, enrollment: Option<EnrollmentId>, writes: &Writes) -> Self {
        let mut after = self.clone();
        let mut noted = self.noted();
        if let Some(state) = &writes.state {
            after.put(self.target(enrollment), &print_state(&self.user, state));
            noted = state.seq;
        }
        let meter = writes.settle.as_ref().or(writes.debit.as_ref());
        after.put(Slot::Meter, &self.meter_block(meter.unwrap_or(&self.meter()), noted));
        Self::parse(&self.user, after.bytes)
    }

    /// What takes a state that was kept in memory back to disk, where `self` is what the disk has. Neither side's
    /// floors are lost.
    pub(super) fn taking_back(&self, enrollment: Option<EnrollmentId>, memory: &Self) -> Writes {
        let kept = enrollment.and_then(|enrollment| memory.newest(enrollment));
        let state = kept.map(|(_, state)| {
            let seq = self.highest().max(memory.highest()).saturating_add(1);
            let mut state = State { seq, ..state.clone() };
            if let Some((_, on_disk)) = self.newest(state.enrollment) {
                raise_floors(&mut state, on_disk);
            }
            state
        });
        Writes { debit: None, state, settle: Some(memory.meter()) }
    }

    /// The block that is overwritten next: not the newest one of `enrollment`, else the older one.
    fn target(&self, enrollment: Option<EnrollmentId>) -> Slot {
        let kept = enrollment.and_then(|enrollment| self.newest(enrollment)).map(|(slot, _)| slot);
        kept.unwrap_or_else(|| self.younger()).other()
    }

    fn meter_block(&self, meter: &Meter, noted: u64) -> [u8; BLOCK] {
        print_meter(&self.user, &Meter { noted, ..meter.clone() })
    }

    fn put(&mut self, slot: Slot, block: &[u8; BLOCK]) {
        if let Some(place) = self.bytes.get_mut(slot.range()) {
            place.copy_from_slice(block);
        }
    }
}

/// Fills `space` from `offset` on; how many bytes of it there are.
fn read_at(disk: &dyn Disk, file: &File, offset: u64, space: &mut [u8]) -> io::Result<usize> {
    let mut filled: usize = 0;
    while let Some(rest) = space.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        let at = offset.saturating_add(u64::try_from(filled).unwrap_or(u64::MAX));
        match disk.read(file, rest, at) {
            Ok(0) => break,
            Ok(more) => filled = filled.saturating_add(more),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

fn block(bytes: &[u8], slot: Slot) -> &[u8] {
    bytes.get(slot.range()).unwrap_or_default()
}

fn raise_floors(state: &mut State, other: &State) {
    // Nothing that is good once is accepted in memory, so the disk knows as much or more.
    state.once.and(&other.once);
    for (name, Spent::Totp(spent)) in &mut state.spent {
        if let Some(other) = other.spent(name) {
            spent.floor = spent.floor.max(other.totp().floor);
        }
    }
}
