//! One target per parser: what comes from outside, and what must hold of it, whatever it is.
//!
//! Each target is a function of bytes that panics where something is wrong, and asserts more than the absence of a panic:
//! what was read is printed and read again, what is unknown is refused, a decision lets in nobody without a valid code. They
//! are run in two ways: by `cargo test` for a moment ([`TARGETS`] over the corpus, and over changes of it), and guided by
//! coverage for as long as somebody likes (`make fuzz`, which needs the program in `fuzz_targets/`).
//!
//! | file | what is read |
//! |---|---|
//! | [`record`], [`state`], [`remembered`] | a user's files |
//! | [`configuration`], [`arguments`] | what an administrator wrote |
//! | [`answer`], [`otpauth`], [`names`] | what somebody typed, or a program said |
//! | [`ssh_auth_info`] | the key that sshd has verified |
//! | [`hello`], [`messages`], [`conversation`] | what the module and the daemon say to each other |
//! | [`permanent`], [`outbox`], [`notice`], [`template`] | what people are told, and what is kept of it |
//! | [`login`], [`text_message`] | nothing: decisions, on any record and state, with any answers |
//!
//! [`choices`] makes decisions out of bytes, [`scratch`] keeps files for a moment.
#![forbid(unsafe_code)]
// A finding is a panic.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

pub mod answer;
pub mod arguments;
mod choices;
pub mod configuration;
pub mod conversation;
pub mod hello;
pub mod login;
pub mod messages;
pub mod names;
pub mod notice;
pub mod otpauth;
pub mod outbox;
pub mod permanent;
pub mod record;
pub mod remembered;
mod scratch;
pub mod ssh_auth_info;
pub mod state;
pub mod template;
pub mod text_message;

/// A target: its name, which is that of its corpus, and what it does.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// As the folder below `fuzz/corpus/` is called.
    pub name: &'static str,
    /// Panics where something is wrong.
    pub check: fn(&[u8]),
}

/// All there are.
pub const TARGETS: [Target; 19] = [
    Target { name: "answer", check: answer::check },
    Target { name: "arguments", check: arguments::check },
    Target { name: "configuration", check: configuration::check },
    Target { name: "conversation", check: conversation::check },
    Target { name: "hello", check: hello::check },
    Target { name: "login", check: login::check },
    Target { name: "names", check: names::check },
    Target { name: "notice", check: notice::check },
    Target { name: "otpauth", check: otpauth::check },
    Target { name: "outbox", check: outbox::check },
    Target { name: "permanent", check: permanent::check },
    Target { name: "record", check: record::check },
    Target { name: "remembered", check: remembered::check },
    Target { name: "ssh_auth_info", check: ssh_auth_info::check },
    Target { name: "state", check: state::check },
    Target { name: "template", check: template::check },
    Target { name: "text_message", check: text_message::check },
    Target { name: "to_daemon", check: messages::to_daemon },
    Target { name: "to_module", check: messages::to_module },
];
