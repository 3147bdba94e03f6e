//! Which characters may reach a terminal, a mail, a log or a file that people read. Each place escapes the others in its own way.

use alloc::string::String;

/// Whether a character acts on a terminal or a line, or is there without being seen.
///
/// - control characters (General_Category Cc), and the separators of lines and paragraphs (Zl, Zp);
/// - marks that change the direction of writing (Bidi_Control): they let one text look like another, Unicode Technical Report 36
///   section 3.6;
/// - whatever else is not drawn (Default_Ignorable_Code_Point, of Unicode 16): zero-width characters, the soft hyphen, fillers,
///   variation selectors, tags. Unicode Technical Standard 39 allows them in no identifier, since two texts that differ in
///   them look the same, and whole messages can be hidden in them;
/// - annotations between lines (U+FFF9 to U+FFFB).
///
/// Joiners and variation selectors are part of some words and emoji. Those are escaped, too: they stay readable, and nothing here is
/// literature.
#[must_use]
pub fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}')
}

/// Whether a byte is a printable character of ASCII: all that stands in lines for the system's log.
#[must_use]
pub fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=b'~')
}

/// Text as one line, with a space in the place of each hidden character.
#[must_use]
pub fn one_line(text: &str) -> String {
    text.chars().map(|c| if is_hidden(c) { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_acts_on_a_terminal_or_is_not_seen_there_is_hidden() {
        for c in [
            '\0',
            '\t',
            '\n',
            '\r',
            '\u{1b}',
            '\u{7f}',
            '\u{85}',
            '\u{9b}',
            '\u{ad}',
            '\u{61c}',
            '\u{180e}',
            '\u{200b}',
            '\u{200c}',
            '\u{200d}',
            '\u{200e}',
            '\u{200f}',
            '\u{2028}',
            '\u{2029}',
            '\u{202a}',
            '\u{202e}',
            '\u{2060}',
            '\u{2066}',
            '\u{2069}',
            '\u{206f}',
            '\u{3164}',
            '\u{fe0f}',
            '\u{feff}',
            '\u{fff9}',
            '\u{e0001}',
            '\u{e0041}',
            '\u{e01ef}',
        ] {
            assert!(is_hidden(c), "U+{:04X}", u32::from(c));
        }
    }

    #[test]
    fn what_people_write_and_what_a_qr_code_is_drawn_with_is_seen() {
        let text =
            " ~aZ0\"\\%é߀£ñ日本語кирилл עברית عربي हिन्दी 한글 ▀▄█ “–” 😀\u{a0}\u{300}\u{fffd}";
        assert_eq!(text.chars().find(|c| is_hidden(*c)), None);
        assert_eq!(one_line(text), text);
    }

    #[test]
    fn one_line_has_a_space_for_each_hidden_character_and_no_other_change() {
        assert_eq!(one_line("a\r\nb\u{202e}c\u{e0041}\u{fe0f}d"), "a  b c  d");
        let all: String = ('\0'..=char::MAX).collect();
        let line = one_line(&all);
        assert!(!line.contains(is_hidden));
        assert!(all.chars().zip(line.chars()).all(|(c, shown)| shown == c || is_hidden(c)));
    }

    #[test]
    fn no_plain_byte_is_hidden() {
        assert!((0..=u8::MAX).all(|byte| !is_plain(byte) || !is_hidden(char::from(byte))));
    }
}
