//! How a dialogue begins: with a prompt, or with what came along with the password.

use totp_core::answer::Answer;
use totp_core::dialogue::login::{COMBINED, Login, PROMPT, Settings, split_combined};

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

/// The dialogue as the arguments want it. `digits` is how many a code has where nothing else tells where the
/// password ends.
pub(crate) fn begin(
    host: &mut dyn Host,
    arguments: &Arguments,
    authtok: Option<Typed>,
    digits: u8,
) -> Result<Login, NoBeginning> {
    let only = arguments.first_pass == FirstPass::Only;
    let settings = Settings {
        prompt: arguments.prompt.clone().unwrap_or_else(|| PROMPT.to_owned()),
        second_chance: !arguments.one_prompt && !only,
        never_ask: only,
    };
    let Some(combined) = combined(host, arguments, authtok)? else {
        return Ok(Login::new(settings));
    };
    let (password, codes) = split_combined(combined.as_bytes(), digits);
    if !Answer::read(codes).is_code() {
        // A password alone: it stays whole, and the code is asked for.
        if arguments.forward_pass {
            host.set_authtok(&combined)?;
        }
        return Ok(Login::new(settings));
    }
    if arguments.forward_pass {
        host.set_authtok(&Typed::new(password.to_vec()))?;
    }
    Ok(Login::with_first_answer(settings, combined.as_bytes(), codes))
}

/// Password and code in one: from an earlier module, or, where the password is to be handed on, asked for.
fn combined(
    host: &mut dyn Host,
    arguments: &Arguments,
    authtok: Option<Typed>,
) -> Result<Option<Typed>, NoReply> {
    let earlier = match arguments.first_pass {
        FirstPass::Unused => None,
        FirstPass::Tried | FirstPass::Only => authtok,
    };
    let may_ask = arguments.forward_pass && arguments.first_pass != FirstPass::Only;
    if earlier.is_some() || !may_ask {
        return Ok(earlier);
    }
    // There is a password in it, so it is never shown.
    host.ask(arguments.prompt.as_deref().unwrap_or(COMBINED), Echo::Off).map(Some)
}

#[cfg(test)]
mod tests {
    use totp_core::dialogue::login::{End, Next};

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

    fn is_judged(login: &Login) -> bool {
        matches!(login.next(), Next::Judge { .. })
    }

    fn asks(login: &Login, prompt: &str) -> bool {
        matches!(login.next(), Next::Ask(asked) if asked == prompt)
    }

    #[test]
    fn by_default_the_password_of_earlier_modules_is_left_alone() {
        let mut host = Script::default();
        let login = begin(&mut host, &Arguments::default(), password("secret123456"), 6);
        assert!(login.is_ok_and(|login| asks(&login, PROMPT)));
        assert_eq!(host.authtok, None);
    }

    #[test]
    fn a_code_behind_the_password_is_the_first_answer() {
        let mut host = Script::default();
        let login = begin(&mut host, &PASSED, password("secret123456"), 6);
        assert!(login.is_ok_and(|login| is_judged(&login)));
        assert_eq!(host.authtok, None);
    }

    #[test]
    fn the_password_alone_is_forwarded() {
        let mut host = Script::default();
        let login = begin(
            &mut host,
            &Arguments { forward_pass: true, ..PASSED },
            password("secret123456"),
            6,
        );
        assert!(login.is_ok_and(|login| is_judged(&login)));
        assert_eq!(host.authtok.as_deref(), Some(&b"secret"[..]));
    }

    #[test]
    fn a_recovery_code_behind_a_comma_is_one_too() {
        let mut host = Script::default();
        let login = begin(
            &mut host,
            &Arguments { forward_pass: true, ..PASSED },
            password("secret,K7QM-2XVA-9TRC-HW4E"),
            6,
        );
        assert!(login.is_ok_and(|login| is_judged(&login)));
        assert_eq!(host.authtok.as_deref(), Some(&b"secret"[..]));
    }

    #[test]
    fn a_password_without_a_code_stays_whole_and_the_code_is_asked_for() {
        let mut host = Script::default();
        let login = begin(
            &mut host,
            &Arguments { forward_pass: true, ..PASSED },
            password("a password"),
            6,
        );
        assert!(login.is_ok_and(|login| asks(&login, PROMPT)));
        assert_eq!(host.authtok.as_deref(), Some(&b"a password"[..]));
    }

    #[test]
    fn forward_pass_asks_for_both_and_never_shows_them() {
        let mut host = Script::new(&["secret,123456"]);
        let arguments = Arguments { forward_pass: true, echo: true, ..Arguments::default() };
        let login = begin(&mut host, &arguments, None, 6);
        assert!(login.is_ok_and(|login| is_judged(&login)));
        assert_eq!(host.authtok.as_deref(), Some(&b"secret"[..]));
        assert_eq!(*host.said.borrow(), [format!("ask(Off): {COMBINED}")]);
    }

    #[test]
    fn use_first_pass_never_asks() {
        for authtok in [None, password("a password")] {
            let mut host = Script::new(&["123456"]);
            let only = Arguments { first_pass: FirstPass::Only, forward_pass: true, ..PASSED };
            let login = begin(&mut host, &only, authtok, 6);
            assert!(login.is_ok_and(|login| matches!(login.next(), Next::Done(End::Refused))));
            assert!(host.said.borrow().is_empty());
        }
    }
}
