//! QR codes: from the otpauth text to modules. Where they are drawn is in the two files below. Nothing
//! here knows what a secret is, or asks anybody anything.

pub mod picture;
pub mod terminal;

use anyhow::{Context as _, Result};
use qrcode::{EcLevel, QrCode};

/// A side of at most this many modules is drawn in 41 columns and 21 lines, which leaves room on 80 x 24
/// for a heading, the key to type in and the prompt. `totp_core::otpauth` shortens the issuer for it.
#[cfg(test)]
pub const COMFORTABLE_MODULES: usize = 37;

/// A QR code, error correction level L: a screen gets no stains, and fewer modules are larger ones.
pub struct Code {
    code: QrCode,
}

impl Code {
    /// The code that carries `text`. Fails where no QR code can hold it (2,953 bytes).
    pub fn new(text: &str) -> Result<Self> {
        let code = QrCode::with_error_correction_level(text, EcLevel::L)
            .context("the text does not fit into a QR code")?;
        Ok(Self { code })
    }

    /// How many modules a side has.
    pub fn modules(&self) -> usize {
        self.code.width()
    }

    /// Whether the module is dark; outside of the code everything is light.
    fn is_dark(&self, column: usize, row: usize) -> bool {
        let side = self.modules();
        column < side && row < side && self.code[(column, row)] == qrcode::Color::Dark
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_text_the_core_shortens_to_is_comfortable() {
        let text = "x".repeat(totp_core::otpauth::FITS_37_MODULES);
        assert!(Code::new(&text).unwrap().modules() <= COMFORTABLE_MODULES);
    }

    #[test]
    fn a_text_too_long_for_any_code_is_an_error() {
        assert!(Code::new(&"x".repeat(3000)).is_err());
    }
}
