//! Does the chain hold? What was changed, taken out or moved is named, and what can't be known from the file alone is
//! left open: a tail cut off whole, or a chain computed anew by somebody with root's rights. An anchor (a
//! hash that a central log kept) closes both.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::chain::{FIRST, Link};
use super::{PermanentRecord, RecordError};

/// A hash kept elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Anchor {
    /// Of which entry.
    pub seq: u64,
    /// Its hash, in hex.
    pub hash: String,
}

/// What a verification found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// How many lines there are.
    pub lines: u64,
    /// What is wrong, in the order of the file; nothing where the chain holds.
    pub findings: Vec<Finding>,
    /// The last entry, to be compared with what a central log kept last.
    pub last: Option<Anchor>,
    /// Whether something unfinished stands at the end, which the next writer cuts off. It was never acknowledged.
    pub incomplete: bool,
}

/// Something wrong. Lines are counted from 1.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Finding {
    /// A line that is not of the record's form.
    Damaged {
        /// Where it stands.
        line: u64,
    },
    /// A line that doesn't say any more what it said.
    Changed {
        /// Where it stands.
        line: u64,
        /// What it calls itself.
        seq: u64,
    },
    /// A line with a hash of its own that fits, in the place of another: the next one was chained to that.
    Replaced {
        /// Where it stands.
        line: u64,
        /// What it calls itself.
        seq: u64,
    },
    /// A line in the wrong place, or a second copy.
    Moved {
        /// Where it stands.
        line: u64,
        /// What it calls itself.
        seq: u64,
    },
    /// Entries that are not there.
    Missing {
        /// The first of them.
        from: u64,
        /// The last of them.
        to: u64,
    },
    /// An entry that a central log knows with another hash, or that is not there.
    Unanchored {
        /// Which.
        seq: u64,
    },
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Damaged { line } => write!(f, "line {line} is not a line of the record"),
            Self::Changed { line, seq } => write!(f, "line {line} (record {seq}) was changed"),
            Self::Replaced { line, seq } => {
                write!(
                    f,
                    "line {line} (record {seq}) was replaced: the next one was chained to another"
                )
            }
            Self::Moved { line, seq } => {
                write!(f, "line {line} (record {seq}) was moved here, or is a copy")
            }
            Self::Missing { from, to } if from == to => write!(f, "record {from} is missing"),
            Self::Missing { from, to } => write!(f, "records {from} to {to} are missing"),
            Self::Unanchored { seq } => {
                write!(f, "record {seq} is not the one that the central log has")
            }
        }
    }
}

impl PermanentRecord {
    /// Checks every line, and the anchors. A record that has never been written holds, unless there are anchors.
    ///
    /// # Errors
    /// What can't be read.
    pub fn verify(&self, anchors: &[Anchor]) -> Result<Verified, RecordError> {
        let mut verified = Verified::default();
        let mut links = Vec::new();
        if let Some(mut reader) = self.read()? {
            while let Some((line, bytes)) = reader.poll_bytes()? {
                verified.lines = line;
                let Some(link) = Link::of(&bytes) else {
                    verified.findings.push(Finding::Damaged { line });
                    continue;
                };
                if !link.is_whole() {
                    verified.findings.push(Finding::Changed { line, seq: link.seq });
                }
                links.push(Kept::of(line, &link));
            }
            verified.incomplete = reader.has_incomplete_line();
        }
        let (in_order, moved) = longest_in_order(&links);
        verified.findings.extend(moved);
        verified.findings.extend(missing(&links));
        verified.findings.extend(replaced(&in_order, &verified.findings));
        verified.findings.extend(unanchored(&links, anchors));
        verified.findings.sort_by_key(|finding| place(finding, &links));
        verified.last =
            in_order.last().map(|kept| Anchor { seq: kept.seq, hash: kept.hash.clone() });
        Ok(verified)
    }
}

/// What is kept of a line while the others are read.
#[derive(Clone)]
struct Kept {
    line: u64,
    seq: u64,
    prev: String,
    hash: String,
}

