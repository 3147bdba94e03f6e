//! Behaviours of one evaluation, each by its own test. Budgets over time are in `a_year_of_attack.rs`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)] // tests

mod house;

use house::{ByCodes as _, ELSEWHERE, HOME, House, NOW, RULES, accepted, refused, totp};
use proptest::prelude::*;
use totp_core::answer::Answer;
use totp_core::budget::{Debit, Kind, Price, Spending, Standing, YearlyChance};
use totp_core::evaluate::{Attempt, Reason, Rules, Verdict, evaluate};
use totp_core::event::{EventKind, Place};
use totp_core::otp::Digits;
use totp_core::prices::codes_always_required;
use totp_core::record::EnrollmentId;
use totp_core::search::{Codebook, Computed};
use totp_core::state::{MOST_DRIFT, Meter, Spent};
use totp_core::store::{Durability, Found, StateRead, View, Volatile};
use totp_core::time::{DAY, Period, Step, UnixTime};

#[test]
fn a_code_of_the_window_is_accepted_once() {
    for offset in [-1, 0, 1] {
        let mut alice = House::alice();
        let code = alice.code(offset);
        assert_eq!(accepted(alice.enter(&code)).codes(), 1);
        assert_eq!(alice.reason(&code), Reason::Replay);
    }
}

#[test]
fn a_code_outside_the_window_is_wrong() {
    for offset in [-2, 2, -20, 20] {
        let mut alice = House::alice();
        let code = alice.code(offset);
        assert_eq!(alice.reason(&code), Reason::Wrong);
    }
}

#[test]
fn an_older_code_than_the_last_accepted_is_refused() {
    let mut alice = House::alice();
    let (old, new) = (alice.code(-1), alice.code(0));
    let _ = accepted(alice.enter(&new));
    assert_eq!(alice.reason(&old), Reason::Replay);
}

#[test]
fn a_replay_costs_nothing() {
    let mut alice = House::alice();
    let code = alice.code(0);
    let _ = accepted(alice.enter(&code));
    let before = alice.view.meter.spending;
    assert!(refused(alice.enter(&code)).debit.total().is_free());
    assert_eq!(alice.view.meter.spending, before);
}

#[test]
fn a_wrong_code_costs_the_chance_it_had() {
    let mut alice = House::alice();
    let wrong = alice.wrong();
    assert_eq!(refused(alice.enter(&wrong)).debit.total(), Price::of(3, Digits::Six, 1, 1));
    let mut three = House::with(vec![
        ("a", totp(1, Digits::Six)),
        ("b", totp(2, Digits::Six)),
        ("c", totp(3, Digits::Eight)),
    ]);
    let debit = refused(three.enter("000000")).debit;
    assert_eq!(debit.total(), Price::of(3, Digits::Six, 1, 2));
}

#[test]
fn junk_and_codes_of_another_length_cost_nothing() {
    let mut alice = House::alice();
    for typed in ["", "hello", "1234567", "12345678"] {
        assert!(refused(alice.enter(typed)).debit.total().is_free(), "{typed}");
    }
}

#[test]
fn two_consecutive_codes_bring_a_clock_within_twenty_steps_back() {
    for offset in [-20, -16, 5, 19] {
        let mut alice = House::alice();
        let (one, two) = (alice.code(offset), alice.code(offset + 1));
        let first = refused(alice.enter(&one));
        assert_eq!(first.reason, Reason::Wrong);
        alice.first = Some(first.first());
        let accepted = accepted(alice.try_all(&[&one, &two]));
        assert_eq!((accepted.codes(), accepted.drift(), accepted.off()), (2, offset + 1, None));
        // From now on one code is enough.
        alice.now = alice.now.plus(60);
        let next = alice.code(offset + 1);
        let _ = house::accepted(alice.enter(&next));
    }
}

#[test]
fn two_codes_further_off_or_not_consecutive_are_refused() {
    for offsets in [[-22, -21], [21, 22], [5, 7], [6, 5], [5, 5]] {
        let mut alice = House::alice();
        let codes = alice.codes(offsets);
        assert_eq!(alice.reason(&codes), Reason::Wrong, "{offsets:?}");
    }
}

#[test]
fn three_codes_are_good_within_a_day_and_teach_no_drift() {
    for offset in [-2880, -600, 600, 2878] {
        let mut alice = House::alice();
        let codes = alice.codes(offset..offset + 3);
        let accepted = accepted(alice.enter(&codes));
        assert_eq!((accepted.codes(), accepted.drift()), (3, 0));
        assert_eq!(accepted.off(), Some((offset + 2) * 30));
        let _ = refused(alice.enter(&codes)); // a second time
    }
}

