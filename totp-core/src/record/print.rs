//! Writing a record for `users/NAME.toml`: TOML, in one order of keys, every text a basic string. The library's own way of
//! writing would be a second way through every type, in a module that is to stay small.

use alloc::string::String;
use core::fmt::{self, Write};

use zeroize::Zeroizing;

use super::{
    Authenticator, Decision, Entry, Kind, MOST_BYTES, RecordError, VERSION, check_authenticators,
    check_recovery,
};
use crate::name::UserName;

/// Writes a record file.
///
/// # Errors
/// Where the authenticators break the rules of [`check_authenticators`], or the recovery codes theirs.
pub fn print(entry: &Entry) -> Result<Zeroizing<String>, RecordError> {
    printed(entry, None)
}

/// As [`print`], of a record that is on its way from one name to another: it is that of `formerly` as well, for as long as
/// the file is still called so ([`parse_as`](super::parse_as)).
///
/// # Errors
/// As [`print`].
pub fn print_renamed(entry: &Entry, formerly: &UserName) -> Result<Zeroizing<String>, RecordError> {
    printed(entry, Some(formerly))
}

fn printed(entry: &Entry, formerly: Option<&UserName>) -> Result<Zeroizing<String>, RecordError> {
    if let Entry::Enrolled(record) = entry {
        check_authenticators(&record.authenticators)?;
        record.recovery.as_ref().map_or(Ok(()), check_recovery)?;
    }
    // Room at once: a growing String would leave copies of the secrets behind.
    let mut text = Zeroizing::new(String::with_capacity(MOST_BYTES));
    // A String takes everything.
    let _ = write_entry(&mut text, entry, formerly);
    Ok(text)
}

fn write_entry(out: &mut String, entry: &Entry, formerly: Option<&UserName>) -> fmt::Result {
    let status = match entry {
        Entry::Enrolled(_) => "enrolled",
        Entry::Disabled(_) => "disabled",
        Entry::Pending(_) => "pending",
    };
    let Decision { user, uid, since, by, seq, contact } = entry.decision();
    number(out, "version", VERSION.into())?;
    text(out, "status", &status)?;
    text(out, "user", &user.as_str())?;
    given(out, "formerly", formerly.map(UserName::as_str).as_ref())?;
    uid.map_or(Ok(()), |uid| number(out, "uid", uid.into()))?;
    text(out, "since", since)?;
    text(out, "by", by)?;
    number(out, "seq", *seq)?;
    given(out, "email", contact.email.as_ref())?;
    given(out, "phone", contact.phone.as_ref())?;
    if let Entry::Disabled(tombstone) = entry {
        given(out, "reason", tombstone.reason.as_ref())?;
    }
    given(out, "enrollment", entry.enrollment().as_ref())?;
    match entry {
        Entry::Disabled(_) => Ok(()),
        Entry::Pending(pending) => {
            given(out, "code", pending.code.as_ref())?;
            text(out, "until", &pending.until)
        }
        Entry::Enrolled(record) => {
            if let Some(recovery) = &record.recovery {
                out.push_str("\n[recovery]\n");
                writeln!(out, "rotating = {}", recovery.rotating)?;
                text(out, "issued", &recovery.issued)?;
                out.push_str("codes = [");
                for (at, code) in recovery.codes.iter().enumerate() {
                    out.push_str(if at == 0 { "" } else { ", " });
                    quoted(out, code)?;
                }
                out.push_str("]\n");
            }
            if let Some(bypass) = &record.bypass {
                out.push_str("\n[bypass]\n");
                text(out, "code", &bypass.code)?;
                text(out, "until", &bypass.until)?;
            }
            record.authenticators.iter().try_for_each(|one| write_authenticator(out, one))
        }
    }
}

fn write_authenticator(out: &mut String, authenticator: &Authenticator) -> fmt::Result {
    let Authenticator { name, added, kind } = authenticator;
    out.push_str("\n[[authenticator]]\n");
    text(out, "name", name)?;
    text(out, "kind", &kind.as_str())?;
    text(out, "added", added)?;
    let Kind::Totp(totp) = kind;
    text(out, "secret", &totp.secret.to_base32().as_str())?;
    text(out, "algorithm", &totp.algorithm)?;
    number(out, "digits", totp.digits.count().into())?;
    number(out, "period", totp.period.seconds())
}

fn number(out: &mut String, key: &str, value: u64) -> fmt::Result {
    writeln!(out, "{key} = {value}")
}

fn given<T: fmt::Display>(out: &mut String, key: &str, value: Option<&T>) -> fmt::Result {
    value.map_or(Ok(()), |value| text(out, key, value))
}

fn text(out: &mut String, key: &str, value: &dyn fmt::Display) -> fmt::Result {
    out.push_str(key);
    out.push_str(" = ");
    quoted(out, value)?;
    out.write_char('\n')
}

/// A basic string (TOML 1.0, "String").
fn quoted(out: &mut String, value: &dyn fmt::Display) -> fmt::Result {
    out.push('"');
    write!(Escaping(out), "{value}")?;
    out.write_char('"')
}

/// Escapes what can't stand in a basic string.
struct Escaping<'a>(&'a mut String);

