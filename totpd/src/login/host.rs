//! What a login sees of the program that asks: one trait. [`crate::conversation`] implements it over a connection, tests with
//! a script.

#[cfg(test)]
pub(crate) mod script;

use std::fmt;

use zeroize::Zeroizing;

pub(crate) use totp_wire::{Priority, ReturnCode, Style};

/// The program that a user logs in at, by way of its module.
pub(crate) trait Host {
    /// Shows `prompt` and waits for one line. Control characters become spaces, and what exceeds PAM's 512 bytes is cut off.
    fn ask(&mut self, prompt: &str, echo: Echo) -> Result<Typed, NoReply>;

    /// Shows a secret inside of a prompt, which may have several lines, and waits for one line, which is shown. The text is cut
    /// at [`SECRET_BYTES`].
    fn ask_with_secret(&mut self, prompt: &str) -> Result<Typed, NoReply>;

    /// Shows one line, cut as a prompt is, and says whether the program took it. A program that cannot show it is no reason to
    /// refuse a login.
    fn tell(&mut self, style: Style, text: &str) -> bool;

    /// Writes one line to the system's log. Whatever is not printable ASCII is escaped. Text from outside must be escaped
    /// where it is put in already: only there is it known where it ends.
    fn log(&self, priority: Priority, line: &str);

    /// The same where the program has left, too: for what an answer of it came to.
    fn log_in_any_case(&self, priority: Priority, line: &str);

    /// Leaves a password to the modules behind.
    fn set_authtok(&mut self, password: &Typed) -> Result<(), HostError>;

    /// Asks libpam to wait about so many microseconds, if the login fails, before it says so.
    fn fail_delay(&mut self, microseconds: u32);

    /// Whether the module still waits for what comes of it.
    fn is_there(&self) -> bool;
}

/// The longest prompt with a secret.
pub(crate) const SECRET_BYTES: usize = totp_wire::limits::TEXT;

/// Whether what is typed is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Echo {
    /// It is hidden, as a password is.
    #[default]
    Off,
    /// It is shown (argument `echo`).
    On,
}

impl Echo {
    /// On where it is to be shown.
    pub(crate) fn of(shown: bool) -> Self {
        if shown { Self::On } else { Self::Off }
    }
}

/// There is no answer: no conversation, an error from it, no reply, or a module that has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the conversation brought no reply")]
pub(crate) struct NoReply;

/// libpam refused a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{call} failed")]
pub(crate) struct HostError {
    /// The function of libpam.
    pub(crate) call: &'static str,
}

/// What a user typed: wiped on drop, not printable, not copied.
pub(crate) struct Typed {
    bytes: Zeroizing<Vec<u8>>,
    is_authtok: bool,
}

impl Typed {
    /// Takes the bytes over.
    pub(crate) fn new(bytes: Vec<u8>) -> Self {
        Self { bytes: Zeroizing::new(bytes), is_authtok: false }
    }

    /// The same of an answer; `is_authtok`: it equals the password that an earlier module was given.
    pub(crate) fn answer(bytes: Vec<u8>, is_authtok: bool) -> Self {
        Self { is_authtok, ..Self::new(bytes) }
    }

    /// Whether it equals the password that an earlier module was given.
    pub(crate) fn is_authtok(&self) -> bool {
        self.is_authtok
    }

    /// The bytes, as typed.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl fmt::Debug for Typed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Typed(..)")
    }
}
