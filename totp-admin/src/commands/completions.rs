//! `completions`: a script for a shell, from the definition of the command line.

use std::io::{self, Write as _};

use anyhow::Result;
use clap::CommandFactory as _;

use crate::cli::{Cli, Completions};
use crate::ui::Ui;

/// Prints the script.
pub fn run(ui: &Ui, args: &Completions) -> Result<()> {
    ui.no_document("completions")?;
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "totp-admin", &mut script);
    io::stdout().write_all(&script)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shell_gets_a_script_that_knows_the_sub_commands() {
        use clap::ValueEnum as _;
        for shell in clap_complete::Shell::value_variants() {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Cli::command(), "totp-admin", &mut script);
            let script = String::from_utf8(script).unwrap();
            for name in ["enroll", "disable", "verify"] {
                assert!(script.contains(name), "{shell}: {name}");
            }
        }
    }
}
