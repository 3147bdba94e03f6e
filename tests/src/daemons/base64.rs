//! Base 64, as Cockpit and OpenVPN carry what is typed.

use std::fmt::Write as _;

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// With padding.
#[must_use]
pub fn encode(bytes: &[u8]) -> String {
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let number = (0..3).fold(0, |n, at| (n << 8) | u32::from(*three.get(at).unwrap_or(&0)));
        for at in 0..4 {
            let character = ALPHABET[(number >> (18 - 6 * at) & 63) as usize];
            let _ = write!(text, "{}", if at > three.len() { '=' } else { char::from(character) });
        }
    }
    text
}

/// The text that this stands for.
///
/// # Panics
///
/// If it stands for none.
#[must_use]
pub fn decode(encoded: &str) -> String {
    let (mut bits, mut count, mut bytes) = (0_u32, 0, Vec::new());
    for character in encoded.trim_end_matches('=').bytes() {
        let value = ALPHABET.iter().position(|&known| known == character).expect("base 64");
        bits = (bits << 6 | u32::try_from(value).unwrap()) & 0xffff;
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count & 0xff) as u8);
        }
    }
    String::from_utf8(bytes).expect("UTF-8")
}

/// What the base 64 of every text has in it that has `secret` in it: one of these, by how many bytes stand before the secret.
#[must_use]
pub fn traces(secret: &str) -> [String; 3] {
    [0, 1, 2].map(|before: usize| {
        let bytes = [&[0_u8; 2][..before], secret.as_bytes()].concat();
        // The characters all of whose bits are the secret's.
        let (first, end) = ((before * 8).div_ceil(6), bytes.len() * 8 / 6);
        encode(&bytes)[first..end].to_string()
    })
}
