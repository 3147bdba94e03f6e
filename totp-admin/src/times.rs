//! Times as people write and read them: "2 h ago", local time, `--since 2d`. What machines read is RFC 3339 in
//! UTC, `UnixTime`'s own `Display`.

use anyhow::{Result, anyhow};
use jiff::civil;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, Zoned};
use totp_core::time::{DAY, UnixTime};

use crate::ui::Usage;

const MINUTE: u64 = 60;
const HOUR: u64 = 3600;

/// This machine's time zone.
pub fn zone() -> TimeZone {
    TimeZone::system()
}

/// `2026-03-12 09:20`, in `zone`.
pub fn local(time: UnixTime, zone: &TimeZone) -> String {
    formatted(time, zone, "%Y-%m-%d %H:%M")
}

/// `2026-03-12`, in `zone`.
pub fn date(time: UnixTime, zone: &TimeZone) -> String {
    formatted(time, zone, "%Y-%m-%d")
}

/// `09:20`, in `zone`; with the date in front where it is another one than `now`'s.
pub fn clock(time: UnixTime, now: UnixTime, zone: &TimeZone) -> String {
    let same_day = date(time, zone) == date(now, zone);
    formatted(time, zone, if same_day { "%H:%M" } else { "%Y-%m-%d %H:%M" })
}

fn formatted(time: UnixTime, zone: &TimeZone, format: &str) -> String {
    // Past the year 9999 there is no civil time to show: what it is in UTC will do.
    zoned(time, zone).map_or_else(|_| time.to_string(), |at| at.strftime(format).to_string())
}

/// How long ago: `just now`, `12 min ago`, `2 h ago`, `3 d ago`, and after 30 days the date.
pub fn ago(time: UnixTime, now: UnixTime, zone: &TimeZone) -> String {
    if time > now {
        return format!("in {}", span(time.since(now)));
    }
    match now.since(time) {
        seconds if seconds < MINUTE => "just now".to_owned(),
        seconds if seconds < 30 * DAY => format!("{} ago", span(seconds)),
        _ => date(time, zone),
    }
}

/// A length of time in its largest unit: `45 s`, `12 min`, `2 h`, `3 d`.
pub fn span(seconds: u64) -> String {
    // The divisors are constants and not zero.
    let whole = |unit: u64| seconds.checked_div(unit).unwrap_or(0);
    match seconds {
        s if s < MINUTE => format!("{s} s"),
        s if s < HOUR => format!("{} min", whole(MINUTE)),
        s if s < 2 * DAY => format!("{} h", whole(HOUR)),
        _ => format!("{} d", whole(DAY)),
    }
}

/// So many seconds from `now`: `12:34 (in 2 h)`.
pub fn when(seconds: u64, now: UnixTime, zone: &TimeZone) -> String {
    // A full minute, and not before it: the clock is shown without seconds.
    let at = now.plus(seconds.saturating_add(MINUTE.saturating_sub(1)));
    format!("{} (in {})", clock(at, now, zone), span(seconds))
}

/// What `--since` means: a time (RFC 3339), a date or local time, or a span back from `now` such as `2d`.
pub fn since(text: &str, now: UnixTime, zone: &TimeZone) -> Result<UnixTime> {
    let text = text.trim();
    let found = text
        .parse::<Timestamp>()
        .ok()
        .or_else(|| {
            text.parse::<civil::DateTime>().ok()?.to_zoned(zone.clone()).ok()?.timestamp().into()
        })
        .or_else(|| back(text, &zoned(now, zone).ok()?).map(|at| at.timestamp()));
    // Before 1970 there is nothing to find.
    found.map(|at| UnixTime(u64::try_from(at.as_second()).unwrap_or(0))).ok_or_else(|| {
        anyhow!(Usage(format!(
            "--since {text}: not a time such as 2026-03-12T09:20:00Z, 2026-03-12, 2d or \"2 days ago\""
        )))
    })
}

/// A length of time that an option gives, in seconds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Seconds(pub u64);

/// What `--within` means: how long an enrollment is open.
pub fn within(text: &str) -> Result<Seconds, String> {
    let five_minutes = MINUTE.saturating_mul(5);
    length(text, five_minutes, DAY.saturating_mul(90), "5 minutes to 90 days")
}

/// What `--for` means: how long a bypass code is good.
pub fn bypass(text: &str) -> Result<Seconds, String> {
    length(text, MINUTE, DAY.saturating_mul(7), "1 minute to 7 days")
}

/// A whole number of minutes, hours or days, from `least` to `most`, which are `both` in words.
fn length(text: &str, least: u64, most: u64, both: &str) -> Result<Seconds, String> {
    let read = || {
        let unit = match text.chars().last()? {
            'm' => MINUTE,
            'h' => HOUR,
            'd' => DAY,
            _ => return None,
        };
        let number = text.get(..text.len().checked_sub(1)?)?;
        let number = Some(number).filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()))?;
        number.parse::<u64>().ok()?.checked_mul(unit)
    };
    let seconds = read().ok_or("not a length of time such as 30m, 8h or 7d")?;
    if (least..=most).contains(&seconds) {
        Ok(Seconds(seconds))
    } else {
        Err(format!("it can be {both}"))
    }
}

