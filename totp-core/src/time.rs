//! Time as a value: seconds and time steps. Nothing here reads a clock.

use core::fmt;
use core::str::FromStr;

use thiserror::Error;

/// Seconds since 1970-01-01T00:00:00Z, leap seconds not counted. Printed and parsed as RFC 3339, in UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixTime(pub u64);

impl UnixTime {
    /// The last second that RFC 3339 can write: 9999-12-31T23:59:59Z.
    pub const MAX: Self = Self(253_402_300_799);

    /// Seconds from `earlier` to `self`; 0 if `earlier` is not earlier.
    #[must_use]
    pub fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// `seconds` later, no later than [`Self::MAX`].
    #[must_use]
    pub fn plus(self, seconds: u64) -> Self {
        Self(self.0.saturating_add(seconds).min(Self::MAX.0))
    }

    /// As it is printed. A login prints and reads a dozen times, so not by way of the formatting of numbers.
    fn printed(self) -> [u8; 20] {
        let seconds = self.0.min(Self::MAX.0);
        let (year, month, day) = civil(seconds / DAY);
        let (hour, minute, second) = (seconds % DAY / 3600, seconds % 3600 / 60, seconds % 60);
        let mut text = *b"0000-00-00T00:00:00Z";
        let fields = [
            (0..4, year),
            (5..7, month),
            (8..10, day),
            (11..13, hour),
            (14..16, minute),
            (17..19, second),
        ];
        for (place, number) in fields {
            let mut rest = number;
            for digit in text.get_mut(place).unwrap_or_default().iter_mut().rev() {
                *digit = b'0'.saturating_add(u8::try_from(rest % 10).unwrap_or(0));
                rest /= 10;
            }
        }
        text
    }

    /// `seconds` earlier, no earlier than 1970.
    #[must_use]
    pub fn minus(self, seconds: u64) -> Self {
        Self(self.0.saturating_sub(seconds))
    }
}

impl fmt::Display for UnixTime {
    /// `2026-03-12T09:20:00Z`. A time past [`Self::MAX`] is written as that.
    #[allow(clippy::arithmetic_side_effects)] // bounded: at most MAX goes in
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(core::str::from_utf8(&self.printed()).map_err(|_| fmt::Error)?)
    }
}

/// A text that is not a time such as `2026-03-12T09:20:00Z`.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("not a time in UTC such as 2026-03-12T09:20:00Z")]
pub struct TimeError;

impl FromStr for UnixTime {
    type Err = TimeError;

    /// Exactly what `Display` writes: upper-case `T` and `Z`, whole seconds.
    #[allow(clippy::arithmetic_side_effects)] // two- and four-digit fields, checked below
    fn from_str(text: &str) -> Result<Self, TimeError> {
        let field = |from: usize, to: usize| -> Result<u64, TimeError> {
            let digits = text.get(from..to).ok_or(TimeError)?;
            if !digits.bytes().all(|b| b.is_ascii_digit()) {
                return Err(TimeError);
            }
            digits.parse().map_err(|_| TimeError)
        };
        let (year, month, day) = (field(0, 4)?, field(5, 7)?, field(8, 10)?);
        let (hour, minute, second) = (field(11, 13)?, field(14, 16)?, field(17, 19)?);
        if year < 1970 || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
            return Err(TimeError);
        }
        let time =
            Self(days_from_civil(year, month, day) * DAY + hour * 3600 + minute * 60 + second);
        // Whatever was out of range, or punctuated in another way, prints differently.
        if time.printed() == text.as_bytes() { Ok(time) } else { Err(TimeError) }
    }
}

/// Seconds in a day.
pub const DAY: u64 = 86_400;

/// The proleptic Gregorian date of a day since 1970-01-01 (Howard Hinnant, `civil_from_days`).
#[allow(clippy::arithmetic_side_effects)] // days up to the year 9999
fn civil(days: u64) -> (u64, u64, u64) {
    let z = days + 719_468;
    let era = z / 146_097;
    let doe = z % 146_097;
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let day = doy - (153 * mp + 2) / 5 + 1;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    let year = yoe + era * 400 + u64::from(month <= 2);
    (year, month, day)
}

/// Days from 1970-01-01 to a date (`days_from_civil`); `year` >= 1970, `month` in 1..=12.
#[allow(clippy::arithmetic_side_effects)] // fields of at most four digits
fn days_from_civil(year: u64, month: u64, day: u64) -> u64 {
    let y = if month <= 2 { year - 1 } else { year };
    let era = y / 400;
    let yoe = y % 400;
    let mp = if month > 2 { month - 3 } else { month + 9 };
    let doy = (153 * mp + 2) / 5 + day - 1;
    let doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
    era * 146_097 + doe - 719_468
}

/// A day of the calendar, in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Date(u64);

