//! `reset`: a second factor is switched off, and the user enrolls again at the next login. In between nobody gets in with
//! the first factor alone, unless that is said.

use anyhow::{Result, bail};
use totp_core::event::EventKind;
use totp_core::record::Entry;
use totp_store::store::Expected;

use crate::change::{Administrator, Proof};
use crate::cli::Reset;
use crate::opening::{Opening, Terms};
use crate::site::Site;
use crate::ui::{Advice, Ui};
use crate::{people, reasons};

/// Begins anew.
pub fn run(ui: &Ui, site: &Site, args: &Reset) -> Result<()> {
    let whom = site.to_change(&args.user)?;
    let (expected, entry) = site.store().expect(&whom.name)?;
    if expected == Expected::Absent {
        bail!(Advice::new(
            format!("{whom} is not enrolled: there is nothing to reset"),
            format!(
                "To have {whom} enroll at the next login: {} --at-login",
                whom.enroll_command()
            ),
        ));
    }
    if let Some(reason) = &args.reason {
        reasons::fits(reason)?;
    }
    let who = Administrator::here();
    who.not_out_of_own_denial(site, &whom, expected)?;
    people::introduce(ui, site, &whom, expected);
    let reason = reasons::reason(ui, &whom, args.reason.as_deref())?;
    let proof = match expected {
        Expected::Disabled => Proof::not_needed("there is nothing to prove"),
        _ => who.prove_if_own(ui, site, &whom, entry.as_ref())?,
    };
    ui.insist(format_args!("Erase {whom}'s second factor, for a new one at the next login?"))?;

    let contact = entry.as_ref().map(|entry| entry.decision().contact.clone()).unwrap_or_default();
    let terms = Terms { trust_first_factor: args.trust_first_factor, within: args.within };
    let now = site.now();
    let voids =
        matches!(&entry, Some(Entry::Pending(one)) if one.code.is_some() && now < one.until);
    let (event, changed) = (EventKind::Reset, None);
    let opening = Opening { expected, contact, changed, event, reason, terms, voids };
    let had_secrets = matches!(entry, Some(Entry::Enrolled(_)) | None);
    let done = if had_secrets { "Off; secrets and recovery codes erased. " } else { "" };
    opening.open(ui, site, (&who, proof), &whom, done)?;
    if whom.account.is_some() {
        ui.note(format_args!("  Open sessions continue: loginctl terminate-user {whom}"));
    }
    Ok(())
}
