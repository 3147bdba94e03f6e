//! What the daemon says.

use core::ffi::CStr;

use crate::limits;
use crate::packet::{Malformed, Reader, TooLong, Writer};

/// A message of the daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ToModule<'a> {
    /// The daemon is there and speaks these versions. Sent at once to each connection; sent again, and then the connection is
    /// closed, where a hello is of another version. The same in every version.
    Here {
        /// The lowest.
        lowest: u16,
        /// The highest.
        highest: u16,
    },
    /// There are too many conversations of this caller. The connection is closed.
    Busy,
    /// Show a prompt, and send what is typed ([`crate::ToDaemon::Answer`]).
    Ask {
        /// Whether what is typed is shown.
        echo: bool,
        /// The prompt.
        text: &'a CStr,
    },
    /// Show a line, and say whether it was taken ([`crate::ToDaemon::Shown`]).
    Tell {
        /// How it is meant.
        style: Style,
        /// The line.
        text: &'a CStr,
    },
    /// Write a line to the system's log.
    Log {
        /// How urgent it is.
        priority: Priority,
        /// The line.
        text: &'a CStr,
    },
    /// Set `PAM_AUTHTOK`, and say whether that worked ([`crate::ToDaemon::Set`]).
    SetAuthtok {
        /// The password.
        text: &'a CStr,
    },
    /// Ask libpam to wait before it reports a failure.
    FailDelay {
        /// About so long.
        microseconds: u32,
    },
    /// It is decided: return.
    Done {
        /// What libpam is told.
        code: ReturnCode,
        /// Which later hooks of this handle are to come back.
        later: Later,
        /// What they are to bring along; empty if nothing.
        mark: &'a [u8],
    },
}

/// How a line is meant. Programs that have no place of their own for it write the one kind to standard output, and the other to
/// standard error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// `PAM_TEXT_INFO`
    Info,
    /// `PAM_ERROR_MSG`
    Error,
}

/// What a hook returns to libpam.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum ReturnCode {
    /// `PAM_SUCCESS`
    Success,
    /// `PAM_IGNORE`: as if the line in `/etc/pam.d` were not there. Never the answer to an error.
    Ignore,
    /// `PAM_AUTH_ERR`: not granted.
    AuthErr,
    /// `PAM_PERM_DENIED`: not granted without the enrollment that is due, or after a refusal.
    PermDenied,
    /// `PAM_SYSTEM_ERR`: nothing can be granted; the log says why.
    SystemErr,
    /// `PAM_SERVICE_ERR`: arguments or configuration are wrong; the log says where.
    ServiceErr,
    /// `PAM_CONV_ERR`: the question could not be asked.
    ConvErr,
}

impl ReturnCode {
    fn code(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::Ignore => 1,
            Self::AuthErr => 2,
            Self::PermDenied => 3,
            Self::SystemErr => 4,
            Self::ServiceErr => 5,
            Self::ConvErr => 6,
        }
    }

    fn from_code(code: u8) -> Result<Self, Malformed> {
        Ok(match code {
            0 => Self::Success,
            1 => Self::Ignore,
            2 => Self::AuthErr,
            3 => Self::PermDenied,
            4 => Self::SystemErr,
            5 => Self::ServiceErr,
            6 => Self::ConvErr,
            _ => return Err(Malformed),
        })
    }
}

/// How urgent a line of the log is (the levels of syslog).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Priority {
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

impl Priority {
    /// The level of `<syslog.h>`.
    #[must_use]
    pub fn level(self) -> u8 {
        match self {
            Self::Error => 3,
            Self::Warning => 4,
            Self::Notice => 5,
            Self::Info => 6,
            Self::Debug => 7,
        }
    }

    fn from_level(level: u8) -> Result<Self, Malformed> {
        Ok(match level {
            3 => Self::Error,
            4 => Self::Warning,
            5 => Self::Notice,
            6 => Self::Info,
            7 => Self::Debug,
            _ => return Err(Malformed),
        })
    }
}

