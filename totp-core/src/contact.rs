//! How a user can be told something: a mail address and a telephone number, checked where they come in.

use alloc::borrow::ToOwned;
use alloc::string::String;
use core::fmt;
use core::str::FromStr;

use thiserror::Error;

/// Where notifications go. Either may be unknown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contact {
    /// By mail.
    pub email: Option<Email>,
    /// By text message.
    pub phone: Option<Phone>,
}

/// A mail address as one uses it: `local@domain`, a dot-atom on either side (RFC 5322 section 3.4.1), at most 254 bytes
/// (RFC 5321 section 4.5.3.1.3). No quoting, no comments, no display name: nothing that could become a second
/// recipient or a header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Email(String);

impl Email {
    /// The address.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A text that is no mail address.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("not a mail address such as alice@example.com")]
pub struct EmailError;

impl FromStr for Email {
    type Err = EmailError;

    fn from_str(text: &str) -> Result<Self, EmailError> {
        let (local, domain) = text.rsplit_once('@').ok_or(EmailError)?;
        let atom =
            |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+/=?^_`{|}~-".contains(&byte);
        let dotted = |text: &str, sane: &dyn Fn(u8) -> bool| {
            text.split('.').all(|part| !part.is_empty() && part.bytes().all(sane))
        };
        // A leading hyphen would be an option to a program that is called with it.
        let local = dotted(local, &atom) && local.len() <= 64 && !local.starts_with('-');
        let label = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        if local && dotted(domain, &label) && !domain.starts_with('-') && text.len() <= 254 {
            Ok(Self(text.to_owned()))
        } else {
            Err(EmailError)
        }
    }
}

impl fmt::Display for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A telephone number in international form (ITU-T E.164): `+` and 7 to 15 digits, the first not 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Phone(String);

impl Phone {
    /// The number, with its plus sign.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A text that is no telephone number.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("not a telephone number in international form such as +420123456789")]
pub struct PhoneError;

impl FromStr for Phone {
    type Err = PhoneError;

    /// Spaces, hyphens, dots and parentheses between the digits are ignored.
    fn from_str(text: &str) -> Result<Self, PhoneError> {
        let rest = text.trim().strip_prefix('+').ok_or(PhoneError)?;
        let mut number = String::from("+");
        for character in rest.chars() {
            match character {
                '0'..='9' => number.push(character),
                ' ' | '-' | '.' | '(' | ')' => {}
                _ => return Err(PhoneError),
            }
        }
        // ITU-T E.164 section 6.1: at most 15 digits; no country code begins with 0.
        if (8..=16).contains(&number.len()) && !number.starts_with("+0") {
            Ok(Self(number))
        } else {
            Err(PhoneError)
        }
    }
}

impl fmt::Display for Phone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::string::ToString;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn usual_addresses_are_taken() {
        for text in
            ["alice@example.com", "a.b+c@sub.example.org", "root@localhost", "o'neil@x-y.cz"]
        {
            assert_eq!(text.parse::<Email>().map(|email| email.to_string()).as_deref(), Ok(text));
        }
    }

    #[test]
    fn nothing_that_could_be_a_header_an_option_or_a_second_recipient_is_an_address() {
        for text in [
            "",
            "alice",
            "@example.com",
            "alice@",
            "a@b@c@",
            "alice@example.com\nBcc: x@y.z",
            "alice@example.com, bob@example.com",
            "-oQ/tmp@example.com",
            "a b@example.com",
            "alice@-x.com",
            "a..b@example.com",
            "\"a\"@example.com",
            "alice@exa\rmple.com",
            "<a@b>",
            "a@b\0",
            "alice@ex\u{e4}mple.com",
        ] {
            assert_eq!(text.parse::<Email>(), Err(EmailError), "{text:?}");
        }
        assert_eq!(format!("a@{}.com", "x".repeat(260)).parse::<Email>(), Err(EmailError));
    }

    #[test]
    fn numbers_are_kept_in_one_form() {
        let number = "+420 (123) 456-789".parse::<Phone>().map(|phone| phone.to_string());
        assert_eq!(number.as_deref(), Ok("+420123456789"));
        for text in
            ["", "420123456789", "+0123456789", "+12", "+1234567890123456", "+420x", "+", "+420\n1"]
        {
            assert_eq!(text.parse::<Phone>(), Err(PhoneError), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in "\\PC{0,40}") {
            let _ = text.parse::<Email>();
            let _ = text.parse::<Phone>();
        }
    }
}
