//! The public key sshd has verified before it asks PAM.
//!
//! sshd lists the methods that have succeeded in PAM's environment as `SSH_AUTH_INFO_0`, one a line:
//! `publickey ssh-ed25519 AAAA...`. Whatever does not look exactly so names no key. The environment of the process,
//! which a caller of sudo or su arranges, is never looked at.

use sha2::{Digest, Sha256};
use totp_core::encoding::BASE64;
use totp_core::remembered::Fingerprint;

/// Above the largest key anybody has: RSA of 16,384 bits takes 2.8 KiB, and a certificate of one signed by another
/// three times that.
const MOST_BYTES: usize = 28 * 1024;

/// The first verified key of `SSH_AUTH_INFO_0`: SHA-256 over its blob (RFC 4253 section 6.6), the same that
/// `ssh-keygen -l` shows in base64.
///
/// A certificate is listed whole, and changes whenever it is signed anew: what counts is the key that it certifies.
pub(crate) fn verified_key(info: &[u8]) -> Option<Fingerprint> {
    if info.len() > MOST_BYTES {
        return None;
    }
    let text = str::from_utf8(info).ok()?;
    let key = text.lines().find_map(|line| line.strip_prefix("publickey "))?;
    let (kind, blob) = key.split_once(' ')?;
    let blob = BASE64.decode(blob.as_bytes()).ok()?;
    let plain = if kind.contains("-cert-") { certified(kind, &blob)? } else { plain(kind, blob)? };
    Some(Fingerprint(Sha256::digest(&plain).into()))
}

/// Signature algorithms by which a key of the kind `ssh-rsa` is called as well (RFC 8332).
const RSA: [&str; 3] = ["ssh-rsa", "rsa-sha2-256", "rsa-sha2-512"];

/// A key that is no certificate: its kind, then strings and nothing else. How many is known of the usual kinds.
fn plain(kind: &str, blob: Vec<u8>) -> Option<Vec<u8>> {
    let kind = if RSA.contains(&kind) { "ssh-rsa" } else { kind };
    let mut wire = Wire(&blob);
    if wire.string()? != kind.as_bytes() {
        return None;
    }
    let mut fields = 0_usize;
    while !wire.0.is_empty() {
        wire.string()?;
        fields = fields.saturating_add(1);
    }
    let usual = CERTIFICATES.iter().find(|format| format.plain == kind);
    let whole = usual.map_or(fields > 0, |format| format.fields == fields);
    whole.then_some(blob)
}

/// A kind of certificate (OpenSSH's PROTOCOL.certkeys).
struct Certificate {
    /// What certificates are called.
    names: &'static [&'static str],
    /// What the keys inside are called.
    plain: &'static str,
    /// Of how many strings such a key consists.
    fields: usize,
}

const CERTIFICATES: [Certificate; 7] = [
    Certificate {
        names: &["ssh-ed25519-cert-v01@openssh.com"],
        plain: "ssh-ed25519",
        fields: 1, // the key
    },
    Certificate {
        names: &[
            "ssh-rsa-cert-v01@openssh.com",
            "rsa-sha2-256-cert-v01@openssh.com",
            "rsa-sha2-512-cert-v01@openssh.com",
        ],
        plain: "ssh-rsa",
        fields: 2, // e, n
    },
    Certificate {
        names: &["ecdsa-sha2-nistp256-cert-v01@openssh.com"],
        plain: "ecdsa-sha2-nistp256",
        fields: 2, // curve, point
    },
    Certificate {
        names: &["ecdsa-sha2-nistp384-cert-v01@openssh.com"],
        plain: "ecdsa-sha2-nistp384",
        fields: 2,
    },
    Certificate {
        names: &["ecdsa-sha2-nistp521-cert-v01@openssh.com"],
        plain: "ecdsa-sha2-nistp521",
        fields: 2,
    },
    Certificate {
        names: &["sk-ssh-ed25519-cert-v01@openssh.com"],
        plain: "sk-ssh-ed25519@openssh.com",
        fields: 2, // key, application
    },
    Certificate {
        names: &["sk-ecdsa-sha2-nistp256-cert-v01@openssh.com"],
        plain: "sk-ecdsa-sha2-nistp256@openssh.com",
        fields: 3, // curve, point, application
    },
];

/// The blob of the key that a user's certificate certifies.
fn certified(kind: &str, blob: &[u8]) -> Option<Vec<u8>> {
    const USER: u32 = 1;
    let format = CERTIFICATES.iter().find(|format| format.names.contains(&kind))?;
    let mut wire = Wire(blob);
    let inside = str::from_utf8(wire.string()?).ok()?;
    if !format.names.contains(&inside) {
        return None;
    }
    wire.string()?; // nonce
    let mut plain = Vec::with_capacity(blob.len());
    push(&mut plain, format.plain.as_bytes())?;
    for _ in 0..format.fields {
        push(&mut plain, wire.string()?)?;
    }
    wire.bytes::<8>()?; // serial number
    if u32::from_be_bytes(wire.bytes()?) != USER {
        return None;
    }
    wire.string()?; // key id
    wire.string()?; // principals
    wire.bytes::<8>()?; // valid after
    wire.bytes::<8>()?; // valid before
    for _ in 0..5 {
        wire.string()?; // critical options, extensions, reserved, signature key, signature
    }
    wire.0.is_empty().then_some(plain)
}

fn push(blob: &mut Vec<u8>, field: &[u8]) -> Option<()> {
    blob.extend_from_slice(&u32::try_from(field.len()).ok()?.to_be_bytes());
    blob.extend_from_slice(field);
    Some(())
}

/// What is left to be read of a blob in the data types of RFC 4251 section 5.
struct Wire<'a>(&'a [u8]);

