//! The lock on one user's state. It is waited for in short sleeps, so that no signal or thread of the host process is
//! needed; a holder that will not let go is ended, and after half a minute the wait is given up.

use std::fs::File;
use std::os::unix::fs::MetadataExt as _;
use std::time::Duration;

use super::holder::{Holder, State};
use crate::files::errno_of;
use crate::flock::{Held, Pauses, Wait};

/// After this, somebody is told that the user is busy.
const LONGEST: Duration = Duration::from_secs(30);

/// A holder that makes no progress for so long, and doesn't wait for the disk, is ended.
const STUCK: Duration = Duration::from_secs(2);

/// How often the holder is looked at. An ordinary one is long gone before the first look.
const LOOK: Duration = Duration::from_millis(100);

/// Why there is no lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoLock {
    /// Somebody else has held it for half a minute, and couldn't be ended.
    Busy,
    /// flock(2) failed.
    Failed(nix::errno::Errno),
}

/// Locks an open file. Whether its path still names it is for the caller to check afterwards.
pub(super) fn lock(file: &File) -> Result<Held<'_>, NoLock> {
    lock_within(file, LONGEST, STUCK)
}

fn lock_within(file: &File, longest: Duration, stuck: Duration) -> Result<Held<'_>, NoLock> {
    let failed = |errno: rustix::io::Errno| NoLock::Failed(errno_of(&errno.into()));
    let mut pauses = Pauses::new(Wait::AtMost(longest));
    let mut watch = Watch::new(longest, stuck);
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
    /// Who was seen, the file's last change, and how much of the wait was left then.
    seen: Option<(Holder, LastChange, Duration)>,
}

type LastChange = (i64, i64);

impl Watch {
    fn new(longest: Duration, stuck: Duration) -> Self {
        Self { next_look: longest.saturating_sub(LOOK), stuck, seen: None }
    }

    /// `left` is what is left of the wait.
    fn look(&mut self, file: &File, left: Duration) {
        if left > self.next_look {
            return;
        }
        self.next_look = left.saturating_sub(LOOK);
        let Some(holder) = Holder::of(file) else {
            self.seen = None;
            return;
        };
        // One process may log many people in and be seen again and again: it writes each time.
        let change = last_change(file);
        match &self.seen {
            Some((seen, then, since)) if *seen == holder && *then == change => {
                let unchanged_for = since.saturating_sub(left);
                let state = holder.state();
                if state == State::Other && unchanged_for >= self.stuck || state == State::Stopped {
                    holder.end();
                }
            }
            _ => {
                if holder.state() == State::Stopped {
                    holder.end();
                }
                self.seen = Some((holder, change, left));
            }
        }
    }
}

fn last_change(file: &File) -> LastChange {
    file.metadata().map_or((0, 0), |found| (found.mtime(), found.mtime_nsec()))
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command, Stdio};
    use std::time::Instant;

    use rustix::process::{Pid, Signal, kill_process};
    use tempfile::NamedTempFile;

    use super::*;

    /// A process that locks a file and does nothing more.
    fn holder(file: &NamedTempFile) -> Child {
        let child = Command::new("flock")
            .args(["--no-fork", "--exclusive"])
            .arg(file.path())
            .args(["sleep", "600"])
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let other = file.reopen().unwrap();
        while Held::take(&other).unwrap().is_some() {
            std::thread::sleep(Duration::from_millis(5));
        }
        child
    }

    fn signal(child: &Child, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    #[test]
    fn a_stopped_holder_is_ended_at_once() {
        let file = NamedTempFile::new().unwrap();
        let mut child = holder(&file);
        signal(&child, Signal::STOP);
        let begin = Instant::now();
        assert!(lock(&file.reopen().unwrap()).is_ok());
        assert!(begin.elapsed() < Duration::from_secs(1));
        assert!(!child.wait().unwrap().success());
    }

    #[test]
    fn a_holder_that_does_nothing_is_ended_after_the_time() {
        let file = NamedTempFile::new().unwrap();
        let mut child = holder(&file);
        let begin = Instant::now();
        let stuck = Duration::from_millis(500);
        assert!(lock_within(&file.reopen().unwrap(), LONGEST, stuck).is_ok());
        assert!(begin.elapsed() >= stuck);
        child.wait().unwrap();
    }

    #[test]
    fn a_holder_that_writes_is_left_alone() {
        let file = NamedTempFile::new().unwrap();
        let mut child = holder(&file);
        let writer = file.reopen().unwrap();
        let waiter = file.reopen().unwrap();
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| {
                lock_within(&waiter, Duration::from_secs(1), Duration::from_millis(300)).is_err()
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
        let no_lock = lock_within(&two, Duration::from_millis(700), Duration::from_millis(200));
        assert_eq!(no_lock.err(), Some(NoLock::Busy));
    }
}
