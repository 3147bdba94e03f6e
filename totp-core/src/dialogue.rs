//! The order of prompts and messages, without I/O: whoever drives a dialogue asks it what to do next, does that, and
//! tells it what came of it. The module and the command drive the same ones.

pub mod account;
pub mod enrollment;
pub mod login;
