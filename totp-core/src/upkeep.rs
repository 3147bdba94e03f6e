//! What an administrator changes in a state, and the moving of events: everything besides logins
//! that goes through [`Store::transact`](crate::store::Store::transact).

use alloc::vec::Vec;

use crate::budget::Spending;
use crate::evaluate::{Rules, next_is_due};
use crate::event::QueuedEvent;
use crate::floors::begun_anew;
use crate::onetime::CodeHash;
use crate::record::EnrollmentId;
use crate::state::{Meter, NextCode, Spent, State, Texts, TotpSpent};
use crate::store::{Change, Enrolled, Found, StateRead, View, Writes};
use crate::time::UnixTime;

/// Why nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotChanged {
    /// The user isn't enrolled (any more).
    NotEnrolled,
    /// Prepared against another enrollment than the one there is.
    OtherEnrollment,
    /// The state is lost: the next login begins it anew.
    StateLost,
    /// No recovery code is to be handed out.
    NothingDue,
    /// The state is in memory, because the disk can't be written.
    InMemory,
}

/// Gives the guess budget back. Never lowers a floor.
pub fn unlock(view: &View, expected: EnrollmentId) -> Change<Result<(), NotChanged>> {
    match current(view, expected) {
        Err(why) => Change::new(Writes::default(), Err(why)),
        Ok(_) => {
            let meter = Meter { spending: Spending::default(), told: None, ..view.meter.clone() };
            Change::new(Writes { debit: Some(meter), ..Writes::default() }, Ok(()))
        }
    }
}

/// Puts a recovery code in the place of the used one (`rotating`): it has been shown.
pub fn hand_out(
    view: &View,
    expected: EnrollmentId,
    code: CodeHash,
) -> Change<Result<(), NotChanged>> {
    let nothing = |why| Change::new(Writes::default(), Err(why));
    let (enrolled, mut state) = match current(view, expected) {
        Ok(current) => current,
        Err(why) => return nothing(why),
    };
    let first = enrolled.record.recovery.as_ref().and_then(|recovery| recovery.codes.first());
    let Some(first) = first.filter(|_| next_is_due(&enrolled.record, &state.once)) else {
        return nothing(NotChanged::NothingDue);
    };
    if view.volatile.is_some() {
        return nothing(NotChanged::InMemory);
    }
    state.once.next = Some(NextCode { of: first.id(), code });
    state.seq = state.seq.saturating_add(1);
    let settle = Meter { repeated: Some(state.repeated()), ..view.meter.clone() };
    Change::new(Writes { state: Some(state), settle: Some(settle), debit: None }, Ok(()))
}

/// Gives back one use of an enrollment code: its login could not ask the user to enroll. Whether there was one to give back.
pub fn give_use_back(view: &View, expected: EnrollmentId) -> Change<bool> {
    let nothing = Change::new(Writes::default(), false);
    let Found::Pending(opening) = &view.found else { return nothing };
    let StateRead::Good(state) = &opening.state else { return nothing };
    // In memory nothing of it is counted.
    if opening.pending.enrollment != expected || view.volatile.is_some() {
        return nothing;
    }
    let mut state = state.clone().recalled(&view.meter);
    let Some(opened) = state.once.opened.given_back() else { return nothing };
    state.once.opened = opened;
    state.seq = state.seq.saturating_add(1);
    let settle = Meter { repeated: Some(state.repeated()), ..view.meter.clone() };
    Change::new(Writes { state: Some(state), settle: Some(settle), debit: None }, true)
}

