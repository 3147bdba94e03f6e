//! flock(2), taken without blocking and released explicitly: a forked child holds what its parent merely closed.
//!
//! - `patience`: waiting for a lock, in short sleeps, until a deadline
//! - [`notes`](leave_notes): which `totpd --once` holds a lock, for a waiter that has to end it
//! - `signals`: no signal stops or ends a program while it holds a lock
//! - `place`: the lock of one place in a file that many names share

mod notes;
mod patience;
mod place;
mod signals;

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use notes::{Note, Notes};
use signals::Deferred;

pub use notes::leave_notes;
pub(crate) use patience::{NoLock, lock, lock_within};
pub(crate) use place::Place;
pub use signals::{deferred, leave_signals_alone, while_no_lock_is_held};

/// How long a lock may be waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Not at all.
    No,
    /// At most so long, by the monotonic clock.
    AtMost(Duration),
}

/// An exclusive lock on an open file or directory, which ends with this value.
///
/// While it lives, its thread defers signals, so nothing slow belongs in here: no question at a terminal, no look-up in the
/// name service, no delivery.
#[derive(Debug)]
pub(crate) struct Held<'a> {
    fd: BorrowedFd<'a>,
    // Both end after the lock: a process that is frozen in between would hold a lock without a note.
    _note: Option<Note<'a>>,
    _deferred: Deferred,
}

impl<'a> Held<'a> {
    #[cfg(test)]
    pub(crate) fn take(file: &'a impl AsFd) -> Result<Option<Self>, Errno> {
        Self::take_noted(file, Notes::of_this_process())
    }

    /// Tries once. `None`: another process holds it.
    fn take_noted(file: &'a impl AsFd, notes: Option<&'a Notes>) -> Result<Option<Self>, Errno> {
        let deferred = Deferred::begin();
        let note = notes.map(|notes| notes.leave(file)).transpose()?;
        if !try_lock(file)? {
            return Ok(None);
        }
        Ok(Some(Self { fd: file.as_fd(), _note: note, _deferred: deferred }))
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        unlock(self.fd);
    }
}

/// The right to be the one who works on a file for as long as that takes, such as a delivery. Others never wait for it, so
/// it defers no signal and leaves no note.
#[derive(Debug)]
pub(crate) struct Claim(File);

impl Claim {
    /// Tries once. `None`: another process has it.
    pub(crate) fn take(file: File) -> Result<Option<Self>, Errno> {
        Ok(if try_lock(&file)? { Some(Self(file)) } else { None })
    }

    pub(crate) fn file(&self) -> &File {
        &self.0
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        unlock(&self.0);
    }
}

fn try_lock(file: impl AsFd) -> Result<bool, Errno> {
    loop {
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(true),
            Err(Errno::WOULDBLOCK) => return Ok(false),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}

fn unlock(file: impl AsFd) {
    // Fails only for a descriptor that isn't open any more, and then there is no lock either.
    let _ = flock(file, FlockOperation::Unlock);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_held_lock_is_given_up_on_after_the_wait_and_free_after_its_end() {
        let temp = tempfile::NamedTempFile::new().unwrap();
        let (one, two) = (temp.reopen().unwrap(), temp.reopen().unwrap());
        let held = Held::take(&one).unwrap().unwrap();
        let wait = Wait::AtMost(Duration::from_millis(20));
        assert_eq!(lock_within(&two, wait).err(), Some(NoLock::Busy));
        drop(held);
        assert!(lock_within(&two, Wait::No).is_ok());
    }

    #[test]
    fn a_claim_keeps_others_away_until_its_end() {
        let temp = tempfile::NamedTempFile::new().unwrap();
        let claim = Claim::take(temp.reopen().unwrap()).unwrap().unwrap();
        assert!(Claim::take(temp.reopen().unwrap()).unwrap().is_none());
        drop(claim);
        assert!(Claim::take(temp.reopen().unwrap()).unwrap().is_some());
    }
}
