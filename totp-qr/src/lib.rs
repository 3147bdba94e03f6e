//! QR codes on terminals, for the command and for the module: from a text to modules here, from modules to lines of
//! characters in [`lines`]. Nothing here knows what a secret is, asks anybody anything, or prints.
#![forbid(unsafe_code)]

mod drawing;

use qrcode::bits::Bits;
use qrcode::{Color, EcLevel, QrCode, Version};
use thiserror::Error;
use zeroize::Zeroizing;

pub use drawing::{Glyphs, Ground, Size, lines};

/// A side of at most this many modules is drawn in 41 columns and 21 lines, which leaves room on 80 x 24 for a
/// heading, the key to type in and the prompt. `totp_core::otpauth` shortens the issuer for it.
pub const COMFORTABLE_MODULES: usize = 37;

/// A QR code, error correction level L: a screen gets no stains, and fewer modules are larger ones.
pub struct Code {
    side: usize,
    /// Row by row; `true` is dark.
    dark: Zeroizing<Vec<bool>>,
}

/// No QR code can hold the text (2,953 bytes).
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("the text does not fit into a QR code")]
pub struct TooLong;

impl Code {
    /// The code that carries `text`.
    ///
    /// # Errors
    /// The text is too long for any code.
    pub fn new(text: &str) -> Result<Self, TooLong> {
        let code = (1..=40).find_map(|version| of_version(text, version)).ok_or(TooLong)?;
        let side = code.width();
        let mut colours = code.into_colors();
        let dark = colours.iter().map(|colour| *colour == Color::Dark).collect();
        colours.iter_mut().for_each(|colour| *colour = Color::Light);
        Ok(Self { side, dark: Zeroizing::new(dark) })
    }

    /// How many modules a side has.
    #[must_use]
    pub fn modules(&self) -> usize {
        self.side
    }

    /// Whether a module is dark. Outside of the code everything is light.
    #[must_use]
    pub fn is_dark(&self, column: usize, row: usize) -> bool {
        let at = row.saturating_mul(self.side).saturating_add(column);
        column < self.side && self.dark.get(at).copied().unwrap_or(false)
    }
}

/// The text as bytes, whatever characters are in it: how many modules there are depends on its length alone. Mixing modes, a
/// secret with many digits among its letters may take more.
fn of_version(text: &str, version: i16) -> Option<QrCode> {
    let mut bits = Bits::new(Version::Normal(version));
    bits.push_byte_data(text.as_bytes()).ok()?;
    bits.push_terminator(EcLevel::L).ok()?;
    QrCode::with_bits(bits, EcLevel::L).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_size_depends_on_the_length_alone() {
        for secret in ["UOX7DPZJE4SYOH53DQ3VU4GVP3ARJHWK", "22222222222222222222222222222222"] {
            let text = format!("otpauth://totp/a-rather-long-name:daemon?secret={secret}&issuer=");
            let text = format!("{text}{}", "x".repeat(106 - text.len()));
            assert_eq!(Code::new(&text).unwrap().modules(), COMFORTABLE_MODULES);
            assert_eq!(Code::new(&(text + "x")).unwrap().modules(), COMFORTABLE_MODULES + 4);
        }
        assert!(Code::new(&"x".repeat(2953)).is_ok() && Code::new(&"x".repeat(2954)).is_err());
    }

    #[test]
    fn the_corners_are_finders_and_outside_is_light() {
        let code = Code::new("otpauth").unwrap();
        let last = code.modules() - 1;
        assert!(code.is_dark(0, 0) && code.is_dark(last, 0) && code.is_dark(0, last));
        assert!(!code.is_dark(1, 1) && code.is_dark(2, 2));
        for (column, row) in [(last + 1, 0), (0, last + 1), (usize::MAX, usize::MAX)] {
            assert!(!code.is_dark(column, row));
        }
    }

    #[test]
    fn a_text_too_long_for_any_code_is_an_error() {
        assert_eq!(Code::new(&"x".repeat(3000)).err(), Some(TooLong));
    }
}
