//! What is checked: who takes part, what may go wrong how often, and what is done wrong on purpose.

/// What a process is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Task {
    /// A login with a code: 1 or 2, of which 2 is the later one, or [`WRONG`].
    Login(u8),
    /// `FileStore::put`: an administrator replaces the enrollment. The authenticator stays, and so does what is spent.
    Replace,
    /// `FileStore::rename`, twice: the account is called otherwise, and then as before.
    RenameThereAndBack,
}

/// A code that is never right.
pub const WRONG: u8 = 0;

/// How often each of these may happen, at any step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Faults {
    /// A process is killed.
    pub kills: u8,
    /// A process is stopped (SIGSTOP); it may be continued, or not.
    pub stops: u8,
    /// A holder at work is taken for stuck by somebody who waits.
    pub mistaken: u8,
    /// The power is lost: of what wasn't flushed any part is there, torn or lost, and memory is empty.
    pub losses: u8,
    /// The disk begins or ceases to refuse writes and flushes.
    pub refusals: u8,
    /// The kernel forgets a page that a failed flush left clean, and reads it from the disk again.
    pub evictions: u8,
    /// A block is damaged on the disk.
    pub rots: u8,
}

/// Something that the product doesn't do: with it the checker has to find a run in which it shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Slip {
    /// The state is read before the lock is held.
    ReadBeforeLock,
    /// After locking nobody looks whether the path still names the file.
    NoInodeCheck,
    /// Success is told without a flush.
    NoFlush,
    /// The newest block is overwritten.
    NewestOverwritten,
    /// A block whose flush isn't noted is taken for flushed.
    TakenForFlushed,
    /// Such a block is flushed, but not written once more.
    FlushedButNotRewritten,
    /// The flush is noted before it is done.
    NotedBeforeFlushed,
    /// The debit is written after the state.
    DebitAfterState,
    /// The meter doesn't repeat what is spent.
    NothingRepeated,
    /// Who has ended a holder goes on without the lock.
    NoLockAfterEnding,
    /// A stopped holder is waited for.
    StoppedLeftAlone,
    /// While the state is in memory, codes of before the restart count.
    MemoryAcceptsCodesOfBeforeTheStart,
    /// What was in memory is removed there before it is on disk.
    MemoryRemovedBeforeFlush,
    /// A new record is in place before its first block.
    RecordBeforeBlock,
    /// A record that may not be on disk is taken for one that is.
    RecordNotKept,
    /// The first block of an enrollment goes over the newest one of the enrollment before.
    FirstBlockOverNewest,
}

/// All that is to be known for a check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scene {
    /// The processes.
    pub tasks: Vec<Task>,
    /// What may happen to them.
    pub faults: Faults,
    /// What is done wrong.
    pub slip: Option<Slip>,
}

impl Scene {
    /// These processes and faults, and nothing done wrong.
    #[must_use]
    pub fn new(tasks: &[Task], faults: Faults) -> Self {
        Self { tasks: tasks.to_vec(), faults, slip: None }
    }

    /// The same with something done wrong.
    #[must_use]
    pub fn with(self, slip: Slip) -> Self {
        Self { slip: Some(slip), ..self }
    }
}
