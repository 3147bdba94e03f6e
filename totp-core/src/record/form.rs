//! Reading a record out of `users/NAME.toml`: TOML, every key known. Errors never repeat the text, which has secrets in
//! it.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::str::FromStr;

use serde::Deserialize;
use zeroize::Zeroizing;

use super::{
    Authenticator, Bypass, Decision, Entry, Kind, Pending, Record, RecordError, Recovery,
    Tombstone, VERSION, check_authenticators, check_recovery,
};
use crate::contact::Contact;
use crate::name::{AuthenticatorName, NameError, UserName};
use crate::otp::{Algorithm, Digits, ParameterError, Totp};
use crate::reading;
use crate::secret::{Secret, SecretError};
use crate::time::Period;

/// Reads a record file.
///
/// # Errors
/// As [`RecordError`] says; an unknown key is an error.
pub fn parse(text: &str) -> Result<Entry, RecordError> {
    let form: Form = reading::from_str(text).map_err(|error| syntax(text, &error))?;
    form.into_entry()
}

/// Reads a record file by the name that it has: where it is on its way to another name, it still is that of the earlier one.
///
/// # Errors
/// As [`parse`].
pub fn parse_as(text: &str, is: impl Fn(&UserName) -> bool) -> Result<Entry, RecordError> {
    let form: Form = reading::from_str(text).map_err(|error| syntax(text, &error))?;
    let formerly: Option<UserName> = match form.formerly.as_deref() {
        Some(name) => Some(UserName::new(name).map_err(|e| bad("formerly", e))?),
        None => None,
    };
    let mut entry = form.into_entry()?;
    if let Some(name) = formerly.filter(&is)
        && !is(&entry.decision().user)
    {
        entry.decision_mut().user = name;
    }
    Ok(entry)
}

/// What a TOML parser complains of, without the text it complains of: a secret may stand there.
fn syntax(text: &str, error: &reading::Error) -> RecordError {
    RecordError::Syntax { line: line_of(text, error), message: without_value(error.message()) }
}

/// serde repeats a value it can't use (``invalid type: string "JBSW...", expected u64``); keep the rest.
fn without_value(message: &str) -> String {
    match (message.split_once(": "), message.rsplit_once(", expected ")) {
        (Some((what, _)), Some((_, expected))) if what.starts_with("invalid ") => {
            alloc::format!("{what}, expected {expected}")
        }
        _ if message.starts_with("unknown variant") => String::from("a word that isn't known here"),
        // A key that none of ours looks like may be a secret in the wrong place.
        _ if message.starts_with(UNKNOWN_FIELD) && !is_repeatable(message) => {
            String::from("a key that isn't known here")
        }
        _ => String::from(message),
    }
}

/// How serde begins to name a key that no form has, and how it goes on.
const UNKNOWN_FIELD: &str = "unknown field `";
const BEHIND_THE_FIELD: &str = "`, expected ";

/// `authenticator`.
const LONGEST_KEY: usize = 13;

/// Whether an unknown key is as short as ours and made as they are: nothing else is told from what is behind it.
fn is_repeatable(message: &str) -> bool {
    let key = message
        .strip_prefix(UNKNOWN_FIELD)
        .and_then(|rest| rest.rsplit_once(BEHIND_THE_FIELD))
        .map(|(key, _)| key);
    key.is_some_and(|key| {
        key.len() <= LONGEST_KEY && key.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
    })
}

/// The line of `text`, counted from 1, where a parser stumbled.
fn line_of(text: &str, error: &reading::Error) -> usize {
    let at = error.span().map_or(0, |span| span.start);
    let before = text.as_bytes().get(..at).unwrap_or_default();
    before.iter().filter(|b| **b == b'\n').count().saturating_add(1)
}

/// The file, key by key.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Form {
    version: u32,
    status: Status,
    user: String,
    formerly: Option<String>,
    uid: Option<u32>,
    since: String,
    by: String,
    seq: u64,
    email: Option<String>,
    phone: Option<String>,
    reason: Option<String>,
    enrollment: Option<String>,
    code: Option<String>,
    until: Option<String>,
    recovery: Option<RecoveryForm>,
    bypass: Option<BypassForm>,
    #[serde(default, rename = "authenticator")]
    authenticators: Vec<AuthenticatorForm>,
}

