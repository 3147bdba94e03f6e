//! Floors where the state says too little: it was lost, an older block of it counts, or it is kept in memory.

use alloc::vec::Vec;

use crate::evaluate::Rules;
use crate::onetime::{CodeHash, CodeId};
use crate::record::Record;
use crate::state::{Meter, NextCode, Once, Spent, State, TotpSpent, Uses};
use crate::store::Volatile;
use crate::time::{Step, UnixTime};

/// A state in place of one that was lost, with floors above now.
pub(crate) fn begun_anew(rules: &Rules, record: &Record, seq: u64, now: UnixTime) -> State {
    let spent = record.authenticators.iter().map(|authenticator| {
        let floor = ahead(authenticator.kind.totp().step(now), 0, rules);
        (authenticator.name.clone(), Spent::Totp(TotpSpent { floor, ..TotpSpent::default() }))
    });
    let mut state = State::new(record.enrollment, seq, spent.collect());
    state.once = all_spent(record);
    state
}

/// Every code that is good once is void: which of them were spent, nobody knows any more.
fn all_spent(record: &Record) -> Once {
    let rotating = record.recovery.as_ref().filter(|recovery| recovery.rotating);
    let next = rotating.and_then(|recovery| recovery.codes.first());
    Once {
        used: ids(record),
        // Handing the next one out would make up for what is void.
        next: next.map(|first| NextCode { of: first.id(), code: CodeHash::NONE }),
        opened: Uses::default(),
    }
}

/// The codes of a record that are good once.
pub(crate) fn ids(record: &Record) -> Vec<CodeId> {
    let recovery = record.recovery.iter().flat_map(|recovery| &recovery.codes);
    recovery.chain(record.bypass.as_ref().map(|bypass| &bypass.code)).map(CodeHash::id).collect()
}

/// Raises floors where the state says too little.
///
/// - An authenticator that the state doesn't know has spent everything up to now.
/// - The meter repeats the floors: they survive the loss of the newest block, or of both.
/// - While the state is volatile, only steps after the start of process 1 count, and beyond all that could have been
///   accepted then: a restart has forgotten it.
pub(crate) fn raise_floors(
    rules: &Rules,
    mut state: State,
    record: &Record,
    meter: &Meter,
    volatile: Option<Volatile>,
    now: UnixTime,
) -> State {
    for authenticator in &record.authenticators {
        let (name, totp) = (&authenticator.name, authenticator.kind.totp());
        if state.spent(name).is_none() {
            let spent =
                TotpSpent { floor: ahead(totp.step(now), 0, rules), ..TotpSpent::default() };
            state.spent.push((name.clone(), Spent::Totp(spent)));
        }
        for (_, Spent::Totp(spent)) in state.spent.iter_mut().filter(|(n, _)| n == name) {
            let forgotten = volatile
                .map_or(Step(0), |volatile| ahead(totp.step(volatile.since), spent.drift, rules));
            spent.floor = spent.floor.max(forgotten);
        }
    }
    state.recalled(meter)
}

/// The highest step that one code can be accepted for at step `now`, or at an earlier one.
pub(crate) fn ahead(now: Step, drift: i64, rules: &Rules) -> Step {
    Step(now.moved(drift.max(0)).0.saturating_add(rules.window))
}
