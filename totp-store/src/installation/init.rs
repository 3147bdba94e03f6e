//! Makes an installation: its directories, and its identity. Nothing else makes anything below the state directory but the
//! files in it.
//!
//! The identity comes last. Whatever ends this in between leaves an installation without identity, or with one on one side
//! only: then nothing is decided, and `init` completes it or says what to do.

use std::path::{Path, PathBuf};

use thiserror::Error;
use totp_core::store::Fault;

use super::last_config::DIRECTORY as LAST_CONFIG;
use super::{Installation, Places, at, init_command};
use crate::config::{self, ConfigFault, directory_of};
use crate::entropy::EntropyError;
use crate::files::{Access, Demand, Directory, FileError, Mismatch, Owner, Problem, Shared};
use crate::identity::{self, Word, word_inside};
use crate::outbox::{self, CURSOR, first_cursor};
use crate::permanent::PermanentRecord;
use crate::store::{FileStore, uids};
use crate::{notices, remembered};

/// Directories without which users are not told anything, no device is remembered, or no enrollment is found by a uid: made
/// where they are missing.
const AUXILIARY: [&str; 4] = [outbox::NAME, notices::NAME, remembered::NAME, uids::NAME];

/// Directories that are made with the installation alone: without them it is damaged.
const ESSENTIAL: [&str; 2] = ["users", "state"];

/// A state of version 0.1 is no larger.
const A_STATE: Demand = Demand::private(65_536);

/// Why an installation was not made.
#[derive(Debug, Error)]
pub enum NotMade {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigFault),
    /// A file or a directory, or the identity.
    #[error(transparent)] // its text would be said twice as a source
    File(#[from] FileError),
    /// A directory that an installation always has is missing.
    #[error("{}: does not exist in a state directory that is not new; damaged or not mounted? Mount it or restore it \
        from a backup; where the rest is known to be right: {init} --adopt", .path.display())]
    Damaged {
        /// The directory.
        path: PathBuf,
        /// This command.
        init: String,
    },
    /// There is an audit log, and none of what it is about.
    #[error("{}: has records, but {} is empty; not mounted? Mount what belongs there; where it is meant to begin anew: \
        {init} --adopt", .log.display(), .state_dir.display())]
    NothingButLog {
        /// The audit log.
        log: PathBuf,
        /// The state directory.
        state_dir: PathBuf,
        /// This command.
        init: String,
    },
    /// No random bytes.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
}

/// What becomes of the identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Means {
    /// A new installation gets one.
    New,
    /// An installation that is not new gets one, which is recorded in the audit log with this reason.
    Adopt(String),
    /// It is in order.
    Keep,
}

/// An installation that is to be made.
#[derive(Debug)]
pub struct Init {
    installation: Installation,
    places: Places,
    means: Means,
    /// What both sides get; unused where the identity is kept.
    word: Word,
}

/// A step. Each is done when it returns, for good, and does nothing where that is the case already.
enum Step {
    /// A directory that gets mode 0755, or 0700 and may be readable by others.
    Readable(PathBuf, Shared),
    /// A directory that is the owner's alone.
    Private(PathBuf),
    /// Gives /run/pam-totp, which version 0.1 made with mode 0700, the mode that its sockets need.
    OpenRun,
    /// Moves states that version 0.1 left in /run/pam-totp.
    MoveStates,
    /// From which line of the audit log on users are told.
    Cursor,
}

/// What lies in the state directory.
struct Tree {
    /// An essential directory that is missing.
    missing: Option<&'static str>,
    /// Whether any file tells that the installation is not new.
    is_populated: bool,
}

impl Init {
    /// Decides what is to be done. `adopt`: the administrator says that the state directory is the right one.
    ///
    /// # Errors
    /// The installation is another one's, damaged or not mounted, as far as can be seen; nothing has been made.
    pub fn prepare(
        places: &Places,
        named: Option<&Path>,
        owner: Owner,
        adopt: bool,
    ) -> Result<Self, NotMade> {
        let path = named.unwrap_or(&places.config);
        let directory = directory_of(path, owner);
        // Never the last good one: what is made must be what the file says.
        let config = config::load_in(&directory, path, named.is_some())?;
        let (config, in_force) = match config {
            Some((_, config)) => (config, super::InForce::File),
            None => (totp_core::policy::Config::default(), super::InForce::Defaults),
        };
        let installation = Installation::new(places, &directory, config, in_force, path, owner);
        let word = Word::fresh()?;
        let means = means(places, &installation, adopt)?;
        Ok(Self { installation, places: places.clone(), means, word })
    }

    /// The configuration's installation.
    #[must_use]
    pub fn installation(&self) -> &Installation {
        &self.installation
    }

    /// What becomes of the identity.
    #[must_use]
    pub fn means(&self) -> &Means {
        &self.means
    }

