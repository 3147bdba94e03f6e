//! A password and a code behind it, in one text. Where the one ends and the other begins, the text alone does not say: what is
//! accepted of it does.

use zeroize::Zeroizing;

use crate::answer::{Answer, MOST_CODES, MOST_DIGITS, TypedDigits};
use crate::onetime::{CodeHash, LENGTH, OneTimeCode};
use crate::otp::Digits;

/// Digits of a short code by SMS.
const SHORT: usize = 8;

/// What a text ends with, as far as it can be a code.
#[derive(Debug)]
pub struct Combined {
    /// The digits at the end, spaces and hyphens left out: the last three codes of the longest kind.
    tail: TypedDigits,
    /// The sixteen characters at the end, if they are of the form of a code that is good once.
    once: Option<OneTimeCode>,
}

impl Combined {
    /// Reads the end of a text.
    pub(crate) fn read(text: &[u8]) -> Self {
        let mut digits = Zeroizing::new(alloc::vec::Vec::with_capacity(MOST_DIGITS));
        for byte in text.trim_ascii_end().iter().rev() {
            match byte {
                b' ' | b'-' => {}
                b'0'..=b'9' if digits.len() < MOST_DIGITS => digits.push(byte.saturating_sub(b'0')),
                _ => break,
            }
        }
        digits.reverse();
        Self {
            tail: TypedDigits::new(digits, text.len()),
            once: OneTimeCode::at_end_of(text.trim_ascii_end()),
        }
    }

    /// How many bytes the whole text has.
    pub(crate) fn length(&self) -> usize {
        self.tail.length()
    }

    /// How many digits there are at the end.
    pub(crate) fn digits(&self) -> usize {
        self.tail.count()
    }

    /// The last codes of `digits` digits, three at most.
    pub(crate) fn codes(&self, digits: Digits) -> impl Iterator<Item = u32> {
        let count = usize::from(digits.count());
        let whole = self.digits().checked_div(count).unwrap_or(0).min(MOST_CODES);
        self.tail.last(whole.saturating_mul(count)).codes(digits)
    }

    /// The hashes of what may be a code that is good once: of sixteen characters, and of eight.
    pub(crate) fn hashes(&self) -> [CodeHash; 2] {
        let of_digits = |count| match self.digits() >= count {
            true => CodeHash::of(&self.tail.last(count).text()),
            false => CodeHash::of(&[]),
        };
        let long = match &self.once {
            Some(code) => code.hash(),
            None => of_digits(LENGTH),
        };
        [long, of_digits(SHORT)]
    }
}

/// How many characters the code has whose hash is the nth of [`Combined::hashes`].
pub(crate) fn characters_of_hash(nth: usize) -> usize {
    if nth == 0 { LENGTH } else { SHORT }
}

/// The password in front of a code of so many characters, without the comma that may part the two.
#[must_use]
pub fn password_before(text: &[u8], characters: usize) -> &[u8] {
    let mut at = text.trim_ascii_end().len();
    let mut left = characters;
    while left > 0 {
        let Some(before) = at.checked_sub(1) else { break };
        at = before;
        if !matches!(text.get(at), Some(b' ' | b'-')) {
            left = left.saturating_sub(1);
        }
    }
    let password = text.get(..at).unwrap_or(text);
    let spaces = password.iter().rev().take_while(|byte| **byte == b' ').count();
    let unspaced = password.get(..at.saturating_sub(spaces)).unwrap_or(password);
    unspaced.strip_suffix(b",").unwrap_or(password)
}

/// The password where nothing was accepted, by the form of the text: what is in front of the last comma if codes follow it, else
/// all but the last `digits` characters if those are digits, else all of it.
#[must_use]
pub fn password_by_form(text: &[u8], digits: u8) -> &[u8] {
    let parted =
        text.iter().rposition(|byte| *byte == b',').and_then(|at| text.split_at_checked(at));
    if let Some((password, rest)) = parted
        && Answer::read(rest.get(1..).unwrap_or_default()).is_code()
    {
        return password;
    }
    let at = text.len().checked_sub(usize::from(digits));
    match at.and_then(|at| text.split_at_checked(at)) {
        Some((password, code)) if code.iter().all(u8::is_ascii_digit) => password,
        _ => text,
    }
}

