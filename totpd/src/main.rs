//! totpd: decides logins. The module in the program that logs a user in relays what is asked and answered; here it is decided.
//!
//! | file | contents |
//! |---|---|
//! | [`command_line`] | what is asked for |
//! | [`daemon`] | the service: sockets, threads, shares, its end |
//! | [`once`] | the same for one conversation, where no daemon answers |
//! | [`serve`] | one connection from its first message to its last |
//! | [`connection`] | packets |
//! | [`request`] | what a module asks, and what its caller is not believed |
//! | [`conversation`] | a connection as the host of a login |
//! | [`login`] | the decision |
//! | [`text`] | what may reach a terminal or a log |
//! | [`journal`] | lines of this program's own |
#![forbid(unsafe_code)]

mod command_line;
mod connection;
mod conversation;
mod daemon;
mod journal;
mod login;
mod once;
mod request;
mod serve;
mod text;

use std::io::Write as _;
use std::process::ExitCode;

use nix::sys::stat::{Mode, umask};
use nix::unistd::geteuid;

use self::command_line::{Asked, Serve, USAGE};

fn main() -> ExitCode {
    if let Err(error) = totp_store::limits::forbid_core_dumps() {
        journal::error(&format!("core dumps can't be switched off: {error}"));
        return ExitCode::FAILURE;
    }
    match command_line::asked(std::env::args_os().skip(1)) {
        Asked::Serve(serve) => as_root(|| run(&serve)),
        Asked::Once => as_root(once::run),
        Asked::Print(text) => {
            let printed = std::io::stdout().write_all(text.as_bytes());
            if printed.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Asked::Wrong(what) => {
            let _ = write!(std::io::stderr(), "totpd: {what}\n{USAGE}");
            ExitCode::from(2)
        }
    }
}

/// Only root reads enrollments.
fn as_root(run: impl FnOnce() -> ExitCode) -> ExitCode {
    if !geteuid().is_root() {
        let _ = writeln!(
            std::io::stderr(),
            "totpd: only root can decide logins: start it as a service of the system"
        );
        return ExitCode::FAILURE;
    }
    umask(Mode::from_bits_truncate(0o077));
    // No terminal stops this program while it holds a lock, and it has no child.
    totp_store::flock::leave_signals_alone();
    // The message of a panic may quote what was typed: the place is enough.
    std::panic::set_hook(Box::new(|info| {
        let place = info.location().map_or_else(String::new, ToString::to_string);
        journal::error(&format!(
            "login denied by an error in totpd itself, at {place}: please report it"
        ));
    }));
    run()
}

fn run(serve: &Serve) -> ExitCode {
    match daemon::run(serve) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            journal::error(&error.to_string());
            ExitCode::FAILURE
        }
    }
}
