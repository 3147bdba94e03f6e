//! Who acts and from where, for the permanent record. The one file that asks the environment about it:
//! who starts this command is root already, and gains nothing by what it says.

use std::fs;
use std::path::Path;

use totp_store::actor::{self, Actor};

/// Where the system keeps who is logged in on which terminal (utmp(5)).
const UTMP: &str = "/run/utmp";

/// The actor of this run.
pub fn actor() -> Actor {
    let tty = actor::terminal();
    let from = tty.as_deref().and_then(|tty| from_utmp(&fs::read(UTMP).ok()?, tty));
    let from =
        from.or_else(|| std::env::var("SSH_CONNECTION").ok().and_then(|text| first_word(&text)));
    let behind_sudo = std::env::var("SUDO_UID").ok();
    Actor::of_this_process(behind_sudo.as_deref(), tty, from)
}

fn first_word(text: &str) -> Option<String> {
    text.split_ascii_whitespace().next().map(str::to_owned)
}

/// The host from which a user logged in at `tty`. The layout is that of glibc's `struct utmp` where its
/// times have 32 bits; elsewhere (a length that is no multiple of it) nothing is found.
fn from_utmp(utmp: &[u8], tty: &str) -> Option<String> {
    const ENTRY: usize = 384;
    const USER_PROCESS: [u8; 2] = 7_i16.to_ne_bytes();
    let line = Path::new(tty).strip_prefix("/dev").ok()?.to_str()?;
    let (entries, rest) = utmp.as_chunks::<ENTRY>();
    if !rest.is_empty() {
        return None;
    }
    let text = |entry: &[u8; ENTRY], from: usize, to: usize| {
        let field = entry.get(from..to)?.split(|byte| *byte == 0).next()?;
        String::from_utf8(field.to_vec()).ok()
    };
    entries
        .iter()
        .filter(|entry| entry.starts_with(&USER_PROCESS))
        .find(|entry| text(entry, 8, 40).is_some_and(|found| found == line))
        .and_then(|entry| text(entry, 76, 332))
        .filter(|host| !host.is_empty() && !host.starts_with(':')) // `:0` is a display of this machine
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(kind: i16, line: &str, host: &str) -> Vec<u8> {
        let mut entry = vec![0; 384];
        entry[..2].copy_from_slice(&kind.to_ne_bytes());
        entry[8..][..line.len()].copy_from_slice(line.as_bytes());
        entry[76..][..host.len()].copy_from_slice(host.as_bytes());
        entry
    }

    #[test]
    fn the_address_is_that_of_the_login_on_this_terminal() {
        let utmp = [
            entry(8, "pts/3", "192.0.2.1"),
            entry(7, "pts/2", "192.0.2.2"),
            entry(7, "pts/3", "198.51.100.4"),
            entry(7, "tty1", ""),
            entry(7, "tty7", ":0"),
        ]
        .concat();
        assert_eq!(from_utmp(&utmp, "/dev/pts/3").as_deref(), Some("198.51.100.4"));
        for tty in ["/dev/tty1", "/dev/tty7", "/dev/pts/9", "pts/3", ""] {
            assert_eq!(from_utmp(&utmp, tty), None, "{tty}");
        }
    }

    #[test]
    fn another_layout_finds_nothing() {
        let mut utmp = entry(7, "pts/3", "192.0.2.1");
        utmp.push(0);
        assert_eq!(from_utmp(&utmp, "/dev/pts/3"), None);
    }
}
