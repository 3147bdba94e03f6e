//! Which enrollment an account has that has none of its own name: the one with its uid. The account was renamed in the
//! directory, or is an alias.

use std::collections::BTreeSet;

use totp_core::name::UserName;
use totp_core::record::Entry;
use totp_core::store::{Fault, FaultKind, Found, Store as _};

use super::FileStore;
use super::fault::fault;

/// How often this begins again because enrollments were renamed meanwhile.
const TRIES: u32 = 16;

/// What is kept about an account under other names than its own.
#[derive(Debug)]
#[must_use]
pub enum ByUid {
    /// Proven: no enrollment has this uid, and no disabled marker.
    Nothing,
    /// No enrollment has it, and a disabled marker under this name has: the user was disabled and then renamed, or had a
    /// second name, or the uid is another user's now.
    Disabled(UserName),
    /// One enrollment has it, kept under this name.
    One(UserName, Found),
    /// Several have it: which one is the account's can't be told.
    Several(Vec<UserName>),
}

/// The uid by which an entry is found.
pub(super) fn indexed_uid(entry: &Entry) -> Option<u32> {
    entry.decision().uid
}

/// Names with an entry of one uid.
#[derive(PartialEq, Eq)]
struct Entries {
    /// Enrolled, or to enroll.
    enrolled: Vec<UserName>,
    disabled: Option<UserName>,
}

impl FileStore {
    /// What is kept about the account `user`, about whose name there is nothing, by its uid.
    ///
    /// # Errors
    /// Anything but a proven answer: also where the index is missing or damaged, or an enrollment that it names is.
    pub fn by_uid(&self, user: &UserName, uid: u32) -> Result<ByUid, Fault> {
        let uids = &self.directories()?.uids;
        for _ in 0..TRIES {
            // A name stands there before its enrollment does.
            let Some(listed) = uids.of(uid)? else { return Ok(ByUid::Nothing) };
            let names: BTreeSet<&UserName> = listed.names.iter().chain([user]).collect();
            // An enrollment that is renamed may escape one pass over the names, and never two: each renaming changes the index.
            let (first, second) = (self.entries(&names, uid)?, self.entries(&names, uid)?);
            if first != second || uids.of(uid)?.as_ref() != Some(&listed) {
                continue;
            }
            match second.enrolled.as_slice() {
                [] => return Ok(second.disabled.map_or(ByUid::Nothing, ByUid::Disabled)),
                [name] => {
                    let found = self.look(name)?;
                    if found.enrolled_uid() == Some(uid) {
                        return Ok(ByUid::One(name.clone(), found));
                    }
                }
                _ => return Ok(ByUid::Several(second.enrolled)),
            }
        }
        let detail = format!("what is kept for uid {uid} is changed again and again; log in again");
        Err(fault(FaultKind::Unavailable, detail))
    }

    /// As many looks as [`FileStore::by_uid`] takes where there is nothing, for users whose uid is not asked for.
    pub fn look_for_nobodys_uid(&self) {
        if let Ok(directories) = self.directories() {
            directories.uids.look_for_nobody();
        }
    }

    /// Those of `names` that have an entry with this uid.
    fn entries(&self, names: &BTreeSet<&UserName>, uid: u32) -> Result<Entries, Fault> {
        let records = &self.directories()?.records;
        let mut entries = Entries { enrolled: Vec::new(), disabled: None };
        for &name in names {
            let entry = records.read(name)?.filter(|entry| indexed_uid(entry) == Some(uid));
            match entry {
                None => {}
                Some(Entry::Enrolled(_) | Entry::Pending(_)) => entries.enrolled.push(name.clone()),
                Some(Entry::Disabled(_)) => entries.disabled = Some(name.clone()),
            }
        }
        Ok(entries)
    }
}
