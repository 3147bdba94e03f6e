//! Remembered devices on disk: `remembered/NAME`, one list for each user who has some.
//!
//! Nothing here is needed for anybody to log in. Whatever is missing, can't be trusted or can't be read means that nobody is
//! remembered, and whoever is enrolled is asked. Lists are replaced as a whole, under one lock for all of them that nobody
//! holds for longer than that takes.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix::errno::Errno;
use thiserror::Error;
use totp_core::name::UserName;
use totp_core::remembered::{Arrival, Devices, Fingerprint, MOST_BYTES, NotAList, Terms};

use crate::Wait;
use crate::files::{Demand, Directory, FileError, Owner, Shared};
use crate::flock::{NoLock, lock_within};
use crate::identity::Identity;
use crate::{clock, limits, waits};

/// What the directory is called in the state directory.
pub(crate) const NAME: &str = "remembered";

const DEMAND: Demand = Demand::private(MOST_BYTES as u64);

/// The lists of remembered devices.
#[derive(Debug)]
pub struct Remembered {
    state_dir: PathBuf,
    owner: Owner,
    /// Which installation's they must be; `None` where that is not asked.
    identity: Option<Arc<Identity>>,
}

/// Why a list can't be read or changed.
#[derive(Debug, Error)]
pub enum RememberedError {
    /// The directory or the file.
    #[error("{0}")]
    File(#[from] FileError),
    /// The text.
    #[error("{}: {error}; forget all of them with totp-admin remembered forget --all {user}", path.display())]
    List {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        error: NotAList,
        /// Whose it is, for the remedy.
        user: UserName,
    },
    /// Somebody else changes a list, and doesn't end.
    #[error("{}: it is locked by another process; try again", .0.display())]
    Busy(PathBuf),
}

impl Remembered {
    /// The lists in `state_dir`. Nothing is opened yet.
    #[must_use]
    pub fn new(state_dir: &Path, owner: Owner) -> Self {
        Self { state_dir: state_dir.to_owned(), owner, identity: None }
    }

    /// The same lists, which can't be used where the state directory is not this installation's.
    #[must_use]
    pub(crate) fn of(self, identity: Arc<Identity>) -> Self {
        Self { identity: Some(identity), ..self }
    }

    /// A user's devices; none where there is no list.
    ///
    /// # Errors
    /// The directory is missing or can't be trusted, nor can the file, or it is no list: nobody is remembered.
    pub fn read(&self, user: &UserName) -> Result<Devices, RememberedError> {
        read(&self.directory()?, user)
    }

    /// Remembers the device that arrives, for as long as `terms` say. A list that is damaged begins anew.
    ///
    /// # Errors
    /// It isn't remembered.
    pub fn remember(
        &self,
        user: &UserName,
        arrival: &Arrival,
        terms: &Terms,
    ) -> Result<(), RememberedError> {
        let directory = self.directory()?;
        let _lock = locked(&directory, waits::LINE_OF_A_LOGIN)?;
        let mut devices = match read(&directory, user) {
            Err(RememberedError::List { .. }) => Devices::default(),
            devices => devices?,
        };
        devices.remember(arrival, terms);
        write(&directory, user, &devices)
    }

    /// Notes that a device was used, once a day at most; not at all where another process changes a list just now.
    ///
    /// # Errors
    /// It isn't noted.
    pub fn note_use(&self, user: &UserName, arrival: &Arrival) -> Result<(), RememberedError> {
        let directory = self.directory()?;
        if !read(&directory, user)?.used(arrival) {
            return Ok(());
        }
        let _lock = match locked(&directory, Wait::No) {
            Err(RememberedError::Busy(_)) => return Ok(()),
            lock => lock?,
        };
        // Again: it may have been forgotten meanwhile.
        let mut devices = read(&directory, user)?;
        if devices.used(arrival) { write(&directory, user, &devices) } else { Ok(()) }
    }

    /// Forgets one device. `false`: it wasn't there.
    ///
    /// # Errors
    /// It isn't forgotten.
    pub fn forget(
        &self,
        user: &UserName,
        key: Fingerprint,
        wait: Wait,
    ) -> Result<bool, RememberedError> {
        let directory = self.directory()?;
        let _lock = locked(&directory, wait)?;
        let _ = directory.sweep(clock::now()); // what killed logins left half written harms nobody
        let mut devices = read(&directory, user)?;
        if !devices.forget(key) {
            return Ok(false);
        }
        if devices.is_empty() {
            return Ok(directory.remove(&user.file_name())?);
        }
        write(&directory, user, &devices).map(|()| true)
    }

