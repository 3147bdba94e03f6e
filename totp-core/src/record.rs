//! The record: what an administrator or an enrollment decided about a user. Logins read it and never write it. Its text
//! form in `users/NAME.toml` is in [`form`].

mod form;
mod print;

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

use crate::encoding::HEXLOWER;
use sha2::{Digest as _, Sha256};
use thiserror::Error;

use crate::contact::Contact;
use crate::name::{AuthenticatorName, UserName};
use crate::onetime::{CodeHash, MOST_RECOVERY_CODES};
use crate::otp::Totp;
use crate::time::UnixTime;

pub use self::form::{parse, parse_as};
pub use self::print::{print, print_renamed};

/// The version of the text form that is written, and the only one that is read.
pub const VERSION: u32 = 1;

/// As many authenticators a user may have: the work at login is the same for any number up to this.
pub const MOST_AUTHENTICATORS: usize = 4;

/// A record file is never larger than this, in bytes.
pub const MOST_BYTES: usize = 16 * 1024;

/// Names one enrollment: what was spent or prepared under another is not this one's. 64 random bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EnrollmentId([u8; 8]);

impl EnrollmentId {
    /// A fresh id out of random bytes.
    #[must_use]
    pub const fn fresh(entropy: [u8; 8]) -> Self {
        Self(entropy)
    }
}

impl fmt::Display for EnrollmentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl FromStr for EnrollmentId {
    type Err = RecordError;

    fn from_str(text: &str) -> Result<Self, RecordError> {
        let bytes = HEXLOWER.decode(text.as_bytes()).ok().and_then(|b| b.try_into().ok());
        bytes.map(Self).ok_or(RecordError::EnrollmentId)
    }
}

/// One state of what is decided within an enrollment: another one as soon as anything in the record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version {
    enrollment: EnrollmentId,
    /// The beginning of SHA-256 over the record's text.
    content: [u8; 16],
}

impl Version {
    /// Of which enrollment.
    #[must_use]
    pub fn enrollment(&self) -> EnrollmentId {
        self.enrollment
    }
}

/// What a record file says about a user.
#[derive(Debug)]
pub enum Entry {
    /// Enrolled, with these authenticators.
    Enrolled(Record),
    /// Switched off by an administrator.
    Disabled(Tombstone),
    /// To enroll at one of the next logins.
    Pending(Pending),
}

impl Entry {
    /// Whose it is.
    #[must_use]
    pub fn decision(&self) -> &Decision {
        match self {
            Self::Enrolled(record) => &record.decision,
            Self::Disabled(tombstone) => &tombstone.decision,
            Self::Pending(pending) => &pending.decision,
        }
    }

    /// The same, to be changed.
    #[must_use]
    pub fn decision_mut(&mut self) -> &mut Decision {
        match self {
            Self::Enrolled(record) => &mut record.decision,
            Self::Disabled(tombstone) => &mut tombstone.decision,
            Self::Pending(pending) => &mut pending.decision,
        }
    }

    /// What a change may be prepared against; a tombstone has none.
    #[must_use]
    pub fn version(&self) -> Option<Version> {
        let enrollment = self.enrollment()?;
        let text = print(self).unwrap_or_default(); // one that can't be printed is never the one that was read
        let digest: [u8; 32] = Sha256::digest(text.as_bytes()).into();
        let (content, _) = digest.split_first_chunk::<16>()?;
        Some(Version { enrollment, content: *content })
    }

    /// A second copy, for where the same text would be read again.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        match self {
            Self::Enrolled(record) => Self::Enrolled(record.duplicate()),
            Self::Disabled(tombstone) => Self::Disabled(tombstone.clone()),
            Self::Pending(pending) => Self::Pending(pending.clone()),
        }
    }

    /// The enrollment that states belong to; a tombstone has none.
    #[must_use]
    pub fn enrollment(&self) -> Option<EnrollmentId> {
        match self {
            Self::Enrolled(record) => Some(record.enrollment),
            Self::Disabled(_) => None,
            Self::Pending(pending) => Some(pending.enrollment),
        }
    }
}

/// What every record file begins with: about whom, since when, and who decided it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The user, as the name service calls the account.
    pub user: UserName,
    /// The account's uid when this was decided; `None` for names without an account.
    pub uid: Option<u32>,
    /// When it was decided.
    pub since: UnixTime,
    /// Who decided it: a login name.
    pub by: String,
    /// The line of the permanent record that has it.
    pub seq: u64,
    /// How the user is told.
    pub contact: Contact,
}

/// An enrolled user.
#[derive(Debug)]
pub struct Record {
    /// Who, when, by whom.
    pub decision: Decision,
    /// Which enrollment this is.
    pub enrollment: EnrollmentId,
    /// 1 to [`MOST_AUTHENTICATORS`], with different names and different secrets.
    pub authenticators: Vec<Authenticator>,
    /// Recovery codes, where there are any.
    pub recovery: Option<Recovery>,
    /// A code for once, with an end.
    pub bypass: Option<Bypass>,
}

/// Recovery codes, issued together. Which of them are spent is the state's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovery {
    /// Whether using one hands out the next; there is one code then.
    pub rotating: bool,
    /// When they were issued.
    pub issued: UnixTime,
    /// 1 to [`MOST_RECOVERY_CODES`].
    pub codes: Vec<CodeHash>,
}

