//! Limits of the process: those of a service's unit, or of the shell that started `totp-admin` (`ulimit -f 0`). They are looked
//! at before anything is evaluated or written, so that they refuse all users alike, and nothing ends in the middle. And the one
//! that our programs set for themselves: no core is dumped of them.

use nix::errno::Errno;
use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Bytes of memory that a transaction takes at most, at once, and then some. Below the size from which malloc asks the
/// system for each piece alone (mmap), so that what was free once stays with the process.
const ROOM: usize = 96 * 1024;

/// Bytes of stack that a process must be allowed: a quarter of it is what a login takes, with what is written over afterwards.
const STACK: u64 = 256 * 1024;

/// Whether there is memory for a login or a change. A limit (`ulimit -v`, `ulimit -s`) that is reached later would end the
/// process, and when depends on what is computed. Ask before computing codes, too; a transaction asks by itself.
///
/// # Errors
/// `ENOMEM` where not.
pub fn room_in_memory() -> Result<(), Errno> {
    let (stack, _) = getrlimit(Resource::RLIMIT_STACK).map_err(|_| Errno::ENOMEM)?;
    if stack < STACK {
        return Err(Errno::ENOMEM);
    }
    let mut room = Vec::<u8>::new();
    room.try_reserve_exact(ROOM).map_err(|_| Errno::ENOMEM)?;
    // What nobody looks at need not be asked for.
    std::hint::black_box(&mut room);
    Ok(())
}

/// Has the kernel write no core of this process: its memory holds secrets, and a core outlives them. Called first of all in each of our
/// programs. The limit alone does not count where cores go through a pipe (`core_pattern`, core(5)); a process that is not dumpable
/// leaves none there either, and no other user looks into it. What it starts is dumpable again, and may raise its limit.
///
/// # Errors
/// Where the kernel refuses. Such a program must not go on.
pub fn forbid_core_dumps() -> std::io::Result<()> {
    let (_, most) = getrlimit(Resource::RLIMIT_CORE)?;
    setrlimit(Resource::RLIMIT_CORE, 0, most)?;
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)?;
    Ok(())
}

/// Whether a file may have `size` bytes: a write past the limit kills the process or fails. An unknown limit counts as none
/// left.
///
/// # Errors
/// `EFBIG` where not.
pub(crate) fn allow_file_size(size: u64) -> Result<(), Errno> {
    let (limit, _) = getrlimit(Resource::RLIMIT_FSIZE).map_err(|_| Errno::EFBIG)?;
    if size > limit { Err(Errno::EFBIG) } else { Ok(()) }
}
