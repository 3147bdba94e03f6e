//! A PAM handle: its items, its log, and what the hooks of one handle keep for each other.

use core::ffi::{CStr, c_char, c_int, c_void};
use core::ptr;

use totp_wire::{Hook, Later, Priority, limits};

use super::conversation::{Reply, Style, converse};
use super::memory::Memory;
use super::once::Failed;
use super::pam::{self, PamHandle};

/// The name of what is kept in the handle: a [`Kept`], and nothing else.
const NOTE: &CStr = c"pam_totp:mark";

/// A handle for the time of one hook.
pub(crate) struct Handle(*mut PamHandle);

/// What is kept in the handle: this, and as many bytes behind it.
#[repr(C)]
struct Kept {
    later: Later,
    length: usize,
}

impl Handle {
    /// # Safety
    ///
    /// Null, or a valid handle that nothing else uses while the value lives.
    pub(super) unsafe fn new(handle: *mut PamHandle) -> Option<Self> {
        if handle.is_null() { None } else { Some(Self(handle)) }
    }

    /// Sees to it that the handle has a user name, and asks for one where it has none.
    pub(crate) fn ask_for_user(&mut self) -> c_int {
        let mut user: *const c_char = ptr::null();
        // SAFETY: a valid handle (`new`), room for a pointer, and no prompt of our own.
        unsafe { pam::pam_get_user(self.0, &raw mut user, ptr::null()) }
    }

    /// A text item; `None` where it is not set.
    pub(crate) fn item(&self, kind: c_int) -> Option<&CStr> {
        let mut item: *const c_void = ptr::null();
        // SAFETY: a valid handle (`new`), and room for a pointer.
        let status = unsafe { pam::pam_get_item(self.0, kind, &raw mut item) };
        if status != pam::SUCCESS || item.is_null() {
            return None;
        }
        // SAFETY: the kinds that are asked for are C strings of libpam's, which live until the item is set; that needs
        // the handle mutably.
        Some(unsafe { CStr::from_ptr(item.cast()) })
    }

    /// A variable of PAM's own environment.
    pub(crate) fn environment(&self, name: &CStr) -> Option<&CStr> {
        // SAFETY: a valid handle (`new`), and a C string.
        let value = unsafe { pam::pam_getenv(self.0, name.as_ptr()) };
        if value.is_null() {
            return None;
        }
        // SAFETY: a C string within libpam's environment, which lives until that is changed; that needs the handle mutably.
        Some(unsafe { CStr::from_ptr(value) })
    }

    /// Sets `PAM_AUTHTOK`; libpam copies it, and wipes its copy at the end of the handle.
    pub(crate) fn set_authtok(&mut self, password: &CStr) -> bool {
        // SAFETY: a valid handle (`new`), and a C string, which libpam copies.
        unsafe { pam::pam_set_item(self.0, pam::AUTHTOK, password.as_ptr().cast()) == pam::SUCCESS }
    }

    /// Asks for a delay before a failure is reported.
    pub(crate) fn fail_delay(&mut self, microseconds: u32) {
        // SAFETY: a valid handle (`new`).
        unsafe { pam::pam_fail_delay(self.0, microseconds) };
    }

    /// Says that a hook fails, and what becomes of the login. `format` has exactly two `%s`: for `text`, and for that.
    pub(crate) fn log_failure(&self, hook: Hook, format: &'static CStr, text: &CStr) {
        let level = c_int::from(Priority::Error.level());
        let (text, outcome) = (text.as_ptr(), outcome(hook).as_ptr());
        // SAFETY: a valid handle (`new`); a format of this crate's for the two C strings that follow.
        unsafe { pam::pam_syslog(self.0, level, format.as_ptr(), text, outcome) };
    }

    /// Writes a line to the system's log. `format` has exactly one `%s`.
    pub(crate) fn log(&self, priority: Priority, format: &'static CStr, text: &CStr) {
        let level = c_int::from(priority.level());
        // SAFETY: a valid handle (`new`); a format of this crate's for the one C string that follows.
        unsafe { pam::pam_syslog(self.0, level, format.as_ptr(), text.as_ptr()) };
    }

    /// Says why no helper was started, where `socket` does not answer.
    pub(crate) fn log_failed_start(&self, hook: Hook, failed: Failed, socket: &CStr) {
        let level = c_int::from(Priority::Error.level());
        let (what, program) = (failed.what.as_ptr(), failed.program.as_ptr());
        // SAFETY: a valid handle (`new`); the format takes three C strings, an integer and one more C string.
        unsafe {
            let format =
                c"totpd does not answer at %s, and %s --once is not started: %s (error %d); %s";
            pam::pam_syslog(
                self.0,
                level,
                format.as_ptr(),
                socket.as_ptr(),
                program,
                what,
                failed.errno,
                outcome(hook).as_ptr(),
            );
        }
    }

