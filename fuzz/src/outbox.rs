//! What waits in the outbox: mail and text messages.

use totp_store::outbox::{Mail, Message};

/// What is read is printed and read again as the same; of mail nothing is read but what is written.
pub fn check(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    let mail = Mail::parse(text);
    if let Ok(mail) = &mail {
        assert_eq!(mail.print(), text, "something was read that is never written");
        assert_eq!(mail.is_done(), mail.to.iter().all(|one| one.served));
        let longer = format!("{text}noise 1\n");
        assert!(Mail::parse(&longer).is_err(), "an unknown line");
    }
    let Ok(message) = Message::parse(text) else { return };
    assert!(mail.is_err(), "one file is both");
    // One that has no room was written by nobody.
    let Some(printed) = message.print() else { return };
    assert_eq!(Message::parse(str::from_utf8(&printed).unwrap()), Ok(message));
    assert!(printed.is_ascii() && printed.len() == 1024);
}
