//! The tries: everybody once in each round, in an order by dice that always fall alike.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;

use pam_totp_bench::{Client, Login, Process, Programs, Timing};
use pam_totp_tests::{House, Plan};

use crate::cases::{CONFIG, Case};
use crate::questions::{Question, Typed};

/// Where all tries come from.
pub(crate) const RHOST: &str = "192.0.2.7";

const SERVICE: &str = "observed";

/// What libpam says of a refusal.
const AUTH_ERR: i32 = 7;

/// Rounds until the guess budget is given back: two singles each, of 75.
const ROUNDS: usize = 25;

/// What the steps of one case's tries took, in microseconds.
pub(crate) struct Sample {
    pub(crate) case: Case,
    pub(crate) steps: Vec<Vec<f64>>,
}

/// Has a question answered so often, in a house of its own.
pub(crate) fn tried(question: &Question) -> Vec<Sample> {
    let people = question.cases.iter().filter(|case| case.has_account());
    let people = people.map(|case| case.user().to_string()).collect();
    let config = Some(CONFIG.to_string());
    let house = House::from_plan(&Plan { people, config, ..Plan::default() });
    let programs = Programs::compile(&house);
    let mut client = Client::start(&house, &programs);
    house.stack(SERVICE, &stack(""));
    for case in question.cases {
        case.settle(&house, &mut client, SERVICE);
    }
    house.stack(SERVICE, &stack(question.arguments));
    let mut samples: Vec<Sample> = question
        .cases
        .iter()
        .map(|case| Sample { case: *case, steps: vec![Vec::new(); question.steps.len()] })
        .collect();
    let (mut dice, mut budgets) = (Dice(42), None);
    // One batch more than is kept: before it nothing is in any cache, nor are there the decoys' files.
    for batch in 0..=question.tries.div_ceil(ROUNDS) {
        let tries: Vec<Try> = (0..ROUNDS).flat_map(|_| round(question, &mut dice)).collect();
        let timings = all_tried(&mut client, &tries);
        if batch > 0 {
            for (try_, timing) in tries.iter().zip(timings) {
                keep(&mut samples, try_, &timing);
            }
        }
        house.syslog().clear();
        budgets.get_or_insert_with(|| Budgets::of(&house)).give_back();
    }
    samples
}

fn stack(arguments: &str) -> String {
    format!("auth required pam_totp.so nodelay {arguments}\naccount required pam_permit.so\n")
}

/// One login that is to be made.
struct Try {
    case: Case,
    answers: Vec<String>,
}

/// Everybody once, with the same answers.
fn round(question: &Question, dice: &mut Dice) -> Vec<Try> {
    let answers: Vec<String> = question.answers.iter().map(|typed| dice.answer(*typed)).collect();
    let mut cases = question.cases.to_vec();
    for last in (1..cases.len()).rev() {
        cases.swap(last, dice.roll(last + 1));
    }
    cases.into_iter().map(|case| Try { case, answers: answers.clone() }).collect()
}

fn all_tried(client: &mut Client, tries: &[Try]) -> Vec<Timing> {
    let answers: Vec<Vec<&str>> =
        tries.iter().map(|one| one.answers.iter().map(String::as_str).collect()).collect();
    let logins: Vec<Login<'_>> = tries
        .iter()
        .zip(&answers)
        .map(|(one, answers)| Login {
            service: SERVICE,
            user: one.case.user(),
            rhost: RHOST,
            answers,
        })
        .collect();
    client.logins(Process::Same, &logins)
}

fn keep(samples: &mut [Sample], one: &Try, timing: &Timing) {
    if timing.code != AUTH_ERR {
        return; // three of a million guesses are right
    }
    let sample = samples.iter_mut().find(|sample| sample.case == one.case).unwrap();
    assert_eq!(sample.steps.len(), timing.steps.len(), "{:?}: {:?}", one.case, one.answers);
    for (step, nanoseconds) in sample.steps.iter_mut().zip(&timing.steps) {
        #[allow(clippy::cast_precision_loss)] // nanoseconds of less than a month
        step.push(*nanoseconds as f64 / 1e3);
    }
}

/// What the state files were in the beginning.
struct Budgets(Vec<(PathBuf, Option<Vec<u8>>)>);

impl Budgets {
    fn of(house: &House) -> Self {
        let files = fs::read_dir(house.path("/var/lib/pam-totp/state")).unwrap();
        let file = |entry: std::io::Result<fs::DirEntry>| {
            let entry = entry.unwrap();
            let name = entry.file_name().to_string_lossy().into_owned();
            let stays = name.starts_with('.') || name == Case::UsedUp.user();
            let path = entry.path();
            let bytes = (!stays).then(|| fs::read(&path).unwrap());
            (path, bytes)
        };
        Self(files.map(file).collect())
    }

    /// Overwrites all files, in place: with what they were, or with what they are, so that the same was done to each of
    /// them before the next try.
    fn give_back(&self) {
        for (path, bytes) in &self.0 {
            let bytes = bytes.clone().unwrap_or_else(|| fs::read(path).unwrap());
            let mut file = fs::OpenOptions::new().write(true).open(path).unwrap();
            file.write_all(&bytes).unwrap();
        }
    }
}

/// Small, repeatable and good enough to shuffle with (splitmix64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let below = u64::try_from(below).unwrap();
        usize::try_from((z ^ (z >> 31)) % below).unwrap()
    }

    fn answer(&mut self, typed: Typed) -> String {
        match typed {
            Typed::Text(text) => text.to_string(),
            Typed::Digits(n) => (0..n).map(|_| char::from(b'0' + self.small(10))).collect(),
            Typed::Recovery => {
                let group = |dice: &mut Self| -> String {
                    (0..4).map(|_| char::from(b'A' + dice.small(8))).collect()
                };
                [group(self), group(self), group(self), group(self)].join("-")
            }
        }
    }

    fn small(&mut self, below: usize) -> u8 {
        u8::try_from(self.roll(below)).unwrap()
    }
}
