//! A text message as it waits. Written by a login, in a hurry: small, and not brought to stable storage, since it is thrown
//! away after a few minutes anyway.

use totp_core::contact::Phone;
use totp_core::time::UnixTime;
use zeroize::Zeroizing;

use super::text::{Lines, NotOfThisFormat, field, line};

const KIND: &str = "pam-totp-text";

/// Bytes of a file, whatever is in it, so that a decoy looks and takes the same.
pub(super) const SIZE: usize = 1024;

/// A text message in the outbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Who asked for it.
    pub user: String,
    /// Where it goes.
    pub phone: Phone,
    /// What it says, with the code in plain text.
    pub text: Zeroizing<String>,
    /// When it is thrown away.
    pub until: UnixTime,
    /// How often sending it was begun: written down before it is sent.
    pub begun: u64,
    /// How often that is known to have failed. Where it is less, the message may be on its way, and is not sent again.
    pub failed: u64,
}

impl Message {
    /// A message that nobody has tried to send.
    #[must_use]
    pub fn new(user: String, phone: Phone, text: Zeroizing<String>, until: UnixTime) -> Self {
        Self { user, phone, text, until, begun: 0, failed: 0 }
    }

    /// What stands in its file. `None` where it has no room: a name and a text of some hundred bytes have.
    #[must_use]
    pub fn print(&self) -> Option<Zeroizing<Vec<u8>>> {
        let mut text = Zeroizing::new(String::with_capacity(SIZE));
        line(&mut text, &[KIND, "1"]);
        line(&mut text, &["until", &self.until.to_string()]);
        line(&mut text, &["tries", &self.begun.to_string(), &self.failed.to_string()]);
        line(&mut text, &["user", &field(Some(&self.user))]);
        line(&mut text, &["phone", self.phone.as_str()]);
        text.push_str("text ");
        let said = Zeroizing::new(field(Some(&self.text)));
        if said.len() >= SIZE.saturating_sub(text.len()) {
            return None; // before a longer string is made, and the shorter one left in memory
        }
        text.push_str(&said);
        text.push('\n');
        let mut bytes = Zeroizing::new(vec![b'\n'; SIZE]);
        bytes.get_mut(..text.len())?.copy_from_slice(text.as_bytes());
        Some(bytes)
    }

    /// Reads a file of the outbox.
    ///
    /// # Errors
    /// Anything but what [`Self::print`] writes.
    pub fn parse(text: &str) -> Result<Self, NotOfThisFormat> {
        let content = text.trim_end_matches('\n');
        let end = content.len().saturating_add(1);
        let mut lines = Lines::open(text.get(..end).unwrap_or_default(), KIND)?;
        let until = lines.must("until", |w| w.parsed())?;
        let tries = lines.may("tries", |w| Some((w.number()?, w.number()?)))?;
        let (begun, failed) = tries.unwrap_or_default();
        let message = Self {
            until,
            begun,
            failed,
            user: lines.must("user", |w| w.text()?)?,
            phone: lines.must("phone", |w| w.parsed())?,
            text: Zeroizing::new(lines.must("text", |w| w.text()?)?),
        };
        lines.end()?;
        Ok(message)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    pub(in super::super) fn message() -> Message {
        let text = "web1: your code is 123456. Nobody will ask you for it.".to_owned();
        let phone = "+420123456789".parse().unwrap();
        let until = UnixTime(1_773_307_200);
        Message::new("bob".to_owned(), phone, Zeroizing::new(text), until)
    }

    #[test]
    fn a_message_reads_back_and_has_always_the_same_size() {
        let (one, mut other) = (message(), message());
        other.text.push_str(" And more.");
        (other.begun, other.failed) = (2, 1);
        for one in [one, other] {
            let bytes = one.print().unwrap();
            assert_eq!(bytes.len(), SIZE);
            assert_eq!(Message::parse(str::from_utf8(&bytes).unwrap()), Ok(one));
        }
    }

    #[test]
    fn one_that_says_nothing_of_tries_was_not_tried() {
        let bytes = message().print().unwrap();
        let text = str::from_utf8(&bytes).unwrap().replace("tries 0 0\n", "");
        assert_eq!(Message::parse(&text), Ok(message()));
    }

    #[test]
    fn what_has_no_room_is_not_cut() {
        let mut long = message();
        long.text = Zeroizing::new("x".repeat(SIZE));
        assert_eq!(long.print(), None);
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in "(pam-totp-text 1\n)?\\PC{0,80}\n*") {
            let _ = Message::parse(&text);
        }
    }
}
