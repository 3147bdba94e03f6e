//! Invariants 4 and 5 over simulated years: an attacker who knows the password and never pauses, beside an owner who
//! logs in eight times a day and mistypes twice a week.
//!
//! Real are the settings' defaults, the routing, the dialogue, the evaluation and the budget; simulated are people and
//! time. `docs/attack.md` says what comes out.
//!
//! | file | what it does |
//! |---|---|
//! | `world` | one user of one host in memory, and the clock |
//! | `owner` | logs in, waits for codes, follows what the prompts say |
//! | `attacker` | tries whatever the budget still pays for, and as much of it as there is |
//! | `bound` | what was debited in a year stays within the promise, and the owner gets in |
//! | `count` | what is accepted is what was priced: by counting, and by guessing |
//!
//! Long versions: `make attack`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss
)] // tests, whose figures are printed

mod attacker;
mod bound;
mod count;
mod owner;
mod world;

/// Whether there is time for the long versions.
fn is_long() -> bool {
    std::env::var_os("PAM_TOTP_LONG").is_some()
}

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
}
