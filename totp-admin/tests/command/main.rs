//! The command as a program: every sub-command, its document, its errors and its exit codes, against houses
//! of their own. Records are root's, so this needs root; without it every test here passes unseen, which
//! `scripts/test` says.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)] // a test that can't go on fails
#![allow(clippy::arithmetic_side_effects)] // of small numbers

mod broken_off;
mod changes;
mod codes;
mod coverage;
mod enroll;
mod init;
mod last_config;
mod looking;
mod notices;
mod openings;
mod outbox;
mod permanent_record;
mod remembered;
mod settings;
mod status;
mod support;
mod terminal;
mod texts;
mod uids;
mod usage;
