//! Codes that are good once: recovery codes, bypass codes, enrollment codes and those sent as text messages.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)] // tests

mod house;

use house::{ELSEWHERE, HOME, House, NOW, RULES, accepted, refused};
use proptest::prelude::*;
use totp_core::answer::Answer;
use totp_core::contact::Contact;
use totp_core::evaluate::{
    Attempt, By, Reason, Verdict, evaluate, next_is_due, recovery_codes_left,
};
use totp_core::event::{EventKind, Place};
use totp_core::onetime::OneTimeCode;
use totp_core::origin::Origin;
use totp_core::record::{Bypass, EnrollmentId, Pending, Recovery};
use totp_core::search::Codebook;
use totp_core::state::{MOST_GIVEN_BACK, MOST_OPENED, State};
use totp_core::store::{Durability, Found, Opening, StateRead, Volatile, Writes};
use totp_core::text_message::{self, GOOD_FOR, Limits, Message};
use totp_core::time::{DAY, UnixTime};
use totp_core::upkeep;

const LIMITS: Limits = Limits { per_hour: 3, per_day: 10 };

fn code(n: u8) -> OneTimeCode {
    OneTimeCode::fresh(&[n; 16])
}

fn typed(n: u8) -> String {
    code(n).shown().to_string()
}

fn alice() -> House {
    with_codes(&[21, 22, 23], false)
}

fn with_codes(codes: &[u8], rotating: bool) -> House {
    let mut alice = House::alice();
    let codes = codes.iter().map(|n| code(*n).hash()).collect();
    alice.enrolled().record.recovery = Some(Recovery { rotating, issued: NOW, codes });
    alice
}

fn with_bypass(until: UnixTime) -> House {
    let mut alice = House::alice();
    alice.enrolled().record.bypass = Some(Bypass { code: code(24).hash(), until });
    alice
}

fn left(alice: &mut House) -> usize {
    let once = alice.state().once.clone();
    recovery_codes_left(&alice.enrolled().record, &once)
}

fn is_due(alice: &mut House) -> bool {
    let once = alice.state().once.clone();
    next_is_due(&alice.enrolled().record, &once)
}

fn events(alice: &mut House) -> Vec<(EventKind, String)> {
    alice.state().events.iter().map(|event| (event.kind, event.detail.clone())).collect()
}

/// A code that a text message brings.
fn text(alice: &mut House, entropy: u8) -> Option<Message> {
    text_within(alice, entropy, LIMITS)
}

fn text_within(alice: &mut House, entropy: u8, limits: Limits) -> Option<Message> {
    let origin = alice.origin.clone();
    let entropy = &[entropy; 16];
    let change =
        text_message::request(&RULES, Some(limits), &alice.view, &origin, entropy, alice.now);
    let mut written = Writes::default();
    let committed = change.commit(|writes| {
        written = writes.clone();
        Ok::<_, ()>(Durability::Disk)
    });
    alice.view.meter = written.debit.unwrap();
    committed.unwrap().into_outcome()
}

fn with_phone() -> House {
    let mut alice = House::alice();
    let phone = Some("+420123456789".parse().unwrap());
    alice.enrolled().record.decision.contact = Contact { email: None, phone };
    alice
}

#[test]
fn each_recovery_code_is_good_once() {
    let mut alice = alice();
    for (n, expected) in [(22, 2), (21, 1), (23, 0)] {
        let accepted = accepted(alice.enter(&typed(n)));
        assert_eq!(accepted.by(), &By::Recovery { left: expected, due: false });
        assert_eq!(alice.reason(&typed(n)), Reason::Replay);
    }
    assert_eq!(left(&mut alice), 0);
}

#[test]
fn a_used_recovery_code_is_an_event_with_the_number_left() {
    let mut alice = alice();
    let _ = accepted(alice.enter(&typed(22)));
    assert_eq!(events(&mut alice), [(EventKind::RecoveryCodeUsed, "2 left".to_owned())]);
}

