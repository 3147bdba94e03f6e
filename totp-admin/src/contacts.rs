//! How a user can be told something, as commands say it: in a document, and in words. What is different after a change
//! is written where it is read back ([`totp_agent::contacts`]).

use serde_json::{Value, json};
use totp_agent::contacts::known;
pub use totp_agent::contacts::{change, difference};
use totp_core::contact::Contact;

/// `{"email", "phone"}`, null where unknown.
pub fn document(contact: &Contact) -> Value {
    json!({
        "email": contact.email.as_ref().map(ToString::to_string),
        "phone": contact.phone.as_ref().map(ToString::to_string),
    })
}

/// `mail alice@example.com, telephone unknown`: neither is ever secret from who administrates.
pub fn in_words(contact: &Contact) -> String {
    format!("mail {}, telephone {}", known(contact.email.as_ref()), known(contact.phone.as_ref()))
}
