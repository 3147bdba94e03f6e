//! Random instants that can be had again: a seed, printed where a test fails, and how much is to be tried.
//!
//! `PAM_TOTP_SEED` gives the seed of an earlier run. `PAM_TOTP_TORTURE=1` (`make torture`) tries as much as the numbers in
//! docs/reliability.md say; without it, as much as fits into `make test`.

use std::collections::hash_map::RandomState;
use std::env;
use std::hash::{BuildHasher as _, Hasher as _};
use std::io::Write as _;
use std::time::{Duration, Instant};

/// How often, shortly and in full.
pub fn rounds(short: usize, full: usize) -> usize {
    if in_full() { full } else { short }
}

/// Whether all is to be tried.
pub fn in_full() -> bool {
    env::var_os("PAM_TOTP_TORTURE").is_some()
}

/// What was seen, with `--nocapture`: the numbers of docs/reliability.md.
#[allow(clippy::print_stdout)]
pub fn tell(seen: &str) {
    println!("{seen}");
}

/// Says what this machine cannot try, past the harness, which keeps for itself what a test that passes prints.
pub fn leave_out(what: &str, because: &str) {
    let said = format!("left out: {what}, because {because}\n");
    std::io::stderr().write_all(said.as_bytes()).unwrap();
}

/// `SplitMix64`: the same numbers for the same seed, on every machine.
#[derive(Debug)]
pub struct Chance {
    seed: u64,
    state: u64,
}

impl Chance {
    /// The seed of the environment, else a new one.
    pub fn new() -> Self {
        let given = env::var("PAM_TOTP_SEED").ok().map(|seed| seed.parse().expect("a number"));
        // Its keys are random.
        let seed = given.unwrap_or_else(|| RandomState::new().build_hasher().finish());
        Self { seed, state: seed }
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.state ^ (self.state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(end).unwrap()).unwrap()
    }

    /// True once in `times`.
    pub fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    /// A moment from now to `longest` later.
    pub fn moment(&mut self, longest: Duration) -> Moment {
        let micros = self.below(usize::try_from(longest.as_micros()).unwrap() + 1);
        Moment(Duration::from_micros(u64::try_from(micros).unwrap()))
    }
}

impl Drop for Chance {
    fn drop(&mut self) {
        if std::thread::panicking() {
            #[allow(clippy::print_stderr)] // beside the failing test's own message
            {
                eprintln!("--- the same instants again: PAM_TOTP_SEED={}", self.seed);
            }
        }
    }
}

/// How long from now.
#[derive(Debug, Clone, Copy)]
pub struct Moment(Duration);

impl Moment {
    /// Waits for it: not for luck, the moments are what is tried. Sleeping is too coarse for the last part.
    pub fn wait(self) {
        let until = Instant::now() + self.0;
        if let Some(most) = self.0.checked_sub(Duration::from_millis(2)) {
            std::thread::sleep(most);
        }
        while Instant::now() < until {
            std::hint::spin_loop();
        }
    }
}
