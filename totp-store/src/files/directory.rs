//! A directory that only its owner could have arranged, held by its descriptor.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Component, Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, OpenHow, ResolveFlag, openat, openat2};
use nix::sys::stat::{FileStat, Mode, fstatat, mkdirat};
use rustix::fs::Dir;
use rustix::io::fcntl_dupfd_cloexec;
use zeroize::{Zeroize as _, Zeroizing};

use super::{Demand, FileError, Owner, Problem, check};

/// Who may read a directory besides its owner. Nobody else ever writes to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shared {
    /// Nobody: mode 0700 at most.
    Nobody,
    /// Others may look: mode 0755 at most.
    Readable,
}

impl Shared {
    fn forbidden(self) -> u32 {
        match self {
            Self::Nobody => 0o077,
            Self::Readable => 0o022,
        }
    }

    /// Of a directory that is made.
    fn mode(self) -> u32 {
        match self {
            Self::Nobody => 0o700,
            Self::Readable => 0o755,
        }
    }
}

/// What a file is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Reading alone.
    Read,
    /// Reading and overwriting.
    Write,
}

/// An open, checked directory.
#[derive(Debug)]
pub struct Directory {
    fd: OwnedFd,
    path: PathBuf,
    owner: Owner,
    /// What fsync says of it, in tests.
    #[cfg(test)]
    pub(super) sync_fails: Option<Errno>,
}

impl Directory {
    /// Opens an absolute path without following a link. Everything above it is root's or `owner`'s and can't be rearranged
    /// by others (sticky directories such as `/tmp` may stand above, not at the end): so what is looked at first is still
    /// there when the last one is opened.
    ///
    /// # Errors
    /// A component that is missing, a link, somebody else's, or writable by others.
    pub fn open(path: &Path, owner: Owner, shared: Shared) -> Result<Self, FileError> {
        let mut components = path.components().peekable();
        if components.next() != Some(Component::RootDir) {
            return Err(FileError::new(path, Problem::BadName));
        }
        let mut so_far = PathBuf::from("/");
        while let Some(component) = components.next() {
            let Component::Normal(name) = component else {
                return Err(FileError::new(path, Problem::BadName));
            };
            check_above(&so_far, owner)?;
            so_far.push(name);
            if components.peek().is_none() {
                let fd = open_directory(AT_FDCWD, &so_far, &so_far)?;
                return Self::checked(fd, so_far, owner, shared);
            }
        }
        let root = open_directory(AT_FDCWD, &so_far, &so_far)?;
        Self::checked(root, so_far, owner, shared)
    }

    /// Opens a directory in this one.
    ///
    /// # Errors
    /// As [`Directory::open`].
    pub fn inner(&self, name: &str, shared: Shared) -> Result<Self, FileError> {
        let path = self.at(name)?;
        let fd = open_directory(&self.fd, Path::new(name), &path)?;
        Self::checked(fd, path, self.owner, shared)
    }

    /// Makes a directory in this one with exactly the mode that `shared` stands for, if it is not there yet, and opens it.
    ///
    /// # Errors
    /// As [`Directory::open`], and whatever keeps a directory from being made.
    pub fn inner_or_made(&self, name: &str, shared: Shared) -> Result<Self, FileError> {
        let path = self.at(name)?;
        match mkdirat(&self.fd, name, Mode::S_IRWXU) {
            Ok(()) => {
                let made = self.inner(name, Shared::Nobody)?;
                made.set_mode(shared)?;
                made.sync()?;
                Ok(made)
            }
            Err(Errno::EEXIST) => self.inner(name, shared),
            Err(errno) => Err(FileError::errno(&path, "mkdir", errno)),
        }
    }

    /// Opens `path`, or makes it in the directory above, which must be there.
    ///
    /// # Errors
    /// As [`Directory::inner_or_made`].
    pub(crate) fn open_or_make(
        path: &Path,
        owner: Owner,
        shared: Shared,
    ) -> Result<Self, FileError> {
        let name = path.file_name().and_then(|name| name.to_str());
        let (Some(above), Some(name)) = (path.parent(), name) else {
            return Self::open(path, owner, shared);
        };
        match Self::open(path, owner, shared) {
            Err(error) if error.problem == Problem::NoDirectory => {}
            other => return other,
        }
        let above = Self::open(above, owner, Shared::Readable)?;
        let made = above.inner_or_made(name, shared)?;
        above.sync()?;
        Ok(made)
    }