/// Makes what a restored backup may have brought back harmless: every code up to now is spent, two in a row are asked
/// for, and codes that are good once are void.
pub fn repair(
    view: &View,
    expected: EnrollmentId,
    rules: &Rules,
    now: UnixTime,
) -> Change<Result<(), NotChanged>> {
    let (enrolled, seq) = match &view.found {
        Found::Enrolled(enrolled) if enrolled.record.enrollment == expected => {
            match &enrolled.state {
                StateRead::Good(state) => (enrolled, state.seq),
                StateRead::Lost { seq } => (enrolled, *seq),
            }
        }
        Found::Enrolled(_) => {
            return Change::new(Writes::default(), Err(NotChanged::OtherEnrollment));
        }
        _ => return Change::new(Writes::default(), Err(NotChanged::NotEnrolled)),
    };
    if view.volatile.is_some() {
        return Change::new(Writes::default(), Err(NotChanged::InMemory));
    }
    let fresh = begun_anew(rules, &enrolled.record, seq.saturating_add(1), now);
    let mut state = match &enrolled.state {
        StateRead::Good(state) => State { seq: fresh.seq, once: fresh.once, ..state.clone() },
        StateRead::Lost { .. } => State { spent: Vec::new(), ..fresh.clone() },
    };
    // Where a floor is above now already, it stays: codes of a clock that was ahead are spent.
    for (name, Spent::Totp(new)) in &fresh.spent {
        let old = state.spent(name).map(|spent| *spent.totp()).unwrap_or_default();
        let spent = TotpSpent { floor: old.floor.max(new.floor), ..old };
        state.spent.retain(|(n, _)| n != name);
        state.spent.push((name.clone(), Spent::Totp(spent)));
    }
    let Spending { known, unknown, .. } = Spending::singles_used_up();
    let spending = Spending { known, unknown, ..view.meter.spending.refilled(rules.chance, now) };
    let texts = Texts { codes: Vec::new(), ..view.meter.texts.clone() };
    let repeated = Some(state.repeated());
    let settle = Meter { repeated, spending, texts, ..view.meter.clone() };
    Change::new(Writes { state: Some(state), settle: Some(settle), debit: None }, Ok(()))
}

/// The events that wait in a user's state, oldest first, and how many more there were than could be kept.
#[must_use]
pub fn waiting_events(view: &View) -> (Vec<QueuedEvent>, u64) {
    let state = match &view.found {
        Found::Enrolled(enrolled) => match &enrolled.state {
            StateRead::Good(state) => Some(&state.events),
            StateRead::Lost { .. } => None,
        },
        Found::Absent | Found::Disabled(_) | Found::Pending(_) => return (Vec::new(), 0),
    };
    let queues = || state.into_iter().chain([&view.meter.events]);
    let mut events: Vec<QueuedEvent> = queues().flat_map(|queue| queue.iter()).cloned().collect();
    events.sort_by_key(|event| event.time);
    (events, queues().fold(0u64, |sum, queue| sum.saturating_add(queue.lost())))
}

/// Takes events out of the queues once they are in the permanent record.
pub fn events_moved(view: &View, ids: &[u64]) -> Change<()> {
    let mut meter = view.meter.clone();
    meter.events.moved(ids);
    let mut writes = Writes { debit: Some(meter), ..Writes::default() };
    if let Found::Enrolled(enrolled) = &view.found
        && let StateRead::Good(state) = &enrolled.state
    {
        let mut after = state.clone();
        after.events.moved(ids);
        if after.events != state.events {
            after.seq = after.seq.saturating_add(1);
            writes.state = Some(after);
        }
    }
    Change::new(writes, ())
}

/// Reads what a transaction sees, changing nothing.
pub fn read<T>(outcome: T) -> Change<T> {
    Change::new(Writes::default(), outcome)
}

fn current(view: &View, expected: EnrollmentId) -> Result<(&Enrolled, State), NotChanged> {
    let Found::Enrolled(enrolled) = &view.found else { return Err(NotChanged::NotEnrolled) };
    if enrolled.record.enrollment != expected {
        return Err(NotChanged::OtherEnrollment);
    }
    match &enrolled.state {
        StateRead::Good(state) => Ok((enrolled, state.clone())),
        // Until the next login begins it anew there is nothing to change.
        StateRead::Lost { .. } => Err(NotChanged::StateLost),
    }
}

