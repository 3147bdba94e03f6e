//! A day of guessing, through libpam: an attacker who knows the password, in parallel, from 1,000 addresses and as fast as
//! can be, beside the owner's eight logins. The clock is libfaketime's, so totpd decides; what is evaluated and refused is
//! what would be installed. The same at the other modules in use, as their own set-up leaves them.
//!
//! `make test` tries a little at every hour of the day. `make attack` (`PAM_TOTP_ATTACK_SECONDS`) goes on for as many seconds,
//! spread over the day, and prints what `docs/attack.md` says.

use std::fs;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use pam_totp_tests::{Application, House, Pam, Phone, Plan};

use crate::chance::tell;
use crate::clocks::{house_with_clock, set_clock, variables};

/// Noon of a day far away.
const NOON: i64 = 1_900_000_000;
const DAY: i64 = 86_400;
/// In parallel.
const ATTACKERS: u64 = 4;
/// What the meter debits, in 10^-18 (docs/guess-budget.md): one code, two codes, two of which one matched.
const SINGLE: u64 = 3_000_721_335_412;
const PAIR: u64 = 40_019_238;
const HALF: u64 = 2_000_480_890_275;

/// The seconds of a long attack.
fn wanted() -> Option<u64> {
    let seconds = std::env::var("PAM_TOTP_ATTACK_SECONDS").ok()?;
    Some(seconds.parse().expect("a number of seconds"))
}

/// How long the attack is spread over the day, and how often the clock moves meanwhile.
fn pace() -> (Duration, i64) {
    match wanted() {
        Some(seconds) => (Duration::from_secs(seconds), 30),
        None => (Duration::from_secs(4), 3600),
    }
}

/// What the attackers did.
#[derive(Default)]
struct Attack {
    over: AtomicBool,
    dialogues: AtomicU64,
    accepted: AtomicU64,
}

