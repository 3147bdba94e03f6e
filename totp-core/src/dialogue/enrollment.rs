//! The dialogue of an enrollment: show the key, ask for a current code, and only then switch it on.

use alloc::format;
use alloc::string::{String, ToString};

use zeroize::Zeroizing;

use crate::answer::{Answer, Sequence};
use crate::otp::Totp;
use crate::search::{PAIR_REACH, Span};
use crate::state::{MOST_DRIFT, TotpSpent};
use crate::time::{Step, UnixTime};

/// What to do next.
#[derive(Debug)]
#[must_use]
pub enum Next {
    /// Show QR code and key; in ASCII where asked for.
    Show {
        /// Whether the person asked for a drawing without UTF-8.
        ascii: bool,
    },
    /// Say this; nothing is switched on yet.
    Say(Note),
    /// Ask this and hand the answer to [`Enrollment::reply`].
    Ask(String),
    /// It is over.
    Done(End),
}

/// How an enrollment ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// A current code was entered, and is spent: this is where the authenticator begins.
    Confirmed {
        /// Floor and drift to begin with.
        spent: TotpSpent,
        /// Seconds by which the authenticator's clock is ahead of ours, by steps; 0: the clocks agree.
        ahead: i64,
    },
    /// Too many answers that were not right.
    GivenUp,
}

/// Why a code does not switch it on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Note {
    /// Not a code of this key within a day of now.
    NotThisKey,
    /// Not the right number of digits.
    NotACode {
        /// How many there should be.
        digits: u8,
    },
    /// A code of this key for another time.
    OtherTime {
        /// When it is right.
        at: UnixTime,
        /// What our clock says.
        now: UnixTime,
        /// Whether the next code, too, would do: the difference can be learned.
        near: bool,
    },
}

impl Note {
    /// In words. `clock` writes a time the way the reader's clock shows it.
    #[must_use]
    pub fn text(&self, clock: &dyn Fn(UnixTime) -> String) -> String {
        const OFF: &str = "Nothing is switched on yet.";
        match self {
            Self::NotThisKey => format!("Not this key's code. {OFF}"),
            Self::NotACode { digits } => format!("A code has {digits} digits. {OFF}"),
            Self::OtherTime { at, now, near } => {
                let then = if *near {
                    "Enter the next code as well, or set the clock."
                } else {
                    "Set the clock that is wrong."
                };
                format!("Right for {}; this machine says {}. {then} {OFF}", clock(*at), clock(*now))
            }
        }
    }
}

/// One enrollment's dialogue.
pub struct Enrollment {
    totp: Totp,
    window: u64,
    tries: Option<u8>,
    show: Option<bool>,
    note: Option<Note>,
    before: Option<Answer>,
    end: Option<End>,
}

impl Enrollment {
    /// Begins with showing the key. `tries` answers at most; `None`: until one is right or nobody answers.
    #[must_use]
    pub fn new(totp: &Totp, window: u64, tries: Option<u8>) -> Self {
        let (totp, show) = (totp.duplicate(), Some(false));
        Self { totp, window, tries, show, note: None, before: None, end: None }
    }

    /// What is being enrolled.
    #[must_use]
    pub fn totp(&self) -> &Totp {
        &self.totp
    }

    /// What to do next.
    pub fn next(&mut self, now: UnixTime) -> Next {
        if let Some(ascii) = self.show.take() {
            return Next::Show { ascii };
        }
        if let Some(note) = self.note.take() {
            return Next::Say(note);
        }
        match self.end {
            Some(end) => Next::Done(end),
            None => Next::Ask(self.prompt(now)),
        }
    }

    /// The answer to what [`Next::Ask`] asked.
    pub fn reply(&mut self, typed: &[u8], now: UnixTime) {
        if typed.trim_ascii().eq_ignore_ascii_case(b"ascii") {
            self.show = Some(true);
            return;
        }
        let answer = Answer::read(typed);
        match self.confirmed(&answer, now) {
            Ok(end) => self.end = Some(end),
            Err(note) => {
                self.note = Some(note);
                self.before = Some(answer);
                self.tries = self.tries.map(|tries| tries.saturating_sub(1));
                if self.tries == Some(0) {
                    self.end = Some(End::GivenUp);
                }
            }
        }
    }

