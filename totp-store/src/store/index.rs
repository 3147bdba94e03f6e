//! The index by uid as a whole: made out of all enrollments, and compared with them.

use std::collections::{BTreeMap, BTreeSet};

use totp_core::name::{UserName, unword};
use totp_core::record::Entry;
use totp_core::store::{Fault, FaultKind};

use super::by_uid::indexed_uid;
use super::fault::fault;
use super::{Directories, FileStore};
use crate::{accounts, clock};

/// Names by uid.
type ByUids = BTreeMap<u32, BTreeSet<UserName>>;

/// How the index differs from the enrollments.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IndexState {
    /// What is missing or damaged: accounts without an enrollment of their own name are denied.
    pub faults: Vec<Fault>,
    /// Enrollments that the index does not know: their account is not found by its uid.
    pub unlisted: Vec<(u32, UserName)>,
    /// Names in the index that have no enrollment with that uid: harmless.
    pub stale: Vec<(u32, UserName)>,
    /// Uids of several enrollments: an account with such a uid and another name is denied.
    pub shared: Vec<(u32, Vec<UserName>)>,
}

impl IndexState {
    /// Whether it is what the enrollments make it.
    #[must_use]
    pub fn is_in_order(&self) -> bool {
        self.faults.is_empty() && self.unlisted.is_empty() && self.stale.is_empty()
    }
}

impl FileStore {
    /// Makes the index out of all enrollments. Gives how many of its files were not right; none of them is touched where that
    /// is none. Waits for other administrators' changes, and logins do not wait for it.
    ///
    /// # Errors
    /// It is not complete: also where an enrollment can't be read and nothing else tells its uid.
    pub fn make_index(&self) -> Result<usize, Fault> {
        // The name service is not asked under a lock.
        let accounts = self.accounts_of_damaged()?;
        let directories = self.directories()?;
        let _alone = self.alone(directories)?;
        let wanted = wanted(directories, &accounts)?;
        let uids = &directories.uids;
        let is_complete = uids.check_marker().is_ok();
        let mut written: usize = 0;
        for uid in uids.all()?.union(&wanted.keys().copied().collect()) {
            let names = wanted.get(uid).cloned().unwrap_or_default();
            let there = uids.read(*uid).map(|listed| listed.map(|listed| listed.names));
            if there != Ok(Some(names.clone()).filter(|names| !names.is_empty())) {
                // Without the marker nothing is believed before everything is on disk.
                uids.write(*uid, names, is_complete)?;
                written = written.saturating_add(1);
            }
        }
        if !is_complete {
            uids.incomplete()?;
            uids.complete()?;
            written = written.saturating_add(1);
        }
        Ok(written)
    }

    /// Compares the index with the enrollments.
    ///
    /// # Errors
    /// The enrollments can't be read.
    pub fn index_state(&self) -> Result<IndexState, Fault> {
        let directories = self.directories()?;
        let state = compared(directories)?;
        if state.is_in_order() {
            return Ok(state);
        }
        // Without the lock, a change that is being made looks like a difference.
        let _alone = self.alone(directories)?;
        compared(directories)
    }

    /// The uid for which something is kept under this name: of an entry that can't be read, the one in what is left of its text,
    /// else the one in the index.
    ///
    /// # Errors
    /// The entry can't be looked at.
    pub fn kept_uid(&self, user: &UserName) -> Result<Option<u32>, Fault> {
        let directories = self.directories()?;
        match directories.records.read(user) {
            Ok(entry) => Ok(entry.and_then(|entry| entry.decision().uid)),
            Err(fault) if fault.kind.is_the_users_own() => {
                let in_index = || {
                    let listed = listed(directories).0;
                    listed.into_iter().find(|(_, names)| names.contains(user)).map(|(uid, _)| uid)
                };
                Ok(directories.records.uid_in_text(&user.file_name()).or_else(in_index))
            }
            Err(fault) => Err(fault),
        }
    }

    /// What the name service says about the names of enrollments that can't be read.
    fn accounts_of_damaged(&self) -> Result<BTreeMap<UserName, u32>, Fault> {
        let all = self.directories()?.records.all(clock::now())?;
        let damaged = all.into_iter().filter(|(_, entry)| entry.is_err());
        let names = damaged.filter_map(|(stem, _)| name_of(&stem));
        let account = |name: UserName| {
            let uid = accounts::account(name.as_str()).ok()??.uid;
            Some((name, uid))
        };
        Ok(names.filter_map(account).collect())
    }
}

