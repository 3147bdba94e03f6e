//! The sub-commands, one file each. A command reads what it needs, lets `totp-core` decide, and says what
//! came of it; none calls another.

mod completions;
mod man;

use anyhow::Result;

use crate::cli::{Cli, Command};
use crate::ui::Ui;

/// Does what the command line says.
pub fn run(cli: Cli) -> Result<()> {
    let ui = Ui::new(&cli.global);
    match cli.command {
        Command::Completions(args) => completions::run(&args),
        Command::Man(args) => man::run(&ui, &args),
        _ => anyhow::bail!("not yet"),
    }
}
