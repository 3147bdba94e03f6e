//! Other programs, asked about the machine.

use std::process::Command;

/// What a command printed, in English, or nothing where there is none such.
#[must_use]
pub fn said(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).env("LC_ALL", "C").output();
    output.map_or_else(|_| String::new(), |o| String::from_utf8_lossy(&o.stdout).trim().to_string())
}
