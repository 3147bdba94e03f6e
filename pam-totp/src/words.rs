//! The words of the PAM line that are the module's own: where the daemon is, and whether the password is sent. All others are
//! the daemon's to read.

use core::ffi::CStr;

/// What the PAM line says to the module.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Own<'a> {
    /// Another socket (`socket=PATH`).
    pub(crate) socket: Option<&'a CStr>,
    /// Another program to start where no daemon answers (`once=PATH`).
    pub(crate) once: Option<&'a CStr>,
    /// Whether the daemon is told the password that an earlier module was given.
    pub(crate) sends_password: bool,
}

/// A path that does not begin with a slash: the caller of a set-uid program chooses the working directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotAbsolute<'a>(pub(crate) &'a CStr);

const SOCKET: &[u8] = b"socket=";
const ONCE: &[u8] = b"once=";

/// Reads the words of a PAM line.
pub(crate) fn own<'a>(words: impl Iterator<Item = &'a CStr>) -> Result<Own<'a>, NotAbsolute<'a>> {
    let mut own = Own::default();
    for word in words {
        if let Some(path) = value(word, SOCKET) {
            own.socket = Some(absolute(path, word)?);
        } else if let Some(path) = value(word, ONCE) {
            own.once = Some(absolute(path, word)?);
        } else if matches!(word.to_bytes(), b"use_first_pass" | b"try_first_pass" | b"forward_pass")
        {
            own.sends_password = true;
        }
    }
    Ok(own)
}

/// Whether a word is read here, and not by the daemon.
pub(crate) fn is_own(word: &CStr) -> bool {
    value(word, SOCKET).or_else(|| value(word, ONCE)).is_some()
}

fn value<'a>(word: &'a CStr, name: &[u8]) -> Option<&'a CStr> {
    let rest = word.to_bytes_with_nul().strip_prefix(name)?;
    CStr::from_bytes_with_nul(rest).ok()
}

fn absolute<'a>(path: &'a CStr, word: &'a CStr) -> Result<&'a CStr, NotAbsolute<'a>> {
    if path.to_bytes().first() == Some(&b'/') { Ok(path) } else { Err(NotAbsolute(word)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn socket_and_helper_are_the_modules_and_all_else_is_the_daemons() {
        let words = [c"nullok", c"socket=/run/s", c"once=/sbin/totpd", c"echo"];
        let expected =
            Own { socket: Some(c"/run/s"), once: Some(c"/sbin/totpd"), sends_password: false };
        assert_eq!(own(words.into_iter()), Ok(expected));
        assert_eq!(words.map(is_own), [false, true, true, false]);
    }

    #[test]
    fn the_password_is_sent_only_where_the_line_says_that_it_is_used() {
        for word in [c"use_first_pass", c"try_first_pass", c"forward_pass"] {
            assert!(own([word].into_iter()).is_ok_and(|own| own.sends_password));
        }
        assert!(own([c"first_pass"].into_iter()).is_ok_and(|own| !own.sends_password));
    }

    #[test]
    fn a_path_relative_to_the_callers_directory_is_refused() {
        for word in [c"socket=", c"socket=x", c"once=../totpd"] {
            assert_eq!(own([word].into_iter()), Err(NotAbsolute(word)));
        }
    }
}
