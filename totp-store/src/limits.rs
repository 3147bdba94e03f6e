//! The file-size limit of the process, which a caller of su or sudo hands on (`ulimit -f 0; su`): a write past it kills the
//! process or fails, so it is looked at before.

use nix::errno::Errno;
use nix::sys::resource::{Resource, getrlimit};

/// Whether a file may have `size` bytes. An unknown limit counts as none left.
///
/// # Errors
/// `EFBIG` where not.
pub(crate) fn allow_file_size(size: u64) -> Result<(), Errno> {
    let (limit, _) = getrlimit(Resource::RLIMIT_FSIZE).map_err(|_| Errno::EFBIG)?;
    if size > limit { Err(Errno::EFBIG) } else { Ok(()) }
}