#[test]
fn a_recovery_code_is_good_while_the_budget_is_used_up_and_at_the_second_prompt() {
    let mut alice = alice();
    alice.use_up_pairs();
    let wrong = alice.wrong();
    let first = refused(alice.enter(&wrong));
    alice.first = Some(first.first());
    assert_eq!(accepted(alice.try_all(&[&wrong, &typed(21)])).kind(), "recovery-code");
}

#[test]
fn somebody_elses_recovery_code_is_wrong_and_costs_nothing() {
    let mut alice = alice();
    let refusal = refused(alice.enter(&typed(99)));
    assert_eq!(refusal.reason, Reason::Wrong);
    assert!(refusal.debit.single.is_free() && refusal.debit.pair.is_free());
}

#[test]
fn a_recovery_code_used_before_the_newest_block_was_lost_stays_used() {
    let mut alice = alice();
    let before = alice.state().clone();
    let _ = accepted(alice.enter(&typed(21)));
    *alice.state() = before;
    assert_eq!(alice.reason(&typed(21)), Reason::Replay);
}

#[test]
fn a_rotating_code_that_was_handed_out_and_used_is_never_forgotten() {
    let mut alice = with_codes(&[21], true);
    let _ = accepted(alice.enter(&typed(21)));
    hand_out(&mut alice, 31);
    let _ = accepted(alice.enter(&typed(31)));
    for n in 100..140 {
        alice.enrolled().record.bypass = Some(Bypass { code: code(n).hash(), until: NOW.plus(60) });
        let _ = alice.enter(&typed(n));
    }
    assert_eq!(alice.reason(&typed(31)), Reason::Replay);
    assert!(is_due(&mut alice));
}

#[test]
fn a_lost_state_voids_text_messages_too() {
    let mut alice = known();
    let message = text(&mut alice, 3).unwrap();
    alice.enrolled().state = StateRead::Lost { seq: 5 };
    assert_eq!(alice.reason(&message.code), Reason::Wrong);
}

#[test]
fn strangers_leave_one_of_the_codes_that_are_good_at_once() {
    let mut alice = known();
    let many = Limits { per_hour: 10, per_day: 20 };
    alice.origin = ELSEWHERE;
    let strangers = (0..9).filter(|n| text_within(&mut alice, *n, many).is_some()).count();
    alice.origin = HOME;
    assert_eq!((strangers, text_within(&mut alice, 50, many).is_some()), (2, true));
}

#[test]
fn a_clock_once_far_ahead_does_not_stop_text_messages_for_good() {
    let mut alice = known();
    alice.now = NOW.plus(10 * DAY);
    while text(&mut alice, 1).is_some() {}
    alice.now = NOW;
    assert!(text(&mut alice, 2).is_some());
}

#[test]
fn a_lost_state_voids_every_code_that_is_good_once() {
    for rotating in [false, true] {
        let mut alice = with_codes(&[21], rotating);
        alice.enrolled().record.bypass =
            Some(Bypass { code: code(24).hash(), until: NOW.plus(60) });
        alice.enrolled().state = StateRead::Lost { seq: 5 };
        for n in [21, 24] {
            assert_eq!(alice.reason(&typed(n)), Reason::Replay);
        }
        assert_eq!(left(&mut alice), 0);
        assert!(!is_due(&mut alice), "what is void must not be made up for");
    }
}

#[test]
fn nothing_that_is_good_once_is_accepted_in_memory() {
    let mut alice = alice();
    alice.view.volatile = Some(Volatile { since: NOW.minus(DAY), first: true });
    assert_eq!(alice.reason(&typed(21)), Reason::Unavailable);
    alice.view.volatile = None;
    assert_eq!(accepted(alice.enter(&typed(21))).kind(), "recovery-code");
}

