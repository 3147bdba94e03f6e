//! What a module asks: its hello, parted from the packet, with what its caller may not say taken away.
//!
//! A caller that is not root speaks for itself, and for the users that `[callers]` allows it. Its remote host, its ssh key and its
//! mark are not believed, and neither are arguments that loosen something: a program of the user's own can write what it
//! likes there. `nullok` alone holds for the account that the caller runs as.

use std::ffi::CStr;

use totp_core::policy::Outputs;
use totp_wire::{Field, Hello, Hook};
use zeroize::Zeroizing;

/// `PAM_SILENT`
const SILENT: u32 = 0x8000;

/// Stands for a text that was too long to be sent: no address and no name of anything.
const TOO_LONG: &str = "?";

/// A call of a hook.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) hook: Hook,
    /// PAM's flag that the program wants no messages.
    pub(crate) is_silent: bool,
    pub(crate) caller: Caller,
    /// `PAM_USER`, as typed; empty where it is longer than any name.
    pub(crate) user: Vec<u8>,
    /// `PAM_SERVICE`; `None` where it is longer than any file's name.
    pub(crate) service: Option<String>,
    /// `PAM_RHOST` of a program of root; empty where there is none.
    pub(crate) rhost: String,
    /// The same of any other program: to be shown where `[callers]` names it, and to be believed nowhere.
    pub(crate) rhost_said: String,
    /// `PAM_TTY`; empty where there is none.
    pub(crate) tty: String,
    /// `PAM_RUSER`; empty where there is none.
    pub(crate) ruser: String,
    /// Where the calling process writes to.
    pub(crate) outputs: Outputs,
    /// The login uid of the calling process.
    pub(crate) login_uid: Option<u32>,
    /// The words of the PAM line; `None` where there are too many.
    pub(crate) words: Option<Vec<Vec<u8>>>,
    /// `SSH_AUTH_INFO_0`.
    pub(crate) ssh_auth_info: Option<Vec<u8>>,
    /// `PAM_AUTHTOK`.
    pub(crate) authtok: Option<Zeroizing<Vec<u8>>>,
    pub(crate) mark: Brought,
}

/// Who calls, by what the kernel says of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Caller {
    /// A program with root's effective uid, and the real uid that its module says: the caller's, under su and sudo.
    Root {
        /// Counted for fair shares, and an origin for the guess budget.
        real_uid: u32,
    },
    /// Any other program: it asks about the account with this uid, and about those that `[callers]` allows that.
    User {
        /// Its effective uid.
        uid: u32,
    },
}

impl Caller {
    /// The real uid of the process, or the one it has become.
    pub(crate) fn uid(self) -> u32 {
        match self {
            Self::Root { real_uid } => real_uid,
            Self::User { uid } => uid,
        }
    }

    /// The effective uid of the process.
    pub(crate) fn effective_uid(self) -> u32 {
        match self {
            Self::Root { .. } => 0,
            Self::User { uid } => uid,
        }
    }

    pub(crate) fn is_root(self) -> bool {
        matches!(self, Self::Root { .. })
    }
}

/// The mark that came along.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Brought {
    /// None: auth did not run in this handle.
    Nothing,
    /// This.
    Bytes(Vec<u8>),
    /// One that was too long to be sent.
    TooLong,
}

impl Request {
    /// What `hello` asks, where the kernel says `peer_uid`.
    pub(crate) fn new(hello: &Hello<'_>, peer_uid: u32) -> Self {
        let caller = if peer_uid == 0 {
            Caller::Root { real_uid: hello.real_uid }
        } else {
            Caller::User { uid: peer_uid }
        };
        let (rhost, rhost_said) = if caller.is_root() {
            (text(hello.rhost), String::new())
        } else {
            (String::new(), text(hello.rhost))
        };
        Self {
            hook: hello.hook,
            is_silent: hello.flags & SILENT != 0,
            caller,
            user: bytes(hello.user).unwrap_or_default(),
            service: match hello.service {
                Field::LeftOut => None,
                service => Some(text(service)),
            },
            rhost,
            rhost_said,
            tty: text(hello.tty),
            ruser: text(hello.ruser),
            outputs: Outputs {
                stdout_is_terminal: hello.stdout_is_terminal,
                stderr_is_terminal: hello.stderr_is_terminal,
            },
            login_uid: hello.login_uid,
            words: match hello.arguments {
                Field::Present(words) => Some(words.map(|word| word.to_bytes().to_vec()).collect()),
                Field::Absent | Field::LeftOut => None,
            },
            ssh_auth_info: bytes(hello.ssh_auth_info).filter(|_| caller.is_root()),
            authtok: bytes(hello.authtok).map(Zeroizing::new),
            mark: match hello.mark {
                Field::Absent => Brought::Nothing,
                Field::Present(mark) => Brought::Bytes(mark.to_vec()),
                Field::LeftOut => Brought::TooLong,
            },
        }
    }
}

