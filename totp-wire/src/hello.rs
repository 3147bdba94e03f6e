//! The module's first message: everything that a decision can need.
//!
//! What is too long for its field is left out, and the message says which field that is: the daemon then takes the less
//! favourable meaning.

use core::ffi::CStr;

use crate::limits;
use crate::packet::{Malformed, Reader, TooLong, Writer};

/// The type of a hello. It and the version stand first in every version.
pub(crate) const TYPE: u8 = 0x81;

/// Which function of the module libpam has called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hook {
    /// `pam_sm_authenticate`
    Auth,
    /// `pam_sm_acct_mgmt`
    Account,
    /// `pam_sm_setcred`
    Setcred,
    /// `pam_sm_open_session`
    Session,
}

impl Hook {
    fn code(self) -> u8 {
        match self {
            Self::Auth => 1,
            Self::Account => 2,
            Self::Setcred => 3,
            Self::Session => 4,
        }
    }

    fn from_code(code: u8) -> Result<Self, Malformed> {
        match code {
            1 => Ok(Self::Auth),
            2 => Ok(Self::Account),
            3 => Ok(Self::Setcred),
            4 => Ok(Self::Session),
            _ => Err(Malformed),
        }
    }
}

/// A hello as the module sends it. A field that is `None` is not set.
#[derive(Clone, Copy, Debug)]
pub struct Outgoing<'a, W> {
    /// The version of this and all further messages.
    pub version: u16,
    /// What libpam has called.
    pub hook: Hook,
    /// PAM's flags.
    pub flags: u32,
    /// The real uid of the process.
    pub real_uid: u32,
    /// The login uid of the process (`/proc/self/loginuid`).
    pub login_uid: Option<u32>,
    /// The audit session of the process (`/proc/self/sessionid`).
    pub audit_session: Option<u32>,
    /// Whether standard output is a terminal.
    pub stdout_is_terminal: bool,
    /// Whether standard error is a terminal.
    pub stderr_is_terminal: bool,
    /// `PAM_USER`
    pub user: Option<&'a CStr>,
    /// `PAM_SERVICE`
    pub service: Option<&'a CStr>,
    /// `PAM_RHOST`
    pub rhost: Option<&'a CStr>,
    /// `PAM_TTY`
    pub tty: Option<&'a CStr>,
    /// `PAM_RUSER`
    pub ruser: Option<&'a CStr>,
    /// The words of the PAM line that are not the module's own.
    pub arguments: W,
    /// `SSH_AUTH_INFO_0` of PAM's environment.
    pub ssh_auth_info: Option<&'a CStr>,
    /// `PAM_AUTHTOK`, where the PAM line says that it is used.
    pub authtok: Option<&'a CStr>,
    /// What an earlier hook of this handle was given.
    pub mark: Option<&'a [u8]>,
}

impl<'a, W: IntoIterator<Item = &'a CStr> + Clone> Outgoing<'a, W> {
    /// Writes the message into `buffer`, and says how long it is.
    ///
    /// # Errors
    /// A buffer smaller than [`limits::PACKET`] may have no room.
    pub fn encode(&self, buffer: &mut [u8]) -> Result<usize, TooLong> {
        let mut to = Writer::new(buffer);
        to.u8(TYPE);
        to.u16(self.version);
        to.u8(self.hook.code());
        to.u32(self.flags);
        to.u32(self.real_uid);
        number(&mut to, self.login_uid);
        number(&mut to, self.audit_session);
        to.flag(self.stdout_is_terminal);
        to.flag(self.stderr_is_terminal);
        field(&mut to, self.user, limits::USER);
        field(&mut to, self.service, limits::SERVICE);
        field(&mut to, self.rhost, limits::RHOST);
        field(&mut to, self.tty, limits::TTY);
        field(&mut to, self.ruser, limits::RUSER);
        self.words(&mut to);
        field(&mut to, self.ssh_auth_info, limits::SSH_AUTH_INFO);
        field(&mut to, self.authtok, limits::AUTHTOK);
        match self.mark {
            None => to.u8(ABSENT),
            Some(mark) if mark.len() <= limits::MARK => {
                to.u8(PRESENT);
                to.bytes(mark, limits::MARK);
            }
            Some(_) => to.u8(LEFT_OUT),
        }
        to.finish()
    }

    fn words(&self, to: &mut Writer<'_>) {
        let (mut count, mut size) = (0_u16, 0_usize);
        for word in self.arguments.clone() {
            count = count.saturating_add(1);
            size = size.saturating_add(word.to_bytes_with_nul().len()).saturating_add(2);
        }
        if size > limits::ARGUMENTS {
            return to.u8(LEFT_OUT);
        }
        to.u8(PRESENT);
        to.u16(count);
        for word in self.arguments.clone() {
            to.text(word, limits::ARGUMENTS);
        }
    }
}

const ABSENT: u8 = 0;
const PRESENT: u8 = 1;
const LEFT_OUT: u8 = 2;

fn field(to: &mut Writer<'_>, text: Option<&CStr>, most: usize) {
    match text {
        None => to.u8(ABSENT),
        Some(text) if text.to_bytes().len() <= most => {
            to.u8(PRESENT);
            to.text(text, most);
        }
        Some(_) => to.u8(LEFT_OUT),
    }
}

fn number(to: &mut Writer<'_>, number: Option<u32>) {
    to.flag(number.is_some());
    to.u32(number.unwrap_or_default());
}

