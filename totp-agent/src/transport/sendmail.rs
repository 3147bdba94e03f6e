//! The program `sendmail`, which every mail system brings and which queues by itself.

use std::time::Duration;

use super::NotSent;
use crate::mail::Composed;
use crate::program::{Failure, Output, Work};

pub(super) fn send(program: &str, message: &Composed, timeout: Duration) -> Result<(), NotSent> {
    // -oi: a line with a single dot is no end. Addresses are arguments, not headers (-t): nothing in the text is a recipient.
    let arguments = ["-oi", "-f", message.from.as_str(), "--", message.to.as_str()];
    // It gets the line ends of this system.
    let text = String::from_utf8_lossy(&message.bytes).replace("\r\n", "\n");
    let work = Work { program, input: text.as_bytes(), variables: &[], output: Output::Told };
    work.run(arguments, timeout).map_err(|failure| {
        let what = format!("{program} {failure}");
        match failure {
            Failure::Failed { .. } => NotSent::Refused(what),
            Failure::NotStarted(_) => {
                NotSent::Down(format!("{what}; install a mail system, or set transport in [mail]"))
            }
            Failure::Timeout(_) => NotSent::Down(what),
        }
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::mail::tests::composed;

    #[test]
    fn the_program_gets_addresses_as_arguments_and_the_message_with_this_systems_line_ends() {
        let temp = tempfile::tempdir().unwrap();
        let program = temp.path().join("sendmail");
        let got = temp.path().join("got");
        let script = format!("#!/bin/sh\n{{ echo \"$*\"; cat; }} >{}\n", got.display());
        fs::write(&program, script).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let message = composed("Off", ".\nthe end\n");
        send(program.to_str().unwrap(), &message, Duration::from_secs(20)).unwrap();
        let got = fs::read_to_string(got).unwrap();
        assert!(got.starts_with("-oi -f pam-totp@web1 -- bob@example.com\n"), "{got}");
        assert!(got.ends_with("\n\n.\nthe end\n") && !got.contains('\r'), "{got:?}");
    }

    #[test]
    fn a_program_that_is_not_there_says_what_to_do() {
        let error = send("/nonexistent", &composed("a", "b"), Duration::from_secs(1)).unwrap_err();
        assert!(matches!(&error, NotSent::Down(what) if what.contains("set transport")), "{error}");
    }
}
