//! `strace`, attached to a running program: sends it signals at its system calls.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use nix::sys::signal::Signal;
use nix::unistd::Pid;
use tempfile::NamedTempFile;

/// An attached `strace`. Dropped, it lets the program go; one that is stopped stays so.
#[derive(Debug)]
pub struct Tracer {
    strace: Child,
    report: NamedTempFile,
}

impl Tracer {
    /// Sends `signal` to all threads of a process, each when it is about to make `call` for the `nth` time from now on.
    ///
    /// # Panics
    ///
    /// Without strace, or where the process can't be traced.
    #[must_use]
    pub fn of_all_threads(process: Pid, call: &str, signal: Signal, nth: usize) -> Self {
        Self::attach(process, &["--follow-forks"], call, signal, nth)
    }

    /// The same for one thread, and for none that it starts.
    ///
    /// # Panics
    ///
    /// As [`Self::of_all_threads`] does.
    #[must_use]
    pub fn of_one_thread(process: Pid, call: &str, signal: Signal, nth: usize) -> Self {
        Self::attach(process, &[], call, signal, nth)
    }

    fn attach(process: Pid, options: &[&str], call: &str, signal: Signal, nth: usize) -> Self {
        // The question mark: some machines have no such call.
        let (trace, inject) = (
            format!("--trace=?{call}"),
            format!("--inject=?{call}:signal={}:when={nth}", signal.as_str()),
        );
        let report = NamedTempFile::new().unwrap();
        let mut strace = Command::new("strace")
            .args(options)
            .args([&trace, &inject, "--attach", &process.to_string(), "--output"])
            .arg(report.path())
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("strace is needed");
        let mut said = String::new();
        let complaints = strace.stderr.take().expect("it is piped");
        BufReader::new(complaints).read_line(&mut said).expect("strace says that it is attached");
        assert!(said.contains(" attached"), "strace said {said:?}");
        Self { strace, report }
    }

    /// Whether the program has stopped by SIGSTOP.
    ///
    /// # Panics
    ///
    /// Where what strace wrote can't be read.
    #[must_use]
    pub fn has_stopped(&self) -> bool {
        let report = fs::read_to_string(self.report.path()).expect("strace writes text");
        report.contains("--- stopped by SIGSTOP ---")
    }
}

impl Drop for Tracer {
    fn drop(&mut self) {
        // The kernel lets go of what it has traced. Asked to end, it would wait for a program that is about to be killed.
        let _ = self.strace.kill();
        let _ = self.strace.wait();
    }
}
