//! Files nobody but root could have put there: opened beneath a directory's descriptor, without following links,
//! and checked on the open descriptor. Every other part of this crate reaches the disk through here.

mod directory;
mod error;
mod replace;
#[cfg(test)]
mod tests;

use std::fs::{File, Metadata};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;

use nix::unistd::Uid;

pub use directory::{Access, Directory, Shared};
pub(crate) use error::errno_of;
pub use error::{FileError, Mismatch, Problem};

/// Who must own what is trusted: root in every installation; whoever runs a test that needs no root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner(Uid);

impl Owner {
    /// Root.
    pub const ROOT: Self = Self(Uid::from_raw(0));

    /// The effective user of this process: for tests, and for nothing else.
    #[must_use]
    pub fn this_process() -> Self {
        Self(Uid::effective())
    }

    fn is(self, uid: u32) -> bool {
        self.0.as_raw() == uid
    }
}

/// What a regular file must be, apart from owned by the right one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Demand {
    /// Permission bits that must not be set.
    pub forbidden: u32,
    /// Bytes it may have at most.
    pub at_most: u64,
}

impl Demand {
    /// No access for group and others: records, states, the permanent record.
    #[must_use]
    pub const fn private(at_most: u64) -> Self {
        Self { forbidden: 0o077, at_most }
    }

    /// Readable by all, written by its owner alone: the configuration.
    #[must_use]
    pub const fn unwritable(at_most: u64) -> Self {
        Self { forbidden: 0o022, at_most }
    }
}

/// Checks an open descriptor. `path` is for the message.
///
/// # Errors
/// Not a regular file, another owner, forbidden bits, several links, too large.
pub fn check(
    file: &File,
    path: &Path,
    owner: Owner,
    demand: Demand,
) -> Result<Metadata, FileError> {
    let found = file.metadata().map_err(|e| FileError::system(path, "fstat", &e))?;
    let fail = |problem| Err(FileError::new(path, problem));
    if !found.is_file() {
        return fail(Problem::NotAFile(kind(&found)));
    }
    if !owner.is(found.uid()) {
        return fail(Problem::Owner { found: found.uid(), wanted: owner.0.as_raw() });
    }
    if found.mode() & demand.forbidden != 0 {
        return fail(Problem::Mode { found: found.mode() & 0o7777, forbidden: demand.forbidden });
    }
    if found.nlink() != 1 {
        return fail(Problem::Links(found.nlink()));
    }
    if found.size() > demand.at_most {
        return fail(Problem::Size { found: found.size(), at_most: demand.at_most });
    }
    Ok(found)
}

fn kind(found: &Metadata) -> &'static str {
    let file_type = found.file_type();
    if file_type.is_dir() {
        "a directory"
    } else if file_type.is_symlink() {
        "a symbolic link"
    } else if file_type.is_fifo() {
        "a FIFO"
    } else if file_type.is_socket() {
        "a socket"
    } else {
        "a device"
    }
}
