//! Codes that are good once without being computed from the time: recovery codes, bypass codes, enrollment codes (all of one
//! form) and those sent as text messages. Kept as hashes only.

use alloc::string::String;
use core::fmt;
use core::str::FromStr;

use crate::encoding::HEXLOWER;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use thiserror::Error;
use zeroize::Zeroizing;

/// Characters of a code: 80 bits, so that guessing needs no budget.
pub const LENGTH: usize = 16;

/// As many recovery codes a user may have.
pub const MOST_RECOVERY_CODES: usize = 16;

/// Crockford's base 32: no I, L, O, U. What looks like another character is read as that one.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// A code of 16 characters, in the form that is hashed. Wiped when dropped.
pub struct OneTimeCode(Zeroizing<[u8; LENGTH]>);

impl OneTimeCode {
    /// A fresh one out of random bytes: 16 times 5 bits of them. Has a letter, so that it is never taken for digits.
    #[must_use]
    pub fn fresh(entropy: &[u8; LENGTH]) -> Self {
        let mut code = Zeroizing::new([0; LENGTH]);
        for (character, random) in code.iter_mut().zip(entropy) {
            *character = ALPHABET.get(usize::from(random & 31)).copied().unwrap_or(b'0');
        }
        if code.iter().all(u8::is_ascii_digit)
            && let Some(last) = code.last_mut()
        {
            *last = b'Z'; // once in a hundred million codes
        }
        Self(code)
    }

    /// Reads what was typed: either case, spaces and hyphens ignored. `None` where it is no such code.
    #[must_use]
    pub fn read(typed: &[u8]) -> Option<Self> {
        let mut code = Zeroizing::new([0; LENGTH]);
        let mut length = 0usize;
        for byte in typed.trim_ascii() {
            if matches!(byte, b' ' | b'-') {
                continue;
            }
            *code.get_mut(length)? = character(*byte)?;
            length = length.saturating_add(1);
        }
        (length == LENGTH).then_some(Self(code)).filter(Self::has_letter)
    }

    /// Reads the end of a text as such a code, whatever is in front of it.
    #[must_use]
    pub fn at_end_of(text: &[u8]) -> Option<Self> {
        let mut code = Zeroizing::new([0; LENGTH]);
        let mut typed = text.iter().rev().filter(|byte| !matches!(byte, b' ' | b'-'));
        for place in code.iter_mut().rev() {
            *place = character(*typed.next()?)?;
        }
        Some(Self(code)).filter(Self::has_letter)
    }

    /// Sixteen digits are codes of an authenticator, or a text message's.
    fn has_letter(&self) -> bool {
        self.0.iter().any(u8::is_ascii_alphabetic)
    }

    /// As people are shown it: groups of four.
    #[must_use]
    pub fn shown(&self) -> Zeroizing<String> {
        let mut shown = Zeroizing::new(String::with_capacity(LENGTH.saturating_add(3)));
        for (at, character) in self.0.iter().enumerate() {
            if at > 0 && at.is_multiple_of(4) {
                shown.push('-');
            }
            shown.push(char::from(*character));
        }
        shown
    }

    /// What is kept of it.
    #[must_use]
    pub fn hash(&self) -> CodeHash {
        CodeHash::of(&*self.0)
    }
}

/// A character as it is hashed; `None` where no code has it.
fn character(typed: u8) -> Option<u8> {
    match typed.to_ascii_uppercase() {
        b'O' => Some(b'0'),
        b'I' | b'L' => Some(b'1'),
        other => ALPHABET.contains(&other).then_some(other),
    }
}

impl fmt::Debug for OneTimeCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OneTimeCode(..)")
    }
}

/// SHA-256 over a code. Of 80 random bits neither salt nor anything slower is needed; a text message's code has fewer, and
/// is good for minutes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CodeHash([u8; 32]);