fn bytes(field: Field<&CStr>) -> Option<Vec<u8>> {
    match field {
        Field::Present(text) => Some(text.to_bytes().to_vec()),
        Field::Absent | Field::LeftOut => None,
    }
}

/// Lossy, so that one odd byte keeps no user out and nothing is left out of the log.
fn text(field: Field<&CStr>) -> String {
    match field {
        Field::Present(text) => String::from_utf8_lossy(text.to_bytes()).into_owned(),
        Field::Absent => String::new(),
        Field::LeftOut => TOO_LONG.to_owned(),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// alice, over sshd.
    pub(crate) fn sshd() -> Request {
        Request {
            hook: Hook::Auth,
            is_silent: false,
            caller: Caller::Root { real_uid: 0 },
            user: b"alice".to_vec(),
            service: Some("sshd".to_owned()),
            rhost: "192.0.2.1".to_owned(),
            rhost_said: String::new(),
            tty: "ssh".to_owned(),
            ruser: String::new(),
            outputs: Outputs { stdout_is_terminal: false, stderr_is_terminal: false },
            login_uid: None,
            words: Some(Vec::new()),
            ssh_auth_info: None,
            authtok: None,
            mark: Brought::Nothing,
        }
    }

    fn hello<'a>() -> Hello<'a> {
        Hello {
            hook: Hook::Auth,
            flags: 0,
            real_uid: 1000,
            login_uid: None,
            audit_session: None,
            stdout_is_terminal: false,
            stderr_is_terminal: false,
            user: Field::Present(c"alice"),
            service: Field::Present(c"sshd"),
            rhost: Field::Present(c"192.0.2.1"),
            tty: Field::LeftOut,
            ruser: Field::Absent,
            arguments: Field::LeftOut,
            ssh_auth_info: Field::Present(c"publickey ssh-ed25519 AAAA"),
            authtok: Field::Absent,
            mark: Field::LeftOut,
        }
    }

    #[test]
    fn a_root_program_is_believed_what_it_says() {
        let request = Request::new(&hello(), 0);
        assert_eq!(request.caller, Caller::Root { real_uid: 1000 });
        assert_eq!(request.rhost, "192.0.2.1");
        assert!(request.ssh_auth_info.is_some());
    }

    #[test]
    fn of_the_flags_that_for_silence_is_read() {
        let of = |flags| Request::new(&Hello { flags, ..hello() }, 0).is_silent;
        assert_eq!([0, 1, 0x8000, 0x8001, 0x7fff].map(of), [false, false, true, true, false]);
    }

    #[test]
    fn another_program_is_believed_neither_its_uid_nor_its_remote_host_nor_its_key() {
        let request = Request::new(&hello(), 1001);
        assert_eq!(request.caller, Caller::User { uid: 1001 });
        assert_eq!((request.rhost.as_str(), request.ssh_auth_info), ("", None));
        assert_eq!(request.rhost_said, "192.0.2.1");
    }

    #[test]
    fn what_was_left_out_is_not_taken_for_absent() {
        let request = Request::new(&hello(), 0);
        assert_eq!((request.tty.as_str(), request.ruser.as_str()), ("?", ""));
        assert_eq!(request.words, None);
        assert_eq!(request.mark, Brought::TooLong);
        let long = Hello { rhost: Field::LeftOut, user: Field::LeftOut, ..hello() };
        assert_eq!(Request::new(&long, 0).rhost, "?");
        assert_eq!(Request::new(&long, 0).user, b"");
    }
}
