//! What somebody typed at the prompt, by its shape. The shape decides what is computed; who typed it doesn't.

use alloc::vec::Vec;
use core::fmt;

use zeroize::Zeroizing;

use crate::combined::Combined;
use crate::onetime::{CodeHash, OneTimeCode};
use crate::otp::Digits;

/// As many codes are looked at, the last ones.
pub const MOST_CODES: usize = 3;

/// More digits than three codes of eight, with room for four of six.
pub(crate) const MOST_DIGITS: usize = 24;

/// An answer by its shape.
#[derive(Debug)]
pub enum Answer {
    /// One code or several: digits, spaces and hyphens ignored.
    Codes(TypedDigits),
    /// `?`, or any other single byte: which ways in there are. sshd answers for people who may not log in with junk of
    /// the length that was typed, so a word must be told by its length.
    Help,
    /// One code that is good once: a recovery code, a bypass code or an enrollment code.
    Code {
        /// The code.
        code: OneTimeCode,
        /// Bytes typed, hyphens and all.
        length: usize,
    },
    /// Any other answer of three bytes: no code has three digits.
    Word(Word),
    /// A password with a code behind it.
    Combined(Combined),
    /// Nothing that could be right.
    Junk {
        /// Bytes typed.
        length: usize,
    },
}

/// An answer of three bytes. Whichever it is, the same is shown: sshd sends junk of that length for people who may not
/// log in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// `sms`: send me a code.
    Sms,
    /// `new`: after a good code, let me enroll another phone in place of this one.
    New,
    /// Nothing that means anything.
    Other,
}

impl Word {
    fn read(typed: &[u8]) -> Option<Self> {
        let typed: &[u8; 3] = typed.try_into().ok()?;
        Some(match &typed.map(|byte| byte.to_ascii_lowercase()) {
            b"sms" => Self::Sms,
            b"new" => Self::New,
            _ => Self::Other,
        })
    }
}

impl Answer {
    /// Tells the shape of what was typed.
    #[must_use]
    pub fn read(typed: &[u8]) -> Self {
        if typed.len() == 1 {
            return Self::Help; // no code has one digit
        }
        if let Some(word) = Word::read(typed) {
            return Self::Word(word);
        }
        let length = typed.len();
        if let Some(code) = OneTimeCode::read(typed) {
            return Self::Code { code, length };
        }
        let mut digits = Zeroizing::new(Vec::with_capacity(MOST_DIGITS));
        for byte in typed.trim_ascii() {
            match byte {
                b' ' | b'-' => {}
                b'0'..=b'9' if digits.len() < MOST_DIGITS => digits.push(byte.saturating_sub(b'0')),
                _ => return Self::Junk { length },
            }
        }
        if digits.is_empty() {
            Self::Junk { length }
        } else {
            Self::Codes(TypedDigits { digits, length })
        }
    }

    /// The shape of a text that begins with a password. It is never a word, nor `?`.
    #[must_use]
    pub fn read_combined(typed: &[u8]) -> Self {
        if typed.is_empty() {
            Self::Junk { length: 0 }
        } else {
            Self::Combined(Combined::read(typed))
        }
    }

    /// Whether this could be a code of any kind.
    #[must_use]
    pub fn is_code(&self) -> bool {
        matches!(self, Self::Codes(_) | Self::Code { .. })
    }

    /// Whether nothing was typed: what programs answer that have nobody to ask.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        matches!(self, Self::Junk { length: 0 })
    }

    /// The hashes of it as of codes that are good once; for any other shape the hash of nothing, so that it takes as long.
    /// Two, as many as a password with something behind it can have.
    pub(crate) fn hashes(&self) -> [CodeHash; 2] {
        let nothing = || CodeHash::of(&[]);
        match self {
            Self::Code { code, .. } => [code.hash(), nothing()],
            Self::Codes(typed) => [CodeHash::of(&typed.text()), nothing()],
            Self::Combined(combined) => combined.hashes(),
            Self::Help | Self::Word(_) | Self::Junk { .. } => [nothing(), nothing()],
        }
    }

    /// Whether it is compared with codes by SMS that have so many digits.
    pub(crate) fn may_be_sms(&self, digits: usize) -> bool {
        match self {
            Self::Codes(typed) => typed.count() == digits,
            Self::Combined(combined) => combined.digits() >= digits,
            Self::Help | Self::Word(_) | Self::Code { .. } | Self::Junk { .. } => false,
        }
    }

    /// How many codes this is computed for: as many as fit its length, at most three. Never fewer than it is, and
    /// as many for junk as for digits of that length: sshd sends junk for people who may not log in.
    #[must_use]
    pub fn work(&self) -> usize {
        let length = match self {
            Self::Codes(typed) => typed.length,
            Self::Help | Self::Word(_) => 0,
            Self::Combined(combined) => combined.length(),
            Self::Code { length, .. } | Self::Junk { length } => *length,
        };
        length.checked_div(usize::from(Digits::Six.count())).unwrap_or(0).min(MOST_CODES)
    }
}

/// Digits as typed, 1 to 24 of them. A secret: one of them may be good.
pub struct TypedDigits {
    digits: Zeroizing<Vec<u8>>,
    /// Bytes typed, spaces and all.
    length: usize,
}

impl fmt::Debug for TypedDigits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TypedDigits({})", self.digits.len())
    }
}

