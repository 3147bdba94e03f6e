//! `repair`: makes a restored backup harmless. What was used since it was made would be good again: codes, recovery codes,
//! bypass codes, and enrollments that were completed.

use anyhow::{Result, anyhow};
use serde_json::{Value, json};
use totp_core::event::EventKind;
use totp_core::record::{EnrollmentId, Entry};
use totp_core::store::Store as _;
use totp_core::upkeep;
use totp_store::accounts;
use totp_store::store::Expected;

use crate::change::{Administrator, Proof, Recorded, UNSAID};
use crate::cli::Repair;
use crate::commands::not_changed;
use crate::devices;
use crate::site::{Site, Whom};
use crate::tell::Telling;
use crate::ui::{Refused, Ui, printable};

/// Repairs one or all.
pub fn run(ui: &Ui, site: &Site, args: &Repair) -> Result<()> {
    let who = Administrator::here();
    match &args.user {
        Some(user) => one(ui, site, &who, &site.known(user)?),
        None => all(ui, site, &who),
    }
}

/// What became of a user.
enum Done {
    /// Codes of now are used, and those that are good once are void. How many recovery codes there were.
    Repaired(Recorded, usize),
    /// The open enrollment is over.
    Closed(Recorded),
    /// Nothing of it could be good again.
    Nothing,
}

impl Done {
    fn recorded(&self) -> Option<Recorded> {
        match self {
            Self::Repaired(recorded, _) | Self::Closed(recorded) => Some(*recorded),
            Self::Nothing => None,
        }
    }

    fn telling<'a>(&self, ui: &'a Ui, site: &'a Site, whom: &'a Whom) -> Option<Telling<'a>> {
        self.recorded().map(|recorded| Telling::of(ui, site, whom, recorded))
    }

    fn document(&self, whom: &Whom, telling: Option<&mut Telling<'_>>) -> Value {
        let seq = self.recorded().map(|recorded| recorded.seq);
        let told = telling.map(Telling::json);
        json!({"user": whom.name.as_str(), "changed": seq.is_some(), "record": seq, "told": told})
    }

    fn say(&self, ui: &Ui, who: &Administrator, whom: &Whom) -> Result<()> {
        match self {
            Self::Repaired(recorded, _) => ui.done(format_args!(
                "{whom}: every code up to now counts as used; codes that are good once are void, devices forgotten. \
                 {}",
                who.signed(*recorded)
            )),
            Self::Closed(recorded) => ui.done(format_args!(
                "{whom}: the open enrollment is over. {}",
                who.signed(*recorded)
            )),
            Self::Nothing => ui.done(format_args!("{whom} has nothing that could be good again")),
        }
    }

    fn next_step(&self, ui: &Ui, whom: &Whom) {
        match self {
            Self::Repaired(_, codes) => {
                if *codes > 0 {
                    ui.note(format_args!(
                        "  Fresh recovery codes: totp-admin recovery-codes {whom}"
                    ));
                }
                ui.note(format_args!(
                    "  {whom} is asked for two codes in a row for a while: totp-admin unlock {whom}"
                ));
            }
            Self::Closed(_) => {
                ui.note(format_args!("  To open it again: totp-admin reset {whom}"));
            }
            Self::Nothing => {}
        }
    }

    /// What was done, who was told, and what comes next.
    fn finish(
        &self,
        ui: &Ui,
        who: &Administrator,
        whom: &Whom,
        telling: Option<Telling<'_>>,
    ) -> Result<()> {
        let said = self.say(ui, who, whom);
        telling.into_iter().for_each(Telling::say);
        self.next_step(ui, whom);
        said
    }
}

fn one(ui: &Ui, site: &Site, who: &Administrator, whom: &Whom) -> Result<()> {
    let done = repair(site, who, whom)?;
    let mut telling = done.telling(ui, site, whom);
    let said = ui.document(&done.document(whom, telling.as_mut()));
    let said = said.and(done.finish(ui, who, whom, telling));
    match done.recorded() {
        Some(recorded) => recorded.told(said, UNSAID, format!("totp-admin show {whom} shows it.")),
        None => said,
    }
}

