//! One message of PAM's conversation: a prompt, or a line to be shown. How programs break the rules is allowed for: no
//! conversation at all, an error, no array of replies, a null reply.

use core::ffi::{CStr, c_char, c_int, c_void};
use core::ptr;

use super::pam::{self, Conversation, Message, PamHandle, Response};

/// How a message is meant (`PAM_PROMPT_ECHO_OFF`, …).
#[derive(Clone, Copy)]
#[repr(i32)]
pub(crate) enum Style {
    /// A prompt whose answer is hidden.
    Hidden = 1,
    /// A prompt whose answer is shown.
    Shown = 2,
    /// A line that says what went wrong. Programs write it to standard error.
    Error = 3,
    /// A line.
    Info = 4,
}

/// What was typed: memory that the program has handed over, wiped and freed on drop.
pub(crate) struct Reply(*mut c_char);

impl Reply {
    /// The text.
    pub(crate) fn text(&self) -> &CStr {
        // SAFETY: a C string of the program's that is ours until it is dropped.
        unsafe { CStr::from_ptr(self.0) }
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        let length = self.text().to_bytes().len();
        // SAFETY: within the string; from malloc, and not used again.
        unsafe {
            libc::explicit_bzero(self.0.cast(), length);
            libc::free(self.0.cast());
        }
    }
}

/// Sends one message. `None`: the program did not take it. Inside, the reply, if there is one.
///
/// # Safety
///
/// A valid handle.
#[allow(clippy::option_option)] // two different absences, parted by the callers
pub(super) unsafe fn converse(
    handle: *mut PamHandle,
    style: Style,
    text: &CStr,
) -> Option<Option<Reply>> {
    let mut item: *const c_void = ptr::null();
    // SAFETY: a valid handle, as the caller promises; the item is written to a pointer of ours.
    let status = unsafe { pam::pam_get_item(handle, pam::CONV, &raw mut item) };
    if status != pam::SUCCESS || item.is_null() {
        return None;
    }
    // SAFETY: not null, so libpam's `struct pam_conv`, which it keeps until the handle ends or the program sets another one;
    // both fields are copied at once.
    let (call, data) = unsafe {
        let conversation = &*item.cast::<Conversation>();
        (conversation.call?, conversation.data)
    };
    let message = Message { style: style as c_int, text: text.as_ptr() };
    let mut messages: *const Message = &raw const message;
    let mut responses: *mut Response = ptr::null_mut();
    // SAFETY: one message, in an array of one pointer, which outlives the call; room for one pointer to responses; the data is
    // what the program gave libpam along with the function.
    let status = unsafe { call(1, &raw mut messages, &raw mut responses, data) };
    if status != pam::SUCCESS {
        return None;
    }
    if responses.is_null() {
        return Some(None);
    }
    // SAFETY: after success it is null or an array of as many responses as there were messages, from malloc, which is the
    // module's from now on (pam_conv(3)); its text is null or a C string from malloc.
    unsafe {
        let text = (*responses).text;
        libc::free(responses.cast());
        Some(if text.is_null() { None } else { Some(Reply(text)) })
    }
}
