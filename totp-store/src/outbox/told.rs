//! Who is told of what. Everything that concerns somebody's second factor is told them, whoever did it: whoever steals a
//! password or an administrator's session is to be noticed by the one person who knows better.

use totp_core::contact::{Contact, Email};
use totp_core::event::EventKind;
use totp_core::policy::MailKeys;

/// Who is told of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// The user, by mail and at the next login, and who gets copies.
    User,
    /// Who gets copies: the user can do nothing about it.
    Copies,
    /// Nobody: it is about the telling itself, or about no user, or changed nothing that the user has.
    Nobody,
}

/// Who is told of an event of this kind.
#[must_use]
pub fn audience(event: EventKind) -> Audience {
    match event {
        EventKind::Delivered
        | EventKind::Undelivered
        | EventKind::InstallationAdopted
        | EventKind::Verified => Audience::Nobody,
        EventKind::StateVolatile => Audience::Copies,
        _ => Audience::User,
    }
}

/// Where mail about an event goes. `contacts` are the user's: of before and of after a change, so that a changed address is
/// told at both.
#[must_use]
pub fn recipients(
    keys: &MailKeys,
    event: EventKind,
    user: &str,
    contacts: &[Contact],
) -> Vec<Email> {
    let mut all: Vec<Email> = Vec::new();
    let mut add = |one: &Email| {
        if !all.contains(one) {
            all.push(one.clone());
        }
    };
    let audience = audience(event);
    if audience == Audience::Nobody {
        return all;
    }
    if audience == Audience::User {
        let mut known = false;
        for email in contacts.iter().filter_map(|contact| contact.email.as_ref()) {
            add(email);
            known = true;
        }
        let usual = keys.default_to.as_ref().filter(|_| !known);
        usual.and_then(|pattern| pattern.address_of(user)).iter().for_each(&mut add);
    }
    keys.copy_to.iter().for_each(add);
    all
}

#[cfg(test)]
mod tests {
    use totp_core::policy::Config;

    use super::*;

    fn keys() -> MailKeys {
        let text =
            "[mail]\ndefault_to = \"{user}@example.com\"\ncopy_to = [\"security@example.com\"]";
        Config::parse(text).unwrap().mail
    }

    fn at(address: &str) -> Contact {
        Contact { email: Some(address.parse().unwrap()), phone: None }
    }

    fn to(event: EventKind, contacts: &[Contact]) -> Vec<String> {
        recipients(&keys(), event, "bob", contacts).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_users_own_address_stands_before_the_usual_one() {
        let disabled = EventKind::Disabled;
        assert_eq!(to(disabled, &[]), ["bob@example.com", "security@example.com"]);
        assert_eq!(
            to(disabled, &[at("b@home.example")]),
            ["b@home.example", "security@example.com"]
        );
        assert_eq!(to(disabled, &[at("security@example.com")]), ["security@example.com"]);
    }

    #[test]
    fn a_changed_address_is_told_at_both() {
        let both = [at("old@example.com"), at("new@example.com")];
        let told = to(EventKind::ContactChanged, &both);
        assert_eq!(told, ["old@example.com", "new@example.com", "security@example.com"]);
    }

    #[test]
    fn a_name_that_makes_no_address_is_told_nowhere() {
        let config = Config::parse("[mail]\ndefault_to = \"{user}@example.com\"").unwrap();
        let odd = recipients(&config.mail, EventKind::Disabled, "a b\nBcc: x", &[]);
        assert!(odd.is_empty());
    }

    #[test]
    fn nobody_is_told_of_the_telling() {
        assert!(to(EventKind::Delivered, &[at("a@b.c")]).is_empty());
        assert!(to(EventKind::Undelivered, &[]).is_empty());
        assert_eq!(to(EventKind::StateVolatile, &[]), ["security@example.com"]);
    }
}