/// Whether a record has something that could be good again.
fn is_concerned(site: &Site, entry: &Entry) -> bool {
    match entry {
        Entry::Enrolled(_) => true,
        Entry::Pending(pending) => site.now() < pending.until,
        Entry::Disabled(_) => false,
    }
}

/// Whoever can't be repaired keeps nobody else from it.
fn all(ui: &Ui, site: &Site, who: &Administrator) -> Result<()> {
    let everybody = site.store().everybody(site.now())?;
    let entries = everybody.iter().filter_map(|(_, entry)| entry.as_ref().ok());
    match entries.filter(|entry| is_concerned(site, entry)).count() {
        0 => {}
        1 => ui.insist("Void the one-time codes of 1 user, and forget the devices?")?,
        many => ui.insist(format_args!(
            "Void the one-time codes of {many} users, and forget their devices?"
        ))?,
    }
    let mut documents = Vec::new();
    let mut failed = false;
    let mut unsaid = None;
    for (file, entry) in everybody {
        let repaired = entry.map_err(anyhow::Error::from).and_then(|entry| {
            let name = entry.decision().user.clone();
            let whom = Whom { account: accounts::account(name.as_str())?, name };
            let done = repair(site, who, &whom)?;
            Ok((whom, done))
        });
        match repaired {
            Ok((whom, done)) => {
                let mut telling = done.telling(ui, site, &whom);
                documents.push(done.document(&whom, telling.as_mut()));
                if done.recorded().is_some() {
                    // Nobody to tell is no reason to leave the others as they are.
                    unsaid = unsaid.or(done.finish(ui, who, &whom, telling).err());
                }
            }
            Err(error) => {
                failed = true;
                let error = format!("{error:#}");
                ui.warn(format_args!("{}: {}", printable(&file), printable(&error)));
                documents
                    .push(json!({"user": file, "changed": false, "record": null, "error": error}));
            }
        }
    }
    ui.document(&documents)?;
    if let Some(error) = unsaid {
        return Err(error.context("done; but that could not be said"));
    }
    if documents.iter().all(|one| one["record"].is_null()) && !failed {
        ui.done("Nobody has anything that could be good again")?;
    }
    if failed { Err(Refused.into()) } else { Ok(()) }
}

/// It voids codes, and asks for more of them.
fn proof() -> Proof {
    Proof::not_needed("nothing is weakened")
}

fn repair(site: &Site, who: &Administrator, whom: &Whom) -> Result<Done> {
    let (expected, entry) = site.store().expect(&whom.name)?;
    match (expected, entry) {
        (Expected::Enrolled(version), Some(Entry::Enrolled(record))) => {
            let recorded = spend_everything(site, who, whom, version.enrollment())?;
            Ok(Done::Repaired(recorded, record.recovery.map_or(0, |recovery| recovery.codes.len())))
        }
        (Expected::Pending(_), Some(Entry::Pending(pending))) if pending.until > site.now() => {
            let now = site.now();
            let event = (EventKind::Repaired, Some("the open enrollment is over"));
            let (recorded, ()) = who.amend(site, whom, proof(), expected, event, |entry| {
                if let Entry::Pending(pending) = entry {
                    pending.until = now;
                }
            })?;
            Ok(Done::Closed(recorded))
        }
        (Expected::Unusable, _) => match site.store().inspect(&whom.name) {
            Err(fault) => Err(fault.into()),
            Ok(_) => Err(anyhow!("the record cannot be used")),
        },
        _ => Ok(Done::Nothing),
    }
}

fn spend_everything(
    site: &Site,
    who: &Administrator,
    whom: &Whom,
    id: EnrollmentId,
) -> Result<Recorded> {
    let (recorded, ()) = who.change(site, whom, proof(), EventKind::Repaired, |_| {
        // Also those that were forgotten since the backup was made.
        devices::forget_all(site, &whom.name)?;
        let repaired = site
            .store()
            .transact(&whom.name, &|view| upkeep::repair(view, id, site.rules(), site.now()))?;
        repaired.into_outcome().map_err(|why| anyhow!(not_changed(whom, why)))
    })?;
    Ok(recorded)
}
