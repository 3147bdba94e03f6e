//! Where a daemon listens, unless its command line or the PAM line names another place.

use core::ffi::CStr;

/// For programs whose effective uid is root's.
pub const ROOT: &CStr = c"/run/pam-totp/root.sock";

/// For all others.
pub const USER: &CStr = c"/run/pam-totp/user.sock";
