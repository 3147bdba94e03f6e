//! The codes of one enrollment, to be spent one after another: each is good once, and only around its
//! time.

use std::time::SystemTime;

use pam_totp_tests::Phone;

/// Seconds that a login may come after its code was drawn.
const LEEWAY: i64 = 6;

/// How many codes are known beforehand: what a run needs, and half as much again.
const CODES: u32 = 20;

/// One user's codes for one record.
#[derive(Debug, Clone)]
pub struct Purse {
    /// The time step of the first code.
    first: i64,
    codes: Vec<String>,
    /// The last step that was spent.
    spent: Option<i64>,
}

impl Purse {
    /// The codes of this phone, from now on.
    #[must_use]
    pub fn of(phone: &Phone) -> Self {
        let first = step(unix_time()) - 1;
        Self { first, codes: phone.codes(first * Phone::PERIOD, CODES), spent: None }
    }

    /// A code that is good at `now`, in seconds since 1970, and was not spent yet; it is spent with this.
    /// None where another step has to be waited for.
    ///
    /// # Panics
    ///
    /// Where the purse is older than its codes.
    pub fn draw(&mut self, now: i64) -> Option<&str> {
        let step = next_step(now, self.spent)?;
        self.spent = Some(step);
        let nth = usize::try_from(step - self.first).expect("no code from before");
        Some(self.codes.get(nth).expect("more codes were needed than a run takes"))
    }
}

/// The step whose code is to be typed next: at first the one behind, then that of now and the one ahead.
/// Never twice in a row the one behind: that would teach the module that the phone is.
fn next_step(now: i64, spent: Option<i64>) -> Option<i64> {
    let next = match spent {
        None => step(now + LEEWAY) - 1,
        Some(spent) => (spent + 1).max(step(now + LEEWAY)),
    };
    (next <= step(now) + 1).then_some(next)
}

fn step(time: i64) -> i64 {
    time.div_euclid(Phone::PERIOD)
}

/// Seconds since 1970.
#[must_use]
pub fn unix_time() -> i64 {
    // Codes are of the time at which they are typed.
    #[allow(clippy::disallowed_methods)]
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    i64::try_from(now.expect("a clock behind 1970").as_secs()).unwrap()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn three_codes_are_there_at_once() {
        let mut spent = None;
        for step in [99, 100, 101] {
            spent = next_step(3_000, spent);
            assert_eq!(spent, Some(step));
        }
        assert_eq!(next_step(3_000, spent), None);
    }

    #[test]
    fn the_code_behind_is_left_out_shortly_before_it_is_over() {
        assert_eq!(next_step(3_029, None), Some(100));
    }

    proptest! {
        #[test]
        fn a_code_is_good_when_it_is_drawn_and_a_moment_later(now in 0i64..1_000_000, since in 0i64..10) {
            if let Some(step_drawn) = next_step(now, Some(step(now) - since)) {
                for at in [now, now + LEEWAY] {
                    prop_assert!((step_drawn - step(at)).abs() <= 1);
                }
            }
        }

        #[test]
        fn no_code_is_drawn_twice(times in proptest::collection::vec(0i64..40, 1..40)) {
            let (mut now, mut spent) = (1_000, None);
            for pause in times {
                now += pause;
                if let Some(step) = next_step(now, spent) {
                    prop_assert!(spent.is_none_or(|spent| step > spent));
                    spent = Some(step);
                }
            }
        }
    }
}
