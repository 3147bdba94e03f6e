//! A house to test in: one private world per test, in which the real sshd, sudo, su and login meet the
//! module, and nothing of the machine's own installation is touched.
//!
//! Every [`House`] is a mount namespace with its own accounts, PAM stacks, configuration, records, logs
//! and syslog, gone with the test. The people in it sit at a [`Terminal`] (a real pseudo-terminal, read
//! with deadlines, never with pauses for luck), hold a [`Phone`] (`oathtool`, an implementation of RFC
//! 6238 that is not ours), and the small [`Application`] calls libpam directly where a daemon would only
//! be slow. What is tested stands in `tests/`; what is decided about logins stands nowhere here.
//!
//! Needs root: [`House::build`] says so. `make test` without root leaves these tests out.

#![forbid(unsafe_code)]
// A harness that can't go on has nobody to report to but the test, and ends it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

mod accounts;
mod agent;
mod application;
mod built;
mod daemons;
mod desktop;
mod freezer;
mod house;
mod impostor;
mod mail;
mod manual;
mod memory;
mod module;
mod phone;
mod screen;
mod sms;
mod ssh;
mod syslog;
mod terminal;
mod tracer;

pub use accounts::{PASSWORD, Person};
pub use agent::Agent;
pub use application::{Answer, Application, Heard, Login, Outcome, Pam};
pub use daemons::{Cockpit, Conversed, Dovecot, OpenVpn, PostgreSql, Vsftpd, base64};
pub use desktop::{Desktop, Locker, XScreenSaver};
pub use freezer::Freezer;
pub use house::{Decider, House, Plan, ROOT_SOCKET, STATE, USER_SOCKET};
pub use impostor::{Impostor, Visitor, packet};
pub use mail::{MailServer, program};
pub use manual::{Page, guide, manual, readme};
pub use memory::{Memory, Needle};
pub use module::{Module, hello, hello_from};
pub use phone::Phone;
pub use screen::{Screen, Theme};
pub use sms::SmsGateway;
pub use ssh::{Client, FirstFactor, Sshd};
pub use syslog::Syslog;
pub use terminal::Terminal;
pub use tracer::Tracer;

use std::time::Duration;

/// How long anything may take that should be at once. Long enough for two busy cores and valgrind's
/// absence; reaching it fails the test with what was seen until then.
pub const SOON: Duration = Duration::from_secs(20);

/// Looks until something is there, [`SOON`] at the latest.
///
/// # Panics
///
/// With `what`, if it doesn't come.
pub fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = std::time::Instant::now() + SOON;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(std::time::Instant::now() < deadline, "this did not come: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