impl Write for Escaping<'_> {
    fn write_str(&mut self, piece: &str) -> fmt::Result {
        for c in piece.chars() {
            match c {
                '"' => self.0.push_str("\\\""),
                '\\' => self.0.push_str("\\\\"),
                '\n' => self.0.push_str("\\n"),
                '\t' => self.0.push_str("\\t"),
                c if c.is_control() => write!(self.0, "\\u{:04X}", u32::from(c))?,
                c => self.0.push(c),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use proptest::prelude::*;

    use super::super::{Bypass, EnrollmentId, Pending, Record, Recovery, Tombstone, parse};
    use super::*;
    use crate::contact::Contact;
    use crate::name::{AuthenticatorName, UserName};
    use crate::onetime::CodeHash;
    use crate::otp::{Algorithm, Digits, Totp};
    use crate::secret::Secret;
    use crate::time::{Period, UnixTime};

    fn decision(user: &str, by: String) -> Option<Decision> {
        let contact = Contact {
            email: "alice@example.com".parse().ok(),
            phone: "+420123456789".parse().ok(),
        };
        let user = UserName::new(user).ok()?;
        Some(Decision { user, uid: Some(u32::MAX), since: UnixTime(1), by, seq: 1 << 62, contact })
    }

    fn hash(digit: char) -> CodeHash {
        String::from_iter([digit; 64]).parse().unwrap()
    }

    fn phone(name: &str) -> Option<Authenticator> {
        let totp = Totp {
            secret: Secret::new(b"12345678901234567890".to_vec()).unwrap(),
            algorithm: Algorithm::Sha512,
            digits: Digits::Eight,
            period: Period::new(60).unwrap(),
        };
        let name = AuthenticatorName::new(name).ok()?;
        Some(Authenticator { name, added: UnixTime(2), kind: Kind::Totp(totp) })
    }

    /// Written, read and written again. `Entry` has secrets and no `==`.
    fn twice(entry: &Entry) -> (Zeroizing<String>, Entry, Zeroizing<String>) {
        let text = print(entry).unwrap();
        let read = parse(&text).unwrap();
        let again = print(&read).unwrap();
        (text, read, again)
    }

    #[test]
    fn hostile_text_stays_inside_its_string() {
        let by = "x\"\nseq = 1\n[[authenticator]]\\\t\r\u{0}\u{7f}\u{85}\u{2028}é";
        let decision = decision("alice", by.into()).unwrap();
        let entry = Entry::Disabled(Tombstone { decision, reason: Some("\"\"\"\\".into()) });
        let (text, read, again) = twice(&entry);
        assert_eq!(text, again);
        assert_eq!(read.decision(), entry.decision());
        assert!(text.contains(r#"reason = "\"\"\"\\""#), "{}", *text);
        assert_eq!(text.lines().count(), 10);
    }

    #[test]
    fn the_largest_record_fits_its_file() {
        let mut record = whole("a".into(), "x".repeat(500)).unwrap();
        let recovery = record.recovery.as_mut().unwrap();
        recovery.codes = vec![hash('f'); 16];
        assert!(print(&Entry::Enrolled(record)).unwrap().len() < MOST_BYTES / 2);
    }

    fn whole(user: String, by: String) -> Option<Record> {
        Some(Record {
            decision: decision(&user, by)?,
            enrollment: EnrollmentId::fresh([9; 8]),
            authenticators: vec![phone("phone")?],
            recovery: Some(Recovery {
                rotating: false,
                issued: UnixTime(3),
                codes: vec![hash('0'), hash('f')],
            }),
            bypass: Some(Bypass { code: hash('1'), until: UnixTime(4) }),
        })
    }

    proptest! {
        #[test]
        fn an_enrolled_record_reads_back(user in ".{1,40}", by in "\\PC*|.*", name in "[a-z][a-z0-9 -]{0,10}") {
            let record = whole(user, by).zip(phone(&name));
            prop_assume!(record.is_some());
            let (mut record, phone) = record.unwrap();
            record.authenticators = vec![phone];
            let entry = Entry::Enrolled(record);
            let (text, read, again) = twice(&entry);
            prop_assert_eq!(text, again);
            prop_assert_eq!(read.decision(), entry.decision());
        }

        #[test]
        fn a_tombstone_reads_back(reason in "(.|[\\x00-\\x1f\"'\\\\])*", by in ".*") {
            let decision = decision("alice", by).unwrap();
            let tombstone = Tombstone { decision, reason: Some(reason) };
            let (text, read, again) = twice(&Entry::Disabled(tombstone.clone()));
            prop_assert_eq!(text, again);
            match read {
                Entry::Disabled(read) => prop_assert_eq!(read, tombstone),
                _ => prop_assert!(false),
            }
        }

        #[test]
        fn an_open_enrollment_reads_back(until in 0..=UnixTime::MAX.0, by in ".*") {
            let decision = decision("alice", by).unwrap();
            let enrollment = EnrollmentId::fresh([9; 8]);
            let pending = Pending { decision, enrollment, code: Some(hash('2')), until: UnixTime(until) };
            let entry = Entry::Pending(pending);
            let (text, read, again) = twice(&entry);
            prop_assert_eq!(text, again);
            prop_assert_eq!(read.decision(), entry.decision());
        }
    }
}
