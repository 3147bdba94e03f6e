//! What a store must offer, and the only way from a decision to its outcome: through a commit.

use alloc::boxed::Box;
use alloc::string::String;
use core::fmt;

use thiserror::Error;

use crate::name::UserName;
use crate::record::{Pending, Record, Tombstone};
use crate::state::{Meter, State};
use crate::time::UnixTime;

/// What a store knows of a user. Never stands for an error: that is a [`Fault`].
#[derive(Debug)]
pub enum Found {
    /// Proven: a successful look into an existing, trusted directory.
    Absent,
    /// Switched off by an administrator.
    Disabled(Tombstone),
    /// Enrolled.
    Enrolled(Box<Enrolled>),
    /// To enroll at one of the next logins.
    Pending(Box<Opening>),
}

impl Found {
    /// The uid of the account that an enrollment was made or opened for.
    #[must_use]
    pub fn enrolled_uid(&self) -> Option<u32> {
        match self {
            Self::Absent | Self::Disabled(_) => None,
            Self::Enrolled(enrolled) => enrolled.record.decision.uid,
            Self::Pending(opening) => opening.pending.decision.uid,
        }
    }
}

/// An open enrollment: what was decided, and what logins have made of it.
#[derive(Debug)]
pub struct Opening {
    /// Decided by an administrator.
    pub pending: Pending,
    /// Changed by logins.
    pub state: StateRead,
}

/// An enrolled user: what was decided, and what logins have made of it.
#[derive(Debug)]
pub struct Enrolled {
    /// Decided by an administrator.
    pub record: Record,
    /// Changed by logins.
    pub state: StateRead,
}

/// The newest block of this enrollment, if there is one.
#[allow(clippy::large_enum_variant)] // there is one in a transaction, and it is nearly always this
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StateRead {
    /// It is whole.
    Good(State),
    /// The file is absent, or neither block is whole and of this enrollment: it is to be begun anew.
    Lost {
        /// The highest sequence number that any block or the meter's note shows; 0 if none.
        seq: u64,
    },
}

/// What a transaction sees, read under the user's lock.
#[derive(Debug)]
pub struct View {
    /// The user.
    pub found: Found,
    /// What was guessed. [`Meter::unreadable`] where it can't be read; of a decoy where the user isn't enrolled.
    pub meter: Meter,
    /// Set while the state can't be written to disk and is kept in memory that a restart forgets.
    pub volatile: Option<Volatile>,
}

/// The state is not on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Volatile {
    /// When process 1 started: what was accepted before may have been forgotten, so only later steps count.
    pub since: UnixTime,
    /// Whether this transaction is the one that moves it there.
    pub first: bool,
}

/// What a decision writes, in this order, before anybody learns of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Writes {
    /// The meter with this try debited: written first, not flushed. A store keeps [`Meter::noted`] itself.
    pub debit: Option<Meter>,
    /// Over the older block, and flushed.
    pub state: Option<State>,
    /// The meter after the flush.
    pub settle: Option<Meter>,
}

/// Where a commit ended up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// On stable storage (or nothing needed to be).
    Disk,
    /// In memory that a restart forgets.
    Volatile,
}

/// A decision together with what must be written before it counts.
#[derive(Debug)]
#[must_use = "a decision has no outcome until it is committed"]
pub struct Change<T> {
    writes: Writes,
    outcome: T,
}

impl<T> Change<T> {
    pub(crate) fn new(writes: Writes, outcome: T) -> Self {
        Self { writes, outcome }
    }

    /// The same writes, with what `f` makes of the outcome.
    pub(crate) fn map<U>(self, f: impl FnOnce(T) -> U) -> Change<U> {
        Change { writes: self.writes, outcome: f(self.outcome) }
    }

    pub(crate) fn outcome(&self) -> &T {
        &self.outcome
    }

    /// The same outcome, of which only the debit is written: nothing is spent, and the try is paid for.
    pub(crate) fn debit_alone(self) -> Self {
        let writes = Writes { debit: self.writes.debit, ..Writes::default() };
        Self { writes, outcome: self.outcome }
    }

