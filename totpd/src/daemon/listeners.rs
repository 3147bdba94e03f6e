//! The sockets: systemd's by name, or made at the paths of the command line.

use std::fs::{self, Permissions};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, connect, getsockname, listen,
    socket_with, sockopt,
};

use super::NotStarted;
use crate::command_line::Serve;

/// Connections that wait to be accepted: as many as the kernel allows where that is fewer.
const BACKLOG: i32 = 4096;

/// What systemd calls the socket of root's callers (`FileDescriptorName=`).
const ROOT: &str = "root";

/// What systemd calls the socket of all others.
const USER: &str = "user";

/// The sockets of a daemon.
#[derive(Debug)]
pub(super) struct Listeners {
    root: OwnedFd,
    user: Option<OwnedFd>,
    root_path: Option<PathBuf>,
    /// Paths that were made here, and go with the daemon.
    made: Vec<PathBuf>,
}

impl Listeners {
    /// Takes systemd's, or makes those that the command line names.
    ///
    /// # Errors
    /// Where a socket is missing, of another type, or can't be made.
    pub(super) fn take(serve: &Serve) -> Result<Self, NotStarted> {
        match &serve.socket {
            Some(root) => Self::make(root, serve.user_socket.as_deref()),
            None => Self::from_systemd(),
        }
    }

    fn from_systemd() -> Result<Self, NotStarted> {
        let mut given = sd_listen_fds::get()?;
        let mut take = |wanted: &str| {
            let at = given.iter().position(|(name, _)| name.as_deref() == Some(wanted))?;
            Some(given.swap_remove(at).1.into_std())
        };
        let (root, user) = (take(ROOT), take(USER));
        let root = root.ok_or(
            "no socket: start totpd.socket, which starts totpd, or name one with --socket PATH",
        )?;
        for socket in [Some(&root), user.as_ref()].into_iter().flatten() {
            is_seqpacket(socket)?;
        }
        let root_path = path_of(&root);
        Ok(Self { root, user, root_path, made: Vec::new() })
    }

    fn make(root: &Path, user: Option<&Path>) -> Result<Self, NotStarted> {
        let mut made = vec![root.to_owned()];
        made.extend(user.map(Path::to_owned));
        let listeners = Self {
            root: made_at(root, 0o600)?,
            user: user.map(|path| made_at(path, 0o666)).transpose()?,
            root_path: Some(root.to_owned()),
            made,
        };
        Ok(listeners)
    }

    /// A descriptor of each socket, for the pools.
    pub(super) fn sockets(&self) -> std::io::Result<Vec<OwnedFd>> {
        let all = [Some(&self.root), self.user.as_ref()];
        all.into_iter().flatten().map(OwnedFd::try_clone).collect()
    }

    /// Where root's callers connect.
    pub(super) fn root_path(&self) -> Option<&Path> {
        self.root_path.as_deref()
    }

    /// Takes away what was made here.
    pub(super) fn remove(&self) {
        for path in &self.made {
            let _ = fs::remove_file(path);
        }
    }
}

/// Makes a listening socket. One that a dead daemon has left is replaced; one that is served is not.
fn made_at(path: &Path, mode: u32) -> Result<OwnedFd, NotStarted> {
    let failed = |what: &str, errno: Errno| format!("{}: {what}: {errno}", path.display());
    let address =
        SocketAddrUnix::new(path).map_err(|errno| failed("not a path for a socket", errno))?;
    let fresh =
        || socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None);
    let socket = fresh().map_err(|errno| failed("socket", errno))?;
    match connect(&fresh().map_err(|errno| failed("socket", errno))?, &address) {
        Err(Errno::NOENT) => {}
        Err(Errno::CONNREFUSED) => {
            fs::remove_file(path).map_err(|error| format!("{}: {error}", path.display()))?;
        }
        Ok(()) => return Err(format!("{}: another program listens there", path.display()).into()),
        Err(errno) => return Err(failed("in the way", errno).into()),
    }
    bind(&socket, &address).map_err(|errno| match errno {
        Errno::NOENT => {
            let above = path.parent().unwrap_or(path).display();
            format!(
                "{}: no such directory; make it first: install -d -m 755 {above}",
                path.display()
            )
        }
        errno => failed("bind", errno),
    })?;
    // Made with umask 077: until it is said otherwise, root alone connects.
    fs::set_permissions(path, Permissions::from_mode(mode))
        .map_err(|error| format!("{}: {error}", path.display()))?;
    listen(&socket, BACKLOG).map_err(|errno| failed("listen", errno))?;
    Ok(socket)
}

fn is_seqpacket(socket: &OwnedFd) -> Result<(), NotStarted> {
    let kind = sockopt::socket_type(socket.as_fd())?;
    if kind == SocketType::SEQPACKET {
        Ok(())
    } else {
        Err("a socket of systemd is not SOCK_SEQPACKET: totpd.socket needs ListenSequentialPacket="
            .into())
    }
}

fn path_of(socket: &OwnedFd) -> Option<PathBuf> {
    let address = SocketAddrUnix::try_from(getsockname(socket).ok()?).ok()?;
    let path = address.path()?;
    Some(PathBuf::from(path.to_str().ok()?))
}
