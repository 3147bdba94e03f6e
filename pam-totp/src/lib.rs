//! `pam_totp.so`: relays between a program that logs a user in and the daemon that decides.
//!
//! The module decides nothing, reads no file of ours and holds no secret of its own. It takes what the program and libpam say,
//! sends it to `totpd` in one message, and does what it is told until the decision comes: shows prompts and lines, writes to
//! the system's log, returns. Where no daemon answers, and the program is root's, it starts `totpd --once`.
//!
//! Built without the standard library and without an allocator. A panic that can be reached is an error of the linker, so that
//! no code of this module unwinds or aborts: a thread of the host that ends inside the conversation ends as it would in C.
//!
//! | file | contents |
//! |---|---|
//! | [`ffi`] | libpam, the socket, the helper process: the only unsafe code of the workspace |
//! | [`words`] | the words of the PAM line that are the module's own |
//! | [`relay`] | the conversation with the daemon, and what becomes of it where the daemon is gone |
#![cfg_attr(all(panic = "abort", not(test)), no_std)]
#![deny(unsafe_code)]

// With unwinding it would silently contain the standard library, and abort the host where a thread ends in the conversation.
#[cfg(all(panic = "unwind", not(debug_assertions), not(test)))]
compile_error!("build the module with: cargo build --profile module --package pam-totp");

#[allow(unsafe_code)]
mod ffi;
mod relay;
mod words;
