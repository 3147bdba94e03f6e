//! Starts `totpd --once` for a program of root that found no daemon.
//!
//! The helper is a grandchild. The child between has no exit signal and ends at once, so that the host's handling of SIGCHLD
//! neither sees it nor takes it away; an exec would give the child itself its exit signal back. What comes of the helper is
//! read from the socket alone.
//!
//! Nothing of the caller's reaches it. Before the helper is loaded, its process gets root's ids, default signals, root's
//! limits, ordinary priorities, no other descriptor, no environment, and a session of its own: a user who has limited or
//! lowered a `su` has done so to that process alone.
//!
//! Both processes share the host's memory until the exec, and the host's thread waits meanwhile, as in vfork(2): a host of any
//! size starts a helper in the same time. They run on a stack of their own, and make system calls alone.

use core::ffi::{CStr, c_char, c_int, c_long, c_ulong, c_void};
use core::ptr;

use super::channel::Channel;
use super::system::errno;

/// What is started, unless the PAM line names another program.
const PROGRAM: &CStr =
    match CStr::from_bytes_with_nul(concat!(env!("PAM_TOTP_ONCE"), "\0").as_bytes()) {
        Ok(program) => program,
        Err(_) => c"/usr/local/sbin/totpd",
    };

/// Bytes of a stack: of the child, and of the grandchild.
const STACK: usize = 32 * 1024;

/// Why there is no helper.
pub(crate) struct Failed<'a> {
    pub(crate) program: &'a CStr,
    pub(crate) what: &'static CStr,
    pub(crate) errno: c_int,
}

/// Starts the helper.
pub(crate) fn start(named: Option<&CStr>) -> Result<Channel, Failed<'_>> {
    let program = named.unwrap_or(PROGRAM);
    let failed = |what| Failed { program, what, errno: errno() };
    // Opened once: what is checked is what is started.
    // SAFETY: a C string.
    let file = Channel::of(unsafe { libc::open(program.as_ptr(), libc::O_PATH | libc::O_CLOEXEC) })
        .ok_or_else(|| failed(c"it can't be opened"))?;
    if !is_roots_alone(&file) {
        return Err(Failed {
            program,
            what: c"it is not a file that root alone can write",
            errno: 0,
        });
    }
    let mut pair = [-1; 2];
    let kind = libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC;
    // SAFETY: room for two descriptors.
    if unsafe { libc::socketpair(libc::AF_UNIX, kind, 0, pair.as_mut_ptr()) } != 0 {
        return Err(failed(c"no socket"));
    }
    let [ours, theirs] = pair.map(Channel::of);
    let (Some(ours), Some(theirs)) = (ours, theirs) else { return Err(failed(c"no socket")) };
    let mut helper = Helper {
        socket: theirs.fd(),
        program: file.fd(),
        stack: ptr::null_mut(),
        grandchild: 0,
        errno: 0,
    };
    if spawn(&mut helper) {
        Ok(ours)
    } else {
        Err(Failed { program, what: c"it can't be started", errno: helper.errno })
    }
}

/// Whether an open file is a regular one of root's that no other user can write.
fn is_roots_alone(file: &Channel) -> bool {
    let mut found: libc::statx = {
        // SAFETY: numbers, all of which may be zero.
        unsafe { core::mem::zeroed() }
    };
    let mask = libc::STATX_TYPE | libc::STATX_MODE | libc::STATX_UID;
    // By its number: the function itself is newer than the oldest C library this runs with.
    // SAFETY: an open descriptor, an empty path for the file itself, and room for the answer.
    let status = unsafe {
        libc::syscall(
            libc::SYS_statx,
            file.fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH,
            mask,
            &raw mut found,
        )
    };
    let mode = u32::from(found.stx_mode);
    status == 0 && mode & libc::S_IFMT == libc::S_IFREG && found.stx_uid == 0 && mode & 0o022 == 0
}

/// What both processes know; in the host's memory.
struct Helper {
    socket: c_int,
    program: c_int,
    /// The upper end of the grandchild's stack.
    stack: *mut c_void,
    /// The grandchild's process id, which the kernel sets to 0 when it has left the host's memory (clone(2)).
    grandchild: c_int,
    /// Of what failed.
    errno: c_int,
}

