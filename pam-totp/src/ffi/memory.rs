//! The buffers of one call: a packet, and the mark of an earlier hook. Mapped for the call: they need no room on a stack of the
//! host's, which may be small, and what was in them is gone from the process afterwards.

use core::ptr;

use totp_wire::limits;
use totp_wire::packet::copy;

const SIZE: usize = limits::PACKET + limits::MARK;

/// Zeroed memory of the process's own.
pub(crate) struct Memory {
    start: *mut u8,
}

impl Memory {
    /// `None` where the process may have no more.
    pub(crate) fn new() -> Option<Self> {
        let (protection, flags) =
            (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
        // SAFETY: a new mapping, at an address that the kernel chooses.
        let start = unsafe { libc::mmap(ptr::null_mut(), SIZE, protection, flags, -1, 0) };
        (start != libc::MAP_FAILED).then_some(Self { start: start.cast() })
    }

    /// The buffer for a packet.
    pub(crate) fn packet(&mut self) -> &mut [u8] {
        self.both().0
    }

    /// The buffer for a packet, and the mark.
    pub(crate) fn parts(&mut self) -> (&mut [u8], &[u8]) {
        let (packet, mark) = self.both();
        (packet, mark)
    }

    /// Copies a mark to its place; `None` where it has no room there.
    pub(super) fn set_mark(&mut self, mark: &[u8]) -> Option<()> {
        let (_, to) = self.both();
        to.get_mut(..mark.len()).map(|to| copy(to, mark))
    }

    /// Forgets the first bytes of the packet.
    pub(crate) fn wipe(&mut self, length: usize) {
        if let Some(packet) = self.packet().get_mut(..length) {
            // SAFETY: a whole slice of ours.
            unsafe { libc::explicit_bzero(packet.as_mut_ptr().cast(), packet.len()) };
        }
    }

    fn both(&mut self) -> (&mut [u8], &mut [u8]) {
        // SAFETY: two parts of the mapping that do not overlap, zeroed by the kernel, borrowed as long as `self` is.
        unsafe {
            (
                core::slice::from_raw_parts_mut(self.start, limits::PACKET),
                core::slice::from_raw_parts_mut(
                    self.start.wrapping_add(limits::PACKET),
                    limits::MARK,
                ),
            )
        }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: the mapping of `new`, which nothing borrows any more.
        unsafe { libc::munmap(self.start.cast(), SIZE) };
    }
}
