//! One authenticator held against the answers of a dialogue, and what comes of it.

use super::{Reason, Rules};
use crate::answer::MOST_CODES;
use crate::name::AuthenticatorName;
use crate::otp::Totp;
use crate::prices::Open;
use crate::search::{Findings, Matches};
use crate::state::{MOST_DRIFT, TotpSpent};
use crate::time::{Step, UnixTime};

/// One authenticator held against the answers.
pub(super) struct Look<'a> {
    pub(super) name: &'a AuthenticatorName,
    pub(super) totp: &'a Totp,
    pub(super) now: Step,
    pub(super) spent: TotpSpent,
    pub(super) typed: usize,
    pub(super) found: Findings,
    pub(super) open: Open,
    pub(super) volatile: bool,
}

impl<'a> Look<'a> {
    /// What lets in here, if anything does.
    pub(super) fn hit(&self) -> Option<Hit<'_>> {
        let hit = |codes, step| Hit { look: self, codes, step };
        let single = self.found.single.fresh().filter(|_| self.open.single).map(|s| hit(1, s));
        let pair = self.found.pair.fresh().filter(|_| self.open.pair).map(|s| hit(2, s));
        let triple = self.found.triple.fresh().map(|s| hit(3, s));
        single.or(pair).or(triple)
    }

    /// How many characters at the end of the answer are codes of this authenticator, if any of them lets in. One code is
    /// enough to be let in; what stands in front of it as the one before it is no end of a password.
    pub(super) fn characters(&self) -> usize {
        let Some(hit) = self.hit() else { return 0 };
        let is_there = |found: Matches| found.fresh().or(found.spent()).is_some();
        let codes = match &self.found {
            found if is_there(found.triple) => MOST_CODES,
            found if is_there(found.pair) => 2,
            _ => 1,
        };
        codes.max(hit.codes).saturating_mul(usize::from(self.totp.digits.count()))
    }

    /// Whether the last code is one that was used.
    pub(super) fn is_replayed(&self) -> bool {
        self.found.single.spent().is_some()
    }

    /// The highest step of the window for one code.
    fn window_top(&self, rules: &Rules) -> Step {
        Step(self.now.moved(self.spent.drift).0.saturating_add(rules.window))
    }
}

/// The codes were found, the last one at `step`.
#[derive(Clone, Copy)]
pub(super) struct Hit<'a> {
    pub(super) look: &'a Look<'a>,
    pub(super) codes: usize,
    pub(super) step: Step,
}

impl Hit<'_> {
    /// What is spent after this. The floor only rises; the drift follows codes within ±20 steps.
    pub(super) fn spent(&self, rules: &Rules) -> TotpSpent {
        let before = self.look.spent;
        let offset = self.step.ahead_of(self.look.now);
        let away = offset.saturating_sub(before.drift);
        let floor = before.floor.max(self.step);
        let too_far = self.is_too_far() && self.codes > 1;
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

    /// Seconds ahead of our clock, by steps.
    pub(super) fn ahead(&self) -> i64 {
        let period = i64::try_from(self.look.totp.period.seconds()).unwrap_or(i64::MAX);
        self.step.ahead_of(self.look.now).saturating_mul(period)
    }

    /// The same, where that is too far to be learned.
    pub(super) fn off(&self) -> Option<i64> {
        (self.is_too_far() && self.codes > 1).then(|| self.ahead())
    }

    /// What is spent after a resynchronisation: the drift is what these codes say.
    pub(super) fn resynchronised(&self) -> TotpSpent {
        let offset = self.step.ahead_of(self.look.now);
        let drift = if self.is_too_far() { 0 } else { offset };
        TotpSpent { floor: self.step, drift, lean: 0, ..self.look.spent }
    }

    /// Whether the offset is more than is ever learned.
    pub(super) fn is_too_far(&self) -> bool {
        self.step.ahead_of(self.look.now).saturating_abs() > MOST_DRIFT
    }
}

fn within(drift: i64) -> i64 {
    drift.clamp(MOST_DRIFT.saturating_neg(), MOST_DRIFT)
}

/// Why nothing was found, for the log.
pub(super) fn why(
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
    seconds_until_fresh(rules, look.totp, look.spent, now)
}

/// The same, of what is spent then.
pub(super) fn seconds_until_fresh(
    rules: &Rules,
    totp: &Totp,
    spent: TotpSpent,
    now: UnixTime,
) -> u64 {
    let first = spent.floor.moved(1).moved(spent.drift.saturating_neg());
    let first = Step(first.0.saturating_sub(rules.window));
    first.start(totp.period).since(now)
}
