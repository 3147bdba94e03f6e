//! One daemon for each state directory: two would each believe that they see all attempts on a name.

use std::fs::File;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use totp_store::files::Owner;
use totp_store::identity;
use totp_store::installation::Installation;
use totp_store::waits;

use super::NotStarted;
use crate::journal;

/// Keeps other daemons away while it lives.
#[derive(Debug)]
pub(super) struct Alone {
    /// The lock ends with the descriptor.
    _held: Option<File>,
}

/// Takes the state directory of this configuration. Where that can't be told, because a file is broken or a disk is not
/// mounted, the daemon starts all the same and every login says what is wrong.
///
/// # Errors
/// Where another daemon has it.
pub(super) fn for_configuration(named: Option<&Path>) -> Result<Alone, NotStarted> {
    let site = match Installation::open(named, Owner::ROOT) {
        Ok(site) => site,
        Err(error) => {
            journal::error(&format!("{error}; until then all logins are denied"));
            return Ok(Alone { _held: None });
        }
    };
    if let Some(warning) = site.warning() {
        journal::error(&warning);
    }
    if let Err(error) = site.check_identity() {
        journal::error(&format!("{error}; until then all logins are denied"));
        return Ok(Alone { _held: None });
    }
    let state_dir = Path::new(site.config().paths.state_dir.as_str());
    let file = File::open(state_dir.join(identity::FILE))?;
    let until = Instant::now().checked_add(waits::EARLIER_DAEMON);
    loop {
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(Alone { _held: Some(file) }),
            Err(Errno::INTR) => {}
            Err(Errno::WOULDBLOCK) if until.is_some_and(|until| Instant::now() < until) => {
                thread::sleep(Duration::from_millis(20));
            }
            Err(Errno::WOULDBLOCK) => {
                return Err(format!(
                    "another totpd decides for {}; stop it first (systemctl stop totpd.socket totpd-user.socket totpd)",
                    state_dir.display()
                )
                .into());
            }
            Err(errno) => return Err(format!("{}: flock: {errno}", state_dir.display()).into()),
        }
    }
}
