//! What evaluating costs, and what the budget can still pay for: the guess budget's arithmetic
//! ([`crate::budget`]) put together with a user's authenticators.

use crate::budget::{Kind, Price, Spending, Standing};
use crate::evaluate::Rules;
use crate::otp::Digits;
use crate::record::Record;
use crate::search::PAIR_REACH;
use crate::state::{MOST_TEXT_CODES, Meter};
use crate::time::UnixTime;

/// Which evaluations the budget can still pay for.
#[derive(Clone, Copy)]
pub(crate) struct Open {
    /// One code.
    pub(crate) single: bool,
    /// Two in a row.
    pub(crate) pair: bool,
    /// Three in a row, within a day.
    pub(crate) triple: bool,
    /// A text message's 8 digits, beside one code.
    pub(crate) short_text: bool,
    /// A text message's 16 digits, beside a pair.
    pub(crate) long_text: bool,
}

/// The price of guessing at one text message's 8 digits.
pub(crate) fn short_text_price() -> Price {
    Price::of(1, Digits::Eight, 1, 1)
}

/// The price of guessing at one text message's 16 digits: the pairs' share pays.
pub(crate) fn long_text_price() -> Price {
    Price::of(1, Digits::Eight, 2, 1)
}

/// The price of one code.
pub(crate) fn single_price(rules: &Rules, digits: Digits, authenticators: usize) -> Price {
    let steps = rules.window.saturating_mul(2).saturating_add(1);
    Price::of(steps, digits, 1, authenticators)
}

/// The price of two codes within ±20 steps; where one half matched, only the other had to be guessed.
pub(crate) fn pair_price(digits: Digits, authenticators: usize, half: bool) -> Price {
    if half {
        Price::of(2, digits, 1, authenticators)
    } else {
        Price::of(PAIR_REACH.saturating_mul(2), digits, 2, authenticators)
    }
}

/// The price of two codes within a day, as a resynchronisation looks for them; where one half matched, what guessing the
/// other had, if that is more.
pub(crate) fn pair_price_within_a_day(
    digits: Digits,
    authenticators: usize,
    steps_a_day: u64,
    half: bool,
) -> Price {
    let all = Price::of(steps_a_day.saturating_mul(2), digits, 2, authenticators);
    if half { all.max(pair_price(digits, authenticators, true)) } else { all }
}

/// The price of three codes within a day; as much as a pair where two adjacent ones matched.
pub(crate) fn triple_price(
    digits: Digits,
    authenticators: usize,
    steps_a_day: u64,
    two: bool,
) -> Price {
    if two {
        pair_price(digits, authenticators, false)
    } else {
        let places = steps_a_day.saturating_mul(2).saturating_sub(1);
        Price::of(places, digits, 3, authenticators)
    }
}

/// What can be paid for, whatever comes out of it.
pub(crate) fn open(
    rules: &Rules,
    spending: &Spending,
    record: &Record,
    standing: Standing,
) -> Open {
    let digits = || record.authenticators.iter().map(|a| a.kind.totp().digits);
    let steps = record.authenticators.iter().map(|a| a.kind.totp().period.steps_a_day());
    let steps = steps.max().unwrap_or(0);
    // The dearest case must be payable: whether a half matches is not known before it is paid for.
    let total = |price: &dyn Fn(Digits, usize) -> Price| {
        Digits::ALL.into_iter().fold(Price::default(), |sum, one| {
            let n = digits().filter(|d| *d == one).count();
            sum.plus(price(one, n))
        })
    };
    // The one that a resynchronisation pays, which is never less than the login's.
    let pair = total(&|d, n| pair_price_within_a_day(d, n, steps, true));
    let triple =
        total(&|d, n| triple_price(d, n, steps, true).max(triple_price(d, n, steps, false)));
    let single = total(&|d, n| single_price(rules, d, n));
    // As if there were as many as there can be.
    let all = |price: Price| (0..MOST_TEXT_CODES).fold(Price::default(), |sum, _| sum.plus(price));
    let with_text = single.plus(all(short_text_price()));
    Open {
        single: singles_open(rules, spending, digits(), standing),
        short_text: spending.can_pay(rules.chance, Kind::Single(standing), with_text),
        long_text: spending.can_pay(rules.chance, Kind::Pair, pair.plus(all(long_text_price()))),
        pair: spending.can_pay(rules.chance, Kind::Pair, pair),
        triple: spending.can_pay(rules.chance, Kind::Triple, triple),
    }
}

/// Whether one code can be paid for.
pub(crate) fn singles_open(
    rules: &Rules,
    spending: &Spending,
    digits: impl Iterator<Item = Digits>,
    standing: Standing,
) -> bool {
    let price = digits.fold(Price::default(), |sum, d| sum.plus(single_price(rules, d, 1)));
    spending.can_pay(rules.chance, Kind::Single(standing), price)
}

/// How many codes an answer from an unknown origin needs at the moment: 1, or 2 or 3 while the budget is used up.
#[must_use]
pub fn codes_required(rules: &Rules, record: &Record, meter: &Meter, now: UnixTime) -> u8 {
    let spending = meter.spending.refilled(rules.chance, now);
    match open(rules, &spending, record, Standing::Unknown) {
        Open { single: true, .. } => 1,
        Open { pair: true, .. } => 2,
        Open { .. } => 3,
    }
}

/// The same for an untouched budget, and `authenticators` of `digits` digits: more than 1 where the chance is divided among
/// so many hosts that one code is never enough.
#[must_use]
pub fn codes_always_required(rules: &Rules, digits: Digits, authenticators: usize) -> u8 {
    let budget = Spending::default();
    let single = single_price(rules, digits, authenticators);
    if budget.can_pay(rules.chance, Kind::Single(Standing::Unknown), single) {
        return 1;
    }
    let pair = pair_price(digits, authenticators, true);
    if budget.can_pay(rules.chance, Kind::Pair, pair) { 2 } else { 3 }
}
