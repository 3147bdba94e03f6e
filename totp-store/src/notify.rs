//! Telling systemd how we are (sd_notify(3)): a datagram to the socket that it names. Elsewhere nothing happens.

use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// Ready to work.
pub const READY: &str = "READY=1";
/// About to end.
pub const STOPPING: &str = "STOPPING=1";
/// Alive.
pub const WATCHDOG: &str = "WATCHDOG=1";

/// Tells systemd, if it listens.
pub fn tell(what: &str) {
    let Ok(path) = std::env::var("NOTIFY_SOCKET") else { return };
    let address = match path.strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(&path),
    };
    if let (Ok(address), Ok(socket)) = (address, UnixDatagram::unbound()) {
        let _ = socket.send_to_addr(what.as_bytes(), &address);
    }
}

/// How often systemd wants to hear that we are alive: half of what it allows. `None`: never.
pub fn watchdog() -> Option<Duration> {
    let allowed: u64 = std::env::var("WATCHDOG_USEC").ok()?.parse().ok()?;
    let half = allowed.checked_div(2)?;
    (half > 0).then(|| Duration::from_micros(half))
}
