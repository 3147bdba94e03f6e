//! `pam_totp.so`: asks for the second factor where PAM is asked for a login.
//!
//! The module talks and decides nothing: what a login is asked, and whether an answer is right, is
//! decided in `totp-core`; what is kept is kept by `totp-store`. From here, nothing reaches a
//! network, starts a thread or a process, or writes to the terminal other than through PAM's
//! conversation.
//!
//! | file | what |
//! |---|---|
//! | [`ffi`] | the exported entry points and libpam: the only unsafe code of the workspace |
//! | [`host`] | what the rest sees of libpam: a safe trait, which tests stand in for |
//! | [`arguments`] | the arguments on the line in `/etc/pam.d` |
//! | [`facts`], [`ssh_auth_info`] | who asks, from where |
//! | [`auth`], [`account`] | the hooks |
#![deny(unsafe_code)]

#[cfg(all(feature = "test-panic", not(debug_assertions)))]
compile_error!("test-panic is for tests: it must not be part of a release build");

mod account;
mod arguments;
mod auth;
mod facts;
#[allow(unsafe_code)]
mod ffi;
mod host;
mod ssh_auth_info;
