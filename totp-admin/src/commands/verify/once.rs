//! What would become of a code that is good once: of a recovery, bypass or enrollment code. Looked up in what was read;
//! nothing is spent.

use totp_core::onetime::{CodeHash, CodeId};
use totp_core::record::Record;
use totp_core::state::{MOST_OPENED, Meter, State};
use totp_core::store::{Opening, StateRead};
use totp_core::time::UnixTime;

/// A code that is, or was, the user's.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Known {
    /// What it is, as the log calls it.
    pub kind: &'static str,
    /// What would become of it.
    pub fate: Fate,
}

/// What would become of a code that is good once.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fate {
    /// Accepted.
    Good,
    /// Accepted before, or void.
    Used,
    /// Its time is over.
    Expired,
    /// Not accepted while the state is in memory: a restart would forget that it is used.
    InMemory,
}

impl Fate {
    fn of(used: bool, expired: bool, in_memory: bool) -> Self {
        match (used, expired, in_memory) {
            (true, ..) => Self::Used,
            (_, true, _) => Self::Expired,
            (_, _, true) => Self::InMemory,
            _ => Self::Good,
        }
    }
}

/// Of somebody who is enrolled; `None`: none of theirs.
pub fn of_enrolled(
    typed: &CodeHash,
    record: &Record,
    (state, meter, in_memory): (&State, &Meter, bool),
    now: UnixTime,
) -> Option<Known> {
    let id = typed.id();
    let used = state.once.is_used(id) || is_repeated(id, record, meter);
    if let Some(recovery) = &record.recovery {
        let head = recovery.codes.first().filter(|_| recovery.rotating).map(CodeHash::id);
        let next = state.once.next.filter(|next| Some(next.of) == head).map(|next| next.code);
        if recovery.codes.iter().chain(next.as_ref()).any(|code| code == typed) {
            return Some(Known { kind: "recovery-code", fate: Fate::of(used, false, in_memory) });
        }
    }
    let bypass = record.bypass.filter(|bypass| bypass.code == *typed)?;
    let fate = Fate::of(used, now >= bypass.until, in_memory);
    Some(Known { kind: "bypass-code", fate })
}

/// The meter remembers what is spent where a block was lost.
fn is_repeated(id: CodeId, record: &Record, meter: &Meter) -> bool {
    let repeated = meter.repeated.iter().filter(|known| known.enrollment == record.enrollment);
    repeated.flat_map(|known| &known.used).any(|used| *used == id)
}

/// Of somebody who is to enroll; `None`: not their code.
pub fn of_pending(
    typed: &CodeHash,
    opening: &Opening,
    (meter, in_memory): (&Meter, bool),
    now: UnixTime,
) -> Option<Known> {
    let pending = &opening.pending;
    pending.code.filter(|code| code == typed)?;
    let repeated = meter.repeated.as_ref().filter(|known| known.enrollment == pending.enrollment);
    let repeated = repeated.map_or(0, |known| known.opened);
    let used = match &opening.state {
        StateRead::Good(state) => state.once.opened.max(repeated) >= MOST_OPENED,
        StateRead::Lost { .. } => true,
    };
    let fate = Fate::of(used, now >= pending.until, in_memory);
    Some(Known { kind: "enrollment-code", fate })
}
