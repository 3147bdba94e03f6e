//! The record: what an administrator or an enrollment decided about a user, and its text form in
//! `users/NAME.toml`. Logins read it and never write it.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::name::{AuthenticatorName, NameError, UserName};
use crate::otp::{Algorithm, Digits, ParameterError, Totp};
use crate::secret::{Secret, SecretError};
use crate::time::{Period, UnixTime};

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

/// What a record file says about a user.
#[derive(Debug)]
pub enum Entry {
    /// Enrolled, with these authenticators.
    Enrolled(Record),
    /// Switched off by an administrator.
    Disabled(Tombstone),
}

impl Entry {
    /// Whose it is.
    #[must_use]
    pub fn decision(&self) -> &Decision {
        match self {
            Self::Enrolled(record) => &record.decision,
            Self::Disabled(tombstone) => &tombstone.decision,
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
}

impl Record {
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

/// Reads a record file.
///
/// # Errors
/// As [`RecordError`] says; an unknown key is an error.
pub fn parse(text: &str) -> Result<Entry, RecordError> {
    let form: Form = toml::from_str(text).map_err(|error| syntax(text, &error))?;
    form.into_entry()
}

/// Writes a record file.
///
/// # Errors
/// Where the authenticators break the rules of [`check_authenticators`].
pub fn print(entry: &Entry) -> Result<Zeroizing<String>, RecordError> {
    if let Entry::Enrolled(record) = entry {
        check_authenticators(&record.authenticators)?;
    }
    let form = Form::of_entry(entry);
    let text = toml::to_string(&form)
        .map_err(|error| RecordError::Syntax { line: 0, message: error.to_string() })?;
    Ok(Zeroizing::new(text))
}

/// What a TOML parser complains of, without the text it complains of: a secret may stand there.
fn syntax(text: &str, error: &toml::de::Error) -> RecordError {
    RecordError::Syntax { line: line_of(text, error), message: without_value(error.message()) }
}

/// serde repeats a value it can't use (``invalid type: string "JBSW...", expected u64``); keep the rest.
fn without_value(message: &str) -> String {
    match (message.split_once(": "), message.rsplit_once(", expected ")) {
        (Some((what, _)), Some((_, expected))) if what.starts_with("invalid ") => {
            alloc::format!("{what}, expected {expected}")
        }
        _ if message.starts_with("unknown variant") => String::from("a word that isn't known here"),
        _ => String::from(message),
    }
}

/// The line of `text`, counted from 1, where a parser stumbled.
pub(crate) fn line_of(text: &str, error: &toml::de::Error) -> usize {
    let at = error.span().map_or(0, |span| span.start);
    let before = text.as_bytes().get(..at).unwrap_or_default();
    before.iter().filter(|b| **b == b'\n').count().saturating_add(1)
}

/// The file, key by key. The order here is the order in the file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Form {
    version: u32,
    status: Status,
    user: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    uid: Option<u32>,
    since: String,
    by: String,
    seq: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    enrollment: Option<String>,
    #[serde(default, rename = "authenticator", skip_serializing_if = "Vec::is_empty")]
    authenticators: Vec<AuthenticatorForm>,
}

#[derive(Serialize, Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Status {
    Enrolled,
    Disabled,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct AuthenticatorForm {
    name: String,
    kind: String,
    added: String,
    secret: Zeroizing<String>,
    algorithm: String,
    digits: u64,
    period: u64,
}

impl Form {
    fn of_entry(entry: &Entry) -> Self {
        let decision = entry.decision();
        let (status, reason, enrollment, authenticators) = match entry {
            Entry::Enrolled(record) => (
                Status::Enrolled,
                None,
                Some(record.enrollment.to_string()),
                record.authenticators.iter().map(AuthenticatorForm::of).collect(),
            ),
            Entry::Disabled(tombstone) => {
                (Status::Disabled, tombstone.reason.clone(), None, Vec::new())
            }
        };
        Self {
            version: VERSION,
            status,
            user: String::from(decision.user.as_str()),
            uid: decision.uid,
            since: decision.since.to_string(),
            by: decision.by.clone(),
            seq: decision.seq,
            reason,
            enrollment,
            authenticators,
        }
    }

    fn into_entry(self) -> Result<Entry, RecordError> {
        if self.version != VERSION {
            return Err(RecordError::Version(self.version));
        }
        let decision = Decision {
            user: UserName::new(&self.user).map_err(|e| bad("user", e))?,
            uid: self.uid,
            since: self.since.parse().map_err(|e| bad("since", e))?,
            by: self.by,
            seq: self.seq,
        };
        if self.status == Status::Disabled {
            if self.enrollment.is_some() || !self.authenticators.is_empty() {
                return Err(bad(
                    "status",
                    "a disabled user has no enrollment and no authenticators",
                ));
            }
            return Ok(Entry::Disabled(Tombstone { decision, reason: self.reason }));
        }
        if self.reason.is_some() {
            return Err(bad("reason", "only a disabled user has one"));
        }
        let enrollment = self.enrollment.ok_or(RecordError::EnrollmentId)?.parse()?;
        let authenticators: Vec<Authenticator> = self
            .authenticators
            .into_iter()
            .map(AuthenticatorForm::read)
            .collect::<Result<_, _>>()?;
        check_authenticators(&authenticators)?;
        Ok(Entry::Enrolled(Record { decision, enrollment, authenticators }))
    }
}

impl AuthenticatorForm {
    fn of(authenticator: &Authenticator) -> Self {
        let Kind::Totp(totp) = &authenticator.kind;
        Self {
            name: authenticator.name.to_string(),
            kind: String::from(authenticator.kind.as_str()),
            added: authenticator.added.to_string(),
            secret: totp.secret.to_base32(),
            algorithm: totp.algorithm.to_string(),
            digits: u64::from(totp.digits.count()),
            period: totp.period.seconds(),
        }
    }

    fn read(self) -> Result<Authenticator, RecordError> {
        if self.kind != "totp" {
            return Err(bad("kind", "this program knows totp"));
        }
        let totp = Totp {
            secret: Secret::from_base32(&self.secret).map_err(|e: SecretError| bad("secret", e))?,
            algorithm: self.algorithm.parse::<Algorithm>().map_err(|e| bad("algorithm", e))?,
            digits: Digits::new(self.digits)
                .ok_or_else(|| bad("digits", ParameterError::Digits))?,
            period: Period::new(self.period)
                .ok_or_else(|| bad("period", ParameterError::Period))?,
        };
        Ok(Authenticator {
            name: AuthenticatorName::new(&self.name).map_err(|e: NameError| bad("name", e))?,
            added: self.added.parse().map_err(|e| bad("added", e))?,
            kind: Kind::Totp(totp),
        })
    }
}

fn bad(key: &'static str, message: impl ToString) -> RecordError {
    RecordError::Value { key, message: message.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALICE: &str = r#"version = 1
status = "enrolled"
user = "alice"
uid = 1000
since = "2026-03-02T10:00:00Z"
by = "carol"
seq = 7
enrollment = "00112233445566ff"

[[authenticator]]
name = "phone"
kind = "totp"
added = "2026-03-02T10:00:00Z"
secret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
algorithm = "sha1"
digits = 6
period = 30
"#;

    const BOB: &str = r#"version = 1
status = "disabled"
user = "bob"
uid = 1001
since = "2026-03-12T01:10:00Z"
by = "alice"
seq = 812
reason = "phone stolen, called 03:10"
"#;

    #[test]
    fn a_record_reads_back_as_it_was_written() {
        for text in [ALICE, BOB] {
            assert_eq!(print(&parse(text).unwrap()).unwrap().as_str(), text);
        }
    }

    #[test]
    fn an_unknown_key_is_refused_with_its_line_and_without_the_text() {
        let error = parse(&ALICE.replace("digits = 6", "digits = 6\nnoise = 1")).unwrap_err();
        let text = error.to_string();
        assert!(text.starts_with("line 17: "), "{text}");
        assert!(!text.contains("GEZD"), "{text}");
    }

    #[test]
    fn a_secret_is_not_repeated_when_it_is_bad() {
        for secret in ["GEZDGNBVGY3TQOJQ1189", "GEZD", "GEZD\"GNBV"] {
            let text = ALICE.replace("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ", secret);
            assert!(!parse(&text).unwrap_err().to_string().contains("GEZD"));
        }
        for (key, line) in
            [("digits = 6", "digits = \"GEZD\""), ("status = \"enrolled\"", "status = \"GEZD\"")]
        {
            assert!(!parse(&ALICE.replace(key, line)).unwrap_err().to_string().contains("GEZD"));
        }
    }

    #[test]
    fn every_bad_value_is_refused_by_its_key() {
        let cases = [
            ("version = 1", "version = 2", "version 2 of the format; this program knows version 1"),
            ("digits = 6", "digits = 5", "digits: a code has 6, 7 or 8 digits"),
            ("period = 30", "period = 0", "period: the period is 15 to 120 seconds"),
            ("\"sha1\"", "\"md5\"", "algorithm: the algorithm is sha1, sha256 or sha512"),
            ("kind = \"totp\"", "kind = \"hotp\"", "kind: this program knows totp"),
            ("00112233445566ff", "0011", "enrollment: not 16 digits of lower-case hex"),
            ("user = \"alice\"", "user = \"\"", "user: the name is empty"),
        ];
        for (from, to, expected) in cases {
            assert_eq!(parse(&ALICE.replacen(from, to, 1)).unwrap_err().to_string(), expected);
        }
    }

    #[test]
    fn a_tombstone_with_a_secret_is_refused() {
        let text = ALICE.replace("\"enrolled\"", "\"disabled\"");
        assert!(matches!(parse(&text), Err(RecordError::Value { key: "status", .. })));
    }

    #[test]
    fn one_secret_under_two_names_is_refused() {
        let (_, authenticator) = ALICE.split_at(ALICE.find("[[").unwrap());
        let text = alloc::format!("{ALICE}\n{}", authenticator.replace("phone", "tablet"));
        assert!(matches!(parse(&text), Err(RecordError::SameSecret(..))));
    }

    #[test]
    fn a_record_without_authenticators_is_refused() {
        let (head, _) = ALICE.split_at(ALICE.find("[[").unwrap());
        assert_eq!(parse(head).err(), Some(RecordError::Count(0)));
    }

    #[test]
    fn what_is_empty_or_cut_off_is_refused() {
        for at in 0..ALICE.len() - 1 {
            assert!(parse(&ALICE[..at]).is_err(), "cut at {at}");
        }
    }
}