impl Attack {
    /// One attacker: dialogue after dialogue at the service `code`, two different guesses in each.
    fn run(&self, house: &House, number: u64, prompts: u64) {
        let mut application = application(house);
        let mut n = number;
        while !self.over.load(Ordering::Relaxed) {
            n += ATTACKERS;
            // 1,000 networks of 24 bits.
            let from = format!("203.{}.{}.7", n % 1000 / 250, n % 250);
            let mut login = application.login("code", "alice");
            // Codes that come up a little more often, and never the same two.
            let guesses =
                (0..prompts).map(|k| format!("{:06}", (n * 7919 + k * 104_729) % 483_648));
            let outcome = login.from(&from).authenticate(guesses.collect::<Vec<_>>().iter());
            if outcome.code == Pam::Success {
                self.accepted.fetch_add(1, Ordering::Relaxed);
            }
            self.dialogues.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn count(&self) -> u64 {
        self.dialogues.load(Ordering::Relaxed)
    }
}

/// Stops the attackers, also when the owner's part fails.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A day from noon to noon under attack, in which `owner` is called at eight times of it; gives the attack.
fn a_day(house: &House, prompts: u64, mut owner: impl FnMut(i64)) -> Attack {
    let (length, tick) = pace();
    let attack = Attack::default();
    thread::scope(|scope| {
        let over = Over(&attack.over);
        for number in 0..ATTACKERS {
            let attack = &attack;
            scope.spawn(move || attack.run(house, number, prompts));
        }
        let ticks = DAY / tick;
        let began = Instant::now();
        for at in 0..=ticks {
            let now = NOON + at * tick;
            set_clock(house, now);
            // At least something is tried at every tick, however busy the machine.
            let before = attack.count();
            let until = length * u32::try_from(at).unwrap() / u32::try_from(ticks).unwrap();
            while attack.count() < before + 2 * ATTACKERS || began.elapsed() < until {
                thread::sleep(Duration::from_millis(1));
            }
            if at * tick % (DAY / 8) == 0 && at < ticks {
                owner(now);
            }
        }
        drop(over);
    });
    attack
}

/// What the meter of alice says was spent: `known`, `unknown`, `pairs`, `triples`.
fn spent(house: &House) -> [u64; 4] {
    let state = fs::read(house.path("/var/lib/pam-totp/state/alice")).unwrap();
    let text = String::from_utf8_lossy(&state);
    let line = text.lines().find(|line| line.starts_with("spent known ")).expect("a meter");
    let words: Vec<&str> = line.split(' ').collect();
    [2, 4, 6, 8].map(|n| words[n].parse().unwrap())
}

/// What comes back in a year, half of the yearly chance in the shares of docs/guess-budget.md, comes back by the second.
fn refilled(per_10_000: u64) -> u64 {
    let share = u128::from(500_000_000_000_000 / 10_000 * per_10_000);
    u64::try_from(share * u128::from(DAY.unsigned_abs()) / 31_556_952).unwrap()
}

#[test]
fn a_day_of_guessing_gets_what_the_budget_pays_for_and_the_owner_gets_in_eight_times() {
    let house = house_with_clock(&Plan::default(), NOON - 3600);
    let phone = house.enroll("alice");
    let mut home = house.application();
    let mut log_in = |codes: &[String]| {
        let mut login = home.login("code", "alice");
        login.from("198.51.100.7").authenticate(codes.iter()).code
    };
    assert_eq!(log_in(&[phone.at(NOON - 3600)]), Pam::Success, "home is known from now on");
    house.syslog().clear();
    let mut logins = 0;
    let attack = a_day(&house, 2, |now| {
        assert_eq!(log_in(&[phone.at(now)]), Pam::Success, "with one code, at {now}");
        logins += 1;
    });
    assert_eq!((logins, attack.accepted.into_inner()), (8, 0));

    // Two answers a dialogue: the singles' share pays for 75, and for none more before 117 hours; all others are one half
    // of a pair, and pairs are paid for one by one.
    let dialogues = attack.dialogues.into_inner();
    let lines = house.syslog().module_lines();
    let count = |reason: &str| lines.iter().filter(|line| line.contains(reason)).count() as u64;
    let (wrong, budget) = (count("reason=wrong user=alice"), count("reason=budget user=alice"));
    assert_eq!(wrong + budget, 2 * dialogues, "every answer has its line");
    let [known, unknown, pairs, triples] = spent(&house);
    tell(&format!(
        "{dialogues} dialogues in a day; answers evaluated {wrong}, asked for more {budget}; spent: known {known}, \
         unknown {unknown}, pairs {pairs}, triples {triples} in 10^18"
    ));
    assert_eq!((known, triples), (0, 0));
    // The last of the 75 was paid for within the first hour; a day brings back a fifth of one.
    let singles = (unknown + refilled(4502)) as f64 / SINGLE as f64;
    assert!((74.9..75.01).contains(&singles), "{singles} singles were paid for");
    each_dialogue_was_paid_for(pairs, dialogues);
    // Whoever isn't known types two.
    assert_eq!(house.admin_json(&["show", "alice", "--json"])["codes_required"], 2);
}

/// A pair for each dialogue, dearer where by chance a half matched, cheaper by what came back meanwhile.
fn each_dialogue_was_paid_for(pairs: u64, dialogues: u64) {
    let back = refilled(896);
    let halves = (pairs + back + PAIR).saturating_sub(dialogues * PAIR) / (HALF - PAIR);
    let paid = dialogues * PAIR + halves * (HALF - PAIR);
    let context = format!("{pairs} spent by {dialogues} pairs, {halves} of them half right");
    // Never more than was evaluated, never less than that without all that may have come back.
    assert!((paid.saturating_sub(back + PAIR)..=paid).contains(&pairs), "{context}");
    // What was begun since the clock moved last: all but one dialogue of each attacker's.
    assert!(pairs >= ATTACKERS * PAIR, "{context}");
    assert!(halves <= 2 + dialogues / 2_000, "{context}");
    // Half a minute brings back about one pair, and at least four are spent in it: nothing comes back in vain, and the sum is
    // exact. An hour brings back 128, and less may have been spent.
    if wanted().is_some() {
        assert!(paid.abs_diff(pairs + back) <= PAIR, "{context}");
    }
}

/// The other modules decide in the program itself: it reads the clock of the house.
fn application(house: &House) -> Application {
    house.application_with(&variables())
}

/// A key of both notations, for the module that wants hexadecimal.
const HEX: &str = "3132333435363738393031323334353637383930";
const BASE32: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

/// Another module under the same attack.
struct Peer {
    house: House,
    phone: Phone,
    /// Where it keeps the user.
    file: &'static str,
}

impl Peer {
    /// As its own set-up proposes: no code twice, three logins in 30 seconds, three codes right at a time.
    fn google_authenticator() -> Self {
        let house = House::build();
        let file = "/var/lib/google-authenticator";
        let answers = "-t -d -f -r 3 -R 30 -w 3 -C -q -Q NONE -s";
        let mut arguments: Vec<&str> = answers.split(' ').collect();
        arguments.push(file);
        house.run("google-authenticator", &arguments);
        let stack = format!("auth required pam_google_authenticator.so secret={file} user=root\n");
        house.stack("code", &stack);
        let text = fs::read_to_string(house.path(file)).unwrap();
        let phone = Phone::new(text.lines().next().expect("the key is the first line"));
        Self { house, phone, file }
    }

    /// With no settings but where its file lies.
    fn oath() -> Self {
        let house = House::build();
        let file = "/etc/users.oath";
        fs::write(house.path(file), format!("HOTP/T30/6 alice - {HEX}\n")).unwrap();
        house.run("chmod", &["600", file]);
        house.stack("code", &format!("auth required pam_oath.so usersfile={file}\n"));
        Self { house, phone: Phone::new(BASE32), file }
    }

    fn log_in(&self, application: &mut Application, code: &str) -> Pam {
        let mut login = application.login("code", "alice");
        login.from("198.51.100.7").authenticate([code]).code
    }

    /// How many codes are right at a time, each tried on the file as it was.
    fn codes_right_at_a_time(&self) -> usize {
        let place = self.house.path(self.file);
        let before = fs::read(&place).unwrap();
        set_clock(&self.house, NOON);
        let mut application = application(&self.house);
        let is_right = |steps: &i64| {
            self.house.run("chmod", &["600", self.file]);
            fs::write(&place, &before).unwrap();
            let code = self.phone.at(NOON + steps * Phone::PERIOD);
            self.log_in(&mut application, &code) == Pam::Success
        };
        let right = (-12..=12).filter(is_right).count();
        self.house.run("chmod", &["600", self.file]);
        fs::write(&place, before).unwrap();
        right
    }

    /// A day of it: dialogues in all, those that were evaluated by what the log says of them, how many let in, and the
    /// owner's logins that were refused, of eight.
    fn day(&self, wrong: Option<&str>) -> (u64, u64, u64, u32) {
        set_clock(&self.house, NOON - 3600);
        let mut owner = application(&self.house);
        self.house.syslog().clear();
        let mut refused = 0;
        let attack = a_day(&self.house, 1, |now| {
            let code = self.phone.at(now);
            refused += u32::from(self.log_in(&mut owner, &code) != Pam::Success);
        });
        let dialogues = attack.dialogues.into_inner();
        let evaluated = match wrong {
            Some(text) => {
                let lines = self.house.syslog().lines();
                lines.iter().filter(|line| line.contains(text)).count() as u64
            }
            None => dialogues,
        };
        (dialogues, evaluated, attack.accepted.into_inner(), refused)
    }
}

/// How likely one of so many tries is right, each with so many codes of a million.
fn chance(tries: f64, right: usize) -> f64 {
    1.0 - (-tries * right as f64 / 1e6).exp()
}

#[test]
fn where_the_rate_is_limited_for_everybody_three_wrong_codes_keep_the_owner_out() {
    let peer = Peer::google_authenticator();
    set_clock(&peer.house, NOON);
    let mut application = application(&peer.house);
    let right = peer.phone.at(NOON);
    for n in 1..=3 {
        let wrong = format!("{:06}", (right.parse::<u32>().unwrap() + n * 7919) % 1_000_000);
        assert_ne!(peer.log_in(&mut application, &wrong), Pam::Success);
    }
    assert_ne!(peer.log_in(&mut application, &right), Pam::Success);
}

#[test]
fn where_the_rate_is_limited_the_year_is_long_enough_to_guess() {
    let peer = Peer::google_authenticator();
    let right = peer.codes_right_at_a_time();
    let (dialogues, evaluated, accepted, refused) = peer.day(Some("Invalid verification code"));
    let (_, tick) = pace();
    // Computed from what was measured: as many tries in every 30 seconds as at every tick of the clock.
    let a_day = evaluated as f64 / (DAY / tick + 1) as f64 * (DAY / 30) as f64;
    tell(&format!(
        "google-authenticator: {right} codes right at a time; {dialogues} dialogues, {evaluated} evaluated, {accepted} let in; \
         the owner refused {refused} times of 8; computed: {a_day:.0} tries and {:.1} % a day, {:.2} % a year",
        100.0 * chance(a_day, right),
        100.0 * chance(a_day * 365.25, right)
    ));
    assert_eq!(right, 3);
    assert!(evaluated >= 3, "{evaluated} of {dialogues}");
    assert!(chance(a_day * 365.25, right) > 0.99);
}

#[test]
fn a_module_without_a_limit_is_guessed_within_the_hour() {
    let peer = Peer::oath();
    let right = peer.codes_right_at_a_time();
    let began = Instant::now();
    let (dialogues, evaluated, accepted, refused) = peer.day(None);
    let a_second = evaluated as f64 / began.elapsed().as_secs_f64();
    tell(&format!(
        "pam_oath: {right} codes right at a time; {dialogues} dialogues, all evaluated, {accepted} let in, {a_second:.0} a \
         second here; the owner refused {refused} times of 8; computed: {:.1} % an hour, {:.1} % at one try a second for a day",
        100.0 * chance(a_second * 3600.0, right),
        100.0 * chance(86_400.0, right)
    ));
    assert!(right >= 3, "{right}");
    assert_eq!(evaluated, dialogues);
}
