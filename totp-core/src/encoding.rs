//! Bytes as letters (RFC 4648): hex, base32, base64. Strict: what is decoded encodes to the same text again, but for the
//! case of permissive hex and the end of lenient base32. A few lines here are a thirtieth of the module less.

use alloc::string::String;
use alloc::vec::Vec;

/// One of the encodings of RFC 4648.
#[derive(Clone, Copy, Debug)]
pub struct Encoding {
    letters: &'static [u8],
    /// What each byte means as a letter; [`NO_LETTER`] where it is none.
    values: &'static [u8; 256],
    /// Bits a letter: 4, 5 or 6.
    bits: u32,
    padded: bool,
    /// Whether bits behind the last byte are passed over.
    lenient: bool,
}

/// Hex in lower case.
pub const HEXLOWER: Encoding = Encoding::new(LOWER, &LOWER_VALUES, 4);
/// Hex in upper case.
pub const HEXUPPER: Encoding = Encoding::new(UPPER, &UPPER_VALUES, 4);
/// Hex, read in either case.
pub const HEXUPPER_PERMISSIVE: Encoding = Encoding { values: &EITHER_VALUES, ..HEXUPPER };
/// Base32 without padding.
pub const BASE32_NOPAD: Encoding = Encoding::new(BASE32_LETTERS, &BASE32_VALUES, 5);
/// Base32 without padding, as some issuers write it: bits left over in the last letter carry nothing.
pub const BASE32_LENIENT: Encoding = Encoding { lenient: true, ..BASE32_NOPAD };
/// Base64 without padding.
pub const BASE64_NOPAD: Encoding = Encoding::new(BASE64_LETTERS, &BASE64_VALUES, 6);
/// Base64 with padding.
pub const BASE64: Encoding = Encoding { padded: true, ..BASE64_NOPAD };

const LOWER: &[u8] = b"0123456789abcdef";
const UPPER: &[u8] = b"0123456789ABCDEF";
const BASE32_LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const BASE64_LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static LOWER_VALUES: [u8; 256] = values(LOWER, NO_LETTERS);
static UPPER_VALUES: [u8; 256] = values(UPPER, NO_LETTERS);
static EITHER_VALUES: [u8; 256] = values(UPPER, values(LOWER, NO_LETTERS));
static BASE32_VALUES: [u8; 256] = values(BASE32_LETTERS, NO_LETTERS);
static BASE64_VALUES: [u8; 256] = values(BASE64_LETTERS, NO_LETTERS);

/// Says of a byte that it is no letter: more than any of them means.
const NO_LETTER: u8 = u8::MAX;
const NO_LETTERS: [u8; 256] = [NO_LETTER; 256];

/// The table by which letters are looked up, made when the program is compiled.
#[allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation
)]
const fn values(letters: &[u8], mut values: [u8; 256]) -> [u8; 256] {
    let mut at = 0;
    while at < letters.len() {
        values[letters[at] as usize] = at as u8;
        at += 1;
    }
    values
}

/// A text that is not of this encoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotEncoded;

impl Encoding {
    const fn new(letters: &'static [u8], values: &'static [u8; 256], bits: u32) -> Self {
        Self { letters, values, bits, padded: false, lenient: false }
    }

    /// The text of `bytes`.
    #[must_use]
    #[allow(clippy::arithmetic_side_effects)] // never more than 7 + 8 bits wait
    pub fn encode(&self, bytes: &[u8]) -> String {
        // Room at once: a growing text would leave copies behind.
        let mut text = Vec::with_capacity(bytes.len().saturating_mul(2).saturating_add(4));
        let (mut waiting, mut count) = (0_u32, 0_u32);
        for byte in bytes {
            waiting = waiting << 8 | u32::from(*byte);
            count += 8;
            while count >= self.bits {
                count -= self.bits;
                text.push(self.letter(waiting >> count));
                waiting &= (1 << count) - 1;
            }
        }
        if count > 0 {
            text.push(self.letter(waiting << (self.bits - count)));
        }
        while self.padded && !text.len().is_multiple_of(4) {
            text.push(b'=');
        }
        String::from_utf8(text).unwrap_or_default() // letters are ASCII
    }

