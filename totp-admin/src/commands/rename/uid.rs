//! `rename --uid`: an account has another uid now, and still is the same person's. What is kept about it gets that uid; until
//! then it is refused, as of an account that was made anew.

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use serde_json::{Value, json};
use totp_core::event::EventKind;
use totp_core::name::UserName;
use totp_store::accounts;
use totp_store::store::{ByUid, Expected};

use crate::change::{Administrator, Proof, Recorded, UNSAID};
use crate::site::{Site, Whom};
use crate::tell::Telling;
use crate::ui::{Advice, Refused, Ui, printable};

/// What is kept about a user, and the uid that it is to get.
struct Move {
    whom: Whom,
    expected: Expected,
    /// `None` where it was enrolled without an account.
    then: Option<u32>,
    now: u32,
}

impl Move {
    fn keys(&self) -> Value {
        json!({"uid_before": self.then, "uid": self.now})
    }

    fn document(&self) -> Value {
        let mut document =
            json!({"user": self.whom.name.as_str(), "changed": false, "record": null});
        extend(&mut document, self.keys());
        document
    }

    fn line(&self) -> String {
        format!("{}: {}, now {}", self.whom, self.before(), self.now)
    }

    fn before(&self) -> String {
        self.then.map_or_else(|| "no uid".to_owned(), |uid| format!("uid {uid}"))
    }

    fn make(&self, site: &Site, who: &Administrator) -> Result<Recorded> {
        let reason = format!("formerly {}, now {}", self.before(), self.now);
        let event = (EventKind::UidChanged, Some(reason.as_str()));
        let proof = Proof::not_needed("the same account keeps the same second factor");
        let (recorded, ()) = who.amend(site, &self.whom, proof, self.expected, event, |entry| {
            entry.decision_mut().uid = Some(self.now);
        })?;
        Ok(recorded)
    }
}

/// Changes the uid of one user.
pub fn one(ui: &Ui, site: &Site, typed: &str) -> Result<()> {
    let whom = site.to_change(typed)?;
    let Some(one) = planned(site, whom.clone())? else { return unchanged(ui, &whom) };
    if let Some(warning) = shared_with(site, &one)? {
        ui.warn(warning);
    }
    let before = match one.then {
        Some(uid) => format!("as the one with uid {uid}"),
        None => "as the one who was enrolled without an account".to_owned(),
    };
    ui.insist(format_args!(
        "Is the account {} with uid {} the same person's {before}?",
        one.whom, one.now
    ))?;
    let who = Administrator::here();
    let recorded = one.make(site, &who)?;
    let said = Telling::of(ui, site, &one.whom, recorded).conclude(one.keys(), || {
        ui.done(format_args!("{} is uid {}'s now. {}", one.whom, one.now, who.signed(recorded)))
    });
    recorded.told(said, UNSAID, format!("totp-admin show {} shows it.", one.whom))
}

/// Changes the uids of all whose account has another one now; one that fails keeps no other from it.
pub fn all(ui: &Ui, site: &Site, dry_run: bool) -> Result<()> {
    let Planned { moves, left_out, after } = all_planned(site)?;
    for (whom, why) in &left_out {
        ui.warn(format_args!("{whom} is left out: {}", why.in_one_line()));
    }
    for (uid, names) in after.iter().filter(|(_, names)| names.len() > 1) {
        let names = names.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        ui.warn(format_args!(
            "uid {uid} has several enrollments then: {names}. An account with it and another name is denied."
        ));
    }
    if dry_run || moves.is_empty() {
        let moves_only = moves.iter().map(Move::document);
        ui.document(&moves_only.chain(documents_of(&left_out)).collect::<Vec<_>>())?;
        for one in &moves {
            ui.result(one.line())?;
        }
        if !dry_run && !left_out.is_empty() {
            return Err(Refused.into());
        }
        let end = if moves.is_empty() && left_out.is_empty() {
            "Every account has the uid that it was enrolled with"
        } else {
            "Nothing was changed"
        };
        return ui.done(end);
    }
    for one in &moves {
        ui.note(one.line());
    }
    ui.insist(format_args!("Are these {} accounts the same people's as before?", moves.len()))?;
    let who = Administrator::here();
    let mut failed = !left_out.is_empty();
    let mut documents: Vec<Value> = documents_of(&left_out).collect();
    for one in &moves {
        documents.push(match one.make(site, &who) {
            Ok(recorded) => made(ui, site, &who, one, recorded)?,
            Err(error) => {
                failed = true;
                let error = format!("{error:#}");
                ui.warn(format_args!("{}: {}", one.whom, printable(&error)));
                let mut document = one.document();
                extend(&mut document, json!({"error": error}));
                document
            }
        });
    }
    ui.document(&documents)?;
    if failed { Err(Refused.into()) } else { Ok(()) }
}

