//! Events that logins left in their users' states, moved to the permanent record: by the login itself where
//! it can, else here. Each has an id, and is recorded once, however often it is tried.

use std::time::Duration;

use anyhow::Result;
use totp_core::event::QueuedEvent;
use totp_core::name::UserName;
use totp_core::record::Entry;
use totp_core::store::{Found, StateRead, Store as _};
use totp_core::upkeep::{events_moved, read, waiting_events};
use totp_store::Wait;
use totp_store::permanent;
use totp_store::store::Inspected;

use crate::site::Site;
use crate::{syslog, whence};

/// How long another writer of the permanent record is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// Moves what waits, of all enrolled users. Users whose files can't be read keep theirs.
pub fn move_all(site: &Site) -> Result<()> {
    for (_, entry) in site.store().everybody(site.now())? {
        if let Ok(Entry::Enrolled(record)) = entry {
            move_of(site, &record.decision.user)?;
        }
    }
    Ok(())
}

/// Moves what waits of one user: before a change that would erase it.
pub fn move_of(site: &Site, user: &UserName) -> Result<()> {
    if !site.store().inspect(user).is_ok_and(|inspected| something_waits(&inspected)) {
        return Ok(());
    }
    let waiting = site.store().transact(user, &|view| read(waiting_events(view)))?;
    let (events, lost) = waiting.into_outcome();
    let mut entries: Vec<permanent::Entry> = events
        .iter()
        .map(|event| permanent::Entry::of_login(user, event, whence::host()))
        .collect();
    if let Some(last) = entries.last_mut().filter(|_| lost > 0) {
        last.reason = Some(format!("{lost} more events of this user had no room"));
    }
    let now = site.now();
    for recorded in site.record().append_once(&entries, now, Wait::AtMost(PATIENCE))? {
        syslog::send(&recorded.syslog, now);
    }
    let ids: Vec<u64> = events.iter().map(|event: &QueuedEvent| event.id).collect();
    site.store().transact(user, &|view| events_moved(view, &ids))?.into_outcome();
    Ok(())
}

fn something_waits(inspected: &Inspected) -> bool {
    let in_state = match &inspected.found {
        Found::Enrolled(enrolled) => match &enrolled.state {
            StateRead::Good(state) => !state.events.is_empty(),
            StateRead::Lost { .. } => false,
        },
        Found::Absent | Found::Disabled(_) | Found::Pending(_) => return false,
    };
    in_state || !inspected.meter.events.is_empty()
}
