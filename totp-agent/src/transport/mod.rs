//! By which way mail leaves this host: the program `sendmail`, or a mail server.

mod sendmail;
mod smtp;

use std::time::Duration;

use thiserror::Error;
use totp_core::policy::{MailKeys, Transport};
use totp_store::files::Owner;

use crate::mail::Composed;

/// Why a message was not handed over.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum NotSent {
    /// Nobody could be reached: other messages would fare no better just now.
    #[error("{0}")]
    Down(String),
    /// This message was refused.
    #[error("{0}")]
    Refused(String),
}

/// Hands a message over.
///
/// # Errors
/// [`NotSent`] says why it was not.
pub fn send(keys: &MailKeys, message: &Composed, owner: Owner) -> Result<(), NotSent> {
    let timeout = Duration::from_secs(keys.timeout.get());
    match &keys.transport {
        Transport::Sendmail => sendmail::send(keys.sendmail.as_str(), message, timeout),
        Transport::Smtp { host, port, wrapped } => {
            let server = smtp::Server { host, port: *port, wrapped: *wrapped };
            smtp::send(keys, &server, message, timeout, owner)
        }
    }
}

/// As the configuration writes it, for messages.
#[must_use]
pub fn name(keys: &MailKeys) -> String {
    match &keys.transport {
        Transport::Sendmail => keys.sendmail.as_str().to_owned(),
        transport @ Transport::Smtp { .. } => transport.to_string(),
    }
}
