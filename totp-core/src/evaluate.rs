//! Is this right? One pure question, asked under the user's lock, with everything it depends on as a parameter.
//!
//! The answers of a dialogue form one sequence of codes; its last one, last two and last three are looked for in
//! time, the more codes the wider ([`crate::search`]). What is found is either spent now, or debited to the guess
//! budget ([`crate::budget`]) with the chance it had.

use alloc::string::String;
use alloc::vec::Vec;

use crate::answer::{Answer, Sequence, work};
use crate::budget::{Debit, Spending, Standing, YearlyChance};
use crate::event::{EventKind, Place, QueuedEvent};
use crate::floors::{ahead, begun_anew, raise_floors};
use crate::name::AuthenticatorName;
use crate::origin::Origin;
use crate::otp::{Algorithm, Digits, Totp};
use crate::prices::{Open, open, pair_price, single_price, singles_open, triple_price};
use crate::search::{
    Codebook, Computed, Findings, PAIR_REACH, Span, Spans, computed_now, needed, no_codes,
};
use crate::state::{MOST_DRIFT, Meter, Spent, State, TotpSpent, Visit};
use crate::store::{Change, Enrolled, Found, StateRead, View, Writes};
use crate::time::{DAY, Period, Step, UnixTime};

/// What a site decides about evaluating.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Steps either way of the drift in which one code is right: 0 to 10, usually 1.
    pub window: u64,
    /// What guessing may win in a year.
    pub chance: YearlyChance,
    /// What authenticators are usually like: what is computed for people who have none.
    pub usual: Usual,
}

impl Default for Rules {
    fn default() -> Self {
        Self { window: 1, chance: YearlyChance::DEFAULT, usual: Usual::default() }
    }
}

/// What new authenticators are like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usual {
    /// The hash under the HMAC.
    pub algorithm: Algorithm,
    /// The length of a step.
    pub period: Period,
}

impl Default for Usual {
    fn default() -> Self {
        Self { algorithm: Algorithm::default(), period: Period::DEFAULT }
    }
}

/// One evaluation of a dialogue, and everything it depends on besides the user's files.
pub struct Attempt<'a> {
    /// All answers of the dialogue so far, one or two, the one to be evaluated last.
    pub answers: &'a [Answer],
    /// Codes computed for these answers before the lock was taken.
    pub codebook: &'a Codebook,
    /// What the dialogue's first evaluation was debited with, where this is the second.
    pub first: Option<Debit>,
    /// Where this login comes from, for the budget.
    pub origin: &'a Origin,
    /// Where this login comes from, for people.
    pub place: &'a Place,
    /// The time.
    pub now: UnixTime,
    /// Fresh random bits, for the ids of events.
    pub entropy: [u64; 2],
    /// Why nobody can be let in here whatever was typed, where that isn't "not enrolled".
    pub pretext: Option<Reason>,
}

/// What an evaluation comes to. `Accepted` can only be made here, and seen only once it is committed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Verdict {
    /// Right: let in.
    Accepted(Accepted),
    /// Not let in.
    Refused(Refusal),
}

/// A code was right, and is spent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    authenticator: AuthenticatorName,
    kind: &'static str,
    drift: i64,
    codes: usize,
    off: Option<i64>,
}

impl Accepted {
    /// Which authenticator made it.
    #[must_use]
    pub fn authenticator(&self) -> &AuthenticatorName {
        &self.authenticator
    }

    /// `totp`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        self.kind
    }

    /// The authenticator's drift from now on, in steps.
    #[must_use]
    pub fn drift(&self) -> i64 {
        self.drift
    }

    /// How many consecutive codes it took: 1 to 3.
    #[must_use]
    pub fn codes(&self) -> usize {
        self.codes
    }

    /// Seconds by which the authenticator's clock is ahead of ours, where that is too far to be learned.
    #[must_use]
    pub fn off(&self) -> Option<i64> {
        self.off
    }
}

/// Not let in: why, for the log, and what it cost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// For the log; the person is told nothing of it.
    pub reason: Reason,
    /// The authenticator that a reason concerns, where one can be named.
    pub authenticator: Option<AuthenticatorName>,
    /// What was debited. Given back if the dialogue's second answer is accepted.
    pub debit: Debit,
}

/// Why somebody isn't let in; the words are the log's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// No code that is good now.
    Wrong,
    /// A code that was accepted before.
    Replay,
    /// No step of the window lies above the floor: our clock was set back.
    Clock {
        /// Until one does.
        seconds: u64,
    },
    /// One code isn't evaluated while the budget is used up, or two.
    Budget,
    /// Required, and not enrolled (or switched off where policy denies that).
    NotEnrolled,
    /// The name service knows nobody of this name.
    NoAccount,
    /// No answer came.
    NoReply,
    /// A fault of the store.
    Store(crate::store::FaultKind),
    /// The configuration can't be used.
    Config,
}