#[test]
fn a_rotating_code_makes_the_next_one_due_until_it_is_handed_out() {
    let mut alice = with_codes(&[21], true);
    assert!(!is_due(&mut alice));
    let used = accepted(alice.enter(&typed(21)));
    assert_eq!(used.by(), &By::Recovery { left: 0, due: true });
    assert!(is_due(&mut alice));
    hand_out(&mut alice, 31);
    assert_eq!((is_due(&mut alice), left(&mut alice)), (false, 1));
    assert_eq!(alice.reason(&typed(21)), Reason::Replay);
    let used = accepted(alice.enter(&typed(31)));
    assert_eq!(used.by(), &By::Recovery { left: 0, due: true });
    assert_eq!(alice.reason(&typed(31)), Reason::Replay);
}

#[test]
fn fresh_recovery_codes_void_the_one_that_was_handed_out() {
    let mut alice = with_codes(&[21], true);
    let _ = accepted(alice.enter(&typed(21)));
    hand_out(&mut alice, 31);
    let codes = vec![code(41).hash()];
    alice.enrolled().record.recovery = Some(Recovery { rotating: true, issued: NOW, codes });
    assert_eq!(left(&mut alice), 1);
    assert_eq!(alice.reason(&typed(31)), Reason::Wrong);
    assert_eq!(accepted(alice.enter(&typed(41))).kind(), "recovery-code");
}

#[test]
fn nothing_is_handed_out_that_is_not_due() {
    let mut alice = with_codes(&[21], true);
    let id = alice.enrolled().record.enrollment;
    let change = upkeep::hand_out(&alice.view, id, code(31).hash());
    let committed = change.commit(|writes| {
        assert_eq!(*writes, Writes::default());
        Ok::<_, ()>(Durability::Disk)
    });
    assert_eq!(committed.unwrap().into_outcome(), Err(upkeep::NotChanged::NothingDue));
}

fn hand_out(alice: &mut House, n: u8) {
    let id = alice.enrolled().record.enrollment;
    let mut written = Writes::default();
    let committed = upkeep::hand_out(&alice.view, id, code(n).hash()).commit(|writes| {
        written = writes.clone();
        Ok::<_, ()>(Durability::Disk)
    });
    assert_eq!(committed.unwrap().into_outcome(), Ok(()));
    *alice.state() = written.state.unwrap();
    alice.view.meter = written.settle.unwrap();
}

#[test]
fn a_bypass_code_is_good_once_until_its_end() {
    let mut alice = with_bypass(NOW.plus(60));
    assert_eq!(accepted(alice.enter(&typed(24))).by(), &By::Bypass);
    assert_eq!(events(&mut alice), [(EventKind::BypassCodeUsed, String::new())]);
    assert_eq!(alice.reason(&typed(24)), Reason::Replay);
    let mut late = with_bypass(NOW);
    assert_eq!(late.reason(&typed(24)), Reason::Expired);
}

#[test]
fn a_repair_voids_codes_and_spends_every_step_up_to_now() {
    let mut alice = alice();
    let id = alice.enrolled().record.enrollment;
    let now_code = alice.code(0);
    let mut written = Writes::default();
    let committed = upkeep::repair(&alice.view, id, &RULES, NOW).commit(|writes| {
        written = writes.clone();
        Ok::<_, ()>(Durability::Disk)
    });
    assert_eq!(committed.unwrap().into_outcome(), Ok(()));
    *alice.state() = written.state.unwrap();
    alice.view.meter = written.settle.unwrap();
    assert_eq!(alice.reason(&typed(21)), Reason::Replay);
    assert_ne!(alice.reason(&now_code), Reason::Wrong);
    alice.now = NOW.plus(90);
    let one = alice.code(0);
    assert_eq!(alice.reason(&one), Reason::Budget);
    let two = alice.codes([0, 1]);
    assert_eq!(accepted(alice.enter(&two)).kind(), "totp");
}

#[test]
fn a_text_messages_code_is_good_once_for_ten_minutes() {
    let mut alice = with_phone();
    let message = text(&mut alice, 3).unwrap();
    assert_eq!((message.phone.as_str(), message.code.len()), ("+420123456789", 8));
    assert_eq!(accepted(alice.enter(&message.code)).by(), &By::Text);
    assert_ne!(alice.reason(&message.code), Reason::Unavailable);
    let message = text(&mut alice, 4).unwrap();
    alice.now = NOW.plus(GOOD_FOR);
    assert_eq!(alice.reason(&message.code), Reason::Expired);
}

