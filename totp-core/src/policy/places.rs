//! `enroll_in`: where secrets are shown. A program that shows PAM's prompts and messages anywhere but on the user's own
//! screen, such as in a log or in the output of a command, would publish a key. And where messages are shown, which are no
//! secrets, but must not get into the output of a command.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;

use super::Policy;

/// Programs that show prompts by their protocol: they need no terminal of their own.
const BY_PROTOCOL: [&str; 1] = ["sshd"];

/// Programs that show prompts on the terminal on which they run, or on standard error.
const ON_TERMINAL: [&str; 5] = ["login", "su", "su-l", "sudo", "sudo-i"];

/// Display managers, which carry messages to a screen of their own. Not cockpit, which writes them to the journal, and not
/// polkit-1, whose window closes at once: no user reads them there.
const ON_SCREEN: [&str; 5] =
    ["gdm-fingerprint", "gdm-password", "gdm-smartcard", "lightdm", "sddm"];

/// What sshd calls its terminal, whatever its service is called.
const SSH: &str = "ssh";

/// The default of `enroll_in`.
pub(super) fn usual() -> Vec<String> {
    BY_PROTOCOL.iter().chain(&ON_TERMINAL).map(|&name| name.to_owned()).collect()
}

/// Where the program that a user logs in at writes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outputs {
    /// Whether standard output is a terminal.
    pub stdout_is_terminal: bool,
    /// Whether standard error is a terminal.
    pub stderr_is_terminal: bool,
}

/// Whether a login may show secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Display {
    /// Nobody but the user reads them.
    Private,
    /// The service is not in `enroll_in`.
    NotListed,
    /// Standard output or standard error of a program that writes there is not a terminal.
    Redirected,
}

/// How a message reaches the user who logs in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Messages {
    /// The program carries it.
    ByProtocol,
    /// Standard error is a terminal. Standard output may be anything: the output of a command that the program runs.
    OnTerminal,
    /// It may get into a file, a log or a variable.
    Nowhere,
}

/// Whether the program is sshd, by what it calls its terminal.
#[must_use]
pub fn is_sshd(tty: &str) -> bool {
    tty == SSH
}

/// How messages of `service` reach the user.
pub fn messages(service: &str, tty: &str, outputs: Outputs) -> Messages {
    if is_sshd(tty) || BY_PROTOCOL.contains(&service) || ON_SCREEN.contains(&service) {
        Messages::ByProtocol
    } else if outputs.stderr_is_terminal {
        Messages::OnTerminal
    } else {
        Messages::Nowhere
    }
}

impl Policy {
    /// Whether `service` shows prompts to the user alone. Of a service that is known to use a terminal its outputs must
    /// be one; for any other service that is listed the administrator has vouched.
    pub fn display(&self, service: &str, outputs: Outputs) -> Display {
        let terminals = outputs.stdout_is_terminal && outputs.stderr_is_terminal;
        // libpam gives services names in lower case.
        if !self.enroll_in.iter().any(|listed| listed.to_ascii_lowercase() == service) {
            Display::NotListed
        } else if ON_TERMINAL.contains(&service) && !terminals {
            Display::Redirected
        } else {
            Display::Private
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Config;

    const TERMINALS: Outputs = Outputs { stdout_is_terminal: true, stderr_is_terminal: true };
    const NEITHER: Outputs = Outputs { stdout_is_terminal: false, stderr_is_terminal: false };

    fn display(config: &str, service: &str, outputs: Outputs) -> Display {
        Config::parse(config).unwrap().policy(service).display(service, outputs)
    }

    #[test]
    fn a_message_is_carried_by_the_program_or_goes_to_a_terminal_on_standard_error() {
        let stdout = Outputs { stdout_is_terminal: false, ..TERMINALS };
        let stderr = Outputs { stderr_is_terminal: false, ..TERMINALS };
        for service in ["su", "sudo", "doas", "login", "cockpit", "polkit-1", ""] {
            for (outputs, how) in [
                (TERMINALS, Messages::OnTerminal),
                (stdout, Messages::OnTerminal),
                (stderr, Messages::Nowhere),
                (NEITHER, Messages::Nowhere),
            ] {
                assert_eq!(messages(service, "/dev/pts/0", outputs), how, "{service}");
            }
        }
        for (service, tty) in [("sshd", ""), ("gdm-password", ":0"), ("other-sshd", "ssh")] {
            assert_eq!(messages(service, tty, NEITHER), Messages::ByProtocol, "{service}");
        }
        assert!(is_sshd("ssh") && !is_sshd("") && !is_sshd("ssh2"));
    }

    #[test]
    fn by_default_secrets_are_shown_by_sshd_and_on_terminals_alone() {
        for service in ["sshd", "login", "su", "su-l", "sudo", "sudo-i"] {
            assert_eq!(display("", service, TERMINALS), Display::Private, "{service}");
        }
        for service in ["cockpit", "doas", "vsftpd", "dovecot", "openvpn", "", "SSHD"] {
            assert_eq!(display("", service, TERMINALS), Display::NotListed, "{service}");
        }
    }

    #[test]
    fn a_program_on_a_terminal_shows_no_secret_with_either_output_redirected() {
        let stdout = Outputs { stdout_is_terminal: false, ..TERMINALS };
        let stderr = Outputs { stderr_is_terminal: false, ..TERMINALS };
        for service in ["login", "su", "su-l", "sudo", "sudo-i"] {
            for outputs in [stdout, stderr, NEITHER] {
                assert_eq!(display("", service, outputs), Display::Redirected, "{service}");
            }
        }
        assert_eq!(display("", "sshd", NEITHER), Display::Private, "it has none");
    }

    #[test]
    fn an_administrator_names_other_services_in_general_or_for_one_alone() {
        let general = "[policy]\nenroll_in = [\"cockpit\"]";
        assert_eq!(display(general, "cockpit", NEITHER), Display::Private);
        assert_eq!(display(general, "sshd", TERMINALS), Display::NotListed);
        let own = "[service.cockpit]\nenroll_in = [\"cockpit\"]\n[service.su]\nenroll_in = []";
        assert_eq!(display(own, "cockpit", NEITHER), Display::Private);
        assert_eq!(display(own, "su", TERMINALS), Display::NotListed);
        assert_eq!(display(own, "sshd", NEITHER), Display::Private);
        let capitals = "[policy]\nenroll_in = [\"Cockpit\"]";
        assert_eq!(display(capitals, "cockpit", NEITHER), Display::Private, "as libpam spells it");
    }
}
