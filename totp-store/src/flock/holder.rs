//! Who holds a lock, and how to end them. The caller of su may stop it (SIGSTOP) while it holds the lock on somebody's
//! state, or on the permanent record; nobody may be kept out by that.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt as _;

use nix::sys::stat::{FileStat, fstat, major, minor};
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
    /// Who holds the flock on `file`: nobody where it can't be told, and never this process itself. More than one only where
    /// lines of `/proc/locks` can't be told apart.
    pub(super) fn all_of(file: impl AsFd) -> Vec<Self> {
        let Ok(file) = fstat(file) else { return Vec::new() };
        let pids = holding_pids(&file);
        let opened: Vec<Self> = pids.into_iter().filter_map(Self::opened).collect();
        // A number may have passed to another process before its descriptor was open: look again, now that it can't.
        let still = if opened.is_empty() { Vec::new() } else { holding_pids(&file) };
        opened.into_iter().filter(|holder| still.contains(&holder.pid)).collect()
    }

    fn opened(pid: Pid) -> Option<Self> {
        let fd = pidfd_open(pid, PidfdFlags::empty()).ok()?;
        let started = stat(pid)?.1;
        Some(Self { pid, started, fd })
    }

    pub(super) fn state(&self) -> State {
        match stat(self.pid) {
            Some(('T', started)) if started == self.started => State::Stopped,
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

/// The processes that `/proc/locks` names as holders of a flock on this file (proc_locks(5)), other than this one.
fn holding_pids(file: &FileStat) -> Vec<Pid> {
    // Line by line: anybody can make it long.
    let Ok(locks) = File::open("/proc/locks") else { return Vec::new() };
    let lines = BufReader::new(locks).lines().map_while(Result::ok);
    let device = (major(file.st_dev), minor(file.st_dev));
    let (exact, shadows): (Vec<_>, Vec<_>) = claims(lines, file.st_ino)
        .filter(|claim| claim.pid != getpid())
        .partition(|claim| claim.device == device);
    let found: Vec<Pid> = if exact.is_empty() {
        // btrfs shows another device there than stat does. Anybody can have a file with this inode number on yet another
        // one, but not have this very file open.
        let has = |pid: &Pid| has_open(*pid, file) == Some(true);
        shadows.into_iter().map(|claim| claim.pid).filter(has).collect()
    } else {
        // The number is that of whoever took the lock, and may be somebody else's by now. But where that can't be looked at
        // (a set-uid program in a container), a stopped holder must not be safe.
        let may_have = |pid: &Pid| has_open(*pid, file) != Some(false);
        exact.into_iter().map(|claim| claim.pid).filter(may_have).collect()
    };
    found.into_iter().fold(Vec::new(), |mut once, pid| {
        if !once.contains(&pid) {
            once.push(pid);
        }
        once
    })
}

/// A line of `/proc/locks`: who holds a flock on a file of the wanted inode number, and on which device that is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Claim {
    pid: Pid,
    /// Major and minor number.
    device: (u64, u64),
}

/// All claims to an inode number, on whatever device.
fn claims(lines: impl Iterator<Item = String>, inode: u64) -> impl Iterator<Item = Claim> {
    lines.filter_map(move |line| claim(&line, inode))
}

/// `1: FLOCK  ADVISORY  WRITE 1234 fe:00:5678 0 EOF`; a line with `->` is a waiter's.
fn claim(line: &str, inode: u64) -> Option<Claim> {
    let mut words = line.split_ascii_whitespace().skip(1);
    if words.next()? != "FLOCK" {
        return None;
    }
    let pid = Pid::from_raw(words.nth(2)?.parse().ok()?)?;
    let mut place = words.next()?.split(':');
    let mut number = || u64::from_str_radix(place.next()?, 16).ok();
    let device = (number()?, number()?);
    (place.next()?.parse() == Ok(inode)).then_some(Claim { pid, device })
}

/// Whether a process has this very file open; `None` where that can't be seen.
fn has_open(pid: Pid, wanted: &FileStat) -> Option<bool> {
    let open = fs::read_dir(format!("/proc/{}/fd", pid.as_raw_nonzero())).ok()?;
    let found = open
        .flatten()
        .filter_map(|entry| fs::metadata(entry.path()).ok())
        .any(|found| found.ino() == wanted.st_ino && found.dev() == wanted.st_dev);
    Some(found)
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

    fn claims_to(inode: u64, text: &str) -> Vec<(i32, (u64, u64))> {
        let found = claims(text.lines().map(str::to_owned), inode);
        found.map(|claim| (claim.pid.as_raw_nonzero().get(), claim.device)).collect()
    }

    #[test]
    fn every_holder_of_an_inode_number_is_found_in_proc_locks_with_its_device() {
        let text = "1: FLOCK  ADVISORY  WRITE 77 00:2a:5678 0 EOF\n\
                    2: POSIX  ADVISORY  WRITE 78 fe:00:5678 0 EOF\n\
                    3: FLOCK  ADVISORY  WRITE 79 fe:00:567 0 EOF\n\
                    4: FLOCK  ADVISORY  WRITE 1234 fe:01:5678 0 EOF\n\
                    4: -> FLOCK  ADVISORY  WRITE 80 fe:01:5678 0 EOF\n\
                    5: FLOCK  ADVISORY  WRITE 0 fe:01:5678 0 EOF\n\
                    \n\
                    6: FLOCK  ADVISORY  WRITE";
        assert_eq!(claims_to(5678, text), [(77, (0, 0x2a)), (1234, (0xfe, 1))]);
        assert_eq!(claims_to(56, text), []);
    }

    #[test]
    fn state_and_start_are_read_whatever_the_program_is_called() {
        let fields = (4..=30).map(|n| n.to_string()).collect::<Vec<_>>().join(" ");
        assert_eq!(parse_stat(&format!("7 (a) b) T {fields}")), Some(('T', 22)));
        assert_eq!(parse_stat("7 (a"), None);
    }
}