impl Date {
    /// The day, from 1970 to 9999. `None` where there is none such.
    #[must_use]
    pub fn new(year: u64, month: u64, day: u64) -> Option<Self> {
        if !(1970..=9999).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day)
        {
            return None;
        }
        let days = days_from_civil(year, month, day);
        (civil(days) == (year, month, day)).then_some(Self(days))
    }

    /// Year, month and day.
    #[must_use]
    pub fn parts(self) -> (u64, u64, u64) {
        civil(self.0)
    }

    /// The first second after it.
    #[must_use]
    pub fn end(self) -> UnixTime {
        UnixTime(self.0.saturating_add(1).saturating_mul(DAY))
    }

    /// How many days are left of it at `now`, today included; `None` once it is over.
    #[must_use]
    pub fn days_left(self, now: UnixTime) -> Option<u64> {
        let left = self.end().since(now);
        (left > 0).then(|| left.div_ceil(DAY))
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.parts();
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

/// The length of a time step in seconds: X of RFC 6238 section 4.1, from 15 to 120.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Period(u64);

impl Period {
    /// What nearly every app uses, and the default of RFC 6238: 30 seconds.
    pub const DEFAULT: Self = Self(30);

    /// `None` outside 15..=120.
    #[must_use]
    pub fn new(seconds: u64) -> Option<Self> {
        (15..=120).contains(&seconds).then_some(Self(seconds))
    }

    /// In seconds.
    #[must_use]
    pub fn seconds(self) -> u64 {
        self.0
    }

    /// Steps in a day, rounded down.
    #[must_use]
    #[allow(clippy::arithmetic_side_effects)] // a period is never 0
    pub fn steps_a_day(self) -> u64 {
        DAY / self.0
    }

    /// Seconds until the code of `now` changes: 1 to the whole period.
    #[must_use]
    #[allow(clippy::arithmetic_side_effects)] // a period is never 0, a remainder smaller than it
    pub fn seconds_left(self, now: UnixTime) -> u64 {
        self.0 - now.0 % self.0
    }
}

/// A time step: T of RFC 6238 section 4.2, counted from 1970 (T0 = 0).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Step(pub u64);

impl Step {
    /// The step that contains `time`.
    #[must_use]
    #[allow(clippy::arithmetic_side_effects)] // a period is never 0
    pub fn at(time: UnixTime, period: Period) -> Self {
        Self(time.0 / period.0)
    }

    /// The first second of this step.
    #[must_use]
    pub fn start(self, period: Period) -> UnixTime {
        UnixTime(self.0.saturating_mul(period.0)).min(UnixTime::MAX)
    }

    /// `by` steps later (earlier where negative), saturating.
    #[must_use]
    pub fn moved(self, by: i64) -> Self {
        Self(self.0.saturating_add_signed(by))
    }

    /// How many steps `self` is ahead of `other`; saturating.
    #[must_use]
    pub fn ahead_of(self, other: Self) -> i64 {
        let distance = i64::try_from(self.0.abs_diff(other.0)).unwrap_or(i64::MAX);
        if self >= other { distance } else { distance.saturating_neg() }
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn known_days_are_written_as_rfc_3339() {
        assert_eq!(UnixTime(0).to_string(), "1970-01-01T00:00:00Z");
        assert_eq!(UnixTime(951_782_400).to_string(), "2000-02-29T00:00:00Z");
        assert_eq!(UnixTime(1_111_111_109).to_string(), "2005-03-18T01:58:29Z"); // RFC 6238, appendix B
        assert_eq!(UnixTime(20_000_000_000).to_string(), "2603-10-11T11:33:20Z"); // RFC 6238, appendix B
        assert_eq!(UnixTime(u64::MAX).to_string(), "9999-12-31T23:59:59Z");
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "2026-03-12",
            "2026-02-30T00:00:00Z",
            "2026-03-12T24:00:00Z",
            "2026-03-12T09:20:00+00:00",
            "2026-03-12 09:20:00Z",
            "2026-03-12T09:20:00Zx",
            "1969-12-31T23:59:59Z",
            "+026-03-12T09:20:00Z",
        ] {
            assert_eq!(text.parse::<UnixTime>(), Err(TimeError), "{text}");
        }
    }

    #[test]
    fn a_code_lives_from_its_first_second_to_its_last() {
        assert_eq!(Period::DEFAULT.seconds_left(UnixTime(60)), 30);
        assert_eq!(Period::DEFAULT.seconds_left(UnixTime(89)), 1);
    }

    proptest! {
        #[test]
        fn a_printed_time_reads_back(seconds in 0..=UnixTime::MAX.0) {
            prop_assert_eq!(UnixTime(seconds).to_string().parse(), Ok(UnixTime(seconds)));
        }

        #[test]
        fn any_text_is_parsed_without_a_panic(text in ".{0,24}") {
            if let Ok(time) = text.parse::<UnixTime>() {
                prop_assert_eq!(time.to_string(), text);
            }
        }

        #[test]
        fn a_step_holds_its_own_seconds(seconds in 0..=UnixTime::MAX.0, period in 15u64..=120) {
            let period = Period::new(period).unwrap();
            let step = Step::at(UnixTime(seconds), period);
            prop_assert!(step.start(period).0 <= seconds);
            prop_assert!(seconds - step.start(period).0 < period.seconds());
        }
    }

    #[test]
    fn a_day_lasts_until_its_end() {
        let day = Date::new(2027, 1, 31).unwrap();
        assert_eq!(day.to_string(), "2027-01-31");
        let noon = "2027-01-31T12:00:00Z".parse().unwrap();
        assert_eq!(day.days_left(noon), Some(1));
        assert_eq!(day.days_left("2027-01-30T23:59:59Z".parse().unwrap()), Some(2));
        assert_eq!(day.days_left("2027-02-01T00:00:00Z".parse().unwrap()), None);
        assert_eq!(Date::new(2027, 2, 29), None);
    }
}
