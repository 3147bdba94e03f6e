//! `remembered`: the devices with which users aren't asked, and forgetting them. Forgetting weakens nothing, so that it
//! needs no code.

use anyhow::Result;
use serde_json::{Value, json};
use totp_core::event::EventKind;
use totp_core::name::UserName;
use totp_core::record::{Entry, Record};
use totp_core::remembered::{Device, Fingerprint};
use totp_core::store::Found;
use totp_store::waits;

use crate::change::{Administrator, Proof, UNSAID};
use crate::cli;
use crate::site::{Site, Whom};
use crate::tell::Telling;
use crate::ui::{Ui, bold, printable};
use crate::{devices, times};

/// Does what is asked.
pub fn run(ui: &Ui, site: &Site, command: &cli::Remembered) -> Result<()> {
    match command {
        cli::Remembered::List(args) => match &args.user {
            Some(user) => list(ui, site, &of_one(site, user)?),
            None => list(ui, site, &of_everybody(ui, site)?),
        },
        cli::Remembered::Forget(args) => forget(ui, site, &site.known(&args.user)?, args.key),
    }
}

type Known = (UserName, Vec<Device>);

fn of_one(site: &Site, user: &str) -> Result<Vec<Known>> {
    let whom = site.known(user)?;
    let found = site.store().inspect(&whom.name)?.found;
    let Found::Enrolled(enrolled) = found else { return Ok(Vec::new()) };
    of(site, &enrolled.record).map(|known| vec![known])
}

fn of(site: &Site, record: &Record) -> Result<Known> {
    Ok((record.decision.user.clone(), devices::remembered(site, record)?))
}

fn of_everybody(ui: &Ui, site: &Site) -> Result<Vec<Known>> {
    let mut all = Vec::new();
    for (_, entry) in site.store().everybody(site.now())? {
        // Somebody whose record can't be used isn't remembered; `list` says so.
        let Ok(Entry::Enrolled(record)) = entry else { continue };
        match of(site, &record) {
            Ok(known) => all.push(known),
            Err(error) => ui.warn(printable(&format!("{error:#}"))),
        }
    }
    Ok(all)
}

fn list(ui: &Ui, site: &Site, known: &[Known]) -> Result<()> {
    let all =
        || known.iter().flat_map(|(user, devices)| devices.iter().map(move |one| (user, one)));
    let document: Vec<Value> = all().map(|(user, device)| document(user, device)).collect();
    ui.document(&document)?;
    if site.config().remember.anywhere().is_none() {
        ui.note("The configuration remembers no devices: [remember] days = 0.");
    } else if document.is_empty() {
        ui.note("No device is remembered.");
    }
    let (zone, now) = (times::zone(), site.now());
    for (user, devices) in known.iter().filter(|(_, devices)| !devices.is_empty()) {
        ui.result(bold(printable(user.as_str())))?;
        for Device { key, used, until, network, .. } in devices {
            let from = network.map(|network| format!(", from {network}")).unwrap_or_default();
            let until = times::local(*until, &zone);
            let used = times::ago(*used, now, &zone);
            ui.result(format_args!("  {key} until {until}, last used {used}{from}"))?;
        }
    }
    Ok(())
}

fn document(user: &UserName, device: &Device) -> Value {
    json!({
        "user": user.as_str(),
        "fingerprint": device.key.to_string(),
        "added": device.added.to_string(),
        "last_used": device.used.to_string(),
        "until": device.until.to_string(),
        "network": device.network.map(|network| network.to_string()),
    })
}

/// Forgets one device, or all of them.
fn forget(ui: &Ui, site: &Site, whom: &Whom, key: Option<Fingerprint>) -> Result<()> {
    let lists = devices::lists(site);
    let there = match (lists.read(&whom.name), key) {
        (Ok(devices), _) => {
            devices.keys().filter(|one| key.is_none_or(|key| key == *one)).collect()
        }
        // All of them can be forgotten unread.
        (Err(_), None) => Vec::new(),
        (Err(error), Some(_)) => return Err(error.into()),
    };
    let unread = key.is_none() && lists.read(&whom.name).is_err();
    if there.is_empty() && !unread {
        ui.document(&json!({
            "user": whom.name.as_str(),
            "changed": false,
            "forgotten": [],
            "record": Value::Null,
            "told": Value::Null,
        }))?;
        return ui.done(match key {
            Some(key) => format!("{whom}'s device {key} is not remembered."),
            None => format!("No device of {whom} is remembered."),
        });
    }
    let who = Administrator::here();
    let names: Vec<String> = there.iter().map(ToString::to_string).collect();
    let reason =
        if unread { "all; the list could not be read".to_owned() } else { names.join(", ") };
    let proof = Proof::not_needed("a code is asked for more often");
    let (recorded, _) =
        who.change(site, whom, proof, (EventKind::DeviceForgotten, Some(reason.as_str())), |_| {
            Ok(match key {
                Some(key) => lists.forget(&whom.name, key, waits::CHANGE)?,
                None => lists.forget_all(&whom.name, waits::CHANGE)?,
            })
        })?;
    let keys = json!({"forgotten": names});
    let said = Telling::of(ui, site, whom, recorded).conclude(keys, || {
        ui.done(format_args!("{whom} is asked again. {}", who.signed(recorded)))
    });
    recorded.told(said, UNSAID, format!("totp-admin remembered list {whom} shows it."))
}