#[test]
fn three_codes_further_than_a_day_off_are_refused() {
    let mut alice = House::alice();
    let codes = alice.codes(2879..2882);
    assert_eq!(alice.reason(&codes), Reason::Wrong);
}

#[test]
fn codes_over_two_answers_form_one_sequence() {
    let mut alice = House::alice();
    let (two, one) = (alice.codes(300..302), alice.code(302));
    assert_eq!(accepted(alice.try_all(&[&two, &one])).codes(), 3);
}

#[test]
fn a_pair_of_used_codes_is_refused() {
    let mut alice = House::alice();
    let codes = alice.codes([-5, -4]);
    let _ = accepted(alice.enter(&codes));
    let _ = refused(alice.enter(&codes));
    alice.now = alice.now.plus(300);
    let _ = refused(alice.enter(&codes));
}

#[test]
fn a_pair_with_a_used_half_is_refused() {
    let mut alice = House::alice();
    alice.use_up_singles();
    let first = alice.codes([-5, -4]);
    let _ = accepted(alice.enter(&first));
    let overlapping = alice.codes([-4, -3]);
    assert_eq!(alice.reason(&overlapping), Reason::Wrong);
}

#[test]
fn a_half_matched_pair_costs_what_guessing_the_other_half_had() {
    let mut alice = House::alice();
    let (good, wrong) = (alice.code(7), alice.wrong());
    for typed in [format!("{good}{wrong}"), format!("{wrong}{good}")] {
        let debit = refused(alice.enter(&typed)).debit;
        assert_eq!(debit.pair, Price::of(2, Digits::Six, 1, 1));
    }
    let debit = refused(alice.enter(&format!("{wrong}{wrong}"))).debit;
    assert_eq!(debit.pair, Price::of(40, Digits::Six, 2, 1));
}

#[test]
fn a_triple_of_which_two_matched_costs_as_much_as_a_pair() {
    let mut alice = House::alice();
    let wrong = alice.wrong();
    let two = alice.codes([300, 301]);
    let debit = refused(alice.enter(&format!("{two}{wrong}"))).debit;
    assert_eq!(debit.triple, Price::of(40, Digits::Six, 2, 1));
    let debit = refused(alice.enter(&format!("{wrong}{wrong}{wrong}"))).debit;
    assert_eq!(debit.triple, Price::of(5759, Digits::Six, 3, 1));
}

#[test]
fn when_singles_are_used_up_two_codes_get_in() {
    let mut alice = House::alice();
    alice.use_up_singles();
    let (one, two) = (alice.code(0), alice.code(1));
    let first = refused(alice.enter(&one));
    assert_eq!(first.reason, Reason::Budget);
    alice.now = alice.now.plus(30);
    assert_eq!(accepted(alice.try_all(&[&one, &two])).codes(), 2);
}

#[test]
fn when_pairs_are_used_up_three_codes_get_in() {
    let mut alice = House::alice();
    alice.use_up_pairs();
    let two = alice.codes([-1, 0]);
    assert_eq!(alice.reason(&two), Reason::Budget);
    let three = alice.codes([-1, 0, 1]);
    assert_eq!(accepted(alice.enter(&three)).codes(), 3);
}

#[test]
fn when_triples_are_used_up_they_count_near_the_clock_alone() {
    let mut alice = House::alice();
    alice.use_up_pairs();
    alice.view.meter.spending.triples = u64::MAX;
    let far = alice.codes(100..103);
    assert_eq!(alice.reason(&far), Reason::Wrong);
    let near = alice.codes(-1..2);
    assert_eq!(accepted(alice.enter(&near)).codes(), 3);
}

#[test]
fn a_flood_from_elsewhere_leaves_a_known_origin_its_single_code() {
    let mut alice = House::alice();
    let code = alice.code(-1);
    let _ = accepted(alice.enter(&code));
    let wrong = alice.wrong();
    alice.origin = ELSEWHERE;
    for _ in 0..200 {
        let _ = refused(alice.enter(&wrong));
    }
    let code = alice.code(0);
    assert_eq!(alice.reason(&code), Reason::Budget);
    alice.origin = HOME;
    let code = alice.code(1);
    assert_eq!(accepted(alice.enter(&code)).codes(), 1);
}

