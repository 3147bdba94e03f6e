//! Where in time do these codes lie? Codes of all steps that can matter are computed first, without a lock; every one
//! of them is compared, in constant time, without an early exit.

use alloc::vec::Vec;
use core::ops::Range;

use subtle::{ConditionallySelectable as _, ConstantTimeEq as _};
use zeroize::Zeroizing;

use crate::answer::{Answer, Sequence, work};
use crate::evaluate::Rules;
use crate::otp::{Digits, Totp};
use crate::record::{EnrollmentId, MOST_AUTHENTICATORS};
use crate::secret::Secret;
use crate::state::MOST_DRIFT;
use crate::store::{Found, StateRead};
use crate::time::{Period, Step, UnixTime};

/// How far from the clock two consecutive codes are searched, in steps, either way.
pub const PAIR_REACH: u64 = MOST_DRIFT as u64;

/// Steps from `from` to `to`, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The first.
    pub from: Step,
    /// The last.
    pub to: Step,
}

impl Span {
    /// `reach` steps either way of `centre`.
    #[must_use]
    pub fn around(centre: Step, reach: u64) -> Self {
        Self {
            from: Step(centre.0.saturating_sub(reach)),
            to: Step(centre.0.saturating_add(reach)),
        }
    }

    /// Where `n` codes are searched: one in the window around the drift, two near the clock, three within a day.
    #[must_use]
    pub fn searched(n: usize, now: Step, drift: i64, window: u64, period: Period) -> Self {
        match n {
            0 | 1 => Self::around(now.moved(drift), window),
            2 => Self::around(now, PAIR_REACH),
            _ => Self::around(now, period.steps_a_day()),
        }
    }

    /// What has to be computed for `n` codes: all that the searches for 1 to `n` look at.
    fn computed(n: usize, now: Step, drift: i64, window: u64, period: Period) -> Self {
        let single = Self::searched(1, now, drift, window, period);
        let widest = Self::searched(n, now, drift, window, period);
        Self { from: single.from.min(widest.from), to: single.to.max(widest.to) }
    }

    /// The same, ending no later than `to`.
    #[must_use]
    pub(crate) fn until(self, to: Step) -> Self {
        Self { to: self.to.min(to), ..self }
    }

    fn holds(self, other: Self) -> bool {
        self.from <= other.from && other.to <= self.to
    }
}

/// The codes of one authenticator for a span of steps.
pub struct Codes {
    span: Span,
    codes: Zeroizing<Vec<u32>>,
}

impl Codes {
    fn compute(totp: &Totp, span: Span) -> Self {
        Self { span, codes: totp.codes(span.from, span.to) }
    }

    /// Looks for `typed` as codes of consecutive steps inside `span`.
    #[must_use]
    pub fn search(&self, typed: &[u32], span: Span, floor: Step) -> Matches {
        let mut found = Matches::default();
        if typed.is_empty() {
            return found;
        }
        let last = u64::try_from(typed.len()).unwrap_or(u64::MAX).saturating_sub(1);
        for (step, run) in (self.span.from.0..).zip(self.codes.windows(typed.len())) {
            let end = step.saturating_add(last);
            if step < span.from.0 || end > span.to.0 {
                continue; // decided by the clock, not by the codes
            }
            let mut equal = subtle::Choice::from(1);
            for (code, typed) in run.iter().zip(typed) {
                equal &= code.ct_eq(typed);
            }
            // All steps must lie above the floor: the first one decides.
            let best = if step > floor.0 { &mut found.fresh } else { &mut found.spent };
            best.conditional_assign(&end.saturating_add(1), equal);
        }
        found
    }
}

/// Where codes were found. Of several places the latest: what is accepted then covers the others.
#[derive(Clone, Copy, Debug, Default)]
pub struct Matches {
    /// One more than the last step of the match above the floor; 0: none.
    fresh: u64,
    /// The same, of a match that begins at or below the floor.
    spent: u64,
}

impl Matches {
    /// The last step of a match above the floor.
    #[must_use]
    pub fn fresh(self) -> Option<Step> {
        self.fresh.checked_sub(1).map(Step)
    }

    /// The last step of a match that begins at or below the floor.
    #[must_use]
    pub fn spent(self) -> Option<Step> {
        self.spent.checked_sub(1).map(Step)
    }
}

/// What all searches of one authenticator found.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Findings {
    /// The last code, in its window.
    pub(crate) single: Matches,
    /// The last two.
    pub(crate) pair: Matches,
    /// Whether one of the last two alone was found.
    pub(crate) half_of_pair: bool,
    /// The last three.
    pub(crate) triple: Matches,
    /// Whether two adjacent ones of the last three alone were found.
    pub(crate) two_of_triple: bool,
}