    fn prompt(&self, now: UnixTime) -> String {
        match self.totp.period.seconds_left(now) {
            left @ 1..=5 => {
                format!("Code in the app (changes in {left} s, better wait for the next): ")
            }
            left => format!("Code in the app (changes in {left} s): "),
        }
    }

    fn confirmed(&mut self, answer: &Answer, now: UnixTime) -> Result<End, Note> {
        let digits = self.totp.digits;
        let alone = Sequence::of(core::slice::from_ref(answer), digits);
        let Some(code) = alone.last(1) else {
            return Err(Note::NotACode { digits: digits.count() });
        };
        let here = self.totp.step(now);
        if let Some(step) = self.find(code, Span::around(here, self.window)) {
            return Ok(self.end_at(step, here, 0));
        }
        // Two consecutive codes prove a clock that is off by minutes, typed at once or one after the other.
        let near = Span::around(here, PAIR_REACH);
        let pair = match (alone.last(2), self.before.take()) {
            (Some(pair), _) => Some(Zeroizing::new(pair.to_vec())),
            (None, Some(before)) => Sequence::of(core::slice::from_ref(&before), digits)
                .last(1)
                .map(|before| Zeroizing::new([before, code].concat())),
            (None, None) => None,
        };
        if let Some(step) = pair.and_then(|pair| self.find(&pair, near)) {
            return Ok(self.end_at(step, here, step.ahead_of(here)));
        }
        Err(self.diagnosis(code, here, now))
    }

    fn end_at(&self, floor: Step, here: Step, drift: i64) -> End {
        let drift = drift.clamp(MOST_DRIFT.saturating_neg(), MOST_DRIFT);
        let ahead = if drift == 0 { 0 } else { floor.ahead_of(here) };
        let period = i64::try_from(self.totp.period.seconds()).unwrap_or(i64::MAX);
        let spent = TotpSpent { floor, drift, ..TotpSpent::default() };
        End::Confirmed { spent, ahead: ahead.saturating_mul(period) }
    }

    /// For which time within a day a code is right: a whole number of half hours off if there is one (a time zone
    /// set wrong), else the nearest.
    fn diagnosis(&self, code: &[u32], here: Step, now: UnixTime) -> Note {
        let day = Span::around(here, self.totp.period.steps_a_day());
        let codes = self.totp.codes(day.from, day.to);
        let matches = (day.from.0..).zip(codes.iter()).filter(|(_, c)| code == [**c]);
        let best = matches
            .map(|(step, _)| Step(step))
            .min_by_key(|step| (!self.is_zone(*step, here), step.0.abs_diff(here.0)));
        match best {
            None => Note::NotThisKey,
            Some(step) => {
                let ahead = step
                    .ahead_of(here)
                    .saturating_mul(i64::try_from(self.totp.period.seconds()).unwrap_or(i64::MAX));
                let at = UnixTime(now.0.saturating_add_signed(ahead));
                Note::OtherTime { at, now, near: step.0.abs_diff(here.0) < PAIR_REACH }
            }
        }
    }

    fn is_zone(&self, step: Step, here: Step) -> bool {
        let half_hour = 1800u64.checked_div(self.totp.period.seconds()).unwrap_or(1);
        let off = step.0.abs_diff(here.0).checked_rem(half_hour).unwrap_or(0);
        off <= 1 || half_hour.saturating_sub(off) <= 1
    }

    fn find(&self, typed: &[u32], span: Span) -> Option<Step> {
        let codes = self.totp.codes(span.from, span.to);
        let end = u64::try_from(typed.len()).unwrap_or(u64::MAX).saturating_sub(1);
        let at = codes.windows(typed.len().max(1)).rposition(|run| run == typed)?;
        Some(Step(span.from.0.saturating_add(u64::try_from(at).ok()?).saturating_add(end)))
    }
}

