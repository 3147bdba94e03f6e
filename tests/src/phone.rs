//! A phone: `oathtool`, an implementation of RFC 6238 that shares no line with ours, and codes that are
//! wrong for certain.

use std::process::Command;
use std::time::{Duration, SystemTime};

/// An authenticator app that holds one key of six digits, SHA-1 and 30 seconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Phone {
    secret: String,
}

impl Phone {
    /// Seconds of one code.
    pub const PERIOD: i64 = 30;

    /// A phone that was given `secret`, in base32.
    #[must_use]
    pub fn new(secret: &str) -> Self {
        Self { secret: secret.to_string() }
    }

    /// The key, in base32.
    #[must_use]
    pub fn secret(&self) -> &str {
        &self.secret
    }

    /// The code shown now.
    #[must_use]
    pub fn now(&self) -> String {
        self.in_steps(0)
    }

    /// The code shown `steps` codes from now.
    #[must_use]
    pub fn in_steps(&self, steps: i64) -> String {
        self.at(unix_time() + steps * Self::PERIOD)
    }

    /// The code shown `steps` codes from now and the one after it, as one answer.
    #[must_use]
    pub fn pair_in_steps(&self, steps: i64) -> String {
        self.codes(unix_time() + steps * Self::PERIOD, 1).join(" ")
    }

    /// The code shown at `time`, in seconds since 1970.
    #[must_use]
    pub fn at(&self, time: i64) -> String {
        self.codes(time, 0).remove(0)
    }

    /// A code that is wrong for twenty minutes before and after now; another one for every `nth`.
    #[must_use]
    pub fn wrong(&self, nth: u32) -> String {
        let right = self.codes(unix_time() - 40 * Self::PERIOD, 80);
        let mut candidates =
            (0..=999_999u32).map(|n| format!("{:06}", (n * 7_919 + 424_242) % 1_000_000));
        let mut wrong = candidates.by_ref().filter(|code| !right.contains(code));
        wrong.nth(nth as usize).expect("80 codes of a million are right")
    }

    /// Waits, at most one period, until the code shown now stays for at least `seconds`.
    pub fn wait_for_fresh_code(seconds: i64) {
        let left = Self::PERIOD - unix_time().rem_euclid(Self::PERIOD);
        if left < seconds {
            std::thread::sleep(Duration::from_secs(u64::try_from(left).unwrap()));
        }
    }

    /// The code at `time` and the `further` codes after it.
    #[must_use]
    pub fn codes(&self, time: i64, further: u32) -> Vec<String> {
        let output = Command::new("oathtool")
            .args(["--totp", "--base32", "--window", &further.to_string()])
            .args(["--now", &format!("@{time}"), &self.secret])
            .output()
            .expect("oathtool is needed");
        assert!(output.status.success(), "oathtool: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().lines().map(str::to_string).collect()
    }
}

/// Seconds since 1970.
#[must_use]
pub fn unix_time() -> i64 {
    // The one clock of the harness: the phone's, as far from the project's own as can be.
    #[allow(clippy::disallowed_methods)]
    let now = SystemTime::now();
    i64::try_from(now.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs()).unwrap()
}
