//! What the module answers, after its [`hello`](crate::hello).

use core::ffi::CStr;

use crate::limits;
use crate::packet::{Malformed, Reader, TooLong, Writer};

/// An answer of the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ToDaemon<'a> {
    /// What was typed at a prompt.
    Answer {
        /// Whether it is the same as the password that an earlier module was given.
        is_authtok: bool,
        /// What was typed.
        text: &'a CStr,
    },
    /// The program gave no answer.
    NoReply,
    /// A line was shown, or the program refused it.
    Shown {
        /// Whether the program took it.
        taken: bool,
    },
    /// `PAM_AUTHTOK` was set, or libpam refused.
    Set {
        /// Whether it was set.
        done: bool,
    },
}

const ANSWER: u8 = 0x82;
const NO_REPLY: u8 = 0x83;
const SHOWN: u8 = 0x84;
const SET: u8 = 0x85;

impl<'a> ToDaemon<'a> {
    /// Writes the message into `buffer`, and says how long it is.
    ///
    /// # Errors
    /// An answer over [`limits::ANSWER`], or a buffer without room.
    pub fn encode(&self, buffer: &mut [u8]) -> Result<usize, TooLong> {
        let mut to = Writer::new(buffer);
        match *self {
            Self::Answer { is_authtok, text } => {
                to.u8(ANSWER);
                to.flag(is_authtok);
                to.text(text, limits::ANSWER);
            }
            Self::NoReply => to.u8(NO_REPLY),
            Self::Shown { taken } => {
                to.u8(SHOWN);
                to.flag(taken);
            }
            Self::Set { done } => {
                to.u8(SET);
                to.flag(done);
            }
        }
        to.finish()
    }

    /// Reads a whole packet.
    ///
    /// # Errors
    /// Where it is no answer of the module.
    pub fn decode(packet: &'a [u8]) -> Result<Self, Malformed> {
        let mut from = Reader::new(packet);
        let message = match from.u8()? {
            ANSWER => Self::Answer { is_authtok: from.flag()?, text: from.text(limits::ANSWER)? },
            NO_REPLY => Self::NoReply,
            SHOWN => Self::Shown { taken: from.flag()? },
            SET => Self::Set { done: from.flag()? },
            _ => return Err(Malformed),
        };
        from.end()?;
        Ok(message)
    }
}
