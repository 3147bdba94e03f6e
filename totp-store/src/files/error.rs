//! What can be wrong with a file: each message names the path, what is the matter, and the remedy.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use thiserror::Error;

/// A path and what is wrong there.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub struct FileError {
    /// Where.
    pub path: PathBuf,
    /// What.
    pub problem: Problem,
}

/// How the words beside the configuration and in the state directory differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mismatch {
    /// There is none on either side.
    Neither,
    /// There is none beside the configuration.
    NotBeside,
    /// There is none in the state directory.
    NotInside,
    /// They are two words.
    Different,
}

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// A directory that must be there is not.
    NoDirectory,
    /// A file that must be there is not.
    NoFile,
    /// A link in the place of a file or directory.
    Link,
    /// Something else in the place of a directory.
    NotADirectory,
    /// Something else (named) in the place of a regular file.
    NotAFile(&'static str),
    /// Another owner, by uid.
    Owner {
        /// Whose it is.
        found: u32,
        /// Whose it must be.
        wanted: u32,
    },
    /// Permissions for those who must have none.
    Mode {
        /// The permission bits.
        found: u32,
        /// Those of them that must not be set.
        forbidden: u32,
    },
    /// A second name for the file.
    Links(u64),
    /// More bytes than there can be.
    Size {
        /// Its size.
        found: u64,
        /// The limit.
        at_most: u64,
    },
    /// Not text.
    NotUtf8,
    /// A name with a slash, or none.
    BadName,
    /// An identity that is no random word.
    NoWord,
    /// The state directory is not this installation's.
    OtherInstallation {
        /// How the two words are related.
        mismatch: Mismatch,
        /// The file beside the configuration.
        beside: PathBuf,
        /// The command that makes the identity.
        init: String,
    },
    /// The file was replaced or removed, but its directory couldn't be brought to stable storage (fsync).
    NotDurable(Errno),
    /// A system call that failed.
    System {
        /// Which.
        call: &'static str,
        /// Why.
        errno: Errno,
    },
}

impl FileError {
    pub(crate) fn new(path: &Path, problem: Problem) -> Self {
        Self { path: path.to_owned(), problem }
    }

    pub(crate) fn system(path: &Path, call: &'static str, error: &io::Error) -> Self {
        Self::errno(path, call, errno_of(error))
    }

    pub(crate) fn errno(path: &Path, call: &'static str, errno: Errno) -> Self {
        Self::new(path, Problem::System { call, errno })
    }

    /// Whether what was asked for has been done all the same.
    #[must_use]
    pub fn is_in_place(&self) -> bool {
        matches!(self.problem, Problem::NotDurable(_))
    }

    /// The system's error number, if a system call failed.
    #[must_use]
    pub fn errno_if_system(&self) -> Option<Errno> {
        match self.problem {
            Problem::System { errno, .. } | Problem::NotDurable(errno) => Some(errno),
            _ => None,
        }
    }
}

/// What the system said; an error that std made up itself (a short write) counts as an I/O error.
pub(crate) fn errno_of(error: &io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::EIO, Errno::from_raw)
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match &self.problem {
            Problem::NoDirectory => write!(
                f,
                "{path}: no such directory; the installation makes it, so mount what should be there or install again"
            ),
            Problem::NoFile => write!(f, "{path}: no such file"),
            Problem::Link => {
                write!(
                    f,
                    "{path}: is a symbolic link; put the real thing there, or configure its real path"
                )
            }
            Problem::NotADirectory => {
                write!(f, "{path}: is not a directory; move it away and install again")
            }
            Problem::NotAFile(what) => write!(f, "{path}: is {what}, not a file; remove it"),
            Problem::Owner { found, wanted } => {
                write!(
                    f,
                    "{path}: belongs to uid {found}; look who put it there, then: chown {wanted} {path}"
                )
            }
            Problem::Mode { found, forbidden } => write!(
                f,
                "{path}: others have access (mode {found:04o}); chmod {:o} {path}",
                found & !forbidden
            ),
            Problem::Links(count) => {
                write!(f, "{path}: has {count} names (hard links); find -xdev -samefile {path}")
            }
            Problem::Size { found, at_most } => {
                write!(f, "{path}: has {found} bytes, more than the {at_most} it can have")
            }
            Problem::NotUtf8 => write!(f, "{path}: is not UTF-8 text"),
            Problem::BadName => write!(f, "{path}: is not a file name"),
            Problem::NoWord => write!(
                f,
                "{path}: is not the identity of an installation (32 lower-case hexadecimal digits); bring it back from a \
                 backup, or, where the state directory is known to be right: totp-admin init --adopt"
            ),
            Problem::OtherInstallation { mismatch, beside, init } => {
                let beside = beside.display();
                match mismatch {
                    Mismatch::Neither => write!(f, "{path} and {beside}: neither exists")?,
                    Mismatch::NotBeside => write!(f, "{path}: exists, and {beside} does not")?,
                    Mismatch::NotInside => write!(f, "{path}: does not exist, and {beside} does")?,
                    Mismatch::Different => write!(f, "{path} and {beside}: differ")?,
                }
                // Only what the command then does is offered.
                let remedy = match mismatch {
                    Mismatch::Neither => "for a new installation, or one of version 0.1",
                    _ => "where the state directory is known to be right",
                };
                let adopt = if matches!(mismatch, Mismatch::Neither) { "" } else { " --adopt" };
                write!(f, "; not mounted? Mount what belongs there; {remedy}: {init}{adopt}")
            }
            Problem::NotDurable(errno) => write!(
                f,
                "{path}: the change is in place, but may not survive a power failure (fsync: {}); look at the disk",
                errno.desc()
            ),
            Problem::System { call, errno } => write!(f, "{path}: {call}: {}", errno.desc()),
        }
    }
}
