//! What was debited in a year stays within the promise, and the owner gets in at every login.

use totp_core::answer::Answer;
use totp_core::budget::Spending;
use totp_core::evaluate::Verdict;
use totp_core::origin::Origin;
use totp_core::otp::Digits;

use crate::attacker::{Attacker, Tally};
use crate::owner::{self, Entrance};
use crate::world::{START, Typed, World, YEAR};
use crate::{Dice, is_long};

const HOME: Origin = Origin::Net4([192, 0, 2]);
const OFFICE: Origin = Origin::Net4([192, 0, 3]);
const KEY: Origin = Origin::Key([7; 32]);

/// Eight times a day; 56 times a week.
const LOGINS: u64 = YEAR / 10_800;

/// Who attacks whom.
struct Setting {
    digits: Digits,
    authenticators: u8,
    hosts: u64,
    near: Option<Origin>,
    from: fn(u64) -> Origin,
}

const USUAL: Setting =
    Setting { digits: Digits::Six, authenticators: 1, hosts: 1, near: None, from: |_| HOME };

/// What a year came to.
#[derive(Debug, Default)]
struct Year {
    tally: Tally,
    /// Logins with one code, two and three.
    codes: [u32; 3],
    /// Logins that took a second dialogue.
    twice: u32,
    /// Seconds for logins with one code, two and three.
    seconds: [u64; 3],
}

impl Year {
    fn note(&mut self, entrance: &Entrance) {
        self.codes[entrance.codes - 1] += 1;
        self.seconds[entrance.codes - 1] += entrance.seconds;
        self.twice += u32::from(entrance.dialogues == 2);
    }

    fn seconds_for(&self, codes: usize) -> f64 {
        self.seconds[codes - 1] as f64 / f64::from(self.codes[codes - 1].max(1))
    }
}

/// A year in which every answer of the owner meets a budget that has just been spent.
fn a_year(setting: &Setting) -> Year {
    a_year_with(setting, 1)
}

/// The same with every so manieth login alone: what comes back meanwhile is spent at the next one. Three codes take a day
/// of codes to compute, and where they are always asked for there is no time for all logins.
fn a_shorter_year(setting: &Setting) -> Year {
    a_year_with(setting, if is_long() { 1 } else { 73 })
}

fn a_year_with(setting: &Setting, every: usize) -> Year {
    let mut world =
        World::new(setting.digits, setting.authenticators, setting.hosts, &mut Dice(11));
    let mut attacker = Attacker::new(setting.near.clone(), 42);
    let mut year = Year::default();
    for login in (0..LOGINS).step_by(every) {
        // Not always at the same second of a step.
        world.now = START.plus(login * 10_800 + login * 7 % 30);
        let mistyped = login % 28 == 5;
        let origin = (setting.from)(login);
        let entrance =
            owner::log_in(&mut world, &origin, mistyped, |world| attacker.spend_all(world));
        year.note(&entrance);
        if login % 28 == 0 {
            world.through_the_disk();
        }
    }
    world.now = START.plus(YEAR);
    attacker.spend_all(&mut world);
    year.tally = attacker.tally;
    year
}

/// Debited, and what triples had of a chance that nobody pays for, at a thousand tries a second on all hosts together.
fn chance(year: &Year, setting: &Setting) -> f64 {
    let unpaid = 39.0 * (1.0 + 0.0003f64).powi(3) * 1e-18 * f64::from(setting.authenticators);
    let tries = 1000.0 * YEAR as f64 / setting.hosts as f64;
    year.tally.chance as f64 * 1e-18 + unpaid * tries
}

fn show(what: &str, year: &Year, chance: f64) {
    let extra = [2, 3].map(|codes| year.seconds_for(codes) - year.seconds_for(1));
    println!(
        "{what}: chance {:.6} %; {:?}; logins with 1, 2, 3 codes {:?}, {} in a second dialogue; \
         seconds more for 2 codes {:.0}, for 3 {:.0}",
        chance * 100.0,
        year.tally,
        year.codes,
        year.twice,
        extra[0],
        extra[1]
    );
}

#[test]
fn a_year_without_pause_has_at_most_the_promised_chance_whatever_the_user_has() {
    for (digits, authenticators, hosts) in [
        (Digits::Six, 4, 1),
        (Digits::Seven, 2, 1),
        (Digits::Eight, 4, 1),
        (Digits::Six, 1, 10),
        (Digits::Six, 2, 200),
    ] {
        let setting = Setting { digits, authenticators, hosts, near: Some(HOME), ..USUAL };
        let year = a_shorter_year(&setting);
        let chance = chance(&year, &setting);
        show(&format!("{digits:?} x {authenticators}, {hosts} hosts, nearby"), &year, chance);
        let promised = 0.001 / hosts as f64;
        assert!(chance <= promised, "{chance} > {promised}");
        assert!(hosts == 200 || chance > promised * 0.9, "all that there is is spent: {chance}");
        assert!(year.codes[2] > 0, "and the owner is let in: {:?}", year.codes);
    }
}

