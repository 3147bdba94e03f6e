//! An installation: its configuration, and everything that the configuration names, opened in one place.
//!
//! - [`Installation`] here: loads the configuration, and gives the store, the audit log, the outbox and the rest, each of
//!   which refuses to work where the state directory is not this installation's ([`Identity`])
//! - `last_config`: the copy of the last configuration that loaded, for when the file can't be used
//! - [`init`]: makes directories and identity; nothing else does

pub mod init;
mod last_config;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use totp_core::policy::{AbsolutePath, Config};

use self::last_config::LastConfig;
use crate::config::{ConfigFault, DEFAULT_PATH, directory_of, load_in};
use crate::files::{Directory, FileError, Owner, Problem, Shared};
use crate::identity::Identity;
use crate::notices::Notices;
use crate::outbox::{Outbox, OutboxError};
use crate::permanent::PermanentRecord;
use crate::remembered::Remembered;
use crate::store::FileStore;

/// The paths that no configuration names. Tests have others.
#[derive(Clone, Debug)]
pub struct Places {
    /// The configuration's file where none is named.
    pub config: PathBuf,
    /// The default state directory: it has the copies of configurations, since one that does not parse can't say where its
    /// state directory is.
    pub state_dir: PathBuf,
    /// Holds sockets and, by default, `run_dir`.
    pub run: PathBuf,
}

impl Default for Places {
    fn default() -> Self {
        let at = |path: &str| PathBuf::from(path);
        Self {
            config: at(DEFAULT_PATH),
            state_dir: at("/var/lib/pam-totp"),
            run: at("/run/pam-totp"),
        }
    }
}

/// Which configuration is in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InForce {
    /// The file's.
    File,
    /// The defaults: there is no file, and none was named.
    Defaults,
    /// The copy of the last one that loaded, because of this.
    LastGood(ConfigFault),
}

/// An installation. Its configuration has been read; nothing else is opened before it is needed.
#[derive(Clone, Debug)]
pub struct Installation {
    config: Config,
    path: PathBuf,
    in_force: InForce,
    identity: Arc<Identity>,
    owner: Owner,
}

impl Installation {
    /// Loads the configuration: the file that is named, which must be there, else the default one, which stands for the
    /// defaults where it is absent. One that can't be used is replaced by the last good one, as [`Installation::in_force`]
    /// says.
    ///
    /// # Errors
    /// The configuration can't be used, and there is no usable copy of the last good one.
    pub fn open(named: Option<&Path>, owner: Owner) -> Result<Self, ConfigFault> {
        Self::open_at(&Places::default(), named, owner)
    }

    /// The same with other default paths, for tests.
    ///
    /// # Errors
    /// As [`Installation::open`].
    pub fn open_at(
        places: &Places,
        named: Option<&Path>,
        owner: Owner,
    ) -> Result<Self, ConfigFault> {
        let path = named.unwrap_or(&places.config);
        let directory = directory_of(path, owner);
        let copy = LastConfig::of(places, path, owner);
        let open = |config, in_force| Self::new(places, &directory, config, in_force, path, owner);
        Ok(match load_in(&directory, path, named.is_some()) {
            Ok(Some((text, config))) => {
                copy.keep(&text);
                open(config, InForce::File)
            }
            Ok(None) if copy.is_empty_or_absent() => {
                copy.keep("");
                open(Config::default(), InForce::Defaults)
            }
            Ok(None) => {
                let (config, why) = copy.instead(FileError::new(path, Problem::NoFile).into())?;
                open(config, why)
            }
            Err(fault) => {
                let (config, why) = copy.instead(fault)?;
                open(config, why)
            }
        })
    }

    /// The installation that `config` would be in the file `path`: for a configuration that is checked before it is
    /// installed.
    #[must_use]
    pub fn of(config: Config, path: &Path, owner: Owner) -> Self {
        let directory = directory_of(path, owner);
        Self::new(&Places::default(), &directory, config, InForce::File, path, owner)
    }

    fn new(
        places: &Places,
        directory: &Result<Directory, FileError>,
        config: Config,
        in_force: InForce,
        path: &Path,
        owner: Owner,
    ) -> Self {
        let state_dir = Path::new(config.paths.state_dir.as_str());
        let init = init_command(places, path);
        let identity = Identity::read(directory, path, state_dir, owner, init);
        Self { config, path: path.to_owned(), in_force, identity: Arc::new(identity), owner }
    }