#[test]
fn more_codes_required_is_told_once_a_day() {
    let mut alice = House::alice();
    let wrong = alice.wrong();
    for _ in 0..200 {
        let _ = refused(alice.enter(&wrong));
    }
    let told = |house: &House| house.view.meter.events.iter().count();
    assert_eq!(told(&alice), 1);
    alice.now = alice.now.plus(DAY);
    let _ = refused(alice.enter(&wrong));
    assert_eq!(told(&alice), 2);
}

#[test]
fn acceptance_at_the_second_answer_gives_the_first_debit_back_and_no_other() {
    let mut alice = House::alice();
    let wrong = alice.wrong();
    let _ = refused(alice.enter(&wrong));
    let before = alice.view.meter.spending;
    let first = refused(alice.enter(&wrong));
    alice.first = Some(first.first());
    let code = alice.code(0);
    let _ = accepted(alice.try_all(&[&wrong, &code]));
    assert_eq!(alice.view.meter.spending, before);
}

#[test]
fn a_second_refusal_gives_nothing_back() {
    let mut alice = House::alice();
    let wrong = alice.wrong();
    let first = refused(alice.enter(&wrong));
    let before = alice.view.meter.spending;
    alice.first = Some(first.first());
    let second = refused(alice.enter(&wrong));
    assert!(!second.debit.total().is_free());
    assert_eq!(alice.view.meter.spending, before.with(&second.debit));
}

#[test]
fn a_clock_set_back_is_said_with_the_seconds_to_wait() {
    let mut alice = House::alice();
    let code = alice.code(0);
    let _ = accepted(alice.enter(&code));
    alice.now = alice.now.minus(3600);
    let code = alice.code(0);
    // NOW is 0 s into its step; the next step after the floor comes into the window one step earlier.
    let seconds = 3600 - NOW.0 % 30;
    assert_eq!(alice.reason(&code), Reason::Clock { seconds });
    alice.now = alice.now.plus(seconds);
    let code = alice.code(1);
    let _ = accepted(alice.enter(&code));
}

#[test]
fn three_codes_get_in_although_the_clock_was_set_back() {
    let mut alice = House::alice();
    let code = alice.code(0);
    let _ = accepted(alice.enter(&code));
    let codes = alice.codes(1..4);
    alice.now = alice.now.minus(5 * 3600);
    assert_eq!(accepted(alice.enter(&codes)).codes(), 3);
}

#[test]
fn a_code_that_fits_two_steps_spends_both() {
    // Steps whose codes collide inside one window are rare; search for one.
    let nine = totp(9, Digits::Six);
    let step = (0..40_000_000u64).step_by(100_000).find_map(|from| {
        let codes = nine.codes(Step(from), Step(from + 100_001));
        let at = codes.windows(3).position(|w| w[0] == w[2])?;
        Some(Step(from + at as u64 + 1))
    });
    let mut alice = House::with(vec![("phone", totp(9, Digits::Six))]);
    alice.now = step.expect("one in 40 million").start(Period::DEFAULT);
    let code = alice.code(-1);
    let _ = accepted(alice.enter(&code));
    assert_eq!(alice.reason(&code), Reason::Replay);
}

#[test]
fn of_several_authenticators_each_has_its_own_floor() {
    let mut alice =
        House::with(vec![("phone", totp(1, Digits::Six)), ("token", totp(2, Digits::Eight))]);
    let step = Step::at(NOW, Period::DEFAULT);
    let token = totp(2, Digits::Eight).code_text(step);
    assert_eq!(accepted(alice.enter(&token)).authenticator().unwrap().as_str(), "token");
    let phone = alice.code(0);
    assert_eq!(accepted(alice.enter(&phone)).authenticator().unwrap().as_str(), "phone");
    assert_eq!(alice.spent("phone").floor, alice.spent("token").floor);
    assert_eq!(alice.reason(&token), Reason::Replay);
}

#[test]
fn a_code_that_fits_two_authenticators_is_spent_in_both() {
    let mut alice =
        House::with(vec![("phone", totp(1, Digits::Six)), ("tablet", totp(1, Digits::Six))]);
    let code = alice.code(0);
    let _ = accepted(alice.enter(&code));
    assert_eq!(alice.reason(&code), Reason::Replay);
    assert_eq!(alice.spent("phone").floor, alice.spent("tablet").floor);
}

