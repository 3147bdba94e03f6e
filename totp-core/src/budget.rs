//! The guess budget: the arithmetic that bounds what guessing can win, without ever locking anybody out.
//!
//! Every refused evaluation is debited with the chance it had. A share that can't pay for a kind of evaluation stops
//! that kind: then two codes are asked for, then three. What has been paid, all shares together, never exceeds the
//! capacity plus the refill, and by the union bound neither does the chance that any guess was right.
//! `docs/guess-budget.md` has the derivation.

use crate::otp::Digits;
use crate::time::UnixTime;

/// One certain success, in the unit everything here is counted in: 10^-18.
const CERTAIN: u64 = 1_000_000_000_000_000_000;

/// Seconds in a mean Gregorian year.
const YEAR: u64 = 31_556_952;

/// What is asked of the budget: the site's chance a year, in units of 10^-18.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct YearlyChance(u64);

impl YearlyChance {
    /// 0.1 % per user and host.
    pub const DEFAULT: Self = Self(CERTAIN / 1000);

    /// `chance` (0.0001 to 0.01) divided among `hosts` (1 to 1000) that share a secret. `None` outside.
    #[must_use]
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
    #[allow(clippy::arithmetic_side_effects)] // hosts is not 0
    pub fn new(chance: f64, hosts: u64) -> Option<Self> {
        if !(0.0001..=0.01).contains(&chance) || !(1..=1000).contains(&hosts) {
            return None;
        }
        Some(Self((chance * CERTAIN as f64) as u64 / hosts))
    }

    /// As a share of one, for people.
    #[must_use]
    #[allow(clippy::cast_precision_loss)]
    pub fn as_fraction(self) -> f64 {
        self.0 as f64 / CERTAIN as f64
    }

    /// What each share holds when it is full, and gets back in a year: together half the chance.
    fn shares(self) -> Shares {
        let half = self.0 / 2;
        let part = |per_10_000: u64| {
            u64::try_from(u128::from(half).saturating_mul(per_10_000.into()) / 10_000).unwrap_or(0)
        };
        // A little over 45 %: 75 single codes of the likeliest values. What is left, 0.5 %, is for triples that aren't paid
        // for: those within ±20 steps, while their share is used up.
        Shares { known: part(4502), unknown: part(4502), pairs: part(896), triples: part(50) }
    }
}

struct Shares {
    known: u64,
    unknown: u64,
    pairs: u64,
    triples: u64,
}

/// Where an answer comes from decides which half of the singles' share pays for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// An origin that logged in successfully in the last 30 days.
    Known,
    /// Anywhere else.
    Unknown,
}

/// What has been used up, in units of 10^-18; kept in the meter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spending {
    /// Single codes from known origins.
    pub known: u64,
    /// Single codes from elsewhere.
    pub unknown: u64,
    /// Pairs.
    pub pairs: u64,
    /// Triples.
    pub triples: u64,
    /// Up to when the refill has been credited; the latest time ever seen. 0: not begun.
    pub credited: UnixTime,
}

impl Spending {
    /// Both halves of the singles' share gone, the others full.
    #[must_use]
    pub fn singles_used_up() -> Self {
        Self { known: u64::MAX, unknown: u64::MAX, ..Self::default() }
    }

    /// Credits what has come back since the last time. A clock that went backward credits nothing, and neither
    /// does the way back to where it was.
    #[must_use]
    #[allow(clippy::arithmetic_side_effects)] // a year is not 0
    pub fn refilled(self, chance: YearlyChance, now: UnixTime) -> Self {
        let elapsed = if self.credited == UnixTime(0) { 0 } else { now.since(self.credited) };
        let left = |spent: u64, full: u64| {
            let credit = u128::from(full).saturating_mul(elapsed.into()) / u128::from(YEAR);
            spent.min(full).saturating_sub(u64::try_from(credit).unwrap_or(u64::MAX))
        };
        let shares = chance.shares();
        Self {
            known: left(self.known, shares.known),
            unknown: left(self.unknown, shares.unknown),
            pairs: left(self.pairs, shares.pairs),
            triples: left(self.triples, shares.triples),
            credited: self.credited.max(now),
        }
    }

    /// Whether the share for `kind` can pay `price` once more.
    #[must_use]
    pub fn can_pay(&self, chance: YearlyChance, kind: Kind, price: Price) -> bool {
        let shares = chance.shares();
        let (spent, full) = match kind {
            Kind::Single(Standing::Known) => (self.known, shares.known),
            Kind::Single(Standing::Unknown) => (self.unknown, shares.unknown),
            Kind::Pair => (self.pairs, shares.pairs),
            Kind::Triple => (self.triples, shares.triples),
        };
        full.saturating_sub(spent) >= price.0
    }

