//! The symbols libpam looks up, and no others: thin shells around one function.
//!
//! libpam answers for a hook that is missing (password) with an error of its own, so a line in the wrong place of `/etc/pam.d`
//! shows.

use core::ffi::{CStr, c_char, c_int};
use core::marker::PhantomData;

use totp_wire::Hook;

use super::handle::Handle;
use super::pam::{self, PamHandle};
use crate::relay;

/// Called by `pam_authenticate`.
///
/// # Safety
///
/// As libpam calls it: a valid handle that nothing else uses meanwhile, and `argc` C strings in `argv`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pam_sm_authenticate(
    pamh: *mut PamHandle,
    flags: c_int,
    argc: c_int,
    argv: *const *const c_char,
) -> c_int {
    // SAFETY: the caller's promise is the one `enter` asks for.
    unsafe { enter(pamh, Hook::Auth, flags, argc, argv) }
}

/// Called by `pam_acct_mgmt`.
///
/// # Safety
///
/// As [`pam_sm_authenticate`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pam_sm_acct_mgmt(
    pamh: *mut PamHandle,
    flags: c_int,
    argc: c_int,
    argv: *const *const c_char,
) -> c_int {
    // SAFETY: the caller's promise is the one `enter` asks for.
    unsafe { enter(pamh, Hook::Account, flags, argc, argv) }
}

/// Called by `pam_setcred`: a second factor brings no credentials. But where the account line is missing, a login that was
/// granted to enroll would be a login without a second factor.
///
/// # Safety
///
/// As [`pam_sm_authenticate`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pam_sm_setcred(
    pamh: *mut PamHandle,
    flags: c_int,
    argc: c_int,
    argv: *const *const c_char,
) -> c_int {
    // SAFETY: the caller's promise is the one `enter` asks for.
    unsafe { enter(pamh, Hook::Setcred, flags, argc, argv) }
}

/// Called by `pam_open_session`: shows login notices where sshd opens the session. Never fails a login.
///
/// # Safety
///
/// As [`pam_sm_authenticate`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pam_sm_open_session(
    pamh: *mut PamHandle,
    flags: c_int,
    argc: c_int,
    argv: *const *const c_char,
) -> c_int {
    // SAFETY: the caller's promise is the one `enter` asks for.
    unsafe { enter(pamh, Hook::Session, flags, argc, argv) };
    pam::IGNORE
}

/// Called by `pam_close_session`: there is nothing to close. The same answer as when it was opened, which libpam expects.
///
/// # Safety
///
/// Nothing that it is given is read.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pam_sm_close_session(
    _: *mut PamHandle,
    _: c_int,
    _: c_int,
    _: *const *const c_char,
) -> c_int {
    pam::IGNORE
}

/// Checks what libpam gave, and relays.
///
/// # Safety
///
/// `pamh` is null or a valid handle that nothing else uses until this returns; `argv` is null or points to `argc` pointers,
/// each null or a C string that lives until this returns.
unsafe fn enter(
    pamh: *mut PamHandle,
    hook: Hook,
    flags: c_int,
    argc: c_int,
    argv: *const *const c_char,
) -> c_int {
    // SAFETY: null, or valid and ours alone for the time of the call, as the caller promises.
    let Some(mut handle) = (unsafe { Handle::new(pamh) }) else { return pam::SYSTEM_ERR };
    // SAFETY: the caller's promise about `argc` and `argv`, passed on.
    let Some(arguments) = (unsafe { Words::new(argc, argv) }) else { return pam::SYSTEM_ERR };
    relay::run(&mut handle, hook, flags.cast_unsigned(), arguments)
}

/// The words behind the module's name in `/etc/pam.d`.
#[derive(Clone)]
pub(crate) struct Words<'a> {
    next: *const *const c_char,
    left: usize,
    words: PhantomData<&'a CStr>,
}

impl<'a> Words<'a> {
    /// `None` where there is a null in the place of a string.
    ///
    /// # Safety
    ///
    /// `argv` is null or points to `argc` pointers, each null or a C string, all of which live as long as `'a`.
    unsafe fn new(argc: c_int, argv: *const *const c_char) -> Option<Self> {
        let left = usize::try_from(argc).ok()?;
        if argv.is_null() && left > 0 {
            return None;
        }
        for at in 0..left {
            // SAFETY: within the array, as the caller promises.
            if unsafe { *argv.wrapping_add(at) }.is_null() {
                return None;
            }
        }
        Some(Self { next: argv, left, words: PhantomData })
    }
}

impl<'a> Iterator for Words<'a> {
    type Item = &'a CStr;

    fn next(&mut self) -> Option<&'a CStr> {
        self.left = self.left.checked_sub(1)?;
        // SAFETY: at least one pointer was left; none is null, and each is a C string that lives long enough (`new`).
        let word = unsafe { CStr::from_ptr(*self.next) };
        self.next = self.next.wrapping_add(1);
        Some(word)
    }
}

#[cfg(test)]
mod tests {
    use core::ptr;

    use super::*;

    #[test]
    fn a_null_handle_is_a_system_error() {
        // SAFETY: null pointers and no arguments are within what the functions accept.
        let code = unsafe { pam_sm_authenticate(ptr::null_mut(), 0, 0, ptr::null()) };
        assert_eq!(code, pam::SYSTEM_ERR);
    }

    #[test]
    fn a_session_is_never_refused() {
        // SAFETY: null pointers and no arguments are within what the functions accept.
        let codes = unsafe {
            [
                pam_sm_open_session(ptr::null_mut(), 0, 0, ptr::null()),
                pam_sm_open_session(ptr::null_mut(), 0, -1, ptr::null()),
                pam_sm_close_session(ptr::null_mut(), 0, 0, ptr::null()),
            ]
        };
        assert_eq!(codes, [pam::IGNORE; 3]);
    }

    #[test]
    fn arguments_are_taken_as_they_are() {
        let argv = [c"debug".as_ptr(), c"prompt=A b".as_ptr()];
        // SAFETY: two literals.
        let words = unsafe { Words::new(2, argv.as_ptr()) };
        assert_eq!(words.map(|words| words.eq([c"debug", c"prompt=A b"])), Some(true));
    }

    #[test]
    fn a_null_among_the_arguments_or_a_negative_count_is_refused() {
        let argv = [c"debug".as_ptr(), ptr::null()];
        // SAFETY: nulls, and a count that fits the array.
        unsafe {
            assert!(Words::new(2, argv.as_ptr()).is_none());
            assert!(Words::new(1, ptr::null()).is_none());
            assert!(Words::new(-1, argv.as_ptr()).is_none());
            assert!(Words::new(0, ptr::null()).is_some_and(|words| words.count() == 0));
        }
    }
}