fn back(text: &str, now: &Zoned) -> Option<Zoned> {
    let span: Span = text.strip_suffix("ago").unwrap_or(text).trim_end().parse().ok()?;
    if span.is_negative() {
        return None;
    }
    now.checked_sub(span).ok()
}

fn zoned(time: UnixTime, zone: &TimeZone) -> Result<Zoned> {
    Ok(Timestamp::from_second(i64::try_from(time.0)?)?.to_zoned(zone.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-03-12 09:20:10 in UTC.
    const NOW: UnixTime = UnixTime(1_773_307_210);

    fn berlin() -> TimeZone {
        TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap()
    }

    #[test]
    fn times_are_shown_in_the_local_zone() {
        assert_eq!(local(NOW, &TimeZone::UTC), "2026-03-12 09:20");
        assert_eq!(local(NOW, &berlin()), "2026-03-12 10:20");
        assert_eq!(clock(NOW.minus(600), NOW, &berlin()), "10:10");
        assert_eq!(clock(NOW.minus(DAY), NOW, &berlin()), "2026-03-11 10:20");
        assert_eq!(local(UnixTime(u64::MAX), &berlin()), "9999-12-31T23:59:59Z");
    }

    #[test]
    fn how_long_ago_is_said_in_one_unit() {
        let ago = |seconds| ago(NOW.minus(seconds), NOW, &TimeZone::UTC);
        assert_eq!(ago(0), "just now");
        assert_eq!(ago(59), "just now");
        assert_eq!(ago(60), "1 min ago");
        assert_eq!(ago(2 * HOUR + 59 * MINUTE), "2 h ago");
        assert_eq!(ago(47 * HOUR), "47 h ago");
        assert_eq!(ago(3 * DAY), "3 d ago");
        assert_eq!(ago(40 * DAY), "2026-01-31");
        assert_eq!(super::ago(NOW.plus(90), NOW, &TimeZone::UTC), "in 1 min");
    }

    #[test]
    fn what_is_to_come_is_said_with_its_time_and_not_too_early() {
        assert_eq!(when(2 * HOUR, NOW, &TimeZone::UTC), "11:21 (in 2 h)");
        assert_eq!(when(50, NOW, &TimeZone::UTC), "09:21 (in 50 s)");
    }

    #[test]
    fn since_is_a_time_a_date_or_a_span() {
        let at = |text| since(text, NOW, &berlin()).unwrap().to_string();
        assert_eq!(at("2026-03-12T09:20:00Z"), "2026-03-12T09:20:00Z");
        assert_eq!(at("2026-03-12T09:20:00+02:00"), "2026-03-12T07:20:00Z");
        assert_eq!(at("2026-03-12"), "2026-03-11T23:00:00Z");
        assert_eq!(at("2026-03-12 09:20"), "2026-03-12T08:20:00Z");
        assert_eq!(at("2d"), "2026-03-10T09:20:10Z");
        assert_eq!(at("90m"), "2026-03-12T07:50:10Z");
        assert_eq!(at("1w 2h"), "2026-03-05T07:20:10Z");
        for same in ["2 days", "2 days ago", "2d ago", "48h"] {
            assert_eq!(at(same), "2026-03-10T09:20:10Z", "{same}");
        }
    }

    #[test]
    fn lengths_of_time_are_minutes_hours_or_days_within_their_bounds() {
        assert_eq!(within("5m"), Ok(Seconds(300)));
        assert_eq!(within("8h"), Ok(Seconds(28_800)));
        assert_eq!(within("90d"), Ok(Seconds(7_776_000)));
        assert_eq!(bypass("1m"), Ok(Seconds(60)));
        assert_eq!(within("91d"), Err("it can be 5 minutes to 90 days".to_owned()));
        assert_eq!(bypass("8d"), Err("it can be 1 minute to 7 days".to_owned()));
        for text in
            ["", "m", "7", "-7d", "+7d", "7 d", "7w", "1.5h", "d7", "99999999999999999d", "7é"]
        {
            let none = "not a length of time such as 30m, 8h or 7d".to_owned();
            assert_eq!(within(text), Err(none), "{text}");
        }
    }

    #[test]
    fn a_since_that_is_none_is_wrong_usage() {
        for text in [
            "",
            "yesterday",
            "ago",
            "-2d",
            "-2d ago",
            "in 2 days",
            "2 fortnights",
            "2026-13-01",
            "12",
        ] {
            let error = since(text, NOW, &berlin()).unwrap_err();
            assert!(error.is::<Usage>(), "{text}");
        }
    }
}