    /// Gives the directory the mode that `shared` stands for.
    pub(crate) fn set_mode(&self, shared: Shared) -> Result<(), FileError> {
        let mode = Mode::from_bits_truncate(shared.mode());
        nix::sys::stat::fchmod(&self.fd, mode)
            .map_err(|errno| FileError::errno(&self.path, "fchmod", errno))
    }

    fn checked(
        fd: OwnedFd,
        path: PathBuf,
        owner: Owner,
        shared: Shared,
    ) -> Result<Self, FileError> {
        let found = stat(&fd, &path)?;
        if !owner.is(found.st_uid) {
            let problem = Problem::Owner { found: found.st_uid, wanted: owner.0.as_raw() };
            return Err(FileError::new(&path, problem));
        }
        if found.st_mode & shared.forbidden() != 0 {
            let (found, forbidden) = (found.st_mode & 0o7777, shared.forbidden());
            return Err(FileError::new(&path, Problem::Mode { found, forbidden }));
        }
        Ok(Self {
            fd,
            path,
            owner,
            #[cfg(test)]
            sync_fails: None,
        })
    }

    /// As on a disk that breaks.
    #[cfg(test)]
    pub(crate) fn that_fails_to_sync(self, errno: Errno) -> Self {
        Self { sync_fails: Some(errno), ..self }
    }

    /// Where this directory is, for messages.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn fd(&self) -> &OwnedFd {
        &self.fd
    }

    /// Whose files are trusted here.
    #[must_use]
    pub fn owner(&self) -> Owner {
        self.owner
    }

    /// Opens and checks a file of this directory. `None` is a proven absence: the look-up succeeded, in a directory that
    /// is still linked, and there is nothing of this name.
    ///
    /// # Errors
    /// Whatever is there but is not what was asked for, and whatever cannot be looked at.
    pub fn file(
        &self,
        name: &str,
        access: Access,
        demand: Demand,
    ) -> Result<Option<File>, FileError> {
        Ok(self.open_file(name, access, demand)?.map(|(file, _)| file))
    }

    /// The file and its size.
    fn open_file(
        &self,
        name: &str,
        access: Access,
        demand: Demand,
    ) -> Result<Option<(File, u64)>, FileError> {
        let path = self.at(name)?;
        let flags = match access {
            Access::Read => OFlag::O_RDONLY,
            Access::Write => OFlag::O_RDWR,
        };
        for _ in 0..REPLACED_AT_MOST {
            let fd = match open_beneath(&self.fd, Path::new(name), flags, Mode::empty()) {
                Ok(fd) => fd,
                Err(Errno::ENOENT) => return self.still_linked().map(|()| None),
                Err(errno) => return Err(self.refusal(name, &path, errno)),
            };
            let file = File::from(fd);
            match check(&file, &path, self.owner, demand) {
                Ok(found) => return Ok(Some((file, found.len()))),
                // Removed or replaced in between: what the name is now is what counts.
                Err(error) if error.problem == Problem::Links(0) => {}
                Err(error) => return Err(error),
            }
        }
        Err(FileError::new(&path, Problem::Links(0)))
    }

    /// The whole text of a file; `None` where it is proven absent.
    ///
    /// # Errors
    /// As [`Directory::file`]; also what is not UTF-8.
    pub fn text(&self, name: &str, demand: Demand) -> Result<Option<Zeroizing<String>>, FileError> {
        let Some((file, size)) = self.open_file(name, Access::Read, demand)? else {
            return Ok(None);
        };
        read_text(&file, size, &self.at(name)?, demand.at_most).map(Some)
    }

    /// Makes a file that is not there yet, of mode 0600 whatever the umask, and opens it for reading and writing.
    ///
    /// # Errors
    /// `EEXIST` where there is something, and whatever keeps a file from being made.
    pub fn create(&self, name: &str) -> Result<File, FileError> {
        let path = self.at(name)?;
        let flags = OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_EXCL;
        let mode = Mode::S_IRUSR | Mode::S_IWUSR;
        let fd = open_beneath(&self.fd, Path::new(name), flags, mode)
            .map_err(|errno| FileError::errno(&path, "create", errno))?;
        // A umask such as 0277 would leave a file that the next login can't open.
        nix::sys::stat::fchmod(&fd, mode)
            .map_err(|errno| FileError::errno(&path, "fchmod", errno))?;
        Ok(File::from(fd))
    }

    /// Whether `name` still is the open file `file`.
    ///
    /// # Errors
    /// Whatever keeps one from looking, apart from absence.
    pub fn names(&self, name: &str, file: &File) -> Result<bool, FileError> {
        let path = self.at(name)?;
        let open = file.metadata().map_err(|e| FileError::system(&path, "fstat", &e))?;
        match fstatat(&self.fd, name, AtFlags::AT_SYMLINK_NOFOLLOW) {
            Ok(found) => Ok(found.st_ino == open.ino() && found.st_dev == open.dev()),
            Err(Errno::ENOENT) => Ok(false),
            Err(errno) => Err(FileError::errno(&path, "stat", errno)),
        }
    }

    /// The names in this directory, unsorted, without those that begin with a dot.
    ///
    /// # Errors
    /// Where it can't be read.
    pub fn list(&self) -> Result<Vec<String>, FileError> {
        self.names_that(|name| !name.starts_with('.'))
    }

    /// The names in this directory that are `wanted`, unsorted.
    pub(crate) fn names_that(
        &self,
        wanted: impl Fn(&str) -> bool,
    ) -> Result<Vec<String>, FileError> {
        let failed =
            |e: rustix::io::Errno| FileError::system(&self.path, "readdir", &io::Error::from(e));
        let mut names = Vec::new();
        for entry in Dir::read_from(&self.fd).map_err(failed)? {
            // What is not UTF-8 was not made here.
            let entry = entry.map_err(failed)?;
            let name = entry.file_name().to_str().ok();
            let name = name.filter(|name| *name != "." && *name != ".." && wanted(name));
            names.extend(name.map(str::to_owned));
        }
        Ok(names)
    }

    /// The path of `name` in here, for messages; refuses what is not a single component.
    pub(super) fn at(&self, name: &str) -> Result<PathBuf, FileError> {
        let path = self.path.join(name);
        let single = !name.is_empty() && name != "." && name != ".." && !name.contains(['/', '\0']);
        if single { Ok(path) } else { Err(FileError::new(&path, Problem::BadName)) }
    }

    /// In a directory that was removed after it was opened nothing is found, which proves nothing.
    fn still_linked(&self) -> Result<(), FileError> {
        let found = stat(&self.fd, &self.path)?;
        if found.st_nlink == 0 {
            Err(FileError::new(&self.path, Problem::NoDirectory))
        } else {
            Ok(())
        }
    }

    /// Says what stands in the way of a file that couldn't be opened.
    fn refusal(&self, name: &str, path: &Path, errno: Errno) -> FileError {
        let link = fstatat(&self.fd, name, AtFlags::AT_SYMLINK_NOFOLLOW)
            .is_ok_and(|found| is_kind(&found, S_IFLNK));
        let problem = match errno {
            Errno::ELOOP if link => Problem::Link,
            Errno::EISDIR => Problem::NotAFile("a directory"),
            Errno::ENXIO => Problem::NotAFile("a socket or a device"),
            errno => Problem::System { call: "open", errno },
        };
        FileError::new(path, problem)
    }
}

