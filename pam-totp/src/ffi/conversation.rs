//! One message of PAM's conversation: a prompt, or a line to be shown.
//!
//! By hand, because what is shown may be a secret: the message is wiped here after the call, and so is the reply. How
//! programs break the rules is allowed for: no conversation at all, an error, no array of replies, a null reply.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr;

use pam::module::PamHandle;

use super::text::Message;
use crate::host::Typed;

const SUCCESS: c_int = 0;

/// `PAM_CONV`
const CONVERSATION: c_int = 5;

/// How a message is meant (`PAM_PROMPT_ECHO_OFF`, …).
#[derive(Clone, Copy)]
#[repr(i32)]
pub(super) enum Style {
    Hidden = 1,
    Shown = 2,
    Info = 4,
}

/// `struct pam_message`
#[repr(C)]
struct PamMessage {
    style: c_int,
    text: *const c_char,
}

/// `struct pam_response`
#[repr(C)]
struct PamResponse {
    text: *mut c_char,
    unused: c_int,
}

/// `struct pam_conv`
#[repr(C)]
struct PamConversation {
    call: Option<
        unsafe extern "C" fn(
            count: c_int,
            messages: *mut *const PamMessage,
            responses: *mut *mut PamResponse,
            data: *mut c_void,
        ) -> c_int,
    >,
    data: *mut c_void,
}

unsafe extern "C" {
    fn pam_get_item(pamh: *const PamHandle, item_type: c_int, item: *mut *const c_void) -> c_int;
    fn free(memory: *mut c_void);
}

/// Sends one message. `None`: the program didn't take it. Inside, the reply, if there is one.
#[allow(clippy::option_option)] // two different absences, parted by the callers
pub(super) fn converse(handle: &PamHandle, style: Style, text: &Message) -> Option<Option<Typed>> {
    let mut item: *const c_void = ptr::null();
    // SAFETY: the handle is libpam's own; the item is written to a pointer of ours.
    let status = unsafe { pam_get_item(handle, CONVERSATION, &raw mut item) };
    if status != SUCCESS || item.is_null() {
        return None;
    }
    // SAFETY: not null, so libpam's `struct pam_conv`, which it keeps until the handle ends or the program sets
    // another one; both fields are copied at once.
    let (call, data) = unsafe {
        let conversation = &*item.cast::<PamConversation>();
        (conversation.call?, conversation.data)
    };
    let message = PamMessage { style: style as c_int, text: text.as_c_str().as_ptr() };
    let mut messages: *const PamMessage = &raw const message;
    let mut responses: *mut PamResponse = ptr::null_mut();
    // SAFETY: one message, in an array of one pointer, which outlives the call; room for one pointer to responses;
    // the data is what the program gave libpam along with the function.
    let status = unsafe { call(1, &raw mut messages, &raw mut responses, data) };
    if status != SUCCESS {
        return None;
    }
    if responses.is_null() {
        return Some(None);
    }
    // SAFETY: after success it is null or an array of as many responses as there were messages, from malloc, which is
    // the module's from now on (pam_conv(3)).
    Some(unsafe { take(responses) })
}

/// The first response, copied, its memory wiped and freed.
///
/// # Safety
///
/// `responses` is one response from malloc whose text is null or a C string from malloc; nobody else uses either.
unsafe fn take(responses: *mut PamResponse) -> Option<Typed> {
    // SAFETY: a whole response, as the caller promises.
    let text = unsafe { (*responses).text };
    let typed = (!text.is_null()).then(|| {
        // SAFETY: a C string, as the caller promises; the slice ends before it is freed.
        let typed = Typed::new(unsafe { CStr::from_ptr(text) }.to_bytes().to_vec());
        for at in 0..typed.as_bytes().len() {
            // SAFETY: within the string. Volatile, so that it is not left out as writing to memory soon freed.
            unsafe { text.add(at).write_volatile(0) };
        }
        // SAFETY: from malloc, and not used again.
        unsafe { free(text.cast()) };
        typed
    });
    // SAFETY: from malloc, and not used again.
    unsafe { free(responses.cast()) };
    typed
}

#[cfg(test)]
mod tests {
    use super::*;

    unsafe extern "C" {
        fn strdup(text: *const c_char) -> *mut c_char;
        fn calloc(count: usize, size: usize) -> *mut c_void;
    }

    fn response(text: Option<&CStr>) -> *mut PamResponse {
        // SAFETY: room for one zeroed response, whose text is a fresh copy.
        unsafe {
            let response = calloc(1, size_of::<PamResponse>()).cast::<PamResponse>();
            if let Some(text) = text {
                (*response).text = strdup(text.as_ptr());
            }
            response
        }
    }

    #[test]
    fn a_reply_is_taken_over_and_a_null_one_is_none() {
        // SAFETY: responses as the function asks for.
        unsafe {
            let typed = take(response(Some(c"123 456")));
            assert_eq!(typed.map(|typed| typed.as_bytes().to_vec()), Some(b"123 456".to_vec()));
            assert!(take(response(None)).is_none());
        }
    }
}
