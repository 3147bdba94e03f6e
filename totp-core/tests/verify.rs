//! What `verify` and `resync` decide: the login's own evaluation, at the login's own price.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::result_large_err
)] // tests

mod house;

use house::{ByCodes as _, House, NOW, RULES, accepted, name, refused};
use totp_core::budget::Spending;
use totp_core::evaluate::{
    By, Reason, Refusal, Resynchronised, Verdict, evaluate, resynchronise, try_to_resynchronise,
    verify,
};
use totp_core::onetime::OneTimeCode;
use totp_core::origin::Origin;
use totp_core::record::Recovery;
use totp_core::store::{StateRead, Volatile};

fn verified(alice: &mut House, typed: &str) -> Verdict {
    alice.try_by(&|view, attempt| verify(&RULES, view, attempt), &[typed])
}

fn set_right(alice: &mut House, typed: &[&str]) -> Result<Resynchronised, Refusal> {
    alice.try_by(&|view, attempt| resynchronise(&RULES, view, attempt), typed)
}

fn paid(alice: &House) -> u64 {
    let Spending { known, unknown, pairs, triples, .. } = alice.view.meter.spending;
    known + unknown + pairs + triples
}

fn recovery() -> OneTimeCode {
    OneTimeCode::fresh(&[1; 16])
}

/// A user in each state that a login refuses or accepts for a reason of its own, and what is typed.
fn cases() -> Vec<(&'static str, House, String)> {
    let mut cases = Vec::new();
    let mut add = |what, prepare: &dyn Fn(&mut House) -> String| {
        let mut alice = House::alice();
        let codes = vec![recovery().hash()];
        alice.enrolled().record.recovery = Some(Recovery { rotating: false, issued: NOW, codes });
        alice.origin = Origin::Unknown;
        let typed = prepare(&mut alice);
        cases.push((what, alice, typed));
    };
    let after_boot = Some(Volatile { since: NOW.minus(3), first: false });
    add("right", &|alice| alice.code(0));
    add("right, two hours off, three in a row", &|alice| alice.codes(240..243));
    add("two hours off, two in a row", &|alice| alice.codes(240..242));
    add("two hours off", &|alice| alice.code(240));
    add("wrong", &House::wrong);
    add("no code", &|_| "hello".to_owned());
    add("used", &|alice| {
        let code = alice.code(0);
        let _ = accepted(alice.enter(&code));
        code
    });
    add("in tmpfs just after boot", &|alice| {
        alice.view.volatile = after_boot;
        alice.code(0)
    });
    add("a recovery code in tmpfs", &|alice| {
        alice.view.volatile = after_boot;
        recovery().shown().as_str().to_owned()
    });
    add("a recovery code", &|_| recovery().shown().as_str().to_owned());
    add("singles spent", &|alice| {
        alice.use_up_singles();
        alice.code(0)
    });
    add("three-code share spent, a clock 100 steps off", &|alice| {
        alice.use_up_pairs();
        alice.view.meter.spending.triples = u64::MAX;
        alice.codes(100..103)
    });
    add("state lost", &|alice| {
        alice.enrolled().state = StateRead::Lost { seq: 1 };
        alice.code(0)
    });
    add("clock set back", &|alice| {
        let code = alice.code(120);
        alice.now = NOW.plus(3600);
        let _ = accepted(alice.enter(&code));
        alice.now = NOW;
        alice.code(0)
    });
    cases
}

#[test]
fn verify_says_what_a_login_would_come_to() {
    for (what, mut alice, typed) in cases() {
        let found = verified(&mut alice, &typed);
        let (_, mut same, _) = cases().into_iter().find(|(other, ..)| *other == what).unwrap();
        assert_eq!(found, same.enter(&typed), "{what}");
    }
}

#[test]
fn verify_spends_nothing_and_is_paid_for_whether_right_or_not() {
    for (what, mut alice, typed) in cases() {
        let Verdict::Accepted(_) = verified(&mut alice, &typed) else { continue };
        let is_free = what == "a recovery code"; // 80 bits: guessing has no chance
        assert_eq!(paid(&alice) == 0, is_free, "{what}");
        let _ = accepted(alice.enter(&typed));
        let _ = refused(alice.enter(&typed));
    }
}

