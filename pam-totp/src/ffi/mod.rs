//! libpam, the kernel and the helper process. The only unsafe code of the workspace: what lives here checks pointers, converts,
//! and calls; it knows nothing of codes, users or policy.
//!
//! - `entry`: the symbols libpam looks up
//! - `pam`: libpam's constants and functions
//! - `handle`: a PAM handle: items, log, what is kept in it
//! - `conversation`: prompts and messages
//! - `memory`: the buffers of a call
//! - `channel`: the socket
//! - `once`: starting `totpd --once`
//! - `system`: the clock, ids, terminals

mod channel;
mod conversation;
mod entry;
mod handle;
mod memory;
mod once;
pub(crate) mod pam;
pub(crate) mod system;

pub(crate) use channel::{Channel, NotReceived};
pub(crate) use conversation::{Reply, Style};
pub(crate) use entry::Words;
pub(crate) use handle::Handle;
pub(crate) use memory::Memory;
pub(crate) use once::start as start_once;
pub(crate) use system::{Milliseconds, Moment};

/// What a panic would call, and what no object defines: a panic that can be reached is an error of the linker.
#[cfg(all(panic = "abort", not(test)))]
mod panics {
    unsafe extern "C" {
        fn a_panic_can_be_reached() -> !;
    }

    #[panic_handler]
    fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
        // SAFETY: never linked, so never called.
        unsafe { a_panic_can_be_reached() }
    }
}