#[test]
fn strangers_cost_the_owner_at_home_nothing() {
    let year = a_year(&USUAL);
    show("strangers, owner at home", &year, chance(&year, &USUAL));
    // All but the very first, when no place was known yet.
    assert_eq!((year.codes, year.twice), ([LOGINS as u32 - 1, 0, 1], 1));
    // 75 at once and 75 that came back.
    assert_eq!(year.tally.singles, [150, 0]);
}

#[test]
fn strangers_cost_an_owner_on_the_road_three_codes_at_every_new_place() {
    // At home and at work, and once a week somewhere new.
    let from = |login| match login % 56 {
        55 => Origin::Net4([203, (login / 56) as u8, 7]),
        n if n % 2 == 0 => HOME,
        _ => OFFICE,
    };
    let year = a_year(&Setting { from, ..USUAL });
    show("strangers, owner on the road", &year, chance(&year, &USUAL));
    let places = LOGINS as u32 / 56;
    // The very first logins at home and at work, too.
    assert_eq!(year.codes[1] + year.codes[2], places + 2);
    assert_eq!(year.codes[1], 0, "pairs are spent the moment they come back");
}

#[test]
fn an_attacker_in_the_owners_own_network_costs_three_codes_each_time_and_never_more() {
    let near = Some(HOME);
    let year = a_shorter_year(&Setting { near, ..USUAL });
    show("nearby", &year, chance(&year, &USUAL));
    assert_eq!(year.codes[..2], [0, 0], "whatever comes back is spent");
    assert!(year.seconds_for(3) < 120.0, "sshd gives 120 seconds for a login");
}

#[test]
fn an_ssh_key_is_a_place_that_no_attacker_is_at() {
    let year = a_year(&Setting { near: Some(HOME), from: |_| KEY, ..USUAL });
    show("nearby, owner with a key", &year, chance(&year, &USUAL));
    assert_eq!((year.codes, year.twice), ([LOGINS as u32 - 1, 0, 1], 1));
}

#[test]
fn without_an_attack_one_code_is_enough_wherever_the_owner_is() {
    let mut world = World::new(Digits::Six, 3, 1, &mut Dice(3));
    let (mut year, mut dice) = (Year::default(), Dice(3));
    for login in 0..LOGINS {
        world.now = START.plus(login * 10_800);
        let [a, b, ..] = dice.roll(1000).to_le_bytes();
        let origin = Origin::Net4([198, a, b]);
        year.note(&owner::log_in(&mut world, &origin, login % 28 == 5, |_| {}));
    }
    assert_eq!(year.codes[0], LOGINS as u32);
    assert!(world.view.meter.told.is_none());
}

/// Bulk is what makes a year short: it must be what so many evaluations are.
#[test]
fn pairs_paid_for_in_bulk_are_as_many_and_as_dear_as_pairs_evaluated_one_by_one() {
    // All of the pairs of a whole host, or of one of many.
    let hosts = if is_long() { 1 } else { 20 };
    let mut world = World::new(Digits::Six, 1, hosts, &mut Dice(5));
    let mut bulk = World::new(Digits::Six, 1, hosts, &mut Dice(5));
    for world in [&mut world, &mut bulk] {
        world.view.meter.spending = Spending::singles_used_up();
    }
    let mut attacker = Attacker::new(None, 1);
    attacker.spend_all(&mut bulk);

    let shown = world
        .totp(0)
        .codes(world.totp(0).step(world.now).moved(-21), world.totp(0).step(world.now).moved(21));
    let origin = Origin::Net4([198, 51, 100]);
    let zeros = [Answer::read(b"000000000000")];
    let codebook = world.codebook(&zeros);
    let (mut dice, mut evaluated) = (Dice(9), 0);
    loop {
        // No half ever matches, as in bulk.
        let mut guess =
            || (0..).map(|_| dice.roll(1_000_000)).find(|g| !shown.contains(&(*g as u32)));
        let typed = format!("{:06}{:06}", guess().unwrap(), guess().unwrap());
        let answers = [Answer::read(typed.as_bytes())];
        let typed = Typed { answers: &answers, first: None, origin: &origin };
        let Verdict::Refused(refusal) = world.evaluate(&typed, &codebook) else { panic!("let in") };
        if refusal.debit.pair.is_free() {
            break;
        }
        evaluated += 1;
    }
    assert_eq!(evaluated, attacker.tally.pairs);
    assert_eq!(world.view.meter.spending.pairs, bulk.view.meter.spending.pairs);
    assert_eq!(evaluated, if hosts == 1 { 1_069_474 } else { 5_986 });
}
