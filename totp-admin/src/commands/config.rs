//! `config`: check, edit and show the settings. Editing works as visudo does: on a copy, which is checked
//! before it takes the place of the file.

mod consequences;
mod edit;
mod files;

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde_json::json;
use totp_core::policy::{Config as Settings, ConfigError, DateKey, Policy, PolicyKeys};
use totp_core::prices::codes_always_required;
use totp_store::installation::Installation;

use crate::cli::{Config, ConfigCheck, Global};
use crate::coverage;
use crate::site::{self, ConfigFile, Site, must_be_root};
use crate::ui::{Advice, Refused, Ui, printable};

/// Does one of the three.
pub fn run(ui: &Ui, global: &Global, what: &Config) -> Result<()> {
    match what {
        Config::Check(args) => check(ui, global, args),
        Config::Edit => edit::run(ui, global),
        Config::Show => show(ui, &Site::open(ui, global)?),
    }
}

fn check(ui: &Ui, global: &Global, args: &ConfigCheck) -> Result<()> {
    let (path, text) = match &args.file {
        Some(path) => {
            let text = fs::read_to_string(path).map_err(|error| {
                Advice::new(
                    format!("cannot read {}: {error}", path.display()),
                    "Name a file that can be read, or none to check the one in use.",
                )
            })?;
            (path.clone(), text)
        }
        // The one in use must be one that a login trusts, too.
        None => {
            must_be_root()?;
            let path = site::config_path(global);
            let text = ConfigFile::open(&path)?.text;
            if text.is_none() && global.config.is_none() {
                ui.note(format_args!(
                    "{} does not exist: the defaults are in effect.",
                    path.display()
                ));
            }
            let text = if global.config.is_some() {
                text.context("no such file")
            } else {
                Ok(text.unwrap_or_default())
            };
            (path.clone(), text.with_context(|| path.display().to_string())?)
        }
    };
    match Settings::parse(&text) {
        Ok(settings) => {
            let installation = site::installation_of(global, &settings)?;
            let problems = problems(&installation);
            let coverage = coverage::report(&settings);
            let consequences = consequences::of(&installation, &coverage);
            ui.document(&json!({
                "path": path,
                "valid": true,
                "error": null,
                "problems": problems,
                "consequences": consequences,
                "lists": coverage.lists,
                "callers": coverage.callers,
            }))?;
            for line in coverage.lines() {
                ui.result(printable(&line))?;
            }
            warn_of_many_hosts(ui, &settings);
            consequences.iter().for_each(|one| ui.warn(printable(one)));
            match problems {
                Some(problems) => warn_of(ui, &problems),
                None => ui.note("Only root can see whether its directories can be used."),
            }
            ui.done(format_args!("{} is valid", path.display()))
        }
        Err(error) => not_valid(ui, &path, &error),
    }
}

/// What would end every login although the text is valid; `None` where only root could see.
fn problems(installation: &Installation) -> Option<Vec<String>> {
    must_be_root().ok()?;
    Some(installation.problems().iter().map(ToString::to_string).collect())
}

fn warn_of(ui: &Ui, problems: &[String]) {
    for problem in problems {
        ui.warn(format_args!("Nobody could log in: {}", printable(problem)));
    }
}

/// A chance divided among many hosts is too small for single codes: better said here than found out at a login.
fn warn_of_many_hosts(ui: &Ui, settings: &Settings) {
    let Some(rules) = settings.rules() else { return };
    let codes = codes_always_required(&rules, settings.totp.digits(), 1);
    if codes > 1 {
        ui.warn(format_args!(
            "[guessing] leaves each host so small a chance that {codes} codes in a row are always asked for."
        ));
    }
}

fn not_valid(ui: &Ui, path: &Path, error: &ConfigError) -> Result<()> {
    let ConfigError { line, column, message } = error;
    let found = json!({"line": line, "column": column, "message": message});
    ui.document(&json!({"path": path, "valid": false, "error": found, "problems": []}))?;
    ui.result(format_args!("{}: {}", path.display(), printable(&error.to_string())))?;
    Err(Refused.into())
}

fn show(ui: &Ui, site: &Site) -> Result<()> {
    let effective = effective(site.config());
    ui.document(&effective)?;
    if ui.json() {
        return Ok(());
    }
    ui.picture(&effective.print()?)
}

/// The settings with every default filled in.
fn effective(config: &Settings) -> Settings {
    let Policy { require, exempt, exempt_networks, disabled, enroll_by, enroll_in } =
        config.policy("");
    let mut effective = config.clone();
    effective.policy = PolicyKeys {
        require: Some(require),
        exempt: Some(exempt),
        exempt_networks: Some(exempt_networks),
        disabled: Some(disabled),
        enroll_by: enroll_by.map(DateKey),
        enroll_in: Some(enroll_in),
    };
    if effective.totp.issuer.is_empty() {
        effective.totp.issuer = totp_store::host_name().unwrap_or_default();
    }
    effective
}
