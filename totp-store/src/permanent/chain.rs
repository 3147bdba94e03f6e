//! The chain that holds the lines together: what a writer and a verifier must find in a line, whatever else it says.

use sha2::{Digest as _, Sha256};
use totp_core::encoding::HEXLOWER;

/// The `prev` of the first line.
pub(super) const FIRST: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// Bytes that a line has at most, with its newline. A reason is at most a few hundred.
pub(super) const LONGEST: usize = 65_536;

/// SHA-256, in hex, over what stands before `,"hash"`.
pub(super) fn hash(before: &str) -> String {
    HEXLOWER.encode(&Sha256::digest(before.as_bytes()))
}

/// A line's place in the chain, as it says itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Link<'a> {
    pub(super) seq: u64,
    pub(super) prev: &'a str,
    pub(super) hash: &'a str,
    /// Everything before `,"hash"`.
    before: &'a str,
}

impl<'a> Link<'a> {
    /// `None` where `line` (without its newline) is not of the form a writer gives it.
    pub(super) fn of(line: &'a [u8]) -> Option<Self> {
        let line = str::from_utf8(line).ok()?;
        let (seq, _) = line.strip_prefix("{\"seq\":")?.split_once(',')?;
        let (before, rest) = line.rsplit_once(",\"hash\":\"")?;
        let hash = rest.strip_suffix("\"}").filter(|hash| is_hash(hash))?;
        let (_, rest) = before.rsplit_once(",\"prev\":\"")?;
        let prev = rest.strip_suffix('"').filter(|prev| is_hash(prev))?;
        Some(Self { seq: seq.parse().ok()?, prev, hash, before })
    }

    /// Whether the line says what it said when it was written, as far as it alone can tell.
    pub(super) fn is_whole(&self) -> bool {
        hash(self.before) == self.hash
    }
}

fn is_hash(text: &str) -> bool {
    text.len() == FIRST.len() && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_text_that_imitates_a_hash_shifts_nothing() {
        // In a line, a quotation mark inside a text is escaped.
        let before =
            format!("{{\"seq\":7,\"reason\":\"\\\",\\\"hash\\\":\\\"x\\\"\",\"prev\":\"{FIRST}\"");
        let line = format!("{before},\"hash\":\"{}\"}}", hash(&before));
        let link = Link::of(line.as_bytes()).unwrap();
        assert_eq!((link.seq, link.prev), (7, FIRST));
        assert!(link.is_whole());
    }

    #[test]
    fn other_forms_are_no_link() {
        for line in ["", "{}", "{\"seq\":1,\"prev\":\"00\",\"hash\":\"00\"}", "{\"seq\":x,"] {
            assert_eq!(Link::of(line.as_bytes()), None);
        }
        assert_eq!(Link::of(b"\xff"), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_looked_at_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Link::of(&bytes);
        }
    }
}