impl<'a> Wire<'a> {
    fn bytes<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (bytes, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*bytes)
    }

    /// Four bytes of length, then as many.
    fn string(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(u32::from_be_bytes(self.bytes()?)).ok()?;
        let (string, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(string)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    // From `ssh-keygen -t ed25519`; the fingerprint from `ssh-keygen -l`.
    const KEY: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIK/YLGEcZSiwYudEwnmTZQsafYwXvFRwK3YrMC30jy1h";
    const FINGERPRINT: &str = "SHA256:Bl3ZYjbXJVh9j8AjdIaQSIasl1xx4iy/bkvPoxp/Y1E";

    // Lines of what `ssh-keygen -l` says of the key, and the key or a certificate of it by `ssh-keygen -s`. For those of
    // security keys the certified key was put together by hand.
    const KEYS: &str = include_str!("ssh_auth_info/keys.txt");
    const CERTIFIED: &str = include_str!("ssh_auth_info/certificates.txt");

    fn found(key: &str) -> Option<String> {
        verified_key(format!("publickey {key}\n").as_bytes()).map(|key| key.to_string())
    }

    fn certificate() -> (String, Vec<u8>) {
        let (_, line) = CERTIFIED.lines().next().unwrap().split_once(' ').unwrap();
        let (kind, blob) = line.split_once(' ').unwrap();
        (kind.to_owned(), BASE64.decode(blob.as_bytes()).unwrap())
    }

    #[test]
    fn the_fingerprint_is_the_one_ssh_keygen_shows() {
        assert_eq!(found(KEY).as_deref(), Some(FINGERPRINT));
        for line in KEYS.lines() {
            let (fingerprint, key) = line.split_once(' ').unwrap();
            assert_eq!(found(key).as_deref(), Some(fingerprint), "{key}");
        }
        assert_eq!(KEYS.lines().count(), CERTIFICATES.len());
    }

    #[test]
    fn a_certificate_names_the_key_that_it_certifies() {
        for line in CERTIFIED.lines() {
            let (fingerprint, certificate) = line.split_once(' ').unwrap();
            assert_eq!(found(certificate).as_deref(), Some(fingerprint), "{certificate}");
        }
        for Certificate { names, .. } in &CERTIFICATES {
            assert!(CERTIFIED.contains(&format!(" {} ", names[0])));
        }
    }

    #[test]
    fn an_rsa_key_has_one_fingerprint_whatever_it_signs_with() {
        for lines in [KEYS, CERTIFIED] {
            let rsa = lines.lines().find(|line| line.contains(" ssh-rsa")).unwrap();
            let (fingerprint, key) = rsa.split_once(' ').unwrap();
            for name in ["rsa-sha2-256", "rsa-sha2-512"] {
                let renamed = key.replacen("ssh-rsa", name, 1);
                assert_eq!(found(&renamed).as_deref(), Some(fingerprint));
            }
        }
    }

    #[test]
    fn other_methods_before_it_are_passed_over() {
        let info = format!("password\npublickey {KEY}");
        let found = verified_key(info.as_bytes()).map(|key| key.to_string());
        assert_eq!(found.as_deref(), Some(FINGERPRINT));
    }

    #[test]
    fn whatever_is_not_exactly_a_key_names_none() {
        let (kind, blob) = KEY.split_once(' ').expect("a key");
        let cert = format!("publickey {kind}-cert-v01@openssh.com {blob}");
        let newer = format!("publickey {kind}-cert-v02@openssh.com {blob}");
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
            &newer,
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

    #[test]
    fn a_key_or_certificate_cut_off_or_with_something_behind_it_names_none() {
        for line in KEYS.lines().chain(CERTIFIED.lines()) {
            let mut words = line.split(' ').skip(1);
            let (kind, blob) = (words.next().unwrap(), words.next().unwrap());
            let blob = BASE64.decode(blob.as_bytes()).unwrap();
            for at in 0..blob.len() {
                let cut = format!("{kind} {}", BASE64.encode(&blob[..at]));
                assert_eq!(found(&cut), None, "{kind} cut at {at}");
            }
            for more in [&b"\0"[..], b"x", b"\0\0\0\x05abc", b"\0\0\0\x03abc"] {
                let longer = [&blob, more].concat();
                assert_eq!(found(&format!("{kind} {}", BASE64.encode(&longer))), None, "{kind}");
            }
        }
    }

    #[test]
    fn the_certificate_of_a_host_or_of_another_kind_names_none() {
        let (kind, blob) = certificate();
        let good = |blob: &[u8]| found(&format!("{kind} {}", BASE64.encode(blob)));
        assert!(good(&blob).is_some());
        // Kind, nonce, key, serial number, and then what it is for.
        let purpose = 4 + kind.len() + 4 + 32 + 4 + 32 + 8;
        assert_eq!(blob[purpose..purpose + 4], [0, 0, 0, 1]);
        let mut host = blob.clone();
        host[purpose + 3] = 2;
        assert_eq!(good(&host), None);
        let other = format!("ssh-rsa-cert-v01@openssh.com {}", BASE64.encode(&blob));
        assert_eq!(found(&other), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = verified_key(&bytes);
            let encoded = BASE64.encode(&bytes);
            for Certificate { names, plain, .. } in &CERTIFICATES {
                let _ = found(&format!("{} {encoded}", names[0]));
                let _ = found(&format!("{plain} {encoded}"));
            }
        }

        #[test]
        fn a_certificate_with_any_byte_changed_is_read_without_a_panic(at in 0..400_usize, to in any::<u8>()) {
            let (kind, mut blob) = certificate();
            if let Some(byte) = blob.get_mut(at) {
                *byte = to;
            }
            let _ = found(&format!("{kind} {}", BASE64.encode(&blob)));
        }
    }
}
