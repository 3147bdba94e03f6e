//! A code on its way to the outbox, from where the agent sends it: nothing is waited for. Who has no number makes the same
//! work.

use totp_core::name::UserName;
use totp_core::text_message::{GOOD_FOR, Message, body};
use totp_store::clock;
use totp_store::installation::Installation;
use totp_store::outbox::{self, OutboxError};

/// As long as a real one.
const NOBODYS: &str = "0000 0000";

/// Puts `message` into the outbox; without one, what stands for it.
///
/// # Errors
/// Where it can't be written: it is not sent then.
pub(crate) fn put(
    site: &Installation,
    user: &UserName,
    message: Option<Message>,
    host: &str,
) -> Result<(), OutboxError> {
    let outbox = site.outbox()?;
    match message {
        Some(message) => {
            let (text, until) = (body(&message.code, host), message.until);
            let user = user.as_str().to_owned();
            outbox.put_message(&outbox::Message::new(user, message.phone, text, until))
        }
        None => {
            let until = clock::now().plus(GOOD_FOR);
            outbox.pretend_message(user.as_str(), &body(NOBODYS, host), until)
        }
    }
}
