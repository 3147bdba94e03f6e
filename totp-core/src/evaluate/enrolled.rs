//! The evaluation of somebody who is enrolled: all authenticators and all codes that are good once are held against
//! the answers, and what is found is spent, or debited.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::look::{Hit, Look, why};
use super::once::{self, OnceHit, What};
use super::{Accepted, Attempt, By, Reason, Refusal, Rules, Verdict, earlier, event, typed_hashes};
use crate::answer::{MOST_CODES, Sequence, work};
use crate::budget::{Debit, Spending, Standing};
use crate::event::{EventKind, QueuedEvent};
use crate::floors::{ahead, begun_anew, ids, raise_floors};
use crate::name::AuthenticatorName;
use crate::origin::Origin;
use crate::otp::Digits;
use crate::prices::{
    Open, long_text_price, open, pair_price, pair_price_within_a_day, short_text_price,
    single_price, singles_open, triple_price,
};
use crate::search::{Computed, PAIR_REACH, Span, Spans, computed_now, needed, no_codes};
use crate::state::{MOST_TEXT_CODES, Meter, Spent, State, TotpSpent, Visit};
use crate::store::{Change, Enrolled, StateRead, View, Writes};
use crate::text_message::is_good;
use crate::time::{DAY, UnixTime};

pub(super) fn of_enrolled(
    rules: &Rules,
    view: &View,
    enrolled: &Enrolled,
    attempt: &Attempt<'_>,
) -> Change<Verdict> {
    let base = Base::of(rules, view, enrolled, attempt);
    let looks = base.look_at_all(rules, enrolled, attempt);
    attempt.codebook.search_decoys(looks.len(), attempt.answers);
    let once = base.look_once(enrolled, attempt);
    let debit = base.debit(rules, &looks, attempt, enrolled);
    let mut meter = base.meter.clone();
    meter.spending = meter.spending.with(&debit);
    let by_code = looks.iter().find_map(Look::hit);
    match (by_code, once) {
        (Some(hit), _) => base.accept_code(rules, &looks, hit, attempt, enrolled, meter),
        (None, Ok(Some(once))) => base.accept_once(once, attempt, enrolled, meter),
        (None, Ok(None)) => {
            let why = base.why(rules, &looks, attempt);
            base.refuse(rules, &looks, attempt, meter, debit, why).map(Verdict::Refused)
        }
        (None, Err(reason)) => {
            let why = (reason, None);
            base.refuse(rules, &looks, attempt, meter, debit, why).map(Verdict::Refused)
        }
    }
}

/// What an evaluation starts from: the state (begun anew where it was lost) and the refilled budget.
pub(super) struct Base {
    pub(super) state: State,
    rebuilt: bool,
    pub(super) meter: Meter,
    standing: Standing,
    open: Open,
    pub(super) volatile: bool,
    reach: Reach,
}

/// How far from the clock two consecutive codes count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    /// Within ±20 steps, beside one code and three.
    Login,
    /// Within a day, and nothing else counts.
    Day,
}

impl Base {
    pub(super) fn of(
        rules: &Rules,
        view: &View,
        enrolled: &Enrolled,
        attempt: &Attempt<'_>,
    ) -> Self {
        let now = attempt.now;
        let mut meter = view.meter.clone();
        meter.spending = meter.spending.refilled(rules.chance, now);
        let (mut state, rebuilt) = match &enrolled.state {
            StateRead::Good(state) => (state.clone(), false),
            StateRead::Lost { seq } => {
                let used_up = Spending::singles_used_up();
                let Spending { known, unknown, .. } = used_up;
                meter.spending = Spending { known, unknown, ..meter.spending };
                // Which of them was used, nobody knows any more.
                meter.texts.codes.clear();
                (begun_anew(rules, &enrolled.record, *seq, now), true)
            }
        };
        if rebuilt {
            state.events.push(event(EventKind::StateRebuilt, attempt, 0, String::new()));
        }
        if view.volatile.is_some_and(|volatile| volatile.first) {
            meter.events.push(event(EventKind::StateVolatile, attempt, 1, String::new()));
        }
        let state = raise_floors(rules, state, &enrolled.record, &meter, view.volatile, now);
        let standing =
            if state.knows(attempt.origin, now) { Standing::Known } else { Standing::Unknown };
        let open = open(rules, &meter.spending, &enrolled.record, standing);
        let volatile = view.volatile.is_some();
        Self { state, rebuilt, meter, standing, open, volatile, reach: Reach::Login }
    }

