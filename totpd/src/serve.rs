//! One connection, from the daemon's first message to its last.

use std::panic::{AssertUnwindSafe, catch_unwind};

use totp_wire::hello::First;
use totp_wire::{Hook, ToModule};

use crate::connection::{Connection, Gone};
use crate::conversation::{Conversation, prefix};
use crate::login::{self, Logins};
use crate::request::Request;

/// A module's hello, read.
enum Hello {
    Request(Box<Request>),
    /// Of a version that this program does not speak.
    OtherVersion,
}

/// Serves a connection. `admit` says whether this caller may have one more conversation, and what is held while it lasts.
pub(crate) fn serve<T>(
    mut connection: Connection,
    peer_uid: u32,
    logins: &Logins,
    admit: impl FnOnce(&Request) -> Option<T>,
) {
    // Nothing is looked up before that: the module waits for it with a short deadline.
    if connection.send(&ToModule::FIRST).is_err() {
        return;
    }
    let hello = connection.receive_first(|packet| {
        Some(match First::decode(packet).ok()? {
            First::Hello(hello) => Hello::Request(Box::new(Request::new(&hello, peer_uid))),
            First::Version(_) => Hello::OtherVersion,
        })
    });
    let request = match hello {
        Ok(Hello::Request(request)) => request,
        Ok(Hello::OtherVersion) => {
            let _ = connection.send(&ToModule::FIRST);
            return;
        }
        Err(Gone) => return,
    };
    let Some(_admitted) = admit(&request) else {
        let _ = connection.send(&ToModule::Busy);
        return;
    };
    // A panic has been logged by the hook. What it leaves half done is dropped with the conversation, and a module whose
    // connection ends without a decision grants nothing.
    let _ = catch_unwind(AssertUnwindSafe(|| converse(connection, *request, logins)));
}

fn converse(connection: Connection, request: Request, logins: &Logins) {
    let hook = match request.hook {
        Hook::Auth => "auth",
        Hook::Account => "account",
        Hook::Setcred => "setcred",
        Hook::Session => "session",
    };
    let prefix = prefix(request.service.as_deref().unwrap_or_default(), hook);
    let mut conversation = Conversation::new(connection, request.caller, prefix);
    let decision = login::decide(&mut conversation, request, logins);
    conversation.done(decision.code, decision.later, &decision.mark);
}
