//! Delivering what people are to be told about their second factor, by mail and text message, and what goes with it:
//! shared by the agent's program (`main.rs`) and the administrator's command.
//!
//! - [`post`]: the outbox of an installation: enqueue what is new, deliver what is due, record what came of it
//! - [`events`]: what logins left in their users' states, moved to the permanent record
//! - [`texts`], [`render`]: what is said of each event, and how a text of an administrator's stands in for ours; [`wrap`]: its
//!   lines
//! - [`mail`]: a text as a mail message; [`transport`]: by which way it leaves this host
//! - [`sms`]: text messages; [`program`]: starting a program that may fail or hang
//! - [`syslog`]: one line to the system's log
//!
//! Nothing is decided here about logins. No shell is ever started.
#![forbid(unsafe_code)]

pub mod contacts;
pub mod events;
pub mod mail;
pub mod post;
pub mod program;
pub mod render;
pub mod sms;
pub mod syslog;
pub mod texts;
pub mod transport;
pub mod wrap;
