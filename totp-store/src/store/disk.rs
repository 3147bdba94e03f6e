//! The operations on which it depends whether an accepted code stays used; tests put their own in this place.

use std::fmt::Debug;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

/// Reading, overwriting, and knowing it done.
pub(super) trait Disk: Debug + Send + Sync {
    /// Reads some bytes at `offset`; how many: 0 at the end of the file.
    fn read(&self, file: &File, bytes: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes all of `bytes` at `offset`.
    fn write(&self, file: &File, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Brings what has been written to stable storage.
    fn flush(&self, file: &File) -> io::Result<()>;
}

/// pread(2), pwrite(2) and fdatasync(2).
#[derive(Debug)]
pub(super) struct RealDisk;

impl Disk for RealDisk {
    fn read(&self, file: &File, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        file.read_at(bytes, offset)
    }

    fn write(&self, file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
        file.write_all_at(bytes, offset)
    }

    fn flush(&self, file: &File) -> io::Result<()> {
        file.sync_data()
    }
}
