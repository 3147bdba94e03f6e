//! The socket to the daemon: one packet is one message, and every wait has an end.

use core::ffi::{CStr, c_int};

use super::system::{Milliseconds, Moment, errno};

/// Why there is no packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotReceived {
    /// The time is over.
    Late,
    /// The connection is, or what came is no message.
    Over,
}

/// A connected socket, closed on drop.
pub(crate) struct Channel(c_int);

impl Channel {
    /// Connects to a daemon of root's. `None` where there is none, or none that has room within the time.
    pub(crate) fn connect(path: &CStr, within: Milliseconds) -> Option<Self> {
        // SAFETY: takes numbers.
        let fd =
            unsafe { libc::socket(libc::AF_UNIX, libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC, 0) };
        let channel = Self::of(fd)?;
        // A socket whose backlog is full is waited for, but not for ever.
        let seconds = libc::time_t::try_from(within.0.wrapping_div(1000)).ok()?;
        let timeout = libc::timeval { tv_sec: seconds, tv_usec: 0 };
        channel.set(libc::SO_SNDTIMEO, &timeout)?;
        let mut address = libc::sockaddr_un {
            sun_family: libc::sa_family_t::try_from(libc::AF_UNIX).ok()?,
            sun_path: [0; 108],
        };
        let with_nul = path.to_bytes_with_nul();
        for (to, from) in address.sun_path.get_mut(..with_nul.len())?.iter_mut().zip(with_nul) {
            *to = from.cast_signed();
        }
        let size = libc::socklen_t::try_from(size_of::<libc::sockaddr_un>()).ok()?;
        // A signal of the host's ends the wait for a full backlog, and not the connection.
        let until = Moment::now().plus(within);
        let status = loop {
            // SAFETY: an address of ours with its size.
            let status = unsafe { libc::connect(channel.0, (&raw const address).cast(), size) };
            if status == 0 || errno() != libc::EINTR || until.left() == 0 {
                break status;
            }
        };
        (status == 0 && channel.is_roots()).then_some(channel)
    }

    /// Takes a descriptor over; `None` where there is none. Never one of the first three: what the host or its conversation
    /// writes to a standard output that it has closed must not reach the daemon.
    pub(super) fn of(fd: c_int) -> Option<Self> {
        if fd < 0 {
            return None;
        }
        let channel = Self(fd);
        if fd > 2 {
            return Some(channel);
        }
        // SAFETY: a descriptor of ours, and numbers. The old one is closed with `channel`.
        let higher = unsafe { libc::fcntl(channel.0, libc::F_DUPFD_CLOEXEC, 3) };
        (higher > 2).then_some(Self(higher))
    }

    /// Whether the process that listens was root's, as the kernel noted it when it began to listen.
    fn is_roots(&self) -> bool {
        let mut peer = libc::ucred { pid: 0, uid: u32::MAX, gid: u32::MAX };
        let Ok(mut size) = libc::socklen_t::try_from(size_of::<libc::ucred>()) else {
            return false;
        };
        // SAFETY: room for credentials, and its size.
        let status = unsafe {
            let (level, name) = (libc::SOL_SOCKET, libc::SO_PEERCRED);
            libc::getsockopt(self.0, level, name, (&raw mut peer).cast(), &raw mut size)
        };
        status == 0 && peer.uid == 0
    }

    fn set<T>(&self, option: c_int, value: &T) -> Option<()> {
        let size = libc::socklen_t::try_from(size_of::<T>()).ok()?;
        // SAFETY: a value of ours with its size; the kernel copies it.
        let status = unsafe {
            let value: *const T = value;
            libc::setsockopt(self.0, libc::SOL_SOCKET, option, value.cast(), size)
        };
        (status == 0).then_some(())
    }

    /// Sends the first `length` bytes as one packet, and says whether they went.
    pub(crate) fn send(&self, packet: &[u8], length: usize) -> bool {
        let Some(packet) = packet.get(..length) else { return false };
        let send = || loop {
            // SAFETY: a slice of ours with its size.
            let sent = unsafe {
                libc::send(self.0, packet.as_ptr().cast(), packet.len(), libc::MSG_NOSIGNAL)
            };
            if sent >= 0 || errno() != libc::EINTR {
                return usize::try_from(sent) == Ok(length);
            }
        };
        if send() {
            return true;
        }
        // A system whose sockets have a smaller buffer than a packet.
        const ROOM: c_int = 2 * 65_536;
        errno() == libc::EMSGSIZE && self.set(libc::SO_SNDBUF, &ROOM).is_some() && send()
    }

    /// Receives one packet, and says how long it is.
    pub(crate) fn receive(&self, buffer: &mut [u8], until: Moment) -> Result<usize, NotReceived> {
        loop {
            let mut fd = libc::pollfd { fd: self.0, events: libc::POLLIN, revents: 0 };
            let left = until.left();
            // SAFETY: one descriptor of ours.
            let ready = unsafe { libc::poll(&raw mut fd, 1, left) };
            if ready < 0 && errno() == libc::EINTR {
                continue;
            }
            // A process that was stopped until after the deadline finds what has come meanwhile: looked for once more.
            let flags = libc::MSG_DONTWAIT | libc::MSG_TRUNC;
            // SAFETY: a slice of ours with its size.
            let length =
                unsafe { libc::recv(self.0, buffer.as_mut_ptr().cast(), buffer.len(), flags) };
            if length < 0 && errno() == libc::EINTR {
                continue;
            }
            let is_over = ready == 0 || left == 0;
            if length < 0 && errno() == libc::EAGAIN && !is_over {
                continue;
            }
            if length < 0 && errno() == libc::EAGAIN {
                return Err(NotReceived::Late);
            }
            let length = usize::try_from(length).map_err(|_| NotReceived::Over)?;
            let is_message = length > 0 && length <= buffer.len();
            return if is_message { Ok(length) } else { Err(NotReceived::Over) };
        }
    }
}

impl Drop for Channel {
    fn drop(&mut self) {
        // SAFETY: a descriptor of ours, not used again.
        unsafe { libc::close(self.0) };
    }
}

impl Channel {
    /// The descriptor, for a helper process.
    pub(super) fn fd(&self) -> c_int {
        self.0
    }
}
