//! totp-admin: enroll people, switch their second factor off, and read the permanent record.
//!
//! - `cli` defines the command line, once: help, man pages and completions come from it
//! - `commands` has one file per sub-command
//! - `site` is the installation that is worked on; `change` is how every change is made: who may, the
//!   permanent record, the change
//! - `codes` makes codes that are good once, `opening` opens an enrollment for the next login
//! - `contacts` says how a user can be told something
//! - `people` gathers what is known about users, `view` says it as a table, as lines and as JSON
//! - `reasons` asks why
//! - `ui` has the rules for output, and talks to whoever is at the other end
//! - `times` and `qr` turn times and otpauth texts into what people read and scan
//! - `signals` keeps a change from being broken off halfway
//! - `tell` tells who is concerned, by mail
//! - `whence` asks who acts, `syslog` tells the system's log, `events` moves what logins left to the record
//!
//! What is right, wrong and allowed is decided in `totp-core`; what is kept is kept by `totp-store`.

#![forbid(unsafe_code)]

mod change;
mod cli;
mod codes;
mod commands;
mod contacts;
mod coverage;
mod devices;
mod evaluation;
mod events;
mod opening;
mod people;
mod qr;
mod reasons;
mod resolved;
mod signals;
mod site;
mod syslog;
mod tell;
mod times;
mod ui;
mod view;
mod whence;

use std::process::ExitCode;

fn main() -> ExitCode {
    if let Err(error) = totp_store::limits::forbid_core_dumps() {
        return ui::report(&anyhow::Error::new(error).context("core dumps can't be switched off"));
    }
    let cli = match cli::parse() {
        Ok(cli) => cli,
        Err(usage) => {
            // Help and version end up here too: on standard output, with exit code 0.
            let _ = usage.print();
            return ExitCode::from(u8::try_from(usage.exit_code()).unwrap_or(2));
        }
    };
    match commands::run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => ui::report(&error),
    }
}
