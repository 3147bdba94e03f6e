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

/// A record's file.
pub(super) fn record_fault(error: FileError) -> Fault {
    let kind = match error.problem {
        Problem::Size { .. } | Problem::NotUtf8 => FaultKind::RecordDamaged,
        Problem::System { .. } | Problem::NoDirectory => FaultKind::Unavailable,
        _ => FaultKind::RecordRefused,
    };
    fault(kind, error.to_string())
}

/// A state's file.
pub(super) fn state_fault(error: FileError) -> Fault {
    let kind = match error.problem {
        Problem::System { .. } | Problem::NoDirectory => FaultKind::Unavailable,
        _ => FaultKind::StateDamaged,
    };
    fault(kind, error.to_string())
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