#[test]
fn the_drift_follows_a_second_code_on_the_same_side() {
    let mut alice = House::alice();
    for (offset, drift) in [(1, 0), (1, 1), (2, 1), (2, 2), (1, 2), (2, 2), (1, 2), (1, 1)] {
        alice.now = alice.now.plus(120);
        let code = alice.code(offset);
        assert_eq!(accepted(alice.enter(&code)).drift(), drift, "after {offset}");
    }
}

#[test]
fn the_drift_never_leaves_its_bounds() {
    let mut alice = House::alice();
    for _ in 0..100 {
        alice.now = alice.now.plus(120);
        let drift = alice.spent("phone").drift;
        let code = alice.code(drift + 1);
        assert!(accepted(alice.enter(&code)).drift() <= MOST_DRIFT);
    }
    assert_eq!(alice.spent("phone").drift, MOST_DRIFT);
}

#[test]
fn a_lost_state_is_begun_anew_with_floors_above_now() {
    let mut alice = House::alice();
    alice.enrolled().state = StateRead::Lost { seq: 41 };
    for offset in -1..=1 {
        let code = alice.code(offset);
        let _ = refused(alice.enter(&code));
    }
    assert_eq!(alice.state().seq, 42, "written once, by the first refused try");
    let events: Vec<EventKind> = alice.state().events.iter().map(|e| e.kind).collect();
    assert_eq!(events, [EventKind::StateRebuilt]);
    alice.now = alice.now.plus(90);
    let one = alice.code(0);
    assert_eq!(alice.reason(&one), Reason::Budget);
    let two = alice.codes([0, 1]);
    assert_eq!(accepted(alice.enter(&two)).codes(), 2);
}

#[test]
fn with_the_state_lost_codes_up_to_now_are_spent_however_many_are_typed() {
    for offsets in [&[-1, 0][..], &[0, 1], &[-2, -1, 0]] {
        let mut alice = House::alice();
        alice.enrolled().state = StateRead::Lost { seq: 1 };
        let codes = alice.codes(offsets.iter().copied());
        let _ = refused(alice.enter(&codes));
        assert_eq!(alice.spent("phone").floor, Step::at(NOW, Period::DEFAULT).moved(1));
    }
}

#[test]
fn with_the_state_lost_singles_are_used_up_wherever_they_come_from() {
    let mut alice = House::alice();
    alice.enrolled().state = StateRead::Lost { seq: 1 };
    let wrong = alice.wrong();
    let _ = refused(alice.enter(&wrong));
    let left = |standing| {
        alice.view.meter.spending.can_pay(
            RULES.chance,
            Kind::Single(standing),
            Price::of(1, Digits::Eight, 1, 1),
        )
    };
    assert!(!left(Standing::Known) && !left(Standing::Unknown));
}

#[test]
fn a_lost_state_keeps_the_floors_that_the_meter_remembers() {
    let mut alice = House::alice();
    let pair = alice.codes([18, 19]);
    let _ = accepted(alice.enter(&pair));
    alice.enrolled().state = StateRead::Lost { seq: 2 };
    assert!(matches!(alice.reason(&pair), Reason::Clock { .. } | Reason::Wrong));
    assert_eq!(alice.spent("phone").floor, Step::at(NOW, Period::DEFAULT).moved(19));
}

#[test]
fn an_authenticator_that_the_state_does_not_know_has_spent_all_up_to_now() {
    let mut alice = House::alice();
    alice.state().spent.clear();
    let code = alice.code(0);
    let _ = refused(alice.enter(&code));
    alice.now = alice.now.plus(3600);
    let code = alice.code(0);
    let _ = refused(alice.enter(&code)); // the state still says nothing
    assert!(alice.state().spent.is_empty());
}

#[test]
fn in_volatile_memory_only_steps_after_the_start_of_process_1_count() {
    let mut alice = House::alice();
    alice.view.volatile = Some(Volatile { since: NOW, first: true });
    let code = alice.code(0);
    let _ = refused(alice.enter(&code));
    assert_eq!(alice.view.meter.events.iter().next().unwrap().kind, EventKind::StateVolatile);
    alice.view.volatile = Some(Volatile { since: NOW, first: false });
    alice.now = alice.now.plus(60);
    let code = alice.code(0);
    let _ = accepted(alice.enter(&code));
    assert_eq!(alice.view.meter.events.iter().count(), 1);
}

