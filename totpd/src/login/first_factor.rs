//! The first factor that the PAM line requires (`first_factor=publickey`): a public key that sshd has verified.
//!
//! It is looked for before anything else about a login is, and without it the login is denied before a prompt: what it gets
//! is the same for all names, and neither a password nor a code is asked for and spent.

use totp_core::evaluate::Reason;

use super::arguments::Arguments;
use super::auth::refused_for;
use super::facts::Facts;
use super::host::{Host, Priority, ReturnCode};
use crate::request::{Caller, Request};

/// The first factor is missing; the log has what, why and the remedy.
pub(super) struct Missing;

/// Denies where the line requires a key and none was verified.
pub(super) fn ensure_given(
    host: &dyn Host,
    request: &Request,
    arguments: &Arguments,
    facts: &Facts,
) -> Result<(), Missing> {
    if !arguments.key_required || facts.key.is_some() {
        return Ok(());
    }
    host.log(Priority::Error, &missing(request, facts));
    host.log(Priority::Notice, &refused_for(&request.user, Reason::FirstFactor));
    host.log(Priority::Notice, &facts.failure(&request.user));
    Err(Missing)
}

/// What a login that is not challenged comes to. PAM_IGNORE leaves the answer to the other modules of the stack; where the first
/// factor is a key, there is none that could give it.
pub(super) fn not_challenged(arguments: &Arguments) -> ReturnCode {
    if arguments.key_required { ReturnCode::Success } else { ReturnCode::Ignore }
}

fn missing(request: &Request, facts: &Facts) -> String {
    let service = facts.service.escape_default();
    let what = match request.caller {
        Caller::Root { .. } => "names no verified public key of a known kind (SSH_AUTH_INFO_0)",
        Caller::User { .. } => {
            "is not run by root, and the public key that it names is not believed"
        }
    };
    format!(
        "first_factor=publickey: {service} {what}; login denied. Let sshd require the key, in each Match block too: \
         AuthenticationMethods publickey,keyboard-interactive; \
         or correct the line of pam_totp.so in /etc/pam.d/{service}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::login::host::script::Script;
    use crate::request::tests::sshd;

    const REQUIRED: &str = "first_factor=publickey";
    const KEY: &[u8] = b"publickey ssh-ed25519 \
        AAAAC3NzaC1lZDI1NTE5AAAAIK/YLGEcZSiwYudEwnmTZQsafYwXvFRwK3YrMC30jy1h\n";

    fn arguments(words: &[&str]) -> Arguments {
        let words: Vec<Vec<u8>> = words.iter().map(|word| word.as_bytes().to_vec()).collect();
        Arguments::parse(&words).expect("arguments")
    }

    fn is_given(request: &Request, words: &[&str]) -> (bool, Vec<String>) {
        let host = Script::default();
        let given = ensure_given(&host, request, &arguments(words), &Facts::of(request)).is_ok();
        let said = host.said.borrow().clone();
        (given, said)
    }

    #[test]
    fn no_key_is_needed_where_the_line_does_not_say_so() {
        assert_eq!(is_given(&sshd(), &["nullok"]), (true, vec![]));
        assert_eq!(not_challenged(&arguments(&["nullok"])), ReturnCode::Ignore);
    }

    #[test]
    fn a_verified_key_is_the_first_factor_and_success_where_no_code_is_asked_for() {
        let request = Request { ssh_auth_info: Some(KEY.to_vec()), ..sshd() };
        assert_eq!(is_given(&request, &[REQUIRED]), (true, vec![]));
        assert_eq!(not_challenged(&arguments(&[REQUIRED])), ReturnCode::Success);
    }

    #[test]
    fn no_other_method_of_sshd_is_the_first_factor() {
        let key = str::from_utf8(KEY).expect("ASCII").strip_prefix("publickey ").expect("a key");
        let hostbased = format!("hostbased {key}");
        let certified = format!("publickey-hostbound {key}");
        for info in ["", "password\n", "gssapi-with-mic\n", &hostbased, &certified, "publickey\n"] {
            let request = Request { ssh_auth_info: Some(info.into()), ..sshd() };
            assert!(!is_given(&request, &[REQUIRED]).0, "{info}");
        }
    }

    #[test]
    fn a_missing_key_is_logged_with_the_argument_and_the_remedy() {
        let (given, said) = is_given(&sshd(), &[REQUIRED]);
        assert!(!given);
        let [first, second, third] = said.as_slice() else { panic!("{said:?}") };
        assert!(first.contains("first_factor=publickey: sshd names no verified public key"));
        assert!(first.contains("AuthenticationMethods publickey,keyboard-interactive"));
        assert!(second.contains("reason=first-factor user=alice"), "{second}");
        assert!(third.contains("authentication failure; "), "{third}");
    }

    #[test]
    fn a_program_of_a_user_gives_no_key() {
        // As Request::new leaves it: what such a program names has been taken away.
        let request = Request { caller: Caller::User { uid: 1001 }, ..sshd() };
        let (given, said) = is_given(&request, &[REQUIRED]);
        assert!(!given && said.first().is_some_and(|line| line.contains("not run by root")));
    }
}
