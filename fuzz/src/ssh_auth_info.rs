//! `SSH_AUTH_INFO_0`, as sshd puts it into PAM's environment. The daemon is a program and no library, so that its parser
//! is read in here.

use data_encoding::BASE64;
use sha2::{Digest as _, Sha256};

use self::parser::verified_key;

#[path = "../../totpd/src/login/ssh_auth_info.rs"]
#[allow(dead_code)] // read for another crate
mod parser;

/// A key has the fingerprint that OpenSSH shows, of the whole key and of nothing else; what stands around it names no other.
pub fn check(data: &[u8]) {
    let Some(found) = verified_key(data) else { return };
    let text = str::from_utf8(data).expect("a key is text");
    let line = text.lines().find_map(|line| line.strip_prefix("publickey ")).expect("its line");
    let (kind, blob) = line.split_once(' ').expect("kind and key");
    let mut blob = BASE64.decode(blob.as_bytes()).expect("base64");
    if !kind.contains("-cert-") {
        let digest: [u8; 32] = Sha256::digest(&blob).into();
        assert_eq!(found.0, digest, "the fingerprint is of the key");
    }
    let same = |info: String| assert_eq!(verified_key(info.as_bytes()), Some(found), "{info}");
    same(format!("password\npublickey {line}"));
    same(format!("publickey {line}\npassword\n"));
    // One byte less, one more: no key.
    let named = |blob: &[u8]| format!("publickey {kind} {}", BASE64.encode(blob));
    assert_eq!(verified_key(named(&[&blob[..], b"\0"].concat()).as_bytes()), None);
    blob.pop();
    assert_eq!(verified_key(named(&blob).as_bytes()), None);
}
