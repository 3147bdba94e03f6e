//! Declarations of libpam, as in `<security/_pam_types.h>`, `<security/pam_modules.h>` and `<security/pam_ext.h>`.

use core::ffi::{c_char, c_int, c_uint, c_void};

/// `PAM_SUCCESS`
pub(crate) const SUCCESS: c_int = 0;
/// `PAM_SERVICE_ERR`
pub(crate) const SERVICE_ERR: c_int = 3;
/// `PAM_SYSTEM_ERR`
pub(crate) const SYSTEM_ERR: c_int = 4;
/// `PAM_PERM_DENIED`
pub(crate) const PERM_DENIED: c_int = 6;
/// `PAM_AUTH_ERR`
pub(crate) const AUTH_ERR: c_int = 7;
/// `PAM_CONV_ERR`
pub(crate) const CONV_ERR: c_int = 19;
/// `PAM_IGNORE`
pub(crate) const IGNORE: c_int = 25;

/// `PAM_SERVICE`
pub(crate) const SERVICE: c_int = 1;
/// `PAM_USER`
pub(crate) const USER: c_int = 2;
/// `PAM_TTY`
pub(crate) const TTY: c_int = 3;
/// `PAM_RHOST`
pub(crate) const RHOST: c_int = 4;
/// `PAM_CONV`
pub(super) const CONV: c_int = 5;
/// `PAM_AUTHTOK`
pub(crate) const AUTHTOK: c_int = 6;
/// `PAM_RUSER`
pub(crate) const RUSER: c_int = 8;

/// `pam_handle_t`
#[repr(C)]
pub struct PamHandle {
    _private: [u8; 0],
}

/// `struct pam_message`
#[repr(C)]
pub(super) struct Message {
    pub(super) style: c_int,
    pub(super) text: *const c_char,
}

/// `struct pam_response`
#[repr(C)]
pub(super) struct Response {
    pub(super) text: *mut c_char,
    pub(super) unused: c_int,
}

/// `struct pam_conv`
#[repr(C)]
pub(super) struct Conversation {
    pub(super) call: Option<
        unsafe extern "C" fn(c_int, *mut *const Message, *mut *mut Response, *mut c_void) -> c_int,
    >,
    pub(super) data: *mut c_void,
}

/// The clean-up function of `pam_set_data`.
pub(super) type CleanUp = unsafe extern "C" fn(*mut PamHandle, *mut c_void, c_int);

#[link(name = "pam")]
unsafe extern "C" {
    pub(super) fn pam_get_user(
        handle: *mut PamHandle,
        user: *mut *const c_char,
        prompt: *const c_char,
    ) -> c_int;
    pub(super) fn pam_get_item(
        handle: *const PamHandle,
        kind: c_int,
        item: *mut *const c_void,
    ) -> c_int;
    pub(super) fn pam_set_item(handle: *mut PamHandle, kind: c_int, item: *const c_void) -> c_int;
    pub(super) fn pam_getenv(handle: *mut PamHandle, name: *const c_char) -> *const c_char;
    pub(super) fn pam_get_data(
        handle: *const PamHandle,
        name: *const c_char,
        data: *mut *const c_void,
    ) -> c_int;
    pub(super) fn pam_set_data(
        handle: *mut PamHandle,
        name: *const c_char,
        data: *mut c_void,
        clean_up: Option<CleanUp>,
    ) -> c_int;
    pub(super) fn pam_fail_delay(handle: *mut PamHandle, microseconds: c_uint) -> c_int;
    pub(super) fn pam_syslog(handle: *const PamHandle, level: c_int, format: *const c_char, ...);
}
