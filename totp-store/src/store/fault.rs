//! From what went wrong with a file to what the core calls it.

use nix::errno::Errno;
use totp_core::store::{Fault, FaultKind};

use super::FileStore;
use super::blocks::SIZE_ON_DISK;
use crate::files::{FileError, Problem};
use crate::flock::NoLock;
use crate::limits;

pub(super) fn fault(kind: FaultKind, detail: String) -> Fault {
    Fault { kind, detail }
}

/// Nobody's files in particular.
pub(super) fn unavailable(error: FileError) -> Fault {
    fault(FaultKind::Unavailable, error.to_string())
}

/// What a change came to that is in place, with the fault for which it may not survive a power failure.
pub(super) type InPlace<T> = (T, Option<Fault>);

/// Parts what wasn't done from what was; `made` is what it came to where it wasn't said.
pub(super) fn in_place<T>(change: Result<T, FileError>, made: T) -> Result<InPlace<T>, FileError> {
    match change {
        Ok(made) => Ok((made, None)),
        Err(error) if error.is_in_place() => Ok((made, Some(unavailable(error)))),
        Err(error) => Err(error),
    }
}

/// A record's file.
pub(super) fn record_fault(error: FileError) -> Fault {
    let kind = match error.problem {
        _ if is_nobodys(&error) => FaultKind::Unavailable,
        Problem::Size { .. } | Problem::NotUtf8 => FaultKind::RecordDamaged,
        // May not be opened, or is nothing to be opened; every other error is about its content.
        Problem::System {
            errno: Errno::EPERM | Errno::EACCES | Errno::ELOOP | Errno::ENXIO,
            ..
        } => FaultKind::RecordRefused,
        Problem::System { .. } => FaultKind::RecordDamaged,
        _ => FaultKind::RecordRefused,
    };
    fault(kind, error.to_string())
}

/// A state's file.
pub(super) fn state_fault(error: FileError) -> Fault {
    let kind = if is_nobodys(&error) { FaultKind::Unavailable } else { FaultKind::StateDamaged };
    fault(kind, error.to_string())
}

/// Whether this would happen to every user: the directory is gone, or the process is short of something. Anything else
/// about a user's file is that user's, and is answered like a wrong code.
fn is_nobodys(error: &FileError) -> bool {
    match error.problem {
        Problem::NoDirectory => true,
        Problem::System { errno, .. } => is_the_processs(errno),
        _ => false,
    }
}

/// Whether an error says that this process or the system is short of something, rather than what a file is like.
pub(super) fn is_the_processs(errno: Errno) -> bool {
    matches!(errno, Errno::EMFILE | Errno::ENFILE | Errno::ENOMEM)
}

impl FileStore {
    pub(super) fn failed(&self, name: &str, call: &'static str, error: &std::io::Error) -> Fault {
        unavailable(FileError::system(&self.path.join("state").join(name), call, error))
    }

    /// A caller's file-size limit (`ulimit -f 0; su`) would kill this process at the first write: before anything
    /// is evaluated, whatever was typed.
    pub(super) fn room_for_files(&self, name: &str) -> Result<(), Fault> {
        limits::allow_file_size(SIZE_ON_DISK).map_err(|_| {
            let path = self.path.join("state").join(name);
            let detail =
                format!("{}: the process's file-size limit (ulimit -f) is too low", path.display());
            fault(FaultKind::Unavailable, detail)
        })
    }

    pub(super) fn room_in_memory(&self) -> Result<(), Fault> {
        limits::room_in_memory().map_err(|_| {
            let path = self.path.display();
            let detail = format!(
                "{path}: the process has no memory for a login; its limits (ulimit -v, ulimit -s) may be too low"
            );
            fault(FaultKind::Unavailable, detail)
        })
    }

    pub(super) fn no_lock(&self, name: &str, no_lock: NoLock) -> Fault {
        match no_lock {
            NoLock::Busy => self.busy(name),
            NoLock::Failed(errno) => {
                unavailable(FileError::errno(&self.path.join("state").join(name), "flock", errno))
            }
        }
    }

    pub(super) fn busy(&self, name: &str) -> Fault {
        let path = self.path.join("state").join(name);
        let path = path.display();
        let detail =
            format!("{path}: another process has held its lock for too long; fuser -v {path}");
        fault(FaultKind::Busy, detail)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn failed(errno: Errno) -> FileError {
        FileError::errno(Path::new("/x"), "open", errno)
    }

    #[test]
    fn what_is_wrong_with_one_users_files_is_that_users_own_fault() {
        for errno in [
            Errno::EIO,
            Errno::EPERM,
            Errno::EACCES,
            Errno::ELOOP,
            Errno::ENXIO,
            Errno::EBADMSG,
            Errno::EUCLEAN,
            Errno::ENODATA,
        ] {
            assert!(record_fault(failed(errno)).kind.is_the_users_own(), "{errno}");
            assert_eq!(state_fault(failed(errno)).kind, FaultKind::StateDamaged, "{errno}");
        }
        assert_eq!(record_fault(failed(Errno::EIO)).kind, FaultKind::RecordDamaged);
        assert_eq!(record_fault(failed(Errno::EACCES)).kind, FaultKind::RecordRefused);
    }

    #[test]
    fn what_is_wrong_with_the_process_or_a_directory_is_nobodys_in_particular() {
        for errno in [Errno::EMFILE, Errno::ENFILE, Errno::ENOMEM] {
            assert_eq!(record_fault(failed(errno)).kind, FaultKind::Unavailable, "{errno}");
            assert_eq!(state_fault(failed(errno)).kind, FaultKind::Unavailable, "{errno}");
        }
        let gone = || FileError::new(Path::new("/x"), Problem::NoDirectory);
        assert_eq!(record_fault(gone()).kind, FaultKind::Unavailable);
        assert_eq!(state_fault(gone()).kind, FaultKind::Unavailable);
    }
}
