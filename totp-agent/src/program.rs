//! Starting a program: by its path, with a list of arguments, never through a shell; with a clean environment, a process
//! group of its own, and an end. What hangs is killed with everything it started.

use std::fs::File;
use std::io::{self, PipeReader, PipeWriter, Read as _, Seek as _, Write as _};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, OFlag, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use thiserror::Error;
use totp_core::visible::is_hidden;

/// What of a program's complaint is kept, in bytes.
const KEPT: usize = 300;

/// As many pieces of 4 KiB are read before somebody looks whether the program has ended.
const MOST_AT_ONCE: usize = 256;

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

impl Failure {
    /// Whether the program itself said that its work was not done, or never began it.
    #[must_use]
    pub fn is_an_answer(&self) -> bool {
        match self {
            Self::NotStarted(_) => true,
            Self::Timeout(_) => false,
            Self::Failed { status, .. } => status.code().is_some(),
        }
    }
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
        // A file in memory: the program need not read it.
        let stdin = in_memory(self.input).map_err(Failure::NotStarted)?;
        let (mut said, writer) = Said::new().map_err(Failure::NotStarted)?;
        let listener = || match self.output {
            Output::Told => writer.try_clone().map(Stdio::from),
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
        drop(writer);
        let status = ended(child, timeout, &mut said)?;
        if status.success() {
            return Ok(());
        }
        said.drain();
        Err(Failure::Failed { status, said: said.in_one_line() })
    }
}

/// What a program says: a pipe that is emptied while it runs, and of which the beginning is kept. Not a file: a program may
/// open `/dev/stderr` anew, and cut it off.
struct Said {
    reader: PipeReader,
    kept: Vec<u8>,
}

impl Said {
    fn new() -> io::Result<(Self, PipeWriter)> {
        let (reader, writer) = io::pipe()?;
        fcntl(&reader, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        Ok((Self { reader, kept: Vec::new() }, writer))
    }

    /// Reads what is there, so that the program need not wait. Whatever it started may have it open for ever.
    fn drain(&mut self) {
        let mut bytes = [0; 4096];
        for _ in 0..MOST_AT_ONCE {
            match self.reader.read(&mut bytes) {
                Ok(0) | Err(_) => return,
                Ok(read) => {
                    let room = KEPT.saturating_sub(self.kept.len()).min(read);
                    self.kept.extend_from_slice(bytes.get(..room).unwrap_or_default());
                }
            }
        }
    }

    /// The beginning of what was written, as one printable line.
    fn in_one_line(&self) -> String {
        let text = String::from_utf8_lossy(&self.kept);
        let words: Vec<&str> = text.split(|c: char| c.is_whitespace() || is_hidden(c)).collect();
        let words: Vec<&str> = words.into_iter().filter(|word| !word.is_empty()).collect();
        words.join(" ")
    }
}

/// A file in memory that never becomes larger, whoever writes.
fn in_memory(content: &[u8]) -> io::Result<File> {
    let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
    let mut file = File::from(memfd_create(c"totp-agent", flags)?);
    file.write_all(content)?;
    file.rewind()?;
    fcntl(&file, FcntlArg::F_ADD_SEALS(SealFlag::F_SEAL_GROW))?;
    Ok(file)
}

fn ended(mut child: Child, timeout: Duration, said: &mut Said) -> Result<ExitStatus, Failure> {
    const SHORTEST: Duration = Duration::from_millis(1);
    const LONGEST: Duration = Duration::from_millis(50);
    let started = Instant::now();
    let mut pause = SHORTEST;
    loop {
        said.drain();
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
    fn what_says_no_end_of_things_is_heard_to_its_end_and_its_beginning_is_kept() {
        let script = "head -c 3000000 /dev/zero | tr '\\0' x >&2; exit 7";
        let failed = sh(script, Output::Told, SOON).unwrap_err().to_string();
        assert!(
            failed.starts_with("failed with exit status 7: xxx") && failed.len() < 400,
            "{failed}"
        );
    }

    #[test]
    fn a_program_may_write_to_dev_stderr_by_its_path() {
        for script in ["set -e; echo no >/dev/stderr; exit 7", "echo no >>/dev/stdout; exit 7"] {
            let failed = sh(script, Output::Told, SOON).unwrap_err().to_string();
            assert!(failed.starts_with("failed with exit status 7: no"), "{failed}");
        }
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
