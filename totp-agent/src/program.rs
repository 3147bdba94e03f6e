//! Starting a program: by its path, with a list of arguments, never through a shell; with a clean environment, a process
//! group of its own, and an end. What hangs is killed with everything it started.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use thiserror::Error;

/// What of a program's complaint is kept, in bytes.
const KEPT: u64 = 300;

/// What a program can say, in bytes: a write beyond fails, as on a full disk. Takes memory only as it is written.
const MOST_SAID: usize = 1 << 20;

/// Whether what a program says may be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// Its beginning becomes part of the error.
    Told,
    /// Nobody sees it: it may repeat a code.
    Secret,
}

/// Why a program did not do its work. The program's name is for the caller to say.
#[derive(Debug, Error)]
pub enum Failure {
    /// It could not be started.
    #[error("can't be started: {0}")]
    NotStarted(#[source] io::Error),
    /// It took too long, and was killed.
    #[error("did not end within {} s, and was killed", .0.as_secs())]
    Timeout(Duration),
    /// It said no.
    #[error("{}{}", ending(*.status), complaint(.said))]
    Failed {
        /// How it ended.
        status: ExitStatus,
        /// The beginning of what it said; may be empty.
        said: String,
    },
}

/// A program, and what it gets.
#[derive(Clone, Copy, Debug)]
pub struct Work<'a> {
    /// Its path.
    pub program: &'a str,
    /// Its standard input.
    pub input: &'a [u8],
    /// Its environment, besides `PATH` and `LC_ALL`.
    pub variables: &'a [(&'a str, &'a str)],
    /// What becomes of what it says.
    pub output: Output,
}

impl Work<'_> {
    /// Runs the program to its end.
    ///
    /// # Errors
    /// [`Failure`] says why its work was not done.
    pub fn run<'a>(
        self,
        arguments: impl IntoIterator<Item = &'a str>,
        timeout: Duration,
    ) -> Result<(), Failure> {
        // Files in memory: neither end of them can make the other one wait.
        let stdin = in_memory(self.input, self.input.len()).map_err(Failure::NotStarted)?;
        let said = in_memory(&[], MOST_SAID).map_err(Failure::NotStarted)?;
        let listener = || match self.output {
            Output::Told => said.try_clone().map(Stdio::from),
            Output::Secret => Ok(Stdio::null()),
        };
        let child = Command::new(self.program)
            .args(arguments)
            .env_clear()
            .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
            .env("LC_ALL", "C.UTF-8")
            .envs(self.variables.iter().copied())
            .current_dir("/")
            .process_group(0)
            .stdin(stdin)
            .stdout(listener().map_err(Failure::NotStarted)?)
            .stderr(listener().map_err(Failure::NotStarted)?)
            .spawn()
            .map_err(Failure::NotStarted)?;
        let status = ended(child, timeout)?;
        if status.success() {
            return Ok(());
        }
        Err(Failure::Failed { status, said: beginning(said) })
    }
}

/// A file in memory of `size` bytes that never becomes larger, whoever writes.
fn in_memory(content: &[u8], size: usize) -> io::Result<File> {
    let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
    let mut file = File::from(memfd_create(c"totp-agent", flags)?);
    file.write_all(content)?;
    file.set_len(u64::try_from(size).unwrap_or(u64::MAX))?;
    file.rewind()?;
    fcntl(&file, FcntlArg::F_ADD_SEALS(SealFlag::F_SEAL_GROW))?;
    Ok(file)
}

fn ended(mut child: Child, timeout: Duration) -> Result<ExitStatus, Failure> {
    const SHORTEST: Duration = Duration::from_millis(1);
    const LONGEST: Duration = Duration::from_millis(50);
    let started = Instant::now();
    let mut pause = SHORTEST;
    loop {
        if let Some(status) = child.try_wait().map_err(Failure::NotStarted)? {
            return Ok(status);
        }
        if started.elapsed() >= timeout {
            kill(&mut child);
            return Err(Failure::Timeout(timeout));
        }
        sleep(pause);
        pause = pause.saturating_mul(2).min(LONGEST);
    }
}

