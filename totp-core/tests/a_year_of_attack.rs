//! Invariants 4 and 5 over a simulated year: an attacker who knows the password and never pauses, beside an owner who
//! logs in eight times a day and mistypes twice a week.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)] // tests

mod house;

use house::{ByCodes as _, HOME, House, NOW, accepted, totp};
use totp_core::evaluate::{Reason, Verdict};
use totp_core::origin::Origin;
use totp_core::otp::Digits;
use totp_core::time::DAY;

const YEAR: u64 = 365 * DAY;

/// Small, repeatable and good enough to guess with (splitmix64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % below
    }

    /// `n` codes of `digits` digits.
    fn codes(&mut self, n: u64, digits: Digits) -> String {
        let width = usize::from(digits.count());
        let code = |dice: &mut Self| format!("{:0width$}", dice.roll(digits.possible().into()));
        (0..n).map(|_| code(self)).collect()
    }

    fn address(&mut self) -> Origin {
        let [a, b, ..] = self.roll(1000).to_le_bytes();
        Origin::Net4([198, a, b])
    }
}

fn owner(digits: Digits, authenticators: u8) -> House {
    let names = ["phone", "tablet", "token"];
    House::with((0..authenticators).map(|n| (names[usize::from(n)], totp(n + 1, digits))).collect())
}

/// What the attacker's answers had of a chance, all together, and how many of them got in.
#[derive(Default)]
struct Attack {
    chance: f64,
    hits: u32,
}

impl Attack {
    fn guess(
        &mut self,
        house: &mut House,
        dice: &mut Dice,
        origin: Origin,
        codes: u64,
        digits: Digits,
    ) {
        house.origin = origin;
        house.first = None;
        match house.enter(&dice.codes(codes, digits)) {
            Verdict::Accepted(_) => self.hits += 1,
            Verdict::Refused(refusal) => self.chance += refusal.debit.total().as_fraction(),
        }
    }
}

/// One login of the owner from `origin`; a mistyped first code is followed by the right one.
fn log_in(house: &mut House, origin: Origin, mistyped: bool) {
    house.origin = origin;
    house.first = None;
    let code = house.code(0);
    let verdict = if mistyped {
        let slip = format!(
            "{}{}",
            &code[..code.len() - 1],
            (code.as_bytes()[code.len() - 1] - b'0' + 1) % 10
        );
        let Verdict::Refused(first) = house.enter(&slip) else { panic!("a slip was right") };
        assert_ne!(first.reason, Reason::Budget);
        house.first = Some(first.first());
        house.try_all(&[&slip, &code])
    } else {
        house.enter(&code)
    };
    assert_eq!(accepted(verdict).codes(), 1);
}

/// A year in which `between` is called between the owner's logins, three hours apart.
fn a_year_of(
    house: &mut House,
    dice: &mut Dice,
    from: impl Fn(&mut Dice) -> Origin,
    mut between: impl FnMut(&mut House, &mut Dice),
) {
    for login in 0..YEAR / (DAY / 8) {
        house.now = NOW.plus(login * DAY / 8);
        let mistyped = login % 28 == 5; // 56 logins a week
        let origin = from(dice);
        log_in(house, origin, mistyped);
        between(house, dice);
    }
}

#[test]
fn a_year_of_guessing_has_at_most_the_yearly_chance_and_the_owner_notices_nothing() {
    for (digits, authenticators) in [
        (Digits::Six, 1),
        (Digits::Six, 2),
        (Digits::Six, 3),
        (Digits::Eight, 1),
        (Digits::Eight, 2),
        (Digits::Eight, 3),
    ] {
        let mut house = owner(digits, authenticators);
        let (mut dice, mut attack) = (Dice(42), Attack::default());
        a_year_of(
            &mut house,
            &mut dice,
            |_| HOME,
            |house, dice| {
                for n in 0..12 {
                    house.now = house.now.plus(600);
                    let address = dice.address();
                    // Triples cost a day of codes to compute: a few are enough to see them debited.
                    let codes = if n == 11 && dice.roll(100) == 0 { 3 } else { 1 + n % 2 };
                    attack.guess(house, dice, address, codes, digits);
                }
            },
        );
        assert!(attack.chance <= 0.001, "{digits:?} x {authenticators}: {}", attack.chance);
        assert_eq!(attack.hits, 0, "one in a thousand, with these dice not");
    }
}

#[test]
fn guessing_singles_at_once_or_over_the_year_wins_the_strangers_share_and_no_more() {
    let mut house = owner(Digits::Six, 1);
    let (mut dice, mut attack) = (Dice(1), Attack::default());
    for _ in 0..YEAR / 1800 {
        house.now = house.now.plus(1800);
        let address = dice.address();
        attack.guess(&mut house, &mut dice, address, 1, Digits::Six);
    }
    // 75 at once and 75 over the year, at 3 in 10^6.
    assert!((attack.chance - 149.0 * 3e-6).abs() < 3.1e-6, "{}", attack.chance);
}

#[test]
fn an_attacker_at_the_owners_own_address_stays_within_the_yearly_chance() {
    let mut house = owner(Digits::Six, 2);
    let (mut dice, mut attack) = (Dice(2), Attack::default());
    log_in(&mut house, HOME, false);
    for n in 0..YEAR / 900 {
        house.now = house.now.plus(900);
        let address = if n % 2 == 0 { HOME } else { dice.address() };
        let codes = if n % 500 == 2 { 3 } else { 1 + n % 2 };
        attack.guess(&mut house, &mut dice, address, codes, Digits::Six);
    }
    assert!(attack.chance <= 0.001, "{}", attack.chance);
    assert_eq!(attack.hits, 0);
    // The owner, at home beside the attacker: never refused, two codes at the worst.
    let two = house.codes([-1, 0]);
    house.origin = HOME;
    assert!(accepted(house.enter(&two)).codes() <= 2);
}

#[test]
fn without_an_attack_one_code_is_enough_wherever_the_owner_is() {
    let mut house = owner(Digits::Six, 3);
    a_year_of(&mut house, &mut Dice(3), Dice::address, |_, _| {});
    assert!(house.view.meter.events.is_empty());
}

#[test]
fn an_attacker_who_repeats_half_a_pair_stays_within_the_pairs_share() {
    let mut house = owner(Digits::Six, 1);
    let (mut dice, mut attack) = (Dice(4), Attack::default());
    // Looked over the owner's shoulder at a code that was then not used; singles are closed.
    house.use_up_singles();
    let mut seen = 0;
    for _ in 0..2000 {
        let known = house.code(0);
        let guess = dice.codes(1, Digits::Six);
        house.origin = Origin::Net4([203, 0, 113]);
        if let Verdict::Refused(refusal) = house.enter(&format!("{known}{guess}")) {
            attack.chance += refusal.debit.pair.as_fraction();
            seen += u32::from(refusal.reason == Reason::Budget);
        }
    }
    assert!(attack.chance <= 0.001 * 0.09 / 2.0 + 2e-6, "{}", attack.chance);
    assert!(seen > 1900, "pairs stop being evaluated after some 22 such tries");
}
