//! `disable`: switches a second factor off. What the user had is erased, and a tombstone says who decided it.

use anyhow::Result;
use serde_json::json;
use totp_core::event::EventKind;
use totp_core::policy::Disabled;
use totp_core::record::{Entry, Tombstone};
use totp_store::store::Expected;

use crate::change::{Administrator, UNSAID};
use crate::cli::Disable;
use crate::site::{Site, Whom};
use crate::tell::Telling;
use crate::ui::Ui;
use crate::{people, reasons};

/// Switches off.
pub fn run(ui: &Ui, site: &Site, args: &Disable) -> Result<()> {
    let whom = site.to_change(&args.user)?;
    let (expected, entry) = site.store().expect(&whom.name)?;
    if matches!(&entry, Some(Entry::Disabled(tombstone)) if !whom.took_the_name_over(&tombstone.decision))
    {
        ui.document(&json!({"user": whom.name.as_str(), "changed": false, "record": null}))?;
        return ui.done(format_args!("{whom} is switched off already"));
    }
    let who = Administrator::here();
    if let Some(reason) = &args.reason {
        reasons::fits(reason)?;
    }
    say_what_happens(ui, site, &whom, expected);
    let reason = reasons::reason(ui, &whom, args.reason.as_deref())?;
    let proof = who.prove_if_own(ui, site, &whom, entry.as_ref())?;
    ui.insist(format_args!("Switch off {whom}'s second factor?"))?;

    let contact = entry.as_ref().map(|entry| entry.decision().contact.clone()).unwrap_or_default();
    who.nobody_else_was_faster(site, &whom, expected)?;
    let (recorded, ()) =
        who.change(site, &whom, proof, (EventKind::Disabled, reason.as_deref()), |recorded| {
            let decision = who.decision(site, &whom, recorded, contact.clone())?;
            Ok(site.store().switch_off(Tombstone { decision, reason: reason.clone() }, expected)?)
        })?;
    let had_secrets = matches!(expected, Expected::Enrolled(_) | Expected::Unusable);
    let erased = if had_secrets { "; secrets and recovery codes erased" } else { "" };
    let said = Telling::of(ui, site, &whom, recorded)
        .conclude(json!({}), || ui.done(format_args!("Off{erased}. {}", who.signed(recorded))));
    recorded.told(said, UNSAID, format!("totp-admin show {whom} shows it."))?;
    if whom.account.is_some() {
        ui.note(format_args!("  Open sessions continue: loginctl terminate-user {whom}"));
    }
    Ok(())
}

fn say_what_happens(ui: &Ui, site: &Site, whom: &Whom, expected: Expected) {
    people::introduce(ui, site, whom, expected);
    match site.config().policy("").disabled {
        Disabled::Exempt => {
            ui.warn(format_args!("From now on {whom} logs in with the first factor alone."));
        }
        Disabled::Denied => ui.warn(format_args!(
            "From now on {whom} cannot log in: the configuration says disabled = \"denied\"."
        )),
    }
    match expected {
        Expected::Enrolled(_) => ui.note(format_args!(
            "  New phone: totp-admin reset {whom}      Phone at home: totp-admin bypass-code {whom}"
        )),
        Expected::Unusable => ui.note(format_args!("  New phone: totp-admin reset {whom}")),
        _ => ui.note(format_args!("  New phone: {}", whom.enroll_command())),
    }
}
