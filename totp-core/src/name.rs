//! Names: of users as the name service calls them, of authenticators, and of the files that belong to them.

use alloc::borrow::ToOwned;
use alloc::string::String;
use core::fmt;
use core::fmt::Write as _;

use sha2::{Digest as _, Sha256};
use thiserror::Error;

use crate::visible::is_plain;

/// A user's name: `pw_name` of the name service, or, without an account, what was enrolled.
///
/// 1 to 256 bytes of UTF-8 without NUL; whatever else is in it (slashes, spaces, dots) is harmless
/// because no path is ever made from it but through [`UserName::file_name`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserName(String);

impl UserName {
    /// Checks a name.
    ///
    /// # Errors
    /// Empty, longer than 256 bytes, or with a NUL in it.
    pub fn new(name: &str) -> Result<Self, NameError> {
        if name.is_empty() {
            return Err(NameError::Empty);
        }
        if name.len() > 256 {
            return Err(NameError::Long);
        }
        if name.contains('\0') {
            return Err(NameError::Nul);
        }
        Ok(Self(name.to_owned()))
    }

    /// The name of somebody without an account (a VPN user): ASCII letters folded to lower case.
    ///
    /// # Errors
    /// As [`UserName::new`].
    pub fn without_account(name: &str) -> Result<Self, NameError> {
        Self::new(&name.to_ascii_lowercase())
    }

    /// The name itself.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The file name that stands for this user, without an extension; different for different users.
    ///
    /// Bytes outside `[A-Za-z0-9._@-]`, and a leading dot, are percent-encoded. What is longer than
    /// 200 bytes then becomes its first 100, `%~`, and the SHA-256 of the name in hex.
    #[must_use]
    pub fn file_name(&self) -> String {
        let mut encoded = String::new();
        for (at, byte) in self.0.bytes().enumerate() {
            let plain = byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'@' | b'-');
            if plain || (byte == b'.' && at > 0) {
                encoded.push(char::from(byte));
            } else {
                percent(&mut encoded, byte);
            }
        }
        if encoded.len() > 200 {
            encoded.truncate(100);
            encoded.push_str("%~");
            encoded.push_str(&crate::encoding::HEXLOWER.encode(&Sha256::digest(&self.0)));
        }
        encoded
    }

    /// Which of `n` decoys stands in for this user; the same every time.
    #[must_use]
    pub fn bucket(&self, n: u8) -> u8 {
        let digest = Sha256::digest(&self.0);
        digest.first().copied().unwrap_or(0).checked_rem(n).unwrap_or(0)
    }

    /// A number of this name's own, as far as 64 bits can be: nobody finds another name with the same one by chance, or
    /// the name by its number, without the key.
    #[must_use]
    pub fn number(&self, key: &[u8; 32]) -> u64 {
        // All keys are of one length, so that no key and name are another key and name together.
        let digest = Sha256::new().chain_update(key).chain_update(&self.0).finalize();
        let mut bytes = [0; 8];
        bytes.iter_mut().zip(digest.iter()).for_each(|(to, byte)| *to = *byte);
        u64::from_be_bytes(bytes)
    }
}

impl fmt::Display for UserName {
    /// Printable whatever the name: control characters and what isn't ASCII are escaped.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&escaped(&self.0))
    }
}

/// What one authenticator is called: 1 to 32 of `[A-Za-z0-9._-]`, beginning with a letter or digit.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AuthenticatorName(String);

impl AuthenticatorName {
    /// What an authenticator is called when nobody says otherwise.
    pub const DEFAULT: &'static str = "phone";

    /// Checks a name.
    ///
    /// # Errors
    /// Empty, too long, or a character outside the set.
    pub fn new(name: &str) -> Result<Self, NameError> {
        let good = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
        let first = name.bytes().next().ok_or(NameError::Empty)?;
        if !first.is_ascii_alphanumeric() || !name.bytes().all(good) || name.len() > 32 {
            return Err(NameError::Authenticator);
        }
        Ok(Self(name.to_owned()))
    }

    /// The name itself.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AuthenticatorName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a text is no name.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum NameError {
    /// Nothing at all.
    #[error("the name is empty")]
    Empty,
    /// Over 256 bytes.
    #[error("the name is longer than 256 bytes")]
    Long,
    /// A NUL byte.
    #[error("the name has a NUL byte in it")]
    Nul,
    /// Not an authenticator's name.
    #[error(
        "an authenticator's name is 1 to 32 letters, digits, dots, underscores and hyphens, \
         beginning with a letter or digit"
    )]
    Authenticator,
}

