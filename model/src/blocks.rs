//! What a state file holds, and what is decided by it: `totp-store/src/store/blocks.rs` and the evaluation of
//! totp-core, with a code that is a number and an enrollment that is one as well.

use crate::scene::Slip;

/// No code that anybody holds is above it: the floor of a state that was begun anew, and of memory after a restart.
pub(crate) const ABOVE_ALL: u8 = 9;

/// Which block of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Slot {
    /// The first.
    A,
    /// The second.
    B,
}

impl Slot {
    pub(crate) fn other(self) -> Self {
        if self == Self::A { Self::B } else { Self::A }
    }
}

/// A block for what is accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct State {
    pub(crate) enrollment: u8,
    pub(crate) seq: u8,
    /// The highest code accepted.
    pub(crate) floor: u8,
}

/// The block for what is refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Meter {
    /// The highest `seq` known to be on disk.
    pub(crate) noted: u8,
    /// Tries debited.
    pub(crate) debits: u8,
    /// Of which enrollment, which floor.
    pub(crate) repeated: Option<(u8, u8)>,
}

/// `store::Writes` of totp-core.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Writes {
    pub(crate) debit: Option<Meter>,
    pub(crate) state: Option<State>,
    pub(crate) settle: Option<Meter>,
}

/// A state file as it was read: `None` is a block that can't be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Blocks {
    pub(crate) a: Option<State>,
    pub(crate) b: Option<State>,
    pub(crate) meter: Option<Meter>,
}

/// What comes of a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Decision {
    pub(crate) accepted: bool,
    /// Refused for being older than the restart, while the state is in memory.
    pub(crate) forgotten: bool,
    pub(crate) writes: Writes,
}

impl Blocks {
    pub(crate) fn noted(&self) -> u8 {
        self.meter().noted
    }

    /// `Blocks::meter`. Where it can't be read the real one has its single codes used up, and a pair is asked for: what
    /// is typed here stands for whatever is asked for.
    pub(crate) fn meter(&self) -> Meter {
        self.meter.unwrap_or_default()
    }

    pub(crate) fn highest(&self) -> u8 {
        let seq = |block: Option<State>| block.map_or(0, |state| state.seq);
        seq(self.a).max(seq(self.b)).max(self.noted())
    }

    pub(crate) fn newest(&self, enrollment: u8) -> Option<(Slot, State)> {
        let of = |slot, block: Option<State>| {
            block.filter(|state| state.enrollment == enrollment).map(|state| (slot, state))
        };
        let both = [of(Slot::A, self.a), of(Slot::B, self.b)];
        both.into_iter().flatten().max_by_key(|(_, state)| state.seq)
    }

    /// `Blocks::unnoted`.
    pub(crate) fn is_unnoted(&self, enrollment: u8) -> bool {
        self.newest(enrollment).is_some_and(|(_, kept)| kept.seq > self.noted())
    }

    /// `Blocks::state` with `State::recalled`: the newest block, and what the meter repeats. `None`: lost.
    pub(crate) fn state(&self, enrollment: u8) -> Option<State> {
        let repeated = self.meter().repeated.filter(|(of, _)| *of == enrollment);
        self.newest(enrollment).map(|(_, state)| State {
            seq: self.highest(),
            floor: state.floor.max(repeated.map_or(0, |(_, floor)| floor)),
            ..state
        })
    }

    /// `Blocks::target`: the block that is overwritten next.
    pub(crate) fn target(&self, enrollment: u8) -> Slot {
        let kept = self.newest(enrollment).map(|(slot, _)| slot);
        kept.unwrap_or_else(|| self.younger()).other()
    }

    fn younger(&self) -> Slot {
        let seq = |block: Option<State>| block.map(|state| state.seq);
        if seq(self.a) >= seq(self.b) { Slot::A } else { Slot::B }
    }

    /// `Blocks::after`: the whole file as it is put into memory.
    pub(crate) fn after(&self, enrollment: u8, writes: &Writes) -> Self {
        let mut after = *self;
        let mut noted = self.noted();
        if let Some(state) = writes.state {
            match self.target(enrollment) {
                Slot::A => after.a = Some(state),
                Slot::B => after.b = Some(state),
            }
            noted = state.seq;
        }
        let meter = writes.settle.or(writes.debit).unwrap_or(self.meter());
        after.meter = Some(Meter { noted, ..meter });
        after
    }

    /// `Blocks::taking_back`: `self` is what the disk has.
    pub(crate) fn taking_back(&self, enrollment: u8, memory: &Self) -> Writes {
        let state = memory.newest(enrollment).map(|(_, state)| State {
            seq: self.highest().max(memory.highest()) + 1,
            floor: state.floor.max(self.newest(enrollment).map_or(0, |(_, disk)| disk.floor)),
            ..state
        });
        Writes { debit: None, state, settle: Some(memory.meter()) }
    }

    /// `evaluate` of totp-core for somebody enrolled, with `floors::begun_anew` and `floors::raise_floors`. `since` is
    /// set while the state is in memory.
    pub(crate) fn decide(
        &self,
        enrollment: u8,
        code: u8,
        since: Option<u8>,
        slip: Option<Slip>,
    ) -> Decision {
        let meter = self.meter();
        let read = self.state(enrollment);
        let lost = State { enrollment, seq: self.highest(), floor: ABOVE_ALL };
        let state = read.unwrap_or(lost);
        let since = since.filter(|_| slip != Some(Slip::MemoryAcceptsCodesOfBeforeTheStart));
        let floor = state.floor.max(since.unwrap_or(0));
        let accepted = code > floor;
        let fresh = State { seq: state.seq + 1, floor: floor.max(code), ..state };
        let replay = code != 0 && !accepted;
        let debited = Meter { debits: meter.debits + u8::from(!replay), ..meter };
        let repeat = |meter: Meter, state: State| match slip {
            Some(Slip::NothingRepeated) => meter,
            _ => Meter { repeated: Some((enrollment, state.floor)), ..meter },
        };
        let writes = if accepted {
            Writes { debit: Some(debited), state: Some(fresh), settle: Some(repeat(meter, fresh)) }
        } else if read.is_none() {
            // `Base::refuse` of a state that was begun anew writes it.
            let anew = State { floor: ABOVE_ALL, ..fresh };
            Writes { debit: Some(debited), state: Some(anew), settle: Some(repeat(debited, anew)) }
        } else {
            Writes { debit: Some(debited), ..Writes::default() }
        };
        let forgotten = !accepted && code > state.floor;
        Decision { accepted, forgotten, writes }
    }
}
