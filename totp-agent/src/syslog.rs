//! One line to the system's log (RFC 3164, over /dev/log): what the permanent record got, so that a central
//! log anchors it. Best effort: a machine without a system log still has the record.

use std::os::unix::net::UnixDatagram;
use std::process;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use totp_core::time::UnixTime;

const SOCKET: &str = "/dev/log";

/// Facility authpriv (10), severity notice (5): RFC 3164 section 4.1.1.
const PRIORITY: u8 = 85;

/// Sends `line`, which has been escaped already, as `program`. `now` is the time of the message.
pub fn send(program: &str, line: &str, now: UnixTime) {
    if let Ok(socket) = UnixDatagram::unbound() {
        let _ = socket.set_nonblocking(true); // a log that stands still holds nobody up
        let message = message(program, line, now, process::id(), &TimeZone::system());
        let _ = socket.send_to(message.as_bytes(), SOCKET);
    }
}

fn message(program: &str, line: &str, now: UnixTime, pid: u32, zone: &TimeZone) -> String {
    format!("<{PRIORITY}>{} {program}[{pid}]: {line}", stamp(now, zone))
}

/// `Mar  2 09:20:10`, in `zone`: RFC 3164 section 4.1.2.
fn stamp(time: UnixTime, zone: &TimeZone) -> String {
    let second = i64::try_from(time.0).unwrap_or(i64::MAX);
    let at = Timestamp::from_second(second).unwrap_or(Timestamp::MAX);
    at.to_zoned(zone.clone()).strftime("%b %e %H:%M:%S").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_has_the_form_that_syslog_itself_sends() {
        assert_eq!(
            message(
                "totp-admin",
                "record 7: disabled",
                UnixTime(1_773_307_210),
                42,
                &TimeZone::UTC
            ),
            "<85>Mar 12 09:20:10 totp-admin[42]: record 7: disabled"
        );
    }
}
