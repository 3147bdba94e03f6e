//! totp-agent: delivers what people are to be told about their second factor. A service in the foreground, for systemd or any
//! other supervisor.
//!
//! - `service`: the loops: one for mail and the permanent record, one for text messages
//! - `service/watch`: what wakes them: files, signals, time
//! - `service/log`: what is said to standard error and syslog
//!
//! How a message is made and handed over is the library's (`lib.rs`), which the command uses, too.

#![forbid(unsafe_code)]

mod service;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

const USAGE: &str = "\
Usage: totp-agent [--config PATH]

Delivers what people are to be told about their second factor, by mail and text message, and moves what
logins left to the permanent record. Runs in the foreground, as root.

Options:
  --config PATH   Read this configuration instead of /etc/pam-totp/config.toml
  --help          Print this
  --version       Print the version

Signals: SIGTERM and SIGINT end it, SIGHUP makes it read its configuration again.
See totp-agent(8).
";

/// What the command line asks for.
#[derive(Debug, PartialEq, Eq)]
enum Asked {
    Serve { config: Option<PathBuf> },
    Print(String),
    Wrong(String),
}

fn main() -> ExitCode {
    if let Err(error) = totp_store::limits::forbid_core_dumps() {
        service::log::error(&format!("core dumps can't be switched off: {error}"));
        return ExitCode::from(1);
    }
    match asked(std::env::args_os().skip(1)) {
        Asked::Serve { config } => match service::run(config.as_deref()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                service::log::error(&format!("{error:#}"));
                ExitCode::from(1)
            }
        },
        Asked::Print(text) => {
            let printed = std::io::stdout().write_all(text.as_bytes());
            if printed.is_ok() { ExitCode::SUCCESS } else { ExitCode::from(1) }
        }
        Asked::Wrong(what) => {
            let _ = write!(std::io::stderr(), "totp-agent: {what}\n{USAGE}");
            ExitCode::from(2)
        }
    }
}

fn asked(mut arguments: impl Iterator<Item = std::ffi::OsString>) -> Asked {
    let mut config = None;
    while let Some(argument) = arguments.next() {
        match argument.to_str() {
            Some("--help" | "-h") => return Asked::Print(USAGE.to_owned()),
            Some("--version" | "-V") => {
                return Asked::Print(format!("totp-agent {}\n", env!("CARGO_PKG_VERSION")));
            }
            Some("--config") => match arguments.next() {
                Some(path) => config = Some(path.into()),
                None => return Asked::Wrong("--config needs a path".to_owned()),
            },
            Some(text) if text.starts_with("--config=") => {
                config = text.strip_prefix("--config=").map(PathBuf::from);
            }
            _ => {
                let what =
                    format!("unknown argument {}", argument.to_string_lossy().escape_debug());
                return Asked::Wrong(what);
            }
        }
    }
    Asked::Serve { config }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(line: &[&str]) -> Asked {
        asked(line.iter().map(Into::into))
    }

    #[test]
    fn the_configuration_is_named_in_either_form() {
        let named = || Asked::Serve { config: Some("/x".into()) };
        assert_eq!(of(&["--config", "/x"]), named());
        assert_eq!(of(&["--config=/x"]), named());
        assert_eq!(of(&[]), Asked::Serve { config: None });
    }

    #[test]
    fn anything_else_is_wrong_usage() {
        for line in [&["--config"][..], &["serve"], &["--verbose"]] {
            assert!(matches!(of(line), Asked::Wrong(_)), "{line:?}");
        }
    }
}