#[test]
fn a_wrong_try_of_verify_costs_what_a_login_pays() {
    let (mut one, mut other) = (House::alice(), House::alice());
    for typed in [one.wrong(), one.wrong().repeat(2), one.wrong().repeat(3)] {
        assert_eq!(verified(&mut one, &typed), other.enter(&typed));
        assert_eq!(one.view.meter, other.view.meter);
    }
}

/// The one that let codes of later minutes be found: it cost nothing and told of them.
#[test]
fn thousands_of_tries_of_verify_find_no_code_of_a_later_minute_and_use_the_budget_up() {
    let mut alice = House::alice();
    let soon: Vec<String> = (5..300).map(|offset| alice.code(offset)).collect();
    let mut reasons = Vec::new();
    for typed in soon.iter().cycle().take(3000) {
        reasons.push(refused(verified(&mut alice, typed)).reason);
    }
    assert!(!reasons.iter().any(|reason| !matches!(reason, Reason::Wrong | Reason::Budget)));
    let singles = reasons.iter().filter(|reason| **reason == Reason::Wrong).count();
    assert_eq!(singles, 75, "as many as logins have (docs/guess-budget.md)");
    assert_eq!(alice.reason(&soon[0]), Reason::Budget, "at a login, too");
}

#[test]
fn verify_tells_of_no_right_code_that_the_budget_does_not_pay_for() {
    let mut alice = House::alice();
    alice.use_up_singles();
    let (right, wrong) = (alice.code(0), alice.wrong());
    assert_eq!(verified(&mut alice, &right), verified(&mut alice, &wrong));
}

#[test]
fn two_codes_set_the_clock_and_are_spent() {
    let mut alice = House::alice();
    let typed = [alice.code(10), alice.code(11)];
    let done = set_right(&mut alice, &[&typed[0], &typed[1]]).unwrap();
    assert_eq!((done.authenticator, done.ahead), (name("phone"), 330));
    assert!(done.learned && done.waits == 0);
    let spent = alice.spent("phone");
    assert_eq!((spent.drift, spent.lean), (11, 0));
    assert_eq!(paid(&alice), 0, "what is right is given back");
    assert_eq!(alice.reason(&typed[1]), Reason::Replay);
    assert_eq!(set_right(&mut alice, &[&typed[0], &typed[1]]).unwrap_err().reason, Reason::Replay);
    let next = alice.code(12);
    assert_eq!(accepted(alice.enter(&next)).drift(), 11);
}

#[test]
fn what_two_codes_spent_is_remembered_beside_the_state_too() {
    let mut alice = House::alice();
    let typed = alice.codes(600..602);
    let _ = set_right(&mut alice, &[&typed]).unwrap();
    let floor = alice.spent("phone").floor;
    assert_eq!(alice.view.meter.repeated.unwrap().floors, [(name("phone"), floor)]);
}

#[test]
fn a_clock_hours_off_is_measured_and_not_learned() {
    let mut alice = House::alice();
    let typed = alice.codes(600..602);
    let done = set_right(&mut alice, &[&typed]).unwrap();
    assert_eq!((done.ahead, done.learned), (18_030, false));
    assert!(done.waits >= 18_000);
    let mut alice = House::alice();
    let typed = alice.codes(-600..-598);
    let done = set_right(&mut alice, &[&typed]).unwrap();
    assert_eq!((done.learned, done.waits, alice.spent("phone").drift), (false, 0, 0));
}

#[test]
fn a_resynchronisation_is_no_login() {
    let mut alice = House::alice();
    let (typed, origin) = (alice.codes(10..12), alice.origin.clone());
    let _ = set_right(&mut alice, &[&typed]).unwrap();
    assert_eq!(alice.state().last_login, None);
    assert!(!alice.state().knows(&origin, NOW));
}