impl Kept {
    fn of(line: u64, link: &Link<'_>) -> Self {
        Self { line, seq: link.seq, prev: link.prev.to_owned(), hash: link.hash.to_owned() }
    }
}

/// Parts the lines into the longest run of growing numbers (patience sorting, n log n) and the rest: the fewest lines
/// whose move explains what is seen.
fn longest_in_order(lines: &[Kept]) -> (Vec<&Kept>, Vec<Finding>) {
    // tails: the smallest last number of a run of each length, and the run that leads to it.
    let mut tails: BTreeMap<u64, usize> = BTreeMap::new();
    let mut before: Vec<Option<usize>> = Vec::new();
    for (at, kept) in lines.iter().enumerate() {
        before.push(tails.range(..kept.seq).next_back().map(|(_, &at)| at));
        let beaten = tails.range(kept.seq..).next().map(|(&seq, _)| seq);
        if let Some(beaten) = beaten {
            tails.remove(&beaten);
        }
        tails.insert(kept.seq, at);
    }
    let mut chosen = BTreeSet::new();
    let mut next = tails.values().next_back().copied();
    while let Some(at) = next {
        chosen.insert(at);
        next = before.get(at).copied().flatten();
    }
    let (mut in_order, mut moved) = (Vec::new(), Vec::new());
    for (at, kept) in lines.iter().enumerate() {
        if chosen.contains(&at) {
            in_order.push(kept);
        } else {
            moved.push(Finding::Moved { line: kept.line, seq: kept.seq });
        }
    }
    (in_order, moved)
}

/// The gaps in the numbers from 1 to the highest.
fn missing(lines: &[Kept]) -> Vec<Finding> {
    let present: BTreeSet<u64> = lines.iter().map(|kept| kept.seq).collect();
    let mut expected: u64 = 1;
    let mut gaps = Vec::new();
    for seq in present {
        if seq > expected {
            gaps.push(Finding::Missing { from: expected, to: seq.saturating_sub(1) });
        }
        expected = seq.saturating_add(1);
    }
    gaps
}

/// Lines with a hash of their own that fits, to which their successor is not chained.
fn replaced(in_order: &[&Kept], known: &[Finding]) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut prev: Option<&Kept> = None;
    for kept in in_order {
        let chained = match prev {
            Some(prev) if prev.seq.checked_add(1) == Some(kept.seq) => prev.hash == kept.prev,
            None if kept.seq == 1 => kept.prev == FIRST,
            _ => true, // the one between is missing or moved, and is named as that
        };
        let suspect = prev.unwrap_or(kept);
        let changed = |line| {
            known.iter().any(|f| matches!(f, Finding::Changed { line: l, .. } if *l == line))
        };
        // Where either line is known to be changed, that already explains it.
        if !chained && !changed(suspect.line) && !changed(kept.line) {
            found.push(Finding::Replaced { line: suspect.line, seq: suspect.seq });
        }
        prev = Some(kept);
    }
    found
}

fn unanchored(lines: &[Kept], anchors: &[Anchor]) -> Vec<Finding> {
    let hashes: BTreeMap<u64, &str> =
        lines.iter().map(|kept| (kept.seq, kept.hash.as_str())).collect();
    let differs = |anchor: &&Anchor| hashes.get(&anchor.seq) != Some(&anchor.hash.as_str());
    anchors.iter().filter(differs).map(|anchor| Finding::Unanchored { seq: anchor.seq }).collect()
}

/// Where in the file a finding belongs.
fn place(finding: &Finding, lines: &[Kept]) -> u64 {
    match finding {
        Finding::Damaged { line }
        | Finding::Changed { line, .. }
        | Finding::Replaced { line, .. }
        | Finding::Moved { line, .. } => *line,
        Finding::Missing { to: seq, .. } | Finding::Unanchored { seq } => {
            lines.iter().find(|kept| kept.seq >= *seq).map_or(u64::MAX, |kept| kept.line)
        }
    }
}
