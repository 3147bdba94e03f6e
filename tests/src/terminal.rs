//! A person at a terminal: a program on a real pseudo-terminal, what it showed, and what was typed.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::pty::{Winsize, openpty};

use crate::SOON;

/// A running program and everything it has shown. Text is waited for in order: what was expected once is
/// behind, and only what came after it counts for the next.
#[derive(Debug)]
pub struct Terminal {
    child: Child,
    master: File,
    shown: String,
    /// Up to here, everything was expected already.
    seen: usize,
    /// The start of a character whose end has not been read yet.
    partial: Vec<u8>,
    ended: bool,
}

impl Terminal {
    /// Starts `command`, which must make this its controlling terminal itself (`setsid --ctty`).
    pub(crate) fn start(mut command: Command) -> Self {
        let size = Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };
        let pair = openpty(&size, None).expect("a pseudo-terminal can be opened");
        command.stdin(pair.slave.try_clone().unwrap()).stdout(pair.slave.try_clone().unwrap());
        let child = command.stderr(pair.slave).spawn().expect("the program can be started");
        // The command still holds the other end, without which the end of the program is never seen.
        drop(command);
        let master = File::from(pair.master);
        Self { child, master, shown: String::new(), seen: 0, partial: Vec::new(), ended: false }
    }

    /// Waits until the program shows `text`, behind all that was expected before.
    ///
    /// # Panics
    ///
    /// With everything shown so far, if that does not happen [`SOON`].
    pub fn expect(&mut self, text: &str) -> &mut Self {
        self.expect_one_of(&[text]);
        self
    }

    /// Waits for the first of several texts and gives its place in the list.
    ///
    /// # Panics
    ///
    /// As [`Self::expect`] does.
    pub fn expect_one_of(&mut self, texts: &[&str]) -> usize {
        let found = self.expect_or_end(texts);
        found.unwrap_or_else(|| panic!("ended without {texts:?}; the screen:\n{}", self.shown))
    }

    /// Waits for the first of several texts, or the end of the program: `None`.
    ///
    /// # Panics
    ///
    /// With everything shown so far, if neither comes [`SOON`].
    pub fn expect_or_end(&mut self, texts: &[&str]) -> Option<usize> {
        let deadline = Instant::now() + SOON;
        loop {
            if let Some(which) = self.find(texts) {
                return Some(which);
            }
            if self.ended {
                return None;
            }
            self.read_before(deadline, texts);
        }
    }

    /// Types `text` and Enter.
    pub fn type_line(&mut self, text: &str) -> &mut Self {
        self.master.write_all(format!("{text}\n").as_bytes()).expect("the terminal takes input");
        self
    }

    /// Waits for the end of the program and gives its exit status.
    ///
    /// # Panics
    ///
    /// With everything shown so far, if it does not end [`SOON`].
    pub fn wait(&mut self) -> ExitStatus {
        let deadline = Instant::now() + SOON;
        while !self.ended {
            self.read_before(deadline, &["the end"]);
        }
        self.child.wait().expect("the program can be waited for")
    }

    /// Everything shown so far, with the terminal's line ends made plain.
    #[must_use]
    pub fn shown(&self) -> String {
        self.shown.replace('\r', "")
    }

    /// Finds the first of several texts in what the program has shown by now, behind all that was expected before.
    pub fn look_for(&mut self, texts: &[&str]) -> Option<usize> {
        self.read_some(Duration::from_millis(1));
        self.find(texts)
    }

    /// Whether the program has ended, as far as it has been read.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.ended
    }

    /// The process on the terminal.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Which of the texts comes first behind all that was expected; it is behind from now on.
    fn find(&mut self, texts: &[&str]) -> Option<usize> {
        let rest = &self.shown[self.seen..];
        let found =
            texts.iter().enumerate().filter_map(|(i, text)| rest.find(text).map(|at| (at, i)));
        let (at, which) = found.min()?;
        self.seen += at + texts[which].len();
        Some(which)
    }

    fn read_before(&mut self, deadline: Instant, wanted: &[&str]) {
        let left = deadline.saturating_duration_since(Instant::now());
        assert!(!left.is_zero(), "nothing came of {wanted:?}; the screen so far:\n{}", self.shown);
        self.read_some(left);
    }

    fn read_some(&mut self, time: Duration) {
        let time = PollTimeout::try_from(time).unwrap_or(PollTimeout::MAX);
        let mut ready = [PollFd::new(self.master.as_fd(), PollFlags::POLLIN)];
        if poll(&mut ready, time).expect("the terminal can be waited for") == 0 {
            return;
        }
        let mut buffer = [0; 4096];
        // EIO is how Linux says that the last process has closed its side.
        let length = self.master.read(&mut buffer).unwrap_or(0);
        self.ended = length == 0;
        self.partial.extend_from_slice(&buffer[..length]);
        let whole = match std::str::from_utf8(&self.partial) {
            Err(e) if e.error_len().is_none() => e.valid_up_to(),
            _ => self.partial.len(),
        };
        let rest = self.partial.split_off(whole);
        self.shown.push_str(&String::from_utf8_lossy(&self.partial));
        self.partial = rest;
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // Harmless where it has ended already; who is killed at a terminal takes its session along.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
