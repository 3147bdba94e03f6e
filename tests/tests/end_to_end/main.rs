//! Everything end to end: the module and the command as built, in houses of their own.
//!
//! One program, so that the tests share the machine's cores. One file per question:
//!
//! | file | what is asked |
//! |---|---|
//! | `houses` | that nothing of a test is seen outside of its house |
//! | `installation` | what `make install` puts where |

// A test reports by panicking.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

mod houses;
mod installation;
