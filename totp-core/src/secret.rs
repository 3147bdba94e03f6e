//! Shared secrets: one type that is wiped, never printed by accident and never cloned by habit.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::encoding::{BASE32_LENIENT, BASE32_NOPAD};
use subtle::ConstantTimeEq;
use thiserror::Error;
use zeroize::Zeroizing;

/// A shared secret (K of RFC 4226 section 5.1): 10 to 128 bytes.
///
/// RFC 4226 section 4 asks for 16 bytes at least; legacy tokens have 10. Fresh secrets have 20.
/// `Debug` shows the length only; there is no `Display`.
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Length of a fresh secret in bytes, whatever the algorithm (RFC 4226 section 4, R6).
    pub const FRESH: usize = 20;

    /// Takes `bytes` over.
    ///
    /// # Errors
    /// Outside 10..=128 bytes.
    pub fn new(bytes: Vec<u8>) -> Result<Self, SecretError> {
        let bytes = Zeroizing::new(bytes);
        match bytes.len() {
            0..10 => Err(SecretError::Short),
            10..=128 => Ok(Self(bytes)),
            _ => Err(SecretError::Long),
        }
    }

    /// A fresh secret out of 20 random bytes.
    #[must_use]
    pub fn fresh(entropy: &[u8; Self::FRESH]) -> Self {
        Self(Zeroizing::new(entropy.to_vec()))
    }

    /// Reads base32 (RFC 4648 section 6) as people type it: either case, spaces, hyphens and padding ignored.
    ///
    /// # Errors
    /// A character outside the alphabet, an impossible length, or a secret outside 10..=128 bytes.
    pub fn from_base32(text: &str) -> Result<Self, SecretError> {
        let compact: Zeroizing<Vec<u8>> = Zeroizing::new(
            text.bytes()
                .filter(|b| !matches!(b, b' ' | b'-' | b'\t' | b'='))
                .map(|b| b.to_ascii_uppercase())
                .collect(),
        );
        // Some issuers leave bits over in the last character; they carry nothing.
        Self::new(BASE32_LENIENT.decode(&compact).map_err(|_| SecretError::NotBase32)?)
    }

    /// Base32 without padding, upper case: the form otpauth text and apps use.
    #[must_use]
    pub fn to_base32(&self) -> Zeroizing<String> {
        Zeroizing::new(BASE32_NOPAD.encode(&self.0))
    }

    /// The bytes, for computing codes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether both are the same secret; takes the same time wherever they differ.
    #[must_use]
    pub fn same_as(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }

    /// A second copy, for where a record is carried on unchanged into a new one.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        Self(self.0.clone())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({} bytes)", self.0.len())
    }
}

/// Why a text or some bytes are no shared secret. Never repeats them.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum SecretError {
    /// Not base32 at all.
    #[error("the secret is not base32: letters A to Z and digits 2 to 7")]
    NotBase32,
    /// Under 80 bits.
    #[error("the secret is shorter than 10 bytes (16 characters of base32)")]
    Short,
    /// Longer than any HMAC block.
    #[error("the secret is longer than 128 bytes")]
    Long,
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn base32_is_read_as_people_type_it() {
        let typed = Secret::from_base32("gezd gnbv-GY3T QOJQ GEZDGNBVGY3TQOJQ====").unwrap();
        assert_eq!(typed.as_bytes(), b"12345678901234567890");
    }

    #[test]
    fn short_and_long_secrets_are_refused() {
        assert_eq!(Secret::from_base32("JBSWY3DP").err(), Some(SecretError::Short));
        assert_eq!(Secret::new(alloc::vec![0; 129]).err(), Some(SecretError::Long));
        assert_eq!(Secret::from_base32("JBSWY3DPEHPK3PX1").err(), Some(SecretError::NotBase32));
    }

    #[test]
    fn debug_output_does_not_show_the_secret() {
        assert_eq!(format!("{:?}", Secret::fresh(&[7; 20])), "Secret(20 bytes)");
    }

    proptest! {
        #[test]
        fn a_printed_secret_reads_back(bytes in proptest::collection::vec(any::<u8>(), 10..=128)) {
            let secret = Secret::new(bytes.clone()).unwrap();
            let again = Secret::from_base32(&secret.to_base32()).unwrap();
            prop_assert_eq!(again.as_bytes(), &bytes[..]);
        }
    }
}