/// Starts both processes, and waits for the end of the first and the exec of the second.
fn spawn(helper: &mut Helper) -> bool {
    let (protection, flags) = (
        libc::PROT_READ | libc::PROT_WRITE,
        libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_STACK,
    );
    // SAFETY: a new mapping, at an address that the kernel chooses.
    let stacks = unsafe { libc::mmap(ptr::null_mut(), 2 * STACK, protection, flags, -1, 0) };
    if stacks == libc::MAP_FAILED {
        helper.errno = errno();
        return false;
    }
    helper.stack = stacks.wrapping_byte_add(2 * STACK);
    // SAFETY: signal sets of ours; a stack of ours for a child that shares our memory while we wait, and that ends or execs
    // before we go on; a handler of the host's must not run there, so all signals wait. With no exit signal, the child is seen
    // by no wait of the host's, and waited for by its number here.
    unsafe {
        let mut all: libc::sigset_t = core::mem::zeroed();
        let mut before: libc::sigset_t = core::mem::zeroed();
        libc::sigfillset(&raw mut all);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const all, &raw mut before);
        let argument: *mut Helper = helper;
        let flags = libc::CLONE_VM | libc::CLONE_VFORK;
        let child = libc::clone(child, stacks.wrapping_byte_add(STACK), flags, argument.cast());
        if child < 0 {
            (*argument).errno = errno();
        } else {
            let mut status: c_int = 0;
            // By its number: the C library's own is a place where a thread of the host may be cancelled.
            let (child, no_usage) = (c_long::from(child), ptr::null_mut::<c_void>());
            let flags = c_long::from(libc::__WCLONE);
            while libc::syscall(libc::SYS_wait4, child, &raw mut status, flags, no_usage) < 0
                && errno() == libc::EINTR
            {}
            wait_for_the_grandchild(argument);
        }
        libc::sigprocmask(libc::SIG_SETMASK, &raw const before, ptr::null_mut());
        libc::munmap(stacks, 2 * STACK);
    }
    helper.errno == 0
}

/// Waits until the grandchild has left the host's memory. Usually it has: the child ends later. But until it has become
/// root's, the user who runs su may stop it, and may kill the child that waits for it; it would go on in memory that the
/// host has put to another use.
///
/// # Safety
///
/// A valid `Helper`.
unsafe fn wait_for_the_grandchild(helper: *const Helper) {
    // SAFETY: a number that the kernel changes, and wakes the sleeper for (futex(2)).
    unsafe {
        let at = &raw const (*helper).grandchild;
        loop {
            let present = ptr::read_volatile(at);
            if present == 0 {
                return;
            }
            let no_timeout: *const libc::timespec = ptr::null();
            libc::syscall(libc::SYS_futex, at, libc::FUTEX_WAIT, present, no_timeout);
        }
    }
}

/// The child: starts the grandchild, and ends.
extern "C" fn child(argument: *mut c_void) -> c_int {
    let helper: *mut Helper = argument.cast();
    // SAFETY: the host's `Helper`, whose thread waits; a stack of its own for a process that does the same.
    unsafe {
        let flags = libc::CLONE_VM
            | libc::CLONE_VFORK
            | libc::CLONE_PARENT_SETTID
            | libc::CLONE_CHILD_CLEARTID
            | libc::SIGCHLD;
        let (id, no_tls) = (&raw mut (*helper).grandchild, ptr::null_mut::<c_void>());
        if libc::clone(grandchild, (*helper).stack, flags, argument, id, no_tls, id) < 0 {
            (*helper).errno = errno();
        }
        libc::_exit(0)
    }
}

/// The grandchild: puts everything of the caller's away, and becomes the helper.
extern "C" fn grandchild(argument: *mut c_void) -> c_int {
    let helper: *mut Helper = argument.cast();
    // SAFETY: the host's `Helper`, whose thread waits. Everything else is a system call with numbers, or with memory of this
    // stack; those that change ids are made by their numbers, since the C library's own would tell the host's threads.
    unsafe {
        reset();
        // The socket first: in a host without a standard input, the other file would be descriptor 0.
        let is_connected = libc::dup2((*helper).socket, 0) == 0;
        let (here, null) = (c_long::from(libc::AT_FDCWD), c"/dev/null".as_ptr());
        let null = libc::syscall(libc::SYS_openat, here, null, libc::O_RDWR);
        let null = c_int::try_from(null).unwrap_or(-1);
        if is_connected && libc::dup2(null, 1) == 1 && libc::dup2(null, 2) == 2 {
            close_at_exec();
            let arguments = [c"totpd".as_ptr(), c"--once".as_ptr(), ptr::null()];
            let environment: [*const c_char; 1] = [ptr::null()];
            libc::syscall(
                libc::SYS_execveat,
                (*helper).program,
                c"".as_ptr(),
                arguments.as_ptr(),
                environment.as_ptr(),
                libc::AT_EMPTY_PATH,
            );
        }
        (*helper).errno = errno();
        libc::_exit(127)
    }
}

/// A limit of a process: which, the value that is in force, and how far it may be raised. What can't be raised again, in a
/// container, stays as high as it may be.
type Limit = (u32, libc::rlim_t, libc::rlim_t);

