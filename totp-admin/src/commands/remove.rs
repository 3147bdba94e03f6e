//! `remove`: erases everything kept about a user.

use anyhow::Result;
use serde_json::json;
use totp_core::event::EventKind;
use totp_store::store::Expected;

use crate::change::{Administrator, Proof, UNSAID};
use crate::cli::User;
use crate::site::{Site, Whom};
use crate::tell::Telling;
use crate::ui::Ui;
use crate::{devices, people};

/// Erases.
pub fn run(ui: &Ui, site: &Site, args: &User) -> Result<()> {
    let whom = site.meant(&args.user)?;
    let (expected, entry) = site.store().expect(&whom.name)?;
    if expected == Expected::Absent {
        site.not_under_another_name(&whom)?;
        ui.document(&json!({"user": whom.name.as_str(), "changed": false, "record": null}))?;
        return ui.done(format_args!("Nothing is kept about {whom}."));
    }
    of_another_account(ui, site, &whom, expected)?;
    let who = Administrator::here();
    who.not_out_of_own_denial(site, &whom, expected)?;
    if whom.account.is_some() {
        let then = without(site, &whom)?;
        ui.warn(format_args!("The account {whom} still exists; {then}."));
    }
    let proof = match expected {
        Expected::Disabled => Proof::not_needed("there is nothing to prove"),
        _ => who.prove_if_own(ui, site, &whom, entry.as_ref())?,
    };
    ui.insist(format_args!("Erase everything kept about {whom}?"))?;
    who.nobody_else_was_faster(site, &whom, expected)?;
    let (recorded, _) = who.change(site, &whom, proof, EventKind::Removed, |_| {
        let removed = site.store().remove(&whom.name, expected)?;
        // Of no enrollment any more: whoever can't be rid of them is let in by nobody's.
        let _ = devices::forget_all(site, &whom.name);
        Ok(removed)
    })?;
    let said = Telling::of(ui, site, &whom, recorded)
        .conclude(json!({}), || ui.done(format_args!("Erased. {}", who.signed(recorded))));
    recorded.told(said, UNSAID, "totp-admin log shows it.")
}

/// An enrollment that another account logs in with is not erased under this name. A record that can't be used can't be renamed
/// either: that account is named. A disabled marker holds for this name alone, unless it denies.
fn of_another_account(ui: &Ui, site: &Site, whom: &Whom, expected: Expected) -> Result<()> {
    match expected {
        Expected::Absent => {}
        Expected::Disabled if !site.switched_off_is_denied() => {}
        Expected::Disabled | Expected::Enrolled(_) | Expected::Pending(_) => {
            site.not_anothers(whom)?;
        }
        Expected::Unusable => {
            let Some(owner) = site.other_owner(whom)? else { return Ok(()) };
            let (uid, owner) = (owner.uid, Whom::of(owner));
            let then = without(site, &owner)?;
            ui.warn(format_args!("The account {owner} is enrolled by it, with uid {uid}; {then}."));
        }
    }
    Ok(())
}

/// What becomes of the logins of an account about which nothing is kept.
fn without(site: &Site, whom: &Whom) -> Result<&'static str> {
    Ok(if people::is_locked_out(site.config(), "", whom)? {
        "it cannot log in then. To let it in: totp-admin disable"
    } else {
        "it is not asked for a code then"
    })
}
