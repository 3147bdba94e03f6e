//! What some lines of the audit log say in keys of their own, for programs: nothing has to be read out of a reason.

use serde_json::Value;
use totp_core::contact::{Contact, Email};
use totp_core::time::UnixTime;

use super::entry::Json;

/// The keys that only some events have; absent where there is nothing to say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Details {
    /// `verified`: what a login would come to.
    pub outcome: Option<String>,
    /// `pending`, `reset`: on what terms an enrollment is open.
    pub terms: Option<Terms>,
    /// How the user is told, where the event changed it.
    pub contact: Option<ContactChange>,
}

/// On what terms an enrollment is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Whether an enrollment code is asked for; else the first factor alone is trusted.
    pub code: bool,
    /// Until when, exclusive.
    pub until: UnixTime,
}

/// How a user was told before a change, and is after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContactChange {
    /// Before.
    pub before: Told,
    /// After.
    pub after: Told,
}

/// How a user is told, as far as a log may have it: of a number its last digits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// The mail address.
    pub email: Option<Email>,
    /// The last digits of the telephone number, as logs show it.
    pub phone: Option<String>,
}

impl ContactChange {
    /// `None` where both are the same. `phone` makes of a number what may be logged.
    #[must_use]
    pub fn between(
        before: &Contact,
        after: &Contact,
        phone: impl Fn(&totp_core::contact::Phone) -> String,
    ) -> Option<Self> {
        let told =
            |of: &Contact| Told { email: of.email.clone(), phone: of.phone.as_ref().map(&phone) };
        (before != after).then(|| Self { before: told(before), after: told(after) })
    }

    /// Those with an address.
    #[must_use]
    pub fn addresses(&self) -> Vec<Contact> {
        let emails = [&self.before.email, &self.after.email].into_iter().flatten();
        emails.map(|email| Contact { email: Some(email.clone()), phone: None }).collect()
    }
}

impl Details {
    pub(super) fn write(&self, json: &mut Json) {
        if self.outcome.is_some() {
            json.text("outcome", self.outcome.as_deref());
        }
        if let Some(Terms { code, until }) = self.terms {
            json.key("terms");
            json.raw(&format!("{{\"enrollment_code\":{code},\"until\":\"{until}\"}}"));
        }
        if let Some(ContactChange { before, after }) = &self.contact {
            for (key, told) in [("contact_before", before), ("contact_after", after)] {
                let mut inner = Json::begin();
                inner.text("email", told.email.as_ref().map(Email::as_str));
                inner.text("phone", told.phone.as_deref());
                json.key(key);
                json.raw(&inner.end());
            }
        }
    }

    /// What a line has of it. A line of an earlier version has none of these keys.
    pub(super) fn of(line: &Value) -> Self {
        let text = |at: &Value, key: &str| at.get(key).and_then(Value::as_str).map(str::to_owned);
        let terms = |at: &Value| {
            let code = at.get("enrollment_code")?.as_bool()?;
            Some(Terms { code, until: text(at, "until")?.parse().ok()? })
        };
        let told = |key: &str| {
            let at = line.get(key)?;
            let email = text(at, "email").and_then(|email| email.parse().ok());
            Some(Told { email, phone: text(at, "phone") })
        };
        let both = told("contact_before").zip(told("contact_after"));
        Self {
            outcome: text(line, "outcome"),
            terms: line.get("terms").and_then(terms),
            contact: both.map(|(before, after)| ContactChange { before, after }),
        }
    }
}
