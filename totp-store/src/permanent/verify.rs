//! Does the chain hold? What was changed, taken out or moved is named. A tail that was cut off whole shows where something
//! else names an entry of it, as the users' records do. What can't be known from this machine's files is left open: a
//! tail that nothing names, or a chain computed anew by somebody with root's rights. The hash that a central log kept
//! last tells.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::chain::{FIRST, Link};
use super::{PermanentRecord, RecordError};

/// Something besides the file that names an entry of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mention {
    /// Which entry.
    pub seq: u64,
    /// Whose record names it; `None`: the outbox, which has gone through it.
    pub user: Option<String>,
}

/// The last entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Last {
    /// Its number.
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
    pub last: Option<Last>,
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
    /// Entries beyond the end of the file: it was cut.
    Cut {
        /// The first of them.
        from: u64,
        /// The last of them that is known of.
        to: u64,
        /// Whose record names that one; `None`: the outbox.
        user: Option<String>,
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
            Self::Cut { from, to, user } => {
                if from == to {
                    write!(f, "the end was cut off: record {to} is missing")?;
                } else {
                    write!(f, "the end was cut off: records {from} to {to} are missing")?;
                }
                match user {
                    Some(user) => write!(f, "; {to} decided about {user}"),
                    None => write!(f, "; people have been told of {to}"),
                }
            }
        }
    }
}

impl PermanentRecord {
    /// Checks every line, and that what is mentioned elsewhere is there. The mentions are to be read before this is called: a
    /// change is recorded before it is made.
    ///
    /// # Errors
    /// What can't be read.
    pub fn verify(&self, mentions: &[Mention]) -> Result<Verified, RecordError> {
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
        verified.findings.extend(cut(&links, mentions));
        verified.findings.sort_by_key(|finding| place(finding, &links));
        verified.last = in_order.last().map(|kept| Last { seq: kept.seq, hash: kept.hash.clone() });
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

/// What is mentioned and lies beyond the highest number; what lies before is a gap, and named as that.
fn cut(lines: &[Kept], mentions: &[Mention]) -> Option<Finding> {
    let highest = lines.iter().map(|kept| kept.seq).max().unwrap_or(0);
    let Mention { seq, user } =
        mentions.iter().max_by_key(|mention| (mention.seq, mention.user.is_some()))?;
    (*seq > highest).then(|| Finding::Cut {
        from: highest.saturating_add(1),
        to: *seq,
        user: user.clone(),
    })
}

/// Where in the file a finding belongs.
fn place(finding: &Finding, lines: &[Kept]) -> u64 {
    match finding {
        Finding::Damaged { line }
        | Finding::Changed { line, .. }
        | Finding::Replaced { line, .. }
        | Finding::Moved { line, .. } => *line,
        Finding::Missing { to: seq, .. } => {
            lines.iter().find(|kept| kept.seq >= *seq).map_or(u64::MAX, |kept| kept.line)
        }
        Finding::Cut { .. } => u64::MAX,
    }
}