/// Which later hooks have something to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Later {
    /// `pam_sm_acct_mgmt`
    pub account: bool,
    /// `pam_sm_setcred`
    pub setcred: bool,
}

impl Later {
    const ACCOUNT: u8 = 1;
    const SETCRED: u8 = 2;

    fn bits(self) -> u8 {
        let bit = |set: bool, bit: u8| if set { bit } else { 0 };
        bit(self.account, Self::ACCOUNT) | bit(self.setcred, Self::SETCRED)
    }

    fn from_bits(bits: u8) -> Result<Self, Malformed> {
        if bits & !(Self::ACCOUNT | Self::SETCRED) != 0 {
            return Err(Malformed);
        }
        Ok(Self { account: bits & Self::ACCOUNT != 0, setcred: bits & Self::SETCRED != 0 })
    }
}

const HERE: u8 = 0x01;
const BUSY: u8 = 0x02;
const ASK: u8 = 0x03;
const TELL: u8 = 0x04;
const LOG: u8 = 0x05;
const SET_AUTHTOK: u8 = 0x06;
const FAIL_DELAY: u8 = 0x07;
const DONE: u8 = 0x08;

impl<'a> ToModule<'a> {
    /// The daemon's first message.
    pub const FIRST: Self =
        Self::Here { lowest: limits::LOWEST_VERSION, highest: limits::HIGHEST_VERSION };

    /// Writes the message into `buffer`, and says how long it is.
    ///
    /// # Errors
    /// A text over [`limits::TEXT`], a mark over [`limits::MARK`], or a buffer without room.
    pub fn encode(&self, buffer: &mut [u8]) -> Result<usize, TooLong> {
        let mut to = Writer::new(buffer);
        match *self {
            Self::Here { lowest, highest } => {
                to.u8(HERE);
                to.u16(lowest);
                to.u16(highest);
            }
            Self::Busy => to.u8(BUSY),
            Self::Ask { echo, text } => {
                to.u8(ASK);
                to.flag(echo);
                to.text(text, limits::TEXT);
            }
            Self::Tell { style, text } => {
                to.u8(TELL);
                to.flag(style == Style::Error);
                to.text(text, limits::TEXT);
            }
            Self::Log { priority, text } => {
                to.u8(LOG);
                to.u8(priority.level());
                to.text(text, limits::TEXT);
            }
            Self::SetAuthtok { text } => {
                to.u8(SET_AUTHTOK);
                to.text(text, limits::AUTHTOK);
            }
            Self::FailDelay { microseconds } => {
                to.u8(FAIL_DELAY);
                to.u32(microseconds);
            }
            Self::Done { code, later, mark } => {
                to.u8(DONE);
                to.u8(code.code());
                to.u8(later.bits());
                to.bytes(mark, limits::MARK);
            }
        }
        to.finish()
    }

    /// Reads a whole packet.
    ///
    /// # Errors
    /// Where it is no message of the daemon.
    pub fn decode(packet: &'a [u8]) -> Result<Self, Malformed> {
        let mut from = Reader::new(packet);
        let message = match from.u8()? {
            HERE => Self::Here { lowest: from.u16()?, highest: from.u16()? },
            BUSY => Self::Busy,
            ASK => Self::Ask { echo: from.flag()?, text: from.text(limits::TEXT)? },
            TELL => Self::Tell {
                style: if from.flag()? { Style::Error } else { Style::Info },
                text: from.text(limits::TEXT)?,
            },
            LOG => Self::Log {
                priority: Priority::from_level(from.u8()?)?,
                text: from.text(limits::TEXT)?,
            },
            SET_AUTHTOK => Self::SetAuthtok { text: from.text(limits::AUTHTOK)? },
            FAIL_DELAY => Self::FailDelay { microseconds: from.u32()? },
            DONE => Self::Done {
                code: ReturnCode::from_code(from.u8()?)?,
                later: Later::from_bits(from.u8()?)?,
                mark: from.bytes(limits::MARK)?,
            },
            _ => return Err(Malformed),
        };
        from.end()?;
        Ok(message)
    }
}
