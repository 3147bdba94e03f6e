//! Other people's daemons in a house, each as it is installed: on loopback, at a free port, and ended with the test.

mod cockpit;
mod dovecot;
mod openvpn;
mod vsftpd;

pub use cockpit::{Cockpit, Conversed};
pub use dovecot::Dovecot;
pub use openvpn::OpenVpn;
pub use vsftpd::Vsftpd;

use std::fmt::Write as _;
use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::{House, eventually};

/// A daemon that runs, and what it says.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    output: PathBuf,
}

impl Running {
    /// Starts it with both outputs in a file.
    pub(crate) fn start(house: &House, name: &str, mut command: Command) -> Self {
        let output = house.disk().join(format!("{name}.out"));
        let file = fs::File::create(&output).unwrap();
        command.stdout(file.try_clone().unwrap()).stderr(file);
        Self { child: command.spawn().expect("nsenter (util-linux) is needed"), output }
    }

    /// Starts it at a free port, and waits until it listens. Another program may take the port in between: then the next one is
    /// tried.
    pub(crate) fn at_a_port(
        house: &House,
        name: &str,
        mut command: impl FnMut(u16) -> Command,
    ) -> (Self, u16) {
        for _ in 0..5 {
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let mut running = Self::start(house, name, command(port));
            if running.listens(port) {
                return (running, port);
            }
        }
        panic!("{name} does not start: is it installed?");
    }

    fn listens(&mut self, port: u16) -> bool {
        eventually("it listens, or has ended", || {
            if self.has_ended() {
                return Some(false);
            }
            TcpStream::connect(("127.0.0.1", port)).ok().map(|_| true)
        })
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// What it has said so far.
    pub(crate) fn output(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.output).unwrap()).into_owned()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // What it started ends with it.
        let _ = kill(Pid::from_raw(self.child.id().cast_signed()), Signal::SIGTERM);
        eventually("the daemon ends", || self.has_ended().then_some(()));
        if std::thread::panicking() {
            #[allow(clippy::print_stderr)]
            {
                eprintln!("--- {}:\n{}", self.output.display(), self.output());
            }
        }
    }
}

/// Adds an account that a daemon runs as.
fn add_account(house: &House, name: &str, id: u32) {
    for (file, line) in [
        ("/etc/passwd", format!("{name}:x:{id}:{id}::/nonexistent:/usr/sbin/nologin\n")),
        ("/etc/group", format!("{name}:x:{id}:\n")),
    ] {
        let path = house.path(file);
        let lines = fs::read_to_string(&path).unwrap();
        fs::write(&path, lines + &line).unwrap();
    }
}

/// Base 64, with padding.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let number = (0..3).fold(0, |n, at| (n << 8) | u32::from(*three.get(at).unwrap_or(&0)));
        for at in 0..4 {
            let character = ALPHABET[(number >> (18 - 6 * at) & 63) as usize];
            let _ = write!(text, "{}", if at > three.len() { '=' } else { char::from(character) });
        }
    }
    text
}
