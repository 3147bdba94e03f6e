//! The module as a program meets it: behind libpam, and as a file.
#![allow(missing_docs, clippy::expect_used, clippy::panic, clippy::indexing_slicing)] // a test crate

mod logins;
mod remembered;
mod shared_object;
mod support;
mod through_libpam;
