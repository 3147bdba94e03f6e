//! The store with the real evaluation above it and real files below.
#![allow(clippy::arithmetic_side_effects)] // of the tests' own small numbers

mod administration;
mod by_uid;
mod crashes;
mod house;
mod limits;
mod logins;
mod memory;
mod trust;