    /// Takes a debit.
    #[must_use]
    pub fn with(mut self, debit: &Debit) -> Self {
        let single = match debit.standing {
            Standing::Known => &mut self.known,
            Standing::Unknown => &mut self.unknown,
        };
        *single = single.saturating_add(debit.single.0);
        self.pairs = self.pairs.saturating_add(debit.pair.0);
        self.triples = self.triples.saturating_add(debit.triple.0);
        self
    }

    /// Gives a debit back: the first one of a dialogue that ends in acceptance.
    #[must_use]
    pub fn without(mut self, debit: &Debit) -> Self {
        let single = match debit.standing {
            Standing::Known => &mut self.known,
            Standing::Unknown => &mut self.unknown,
        };
        *single = single.saturating_sub(debit.single.0);
        self.pairs = self.pairs.saturating_sub(debit.pair.0);
        self.triples = self.triples.saturating_sub(debit.triple.0);
        self
    }
}

/// What can be evaluated, and which share pays for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One code.
    Single(Standing),
    /// Two consecutive codes.
    Pair,
    /// Three consecutive codes.
    Triple,
}

/// A chance of being right, in units of 10^-18, rounded up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Price(u64);

impl Price {
    /// `acceptable` values, for each of `authenticators`, at the chance of the likeliest `codes` codes of `digits` digits:
    /// 31 bits don't divide evenly among them (RFC 4226 section 5.3), and a guesser knows which ones come up more often.
    #[must_use]
    pub fn of(acceptable: u64, digits: Digits, codes: u32, authenticators: usize) -> Self {
        let likeliest = u128::from((1u32 << 31).div_ceil(digits.possible())).saturating_pow(codes);
        let possible = (1u128 << 31).saturating_pow(codes);
        let ways = u128::from(acceptable).saturating_mul(authenticators as u128);
        let price =
            ways.saturating_mul(likeliest).saturating_mul(CERTAIN.into()).div_ceil(possible);
        Self(u64::try_from(price).unwrap_or(u64::MAX))
    }

    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// Nothing at all.
    #[must_use]
    pub fn is_free(self) -> bool {
        self.0 == 0
    }

    /// As a share of one.
    #[must_use]
    #[allow(clippy::cast_precision_loss)]
    pub fn as_fraction(self) -> f64 {
        self.0 as f64 / CERTAIN as f64
    }
}

/// What one evaluation is debited with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Debit {
    /// Which half of the singles' share pays.
    pub standing: Standing,
    /// For the last code.
    pub single: Price,
    /// For the last two.
    pub pair: Price,
    /// For the last three.
    pub triple: Price,
}

impl Debit {
    /// Nothing.
    #[must_use]
    pub fn none(standing: Standing) -> Self {
        Self { standing, single: Price(0), pair: Price(0), triple: Price(0) }
    }

