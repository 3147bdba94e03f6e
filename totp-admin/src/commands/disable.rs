//! `disable`: switches a second factor off. What the user had is erased, and a tombstone says who decided it.

use anyhow::{Result, bail};
use serde_json::json;
use totp_core::event::EventKind;
use totp_core::policy::Disabled;
use totp_core::record::{Entry, Tombstone};
use totp_store::store::Expected;

use crate::change::{Administrator, LONGEST_REASON, UNSAID};
use crate::cli::Disable;
use crate::site::{Site, Whom};
use crate::ui::{Ui, Usage, printable};
use crate::{people, times, view};

/// Switches off.
pub fn run(ui: &Ui, site: &Site, args: &Disable) -> Result<()> {
    let whom = site.known(&args.user)?;
    let (expected, entry) = site.store().expect(&whom.name)?;
    if matches!(&entry, Some(Entry::Disabled(tombstone)) if !whom.took_the_name_over(&tombstone.decision))
    {
        ui.document(&json!({"user": whom.name.as_str(), "changed": false, "record": null}))?;
        return ui.done(format_args!("{whom} is switched off already"));
    }
    let who = Administrator::here();
    if let Some(reason) = &args.reason {
        fits(reason)?;
    }
    say_what_happens(ui, site, &whom, expected)?;
    let enrolled = match &entry {
        Some(Entry::Enrolled(record)) => Some(record),
        _ => None,
    };
    let reason = reason(ui, args)?;
    who.prove_if_own(ui, site, &whom, enrolled)?;
    ui.insist(format_args!("Switch off {whom}'s second factor?"))?;

    let contact = entry.as_ref().map(|entry| entry.decision().contact.clone()).unwrap_or_default();
    who.nobody_else_was_faster(site, &whom, expected)?;
    let (recorded, ()) =
        who.change(site, &whom, EventKind::Disabled, reason.as_deref(), |recorded| {
            let decision = who.decision(site, &whom, recorded, contact.clone());
            Ok(site.store().switch_off(Tombstone { decision, reason: reason.clone() }, expected)?)
        })?;
    let document = json!({"user": whom.name.as_str(), "changed": true, "record": recorded.seq});
    let had_secrets = matches!(expected, Expected::Enrolled(_) | Expected::Unusable);
    let erased = if had_secrets { "; secrets erased" } else { "" };
    let said = ui.document(&document).and_then(|()| {
        ui.done(format_args!("Off{erased}. Record {}, {}.", recorded.seq, who.signature()))
    });
    recorded.told(said, UNSAID, format!("totp-admin show {whom} shows it."))?;
    if whom.account.is_some() {
        ui.note(format_args!("  Open sessions continue: loginctl terminate-user {whom}"));
    }
    Ok(())
}

fn say_what_happens(ui: &Ui, site: &Site, whom: &Whom, expected: Expected) -> Result<()> {
    if expected == Expected::Unusable {
        let fault = site.store().inspect(&whom.name).err();
        let fault = fault.map_or_else(|| "it cannot be used".to_owned(), |fault| fault.to_string());
        ui.warn(format_args!("{whom}'s record is damaged: {}", printable(&fault)));
    }
    if let Some(person) = people::person(site, whom).ok().flatten() {
        let (now, zone) = (site.now(), times::zone());
        let devices: Vec<String> = person
            .authenticators
            .iter()
            .map(|one| format!("{} ({})", one.name, one.kind.to_uppercase()))
            .collect();
        if !devices.is_empty() {
            let since = person.since.map(|since| times::date(since, &zone)).unwrap_or_default();
            let by = person.by.as_deref().map(printable).unwrap_or_default();
            let login = view::visited_line(person.last_login.as_ref(), now, &zone);
            ui.note(format_args!(
                "{whom}: {}, enrolled {since} by {by}, last login {login}",
                devices.join(", ")
            ));
        }
    }
    match site.config().policy("").disabled {
        Disabled::Exempt => {
            ui.warn(format_args!("From now on {whom} logs in with the first factor alone."));
        }
        Disabled::Denied => ui.warn(format_args!(
            "From now on {whom} cannot log in: the configuration says disabled = \"denied\"."
        )),
    }
    ui.note(format_args!("  New phone: {}", whom.enroll_command()));
    Ok(())
}

fn reason(ui: &Ui, args: &Disable) -> Result<Option<String>> {
    let reason = match &args.reason {
        Some(reason) => reason.clone(),
        None if ui.interactive() => {
            ui.ask("Reason (recorded):")?.map(|line| line.as_str().to_owned()).unwrap_or_default()
        }
        None => String::new(),
    };
    let reason = reason.trim();
    fits(reason)?;
    Ok((!reason.is_empty()).then(|| reason.to_owned()))
}

fn fits(reason: &str) -> Result<()> {
    if reason.trim().len() > LONGEST_REASON {
        bail!(Usage(format!("the reason is longer than {LONGEST_REASON} bytes")));
    }
    Ok(())
}
