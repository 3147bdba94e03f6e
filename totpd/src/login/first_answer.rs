//! How a dialogue begins: with a prompt, or with what came along with the password.

use totp_core::combined::{has_code, password_before, password_by_form};
use totp_core::dialogue::login::{COMBINED, Login, PROMPT, Settings};

use super::arguments::{Arguments, FirstPass};
use super::host::{Echo, Host, HostError, NoReply, Typed};

/// Why a dialogue cannot begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoBeginning {
    /// No reply came.
    #[error(transparent)]
    NoReply(#[from] NoReply),
    /// The password could not be handed on.
    #[error(transparent)]
    Failed(#[from] HostError),
}

/// How a dialogue begins.
pub(crate) struct Beginning {
    /// The dialogue.
    pub(crate) login: Login,
    /// Its first answer, where that begins with a password.
    pub(crate) combined: Option<Combined>,
}

/// A password with a code behind it.
pub(crate) struct Combined {
    text: Typed,
    /// How many digits a code has where none is accepted.
    digits: u8,
    /// Whether the password is left to the modules behind.
    forward: bool,
}

impl Combined {
    /// Leaves the password to the modules behind as the form of the text has it: they run also where nothing is accepted, and where
    /// nothing can be decided.
    fn forward_by_form(&self, host: &mut dyn Host) -> Result<(), HostError> {
        if self.forward && !self.text.as_bytes().is_empty() {
            self.set(host, self.by_form())
        } else {
            Ok(())
        }
    }

    /// The same as it is now that a code of so many characters is accepted.
    pub(crate) fn forward(&self, host: &mut dyn Host, characters: usize) -> Result<(), HostError> {
        let password = password_before(self.text.as_bytes(), characters);
        if self.forward && password != self.by_form() { self.set(host, password) } else { Ok(()) }
    }

    fn by_form(&self) -> &[u8] {
        password_by_form(self.text.as_bytes(), self.digits)
    }

    fn set(&self, host: &mut dyn Host, password: &[u8]) -> Result<(), HostError> {
        host.set_authtok(&Typed::new(password.to_vec()))
    }
}

/// The dialogue as the arguments want it. `digits` is how many a code has where nothing else tells where the
/// password ends.
pub(crate) fn begin(
    host: &mut dyn Host,
    arguments: &Arguments,
    authtok: Option<Typed>,
    digits: u8,
) -> Result<Beginning, NoBeginning> {
    let only = arguments.first_pass == FirstPass::Only;
    // An earlier module has asked for it: the password may end as a code does, and ours is still to be asked for.
    let is_earlier = arguments.first_pass == FirstPass::Tried
        && authtok.as_ref().is_some_and(|password| has_code(password.as_bytes()));
    let settings = Settings {
        prompt: arguments.prompt.clone().unwrap_or_else(|| PROMPT.to_owned()),
        // A program with one password field answers each prompt with that.
        second_chance: !(arguments.one_prompt || only || arguments.forward_pass && !is_earlier),
    };
    let Some(text) = combined(host, arguments, authtok)? else {
        return Ok(Beginning { login: Login::new(settings), combined: None });
    };
    let combined = Combined { text, digits, forward: arguments.forward_pass };
    combined.forward_by_form(host)?;
    let login = Login::with_first_answer(settings, combined.text.as_bytes());
    Ok(Beginning { login, combined: Some(combined) })
}

/// Password and code in one: from an earlier module, or, where there is no password yet that is to be handed on, asked for. `None`:
/// the code is asked for alone.
fn combined(
    host: &mut dyn Host,
    arguments: &Arguments,
    authtok: Option<Typed>,
) -> Result<Option<Typed>, NoReply> {
    let authtok = authtok.filter(|password| !password.as_bytes().is_empty());
    match (arguments.first_pass, authtok) {
        // Nothing is an answer, too, where nobody is asked.
        (FirstPass::Only, authtok) => Ok(Some(authtok.unwrap_or_else(|| Typed::new(Vec::new())))),
        // A password without a code stays as it is.
        (FirstPass::Tried, Some(earlier)) => {
            Ok(Some(earlier).filter(|text| has_code(text.as_bytes())))
        }
        (FirstPass::Tried, None) | (FirstPass::Unused, _) if arguments.forward_pass => {
            // There is a password in it, so it is never shown.
            host.ask(arguments.prompt.as_deref().unwrap_or(COMBINED), Echo::Off).map(Some)
        }
        (FirstPass::Tried, None) | (FirstPass::Unused, _) => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use totp_core::dialogue::login::{End, Next};
    use totp_core::evaluate::{Reason, Refusal, Verdict};

    use super::*;
    use crate::login::host::script::Script;

    const PASSED: Arguments = Arguments {
        config: None,
        debug: false,
        nullok: false,
        nodelay: false,
        echo: false,
        prompt: None,
        one_prompt: false,
        key_required: false,
        first_pass: FirstPass::Tried,
        forward_pass: false,
        or_other: false,
    };

    fn password(text: &str) -> Option<Typed> {
        Some(Typed::new(text.as_bytes().to_vec()))
    }

    fn begun(host: &mut Script, arguments: &Arguments, authtok: Option<Typed>) -> Beginning {
        begin(host, arguments, authtok, 6).expect("a dialogue")
    }

    fn is_judged(beginning: &Beginning) -> bool {
        matches!(beginning.login.next(), Next::Judge { .. })
    }

    fn asks(beginning: &Beginning, prompt: &str) -> bool {
        matches!(beginning.login.next(), Next::Ask(asked) if asked == prompt)
    }

    #[test]
    fn by_default_the_password_of_earlier_modules_is_left_alone() {
        let mut host = Script::default();
        let beginning = begun(&mut host, &Arguments::default(), password("secret123456"));
        assert!(asks(&beginning, PROMPT));
        assert_eq!(host.authtok, None);
    }

    #[test]
    fn a_code_behind_the_password_is_the_first_answer() {
        let mut host = Script::default();
        assert!(is_judged(&begun(&mut host, &PASSED, password("secret123456"))));
        assert_eq!(host.authtok, None);
    }

    #[test]
    fn the_password_alone_is_forwarded_before_anything_is_evaluated() {
        for text in ["secret123456", "secret,K7QM-2XVA-9TRC-HW4E"] {
            let mut host = Script::default();
            let arguments = Arguments { forward_pass: true, ..PASSED };
            assert!(is_judged(&begun(&mut host, &arguments, password(text))));
            assert_eq!(host.authtok.as_deref(), Some(&b"secret"[..]));
        }
    }

    #[test]
    fn what_was_accepted_says_where_the_forwarded_password_ends() {
        let mut host = Script::default();
        let arguments = Arguments { forward_pass: true, ..PASSED };
        let beginning = begun(&mut host, &arguments, password("tail,123456654321"));
        assert_eq!(host.authtok.as_deref(), Some(&b"tail"[..]));
        let combined = beginning.combined.expect("a password");
        assert_eq!(combined.forward(&mut host, 6), Ok(()));
        assert_eq!(host.authtok.as_deref(), Some(&b"tail,123456"[..]));
    }

    #[test]
    fn an_earlier_password_without_a_code_stays_as_it_is_and_the_code_is_asked_for() {
        for forward_pass in [false, true] {
            let mut host = Script::default();
            let arguments = Arguments { forward_pass, ..PASSED };
            assert!(asks(&begun(&mut host, &arguments, password("a password")), PROMPT));
            assert_eq!(host.authtok, None);
        }
    }

    #[test]
    fn forward_pass_asks_once_for_both_never_shows_them_and_takes_what_comes() {
        for (typed, forwarded) in [("secret,123456", "secret"), ("secret", "secret"), ("?", "?")] {
            let mut host = Script::new(&[typed]);
            let arguments = Arguments { forward_pass: true, echo: true, ..Arguments::default() };
            let mut beginning = begun(&mut host, &arguments, None);
            assert!(is_judged(&beginning));
            assert_eq!(host.authtok.as_deref(), Some(forwarded.as_bytes()));
            assert_eq!(*host.said.borrow(), [format!("ask(Off): {COMBINED}")]);
            beginning.login.judged(Verdict::Refused(Refusal::free(Reason::Wrong)));
            assert!(matches!(beginning.login.next(), Next::Done(End::Refused)));
        }
    }

    #[test]
    fn use_first_pass_never_asks() {
        for authtok in [None, password(""), password("a password")] {
            let mut host = Script::new(&["123456"]);
            let only = Arguments { first_pass: FirstPass::Only, forward_pass: true, ..PASSED };
            let beginning = begun(&mut host, &only, authtok);
            let is_empty = matches!(beginning.login.next(), Next::Done(End::Unanswered));
            assert!(is_empty || is_judged(&beginning));
            assert!(host.said.borrow().is_empty());
        }
    }
}
