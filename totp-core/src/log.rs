//! The lines for the system's log, to the letter: fail2ban, crowdsec and people read them. Never a code or a secret.

use alloc::format;
use alloc::string::String;
use core::fmt::Write as _;

use crate::evaluate::{Accepted, By, Reason, Refusal};
use crate::name::{AuthenticatorName, UserName, escaped};
use crate::route::Skip;
use crate::store::Durability;

/// What pam_unix says when a login fails, and what every log reader knows: exactly this, with nothing behind it.
pub struct Failure<'a> {
    /// Real uid of the process.
    pub uid: u32,
    /// Effective uid of the process.
    pub euid: u32,
    /// `PAM_TTY`.
    pub tty: &'a str,
    /// `PAM_RUSER`.
    pub ruser: &'a str,
    /// `PAM_RHOST`.
    pub rhost: &'a str,
    /// The user.
    pub user: &'a str,
}

impl Failure<'_> {
    /// The line, once, when a dialogue has finally failed.
    #[must_use]
    pub fn line(&self) -> String {
        // Two spaces in front of `user=`, as pam_unix writes it.
        format!(
            "authentication failure; logname= uid={} euid={} tty={} ruser={} rhost={}  user={}",
            self.uid,
            self.euid,
            one_word(self.tty),
            one_word(self.ruser),
            one_word(self.rhost),
            one_word(self.user)
        )
    }
}

/// Why one answer was refused.
#[must_use]
pub fn reason(user: &UserName, refusal: &Refusal) -> String {
    let mut line = reason_alone(user, refusal.reason, refusal.authenticator.as_ref());
    if let Reason::Clock { seconds } = refusal.reason {
        let _ = write!(line, " seconds={seconds}"); // a String takes everything
    }
    line
}

/// Why a login fails, where no answer was evaluated.
#[must_use]
pub fn reason_alone(
    user: &UserName,
    reason: Reason,
    authenticator: Option<&AuthenticatorName>,
) -> String {
    let mut line = format!("reason={} user={}", reason.as_str(), one_word(user.as_str()));
    if let Some(name) = authenticator {
        let _ = write!(line, " authenticator={name}"); // a String takes everything
    }
    line
}

/// What to set where the account's password came in place of a code.
#[must_use]
pub fn password_typed(user: &UserName, service: &str, tty: &str) -> String {
    let remedy = if tty == "ssh" || service == "sshd" {
        "sshd's password method does that. Set KbdInteractiveAuthentication yes, and PasswordAuthentication no or \
         AuthenticationMethods keyboard-interactive; or, for password and code in one answer, forward_pass in the PAM file"
    } else {
        "a program with one password field does that. Put pam_totp.so with forward_pass above the module that checks the \
         password, and let users type the code behind it"
    };
    let (user, service) = (one_word(user.as_str()), one_word(service));
    format!("{service} gave the account's password where a code of {user} was asked for: {remedy}")
}

/// A login was let in.
#[must_use]
pub fn accepted(
    user: &UserName,
    rhost: &str,
    accepted: &Accepted,
    durability: Durability,
) -> String {
    let from = if rhost.is_empty() { String::from("local") } else { one_word(rhost) };
    let who = one_word(user.as_str());
    let mut line = format!("accepted {} for {who} from {from}", accepted.kind());
    // A String takes everything.
    let _ = match accepted.by() {
        By::Totp { authenticator, drift, off: None, .. } => {
            write!(line, " authenticator={authenticator} drift={drift}")
        }
        By::Totp { authenticator, drift, off: Some(off), .. } => {
            write!(line, " authenticator={authenticator} drift={drift} clock-off={off}s")
        }
        By::Recovery { left, .. } => write!(line, " left={left}"),
        By::Bypass | By::Text | By::Enrollment => Ok(()),
    };
    if durability == Durability::Volatile {
        line.push_str(" state=volatile");
    }
    line
}

/// A login isn't asked.
#[must_use]
pub fn not_asked(user: &UserName, skip: Skip) -> String {
    format!("not asked for {}: {skip}", one_word(user.as_str()))
}