#[cfg(test)]
mod tests {
    use alloc::boxed::Box;
    use alloc::vec;

    use super::*;
    use crate::contact::Contact;
    use crate::event::{EventKind, Place};
    use crate::name::{AuthenticatorName, UserName};
    use crate::otp::{Algorithm, Digits, Totp};
    use crate::record::{Authenticator, Decision, Kind, Record};
    use crate::secret::Secret;
    use crate::store::Durability;
    use crate::time::{Period, Step};

    const NOW: UnixTime = UnixTime(1_763_000_010);
    const ID: EnrollmentId = EnrollmentId::fresh([1; 8]);

    fn totp() -> Totp {
        Totp {
            secret: Secret::fresh(&[1; Secret::FRESH]),
            algorithm: Algorithm::Sha1,
            digits: Digits::Six,
            period: Period::DEFAULT,
        }
    }

    fn phone() -> AuthenticatorName {
        AuthenticatorName::new("phone").unwrap()
    }

    fn view(floor: i64) -> View {
        let user = UserName::new("alice").unwrap();
        let decision = Decision {
            user,
            uid: None,
            since: NOW,
            by: "carol".into(),
            seq: 1,
            contact: Contact::default(),
        };
        let phone_ = Authenticator { name: phone(), added: NOW, kind: Kind::Totp(totp()) };
        let record = Record::new(decision, ID, vec![phone_]);
        let floor = totp().step(NOW).moved(floor);
        let spent = Spent::Totp(TotpSpent { floor, ..TotpSpent::default() });
        let state = StateRead::Good(State::new(ID, 5, vec![(phone(), spent)]));
        let found = Found::Enrolled(Box::new(Enrolled { record, state }));
        View { found, meter: Meter::default(), volatile: None }
    }

    fn committed<T>(change: Change<T>) -> (Writes, T) {
        let mut written = Writes::default();
        let committed = change.commit(|writes| {
            written = writes.clone();
            Ok::<_, ()>(Durability::Disk)
        });
        (written, committed.unwrap().into_outcome())
    }

    #[test]
    fn another_enrollment_is_not_changed() {
        let other = EnrollmentId::fresh([2; 8]);
        let (written, done) = committed(unlock(&view(0), other));
        assert_eq!((written, done), (Writes::default(), Err(NotChanged::OtherEnrollment)));
    }

    #[test]
    fn unlocking_gives_the_budget_back_and_lowers_no_floor() {
        let mut view = view(0);
        view.meter = Meter { noted: 4, ..Meter::unreadable() };
        let (written, done) = committed(unlock(&view, ID));
        assert_eq!(done, Ok(()));
        assert!(written.state.is_none());
        let meter = written.debit.unwrap();
        assert_eq!((meter.spending, meter.noted), (Spending::default(), 4));
    }

    #[test]
    fn moved_events_leave_both_queues() {
        let mut view = view(0);
        let event = |id, kind| QueuedEvent {
            id,
            time: UnixTime(9 - id),
            kind,
            place: Place::default(),
            detail: "".into(),
        };
        view.meter.events.push(event(1, EventKind::MoreCodesRequired));
        if let Found::Enrolled(enrolled) = &mut view.found
            && let StateRead::Good(state) = &mut enrolled.state
        {
            state.events.push(event(2, EventKind::StateRebuilt));
        }
        let (events, lost) = waiting_events(&view);
        assert_eq!((events.iter().map(|e| e.id).collect::<Vec<_>>(), lost), (vec![2, 1], 0));
        let (written, ()) = committed(events_moved(&view, &[1, 2]));
        assert!(written.debit.unwrap().events.is_empty());
        let state = written.state.unwrap();
        assert!(state.events.is_empty() && state.seq == 6);
        assert_eq!(state.spent(&phone()).unwrap().totp().floor, Step::at(NOW, Period::DEFAULT));
    }
}
