//! The attacker: knows the password and everything in `docs/`, comes from 1,000 addresses, and is as fast as can be: at
//! every moment that counts, all that the budget pays for has just been tried.

use totp_core::answer::Answer;
use totp_core::budget::{Debit, Kind, Price, Standing};
use totp_core::dialogue::login::{End, PROMPT};
use totp_core::evaluate::{Refusal, Verdict};
use totp_core::origin::Origin;
use totp_core::otp::Digits;

use crate::world::{Typed, World};
use crate::{Dice, is_long};

/// What was tried, and what it had of a chance.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Single codes evaluated, from anywhere and from the owner's own network.
    pub singles: [u64; 2],
    /// Pairs evaluated.
    pub pairs: u64,
    /// Triples evaluated.
    pub triples: u64,
    /// All that was debited, in units of 10^-18.
    pub chance: u64,
    /// Dialogues begun and never answered, or left after one answer; answers given twice.
    pub antics: u64,
}

/// An attacker, and what became of it.
pub struct Attacker {
    pub tally: Tally,
    /// Whether some of the addresses lie in a network the owner logs in from.
    pub near: Option<Origin>,
    dice: Dice,
}

impl Attacker {
    pub fn new(near: Option<Origin>, seed: u64) -> Self {
        Self { tally: Tally::default(), near, dice: Dice(seed) }
    }

    fn address(&mut self) -> Origin {
        let [a, b, ..] = self.dice.roll(1000).to_le_bytes();
        Origin::Net4([198, a, b])
    }

    /// A low code: they come up more often (docs/decisions/0020).
    fn guess(&mut self, digits: Digits) -> String {
        let width = usize::from(digits.count());
        let likely = (1u64 << 31) % u64::from(digits.possible());
        format!("{:0width$}", self.dice.roll(likely))
    }

    fn note(&mut self, debit: &Debit, times: u64) {
        let units = |price: Price| (price.as_fraction() * 1e18).round() as u64;
        let standing = usize::from(debit.standing == Standing::Known);
        self.tally.singles[standing] += if debit.single.is_free() { 0 } else { times };
        self.tally.pairs += if debit.pair.is_free() { 0 } else { times };
        self.tally.triples += if debit.triple.is_free() { 0 } else { times };
        self.tally.chance += times * units(debit.total());
    }

    /// Everything that can be paid for, now.
    pub fn spend_all(&mut self, world: &mut World) {
        let stranger = self.address();
        self.singles(world, &stranger);
        if let Some(near) = self.near.clone() {
            self.singles(world, &near);
        }
        self.pairs(world);
        self.triples(world);
    }

    /// Whether something that costs and wins nothing is tried all the same.
    fn insists(&mut self) -> bool {
        is_long() || self.dice.roll(40) == 0
    }

    /// Single codes, in whole dialogues, until none is evaluated any more; of the thousands of longer ones, most in bulk.
    fn singles(&mut self, world: &mut World, origin: &Origin) {
        if world.digits() != Digits::Six {
            let price = Price::of(3, world.digits(), 1, world.authenticators());
            let standing = Self::standing(world, origin);
            let again = Debit { single: price, ..Debit::none(standing) };
            // Some are left for the dialogues.
            let dearest = Price::of(30, world.digits(), 1, world.authenticators());
            self.bulk(world, again, Kind::Single(standing), dearest);
        }
        while self.hopes_for_singles(world, origin) || self.insists() {
            let manner = self.dice.roll(4);
            let first = self.guess(world.digits());
            let second = if manner == 1 { first.clone() } else { self.guess(world.digits()) };
            let mut debits = Vec::new();
            let end = world.log_in(
                origin,
                |_, prompt| match (prompt == PROMPT, manner) {
                    (true, 0) => None,
                    (true, _) => Some(first.clone()),
                    (false, 2) => None,
                    (false, _) => Some(second.clone()),
                },
                |refusal: &Refusal| debits.push(refusal.debit),
            );
            assert_eq!(end, End::Refused, "one year in a thousand, with these dice none");
            assert!(manner != 1 || debits[1].total().is_free(), "the same answer costs nothing");
            self.tally.antics += u64::from(manner < 3);
            let is_open = debits.first().is_none_or(|debit| !debit.single.is_free());
            debits.iter().for_each(|debit| self.note(debit, 1));
            if !is_open {
                return;
            }
        }
    }

