//! The otpauth text inside a QR code, written and read.
//!
//! The "Key Uri Format" that apps agree on: `otpauth://totp/ISSUER:ACCOUNT?secret=...&issuer=...`. What is the
//! default of the format (SHA-1, 6 digits, 30 seconds) is left out: a smaller QR code, and some apps refuse it.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write as _;

use thiserror::Error;
use zeroize::Zeroizing;

use crate::otp::{Algorithm, Digits, ParameterError, Totp};
use crate::secret::{Secret, SecretError};
use crate::time::Period;

/// The longest text that fits a QR code of 37 modules at error correction L (version 5, bytes: 106), with what
/// mode and length take already off.
pub const FITS_37_MODULES: usize = 106;

/// The otpauth text of an authenticator. `issuer` names the host or company, `account` the user.
///
/// The issuer is shortened, character by character, until the text has at most [`FITS_37_MODULES`] bytes, and left
/// out where even that is not enough.
#[must_use]
pub fn write(totp: &Totp, issuer: &str, account: &str) -> Zeroizing<String> {
    let mut issuer: Vec<char> = issuer.chars().filter(|c| *c != ':').collect();
    loop {
        let name: String = issuer.iter().collect();
        let text = write_whole(totp, name.trim(), account);
        if text.len() <= FITS_37_MODULES || issuer.pop().is_none() {
            return text;
        }
    }
}

fn write_whole(totp: &Totp, issuer: &str, account: &str) -> Zeroizing<String> {
    // Room at once: a growing String would leave copies of the secret behind.
    let mut text = Zeroizing::new(String::with_capacity(2048));
    text.push_str("otpauth://totp/");
    if !issuer.is_empty() {
        encode(&mut text, issuer);
        text.push(':');
    }
    encode(&mut text, account);
    text.push_str("?secret=");
    text.push_str(&totp.secret.to_base32());
    if !issuer.is_empty() {
        text.push_str("&issuer=");
        encode(&mut text, issuer);
    }
    if totp.algorithm != Algorithm::default() {
        text.push_str("&algorithm=");
        text.push_str(&totp.algorithm.as_str().to_ascii_uppercase());
    }
    if totp.digits != Digits::default() {
        let _ = write!(text, "&digits={}", totp.digits.count()); // a String takes everything
    }
    if totp.period != Period::DEFAULT {
        let _ = write!(text, "&period={}", totp.period.seconds());
    }
    text
}

/// RFC 3986 section 2.3: unreserved characters stand for themselves, everything else is percent-encoded.
fn encode(out: &mut String, text: &str) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'@') {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}"); // a String takes everything
        }
    }
}

/// Reads an otpauth text that another issuer made. Label, issuer and unknown parameters (images, colours) are
/// ignored: what the authenticator is called here is decided here.
///
/// # Errors
/// Not a `totp` text, a missing, repeated or bad parameter. Never repeats the text.
pub fn read(text: &str) -> Result<Totp, OtpauthError> {
    let rest = text.trim().strip_prefix("otpauth://").ok_or(OtpauthError::NotOtpauth)?;
    let (kind, rest) = rest.split_once('/').ok_or(OtpauthError::NotOtpauth)?;
    if !kind.eq_ignore_ascii_case("totp") {
        return Err(OtpauthError::Kind);
    }
    let (_label, query) = rest.split_once('?').ok_or(OtpauthError::NoSecret)?;
    let query = query.split('#').next().unwrap_or("");
    let secret = parameter(query, "secret")?.ok_or(OtpauthError::NoSecret)?;
    Ok(Totp {
        secret: Secret::from_base32(&secret)?,
        algorithm: match parameter(query, "algorithm")? {
            None => Algorithm::default(),
            Some(name) => name.parse()?,
        },
        digits: match parameter(query, "digits")? {
            None => Digits::default(),
            Some(digits) => {
                digits.parse().ok().and_then(Digits::new).ok_or(ParameterError::Digits)?
            }
        },
        period: match parameter(query, "period")? {
            None => Period::DEFAULT,
            Some(period) => {
                period.parse().ok().and_then(Period::new).ok_or(ParameterError::Period)?
            }
        },
    })
}

fn parameter(query: &str, name: &'static str) -> Result<Option<Zeroizing<String>>, OtpauthError> {
    let mut values = query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .filter(|(key, _)| key.eq_ignore_ascii_case(name))
        .map(|(_, value)| decode(value));
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => value.map(Some).ok_or(OtpauthError::Encoding(name)),
        (Some(_), Some(_)) => Err(OtpauthError::Twice(name)),
    }
}

fn decode(value: &str) -> Option<Zeroizing<String>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(value.len()));
    let mut rest = value.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        rest = tail;
        if first == b'%' {
            let (hex, tail) = rest.split_at_checked(2)?;
            bytes.push(crate::encoding::HEXUPPER_PERMISSIVE.decode(hex).ok()?.first().copied()?);
            rest = tail;
        } else {
            bytes.push(first);
        }
    }
    core::str::from_utf8(&bytes).ok().map(|text| Zeroizing::new(String::from(text)))
}