#[test]
fn a_used_text_messages_code_is_not_accepted_though_the_meter_is_an_older_one() {
    let mut alice = with_phone();
    let message = text(&mut alice, 3).unwrap();
    let before = alice.view.meter.clone();
    let _ = accepted(alice.enter(&message.code));
    alice.view.meter = before;
    assert_eq!(alice.reason(&message.code), Reason::Replay);
}

#[test]
fn a_newer_text_message_voids_none() {
    let mut alice = known();
    let first = text(&mut alice, 3).unwrap();
    let second = text(&mut alice, 4).unwrap();
    assert_eq!(accepted(alice.enter(&first.code)).kind(), "text-message");
    assert_eq!(accepted(alice.enter(&second.code)).kind(), "text-message");
}

/// Alice where she logged in before.
fn known() -> House {
    let mut alice = with_phone();
    alice.state().remember(HOME, NOW);
    alice
}

/// How many of `tries` requests an hour are sent in a day.
fn sent_in_a_day(alice: &mut House, tries: u8) -> usize {
    let mut sent = 0;
    for hour in 0..23 {
        alice.now = NOW.plus(hour * 3600);
        sent += (0..tries).filter(|n| text(alice, *n).is_some()).count();
    }
    sent
}

#[test]
fn text_messages_are_limited_an_hour_and_a_day() {
    let mut alice = known();
    assert_eq!((0..9).filter(|n| text(&mut alice, *n).is_some()).count(), 3);
    let mut alice = known();
    assert_eq!(sent_in_a_day(&mut alice, 9), 10);
    alice.now = NOW.plus(DAY + 3600);
    assert!(text(&mut alice, 9).is_some());
}

#[test]
fn strangers_leave_text_messages_for_the_owner() {
    let mut alice = known();
    alice.origin = ELSEWHERE;
    assert_eq!(sent_in_a_day(&mut alice, 9), 5);
    alice.origin = HOME;
    assert!(text(&mut alice, 9).is_some());
}

#[test]
fn while_three_codes_are_good_no_fourth_is_sent() {
    let mut alice = known();
    let many = Limits { per_hour: 10, per_day: 20 };
    let sent = (0..9).filter(|n| text_within(&mut alice, *n, many).is_some()).count();
    assert_eq!(sent, 3);
}

#[test]
fn no_text_message_is_sent_while_the_state_is_in_memory() {
    let mut alice = known();
    alice.view.volatile = Some(Volatile { since: NOW.minus(DAY), first: false });
    assert!(text(&mut alice, 3).is_none());
}

#[test]
fn a_clock_set_back_sends_no_more_text_messages() {
    let mut alice = known();
    for n in 0..3 {
        assert!(text(&mut alice, n).is_some());
    }
    alice.now = NOW.minus(7200);
    assert!(text(&mut alice, 9).is_none());
}

#[test]
fn guessing_at_a_text_message_is_paid_from_the_budget_and_asks_for_sixteen_digits_in_the_end() {
    let mut alice = with_phone();
    let _ = text(&mut alice, 3).unwrap();
    let refusal = refused(alice.enter("00000001"));
    let price = refusal.debit.single.as_fraction();
    assert!((0.9e-8..1.1e-8).contains(&price), "{price}");
    alice.use_up_singles();
    let message = text(&mut alice, 5).unwrap();
    assert_eq!(message.code.len(), 16);
    let refusal = refused(alice.enter("0000000000000001"));
    assert!(!refusal.debit.pair.is_free() && refusal.debit.single.is_free());
    assert_eq!(accepted(alice.enter(&message.code)).by(), &By::Text);
}

#[test]
fn eight_digits_are_not_evaluated_while_the_budget_is_used_up() {
    let mut alice = with_phone();
    let message = text(&mut alice, 3).unwrap();
    alice.use_up_singles();
    let refusal = refused(alice.enter(&message.code));
    assert_eq!(refusal.reason, Reason::Budget);
    assert!(refusal.debit.single.is_free());
}