    /// Forgets all of a user's devices, readable or not. `false`: there was no list.
    ///
    /// # Errors
    /// They aren't forgotten.
    pub fn forget_all(&self, user: &UserName, wait: Wait) -> Result<bool, RememberedError> {
        let directory = self.directory()?;
        let _lock = locked(&directory, wait)?;
        let _ = directory.sweep(clock::now());
        Ok(directory.remove(&user.file_name())?)
    }

    fn directory(&self) -> Result<Directory, FileError> {
        let above = match &self.identity {
            Some(identity) => identity.open_state_dir()?,
            None => Directory::open(&self.state_dir, self.owner, Shared::Readable)?,
        };
        above.inner(NAME, Shared::Nobody)
    }
}

fn read(directory: &Directory, user: &UserName) -> Result<Devices, RememberedError> {
    let name = user.file_name();
    let Some(text) = directory.text(&name, DEMAND)? else { return Ok(Devices::default()) };
    Devices::parse(&text).map_err(|error| RememberedError::List {
        path: directory.path().join(name),
        error,
        user: user.clone(),
    })
}

fn write(directory: &Directory, user: &UserName, devices: &Devices) -> Result<(), RememberedError> {
    let name = user.file_name();
    let text = devices.print();
    let size = u64::try_from(text.len()).unwrap_or(u64::MAX);
    // A caller's limit (`ulimit -f`) would kill the process.
    limits::allow_file_size(size).map_err(|errno| failed(directory, &name, "write", errno))?;
    Ok(directory.replace(&name, text.as_bytes())?)
}

fn locked(directory: &Directory, wait: Wait) -> Result<impl Drop, RememberedError> {
    lock_within(directory, wait).map_err(|error| match error {
        NoLock::Busy => RememberedError::Busy(directory.path().to_owned()),
        NoLock::Failed(errno) => failed(directory, "", "flock", errno),
    })
}

fn failed(directory: &Directory, name: &str, call: &'static str, errno: Errno) -> RememberedError {
    FileError::errno(&directory.path().join(name), call, errno).into()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use tempfile::TempDir;
    use totp_core::record::EnrollmentId;
    use totp_core::time::{DAY, UnixTime};

    use super::*;

    const TERMS: Terms = Terms { seconds: 30 * DAY, same_network: false };

    fn alice() -> UserName {
        UserName::new("alice").unwrap()
    }

    fn arrival(key: u8) -> Arrival {
        Arrival {
            key: Fingerprint([key; 32]),
            network: None,
            enrollment: EnrollmentId::fresh([7; 8]),
            now: UnixTime(1_773_307_200),
        }
    }

    fn house() -> (TempDir, Remembered) {
        let temp = tempfile::tempdir().unwrap();
        for directory in [temp.path(), &temp.path().join(NAME)] {
            let _ = fs::create_dir(directory);
            fs::set_permissions(directory, fs::Permissions::from_mode(0o700)).unwrap();
        }
        let remembered = Remembered::new(temp.path(), Owner::this_process());
        (temp, remembered)
    }

    fn knows(remembered: &Remembered, key: u8) -> bool {
        remembered.read(&alice()).unwrap().known(&arrival(key), &TERMS).is_some()
    }

    #[test]
    fn what_is_remembered_is_known_until_it_is_forgotten() {
        let (temp, remembered) = house();
        assert!(!knows(&remembered, 1));
        remembered.remember(&alice(), &arrival(1), &TERMS).unwrap();
        remembered.remember(&alice(), &arrival(2), &TERMS).unwrap();
        assert!(knows(&remembered, 1) && knows(&remembered, 2) && !knows(&remembered, 3));
        let file = temp.path().join(NAME).join("alice");
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o7777, 0o600);
        assert!(remembered.forget(&alice(), Fingerprint([1; 32]), Wait::No).unwrap());
        assert!(!remembered.forget(&alice(), Fingerprint([1; 32]), Wait::No).unwrap());
        assert!(!knows(&remembered, 1) && knows(&remembered, 2));
        assert!(remembered.forget(&alice(), Fingerprint([2; 32]), Wait::No).unwrap());
        assert!(!file.exists());
    }

