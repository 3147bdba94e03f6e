//! `contact`: where a user is told things. Changing it is a change like every other: recorded, and told at the old address
//! and at the new one, because whoever has a session must not be able to turn the telling away.

use anyhow::{Result, bail};
use serde_json::{Value, json};
use totp_core::contact::Contact;
use totp_core::event::EventKind;
use totp_store::permanent::Details;
use totp_store::store::Expected;

use crate::change::{Administrator, Event, UNSAID};
use crate::cli;
use crate::contacts;
use crate::site::{Site, Whom};
use crate::tell::Telling;
use crate::ui::{Advice, Ui};

/// Shows or changes.
pub fn run(ui: &Ui, site: &Site, args: &cli::Contact) -> Result<()> {
    let whom = site.known(&args.user)?;
    let (expected, entry) = site.store().expect(&whom.name)?;
    let Some(entry) = entry else { bail!(nothing_to_keep_it_with(&whom, expected)) };
    let before = entry.decision().contact.clone();
    let after = changed(&before, args);
    let Some(reason) = contacts::difference(&before, &after) else {
        ui.document(&json!({
            "user": whom.name.as_str(),
            "contact": contacts::document(&before),
            "changed": false,
            "record": Value::Null,
            "told": Value::Null,
        }))?;
        return ui.result(format_args!("{whom}: {}", contacts::in_words(&before)));
    };
    site.not_anothers(&whom)?;
    let who = Administrator::here();
    let proof = who.prove_if_own(ui, site, &whom, Some(&entry))?;
    let event = Event {
        kind: EventKind::ContactChanged,
        reason: Some(&reason),
        details: Details { contact: contacts::change(&before, &after), ..Details::default() },
    };
    let (recorded, ()) = who.amend(site, &whom, proof, expected, event, |entry| {
        entry.decision_mut().contact.clone_from(&after);
    })?;
    let keys = json!({"contact": contacts::document(&after)});
    let said = Telling::of(ui, site, &whom, recorded).conclude(keys, || {
        ui.done(format_args!("{whom}: {}. {}", contacts::in_words(&after), who.signed(recorded)))
    });
    recorded.told(said, UNSAID, format!("totp-admin contact {whom} shows it."))
}

fn changed(before: &Contact, args: &cli::Contact) -> Contact {
    let email = before.email.clone().filter(|_| !args.no_email);
    let phone = before.phone.clone().filter(|_| !args.no_phone);
    Contact { email: args.email.clone().or(email), phone: args.phone.clone().or(phone) }
}

fn nothing_to_keep_it_with(whom: &Whom, expected: Expected) -> Advice {
    if expected == Expected::Unusable {
        return Advice::new(
            format!("{whom}'s record cannot be used"),
            format!("totp-admin show {whom} says why."),
        );
    }
    Advice::new(
        format!("{whom} is not enrolled, and has no record to keep it in"),
        format!("{} takes --email and --phone.", whom.enroll_command()),
    )
}
