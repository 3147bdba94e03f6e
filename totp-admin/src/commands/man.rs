//! `man`: the man pages, from the definition of the command line. The ones in `docs/man/` are these.

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

use anyhow::{Context as _, Result};
use clap::CommandFactory as _;
use clap_mangen::Man as Page;
use clap_mangen::roff::{Roff, bold, italic, roman};

use crate::cli::{Cli, Man};
use crate::ui::{Advice, Ui};

/// Administration commands (hier(7)).
const SECTION: &str = "8";

/// Prints the command's own page, or writes them all into a directory.
pub fn run(ui: &Ui, args: &Man) -> Result<()> {
    ui.no_document("man")?;
    let pages = pages()?;
    let Some(dir) = &args.dir else {
        let own = pages.first().map(|(_, content)| content.as_slice()).unwrap_or_default();
        io::stdout().write_all(own)?;
        return Ok(());
    };
    for (name, content) in &pages {
        write(&dir.join(name), content)?;
    }
    ui.done(format_args!("{} pages in {}", pages.len(), dir.display()))
}

fn write(path: &Path, content: &[u8]) -> Result<()> {
    fs::write(path, content).map_err(|error| {
        Advice::new(
            format!("cannot write {}: {error}", path.display()),
            "Name a directory that exists and can be written.",
        )
        .into()
    })
}

/// Every page: its file's name and content, the command's own page first.
fn pages() -> Result<Vec<(String, Vec<u8>)>> {
    let mut root = Cli::command().disable_help_subcommand(true);
    root.build();
    let mut pages = Vec::new();
    collect(&root, "totp-admin", &mut pages)?;
    Ok(pages)
}

fn collect(command: &clap::Command, name: &str, pages: &mut Vec<(String, Vec<u8>)>) -> Result<()> {
    let content = page(command, name).with_context(|| format!("cannot make the page {name}"))?;
    pages.push((format!("{name}.{SECTION}"), content));
    for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set()) {
        collect(sub, &format!("{name}-{}", sub.get_name()), pages)?;
    }
    Ok(())
}

/// A page by clap_mangen, but for the synopsis (it lists flags without their values) and the end.
fn page(command: &clap::Command, name: &str) -> io::Result<Vec<u8>> {
    let source = format!("pam-totp {}", env!("CARGO_PKG_VERSION"));
    let manual = "System Administration";
    let page = Page::new(command.clone()).title(name).section(SECTION).date("");
    let page = page.source(source).manual(manual);
    let mut out = Vec::new();
    page.render_title(&mut out)?;
    page.render_name_section(&mut out)?;
    synopsis(command, &mut out)?;
    page.render_description_section(&mut out)?;
    page.render_options_section(&mut out)?;
    if command.get_subcommands().any(|sub| !sub.is_hide_set()) {
        page.render_subcommands_section(&mut out)?;
    }
    ending(name, &mut out)?;
    Ok(out)
}

fn synopsis(command: &clap::Command, out: &mut Vec<u8>) -> io::Result<()> {
    let usage = command.clone().render_usage().to_string();
    let usage = usage.trim_start_matches("Usage:").trim().to_owned();
    let (words, arguments) = usage.split_once([' ']).map_or((usage.as_str(), ""), |_| {
        let end = usage.find(['[', '<']).unwrap_or(usage.len());
        usage.split_at(end)
    });
    let mut roff = Roff::new();
    roff.control("SH", ["SYNOPSIS"]);
    roff.text([bold(words.trim_end()), roman(" "), italic(arguments)]);
    roff.to_writer(out)
}

fn ending(name: &str, out: &mut Vec<u8>) -> io::Result<()> {
    let mut roff = Roff::new();
    roff.control("SH", ["EXIT STATUS"]);
    roff.text([roman("0 done, 1 refused or failed, 2 wrong usage.")]);
    roff.control("SH", ["SEE ALSO"]);
    let own = if name == "totp-admin" { "" } else { "totp-admin(8), " };
    roff.text([roman(format!("{own}pam_totp(8), pam-totp-config(5)"))]);
    roff.to_writer(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    #[test]
    fn the_pages_in_docs_are_the_generated_ones() {
        let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/man");
        let mut expected: Vec<String> = Vec::new();
        for (name, content) in pages().unwrap() {
            let kept = fs::read(dir.join(&name)).unwrap_or_default();
            assert!(
                kept == content,
                "docs/man/{name} is not what `totp-admin man --dir docs/man` makes"
            );
            expected.push(name);
        }
        let generated = |name: &String| name.starts_with("totp-admin");
        let mut kept: Vec<String> = fs::read_dir(dir)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(generated)
            .collect();
        kept.sort();
        expected.sort();
        assert_eq!(kept, expected);
    }
}
