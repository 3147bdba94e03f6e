//! One-time passwords: how an authenticator turns a secret and a time step into digits.
//!
//! HMAC and hashes are totp-rs's; what is ours is the truncation, because a step's value is computed once and
//! compared with codes of several steps (RFC 6238 section 4.2, RFC 4226 section 5.3).

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

use thiserror::Error;
use zeroize::Zeroizing;

use crate::secret::Secret;
use crate::time::{Period, Step, UnixTime};

/// The hash under the HMAC (RFC 6238 section 1.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Algorithm {
    /// HMAC-SHA-1: what every app can do.
    #[default]
    Sha1,
    /// HMAC-SHA-256.
    Sha256,
    /// HMAC-SHA-512.
    Sha512,
}

impl Algorithm {
    /// As in configuration, records and on the command line: `sha1`, `sha256`, `sha512`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sha1 => "sha1",
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }

    fn of_library(self) -> totp_rs::Algorithm {
        match self {
            Self::Sha1 => totp_rs::Algorithm::SHA1,
            Self::Sha256 => totp_rs::Algorithm::SHA256,
            Self::Sha512 => totp_rs::Algorithm::SHA512,
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Algorithm {
    type Err = ParameterError;

    /// Either case.
    fn from_str(text: &str) -> Result<Self, ParameterError> {
        [Self::Sha1, Self::Sha256, Self::Sha512]
            .into_iter()
            .find(|algorithm| algorithm.as_str().eq_ignore_ascii_case(text))
            .ok_or(ParameterError::Algorithm)
    }
}

/// How many digits a code has: 6, 7 or 8 (RFC 4226 section 5.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Digits {
    /// A million codes.
    #[default]
    Six,
    /// Ten million.
    Seven,
    /// A hundred million.
    Eight,
}

impl Digits {
    /// All there are.
    pub const ALL: [Self; 3] = [Self::Six, Self::Seven, Self::Eight];

    /// `None` unless 6, 7 or 8.
    #[must_use]
    pub fn new(digits: u64) -> Option<Self> {
        Self::ALL.into_iter().find(|d| u64::from(d.count()) == digits)
    }

    /// 6, 7 or 8.
    #[must_use]
    pub fn count(self) -> u8 {
        match self {
            Self::Six => 6,
            Self::Seven => 7,
            Self::Eight => 8,
        }
    }

    /// How many different codes there are: 10 to the number of digits.
    #[must_use]
    pub fn possible(self) -> u32 {
        match self {
            Self::Six => 1_000_000,
            Self::Seven => 10_000_000,
            Self::Eight => 100_000_000,
        }
    }
}

/// A number that no authenticator here can have.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum ParameterError {
    /// Not one of the three.
    #[error("the algorithm is sha1, sha256 or sha512")]
    Algorithm,
    /// Not one of the three.
    #[error("a code has 6, 7 or 8 digits")]
    Digits,
    /// Outside 15..=120.
    #[error("the period is 15 to 120 seconds")]
    Period,
}

/// What makes a time-based authenticator: RFC 6238, with T0 = 0.
#[derive(Debug)]
pub struct Totp {
    /// K.
    pub secret: Secret,
    /// The hash under the HMAC.
    pub algorithm: Algorithm,
    /// Digits of a code.
    pub digits: Digits,
    /// X, in seconds.
    pub period: Period,
}

impl Totp {
    /// The step that contains `now`.
    #[must_use]
    pub fn step(&self, now: UnixTime) -> Step {
        Step::at(now, self.period)
    }

    /// The codes of `from` to `to`, both included. Secret: whoever knows one can use it.
    #[must_use]
    pub fn codes(&self, from: Step, to: Step) -> Zeroizing<Vec<u32>> {
        self.values(from, to).map(|value| self.shorten(value)).collect::<Vec<u32>>().into()
    }

    /// The code of one step as digits, with its leading zeros.
    #[must_use]
    pub fn code_text(&self, step: Step) -> Zeroizing<String> {
        let code = self.codes(step, step).first().copied().unwrap_or(0);
        let width = usize::from(self.digits.count());
        Zeroizing::new(alloc::format!("{code:0width$}"))
    }

    #[allow(clippy::arithmetic_side_effects)] // never 0
    fn shorten(&self, value: u32) -> u32 {
        value % self.digits.possible()
    }

