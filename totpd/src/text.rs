//! Text on its way to a terminal or a log: no hidden characters but line feeds where several lines are meant, bounded, no NUL
//! inside.

use std::ffi::{CStr, CString};
use std::fmt::Write;

use totp_core::visible::{is_hidden, is_plain};
use totp_wire::limits;
use zeroize::Zeroizing;

use crate::login::host::SECRET_BYTES;

/// `\xNN`
const LONGEST_ESCAPE: usize = 4;

/// `PAM_MAX_MSG_SIZE` counts the terminating NUL.
const MESSAGE_BYTES: usize = 511;

/// A prompt or a message, hidden characters as spaces. Wiped when dropped: it may be a secret.
pub(crate) struct Message(Zeroizing<Vec<u8>>);

impl Message {
    /// One line as every program takes it: under 512 bytes.
    pub(crate) fn new(text: &str) -> Self {
        Self::bounded(text, MESSAGE_BYTES, is_hidden)
    }

    /// Several lines, for services that are known to show a longer prompt whole.
    pub(crate) fn lines(text: &str) -> Self {
        Self::bounded(text, SECRET_BYTES, |c| is_hidden(c) && c != '\n')
    }

    fn bounded(text: &str, most: usize, is_blank: impl Fn(char) -> bool) -> Self {
        // Room at once: a growing Vec would leave copies behind.
        let mut line = Zeroizing::new(Vec::with_capacity(most.saturating_add(1)));
        for c in text.chars().map(|c| if is_blank(c) { ' ' } else { c }) {
            if line.len().saturating_add(c.len_utf8()) > most {
                break;
            }
            line.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        }
        line.push(0);
        Self(line)
    }

    pub(crate) fn as_c_str(&self) -> &CStr {
        // NUL is a control character, so the only one is at the end, and the default, an empty line, never comes.
        CStr::from_bytes_with_nul(&self.0).unwrap_or_default()
    }
}

/// One line of the log, of bounded length: what is not printable ASCII as `\xNN`.
///
/// A backslash stays as it is: text from outside was escaped where it was put in.
pub(crate) fn log_line(text: &str) -> CString {
    let mut line = String::with_capacity(text.len());
    for byte in text.bytes() {
        if line.len() >= limits::TEXT.saturating_sub(LONGEST_ESCAPE) {
            break;
        }
        if is_plain(byte) {
            line.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(line, "\\x{byte:02x}");
        }
    }
    // No NUL is left, so the default, an empty line, never comes.
    CString::new(line).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(text: &str) -> String {
        Message::new(text).as_c_str().to_str().expect("whole characters").to_owned()
    }

    #[test]
    fn a_message_is_one_line() {
        assert_eq!(message("a\r\nb\0c\u{9b}d\te"), "a  b c d e");
    }

    #[test]
    fn a_message_has_no_hidden_character() {
        let shown: String = ('\0'..=char::MAX).map(|c| message(&c.to_string())).collect();
        assert!(!shown.contains(is_hidden));
        assert_eq!(message("a\u{202e}b\u{200b}c\u{e0041}▀"), "a b c ▀");
    }

    #[test]
    fn a_message_is_cut_between_characters_below_512_bytes() {
        assert_eq!(message(&"x".repeat(600)).len(), 511);
        let wide = message(&"é".repeat(300));
        assert_eq!((wide.len(), wide.chars().count()), (510, 255));
    }

    #[test]
    fn a_prompt_with_a_secret_keeps_its_lines_and_no_other_control_character() {
        let text = format!("a\n{}\r\t\0\u{1b}b", "█".repeat(600));
        let shown = Message::lines(&text);
        let expected = format!("a\n{}    b", "█".repeat(600));
        assert_eq!(shown.as_c_str().to_str(), Ok(expected.as_str()));
        let cut = Message::lines(&"█".repeat(9_000));
        assert_eq!(cut.as_c_str().to_bytes().len(), SECRET_BYTES / 3 * 3);
    }

    #[test]
    fn a_log_line_has_room_in_a_message() {
        for text in ["x".repeat(70_000), "\u{1b}".repeat(70_000)] {
            let line = log_line(&text).to_bytes().len();
            assert!((limits::TEXT - 4..=limits::TEXT).contains(&line), "{line}");
        }
    }

    #[test]
    fn a_log_line_is_printable_ascii() {
        let line = log_line("user=b\\x20ö\n\0\x7f%s");
        assert_eq!(line.as_c_str(), c"user=b\\x20\\xc3\\xb6\\x0a\\x00\\x7f%s");
    }
}