/// A field of a hello as the daemon reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field<T> {
    /// It is not set.
    Absent,
    /// This.
    Present(T),
    /// It is set, and too long to be sent.
    LeftOut,
}

/// A hello as the daemon reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hello<'a> {
    /// As [`Outgoing::hook`].
    pub hook: Hook,
    /// As [`Outgoing::flags`].
    pub flags: u32,
    /// As [`Outgoing::real_uid`].
    pub real_uid: u32,
    /// As [`Outgoing::login_uid`].
    pub login_uid: Option<u32>,
    /// As [`Outgoing::audit_session`].
    pub audit_session: Option<u32>,
    /// As [`Outgoing::stdout_is_terminal`].
    pub stdout_is_terminal: bool,
    /// As [`Outgoing::stderr_is_terminal`].
    pub stderr_is_terminal: bool,
    /// As [`Outgoing::user`].
    pub user: Field<&'a CStr>,
    /// As [`Outgoing::service`].
    pub service: Field<&'a CStr>,
    /// As [`Outgoing::rhost`].
    pub rhost: Field<&'a CStr>,
    /// As [`Outgoing::tty`].
    pub tty: Field<&'a CStr>,
    /// As [`Outgoing::ruser`].
    pub ruser: Field<&'a CStr>,
    /// As [`Outgoing::arguments`]; never absent.
    pub arguments: Field<Words<'a>>,
    /// As [`Outgoing::ssh_auth_info`].
    pub ssh_auth_info: Field<&'a CStr>,
    /// As [`Outgoing::authtok`].
    pub authtok: Field<&'a CStr>,
    /// As [`Outgoing::mark`].
    pub mark: Field<&'a [u8]>,
}

/// What the first packet of a module turns out to be.
#[allow(clippy::large_enum_variant)] // nothing can be boxed without an allocator
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum First<'a> {
    /// A hello of this version.
    Hello(Hello<'a>),
    /// A hello of a version that this code does not speak.
    Version(u16),
}

impl<'a> First<'a> {
    /// Reads a whole packet.
    ///
    /// # Errors
    /// Where it is no hello.
    pub fn decode(packet: &'a [u8]) -> Result<Self, Malformed> {
        let mut from = Reader::new(packet);
        if from.u8()? != TYPE {
            return Err(Malformed);
        }
        let version = from.u16()?;
        if !(limits::LOWEST_VERSION..=limits::HIGHEST_VERSION).contains(&version) {
            return Ok(Self::Version(version));
        }
        let hello = Hello {
            hook: Hook::from_code(from.u8()?)?,
            flags: from.u32()?,
            real_uid: from.u32()?,
            login_uid: read_number(&mut from)?,
            audit_session: read_number(&mut from)?,
            stdout_is_terminal: from.flag()?,
            stderr_is_terminal: from.flag()?,
            user: read_field(&mut from, limits::USER)?,
            service: read_field(&mut from, limits::SERVICE)?,
            rhost: read_field(&mut from, limits::RHOST)?,
            tty: read_field(&mut from, limits::TTY)?,
            ruser: read_field(&mut from, limits::RUSER)?,
            arguments: read_words(&mut from)?,
            ssh_auth_info: read_field(&mut from, limits::SSH_AUTH_INFO)?,
            authtok: read_field(&mut from, limits::AUTHTOK)?,
            mark: read_mark(&mut from)?,
        };
        from.end()?;
        Ok(Self::Hello(hello))
    }
}

fn read_number(from: &mut Reader<'_>) -> Result<Option<u32>, Malformed> {
    let (is_set, number) = (from.flag()?, from.u32()?);
    match (is_set, number) {
        (true, number) => Ok(Some(number)),
        (false, 0) => Ok(None),
        (false, _) => Err(Malformed),
    }
}

fn read_field<'a>(from: &mut Reader<'a>, most: usize) -> Result<Field<&'a CStr>, Malformed> {
    match from.u8()? {
        ABSENT => Ok(Field::Absent),
        PRESENT => from.text(most).map(Field::Present),
        LEFT_OUT => Ok(Field::LeftOut),
        _ => Err(Malformed),
    }
}

fn read_mark<'a>(from: &mut Reader<'a>) -> Result<Field<&'a [u8]>, Malformed> {
    match from.u8()? {
        ABSENT => Ok(Field::Absent),
        PRESENT => from.bytes(limits::MARK).map(Field::Present),
        LEFT_OUT => Ok(Field::LeftOut),
        _ => Err(Malformed),
    }
}

fn read_words<'a>(from: &mut Reader<'a>) -> Result<Field<Words<'a>>, Malformed> {
    match from.u8()? {
        PRESENT => {
            let words = Words { left: from.u16()?, from: *from };
            for _ in 0..words.left {
                from.text(limits::ARGUMENTS)?;
            }
            Ok(Field::Present(words))
        }
        LEFT_OUT => Ok(Field::LeftOut),
        _ => Err(Malformed),
    }
}

/// The words of a PAM line, in their order.
#[derive(Clone, Copy, Debug)]
pub struct Words<'a> {
    left: u16,
    from: Reader<'a>,
}

impl<'a> Iterator for Words<'a> {
    type Item = &'a CStr;

    fn next(&mut self) -> Option<&'a CStr> {
        self.left = self.left.checked_sub(1)?;
        self.from.text(limits::ARGUMENTS).ok() // read once already
    }
}

impl PartialEq for Words<'_> {
    fn eq(&self, other: &Self) -> bool {
        Iterator::eq(*self, *other)
    }
}

impl Eq for Words<'_> {}
