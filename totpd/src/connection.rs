//! A connection to a module: one packet is one message. Nothing here waits without an end but for what a person does in the
//! program at the other end.

use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send, sockopt};
use thiserror::Error;
use totp_wire::{ToDaemon, ToModule, limits};
use zeroize::Zeroize as _;

/// The module is gone, or does not keep to the protocol: nothing more is sent to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the module has left")]
pub(crate) struct Gone;

/// How long a module may take for a message that no person is asked for. One that is stopped meanwhile begins again.
const PATIENCE: Duration = Duration::from_secs(5);

/// An accepted connection.
#[derive(Debug)]
pub(crate) struct Connection {
    socket: Arc<OwnedFd>,
    /// What is sent or received; wiped after each packet, since it may hold a code or a key.
    buffer: Vec<u8>,
}

impl Connection {
    pub(crate) fn new(socket: OwnedFd) -> Self {
        Self { socket: Arc::new(socket), buffer: vec![0; limits::PACKET] }
    }

    /// The socket, for a thread that ends the connection from outside.
    pub(crate) fn socket(&self) -> Arc<OwnedFd> {
        Arc::clone(&self.socket)
    }

    /// The effective uid of the process that connected, as the kernel noted it at that time.
    pub(crate) fn peer_uid(&self) -> Result<u32, Gone> {
        let peer = sockopt::socket_peercred(&self.socket).map_err(|_| Gone)?;
        Ok(peer.uid.as_raw())
    }

    /// Sends one message. A module that does not take it now is given up: its buffer has room for any honest conversation.
    pub(crate) fn send(&mut self, message: &ToModule<'_>) -> Result<(), Gone> {
        let length = message.encode(&mut self.buffer).map_err(|_| Gone)?;
        let packet = self.buffer.get_mut(..length).ok_or(Gone)?;
        let sent = loop {
            match send(&self.socket, packet, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
                Err(Errno::INTR) => {}
                sent => break sent,
            }
        };
        packet.zeroize();
        if sent == Ok(length) { Ok(()) } else { Err(Gone) }
    }

    /// Receives the module's first packet and hands it to `read`.
    pub(crate) fn receive_first<T>(
        &mut self,
        read: impl FnOnce(&[u8]) -> Option<T>,
    ) -> Result<T, Gone> {
        self.wait(PATIENCE)?;
        self.receive(read)
    }

    /// Receives an answer for which a person is asked, however long that takes, and hands it to `read`.
    pub(crate) fn receive_answer<T>(
        &mut self,
        read: impl FnOnce(ToDaemon<'_>) -> Option<T>,
    ) -> Result<T, Gone> {
        self.receive(|packet| ToDaemon::decode(packet).ok().and_then(read))
    }

    fn receive<T>(&mut self, read: impl FnOnce(&[u8]) -> Option<T>) -> Result<T, Gone> {
        let (length, cut_off) = loop {
            // Longer than the buffer by nothing: TRUNC says where a packet had no room.
            match recv(&self.socket, self.buffer.as_mut_slice(), RecvFlags::TRUNC) {
                Ok((_, length)) => break (length, length > limits::PACKET),
                Err(Errno::INTR) => {}
                Err(_) => return Err(Gone),
            }
        };
        // An empty packet reads as the end; neither is a message.
        let is_message = length > 0 && !cut_off;
        let packet = self.buffer.get_mut(..length.min(limits::PACKET)).ok_or(Gone)?;
        let value = if is_message { read(packet) } else { None };
        packet.zeroize();
        value.ok_or(Gone)
    }

    fn wait(&self, most: Duration) -> Result<(), Gone> {
        let until = Instant::now().checked_add(most).ok_or(Gone)?;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let timeout = Timespec::try_from(left).map_err(|_| Gone)?;
            let mut fds = [PollFd::new(&self.socket, PollFlags::IN)];
            match poll(&mut fds, Some(&timeout)) {
                Ok(0) => return Err(Gone),
                Ok(_) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(_) => return Err(Gone),
            }
        }
    }

    /// Whether the module still waits for what comes: asked before anything is evaluated for it.
    pub(crate) fn is_there(&self) -> bool {
        let mut fds = [PollFd::from_borrowed_fd(self.socket.as_fd(), PollFlags::empty())];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        let gone = PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL;
        match poll(&mut fds, Some(&now)) {
            Ok(_) => fds.iter().all(|fd| !fd.revents().intersects(gone)),
            Err(_) => false,
        }
    }
}
