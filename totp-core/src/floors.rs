//! Floors where the state says too little: it was lost, an older block of it counts, or it is kept in memory.

use crate::evaluate::Rules;
use crate::record::Record;
use crate::state::{Meter, Spent, State, TotpSpent};
use crate::store::Volatile;
use crate::time::{Step, UnixTime};

/// A state in place of one that was lost, with floors above now.
pub(crate) fn begun_anew(rules: &Rules, record: &Record, seq: u64, now: UnixTime) -> State {
    let spent = record.authenticators.iter().map(|authenticator| {
        let floor = ahead(authenticator.kind.totp().step(now), 0, rules);
        (authenticator.name.clone(), Spent::Totp(TotpSpent { floor, ..TotpSpent::default() }))
    });
    State::new(record.enrollment, seq, spent.collect())
}

/// Raises floors where the state says too little.
///
/// - The meter repeats the floors: they survive the loss of the newest block, or of both.
/// - An authenticator that the state doesn't know has spent everything up to now.
/// - While the state is volatile, only steps after the start of process 1 count, and beyond all that could have been
///   accepted then: a restart has forgotten it.
pub(crate) fn raise_floors(
    rules: &Rules,
    state: &mut State,
    record: &Record,
    meter: &Meter,
    volatile: Option<Volatile>,
    now: UnixTime,
) {
    for authenticator in &record.authenticators {
        let (name, totp) = (&authenticator.name, authenticator.kind.totp());
        if state.spent(name).is_none() {
            let spent =
                TotpSpent { floor: ahead(totp.step(now), 0, rules), ..TotpSpent::default() };
            state.spent.push((name.clone(), Spent::Totp(spent)));
        }
        let repeated = meter
            .floors
            .as_ref()
            .filter(|(enrollment, _)| *enrollment == record.enrollment)
            .and_then(|(_, floors)| floors.iter().find(|(n, _)| n == name))
            .map_or(Step(0), |(_, floor)| *floor);
        for (_, Spent::Totp(spent)) in state.spent.iter_mut().filter(|(n, _)| n == name) {
            let forgotten = volatile
                .map_or(Step(0), |volatile| ahead(totp.step(volatile.since), spent.drift, rules));
            spent.floor = spent.floor.max(repeated).max(forgotten);
        }
    }
}

/// The highest step that one code can be accepted for at step `now`, or at an earlier one.
pub(crate) fn ahead(now: Step, drift: i64, rules: &Rules) -> Step {
    Step(now.moved(drift.max(0)).0.saturating_add(rules.window))
}
