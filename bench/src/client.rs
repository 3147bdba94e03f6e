//! The measuring application, from the outside: logins as values, and how long each took.
//!
//! `client/client.c` is the program and says what its lines mean.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use pam_totp_tests::House;

/// What libpam says of a login that was let in.
pub const SUCCESS: i32 = 0;

/// The measuring application and the empty module, compiled onto a house's disk, where the house sees
/// them under the same path as everybody.
#[derive(Debug, Clone)]
pub struct Programs {
    /// The application.
    pub client: PathBuf,
    /// The module that asks once and lets everybody in.
    pub empty: PathBuf,
}

impl Programs {
    /// Compiles both with the machine's C compiler.
    ///
    /// # Panics
    ///
    /// Without a C compiler or the headers of libpam.
    #[must_use]
    pub fn compile(house: &House) -> Self {
        let client = house.disk().join("client");
        let empty = house.disk().join("pam_empty.so");
        compile("client.c", &client, &["-lpam"]);
        compile("empty.c", &empty, &["-shared", "-fPIC", "-lpam"]);
        Self { client, empty }
    }
}

fn compile(source: &str, to: &Path, further: &[&str]) {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/client").join(source);
    let status = Command::new("cc")
        .args(["-std=c11", "-Wall", "-Wextra", "-Werror", "-O2", "-o"])
        .args([to, &source])
        .args(further)
        .status()
        .expect("a C compiler (build-essential) is needed");
    assert!(status.success(), "compiling {} failed: is libpam0g-dev there?", source.display());
}

/// One login to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Login<'a> {
    /// The name of a file below `/etc/pam.d`.
    pub service: &'a str,
    /// The account.
    pub user: &'a str,
    /// Where it comes from; `-` for nowhere.
    pub rhost: &'a str,
    /// What is answered, prompt by prompt; further prompts fail the conversation.
    pub answers: &'a [&'a str],
}

/// In which process a login is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Process {
    /// In one that makes one login after another. Modules are loaded anew for each, unless they stay.
    Same,
    /// In a fork to which no module is loaded yet, as sshd does. Forking isn't counted.
    Forked,
    /// In a program of its own, as su and sudo are. Starting and ending it is counted.
    Started,
}

/// One thing to be done and timed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Task<'a> {
    /// A login.
    Login(Process, Login<'a>),
    /// 512 bytes at the beginning of a file, and `fdatasync`.
    Overwrite(&'a Path),
}

impl Task<'_> {
    fn line(&self) -> String {
        match self {
            Self::Login(Process::Same, login) => line("login", login),
            Self::Login(Process::Forked, login) => line("fork", login),
            Self::Login(Process::Started, login) => line("exec", login),
            Self::Overwrite(file) => format!("sync {}", file.display()),
        }
    }
}

/// How long something took, in nanoseconds of the monotonic clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timing {
    /// What the last of the calls returned that was made.
    pub code: i32,
    /// From `pam_start` to `pam_end`: authentication, account, credentials.
    pub whole: u64,
    /// The module's own time up to each prompt, from the answer before, and up to its return.
    /// Empty for a program of its own.
    pub steps: Vec<u64>,
}

impl Timing {
    /// From the last answer to the module's return.
    ///
    /// # Panics
    ///
    /// For a program of its own, which doesn't say.
    #[must_use]
    pub fn verdict(&self) -> u64 {
        *self.steps.last().expect("this client says its steps")
    }

    /// Reads the line of a login; the one of a flush is the same without steps.
    fn read(line: &str) -> Option<Self> {
        let mut words = line.split_ascii_whitespace();
        let code = words.next()?.parse().ok()?;
        let whole = words.next()?.parse().ok()?;
        let steps = words.map(|word| word.parse().ok()).collect::<Option<_>>()?;
        Some(Self { code, whole, steps })
    }
}

/// What a login added to the memory of its process, in KiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Weight {
    /// What the last of the calls returned that was made.
    pub code: i32,
    /// Resident, shared pages of libraries included.
    pub resident: i64,
    /// Of those, what was written to, so that nobody can share it.
    pub written: i64,
}

impl Weight {
    fn read(line: &str) -> Option<Self> {
        let words = line.split_ascii_whitespace().map(|word| word.parse::<i64>().ok());
        let [code, before, after, written_before, written_after] =
            <[i64; 5]>::try_from(words.collect::<Option<Vec<_>>>()?).ok()?;
        let code = i32::try_from(code).ok()?;
        Some(Self { code, resident: after - before, written: written_after - written_before })
    }
}

/// A running application.
#[derive(Debug)]
pub struct Client {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Client {
    /// Starts one as root in the house.
    ///
    /// # Panics
    ///
    /// If it can't be started.
    #[must_use]
    pub fn start(house: &House, programs: &Programs) -> Self {
        Self::from_command(house.command(&programs.client))
    }