#[test]
fn a_text_messages_code_behind_a_password_lets_in_and_eight_digits_there_are_paid_for() {
    for used_up in [false, true] {
        let mut alice = with_phone();
        if used_up {
            alice.use_up_singles();
        }
        let message = text(&mut alice, 3).unwrap();
        let digits = message.code.len();
        let wrong = "0".repeat(digits);
        let refusal = refused(alice.enter_combined(&format!("secret{wrong}")));
        let alone = refused(with_phone().enter_combined(&format!("secret{wrong}")));
        let price = if used_up { refusal.debit.pair } else { refusal.debit.single };
        let without = if used_up { alone.debit.pair } else { alone.debit.single };
        assert!(price > without, "{price:?}, {without:?}");
        let accepted = accepted(alice.enter_combined(&format!("secret{}", *message.code)));
        assert_eq!((accepted.by(), accepted.characters()), (&By::Text, digits));
    }
}

#[test]
fn without_a_number_nothing_is_sent_and_the_same_is_written() {
    let mut alice = House::alice();
    assert!(text(&mut alice, 3).is_none());
    assert_eq!(alice.view.meter.texts.sent, []);
}

#[test]
fn a_text_message_of_another_enrollment_is_void() {
    let mut alice = with_phone();
    let message = text(&mut alice, 3).unwrap();
    alice.enrolled().record.enrollment = totp_core::record::EnrollmentId::fresh([9; 8]);
    let enrollment = alice.enrolled().record.enrollment;
    alice.state().enrollment = enrollment;
    assert_eq!(alice.reason(&message.code), Reason::Wrong);
}

#[test]
fn who_gets_in_after_their_code_was_accepted_elsewhere_is_told() {
    let mut alice = House::alice();
    alice.origin = ELSEWHERE;
    let code = alice.code(0);
    let _ = accepted(alice.enter(&code));
    alice.origin = HOME;
    let refusal = refused(alice.enter(&code));
    assert_eq!(refusal.reason, Reason::Replay);
    assert!(refusal.already_used.is_some());
    alice.first = Some(refusal.first());
    let next = alice.code(1);
    let _ = accepted(alice.try_all(&[&code, &next]));
    let events = events(&mut alice);
    let (kind, detail) = events.last().unwrap();
    assert_eq!(*kind, EventKind::CodeAlreadyUsed);
    assert!(detail.starts_with("accepted at 2025-11-13T02:13:30Z by sshd"), "{detail}");
}

#[test]
fn who_types_their_own_used_code_again_is_no_alarm() {
    let mut alice = House::alice();
    let code = alice.code(0);
    let _ = accepted(alice.enter(&code));
    assert_eq!(refused(alice.enter(&code)).already_used, None);
    alice.origin = ELSEWHERE;
    let older = alice.code(-1);
    assert_eq!(refused(alice.enter(&older)).already_used, None);
}

#[test]
fn a_code_used_on_a_programs_word_is_an_alarm_everywhere_else_and_not_for_the_same_word() {
    let mut alice = House::alice();
    let home = alice.code(0);
    let _ = accepted(alice.enter(&home));
    alice.now = alice.now.plus(30);
    alice.origin = Origin::Unknown;
    let code = alice.code(0);
    let _ = accepted(alice.enter(&code));
    assert_eq!(refused(alice.enter(&code)).already_used, None, "the same program and word");
    alice.place = Place::new("sshd", "203.0.113.7 (says freerad)");
    assert!(refused(alice.enter(&code)).already_used.is_some());
    alice.origin = HOME;
    assert!(refused(alice.enter(&code)).already_used.is_some());
}

#[test]
fn an_unknown_origin_pays_as_a_stranger_however_often_it_was_let_in() {
    let mut alice = known();
    alice.origin = Origin::Unknown;
    for _ in 0..3 {
        alice.now = alice.now.plus(30);
        let code = alice.code(0);
        let _ = accepted(alice.enter(&code));
    }
    let now = alice.now;
    assert!(!alice.state().knows(&Origin::Unknown, now));
    assert!(alice.state().origins.iter().all(|(origin, _)| *origin == HOME));
    assert_eq!(sent_in_a_day(&mut alice, 9), 5, "text messages as to strangers");
}

