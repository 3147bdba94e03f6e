//! QR codes: which of its drawings (`totp-qr`) this terminal gets, and pictures in files. Nothing here knows what a
//! secret is, or asks anybody anything.

pub mod picture;
pub mod terminal;

#[cfg(test)]
mod tests {
    use totp_qr::{COMFORTABLE_MODULES, Code};

    #[test]
    fn the_longest_text_the_core_shortens_to_is_comfortable() {
        let text = "x".repeat(totp_core::otpauth::FITS_37_MODULES);
        assert!(Code::new(&text).unwrap().modules() <= COMFORTABLE_MODULES);
    }
}
