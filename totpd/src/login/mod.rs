//! A login: the auth, account, setcred and session hooks, decided. What a login is asked, and whether an answer is right, is decided in
//! `totp-core`; what is kept is kept by `totp-store`; here the two meet the user.
//!
//! | file | contents |
//! |---|---|
//! | [`host`] | the program that asks, as a trait: a conversation, or a script in tests |
//! | [`arguments`], [`configuration`] | the line in `/etc/pam.d`, and `config.toml` |
//! | [`facts`], [`ssh_auth_info`] | where a login comes from |
//! | [`pam_stack`] | whether the PAM stack has the line that an enrollment needs |
//! | [`caller`], [`services`] | what the calling program may ask about |
//! | [`person`] | who the user is, by the name service |
//! | [`kept`] | what is kept about the user: by the account's name, or else by its uid |
//! | [`auth`] | the auth hook: whether this login is challenged |
//! | [`mark`], [`account`] | what auth leaves, and the hooks behind it: enrollment, codes |
//! | [`notices`] | login notices, in account or in the session |
//! | [`remembered`] | remembered devices |
//! | [`trial`] | one login that is challenged: its dialogue, its end, its lines in the log |
//! | [`first_factor`] | the public key that the line may require |
//! | [`first_answer`] | what came along with the password |
//! | [`turns`] | attempts on one name, one after the other |
//! | [`judge`] | an answer on its way through the store |
//! | [`text_message`] | a code on its way to the outbox |
//! | [`events`], [`telling`] | what logins leave for the audit log and for people |

mod account;
mod arguments;
mod auth;
mod caller;
mod configuration;
mod events;
mod facts;
mod first_answer;
mod first_factor;
pub(crate) mod host;
mod judge;
mod kept;
mod mark;
mod notices;
mod pam_stack;
mod person;
mod remembered;
mod services;
mod ssh_auth_info;
mod telling;
mod text_message;
mod trial;
mod turns;

use std::path::PathBuf;

use totp_wire::{Hook, Later};

use self::host::{Host, ReturnCode};
use self::mark::Mark;
use self::services::Services;
use self::turns::Turns;
use crate::request::Request;

/// What a hook comes to.
#[derive(Debug)]
#[must_use]
pub(crate) struct Decision {
    /// What libpam is told.
    pub(crate) code: ReturnCode,
    /// Which later hooks have something to do.
    pub(crate) later: Later,
    /// What they are to bring along.
    pub(crate) mark: Vec<u8>,
}

impl Decision {
    /// Refused, or failed: later hooks are told.
    fn refused(code: ReturnCode) -> Self {
        Self { code, later: mark::AFTER_REFUSAL, mark: mark::REFUSED.to_vec() }
    }

    /// The same, where an enrollment is due: setcred refuses as well.
    fn and_due(self) -> Self {
        Self { later: Later { setcred: true, ..self.later }, ..self }
    }

    fn is_refusal(&self) -> bool {
        self.mark == mark::REFUSED
    }

    fn marked(code: ReturnCode, mark: Mark) -> Self {
        Self { code, later: mark.later(), mark: mark.encode() }
    }

    /// As if this hook had never been called.
    fn unmarked(code: ReturnCode) -> Self {
        Self { code, later: Later::default(), mark: Vec::new() }
    }
}

/// What all logins of one process have in common.
#[derive(Debug, Default)]
pub(crate) struct Logins {
    pub(crate) turns: Turns,
    pub(crate) services: Services,
    /// The configuration where the PAM line names none; `None` is the usual one.
    pub(crate) config: Option<PathBuf>,
}

/// Decides what a module asks.
pub(crate) fn decide(host: &mut dyn Host, mut request: Request, logins: &Logins) -> Decision {
    let decision = match request.hook {
        Hook::Auth => auth::authenticate(host, &mut request, logins),
        Hook::Account => account::manage(host, &request, logins),
        Hook::Setcred => account::set_credentials(host, &request),
        Hook::Session => notices::open_session(host, &request, logins),
    };
    // Nothing that a program of a user's own keeps for us is believed later, but a refusal.
    if request.caller.is_root() || decision.is_refusal() {
        decision
    } else {
        Decision::unmarked(decision.code)
    }
}
