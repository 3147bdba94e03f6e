//! `config edit`: the editor gets a copy beside the file; what it leaves is checked, and takes the place of
//! the file in one step. A configuration that is not valid would refuse every login, so none is installed.

use std::env;
use std::ffi::OsString;
use std::fs::{self, DirEntry};
use std::io::{self, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::UNIX_EPOCH;

use anyhow::{Context as _, Result, bail};
use serde_json::json;
use tempfile::NamedTempFile;

use totp_core::policy::Config;
use totp_core::record::Entry;
use totp_core::store::Found;
use totp_core::time::{DAY, UnixTime};
use totp_store::clock;
use totp_store::installation::Installation;
use totp_store::store::{ByUid, Expected};

use crate::cli::Global;
use crate::coverage;
use crate::people;
use crate::signals;
use crate::site::{ConfigFile, Settings, Whom, config_path, installation_of, must_be_root};
use crate::ui::{Advice, Ui, printable};

/// What an absent configuration is edited from: the defaults, as remarks.
const TEMPLATE: &str = include_str!("template.toml");

/// How the name of a copy begins.
const PREFIX: &str = ".edit-";

/// Seconds after which a copy that wasn't written to has no editor any more.
const LEFT_AFTER: u64 = DAY;

/// Edits the configuration.
pub fn run(ui: &Ui, global: &Global) -> Result<()> {
    must_be_root()?;
    let path = &config_path(global);
    let file = ConfigFile::open(path)?;
    let copy = copy(&file)?;
    signals::erase_if_ended(copy.path());
    let settings = edit_until_valid(ui, &file, copy.path())?;
    if Some(&settings.text) == file.text.as_ref()
        || (file.text.is_none() && settings.text == TEMPLATE)
    {
        ui.document(&json!({"changed": false, "path": path, "locked_out": [], "problems": []}))?;
        return ui.done(format_args!("{} is as it was", path.display()));
    }
    let installation = installation_of(global, &settings.config)?;
    let problems = super::problems(&installation).unwrap_or_default();
    super::warn_of(ui, &problems);
    let coverage = coverage::report(installation.config());
    let consequences = super::consequences::of(&installation, &coverage);
    consequences.iter().for_each(|one| ui.warn(printable(one)));
    let locked_out = locked_out(ui, &file, &installation);
    if !locked_out.is_empty() {
        ui.warn(format_args!("Could no longer log in: {}", printable(&locked_out.join(", "))));
        ui.note("  Enroll them first (totp-admin enroll USER), or make them exempt.");
    }
    if !locked_out.is_empty() || !problems.is_empty() {
        ui.insist("Install it all the same?")?;
    }
    if ConfigFile::open(path)?.text != file.text {
        signals::no_longer_erased(copy.path());
        let (_, kept) = copy.keep().context("cannot keep your version")?;
        bail!(Advice::new(
            format!("{} was changed by somebody else in the meantime", path.display()),
            format!("Yours is in {}; nothing was installed.", kept.display()),
        ));
    }
    file.replace(&settings.text)?;
    ui.document(&json!({
        "changed": true,
        "path": path,
        "locked_out": locked_out,
        "problems": problems,
        "consequences": consequences,
        "lists": coverage.lists,
        "callers": coverage.callers,
    }))?;
    ui.done(format_args!("{} is installed", path.display()))
}

/// Who can log in now and then no more. A present configuration that is not valid lets nobody in, and keeps
/// nobody from correcting it; neither does a name service that can't tell.
fn locked_out(ui: &Ui, file: &ConfigFile, after: &Installation) -> Vec<String> {
    let Ok(before) = Config::parse(file.text.as_deref().unwrap_or_default()) else {
        return Vec::new();
    };
    let store = after.store();
    let has_none = |whom: &Whom| {
        whom.uid().is_none_or(|uid| {
            matches!(store.by_uid(&whom.name, uid), Ok(ByUid::Nothing | ByUid::Disabled(_)))
        })
    };
    let found = |whom: &Whom| match store.expect(&whom.name) {
        Ok((Expected::Absent, _)) => has_none(whom).then_some(Found::Absent),
        Ok((_, Some(Entry::Disabled(tombstone)))) => Some(Found::Disabled(tombstone)),
        _ => None,
    };
    match people::newly_locked_out(&before, after.config(), found) {
        Ok(names) => names,
        Err(error) => {
            ui.warn(format_args!("It could not be found out whom this keeps out: {error:#}"));
            Vec::new()
        }
    }
}

/// The copy, in the same directory: nobody else can read or rearrange it, and it is gone afterwards.
fn copy(file: &ConfigFile) -> Result<NamedTempFile> {
    let failed = || format!("cannot make a copy of {}", file.path.display());
    let beside = file.path.parent().unwrap_or(Path::new("/"));
    take_leftovers_away(beside);
    let mut copy = tempfile::Builder::new()
        .prefix(PREFIX)
        .suffix(".toml")
        .tempfile_in(beside)
        .with_context(failed)?;
    copy.write_all(file.text.as_deref().unwrap_or(TEMPLATE).as_bytes()).with_context(failed)?;
    copy.flush().with_context(failed)?;
    Ok(copy)
}

/// What an edit that was killed left more than a day ago; it harms nobody where it stays.
fn take_leftovers_away(beside: &Path) {
    let old = |entry: &DirEntry| {
        let written = entry.metadata().ok()?.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
        Some(clock::now().since(UnixTime(written.as_secs())) > LEFT_AFTER)
    };
    for entry in fs::read_dir(beside).into_iter().flatten().flatten() {
        let is_copy = entry.file_name().to_str().is_some_and(|name| name.starts_with(PREFIX));
        if is_copy && old(&entry) == Some(true) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

fn edit_until_valid(ui: &Ui, file: &ConfigFile, copy: &Path) -> Result<Settings> {
    loop {
        edit(ui, copy)?;
        // By its name: many editors put a new file in the place of the old one.
        let text = fs::read_to_string(copy)
            .with_context(|| format!("cannot read {} back", copy.display()))?;
        let error = match Settings::parse(text) {
            Ok(settings) => return Ok(settings),
            Err(error) => error,
        };
        ui.note(format_args!("{}: {}", file.path.display(), printable(&error.to_string())));
        if !ui.interactive() || !edit_again(ui)? {
            bail!("not a valid configuration; {} is as it was", file.path.display());
        }
    }
}

fn edit_again(ui: &Ui) -> Result<bool> {
    loop {
        let Some(answer) = ui.ask("What now? (e)dit again, (q)uit without installing:")? else {
            return Ok(false);
        };
        match answer.trim() {
            "e" => return Ok(true),
            "q" => return Ok(false),
            _ => {}
        }
    }
}

/// Runs the editor of VISUAL or EDITOR, which may have options of its own, else Debian's `editor` or `vi`.
fn edit(ui: &Ui, copy: &Path) -> Result<()> {
    let named = ["VISUAL", "EDITOR"]
        .into_iter()
        .find_map(|name| env::var_os(name).filter(|e| !e.is_empty()));
    let candidates =
        named.map_or_else(|| vec!["editor".into(), "vi".into()], |editor| vec![editor]);
    for editor in candidates {
        let Some((program, options)) = words(&editor) else { continue };
        let mut command = Command::new(&program);
        command.args(options).arg(copy);
        if ui.json() {
            command.stdout(Stdio::from(io::stderr())); // standard output is for the document
        }
        // Ctrl-C is for the editor, which has it from the terminal, too.
        let status = {
            let _ignored = signals::ignore_keys();
            command.status()
        };
        match status {
            Ok(status) if status.success() => return Ok(()),
            Ok(status) => {
                bail!("the editor {} ended with {status}; nothing was changed", program.display())
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => bail!("cannot run the editor {}: {error}", program.display()),
        }
    }
    Err(Advice::new("no editor found", "Name one in VISUAL or EDITOR.").into())
}

fn words(editor: &OsString) -> Option<(OsString, Vec<OsString>)> {
    let Some(text) = editor.to_str() else { return Some((editor.clone(), Vec::new())) };
    let mut words = text.split_ascii_whitespace().map(OsString::from);
    Some((words.next()?, words.collect()))
}