impl Reason {
    /// The word of the log line `reason=`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Wrong => "wrong",
            Self::Replay => "replay",
            Self::Clock { .. } => "clock",
            Self::Budget => "budget",
            Self::NotEnrolled => "not-enrolled",
            Self::NoAccount => "no-account",
            Self::NoReply => "no-reply",
            Self::Store(kind) => kind.as_str(),
            Self::Config => "config",
        }
    }
}

/// Evaluates the last answer of a dialogue.
///
/// For a user who isn't enrolled the same is read, computed and written, and never accepted.
pub fn evaluate(rules: &Rules, view: &View, attempt: &Attempt<'_>) -> Change<Verdict> {
    match &view.found {
        Found::Enrolled(enrolled) => of_enrolled(rules, view, enrolled, attempt),
        Found::Absent | Found::Disabled(_) => of_nobody(rules, view, attempt),
    }
}

/// The same work on a decoy, refused.
fn of_nobody(rules: &Rules, view: &View, attempt: &Attempt<'_>) -> Change<Verdict> {
    attempt.codebook.search_decoys(0, attempt.answers);
    let mut meter = view.meter.clone();
    meter.spending = meter.spending.refilled(rules.chance, attempt.now);
    meter.last_failure = Some(Visit { time: attempt.now, place: attempt.place.clone() });
    let refusal = Refusal {
        reason: attempt.pretext.unwrap_or(Reason::NotEnrolled),
        authenticator: None,
        debit: Debit::none(Standing::Unknown),
    };
    let writes = Writes { debit: Some(meter), ..Writes::default() };
    Change::new(writes, Verdict::Refused(refusal))
}

fn of_enrolled(
    rules: &Rules,
    view: &View,
    enrolled: &Enrolled,
    attempt: &Attempt<'_>,
) -> Change<Verdict> {
    let base = Base::of(rules, view, enrolled, attempt);
    let looks = base.look_at_all(rules, enrolled, attempt);
    attempt.codebook.search_decoys(looks.len(), attempt.answers);
    let debit = base.debit(rules, &looks);
    let mut meter = base.meter.clone();
    meter.spending = meter.spending.with(&debit);
    match looks.iter().find_map(Look::hit) {
        Some(hit) => base.accept(rules, &looks, hit, attempt, meter),
        None => base.refuse(rules, &looks, attempt, meter, debit),
    }
}

/// What an evaluation starts from: the state (begun anew where it was lost) and the refilled budget.
struct Base {
    state: State,
    rebuilt: bool,
    meter: Meter,
    standing: Standing,
    open: Open,
    volatile: bool,
}

impl Base {
    fn of(rules: &Rules, view: &View, enrolled: &Enrolled, attempt: &Attempt<'_>) -> Self {
        let now = attempt.now;
        let mut meter = view.meter.clone();
        meter.spending = meter.spending.refilled(rules.chance, now);
        let (mut state, rebuilt) = match &enrolled.state {
            StateRead::Good(state) => (state.clone(), false),
            StateRead::Lost { seq } => {
                let used_up = Spending::singles_used_up();
                let Spending { known, unknown, .. } = used_up;
                meter.spending = Spending { known, unknown, ..meter.spending };
                (begun_anew(rules, &enrolled.record, *seq, now), true)
            }
        };
        if rebuilt {
            state.events.push(event(EventKind::StateRebuilt, attempt, 0));
        }
        if view.volatile.is_some_and(|volatile| volatile.first) {
            meter.events.push(event(EventKind::StateVolatile, attempt, 1));
        }
        raise_floors(rules, &mut state, &enrolled.record, &meter, view.volatile, now);
        let standing =
            if state.knows(attempt.origin, now) { Standing::Known } else { Standing::Unknown };
        let open = open(rules, &meter.spending, &enrolled.record, standing);
        let volatile = view.volatile.is_some();
        Self { state, rebuilt, meter, standing, open, volatile }
    }

