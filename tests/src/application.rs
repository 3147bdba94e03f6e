//! The small PAM application, from the outside: sessions with libpam as values.
//!
//! `application/application.c` is the program; here is what it is told and what it says.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::SOON;

/// A running application, which can start one login after another.
#[derive(Debug)]
pub struct Application {
    child: Child,
    input: ChildStdin,
    lines: Receiver<String>,
    complaints: Arc<Mutex<String>>,
}

/// The codes of libpam that the module's table names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(i32)]
#[allow(missing_docs)]
pub enum Pam {
    Success = 0,
    ServiceErr = 3,
    SystemErr = 4,
    BufErr = 5,
    PermDenied = 6,
    AuthErr = 7,
    CredInsufficient = 8,
    AuthinfoUnavail = 9,
    UserUnknown = 10,
    MaxTries = 11,
    ConvErr = 19,
    Ignore = 25,
    Abort = 26,
    ModuleUnknown = 28,
}

impl Pam {
    fn from_code(code: i32) -> Self {
        use Pam::*;
        [
            Success,
            ServiceErr,
            SystemErr,
            BufErr,
            PermDenied,
            AuthErr,
            CredInsufficient,
            AuthinfoUnavail,
            UserUnknown,
            MaxTries,
            ConvErr,
            Ignore,
            Abort,
            ModuleUnknown,
        ]
        .into_iter()
        .find(|pam| *pam as i32 == code)
        .unwrap_or_else(|| panic!("libpam returned {code}, which no test knows"))
    }
}

/// What the application does when it is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Replies with this text.
    Say(Vec<u8>),
    /// Succeeds with a null reply.
    NoReply,
    /// Succeeds without an array of replies.
    NoArray,
    /// Fails the conversation.
    Refuse,
}

impl From<&str> for Answer {
    fn from(text: &str) -> Self {
        Self::Say(text.as_bytes().to_vec())
    }
}

impl From<&String> for Answer {
    fn from(text: &String) -> Self {
        Self::from(text.as_str())
    }
}

/// What a module did through the conversation, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// A prompt; with echo or without.
    Ask {
        /// Whether what is typed shows.
        echo: bool,
        /// The prompt.
        text: String,
    },
    /// A message.
    Tell {
        /// `PAM_ERROR_MSG` rather than `PAM_TEXT_INFO`.
        error: bool,
        /// The message.
        text: String,
    },
    /// libpam would now wait this long.
    Delay(Duration),
    /// The call returned.
    Returned(Pam),
}

impl Heard {
    /// The text, if this is a prompt.
    #[must_use]
    pub fn prompt(&self) -> Option<&str> {
        match self {
            Self::Ask { text, .. } => Some(text),
            _ => None,
        }
    }

    /// The text, if this is a message.
    #[must_use]
    pub fn message(&self) -> Option<&str> {
        match self {
            Self::Tell { text, .. } => Some(text),
            _ => None,
        }
    }
}

/// A finished call: what was heard on the way, and what it returned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// What libpam returned.
    pub code: Pam,
    /// Prompts, messages and delays, in order.
    pub heard: Vec<Heard>,
}

impl Outcome {
    /// The texts of the prompts, in order.
    #[must_use]
    pub fn prompts(&self) -> Vec<&str> {
        self.heard.iter().filter_map(Heard::prompt).collect()
    }

    /// The texts of the messages, in order.
    #[must_use]
    pub fn messages(&self) -> Vec<&str> {
        self.heard.iter().filter_map(Heard::message).collect()
    }
}

impl Application {
    pub(crate) fn start(mut command: Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the application can be started");
        let output = BufReader::new(child.stdout.take().unwrap());
        let (send, lines) = channel();
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if send.send(line).is_err() {
                    return;
                }
            }
        });
        let errors = BufReader::new(child.stderr.take().unwrap());
        let complaints: Arc<Mutex<String>> = Arc::default();
        let heard = Arc::clone(&complaints);
        std::thread::spawn(move || {
            for line in errors.lines().map_while(Result::ok) {
                heard.lock().unwrap().push_str(&(line + "\n"));
            }
        });
        let input = child.stdin.take().unwrap();
        Self { child, input, lines, complaints }
    }

    /// Starts a login, as an ssh daemon would for a client at 192.0.2.1.
    ///
    /// # Panics
    ///
    /// If libpam can't.
    pub fn login(&mut self, service: &str, user: impl AsRef<[u8]>) -> Login<'_> {
        self.command(&format!("start {} {}", encode(service), encode(user)));
        let mut login = Login { application: self };
        login.from("192.0.2.1");
        login.application.command("item tty ssh");
        login
    }

    /// Calls `openlog` with this name and takes the locale of its environment, as daemons do when they start.
    pub fn take_identity(&mut self, name: &str) {
        self.command(&format!("identity {name}"));
    }

    /// Sends a line of the program's own to syslog.
    pub fn log(&mut self, text: &str) {
        self.command(&format!("log {}", encode(text)));
    }

    /// The locale of the process.
    ///
    /// # Panics
    ///
    /// If it doesn't say so.
    pub fn locale(&mut self) -> String {
        self.send("manner");
        let Heard::Tell { text, .. } = self.hear() else { panic!("it says its locale") };
        assert_eq!(self.hear(), Heard::Returned(Pam::Success));
        text
    }

    /// Lets the program itself forget what it was told and has said: what is found in its memory then is somebody else's.
    pub fn wipe(&mut self) {
        self.command("wipe");
    }

    /// Has it wait, before each `pam_authenticate` and after each answer, while somebody else holds the flock on `path`.
    pub fn wait_at(&mut self, path: &str) {
        self.command(&format!("gate {}", encode(path)));
    }

    /// The process, for `/proc` and signals.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What came out at standard error.
    #[must_use]
    pub fn complaints(&self) -> String {
        self.complaints.lock().unwrap().clone()
    }

    /// Ends the application and gives its exit code; valgrind's is its verdict.
    ///
    /// # Panics
    ///
    /// If it was killed.
    #[must_use]
    pub fn finish(mut self) -> i32 {
        drop(self.input);
        self.child.wait().unwrap().code().expect("the application ends by itself")
    }

    fn command(&mut self, line: &str) {
        self.send(line);
        match self.hear() {
            Heard::Returned(Pam::Success) => {}
            other => panic!("{line:?} led to {other:?}"),
        }
    }

    fn send(&mut self, line: &str) {
        writeln!(self.input, "{line}").expect("the application reads");
    }

    fn hear(&mut self) -> Heard {
        // Valgrind makes everything fifty times slower.
        let line = match self.lines.recv_timeout(SOON * 3) {
            Ok(line) => line,
            Err(RecvTimeoutError::Timeout) => panic!("the application hangs"),
            Err(RecvTimeoutError::Disconnected) => {
                panic!("the application died: {:?}", self.child.wait())
            }
        };
        let (kind, rest) = line.split_once(' ').unwrap_or((&line, ""));
        let (first, text) = rest.split_once(' ').unwrap_or((rest, ""));
        match kind {
            "ask" => Heard::Ask { echo: first == "on", text: decode(text) },
            "tell" => Heard::Tell { error: first == "error", text: decode(text) },
            "delay" => Heard::Delay(Duration::from_micros(first.parse().unwrap())),
            "=" => Heard::Returned(Pam::from_code(first.parse().unwrap())),
            _ => panic!("the application said {line:?}"),
        }
    }
}

