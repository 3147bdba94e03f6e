//! Moves what logins left in a user's state to the permanent record.
//!
//! Behind an accepted login only, which is told from others anyway: behind a refused one, the time it takes
//! would tell who is enrolled. Whatever does not work is left to the next login, the command or the agent.

use totp_core::name::UserName;
use totp_core::store::Store;
use totp_core::upkeep::{events_moved, read, waiting_events};
use totp_store::permanent::{Entry, PermanentRecord};
use totp_store::{Wait, clock, host_name};

use crate::login::host::Priority;
use crate::login::telling::Telling;

/// Moves the events of this user. Never waits for the lock of the permanent record, which all users share.
pub(crate) fn move_events<S: Store>(
    telling: Telling<'_>,
    store: &S,
    record: &PermanentRecord,
    user: &UserName,
) {
    if let Err(error) = moved(telling, store, record, user) {
        let line =
            format!("{error}; events of {user} stay in the state until they can be recorded");
        telling.host.log(Priority::Warning, &line);
    }
}

fn moved<S: Store>(
    telling: Telling<'_>,
    store: &S,
    record: &PermanentRecord,
    user: &UserName,
) -> Result<(), Box<dyn std::error::Error>> {
    let (waiting, more) = store.transact(user, &|view| read(waiting_events(view)))?.into_outcome();
    let entries = Entry::of_logins(user, &waiting, more, host_name().as_deref());
    for (entry, recorded) in record.append_once(&entries, clock::now(), Wait::No)? {
        telling.recorded(entry, &recorded);
    }
    let ids: Vec<u64> = waiting.iter().map(|event| event.id).collect();
    store.transact(user, &|view| events_moved(view, &ids))?.into_outcome();
    Ok(())
}
