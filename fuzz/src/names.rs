//! Names of users and what else is one word: addresses, numbers, places, times, fingerprints. Two lines: two names.

use totp_core::contact::{Email, Phone};
use totp_core::event::{EventKind, Place};
use totp_core::name::{AuthenticatorName, UserName, escaped, unword, word};
use totp_core::onetime::{CodeHash, CodeId};
use totp_core::origin::{Net, Origin};
use totp_core::record::EnrollmentId;
use totp_core::remembered::Fingerprint;
use totp_core::time::UnixTime;

/// Different names have different files, none of which leads out of its directory; everything else is printed as it was read.
pub fn check(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (one, other) = text.split_once('\n').unwrap_or((&text, "alice"));
    files(one, other);
    line(one);
    values(one);
}

fn files(one: &str, other: &str) {
    let Ok(user) = UserName::new(one) else {
        assert!(one.is_empty() || one.len() > 256 || one.contains('\0'));
        return;
    };
    let file = user.file_name();
    assert!((1..=200).contains(&file.len()) && !file.starts_with('.'), "{file}");
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"._@-%~".contains(&b);
    assert!(file.bytes().all(plain), "{file}");
    let shown = user.to_string();
    assert!(shown.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' '), "{shown}");
    if let Ok(second) = UserName::new(other) {
        assert_eq!(user == second, file == second.file_name(), "{one:?} and {other:?}");
    }
    if let Ok(folded) = UserName::without_account(one) {
        assert_eq!(UserName::without_account(folded.as_str()), Ok(folded));
    }
}

/// One field of a line of the log, or of a state.
fn line(text: &str) {
    let field = word(text, usize::MAX);
    assert!(field.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'=' | b'"')), "{field}");
    assert_eq!(unword(&field).as_deref(), Some(text));
    for most in [0, 1, 32] {
        assert!(word(text, most).len() <= most && field.starts_with(&word(text, most)));
    }
    assert!(escaped(text).bytes().all(|b| b.is_ascii_graphic() || b == b' '));
}

fn values(text: &str) {
    if let Ok(email) = text.parse::<Email>() {
        assert_eq!(email.as_str(), text);
        let bad = |b: u8| !b.is_ascii_graphic() || b",;:<>()[]\"\\".contains(&b);
        assert!(!text.bytes().any(bad) && !text.starts_with('-') && text.matches('@').count() == 1);
    }
    if let Ok(phone) = text.parse::<Phone>() {
        let digits = phone.as_str().strip_prefix('+').expect("a plus sign");
        assert!((7..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit()));
        assert_eq!(phone.as_str().parse(), Ok(phone.clone()));
    }
    if let Ok(name) = AuthenticatorName::new(text) {
        assert_eq!(word(name.as_str(), usize::MAX), text, "a name is a word as it stands");
    }
    // Nothing else is read than is written.
    same::<UnixTime>(text);
    same::<EventKind>(text);
    same::<Fingerprint>(text);
    same::<EnrollmentId>(text);
    same::<CodeHash>(text);
    same::<CodeId>(text);
    same::<Net>(text);
    same::<Origin>(text);
    let origin = Origin::new(None, &Place::new("", text).from, 1000);
    assert_eq!(origin.to_string().parse(), Ok(origin));
}

fn same<T: std::str::FromStr + std::fmt::Display>(text: &str) {
    if let Ok(value) = text.parse::<T>() {
        assert_eq!(value.to_string(), text);
    }
}