    /// Shows a prompt and waits for one line; `None` where there is no answer.
    pub(crate) fn ask(&mut self, style: Style, prompt: &CStr) -> Option<Reply> {
        // SAFETY: a valid handle (`new`).
        unsafe { converse(self.0, style, prompt) }.flatten()
    }

    /// Shows a line, and says whether the program took it.
    pub(crate) fn tell(&mut self, style: Style, text: &CStr) -> bool {
        // SAFETY: a valid handle (`new`).
        unsafe { converse(self.0, style, text) }.is_some()
    }

    /// Keeps a mark in the handle, in the place of an earlier one; an empty mark is none.
    pub(crate) fn keep(&mut self, mark: &[u8], later: Later) -> bool {
        if mark.is_empty() {
            // A handle that never had one stays without.
            return self.note().is_null() || self.leave(ptr::null_mut());
        }
        let size = size_of::<Kept>().wrapping_add(mark.len()); // far below any limit: a mark is part of a packet
        // SAFETY: memory for a whole `Kept` and the bytes behind it, aligned for any type; written before it is read.
        let kept = unsafe {
            let kept = libc::malloc(size).cast::<Kept>();
            if kept.is_null() {
                return false;
            }
            kept.write(Kept { later, length: mark.len() });
            ptr::copy_nonoverlapping(mark.as_ptr(), kept.add(1).cast(), mark.len());
            kept
        };
        if self.leave(kept) {
            return true;
        }
        // SAFETY: from malloc, and libpam did not take it over.
        unsafe { libc::free(kept.cast()) };
        false
    }

    fn leave(&mut self, kept: *mut Kept) -> bool {
        // SAFETY: a valid handle (`new`); null, or a `Kept` that `clean_up` may free. The object is never unloaded, so the
        // function lives as long as the handle.
        let status =
            unsafe { pam::pam_set_data(self.0, NOTE.as_ptr(), kept.cast(), Some(clean_up)) };
        status == pam::SUCCESS
    }

    /// Which later hooks an earlier one has left something to; `None` where it has left nothing.
    pub(crate) fn later(&self) -> Option<Later> {
        let kept = self.note();
        // SAFETY: null, or a whole `Kept` of `keep`, which libpam frees only when it is replaced, or with the handle.
        unsafe { kept.as_ref() }.map(|kept| kept.later)
    }

    /// Copies the mark that an earlier hook has left to memory, and says how long it is.
    pub(crate) fn kept(&self, memory: &mut Memory) -> Option<usize> {
        let kept = self.note();
        if kept.is_null() {
            return None;
        }
        // SAFETY: not null, so a whole `Kept` of `keep`, with as many bytes behind it as it says; libpam frees it only when it
        // is replaced, or with the handle.
        let mark = unsafe { core::slice::from_raw_parts(kept.add(1).cast::<u8>(), (*kept).length) };
        // One that has no room is unreadable to the daemon as well: as if it were empty.
        Some(memory.set_mark(mark).map_or(0, |()| mark.len().min(limits::MARK)))
    }

    fn note(&self) -> *const Kept {
        let mut kept: *const c_void = ptr::null();
        // SAFETY: a valid handle (`new`), and room for a pointer.
        let status = unsafe { pam::pam_get_data(self.0, NOTE.as_ptr(), &raw mut kept) };
        if status == pam::SUCCESS { kept.cast() } else { ptr::null() }
    }
}

/// What becomes of a login whose hook fails. A session only shows login notices: no login depends on it.
fn outcome(hook: Hook) -> &'static CStr {
    match hook {
        Hook::Auth | Hook::Account | Hook::Setcred => c"login denied",
        Hook::Session => c"login notices are not shown",
    }
}

/// Wipes and frees what was kept.
///
/// # Safety
///
/// As libpam calls it: with what `leave` has given it, once.
unsafe extern "C" fn clean_up(_: *mut PamHandle, kept: *mut c_void, _: c_int) {
    if kept.is_null() {
        return;
    }
    // SAFETY: from `keep`, whole, and not used again.
    unsafe {
        let size = size_of::<Kept>().wrapping_add((*kept.cast::<Kept>()).length);
        libc::explicit_bzero(kept, size);
        libc::free(kept);
    }
}
