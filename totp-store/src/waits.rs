//! How long others are waited for, in one place: a name for each purpose. A lock on a user's state is waited for as
//! `flock` says.

use std::time::Duration;

use crate::Wait;

/// A login that writes a line for its user (a notice, a remembered device). Such a line is read and written within microseconds; this is
/// long enough that a frozen holder that left a note is ended.
pub const LINE_OF_A_LOGIN: Wait = Wait::AtMost(Duration::from_secs(3));

/// A login that has something to record while its user sits there: an enrollment, its codes, a remembered device.
pub const RECORD_OF_A_LOGIN: Wait = Wait::AtMost(Duration::from_secs(5));

/// A command or the agent that has something to record or to change: as long as a login waits for a lock at most, since what is not
/// recorded is not done.
pub const CHANGE: Wait = Wait::AtMost(Duration::from_secs(30));

/// A change that is made already and has mail to leave: no longer than an administrator would wait. What is not sent now is sent
/// by the agent.
pub const MAIL_OF_A_CHANGE: Wait = Wait::AtMost(Duration::from_secs(3));

/// A daemon that starts, for the one before it that ends.
pub const EARLIER_DAEMON: Duration = Duration::from_secs(2);
