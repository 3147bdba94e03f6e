//! The state: what logins change. A [`State`] is what was accepted, the [`Meter`] what was refused; their form on disk
//! is in [`text`].

pub mod text;

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use crate::budget::Spending;
use crate::event::{EventQueue, Place};
use crate::name::AuthenticatorName;
use crate::onetime::{CodeHash, CodeId};
use crate::origin::Origin;
use crate::record::EnrollmentId;
use crate::time::{DAY, Step, UnixTime};

pub use self::text::{BLOCK, BlockError, parse_meter, parse_state, print_meter, print_state};

/// How long an origin counts as known after its last accepted login: 30 days, in seconds.
pub const ORIGIN_KNOWN_FOR: u64 = 30 * DAY;

/// As many origins are remembered; the one unused longest goes first.
const MOST_ORIGINS: usize = 12;

/// The offset of an authenticator's clock that is learned at most, in steps, either way.
pub const MOST_DRIFT: i64 = 20;

/// What has been accepted under one enrollment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// The enrollment this belongs to.
    pub enrollment: EnrollmentId,
    /// Grows with every block written to this user's file, across enrollments.
    pub seq: u64,
    /// What each authenticator has spent.
    pub spent: Vec<(AuthenticatorName, Spent)>,
    /// The last accepted login.
    pub last_login: Option<Visit>,
    /// Where accepted logins came from, latest first.
    pub origins: VecDeque<(Origin, UnixTime)>,
    /// What happened and is not in the permanent record yet.
    pub events: EventQueue,
    /// What is spent of the codes that are good once.
    pub once: Once,
}

/// What logins have made of the codes that are good once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Once {
    /// The spent ones, oldest first: of the record, and of those that this state or the meter handed out.
    pub used: Vec<CodeId>,
    /// The recovery code that took the place of a used one (`rotating`).
    pub next: Option<NextCode>,
    /// How many logins the enrollment code has let in.
    pub opened: Uses,
}

/// As many logins an enrollment code lets in, while the enrollment isn't complete: a mistyped password costs one.
pub const MOST_OPENED: u8 = 3;

/// As often a use is given back. Without an end, a stack that passes over what account says would let in without one.
pub const MOST_GIVEN_BACK: u8 = 9;

/// The uses of an enrollment code. Both numbers only grow, so that of two copies the newer is the one with the larger numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Uses {
    /// How often it was accepted.
    pub counted: u8,
    /// How often that was given back: the program could not ask the user to enroll.
    pub given_back: u8,
}

impl Uses {
    /// How many logins the code still lets in.
    #[must_use]
    pub fn left(self) -> u8 {
        MOST_OPENED.saturating_sub(self.counted.saturating_sub(self.given_back))
    }

    /// One more.
    #[must_use]
    pub fn counted_up(self) -> Self {
        Self { counted: self.counted.saturating_add(1), ..self }
    }

    /// One given back; `None` where there is none, or none any more.
    #[must_use]
    pub fn given_back(self) -> Option<Self> {
        let may_be = self.given_back < self.counted && self.given_back < MOST_GIVEN_BACK;
        may_be.then(|| Self { given_back: self.given_back.saturating_add(1), ..self })
    }

    /// The newer of two copies.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            counted: self.counted.max(other.counted),
            given_back: self.given_back.max(other.given_back),
        }
    }
}

/// As many spent codes are remembered: those of a record, and some more that it doesn't have any longer.
const MOST_USED: usize = 24;

impl Once {
    /// Whether this code is spent.
    #[must_use]
    pub fn is_used(&self, id: CodeId) -> bool {
        self.used.contains(&id)
    }

    /// Spends a code. `kept` are those that must never be forgotten: the record still has them. Neither is the one that was
    /// handed out.
    pub fn spend(&mut self, id: CodeId, kept: &[CodeId]) {
        self.used.retain(|used| *used != id);
        self.used.push(id);
        let next = self.next.map(|next| next.code.id());
        while self.used.len() > MOST_USED {
            let forgettable = |used: &CodeId| !kept.contains(used) && Some(*used) != next;
            let oldest = self.used.iter().position(forgettable).unwrap_or(0);
            self.used.remove(oldest);
        }
    }

    /// Takes over what another one of this enrollment knows to be spent. Nothing is forgotten for it.
    pub fn and(&mut self, other: &Self) {
        let new = other.used.iter().filter(|id| !self.used.contains(id)).copied();
        let new: Vec<CodeId> = new.collect();
        self.used.extend(new);
        self.opened = self.opened.and(other.opened);
    }
}

/// A recovery code that took the place of a used one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NextCode {
    /// The one of the record at the head of the chain: another there, and this one is void.
    pub of: CodeId,
    /// The code.
    pub code: CodeHash,
}

impl State {
    /// The first state of an enrollment.
    #[must_use]
    pub fn new(enrollment: EnrollmentId, seq: u64, spent: Vec<(AuthenticatorName, Spent)>) -> Self {
        Self {
            enrollment,
            seq,
            spent,
            last_login: None,
            origins: VecDeque::new(),
            events: EventQueue::default(),
            once: Once::default(),
        }
    }

    /// What the authenticator called `name` has spent.
    #[must_use]
    pub fn spent(&self, name: &AuthenticatorName) -> Option<&Spent> {
        self.spent.iter().find(|(n, _)| n == name).map(|(_, spent)| spent)
    }

    /// The same, with what the attempt counters know to be spent besides: the newest block may be lost. The one place
    /// where the two are merged.
    #[must_use]
    pub fn recalled(mut self, meter: &Meter) -> Self {
        let Some(repeated) = meter.repeated.as_ref().filter(|r| r.enrollment == self.enrollment)
        else {
            return self;
        };
        self.once.and(&repeated.once());
        for (name, Spent::Totp(spent)) in &mut self.spent {
            let floor = repeated.floors.iter().find(|(n, _)| n == name).map(|(_, floor)| *floor);
            spent.floor = spent.floor.max(floor.unwrap_or_default());
        }
        self
    }