/// What the index is to be.
fn wanted(directories: &Directories, accounts: &BTreeMap<UserName, u32>) -> Result<ByUids, Fault> {
    let before = listed(directories).0;
    let mut wanted = ByUids::new();
    let mut add = |uid, name: &UserName| {
        wanted.entry(uid).or_default().insert(name.clone());
    };
    for (stem, entry) in directories.records.all(clock::now())? {
        match entry {
            Ok(entry) => {
                if let Some(uid) = indexed_uid(&entry) {
                    add(uid, &entry.decision().user);
                }
            }
            Err(damaged) => {
                let uids = uids_of_damaged(directories, &stem, &before, accounts);
                let Some((name, uids)) = uids else { return Err(nothing_tells(&damaged, &stem)) };
                uids.into_iter().for_each(|uid| add(uid, &name));
            }
        }
    }
    Ok(wanted)
}

/// The uids that an enrollment which can't be read may have: by what is left of its text and by the index as it is, else by
/// the account of its name.
fn uids_of_damaged(
    directories: &Directories,
    stem: &str,
    before: &ByUids,
    accounts: &BTreeMap<UserName, u32>,
) -> Option<(UserName, BTreeSet<u32>)> {
    let name = name_of(stem)?;
    let listed = before.iter().filter(|(_, names)| names.contains(&name)).map(|(uid, _)| *uid);
    let mut uids: BTreeSet<u32> = listed.chain(directories.records.uid_in_text(stem)).collect();
    if uids.is_empty() {
        uids.extend(accounts.get(&name));
    }
    (!uids.is_empty()).then_some((name, uids))
}

/// The name that a file is called after.
fn name_of(stem: &str) -> Option<UserName> {
    let name = UserName::new(&unword(stem)?).ok()?;
    (name.file_name() == stem).then_some(name)
}

fn nothing_tells(damaged: &Fault, stem: &str) -> Fault {
    let name = name_of(stem).map_or_else(|| stem.to_owned(), |name| name.to_string());
    let detail = format!(
        "{damaged}; nothing tells its uid, so the index by uid can't be made: enroll the user again or erase it with \
         totp-admin remove {name}, then: totp-admin init"
    );
    fault(FaultKind::IndexDamaged, detail)
}

/// The index as it is, and what can't be read of it.
fn listed(directories: &Directories) -> (ByUids, Vec<Fault>) {
    let uids = &directories.uids;
    let mut faults: Vec<Fault> = uids.check_marker().err().into_iter().collect();
    let mut all = ByUids::new();
    // A directory that can't be read has no marker that can.
    for uid in uids.all().unwrap_or_default() {
        match uids.read(uid) {
            Ok(listed) => all.extend(listed.map(|listed| (uid, listed.names))),
            Err(fault) => faults.push(fault),
        }
    }
    (all, faults)
}

fn compared(directories: &Directories) -> Result<IndexState, Fault> {
    let (listed, faults) = listed(directories);
    let (mut entered, mut enrolled) = (ByUids::new(), ByUids::new());
    let mut damaged = BTreeSet::new();
    for (stem, entry) in directories.records.all(clock::now())? {
        match entry {
            Ok(entry) => {
                if let Some(uid) = indexed_uid(&entry) {
                    let name = &entry.decision().user;
                    entered.entry(uid).or_default().insert(name.clone());
                    if !matches!(entry, Entry::Disabled(_)) {
                        enrolled.entry(uid).or_default().insert(name.clone());
                    }
                }
            }
            Err(_) => {
                damaged.extend(name_of(&stem));
            }
        }
    }
    let stale = missing_in(&entered, &listed).filter(|(_, name)| !damaged.contains(name));
    let shared = enrolled.iter().filter(|(_, names)| names.len() > 1);
    Ok(IndexState {
        faults,
        unlisted: missing_in(&listed, &entered).collect(),
        stale: stale.collect(),
        shared: shared.map(|(uid, names)| (*uid, names.iter().cloned().collect())).collect(),
    })
}

/// What `whole` has and `part` has not.
fn missing_in<'a>(
    part: &'a ByUids,
    whole: &'a ByUids,
) -> impl Iterator<Item = (u32, UserName)> + use<'a> {
    let pairs = whole.iter().flat_map(|(uid, names)| names.iter().map(move |name| (*uid, name)));
    let is_missing =
        |(uid, name): &(u32, &UserName)| !part.get(uid).is_some_and(|names| names.contains(*name));
    pairs.filter(is_missing).map(|(uid, name)| (uid, name.clone()))
}
