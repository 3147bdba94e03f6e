//! Measures logins with this project's module beside other modules, and beside what nothing can be
//! faster than, and says what came of it as Markdown.
//!
//! ```text
//! pam-totp-bench [PAGE]
//! pam-totp-bench --only MEASURE
//! ```
//!
//! PAGE is a file with the two marks of [`page`], between which the tables are put. MEASURE is the name of one question
//! (see `measures.rs`), whose tables are printed alone. Which files are measured `PAM_TOTP_MODULE`, `TOTPD`,
//! `TOTP_ADMIN` and `TOTP_AGENT` say, as for the tests. `scripts/bench` is what a person runs.

#![forbid(unsafe_code)]
// See lib.rs. What is said goes to standard output, what is going on to standard error.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::exit,
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
    let words: Vec<String> = std::env::args().skip(1).collect();
    let Some((only, page)) = understood(&words) else {
        let names = measures::names().join(", ");
        eprintln!(
            "usage: pam-totp-bench [PAGE]\n       pam-totp-bench --only MEASURE, one of {names}"
        );
        std::process::exit(2);
    };
    let before = machine::load();
    let scene = measures::Scene::build();
    let machine = machine::describe(&scene.volumes);
    let mut report = Report::default();
    measures::all(&scene, only, &mut report);
    let text =
        format!("{machine}, load {before} before and {} after.\n\n{report}", machine::load());
    println!("{text}");
    if let Some(page) = page {
        page::put(&page, &text);
    }
}

/// The one question, or the page. `None`: nothing that is known here, before anything is measured for it.
fn understood(words: &[String]) -> Option<(Option<&str>, Option<PathBuf>)> {
    match words {
        [] => Some((None, None)),
        [flag, name] if flag == "--only" => {
            measures::names().contains(&name.as_str()).then_some((Some(name), None))
        }
        [page] if !page.starts_with('-') => Some((None, Some(PathBuf::from(page)))),
        _ => None,
    }
}
