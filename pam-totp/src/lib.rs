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
//! | [`arguments`], [`configuration`] | the line in `/etc/pam.d`, and `config.toml` |
//! | [`facts`], [`ssh_auth_info`] | where a login comes from |
//! | [`person`] | who it is, by the name service |
//! | [`auth`] | the hook before: is this login asked? |
//! | [`mark`], [`account`] | what it leaves, and the hook behind: enrollment, codes, notices |
//! | [`remembered`] | the device somebody comes with |
//! | [`trial`] | one login that is asked: its dialogue, its end, its lines in the log |
//! | [`first_answer`] | what came along with the password |
//! | [`judge`] | an answer on its way through the store |
//! | [`text_message`] | a code on its way to the outbox |
//! | [`events`], [`telling`] | what logins leave for the permanent record and for people |
#![deny(unsafe_code)]

#[cfg(all(feature = "test-panic", not(debug_assertions)))]
compile_error!("test-panic is for tests: it must not be part of a release build");

mod account;
mod arguments;
mod auth;
mod configuration;
mod events;
mod facts;
#[allow(unsafe_code)]
mod ffi;
mod first_answer;
mod host;
mod judge;
mod mark;
mod person;
mod remembered;
mod ssh_auth_info;
mod telling;
mod text_message;
mod trial;
