//! What a user who enrolls at a login is shown: the QR code, and the key to type in. The one place of the daemon where a
//! secret is shown.

use totp_core::otp::Totp;
use totp_core::otpauth;
use totp_qr::{Code, Glyphs, Ground, lines};
use zeroize::Zeroizing;

use crate::login::host::SECRET_BYTES;

/// Room for the lines around the drawing.
const OTHER_BYTES: usize = 512;

/// Both, and the question behind them, as one prompt: programs write messages elsewhere than prompts. No colours: programs and
/// OpenSSH's client take escape sequences for something to be kept from the terminal, so the light modules get the ink.
pub(super) fn prompt(
    totp: &Totp,
    issuer: &str,
    account: &str,
    ascii: bool,
    question: &str,
) -> Zeroizing<String> {
    // Room at once: a growing String would leave copies behind.
    let mut text = Zeroizing::new(String::with_capacity(SECRET_BYTES));
    let drawing = drawing(&otpauth::write(totp, issuer, account), ascii);
    let either = if drawing.is_empty() {
        "Type"
    } else {
        text.push_str(if ascii {
            "Scan this with your authenticator app:\n"
        } else {
            "Scan this with your app (unreadable? answer: ascii):\n"
        });
        "Or type"
    };
    for line in &drawing {
        text.push_str(line);
        text.push('\n');
    }
    let key = otpauth::key_to_type(&totp.secret);
    for part in [either, " in this key: ", key.as_str(), "\n", question] {
        text.push_str(part);
    }
    text
}

/// The lines of the QR code. None where it has no room: only with very long names. The key is enough.
fn drawing(uri: &str, ascii: bool) -> Vec<Zeroizing<String>> {
    let glyphs = if ascii { Glyphs::Ascii } else { Glyphs::HalfBlocks };
    let code = Code::new(uri).map(|code| lines(&code, glyphs, Ground::Dark)).unwrap_or_default();
    let bytes: usize = code.iter().map(|line| line.len().saturating_add(1)).sum();
    if bytes <= SECRET_BYTES.saturating_sub(OTHER_BYTES) { code } else { Vec::new() }
}

#[cfg(test)]
mod tests {
    use totp_core::otp::{Algorithm, Digits};
    use totp_core::secret::Secret;
    use totp_core::time::Period;

    use super::*;

    const QUESTION: &str = "Code in the app: ";

    fn shown(issuer: &str, account: &str, ascii: bool) -> Vec<String> {
        let totp = Totp {
            secret: Secret::fresh(&[7; Secret::FRESH]),
            algorithm: Algorithm::Sha1,
            digits: Digits::Six,
            period: Period::DEFAULT,
        };
        let text = prompt(&totp, issuer, account, ascii, QUESTION);
        assert!(text.len() <= SECRET_BYTES, "{}", text.len());
        text.split('\n').map(str::to_owned).collect()
    }

    #[test]
    fn code_key_and_question_fit_a_small_terminal() {
        let said = shown("a-very-long-host-name.example.com", "alice", false);
        assert_eq!(said.len(), 24);
        assert!(said.iter().all(|line| line.chars().count() <= 60), "{said:?}");
        assert!(said[22].starts_with("Or type in this key: "), "{said:?}");
        assert_eq!(said[23], QUESTION);
    }

    #[test]
    fn ascii_is_ascii_and_fits_eighty_columns() {
        let said = shown("web1", "alice", true);
        assert!(said.iter().all(|line| line.is_ascii() && line.len() <= 80));
    }

    #[test]
    fn a_name_too_long_for_any_code_leaves_the_key() {
        for (length, ascii) in [(900, false), (200, true)] {
            let said = shown("", &"\u{20ac}".repeat(length), ascii);
            assert_eq!(said.len(), 2);
            assert!(said[0].starts_with("Type in this key: "), "{said:?}");
        }
    }
}