/// An open enrollment, as a transaction sees it.
struct Open {
    found: Found,
    meter: totp_core::state::Meter,
    now: UnixTime,
    volatile: Option<Volatile>,
}

impl Open {
    fn new() -> Self {
        let mut alice = House::alice();
        let (decision, enrollment) = {
            let record = &alice.enrolled().record;
            (record.decision.clone(), record.enrollment)
        };
        let until = NOW.plus(3600);
        let pending = Pending { decision, enrollment, code: Some(code(25).hash()), until };
        let state = StateRead::Good(State::new(enrollment, 1, Vec::new()));
        let found = Found::Pending(Box::new(Opening { pending, state }));
        Self { found, meter: alice.view.meter, now: NOW, volatile: None }
    }

    /// What the account phase does where it can't ask.
    fn give_back(&mut self) -> bool {
        let Found::Pending(opening) = &self.found else { panic!("not pending") };
        let enrollment = opening.pending.enrollment;
        self.change(&|view, _| upkeep::give_use_back(view, enrollment), "")
    }

    fn enter(&mut self, typed: &str) -> Verdict {
        self.change(&|view, attempt| evaluate(&RULES, view, attempt), typed)
    }

    fn change<T>(
        &mut self,
        decide: &dyn Fn(&totp_core::store::View, &Attempt<'_>) -> totp_core::store::Change<T>,
        typed: &str,
    ) -> T {
        let answers = [Answer::read(typed.as_bytes())];
        let codebook = Codebook::compute(None, &[], &answers, &RULES, self.now);
        let attempt = Attempt {
            answers: &answers,
            codebook: &codebook,
            first: None,
            origin: &HOME,
            place: &Place::new("sshd", "192.0.2.1"),
            now: self.now,
            entropy: [7, 8],
            pretext: None,
        };
        let found = std::mem::replace(&mut self.found, Found::Absent);
        let meter = self.meter.clone();
        let view = totp_core::store::View { found, meter, volatile: self.volatile };
        let mut written = Writes::default();
        let committed = decide(&view, &attempt).commit(|writes| {
            written = writes.clone();
            Ok::<_, ()>(Durability::Disk)
        });
        self.found = view.found;
        if let (Some(state), Found::Pending(opening)) = (written.state, &mut self.found) {
            opening.state = StateRead::Good(state);
        }
        self.meter = written.settle.or(written.debit).unwrap_or(view.meter);
        committed.unwrap().into_outcome()
    }
}

#[test]
fn a_use_of_an_enrollment_code_is_given_back_once_and_not_for_ever() {
    let mut open = Open::new();
    assert!(!open.give_back());
    for _ in 0..MOST_GIVEN_BACK {
        let _ = accepted(open.enter(&typed(25)));
        assert!(open.give_back() && !open.give_back());
    }
    for _ in 0..MOST_OPENED {
        let _ = accepted(open.enter(&typed(25)));
        assert!(!open.give_back());
    }
    assert_eq!(refused(open.enter(&typed(25))).reason, Reason::Expired);
}

#[test]
fn of_many_logins_at_once_each_gives_its_own_use_back() {
    let mut open = Open::new();
    for _ in 0..MOST_OPENED {
        let _ = accepted(open.enter(&typed(25)));
    }
    assert_eq!(refused(open.enter(&typed(25))).reason, Reason::Expired);
    for _ in 0..MOST_OPENED {
        assert!(open.give_back());
    }
    let _ = accepted(open.enter(&typed(25)));
}

#[test]
fn nothing_is_given_back_to_another_enrollment_or_in_memory() {
    let mut open = Open::new();
    let _ = accepted(open.enter(&typed(25)));
    let other = EnrollmentId::fresh([9; 8]);
    assert!(!open.change(&|view, _| upkeep::give_use_back(view, other), ""));
    open.volatile = Some(Volatile { since: NOW.minus(DAY), first: true });
    assert!(!open.give_back());
}

#[test]
fn a_use_that_was_given_back_stays_so_with_the_newest_block_or_the_meter_lost() {
    let mut open = Open::new();
    let _ = accepted(open.enter(&typed(25)));
    let Found::Pending(opening) = &open.found else { panic!("not pending") };
    let (state, meter) = (opening.state.clone(), open.meter.clone());
    assert!(open.give_back());
    let newest = open.meter.clone();
    for lost_block in [false, true] {
        open.meter = if lost_block { newest.clone() } else { meter.clone() };
        let Found::Pending(opening) = &mut open.found else { panic!("not pending") };
        if lost_block {
            opening.state = state.clone();
        }
        let StateRead::Good(read) = &opening.state else { panic!("lost") };
        assert_eq!(read.clone().recalled(&open.meter).once.opened.left(), MOST_OPENED);
    }
}

#[test]
fn an_enrollment_code_lets_in_three_times_and_no_more() {
    let mut open = Open::new();
    for _ in 0..MOST_OPENED {
        assert_eq!(accepted(open.enter(&typed(25))).by(), &By::Enrollment);
    }
    assert_eq!(refused(open.enter(&typed(25))).reason, Reason::Expired);
}

#[test]
fn an_open_enrollment_accepts_nothing_else_and_ends() {
    let mut open = Open::new();
    for typed in ["123456", "K7QM-2XVA-9TRC-HW4E", ""] {
        assert_eq!(refused(open.enter(typed)).reason, Reason::Wrong);
    }
    open.now = NOW.plus(3600);
    assert_eq!(refused(open.enter(&typed(25))).reason, Reason::Expired);
}

#[test]
fn an_enrollment_code_is_not_counted_in_memory() {
    let mut open = Open::new();
    open.volatile = Some(Volatile { since: NOW.minus(DAY), first: true });
    assert_eq!(refused(open.enter(&typed(25))).reason, Reason::Unavailable);
}

#[test]
fn the_count_of_an_enrollment_code_survives_the_loss_of_the_newest_block() {
    let mut open = Open::new();
    let fresh = match &open.found {
        Found::Pending(opening) => opening.state.clone(),
        _ => panic!("not pending"),
    };
    for _ in 0..MOST_OPENED {
        let _ = accepted(open.enter(&typed(25)));
    }
    if let Found::Pending(opening) = &mut open.found {
        opening.state = fresh;
    }
    assert_eq!(refused(open.enter(&typed(25))).reason, Reason::Expired);
}

#[test]
fn an_enrollment_whose_state_is_lost_lets_nobody_in() {
    let mut open = Open::new();
    if let Found::Pending(opening) = &mut open.found {
        opening.state = StateRead::Lost { seq: 1 };
    }
    assert_eq!(refused(open.enter(&typed(25))).reason, Reason::Expired);
}

proptest! {
    // Nineteen characters cost as much as three codes in a row.
    #![proptest_config(ProptestConfig::with_cases(12))]
    /// Whatever is typed in whatever order: each code that is good once is accepted once at most.
    #[test]
    fn no_code_that_is_good_once_is_accepted_twice(
        tries in proptest::collection::vec((0u8..6, any::<bool>(), any::<bool>()), 1..20),
    ) {
        let mut alice = alice();
        alice.enrolled().record.bypass =
            Some(Bypass { code: code(24).hash(), until: NOW.plus(DAY) });
        let mut good = std::collections::BTreeSet::new();
        for (n, stale_meter, lost_newest) in tries {
            let (state, meter) = (alice.state().clone(), alice.view.meter.clone());
            if let Verdict::Accepted(_) = alice.enter(&typed(20 + n)) {
                prop_assert!(good.insert(n), "{n} twice");
            }
            // Either the newest block or the meter may be lost, never both at once.
            if lost_newest {
                *alice.state() = state;
            } else if stale_meter {
                alice.view.meter = meter;
            }
        }
    }
}
