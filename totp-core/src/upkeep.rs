//! What an administrator changes in a state or looks up in it, and the moving of events: everything besides logins
//! that goes through [`Store::transact`](crate::store::Store::transact).

use alloc::vec::Vec;

use crate::answer::{Answer, Sequence};
use crate::budget::Spending;
use crate::evaluate::{Rules, next_is_due};
use crate::event::QueuedEvent;
use crate::floors::begun_anew;
use crate::name::AuthenticatorName;
use crate::onetime::CodeHash;
use crate::otp::Totp;
use crate::record::{EnrollmentId, Record};
use crate::search::{Computed, PAIR_REACH, Span, computed_now};
use crate::state::{MOST_DRIFT, Meter, NextCode, Spent, State, Texts, TotpSpent};
use crate::store::{Change, Enrolled, Found, StateRead, View, Writes};
use crate::time::{Step, UnixTime};

/// What would become of some codes, found out without spending anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// The authenticator that makes these codes; `None`: none of the user's does, anywhere near.
    pub authenticator: Option<AuthenticatorName>,
    /// What would become of them.
    pub outlook: Outlook,
    /// Seconds by which the code's time is ahead of ours, by steps; 0 where there is none.
    pub ahead: i64,
}

/// What would become of some codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outlook {
    /// Accepted.
    Right,
    /// Right, but not accepted while the budget asks for more of them.
    MoreCodes,
    /// Right, but accepted before, or older than what was.
    Replay,
    /// Right for now, and no code of now can be accepted: one of a later time was, before the clock was set back or
    /// by a resynchronisation.
    Clock {
        /// Until a code of the clock's own time is above what was accepted.
        seconds: u64,
    },
    /// Right for another time than these codes are searched at.
    OtherTime,
    /// Of none of the user's authenticators.
    Wrong,
    /// No codes at all.
    NotACode,
}

/// Explains what would become of these codes now, from an unknown origin. Spends nothing and debits nothing.
#[must_use]
pub fn explain(
    rules: &Rules,
    record: &Record,
    state: &State,
    required: u8,
    typed: &Answer,
    now: UnixTime,
) -> Explanation {
    let looks = record.authenticators.iter().filter_map(|authenticator| {
        let totp = authenticator.kind.totp();
        let spent = state.spent(&authenticator.name).map(|s| *s.totp()).unwrap_or_default();
        let sequence = Sequence::of(core::slice::from_ref(typed), totp.digits);
        if sequence.is_empty() {
            return None;
        }
        let one = Computed { totp, drift: spent.drift };
        let codes = computed_now(one, 3, rules, now);
        let here = totp.step(now);
        let mut outlook = Outlook::Wrong;
        let mut place = None;
        for n in 1..=sequence.len() {
            let last = sequence.last(n).unwrap_or_default();
            let span = Span::searched(n, here, spent.drift, rules.window, totp.period);
            let found = codes.search(last, span, spent.floor);
            if let Some(step) = found.fresh() {
                let enough = n >= usize::from(required);
                outlook = if enough { Outlook::Right } else { Outlook::MoreCodes };
                place = Some(step);
                if enough {
                    break;
                }
            } else if let Some(step) = found.spent().filter(|_| outlook == Outlook::Wrong) {
                (outlook, place) = (Outlook::Replay, Some(step));
            }
        }
        if outlook == Outlook::Replay {
            let seconds = seconds_until_fresh(required.into(), totp, spent, rules, now);
            // For less than a step it is the next code that is waited for, as after every login.
            if seconds > totp.period.seconds() {
                outlook = Outlook::Clock { seconds };
            }
        }
        if outlook == Outlook::Wrong {
            let day = Span::searched(3, here, 0, 0, totp.period);
            let found = codes.search(sequence.last(sequence.len())?, day, spent.floor);
            place = found.fresh().or(found.spent());
            if place.is_some() {
                outlook = Outlook::OtherTime;
            }
        }
        let period = i64::try_from(totp.period.seconds()).unwrap_or(i64::MAX);
        let ahead = place.map_or(0, |step| step.ahead_of(here).saturating_mul(period));
        let authenticator = place.map(|_| authenticator.name.clone());
        Some(Explanation { authenticator, outlook, ahead })
    });
    let rank = |look: &Explanation| match look.outlook {
        Outlook::Right => 0,
        Outlook::MoreCodes => 1,
        Outlook::Replay => 2,
        Outlook::Clock { .. } => 3,
        Outlook::OtherTime => 4,
        Outlook::Wrong | Outlook::NotACode => 5,
    };
    looks.min_by_key(rank).unwrap_or(Explanation {
        authenticator: None,
        outlook: Outlook::NotACode,
        ahead: 0,
    })
}

