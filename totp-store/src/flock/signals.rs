//! Signals while a lock is held. Ctrl-Z in the middle of a change would keep every login of a user waiting; Ctrl-C would
//! leave the change half done. Both wait until the last lock of the thread is released.

use std::cell::RefCell;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use nix::sys::signal::{SigSet, SigmaskHow, Signal};

/// Job control, what ends a program, and what a caller may have set a timer for.
const DEFERRED: [Signal; 15] = [
    Signal::SIGTSTP,
    Signal::SIGTTIN,
    Signal::SIGTTOU,
    Signal::SIGHUP,
    Signal::SIGINT,
    Signal::SIGQUIT,
    Signal::SIGTERM,
    Signal::SIGXCPU,
    Signal::SIGXFSZ,
    Signal::SIGALRM,
    Signal::SIGVTALRM,
    Signal::SIGPROF,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
    Signal::SIGPIPE,
];

static LEFT_ALONE: AtomicBool = AtomicBool::new(false);

/// Read-locked by every thread that holds a lock.
static HOLDERS: RwLock<()> = RwLock::new(());

thread_local! {
    static OF_THIS_THREAD: RefCell<Option<Blocked>> = const { RefCell::new(None) };
}

/// What a thread gets back once it has released its last lock.
struct Blocked {
    locks: usize,
    mask: Option<SigSet>,
    _holder: RwLockReadGuard<'static, ()>,
}

/// The signals that a thread blocks while it holds a lock.
///
/// A signal to the process goes to any thread that doesn't block it: other threads of a program with a terminal have to
/// block those that they don't take.
#[must_use]
pub fn deferred() -> SigSet {
    DEFERRED.into_iter().collect()
}

/// From here on no thread of this process defers signals for a lock. For a daemon, which has no terminal and takes its
/// signals in a thread of their own: it saves two system calls a lock.
pub fn leave_signals_alone() {
    LEFT_ALONE.store(true, Ordering::Relaxed);
}

/// Runs `f` while no thread of this process holds a lock: waits for those that do, and keeps others from taking one. For
/// the thread that ends a program by a signal. A thread that holds a lock must not call it: it would wait for itself.
pub fn while_no_lock_is_held<T>(f: impl FnOnce() -> T) -> T {
    let _no_holder = HOLDERS.write().unwrap_or_else(PoisonError::into_inner);
    f()
}

/// Signals of this thread are deferred while this lives; of several the last one to end lets them through. Not to be sent
/// to another thread, whose signals it says nothing about.
#[derive(Debug)]
pub(super) struct Deferred {
    counted: bool,
    _of_this_thread: PhantomData<*const ()>,
}

impl Deferred {
    pub(super) fn begin() -> Self {
        let counted = !LEFT_ALONE.load(Ordering::Relaxed);
        if counted {
            OF_THIS_THREAD.with_borrow_mut(|blocked| {
                let blocked = blocked.get_or_insert_with(Blocked::begin);
                blocked.locks = blocked.locks.saturating_add(1);
            });
        }
        Self { counted, _of_this_thread: PhantomData }
    }
}

impl Drop for Deferred {
    fn drop(&mut self) {
        if !self.counted {
            return;
        }
        let last = OF_THIS_THREAD.with_borrow_mut(|blocked| {
            let one = blocked.as_mut()?;
            one.locks = one.locks.saturating_sub(1);
            if one.locks == 0 { blocked.take() } else { None }
        });
        // A handler runs at once where a signal has waited: with nothing borrowed.
        if let Some(Blocked { mask: Some(mask), .. }) = last {
            let _ = mask.thread_set_mask(); // fails for a mask that was never one
        }
    }
}

impl Blocked {
    fn begin() -> Self {
        let holder = HOLDERS.read().unwrap_or_else(PoisonError::into_inner);
        let mask = deferred().thread_swap_mask(SigmaskHow::SIG_BLOCK).ok();
        Self { locks: 0, mask, _holder: holder }
    }
}

#[cfg(test)]
mod tests {
    use std::env;
    use std::fs::File;
    use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
    use std::os::unix::process::CommandExt as _;
    use std::process::{Command, Stdio};
    use std::sync::mpsc;
    use std::thread;
    use std::time::Duration;

    use nix::sys::signal::kill;
    use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
    use nix::unistd::Pid;
    use tempfile::NamedTempFile;

    use super::super::{Held, Wait, lock_within};
    use super::*;

    /// Names the file that the inner test locks.
    const FILE: &str = "PAM_TOTP_TEST_LOCK";

    fn is_blocked() -> bool {
        let mask = SigSet::thread_get_mask().unwrap();
        let count = DEFERRED.into_iter().filter(|signal| mask.contains(*signal)).count();
        assert!(count == 0 || count == DEFERRED.len(), "all or none");
        count > 0
    }

