//! `unlock`: gives the guess budget back. Codes that were used stay used.

use anyhow::{Result, anyhow};
use serde_json::json;
use totp_core::budget::Spending;
use totp_core::event::EventKind;
use totp_core::record::Entry;
use totp_core::store::Store as _;
use totp_core::upkeep;

use crate::change::{Administrator, UNSAID};
use crate::cli::User;
use crate::commands::{enrolled, not_changed};
use crate::site::Site;
use crate::tell::Telling;
use crate::ui::Ui;

/// Gives back.
pub fn run(ui: &Ui, site: &Site, args: &User) -> Result<()> {
    let whom = site.to_change(&args.user)?;
    let (one, meter) = enrolled(site, &whom)?;
    let untouched = Spending { credited: meter.spending.credited, ..Spending::default() };
    if meter.spending == untouched {
        ui.document(&json!({"user": whom.name.as_str(), "changed": false, "record": null}))?;
        return ui.done(format_args!("{whom}'s guess budget is untouched"));
    }
    let who = Administrator::here();
    let id = one.record.enrollment;
    let proof = who.prove_if_own(ui, site, &whom, Some(&Entry::Enrolled(one.record)))?;
    let (recorded, ()) = who.change(site, &whom, proof, EventKind::Unlocked, |_| {
        let unlocked = site.store().transact(&whom.name, &|view| upkeep::unlock(view, id))?;
        unlocked.into_outcome().map_err(|why| anyhow!(not_changed(&whom, why)))
    })?;
    let said = Telling::of(ui, site, &whom, recorded).conclude(json!({}), || {
        ui.done(format_args!("{whom}'s guess budget is full again. {}", who.signed(recorded)))
    });
    recorded.told(said, UNSAID, format!("totp-admin show {whom} shows it."))
}
