//! The public key sshd has verified before it asks PAM.
//!
//! sshd lists the methods that have succeeded in PAM's environment as `SSH_AUTH_INFO_0`, one a line:
//! `publickey ssh-ed25519 AAAA...`. Whatever does not look exactly so names no key.

use data_encoding::BASE64;
use sha2::{Digest, Sha256};

/// Above the largest key anybody has: RSA of 16,384 bits takes 2.8 KiB.
const MOST_BYTES: usize = 16 * 1024;

/// The first verified key of `SSH_AUTH_INFO_0`: SHA-256 over its blob (RFC 4253 section 6.6), the same
/// that `ssh-keygen -l` shows in base64.
///
/// A certificate is listed whole, and changes whenever it is signed anew: it names no key here.
pub(crate) fn verified_key(info: &[u8]) -> Option<[u8; 32]> {
    if info.len() > MOST_BYTES {
        return None;
    }
    let text = str::from_utf8(info).ok()?;
    let key = text.lines().find_map(|line| line.strip_prefix("publickey "))?;
    let (kind, blob) = key.split_once(' ')?;
    let blob = BASE64.decode(blob.as_bytes()).ok()?;
    if kind.ends_with("-cert-v01@openssh.com") || kind_inside(&blob)? != kind.as_bytes() {
        return None;
    }
    Some(Sha256::digest(&blob).into())
}

/// A blob begins with the name of its kind as an RFC 4251 string: four bytes of length, then it.
fn kind_inside(blob: &[u8]) -> Option<&[u8]> {
    let (length, rest) = blob.split_first_chunk::<4>()?;
    rest.get(..usize::try_from(u32::from_be_bytes(*length)).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    // From `ssh-keygen -t ed25519`; the fingerprint from `ssh-keygen -l`.
    const KEY: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIK/YLGEcZSiwYudEwnmTZQsafYwXvFRwK3YrMC30jy1h";
    const FINGERPRINT: &str = "Bl3ZYjbXJVh9j8AjdIaQSIasl1xx4iy/bkvPoxp/Y1E";

    fn shown(fingerprint: [u8; 32]) -> String {
        data_encoding::BASE64_NOPAD.encode(&fingerprint)
    }

    #[test]
    fn the_fingerprint_is_the_one_ssh_keygen_shows() {
        let found = verified_key(format!("publickey {KEY}\n").as_bytes()).map(shown);
        assert_eq!(found.as_deref(), Some(FINGERPRINT));
    }

    #[test]
    fn other_methods_before_it_are_passed_over() {
        let found = verified_key(format!("password\npublickey {KEY}").as_bytes()).map(shown);
        assert_eq!(found.as_deref(), Some(FINGERPRINT));
    }

    #[test]
    fn whatever_is_not_exactly_a_key_names_none() {
        let (kind, blob) = KEY.split_once(' ').expect("a key");
        let cert = format!("publickey {kind}-cert-v01@openssh.com {blob}");
        let other = format!("publickey ssh-rsa {blob}");
        let comment = format!("publickey {KEY} alice@laptop");
        let indented = format!(" publickey {KEY}");
        let cut = format!("publickey {}", KEY.get(..KEY.len() - 2).expect("ASCII"));
        let huge = format!("publickey {KEY}\n{}", "x".repeat(MOST_BYTES));
        for info in [
            "",
            "password",
            "publickey",
            "publickey ",
            "publickey ssh-ed25519",
            "publickey ssh-ed25519 ",
            "publickey ssh-ed25519 AAAA",
            &cert,
            &other,
            &comment,
            &indented,
            &cut,
            &huge,
        ] {
            assert_eq!(verified_key(info.as_bytes()), None, "{info}");
        }
        assert_eq!(verified_key(b"publickey \xff"), None);
    }
}
