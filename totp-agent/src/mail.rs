//! A text as a mail message (RFC 5322), by lettre, which encodes headers and body.

use data_encoding::HEXLOWER;
use lettre::address::AddressError;
use lettre::message::header::{ContentType, Header, HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message};
use lettre::{Address, address::Envelope};
use sha2::{Digest as _, Sha256};
use std::time::{Duration, UNIX_EPOCH};
use thiserror::Error;
use totp_core::contact::Email;
use totp_core::policy::MailKeys;
use totp_core::time::UnixTime;
use totp_store::outbox::Mail;

use crate::render::Text;

/// A message ready to be handed over.
#[derive(Clone, Debug)]
pub struct Composed {
    /// The sender.
    pub from: Email,
    /// The recipient.
    pub to: Email,
    /// The same, as the protocol has it.
    pub envelope: Envelope,
    /// Headers and body.
    pub bytes: Vec<u8>,
}

/// Why no message could be made.
#[derive(Debug, Error)]
pub enum NotComposed {
    /// Our check of addresses and the library's differ.
    #[error("{0}: {1}")]
    Address(Email, #[source] AddressError),
    /// The library says no.
    #[error("the message can't be made: {0}")]
    Message(#[from] lettre::error::Error),
}

/// Says that a program wrote this, so that no other program answers it (RFC 3834 section 5).
#[derive(Clone)]
struct AutoSubmitted;

impl Header for AutoSubmitted {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}

/// The sender: as configured, else `pam-totp@` and this host's name.
#[must_use]
pub fn sender(keys: &MailKeys) -> Option<Email> {
    let own = || {
        let host = totp_store::host_name().unwrap_or_default();
        format!("pam-totp@{host}").parse().ok()
    };
    keys.from.clone().or_else(own).or_else(|| "pam-totp@localhost".parse().ok())
}

/// Makes the message about `mail` for one recipient. The same one has the same id however often it is made, so that a mail
/// system can tell a repetition.
///
/// # Errors
/// [`NotComposed`] says why not.
pub fn compose(
    mail: &Mail,
    text: &Text,
    from: &Email,
    to: &Email,
    now: UnixTime,
) -> Result<Composed, NotComposed> {
    let (sender, recipient) = (address(from)?, address(to)?);
    let envelope = Envelope::new(Some(sender.clone()), vec![recipient.clone()])?;
    let message = Message::builder()
        .from(Mailbox::new(Some("pam-totp".to_owned()), sender))
        .to(Mailbox::new(None, recipient))
        .subject(text.subject.clone())
        .date(UNIX_EPOCH.checked_add(Duration::from_secs(now.0)).unwrap_or(UNIX_EPOCH))
        .message_id(Some(message_id(mail, from, to)))
        .header(AutoSubmitted)
        .header(ContentType::TEXT_PLAIN)
        .body(text.body.clone())?;
    Ok(Composed { from: from.clone(), to: to.clone(), envelope, bytes: message.formatted() })
}

fn address(email: &Email) -> Result<Address, NotComposed> {
    email.as_str().parse().map_err(|error| NotComposed::Address(email.clone(), error))
}

/// `<812.0123456789abcdef@example.com>`
fn message_id(mail: &Mail, from: &Email, to: &Email) -> String {
    let digest = Sha256::digest(format!("{} {to}", mail.hash));
    let digest = HEXLOWER.encode(digest.get(..8).unwrap_or_default());
    let domain = from.as_str().rsplit_once('@').map_or("localhost", |(_, domain)| domain);
    format!("<{}.{digest}@{domain}>", mail.about.seq)
}

#[cfg(test)]
pub(crate) mod tests {
    use totp_core::event::EventKind;

    use super::*;
    use crate::render::tests::about;

    pub(crate) fn composed(subject: &str, body: &str) -> Composed {
        let (from, to) = ("pam-totp@web1".parse().unwrap(), "bob@example.com".parse().unwrap());
        let mail = Mail::new(about(EventKind::Disabled), "ab".to_owned(), Vec::new(), UnixTime(0));
        let text = Text { subject: subject.to_owned(), body: body.to_owned() };
        compose(&mail, &text, &from, &to, UnixTime(1_773_307_200)).unwrap()
    }

    fn bytes(subject: &str, body: &str) -> String {
        String::from_utf8(composed(subject, body).bytes).unwrap()
    }

    #[test]
    fn a_message_has_its_headers_and_the_same_id_each_time() {
        let message = bytes("Off", "one\ntwo\n");
        for line in [
            "From: pam-totp <pam-totp@web1>\r\n",
            "To: bob@example.com\r\n",
            "Subject: Off\r\n",
            "Date: Thu, 12 Mar 2026 09:20:00 +0000\r\n",
            "Auto-Submitted: auto-generated\r\n",
            "Message-ID: <812.",
            "\r\n\r\none\r\ntwo\r\n",
        ] {
            assert!(message.contains(line), "no {line:?} in\n{message}");
        }
        assert_eq!(message, bytes("Off", "one\ntwo\n"));
    }

    #[test]
    fn no_text_becomes_a_header_or_the_end_of_the_message() {
        // The renderer takes line ends out; here they are handed in all the same.
        let message = bytes("Off\r\nBcc: eve@example.com", ".\r\nMAIL FROM:<x@y>\r\n");
        let (headers, _) = message.split_once("\r\n\r\n").unwrap();
        assert!(!headers.lines().any(|line| line.starts_with("Bcc:")), "{headers}");
    }

    #[test]
    fn other_letters_arrive_encoded() {
        let message = bytes("S\u{f6}hne", "Gr\u{fc}\u{df}e\n");
        assert!(message.is_ascii(), "{message}");
        assert!(message.contains("Content-Type: text/plain; charset=utf-8"), "{message}");
    }

    #[test]
    fn every_address_of_ours_is_one_to_the_library() {
        for text in ["root@localhost", "a.b+c@x-y.example", "o'neil@x.cz", "bob@10.0.0.1"] {
            assert!(address(&text.parse().unwrap()).is_ok(), "{text}");
        }
    }
}
