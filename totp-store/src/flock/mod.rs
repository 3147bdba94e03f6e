//! flock(2), taken without blocking and released explicitly: a forked child holds what its parent merely closed.

mod holder;
mod patience;
mod place;

use std::os::fd::{AsFd, BorrowedFd};
use std::thread::sleep;
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

pub(crate) use patience::{
    NoLock, lock, lock_of_the_patient, lock_of_the_patient_within, lock_unless_at_work, lock_within,
};
pub(crate) use place::Place;

/// How long a lock may be waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Not at all.
    No,
    /// About so long.
    AtMost(Duration),
}

/// An exclusive lock on an open file or directory, which ends with this value.
#[derive(Debug)]
pub(crate) struct Held<'a> {
    fd: BorrowedFd<'a>,
}

impl<'a> Held<'a> {
    /// Tries once. `None`: somebody else holds it.
    pub(crate) fn take(file: &'a impl AsFd) -> Result<Option<Self>, Errno> {
        loop {
            match flock(file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(Some(Self { fd: file.as_fd() })),
                Err(Errno::WOULDBLOCK) => return Ok(None),
                Err(Errno::INTR) => {}
                Err(errno) => return Err(errno),
            }
        }
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        // Fails only for a descriptor that isn't open any more, and then there is no lock either.
        let _ = flock(self.fd, FlockOperation::Unlock);
    }
}

/// Short pauses that grow from 50 µs to 10 ms. Slept, not timed: neither an alarm nor a clock of the
/// host process is touched.
#[derive(Debug)]
pub(crate) struct Pauses {
    next: Duration,
    left: Duration,
}

impl Pauses {
    pub(crate) fn new(wait: Wait) -> Self {
        let left = match wait {
            Wait::No => Duration::ZERO,
            Wait::AtMost(most) => most,
        };
        Self { next: Duration::from_micros(50), left }
    }

    /// Sleeps a little; `false`, at once, when the time is used up.
    pub(crate) fn pause(&mut self) -> bool {
        if self.left.is_zero() {
            return false;
        }
        sleep(self.next);
        self.left = self.left.saturating_sub(self.next);
        self.next = self.next.saturating_mul(2).min(Duration::from_millis(10));
        true
    }

    /// What has not been slept yet.
    pub(crate) fn left(&self) -> Duration {
        self.left
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::fs::File;
    use std::path::Path;
    use std::process::{Child, Command, Stdio};

    use rustix::process::{Pid, Signal, kill_process};

    use super::*;

    /// A process that locks a file or directory and does nothing more.
    pub(crate) fn holder_of(path: &Path) -> Child {
        let child = Command::new("flock")
            .args(["--no-fork", "--exclusive"])
            .arg(path)
            .args(["sleep", "600"])
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let other = File::open(path).unwrap();
        while Held::take(&other).unwrap().is_some() {
            sleep(Duration::from_millis(5));
        }
        child
    }

    /// One that is stopped, as by its terminal.
    pub(crate) fn stopped_holder_of(path: &Path) -> Child {
        let child = holder_of(path);
        signal(&child, Signal::STOP);
        child
    }

    pub(in super::super) fn signal(child: &Child, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

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
    fn pauses_end() {
        let mut pauses = Pauses::new(Wait::AtMost(Duration::from_millis(5)));
        let mut count = 0;
        while pauses.pause() {
            count += 1;
        }
        assert!((1..20).contains(&count) && pauses.left().is_zero());
    }
}