    fn letter(&self, value: u32) -> u8 {
        let at = usize::try_from(value).unwrap_or_default();
        self.letters.get(at).copied().unwrap_or(b'=') // `bits` bits: always there
    }

    /// The bytes of a text.
    ///
    /// # Errors
    /// Another letter, padding that is missing or too much, a length that no bytes have, bits behind the last byte.
    #[allow(clippy::arithmetic_side_effects)] // never more than 7 + 6 bits wait
    pub fn decode(&self, text: &[u8]) -> Result<Vec<u8>, NotEncoded> {
        let letters = if self.padded { unpadded(text)? } else { text };
        let mut bytes = Vec::with_capacity(letters.len());
        let (mut waiting, mut count) = (0_u32, 0_u32);
        for letter in letters {
            waiting = waiting << self.bits | self.value(*letter).ok_or(NotEncoded)?;
            count += self.bits;
            if count >= 8 {
                count -= 8;
                bytes.extend(u8::try_from(waiting >> count));
                waiting &= (1 << count) - 1;
            }
        }
        // A letter too many, or one that says more than the bytes.
        let more = count >= self.bits || (waiting != 0 && !self.lenient);
        if more { Err(NotEncoded) } else { Ok(bytes) }
    }

    fn value(&self, letter: u8) -> Option<u32> {
        let value = self.values.get(usize::from(letter)).copied();
        value.filter(|value| *value != NO_LETTER).map(u32::from)
    }
}

/// Base64 comes in groups of four, the last one filled up by `=`, two at most.
fn unpadded(text: &[u8]) -> Result<&[u8], NotEncoded> {
    if !text.len().is_multiple_of(4) {
        return Err(NotEncoded);
    }
    let once = text.strip_suffix(b"=").unwrap_or(text);
    Ok(once.strip_suffix(b"=").unwrap_or(once))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ALL: [(Encoding, data_encoding::Encoding); 6] = [
        (HEXLOWER, data_encoding::HEXLOWER),
        (HEXUPPER, data_encoding::HEXUPPER),
        (HEXUPPER_PERMISSIVE, data_encoding::HEXUPPER_PERMISSIVE),
        (BASE32_NOPAD, data_encoding::BASE32_NOPAD),
        (BASE64_NOPAD, data_encoding::BASE64_NOPAD),
        (BASE64, data_encoding::BASE64),
    ];

    #[test]
    fn the_vectors_of_rfc_4648_are_encoded_so() {
        assert_eq!(BASE64.encode(b"foob"), "Zm9vYg==");
        assert_eq!(BASE64.encode(b""), "");
        assert_eq!(BASE32_NOPAD.encode(b"foob"), "MZXW6YQ");
        assert_eq!(HEXUPPER.encode(b"foobar"), "666F6F626172");
        assert_eq!(BASE32_NOPAD.decode(b"MZXW6YTBOI"), Ok(b"foobar".to_vec()));
    }

    #[test]
    fn bits_left_over_are_passed_over_by_the_lenient_alone() {
        assert_eq!(BASE32_LENIENT.decode(b"MZXW6YR"), Ok(b"foob".to_vec()));
        assert_eq!(BASE32_NOPAD.decode(b"MZXW6YR"), Err(NotEncoded));
        assert_eq!(BASE32_LENIENT.decode(b"MZX"), Err(NotEncoded));
    }

    proptest! {
        #[test]
        fn bytes_are_encoded_as_everybody_does(bytes in proptest::collection::vec(any::<u8>(), 0..70)) {
            for (ours, theirs) in &ALL {
                let text = ours.encode(&bytes);
                prop_assert_eq!(&text, &theirs.encode(&bytes));
                prop_assert_eq!(ours.decode(text.as_bytes()), Ok(bytes.clone()));
            }
        }

        #[test]
        fn a_text_is_read_as_everybody_does_or_not_at_all(text in "[A-Za-z2-7]{0,17}[=+/a-f0-9]{0,3}|[0-9a-fA-F]{0,9}|.{0,9}") {
            for (ours, theirs) in &ALL {
                prop_assert_eq!(ours.decode(text.as_bytes()).ok(), theirs.decode(text.as_bytes()).ok());
            }
        }
    }
}