fn made(
    ui: &Ui,
    site: &Site,
    who: &Administrator,
    one: &Move,
    recorded: Recorded,
) -> Result<Value> {
    let mut telling = Telling::of(ui, site, &one.whom, recorded);
    let mut document = one.document();
    let told = telling.json();
    extend(&mut document, json!({"changed": true, "record": recorded.seq, "told": told}));
    let said = ui.done(format_args!("{}. {}", one.line(), who.signed(recorded)));
    telling.say();
    said.map(|()| document)
}

/// What is to be changed for one user; nothing where the account has the uid of before.
fn planned(site: &Site, whom: Whom) -> Result<Option<Move>> {
    let (expected, entry) = site.store().expect(&whom.name)?;
    let Some(entry) = entry else {
        bail!(Advice::new(
            format!("nothing that can be used is kept about {whom}"),
            format!("totp-admin show {whom} says more."),
        ));
    };
    let then = entry.decision().uid;
    let Some(now) = whom.uid() else {
        bail!(Advice::new(
            format!("there is no account {whom}"),
            "Where it was renamed: totp-admin rename OLD NEW",
        ));
    };
    Ok((then != Some(now)).then_some(Move { whom, expected, then, now }))
}

/// The names of each uid, as they are to be.
type Names = BTreeMap<u32, Vec<UserName>>;

/// What is to be changed for all.
#[derive(Default)]
struct Planned {
    moves: Vec<Move>,
    /// Whose enrollment an account of another name has now, and what is to be done about it.
    left_out: Vec<(Whom, Advice)>,
    after: Names,
}

fn documents_of(left_out: &[(Whom, Advice)]) -> impl Iterator<Item = Value> {
    left_out.iter().map(|(whom, why)| {
        json!({"user": whom.name.as_str(), "changed": false, "record": null, "error": why.in_one_line()})
    })
}

fn all_planned(site: &Site) -> Result<Planned> {
    let Planned { mut moves, mut left_out, mut after } = Planned::default();
    for (_, entry) in site.store().everybody(site.now())? {
        // What can't be read is refused as it is; list and status name it.
        let Ok(entry) = entry else { continue };
        let (name, uid) = (entry.decision().user.clone(), entry.decision().uid);
        let account = accounts::account(name.as_str())?.filter(|account| account.name == name);
        let Some(then) = uid else { continue };
        let mut now = account.as_ref().map_or(then, |account| account.uid);
        let whom = Whom { name: name.clone(), account };
        // Without an account of the name there is nothing to be changed, and `list` says what to do.
        if now != then
            && let Some(owner) = site.other_owner(&whom)?
        {
            left_out.push((whom.clone(), site.is_anothers(&whom, &owner)?));
            now = then;
        }
        if entry.enrollment().is_some() {
            after.entry(now).or_default().push(name);
        }
        if now != then {
            moves.extend(planned(site, whom)?);
        }
    }
    Ok(Planned { moves, left_out, after })
}

/// What else is enrolled with the uid that this one gets.
fn shared_with(site: &Site, one: &Move) -> Result<Option<String>> {
    let names = match site.store().by_uid(&one.whom.name, one.now)? {
        ByUid::Nothing | ByUid::Disabled(_) => return Ok(None),
        ByUid::One(name, _) => name.to_string(),
        ByUid::Several(names) => {
            names.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
        }
    };
    Ok(Some(format!(
        "Enrolled with uid {} as well: {names}. An account with it and another name is denied then.",
        one.now
    )))
}

fn unchanged(ui: &Ui, whom: &Whom) -> Result<()> {
    ui.document(&json!({"user": whom.name.as_str(), "changed": false, "record": null}))?;
    ui.done(format_args!("{whom} has the uid that it was enrolled with; nothing was changed"))
}

fn extend(document: &mut Value, keys: Value) {
    if let (Value::Object(all), Value::Object(keys)) = (document, keys) {
        all.extend(keys);
    }
}
