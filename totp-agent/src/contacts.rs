//! A change of how a user is told, as the audit log has it: in words, and in keys of its own. From those the address of
//! before is known to whatever enqueues the line later; nothing else knows it any more.

use totp_core::contact::{Contact, Phone};
use totp_store::permanent::ContactChange;

const MAIL: &str = "mail";
const PHONE: &str = "telephone";
const UNKNOWN: &str = "unknown";

/// Between two changes, and between new and old.
const AND: &str = "; ";
const WAS: &str = ", was ";

/// What a change comes to, for the permanent record, which goes into mail and syslog: numbers by their last digits.
/// `None` where it is the same.
#[must_use]
pub fn difference(before: &Contact, after: &Contact) -> Option<String> {
    let change = |what: &str, from: String, to: String| format!("{what}: {to}{WAS}{from}");
    let number = |of: &Contact| known(of.phone.as_ref().map(masked).as_ref());
    let email = (before.email != after.email)
        .then(|| change(MAIL, known(before.email.as_ref()), known(after.email.as_ref())));
    let phone = (before.phone != after.phone).then(|| change(PHONE, number(before), number(after)));
    let both: Vec<String> = email.into_iter().chain(phone).collect();
    (!both.is_empty()).then(|| both.join(AND))
}

/// The same for programs, in the line's own keys.
#[must_use]
pub fn change(before: &Contact, after: &Contact) -> Option<ContactChange> {
    ContactChange::between(before, after, masked)
}

/// A value in words.
pub fn known(what: Option<&impl ToString>) -> String {
    what.map_or_else(|| UNKNOWN.to_owned(), ToString::to_string)
}

/// A number as logs and mail name it: its last three digits.
#[must_use]
pub fn masked(phone: &Phone) -> String {
    let number = phone.as_str();
    let from = number.len().saturating_sub(3);
    format!("…{}", number.get(from..).unwrap_or_default())
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
            Some("mail: b@example.com, was a@example.com; telephone: …789, was unknown")
        );
        assert_eq!(difference(&one, &none).as_deref(), Some("mail: unknown, was a@example.com"));
        let (old, new) = (contact("", "+420123456789"), contact("", "+420999999789"));
        assert_eq!(difference(&old, &new).as_deref(), Some("telephone: …789, was …789"));
    }

    #[test]
    fn a_change_has_the_addresses_of_before_and_after_and_no_whole_number() {
        let all = [contact("", ""), contact("a@example.com", "+420123456789"), contact("b@c", "")];
        for before in &all {
            for after in &all {
                let change = change(before, after);
                assert_eq!(change.is_some(), before != after);
                let Some(change) = change else { continue };
                let both: Vec<_> =
                    [before, after].iter().filter_map(|of| of.email.clone()).collect();
                let named: Vec<_> =
                    change.addresses().into_iter().filter_map(|of| of.email).collect();
                assert_eq!(named, both, "{before:?} {after:?}");
                assert!(!format!("{change:?}").contains("123456"), "{change:?}");
            }
        }
    }
}
