//! `enroll --at-login`: for somebody who is not here. What is decided now is who may enroll, until when and by what code.

use anyhow::{Result, bail};
use serde_json::{Value, json};
use totp_core::event::EventKind;
use totp_core::record::Entry;
use totp_store::store::Expected;

use super::base;
use crate::change::{Administrator, Proof};
use crate::cli::Enroll;
use crate::contacts;
use crate::opening::{Opening, Terms};
use crate::site::{Site, Whom};
use crate::ui::{Advice, Ui};

/// Opens an enrollment.
pub fn run(ui: &Ui, site: &Site, args: &Enroll) -> Result<()> {
    let whom = site.to_enroll(&args.user, args.no_account)?;
    site.not_renamed(&whom)?;
    site.not_anothers(&whom)?;
    let (expected, entry) = site.store().expect(&whom.name)?;
    let opened = match &entry {
        Some(Entry::Pending(pending)) => Some(pending),
        _ => None,
    };
    let over = opened.is_some_and(|pending| pending.until <= site.now());
    match expected {
        // One that is over lets nobody enroll.
        Expected::Enrolled(_) | Expected::Pending(_) if args.if_missing && !over => {
            return unchanged(ui, &whom);
        }
        Expected::Enrolled(_) => bail!(Advice::new(
            format!("{whom} is enrolled already"),
            format!("To begin anew at the next login: totp-admin reset {whom}"),
        )),
        Expected::Unusable => bail!(Advice::new(
            format!("{whom}'s record cannot be used"),
            format!("totp-admin show {whom} says why; to begin anew: totp-admin reset {whom}"),
        )),
        Expected::Absent | Expected::Disabled | Expected::Pending(_) => {}
    }
    site.not_for_an_account(&whom)?;
    let who = Administrator::here();
    who.not_out_of_own_denial(site, &whom, expected)?;
    // The present code is the second factor of who is still to enroll.
    let coded = opened.is_some_and(|pending| pending.code.is_some());
    let proof = match coded {
        true => who.prove_if_own(ui, site, &whom, entry.as_ref())?,
        false => Proof::not_needed("there is no second factor yet"),
    };
    let contact = base::contact(entry.as_ref(), args);
    let before = entry.as_ref().map(|entry| &entry.decision().contact);
    let reason = before.and_then(|before| contacts::difference(before, &contact));
    let terms = Terms { trust_first_factor: args.trust_first_factor, within: args.within };
    let voids = coded && !over;
    let changed = before.and_then(|before| contacts::change(before, &contact));
    let event = EventKind::Pending;
    let opening = Opening { expected, contact, changed, event, reason, terms, voids };
    opening.open(ui, site, (&who, proof), &whom, "").map(drop)
}

fn unchanged(ui: &Ui, whom: &Whom) -> Result<()> {
    ui.document(&json!({
        "user": whom.name.as_str(),
        "changed": false,
        "enrollment_code": Value::Null,
        "pending_until": Value::Null,
        "record": Value::Null,
    }))?;
    ui.done(format_args!("{whom} is enrolled or to enroll already; nothing was changed"))
}
