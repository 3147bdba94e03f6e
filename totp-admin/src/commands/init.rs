//! `init`: makes the directories of an installation, and its identity. What is to be done is decided in `totp-store`; here it
//! is recorded and said.

use anyhow::{Context as _, Result};
use serde_json::json;
use totp_store::files::Owner;
use totp_store::installation::Places;
use totp_store::installation::init::{Init, Means};

use crate::change::Administrator;
use crate::cli::{self, Global};
use crate::site::{must_be_root, named};
use crate::ui::{Ui, printable};

/// Makes what is missing, or refuses.
pub fn run(ui: &Ui, global: &Global, args: &cli::Init) -> Result<()> {
    must_be_root()?;
    let named = named(global)?;
    let init = Init::prepare(&Places::default(), named.as_deref(), Owner::ROOT, args.adopt)?;
    let state_dir = init.installation().config().paths.state_dir.as_str();
    if args.adopt && matches!(init.means(), Means::Adopt(_)) {
        ui.insist(format_args!("Is {} the right state directory?", printable(state_dir)))?;
    }
    let made = init.make_directories().context("correct this, and run it again")?;
    let who = Administrator::here();
    let (identity, record) = match init.means() {
        Means::Keep => ("kept", None),
        Means::New => {
            init.give_identity()?;
            ("new", None)
        }
        Means::Adopt(reason) => {
            let seq = who.adopt(&init.audit_log(), reason, || Ok(init.give_identity()?))?;
            ("adopted", Some(seq))
        }
    };
    // Last: what it lacks is denied until then.
    let index = init.make_index();
    let written = index.as_ref().ok().copied();
    ui.document(&json!({
        "changed": !made.is_empty() || identity != "kept" || written.is_some_and(|files| files > 0),
        "config": init.installation().config_path(),
        "state_dir": state_dir,
        "identity": identity,
        "record": record,
        "made": made,
        "index_files": written,
    }))?;
    for path in &made {
        ui.result(format_args!("made {}", printable(&path.display().to_string())))?;
    }
    let state_dir = printable(state_dir);
    match index? {
        0 => {}
        files => ui.result(format_args!("made the index by uid ({files} files)"))?,
    }
    match record {
        Some(seq) => ui.done(format_args!(
            "{state_dir} is this installation's now. Record {seq}, {}.",
            who.signature()
        )),
        None if identity == "new" => ui.done(format_args!("{state_dir} is a new installation")),
        None => ui.done(format_args!("{state_dir} is in order")),
    }
}
