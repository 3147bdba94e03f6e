//! The only place that asks what time it is. Everywhere else time is a parameter.

use std::fs;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use nix::time::{ClockId, clock_gettime};
use nix::unistd::{SysconfVar, sysconf};
use totp_core::time::UnixTime;

/// What the system's clock says. A clock set before 1970 counts as 1970: no code is right then, which denies.
#[must_use]
#[allow(clippy::disallowed_methods)] // here and nowhere else
pub fn now() -> UnixTime {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    UnixTime(since.map_or(0, |passed| passed.as_secs())).min(UnixTime::MAX)
}

/// A moment that a while is counted from, whatever becomes of the system's clock.
#[derive(Clone, Copy, Debug)]
pub struct Moment(Instant);

impl Moment {
    /// This one.
    #[must_use]
    pub fn now() -> Self {
        Self(Instant::now())
    }

    /// Waits until a whole number of milliseconds has passed since, at least one. Who sees when it is over doesn't see
    /// how long what was done in that time took.
    pub fn wait_for_a_whole_millisecond(self) {
        thread::sleep(rest_of_millisecond(self.0.elapsed()));
    }
}

/// How much longer until a whole number of milliseconds has passed.
fn rest_of_millisecond(passed: Duration) -> Duration {
    const WHOLE: u32 = 1_000_000;
    Duration::from_nanos(u64::from(WHOLE.saturating_sub(passed.subsec_nanos() % WHOLE)))
}

/// How long the machine has been running, suspended or not: a clock that nobody sets.
#[must_use]
pub fn since_boot() -> Duration {
    // Fails only for a clock that the kernel does not have.
    clock_gettime(ClockId::CLOCK_BOOTTIME).map(Duration::from).unwrap_or_default()
}

/// When process 1 started, by today's clock: before that, nothing in `/run` can have been written.
///
/// Counted back from `now` by the age of process 1, so that a clock set since then moves both alike.
/// `None` where `/proc` doesn't tell (then nothing volatile is to be trusted).
#[must_use]
pub fn start_of_process_1(now: UnixTime) -> Option<UnixTime> {
    let stat = fs::read_to_string("/proc/1/stat").ok()?;
    let per_second = u64::try_from(sysconf(SysconfVar::CLK_TCK).ok()??).ok()?;
    let started = start_ticks(&stat)?.checked_div(per_second)?;
    let boot = clock_gettime(ClockId::CLOCK_BOOTTIME).ok()?;
    let age = u64::try_from(boot.tv_sec()).ok()?.saturating_sub(started);
    Some(now.minus(age))
}

/// Field 22 of `/proc/PID/stat` (proc(5)): ticks from boot to the start of the process. The second field, the
/// program's name, may itself hold spaces and parentheses: fields are counted from its last one.
pub(crate) fn start_ticks(stat: &str) -> Option<u64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    after_name.split_ascii_whitespace().nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_took_less_than_a_millisecond_ends_with_it_and_what_took_longer_with_a_later_one() {
        for (passed, rest) in [(0, 1000), (1, 999), (999, 1), (1000, 1000), (2_000_300, 700)] {
            let rest = Duration::from_micros(rest);
            assert_eq!(rest_of_millisecond(Duration::from_micros(passed)), rest, "{passed}");
        }
    }

    #[test]
    fn process_1_started_before_now() {
        let now = now();
        assert!(now > UnixTime(1_700_000_000));
        let start = start_of_process_1(now).unwrap();
        assert!(start <= now && start > UnixTime(1_000_000_000));
    }

    #[test]
    fn a_clock_set_forward_moves_the_start_with_it() {
        let now = now();
        let one = start_of_process_1(now).unwrap();
        let other = start_of_process_1(now.plus(5000)).unwrap();
        assert!((4999..=5001).contains(&other.since(one)));
    }

    #[test]
    fn a_program_name_with_parentheses_shifts_no_field() {
        let fields = (4..=52).map(|n| n.to_string()).collect::<Vec<_>>().join(" ");
        assert_eq!(start_ticks(&format!("1 (a) b (c) S {fields}")), Some(22));
        assert_eq!(start_ticks("1 (init) S 0"), None);
        assert_eq!(start_ticks(""), None);
    }
}
