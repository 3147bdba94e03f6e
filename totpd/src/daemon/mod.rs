//! The daemon: two sockets, a pool of threads on each, and a clean end.
//!
//! - `listeners`: the sockets, from systemd or made here
//! - `pool`: threads that wait in accept
//! - `shares`: how many conversations each caller may have
//! - `open`: the conversations that are under way, and how they end with the daemon
//! - `alone`: one daemon for each state directory
//! - `watchdog`: tells systemd that logins are served

mod alone;
mod listeners;
mod open;
mod pool;
mod shares;
mod watchdog;

use std::path::Path;
use std::sync::Arc;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use totp_store::notify;

use self::listeners::Listeners;
use self::open::Open;
use self::pool::Pool;
use self::shares::Shares;
use crate::command_line::Serve;
use crate::journal;
use crate::login::Logins;

/// What the threads share.
#[derive(Debug, Default)]
struct Shared {
    logins: Logins,
    shares: Shares,
    open: Open,
}

/// Each conversation has a descriptor of its own. Under systemd the unit sets the limit, and this may be refused.
fn raise_limit_of_descriptors() {
    let raised = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(_, most)| setrlimit(Resource::RLIMIT_NOFILE, most, most));
    let _ = raised;
}

/// Why the daemon does not start.
pub(crate) type NotStarted = Box<dyn std::error::Error>;

/// Serves until SIGTERM or SIGINT.
///
/// # Errors
/// Where a socket can't be had, or another daemon serves the same state directory.
pub(crate) fn run(serve: &Serve) -> Result<(), NotStarted> {
    // First of all: a signal that comes from here on finds its handler.
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP])?;
    raise_limit_of_descriptors();
    let _alone = alone::for_configuration(serve.config.as_deref())?;
    let listeners = Listeners::take(serve)?;
    let logins = Logins { config: serve.config.clone(), ..Logins::default() };
    let shared = Arc::new(Shared { logins, ..Shared::default() });
    for socket in listeners.sockets()? {
        Pool::start(socket, &shared)?;
    }
    watchdog::start(listeners.root_path().map(Path::to_owned))?;
    notify::tell("READY=1\nSTATUS=Deciding logins");
    journal::notice("ready");
    for signal in signals.forever() {
        if signal != SIGHUP {
            break;
        }
        journal::notice("SIGHUP: nothing to do; the configuration is read at each login");
    }
    notify::tell("STOPPING=1");
    shared.open.end();
    listeners.remove();
    Ok(())
}
