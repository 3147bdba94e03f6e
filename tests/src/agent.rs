//! `totp-agent` at work in a house, and how it is ended.

use std::process::{Child, ExitStatus, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::{House, eventually};

/// The service, running.
#[derive(Debug)]
pub struct Agent {
    child: Child,
}

impl Agent {
    /// Starts it; it may not be ready yet.
    #[must_use]
    pub fn begin(house: &House) -> Self {
        Self::begin_with(house, &[])
    }

    /// The same with variables in its environment, as a supervisor sets them.
    #[must_use]
    pub fn begin_with(house: &House, variables: &[(&str, &str)]) -> Self {
        let mut command = house.command_with(variables);
        command.arg("totp-agent");
        command.stdout(Stdio::null()).stderr(Stdio::null());
        Self { child: command.spawn().expect("nsenter (util-linux) is needed") }
    }

    /// Starts it, and waits until it is at work.
    #[must_use]
    pub fn start(house: &House) -> Self {
        house.syslog().clear();
        let agent = Self::begin(house);
        let _ = house.syslog().expect("]: ready");
        agent
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap());
        kill(pid, signal).expect("it is running");
    }

    /// Ends it as a supervisor does.
    pub fn stop(mut self) -> ExitStatus {
        self.signal(Signal::SIGTERM);
        eventually("the agent ends", || self.child.try_wait().unwrap())
    }

    /// Ends it as nothing should.
    pub fn kill(mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