#[derive(Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Status {
    Enrolled,
    Disabled,
    Pending,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RecoveryForm {
    rotating: bool,
    issued: String,
    codes: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BypassForm {
    code: String,
    until: String,
}

#[derive(Deserialize)]
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
    fn into_entry(self) -> Result<Entry, RecordError> {
        if self.version != VERSION {
            return Err(RecordError::Version(self.version));
        }
        self.only_its_own_keys()?;
        let decision = Decision {
            user: UserName::new(&self.user).map_err(|e| bad("user", e))?,
            uid: self.uid,
            since: self.since.parse().map_err(|e| bad("since", e))?,
            by: self.by,
            seq: self.seq,
            contact: Contact {
                email: given("email", self.email.as_deref())?,
                phone: given("phone", self.phone.as_deref())?,
            },
        };
        if self.status == Status::Disabled {
            return Ok(Entry::Disabled(Tombstone { decision, reason: self.reason }));
        }
        let enrollment = self.enrollment.ok_or(RecordError::EnrollmentId)?.parse()?;
        if self.status == Status::Pending {
            let until = given("until", self.until.as_deref())?;
            let until = until.ok_or_else(|| bad("until", "an open enrollment has an end"))?;
            let code = given("code", self.code.as_deref())?;
            return Ok(Entry::Pending(Pending { decision, enrollment, code, until }));
        }
        let authenticators: Vec<Authenticator> = self
            .authenticators
            .into_iter()
            .map(AuthenticatorForm::read)
            .collect::<Result<_, _>>()?;
        check_authenticators(&authenticators)?;
        let recovery = self.recovery.map(RecoveryForm::read).transpose()?;
        let bypass = self.bypass.map(BypassForm::read).transpose()?;
        Ok(Entry::Enrolled(Record { decision, enrollment, authenticators, recovery, bypass }))
    }

    /// A key that means nothing for this status was put there by a mistake, which must not be passed over.
    fn only_its_own_keys(&self) -> Result<(), RecordError> {
        let pending = self.code.is_some() || self.until.is_some();
        let codes = self.recovery.is_some() || self.bypass.is_some();
        match self.status {
            Status::Disabled if self.enrollment.is_some() || !self.authenticators.is_empty() => {
                Err(bad("status", "a disabled user has no enrollment and no authenticators"))
            }
            Status::Disabled | Status::Pending if codes => {
                Err(bad("status", "only an enrolled user has recovery or bypass codes"))
            }
            Status::Pending if !self.authenticators.is_empty() => {
                Err(bad("status", "who is yet to enroll has no authenticators"))
            }
            Status::Enrolled | Status::Disabled if pending => {
                Err(bad("status", "only an open enrollment has a code and an end"))
            }
            Status::Enrolled | Status::Pending if self.reason.is_some() => {
                Err(bad("reason", "only a disabled user has one"))
            }
            _ => Ok(()),
        }
    }
}

/// A value that may be left out.
fn given<T: FromStr<Err: ToString>>(
    key: &'static str,
    text: Option<&str>,
) -> Result<Option<T>, RecordError> {
    text.map(|text| text.parse().map_err(|error: T::Err| bad(key, error))).transpose()
}

impl RecoveryForm {
    fn read(self) -> Result<Recovery, RecordError> {
        let code = |text: &String| text.parse().map_err(|e| bad("codes", e));
        let recovery = Recovery {
            rotating: self.rotating,
            issued: self.issued.parse().map_err(|e| bad("issued", e))?,
            codes: self.codes.iter().map(code).collect::<Result<_, _>>()?,
        };
        check_recovery(&recovery).map(|()| recovery)
    }
}

impl BypassForm {
    fn read(self) -> Result<Bypass, RecordError> {
        Ok(Bypass {
            code: self.code.parse().map_err(|e| bad("code", e))?,
            until: self.until.parse().map_err(|e| bad("until", e))?,
        })
    }
}

impl AuthenticatorForm {
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
    use super::super::print;
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

