//! One line to the system's log (RFC 3164, over /dev/log): what the permanent record got, so that a central
//! log anchors it. Best effort: a machine without a system log still has the record.

use std::os::unix::net::UnixDatagram;
use std::process;

use jiff::tz::TimeZone;
use totp_core::time::UnixTime;

use crate::times;

const SOCKET: &str = "/dev/log";

/// Facility authpriv (10), severity notice (5): RFC 3164 section 4.1.1.
const PRIORITY: u8 = 85;

/// Sends `line`, which has been escaped already. `now` is the time of the message.
pub fn send(line: &str, now: UnixTime) {
    if let Ok(socket) = UnixDatagram::unbound() {
        let _ = socket.set_nonblocking(true); // a log that stands still holds nobody up
        let _ =
            socket.send_to(message(line, now, process::id(), &times::zone()).as_bytes(), SOCKET);
    }
}

fn message(line: &str, now: UnixTime, pid: u32, zone: &TimeZone) -> String {
    format!("<{PRIORITY}>{} totp-admin[{pid}]: {line}", times::stamp(now, zone))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_has_the_form_that_syslog_itself_sends() {
        assert_eq!(
            message("record 7: disabled", UnixTime(1_773_307_210), 42, &TimeZone::UTC),
            "<85>Mar 12 09:20:10 totp-admin[42]: record 7: disabled"
        );
    }
}