/// Why a text is no otpauth text of a time-based authenticator.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum OtpauthError {
    /// Something else altogether.
    #[error("not an otpauth:// address")]
    NotOtpauth,
    /// `hotp`, or an app's own kind.
    #[error("only otpauth://totp/ (time-based codes) can be used")]
    Kind,
    /// No `secret=`.
    #[error("the otpauth address has no secret")]
    NoSecret,
    /// A parameter stands there twice.
    #[error("the otpauth address has more than one {0}")]
    Twice(&'static str),
    /// Broken percent-encoding.
    #[error("the {0} of the otpauth address is not properly percent-encoded")]
    Encoding(&'static str),
    /// The secret is no secret.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// A number out of range.
    #[error(transparent)]
    Parameter(#[from] ParameterError),
}

/// The key as it is typed in: base32 in groups of four.
#[must_use]
pub fn key_to_type(secret: &Secret) -> Zeroizing<String> {
    let base32 = secret.to_base32();
    let mut text = Zeroizing::new(String::with_capacity(base32.len().saturating_mul(2)));
    for (at, letter) in base32.chars().enumerate() {
        if at > 0 && at.checked_rem(4) == Some(0) {
            text.push(' ');
        }
        text.push(letter);
    }
    text
}

/// What the app shows as the entry's name, for the line below the QR code.
#[must_use]
pub fn label(issuer: &str, account: &str) -> String {
    if issuer.is_empty() { String::from(account) } else { format!("{issuer}:{account}") }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn usual() -> Totp {
        Totp {
            secret: Secret::new(b"12345678901234567890".to_vec()).unwrap(),
            algorithm: Algorithm::Sha1,
            digits: Digits::Six,
            period: Period::DEFAULT,
        }
    }

    #[test]
    fn defaults_are_left_out() {
        assert_eq!(
            write(&usual(), "web1", "alice").as_str(),
            "otpauth://totp/web1:alice?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=web1"
        );
    }

    #[test]
    fn what_is_not_a_default_is_written() {
        let totp = Totp {
            algorithm: Algorithm::Sha256,
            digits: Digits::Eight,
            period: Period::new(60).unwrap(),
            ..usual()
        };
        assert!(write(&totp, "a", "b").ends_with("&issuer=a&algorithm=SHA256&digits=8&period=60"));
    }

    #[test]
    fn names_are_percent_encoded() {
        let text = write(&usual(), "A & B", "al ice/\u{e9}");
        assert!(text.starts_with("otpauth://totp/A%20%26%20B:al%20ice%2F%C3%A9?secret="));
    }

    #[test]
    fn a_long_issuer_is_shortened_until_37_modules_suffice() {
        let text = write(&usual(), "a-very-long-host-name.of.some.department.example.com", "alice");
        assert!(text.len() <= FITS_37_MODULES, "{}", text.len());
        assert!(text.contains("&issuer=a-very-"));
    }

    #[test]
    fn others_texts_are_read() {
        let totp = read(
            "otpauth://totp/ACME%20Co:john@example.com?secret=gezdgnbvgy3tqojqgezdgnbvgy3tqojq\
             &issuer=ACME%20Co&algorithm=SHA512&digits=7&period=60&image=https%3A%2F%2Fx",
        )
        .unwrap();
        assert_eq!(totp.secret.as_bytes(), b"12345678901234567890");
        assert_eq!((totp.algorithm, totp.digits), (Algorithm::Sha512, Digits::Seven));
        assert_eq!(totp.period.seconds(), 60);
    }

    #[test]
    fn bad_texts_are_refused_by_name() {
        let cases = [
            ("https://example.com", OtpauthError::NotOtpauth),
            ("otpauth://hotp/a?secret=JBSWY3DPEHPK3PXP", OtpauthError::Kind),
            ("otpauth://totp/a", OtpauthError::NoSecret),
            ("otpauth://totp/a?issuer=x", OtpauthError::NoSecret),
            ("otpauth://totp/a?secret=A&secret=B", OtpauthError::Twice("secret")),
            ("otpauth://totp/a?secret=%zz", OtpauthError::Encoding("secret")),
            ("otpauth://totp/a?secret=JBSW", OtpauthError::Secret(SecretError::Short)),
            (
                "otpauth://totp/a?secret=JBSWY3DPEHPK3PXP&digits=5",
                OtpauthError::Parameter(ParameterError::Digits),
            ),
            (
                "otpauth://totp/a?secret=JBSWY3DPEHPK3PXP&period=1",
                OtpauthError::Parameter(ParameterError::Period),
            ),
        ];
        for (text, error) in cases {
            assert_eq!(read(text).err(), Some(error), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_written_text_reads_back(
            bytes in proptest::collection::vec(any::<u8>(), 10..40),
            issuer in ".{0,30}", account in ".{1,30}", digits in 6u64..=8, period in 15u64..=120,
        ) {
            let totp = Totp {
                secret: Secret::new(bytes).unwrap(),
                algorithm: Algorithm::Sha256,
                digits: Digits::new(digits).unwrap(),
                period: Period::new(period).unwrap(),
            };
            let again = read(&write(&totp, &issuer, &account)).unwrap();
            prop_assert!(again.secret.same_as(&totp.secret));
            prop_assert_eq!(again.digits, totp.digits);
            prop_assert_eq!(again.period, totp.period);
        }

        #[test]
        fn any_text_is_read_without_a_panic(text in "(otpauth://totp/)?.{0,60}") {
            let _ = read(&text);
        }
    }
}