/// One PAM handle.
#[derive(Debug)]
pub struct Login<'a> {
    application: &'a mut Application,
}

impl Login<'_> {
    /// Sets where the login comes from; empty for here.
    pub fn from(&mut self, rhost: &str) -> &mut Self {
        self.item("rhost", rhost)
    }

    /// Sets `rhost`, `tty` or `ruser`, which a client or a caller may have a hand in, or `user`, as a module may.
    pub fn item(&mut self, name: &str, value: &str) -> &mut Self {
        self.application.command(&format!("item {name} {}", encode(value)));
        self
    }

    /// Sets a variable of PAM's environment.
    pub fn variable(&mut self, name: &str, value: &str) -> &mut Self {
        self.application.command(&format!("putenv {}", encode(format!("{name}={value}"))));
        self
    }

    /// `pam_authenticate`, answering the prompts in order; further ones fail the conversation.
    pub fn authenticate<A: Into<Answer>>(
        &mut self,
        answers: impl IntoIterator<Item = A>,
    ) -> Outcome {
        self.call("auth 0", answers)
    }

    /// `pam_acct_mgmt`.
    pub fn account(&mut self) -> Outcome {
        self.call("acct 0", [] as [Answer; 0])
    }

    /// `pam_setcred` with `PAM_ESTABLISH_CRED`.
    pub fn set_credentials(&mut self) -> Outcome {
        self.call("cred 2", [] as [Answer; 0])
    }

    /// `pam_open_session`.
    pub fn open_session(&mut self) -> Outcome {
        self.call("open 0", [] as [Answer; 0])
    }

    /// Any call with any flags, such as `auth 32769` (`PAM_SILENT | PAM_DISALLOW_NULL_AUTHTOK`).
    pub fn call<A: Into<Answer>>(
        &mut self,
        call: &str,
        answers: impl IntoIterator<Item = A>,
    ) -> Outcome {
        self.begin(call);
        self.rest(answers)
    }

    /// The rest of a call that was begun, answering the prompts in order; further ones fail the
    /// conversation.
    pub fn rest<A: Into<Answer>>(&mut self, answers: impl IntoIterator<Item = A>) -> Outcome {
        let mut answers = answers.into_iter();
        let mut heard = Vec::new();
        loop {
            let next = self.hear();
            match next {
                Heard::Returned(code) => return Outcome { code, heard },
                Heard::Ask { .. } => self.answer(answers.next().map_or(Answer::Refuse, Into::into)),
                Heard::Tell { .. } | Heard::Delay(_) => {}
            }
            heard.push(next);
        }
    }

    /// Begins a call and leaves it at its first prompt.
    pub fn begin(&mut self, call: &str) -> &mut Self {
        self.application.send(call);
        self
    }

    /// The next thing heard of a call that was begun.
    ///
    /// # Panics
    ///
    /// If the application hangs or dies.
    pub fn hear(&mut self) -> Heard {
        self.application.hear()
    }

    /// Answers a prompt of a call that was begun.
    pub fn answer(&mut self, answer: impl Into<Answer>) {
        let line = match answer.into() {
            Answer::Say(text) => format!("say {}", encode(text)),
            Answer::NoReply => "no-reply".to_string(),
            Answer::NoArray => "no-array".to_string(),
            Answer::Refuse => "refuse".to_string(),
        };
        self.application.send(&line);
    }
}

impl Drop for Login<'_> {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.application.command("end");
        }
    }
}

fn encode(text: impl AsRef<[u8]>) -> String {
    let byte = |&b: &u8| match b {
        b'!'..=b'~' if b != b'%' => char::from(b).to_string(),
        _ => format!("%{b:02x}"),
    };
    text.as_ref().iter().map(byte).collect()
}

fn decode(text: &str) -> String {
    let mut parts = text.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        bytes.push(u8::from_str_radix(&part[..2], 16).expect("two hexadecimal digits"));
        bytes.extend_from_slice(&part.as_bytes()[2..]);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
