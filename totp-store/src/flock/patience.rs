//! Waiting for a lock in short sleeps, without a signal or a further thread, until a deadline by the monotonic clock. Nothing
//! is asked about the holder but whether it left a note.

use std::os::fd::AsFd;
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::errno::Errno;

use super::notes::{INSTALLED, Notes, Search};
use super::{Held, Wait};
use crate::files::errno_of;

/// The longest wait of a login or an administrator.
const LONGEST: Duration = Duration::from_secs(30);

/// Why there is no lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoLock {
    /// Another process has held it for all of the wait.
    Busy,
    /// flock(2) failed, or the note of this process could not be written.
    Failed(Errno),
}

/// Locks an open file or directory. Whether its path still names it is for the caller to check afterwards.
pub(crate) fn lock(file: &impl AsFd) -> Result<Held<'_>, NoLock> {
    lock_within(file, Wait::AtMost(LONGEST))
}

/// As [`lock`], with another wait.
pub(crate) fn lock_within(file: &impl AsFd, wait: Wait) -> Result<Held<'_>, NoLock> {
    lock_searching(file, wait, Notes::of_this_process(), Search::begin(&INSTALLED))
}

/// As [`lock_within`], with the notes that this process leaves, and where it searches for those of others.
pub(super) fn lock_searching<'a>(
    file: &'a impl AsFd,
    wait: Wait,
    notes: Option<&'a Notes>,
    mut search: Search<'_>,
) -> Result<Held<'a>, NoLock> {
    let failed = |errno: rustix::io::Errno| NoLock::Failed(errno_of(&errno.into()));
    let mut pauses = Pauses::begin(wait);
    loop {
        if let Some(held) = Held::take_noted(file, notes).map_err(failed)? {
            return Ok(held);
        }
        if !pauses.pause() {
            return Err(NoLock::Busy);
        }
        search.look(file);
    }
}

/// Short pauses that grow from 50 µs to 10 ms. A process that was stopped or suspended meanwhile still tries once more
/// after its pause.
#[derive(Debug)]
pub(super) struct Pauses {
    next: Duration,
    begun: Instant,
    most: Duration,
}

impl Pauses {
    pub(super) fn begin(wait: Wait) -> Self {
        let most = match wait {
            Wait::No => Duration::ZERO,
            Wait::AtMost(most) => most,
        };
        Self { next: Duration::from_micros(50), begun: Instant::now(), most }
    }

    /// Sleeps a little; `false`, at once, when the time is used up.
    pub(super) fn pause(&mut self) -> bool {
        let left = self.most.saturating_sub(self.begun.elapsed());
        if left.is_zero() {
            return false;
        }
        sleep(self.next.min(left));
        self.next = self.next.saturating_mul(2).min(Duration::from_millis(10));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_end_by_the_clock_and_not_by_their_number() {
        let most = Duration::from_millis(50);
        let mut pauses = Pauses::begin(Wait::AtMost(most));
        assert!(pauses.pause());
        // As long as a process that was stopped.
        pauses.begun = pauses.begun.checked_sub(most).unwrap();
        assert!(!pauses.pause());
    }

    #[test]
    fn no_wait_is_no_pause() {
        assert!(!Pauses::begin(Wait::No).pause());
    }
}
