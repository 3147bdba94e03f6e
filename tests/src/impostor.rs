//! Takes the daemon's place at a socket, and says to a module what no daemon would.

use std::fs;
use std::io::Read as _;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, Backlog, MsgFlags, SockFlag, SockType, UnixAddr, bind, listen, send, socket,
};
use std::os::fd::AsFd as _;
use totp_wire::{ToModule, limits};

use crate::SOON;

/// A listening socket of root's that any user may connect to.
#[derive(Debug)]
pub struct Impostor(UnixListener);

impl Impostor {
    /// Listens at a path of a house. The kernel keeps one connection more than `backlog` waiting.
    ///
    /// # Panics
    ///
    /// Where it can't.
    #[must_use]
    pub fn listen(path: &Path, backlog: i32) -> Self {
        let kind = SockType::SeqPacket;
        let socket = socket(AddressFamily::Unix, kind, SockFlag::SOCK_CLOEXEC, None).unwrap();
        bind(socket.as_raw_fd(), &UnixAddr::new(path).unwrap()).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o666)).unwrap();
        listen(&socket, Backlog::new(backlog).unwrap()).unwrap();
        // Of another type than the standard library's own, which only accepts here.
        Self(UnixListener::from(socket))
    }

    /// The next module that connects.
    ///
    /// # Panics
    ///
    /// If none does.
    #[must_use]
    pub fn accept(&self) -> Visitor {
        assert!(self.is_visited(SOON.as_millis().try_into().unwrap()), "no module has connected");
        let (stream, _) = self.0.accept().unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        Visitor(stream)
    }

    /// Whether a module waits to be accepted.
    ///
    /// # Panics
    ///
    /// Never.
    #[must_use]
    pub fn is_visited(&self, milliseconds: u16) -> bool {
        let mut fds = [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)];
        poll(&mut fds, PollTimeout::from(milliseconds)).unwrap() == 1
    }
}

/// A module that takes this end for the daemon.
#[derive(Debug)]
pub struct Visitor(UnixStream);

impl Visitor {
    /// Sends one packet, whatever is in it.
    pub fn send(&self, packet: &[u8]) -> bool {
        send(self.0.as_raw_fd(), packet, MsgFlags::MSG_NOSIGNAL) == Ok(packet.len())
    }

    /// Sends a message.
    pub fn say(&self, message: &ToModule<'_>) -> bool {
        self.send(&packet(message))
    }

    /// Says what a daemon says first, and takes the hello.
    ///
    /// # Panics
    ///
    /// If none comes.
    #[must_use]
    pub fn welcome(&self) -> Vec<u8> {
        assert!(self.say(&ToModule::FIRST));
        self.hear().expect("a hello")
    }

    /// The next packet; `None` at the end of the connection.
    ///
    /// # Panics
    ///
    /// If nothing comes.
    #[must_use]
    pub fn hear(&self) -> Option<Vec<u8>> {
        let mut buffer = vec![0; limits::PACKET];
        let length = (&self.0).read(&mut buffer).expect("a packet, or the end");
        buffer.truncate(length);
        (length > 0).then_some(buffer)
    }
}

/// A message as it is sent.
///
/// # Panics
///
/// Where it is too long.
#[must_use]
pub fn packet(message: &ToModule<'_>) -> Vec<u8> {
    let mut buffer = vec![0; limits::PACKET];
    let length = message.encode(&mut buffer).unwrap();
    buffer.truncate(length);
    buffer
}
