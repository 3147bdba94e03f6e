//! A model of how logins share a user's state: the lock, the inode check, the two blocks and the meter, the state in
//! memory, the replaced record, and the end of a holder that was stopped. It is checked exhaustively, with processes killed
//! or stopped, the power lost and the disk refusing at any step. `docs/protocol.md` is the same in words, with what is left out.
//!
//! Nothing here runs in the product. Every step names the function that it stands for; whoever changes one of these
//! functions changes the step.
//!
//! - [`scene`]: who takes part, what may go wrong, and what is done wrong on purpose
//! - `durable`: what the page cache has, and what may be on disk; `blocks`: what is in a state file, and what is decided by it
//! - `world`: everything at one moment; `step`: what a process does next
//! - `writing`, `login`, `administrator`: the steps; `faults`: what happens to them
//! - `check`: the model that stateright walks through, and its properties

#![forbid(unsafe_code)]
// It runs in tests alone, and ends them where it is at fault itself.
#![allow(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

mod administrator;
mod blocks;
mod check;
mod durable;
mod faults;
mod login;
pub mod scene;
mod step;
mod world;
mod writing;

pub use check::{Action, Protocol};
pub use world::World;
