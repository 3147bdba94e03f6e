//! QR codes on terminals, for the command and for the module: from a text to modules here, from modules to lines of
//! characters in [`lines`]. Nothing here knows what a secret is, asks anybody anything, or prints.
#![forbid(unsafe_code)]

mod drawing;

use qrcode::{Color, EcLevel, QrCode};
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
        let code = QrCode::with_error_correction_level(text, EcLevel::L).map_err(|_| TooLong)?;
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

#[cfg(test)]
mod tests {
    use super::*;

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
