//! How a user can be told something, as commands say it: in a document, in words, and what is different after a change.

use serde_json::{Value, json};
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
    format!("mail {}, telephone {}", known(&contact.email), known(&contact.phone))
}

/// What a change comes to, for the permanent record; `None` where it is the same.
pub fn difference(before: &Contact, after: &Contact) -> Option<String> {
    let change = |what: &str, from: String, to: String| {
        (from != to).then(|| format!("{what}: {to}, was {from}"))
    };
    let email = change("mail", known(&before.email), known(&after.email));
    let phone = change("telephone", known(&before.phone), known(&after.phone));
    let both: Vec<String> = email.into_iter().chain(phone).collect();
    (!both.is_empty()).then(|| both.join("; "))
}

fn known(what: &Option<impl ToString>) -> String {
    what.as_ref().map_or_else(|| "unknown".to_owned(), ToString::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contact(email: &str, phone: &str) -> Contact {
        Contact { email: email.parse().ok(), phone: phone.parse().ok() }
    }

    #[test]
    fn a_difference_names_old_and_new() {
        let (none, one) = (contact("", ""), contact("a@example.com", ""));
        let two = contact("b@example.com", "+420 123 456 789");
        assert_eq!(difference(&one, &one), None);
        assert_eq!(difference(&none, &one).as_deref(), Some("mail: a@example.com, was unknown"));
        assert_eq!(
            difference(&one, &two).as_deref(),
            Some("mail: b@example.com, was a@example.com; telephone: +420123456789, was unknown")
        );
        assert_eq!(difference(&one, &none).as_deref(), Some("mail: unknown, was a@example.com"));
    }
}
