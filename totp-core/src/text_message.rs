//! A code of its own, sent as a text message to the number that is kept with a user: asked for at the prompt by `sms`.
//!
//! It is random and good for ten minutes and one login; a newer one voids it. It is guessed against the same budget as
//! every other code: 8 digits while single codes are, 16 (from the pairs' share) while not. How many are sent is limited, so
//! that nobody can be bombed. The request writes the meter, whoever asks: nobody sees by the time whether there is a number.

use alloc::string::String;

use zeroize::Zeroizing;

use crate::budget::Standing;
use crate::contact::Phone;
use crate::evaluate::Rules;
use crate::onetime::CodeHash;
use crate::origin::Origin;
use crate::prices::open;
use crate::state::{Meter, TextCode};
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
    entropy: [u8; 16],
    now: UnixTime,
) -> Change<Option<Message>> {
    let mut meter = view.meter.clone();
    meter.spending = meter.spending.refilled(rules.chance, now);
    meter.texts.sent.retain(|sent| now.since(*sent) < DAY);
    let message = limits.and_then(|limits| to_be_sent(rules, limits, view, &meter, origin, now));
    let (long, phone, enrollment) = match &message {
        Some((long, phone, enrollment)) => (*long, Some(phone.clone()), Some(*enrollment)),
        None => (false, None, None),
    };
    // Computed for everybody.
    let code = digits(&entropy, long);
    let hash = CodeHash::of(code.as_bytes());
    let until = now.plus(GOOD_FOR);
    if let Some(enrollment) = enrollment {
        meter.texts.code = Some(TextCode { enrollment, hash, long, until });
        meter.texts.sent.push(now);
    }
    let message = phone.map(|phone| Message { phone, code, until });
    Change::new(Writes { debit: Some(meter), ..Writes::default() }, message)
}

fn to_be_sent(
    rules: &Rules,
    limits: Limits,
    view: &View,
    meter: &Meter,
    origin: &Origin,
    now: UnixTime,
) -> Option<(bool, Phone, crate::record::EnrollmentId)> {
    let Found::Enrolled(enrolled) = &view.found else { return None };
    let StateRead::Good(state) = &enrolled.state else { return None };
    let phone = enrolled.record.decision.contact.phone.clone()?;
    // A clock that was set back does not begin the count anew: what lies in the future counts as just now.
    let last_hour = meter.texts.sent.iter().filter(|sent| now.since(**sent) < 3600).count();
    let many = last_hour >= limits.per_hour || meter.texts.sent.len() >= limits.per_day;
    if many || view.volatile.is_some() {
        return None;
    }
    let standing = if state.knows(origin, now) { Standing::Known } else { Standing::Unknown };
    let open = open(rules, &meter.spending, &enrolled.record, standing);
    Some((!open.short_text, phone, enrolled.record.enrollment))
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

/// As it is read on the telephone: groups of four.
#[must_use]
pub fn body(message: &Message, host: &str) -> Zeroizing<String> {
    let mut body = Zeroizing::new(String::with_capacity(160));
    for (at, digit) in message.code.chars().enumerate() {
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