    /// Writes, and only then hands the outcome out. Not at all where writing fails.
    ///
    /// # Errors
    /// Whatever `write` says; the outcome is dropped.
    pub fn commit<E>(
        self,
        write: impl FnOnce(&Writes) -> Result<Durability, E>,
    ) -> Result<Committed<T>, E> {
        let durability = write(&self.writes)?;
        Ok(Committed { outcome: self.outcome, durability })
    }
}

/// The outcome of a decision that has been written.
#[derive(Debug)]
#[must_use]
pub struct Committed<T> {
    outcome: T,
    durability: Durability,
}

impl<T> Committed<T> {
    /// The outcome.
    pub fn into_outcome(self) -> T {
        self.outcome
    }

    /// Where it was written.
    #[must_use]
    pub fn durability(&self) -> Durability {
        self.durability
    }
}

/// Keeps records and states. Implementations lock one user at a time and never hold a lock across a prompt.
pub trait Store {
    /// Reads without a lock, for deciding what to ask. The state may be a moment old.
    ///
    /// # Errors
    /// Anything but a proven answer.
    fn look(&self, user: &UserName) -> Result<Found, Fault>;

    /// Locks the user, reads, decides by `f`, writes what it says and unlocks.
    ///
    /// `f` may run more than once: again with [`View::volatile`] set where the disk turns out not to take
    /// the first decision. For a user who isn't enrolled a decoy is locked, read and written.
    ///
    /// # Errors
    /// Nothing was decided: the files can't be read, or nothing can be written.
    fn transact<T>(
        &self,
        user: &UserName,
        f: &dyn Fn(&View) -> Change<T>,
    ) -> Result<Committed<T>, Fault>;

    /// As [`Store::transact`] of somebody about whom nothing is decided, whoever it is: for what nobody can be let in by.
    /// `f` sees [`Found::Absent`]. Whoever has a state waits for its lock here, too, and finds it unchanged.
    ///
    /// # Errors
    /// As [`Store::transact`].
    fn pretend<T>(
        &self,
        user: &UserName,
        f: &dyn Fn(&View) -> Change<T>,
    ) -> Result<Committed<T>, Fault>;
}

/// What went wrong in a store: its kind decides what is answered, its text goes to the log or the administrator.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{detail}")]
pub struct Fault {
    /// Decides what is answered.
    pub kind: FaultKind,
    /// What failed, on which path, and what to do. One line, without secrets.
    pub detail: String,
}

/// Kinds of faults; the words are the log's reasons.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// The record's text can't be used.
    RecordDamaged,
    /// The record's file can't be trusted (owner, mode, links, not a file), or it belongs to another uid.
    RecordRefused,
    /// The state's file can't be trusted.
    StateDamaged,
    /// The index by uid is missing or damaged: whether an account without an enrollment of its own name has one can't be told.
    IndexDamaged,
    /// A directory is missing or can't be trusted, an I/O error, or neither disk nor memory can be written.
    Unavailable,
    /// Somebody else held the user's lock for 30 seconds.
    Busy,
}

impl FaultKind {
    /// `record-damaged`, `record-refused`, `state-damaged`, `index-damaged`, `unavailable`, `busy`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RecordDamaged => "record-damaged",
            Self::RecordRefused => "record-refused",
            Self::StateDamaged => "state-damaged",
            Self::IndexDamaged => "index-damaged",
            Self::Unavailable => "unavailable",
            Self::Busy => "busy",
        }
    }

    /// Whether it concerns some users alone, and not everyone, so that the answer is that of a wrong code.
    #[must_use]
    pub fn is_the_users_own(self) -> bool {
        use FaultKind::{IndexDamaged, RecordDamaged, RecordRefused, StateDamaged};
        matches!(self, RecordDamaged | RecordRefused | StateDamaged | IndexDamaged)
    }
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outcome_is_not_handed_out_where_writing_fails() {
        let change = Change::new(Writes::default(), "yes");
        assert_eq!(change.commit(|_| Err::<Durability, _>("disk")).err(), Some("disk"));
    }

    #[test]
    fn a_written_outcome_is_handed_out() {
        let change = Change::new(Writes::default(), "yes");
        let committed = change.commit(|_| Ok::<_, ()>(Durability::Volatile)).unwrap();
        assert_eq!(committed.durability(), Durability::Volatile);
        assert_eq!(committed.into_outcome(), "yes");
    }
}
