//! Measuring logins: whole ones, through the real libpam, in a house of the tests' harness.
//!
//! A [`Client`] is a process with libpam in it, written in C so that nothing but the module under
//! measurement costs time; it keeps the time itself. [`statistics`] makes a number of many.
//! What is compared with what stands in the programs; nothing here is part of `make test` but the
//! arithmetic, because a time that is asserted fails on somebody's busy machine.

#![forbid(unsafe_code)]
// A harness that can't go on has nobody to report to but the person who started it, and ends.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

mod client;
mod purse;
mod rounds;
mod said;
pub mod site;
pub mod statistics;
mod volume;

pub use client::{Client, Login, Process, Programs, SUCCESS, Task, Timing, Weight};
pub use rounds::interleaved;
pub use said::said;
pub use volume::Volume;