    #[test]
    fn signals_are_deferred_until_the_last_lock_is_released_whichever_that_is() {
        let (one, two) = (NamedTempFile::new().unwrap(), NamedTempFile::new().unwrap());
        for outer_first in [false, true] {
            let outer = Held::take(one.as_file()).unwrap().unwrap();
            let inner = Held::take(two.as_file()).unwrap().unwrap();
            let (first, last) = if outer_first { (outer, inner) } else { (inner, outer) };
            drop(first);
            assert!(is_blocked());
            drop(last);
            assert!(!is_blocked());
        }
    }

    #[test]
    fn a_lock_that_was_not_to_be_had_defers_nothing() {
        let temp = NamedTempFile::new().unwrap();
        let (one, two) = (temp.reopen().unwrap(), temp.reopen().unwrap());
        thread::scope(|scope| {
            let _held = Held::take(&one).unwrap().unwrap();
            let other = scope.spawn(|| {
                deferred().thread_unblock().unwrap(); // a thread begins with its maker's mask
                assert!(Held::take(&two).unwrap().is_none());
                is_blocked()
            });
            assert!(!other.join().unwrap());
        });
    }

    #[test]
    fn what_was_blocked_before_a_lock_is_blocked_after_it() {
        let file = NamedTempFile::new().unwrap();
        SigSet::from(Signal::SIGUSR1).thread_block().unwrap();
        drop(Held::take(file.as_file()).unwrap().unwrap());
        let mask = SigSet::thread_get_mask().unwrap();
        assert!(mask.contains(Signal::SIGUSR1) && !mask.contains(Signal::SIGUSR2));
    }

    #[test]
    fn a_daemon_that_takes_its_signals_itself_defers_none() {
        let status = Command::new(env::current_exe().unwrap())
            .args(["--exact", "--ignored", "flock::signals::tests::inner_left_alone"])
            .status();
        assert!(status.unwrap().success());
    }

    #[test]
    #[ignore = "runs inside the one above"]
    fn inner_left_alone() {
        let file = NamedTempFile::new().unwrap();
        let earlier = Held::take(file.as_file()).unwrap().unwrap();
        leave_signals_alone();
        drop(earlier);
        assert!(!is_blocked());
        let _held = Held::take(file.as_file()).unwrap().unwrap();
        assert!(!is_blocked());
    }

    #[test]
    fn the_end_of_a_program_waits_for_the_locks_of_all_threads() {
        let file = NamedTempFile::new().unwrap();
        let (sender, order) = mpsc::channel();
        let held = Held::take(file.as_file()).unwrap().unwrap();
        let ender = thread::spawn({
            let sender = sender.clone();
            move || while_no_lock_is_held(|| sender.send("end").unwrap())
        });
        assert!(order.recv_timeout(Duration::from_millis(100)).is_err());
        sender.send("released").unwrap();
        drop(held);
        ender.join().unwrap();
        assert_eq!(order.try_iter().collect::<Vec<_>>(), ["released", "end"]);
    }

    #[test]
    fn a_holder_is_stopped_by_its_terminal_only_after_it_has_released_the_lock() {
        let file = NamedTempFile::new().unwrap();
        // The harness's main thread must not be the one that takes the signal: it begins with this thread's mask.
        let mask = deferred().thread_swap_mask(SigmaskHow::SIG_BLOCK).unwrap();
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--exact", "--ignored", "--nocapture", "flock::signals::tests::inner_holder"])
            .env(FILE, file.path())
            .process_group(0) // in an orphaned one, nothing stops
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        mask.thread_set_mask().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(lines.map_while(Result::ok).any(|line| line.contains("holds the lock")));
        let pid = Pid::from_raw(i32::try_from(child.id()).unwrap());
        kill(pid, Signal::SIGTSTP).unwrap();
        child.stdin.take().unwrap().write_all(b"go on").unwrap();
        assert!(lock_within(file.as_file(), Wait::AtMost(Duration::from_secs(20))).is_ok());
        let stopped = waitpid(pid, Some(WaitPidFlag::WUNTRACED)).unwrap();
        assert_eq!(stopped, WaitStatus::Stopped(pid, Signal::SIGTSTP));
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    #[ignore = "runs inside the one above"]
    fn inner_holder() {
        deferred().thread_unblock().unwrap();
        let file = File::open(env::var_os(FILE).unwrap()).unwrap();
        let held = Held::take(&file).unwrap().unwrap();
        io::stdout().write_all(b"holds the lock\n").unwrap();
        io::stdin().read_to_end(&mut Vec::new()).unwrap();
        drop(held);
    }
}
