//! The index by uid: which names may have an enrollment with a uid, and its text form in `uids/UID`.
//!
//! A line says that a name *may* be enrolled with this uid: the enrollment decides. What is no enrollment of this uid any more
//! is passed over, so that a line too many is harmless; a line too few would be an enrolled account that is not challenged.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;
use core::fmt::Write as _;

use sha2::{Digest as _, Sha256};
use thiserror::Error;

use crate::encoding::HEXLOWER;
use crate::name::{UserName, unword, word};

/// A file of the index is never larger than this, in bytes.
pub const MOST_BYTES: usize = 64 * 1024;

/// No name is longer as a word of a line.
const LONGEST_WORD: usize = 768;

/// The names of one uid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The uid, which the file name says as well: a file under another's name is damaged.
    pub uid: u32,
    /// Drawn anew each time the file is written: the same number twice means that nothing was changed in between.
    pub change: u64,
    /// Who may have an enrollment with this uid.
    pub names: BTreeSet<UserName>,
}

/// A text that is no file of the index, or is not whole.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("is damaged")]
pub struct NotListed;

/// The text form. Its last line is a sum over all others.
///
/// # Errors
/// More names than there is room for.
pub fn print(listed: &Listed) -> Result<String, NotListed> {
    let mut text = format!("uid {}\nchange {:016x}\n", listed.uid, listed.change);
    for name in &listed.names {
        let _ = writeln!(text, "user {}", word(name.as_str(), LONGEST_WORD)); // a String takes everything
    }
    let sum = sum(&text);
    let _ = writeln!(text, "sum {sum}");
    if text.len() > MOST_BYTES { Err(NotListed) } else { Ok(text) }
}

/// Reads the file of `uid`.
///
/// # Errors
/// Whatever [`print`] does not write: one that is cut off or torn, or another uid's.
pub fn parse(uid: u32, text: &str) -> Result<Listed, NotListed> {
    let names = text.lines().filter_map(|line| line.strip_prefix("user ")).map(name);
    let names = names.collect::<Result<_, _>>()?;
    let change = text.lines().nth(1).and_then(|line| line.strip_prefix("change "));
    let change = change.and_then(|digits| u64::from_str_radix(digits, 16).ok());
    let listed = Listed { uid, change: change.ok_or(NotListed)?, names };
    // Everything else is compared: the uid, the order of lines, the sum.
    if print(&listed)? == text { Ok(listed) } else { Err(NotListed) }
}

fn name(word: &str) -> Result<UserName, NotListed> {
    unword(word).and_then(|name| UserName::new(&name).ok()).ok_or(NotListed)
}

fn sum(text: &str) -> String {
    HEXLOWER.encode(&Sha256::digest(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(names: &[&str]) -> Listed {
        let names = names.iter().map(|name| UserName::new(name).unwrap()).collect();
        Listed { uid: 1004, change: 7, names }
    }

    #[test]
    fn a_file_is_read_as_it_was_written() {
        for names in [&["alice"][..], &["alice", "b c\nuser mallory", "\u{e9}%="], &[]] {
            let listed = listed(names);
            assert_eq!(parse(1004, &print(&listed).unwrap()), Ok(listed));
        }
    }

    #[test]
    fn it_has_a_line_for_each_name_and_ends_with_a_sum() {
        let text = print(&listed(&["alice", "b c"])).unwrap();
        let (lines, sum) = text.split_once("sum ").unwrap();
        assert_eq!(lines, "uid 1004\nchange 0000000000000007\nuser alice\nuser b%20c\n");
        assert_eq!(sum.len(), 65);
    }

    #[test]
    fn one_that_is_torn_anywhere_is_damaged() {
        let whole = print(&listed(&["alice", "alicia"])).unwrap();
        for length in 0..whole.len() {
            assert_eq!(parse(1004, &whole[..length]), Err(NotListed), "{length} bytes");
        }
        let without = whole.replace("user alicia\n", "");
        assert_eq!(parse(1004, &without), Err(NotListed));
        assert_eq!(parse(1004, &whole.replace("alicia", "mallory")), Err(NotListed));
    }

    #[test]
    fn the_file_of_another_uid_is_damaged() {
        assert_eq!(parse(1005, &print(&listed(&["alice"])).unwrap()), Err(NotListed));
    }

    #[test]
    fn more_names_than_a_file_has_room_for_are_refused() {
        let long = |n: usize| UserName::new(&format!("{n:0256}")).unwrap();
        let names = (0..300).map(long).collect();
        assert_eq!(print(&Listed { uid: 1, change: 1, names }), Err(NotListed));
    }
}
