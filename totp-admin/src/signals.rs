//! The signals that end the command: Ctrl-C, Ctrl-\, SIGTERM, and a terminal that is gone. Between the permanent record and
//! the change they wait, and a picture that nobody wants any more goes first. Apart from that they end the command
//! as always, by the signal itself, so that a shell sees 130 and a script stops.
//!
//! A thread takes them: the handler itself could neither erase a file nor wait. It ends the command only while no lock is
//! held. It blocks the other signals that a holder of a lock defers, Ctrl-Z above all: one thread that doesn't block it is
//! enough for the whole command to be stopped.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};
use std::thread;

use nix::sys::signal::{SigSet, SigmaskHow, Signal};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;
use totp_store::flock;

/// What ends the command.
const ENDING: [i32; 4] = [SIGHUP, SIGINT, SIGQUIT, SIGTERM];

static WAITING: Mutex<Waiting> =
    Mutex::new(Waiting { holds: 0, keys_ignored: false, arrived: None, unwanted: Vec::new() });

struct Waiting {
    /// How many parts of the command are not to be broken off now.
    holds: usize,
    /// Whether somebody else is meant by what is typed at the terminal.
    keys_ignored: bool,
    /// The first signal that came meanwhile.
    arrived: Option<i32>,
    /// Files to be erased where the command ends early.
    unwanted: Vec<PathBuf>,
}

impl Waiting {
    /// Whether the command is to be ended now; else the signal is ignored, or kept until it may.
    fn is_to_end(&mut self, signal: i32) -> bool {
        if self.keys_ignored && matches!(signal, SIGINT | SIGQUIT) {
            return false;
        }
        if self.holds > 0 {
            self.arrived.get_or_insert(signal);
        }
        self.holds == 0
    }

    fn end(&mut self, signal: i32) {
        for path in self.unwanted.drain(..) {
            // Best effort: the secret in it was never switched on.
            let _ = fs::remove_file(path);
        }
        let _ = emulate_default_handler(signal);
    }
}

fn waiting() -> MutexGuard<'static, Waiting> {
    WAITING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// While this lives, no signal ends the command; one that came ends it afterwards.
#[must_use]
pub struct Hold(());

/// From here on.
pub fn hold() -> Hold {
    watch();
    let mut waiting = waiting();
    waiting.holds = waiting.holds.saturating_add(1);
    Hold(())
}

impl Drop for Hold {
    fn drop(&mut self) {
        let mut waiting = waiting();
        waiting.holds = waiting.holds.saturating_sub(1);
        if let Some(signal) = waiting.arrived
            && waiting.is_to_end(signal)
        {
            waiting.end(signal);
        }
    }
}

/// While this lives, Ctrl-C and Ctrl-\ do nothing to the command: an editor has the terminal, as with visudo(8).
#[must_use]
pub struct Ignored(());

/// From here on. A program that is started meanwhile gets them as always.
pub fn ignore_keys() -> Ignored {
    watch();
    waiting().keys_ignored = true;
    Ignored(())
}

impl Drop for Ignored {
    fn drop(&mut self) {
        waiting().keys_ignored = false;
    }
}

/// Where the command is ended early, this file goes.
pub fn erase_if_ended(path: &Path) {
    watch();
    waiting().unwanted.push(path.to_owned());
}

/// The file stays, or is gone already.
pub fn no_longer_erased(path: &Path) {
    waiting().unwanted.retain(|one| one != path);
}

/// Where that fails, signals do what they always did.
fn watch() {
    static WATCHED: Once = Once::new();
    WATCHED.call_once(|| {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let wanted = ENDING.into_iter().filter(|&signal| !is_ignored(&status, signal));
        let Ok(mut signals) = Signals::new(wanted) else { return };
        let take = move || {
            // Those alone: the thread begins with all blocked that a holder of a lock defers.
            let _ = ending().thread_unblock();
            signals.forever().for_each(take);
        };
        let mask = flock::deferred().thread_swap_mask(SigmaskHow::SIG_BLOCK);
        let _ = thread::Builder::new().name("signals".to_owned()).spawn(take);
        let _ = mask.map(|mask| mask.thread_set_mask());
    });
}

fn ending() -> SigSet {
    ENDING.into_iter().filter_map(|signal| Signal::try_from(signal).ok()).collect()
}

/// What the thread does with a signal.
fn take(signal: i32) {
    if !waiting().is_to_end(signal) {
        return;
    }
    flock::while_no_lock_is_held(|| {
        let mut waiting = waiting();
        // A part that is not to be broken off may have begun meanwhile.
        if waiting.is_to_end(signal) {
            waiting.end(signal);
        }
    });
}

/// Whether whoever started this command had the signal ignored, as nohup(1) does: then it stays so. By proc(5).
fn is_ignored(status: &str, signal: i32) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    let bit = u32::try_from(signal).ok().and_then(|signal| signal.checked_sub(1));
    bit.and_then(|bit| mask.checked_shr(bit)).is_some_and(|mask| mask & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nohup_ignores_is_ignored() {
        let status = "Name:\tx\nSigBlk:\t0000000000000002\nSigIgn:\t0000000000001001\n";
        assert!(is_ignored(status, SIGHUP));
        assert!(!is_ignored(status, SIGINT) && !is_ignored(status, SIGTERM));
        assert!(!is_ignored("", SIGHUP));
    }
}