const NONE: libc::rlim_t = libc::RLIM_INFINITY;

/// What a service of the system has.
#[allow(clippy::unnecessary_cast)] // musl's are of another type
const LIMITS: [Limit; 16] = [
    (libc::RLIMIT_CPU as u32, NONE, NONE),
    (libc::RLIMIT_FSIZE as u32, NONE, NONE),
    (libc::RLIMIT_DATA as u32, NONE, NONE),
    (libc::RLIMIT_STACK as u32, 8 << 20, NONE),
    (libc::RLIMIT_CORE as u32, 0, 0),
    (libc::RLIMIT_RSS as u32, NONE, NONE),
    (libc::RLIMIT_NPROC as u32, NONE, NONE),
    (libc::RLIMIT_NOFILE as u32, 1024, 524_288),
    (libc::RLIMIT_MEMLOCK as u32, 8 << 20, 8 << 20),
    (libc::RLIMIT_AS as u32, NONE, NONE),
    (libc::RLIMIT_LOCKS as u32, NONE, NONE),
    (libc::RLIMIT_SIGPENDING as u32, 4096, 4096),
    (libc::RLIMIT_MSGQUEUE as u32, 819_200, 819_200),
    (libc::RLIMIT_NICE as u32, 0, 0),
    (libc::RLIMIT_RTPRIO as u32, 0, 0),
    (libc::RLIMIT_RTTIME as u32, NONE, NONE),
];

/// # Safety
///
/// In a process that shares no signal handlers, limits or file system information with the host.
unsafe fn reset() {
    // SAFETY: system calls with numbers and memory of this stack. What fails leaves what was there, which can only hinder the
    // caller's own login.
    unsafe {
        let none: c_long = 0;
        libc::syscall(libc::SYS_setgroups, none, ptr::null::<libc::gid_t>());
        libc::syscall(libc::SYS_setresgid, none, none, none);
        libc::syscall(libc::SYS_setresuid, none, none, none);
        libc::setsid();
        let mut default: libc::sigaction = core::mem::zeroed();
        default.sa_sigaction = libc::SIG_DFL;
        for signal in 1..=64 {
            libc::sigaction(signal, &raw const default, ptr::null_mut());
        }
        let mut no_signal: libc::sigset_t = core::mem::zeroed();
        libc::sigemptyset(&raw mut no_signal);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const no_signal, ptr::null_mut());
        for (limit, value, most) in LIMITS {
            let wanted = libc::rlimit { rlim_cur: value, rlim_max: most };
            if set_limit(limit, &wanted, ptr::null_mut()) != 0 {
                let mut present = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
                set_limit(limit, ptr::null(), &raw mut present);
                present.rlim_cur = present.rlim_max.min(value);
                set_limit(limit, &raw const present, ptr::null_mut());
            }
        }
        libc::setpriority(libc::PRIO_PROCESS, 0, 0);
        let ordinary: c_int = 0;
        libc::syscall(
            libc::SYS_sched_setscheduler,
            none,
            c_long::from(libc::SCHED_OTHER),
            &raw const ordinary,
        );
        let everywhere = [u64::MAX; 16];
        libc::syscall(
            libc::SYS_sched_setaffinity,
            none,
            size_of_val(&everywhere),
            everywhere.as_ptr(),
        );
        const WHO_PROCESS: c_long = 1;
        libc::syscall(libc::SYS_ioprio_set, WHO_PROCESS, none, none);
        // How late a sleep may end (PR_SET_TIMERSLACK), in nanoseconds: what is usual. A caller may have set years.
        const TIMER_SLACK: c_int = 29;
        libc::prctl(TIMER_SLACK, 50_000 as c_ulong);
        libc::umask(0o077);
        libc::chdir(c"/".as_ptr());
    }
}

/// # Safety
///
/// Both pointers null or valid.
unsafe fn set_limit(limit: u32, new: *const libc::rlimit, old: *mut libc::rlimit) -> c_long {
    let this: c_long = 0;
    // SAFETY: as the caller promises.
    unsafe { libc::syscall(libc::SYS_prlimit64, this, limit, new, old) }
}

/// Sees to it that nothing but the first three descriptors is open in the helper.
fn close_at_exec() {
    const CLOSE_AT_EXEC: c_long = 4;
    let (first, last) = (c_long::from(3_i32), c_long::from(u32::MAX));
    // SAFETY: numbers.
    if unsafe { libc::syscall(libc::SYS_close_range, first, last, CLOSE_AT_EXEC) } == 0 {
        return;
    }
    // Before Linux 5.11, one by one: as many as a service may have, and as the host has by far.
    for fd in 3..65_536 {
        // SAFETY: numbers, open or not.
        unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) };
    }
}