/// Where one, two and three codes are searched.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spans {
    pub(crate) single: Span,
    pub(crate) pair: Span,
    pub(crate) triple: Span,
    /// Where parts of a triple are looked for.
    pub(crate) parts: Span,
}

impl Spans {
    /// As far as each number of codes is searched.
    pub(crate) fn of(one: Computed<'_>, rules: &Rules, now: UnixTime) -> Self {
        let span =
            |n| Span::searched(n, one.totp.step(now), one.drift, rules.window, one.totp.period);
        Self { single: span(1), pair: span(2), triple: span(3), parts: span(3) }
    }
}

impl Codes {
    /// All searches that so many codes are due, whatever comes out of the first ones.
    pub(crate) fn search_all(&self, typed: &[u32], spans: Spans, floor: Step) -> Findings {
        let last = |n: usize| typed.get(typed.len().checked_sub(n)?..);
        let search = |part: Option<&[u32]>, span| {
            part.map_or_else(Matches::default, |part| self.search(part, span, floor))
        };
        let found = |part: Option<&[u32]>, span| search(part, span).fresh().is_some();
        let pair = |range| last(2).and_then(|pair: &[u32]| pair.get::<Range<usize>>(range));
        let triple = |range| last(3).and_then(|triple: &[u32]| triple.get::<Range<usize>>(range));
        Findings {
            single: search(last(1), spans.single),
            pair: search(last(2), spans.pair),
            half_of_pair: found(pair(0..1), spans.pair) | found(pair(1..2), spans.pair),
            triple: search(last(3), spans.triple),
            two_of_triple: found(triple(0..2), spans.parts) | found(triple(1..3), spans.parts),
        }
    }
}

/// Codes computed before the lock is taken, for as many authenticators whoever it is.
pub struct Codebook {
    /// Whose secrets these are from: another enrollment's codes must never be compared.
    enrollment: Option<EnrollmentId>,
    slots: Vec<Codes>,
    /// Where the decoys among them are searched.
    decoys: Option<Spans>,
}

/// An authenticator as far as computing its codes goes.
#[derive(Clone, Copy, Debug)]
pub struct Computed<'a> {
    /// How its codes are made.
    pub totp: &'a Totp,
    /// The learned offset, in steps.
    pub drift: i64,
}

