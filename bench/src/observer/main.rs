//! What an observer learns from how long a refusal takes: who is enrolled, and how, must not be told apart.
//!
//! ```text
//! pam-totp-observe
//! ```
//!
//! Four houses at once, a process with libpam in each. Somebody of each case is tried in every round, in another order
//! each time; what each try took, step by step, is compared with the same step of somebody who is enrolled, by Welch's
//! t: over all tries, and over those that are not among the slowest tenth of both, which are the machine's. Which files are
//! measured `PAM_TOTP_MODULE`, `TOTPD`, `TOTP_ADMIN` and `TOTP_AGENT` say; `PAM_TOTP_ONCE=1` has `totpd --once` decide instead of
//! the daemon, in all houses. `PAM_TOTP_TRIES` says how many tries of each case (20,000). The tables go to standard output, as
//! Markdown.
//!
//! | file | what it does |
//! |---|---|
//! | `cases` | who is tried |
//! | `questions` | what is answered |
//! | `trials` | the tries, and the guess budget between them |
//! | `table` | the comparison |

#![forbid(unsafe_code)]
// As in lib.rs. What is said goes to standard output, what is going on to standard error.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::print_stdout,
    clippy::print_stderr
)]

mod cases;
mod questions;
mod table;
mod trials;

use std::fs;
use std::thread;
use std::time::Instant;

use pam_totp_tests::Decider;
use questions::Question;
use table::{Comparison, Told};

/// Beyond it, two samples are taken as told apart.
const THRESHOLD: f64 = 4.5;

/// Tries of each case.
const TRIES: usize = 20_000;

fn main() {
    let begin = Instant::now();
    let before = load();
    let tries = std::env::var("PAM_TOTP_TRIES").ok().and_then(|text| text.parse().ok());
    let lanes = questions::lanes(tries.unwrap_or(TRIES));
    let comparisons: Vec<Comparison> = thread::scope(|scope| {
        let running: Vec<_> = lanes.iter().map(|lane| scope.spawn(|| asked(lane))).collect();
        running.into_iter().flat_map(|lane| lane.join().expect("a house that stands")).collect()
    });
    let decider = match Decider::usual() {
        Decider::Daemon => "totpd",
        Decider::Once => "totpd --once",
    };
    println!(
        "Decided by `{decider}`. Took {:.0} s. Load {before} before, {} after.\n",
        begin.elapsed().as_secs_f64(),
        load()
    );
    println!("{}\n", Told::of(&comparisons, THRESHOLD));
    for comparison in &comparisons {
        println!("{comparison}");
    }
}

/// One lane's questions, one after the other.
fn asked(lane: &[Question]) -> Vec<Comparison> {
    let ask = |question: &Question| {
        let begin = Instant::now();
        let samples = trials::tried(question);
        eprintln!("{}: {:.0} s", question.title, begin.elapsed().as_secs_f64());
        Comparison { title: question.title, steps: question.steps, samples }
    };
    lane.iter().map(ask).collect()
}

/// How busy the machine is: processes that run or wait to, on average over one, five and fifteen minutes.
fn load() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_ascii_whitespace().take(3).collect::<Vec<_>>().join(" ")
}
