//! The symbols libpam looks up, and no others: three thin shells around one function.
//!
//! libpam answers for a hook that is missing (session, password) with an error of its own, so a line
//! in the wrong place of `/etc/pam.d` shows.

use std::ffi::{CStr, c_char, c_int};

use pam::constants::PamResultCode;
use pam::module::PamHandle;

use super::guard;
use super::handle::Handle;
use super::residue;
use crate::host::{Host, Priority, ReturnCode};
use crate::{account, auth};

/// Called by `pam_authenticate`.
///
/// # Safety
///
/// As libpam calls it: a valid handle that nobody else uses meanwhile, and `argc` C strings in
/// `argv`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pam_sm_authenticate(
    pamh: *mut PamHandle,
    _flags: c_int,
    argc: c_int,
    argv: *const *const c_char,
) -> c_int {
    // SAFETY: the caller's promise is the one `enter` asks for.
    unsafe { enter(pamh, argc, argv, auth::authenticate) }
}

/// Called by `pam_acct_mgmt`.
///
/// # Safety
///
/// As [`pam_sm_authenticate`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pam_sm_acct_mgmt(
    pamh: *mut PamHandle,
    _flags: c_int,
    argc: c_int,
    argv: *const *const c_char,
) -> c_int {
    // SAFETY: the caller's promise is the one `enter` asks for.
    unsafe { enter(pamh, argc, argv, account::manage) }
}

/// Called by `pam_setcred`: a second factor brings no credentials. But where the account line is missing, whoever was let in
/// to enroll would be in without.
///
/// # Safety
///
/// As [`pam_sm_authenticate`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pam_sm_setcred(
    pamh: *mut PamHandle,
    _flags: c_int,
    argc: c_int,
    argv: *const *const c_char,
) -> c_int {
    // SAFETY: the caller's promise is the one `enter` asks for.
    unsafe { enter(pamh, argc, argv, account::set_credentials) }
}

/// Runs a hook behind the guard. Whatever goes wrong on the way denies.
///
/// # Safety
///
/// `pamh` is null or a valid handle that nobody else uses until this returns; `argv` is null or
/// points to `argc` pointers, each null or a C string that lives until this returns.
unsafe fn enter(
    pamh: *mut PamHandle,
    argc: c_int,
    argv: *const *const c_char,
    hook: fn(&mut dyn Host, &[&CStr]) -> ReturnCode,
) -> c_int {
    let outcome = guard::quietly(|| {
        // SAFETY: null, or valid and ours alone for the time of the call, as the caller promises.
        let Some(handle) = (unsafe { pamh.as_mut() }) else { return ReturnCode::SystemErr };
        // SAFETY: the caller's promise about `argc` and `argv`, passed on.
        let Some(arguments) = (unsafe { strings(argc, argv) }) else {
            return ReturnCode::SystemErr;
        };
        hook(&mut Handle(handle), &arguments)
    });
    let code = outcome.unwrap_or_else(|place| {
        // SAFETY: as above; the reference the hook had is gone.
        let reported =
            guard::quietly(|| unsafe { pamh.as_mut() }.map(|handle| report(handle, place)));
        reported.ok().flatten().unwrap_or(ReturnCode::SystemErr)
    });
    residue::wipe();
    pam_code(code) as c_int
}

/// The arguments behind the module's name in `/etc/pam.d`; none if there is a null where a string
/// should be.
///
/// # Safety
///
/// As [`enter`]; the strings must live as long as `'a`.
unsafe fn strings<'a>(argc: c_int, argv: *const *const c_char) -> Option<Vec<&'a CStr>> {
    let count = usize::try_from(argc).ok()?;
    if count == 0 {
        return Some(Vec::new());
    }
    if argv.is_null() {
        return None;
    }
    // SAFETY: not null, so it points to `argc` pointers, as the caller promises.
    let pointers = unsafe { std::slice::from_raw_parts(argv, count) };
    // SAFETY: each that is not null is a C string that lives long enough, as the caller promises.
    pointers.iter().map(|&p| (!p.is_null()).then(|| unsafe { CStr::from_ptr(p) })).collect()
}

/// Logs where a panic happened; how the login is denied.
fn report(handle: &mut PamHandle, place: guard::Place) -> ReturnCode {
    let line =
        format!("login denied by an error in the module itself, at {place}: please report it");
    let handle = Handle(handle);
    handle.log(Priority::Error, &line);
    if handle.enrollment_is_due() { ReturnCode::PermDenied } else { ReturnCode::SystemErr }
}

fn pam_code(code: ReturnCode) -> PamResultCode {
    match code {
        ReturnCode::Success => PamResultCode::PAM_SUCCESS,
        ReturnCode::Ignore => PamResultCode::PAM_IGNORE,
        ReturnCode::AuthErr => PamResultCode::PAM_AUTH_ERR,
        ReturnCode::PermDenied => PamResultCode::PAM_PERM_DENIED,
        ReturnCode::SystemErr => PamResultCode::PAM_SYSTEM_ERR,
        ReturnCode::ServiceErr => PamResultCode::PAM_SERVICE_ERR,
        ReturnCode::ConvErr => PamResultCode::PAM_CONV_ERR,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ptr;

    #[test]
    fn a_null_handle_is_a_system_error() {
        // SAFETY: null pointers and no arguments are within what the functions accept.
        let code = unsafe { pam_sm_authenticate(ptr::null_mut(), 0, 0, ptr::null()) };
        assert_eq!(code, PamResultCode::PAM_SYSTEM_ERR as c_int);
    }

    #[test]
    fn arguments_are_taken_as_they_are() {
        let argv = [c"debug".as_ptr(), c"prompt=A b".as_ptr()];
        // SAFETY: two literals.
        let strings = unsafe { strings(2, argv.as_ptr()) };
        assert_eq!(strings, Some(vec![c"debug", c"prompt=A b"]));
    }

    #[test]
    fn a_null_among_the_arguments_or_a_negative_count_is_refused() {
        let argv = [c"debug".as_ptr(), ptr::null()];
        // SAFETY: nulls, and a count that fits the array.
        unsafe {
            assert_eq!(strings(2, argv.as_ptr()), None);
            assert_eq!(strings(1, ptr::null()), None);
            assert_eq!(strings(-1, argv.as_ptr()), None);
            assert_eq!(strings(0, ptr::null()), Some(vec![]));
        }
    }
}
