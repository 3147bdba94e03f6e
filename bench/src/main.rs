//! Measures logins with this project's module beside other modules, and beside what nothing can be
//! faster than, and says what came of it as Markdown.
//!
//! ```text
//! pam-totp-bench [PAGE]
//! pam-totp-bench --only MEASURE
//! ```
//!
//! PAGE is a file with the two marks of [`page`], between which the tables are put. MEASURE is the name of one question
//! (see `measures.rs`), whose tables are printed alone. Which module is measured `PAM_TOTP_MODULE`, `TOTP_ADMIN` and
//! `TOTP_AGENT` say, as for the tests. `scripts/bench` is what a person runs.

#![forbid(unsafe_code)]
// See lib.rs. What is said goes to standard output, what is going on to standard error.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::print_stdout,
    clippy::print_stderr
)]

mod machine;
mod measures;
mod page;
mod report;

use std::path::PathBuf;

use report::Report;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let (only, page) = match arguments.next() {
        Some(word) if word == "--only" => (arguments.next(), None),
        page => (None, page.map(PathBuf::from)),
    };
    if let Some(name) = &only {
        measures::check(name);
    }
    let before = machine::load();
    let scene = measures::Scene::build();
    let machine = machine::describe(&scene.volumes);
    let mut report = Report::default();
    measures::all(&scene, only.as_deref(), &mut report);
    let text =
        format!("{machine}, load {before} before and {} after.\n\n{report}", machine::load());
    println!("{text}");
    if let Some(page) = page {
        page::put(&page, &text);
    }
}