    /// The 31-bit values of RFC 4226 section 5.3, before they are cut to digits.
    fn values(&self, from: Step, to: Step) -> impl Iterator<Item = u32> {
        // A "time" in steps of one second is the step itself; the library would divide otherwise.
        let generator = totp_rs::Builder::new()
            .with_algorithm(self.algorithm.of_library())
            .with_digits(self.digits.count())
            .with_step_duration(1)
            .with_secret(self.secret.as_bytes().to_vec())
            .build_noncompliant(); // legacy secrets have 80 bits; ours are checked in `Secret`
        (from.0..=to.0).map(move |step| truncated(generator.sign(step).as_ref()))
    }
}

impl Totp {
    /// A second copy, for where a record is carried on unchanged into a new one.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        Self {
            secret: self.secret.duplicate(),
            algorithm: self.algorithm,
            digits: self.digits,
            period: self.period,
        }
    }
}

/// Dynamic truncation (RFC 4226 section 5.3). Every HMAC here is at least 20 bytes long.
fn truncated(hmac: &[u8]) -> u32 {
    let offset = usize::from(hmac.last().copied().unwrap_or(0) & 0xf);
    let word: [u8; 4] = hmac
        .get(offset..offset.saturating_add(4))
        .and_then(|word| word.try_into().ok())
        .unwrap_or_default();
    u32::from_be_bytes(word) & 0x7fff_ffff
}

/// Digits as people show them to each other: in two halves (`418 203`).
#[must_use]
pub fn grouped(code: &str) -> String {
    let half = code.len().div_ceil(2);
    match code.split_at_checked(half) {
        Some((front, back)) => alloc::format!("{front} {back}"),
        None => code.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn totp(secret: &[u8], algorithm: Algorithm, digits: Digits) -> Totp {
        let secret = Secret::new(secret.to_vec()).unwrap();
        Totp { secret, algorithm, digits, period: Period::DEFAULT }
    }

    /// RFC 4226, appendix D: HOTP is TOTP's function of a counter.
    #[test]
    fn rfc_4226_vectors() {
        let hotp = totp(b"12345678901234567890", Algorithm::Sha1, Digits::Six);
        let expected = [
            755_224, 287_082, 359_152, 969_429, 338_314, 254_676, 287_922, 162_583, 399_871,
            520_489,
        ];
        assert_eq!(hotp.codes(Step(0), Step(9))[..], expected);
    }

    /// RFC 4226, appendix D, the intermediate values before the digits are cut.
    #[test]
    fn rfc_4226_truncated_values() {
        let hotp = totp(b"12345678901234567890", Algorithm::Sha1, Digits::Six);
        let expected: [u32; 10] = [
            0x4c93_cf18,
            0x4139_7eea,
            0x082f_ef30,
            0x66ef_7655,
            0x61c5_938a,
            0x33c0_83d4,
            0x7256_c032,
            0x04e5_b397,
            0x2823_443f,
            0x2679_dc69,
        ];
        assert_eq!(hotp.values(Step(0), Step(9)).collect::<Vec<_>>(), expected);
    }

    /// RFC 6238, appendix B (with the secret lengths of its erratum 2866).
    #[test]
    fn rfc_6238_vectors() {
        let seeds: [(Algorithm, &[u8]); 3] = [
            (Algorithm::Sha1, b"12345678901234567890"),
            (Algorithm::Sha256, b"12345678901234567890123456789012"),
            (
                Algorithm::Sha512,
                b"1234567890123456789012345678901234567890123456789012345678901234",
            ),
        ];
        let rows: [(u64, [&str; 3]); 6] = [
            (59, ["94287082", "46119246", "90693936"]),
            (1_111_111_109, ["07081804", "68084774", "25091201"]),
            (1_111_111_111, ["14050471", "67062674", "99943326"]),
            (1_234_567_890, ["89005924", "91819424", "93441116"]),
            (2_000_000_000, ["69279037", "90698825", "38618901"]),
            (20_000_000_000, ["65353130", "77737706", "47863826"]),
        ];
        for (time, codes) in rows {
            for ((algorithm, seed), code) in seeds.iter().zip(codes) {
                let totp = totp(seed, *algorithm, Digits::Eight);
                let step = totp.step(UnixTime(time));
                assert_eq!(totp.code_text(step).as_str(), code, "{algorithm} at {time}");
            }
        }
    }

    #[test]
    fn seven_digits_are_the_end_of_eight() {
        let secret = b"12345678901234567890";
        let seven = totp(secret, Algorithm::Sha1, Digits::Seven);
        assert_eq!(seven.code_text(Step(1)).as_str(), "4287082");
    }

    #[test]
    fn a_code_is_shown_in_two_halves() {
        assert_eq!(grouped("418203"), "418 203");
        assert_eq!(grouped("1234567"), "1234 567");
    }
}
