//! Who holds a lock, and how to end them. The caller of su may stop it (SIGSTOP) while it holds the lock on somebody's
//! state, or on the permanent record; nobody may be kept out by that.

use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt as _;

use nix::sys::stat::{FileStat, fstat};
use rustix::process::{Pid, PidfdFlags, Signal, getpid, pidfd_open, pidfd_send_signal};

/// A process that holds a lock. The descriptor names this process, even after its number is another's.
#[derive(Debug)]
pub(super) struct Holder {
    pid: Pid,
    /// When it started, in ticks since boot: with the number, names it for comparisons.
    started: u64,
    fd: OwnedFd,
}

impl PartialEq for Holder {
    fn eq(&self, other: &Self) -> bool {
        self.pid == other.pid && self.started == other.started
    }
}

/// What a process is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Stopped by a signal or a tracer.
    Stopped,
    /// Waiting for the disk.
    DiskWait,
    /// Running, sleeping, unknown.
    Other,
}

impl Holder {
    /// Who holds the flock on `file`. `None` where nobody does, where it can't be told, and where it is this process itself.
    pub(super) fn of(file: impl AsFd) -> Option<Self> {
        let file = fstat(file).ok()?;
        let inode = file.st_ino;
        let pid = holding_pid(inode)?;
        if pid == getpid() {
            return None;
        }
        let fd = pidfd_open(pid, PidfdFlags::empty()).ok()?;
        // The number may have passed to another process before the descriptor was open: look again, now that it can't. The
        // inode may be another file system's: the process must have this very file open.
        let confirmed = holding_pid(inode) == Some(pid) && has_open(pid, &file);
        let started = stat(pid)?.1;
        confirmed.then_some(Self { pid, started, fd })
    }

    pub(super) fn state(&self) -> State {
        match stat(self.pid) {
            Some(('T' | 't', started)) if started == self.started => State::Stopped,
            Some(('D', _)) => State::DiskWait,
            _ => State::Other,
        }
    }

    /// Kills it. What it had committed stays committed; its lock ends with it.
    pub(super) fn end(&self) {
        // It may be gone already, or somebody else's (only root is anybody's killer): then the wait goes on.
        let _ = pidfd_send_signal(&self.fd, Signal::KILL);
    }
}

/// The first process that `/proc/locks` names as holder of a flock on an inode (proc_locks(5)).
fn holding_pid(inode: u64) -> Option<Pid> {
    let locks = fs::read_to_string("/proc/locks").ok()?;
    let pid = locks.lines().find_map(|line| holder_in(line, inode))?;
    Pid::from_raw(pid)
}

/// `1: FLOCK  ADVISORY  WRITE 1234 fe:00:5678 0 EOF`; a line with `->` is a waiter's.
fn holder_in(line: &str, inode: u64) -> Option<i32> {
    let mut words = line.split_ascii_whitespace().skip(1);
    if words.next()? != "FLOCK" {
        return None;
    }
    let pid = words.nth(2)?;
    let (_, found) = words.next()?.rsplit_once(':')?;
    if found.parse() == Ok(inode) { pid.parse().ok() } else { None }
}

fn has_open(pid: Pid, wanted: &FileStat) -> bool {
    let Ok(open) = fs::read_dir(format!("/proc/{}/fd", pid.as_raw_nonzero())) else { return false };
    open.flatten()
        .filter_map(|entry| fs::metadata(entry.path()).ok())
        .any(|found| found.ino() == wanted.st_ino && found.dev() == wanted.st_dev)
}

/// State and start of a process: fields 3 and 22 of `/proc/PID/stat`.
fn stat(pid: Pid) -> Option<(char, u64)> {
    parse_stat(&fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?)
}

fn parse_stat(stat: &str) -> Option<(char, u64)> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_ascii_whitespace();
    let state = fields.next()?.chars().next()?;
    Some((state, fields.nth(18)?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_holder_is_found_in_the_lines_of_proc_locks() {
        let line = "1: FLOCK  ADVISORY  WRITE 1234 fe:00:5678 0 EOF";
        assert_eq!(holder_in(line, 5678), Some(1234));
        assert_eq!(holder_in(line, 567), None);
        assert_eq!(holder_in("1: -> FLOCK  ADVISORY  WRITE 1234 fe:00:5678 0 EOF", 5678), None);
        assert_eq!(holder_in("1: POSIX  ADVISORY  WRITE 1234 fe:00:5678 0 EOF", 5678), None);
        assert_eq!(holder_in("", 5678), None);
    }

    #[test]
    fn state_and_start_are_read_whatever_the_program_is_called() {
        let fields = (4..=30).map(|n| n.to_string()).collect::<Vec<_>>().join(" ");
        assert_eq!(parse_stat(&format!("7 (a) b) T {fields}")), Some(('T', 22)));
        assert_eq!(parse_stat("7 (a"), None);
    }
}
