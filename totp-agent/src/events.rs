//! Events that logins left in their users' states, moved to the permanent record: by the login itself where
//! it can, else here. Each has an id, and is recorded once, however often it is tried.

use totp_core::event::QueuedEvent;
use totp_core::name::UserName;
use totp_core::record::Entry;
use totp_core::store::{Fault, Found, StateRead, Store as _};
use totp_core::upkeep::{events_moved, read, waiting_events};
use totp_store::permanent::{self, PermanentRecord, RecordError};
use totp_store::store::{FileStore, Inspected};
use totp_store::{clock, host_name, waits};

use crate::syslog;

/// Why events could not be moved. They stay where they are.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum NotMoved {
    /// The users' files.
    #[error(transparent)]
    Store(#[from] Fault),
    /// The permanent record.
    #[error(transparent)]
    Record(#[from] RecordError),
}

/// Moves what waits, of all enrolled users. Users whose files can't be read keep theirs. `program` is what syslog calls
/// this one.
///
/// # Errors
/// What keeps all of them from being moved.
pub fn move_all(
    store: &FileStore,
    record: &PermanentRecord,
    program: &str,
) -> Result<(), NotMoved> {
    for (_, entry) in store.everybody(clock::now())? {
        let Ok(entry) = entry else { continue };
        if let Entry::Enrolled(_) = entry {
            match move_of(store, record, &entry.decision().user, program) {
                Err(NotMoved::Store(fault)) if fault.kind.is_the_users_own() => {}
                moved => moved?,
            }
        }
    }
    Ok(())
}

/// Moves what waits of one user: before a change that would erase it.
///
/// # Errors
/// What keeps them from being moved.
pub fn move_of(
    store: &FileStore,
    record: &PermanentRecord,
    user: &UserName,
    program: &str,
) -> Result<(), NotMoved> {
    if !store.inspect(user).is_ok_and(|inspected| something_waits(&inspected)) {
        return Ok(());
    }
    let (events, lost) = store.transact(user, &|view| read(waiting_events(view)))?.into_outcome();
    let entries = permanent::Entry::of_logins(user, &events, lost, host_name().as_deref());
    let now = clock::now();
    for (_, recorded) in record.append_once(&entries, now, waits::CHANGE)? {
        syslog::send(program, &recorded.syslog, now);
    }
    let ids: Vec<u64> = events.iter().map(|event: &QueuedEvent| event.id).collect();
    store.transact(user, &|view| events_moved(view, &ids))?.into_outcome();
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
