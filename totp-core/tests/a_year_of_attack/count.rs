//! What is accepted is what was priced: by counting every answer that would be let in, and by guessing.

use totp_core::answer::Answer;
use totp_core::budget::{Price, Spending, YearlyChance};
use totp_core::evaluate::Verdict;
use totp_core::origin::Origin;
use totp_core::otp::Digits;
use totp_core::time::Step;

use crate::world::{START, Typed, World, YEAR};
use crate::{Dice, is_long};

const STRANGER: Origin = Origin::Net4([198, 51, 100]);

/// Whether these codes would let in now, from nowhere known.
fn is_right(world: &World, codes: &[u32]) -> bool {
    let width = usize::from(world.digits().count());
    let typed: String = codes.iter().map(|code| format!("{code:0width$}")).collect();
    let answers = [Answer::read(typed.as_bytes())];
    let typed = Typed { answers: &answers, first: None, origin: &STRANGER };
    let (verdict, _) = world.would_be(&typed, &world.codebook(&answers));
    matches!(verdict, Verdict::Accepted(_))
}

fn codes_around(world: &World, n: usize, reach: i64) -> Vec<u32> {
    let now = world.totp(n).step(world.now);
    world.totp(n).codes(now.moved(-reach), now.moved(reach)).to_vec()
}

#[test]
fn of_all_single_codes_as_many_are_right_as_are_priced() {
    for authenticators in [1, 4] {
        let world = World::new(Digits::Six, authenticators, 1, &mut Dice(77));
        let answers = [Answer::read(b"000000")];
        let codebook = world.codebook(&answers);
        // Every single one in the long version; else those shown within two hours, and some others.
        let shown = (0..usize::from(authenticators)).flat_map(|n| codes_around(&world, n, 240));
        let others = (0..1_000_000u32).step_by(if is_long() { 1 } else { 997 });
        let mut tried: Vec<u32> = shown.chain(others).collect();
        tried.sort_unstable();
        tried.dedup();
        let right = tried.iter().filter(|code| {
            let answers = [Answer::read(format!("{code:06}").as_bytes())];
            let typed = Typed { answers: &answers, first: None, origin: &STRANGER };
            matches!(world.would_be(&typed, &codebook).0, Verdict::Accepted(_))
        });
        assert_eq!(right.count(), 3 * usize::from(authenticators));
    }
}

#[test]
fn of_all_pairs_the_40_consecutive_ones_are_right() {
    let mut world = World::new(Digits::Six, 1, 1, &mut Dice(78));
    world.view.meter.spending = Spending::singles_used_up();
    // A pair with a code that isn't shown in these 25 minutes can't be right.
    let shown = codes_around(&world, 0, 25);
    let mut right = Vec::new();
    for (i, a) in shown.iter().enumerate() {
        for (j, b) in shown.iter().enumerate() {
            if is_right(&world, &[*a, *b]) {
                right.push((i, j));
            }
        }
    }
    let consecutive: Vec<_> = (5..45).map(|i| (i, i + 1)).collect();
    assert_eq!(right, consecutive);
}

#[test]
fn of_all_triples_the_5759_consecutive_ones_of_a_day_are_right() {
    let mut world = World::new(Digits::Six, 1, 1, &mut Dice(79));
    let spending = Spending { pairs: u64::MAX, ..Spending::singles_used_up() };
    world.view.meter.spending = spending;
    let shown = codes_around(&world, 0, 2885);
    // All in the long version; else some, and all at both ends.
    let chosen = |i: &usize| is_long() || i.is_multiple_of(211) || !(10..5758).contains(i);
    let right = |i: usize| is_right(&world, &shown[i..i + 3]);
    for i in (0..shown.len() - 2).filter(chosen) {
        assert_eq!(right(i), (5..5764).contains(&i), "{i}");
    }
    // In a row, and in this order.
    assert!(!is_right(&world, &[shown[100], shown[102], shown[103]]));
    assert!(!is_right(&world, &[shown[103], shown[102], shown[101]]));
    // With their share used up, too, within ±20 steps.
    world.view.meter.spending = Spending { triples: u64::MAX, ..spending };
    let centre = 2885;
    for i in centre - 25..centre + 25 {
        let within = (centre - 20..=centre + 18).contains(&i);
        assert_eq!(is_right(&world, &shown[i..i + 3]), within, "{i}");
    }
}

/// One year of single codes after the other, guessed at random. What is left out of it is only what changes nothing:
/// tries that the budget doesn't pay for.
struct Guesses {
    years: u64,
    tries: u64,
    hits: u64,
    /// Sum over all tries of how many values would have been right, in 10^-d.
    counted: u64,
    paid: f64,
}

/// Ten times the chance that is promised by default, the most that can be set: that there is something to hit.
const CHANCE: f64 = 0.01;