#[test]
fn what_was_accepted_in_memory_stays_used_after_a_restart_has_forgotten_it() {
    for (drift, offsets) in [(0, vec![1]), (0, vec![-5, -4]), (3, vec![4]), (-3, vec![-3])] {
        let mut alice = House::alice();
        let Spent::Totp(spent) = &mut alice.state().spent[0].1;
        spent.drift = drift;
        let on_disk = alice.state().clone();
        alice.view.volatile = Some(Volatile { since: NOW.minus(86_400), first: false });
        let typed = alice.codes(offsets);
        let _ = accepted(alice.enter(&typed));
        // The machine restarts at once, and still can't write its disk.
        alice.enrolled().state = StateRead::Good(on_disk);
        alice.view.meter = Meter::default();
        alice.view.volatile = Some(Volatile { since: NOW, first: true });
        for _ in 0..90 {
            alice.now = alice.now.plus(10);
            let _ = refused(alice.enter(&typed));
        }
    }
}

#[test]
fn in_volatile_memory_codes_ahead_of_the_window_are_refused_and_no_drift_is_learned() {
    let mut alice = House::alice();
    alice.view.volatile = Some(Volatile { since: NOW.minus(86_400), first: false });
    for offsets in [5..7, 600..603] {
        let typed = alice.codes(offsets);
        let _ = refused(alice.enter(&typed));
    }
    let typed = alice.codes([-8, -7]);
    assert_eq!(accepted(alice.enter(&typed)).drift(), 0);
}

#[test]
fn an_older_block_does_not_make_a_used_code_good_again() {
    let mut alice = House::alice();
    let older = alice.state().clone();
    let code = alice.code(0);
    let _ = accepted(alice.enter(&code));
    alice.enrolled().state = StateRead::Good(older); // the newest can't be read
    assert_eq!(alice.reason(&code), Reason::Replay);
}

#[test]
fn a_used_code_is_refused_even_where_it_is_that_of_a_fresh_step_too() {
    let nine = totp(9, Digits::Six);
    let step = (0..40_000_000u64).step_by(100_000).find_map(|from| {
        let codes = nine.codes(Step(from), Step(from + 100_001));
        let at = codes.windows(3).position(|w| w[0] == w[2])?;
        Some(Step(from + at as u64))
    });
    let mut alice = House::with(vec![("phone", totp(9, Digits::Six))]);
    alice.now = step.unwrap().moved(-1).start(Period::DEFAULT);
    let code = alice.code(1);
    let _ = accepted(alice.enter(&code));
    alice.now = step.unwrap().moved(1).start(Period::DEFAULT);
    assert_eq!(alice.code(1), code);
    assert_eq!(alice.reason(&code), Reason::Replay);
}

#[test]
fn a_lost_state_has_no_singles_left_however_long_it_was_quiet() {
    let mut alice = House::alice();
    let wrong = alice.wrong();
    let _ = refused(alice.enter(&wrong));
    alice.enrolled().state = StateRead::Lost { seq: 2 };
    alice.now = alice.now.plus(60 * DAY);
    assert_eq!(alice.reason(&wrong), Reason::Clock { seconds: 30 });
    alice.now = alice.now.plus(90);
    let code = alice.code(0);
    assert_eq!(alice.reason(&code), Reason::Budget);
}

#[test]
fn nobody_is_let_in_who_is_not_enrolled() {
    let mut alice = House::alice();
    let code = alice.code(0);
    let answers = [Answer::read(code.as_bytes())];
    for pretext in [None, Some(Reason::NoAccount)] {
        let view = View { found: Found::Absent, meter: Meter::default(), volatile: None };
        let place = Place::new("sshd", "");
        let attempt = Attempt {
            answers: &answers,
            codebook: &Codebook::compute(None, &[], &answers, &RULES, NOW),
            first: None,
            origin: &HOME,
            place: &place,
            now: NOW,
            entropy: [0; 2],
            pretext,
        };
        let verdict = evaluate(&RULES, &view, &attempt)
            .commit(|writes| {
                assert!(
                    writes.debit.is_some() && writes.state.is_none() && writes.settle.is_none()
                );
                Ok::<_, ()>(Durability::Disk)
            })
            .unwrap()
            .into_outcome();
        assert_eq!(refused(verdict).reason, pretext.unwrap_or(Reason::NotEnrolled));
    }
}

