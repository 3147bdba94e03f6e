//! One line to the system's log: what the permanent record got, so that a central log anchors it.

use totp_core::time::UnixTime;

/// What syslog calls this program.
pub const PROGRAM: &str = "totp-admin";

/// Sends `line`, which has been escaped already. `now` is the time of the message.
pub fn send(line: &str, now: UnixTime) {
    totp_agent::syslog::send(PROGRAM, line, now);
}
