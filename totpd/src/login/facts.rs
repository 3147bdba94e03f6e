//! Where a login comes from.

use totp_core::event::Place;
use totp_core::log::Failure;
use totp_core::origin::Origin;
use totp_core::policy::{Display, Messages, Outputs, Policy, is_sshd, messages};
use totp_core::remembered::Fingerprint;

use super::host::Style;
use super::ssh_auth_info;
use crate::request::Request;

/// What the program and the kernel say about this login, as they say it. What is not UTF-8 has U+FFFD in
/// its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Facts {
    /// The name of the service, `sshd`.
    pub(crate) service: String,
    /// The other end: an address, a name, or empty.
    pub(crate) rhost: String,
    /// What a program that `[callers]` names says of the other end, where it asks about a user besides its own account.
    pub(crate) word: Option<Word>,
    /// The terminal; `ssh` under sshd.
    pub(crate) tty: String,
    /// Where the program writes to.
    pub(crate) outputs: Outputs,
    /// Who asks, as the program says.
    pub(crate) ruser: String,
    /// The real uid of the process: under su and sudo, the caller's.
    pub(crate) uid: u32,
    /// The effective uid of the process.
    pub(crate) euid: u32,
    /// The key sshd has verified, out of PAM's environment.
    pub(crate) key: Option<Fingerprint>,
}

/// Where a login comes from on the word of a program that is not root. It is shown and logged; nothing is decided by it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Word {
    /// The service account that the program runs as, as `[callers]` names it.
    pub(crate) caller: String,
    /// The remote host; empty where it names none.
    pub(crate) rhost: String,
}

impl Facts {
    /// Takes them from what the module asks.
    pub(crate) fn of(request: &Request) -> Self {
        Self {
            service: request.service.clone().unwrap_or_default(),
            rhost: request.rhost.clone(),
            word: None,
            tty: request.tty.clone(),
            outputs: request.outputs,
            ruser: request.ruser.clone(),
            uid: request.caller.uid(),
            euid: request.caller.effective_uid(),
            key: request.ssh_auth_info.as_deref().and_then(ssh_auth_info::verified_key),
        }
    }

    /// As the guess budget tells places apart. A program that asks for others could name the owner's usual place.
    pub(crate) fn origin(&self) -> Origin {
        if self.word.is_some() {
            return Origin::Unknown;
        }
        Origin::new(self.key.map(|key| key.0), &self.rhost, self.uid)
    }

    /// Whether secrets can be shown.
    pub(crate) fn display(&self, policy: &Policy) -> Display {
        policy.display(&self.service, self.outputs)
    }

    /// The remote host for the log and for people, whoever says so.
    pub(crate) fn shown_rhost(&self) -> &str {
        self.word.as_ref().map_or(&self.rhost, |word| &word.rhost)
    }

    /// Whether the program is sshd.
    pub(crate) fn is_sshd(&self) -> bool {
        is_sshd(&self.tty)
    }

    /// How messages reach the user.
    pub(crate) fn messages(&self) -> Messages {
        messages(&self.service, &self.tty, self.outputs)
    }

    /// How a message is meant. Programs write `PAM_TEXT_INFO` to standard output, where it gets into what a command writes.
    pub(crate) fn style(&self) -> Style {
        match self.messages() {
            Messages::ByProtocol => Style::Info,
            Messages::OnTerminal | Messages::Nowhere => Style::Error,
        }
    }

    /// As people are told; what a program alone says, as its word.
    pub(crate) fn place(&self) -> Place {
        match &self.word {
            Some(Word { caller, rhost }) => Place::on_the_word_of(caller, &self.service, rhost),
            None => Place::new(&self.service, &self.rhost),
        }
    }

    /// The line that log readers count, with the name as it was typed.
    pub(crate) fn failure(&self, typed: &[u8]) -> String {
        let Self { uid, euid, tty, ruser, .. } = self;
        let rhost = self.shown_rhost();
        Failure { uid: *uid, euid: *euid, tty, ruser, rhost, user: &text(typed) }.line()
    }
}

/// Lossy, so that one odd byte keeps no user out and nothing is left out of the log.
pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::Caller;
    use crate::request::tests::sshd;

    #[test]
    fn an_address_or_the_caller_is_the_origin() {
        let facts = Facts::of(&sshd());
        assert_eq!(facts.origin(), Origin::new(None, "192.0.2.99", 0));
        let mut local = sshd();
        (local.rhost, local.caller) = (String::new(), Caller::Root { real_uid: 1001 });
        assert_eq!(Facts::of(&local).origin(), Origin::Caller(1001));
    }

    #[test]
    fn what_a_service_says_is_shown_as_its_word_and_is_no_place_that_is_known() {
        let mut facts = Facts::of(&Request { caller: Caller::User { uid: 115 }, ..sshd() });
        facts.word = Some(Word { caller: "postgres".to_owned(), rhost: "203.0.113.7".to_owned() });
        assert_eq!(facts.origin(), Origin::Unknown);
        assert_eq!(facts.place().from, "203.0.113.7 (says postgres)");
        assert_eq!(
            facts.failure(b"alice"),
            "authentication failure; logname= uid=115 euid=115 tty=ssh ruser= rhost=203.0.113.7  user=alice"
        );
    }

    #[test]
    fn what_is_not_utf_8_is_still_text() {
        assert_eq!(text(b"a\xffb"), "a\u{fffd}b");
    }
}
