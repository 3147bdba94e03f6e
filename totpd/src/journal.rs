//! Lines of totpd's own for the system's log: under systemd by standard error, which is the journal; elsewhere by `/dev/log`
//! (RFC 3164, without a time: the log adds its own) and by standard error as well.

use std::io::Write as _;
use std::os::unix::net::UnixDatagram;

use totp_core::visible::one_line;
use totp_wire::Priority;

const SOCKET: &str = "/dev/log";

/// Facility authpriv, RFC 3164 section 4.1.1.
const FACILITY: u8 = 10 << 3;

/// Writes one line, whose hidden characters become spaces.
pub(crate) fn write(priority: Priority, line: &str) {
    let line = one_line(line);
    let level = priority.level();
    if std::env::var_os("JOURNAL_STREAM").is_some() {
        // sd-daemon(3): the priority in front of a line.
        let _ = writeln!(std::io::stderr(), "<{level}>{line}");
        return;
    }
    let _ = writeln!(std::io::stderr(), "totpd: {line}");
    let _ = send(priority, &line);
}

/// Sends one line to syslog, and says whether that took it.
fn send(priority: Priority, line: &str) -> bool {
    let Ok(socket) = UnixDatagram::unbound() else { return false };
    let _ = socket.set_nonblocking(true); // a log that stands still delays no login
    let level = FACILITY | priority.level();
    let message = format!("<{level}>totpd[{}]: {line}", std::process::id());
    socket.send_to(message.as_bytes(), SOCKET).is_ok()
}

/// Writes one line about a login in the place of its program: to the facility authpriv, where readers look for it. Standard error
/// under systemd has another one.
pub(crate) fn write_for_program(priority: Priority, line: &str) {
    if std::env::var_os("JOURNAL_STREAM").is_none() || !send(priority, line) {
        write(priority, line);
    }
}

/// Something that an administrator has to look at.
pub(crate) fn error(line: &str) {
    write(Priority::Error, line);
}

/// Something worth knowing.
pub(crate) fn notice(line: &str) {
    write(Priority::Notice, line);
}
