//! The record files: `users/NAME.toml`.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use totp_core::name::UserName;
use totp_core::record::{Entry, MOST_BYTES, RecordError, parse, parse_as, print, print_renamed};
use totp_core::store::{Fault, FaultKind};
use totp_core::time::UnixTime;
use zeroize::Zeroizing;

use super::decoy::PlacesKey;
use super::fault::{InPlace, fault, in_place, record_fault, unavailable};
use super::{Listed, decoy};
use crate::files::{Access, Demand, Directory};

/// The directory of records.
#[derive(Debug)]
pub(super) struct Records {
    directory: Directory,
    last: Mutex<Option<Last>>,
    /// The same, of the decoy's record.
    last_decoy: Mutex<Option<Last>>,
    /// The decoy's record was looked for and wasn't there.
    no_decoy: AtomicBool,
    /// Of the decoy's record that was read first.
    places_key: OnceLock<PlacesKey>,
}

/// The file that was read last. A login reads the same text twice, before the prompt and under the lock; parsing it is
/// the dearer half of that.
struct Last {
    name: String,
    text: Zeroizing<String>,
    entry: Entry,
}

impl fmt::Debug for Last {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Last").field("name", &self.name).finish_non_exhaustive() // the text has secrets in it
    }
}

impl Records {
    pub(super) fn new(directory: Directory) -> Self {
        Self {
            directory,
            last: Mutex::new(None),
            last_decoy: Mutex::new(None),
            no_decoy: AtomicBool::new(false),
            places_key: OnceLock::new(),
        }
    }

    /// Locked by whoever administrates; nobody else can open it.
    pub(super) fn directory(&self) -> &Directory {
        &self.directory
    }

    /// What is decided about a user. Absence is a proven one. It takes as long as a presence, and so does a record that is
    /// short, as those of people who aren't enrolled are, or damaged.
    pub(super) fn read(&self, user: &UserName) -> Result<Option<Entry>, Fault> {
        let name = file_name(user);
        let text = match self.directory.text(&name, DEMAND) {
            Ok(Some(text)) => text,
            absent_or_refused => {
                self.read_decoy();
                return absent_or_refused.map(|_| None).map_err(record_fault);
            }
        };
        let _ = self.look_for_nobody();
        let entry = self.understood(user, &name, text);
        if !matches!(entry, Ok(Entry::Enrolled(_))) {
            self.parse_decoy(decoy::RECORD_TEXT.to_owned().into());
        }
        entry.map(Some)
    }

    fn understood(
        &self,
        user: &UserName,
        name: &str,
        text: Zeroizing<String>,
    ) -> Result<Entry, Fault> {
        let path = self.directory.path().join(name);
        let read = |text: &str| parse_as(text, |name| name == user);
        let entry = parsed(&self.last, name, text, read).map_err(|error| {
            let detail = format!(
                "{}: {error}; enroll {user} again with totp-admin enroll --replace {user}",
                path.display()
            );
            fault(FaultKind::RecordDamaged, detail)
        })?;
        if entry.decision().user != *user {
            let detail = format!(
                "{}: it is the record of {}, not of {user}; move it away",
                path.display(),
                entry.decision().user
            );
            return Err(fault(FaultKind::RecordRefused, detail));
        }
        Ok(entry)
    }

    /// The commit point of an administrative change.
    pub(super) fn write(&self, entry: &Entry) -> Result<InPlace<()>, Fault> {
        let user = &entry.decision().user;
        let name = file_name(user);
        let text = print(entry).map_err(|error| {
            let path = self.directory.path().join(&name);
            fault(FaultKind::RecordDamaged, format!("{}: {error}", path.display()))
        })?;
        in_place(self.directory.replace(&name, text.as_bytes()), ()).map_err(unavailable)
    }

    /// Gives a record another name: `entry` is that of the new one already. First the file says both names, and is still
    /// called by the old one, so still the old one's; its renaming is the commit point.
    pub(super) fn rename(&self, old: &UserName, entry: &Entry) -> Result<InPlace<()>, Fault> {
        let (from, to) = (file_name(old), file_name(&entry.decision().user));
        let text = print_renamed(entry, old).map_err(|error| {
            let path = self.directory.path().join(&from);
            fault(FaultKind::RecordDamaged, format!("{}: {error}", path.display()))
        })?;
        in_place(self.directory.replace(&from, text.as_bytes()), ()).map_err(unavailable)?;
        in_place(self.directory.rename(&from, &to), ()).map_err(unavailable)
    }

    /// Removes a record; `false` where there is none.
    pub(super) fn remove(&self, user: &UserName) -> Result<InPlace<bool>, Fault> {
        in_place(self.directory.remove(&file_name(user)), true).map_err(unavailable)
    }

