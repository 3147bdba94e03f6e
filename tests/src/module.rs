//! The other end of a daemon's socket: what a module sends, and what no module would.

use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::Path;
use std::time::Duration;

use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockType, UnixAddr, connect, recv, send, setsockopt, socket,
    sockopt,
};
use nix::sys::time::{TimeVal, TimeValLike as _};
use totp_wire::{Hook, Outgoing, ToDaemon, ToModule, limits};

use crate::SOON;

/// A connection to a daemon.
#[derive(Debug)]
pub struct Module(OwnedFd);

impl Module {
    /// Connects; `None` where there is no daemon.
    ///
    /// # Panics
    ///
    /// Where there can't be a socket.
    #[must_use]
    pub fn connect(path: &Path) -> Option<Self> {
        let kind = SockType::SeqPacket;
        let socket = socket(AddressFamily::Unix, kind, SockFlag::SOCK_CLOEXEC, None).unwrap();
        let soon = TimeVal::seconds(i64::try_from(SOON.as_secs()).unwrap());
        setsockopt(&socket, sockopt::ReceiveTimeout, &soon).unwrap();
        let address = UnixAddr::new(path).unwrap();
        connect(socket.as_raw_fd(), &address).ok().map(|()| Self(socket))
    }

    /// Whether the daemon says that it is there, and in which versions.
    #[must_use]
    pub fn is_welcome(&self) -> bool {
        self.receive().is_some_and(|packet| ToModule::decode(&packet) == Ok(ToModule::FIRST))
    }

    /// Waits no longer than this for a packet from now on.
    pub fn wait_for(&self, most: Duration) {
        let most = TimeVal::milliseconds(i64::try_from(most.as_millis()).unwrap());
        setsockopt(&self.0, sockopt::ReceiveTimeout, &most).unwrap();
    }

    /// The next packet; `None` at the end of the connection, or where nothing comes.
    #[must_use]
    pub fn receive(&self) -> Option<Vec<u8>> {
        let mut buffer = vec![0; limits::PACKET];
        let length = recv(self.0.as_raw_fd(), &mut buffer, MsgFlags::empty()).unwrap_or(0);
        buffer.truncate(length);
        (length > 0).then_some(buffer)
    }

    /// Whether the daemon ends the connection, and says nothing before.
    #[must_use]
    pub fn is_over(&self) -> bool {
        recv(self.0.as_raw_fd(), &mut [0; 1], MsgFlags::empty()) == Ok(0)
    }

    /// Sends one packet, whatever is in it. `false`: the daemon is gone.
    pub fn send(&self, packet: &[u8]) -> bool {
        send(self.0.as_raw_fd(), packet, MsgFlags::MSG_NOSIGNAL) == Ok(packet.len())
    }

    /// Sends an answer.
    pub fn answer(&self, answer: &ToDaemon<'_>) -> bool {
        let mut buffer = vec![0; limits::PACKET];
        let length = answer.encode(&mut buffer).unwrap();
        self.send(&buffer[..length])
    }
}

/// A hello about a user, as the module of a program of root sends it.
#[must_use]
pub fn hello(hook: Hook, user: &str) -> Vec<u8> {
    hello_from(hook, user, 0, "192.0.2.1")
}

/// The same for a caller with this real uid (not root's under `su` and `sudo`), and a login from there.
///
/// # Panics
///
/// For a text that has no room.
#[must_use]
pub fn hello_from(hook: Hook, user: &str, real_uid: u32, rhost: &str) -> Vec<u8> {
    let [user, rhost] = [user, rhost].map(|text| std::ffi::CString::new(text).unwrap());
    let hello = Outgoing {
        version: limits::HIGHEST_VERSION,
        hook,
        flags: 0,
        real_uid,
        login_uid: None,
        audit_session: None,
        stdout_is_terminal: false,
        stderr_is_terminal: false,
        user: Some(&user),
        service: Some(c"code"),
        rhost: Some(&rhost),
        tty: Some(c"ssh"),
        ruser: None,
        arguments: [c"nodelay"],
        ssh_auth_info: None,
        authtok: None,
        mark: None,
    };
    let mut buffer = vec![0; limits::PACKET];
    let length = hello.encode(&mut buffer).unwrap();
    buffer.truncate(length);
    buffer
}
