//! A code of its own, sent as a text message to the number that is kept with a user: asked for at the prompt by `sms`.
//!
//! It is random and good for ten minutes and one login. It is guessed against the same budget as every other code: 8 digits
//! while single codes are, 16 (from the pairs' share) while not. How many are sent is limited, so that nobody can be bombed;
//! and half of that is for origins that logged in before, so that strangers can't use it up. The request writes the meter, whoever asks: nobody sees by the time whether there is a number.

use alloc::string::String;

use zeroize::Zeroizing;

use crate::budget::Standing;
use crate::contact::Phone;
use crate::evaluate::Rules;
use crate::onetime::CodeHash;
use crate::origin::Origin;
use crate::prices::open;
use crate::record::EnrollmentId;
use crate::state::{MOST_TEXT_CODES, Meter, Sent, TextCode};
use crate::store::{Change, Found, StateRead, View, Writes};
use crate::time::{DAY, UnixTime};

/// How long a code is good, in seconds.
pub const GOOD_FOR: u64 = 600;

/// How many messages a user is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// In an hour.
    pub per_hour: usize,
    /// In a day.
    pub per_day: usize,
}

/// A message to be sent.
pub struct Message {
    /// Where to.
    pub phone: Phone,
    /// The code: 8 or 16 digits.
    pub code: Zeroizing<String>,
    /// Good until then.
    pub until: UnixTime,
}

/// Asks for a message. `None`: there is no number, the limit is reached, or the state is in memory.
pub fn request(
    rules: &Rules,
    limits: Option<Limits>,
    view: &View,
    origin: &Origin,
    entropy: &[u8; 16],
    now: UnixTime,
) -> Change<Option<Message>> {
    let mut meter = view.meter.clone();
    meter.spending = meter.spending.refilled(rules.chance, now);
    // What is more than a day ahead was noted by a clock that was wrong.
    let in_a_day = |sent: &Sent| now.since(sent.time) < DAY && sent.time.since(now) < DAY;
    meter.texts.sent.retain(in_a_day);
    let enrollment = match &view.found {
        Found::Enrolled(enrolled) => Some(enrolled.record.enrollment),
        _ => None,
    };
    let counts = |code: &TextCode| Some(code.enrollment) == enrollment && is_good(code.until, now);
    meter.texts.codes.retain(counts);
    let message = limits.and_then(|limits| to_be_sent(rules, limits, view, &meter, origin, now));
    // Computed for everybody.
    let code = digits(entropy, message.as_ref().is_some_and(|allowed| allowed.long));
    let hash = CodeHash::of(code.as_bytes());
    let until = now.plus(GOOD_FOR);
    let message = message.map(|Allowed { long, known, phone, enrollment }| {
        meter.texts.codes.push(TextCode { enrollment, hash, long, until });
        meter.texts.sent.push(Sent { time: now, known });
        Message { phone, code, until }
    });
    Change::new(Writes { debit: Some(meter), ..Writes::default() }, message)
}

/// Whether a code that is good until then is good now. One that would be for more than a day was made by a clock that was
/// wrong.
pub(crate) fn is_good(until: UnixTime, now: UnixTime) -> bool {
    now < until && until.since(now) < DAY
}

/// A message that may be sent.
struct Allowed {
    long: bool,
    known: bool,
    phone: Phone,
    enrollment: EnrollmentId,
}

fn to_be_sent(
    rules: &Rules,
    limits: Limits,
    view: &View,
    meter: &Meter,
    origin: &Origin,
    now: UnixTime,
) -> Option<Allowed> {
    let Found::Enrolled(enrolled) = &view.found else { return None };
    let StateRead::Good(state) = &enrolled.state else { return None };
    let (record, texts) = (&enrolled.record, &meter.texts);
    let phone = record.decision.contact.phone.clone()?;
    let known = state.knows(origin, now);
    // Of the codes that are good at the same time one is left for the owner, too.
    let most = if known { MOST_TEXT_CODES } else { MOST_TEXT_CODES.saturating_sub(1) };
    if !limits.allow(&texts.sent, known, now) || texts.codes.len() >= most {
        return None;
    }
    if view.volatile.is_some() {
        return None;
    }
    let standing = if known { Standing::Known } else { Standing::Unknown };
    let open = open(rules, &meter.spending, record, standing);
    Some(Allowed { long: !open.short_text, known, phone, enrollment: record.enrollment })
}

impl Limits {
    /// Whether one more may be sent. Strangers get the greater half, so that something is left for the owner.
    fn allow(self, sent: &[Sent], known: bool, now: UnixTime) -> bool {
        // A clock that was set back does not begin the count anew: what lies in the future counts as just now.
        let last_hour = |sent: &&Sent| now.since(sent.time) < 3600;
        let strangers = |sent: &&Sent| !sent.known;
        let fits = |count: usize, most: usize| count < most;
        let all = fits(sent.iter().filter(last_hour).count(), self.per_hour)
            && fits(sent.len(), self.per_day);
        let by_strangers =
            fits(
                sent.iter().filter(last_hour).filter(strangers).count(),
                self.per_hour.div_ceil(2),
            ) && fits(sent.iter().filter(strangers).count(), self.per_day.div_ceil(2));
        all && (known || by_strangers)
    }
}

/// 8 or 16 random digits. The bias of a byte modulo 10 is avoided by drawing eight digits out of 64 bits.
#[allow(clippy::arithmetic_side_effects)] // the modulus is a constant
fn digits(entropy: &[u8; 16], long: bool) -> Zeroizing<String> {
    use core::fmt::Write as _;
    const EIGHT: u64 = 100_000_000;
    let (halves, _) = entropy.as_chunks::<8>();
    let mut code = Zeroizing::new(String::with_capacity(16));
    for half in halves.iter().take(if long { 2 } else { 1 }) {
        let _ = write!(code, "{:08}", u64::from_le_bytes(*half) % EIGHT); // a String takes everything
    }
    code
}

/// What the message says: the code in groups of four, as it is read on the telephone, and for which host.
#[must_use]
pub fn body(code: &str, host: &str) -> Zeroizing<String> {
    let mut body = Zeroizing::new(String::with_capacity(192));
    for (at, digit) in code.chars().filter(char::is_ascii_digit).enumerate() {
        if at > 0 && at.is_multiple_of(4) {
            body.push(' ');
        }
        body.push(digit);
    }
    body.push_str(" is your code for ");
    body.extend(host.chars().filter(char::is_ascii_graphic).take(64));
    body.push_str(". Good once, for ten minutes. Never tell it to anybody.");
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_says_the_code_in_groups_and_fits_one_text_message() {
        let text = body("12345678", "web1.example.com");
        assert!(text.starts_with("1234 5678 is your code for web1.example.com."), "{}", &*text);
        assert!(body(&"1".repeat(16), &"h".repeat(200)).len() <= 160);
    }
}