/// A code for once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bypass {
    /// The code.
    pub code: CodeHash,
    /// Good until then, exclusive.
    pub until: UnixTime,
}

impl Record {
    fn duplicate(&self) -> Self {
        Self {
            decision: self.decision.clone(),
            enrollment: self.enrollment,
            authenticators: self.authenticators.iter().map(Authenticator::duplicate).collect(),
            recovery: self.recovery.clone(),
            bypass: self.bypass,
        }
    }

    /// A record with nothing besides its authenticators.
    #[must_use]
    pub fn new(
        decision: Decision,
        enrollment: EnrollmentId,
        authenticators: Vec<Authenticator>,
    ) -> Self {
        Self { decision, enrollment, authenticators, recovery: None, bypass: None }
    }

    /// The authenticator called `name`.
    #[must_use]
    pub fn authenticator(&self, name: &AuthenticatorName) -> Option<&Authenticator> {
        self.authenticators.iter().find(|a| a.name == *name)
    }
}

/// A user whose second factor an administrator switched off. Has no secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tombstone {
    /// Who, when, by whom.
    pub decision: Decision,
    /// What the administrator gave as the reason.
    pub reason: Option<String>,
}

/// A user who enrolls at one of the next logins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pending {
    /// Who, when, by whom.
    pub decision: Decision,
    /// Which enrollment its state belongs to: how often the code was good for is kept there.
    pub enrollment: EnrollmentId,
    /// The enrollment code; `None`: the first factor alone is trusted.
    pub code: Option<CodeHash>,
    /// Good until then, exclusive.
    pub until: UnixTime,
}

/// Something that makes codes.
#[derive(Debug)]
pub struct Authenticator {
    /// What it is called, unlike the user's other ones.
    pub name: AuthenticatorName,
    /// When it was enrolled.
    pub added: UnixTime,
    /// What it is.
    pub kind: Kind,
}

/// The kinds of authenticators.
#[derive(Debug)]
pub enum Kind {
    /// A phone app or a time-based token (RFC 6238).
    Totp(Totp),
}

impl Kind {
    /// `totp`.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Totp(_) => "totp",
        }
    }

    /// The time-based parameters.
    #[must_use]
    pub fn totp(&self) -> &Totp {
        match self {
            Self::Totp(totp) => totp,
        }
    }
}

impl Authenticator {
    /// A second copy, for where it is carried on unchanged into a new record.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        let Kind::Totp(totp) = &self.kind;
        Self { name: self.name.clone(), added: self.added, kind: Kind::Totp(totp.duplicate()) }
    }
}

/// Why a record's text can't be used. Never repeats the text: it has secrets in it.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum RecordError {
    /// Not TOML, an unknown or missing key, a value of another type.
    #[error("line {line}: {message}")]
    Syntax {
        /// Counted from 1.
        line: usize,
        /// What the parser says, without the text.
        message: String,
    },
    /// Written by another version.
    #[error("version {0} of the format; this program knows version {VERSION}")]
    Version(u32),
    /// A value that its key can't have.
    #[error("{key}: {message}")]
    Value {
        /// Which key.
        key: &'static str,
        /// What is wrong with it.
        message: String,
    },
    /// Not 16 lower-case hex digits.
    #[error("enrollment: not 16 digits of lower-case hex")]
    EnrollmentId,
    /// Two authenticators of one name.
    #[error("two authenticators are called {0}")]
    SameName(AuthenticatorName),
    /// Two authenticators with one secret: one code would be good twice.
    #[error("the authenticators {0} and {1} have the same secret")]
    SameSecret(AuthenticatorName, AuthenticatorName),
    /// None, or too many.
    #[error("{0} authenticators; a record has 1 to {MOST_AUTHENTICATORS}")]
    Count(usize),
    /// None in a table of them, too many, or several that rotate.
    #[error(
        "{0} recovery codes; a record has 1 to {MOST_RECOVERY_CODES}, and one alone where it rotates"
    )]
    RecoveryCodes(usize),
}

/// Checks what the type can't say: how many authenticators, and that no two share a name or a secret.
///
/// # Errors
/// As [`RecordError`] says.
pub fn check_authenticators(authenticators: &[Authenticator]) -> Result<(), RecordError> {
    if authenticators.is_empty() || authenticators.len() > MOST_AUTHENTICATORS {
        return Err(RecordError::Count(authenticators.len()));
    }
    for (at, one) in authenticators.iter().enumerate() {
        for other in authenticators.iter().skip(at.saturating_add(1)) {
            if one.name == other.name {
                return Err(RecordError::SameName(one.name.clone()));
            }
            if one.kind.totp().secret.same_as(&other.kind.totp().secret) {
                return Err(RecordError::SameSecret(one.name.clone(), other.name.clone()));
            }
        }
    }
    Ok(())
}

/// Checks that there are as many recovery codes as there can be.
///
/// # Errors
/// As [`RecordError`] says.
pub fn check_recovery(recovery: &Recovery) -> Result<(), RecordError> {
    let most = if recovery.rotating { 1 } else { MOST_RECOVERY_CODES };
    match recovery.codes.len() {
        count if (1..=most).contains(&count) => Ok(()),
        count => Err(RecordError::RecoveryCodes(count)),
    }
}