/// Whether an earlier module's password has a code at its end, by its form: as many digits as the shortest code, or a code that is
/// good once, behind a comma or in groups. Without either the sixteen letters of a password would be taken for one.
#[must_use]
pub fn has_code(text: &[u8]) -> bool {
    let text = text.trim_ascii_end();
    if Combined::read(text).digits() >= usize::from(Digits::Six.count()) {
        return true;
    }
    let behind_comma =
        text.rsplit(|byte| *byte == b',').next().filter(|rest| rest.len() < text.len());
    behind_comma.is_some_and(|rest| OneTimeCode::read(rest).is_some()) || ends_in_groups(text)
}

/// Whether the text ends as a code is shown: four groups of four, parted by hyphens.
fn ends_in_groups(text: &[u8]) -> bool {
    let Some(at) = text.len().checked_sub(LENGTH.saturating_add(3)) else { return false };
    let end = text.get(at..).unwrap_or_default();
    end.chunks(5).all(|group| group.get(4).is_none_or(|byte| *byte == b'-'))
        && OneTimeCode::read(end).is_some()
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    fn codes(text: &str, digits: Digits) -> Vec<u32> {
        Combined::read(text.as_bytes()).codes(digits).collect()
    }

    #[test]
    fn each_number_of_digits_has_codes_of_its_own_at_the_end() {
        assert_eq!(codes("secret12345678", Digits::Six), [345_678]);
        assert_eq!(codes("secret12345678", Digits::Eight), [12_345_678]);
        assert_eq!(codes("secret,123456 654-321", Digits::Six), [123_456, 654_321]);
        assert_eq!(codes("1111111222222333333444444", Digits::Six), [222_222, 333_333, 444_444]);
        assert_eq!(codes("secret", Digits::Six), []);
        assert_eq!(codes("tail,123456654321", Digits::Six), [123_456, 654_321]);
    }

    #[test]
    fn a_comma_directly_before_the_code_is_no_part_of_the_password() {
        let cases = [
            ("secret123456", 6, "secret"),
            ("secret,123456", 6, "secret"),
            ("secret, 123 456\n", 6, "secret"),
            ("secret,,123456", 6, "secret,"),
            ("a,b,123456 654321", 12, "a,b"),
            ("tail,123456654321", 6, "tail,123456"),
            ("pass-123456", 6, "pass-"),
            (" pass 123456", 6, " pass "),
            ("secret,K7QM-2XVA-9TRC-HW4E", 16, "secret"),
            ("secretK7QM-2XVA-9TRC-HW4E", 16, "secret"),
            ("123456", 6, ""),
            ("1234", 6, ""),
        ];
        for (text, characters, password) in cases {
            assert_eq!(password_before(text.as_bytes(), characters), password.as_bytes(), "{text}");
        }
    }

    #[test]
    fn a_text_of_which_nothing_is_accepted_is_parted_by_its_form() {
        let cases = [
            ("secret123456", "secret"),
            ("secret,123456", "secret"),
            ("a,b,123456 654321", "a,b"),
            ("secret,12345678", "secret"),
            ("se,cret123456", "se,cret"),
            ("123456", ""),
            ("12345", "12345"),
            ("secret", "secret"),
            ("secret,", "secret,"),
        ];
        for (text, password) in cases {
            assert_eq!(password_by_form(text.as_bytes(), 6), password.as_bytes(), "{text}");
        }
    }

    #[test]
    fn an_earlier_password_has_a_code_where_its_form_is_no_words() {
        for text in
            ["x123456", "x,123 456", "x12345678", "x,k7qm2xva9trchw4e", "xK7QM-2XVA-9TRC-HW4E"]
        {
            assert!(has_code(text.as_bytes()), "{text}");
        }
        for text in ["", "secret", "x12345", "mysecretpassword", "x,mysecret", "K7QM-2XVA-9TRC HW4"]
        {
            assert!(!has_code(text.as_bytes()), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(
            text in proptest::collection::vec(any::<u8>(), 0..64), characters in 0usize..40,
        ) {
            let combined = Combined::read(&text);
            for digits in Digits::ALL {
                prop_assert!(combined.codes(digits).count() <= MOST_CODES);
            }
            prop_assert!(text.starts_with(password_before(&text, characters)));
            prop_assert!(text.starts_with(password_by_form(&text, 6)));
            let _ = (combined.hashes(), has_code(&text));
        }
    }
}
