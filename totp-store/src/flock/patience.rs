//! Waiting for a lock in short sleeps, so that no signal or thread of the host process is needed. A holder that will not
//! let go is ended; after half a minute, or what the caller says, the wait is given up.

use std::os::fd::AsFd;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::stat::fstat;

use super::holder::{Holder, State};
use super::{Held, Pauses, Wait};
use crate::files::errno_of;

/// As long as anybody waits.
const LONGEST: Duration = Duration::from_secs(30);

/// A holder that makes no progress for so long is ended.
const STUCK: Duration = Duration::from_secs(2);

/// So many times longer has one that waits for the disk, or seems to: short of memory in a group of its own making
/// (cgroups), a process looks the same. What it has committed survives its end.
const DISK_FACTOR: u32 = 5;

/// How often the holder is looked at. An ordinary one is long gone before the first look.
const LOOK: Duration = Duration::from_millis(100);

/// Why there is no lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoLock {
    /// Somebody else has held it for all of the wait, and couldn't be ended.
    Busy,
    /// flock(2) failed.
    Failed(Errno),
}

/// Locks an open file or directory. Whether its path still names it is for the caller to check afterwards.
pub(crate) fn lock(file: &impl AsFd) -> Result<Held<'_>, NoLock> {
    lock_within(file, Wait::AtMost(LONGEST))
}

/// As [`lock`], for a lock under which others are waited for in turn: only a stopped holder is ended.
pub(crate) fn lock_of_the_patient(file: &impl AsFd) -> Result<Held<'_>, NoLock> {
    lock_of_the_patient_within(file, Wait::AtMost(LONGEST))
}

/// As [`lock_of_the_patient`], with another wait.
pub(crate) fn lock_of_the_patient_within(file: &impl AsFd, wait: Wait) -> Result<Held<'_>, NoLock> {
    watching(file, wait, LONGEST)
}

/// Not waited for: `None` where a holder is at work. One that is stopped is not, and is ended.
pub(crate) fn lock_unless_at_work(file: &impl AsFd) -> Result<Option<Held<'_>>, Errno> {
    match lock_of_the_patient_within(file, Wait::AtMost(LOOK.saturating_mul(2))) {
        Ok(held) => Ok(Some(held)),
        Err(NoLock::Busy) => Ok(None),
        Err(NoLock::Failed(errno)) => Err(errno),
    }
}

/// As [`lock`], with another wait.
pub(crate) fn lock_within(file: &impl AsFd, wait: Wait) -> Result<Held<'_>, NoLock> {
    watching(file, wait, STUCK)
}

fn watching(file: &impl AsFd, wait: Wait, stuck: Duration) -> Result<Held<'_>, NoLock> {
    let failed = |errno: rustix::io::Errno| NoLock::Failed(errno_of(&errno.into()));
    let mut pauses = Pauses::new(wait);
    let mut watch = Watch::new(pauses.left(), stuck);
    loop {
        if let Some(held) = Held::take(file).map_err(failed)? {
            return Ok(held);
        }
        if !pauses.pause() {
            return Err(NoLock::Busy);
        }
        watch.look(file, pauses.left());
    }
}

/// Watches whoever holds the lock while we wait.
struct Watch {
    next_look: Duration,
    stuck: Duration,
    /// The file's last change, when it was seen.
    change: LastChange,
    /// Who was seen since then, and how much of the wait was left at first.
    seen: Vec<(Holder, Duration)>,
}

/// Seconds and nanoseconds.
type LastChange = (i64, i64);

impl Watch {
    fn new(wait: Duration, stuck: Duration) -> Self {
        let next_look = wait.saturating_sub(LOOK);
        Self { next_look, stuck, change: (0, 0), seen: Vec::new() }
    }

    /// `left` is what is left of the wait.
    fn look(&mut self, file: &impl AsFd, left: Duration) {
        if left > self.next_look {
            return;
        }
        self.next_look = left.saturating_sub(LOOK);
        // One process may log many people in and be seen again and again: it writes each time.
        let change = last_change(file);
        if change != self.change {
            self.seen.clear();
        }
        self.change = change;
        let before = std::mem::take(&mut self.seen);
        for holder in Holder::all_of(file) {
            let since =
                before.iter().find(|(seen, _)| *seen == holder).map_or(left, |(_, since)| *since);
            if is_to_be_ended(holder.state(), since.saturating_sub(left), self.stuck) {
                holder.end();
            }
            self.seen.push((holder, since));
        }
    }
}

