//! What somebody typed at the prompt, by its shape. The shape decides what is computed; who typed it doesn't.

use alloc::vec::Vec;
use core::fmt;

use zeroize::Zeroizing;

use crate::otp::Digits;

/// More digits than three codes of eight, with room for four of six.
const MOST_DIGITS: usize = 24;

/// An answer by its shape.
#[derive(Debug)]
pub enum Answer {
    /// One code or several: digits, spaces and hyphens ignored.
    Codes(TypedDigits),
    /// `?`: which ways in there are.
    Help,
    /// Nothing that could be right.
    Junk,
}

impl Answer {
    /// Tells the shape of what was typed.
    #[must_use]
    pub fn read(typed: &[u8]) -> Self {
        let typed = typed.trim_ascii();
        if typed == b"?" {
            return Self::Help;
        }
        let mut digits = Zeroizing::new(Vec::with_capacity(MOST_DIGITS));
        for byte in typed {
            match byte {
                b' ' | b'-' => {}
                b'0'..=b'9' if digits.len() < MOST_DIGITS => digits.push(byte.saturating_sub(b'0')),
                _ => return Self::Junk,
            }
        }
        if digits.is_empty() { Self::Junk } else { Self::Codes(TypedDigits(digits)) }
    }
}

/// Digits as typed, 1 to 24 of them. A secret: one of them may be good.
pub struct TypedDigits(Zeroizing<Vec<u8>>);

impl fmt::Debug for TypedDigits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TypedDigits({})", self.0.len())
    }
}

impl TypedDigits {
    /// The codes of `digits` digits that this is, if it is that; none otherwise.
    fn codes(&self, digits: Digits) -> impl Iterator<Item = u32> {
        let length = usize::from(digits.count());
        let whole = self.0.len().checked_rem(length) == Some(0);
        let digits = if whole { self.0.as_slice() } else { &[] };
        digits.chunks(length).map(|code| {
            code.iter().fold(0u32, |n, d| n.saturating_mul(10).saturating_add(u32::from(*d)))
        })
    }
}

/// The last codes of all answers of a dialogue, oldest first: at most three. Wiped when dropped.
pub struct Sequence(Zeroizing<Vec<u32>>);

impl Sequence {
    /// The codes of `digits` digits in these answers, as one sequence. Empty where the last answer is no such code:
    /// an older one was evaluated when it was the last.
    #[must_use]
    pub fn of(answers: &[Answer], digits: Digits) -> Self {
        let mut codes = Zeroizing::new(Vec::with_capacity(16));
        let mut last_counts = false;
        for answer in answers {
            let before = codes.len();
            if let Answer::Codes(typed) = answer {
                codes.extend(typed.codes(digits));
            }
            last_counts = codes.len() > before;
        }
        if !last_counts {
            codes.clear();
        }
        let superfluous = codes.len().saturating_sub(3);
        codes.drain(..superfluous);
        Self(codes)
    }

    /// The last `n` codes, oldest first; `None` where there are fewer.
    #[must_use]
    pub fn last(&self, n: usize) -> Option<&[u32]> {
        self.0.get(self.0.len().checked_sub(n)?..)
    }

    /// How many there are: 0 to 3.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn codes(answers: &[&str], digits: Digits) -> Vec<u32> {
        let answers: Vec<Answer> = answers.iter().map(|a| Answer::read(a.as_bytes())).collect();
        Sequence::of(&answers, digits).0.to_vec()
    }

    #[test]
    fn spaces_and_hyphens_are_ignored() {
        assert_eq!(codes(&[" 418 203\n"], Digits::Six), [418_203]);
        assert_eq!(codes(&["418-203 000-001"], Digits::Six), [418_203, 1]);
    }

    #[test]
    fn codes_of_several_answers_form_one_sequence_of_at_most_three() {
        assert_eq!(codes(&["111111", "222222"], Digits::Six), [111_111, 222_222]);
        assert_eq!(codes(&["111111222222333333444444"], Digits::Six), [222_222, 333_333, 444_444]);
        assert_eq!(
            codes(&["111111222222", "333333444444"], Digits::Six),
            [222_222, 333_333, 444_444]
        );
    }

    #[test]
    fn codes_of_another_length_do_not_count() {
        assert_eq!(codes(&["12345678"], Digits::Six), []);
        assert_eq!(codes(&["12345678"], Digits::Eight), [12_345_678]);
        assert_eq!(codes(&["12345678", "111111"], Digits::Six), [111_111]);
    }

    #[test]
    fn an_old_code_is_not_evaluated_again_behind_a_junk_answer() {
        assert_eq!(codes(&["111111", "hello"], Digits::Six), []);
    }

    #[test]
    fn what_no_code_looks_like_is_junk() {
        for typed in [
            "",
            "  ",
            "12345a",
            "\u{661}",
            "1111112222223333334444445",
            "\x08\n\r\x7fINCORRECT",
            "-",
        ] {
            assert!(matches!(Answer::read(typed.as_bytes()), Answer::Junk), "{typed:?}");
        }
        assert!(matches!(Answer::read(b" ?\n"), Answer::Help));
    }

    proptest! {
        #[test]
        fn any_answer_is_read_without_a_panic(typed in proptest::collection::vec(any::<u8>(), 0..64)) {
            let answers = [Answer::read(&typed)];
            for digits in Digits::ALL {
                prop_assert!(Sequence::of(&answers, digits).len() <= 3);
            }
        }

        #[test]
        fn a_code_is_read_as_its_number(code in 0u32..1_000_000) {
            prop_assert_eq!(codes(&[&alloc::format!("{code:06}")], Digits::Six), [code]);
        }
    }
}
