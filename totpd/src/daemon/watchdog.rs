//! Tells systemd that logins are served (sd_notify(3), `WATCHDOG=1`), by doing what a login does: a connection, a hello for a
//! name that no user can have, and the prompt that comes of it.

use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType, connect, recv,
    send, socket_with,
};
use totp_store::notify;
use totp_wire::{Hook, Outgoing, ToModule, limits};

use crate::journal;

/// How long each answer may take. A login on a loaded machine takes less.
const PATIENCE: Timespec = Timespec { tv_sec: 10, tv_nsec: 0 };

/// Starts the thread, where systemd wants to hear of us.
///
/// # Errors
/// Where there can't be one.
pub(super) fn start(path: Option<PathBuf>) -> std::io::Result<()> {
    let (Some(often), Some(path)) = (notify::watchdog(), path) else { return Ok(()) };
    let watch = move || watch(&path, often);
    thread::Builder::new().name("watchdog".to_owned()).spawn(watch).map(drop)
}

fn watch(path: &Path, often: Duration) {
    loop {
        match login(path) {
            Ok(()) => notify::tell(notify::WATCHDOG),
            Err(error) => journal::error(&format!("watchdog: no login is served: {error}")),
        }
        thread::sleep(often);
    }
}

/// One login, as far as its prompt.
fn login(path: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let flags = SocketFlags::CLOEXEC;
    let socket = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
    connect(&socket, &SocketAddrUnix::new(path)?)?;
    let mut buffer = vec![0; limits::PACKET];
    let hear = |buffer: &mut Vec<u8>| -> Result<usize, Box<dyn std::error::Error>> {
        let mut fds = [PollFd::new(&socket, PollFlags::IN)];
        if poll(&mut fds, Some(&PATIENCE))? == 0 {
            return Err("no answer".into());
        }
        Ok(recv(&socket, buffer.as_mut_slice(), RecvFlags::empty())?.0)
    };
    hear(&mut buffer)?;
    let hello = Outgoing {
        version: limits::HIGHEST_VERSION,
        hook: Hook::Auth,
        flags: 0,
        real_uid: 0,
        login_uid: None,
        audit_session: None,
        stdout_is_terminal: false,
        stderr_is_terminal: false,
        user: Some(c""),
        service: Some(c"pam-totp-watchdog"),
        rhost: None,
        tty: None,
        ruser: None,
        arguments: std::iter::empty(),
        ssh_auth_info: None,
        authtok: None,
        mark: None,
    };
    let length = hello.encode(&mut buffer).map_err(|_| "the hello has no room")?;
    send(&socket, buffer.get(..length).unwrap_or_default(), SendFlags::NOSIGNAL)?;
    loop {
        let length = hear(&mut buffer)?;
        match ToModule::decode(buffer.get(..length).unwrap_or_default()) {
            // Where nothing can be decided, a login is told so: that is served, too.
            Ok(ToModule::Ask { .. } | ToModule::Done { .. } | ToModule::Busy) => return Ok(()),
            Ok(ToModule::Log { .. } | ToModule::FailDelay { .. }) => {}
            Ok(_) | Err(_) => return Err("an answer that no login gets".into()),
        }
    }
}
