//! The words behind `pam_totp.so` in `/etc/pam.d`, one a line. The daemon is a program and no library, so that its
//! parser is read in here.

use std::os::unix::ffi::OsStrExt as _;

use self::parser::{ArgumentError, Arguments, FirstPass};

#[path = "../../totpd/src/login/arguments.rs"]
#[allow(dead_code, unexpected_cfgs, missing_docs)]
// read for another crate, with a feature of its own
mod parser;

/// Every word is one that is documented, or all are refused; what is understood is said again, and understood the same.
pub fn check(data: &[u8]) {
    let words: Vec<Vec<u8>> = data
        .split(|byte| *byte == b'\n')
        .filter(|word| !word.contains(&0))
        .map(<[u8]>::to_vec)
        .collect();
    let known = words.iter().all(|word| is_documented(word));
    let parsed = Arguments::parse(&words);
    assert_eq!(parsed.is_ok(), known, "{words:?}");
    match parsed {
        Ok(arguments) => {
            let printed = print(&arguments);
            assert_eq!(Arguments::parse(&printed), Ok(arguments));
        }
        Err(error) => is_one_printable_line(&error),
    }
}

/// Into the log.
fn is_one_printable_line(error: &ArgumentError) {
    assert!(error.to_string().bytes().all(|byte| byte.is_ascii_graphic() || byte == b' '));
}

/// As docs/man/pam_totp.8 has them.
fn is_documented(word: &[u8]) -> bool {
    let flags: [&[u8]; 10] = [
        b"debug",
        b"nullok",
        b"nodelay",
        b"echo",
        b"prompts=1",
        b"first_factor=publickey",
        b"try_first_pass",
        b"use_first_pass",
        b"forward_pass",
        b"or-other",
    ];
    let prompt = word.strip_prefix(b"prompt=");
    flags.contains(&word)
        || word.starts_with(b"config=/")
        || prompt.is_some_and(|text| !text.is_empty() && str::from_utf8(text).is_ok())
}

fn print(arguments: &Arguments) -> Vec<Vec<u8>> {
    let mut words: Vec<Vec<u8>> = Vec::new();
    if let Some(path) = &arguments.config {
        words.push([b"config=", path.as_os_str().as_bytes()].concat());
    }
    if let Some(prompt) = &arguments.prompt {
        words.push([b"prompt=", prompt.as_bytes()].concat());
    }
    let flags: [(bool, &[u8]); 10] = [
        (arguments.debug, b"debug"),
        (arguments.nullok, b"nullok"),
        (arguments.nodelay, b"nodelay"),
        (arguments.echo, b"echo"),
        (arguments.one_prompt, b"prompts=1"),
        (arguments.key_required, b"first_factor=publickey"),
        (arguments.first_pass == FirstPass::Tried, b"try_first_pass"),
        (arguments.first_pass == FirstPass::Only, b"use_first_pass"),
        (arguments.forward_pass, b"forward_pass"),
        (arguments.or_other, b"or-other"),
    ];
    words.extend(flags.iter().filter(|(is, _)| *is).map(|(_, word)| word.to_vec()));
    words
}
