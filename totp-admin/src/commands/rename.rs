//! `rename`: an account is called something else, and what is kept about it goes along. For nobody but the same account,
//! by its uid: else it would be a way to somebody else's second factor. [`uid`]: the name stays, and the uid is another.

mod uid;

use anyhow::{Result, bail};
use serde_json::json;
use totp_core::event::EventKind;
use totp_core::record::Decision;
use totp_store::store::Expected;

use crate::change::{Administrator, Proof, UNSAID};
use crate::cli::Rename;
use crate::events;
use crate::site::{Site, Whom};
use crate::tell::Telling;
use crate::ui::{Advice, Ui, printable};

/// Renames. Whose own it is needs no code for it: the second factor stays what it was, and the account that it is of.
pub fn run(ui: &Ui, site: &Site, args: &Rename) -> Result<()> {
    match (&args.old, &args.new) {
        (Some(old), Some(new)) => renamed(ui, site, old, new),
        (Some(user), None) => uid::one(ui, site, user),
        (None, _) => uid::all(ui, site, args.dry_run),
    }
}

fn renamed(ui: &Ui, site: &Site, old: &str, new: &str) -> Result<()> {
    let (typed, new) = ((old, new), new);
    let old = match site.kept_as(old)? {
        Some(kept) => kept,
        None => site.meant(old)?,
    };
    let (expected, entry) = site.store().expect(&old.name)?;
    let Some(entry) = entry else { bail!(nothing_to_rename(site, &old, expected, typed)?) };
    let decision = entry.decision();
    let new = site.to_enroll(new, decision.uid.is_none())?;
    is_the_same_account(&old, &new, decision)?;
    if site.store().expect(&new.name)?.0 != Expected::Absent {
        bail!(Advice::new(
            format!("something is kept about {new} already"),
            format!("totp-admin show {new} shows it; totp-admin remove {new} erases it."),
        ));
    }
    let who = Administrator::here();
    who.nobody_else_was_faster(site, &old, expected)?;
    let _ = events::move_of(site, &old.name); // else they come under the new name
    let reason = format!("formerly {old}");
    let event = EventKind::Renamed;
    let proof = Proof::not_needed("the same account keeps the same second factor");
    let (recorded, ()) =
        who.change(site, &new, proof, (event, Some(reason.as_str())), |recorded| {
            Ok(site.store().rename(&old.name, &new.name, expected, recorded.seq)?)
        })?;
    let keys = json!({"formerly": old.name.as_str()});
    let said = Telling::of(ui, site, &new, recorded).conclude(keys, || {
        ui.done(format_args!("What was {old}'s is {new}'s. {}", who.signed(recorded)))
    });
    recorded.told(said, UNSAID, format!("totp-admin show {new} shows it."))
}

fn is_the_same_account(old: &Whom, new: &Whom, decision: &Decision) -> Result<()> {
    if old.name == new.name {
        bail!("{old} is the name it has already");
    }
    if let (Some(then), Some(now)) = (decision.uid, new.uid())
        && then != now
    {
        bail!(Advice::new(
            format!(
                "{old} was enrolled for uid {then}, the account {new} has uid {now}: it is another one"
            ),
            format!("Enroll {new} for itself: {}", new.enroll_command()),
        ));
    }
    if old.uid().is_some() && old.uid() == decision.uid {
        bail!(Advice::new(
            format!("the account {old} still exists"),
            format!("Rename the account first: usermod --login {new} {old}"),
        ));
    }
    Ok(())
}

fn nothing_to_rename(
    site: &Site,
    old: &Whom,
    expected: Expected,
    typed: (&str, &str),
) -> Result<Advice> {
    if expected == Expected::Unusable {
        return Ok(Advice::new(
            format!("{old}'s record cannot be used"),
            format!("totp-admin show {old} says why."),
        ));
    }
    let advice = match site.kept_as(typed.1)? {
        Some(new) if uid_of(site, &new)? == Some(old.uid()) => format!(
            "Something is kept about {new}; where that was the former name: totp-admin rename {new} {}",
            printable(typed.0)
        ),
        _ => {
            "Look at the spelling; totp-admin list shows whom something is known about.".to_owned()
        }
    };
    Ok(Advice::new(format!("nothing is kept about {old}"), advice))
}

/// The uid that something was decided for; `None` where it can't be read.
fn uid_of(site: &Site, whom: &Whom) -> Result<Option<Option<u32>>> {
    let (_, entry) = site.store().expect(&whom.name)?;
    Ok(entry.map(|entry| entry.decision().uid))
}
