//! Whether totpd answers, as the module asks it: a connection, and the daemon's first message.

use std::os::fd::AsRawFd as _;

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockType, UnixAddr, connect, recv, setsockopt, socket,
    sockopt,
};
use nix::sys::time::{TimeVal, TimeValLike as _};
use totp_wire::{ToModule, sockets};

/// As long as a module waits.
const PATIENCE: i64 = 3;

/// What became of it.
#[derive(Debug, PartialEq, Eq)]
pub enum Answer {
    /// It answers.
    Here,
    /// There is no socket.
    None,
    /// There is one, and no answer from it: what is wrong, and the remedy.
    Silent(String),
}

/// Asks.
pub fn look() -> Answer {
    match first_packet() {
        Ok(packet) if matches!(ToModule::decode(&packet), Ok(ToModule::Here { .. })) => {
            Answer::Here
        }
        Ok(_) => Answer::Silent(silent("another program answers")),
        Err(Errno::ENOENT) => Answer::None,
        Err(Errno::EAGAIN) => Answer::Silent(silent("no answer in time")),
        Err(errno) => Answer::Silent(silent(errno.desc())),
    }
}

fn silent(what: &str) -> String {
    let path = sockets::ROOT.to_string_lossy();
    format!("{path}: {what}; look at: systemctl status totpd.socket totpd-user.socket totpd")
}

fn first_packet() -> Result<Vec<u8>, Errno> {
    let kind = SockType::SeqPacket;
    let socket = socket(AddressFamily::Unix, kind, SockFlag::SOCK_CLOEXEC, None)?;
    // A full backlog is waited for as long as an answer.
    setsockopt(&socket, sockopt::SendTimeout, &TimeVal::seconds(PATIENCE))?;
    setsockopt(&socket, sockopt::ReceiveTimeout, &TimeVal::seconds(PATIENCE))?;
    connect(socket.as_raw_fd(), &UnixAddr::new(sockets::ROOT)?)?;
    let mut packet = vec![0; 64];
    let length = recv(socket.as_raw_fd(), &mut packet, MsgFlags::empty())?;
    packet.truncate(length);
    Ok(packet)
}