/// What is said once it is switched on: whether the clocks agree.
#[must_use]
pub fn clocks(ahead: i64) -> String {
    let seconds = ahead.unsigned_abs();
    let side = if ahead > 0 { "ahead of" } else { "behind" };
    match ahead {
        0 => "the clocks agree".to_string(),
        _ if seconds < 120 => format!("its clock is {seconds} s {side} this machine's (learned)"),
        _ => format!("its clock is {} min {side} this machine's (learned)", seconds / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::otp::{Algorithm, Digits};
    use crate::secret::Secret;
    use crate::time::Period;

    const NOW: UnixTime = UnixTime(1_763_000_010);

    fn totp() -> Totp {
        Totp {
            secret: Secret::fresh(&[3; Secret::FRESH]),
            algorithm: Algorithm::Sha1,
            digits: Digits::Six,
            period: Period::DEFAULT,
        }
    }

    fn code(offset: i64) -> String {
        totp().code_text(totp().step(NOW).moved(offset)).to_string()
    }

    fn utc(time: UnixTime) -> String {
        time.to_string()[11..16].to_string()
    }

    /// Enters answers one after the other; what is said or done at the end.
    fn after(typed: &[&str]) -> Next {
        let totp = totp();
        let mut enrollment = Enrollment::new(&totp, 1, Some(5));
        assert!(matches!(enrollment.next(NOW), Next::Show { ascii: false }));
        for typed in typed {
            while !matches!(enrollment.next(NOW), Next::Ask(_)) {}
            enrollment.reply(typed.as_bytes(), NOW);
        }
        enrollment.next(NOW)
    }

    fn said(typed: &[&str]) -> String {
        match after(typed) {
            Next::Say(note) => note.text(&utc),
            other => panic!("{other:?}"),
        }
    }

    fn confirmed(typed: &[&str]) -> (i64, i64, i64) {
        match after(typed) {
            Next::Done(End::Confirmed { spent, ahead }) => {
                (spent.floor.ahead_of(totp().step(NOW)), spent.drift, ahead)
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_current_code_switches_it_on_and_is_spent() {
        for offset in [-1, 0, 1] {
            assert_eq!(confirmed(&[&code(offset)]), (offset, 0, 0));
        }
    }

    #[test]
    fn a_code_of_another_key_does_not() {
        let wrong = (0..).map(|n| format!("{n:06}")).find(|c| (-3000..3000).all(|o| code(o) != *c));
        assert_eq!(said(&[&wrong.unwrap()]), "Not this key's code. Nothing is switched on yet.");
    }

    #[test]
    fn what_is_no_code_says_how_many_digits_there_are() {
        assert_eq!(said(&["12345"]), "A code has 6 digits. Nothing is switched on yet.");
        assert_eq!(said(&[""]), "A code has 6 digits. Nothing is switched on yet.");
    }

    #[test]
    fn a_code_right_for_another_hour_is_diagnosed() {
        assert_eq!(
            said(&[&code(120)]),
            "Right for 03:13; this machine says 02:13. Set the clock that is wrong. \
             Nothing is switched on yet."
        );
    }

    #[test]
    fn the_next_code_as_well_teaches_a_difference_of_minutes() {
        assert!(said(&[&code(16)]).contains("Enter the next code as well"));
        assert_eq!(confirmed(&[&code(16), &code(17)]), (17, 17, 510));
        assert_eq!(confirmed(&[&(code(-7) + &code(-6))]), (-6, -6, -180));
    }

    #[test]
    fn two_codes_that_do_not_follow_each_other_teach_nothing() {
        assert!(said(&[&code(16), &code(18)]).contains("Right for"));
    }

    #[test]
    fn ascii_draws_it_again_and_costs_no_try() {
        assert!(matches!(after(&["ASCII"]), Next::Show { ascii: true }));
    }

    #[test]
    fn after_the_last_try_it_is_given_up() {
        let totp = totp();
        let mut enrollment = Enrollment::new(&totp, 1, Some(3));
        for _ in 0..3 {
            while !matches!(enrollment.next(NOW), Next::Ask(_)) {}
            enrollment.reply(b"1", NOW);
        }
        assert!(matches!(enrollment.next(NOW), Next::Say(_)));
        assert!(matches!(enrollment.next(NOW), Next::Done(End::GivenUp)));
    }

    #[test]
    fn the_prompt_says_how_long_the_code_lives() {
        let totp = totp();
        let enrollment = Enrollment::new(&totp, 1, None);
        assert_eq!(enrollment.prompt(UnixTime(60)), "Code in the app (changes in 30 s): ");
        assert_eq!(
            enrollment.prompt(UnixTime(86)),
            "Code in the app (changes in 4 s, better wait for the next): "
        );
    }

    #[test]
    fn clocks_that_differ_are_described() {
        assert_eq!(clocks(0), "the clocks agree");
        assert_eq!(clocks(-480), "its clock is 8 min behind this machine's (learned)");
        assert_eq!(clocks(60), "its clock is 60 s ahead of this machine's (learned)");
    }
}
