//! What a process does next: one system call that others can notice, or several reads under the lock. `docs/protocol.md` has
//! the same list.

/// One step, with the function of totp-store that it stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// `FileStore::open_state`, of administrators `opened_for_change`.
    Open,
    /// The decoy in the place of an absent state: `FileStore::decided`, and `FileStore::entry` under its lock.
    Decoy,
    /// `flock::lock`.
    Lock,
    /// `Directory::names`.
    Check,
    /// `FileStore::entry`, `Memory::open`, `Blocks::read`, and the decision; of administrators `as_expected` and
    /// `ready_to_change`.
    Read,
    /// A read that the product doesn't do: before the lock.
    ReadTooEarly,
    /// `Blocks::write`: the meter, debited.
    Debit,
    /// `FileStore::keep_record`: the directory of records flushed, where the block to be kept isn't noted.
    KeepRecord,
    /// `Blocks::write_state`: the block to be kept, once more.
    Rewrite,
    /// `Blocks::write_state`: its flush.
    FlushRewritten,
    /// `Blocks::write_state`: the new state over the other block.
    Target,
    /// `Blocks::write_state`: the flush.
    Flush,
    /// `Blocks::write`: the meter, settled and with the new note.
    Note,
    /// `FileStore::take_back`: the last flush.
    FlushBack,
    /// `Memory::remove`.
    RemoveMemory,
    /// `Memory::put`.
    Put,
    /// `Records::write`: the rename.
    Record,
    /// `Records::write`: the directory's flush.
    FlushRecord,
    /// `FileStore::make_state`, in `opened_for_change` of the new name.
    Make,
    /// `flock::lock` of the new name's state.
    LockTarget,
    /// `FileStore::rename`: `Blocks::fill` of the new name's state.
    Copy,
    /// `FileStore::rename`: `sync_all` and the directory's flush.
    SyncCopy,
    /// `Directory::remove` of the old name's state.
    Unlink,
    /// The end of `Held`, of both where there are two.
    Unlock,
    /// `PAM_SUCCESS` or not, or the command's end.
    Tell,
}