impl AsFd for Directory {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Reads an open file of `size` and at most `at_most` bytes as text, from its beginning. No copy of it stays in memory.
pub(super) fn read_text(
    file: &File,
    size: u64,
    path: &Path,
    at_most: u64,
) -> Result<Zeroizing<String>, FileError> {
    // A byte more than there is, so that the buffer never moves, and a file that has grown since doesn't seem whole.
    let read = |size: u64| {
        let size = usize::try_from(size.min(at_most)).unwrap_or(0);
        let mut bytes = Zeroizing::new(vec![0; size.saturating_add(1)]);
        let found = read_from_start(file, &mut bytes, size)
            .map_err(|e| FileError::system(path, "read", &e))?;
        Ok((bytes, found))
    };
    let (mut bytes, mut found) = read(size)?;
    if found == bytes.len() {
        (bytes, found) = read(at_most)?;
    }
    let length = u64::try_from(found).unwrap_or(u64::MAX);
    if length > at_most {
        return Err(FileError::new(path, Problem::Size { found: length, at_most }));
    }
    bytes.truncate(found);
    match String::from_utf8(std::mem::take(&mut bytes)) {
        Ok(text) => Ok(Zeroizing::new(text)),
        Err(error) => {
            error.into_bytes().zeroize();
            Err(FileError::new(path, Problem::NotUtf8))
        }
    }
}

/// Fills `space`, which has a byte more than the file's `size`, with what the file has; how many bytes that is. With all of
/// `size` in it and nothing behind, there is no further read to be told of the end.
fn read_from_start(file: &File, space: &mut [u8], size: usize) -> io::Result<usize> {
    let mut filled: usize = 0;
    while let Some(rest) = space.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        let at = u64::try_from(filled).unwrap_or(u64::MAX);
        match file.read_at(rest, at) {
            Ok(0) => break,
            Ok(more) => filled = filled.saturating_add(more),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        if filled == size {
            break;
        }
    }
    Ok(filled)
}

/// As often a file may be replaced between its opening and the look at it.
const REPLACED_AT_MOST: u32 = 16;

const S_IFMT: u32 = 0o170_000;
const S_IFDIR: u32 = 0o040_000;
const S_IFLNK: u32 = 0o120_000;

fn is_kind(found: &FileStat, kind: u32) -> bool {
    found.st_mode & S_IFMT == kind
}

fn stat(fd: &OwnedFd, path: &Path) -> Result<FileStat, FileError> {
    nix::sys::stat::fstat(fd).map_err(|errno| FileError::errno(path, "fstat", errno))
}

/// A directory above a trusted one: whoever could rename its entries could put another in its place.
fn check_above(path: &Path, owner: Owner) -> Result<(), FileError> {
    const STICKY: u32 = 0o1000;
    let found = fstatat(AT_FDCWD, path, AtFlags::AT_SYMLINK_NOFOLLOW)
        .map_err(|errno| FileError::new(path, no_directory(errno, None)))?;
    if !is_kind(&found, S_IFDIR) {
        return Err(FileError::new(path, no_directory(Errno::ENOTDIR, Some(&found))));
    }
    if found.st_uid != 0 && !owner.is(found.st_uid) {
        return Err(FileError::new(path, Problem::Owner { found: found.st_uid, wanted: 0 }));
    }
    if found.st_mode & 0o022 != 0 && found.st_mode & STICKY == 0 {
        let problem = Problem::Mode { found: found.st_mode & 0o7777, forbidden: 0o022 };
        return Err(FileError::new(path, problem));
    }
    Ok(())
}

fn open_directory(above: impl AsFd, name: &Path, path: &Path) -> Result<OwnedFd, FileError> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    retried(|| openat(&above, name, flags, Mode::empty())).map_err(|errno| {
        let found = fstatat(&above, name, AtFlags::AT_SYMLINK_NOFOLLOW);
        FileError::new(path, no_directory(errno, found.ok().as_ref()))
    })
}