/// How long it takes until `n` codes in a row fit between what was accepted and the end of where they are searched;
/// 0: they do now.
fn seconds_until_fresh(
    n: usize,
    totp: &Totp,
    spent: TotpSpent,
    rules: &Rules,
    now: UnixTime,
) -> u64 {
    let here = totp.step(now);
    let searched = Span::searched(n, here, spent.drift, rules.window, totp.period);
    let last = spent.floor.moved(i64::try_from(n.max(1)).unwrap_or(i64::MAX));
    // So many steps the clock must go on.
    let missing = last.0.saturating_sub(searched.to.0);
    if missing == 0 {
        return 0;
    }
    Step(here.0.saturating_add(missing)).start(totp.period).since(now)
}

/// An authenticator's clock was set by two codes (RFC 4226 section 7.4).
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
}

/// Why nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotChanged {
    /// The user isn't enrolled (any more).
    NotEnrolled,
    /// Prepared against another enrollment than the one there is.
    OtherEnrollment,
    /// No two consecutive codes of an authenticator within a day, unspent.
    NoMatch,
    /// No recovery code is to be handed out.
    NothingDue,
    /// The state is in memory, because the disk can't be written.
    InMemory,
}

/// Learns an authenticator's drift from two consecutive codes, searched within a day. The floor rises past them.
pub fn resynchronise(
    view: &View,
    expected: EnrollmentId,
    typed: &[Answer],
    rules: &Rules,
    now: UnixTime,
) -> Change<Result<Resynchronised, NotChanged>> {
    let (enrolled, mut state) = match current(view, expected) {
        Ok(current) => current,
        Err(why) => return Change::new(Writes::default(), Err(why)),
    };
    let hit = enrolled.record.authenticators.iter().find_map(|authenticator| {
        let totp = authenticator.kind.totp();
        let spent = *state.spent(&authenticator.name)?.totp();
        let sequence = Sequence::of(typed, totp.digits);
        let pair = sequence.last(2)?;
        let codes = computed_now(Computed { totp, drift: 0 }, 3, rules, now);
        let day = Span::searched(3, totp.step(now), 0, 0, totp.period);
        let step = codes.search(pair, day, spent.floor).fresh()?;
        Some((authenticator, spent, step))
    });
    let Some((authenticator, spent, step)) = hit else {
        return Change::new(Writes::default(), Err(NotChanged::NoMatch));
    };
    let totp = authenticator.kind.totp();
    let offset = step.ahead_of(totp.step(now));
    let learned = offset.unsigned_abs() <= PAIR_REACH;
    let drift = if learned { offset.clamp(MOST_DRIFT.saturating_neg(), MOST_DRIFT) } else { 0 };
    let after = TotpSpent { floor: step, drift, lean: 0, ..spent };
    for (_, old) in state.spent.iter_mut().filter(|(name, _)| *name == authenticator.name) {
        *old = Spent::Totp(after);
    }
    state.seq = state.seq.saturating_add(1);
    let period = i64::try_from(totp.period.seconds()).unwrap_or(i64::MAX);
    let done = Resynchronised {
        authenticator: authenticator.name.clone(),
        ahead: offset.saturating_mul(period),
        learned,
        waits: seconds_until_fresh(1, totp, after, rules, now),
    };
    let settle = Meter { repeated: Some(state.repeated()), ..view.meter.clone() };
    Change::new(Writes { state: Some(state), settle: Some(settle), debit: None }, Ok(done))
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
        // A lost state is begun anew by the next login; until then there is nothing to change.
        StateRead::Lost { .. } => Err(NotChanged::NoMatch),
    }
}

#[cfg(test)]
mod tests {
    use alloc::boxed::Box;
    use alloc::string::String;
    use alloc::vec;

    use super::*;
    use crate::contact::Contact;
    use crate::event::{EventKind, Place};
    use crate::name::UserName;
    use crate::otp::{Algorithm, Digits, Totp};
    use crate::record::{Authenticator, Decision, Kind};
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

