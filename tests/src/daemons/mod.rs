//! Other people's daemons in a house, each as it is installed: on loopback, at a free port, and ended with the test.

pub mod base64;
mod cockpit;
mod dovecot;
mod openvpn;
mod postgresql;
mod vsftpd;

pub use cockpit::{Cockpit, Conversed};
pub use dovecot::Dovecot;
pub use openvpn::OpenVpn;
pub use postgresql::PostgreSql;
pub use vsftpd::Vsftpd;

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::{House, SOON, eventually};

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

    /// Ends it. What it has said until then.
    pub(crate) fn ended(mut self) -> String {
        self.end();
        self.output()
    }

    fn end(&mut self) {
        // What it started ends with it.
        let _ = kill(Pid::from_raw(self.child.id().cast_signed()), Signal::SIGTERM);
        let deadline = Instant::now() + SOON;
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// What it has said so far.
    pub(crate) fn output(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.output).unwrap()).into_owned()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Nothing here may panic: a test that has failed is unwinding already.
        self.end();
        if std::thread::panicking() {
            let said = fs::read(&self.output).unwrap_or_default();
            #[allow(clippy::print_stderr)]
            {
                eprintln!("--- {}:\n{}", self.output.display(), String::from_utf8_lossy(&said));
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
