//! Codes that are good once, held against the last answer of a dialogue: recovery codes, a bypass code, the code of a text
//! message. All comparisons are made, whoever it is and whatever is found.

use alloc::vec::Vec;

use subtle::{Choice, ConditionallySelectable as _};

use super::Reason;
use crate::combined::characters_of_hash;
use crate::onetime::{CodeHash, MOST_RECOVERY_CODES};
use crate::prices::Open;
use crate::record::{Record, Recovery};
use crate::state::{MOST_TEXT_CODES, Meter, Once, State};
use crate::text_message::is_good;
use crate::time::UnixTime;

/// As many codes are compared: recovery codes, their successor, a bypass code, those of text messages.
const SLOTS: u8 = 21;

const _: () = assert!(MOST_RECOVERY_CODES + 2 + MOST_TEXT_CODES <= SLOTS as usize);

/// One of the candidates was typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Typed {
    /// Which candidate.
    at: usize,
    /// How many characters its code has where it stands behind a password.
    pub(super) characters: usize,
}

/// Which of `candidates` one of these is, in a time that depends on neither.
pub(super) fn search(typed: &[CodeHash; 2], candidates: &[CodeHash]) -> Option<Typed> {
    let found = typed.each_ref().map(|typed| search_one(typed, candidates));
    let mut found = found.into_iter().enumerate();
    found.find_map(|(nth, at)| Some(Typed { at: at?, characters: characters_of_hash(nth) }))
}

fn search_one(typed: &CodeHash, candidates: &[CodeHash]) -> Option<usize> {
    let mut found = 0u8; // one more than its place
    for slot in 0..SLOTS {
        let candidate = candidates.get(usize::from(slot));
        let there = Choice::from(u8::from(candidate.is_some()));
        let equal = typed.same(candidate.unwrap_or(&CodeHash::NONE));
        found.conditional_assign(&slot.saturating_add(1), equal & there);
    }
    usize::from(found).checked_sub(1)
}

/// A code that is good once, and what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OnceHit {
    pub(super) hash: CodeHash,
    pub(super) what: What,
    /// As of [`Typed`].
    pub(super) characters: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    Recovery,
    Bypass { until: UnixTime },
    Text { until: UnixTime, long: bool },
}

/// Looks for the last answer among all of a user's codes. An error says why one that is theirs is not good.
pub(super) fn look(
    typed: &[CodeHash; 2],
    record: &Record,
    state: &State,
    meter: &Meter,
    (open, volatile, now): (Open, bool, UnixTime),
) -> Result<Option<OnceHit>, Reason> {
    let all = all(record, &state.once, meter);
    let hashes: Vec<CodeHash> = all.iter().map(|(hash, _)| *hash).collect();
    let found = search(typed, &hashes);
    let hit = found.and_then(|Typed { at, characters }| {
        all.get(at).map(|(hash, what)| OnceHit { hash: *hash, what: *what, characters })
    });
    let Some(hit) = hit else { return Ok(None) };
    if state.once.is_used(hit.hash.id()) {
        return Err(Reason::Replay);
    }
    let good = match hit.what {
        What::Recovery => true,
        What::Bypass { until } => now < until,
        What::Text { until, .. } => is_good(until, now),
    };
    if !good {
        return Err(Reason::Expired);
    }
    match hit.what {
        _ if volatile => Err(Reason::Unavailable),
        What::Text { long: false, .. } if !open.short_text => Err(Reason::Budget),
        What::Text { long: true, .. } if !open.long_text => Err(Reason::Budget),
        _ => Ok(Some(hit)),
    }
}

fn all(record: &Record, once: &Once, meter: &Meter) -> Vec<(CodeHash, What)> {
    let mut all = Vec::with_capacity(usize::from(SLOTS));
    if let Some(recovery) = &record.recovery {
        let codes = recovery.codes.iter().copied().chain(next(recovery, once));
        all.extend(codes.map(|hash| (hash, What::Recovery)));
    }
    if let Some(bypass) = &record.bypass {
        all.push((bypass.code, What::Bypass { until: bypass.until }));
    }
    let texts = meter.texts.codes.iter().filter(|text| text.enrollment == record.enrollment);
    all.extend(
        texts
            .take(MOST_TEXT_CODES)
            .map(|text| (text.hash, What::Text { until: text.until, long: text.long })),
    );
    all
}

/// The code that took the place of a used one, where it belongs to these recovery codes.
fn next(recovery: &Recovery, once: &Once) -> Option<CodeHash> {
    let head = recovery.codes.first().filter(|_| recovery.rotating)?.id();
    let next = once.next.filter(|next| next.of == head)?;
    (next.code != CodeHash::NONE).then_some(next.code)
}

/// How many recovery codes are still good.
#[must_use]
pub fn left(record: &Record, once: &Once) -> usize {
    let Some(recovery) = &record.recovery else { return 0 };
    let codes = recovery.codes.iter().copied().chain(next(recovery, once));
    codes.filter(|code| !once.is_used(code.id())).count()
}

/// Whether the next recovery code is due: the last one is used, and its successor has not been shown (`rotating`).
#[must_use]
pub fn next_is_due(record: &Record, once: &Once) -> bool {
    let Some(recovery) = record.recovery.as_ref().filter(|recovery| recovery.rotating) else {
        return false;
    };
    let Some(first) = recovery.codes.first() else { return false };
    let successor = once.next.filter(|next| next.of == first.id());
    let used = |code: &CodeHash| once.is_used(code.id());
    used(first) && successor.is_none_or(|next| used(&next.code))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_found_wherever_it_stands() {
        let codes: Vec<CodeHash> = (0..20).map(|n| CodeHash::of(&[n])).collect();
        for (at, code) in codes.iter().enumerate() {
            let other = CodeHash::of(b"x");
            for (typed, characters) in [([*code, other], 16), ([other, *code], 8)] {
                assert_eq!(search(&typed, &codes), Some(Typed { at, characters }));
            }
        }
        assert_eq!(search(&[CodeHash::of(b"x"), CodeHash::of(b"y")], &codes), None);
        assert_eq!(search(&[CodeHash::NONE; 2], &[]), None);
    }
}