/// The whole group: the process itself is not waited for yet, so its number is still its own.
fn kill(child: &mut Child) {
    if let Ok(group) = i32::try_from(child.id()) {
        let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
    }
    let _ = child.kill();
    let _ = child.wait();
}

/// The beginning of what was written, as one printable line.
fn beginning(mut said: File) -> String {
    let mut bytes = Vec::new();
    let read = said.rewind().and_then(|()| said.take(KEPT).read_to_end(&mut bytes));
    if read.is_err() {
        return String::new();
    }
    let text = String::from_utf8_lossy(&bytes);
    let words: Vec<&str> = text.split(|c: char| c.is_whitespace() || c.is_control()).collect();
    let words: Vec<&str> = words.into_iter().filter(|word| !word.is_empty()).collect();
    words.join(" ")
}

fn ending(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("failed with exit status {code}"),
        (None, Some(signal)) => format!("was ended by signal {signal}"),
        (None, None) => "failed".to_owned(),
    }
}

fn complaint(said: &str) -> String {
    if said.is_empty() { String::new() } else { format!(": {said}") }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const SOON: Duration = Duration::from_secs(20);

    fn sh(script: &str, output: Output, timeout: Duration) -> Result<(), Failure> {
        let work = Work { program: "/bin/sh", input: b"input\n", variables: &[], output };
        work.run(["-c", script], timeout)
    }

    #[test]
    fn a_program_gets_its_input_and_nothing_of_our_environment() {
        let script =
            r#"read -r line && [ "$line" = input ] && [ -z "$HOME$CARGO" ] && [ "$PWD" = / ]"#;
        sh(script, Output::Told, SOON).unwrap();
    }

    #[test]
    fn what_is_missing_or_fails_says_why() {
        let work =
            Work { program: "/nonexistent", input: b"", variables: &[], output: Output::Told };
        let missing = work.run([], SOON).unwrap_err();
        assert!(missing.to_string().starts_with("can't be started: No such file"), "{missing}");
        let failed = sh("printf 'no\\nsuch\\tuser' >&2; exit 67", Output::Told, SOON).unwrap_err();
        assert_eq!(failed.to_string(), "failed with exit status 67: no such user");
        let killed = sh("kill -9 $$", Output::Told, SOON).unwrap_err();
        assert_eq!(killed.to_string(), "was ended by signal 9");
    }

    #[test]
    fn what_may_repeat_a_code_is_not_told() {
        let failed = sh("echo 123456; echo 123456 >&2; exit 1", Output::Secret, SOON).unwrap_err();
        assert_eq!(failed.to_string(), "failed with exit status 1");
    }

    #[test]
    fn what_says_no_end_of_things_takes_no_end_of_memory() {
        let temp = tempfile::tempdir().unwrap();
        let size = temp.path().join("size");
        let script = format!(
            "echo no; yes | head -c 3M; stat -Lc %s /dev/stderr >{}; exit 4",
            size.display()
        );
        let failed = sh(&script, Output::Told, SOON).unwrap_err().to_string();
        assert!(failed.starts_with("failed with exit status 4: no y y"), "{failed}");
        let size: usize = fs::read_to_string(size).unwrap().trim().parse().unwrap();
        assert_eq!(size, MOST_SAID);
    }

    #[test]
    fn what_hangs_is_killed_with_everything_it_started() {
        let temp = tempfile::tempdir().unwrap();
        let pid = temp.path().join("pid");
        let script = format!("sleep 1000 & echo $! >{0}.new; mv {0}.new {0}; wait", pid.display());
        let failed = sh(&script, Output::Told, Duration::from_millis(500)).unwrap_err();
        assert!(matches!(failed, Failure::Timeout(_)), "{failed}");
        let pid = fs::read_to_string(pid).unwrap();
        // The signal is on its way; whoever adopted the process may not have taken notice of its end yet.
        let stat = format!("/proc/{}/stat", pid.trim());
        let lives = || fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z "));
        let deadline = Instant::now() + SOON;
        while lives() {
            assert!(Instant::now() < deadline, "it lives on");
            sleep(Duration::from_millis(5));
        }
    }
}
