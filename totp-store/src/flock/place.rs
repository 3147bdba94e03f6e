//! A lock of one place in a file that many names share (fcntl(2), open file description locks): a name waits for itself
//! alone, and for as long as it would with a file of its own. What is kept there is worth nothing, so a lock that
//! isn't to be had is gone without in the end, and no process is ended for it.

use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;

use super::Wait;
use super::patience::Pauses;

/// As long as is waited for a place.
const LONGEST: Duration = Duration::from_secs(2);

/// A place that is locked, if it was to be had; it is free again with the end of this value.
#[derive(Debug)]
pub(crate) struct Place<'a> {
    fd: BorrowedFd<'a>,
    at: u64,
}

impl<'a> Place<'a> {
    /// Locks a place, or gives up waiting for it.
    pub(crate) fn lock(file: &'a impl AsFd, at: u64) -> Self {
        let place = Self { fd: file.as_fd(), at };
        let mut pauses = Pauses::begin(Wait::AtMost(LONGEST));
        while !place.is_taken() && pauses.pause() {}
        place
    }

    /// Tries once. `None`: it is held.
    #[cfg(test)]
    pub(crate) fn try_lock(file: &'a impl AsFd, at: u64) -> Option<Self> {
        let place = Self { fd: file.as_fd(), at };
        if place.is_taken() { Some(place) } else { None }
    }

    /// Tries once; whatever goes wrong but another holder's lock is no reason to wait.
    fn is_taken(&self) -> bool {
        !matches!(self.change(libc::F_WRLCK), Err(Errno::EAGAIN | Errno::EACCES))
    }

    fn change(&self, to: libc::c_int) -> Result<(), Errno> {
        let change = libc::flock {
            l_type: libc::c_short::try_from(to).map_err(|_| Errno::EINVAL)?,
            l_whence: 0, // SEEK_SET
            l_start: libc::off_t::try_from(self.at >> 1).unwrap_or(libc::off_t::MAX >> 1),
            l_len: 1,
            l_pid: 0,
        };
        fcntl(self.fd, FcntlArg::F_OFD_SETLK(&change)).map(drop)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        // Nothing to be undone where there was no lock.
        let _ = self.change(libc::F_UNLCK);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_waited_for_and_another_one_is_not() {
        let temp = tempfile::NamedTempFile::new().unwrap();
        let (one, two) = (temp.reopen().unwrap(), temp.reopen().unwrap());
        let held = Place::lock(&one, u64::MAX);
        assert!(Place::try_lock(&two, u64::MAX).is_none());
        assert!(Place::try_lock(&two, u64::MAX - 2).is_some());
        drop(held);
        assert!(Place::try_lock(&two, u64::MAX).is_some());
    }
}
