//! What the module asks the kernel: the time, ids, terminals, and two numbers of `/proc`.

use core::ffi::{CStr, c_int};

/// The calling thread's errno.
pub(super) fn errno() -> c_int {
    // SAFETY: a pointer to the calling thread's own errno, always valid.
    unsafe { *libc::__errno_location() }
}

pub(crate) fn real_uid() -> u32 {
    // SAFETY: takes nothing and cannot fail.
    unsafe { libc::getuid() }
}

pub(crate) fn effective_uid() -> u32 {
    // SAFETY: takes nothing and cannot fail.
    unsafe { libc::geteuid() }
}

pub(crate) fn is_terminal(fd: c_int) -> bool {
    // SAFETY: takes a number, open or not.
    unsafe { libc::isatty(fd) == 1 }
}

/// The number that a file of `/proc` holds; `None` where it can't be read or says "not set" (4294967295).
pub(crate) fn number_in(path: &CStr) -> Option<u32> {
    let mut text = [0_u8; 16];
    // SAFETY: a C string; then a buffer of ours with its size; the descriptor is closed at once.
    let length = unsafe {
        let fd = libc::open(path.as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC | libc::O_NOCTTY);
        if fd < 0 {
            return None;
        }
        let length = libc::read(fd, text.as_mut_ptr().cast(), text.len());
        libc::close(fd);
        usize::try_from(length).ok()?
    };
    let mut number = 0_u32;
    for byte in text.get(..length)? {
        match byte {
            b'0'..=b'9' => {
                let digit = u32::from(byte.wrapping_sub(b'0'));
                number = number.checked_mul(10)?.checked_add(digit)?;
            }
            _ => break,
        }
    }
    (length > 0 && number != u32::MAX).then_some(number)
}

/// A length of time. Not the standard library's, whose arithmetic may panic.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Milliseconds(pub(crate) u64);

impl Milliseconds {
    /// So much less, and not below zero.
    pub(crate) fn less(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

/// A moment of the monotonic clock, in milliseconds.
#[derive(Clone, Copy)]
pub(crate) struct Moment(u64);

impl Moment {
    /// So much later.
    pub(crate) fn plus(self, wait: Milliseconds) -> Self {
        Self(self.0.saturating_add(wait.0))
    }

    /// How long ago it was.
    pub(crate) fn elapsed(self) -> Milliseconds {
        Milliseconds(Self::now().0.saturating_sub(self.0))
    }

    /// Milliseconds until then, for poll(2).
    pub(super) fn left(self) -> c_int {
        c_int::try_from(self.0.saturating_sub(Self::now().0)).unwrap_or(c_int::MAX)
    }

    /// This one.
    pub(crate) fn now() -> Self {
        let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: room for a time. The clock always exists.
        unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut now) };
        let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
        let milliseconds = u64::try_from(now.tv_nsec).unwrap_or(0).wrapping_div(1_000_000);
        Self(seconds.saturating_mul(1000).saturating_add(milliseconds))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_of_proc_is_read_and_one_that_is_not_set_is_none() {
        assert!(number_in(c"/proc/self/no-such-file").is_none());
        assert_eq!(number_in(c"/proc/sys/kernel/ngroups_max"), Some(65536));
        assert!(number_in(c"/proc/self/loginuid").is_none_or(|uid| uid != u32::MAX));
    }
}
