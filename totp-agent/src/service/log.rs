//! What the service says: on standard error, and to syslog where standard error isn't the journal already.

use std::io::Write as _;

use totp_agent::syslog;
use totp_core::visible::one_line;
use totp_store::clock;

use super::PROGRAM;

/// sd-daemon(3): the priority in front of a line.
const ERROR: &str = "<3>";
const NOTICE: &str = "<5>";

/// Something that an administrator has to look at.
pub fn error(line: &str) {
    say(ERROR, line);
}

/// Something worth knowing.
pub fn notice(line: &str) {
    say(NOTICE, line);
}

fn say(priority: &str, line: &str) {
    let line = one_line(line);
    let to_journal = std::env::var_os("JOURNAL_STREAM").is_some();
    let (priority, name) = if to_journal { (priority, "") } else { ("", "totp-agent: ") };
    // Who closed standard error does not want to know.
    let _ = writeln!(std::io::stderr(), "{priority}{name}{line}");
    if !to_journal {
        syslog::send(PROGRAM, &line, clock::now());
    }
}
