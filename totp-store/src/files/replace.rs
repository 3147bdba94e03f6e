//! Replacing a whole file so that, whatever happens, either the old or the new one is there, whole.

use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{AtFlags, RenameFlags, renameat, renameat2};
use nix::sys::stat::fstatat;
use nix::unistd::{Gid, UnlinkatFlags, fchown, unlinkat};
use totp_core::time::UnixTime;

use super::{Directory, FileError, Problem};
use crate::entropy;

/// What unfinished files are called: no user's file begins with a dot.
const UNFINISHED: &str = ".new-";

/// Seconds after which an unfinished file has no writer any more.
const ABANDONED: u64 = 3600;

impl Directory {
    /// Puts `bytes` in the place of the file `name`, mode 0600, on stable storage when this returns.
    ///
    /// # Errors
    /// The old file is untouched, unless it is [`Problem::NotDurable`]: then the new one is in place.
    pub fn replace(&self, name: &str, bytes: &[u8]) -> Result<(), FileError> {
        self.replaced(name, bytes, 0o600, None)
    }

    /// As [`Directory::replace`], for a file that others may read (mode 0644, say). It keeps its group: whoever could
    /// read it by that still can.
    ///
    /// # Errors
    /// As [`Directory::replace`].
    pub fn replace_with_mode(&self, name: &str, bytes: &[u8], mode: u32) -> Result<(), FileError> {
        let path = self.at(name)?;
        let group = match fstatat(self.fd(), name, AtFlags::AT_SYMLINK_NOFOLLOW) {
            Ok(found) => Some(Gid::from_raw(found.st_gid)),
            Err(Errno::ENOENT) => None,
            Err(errno) => return Err(FileError::errno(&path, "stat", errno)),
        };
        self.replaced(name, bytes, mode, group)
    }

    fn replaced(
        &self,
        name: &str,
        bytes: &[u8],
        mode: u32,
        group: Option<Gid>,
    ) -> Result<(), FileError> {
        let path = self.at(name)?;
        let unfinished =
            unfinished_name().ok_or_else(|| FileError::errno(&path, "getrandom", Errno::EAGAIN))?;
        let file = self.create(&unfinished)?;
        let done = fill(file, bytes, (mode, group), &path).and_then(|()| {
            renameat(self.fd(), unfinished.as_str(), self.fd(), name)
                .map_err(|errno| FileError::errno(&path, "rename", errno))
        });
        if done.is_err() {
            // Nothing else could be done about a failure here; the sweep takes it away later.
            let _ = unlinkat(self.fd(), unfinished.as_str(), UnlinkatFlags::NoRemoveDir);
        }
        done?;
        self.made_durable(&path)
    }

    /// As [`Directory::replace`], and gives the new file. `prepare` has it before it can be reached by its name: what it
    /// locks nobody else ever finds unlocked. Reaches stable storage only where `durable` says so.
    ///
    /// # Errors
    /// As [`Directory::replace`], and what `prepare` says.
    pub(crate) fn replace_prepared<T>(
        &self,
        name: &str,
        bytes: &[u8],
        durable: bool,
        prepare: impl FnOnce(File) -> Result<T, FileError>,
    ) -> Result<T, FileError> {
        let path = self.at(name)?;
        let unfinished =
            unfinished_name().ok_or_else(|| FileError::errno(&path, "getrandom", Errno::EAGAIN))?;
        let mut file = self.create(&unfinished)?;
        let filled =
            file.write_all(bytes).and_then(|()| if durable { file.sync_all() } else { Ok(()) });
        let done = filled.map_err(|e| FileError::system(&path, "write", &e));
        let done = done.and_then(|()| prepare(file)).and_then(|prepared| {
            renameat(self.fd(), unfinished.as_str(), self.fd(), name)
                .map_err(|errno| FileError::errno(&path, "rename", errno))?;
            Ok(prepared)
        });
        if done.is_err() {
            let _ = unlinkat(self.fd(), unfinished.as_str(), UnlinkatFlags::NoRemoveDir);
        }
        let prepared = done?;
        if durable {
            self.made_durable(&path)?;
        }
        Ok(prepared)
    }

    /// Removes a file that need not be gone for good: `false` where there was none.
    ///
    /// # Errors
    /// Where it can't be removed.
    pub(crate) fn unlink(&self, name: &str) -> Result<bool, FileError> {
        let path = self.at(name)?;
        match unlinkat(self.fd(), name, UnlinkatFlags::NoRemoveDir) {
            Ok(()) => Ok(true),
            Err(Errno::ENOENT) => Ok(false),
            Err(errno) => Err(FileError::errno(&path, "unlink", errno)),
        }
    }