    const CAROL: &str = r#"version = 1
status = "pending"
user = "carol"
uid = 1002
since = "2026-03-12T01:10:00Z"
by = "alice"
seq = 813
email = "carol@example.com"
phone = "+420123456789"
enrollment = "00112233445566fe"
code = "00112233445566770011223344556677001122334455667700112233445566ff"
until = "2026-03-19T01:10:00Z"
"#;

    /// Alice with recovery codes and a bypass code.
    fn alice_with_codes() -> String {
        let (head, authenticator) = ALICE.split_at(ALICE.find("[[").unwrap());
        let hash = "00112233445566770011223344556677001122334455667700112233445566ff";
        alloc::format!(
            "{head}[recovery]\nrotating = false\nissued = \"2026-03-02T10:00:00Z\"\ncodes = [\"{hash}\"]\n\n\
             [bypass]\ncode = \"{hash}\"\nuntil = \"2026-03-02T18:00:00Z\"\n\n{authenticator}"
        )
    }

    #[test]
    fn a_record_with_codes_reads_back_as_it_was_written() {
        let text = alice_with_codes();
        assert_eq!(print(&parse(&text).unwrap()).unwrap().as_str(), text);
    }

    #[test]
    fn a_record_on_its_way_to_another_name_is_that_of_either_by_the_name_of_its_file() {
        let mut entry = parse(ALICE).unwrap();
        let [alice, alina, bob] =
            ["alice", "alina", "bob"].map(|name| UserName::new(name).unwrap());
        entry.decision_mut().user = alina.clone();
        let text = super::super::print_renamed(&entry, &alice).unwrap();
        let read =
            |name: &UserName| parse_as(&text, |one| one == name).unwrap().decision().user.clone();
        assert_eq!(read(&alice), alice);
        assert_eq!(read(&alina), alina);
        assert_eq!(read(&bob), alina, "nobody else's");
        assert_eq!(parse(&text).unwrap().decision().user, alina);
    }

    #[test]
    fn keys_of_another_status_are_refused() {
        let cases = [
            (CAROL.replace("\"pending\"", "\"disabled\""), "status"),
            (CAROL.replace("until", "reason"), "reason"),
            (BOB.replace("reason", "until"), "status"),
            (CAROL.replace("carol@example.com", "carol"), "email"),
            (CAROL.replace("+420", "420"), "phone"),
            (CAROL.replace("code = \"00", "code = \"0"), "code"),
            (alice_with_codes().replace("codes = [\"00", "codes = [\"0"), "codes"),
        ];
        for (text, expected) in cases {
            match parse(&text) {
                Err(RecordError::Value { key, .. }) => assert_eq!(key, expected, "{text}"),
                other => panic!("{other:?}: {text}"),
            }
        }
    }

    #[test]
    fn a_table_of_recovery_codes_has_some_and_one_where_it_rotates() {
        let (head, rest) = alice_with_codes()
            .split_once("codes = [")
            .map(|(head, rest)| (head.to_string(), rest.to_string()))
            .unwrap();
        let (one, rest) = rest.split_once(']').unwrap();
        let none = alloc::format!("{head}codes = []{}", rest);
        assert_eq!(parse(&none).err(), Some(RecordError::RecoveryCodes(0)));
        let two = alloc::format!("{head}codes = [{one}, {one}]{rest}");
        assert!(parse(&two).is_ok());
        let two = two.replace("rotating = false", "rotating = true");
        assert_eq!(parse(&two).err(), Some(RecordError::RecoveryCodes(2)));
    }

    #[test]
    fn a_record_reads_back_as_it_was_written() {
        for text in [ALICE, BOB, CAROL] {
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
    fn a_secret_in_the_place_of_a_key_is_not_repeated() {
        let error = parse(&ALICE.replace("digits = 6", "GEZDGNBVGY3TQOJQ = 6")).unwrap_err();
        assert_eq!(error.to_string(), "line 16: a key that isn't known here");
        // Quoted, a key is anything; the message's own marks among it.
        for key in ["a`GEZDGNBVGY3TQOJQ", "a`, expected GEZDGNBVGY3TQOJQ", "a`, GEZD", "GEZDGNBV"] {
            let text = ALICE.replace("digits = 6", &alloc::format!("\"{key}\" = 6"));
            assert_eq!(parse(&text).unwrap_err().to_string(), error.to_string(), "{key}");
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