    /// The whole chance this evaluation had.
    #[must_use]
    pub fn total(&self) -> Price {
        self.single.plus(self.pair).plus(self.triple)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CHANCE: YearlyChance = YearlyChance::DEFAULT;
    const START: UnixTime = UnixTime(1_763_000_000);

    fn single() -> Price {
        Price::of(3, Digits::Six, 1, 1)
    }

    fn paid(standing: Standing) -> Debit {
        Debit { single: single(), ..Debit::none(standing) }
    }

    #[test]
    fn prices_are_those_of_the_design() {
        // 3 in 10^6, 40 in 10^12, 5,759 in 10^18: a little more, for the values below 483,648.
        assert_eq!(single().0, 3_000_721_335_412);
        assert_eq!(Price::of(40, Digits::Six, 2, 1).0, 40_019_238);
        assert_eq!(Price::of(5759, Digits::Six, 3, 1).0, 5764);
        assert_eq!(Price::of(5759, Digits::Eight, 3, 4).0, 1); // rounded up, never free
    }

    #[test]
    fn a_price_is_at_least_the_chance_of_the_values_that_come_up_most() {
        // Of the 2^31 values before they are cut to digits, so many end in 0.
        for (digits, ending) in [(Digits::Six, 2148), (Digits::Seven, 215), (Digits::Eight, 22)] {
            let values = (0u64..1 << 31).step_by(digits.possible() as usize).count();
            assert_eq!(values, ending);
            let chance = u128::from(CERTAIN) * 3 * ending as u128 / (1 << 31);
            let price = u128::from(Price::of(3, digits, 1, 1).0);
            assert!((chance..=chance + 1).contains(&price), "{digits:?}");
        }
    }

    #[test]
    fn each_authenticator_of_the_same_length_adds_its_price() {
        assert!(Price::of(3, Digits::Six, 1, 4).0.abs_diff(4 * single().0) < 4); // each rounded up
        assert!(Price::of(3, Digits::Six, 1, 0).is_free());
    }

    #[test]
    fn hosts_that_share_a_secret_share_the_chance() {
        assert_eq!(YearlyChance::new(0.001, 10), Some(YearlyChance(CERTAIN / 10_000)));
    }

    #[test]
    fn each_half_of_the_singles_pays_for_75_codes() {
        for standing in [Standing::Known, Standing::Unknown] {
            let mut spending = Spending::default().refilled(CHANCE, START);
            let mut codes = 0;
            while spending.can_pay(CHANCE, Kind::Single(standing), single()) {
                spending = spending.with(&paid(standing));
                codes += 1;
            }
            assert_eq!(codes, 75);
            let other =
                if standing == Standing::Known { Standing::Unknown } else { Standing::Known };
            assert!(spending.can_pay(CHANCE, Kind::Single(other), single()));
            assert!(spending.can_pay(CHANCE, Kind::Pair, Price::of(40, Digits::Six, 2, 1)));
        }
    }

    #[test]
    fn one_more_code_comes_back_in_117_hours() {
        let spending =
            Spending { unknown: u64::MAX, ..Spending::default() }.refilled(CHANCE, START);
        let kind = Kind::Single(Standing::Unknown);
        let after = |hours: u64| spending.refilled(CHANCE, START.plus(hours * 3600));
        assert!(!after(116).can_pay(CHANCE, kind, single()));
        assert!(after(117).can_pay(CHANCE, kind, single()));
    }

    #[test]
    fn a_clock_that_goes_back_and_forth_credits_nothing_twice() {
        let empty = Spending { known: u64::MAX, ..Spending::default() }.refilled(CHANCE, START);
        let later = START.plus(YEAR / 10);
        let once = empty.refilled(CHANCE, later);
        let again = once.refilled(CHANCE, START).refilled(CHANCE, later);
        assert_eq!(once, again);
    }

    #[test]
    fn used_up_singles_stay_so_until_time_passes() {
        let spending = Spending::singles_used_up().refilled(CHANCE, START);
        assert!(!spending.can_pay(CHANCE, Kind::Single(Standing::Known), single()));
        assert!(!spending.can_pay(CHANCE, Kind::Single(Standing::Unknown), single()));
        assert!(spending.can_pay(CHANCE, Kind::Triple, Price::of(40, Digits::Six, 2, 1)));
    }

    #[test]
    fn chances_out_of_range_are_refused() {
        assert_eq!(YearlyChance::new(0.001, 1), Some(YearlyChance::DEFAULT));
        for (chance, hosts) in [(0.0, 1), (0.5, 1), (f64::NAN, 1), (0.001, 0), (0.001, 1001)] {
            assert_eq!(YearlyChance::new(chance, hosts), None);
        }
    }

    proptest! {
        /// The bound itself: whatever is tried whenever, what was paid stays within a year's chance.
        #[test]
        fn what_is_paid_in_a_year_is_at_most_the_yearly_chance(
            tries in proptest::collection::vec((0u64..YEAR / 50, 0u8..4, 1usize..=4), 1..400),
        ) {
            let mut spending = Spending::default();
            let (mut now, mut paid) = (START, 0u64);
            for (wait, kind, authenticators) in tries {
                now = now.plus(wait);
                if now.since(START) > YEAR { break }
                spending = spending.refilled(CHANCE, now);
                let mut debit = Debit::none(Standing::Unknown);
                let kind = match kind {
                    0 => { debit.single = Price::of(3, Digits::Six, 1, authenticators); Kind::Single(Standing::Unknown) }
                    1 => {
                        debit = Debit { standing: Standing::Known, single: Price::of(3, Digits::Six, 1, authenticators), ..debit };
                        Kind::Single(Standing::Known)
                    }
                    2 => { debit.pair = Price::of(2, Digits::Six, 1, authenticators); Kind::Pair }
                    _ => { debit.triple = Price::of(40, Digits::Six, 2, authenticators); Kind::Triple }
                };
                if spending.can_pay(CHANCE, kind, debit.total()) {
                    spending = spending.with(&debit);
                    paid += debit.total().0;
                }
            }
            prop_assert!(paid <= CHANCE.0, "{paid}");
        }

        #[test]
        fn a_debit_given_back_leaves_no_trace(known in any::<bool>(), spent in 0u64..1_000_000_000_000) {
            let standing = if known { Standing::Known } else { Standing::Unknown };
            let before = Spending { known: spent, unknown: spent, ..Spending::default() };
            prop_assert_eq!(before.with(&paid(standing)).without(&paid(standing)), before);
        }
    }
}