    /// Removes a file; `false` where there was none. On stable storage when this returns.
    ///
    /// # Errors
    /// Where it can't be removed; it is removed where that is [`Problem::NotDurable`].
    pub fn remove(&self, name: &str) -> Result<bool, FileError> {
        let removed = self.unlink(name)?;
        if removed { self.made_durable(&self.at(name)?).map(|()| true) } else { Ok(false) }
    }

    /// Gives a file another name, in the place of what was called so before, for good.
    ///
    /// # Errors
    /// Nothing was renamed, unless it is [`Problem::NotDurable`].
    pub fn rename(&self, from: &str, to: &str) -> Result<(), FileError> {
        let path = self.at(to)?;
        self.at(from)?;
        renameat(self.fd(), from, self.fd(), to)
            .map_err(|errno| FileError::errno(&path, "rename", errno))?;
        self.made_durable(&path)
    }

    /// Moves a file to another directory of the same file system, for good; `false` where that has one of this name.
    ///
    /// # Errors
    /// Where it can't be moved.
    pub(crate) fn move_to(&self, name: &str, other: &Self) -> Result<bool, FileError> {
        let path = other.at(name)?;
        let flags = RenameFlags::RENAME_NOREPLACE;
        match renameat2(self.fd(), name, other.fd(), name, flags) {
            Ok(()) => {}
            Err(Errno::EEXIST) => return Ok(false),
            Err(errno) => return Err(FileError::errno(&path, "rename", errno)),
        }
        other.made_durable(&path)?;
        self.sync()?;
        Ok(true)
    }

    /// Brings names made, renamed and removed in here to stable storage.
    ///
    /// # Errors
    /// Where the disk refuses.
    pub fn sync(&self) -> Result<(), FileError> {
        self.fsync().map_err(|errno| FileError::errno(self.path(), "fsync", errno))
    }

    /// Brings everything on this directory's file system to stable storage: for many files at once.
    ///
    /// # Errors
    /// Where the disk refuses.
    pub(crate) fn sync_all_files(&self) -> Result<(), FileError> {
        nix::unistd::syncfs(self.fd())
            .map_err(|errno| FileError::errno(self.path(), "syncfs", errno))
    }

    fn fsync(&self) -> nix::Result<()> {
        #[cfg(test)]
        if let Some(errno) = self.sync_fails {
            return Err(errno);
        }
        nix::unistd::fsync(self.fd())
    }

    /// The last step of a change to `path`, which is in place already.
    fn made_durable(&self, path: &Path) -> Result<(), FileError> {
        self.fsync().map_err(|errno| FileError::new(path, Problem::NotDurable(errno)))
    }

    /// Removes what a killed replacement left behind more than an hour before `now`.
    ///
    /// # Errors
    /// Where the directory can't be read. A file that can't be removed stays.
    pub fn sweep(&self, now: UnixTime) -> Result<(), FileError> {
        for name in self.names_that(|name| name.starts_with(UNFINISHED))? {
            let Ok(found) = fstatat(self.fd(), name.as_str(), AtFlags::AT_SYMLINK_NOFOLLOW) else {
                continue;
            };
            let written = UnixTime(u64::try_from(found.st_mtime).unwrap_or(0));
            if now.since(written) > ABANDONED {
                let _ = unlinkat(self.fd(), name.as_str(), UnlinkatFlags::NoRemoveDir);
            }
        }
        Ok(())
    }
}

fn unfinished_name() -> Option<String> {
    let random = entropy::bytes::<8>().ok()?;
    Some(format!("{UNFINISHED}{:016x}", u64::from_ne_bytes(random)))
}

fn fill(
    mut file: File,
    bytes: &[u8],
    (mode, group): (u32, Option<Gid>),
    path: &Path,
) -> Result<(), FileError> {
    use std::os::unix::fs::PermissionsExt as _;
    file.write_all(bytes).map_err(|e| FileError::system(path, "write", &e))?;
    let found = file.metadata().map_err(|e| FileError::system(path, "fstat", &e))?;
    // Before the mode: nobody gets access by the wrong group meanwhile.
    if let Some(group) = group.filter(|group| group.as_raw() != found.gid()) {
        fchown(&file, None, Some(group))
            .map_err(|errno| FileError::errno(path, "fchown", errno))?;
    }
    if found.mode() & 0o7777 != mode {
        let wanted = std::fs::Permissions::from_mode(mode);
        file.set_permissions(wanted).map_err(|e| FileError::system(path, "fchmod", &e))?;
    }
    file.sync_all().map_err(|e| FileError::system(path, "fsync", &e))
}
