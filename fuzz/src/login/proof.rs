//! The second computation: whether what was accepted is valid, by the document alone (docs/guess-budget.md, DESIGN's words)
//! and totp-rs's codes, without any of the product's own searching.

use std::collections::{BTreeMap, BTreeSet};

use totp_core::evaluate::{By, Rules};
use totp_core::name::AuthenticatorName;
use totp_core::otp::{Algorithm, Totp};
use totp_core::record::Authenticator;
use totp_core::store::Found;
use totp_core::time::UnixTime;

use super::person::Person;

/// What is known of a person's authenticators besides what the product keeps.
#[derive(Default)]
pub(super) struct Proof {
    /// Steps up to this one are spent.
    floors: BTreeMap<AuthenticatorName, u64>,
    /// One-time codes that let somebody in.
    used: BTreeSet<String>,
    /// How often an enrollment code did.
    opened: u32,
}

impl Proof {
    pub(super) fn of(person: &Person, rules: &Rules, now: UnixTime) -> Self {
        let mut proof = Self::default();
        for one in person.authenticators() {
            let totp = one.kind.totp();
            let mut floor = match person.state() {
                Some(state) => state.spent(&one.name).map_or(0, |spent| spent.totp().floor.0),
                // Begun anew: everything up to now is spent, with the window.
                None => now.0 / totp.period.seconds() + rules.window,
            };
            if let Some(volatile) = person.view.volatile {
                let drift = drift(person, one).max(0).unsigned_abs();
                let since = volatile.since.0 / totp.period.seconds() + drift + rules.window;
                floor = floor.max(since); // a restart has forgotten what was accepted before
            }
            proof.floors.insert(one.name.clone(), floor);
        }
        if person.state_is_lost() {
            proof.used.extend(person.codes.iter().map(|code| letters(code)));
        }
        proof
    }

    /// Panics unless what was accepted is valid now; it is spent from here on.
    pub(super) fn is_valid(
        &mut self,
        person: &Person,
        by: &By,
        typed: &[String],
        now: UnixTime,
        rules: &Rules,
    ) {
        let last = typed.last().expect("an answer");
        let code = letters(last);
        match by {
            By::Totp { authenticator, codes, .. } => {
                let all = person.authenticators();
                let one = all.iter().find(|one| one.name == *authenticator).expect("one of theirs");
                let step = self.step_of(person, one, *codes, typed, now, rules);
                let step =
                    step.unwrap_or_else(|| panic!("{typed:?} is no valid code of {authenticator}"));
                self.floors.insert(one.name.clone(), step);
                return;
            }
            By::Recovery { .. } | By::Bypass => {
                let record = person.record().expect("enrolled");
                let known = person.codes.iter().position(|known| letters(known) == code);
                let at = known.unwrap_or_else(|| panic!("{last:?} is no code of theirs"));
                let recovery = record.recovery.as_ref().map_or(0, |recovery| recovery.codes.len());
                assert_eq!(at < recovery, matches!(by, By::Recovery { .. }));
                let in_time = record.bypass.as_ref().is_some_and(|bypass| now < bypass.until);
                assert!(at < recovery || in_time, "a bypass code has an end");
                assert!(self.used.insert(code), "{last:?} was used before");
            }
            By::Enrollment => {
                let Found::Pending(opening) = &person.view.found else { panic!("not pending") };
                assert!(person.codes.iter().any(|known| letters(known) == code));
                assert!(now < opening.pending.until, "an open enrollment has an end");
                self.opened += 1;
                assert!(self.opened <= 3, "an enrollment code is good three times");
            }
            By::Text => panic!("no text message was sent"),
        }
        assert!(person.view.volatile.is_none(), "good once, and a restart would forget it");
    }

    /// The last step at which the last `n` codes are those of consecutive steps in the documented window, all of them above
    /// the floor.
    fn step_of(
        &self,
        person: &Person,
        one: &Authenticator,
        n: usize,
        typed: &[String],
        now: UnixTime,
        rules: &Rules,
    ) -> Option<u64> {
        let totp = one.kind.totp();
        let sequence = sequence(typed, usize::from(totp.digits.count()));
        let codes = &sequence[sequence.len().checked_sub(n)?..];
        let step = now.0 / totp.period.seconds();
        let (centre, reach) = match n {
            1 => (step.saturating_add_signed(drift(person, one)), rules.window),
            2 => (step, 20),
            3 => (step, 86_400 / totp.period.seconds()),
            _ => return None,
        };
        let floor = self.floors[&one.name];
        let lowest = centre.saturating_sub(reach).max(floor + 1);
        let generator = generator(totp);
        let code = |step: u64| generator.generate(step * totp.period.seconds()).to_string();
        let further = n as u64 - 1;
        (lowest..=(centre + reach).saturating_sub(further)).rev().find_map(|first| {
            let fits = |(code_typed, step): (&String, u64)| *code_typed == code(step);
            codes.iter().zip(first..).all(fits).then_some(first + further)
        })
    }

