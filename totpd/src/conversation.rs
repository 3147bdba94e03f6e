//! A connection as the [`Host`] of a login.

use std::cell::{Cell, RefCell};
use std::ffi::CString;

use totp_wire::{Later, ToDaemon, ToModule};
use zeroize::Zeroizing;

use crate::connection::{Connection, Gone};
use crate::journal;
use crate::login::host::{Echo, Host, HostError, NoReply, Priority, ReturnCode, Style, Typed};
use crate::request::Caller;
use crate::text::{Message, log_line};

/// One hook's conversation with its module.
#[derive(Debug)]
pub(crate) struct Conversation {
    connection: RefCell<Connection>,
    caller: Caller,
    /// `pam_totp(SERVICE:HOOK)`: what libpam puts in front of a line.
    prefix: String,
    /// Once the module has left, nothing more is said or evaluated for it, and little is logged.
    left: Cell<bool>,
}

impl Conversation {
    pub(crate) fn new(connection: Connection, caller: Caller, prefix: String) -> Self {
        Self { connection: RefCell::new(connection), caller, prefix, left: Cell::new(false) }
    }

    /// The last message: what the hook returns, and what later hooks bring along.
    pub(crate) fn done(&self, code: ReturnCode, later: Later, mark: &[u8]) {
        let _ = self.say(&ToModule::Done { code, later, mark });
    }

    fn say(&self, message: &ToModule<'_>) -> Result<(), Gone> {
        if self.left.get() {
            return Err(Gone);
        }
        let said = self.connection.borrow_mut().send(message);
        self.leaves_where(said)
    }

    fn hear<T>(&self, read: impl FnOnce(ToDaemon<'_>) -> Option<T>) -> Result<T, Gone> {
        let heard = self.connection.borrow_mut().receive_answer(read);
        self.leaves_where(heard)
    }

    fn prompt(&self, text: &Message, echo: Echo) -> Result<Typed, NoReply> {
        let ask = ToModule::Ask { echo: echo == Echo::On, text: text.as_c_str() };
        self.say(&ask).map_err(|Gone| NoReply)?;
        let heard = self.hear(|answer| match answer {
            ToDaemon::Answer { text, is_authtok } => {
                Some(Some(Typed::answer(text.to_bytes().to_vec(), is_authtok)))
            }
            ToDaemon::NoReply => Some(None),
            ToDaemon::Shown { .. } | ToDaemon::Set { .. } => None,
        });
        heard.ok().flatten().ok_or(NoReply)
    }

    /// Has the module write a line, and says whether it could take it.
    fn log_by_module(&self, priority: Priority, line: &str) -> bool {
        self.say(&ToModule::Log { priority, text: &log_line(line) }).is_ok()
    }

    fn log_by_totpd(&self, priority: Priority, line: &str) {
        let line = log_line(line);
        let line = format!("{}: {}", self.prefix, line.to_string_lossy());
        journal::write_for_program(priority, &line);
    }

    fn leaves_where<T>(&self, result: Result<T, Gone>) -> Result<T, Gone> {
        if result.is_err() {
            self.left.set(true);
        }
        result
    }
}

impl Host for Conversation {
    fn ask(&mut self, prompt: &str, echo: Echo) -> Result<Typed, NoReply> {
        self.prompt(&Message::new(prompt), echo)
    }

    fn ask_with_secret(&mut self, prompt: &str) -> Result<Typed, NoReply> {
        self.prompt(&Message::lines(prompt), Echo::On)
    }

    fn tell(&mut self, style: Style, text: &str) -> bool {
        let text = Message::new(text);
        let shown = self.say(&ToModule::Tell { style, text: text.as_c_str() }).and_then(|()| {
            self.hear(|answer| match answer {
                ToDaemon::Shown { taken } => Some(taken),
                ToDaemon::Answer { .. } | ToDaemon::NoReply | ToDaemon::Set { .. } => None,
            })
        });
        shown.unwrap_or(false)
    }

    /// The module of a root program writes the line itself, since log readers match the program that asks. What a program of a
    /// user's own is told may be about files of the administrator's, and it might leave the line out: totpd writes it.
    /// A module that has left may have begun again, with `totpd --once`: then nothing is written.
    fn log(&self, priority: Priority, line: &str) {
        if self.caller.is_root() {
            self.log_by_module(priority, line);
        } else if !self.left.get() {
            self.log_by_totpd(priority, line);
        }
    }

    fn log_in_any_case(&self, priority: Priority, line: &str) {
        if !(self.caller.is_root() && self.log_by_module(priority, line)) {
            self.log_by_totpd(priority, line);
        }
    }

    fn set_authtok(&mut self, password: &Typed) -> Result<(), HostError> {
        let failed = HostError { call: "pam_set_item(PAM_AUTHTOK)" };
        let bytes = password.as_bytes();
        // Its final size from the start: a buffer that grew would leave a copy unwiped.
        let mut text = Zeroizing::new(Vec::with_capacity(bytes.len().saturating_add(1)));
        text.extend_from_slice(bytes);
        text.push(0);
        let text = std::ffi::CStr::from_bytes_with_nul(&text).map_err(|_| failed)?;
        let set = self.say(&ToModule::SetAuthtok { text }).and_then(|()| {
            self.hear(|answer| match answer {
                ToDaemon::Set { done } => Some(done),
                ToDaemon::Answer { .. } | ToDaemon::NoReply | ToDaemon::Shown { .. } => None,
            })
        });
        if set == Ok(true) { Ok(()) } else { Err(failed) }
    }

    fn fail_delay(&mut self, microseconds: u32) {
        let _ = self.say(&ToModule::FailDelay { microseconds });
    }

    fn is_there(&self) -> bool {
        if !self.left.get() && !self.connection.borrow().is_there() {
            self.left.set(true);
        }
        !self.left.get()
    }
}

/// What libpam puts in front of a line, for the lines that totpd writes in its place.
pub(crate) fn prefix(service: &str, hook: &str) -> String {
    let line: CString = log_line(service);
    format!("pam_totp({}:{hook})", line.to_string_lossy().replace([' ', '(', ')'], "_"))
}
