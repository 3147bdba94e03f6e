//! The two operations on which it depends whether an accepted code stays used; tests put their own in this place.

use std::fmt::Debug;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

/// Overwriting, and knowing it done.
pub(super) trait Disk: Debug + Send + Sync {
    /// Writes all of `bytes` at `offset`.
    fn write(&self, file: &File, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Brings what has been written to stable storage.
    fn flush(&self, file: &File) -> io::Result<()>;
}

/// pwrite(2) and fdatasync(2).
#[derive(Debug)]
pub(super) struct RealDisk;

impl Disk for RealDisk {
    fn write(&self, file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
        file.write_all_at(bytes, offset)
    }

    fn flush(&self, file: &File) -> io::Result<()> {
        file.sync_data()
    }
}