    /// The audit log, for the record of an adoption: before there is an identity.
    #[must_use]
    pub fn audit_log(&self) -> PermanentRecord {
        self.installation.audit_log_alone()
    }

    /// Makes all directories that are missing, and gives them.
    ///
    /// # Errors
    /// What can't be made or trusted. It can be begun anew.
    pub fn make_directories(&self) -> Result<Vec<PathBuf>, FileError> {
        let mut made = Vec::new();
        for step in self.steps() {
            made.extend(self.take(&step)?);
        }
        Ok(made)
    }

    /// Writes the identity, unless it is kept: the directories are there.
    ///
    /// # Errors
    /// It is not there on both sides.
    pub fn give_identity(&self) -> Result<(), FileError> {
        if self.means == Means::Keep {
            return Ok(());
        }
        self.write_inside()?;
        self.write_beside()
    }

    /// Makes the index by uid, or makes it right, once there is an identity: until then it only denies. Gives how many of its
    /// files were not right.
    ///
    /// # Errors
    /// It is not complete.
    pub fn make_index(&self) -> Result<usize, Fault> {
        let paths = &self.installation.config().paths;
        let (state_dir, run_dir) = (at(&paths.state_dir), at(&paths.run_dir));
        FileStore::new(&state_dir, &run_dir, self.owner()).make_index()
    }

    fn write_inside(&self) -> Result<(), FileError> {
        self.state_dir()?.replace(identity::FILE, self.word.text().as_bytes())
    }

    fn write_beside(&self) -> Result<(), FileError> {
        let directory = directory_of(self.installation.config_path(), self.owner())?;
        directory.replace_with_mode(identity::FILE, self.word.text().as_bytes(), 0o644)
    }

    fn steps(&self) -> Vec<Step> {
        let paths = &self.installation.config().paths;
        let state_dir = at(&paths.state_dir);
        let log_dir = at(&paths.log_file).parent().map(Path::to_owned);
        let run_dir = at(&paths.run_dir);
        let config_dir = self.installation.config_path().parent().map(Path::to_owned);
        let is_default = self.installation.config_path() == self.places.config;
        let mut steps = Vec::new();
        steps.extend(config_dir.map(|path| Step::Readable(path, Shared::Readable)));
        steps.push(Step::Readable(state_dir.clone(), Shared::Nobody));
        // A configuration of its own, as a test has, makes nothing where the default one has its directories.
        if is_default || self.places.state_dir.exists() {
            steps.push(Step::Readable(self.places.state_dir.clone(), Shared::Nobody));
            steps.push(Step::Private(self.places.state_dir.join(LAST_CONFIG)));
        }
        let inner = ESSENTIAL.iter().chain(&AUXILIARY);
        steps.extend(inner.map(|name| Step::Private(state_dir.join(name))));
        steps.extend(log_dir.map(|path| Step::Readable(path, Shared::Nobody)));
        if run_dir.parent() == Some(&self.places.run) {
            steps.push(Step::Readable(self.places.run.clone(), Shared::Readable));
            steps.extend([Step::OpenRun, Step::Private(run_dir), Step::MoveStates]);
        } else {
            steps.push(Step::Private(run_dir));
        }
        steps.push(Step::Cursor);
        steps
    }

    /// Takes a step; gives the directory that it made.
    fn take(&self, step: &Step) -> Result<Option<PathBuf>, FileError> {
        let owner = self.owner();
        match step {
            Step::Readable(path, made) => make(path, owner, Shared::Readable, *made),
            Step::Private(path) => make(path, owner, Shared::Nobody, Shared::Nobody),
            Step::OpenRun => self.run()?.set_mode(Shared::Readable).map(|()| None),
            Step::MoveStates => self.move_states().map(|()| None),
            Step::Cursor => self.set_cursor().map(|()| None),
        }
    }

    fn move_states(&self) -> Result<(), FileError> {
        let run = self.run()?;
        let run_dir = at(&self.installation.config().paths.run_dir);
        let run_dir = Directory::open(&run_dir, self.owner(), Shared::Nobody)?;
        for name in run.names_that(|name| !is_unfinished(name))? {
            // Sockets and directories are none.
            if let Ok(Some(_)) = run.file(&name, Access::Read, A_STATE) {
                run.move_to(&name, &run_dir)?;
            }
        }
        Ok(())
    }

    /// An installation with an audit log and without a cursor is one from before there was an outbox: its users are not told
    /// what happened then.
    fn set_cursor(&self) -> Result<(), FileError> {
        let outbox = self.state_dir()?.inner(outbox::NAME, Shared::Nobody)?;
        let is_there = outbox.file(CURSOR, Access::Read, Demand::private(u64::MAX))?.is_some();
        if is_there || self.audit_log().exists()? {
            return Ok(());
        }
        outbox.replace(CURSOR, first_cursor().as_bytes())
    }

