//! Drawing a QR code on a terminal, or where the output goes that is none.
//!
//! The colours of the drawing are the picture and not decoration, which is why NO_COLOR does not take them away; where the
//! output is no terminal there are none, and dark modules are what is inked. A drawing is never wrapped: a terminal that is
//! too small gets none.

use totp_qr::{Code, Glyphs, Ground, lines};
use zeroize::Zeroizing;

use crate::cli;

/// What was asked for, or what the locale can show; `None` for no drawing.
pub fn choose(asked: cli::Qr, locale_is_utf8: bool) -> Option<Glyphs> {
    match asked {
        cli::Qr::None => None,
        cli::Qr::Utf8 => Some(Glyphs::HalfBlocks),
        cli::Qr::Ascii => Some(Glyphs::Ascii),
        cli::Qr::Auto if locale_is_utf8 => Some(Glyphs::HalfBlocks),
        cli::Qr::Auto => Some(Glyphs::Ascii),
    }
}

/// The drawing, each line with its end. `colours`: the lines go to a terminal.
pub fn draw(code: &Code, glyphs: Glyphs, colours: bool) -> Zeroizing<String> {
    let ground = if colours { Ground::Named } else { Ground::Light };
    let lines = lines(code, glyphs, ground);
    // Room at once: a growing String would leave copies of the secret behind.
    let bytes = lines.iter().map(|line| line.len().saturating_add(1)).sum();
    let mut drawing = Zeroizing::new(String::with_capacity(bytes));
    for line in &lines {
        drawing.extend([line.as_str(), "\n"]);
    }
    drawing
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_locale_decides_only_where_nothing_was_asked_for() {
        assert_eq!(choose(cli::Qr::Auto, true), Some(Glyphs::HalfBlocks));
        assert_eq!(choose(cli::Qr::Auto, false), Some(Glyphs::Ascii));
        assert_eq!(choose(cli::Qr::Utf8, false), Some(Glyphs::HalfBlocks));
        assert_eq!(choose(cli::Qr::Ascii, true), Some(Glyphs::Ascii));
        assert_eq!(choose(cli::Qr::None, true), None);
    }

    #[test]
    fn colours_are_for_terminals_alone() {
        let code = Code::new("otpauth").unwrap();
        for glyphs in [Glyphs::HalfBlocks, Glyphs::Ascii] {
            assert!(!draw(&code, glyphs, false).contains('\x1b'));
            let coloured = draw(&code, glyphs, true);
            assert!(coloured.lines().all(|line| line.ends_with("\x1b[0m")));
        }
    }
}
