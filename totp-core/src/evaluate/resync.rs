//! Sets an authenticator's clock by two consecutive codes within a day (RFC 4226 section 7.4).

use super::enrolled::Base;
use super::look::{Hit, Look, seconds_until_fresh};
use super::{Attempt, First, Reason, Refusal, Rules, failed};
use crate::name::AuthenticatorName;
use crate::state::Meter;
use crate::store::{Change, Enrolled, Found, View, Writes};

/// Two consecutive codes of an authenticator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resynchronised {
    /// Which one.
    pub authenticator: AuthenticatorName,
    /// Seconds by which its clock is ahead of ours, by steps.
    pub ahead: i64,
    /// Whether that is little enough to be learned: otherwise the clock itself must be set.
    pub learned: bool,
    /// Seconds until a single code can be accepted: of a clock that was ahead, these two spent all before them.
    pub waits: u64,
    /// What this try was debited: given back where it is then made for good.
    pub first: First,
}

/// Learns an authenticator's drift from the last two codes of these answers, searched within a day. Both are spent. A
/// wrong try is debited to the budget that logins have, at the price of the wider search.
pub fn resynchronise(
    rules: &Rules,
    view: &View,
    attempt: &Attempt<'_>,
) -> Change<Result<Resynchronised, Refusal>> {
    match &view.found {
        Found::Enrolled(enrolled) if attempt.pretext.is_none() => {
            of_enrolled(rules, view, enrolled, attempt)
        }
        Found::Enrolled(_) | Found::Absent | Found::Disabled(_) | Found::Pending(_) => {
            let writes = Writes { debit: Some(failed(rules, view, attempt)), ..Writes::default() };
            let reason = attempt.pretext.unwrap_or(Reason::NotEnrolled);
            Change::new(writes, Err(Refusal::free(reason)))
        }
    }
}

/// As [`resynchronise`], and nothing but the debit is written, also of two that are right.
pub fn try_to_resynchronise(
    rules: &Rules,
    view: &View,
    attempt: &Attempt<'_>,
) -> Change<Result<Resynchronised, Refusal>> {
    let change = resynchronise(rules, view, attempt);
    if change.outcome().is_ok() { change.debit_alone() } else { change }
}

fn of_enrolled(
    rules: &Rules,
    view: &View,
    enrolled: &Enrolled,
    attempt: &Attempt<'_>,
) -> Change<Result<Resynchronised, Refusal>> {
    let base = Base::of(rules, view, enrolled, attempt).for_two_codes_within_a_day();
    let looks = base.look_at_all(rules, enrolled, attempt);
    let debit = base.debit(rules, &looks, attempt, enrolled);
    let mut debited = base.meter.clone();
    debited.spending = debited.spending.with(&debit);
    let why = match looks.iter().find_map(Look::hit).filter(|hit| hit.codes == 2) {
        Some(hit) if !base.volatile => {
            let first = First { debit, already_used: None };
            return base.set_right(rules, &looks, hit, attempt, (first, debited)).map(Ok);
        }
        // A restart would forget what was learned, and that these two are spent.
        Some(_) => (Reason::Unavailable, None),
        None if looks.iter().all(|look| look.typed < 2) => (Reason::Wrong, None),
        None => base.why(rules, &looks, attempt),
    };
    base.refuse(rules, &looks, attempt, debited, debit, why).map(Err)
}

impl Base {
    /// The last accepted login and the places that are known stay what they were: this is no login.
    fn set_right(
        mut self,
        rules: &Rules,
        looks: &[Look<'_>],
        hit: Hit<'_>,
        attempt: &Attempt<'_>,
        (first, debited): (First, Meter),
    ) -> Change<Resynchronised> {
        let spent = hit.resynchronised();
        self.spend(rules, looks, hit, spent);
        self.state.seq = self.state.seq.saturating_add(1);
        let mut settled = self.meter;
        if let Some(earlier) = attempt.first {
            settled.spending = settled.spending.without(&earlier.debit);
        }
        settled.repeated = Some(self.state.repeated());
        let done = Resynchronised {
            authenticator: hit.look.name.clone(),
            ahead: hit.ahead(),
            learned: !hit.is_too_far(),
            waits: seconds_until_fresh(rules, hit.look.totp, spent, attempt.now),
            first,
        };
        let writes =
            Writes { debit: Some(debited), state: Some(self.state), settle: Some(settled) };
        Change::new(writes, done)
    }
}
