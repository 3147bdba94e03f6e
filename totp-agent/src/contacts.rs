//! A change of how a user is told, as the permanent record has it in words, and read back from there: whoever enqueues the
//! line later still finds the address of before, which nothing else knows any more.

use totp_core::contact::{Contact, Email, Phone};
use totp_core::event::EventKind;
use totp_store::outbox::About;

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

/// The addresses that a line names in such words: of before and of after, as far as there were any. None in a line that
/// no administrator's change left, or whose reason is in somebody's own words.
#[must_use]
pub fn named_in(about: &About) -> Vec<Contact> {
    let changes = matches!(
        about.event,
        EventKind::ContactChanged
            | EventKind::Enrolled
            | EventKind::AuthenticatorAdded
            | EventKind::Pending
    );
    let reason = about.reason.as_deref().filter(|_| changes && about.by.is_some());
    let reason = reason.unwrap_or_default();
    let mails = reason.split(AND).find_map(|one| one.strip_prefix(MAIL)?.strip_prefix(": "));
    let Some((after, before)) = mails.and_then(|mails| mails.split_once(WAS)) else {
        return Vec::new();
    };
    [before, after]
        .into_iter()
        .filter_map(|address| address.parse::<Email>().ok())
        .map(|email| Contact { email: Some(email), phone: None })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::tests::about;

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
    fn the_addresses_of_a_change_are_read_back_from_its_line() {
        let all = [contact("", ""), contact("a@example.com", "+420123456789"), contact("b@c", "")];
        for before in &all {
            for after in &all {
                let reason = difference(before, after);
                let line = About { reason, ..about(EventKind::ContactChanged) };
                let mail = |of: &Contact| of.email.clone();
                let both = [before, after].map(mail).into_iter().flatten();
                let both: Vec<_> = both.filter(|_| before.email != after.email).collect();
                let named: Vec<_> = named_in(&line).iter().filter_map(mail).collect();
                assert_eq!(named, both, "{before:?} {after:?}");
            }
        }
    }

    #[test]
    fn what_somebody_said_in_their_own_words_names_nobody() {
        let reason = Some("mail: eve@example.com, was unknown".to_owned());
        let said = About { reason, ..about(EventKind::Disabled) };
        assert!(named_in(&said).is_empty());
        // A login has no actor.
        let login = About { event: EventKind::Enrolled, by: None, ..said };
        assert!(named_in(&login).is_empty());
    }
}