    fn standing(world: &World, origin: &Origin) -> Standing {
        let is_known = world.state().knows(origin, world.now);
        if is_known { Standing::Known } else { Standing::Unknown }
    }

    /// Whether the share can pay for one more: also known outside, by arithmetic.
    fn hopes_for_singles(&self, world: &World, origin: &Origin) -> bool {
        let standing = Self::standing(world, origin);
        let price = Price::of(3, world.digits(), 1, world.authenticators());
        let spending = world.view.meter.spending.refilled(world.rules.chance, world.now);
        spending.can_pay(world.rules.chance, Kind::Single(standing), price)
    }

    /// One answer of `codes` codes, evaluated.
    fn one(&mut self, world: &mut World, codes: u64) -> Debit {
        let digits = world.digits();
        let typed: String = (0..codes).map(|_| self.guess(digits)).collect();
        let answers = [Answer::read(typed.as_bytes())];
        let codebook = world.codebook(&answers);
        let origin = self.address();
        let typed = Typed { answers: &answers, first: None, origin: &origin };
        match world.evaluate(&typed, &codebook) {
            Verdict::Refused(refusal) => {
                self.note(&refusal.debit, 1);
                refusal.debit
            }
            Verdict::Accepted(accepted) => panic!("{accepted:?}"),
        }
    }

    /// Pairs: some evaluated, the first and the last ones among them, the others paid for in bulk, as if no half of one ever
    /// matched. (By chance some do, and are dearer: in truth there are fewer.)
    fn pairs(&mut self, world: &mut World) {
        let (digits, n) = (world.digits(), world.authenticators());
        let (price, dearest) = (Price::of(40, digits, 2, n), Price::of(2, digits, 1, n));
        let is_real = self.tally.pairs == 0 || self.insists();
        if is_real {
            let debit = self.one(world, 2);
            assert!(debit.pair >= price || debit.pair.is_free());
        }
        let again = Debit { pair: price, ..Debit::none(Standing::Unknown) };
        self.bulk(world, again, Kind::Pair, dearest);
        if is_real {
            while !self.one(world, 2).pair.is_free() {}
        }
    }

    /// Triples, the same; each takes a day of codes to compute.
    fn triples(&mut self, world: &mut World) {
        let (digits, n) = (world.digits(), world.authenticators());
        let price = Price::of(5759, digits, 3, n);
        let dearest = price.max(Price::of(40, digits, 2, n));
        let is_real = self.tally.triples == 0 || self.dice.roll(2000) == 0;
        if is_real {
            let debit = self.one(world, 3);
            assert!(debit.triple == price || debit.triple.is_free());
        }
        let again = Debit { triple: price, ..Debit::none(Standing::Unknown) };
        self.bulk(world, again, Kind::Triple, dearest);
        if is_real {
            while !self.one(world, 3).triple.is_free() {}
        }
    }

    /// Debits `again` as often as the share pays for a try of that kind.
    fn bulk(&mut self, world: &mut World, again: Debit, kind: Kind, dearest: Price) {
        let chance = world.rules.chance;
        world.view.meter.spending = world.view.meter.spending.refilled(chance, world.now);
        let paid = |times| world.view.meter.spending.with(&multiple(again, times));
        let is_open = |times| paid(times).can_pay(chance, kind, dearest);
        if !is_open(0) {
            return;
        }
        // The most after which one more is paid for, and that one.
        let mut times = 0u64;
        for bit in (0..48).rev() {
            if is_open(times | 1 << bit) {
                times |= 1 << bit;
            }
        }
        times += 1;
        let spending = paid(times);
        world.view.meter.spending = spending;
        self.note(&again, times);
    }
}

/// A debit so many times.
fn multiple(debit: Debit, times: u64) -> Debit {
    Debit {
        single: price_times(debit.single, times),
        pair: price_times(debit.pair, times),
        triple: price_times(debit.triple, times),
        ..Debit::none(debit.standing)
    }
}

fn price_times(price: Price, times: u64) -> Price {
    let (mut sum, mut power) = (Price::default(), price);
    for bit in 0..64 - times.leading_zeros() {
        if times >> bit & 1 == 1 {
            sum = sum.plus(power);
        }
        power = power.plus(power);
    }
    sum
}