    /// What the meter is to remember of this, for the case that one block or both are lost.
    #[must_use]
    pub fn repeated(&self) -> Repeated {
        let floors = self.spent.iter().map(|(name, spent)| (name.clone(), spent.totp().floor));
        Repeated {
            enrollment: self.enrollment,
            floors: floors.collect(),
            used: self.once.used.clone(),
            opened: self.once.opened,
        }
    }

    /// Whether a login from `origin` was accepted in the last 30 days.
    #[must_use]
    pub fn knows(&self, origin: &Origin, now: UnixTime) -> bool {
        self.origins.iter().any(|(o, last)| o == origin && now.since(*last) <= ORIGIN_KNOWN_FOR)
    }

    /// Remembers `origin` as the latest, unless it is unknown, and forgets those unused for 30 days.
    pub fn remember(&mut self, origin: Origin, now: UnixTime) {
        self.origins.retain(|(o, last)| *o != origin && now.since(*last) <= ORIGIN_KNOWN_FOR);
        if origin != Origin::Unknown {
            self.origins.push_front((origin, now));
        }
        self.origins.truncate(MOST_ORIGINS);
    }

    /// Where the last accepted login came from.
    #[must_use]
    pub fn last_origin(&self) -> &Origin {
        let time = self.last_login.as_ref().map(|visit| visit.time);
        let latest = self.origins.front().filter(|(_, last)| Some(*last) == time);
        latest.map_or(&Origin::Unknown, |(origin, _)| origin)
    }
}

/// When and where somebody logged in, or failed to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Visit {
    /// When.
    pub time: UnixTime,
    /// Where.
    pub place: Place,
}

/// What an authenticator has spent: the part of it that logins change. One variant for each kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spent {
    /// Of a time-based one.
    Totp(TotpSpent),
}

impl Spent {
    /// The time-based part.
    #[must_use]
    pub fn totp(&self) -> &TotpSpent {
        match self {
            Self::Totp(spent) => spent,
        }
    }
}

/// What a time-based authenticator has spent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TotpSpent {
    /// The highest step accepted: this one and everything below it is spent.
    pub floor: Step,
    /// How far its clock is ahead of ours, in steps; within ±[`MOST_DRIFT`].
    pub drift: i64,
    /// To which side of the drift the last accepted code lay: -1, 0 or 1.
    pub lean: i64,
    /// When it was last accepted.
    pub used: Option<UnixTime>,
}

/// What has been refused: the guess budget, and notes that may be lost.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Meter {
    /// The highest sequence number of a block known to be on stable storage.
    pub noted: u64,
    /// What guesses have used up.
    pub spending: Spending,
    /// The last refused answer.
    pub last_failure: Option<Visit>,
    /// When it was last told that more codes are required.
    pub told: Option<UnixTime>,
    /// A copy of what is spent, so that it survives the loss of a block.
    pub repeated: Option<Repeated>,
    /// What happened and is not in the permanent record yet.
    pub events: EventQueue,
    /// Codes sent as text messages.
    pub texts: Texts,
}

/// What a state says is spent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repeated {
    /// Of which enrollment.
    pub enrollment: EnrollmentId,
    /// The floor of each authenticator.
    pub floors: Vec<(AuthenticatorName, Step)>,
    /// As [`Once::used`].
    pub used: Vec<CodeId>,
    /// As [`Once::opened`].
    pub opened: Uses,
}

impl Repeated {
    /// As far as it concerns codes that are good once.
    pub(crate) fn once(&self) -> Once {
        Once { used: self.used.clone(), opened: self.opened, ..Once::default() }
    }
}

/// Codes sent as text messages, and when any were.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Texts {
    /// Those that may still be good, oldest first: at most [`MOST_TEXT_CODES`].
    pub codes: Vec<TextCode>,
    /// The messages of the last day, oldest first.
    pub sent: Vec<Sent>,
}

/// As many codes of text messages are good at the same time. A newer one voids none: strangers could keep the owner from
/// using theirs by asking for another.
pub const MOST_TEXT_CODES: usize = 3;

/// A text message that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    /// When.
    pub time: UnixTime,
    /// Whether it was asked for from an origin that was known.
    pub known: bool,
}

/// A code sent as a text message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TextCode {
    /// Under which enrollment.
    pub enrollment: EnrollmentId,
    /// The code.
    pub hash: CodeHash,
    /// Whether it has 16 digits, not 8.
    pub long: bool,
    /// Good until then, exclusive.
    pub until: UnixTime,
}

impl Meter {
    /// What stands for a meter that can't be read: whatever had been guessed, the singles are used up.
    #[must_use]
    pub fn unreadable() -> Self {
        Self { spending: Spending::singles_used_up(), ..Self::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_forgotten_after_thirty_days_and_beyond_twelve() {
        let mut state = State::new(EnrollmentId::fresh([7; 8]), 1, Vec::new());
        state.remember(Origin::Caller(0), UnixTime(5));
        state.remember(Origin::Net4([192, 0, 2]), UnixTime(6));
        let now = UnixTime(6 + ORIGIN_KNOWN_FOR);
        assert!(state.knows(&Origin::Net4([192, 0, 2]), now));
        assert!(!state.knows(&Origin::Caller(0), now));
        (1..=20).for_each(|uid| state.remember(Origin::Caller(uid), now));
        assert_eq!(state.origins.len(), MOST_ORIGINS);
        assert!(state.knows(&Origin::Caller(20), now) && !state.knows(&Origin::Caller(1), now));
    }
}
