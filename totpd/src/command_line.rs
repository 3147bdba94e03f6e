//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;

/// What `--help` prints.
pub(crate) const USAGE: &str = "\
Usage: totpd [--config PATH] [--socket PATH [--user-socket PATH]]
       totpd --once

Decides logins for pam_totp.so: reads enrollments, evaluates codes, writes the audit log. Runs in the
foreground, as root. Under systemd the sockets are those of totpd.socket and totpd-user.socket.

Options:
  --config PATH       Read this configuration instead of /etc/pam-totp/config.toml
  --socket PATH       Listen here for programs of root
  --user-socket PATH  Listen here for all other programs
  --once              Serve the one connection that is standard input; pam_totp.so starts this
                      where no daemon answers
  --help              Print this
  --version           Print the version

Signals: SIGTERM and SIGINT end it, once the answers that have arrived are evaluated.
See totpd(8).
";

/// What the command line asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    Serve(Serve),
    Once,
    Print(String),
    Wrong(String),
}

/// What is served.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Serve {
    pub(crate) config: Option<PathBuf>,
    pub(crate) socket: Option<PathBuf>,
    pub(crate) user_socket: Option<PathBuf>,
}

/// Reads the arguments, without the program's name.
pub(crate) fn asked(arguments: impl Iterator<Item = OsString>) -> Asked {
    match parse(arguments) {
        Ok(asked) => asked,
        Err(what) => Asked::Wrong(what),
    }
}

fn parse(mut arguments: impl Iterator<Item = OsString>) -> Result<Asked, String> {
    let mut serve = Serve::default();
    let (mut any, mut once) = (false, false);
    while let Some(argument) = arguments.next() {
        let text = argument.to_str().unwrap_or_default();
        let (name, given) = match text.split_once('=') {
            Some((name, value)) if name.starts_with("--") => (name, Some(OsString::from(value))),
            _ => (text, None),
        };
        let place = match name {
            "--help" | "-h" => return Ok(Asked::Print(USAGE.to_owned())),
            "--version" | "-V" => {
                return Ok(Asked::Print(format!("totpd {}\n", env!("CARGO_PKG_VERSION"))));
            }
            "--once" if given.is_none() => {
                once = true;
                continue;
            }
            "--config" => &mut serve.config,
            "--socket" => &mut serve.socket,
            "--user-socket" => &mut serve.user_socket,
            _ => {
                return Err(format!(
                    "unknown argument {}",
                    argument.to_string_lossy().escape_debug()
                ));
            }
        };
        any = true;
        let value = given.or_else(|| arguments.next()).ok_or(format!("{name} needs a path"))?;
        let value = PathBuf::from(value);
        // What it means must not depend on where it is started.
        let value = std::path::absolute(&value).map_err(|error| format!("{name}: {error}"))?;
        *place = Some(value);
    }
    match (once, any) {
        (true, true) => Err("--once takes no other option".to_owned()),
        (true, false) => Ok(Asked::Once),
        (false, _) if serve.user_socket.is_some() && serve.socket.is_none() => {
            Err("--user-socket needs --socket".to_owned())
        }
        (false, _) => Ok(Asked::Serve(serve)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(line: &[&str]) -> Asked {
        asked(line.iter().map(Into::into))
    }

    #[test]
    fn paths_are_named_in_either_form() {
        let serve = Serve {
            config: Some("/c".into()),
            socket: Some("/s".into()),
            user_socket: Some("/u".into()),
        };
        assert_eq!(of(&["--config=/c", "--socket", "/s", "--user-socket=/u"]), Asked::Serve(serve));
        assert_eq!(of(&[]), Asked::Serve(Serve::default()));
        assert_eq!(of(&["--once"]), Asked::Once);
    }

    #[test]
    fn anything_else_is_wrong_usage() {
        for line in [
            &["--config"][..],
            &["--config="],
            &["serve"],
            &["--once=1"],
            &["--once", "--config", "/c"],
            &["--user-socket", "/u"],
        ] {
            assert!(matches!(of(line), Asked::Wrong(_)), "{line:?}");
        }
    }
}