    #[test]
    fn all_can_be_forgotten_at_once_and_twice() {
        let (_temp, remembered) = house();
        remembered.remember(&alice(), &arrival(1), &TERMS).unwrap();
        assert!(remembered.forget_all(&alice(), Wait::No).unwrap());
        assert!(!remembered.forget_all(&alice(), Wait::No).unwrap());
        assert!(!knows(&remembered, 1));
    }

    #[test]
    fn what_a_killed_login_left_half_written_goes_with_the_next_forgetting() {
        let (temp, remembered) = house();
        let left = temp.path().join(NAME).join(".new-0123456789abcdef");
        fs::write(&left, "half").unwrap();
        let long_ago = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_700_000_000);
        fs::File::options().write(true).open(&left).unwrap().set_modified(long_ago).unwrap();
        assert!(!remembered.forget_all(&alice(), Wait::No).unwrap());
        assert!(!left.exists());
    }

    #[test]
    fn a_use_is_written_once_a_day() {
        let (temp, remembered) = house();
        remembered.remember(&alice(), &arrival(1), &TERMS).unwrap();
        let file = temp.path().join(NAME).join("alice");
        let before = fs::read_to_string(&file).unwrap();
        remembered.note_use(&alice(), &arrival(1)).unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), before);
        let tomorrow = Arrival { now: arrival(1).now.plus(DAY), ..arrival(1) };
        remembered.note_use(&alice(), &tomorrow).unwrap();
        let after = fs::read_to_string(&file).unwrap();
        assert!(after.contains(&format!("used={}", tomorrow.now)), "{after}");
    }

    #[test]
    fn a_use_is_not_waited_for() {
        let (temp, remembered) = house();
        remembered.remember(&alice(), &arrival(1), &TERMS).unwrap();
        let directory = fs::File::open(temp.path().join(NAME)).unwrap();
        let _held = lock_within(&directory, Wait::No).unwrap();
        let tomorrow = Arrival { now: arrival(1).now.plus(DAY), ..arrival(1) };
        remembered.note_use(&alice(), &tomorrow).unwrap();
        let busy = remembered.forget_all(&alice(), Wait::No);
        assert!(matches!(busy, Err(RememberedError::Busy(_))), "{busy:?}");
    }

    #[test]
    fn a_directory_that_is_missing_is_an_error_and_is_not_made() {
        let (temp, remembered) = house();
        fs::remove_dir(temp.path().join(NAME)).unwrap();
        assert!(remembered.read(&alice()).is_err());
        assert!(remembered.remember(&alice(), &arrival(1), &TERMS).is_err());
        assert!(!temp.path().join(NAME).exists());
    }

    #[test]
    fn a_damaged_list_is_an_error_that_names_file_and_remedy_and_can_be_begun_anew() {
        let (temp, remembered) = house();
        let file = temp.path().join(NAME).join("alice");
        remembered.remember(&alice(), &arrival(1), &TERMS).unwrap();
        let text = fs::read_to_string(&file).unwrap();
        fs::write(&file, text.replace("until=2026", "until=Y")).unwrap();
        let error = remembered.read(&alice()).unwrap_err().to_string();
        assert!(error.contains("remembered/alice: line 2 "), "{error}");
        assert!(error.ends_with("totp-admin remembered forget --all alice"), "{error}");
        assert!(remembered.forget(&alice(), Fingerprint([1; 32]), Wait::No).is_err());
        remembered.remember(&alice(), &arrival(2), &TERMS).unwrap();
        assert!(knows(&remembered, 2) && !knows(&remembered, 1));
    }

    #[test]
    fn a_file_that_anybody_could_have_made_is_not_trusted() {
        let (temp, remembered) = house();
        let file = temp.path().join(NAME).join("alice");
        remembered.remember(&alice(), &arrival(1), &TERMS).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o620)).unwrap();
        assert!(remembered.read(&alice()).is_err());
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        fs::rename(&file, temp.path().join("other")).unwrap();
        symlink("../other", &file).unwrap();
        assert!(remembered.read(&alice()).is_err());
    }
}