/// Whether a holder that has changed nothing for so long is ended.
fn is_to_be_ended(state: State, unchanged_for: Duration, stuck: Duration) -> bool {
    match state {
        State::Stopped => true,
        State::Other => unchanged_for >= stuck,
        State::DiskWait => unchanged_for >= stuck.saturating_mul(DISK_FACTOR),
    }
}

fn last_change(file: &impl AsFd) -> LastChange {
    fstat(file).map_or((0, 0), |found| (found.st_mtime, found.st_mtime_nsec))
}

#[cfg(test)]
mod tests {
    use std::process::Child;
    use std::time::Instant;

    use rustix::process::Signal;
    use tempfile::NamedTempFile;

    use super::super::tests::{holder_of, signal};
    use super::*;

    fn holder(file: &NamedTempFile) -> Child {
        holder_of(file.path())
    }

    #[test]
    fn a_stopped_holder_is_ended_at_once() {
        let file = NamedTempFile::new().unwrap();
        let mut child = holder(&file);
        signal(&child, Signal::STOP);
        let waiter = file.reopen().unwrap();
        // Nobody counts as stuck in time, so that it can only be ended for being stopped.
        assert!(watching(&waiter, Wait::AtMost(LONGEST), LONGEST).is_ok());
        assert!(!child.wait().unwrap().success());
    }

    #[test]
    fn a_holder_at_work_is_left_to_it_and_a_stopped_one_is_not() {
        let file = NamedTempFile::new().unwrap();
        let mut child = holder(&file);
        let waiter = file.reopen().unwrap();
        assert!(lock_unless_at_work(&waiter).unwrap().is_none());
        signal(&child, Signal::STOP);
        assert!(lock_unless_at_work(&waiter).unwrap().is_some());
        assert!(!child.wait().unwrap().success());
    }

    #[test]
    fn a_holder_that_does_nothing_is_ended_after_the_time() {
        let file = NamedTempFile::new().unwrap();
        let mut child = holder(&file);
        let begin = Instant::now();
        let stuck = Duration::from_millis(500);
        let waiter = file.reopen().unwrap();
        assert!(watching(&waiter, Wait::AtMost(LONGEST), stuck).is_ok());
        assert!(begin.elapsed() >= stuck);
        child.wait().unwrap();
    }

    #[test]
    fn a_holder_that_waits_for_the_disk_gets_more_time_but_not_all_of_it() {
        let ended = |state, seconds| is_to_be_ended(state, Duration::from_secs(seconds), STUCK);
        assert!(ended(State::Stopped, 0));
        assert!(!ended(State::Other, 1) && ended(State::Other, 2));
        assert!(!ended(State::DiskWait, 9) && ended(State::DiskWait, 10));
    }

    #[test]
    fn a_holder_that_writes_is_left_alone() {
        let file = NamedTempFile::new().unwrap();
        let mut child = holder(&file);
        let writer = file.reopen().unwrap();
        let waiter = file.reopen().unwrap();
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| {
                watching(&waiter, Wait::AtMost(Duration::from_secs(1)), Duration::from_millis(300))
                    .is_err()
            });
            while !waiting.is_finished() {
                std::os::unix::fs::FileExt::write_at(&writer, b"x", 0).unwrap();
                std::thread::sleep(Duration::from_millis(20));
            }
            assert!(waiting.join().unwrap());
        });
        assert!(child.try_wait().unwrap().is_none());
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn this_process_never_ends_itself() {
        let file = NamedTempFile::new().unwrap();
        let (one, two) = (file.reopen().unwrap(), file.reopen().unwrap());
        let _held = Held::take(&one).unwrap().unwrap();
        let no_lock =
            watching(&two, Wait::AtMost(Duration::from_millis(700)), Duration::from_millis(200));
        assert_eq!(no_lock.err(), Some(NoLock::Busy));
    }
}