impl CodeHash {
    /// Of a code in its one form: 16 characters, or a text message's digits.
    pub(crate) fn of(code: &[u8]) -> Self {
        let mut hash = Sha256::new();
        hash.update(b"pam-totp one-time code 1\0");
        hash.update(code);
        Self(hash.finalize().into())
    }

    /// What stands where nobody has a code: no code has this hash, as far as anybody knows.
    pub(crate) const NONE: Self = Self([0; 32]);

    /// What names this code where it is spent.
    #[must_use]
    pub fn id(&self) -> CodeId {
        let (first, _) = self.0.split_first_chunk::<8>().unwrap_or((&[0; 8], &[]));
        CodeId(*first)
    }

    /// Whether both are of one code, in constant time.
    pub(crate) fn same(&self, other: &Self) -> subtle::Choice {
        self.0.ct_eq(&other.0)
    }
}

impl fmt::Display for CodeHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

/// Not 64 digits of lower-case hex.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("not the hash of a code: digits of lower-case hex")]
pub struct NotAHash;

impl FromStr for CodeHash {
    type Err = NotAHash;

    fn from_str(text: &str) -> Result<Self, NotAHash> {
        let bytes = HEXLOWER.decode(text.as_bytes()).ok().and_then(|bytes| bytes.try_into().ok());
        bytes.map(Self).ok_or(NotAHash)
    }
}

/// The first 64 bits of a [`CodeHash`]: names a code among those of one user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CodeId([u8; 8]);

impl fmt::Display for CodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl FromStr for CodeId {
    type Err = NotAHash;

    fn from_str(text: &str) -> Result<Self, NotAHash> {
        let bytes = HEXLOWER.decode(text.as_bytes()).ok().and_then(|bytes| bytes.try_into().ok());
        bytes.map(Self).ok_or(NotAHash)
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::string::ToString;

    use proptest::prelude::*;

    use super::*;

    fn hash(typed: &str) -> Option<CodeHash> {
        OneTimeCode::read(typed.as_bytes()).map(|code| code.hash())
    }

    #[test]
    fn a_code_is_read_as_people_type_it() {
        let code = hash("K7QM-2XVA-9TRC-HW4E");
        assert!(code.is_some());
        for typed in ["k7qm2xva9trchw4e", " K7QM 2XVA 9TRC HW4E\n", "K-7-Q-M-2XVA9TRCHW4E"] {
            assert_eq!(hash(typed), code, "{typed}");
        }
        assert_eq!(hash("KOQM-ILVA-9TRC-HW4E"), hash("K0QM-11VA-9TRC-HW4E"));
    }

    #[test]
    fn other_shapes_are_no_code() {
        for typed in [
            "",
            "K7QM-2XVA-9TRC-HW4",
            "K7QM-2XVA-9TRC-HW4EE",
            "K7QM-2XVA-9TRC-HW4U",
            "1234567812345678",
            "K7QM_2XVA_9TRC_HW4E",
            "K7QM-2XVA-9TRC-HW4\u{e9}",
        ] {
            assert_eq!(hash(typed), None, "{typed:?}");
        }
    }

    #[test]
    fn a_fresh_code_is_never_all_digits() {
        let code = OneTimeCode::fresh(&[3; LENGTH]);
        assert_eq!(&**code.shown(), "3333-3333-3333-333Z");
    }

    #[test]
    fn debug_output_does_not_show_the_code() {
        assert_eq!(format!("{:?}", OneTimeCode::fresh(&[7; LENGTH])), "OneTimeCode(..)");
    }

    proptest! {
        #[test]
        fn a_shown_code_reads_back(entropy in any::<[u8; LENGTH]>()) {
            let code = OneTimeCode::fresh(&entropy);
            let again = OneTimeCode::read(code.shown().as_bytes()).unwrap();
            prop_assert_eq!(again.hash(), code.hash());
            let text = code.hash().to_string();
            prop_assert_eq!(text.parse(), Ok(code.hash()));
        }

        #[test]
        fn any_answer_is_read_without_a_panic(typed in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = OneTimeCode::read(&typed);
        }
    }
}
