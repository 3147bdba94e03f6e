//! What is decided: no I/O, no clock, no environment. Time and entropy are parameters.
//!
//! From the floor up:
//!
//! - values: [`time`], [`secret`], [`name`], [`contact`], [`otp`], [`otpauth`]; which characters people are shown: [`visible`]
//! - what is kept about a user: [`record`] (decided by an administrator), [`state`] (changed by logins),
//!   [`event`] (what somebody must be told of)
//! - what an administrator decided for everyone: [`policy`], and whom its names stand for: [`coverage`]
//! - the two questions: [`route`] (is this login asked at all?) and [`evaluate`] (is this right?), with the
//!   arithmetic of [`budget`] and [`prices`]
//! - the order of prompts and messages: [`dialogue`]; the lines for the log: [`log`]
//! - codes besides those of authenticators: [`onetime`], and [`text_message`] to ask for one
//! - [`remembered`]: keys with which a user is not asked for some days
//! - [`uid_index`]: which enrollment an account without one of its own name has, by its uid
//! - [`succession`]: what an enrollment at a login puts in the place of what was there
//! - [`store`]: what a store must offer, and the only way from a decision to its outcome
#![no_std]
#![forbid(unsafe_code)]
// A test that overflows fails, as it should.
#![cfg_attr(test, allow(clippy::arithmetic_side_effects))]

extern crate alloc;

pub mod answer;
pub mod budget;
pub mod combined;
pub mod contact;
pub mod coverage;
pub mod dialogue;
pub mod encoding;
pub mod evaluate;
pub mod event;
mod floors;
pub mod log;
pub mod name;
pub mod onetime;
pub mod origin;
pub mod otp;
pub mod otpauth;
pub mod policy;
pub mod prices;
mod reading;
pub mod record;
pub mod remembered;
pub mod route;
pub mod search;
pub mod secret;
pub mod state;
pub mod store;
pub mod succession;
pub mod text_message;
pub mod time;
pub mod uid_index;
pub mod upkeep;
pub mod visible;
