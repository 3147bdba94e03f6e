//! The form of what lies in the outbox: lines of words, each led by its key, in a fixed order. Whatever these programs
//! don't write is refused.

use totp_core::name::{unword, word};
use zeroize::Zeroizing;

/// Stands where there is nothing to say.
const NONE: &str = "-";

/// A file that these programs didn't write: the line that is not of the format, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotOfThisFormat(pub usize);

/// A text, or none, as one word.
pub(crate) fn field(text: Option<&str>) -> String {
    match text {
        None | Some("") => NONE.to_owned(),
        Some(NONE) => "%2D".to_owned(),
        Some(text) => word(text, usize::MAX),
    }
}

fn unfield(given: &str) -> Option<Option<String>> {
    if given == NONE {
        return Some(None);
    }
    // It may have a code in it.
    let mut text = Zeroizing::new(unword(given)?);
    // Nothing else is read than is written.
    let same = *Zeroizing::new(field(Some(&text))) == given;
    same.then(|| Some(std::mem::take(&mut *text)))
}

/// One line of words.
pub(super) fn line(text: &mut String, words: &[&str]) {
    text.push_str(&words.join(" "));
    text.push('\n');
}

/// The words of one line, taken from the front.
pub(crate) struct Words<'a>(&'a str);

impl<'a> Words<'a> {
    pub(crate) fn of(line: &'a str) -> Self {
        Self(line)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn one(&mut self) -> Option<&'a str> {
        let (first, rest) = self.0.split_once(' ').unwrap_or((self.0, ""));
        self.0 = rest;
        (!first.is_empty()).then_some(first)
    }

    /// A number as it is printed: no sign, no leading zeros.
    pub(super) fn number(&mut self) -> Option<u64> {
        let text = self.one()?;
        let number: u64 = text.parse().ok()?;
        (number.to_string() == text).then_some(number)
    }

    pub(crate) fn parsed<T: std::str::FromStr>(&mut self) -> Option<T> {
        self.one()?.parse().ok()
    }

    /// What [`field`] wrote.
    pub(crate) fn text(&mut self) -> Option<Option<String>> {
        unfield(self.one()?)
    }
}

/// The lines of a file, taken from the front, each by the key it begins with.
pub(super) struct Lines<'a> {
    rest: &'a str,
    at: usize,
}

impl<'a> Lines<'a> {
    /// A text whose first line says of what `kind` it is, in version 1.
    pub(super) fn open(text: &'a str, kind: &str) -> Result<Self, NotOfThisFormat> {
        let mut lines = Self { rest: text, at: 1 };
        lines.must(kind, |w| (w.one()? == "1").then_some(()))?;
        Ok(lines)
    }

    /// The next line if it begins with `key`, else nothing is taken.
    pub(super) fn may<T>(
        &mut self,
        key: &str,
        read: impl FnOnce(&mut Words<'a>) -> Option<T>,
    ) -> Result<Option<T>, NotOfThisFormat> {
        let Some((line, rest)) = self.rest.split_once('\n') else { return Ok(None) };
        let mut words = Words(line);
        if words.one() != Some(key) {
            return Ok(None);
        }
        let value = read(&mut words).filter(|_| words.0.is_empty());
        let value = value.ok_or(NotOfThisFormat(self.at))?;
        self.rest = rest;
        self.at = self.at.saturating_add(1);
        Ok(Some(value))
    }

    pub(super) fn must<T>(
        &mut self,
        key: &str,
        read: impl FnOnce(&mut Words<'a>) -> Option<T>,
    ) -> Result<T, NotOfThisFormat> {
        let at = self.at;
        self.may(key, read)?.ok_or(NotOfThisFormat(at))
    }

    /// Nothing follows.
    pub(super) fn end(self) -> Result<(), NotOfThisFormat> {
        if self.rest.is_empty() { Ok(()) } else { Err(NotOfThisFormat(self.at)) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_unknown_and_what_is_a_hyphen_stay_different() {
        for text in [None, Some("-"), Some("a b\n"), Some("%"), Some("\u{e9}")] {
            assert_eq!(unfield(&field(text)), Some(text.map(str::to_owned)));
        }
        assert_eq!(unfield("a%0a"), None, "lower case was never written");
    }

    proptest! {
        #[test]
        fn any_text_is_one_word_and_reads_back(text in "\\PC{1,40}|.{1,40}") {
            let word = field(Some(&text));
            prop_assert!(!word.contains([' ', '\n']));
            prop_assert_eq!(unfield(&word), Some(Some(text)));
        }
    }
}
