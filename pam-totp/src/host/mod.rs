//! What the hooks see of the program they are loaded into: one safe trait.
//!
//! [`crate::ffi`] implements it over libpam, tests with a script. Nothing here touches libpam.

#[cfg(test)]
pub(crate) mod script;

use std::ffi::CStr;
use std::fmt;

use zeroize::Zeroizing;

use crate::mark::Mark;

/// The program that is logging somebody in, as one PAM handle shows it.
///
/// Texts are bytes, because PAM promises no encoding. None of them is trusted: all of them may be
/// chosen by whoever is at the other end.
pub(crate) trait Host {
    /// The name that was typed (`PAM_USER`), asked for if the program did not set it.
    fn user(&mut self) -> Result<Vec<u8>, NoUser>;

    /// The name of the file in `/etc/pam.d` (`PAM_SERVICE`); empty if there is none.
    fn service(&self) -> Vec<u8>;

    /// Where the login comes from (`PAM_RHOST`): an address, a name, or empty.
    fn rhost(&self) -> Vec<u8>;

    /// The terminal (`PAM_TTY`); `ssh` under sshd.
    fn tty(&self) -> Vec<u8>;

    /// Who asks, as the program says (`PAM_RUSER`); empty if it doesn't say.
    fn ruser(&self) -> Vec<u8>;

    /// A variable of PAM's own environment, which programs set for modules. Not the process's.
    fn pam_env(&self, name: &CStr) -> Option<Vec<u8>>;

    /// What an earlier module was given as password (`PAM_AUTHTOK`).
    fn authtok(&self) -> Option<Typed>;

    /// Leaves a password to the modules behind.
    fn set_authtok(&mut self, password: &Typed) -> Result<(), HostError>;

    /// Shows `prompt`, wipes it afterwards, and waits for one line. Control characters become spaces, and what exceeds
    /// PAM's 512 bytes is cut off.
    fn ask(&mut self, prompt: &str, echo: Echo) -> Result<Typed, NoReply>;

    /// Shows one line, cut as a prompt is, and wipes it afterwards. A program that cannot show it is no reason to refuse a
    /// login.
    /// Whether the program took it.
    fn tell(&mut self, text: &str) -> bool;

    /// Writes one line to the system's log behind `pam_totp(SERVICE:auth): `. Whatever is not
    /// printable ASCII is escaped. Text from outside must be escaped where it is put in already:
    /// only there is it known where it ends.
    fn log(&self, priority: Priority, line: &str);

    /// Asks libpam to wait about so many microseconds, if the login fails, before it says so.
    fn fail_delay(&mut self, microseconds: u32);

    /// Notes in this handle what our auth hook found out; takes the place of an older note.
    fn mark(&mut self, mark: Mark) -> Result<(), HostError>;

    /// What our auth hook has found out in this handle, once: it is taken away. An error means that it may still stand.
    fn take_mark(&mut self) -> Result<Option<Mark>, HostError>;

    /// Whether nobody gets in here without an enrollment, which is still to be made.
    fn enrollment_is_due(&self) -> bool;

    /// Takes the note away; every call of auth begins so. An error means that it may still stand.
    fn clear_mark(&mut self) -> Result<(), HostError>;
}

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

/// How urgent a line of the log is (syslog's levels).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Priority {
    /// An administrator has to do something.
    Error,
    /// Something is not as it should be.
    Warning,
    /// What happens at a login: a failure, a refused answer.
    Notice,
    /// What happens at every login.
    Info,
    /// With the argument `debug` only.
    Debug,
}

/// What a hook tells libpam: the codes of the design's table and no other.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReturnCode {
    /// `PAM_SUCCESS`
    Success,
    /// `PAM_IGNORE`: as if the line in `/etc/pam.d` were not there. Never the answer to an error.
    Ignore,
    /// `PAM_AUTH_ERR`: not let in.
    AuthErr,
    /// `PAM_PERM_DENIED`: not let in without the enrollment that is due.
    PermDenied,
    /// `PAM_SYSTEM_ERR`: nobody can be let in; the log says why.
    SystemErr,
    /// `PAM_SERVICE_ERR`: arguments or configuration are wrong; the log says where.
    ServiceErr,
    /// `PAM_CONV_ERR`: the question could not be asked.
    ConvErr,
}

/// Nobody answered: no conversation, an error from it, or no reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the conversation brought no reply")]
pub(crate) struct NoReply;

/// There is no name to look up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoUser {
    /// It was asked for, and nobody answered.
    #[error(transparent)]
    NoReply(#[from] NoReply),
    /// libpam refused a call.
    #[error(transparent)]
    Failed(#[from] HostError),
}

/// libpam refused a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{call} failed")]
pub(crate) struct HostError {
    /// The function of libpam.
    pub(crate) call: &'static str,
}

/// What somebody typed: wiped on drop, not printable, not copied.
pub(crate) struct Typed(Zeroizing<Vec<u8>>);

impl Typed {
    /// Takes the bytes over.
    pub(crate) fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The bytes, as typed.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Typed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Typed(..)")
    }
}