/// Why there is no directory to open.
fn no_directory(errno: Errno, found: Option<&FileStat>) -> Problem {
    match errno {
        Errno::ENOENT => Problem::NoDirectory,
        Errno::ENOTDIR | Errno::ELOOP if found.is_some_and(|found| is_kind(found, S_IFLNK)) => {
            Problem::Link
        }
        Errno::ENOTDIR => Problem::NotADirectory,
        errno => Problem::System { call: "open", errno },
    }
}

/// Opens one component beneath a directory, following nothing, blocking on nothing, inherited by nobody.
pub(super) fn open_beneath(
    above: &OwnedFd,
    name: &Path,
    access: OFlag,
    mode: Mode,
) -> nix::Result<OwnedFd> {
    let flags = access | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    let resolve = ResolveFlag::RESOLVE_BENEATH
        | ResolveFlag::RESOLVE_NO_SYMLINKS
        | ResolveFlag::RESOLVE_NO_MAGICLINKS;
    let how = OpenHow::new().flags(flags).mode(mode).resolve(resolve);
    match retried(|| openat2(above, name, how)) {
        // Kernels before 5.6, and seccomp filters that don't know the call. A name is a single component
        // (see `Directory::at`), so O_NOFOLLOW alone keeps it beneath.
        Err(Errno::ENOSYS | Errno::EPERM) => retried(|| openat(above, name, flags, mode)),
        other => other,
    }
}

/// Every descriptor of this crate that outlives a call comes from here.
fn retried(mut open: impl FnMut() -> nix::Result<OwnedFd>) -> nix::Result<OwnedFd> {
    loop {
        match open() {
            Err(Errno::EINTR) => {}
            other => return other.and_then(no_standard_stream),
        }
    }
}

/// In a host with closed standard streams the next file opened becomes one, and what somebody prints is written into it.
fn no_standard_stream(fd: OwnedFd) -> nix::Result<OwnedFd> {
    const FIRST_OTHER: RawFd = 3;
    if fd.as_raw_fd() >= FIRST_OTHER {
        return Ok(fd);
    }
    fcntl_dupfd_cloexec(&fd, FIRST_OTHER).map_err(|errno| Errno::from_raw(errno.raw_os_error()))
}