/// The line, with the name that the enrollment is kept under where that is not the user's own.
#[must_use]
pub fn with_name(line: String, user: &UserName, kept: &UserName) -> String {
    if user == kept { line } else { format!("{line} enrolled-as={}", one_word(kept.as_str())) }
}

/// The line, with the service account on whose word the place in it stands.
#[must_use]
pub fn with_caller(line: String, caller: Option<&str>) -> String {
    match caller {
        Some(caller) => format!("{line} caller={}", one_word(caller)),
        None => line,
    }
}

/// Outside text as one word of a line: escaped, without spaces that could end it, of bounded length.
#[must_use]
pub fn one_word(text: &str) -> String {
    let mut word = escaped(text).replace(' ', "\\x20");
    word.truncate(512); // ASCII by now
    word
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::remembered::Fingerprint;

    fn alice() -> UserName {
        UserName::new("alice").unwrap()
    }

    #[test]
    fn the_failure_line_is_the_one_that_log_readers_know() {
        let failure =
            Failure { uid: 0, euid: 0, tty: "ssh", ruser: "", rhost: "192.0.2.1", user: "alice" };
        assert_eq!(
            failure.line(),
            "authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=192.0.2.1  user=alice"
        );
    }

    #[test]
    fn a_password_in_place_of_a_code_is_named_with_what_to_set() {
        let over = |service, tty| password_typed(&alice(), service, tty);
        for line in [over("sshd", "ssh"), over("sshd", ""), over("key", "ssh")] {
            assert!(line.contains("KbdInteractiveAuthentication yes"), "{line}");
        }
        let line = over("m ail", "");
        let beginning =
            "m\\x20ail gave the account's password where a code of alice was asked for: ";
        assert!(line.starts_with(beginning) && line.contains("forward_pass above"), "{line}");
    }

    #[test]
    fn a_hostile_name_cannot_write_a_line_of_its_own() {
        let failure = Failure {
            uid: 0,
            euid: 0,
            tty: "",
            ruser: "",
            rhost: "192.0.2.1",
            user: "x rhost=203.0.113.1\n\u{1b}[2J",
        };
        assert!(failure.line().ends_with("user=x\\x20rhost=203.0.113.1\\x0a\\x1b[2J"));
    }

    #[test]
    fn a_refused_answer_has_a_reason() {
        let refusal = |reason, name: Option<&str>| Refusal {
            authenticator: name.map(|n| AuthenticatorName::new(n).unwrap()),
            ..Refusal::free(reason)
        };
        assert_eq!(
            reason(&alice(), &refusal(Reason::Replay, Some("phone"))),
            "reason=replay user=alice authenticator=phone"
        );
        assert_eq!(
            reason(&alice(), &refusal(Reason::Clock { seconds: 90 }, Some("phone"))),
            "reason=clock user=alice authenticator=phone seconds=90"
        );
        assert_eq!(reason(&alice(), &refusal(Reason::Wrong, None)), "reason=wrong user=alice");
    }

    #[test]
    fn a_line_has_both_names_where_the_enrollment_is_kept_under_another() {
        let line = || reason(&alice(), &Refusal::free(Reason::Wrong));
        assert_eq!(with_name(line(), &alice(), &alice()), "reason=wrong user=alice");
        let old = UserName::new("al ice").unwrap();
        let both = "reason=wrong user=alice enrolled-as=al\\x20ice";
        assert_eq!(with_name(line(), &alice(), &old), both);
    }

    #[test]
    fn a_line_names_the_program_on_whose_word_it_is() {
        let line = || String::from("accepted bypass for alice from 192.0.2.7");
        assert_eq!(with_caller(line(), None), line());
        let named = "accepted bypass for alice from 192.0.2.7 caller=www-data";
        assert_eq!(with_caller(line(), Some("www-data")), named);
    }

    #[test]
    fn a_login_that_is_not_asked_says_so() {
        assert_eq!(not_asked(&alice(), Skip::Disabled), "not asked for alice: disabled");
        assert_eq!(
            not_asked(&alice(), Skip::Remembered(Fingerprint([1; 32]))),
            "not asked for alice: remembered device SHA256:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE"
        );
    }
}
