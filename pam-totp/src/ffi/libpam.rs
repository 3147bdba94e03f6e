//! The functions of libpam that pam-bindings lacks, each behind a safe function.
//!
//! Declarations as in `<security/pam_modules.h>` and `<security/pam_ext.h>`.

use std::ffi::{CStr, c_char, c_int, c_uint, c_void};

use pam::items::ItemType;
use pam::module::PamHandle;

/// `PAM_SUCCESS`
const SUCCESS: c_int = 0;

#[link(name = "pam")]
unsafe extern "C" {
    fn pam_set_item(pamh: *mut PamHandle, item_type: c_int, item: *const c_void) -> c_int;
    fn pam_getenv(pamh: *mut PamHandle, name: *const c_char) -> *const c_char;
    fn pam_fail_delay(pamh: *mut PamHandle, musec_delay: c_uint) -> c_int;
    fn pam_syslog(pamh: *const PamHandle, priority: c_int, fmt: *const c_char, ...);
}

/// Sets `PAM_AUTHTOK`; libpam copies it, and wipes its copy at the end of the handle.
pub(super) fn set_authtok(handle: &mut PamHandle, password: &CStr) -> bool {
    let item = password.as_ptr().cast::<c_void>();
    // SAFETY: the handle is libpam's own, exclusively borrowed; the item is a C string that lives
    // until the call returns, which is all that pam_set_item needs of a string item.
    let status = unsafe { pam_set_item(handle, ItemType::AuthTok as c_int, item) };
    status == SUCCESS
}

/// A variable of PAM's environment, copied.
pub(super) fn environment(handle: &PamHandle, name: &CStr) -> Option<Vec<u8>> {
    let handle = std::ptr::from_ref(handle).cast_mut();
    // SAFETY: the handle is libpam's own. pam_getenv takes it as mutable but only reads it, and the
    // handle, a zero-sized opaque type to us, lies wholly in memory that libpam owns.
    let value = unsafe { pam_getenv(handle, name.as_ptr()) };
    if value.is_null() {
        return None;
    }
    // SAFETY: not null, so a C string inside libpam's environment. Nothing changes that before it
    // is copied in this same statement.
    Some(unsafe { CStr::from_ptr(value) }.to_bytes().to_vec())
}

/// Asks for a delay before a failure is reported. Its only error is a missing handle.
pub(super) fn fail_delay(handle: &mut PamHandle, microseconds: u32) {
    // SAFETY: the handle is libpam's own, exclusively borrowed.
    let _ = unsafe { pam_fail_delay(handle, microseconds) };
}

/// Logs one line, whatever it contains: it is an argument of the format `%s`, never a format.
pub(super) fn log(handle: &PamHandle, priority: c_int, line: &CStr) {
    // SAFETY: the handle is libpam's own; the format takes exactly the one C string that follows.
    unsafe { pam_syslog(handle, priority, c"%s".as_ptr(), line.as_ptr()) };
}