    /// Whether the last answer is three codes in a row of an authenticator, near the clock and never used: nothing keeps its
    /// owner out, but a state that is lost or in memory.
    pub(super) fn is_the_owner(&self, person: &Person, typed: &[String], now: UnixTime) -> bool {
        if person.state().is_none() || person.view.volatile.is_some() {
            return false;
        }
        let Some(last) = typed.last() else { return false };
        person.authenticators().iter().any(|one| {
            let totp = one.kind.totp();
            let codes = sequence(std::slice::from_ref(last), usize::from(totp.digits.count()));
            let step = now.0 / totp.period.seconds();
            let lowest = (step - 20).max(self.floors[&one.name] + 1);
            let generator = generator(totp);
            let code = |step: u64| generator.generate(step * totp.period.seconds()).to_string();
            codes.len() == 3
                && (lowest..=step + 18).any(|first| {
                    codes.iter().zip(first..).all(|(typed, step)| *typed == code(step))
                })
        })
    }

    /// Whether exactly one code of one of the authenticators was typed.
    pub(super) fn is_one_code(&self, person: &Person, typed: &[String]) -> bool {
        let lengths = person.authenticators().iter().map(|one| one.kind.totp().digits.count());
        typed.len() == 1 && lengths.clone().any(|length| sequence(typed, length.into()).len() == 1)
    }

    pub(super) fn floors_only_rise(&mut self, person: &Person) {
        let Some(state) = person.state() else { return };
        for one in person.authenticators() {
            let kept = state.spent(&one.name).map_or(0, |spent| spent.totp().floor.0);
            let known = self.floors.entry(one.name.clone()).or_default();
            // What a volatile state adds, and what the meter knows, is no part of the state's own floor.
            assert!(kept >= *known || person.view.volatile.is_some(), "a floor went down");
            *known = (*known).max(kept);
        }
    }
}

fn drift(person: &Person, one: &Authenticator) -> i64 {
    let spent = person.state().and_then(|state| state.spent(&one.name));
    spent.map_or(0, |spent| spent.totp().drift)
}

/// All codes of `length` digits in these answers; none where the last answer has none.
fn sequence(typed: &[String], length: usize) -> Vec<String> {
    let codes = |text: &String| -> Vec<String> {
        let plain = text.trim_matches(|c: char| c.is_ascii_whitespace());
        let digits: String = plain.chars().filter(|c| !matches!(c, ' ' | '-')).collect();
        let whole = digits.bytes().all(|b| b.is_ascii_digit()) && digits.len() <= 24;
        let of_length = digits.len().is_multiple_of(length);
        let digits = if whole && of_length { digits } else { String::new() };
        digits.as_bytes().chunks(length).map(|c| String::from_utf8_lossy(c).into_owned()).collect()
    };
    if typed.last().is_none_or(|last| codes(last).is_empty()) {
        return Vec::new();
    }
    typed.iter().flat_map(codes).collect()
}

/// A code that is good once, as it is compared: upper case, look-alikes as what they look like.
fn letters(code: &str) -> String {
    let letters = code.chars().filter(|c| !matches!(c, ' ' | '-') && !c.is_ascii_whitespace());
    letters
        .map(|c| match c.to_ascii_uppercase() {
            'O' => '0',
            'I' | 'L' => '1',
            other => other,
        })
        .collect()
}

fn generator(totp: &Totp) -> totp_rs::Totp {
    totp_rs::Builder::new()
        .with_algorithm(match totp.algorithm {
            Algorithm::Sha1 => totp_rs::Algorithm::SHA1,
            Algorithm::Sha256 => totp_rs::Algorithm::SHA256,
            Algorithm::Sha512 => totp_rs::Algorithm::SHA512,
        })
        .with_digits(totp.digits.count())
        .with_step_duration(totp.period.seconds())
        .with_secret(totp.secret.as_bytes().to_vec())
        .build_noncompliant()
}