    /// Starts one that runs below another program, such as `valgrind` or `strace`.
    ///
    /// # Panics
    ///
    /// If it can't be started.
    #[must_use]
    pub fn start_under<S: AsRef<OsStr>>(house: &House, programs: &Programs, words: &[S]) -> Self {
        let (program, arguments) = words.split_first().expect("the name of a program");
        let mut command = house.command(program);
        command.args(arguments).arg(&programs.client);
        Self::from_command(command)
    }

    fn from_command(mut command: Command) -> Self {
        command.arg("/etc/pam.d").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.stderr(Stdio::inherit()).spawn().expect("nsenter is needed");
        let input = child.stdin.take().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Self { child, input, output }
    }

    /// The process, for `/proc`.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Makes one login.
    ///
    /// # Panics
    ///
    /// If the application dies.
    pub fn login(&mut self, process: Process, login: &Login<'_>) -> Timing {
        self.ask(&Task::Login(process, *login).line());
        self.timing()
    }

    /// Does many things one after another, without a pause for being told of each.
    ///
    /// # Panics
    ///
    /// If the application dies.
    pub fn all(&mut self, tasks: &[Task<'_>]) -> Vec<Timing> {
        let mut timings = Vec::with_capacity(tasks.len());
        // Few enough that neither pipe fills up while the other one is waited for.
        for some in tasks.chunks(200) {
            let lines: Vec<String> = some.iter().map(Task::line).collect();
            self.ask(&lines.join("\n"));
            timings.extend(some.iter().map(|_| self.timing()));
        }
        timings
    }

    /// Makes many logins one after another, as [`Self::all`] does.
    ///
    /// # Panics
    ///
    /// If the application dies.
    pub fn logins(&mut self, process: Process, logins: &[Login<'_>]) -> Vec<Timing> {
        let tasks: Vec<_> = logins.iter().map(|login| Task::Login(process, *login)).collect();
        self.all(&tasks)
    }

    /// Makes one login in this process, to which no module should have been loaded yet, and says how
    /// much memory that added until before `pam_end`.
    ///
    /// # Panics
    ///
    /// If the application dies.
    pub fn weigh(&mut self, login: &Login<'_>) -> Weight {
        self.ask(&line("memory", login));
        let said = self.hear();
        Weight::read(&said).unwrap_or_else(|| panic!("the client said {said:?}"))
    }

    /// Overwrites the first 512 bytes of a file and flushes them.
    ///
    /// # Panics
    ///
    /// If that fails.
    pub fn overwrite(&mut self, file: &Path) -> u64 {
        self.ask(&Task::Overwrite(file).line());
        self.timing().whole
    }

    fn ask(&mut self, lines: &str) {
        self.input.write_all(format!("{lines}\n").as_bytes()).expect("the client reads");
    }

    pub(crate) fn hear(&mut self) -> String {
        let mut line = String::new();
        let read = self.output.read_line(&mut line).expect("the client writes text");
        assert!(read > 0, "the client died: {:?}", self.child.wait());
        line
    }

    fn timing(&mut self) -> Timing {
        let line = self.hear();
        Timing::read(&line).unwrap_or_else(|| panic!("the client said {line:?}"))
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // Its input ends only after this.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn line(command: &str, login: &Login<'_>) -> String {
    let mut words = [command, login.service, login.user, login.rhost].map(str::to_string).to_vec();
    words.extend(login.answers.iter().map(|answer| escaped(answer)));
    let spaced = |word: &String| word.is_empty() || word.contains(char::is_whitespace);
    assert!(!words.iter().any(spaced), "the client's words can't have spaces: {words:?}");
    words.join(" ")
}

/// An answer as one word: what isn't a visible ASCII character is `%XX`.
fn escaped(answer: &str) -> String {
    let byte = |byte: u8| match byte {
        b'!'..=b'~' if byte != b'%' => char::from(byte).to_string(),
        _ => format!("%{byte:02x}"),
    };
    answer.bytes().map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_is_one_line_of_words() {
        let login = Login { service: "code", user: "alice", rhost: "-", answers: &["1", "2"] };
        assert_eq!(Task::Login(Process::Forked, login).line(), "fork code alice - 1 2");
    }

    #[test]
    fn an_answer_can_be_any_bytes() {
        assert_eq!(escaped("\u{8}\n\r\u{7f}INCORRECT"), "%08%0a%0d%7fINCORRECT");
        assert_eq!(escaped("1 2%"), "1%202%25");
    }

    #[test]
    fn the_last_step_is_how_long_the_verdict_took() {
        let timing = Timing::read("7 1500 300 200 90\n").unwrap();
        assert_eq!((timing.code, timing.whole, timing.verdict()), (7, 1500, 90));
    }

    #[test]
    fn a_weight_is_what_came_to_it() {
        let weight = Weight::read("0 2000 2100 500 530\n").unwrap();
        assert_eq!(weight, Weight { code: 0, resident: 100, written: 30 });
    }

    #[test]
    fn what_is_not_a_timing_is_not_read_as_one() {
        for line in ["", "error command", "0", "0 1 x", "0 -5"] {
            assert_eq!(Timing::read(line), None, "{line:?}");
        }
    }
}