#[test]
fn nothing_but_two_codes_in_their_order_sets_a_clock() {
    let mut alice = House::alice();
    alice.enrolled().record.recovery =
        Some(Recovery { rotating: false, issued: NOW, codes: vec![recovery().hash()] });
    for typed in [
        alice.code(0),
        alice.code(11) + &alice.code(10),
        alice.code(10) + &alice.code(12),
        alice.codes(3000..3002),
        recovery().shown().as_str().to_owned(),
    ] {
        assert_eq!(set_right(&mut alice, &[&typed]).unwrap_err().reason, Reason::Wrong, "{typed}");
    }
    let after_boot = Some(Volatile { since: NOW.minus(86_400), first: false });
    alice.view.volatile = after_boot;
    let typed = alice.codes(-3..-1);
    assert_eq!(set_right(&mut alice, &[&typed]).unwrap_err().reason, Reason::Unavailable);
}

#[test]
fn wrong_pairs_of_a_resynchronisation_are_paid_for_until_nothing_is_left() {
    let mut alice = House::alice();
    let wrong = alice.wrong().repeat(2);
    for _ in 0..3 {
        let before = paid(&alice);
        let refusal = set_right(&mut alice, &[&wrong]).unwrap_err();
        assert_eq!((refusal.reason, paid(&alice) > before), (Reason::Wrong, true));
    }
    alice.view.meter.spending.pairs = u64::MAX;
    let right = alice.codes(10..12);
    assert_eq!(set_right(&mut alice, &[&right]).unwrap_err().reason, Reason::Budget);
    let Spending { known, unknown, .. } = Spending::singles_used_up();
    alice.view.meter.spending = Spending { known, unknown, ..alice.view.meter.spending };
    assert_eq!(alice.reason(&right), Reason::Budget, "the same share pays for a login's pairs");
}

#[test]
fn a_half_known_pair_costs_a_resynchronisation_what_guessing_the_other_half_has() {
    let mut alice = House::alice();
    let typed = alice.code(600) + &alice.wrong();
    let dear = set_right(&mut alice, &[&typed]).unwrap_err().debit.pair;
    let wrong = alice.wrong().repeat(2);
    let cheap = set_right(&mut alice, &[&wrong]).unwrap_err().debit.pair;
    assert!(dear.as_fraction() > 1.9e-6 && cheap.as_fraction() < 6e-9, "{dear:?} {cheap:?}");
    assert!(cheap.as_fraction() > 5.7e-9, "5760 pairs lie within a day");
}

#[test]
fn a_try_to_resynchronise_changes_nothing_but_the_budget_and_gets_it_back_with_the_change() {
    let mut alice = House::alice();
    let typed = alice.codes(600..602);
    let before = alice.state().clone();
    let found = alice
        .try_by(&|view, attempt| try_to_resynchronise(&RULES, view, attempt), &[&typed])
        .unwrap();
    assert!(paid(&alice) > 0 && *alice.state() == before);
    alice.first = Some(found.first);
    let _ = set_right(&mut alice, &[&typed]).unwrap();
    assert_eq!(paid(&alice), 0);
}

#[test]
fn a_right_code_says_how_far_its_clock_is_off() {
    let mut alice = House::alice();
    let (one, three) = (alice.code(1), alice.codes(240..243));
    assert_eq!(accepted(verified(&mut alice, &one)).ahead(), 30);
    let far = accepted(verified(&mut alice, &three));
    assert_eq!((far.ahead(), far.codes()), (7260, 3));
    let recovery = recovery();
    alice.enrolled().record.recovery =
        Some(Recovery { rotating: false, issued: NOW, codes: vec![recovery.hash()] });
    let once = accepted(verified(&mut alice, recovery.shown().as_str()));
    assert_eq!((once.ahead(), once.by()), (0, &By::Recovery { left: 0, due: false }));
}

#[test]
fn verify_and_a_login_write_the_same_for_a_refusal() {
    for (what, mut alice, typed) in cases() {
        let Verdict::Refused(_) = verified(&mut alice, &typed) else { continue };
        let (_, mut same, _) = cases().into_iter().find(|(other, ..)| *other == what).unwrap();
        let _ = same.try_by(&|view, attempt| evaluate(&RULES, view, attempt), &[&typed]);
        assert_eq!(alice.view.meter, same.view.meter, "{what}");
    }
}
