//! What is kept: files, locks, the permanent record, and the few questions that are asked of the system.
//!
//! Decisions are made in totp-core; here they are read from and written to the disk.
//! No process is started here, no thread, no signal handler; no environment variable and no working directory is looked at,
//! nothing is printed, and nothing comes from a network.
//!
//! - [`clock`], [`entropy`]: the time and random bytes, asked for in these two places alone
//! - [`files`]: opening what can be trusted, replacing it atomically
//! - [`config`]: finding and reading the configuration
//! - [`installation`]: everything that a configuration names, opened in one place; [`identity`]: whether it is this
//!   installation's; [`installation::init`]: making it
//! - [`accounts`], [`actor`], [`host_name`]: who is who, who acts, and where
//! - [`coverage`]: whom the lists of the configuration cover; [`services`]: which PAM services there are
//! - [`store`]: records and states
//! - [`limits`]: what a caller has limited; [`waits`]: how long others are waited for
//! - [`permanent`]: the permanent record
//! - [`recorded`]: changes, of which it has every one before it is made
//! - [`remembered`]: remembered devices
//! - [`notify`]: telling systemd how a service is
//! - [`outbox`], [`notices`]: what people are to be told, by mail and text message, and at their next login
#![forbid(unsafe_code)]

pub mod accounts;
pub mod actor;
pub mod clock;
pub mod config;
pub mod coverage;
pub mod entropy;
pub mod files;
pub mod flock;
pub mod identity;
pub mod installation;
pub mod limits;
mod machine;
pub mod notices;
pub mod notify;
pub mod outbox;
pub mod permanent;
pub mod recorded;
pub mod remembered;
pub mod services;
pub mod store;
pub mod waits;

pub use flock::Wait;
pub use machine::host_name;
