//! From what went wrong with a file to what the core calls it.

use nix::errno::Errno;
use totp_core::store::{Fault, FaultKind};

use crate::files::{FileError, Problem};

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

/// Whether an error means that the disk doesn't take what is written, now: read-only, full, broken.
pub(super) fn takes_no_writes(errno: Errno) -> bool {
    matches!(errno, Errno::EROFS | Errno::ENOSPC | Errno::EDQUOT | Errno::EIO)
}