    fn code(offset: i64) -> String {
        totp().code_text(totp().step(NOW).moved(offset)).as_str().into()
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

    fn explained(floor: i64, required: u8, typed: &str) -> (Outlook, i64) {
        let view = view(floor);
        let Found::Enrolled(enrolled) = &view.found else { panic!() };
        let StateRead::Good(state) = &enrolled.state else { panic!() };
        let answer = Answer::read(typed.as_bytes());
        let found = explain(&Rules::default(), &enrolled.record, state, required, &answer, NOW);
        (found.outlook, found.ahead)
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
    fn codes_are_explained() {
        assert_eq!(explained(-9, 1, &code(0)), (Outlook::Right, 0));
        assert_eq!(explained(0, 1, &code(0)), (Outlook::Replay, 0));
        assert_eq!(explained(-9, 2, &code(0)), (Outlook::MoreCodes, 0));
        assert_eq!(explained(-9, 2, &(code(0) + &code(1))), (Outlook::Right, 30));
        assert_eq!(explained(-9, 1, &code(120)), (Outlook::OtherTime, 3600));
        assert_eq!(explained(-9, 1, "1"), (Outlook::NotACode, 0));
    }

    /// `NOW` is the first second of a step; two codes are searched 20 steps either way.
    #[test]
    fn a_code_below_a_floor_ahead_of_the_clock_waits_for_the_clock() {
        let wait = |floor, required, typed: &str| match explained(floor, required, typed).0 {
            Outlook::Clock { seconds } => seconds,
            other => panic!("{other:?}"),
        };
        assert_eq!(explained(1, 1, &code(0)).0, Outlook::Replay, "the next step is enough");
        assert_eq!(wait(120, 1, &code(0)), 3600);
        assert_eq!(wait(2, 1, &code(0)), 60);
        assert_eq!(wait(120, 2, &(code(0) + &code(1))), 3060);
        assert_eq!(explained(120, 1, &code(120)).0, Outlook::OtherTime);
        assert_eq!(explained(120, 3, &code(0)).0, Outlook::Replay, "three fit within the day");
    }

    #[test]
    fn two_codes_set_the_clock_and_are_spent() {
        let typed = [code(10), code(11)].map(|c| Answer::read(c.as_bytes()));
        let (written, done) =
            committed(resynchronise(&view(0), ID, &typed, &Rules::default(), NOW));
        assert_eq!(
            done,
            Ok(Resynchronised { authenticator: phone(), ahead: 330, learned: true, waits: 0 })
        );
        let state = written.state.unwrap();
        let spent = state.spent(&phone()).unwrap().totp();
        assert_eq!((state.seq, spent.drift), (6, 11));
        assert_eq!(spent.floor, totp().step(NOW).moved(11));
    }

    #[test]
    fn what_two_codes_spent_is_remembered_beside_the_state_too() {
        let typed = [code(600), code(601)].map(|c| Answer::read(c.as_bytes()));
        let (written, _) = committed(resynchronise(&view(0), ID, &typed, &Rules::default(), NOW));
        let floors = vec![(phone(), totp().step(NOW).moved(601))];
        let repeated = written.settle.unwrap().repeated.unwrap();
        assert_eq!((repeated.enrollment, repeated.floors), (ID, floors));
    }

    #[test]
    fn a_clock_hours_off_is_measured_and_not_learned() {
        let typed = [code(600), code(601)].map(|c| Answer::read(c.as_bytes()));
        let (_, done) = committed(resynchronise(&view(0), ID, &typed, &Rules::default(), NOW));
        assert!(matches!(
            done,
            Ok(Resynchronised { ahead: 18_030, learned: false, waits: 18_000.., .. })
        ));
        let typed = [code(-600), code(-599)].map(|c| Answer::read(c.as_bytes()));
        let (_, done) = committed(resynchronise(&view(-900), ID, &typed, &Rules::default(), NOW));
        assert!(matches!(done, Ok(Resynchronised { learned: false, waits: 0, .. })));
    }

    #[test]
    fn spent_codes_and_other_enrollments_change_nothing() {
        let typed = [code(-3), code(-2)].map(|c| Answer::read(c.as_bytes()));
        let (written, done) =
            committed(resynchronise(&view(-3), ID, &typed, &Rules::default(), NOW));
        assert_eq!((written, done), (Writes::default(), Err(NotChanged::NoMatch)));
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
