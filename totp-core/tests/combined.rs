//! A password and a code in one answer: evaluated once, paid for once, and parted by what was accepted.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)] // tests

mod house;

use house::{House, NOW, accepted, refused, totp};
use proptest::prelude::*;
use totp_core::answer::{Answer, work};
use totp_core::budget::Spending;
use totp_core::combined::password_before;
use totp_core::evaluate::{By, Reason, Verdict};
use totp_core::onetime::OneTimeCode;
use totp_core::otp::Digits;
use totp_core::record::Recovery;

/// Someone with an authenticator of each length, and a recovery code.
fn alice() -> House {
    let mut alice = House::with(vec![
        ("six", totp(1, Digits::Six)),
        ("seven", totp(2, Digits::Seven)),
        ("eight", totp(3, Digits::Eight)),
    ]);
    let codes = vec![OneTimeCode::fresh(&[21; 16]).hash()];
    alice.enrolled().record.recovery = Some(Recovery { rotating: false, issued: NOW, codes });
    alice
}

/// The code of the nth authenticator, `offset` steps from now; the recovery code behind them.
fn code(alice: &mut House, nth: usize, offset: i64) -> String {
    let now = alice.now;
    match alice.enrolled().record.authenticators.get(nth) {
        Some(one) => {
            let totp = one.kind.totp();
            totp.code_text(totp.step(now).moved(offset)).as_str().into()
        }
        None => OneTimeCode::fresh(&[21; 16]).shown().to_string(),
    }
}

/// The password that is handed on, where the text is accepted.
fn handed_on(alice: &mut House, text: &str) -> String {
    let accepted = accepted(alice.enter_combined(text));
    let password = password_before(text.as_bytes(), accepted.characters());
    String::from_utf8(password.to_vec()).unwrap()
}

/// What unknown places have spent of the budget for one code.
fn spent(alice: &House) -> Spending {
    alice.view.meter.spending
}

#[test]
fn a_code_of_each_length_is_accepted_and_parted_whatever_the_password_ends_with() {
    for nth in 0..4 {
        for password in
            ["secret", "", "secret12", "tail,123456", "x-", "y ", "correct horse", "123456"]
        {
            for comma in ["", ","] {
                let mut alice = alice();
                let text = format!("{password}{comma}{}", code(&mut alice, nth, 0));
                assert_eq!(handed_on(&mut alice, &text), password, "{text}");
            }
        }
    }
}

#[test]
fn consecutive_codes_are_no_part_of_the_password_though_the_last_one_would_do() {
    for (text, count) in [("secret,", 2), ("secret", 3), ("secret,", 3)] {
        let mut alice = alice();
        let codes: Vec<String> = (1 - count..=0).map(|at| code(&mut alice, 0, at)).collect();
        for between in ["", " "] {
            let mut alice = self::alice();
            let text = format!("{text}{}", codes.join(between));
            assert_eq!(handed_on(&mut alice, &text), "secret", "{text}");
        }
    }
}

#[test]
fn a_used_code_is_a_replay_once_and_a_password_alone_is_wrong_at_no_cost() {
    let mut alice = alice();
    let text = format!("secret{}", code(&mut alice, 0, 0));
    let _ = accepted(alice.enter_combined(&text));
    let before = spent(&alice);
    assert_eq!(refused(alice.enter_combined(&text)).reason, Reason::Replay);
    assert_eq!(refused(alice.enter_combined("a long secret of words")).reason, Reason::Wrong);
    assert_eq!(spent(&alice), before);
}

#[test]
fn each_authenticator_pays_for_the_digits_that_it_looks_at() {
    let debit = |text: &str| refused(alice().enter_combined(text)).debit;
    let single = |text: &str| debit(text).single;
    let alone = |typed: &str| refused(alice().enter(typed)).debit;
    // Whatever is looked at as a code of six, of seven and of eight digits.
    let sum = alone("000000").single.plus(alone("0000000").single).plus(alone("00000000").single);
    assert_eq!(single("secret00000000"), sum);
    assert!(single("secret00000000") > single("secret0000000"));
    assert!(single("secret0000000") > single("secret000000"));
    assert_eq!(single("secret000000"), alone("000000").single);
    assert_eq!(debit("secret000000000000").pair, alone("000000000000").pair);
    assert_eq!(debit("secret").single, alone("secret").single);
}

#[test]
fn with_singles_used_up_two_codes_behind_the_password_let_in_and_one_does_not() {
    let mut alice = alice();
    alice.use_up_singles();
    let (before, now) = (code(&mut alice, 2, 0), code(&mut alice, 2, 1));
    assert_eq!(refused(alice.enter_combined(&format!("secret{before}"))).reason, Reason::Budget);
    assert_eq!(handed_on(&mut alice, &format!("secret{before}{now}")), "secret");
}

#[test]
fn a_recovery_code_behind_a_password_is_good_once() {
    let mut alice = alice();
    let text = format!("secret{}", code(&mut alice, 3, 0).to_lowercase());
    let by = accepted(alice.enter_combined(&text));
    assert!(matches!(by.by(), By::Recovery { left: 0, .. }));
    assert_eq!(refused(alice.enter_combined(&text)).reason, Reason::Replay);
}

#[test]
fn the_work_depends_on_the_length_alone() {
    for text in ["secret123456", "secret secret,123456", "a long secret of words", "x", "12345"] {
        let junk: Vec<u8> =
            b"\x08\n\r\x7fINCORRECT".iter().cycle().take(text.len()).copied().collect();
        let one = |typed: &[u8]| work(&[Answer::read_combined(typed)]);
        assert_eq!(one(&junk), one(text.as_bytes()), "{text}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    /// Any password in front of a code that is accepted is handed on as it is; without a comma, where it does not end in one.
    #[test]
    fn the_password_that_was_typed_is_the_one_that_is_handed_on(
        password in "[ -~]{0,12}[0-9]{0,12}[ ,-]{0,2}", nth in 0usize..4, comma in any::<bool>(),
    ) {
        prop_assume!(comma || !password.trim_end_matches(' ').ends_with(','));
        let mut alice = alice();
        let between = if comma { "," } else { "" };
        let text = format!("{password}{between}{}", code(&mut alice, nth, 0));
        let verdict = alice.enter_combined(&text);
        let Verdict::Accepted(accepted) = verdict else { panic!("{text:?}: {verdict:?}") };
        let handed_on = password_before(text.as_bytes(), accepted.characters());
        prop_assert_eq!(handed_on, password.as_bytes());
    }
}