    fn state_dir(&self) -> Result<Directory, FileError> {
        let path = at(&self.installation.config().paths.state_dir);
        Directory::open(&path, self.owner(), Shared::Readable)
    }

    fn run(&self) -> Result<Directory, FileError> {
        Directory::open(&self.places.run, self.owner(), Shared::Readable)
    }

    fn owner(&self) -> Owner {
        self.installation.owner
    }
}

/// Decides what becomes of the identity, from both its sides and from what lies in the state directory.
fn means(places: &Places, installation: &Installation, adopt: bool) -> Result<Means, NotMade> {
    let state_dir = at(&installation.config().paths.state_dir);
    let init = || init_command(places, installation.config_path());
    let opened = absence(Directory::open(&state_dir, installation.owner, Shared::Readable))?;
    let tree = Tree::of(opened.as_ref())?;
    let beside = side(installation.identity.beside(), adopt)?;
    let inside = side(opened.as_ref().map_or(Ok(None), word_inside), adopt)?;
    let damaged =
        tree.missing.map(|name| NotMade::Damaged { path: state_dir.join(name), init: init() });
    let adopted = |why: &str| Ok(Means::Adopt(why.to_owned()));
    match (beside, inside) {
        (Side::Word(beside), Side::Word(inside)) if beside == inside => match damaged {
            None => Ok(Means::Keep),
            Some(_) if adopt => adopted("--adopt: a directory was missing"),
            Some(damaged) => Err(damaged),
        },
        (Side::Absent, Side::Absent) if tree.is_populated => match damaged {
            None => adopted("an installation without identity, of version 0.1"),
            Some(_) if adopt => adopted("--adopt: no identity, and a directory was missing"),
            Some(damaged) => Err(damaged),
        },
        (Side::Absent, Side::Absent) => {
            let log = installation.audit_log_alone();
            if !log.exists()? {
                return Ok(Means::New);
            }
            if adopt {
                return adopted("--adopt: no identity, and an empty state directory");
            }
            Err(NotMade::NothingButLog { log: log.path().to_owned(), state_dir, init: init() })
        }
        _ if adopt => adopted("--adopt: the identities did not match"),
        (beside, inside) => {
            let mismatch = match (beside, inside) {
                (Side::Absent, _) => Mismatch::NotBeside,
                (_, Side::Absent) => Mismatch::NotInside,
                _ => Mismatch::Different,
            };
            Err(installation.identity.other_installation(mismatch).into())
        }
    }
}

/// One side of the identity.
#[derive(PartialEq, Eq)]
enum Side {
    Absent,
    Word(Word),
    /// No word, which `--adopt` replaces.
    Damaged,
}

fn side(read: Result<Option<Word>, FileError>, adopt: bool) -> Result<Side, FileError> {
    match read {
        Ok(None) => Ok(Side::Absent),
        Ok(Some(word)) => Ok(Side::Word(word)),
        Err(error) if adopt && error.problem == Problem::NoWord => Ok(Side::Damaged),
        Err(error) => Err(error),
    }
}

impl Tree {
    fn of(state_dir: Option<&Directory>) -> Result<Self, FileError> {
        let mut tree = Self { missing: None, is_populated: false };
        for name in ESSENTIAL.into_iter().chain(AUXILIARY) {
            let inner = match state_dir {
                Some(above) => absence(above.inner(name, Shared::Nobody))?,
                None => None,
            };
            match inner {
                Some(inner) => {
                    let tells = |file: &str| {
                        !is_unfinished(file) && ![CURSOR, uids::MARKER].contains(&file)
                    };
                    tree.is_populated |= !inner.names_that(tells)?.is_empty();
                }
                None if ESSENTIAL.contains(&name) => {
                    tree.missing.get_or_insert(name);
                }
                None => {}
            }
        }
        Ok(tree)
    }
}

/// Whether a file is a replacement that was broken off.
fn is_unfinished(name: &str) -> bool {
    name.starts_with(".new-")
}

fn absence(opened: Result<Directory, FileError>) -> Result<Option<Directory>, FileError> {
    match opened {
        Ok(directory) => Ok(Some(directory)),
        Err(error) if error.problem == Problem::NoDirectory => Ok(None),
        Err(error) => Err(error),
    }
}

/// Opens a directory, and makes it where it is missing; gives what was made.
fn make(
    path: &Path,
    owner: Owner,
    accepted: Shared,
    made: Shared,
) -> Result<Option<PathBuf>, FileError> {
    if absence(Directory::open(path, owner, accepted))?.is_some() {
        return Ok(None);
    }
    Directory::open_or_make(path, owner, made)?;
    Ok(Some(path.to_owned()))
}

#[cfg(test)]
mod tests;