    fn look_at_all<'a>(
        &self,
        rules: &Rules,
        enrolled: &'a Enrolled,
        attempt: &Attempt<'_>,
    ) -> Vec<Look<'a>> {
        let record = &enrolled.record;
        let n = work(attempt.answers);
        let looks = record.authenticators.iter().enumerate().map(|(slot, authenticator)| {
            let totp = authenticator.kind.totp();
            let spent = self.spent(&authenticator.name);
            let one = Computed { totp, drift: spent.drift };
            let needs = needed(one, n, rules, attempt.now);
            let fresh;
            let codes = match attempt.codebook.slot(record.enrollment, slot, needs) {
                Some(codes) => codes,
                None => {
                    // Nothing typed that could be a code: nothing to compute, as for strangers.
                    let compute = || computed_now(one, n, rules, attempt.now);
                    fresh = if n == 0 { no_codes() } else { compute() };
                    &fresh
                }
            };
            let sequence = Sequence::of(attempt.answers, totp.digits);
            let spans = self.spans(rules, one, attempt.now);
            Look {
                name: &authenticator.name,
                kind: authenticator.kind.as_str(),
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

    /// The chance this evaluation had.
    fn debit(&self, rules: &Rules, looks: &[Look<'_>]) -> Debit {
        let mut debit = Debit::none(self.standing);
        let replayed = looks.iter().any(Look::is_replayed);
        for digits in Digits::ALL {
            let looks = || looks.iter().filter(|look| look.totp.digits == digits);
            let n = looks().count();
            let typed = looks().map(|look| look.typed).max().unwrap_or(0);
            if typed >= 1 && self.open.single && !replayed {
                debit.single = debit.single.plus(single_price(rules, digits, n));
            }
            if typed >= 2 && self.open.pair {
                let half = looks().any(|look| look.found.half_of_pair);
                debit.pair = debit.pair.plus(pair_price(digits, n, half));
            }
            if typed >= 3 && self.open.triple {
                let two = looks().any(|look| look.found.two_of_triple);
                let steps = looks().map(|l| l.totp.period.steps_a_day()).max().unwrap_or(0);
                debit.triple = debit.triple.plus(triple_price(digits, n, steps, two));
            }
        }
        debit
    }

    fn accept(
        mut self,
        rules: &Rules,
        looks: &[Look<'_>],
        hit: Hit<'_>,
        attempt: &Attempt<'_>,
        debited: Meter,
    ) -> Change<Verdict> {
        let spent = hit.spent(rules);
        for look in looks {
            // By chance a code may be good for a second authenticator: it is spent there, too.
            let also = look.hit().map_or(look.spent, |hit| hit.spent(rules));
            let after = if look.name == hit.look.name {
                TotpSpent { used: Some(attempt.now), ..spent }
            } else {
                TotpSpent { floor: also.floor, ..look.spent }
            };
            self.replace(look.name, after);
        }
        self.state.seq = self.state.seq.saturating_add(1);
        self.state.last_login = Some(Visit { time: attempt.now, place: attempt.place.clone() });
        self.state.remember(attempt.origin.clone(), attempt.now);

        let mut settled = self.meter.clone();
        if let Some(first) = &attempt.first {
            settled.spending = settled.spending.without(first);
        }
        settled.floors = Some(self.state.floors());
        let accepted = Accepted {
            authenticator: hit.look.name.clone(),
            kind: hit.look.kind,
            drift: spent.drift,
            codes: hit.codes,
            off: hit.off(),
        };
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

    fn refuse(
        self,
        rules: &Rules,
        looks: &[Look<'_>],
        attempt: &Attempt<'_>,
        mut meter: Meter,
        debit: Debit,
    ) -> Change<Verdict> {
        let (reason, authenticator) = why(rules, looks, self.open, attempt.now);
        meter.last_failure = Some(Visit { time: attempt.now, place: attempt.place.clone() });
        let told_today = meter.told.is_some_and(|told| attempt.now.since(told) < DAY);
        let digits = looks.iter().map(|look| look.totp.digits);
        if !told_today && !singles_open(rules, &meter.spending, digits, self.standing) {
            meter.events.push(event(EventKind::MoreCodesRequired, attempt, 1));
            meter.told = Some(attempt.now);
        }
        let mut writes = Writes { debit: Some(meter.clone()), ..Writes::default() };
        if self.rebuilt {
            // Kept even though nobody gets in: otherwise every refused try would move the floors further.
            let mut state = self.state;
            state.seq = state.seq.saturating_add(1);
            meter.floors = Some(state.floors());
            writes.state = Some(state);
            writes.settle = Some(meter);
        }
        let refusal = Refusal { reason, authenticator, debit };
        Change::new(writes, Verdict::Refused(refusal))
    }
}

/// One authenticator held against the answers.
struct Look<'a> {
    name: &'a AuthenticatorName,
    kind: &'static str,
    totp: &'a Totp,
    now: Step,
    spent: TotpSpent,
    typed: usize,
    found: Findings,
    open: Open,
    volatile: bool,
}

impl<'a> Look<'a> {
    /// What lets in here, if anything does.
    fn hit(&self) -> Option<Hit<'_>> {
        let hit = |codes, step| Hit { look: self, codes, step };
        let single = self.found.single.fresh().filter(|_| self.open.single).map(|s| hit(1, s));
        let pair = self.found.pair.fresh().filter(|_| self.open.pair).map(|s| hit(2, s));
        let triple = self.found.triple.fresh().map(|s| hit(3, s));
        single.or(pair).or(triple)
    }

    /// Whether the last code is one that was used.
    fn is_replayed(&self) -> bool {
        self.found.single.spent().is_some()
    }

    /// The highest step of the window for one code.
    fn window_top(&self, rules: &Rules) -> Step {
        Step(self.now.moved(self.spent.drift).0.saturating_add(rules.window))
    }
}

/// The codes were found, the last one at `step`.
#[derive(Clone, Copy)]
struct Hit<'a> {
    look: &'a Look<'a>,
    codes: usize,
    step: Step,
}

impl Hit<'_> {
    /// What is spent after this. The floor only rises; the drift follows codes within ±20 steps.
    fn spent(&self, rules: &Rules) -> TotpSpent {
        let before = self.look.spent;
        let offset = self.step.ahead_of(self.look.now);
        let away = offset.saturating_sub(before.drift);
        let floor = before.floor.max(self.step);
        let too_far = offset.saturating_abs() > MOST_DRIFT && self.codes > 1;
        // In memory nothing is learned either: a restart would forget it, and with it what it had let in.
        if too_far || self.look.volatile {
            return TotpSpent { floor, ..before };
        }
        if away.unsigned_abs() > rules.window {
            return TotpSpent { floor, drift: within(offset), lean: 0, ..before };
        }
        // People type late and clocks tick between two codes: one code beside the middle says little, a second
        // one on the same side moves the middle by a step.
        let side = away.signum();
        if side != 0 && side == before.lean {
            let drift = within(before.drift.saturating_add(side));
            return TotpSpent { floor, drift, lean: 0, ..before };
        }
        TotpSpent { floor, lean: side, ..before }
    }

    /// Seconds ahead of our clock, where that is too far to be learned.
    fn off(&self) -> Option<i64> {
        let offset = self.step.ahead_of(self.look.now);
        let period = i64::try_from(self.look.totp.period.seconds()).unwrap_or(i64::MAX);
        (offset.saturating_abs() > MOST_DRIFT && self.codes > 1)
            .then(|| offset.saturating_mul(period))
    }
}

fn within(drift: i64) -> i64 {
    drift.clamp(MOST_DRIFT.saturating_neg(), MOST_DRIFT)
}

/// Why nothing was found, for the log.
fn why(
    rules: &Rules,
    looks: &[Look<'_>],
    open: Open,
    now: UnixTime,
) -> (Reason, Option<AuthenticatorName>) {
    let name = |look: &Look<'_>| Some(look.name.clone());
    let typed = || looks.iter().filter(|look| look.typed > 0);
    if let Some(look) = typed().find(|look| look.found.single.spent() == Some(look.spent.floor)) {
        return (Reason::Replay, name(look));
    }
    if let Some(look) = typed().find(|look| look.window_top(rules) <= look.spent.floor) {
        return (Reason::Clock { seconds: seconds_to_wait(rules, look, now) }, name(look));
    }
    if let Some(look) = typed().find(|look| look.is_replayed()) {
        return (Reason::Replay, name(look));
    }
    let most = typed().map(|look| look.typed).max().unwrap_or(0);
    let used_up = match most {
        0 => false,
        1 => !open.single,
        2 => !open.single && !open.pair,
        _ => false,
    };
    (if used_up { Reason::Budget } else { Reason::Wrong }, None)
}

/// Until a step of the window lies above the floor.
fn seconds_to_wait(rules: &Rules, look: &Look<'_>, now: UnixTime) -> u64 {
    let first = look.spent.floor.moved(1).moved(look.spent.drift.saturating_neg());
    let first = Step(first.0.saturating_sub(rules.window));
    first.start(look.totp.period).since(now)
}

fn event(kind: EventKind, attempt: &Attempt<'_>, nth: usize) -> QueuedEvent {
    // Different kinds in one login get different ids out of the same random bits.
    let bits = attempt.entropy.get(nth).copied().unwrap_or(0);
    let id = bits.rotate_left(kind as u32);
    let detail = String::new();
    QueuedEvent { id, time: attempt.now, kind, place: attempt.place.clone(), detail }
}