impl TypedDigits {
    /// Digits that were typed in so many bytes.
    pub(crate) fn new(digits: Zeroizing<Vec<u8>>, length: usize) -> Self {
        Self { digits, length }
    }

    /// Bytes typed, spaces and all.
    pub(crate) fn length(&self) -> usize {
        self.length
    }

    /// How many digits there are.
    pub(crate) fn count(&self) -> usize {
        self.digits.len()
    }

    /// The last `count` of them; all where there are fewer.
    pub(crate) fn last(&self, count: usize) -> DigitsAtEnd<'_> {
        let at = self.digits.len().saturating_sub(count);
        DigitsAtEnd(self.digits.get(at..).unwrap_or_default())
    }

    /// The digits as characters.
    fn text(&self) -> Zeroizing<Vec<u8>> {
        self.last(self.count()).text()
    }

    /// The codes of `digits` digits that this is, if it is that; none otherwise.
    fn codes(&self, digits: Digits) -> impl Iterator<Item = u32> {
        self.last(self.count()).codes(digits)
    }
}

/// Digits at the end of what was typed.
pub(crate) struct DigitsAtEnd<'a>(&'a [u8]);

impl<'a> DigitsAtEnd<'a> {
    /// The digits as characters.
    pub(crate) fn text(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(self.0.iter().map(|digit| digit.saturating_add(b'0')).collect())
    }

    /// The codes of `digits` digits that this is, if it is that; none otherwise.
    pub(crate) fn codes(&self, digits: Digits) -> impl Iterator<Item = u32> + use<'a> {
        let length = usize::from(digits.count());
        let whole = self.0.len().checked_rem(length) == Some(0);
        let digits = if whole { self.0 } else { &[] };
        digits.chunks(length).map(|code| {
            code.iter().fold(0u32, |n, d| n.saturating_mul(10).saturating_add(u32::from(*d)))
        })
    }
}

/// More than any code of eight digits.
const NO_CODE: u32 = u32::MAX;

/// How many codes all answers of a dialogue are computed for: 0 to 3.
#[must_use]
pub fn work(answers: &[Answer]) -> usize {
    answers.iter().fold(0usize, |sum, answer| sum.saturating_add(answer.work())).min(MOST_CODES)
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
            match answer {
                Answer::Codes(typed) => codes.extend(typed.codes(digits)),
                Answer::Combined(combined) => codes.extend(combined.codes(digits)),
                _ => {}
            }
            last_counts = codes.len() > before;
        }
        if !last_counts {
            codes.clear();
        }
        let superfluous = codes.len().saturating_sub(MOST_CODES);
        codes.drain(..superfluous);
        Self(codes)
    }

    /// The last `n` codes, oldest first; `None` where there are fewer.
    #[must_use]
    pub fn last(&self, n: usize) -> Option<&[u32]> {
        self.0.get(self.0.len().checked_sub(n)?..)
    }

    /// The same, with something that no code is in front, so that it has `n` codes.
    #[must_use]
    pub fn padded(&self, n: usize) -> Zeroizing<Vec<u32>> {
        let mut codes = Zeroizing::new(Vec::with_capacity(MOST_CODES));
        codes.resize(n.saturating_sub(self.0.len()), NO_CODE);
        codes.extend_from_slice(self.last(n.min(self.0.len())).unwrap_or_default());
        codes
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
            "--",
        ] {
            assert!(matches!(Answer::read(typed.as_bytes()), Answer::Junk { .. }), "{typed:?}");
        }
    }

    #[test]
    fn the_junk_that_sshd_sends_for_an_answer_is_taken_as_that_answer() {
        let junk = |typed: &str| {
            let junk = b"\x08\n\r\x7fINCORRECT".iter().cycle().take(typed.len());
            Answer::read(&junk.copied().collect::<Vec<u8>>())
        };
        for typed in ["?", "x", "5", " ", "\n", "-"] {
            assert!(matches!(Answer::read(typed.as_bytes()), Answer::Help));
            assert!(matches!(junk(typed), Answer::Help));
        }
        for typed in ["sms", "NEW", "123", "---"] {
            assert!(matches!(Answer::read(typed.as_bytes()), Answer::Word(_)));
            assert!(matches!(junk(typed), Answer::Word(Word::Other)));
        }
        let recovery = "K7QM-2XVA-9TRC-HW4E";
        assert!(matches!(Answer::read(recovery.as_bytes()), Answer::Code { .. }));
        for typed in
            ["? ", "12345", recovery, "123456", "418 203", "123456 654321", "111111222222333333"]
        {
            assert!(matches!(junk(typed), Answer::Junk { .. }));
            assert_eq!(junk(typed).work(), Answer::read(typed.as_bytes()).work(), "{typed}");
        }
    }

    proptest! {
        #[test]
        fn the_work_suffices_for_the_codes_and_depends_on_the_length_alone(
            typed in "[0-9 -]{0,40}", other in "[a-z]{40}",
        ) {
            let answers = [Answer::read(typed.as_bytes())];
            for digits in Digits::ALL {
                prop_assert!(Sequence::of(&answers, digits).len() <= work(&answers));
            }
            prop_assert_eq!(work(&answers), Answer::read(&other.as_bytes()[..typed.len()]).work());
        }

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
