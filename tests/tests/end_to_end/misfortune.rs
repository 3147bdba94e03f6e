//! Programs whose calls fail one after the other: a library of the tests' own in front of libc (`misfortune/misfortune.c`).

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use pam_totp_tests::House;

/// Where the library and its report lie, inside every house.
const LIBRARY: &str = "/usr/local/bin/misfortune.so";
const REPORT: &str = "/run/misfortune";

/// The library, compiled and put into a house.
#[derive(Debug)]
pub struct Misfortune {
    report: PathBuf,
}

impl Misfortune {
    /// Puts it into a house.
    pub fn befalls(house: &House) -> Self {
        let source =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/end_to_end/misfortune/misfortune.c");
        let status = Command::new("cc")
            .args(["-shared", "-fPIC", "-std=c11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror"])
            .args(["-O1", "-o"])
            .args([&house.path(LIBRARY), &source])
            .status()
            .expect("a C compiler (build-essential) is needed");
        assert!(status.success(), "compiling {} failed", source.display());
        Self { report: house.path(REPORT) }
    }

    /// The variables of a program of which `what` goes wrong: `files` or `memory`.
    pub fn variables(what: &str, more: &[(&str, &str)]) -> Vec<(String, String)> {
        let usual = [("LD_PRELOAD", LIBRARY), ("MISFORTUNE", what), ("MISFORTUNE_REPORT", REPORT)];
        let all = usual.iter().chain(more);
        all.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    /// The variables of a program that gets no random bytes.
    pub fn without_random(errno: i32) -> [(String, String); 2] {
        let random = ("MISFORTUNE_RANDOM".to_owned(), errno.to_string());
        [("LD_PRELOAD".to_owned(), LIBRARY.to_owned()), random]
    }

    /// How many calls the last program made that could have failed.
    pub fn counted(&self) -> usize {
        let text = fs::read_to_string(&self.report).expect("the library is there");
        text.trim().parse().expect("a number")
    }
}