/// Guesses in both singles' shares, all there are at once and then at four more times of the year, always when all steps
/// of the window are unused.
fn guess_for(years: u64, digits: Digits, authenticators: u8, dice: &mut Dice) -> Guesses {
    let mut all = Guesses { years, tries: 0, hits: 0, counted: 0, paid: 0.0 };
    let home = Origin::Net4([192, 0, 2]);
    let price = Price::of(3, digits, 1, authenticators.into()).as_fraction();
    for _ in 0..years {
        let mut world = World::new(digits, authenticators, 1, dice);
        world.rules.chance = YearlyChance::new(CHANCE, 1).unwrap();
        let mut paid = 0u64;
        for visit in 0..5u64 {
            world.now = START.plus(visit * YEAR / 4);
            // The owner logs in at home, so that it is known; with two codes, for one may be closed.
            let step = Step::at(world.now, world.totp(0).period);
            let pair = world.code(step.moved(-1)) + &world.code(step);
            let answers = [Answer::read(pair.as_bytes())];
            let typed = Typed { answers: &answers, first: None, origin: &home };
            let codebook = world.codebook(&answers);
            let known = world.evaluate(&typed, &codebook);
            assert!(matches!(known, Verdict::Accepted(_)), "{known:?}");
            world.now = world.now.plus(120);
            for origin in [&STRANGER, &home] {
                paid += guess_all(&mut world, origin, dice, &mut all);
            }
        }
        all.tries += paid;
        all.paid += paid as f64 * price;
    }
    all
}

/// Guesses from `origin` until nothing is evaluated any more; how often it was.
fn guess_all(world: &mut World, origin: &Origin, dice: &mut Dice, all: &mut Guesses) -> u64 {
    let (digits, width) = (world.digits(), usize::from(world.digits().count()));
    let possible = u64::from(digits.possible());
    let answers = [Answer::read("0".repeat(width).as_bytes())];
    let codebook = world.codebook(&answers);
    let mut right: Vec<u32> =
        (0..world.authenticators()).flat_map(|n| codes_around(world, n, 1)).collect();
    right.sort_unstable();
    right.dedup();
    let mut tries = 0;
    loop {
        let guess = dice.roll(possible);
        let answers = [Answer::read(format!("{guess:0width$}").as_bytes())];
        let typed = Typed { answers: &answers, first: None, origin };
        // Whoever is let in goes on guessing all the same: hits are counted, not users.
        let before = world.view.meter.spending;
        let (verdict, writes) = world.would_be(&typed, &codebook);
        match verdict {
            Verdict::Accepted(_) => all.hits += 1,
            Verdict::Refused(refusal) if refusal.debit.single.is_free() => {
                assert!(before.credited > totp_core::time::UnixTime(0));
                return tries;
            }
            Verdict::Refused(_) => {}
        }
        world.view.meter.spending = writes.debit.unwrap().spending;
        all.counted += right.len() as u64;
        tries += 1;
    }
}

#[test]
fn guessing_wins_as_often_as_was_paid_for() {
    let years = if is_long() { 10_000 } else { 200 };
    let mut dice = Dice(2026);
    for (digits, authenticators) in [(Digits::Six, 4), (Digits::Six, 1)] {
        let years = years * u64::from(authenticators) / 4;
        let all = guess_for(years, digits, authenticators, &mut dice);
        let expected = all.counted as f64 / f64::from(digits.possible());
        println!(
            "{digits:?} x {authenticators}: {} years, {} tries evaluated, {} let in; by counting {:.3}, paid {:.3}; \
             a year {:.6} % by guessing, {:.6} % by counting, {:.6} % paid",
            all.years,
            all.tries,
            all.hits,
            expected,
            all.paid,
            100.0 * all.hits as f64 / all.years as f64,
            100.0 * expected / all.years as f64,
            100.0 * all.paid / all.years as f64
        );
        // What was paid is what could be won, to the rounding of the likelier codes; and no more.
        assert!(expected <= all.paid && expected > all.paid * 0.999, "{expected} {}", all.paid);
        assert!(all.paid / all.years as f64 <= CHANCE);
        // Hits are a Poisson number around what counting says: within four deviations, and one.
        let off = (all.hits as f64 - expected).abs();
        assert!(off <= 4.0 * expected.sqrt() + 1.0, "{} of {expected}", all.hits);
    }
}

/// Looked over the owner's shoulder at a code that is never used, while single codes are closed.
#[test]
fn half_of_a_pair_that_was_seen_is_worth_what_it_costs() {
    let mut world = World::new(Digits::Six, 1, 1, &mut Dice(80));
    world.view.meter.spending = Spending::singles_used_up();
    let (mut paid, mut evaluated) = (0.0, 0);
    let mut dice = Dice(4);
    for _ in 0..2000 {
        let seen = world.code(Step::at(world.now, world.totp(0).period));
        let guess = dice.roll(1_000_000);
        let answers = [Answer::read(format!("{seen}{guess:06}").as_bytes())];
        let codebook = world.codebook(&answers);
        let typed = Typed { answers: &answers, first: None, origin: &STRANGER };
        let Verdict::Refused(refusal) = world.evaluate(&typed, &codebook) else {
            panic!("one in a million")
        };
        paid += refusal.debit.pair.as_fraction();
        evaluated += u32::from(!refusal.debit.pair.is_free());
    }
    assert_eq!(evaluated, 22, "then pairs stop being evaluated");
    assert!(paid <= 0.001 * 0.0896 / 2.0, "{paid}");
}