    /// The settings.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The configuration's file, which may be absent.
    #[must_use]
    pub fn config_path(&self) -> &Path {
        &self.path
    }

    /// Which configuration is in force, and why.
    #[must_use]
    pub fn in_force(&self) -> &InForce {
        &self.in_force
    }

    /// What users, administrators and the log are told while the last good configuration is in force; `None` where it is
    /// not.
    #[must_use]
    pub fn warning(&self) -> Option<String> {
        let InForce::LastGood(fault) = &self.in_force else { return None };
        let remedy = match fault {
            ConfigFault::File(FileError { problem: Problem::NoFile, .. }) => {
                "; put it back (an empty file stands for the defaults)"
            }
            _ => "",
        };
        Some(format!("{fault}{remedy}; until then the last good configuration is in force"))
    }

    /// Whose files are trusted.
    #[must_use]
    pub fn owner(&self) -> Owner {
        self.owner
    }

    /// Whether the state directory is this installation's; each of the parts below asks the same by itself.
    ///
    /// # Errors
    /// It is not, or that can't be found out.
    pub fn check_identity(&self) -> Result<(), FileError> {
        self.identity.open_state_dir().map(drop)
    }

    /// Enrollments and states.
    #[must_use]
    pub fn store(&self) -> FileStore {
        let paths = &self.config.paths;
        let store = FileStore::new(&at(&paths.state_dir), &at(&paths.run_dir), self.owner);
        store.of(Arc::clone(&self.identity))
    }

    /// The audit log.
    #[must_use]
    pub fn audit_log(&self) -> PermanentRecord {
        self.audit_log_alone().of(Arc::clone(&self.identity))
    }

    /// The audit log, whatever state directory there is.
    fn audit_log_alone(&self) -> PermanentRecord {
        PermanentRecord::new(&at(&self.config.paths.log_file), self.owner)
    }

    /// Remembered devices.
    #[must_use]
    pub fn remembered(&self) -> Remembered {
        let state_dir = at(&self.config.paths.state_dir);
        Remembered::new(&state_dir, self.owner).of(Arc::clone(&self.identity))
    }

    /// Opens the outbox, with the notices.
    ///
    /// # Errors
    /// Where a directory is missing or can't be trusted, or is not this installation's.
    pub fn outbox(&self) -> Result<Outbox, OutboxError> {
        Outbox::beneath(&self.identity.open_state_dir()?)
    }

    /// Opens the notices alone.
    ///
    /// # Errors
    /// As [`Installation::outbox`].
    pub fn notices(&self) -> Result<Notices, FileError> {
        Notices::beneath(&self.identity.open_state_dir()?)
    }

    /// What keeps a login from using what the configuration names; each would end every login as a failure of the system.
    /// Nothing is made.
    #[must_use]
    pub fn problems(&self) -> Vec<FileError> {
        let paths = &self.config.paths;
        let mut problems = Vec::new();
        match Directory::open(&at(&paths.state_dir), self.owner, Shared::Readable) {
            Ok(state_dir) => {
                problems.extend(self.identity.check(&state_dir).err());
                let inner = |name| state_dir.inner(name, Shared::Nobody).err();
                problems.extend(["users", "state"].into_iter().filter_map(inner));
            }
            Err(error) => problems.push(error),
        }
        problems.extend(self.audit_log_alone().problem());
        problems.extend(problem_of_run_dir(&at(&paths.run_dir), self.owner));
        problems
    }
}

fn at(path: &AbsolutePath) -> PathBuf {
    PathBuf::from(path.as_str())
}

/// The command that makes the identity of the installation with this configuration.
fn init_command(places: &Places, path: &Path) -> String {
    if path == places.config {
        "totp-admin init".to_owned()
    } else {
        format!("totp-admin init --config {}", path.display())
    }
}

/// It comes into being when it is needed, and so does the one above; the next one must be there.
fn problem_of_run_dir(path: &Path, owner: Owner) -> Option<FileError> {
    let mut problem = Directory::open(path, owner, Shared::Nobody).err()?;
    for above in path.ancestors().skip(1).take(2) {
        if problem.problem != Problem::NoDirectory {
            break;
        }
        problem = Directory::open(above, owner, Shared::Readable).err()?;
    }
    Some(problem)
}

#[cfg(test)]
mod tests;
