//! The copy of the last configuration that loaded: `last-config/NAME` in the default state directory, where NAME stands
//! for the configuration's path. Logins go on with it while the file itself can't be used. `init` makes the directory; where
//! it is missing no copy is kept.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::{fs, io};

use sha2::{Digest as _, Sha256};
use totp_core::policy::Config;

use super::{InForce, Places};
use crate::config::{ConfigFault, MOST_BYTES, directory_of};
use crate::files::{Demand, Directory, FileError, Owner, Problem, Shared};
use crate::identity::{self, Identity};
use crate::{clock, limits};

/// The directory in the default state directory.
pub(super) const DIRECTORY: &str = "last-config";

const DEMAND: Demand = Demand::private(MOST_BYTES);

/// Bytes of the longest name that is the path itself, encoded.
const LONGEST_NAME: usize = 200;

/// So many configurations' copies a process remembers.
const MOST_NOTES: usize = 16;

/// What this process knows of copies, by their paths: a daemon need not read a copy at each login.
static NOTES: Mutex<BTreeMap<PathBuf, Note>> = Mutex::new(BTreeMap::new());

/// What was in a copy, and the file that had it.
struct Note {
    text: String,
    stamp: Stamp,
}

/// Tells a file from the one that replaces it: device, inode, size, time of change. Copies are never written in place.
type Stamp = (u64, u64, u64, i64, i64);

/// The copy of one configuration.
pub(super) struct LastConfig<'a> {
    places: &'a Places,
    name: String,
    owner: Owner,
}

impl<'a> LastConfig<'a> {
    /// Nothing is opened yet.
    pub(super) fn of(places: &'a Places, path: &Path, owner: Owner) -> Self {
        Self { places, name: name(path), owner }
    }

    /// Keeps `text`, which has just loaded, unless the copy says the same. That this may fail stops no login. Where the
    /// default state directory is not the default installation's, as beneath a disk that is not mounted, nothing is written.
    /// Where there is no default installation, `init` of another one has made the place.
    pub(super) fn keep(&self, text: &str) {
        if !self.is_noted(text) && self.is_in_order() {
            let _ = self.kept(text);
        }
    }

    fn is_in_order(&self) -> bool {
        let Places { config, state_dir, .. } = self.places;
        let directory = directory_of(config, self.owner);
        let has_no_word = fs::symlink_metadata(config.with_file_name(identity::FILE))
            .is_err_and(|error| error.kind() == io::ErrorKind::NotFound);
        let identity = Identity::read(&directory, config, state_dir, self.owner, String::new());
        has_no_word || identity.open_state_dir().is_ok()
    }

    fn kept(&self, text: &str) -> Result<(), FileError> {
        let Some(directory) = self.directory()? else { return Ok(()) };
        // What can't be read is replaced.
        let current = directory.text(&self.name, DEMAND).ok().flatten();
        if current.is_none_or(|current| current.as_str() != text) {
            let size = u64::try_from(text.len()).unwrap_or(u64::MAX);
            // A caller's limit (`ulimit -f`) would kill the process.
            if limits::allow_file_size(size).is_err() {
                return Ok(());
            }
            let _ = directory.sweep(clock::now());
            directory.replace(&self.name, text.as_bytes())?;
        }
        self.note(text);
        Ok(())
    }

    /// Whether nothing speaks against the defaults where the default configuration is absent: the copy, if there is one,
    /// is that of an absent file.
    pub(super) fn is_empty_or_absent(&self) -> bool {
        self.is_noted("") || self.text().is_ok_and(|text| text.is_none_or(|text| text.is_empty()))
    }

    /// The configuration in the copy, in place of one that can't be used because of `fault`.
    ///
    /// # Errors
    /// `fault` where there is no copy that can be used.
    pub(super) fn instead(&self, fault: ConfigFault) -> Result<(Config, InForce), ConfigFault> {
        // Another installation's copy, on a disk of another machine, is none.
        let text = if self.is_in_order() { self.text().ok().flatten() } else { None };
        match text.and_then(|text| Config::parse(&text).ok()) {
            Some(config) => Ok((config, InForce::LastGood(fault))),
            None => Err(fault),
        }
    }

    fn text(&self) -> Result<Option<String>, FileError> {
        let Some(directory) = self.directory()? else { return Ok(None) };
        let text = directory.text(&self.name, DEMAND)?;
        Ok(text.map(|text| text.as_str().to_owned()))
    }

    /// `None` where there is none: then no copy is kept.
    fn directory(&self) -> Result<Option<Directory>, FileError> {
        let opened = Directory::open(&self.places.state_dir, self.owner, Shared::Readable)
            .and_then(|above| above.inner(DIRECTORY, Shared::Nobody));
        match opened {
            Ok(directory) => Ok(Some(directory)),
            Err(error) if error.problem == Problem::NoDirectory => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn path(&self) -> PathBuf {
        self.places.state_dir.join(DIRECTORY).join(&self.name)
    }

    /// Whether the copy is known to be `text`, without opening it.
    fn is_noted(&self, text: &str) -> bool {
        let path = self.path();
        let notes = NOTES.lock().unwrap_or_else(PoisonError::into_inner);
        notes.get(&path).is_some_and(|note| note.text == text && stamp(&path) == Some(note.stamp))
    }

    fn note(&self, text: &str) {
        let path = self.path();
        let Some(stamp) = stamp(&path) else { return };
        let mut notes = NOTES.lock().unwrap_or_else(PoisonError::into_inner);
        if notes.len() >= MOST_NOTES {
            notes.clear();
        }
        notes.insert(path, Note { text: text.to_owned(), stamp });
    }
}

fn stamp(path: &Path) -> Option<Stamp> {
    let found = fs::symlink_metadata(path).ok()?;
    Some((found.dev(), found.ino(), found.size(), found.ctime(), found.ctime_nsec()))
}

/// The name of a path's copy: the path with all but letters, digits, `.`, `_` and `-` percent-encoded. A long one is named
/// by its hash.
fn name(path: &Path) -> String {
    let mut name = String::new();
    for &byte in path.as_os_str().as_bytes() {
        if byte.is_ascii_alphanumeric() || b"._-".contains(&byte) {
            name.push(char::from(byte));
        } else {
            let _ = write!(name, "%{byte:02X}"); // a String takes everything
        }
    }
    if name.len() <= LONGEST_NAME {
        return name;
    }
    let mut name = "sha256-".to_owned();
    for byte in Sha256::digest(path.as_os_str().as_bytes()) {
        let _ = write!(name, "{byte:02x}"); // a String takes everything
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_named_by_its_path() {
        assert_eq!(name(Path::new("/etc/pam-totp/config.toml")), "%2Fetc%2Fpam-totp%2Fconfig.toml");
        assert_ne!(name(Path::new("/a/b")), name(Path::new("/a%2Fb")));
        let long = |end: &str| PathBuf::from(format!("/{}{end}", "x".repeat(300)));
        assert_eq!(name(&long("a")).len(), "sha256-".len() + 64);
        assert_ne!(name(&long("a")), name(&long("b")));
    }
}
