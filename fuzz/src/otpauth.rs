//! An otpauth address that another issuer made. Lines behind the first: issuer and account for one of our own.

use totp_core::otpauth::{FITS_37_MODULES, key_to_type, read, write};
use totp_core::secret::Secret;

/// What is read is written and read again as the same, whatever issuer and account are called; an error shows no secret.
pub fn check(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    let mut lines = text.lines();
    let address = lines.next().unwrap_or_default();
    let (issuer, account) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    let totp = match read(address) {
        Ok(totp) => totp,
        Err(error) => {
            let said = error.to_string();
            let letters = |c: char| c.is_ascii_uppercase() || ('2'..='7').contains(&c);
            for run in address.split(|c| !letters(c)).filter(|run| run.len() >= 16) {
                assert!(!said.contains(run), "{said:?} repeats {run:?}");
            }
            return;
        }
    };
    assert!((10..=128).contains(&totp.secret.as_bytes().len()));
    let written = write(&totp, issuer, account);
    assert!(written.bytes().all(|byte| byte.is_ascii_graphic()), "{}", written.as_str());
    assert_eq!(written.matches("secret=").count(), 1);
    assert_eq!(written.matches('?').count(), 1);
    assert!(written.len() <= FITS_37_MODULES || !written.contains("&issuer="));
    let again = read(&written).expect("what was written can be read");
    assert!(again.secret.same_as(&totp.secret));
    assert_eq!(
        (again.algorithm, again.digits, again.period),
        (totp.algorithm, totp.digits, totp.period)
    );
    let typed = Secret::from_base32(&key_to_type(&totp.secret)).expect("the key as it is typed");
    assert!(typed.same_as(&totp.secret));
}