/// A word for a line of fields parted by spaces: every byte that is not a graphic ASCII character, and `%`,
/// `=` and `"`, is percent-encoded; the result has at most `most` bytes (never cut inside an encoded byte).
#[must_use]
pub fn word(text: &str, most: usize) -> String {
    // At once: what is said may have a code in it, and a string that grows leaves parts of itself in memory.
    let mut out = String::with_capacity(text.len().saturating_mul(3).min(most));
    for byte in text.bytes() {
        let plain = byte.is_ascii_graphic() && !matches!(byte, b'%' | b'=' | b'"');
        if out.len().saturating_add(if plain { 1 } else { 3 }) > most {
            break;
        }
        if plain {
            out.push(char::from(byte));
        } else {
            percent(&mut out, byte);
        }
    }
    out
}

/// Undoes [`word`]. `None` where the text was not made by it.
#[must_use]
pub fn unword(text: &str) -> Option<String> {
    let mut bytes = alloc::vec::Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        rest = tail;
        if first == b'%' {
            let (hex, tail) = rest.split_at_checked(2)?;
            bytes.push(crate::encoding::HEXUPPER.decode(hex).ok()?.first().copied()?);
            rest = tail;
        } else if first.is_ascii_graphic() {
            bytes.push(first);
        } else {
            return None;
        }
    }
    // A cut at the byte limit may have parted a character.
    Some(match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
    })
}

/// Text from outside as it may stand in a log or on a terminal: printable ASCII, everything else as `\x..`.
#[must_use]
pub fn escaped(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if is_plain(byte) && byte != b'\\' {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "\\x{byte:02x}"); // a String takes everything
        }
    }
    out
}

fn percent(out: &mut String, byte: u8) {
    let _ = write!(out, "%{byte:02X}"); // a String takes everything
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn file(name: &str) -> String {
        UserName::new(name).unwrap().file_name()
    }

    #[test]
    fn hostile_names_stay_one_harmless_file() {
        assert_eq!(file("alice"), "alice");
        assert_eq!(file("../evil/f"), "%2E.%2Fevil%2Ff");
        assert_eq!(file(".."), "%2E.");
        assert_eq!(file("."), "%2E");
        assert_eq!(file("a.b@c-d_e"), "a.b@c-d_e");
        assert_eq!(file("50%"), "50%25");
        assert_eq!(file("dom\\user name"), "dom%5Cuser%20name");
        assert_eq!(file("\u{e9}"), "%C3%A9");
    }

    #[test]
    fn a_long_name_becomes_its_beginning_and_a_hash() {
        let long = "a".repeat(255);
        assert_eq!(file(&long).len(), 100 + 2 + 64);
        assert!(file(&long).starts_with(&"a".repeat(100)));
        assert_ne!(file(&long), file(&"a".repeat(254)));
        assert_eq!(file(&"a".repeat(200)).len(), 200);
    }

    #[test]
    fn no_short_name_looks_like_a_long_one() {
        assert!(!file("a%~b").contains("%~"));
    }

    #[test]
    fn impossible_names_are_refused() {
        assert_eq!(UserName::new(""), Err(NameError::Empty));
        assert_eq!(UserName::new("a\0b"), Err(NameError::Nul));
        assert_eq!(UserName::new(&"a".repeat(257)), Err(NameError::Long));
        assert_eq!(AuthenticatorName::new("-x"), Err(NameError::Authenticator));
        assert_eq!(AuthenticatorName::new("a b"), Err(NameError::Authenticator));
    }

    proptest! {
        #[test]
        fn different_names_have_different_files(a in ".{1,40}", b in ".{1,40}") {
            prop_assume!(a != b && !a.contains('\0') && !b.contains('\0'));
            prop_assert_ne!(file(&a), file(&b));
        }

        #[test]
        fn a_file_name_is_one_safe_component(name in "[^\0]{1,60}") {
            let file = file(&name);
            prop_assert!(!file.starts_with('.') && !file.contains('/') && file.len() <= 200 && file.is_ascii());
        }

        #[test]
        fn a_word_reads_back_and_has_no_space(text in ".{0,40}") {
            let word = word(&text, 1000);
            prop_assert!(word.bytes().all(|b| b.is_ascii_graphic()));
            prop_assert_eq!(unword(&word), Some(text));
        }

        #[test]
        fn a_word_keeps_to_its_length(text in ".{0,40}", most in 0usize..20) {
            prop_assert!(word(&text, most).len() <= most);
        }
    }
}
