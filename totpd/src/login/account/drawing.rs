//! What a user who enrolls at a login is shown: the QR code, and the key to type in. The one place of the daemon where a
//! secret is shown.

use totp_core::otp::Totp;
use totp_core::otpauth;
use totp_qr::{Code, Glyphs, Ground, lines};
use zeroize::Zeroizing;

use crate::login::host::Host;

/// Shows both, line by line: programs and OpenSSH's client take escape sequences for something to be kept from the
/// terminal, so the light modules get the ink.
pub(super) fn show(host: &mut dyn Host, totp: &Totp, issuer: &str, account: &str, ascii: bool) {
    let uri = otpauth::write(totp, issuer, account);
    let glyphs = if ascii { Glyphs::Ascii } else { Glyphs::HalfBlocks };
    // Too long for a code only where the name is: the key is enough.
    let drawing =
        Code::new(&uri).map(|code| lines(&code, glyphs, Ground::Dark)).unwrap_or_default();
    if !drawing.is_empty() {
        host.tell(if ascii {
            "Scan this with your authenticator app:"
        } else {
            "Scan this with your app (unreadable? answer: ascii):"
        });
    }
    for line in &drawing {
        host.tell(line);
    }
    let either = if drawing.is_empty() { "Type" } else { "Or type" };
    let key = otpauth::key_to_type(&totp.secret);
    host.tell(&Zeroizing::new(format!("{either} in this key: {}", key.as_str())));
}

#[cfg(test)]
mod tests {
    use totp_core::otp::{Algorithm, Digits};
    use totp_core::secret::Secret;
    use totp_core::time::Period;

    use super::*;
    use crate::login::host::script::Script;

    fn shown(issuer: &str, account: &str, ascii: bool) -> Vec<String> {
        let totp = Totp {
            secret: Secret::fresh(&[7; Secret::FRESH]),
            algorithm: Algorithm::Sha1,
            digits: Digits::Six,
            period: Period::DEFAULT,
        };
        let mut host = Script::default();
        show(&mut host, &totp, issuer, account, ascii);
        let said = host.said.borrow();
        said.iter().map(|line| line.trim_start_matches("tell: ").to_owned()).collect()
    }

    #[test]
    fn code_key_and_prompt_fit_a_small_terminal() {
        let said = shown("a-very-long-host-name.example.com", "alice", false);
        assert_eq!(said.len(), 23, "and the prompt");
        assert!(said.iter().all(|line| line.chars().count() <= 60), "{said:?}");
        assert!(said[22].starts_with("Or type in this key: "), "{said:?}");
    }

    #[test]
    fn ascii_is_ascii_and_every_line_a_pam_message() {
        let said = shown("web1", "alice", true);
        assert!(said.iter().all(|line| line.is_ascii() && line.len() < 512));
        assert!(said.iter().all(|line| line.len() <= 80));
    }

    #[test]
    fn a_name_too_long_for_any_code_leaves_the_key() {
        let said = shown("", &"\u{20ac}".repeat(900), false);
        assert_eq!(said.len(), 1);
        assert!(said[0].starts_with("Type in this key: "), "{said:?}");
    }
}