    /// The same, for two codes within a day alone.
    pub(super) fn for_two_codes_within_a_day(mut self) -> Self {
        self.reach = Reach::Day;
        self.open.single = false;
        self
    }

    pub(super) fn look_at_all<'a>(
        &self,
        rules: &Rules,
        enrolled: &'a Enrolled,
        attempt: &Attempt<'_>,
    ) -> Vec<Look<'a>> {
        let record = &enrolled.record;
        let n = work(attempt.answers);
        let far = if self.reach == Reach::Day { MOST_CODES } else { n };
        let looks = record.authenticators.iter().enumerate().map(|(slot, authenticator)| {
            let totp = authenticator.kind.totp();
            let spent = self.spent(&authenticator.name);
            let one = Computed { totp, drift: spent.drift };
            let needs = needed(one, far, rules, attempt.now);
            let fresh;
            let codes = match attempt.codebook.slot(record.enrollment, slot, needs) {
                Some(codes) => codes,
                None => {
                    // Nothing typed that could be a code: nothing to compute, as for strangers.
                    let compute = || computed_now(one, far, rules, attempt.now);
                    fresh = if n == 0 { no_codes() } else { compute() };
                    &fresh
                }
            };
            let sequence = Sequence::of(attempt.answers, totp.digits);
            let spans = self.spans(rules, one, attempt.now);
            Look {
                name: &authenticator.name,
                totp,
                now: totp.step(attempt.now),
                spent,
                typed: sequence.len(),
                found: codes.search_all(&sequence.padded(n), spans, spent.floor),
                open: self.open,
                volatile: self.volatile,
            }
        });
        let mut looks: Vec<Look<'_>> = looks.collect();
        // A code that was used is refused even where, by chance, it is also that of a step not used yet: a replay is
        // free, so it must have no chance.
        if looks.iter().any(Look::is_replayed) {
            looks.iter_mut().for_each(|look| look.open.single = false);
        }
        looks
    }

    /// Where an authenticator's codes are searched at the moment.
    fn spans(&self, rules: &Rules, one: Computed<'_>, now: UnixTime) -> Spans {
        let mut spans = Spans::of(one, rules, now);
        if self.reach == Reach::Day {
            spans.pair = spans.parts;
        }
        if !self.open.triple {
            spans.triple = Span::around(one.totp.step(now), PAIR_REACH);
        }
        if self.volatile {
            let last = ahead(one.totp.step(now), one.drift, rules);
            spans.pair = spans.pair.until(last);
            spans.triple = spans.triple.until(last);
        }
        spans
    }

    fn spent(&self, name: &AuthenticatorName) -> TotpSpent {
        self.state.spent(name).map(|spent| *spent.totp()).unwrap_or_default()
    }

    /// The last answer, held against the codes that are good once.
    fn look_once(
        &self,
        enrolled: &Enrolled,
        attempt: &Attempt<'_>,
    ) -> Result<Option<OnceHit>, Reason> {
        let how = (self.open, self.volatile, attempt.now);
        once::look(&typed_hashes(attempt), &enrolled.record, &self.state, &self.meter, how)
    }

    /// What guessing at the codes of text messages had as its chance.
    fn debit_text(&self, debit: &mut Debit, attempt: &Attempt<'_>, enrolled: &Enrolled) {
        let may_be =
            |digits| attempt.answers.last().is_some_and(|answer| answer.may_be_sms(digits));
        for text in self.meter.texts.codes.iter().take(MOST_TEXT_CODES) {
            let other = text.enrollment != enrolled.record.enrollment || self.volatile;
            if other || !is_good(text.until, attempt.now) || self.state.once.is_used(text.hash.id())
            {
                continue;
            }
            match text.long {
                false if self.open.short_text && may_be(8) => {
                    debit.single = debit.single.plus(short_text_price());
                }
                true if self.open.long_text && may_be(16) => {
                    debit.pair = debit.pair.plus(long_text_price());
                }
                _ => {}
            }
        }
    }

    /// The chance this evaluation had.
    pub(super) fn debit(
        &self,
        rules: &Rules,
        looks: &[Look<'_>],
        attempt: &Attempt<'_>,
        enrolled: &Enrolled,
    ) -> Debit {
        let mut debit = Debit::none(self.standing);
        if self.reach == Reach::Login {
            self.debit_text(&mut debit, attempt, enrolled);
        }
        let replayed = looks.iter().any(Look::is_replayed);
        for digits in Digits::ALL {
            let looks = || looks.iter().filter(|look| look.totp.digits == digits);
            let n = looks().count();
            let typed = looks().map(|look| look.typed).max().unwrap_or(0);
            let steps = looks().map(|l| l.totp.period.steps_a_day()).max().unwrap_or(0);
            if typed >= 1 && self.open.single && !replayed {
                debit.single = debit.single.plus(single_price(rules, digits, n));
            }
            if typed >= 2 && self.open.pair {
                let half = looks().any(|look| look.found.half_of_pair);
                debit.pair = debit.pair.plus(match self.reach {
                    Reach::Login => pair_price(digits, n, half),
                    Reach::Day => pair_price_within_a_day(digits, n, steps, half),
                });
            }
            if typed >= 3 && self.open.triple && self.reach == Reach::Login {
                let two = looks().any(|look| look.found.two_of_triple);
                debit.triple = debit.triple.plus(triple_price(digits, n, steps, two));
            }
        }
        debit
    }

    fn accept_code(
        mut self,
        rules: &Rules,
        looks: &[Look<'_>],
        hit: Hit<'_>,
        attempt: &Attempt<'_>,
        enrolled: &Enrolled,
        debited: Meter,
    ) -> Change<Verdict> {
        let spent = hit.spent(rules);
        self.spend(rules, looks, hit, TotpSpent { used: Some(attempt.now), ..spent });
        let by = By::Totp {
            authenticator: hit.look.name.clone(),
            drift: spent.drift,
            codes: hit.codes,
            off: hit.off(),
        };
        // By chance it may be a longer code of another authenticator, too: that is part of no password.
        let characters = looks.iter().map(Look::characters).max().unwrap_or(0);
        self.accept((by, hit.ahead(), characters), attempt, enrolled, debited)
    }

    /// Spends what was found, in each authenticator that it is good for; `after` is what holds for the one that was meant.
    pub(super) fn spend(
        &mut self,
        rules: &Rules,
        looks: &[Look<'_>],
        hit: Hit<'_>,
        after: TotpSpent,
    ) {
        for look in looks {
            // By chance a code may be good for a second authenticator: it is spent there, too.
            let also = look.hit().map_or(look.spent, |hit| hit.spent(rules));
            let after = if look.name == hit.look.name {
                after
            } else {
                TotpSpent { floor: also.floor, ..look.spent }
            };
            self.replace(look.name, after);
        }
    }

    fn accept_once(
        mut self,
        hit: OnceHit,
        attempt: &Attempt<'_>,
        enrolled: &Enrolled,
        debited: Meter,
    ) -> Change<Verdict> {
        let record = &enrolled.record;
        self.state.once.spend(hit.hash.id(), &ids(record));
        let by = match hit.what {
            What::Recovery => {
                let left = once::left(record, &self.state.once);
                let detail = format!("{left} left");
                self.push(event(EventKind::RecoveryCodeUsed, attempt, 0, detail));
                By::Recovery { left, due: once::next_is_due(record, &self.state.once) }
            }
            What::Bypass { .. } => {
                self.push(event(EventKind::BypassCodeUsed, attempt, 0, String::new()));
                By::Bypass
            }
            What::Text { .. } => {
                self.meter.texts.codes.retain(|text| text.hash != hit.hash);
                By::Text
            }
        };
        self.accept((by, 0, hit.characters), attempt, enrolled, debited)
    }

    fn push(&mut self, event: QueuedEvent) {
        self.state.events.push(event);
    }

    /// Something was right, and is marked as spent in the state: what else an accepted login changes.
    fn accept(
        mut self,
        (by, ahead, characters): (By, i64, usize),
        attempt: &Attempt<'_>,
        enrolled: &Enrolled,
        debited: Meter,
    ) -> Change<Verdict> {
        if let Some(visit) = attempt.first.and_then(|first| first.already_used.as_ref()) {
            self.push(event(EventKind::CodeAlreadyUsed, attempt, 1, earlier(visit)));
        }
        self.state.seq = self.state.seq.saturating_add(1);
        self.state.last_login = Some(Visit { time: attempt.now, place: attempt.place.clone() });
        self.state.remember(attempt.origin.clone(), attempt.now);

        let mut settled = self.meter;
        if let Some(first) = attempt.first {
            settled.spending = settled.spending.without(&first.debit);
        }
        settled.repeated = Some(self.state.repeated());
        let has_events = !self.state.events.is_empty() || !settled.events.is_empty();
        let enrollment = enrolled.record.enrollment;
        let accepted = Accepted { by, enrollment, has_events, ahead, characters };
        let writes =
            Writes { debit: Some(debited), state: Some(self.state), settle: Some(settled) };
        Change::new(writes, Verdict::Accepted(accepted))
    }

    fn replace(&mut self, name: &AuthenticatorName, after: TotpSpent) {
        // `raise_floors` has seen to it that every authenticator is there.
        for (_, spent) in self.state.spent.iter_mut().filter(|(n, _)| n == name) {
            *spent = Spent::Totp(after);
        }
    }

    /// Why nothing of it is accepted.
    pub(super) fn why(
        &self,
        rules: &Rules,
        looks: &[Look<'_>],
        attempt: &Attempt<'_>,
    ) -> (Reason, Option<AuthenticatorName>) {
        why(rules, looks, self.open, attempt.now)
    }

    pub(super) fn refuse(
        self,
        rules: &Rules,
        looks: &[Look<'_>],
        attempt: &Attempt<'_>,
        mut meter: Meter,
        debit: Debit,
        (reason, authenticator): (Reason, Option<AuthenticatorName>),
    ) -> Change<Refusal> {
        let already_used = self.used_elsewhere(reason, authenticator.as_ref(), looks, attempt);
        meter.last_failure = Some(Visit { time: attempt.now, place: attempt.place.clone() });
        let told_today = meter.told.is_some_and(|told| attempt.now.since(told) < DAY);
        let digits = looks.iter().map(|look| look.totp.digits);
        if !told_today && !singles_open(rules, &meter.spending, digits, self.standing) {
            meter.events.push(event(EventKind::MoreCodesRequired, attempt, 1, String::new()));
            meter.told = Some(attempt.now);
        }
        let mut writes = Writes { debit: Some(meter.clone()), ..Writes::default() };
        if self.rebuilt {
            // Kept even though nobody gets in: otherwise every refused try would move the floors further.
            let mut state = self.state;
            state.seq = state.seq.saturating_add(1);
            meter.repeated = Some(state.repeated());
            writes.state = Some(state);
            writes.settle = Some(meter);
        }
        Change::new(writes, Refusal { reason, authenticator, debit, already_used })
    }

    /// The last accepted login, where it used the very code that is refused now, and came from elsewhere.
    fn used_elsewhere(
        &self,
        reason: Reason,
        authenticator: Option<&AuthenticatorName>,
        looks: &[Look<'_>],
        attempt: &Attempt<'_>,
    ) -> Option<Visit> {
        if reason != Reason::Replay {
            return None;
        }
        let name = authenticator?;
        let last = self.state.last_login.as_ref()?;
        let by_last = looks.iter().any(|look| {
            let newest = look.found.single.spent() == Some(look.spent.floor);
            look.name == name && newest && look.spent.used == Some(last.time)
        });
        let elsewhere = match (self.state.last_origin(), attempt.origin) {
            // Both on a program's word: what it says is all there is to compare.
            (Origin::Unknown, Origin::Unknown) => last.place != *attempt.place,
            (then, now) => then != now,
        };
        (by_last && elsewhere).then(|| last.clone())
    }
}