impl Codebook {
    /// Computes what evaluating `answers` can need. Work depends on the length of the answers: users with fewer
    /// authenticators, or none, cost as much. Decoys are of the kind that `rules` call usual.
    #[must_use]
    pub fn compute(
        enrollment: Option<EnrollmentId>,
        authenticators: &[Computed<'_>],
        answers: &[Answer],
        rules: &Rules,
        now: UnixTime,
    ) -> Self {
        let n = work(answers);
        let mut slots = Vec::with_capacity(MOST_AUTHENTICATORS);
        if n == 0 {
            return Self { enrollment, slots, decoys: None };
        }
        let decoy = decoy(rules);
        let fallback = Computed { totp: &decoy, drift: 0 };
        for slot in 0..MOST_AUTHENTICATORS {
            let one = authenticators.get(slot).copied().unwrap_or(fallback);
            slots.push(Codes::compute(one.totp, needed(one, n, rules, now)));
        }
        Self { enrollment, slots, decoys: Some(Spans::of(fallback, rules, now)) }
    }

    /// The codes of a user as they were found without a lock, with the drift that the state has.
    #[must_use]
    pub fn of(found: &Found, answers: &[Answer], rules: &Rules, now: UnixTime) -> Self {
        let Found::Enrolled(enrolled) = found else {
            return Self::compute(None, &[], answers, rules, now);
        };
        let drift_of = |name| match &enrolled.state {
            StateRead::Good(state) => state.spent(name).map_or(0, |spent| spent.totp().drift),
            StateRead::Lost { .. } => 0,
        };
        let record = &enrolled.record;
        let authenticators: Vec<Computed<'_>> = record
            .authenticators
            .iter()
            .map(|one| Computed { totp: one.kind.totp(), drift: drift_of(&one.name) })
            .collect();
        Self::compute(Some(record.enrollment), &authenticators, answers, rules, now)
    }

    /// Searches the slots from `first` on as if they were somebody's, and forgets what came out.
    pub(crate) fn search_decoys(&self, first: usize, answers: &[Answer]) {
        let Some(spans) = self.decoys else { return };
        let typed = Sequence::of(answers, Digits::Six).padded(work(answers));
        for codes in self.slots.iter().skip(first) {
            core::hint::black_box(codes.search_all(&typed, spans, Step(0)));
        }
    }

    /// The codes of the authenticator in `slot` of this enrollment, where they reach far enough.
    #[must_use]
    pub(crate) fn slot(&self, of: EnrollmentId, slot: usize, needed: Span) -> Option<&Codes> {
        let mine = self.enrollment == Some(of);
        self.slots.get(slot).filter(|codes| mine && codes.span.holds(needed))
    }
}

/// The codes of one authenticator as far as `n` codes need them, computed on the spot.
#[must_use]
pub(crate) fn computed_now(one: Computed<'_>, n: usize, rules: &Rules, now: UnixTime) -> Codes {
    Codes::compute(one.totp, needed(one, n, rules, now))
}

/// Codes of nothing, for answers that are no codes.
#[must_use]
pub(crate) fn no_codes() -> Codes {
    Codes { span: Span::around(Step(0), 0), codes: Zeroizing::new(Vec::new()) }
}

/// What has to be at hand for evaluating `n` codes.
#[must_use]
pub(crate) fn needed(one: Computed<'_>, n: usize, rules: &Rules, now: UnixTime) -> Span {
    Span::computed(n, one.totp.step(now), one.drift, rules.window, one.totp.period)
}

/// Stands in where a user has fewer authenticators; nothing is ever accepted from it.
fn decoy(rules: &Rules) -> Totp {
    Totp {
        secret: Secret::fresh(&[0x5a; Secret::FRESH]),
        algorithm: rules.usual.algorithm,
        digits: Digits::default(),
        period: rules.usual.period,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: UnixTime = UnixTime(1_763_000_000);

    const ID: EnrollmentId = EnrollmentId::fresh([1; 8]);

    fn book(answers: &[Answer]) -> Codebook {
        let totp = decoy(&Rules::default());
        Codebook::compute(
            Some(ID),
            &[Computed { totp: &totp, drift: 0 }],
            answers,
            &Rules::default(),
            NOW,
        )
    }

    #[test]
    fn the_work_depends_on_what_was_typed_and_not_on_the_user() {
        let work = |authenticators: &[Computed<'_>], typed: &str| {
            let answers = [Answer::read(typed.as_bytes())];
            let book = Codebook::compute(None, authenticators, &answers, &Rules::default(), NOW);
            book.slots.iter().map(|codes| codes.codes.len()).collect::<Vec<_>>()
        };
        let totp = decoy(&Rules::default());
        let one = Computed { totp: &totp, drift: 3 };
        for (typed, expected) in [
            ("junk", 0),
            ("junkjunk", 3),
            ("123456", 3),
            ("12345678", 3),
            ("123456123456", 41),
            ("123456123456123456", 5761),
        ] {
            let expected = if expected == 0 { Vec::new() } else { alloc::vec![expected; 4] };
            assert_eq!(work(&[], typed), expected, "{typed}");
            assert_eq!(work(&[one], typed), expected, "{typed}");
            assert_eq!(work(&[one, one, one, one], typed), expected, "{typed}");
        }
    }

    #[test]
    fn of_two_matching_steps_the_later_is_found() {
        let codes = Codes {
            span: Span { from: Step(10), to: Step(13) },
            codes: alloc::vec![7, 8, 7, 9].into(),
        };
        let all = Span { from: Step(10), to: Step(13) };
        assert_eq!(codes.search(&[7], all, Step(9)).fresh(), Some(Step(12)));
        assert_eq!(codes.search(&[7], all, Step(11)).spent(), Some(Step(10)));
        assert_eq!(codes.search(&[8, 7], all, Step(10)).fresh(), Some(Step(12)));
        assert_eq!(codes.search(&[8, 7], all, Step(11)).fresh(), None);
        assert_eq!(codes.search(&[9, 9], all, Step(0)).fresh(), None);
        assert_eq!(codes.search(&[9], Span { to: Step(12), ..all }, Step(0)).fresh(), None);
    }

    proptest! {
        #[test]
        fn nothing_at_or_below_the_floor_is_ever_fresh(
            values in proptest::collection::vec(0u32..4, 3..30), typed in proptest::collection::vec(0u32..4, 1..=3),
            floor in 0u64..40,
        ) {
            let to = Step(values.len() as u64 - 1);
            let span = Span { from: Step(0), to };
            let codes = Codes { span, codes: values.clone().into() };
            let fresh = codes.search(&typed, span, Step(floor)).fresh();
            let expected = (0..values.len()).rev().find(|start| {
                *start as u64 > floor && values[*start..].starts_with(&typed)
            });
            prop_assert_eq!(fresh, expected.map(|start| Step((start + typed.len() - 1) as u64)));
        }
    }

    #[test]
    fn a_codebook_tells_when_it_does_not_reach() {
        let book = book(&[Answer::read(b"123456")]);
        let step = Step::at(NOW, Period::DEFAULT);
        assert!(book.slot(ID, 0, Span::around(step, 1)).is_some());
        assert!(book.slot(ID, 0, Span::around(step.moved(1), 1)).is_none());
        assert!(book.slot(ID, 4, Span::around(step, 1)).is_none());
        assert!(book.slot(EnrollmentId::fresh([2; 8]), 0, Span::around(step, 1)).is_none());
    }
}