    /// Whom there is anything decided about, by the file names, and what; a damaged file gives its fault.
    pub(super) fn all(&self, now: UnixTime) -> Result<Vec<Listed>, Fault> {
        self.directory.sweep(now).map_err(unavailable)?;
        let mut names = self.directory.list().map_err(unavailable)?;
        names.sort_unstable();
        let stems = names.iter().filter_map(|name| name.strip_suffix(EXTENSION));
        let entries = stems.filter_map(|stem| {
            let entry = self.read_named(stem).transpose()?;
            Some((stem.to_owned(), entry))
        });
        Ok(entries.collect())
    }

    /// Makes the decoy's record if it isn't there. That it can't be made only shows in how long a look takes.
    pub(super) fn make_decoy(&self) {
        let there = self.directory.file(decoy::RECORD, Access::Read, DEMAND);
        self.no_decoy.store(matches!(there, Ok(None)), Ordering::Relaxed);
        self.make_missed_decoy();
    }

    /// Makes the decoy's record if it wasn't there when it was last read.
    pub(super) fn make_missed_decoy(&self) {
        if self.no_decoy.swap(false, Ordering::Relaxed)
            && let Some(text) = decoy::fresh_record_text()
        {
            let _ = self.directory.replace(decoy::RECORD, text.as_bytes());
        }
    }

    /// The work of reading a record, for whoever has none that could be opened.
    pub(super) fn read_decoy(&self) {
        let text = self.directory.text(decoy::RECORD, DEMAND);
        self.no_decoy.store(matches!(text, Ok(None)), Ordering::Relaxed);
        let text = text.ok().flatten();
        if let Some(text) = &text {
            self.places_key.get_or_init(|| decoy::places_key(text));
        }
        self.parse_decoy(text.unwrap_or_else(|| decoy::RECORD_TEXT.to_owned().into()));
    }

    /// What strangers' places are computed with. Before there is a decoy's record, for one login, it is known to everybody.
    pub(super) fn places_key(&self) -> PlacesKey {
        if self.places_key.get().is_none() {
            self.read_decoy();
        }
        self.places_key.get().copied().unwrap_or_else(|| decoy::places_key(decoy::RECORD_TEXT))
    }

    /// The look that finds nothing, for whoever is found.
    pub(super) fn look_for_nobody(&self) -> Result<(), Fault> {
        self.directory.file(decoy::NOBODY, Access::Read, DEMAND).map(drop).map_err(record_fault)
    }

    fn parse_decoy(&self, text: Zeroizing<String>) {
        let _ = std::hint::black_box(parsed(&self.last_decoy, decoy::RECORD, text, parse));
    }

    /// The uid that stands in a text which can't be used as a whole.
    pub(super) fn uid_in_text(&self, stem: &str) -> Option<u32> {
        let text = self.directory.text(&format!("{stem}{EXTENSION}"), DEMAND).ok()??;
        text.lines().find_map(|line| line.strip_prefix("uid = ")?.trim().parse().ok())
    }

    fn read_named(&self, stem: &str) -> Result<Option<Entry>, Fault> {
        let name = format!("{stem}{EXTENSION}");
        let Some(text) = self.directory.text(&name, DEMAND).map_err(record_fault)? else {
            return Ok(None); // removed since it was listed
        };
        let path = self.directory.path().join(&name);
        let entry = parse_as(&text, |name| name.file_name() == stem).map_err(|error| {
            fault(FaultKind::RecordDamaged, format!("{}: {error}", path.display()))
        })?;
        if entry.decision().user.file_name() == stem {
            return Ok(Some(entry));
        }
        let whose = &entry.decision().user;
        let detail = format!("{}: it is the record of {whose}; move it away", path.display());
        Err(fault(FaultKind::RecordRefused, detail))
    }
}

/// What `read` makes of the text of a file; or made of it, where it is the one that was read last.
fn parsed(
    last: &Mutex<Option<Last>>,
    name: &str,
    text: Zeroizing<String>,
    read: impl FnOnce(&str) -> Result<Entry, RecordError>,
) -> Result<Entry, RecordError> {
    let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(last) = last.as_ref().filter(|last| last.name == name && last.text == text) {
        return Ok(last.entry.duplicate());
    }
    let entry = read(&text)?;
    *last = Some(Last { name: name.to_owned(), text, entry: entry.duplicate() });
    Ok(entry)
}

const EXTENSION: &str = ".toml";

const DEMAND: Demand = Demand::private(MOST_BYTES as u64);

fn file_name(user: &UserName) -> String {
    format!("{}{EXTENSION}", user.file_name())
}
