//! The store with the real evaluation above it and real files below.

mod administration;
mod crashes;
mod house;
mod logins;
mod memory;
mod trust;