#[test]
fn a_right_code_is_refused_where_there_is_a_reason_whatever_is_typed() {
    let mut alice = House::alice();
    let code = alice.code(0);
    let answers = [Answer::read(code.as_bytes())];
    let place = Place::new("sshd", "");
    let codebook = {
        let Found::Enrolled(enrolled) = &alice.view.found else { panic!("not enrolled") };
        let totp = enrolled.record.authenticators[0].kind.totp();
        let computed = [Computed { totp, drift: 0 }];
        Codebook::compute(Some(enrolled.record.enrollment), &computed, &answers, &RULES, NOW)
    };
    let verdict = |pretext| {
        let attempt = Attempt {
            answers: &answers,
            codebook: &codebook,
            first: None,
            origin: &HOME,
            place: &place,
            now: NOW,
            entropy: [0; 2],
            pretext,
        };
        let change = evaluate(&RULES, &alice.view, &attempt);
        change.commit(|_| Ok::<_, ()>(Durability::Disk)).unwrap().into_outcome()
    };
    let reason = Reason::Store(totp_core::store::FaultKind::RecordRefused);
    assert_eq!(refused(verdict(Some(reason))).reason, reason);
    assert!(matches!(verdict(None), Verdict::Accepted(_)));
}

#[test]
fn a_try_is_debited_before_it_is_known_to_be_right() {
    let mut alice = House::alice();
    let code = alice.code(0);
    let answers = [Answer::read(code.as_bytes())];
    let place = Place::new("sshd", "");
    let attempt = Attempt {
        answers: &answers,
        codebook: &Codebook::compute(None, &[], &answers, &RULES, NOW),
        first: None,
        origin: &HOME,
        place: &place,
        now: NOW,
        entropy: [0; 2],
        pretext: None,
    };
    let _ = evaluate(&RULES, &alice.view, &attempt).commit(|writes| {
        let debited = Spending::default().refilled(RULES.chance, NOW).with(&Debit {
            single: Price::of(3, Digits::Six, 1, 1),
            ..Debit::none(Standing::Unknown)
        });
        assert_eq!(writes.debit.as_ref().unwrap().spending, debited);
        assert_eq!(writes.settle.as_ref().unwrap().spending.unknown, 0);
        Ok::<_, ()>(Durability::Disk)
    });
}

#[test]
fn a_codebook_of_another_enrollment_is_not_used() {
    let mut alice = House::alice();
    let stranger = totp(77, Digits::Six);
    let code = stranger.code_text(stranger.step(NOW));
    let answers = [Answer::read(code.as_bytes())];
    let place = Place::new("sshd", "");
    let computed = [Computed { totp: &stranger, drift: 0 }];
    let codebook =
        Codebook::compute(Some(EnrollmentId::fresh([9; 8])), &computed, &answers, &RULES, NOW);
    let attempt = Attempt {
        answers: &answers,
        codebook: &codebook,
        first: None,
        origin: &HOME,
        place: &place,
        now: NOW,
        entropy: [0; 2],
        pretext: None,
    };
    let _ = alice.enrolled();
    let verdict = evaluate(&RULES, &alice.view, &attempt).commit(|_| Ok::<_, ()>(Durability::Disk));
    let _ = refused(verdict.unwrap().into_outcome());
}

#[test]
fn a_chance_divided_among_many_hosts_leaves_no_single_code() {
    let rules = |hosts| Rules { chance: YearlyChance::new(0.001, hosts).unwrap(), ..RULES };
    for (hosts, authenticators, codes) in
        [(1, 4, 1), (75, 1, 1), (76, 1, 3), (18, 4, 1), (19, 4, 3)]
    {
        let always = codes_always_required(&rules(hosts), Digits::Six, authenticators);
        assert_eq!(always, codes, "{hosts} hosts, {authenticators} authenticators");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Invariant 1 on the pure floor: whatever is typed whenever, also with the clock set back and forth, no code
    /// is accepted twice and floors only rise.
    #[test]
    fn no_code_is_accepted_twice_and_floors_only_rise(
        moves in proptest::collection::vec((-400i64..400, -25i64..25, 1usize..=3), 1..40),
    ) {
        let mut alice = House::alice();
        let mut used = std::collections::BTreeSet::new();
        for (jump, offset, n) in moves {
            alice.now = UnixTime(alice.now.0.saturating_add_signed(jump));
            let floor = alice.spent("phone").floor;
            let typed = alice.codes(offset..offset + n as i64);
            let last = Step::at(alice.now, Period::DEFAULT).moved(offset + n as i64 - 1);
            if let Verdict::Accepted(_) = alice.enter(&typed) {
                prop_assert!(used.insert(last), "{last:?} twice");
                prop_assert!(alice.spent("phone").floor > floor);
            }
            prop_assert!(alice.spent("phone").floor >= floor);
        }
    }
}
