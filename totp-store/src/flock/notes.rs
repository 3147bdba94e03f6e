//! Notes on which `totpd --once` holds a lock. Where that process can't leave its caller's cgroup, the caller can freeze it
//! while it holds the lock of another user's state; a waiter then ends it, and no other process.
//!
//! A note is an empty file whose name says all: device and inode of the locked file, process id, start time, and a number
//! that no other note of the process has. It is there before the process tries to take the lock, and until after it has
//! released it, so that the process can't be frozen while it holds a lock without a note. A waiter therefore acts on a
//! note only when it has seen it twice: one that is merely tried under is gone within microseconds.

use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use nix::sys::stat::fstat;
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, getpid, pidfd_open, pidfd_send_signal};

use crate::files::{Directory, FileError, Owner, Problem, Shared};

/// How long a waiter waits before it looks for notes.
const FIRST_LOOK: Duration = Duration::from_secs(2);

/// How often it looks then.
const EACH_LOOK: Duration = Duration::from_secs(1);

/// The file name of the program whose notes count.
const PROGRAM: &str = "totpd";

/// Where notes lie, and which process they may name.
#[derive(Debug)]
pub(super) struct Location<'a> {
    above: &'a str,
    name: &'a str,
    owner: Owner,
    /// The first argument of the process.
    argument: &'a str,
    first_look: Duration,
}

/// Those of an installation.
pub(super) const INSTALLED: Location<'static> = Location {
    above: "/run/pam-totp",
    name: "once",
    owner: Owner::ROOT,
    argument: "--once",
    first_look: FIRST_LOOK,
};

static OF_THIS_PROCESS: OnceLock<Notes> = OnceLock::new();

/// From here on this process leaves a note of each lock that it takes, in `/run/pam-totp/once`. For `totpd --once` where it
/// can't leave its caller's cgroup. A lock whose note can't be written isn't taken.
///
/// # Errors
/// Where the directory can't be made or trusted. No login may be decided then.
pub fn leave_notes() -> Result<(), FileError> {
    let notes = Notes::open(&INSTALLED)?;
    notes.sweep();
    let _ = OF_THIS_PROCESS.set(notes); // asked for twice: they are left already
    Ok(())
}

/// The directory in which this process leaves its notes.
#[derive(Debug)]
pub(super) struct Notes {
    directory: Directory,
    process: Process,
    count: AtomicU64,
}

impl Notes {
    /// `None`: this process leaves no notes.
    pub(super) fn of_this_process() -> Option<&'static Self> {
        OF_THIS_PROCESS.get()
    }

    fn open(location: &Location<'_>) -> Result<Self, FileError> {
        let above = Path::new(location.above);
        let above = Directory::open_or_make(above, location.owner, Shared::Readable)?;
        let directory = above.inner_or_made(location.name, Shared::Nobody)?;
        let process = Process::this().ok_or_else(|| {
            let path = Path::new("/proc/self/stat");
            FileError::new(path, Problem::System { call: "read", errno: nix::errno::Errno::ENOENT })
        })?;
        Ok(Self { directory, process, count: AtomicU64::new(0) })
    }

    /// Leaves a note that this process holds, or is about to hold, the lock on `file`.
    pub(super) fn leave(&self, file: impl AsFd) -> Result<Note<'_>, Errno> {
        let prefix = prefix(file).ok_or(Errno::BADF)?;
        let count = self.count.fetch_add(1, Ordering::Relaxed);
        let name = format!("{prefix}{}-{}-{count}", self.process.pid(), self.process.started);
        let made = self.directory.create(&name);
        made.map_err(|error| match error.errno_if_system() {
            Some(errno) => Errno::from_raw_os_error(errno as i32),
            None => Errno::IO,
        })?;
        Ok(Note { notes: self, name })
    }

    /// Takes away the notes of processes that are gone: a caller may have killed any number of them.
    fn sweep(&self) {
        let is_stale =
            |name: &str| Process::named_in(name).is_some_and(|process| process.is_gone());
        for name in self.directory.names_that(is_stale).unwrap_or_default() {
            let _ = self.directory.unlink(&name); // another one may have done it
        }
    }
}

/// A note of this process, which is taken away with this value.
#[derive(Debug)]
pub(super) struct Note<'a> {
    notes: &'a Notes,
    name: String,
}

impl Drop for Note<'_> {
    fn drop(&mut self) {
        // One that stays names a process that soon is gone.
        let _ = self.notes.directory.unlink(&self.name);
    }
}

/// A waiter's search for the note of the holder.
#[derive(Debug)]
pub(super) struct Search<'a> {
    location: &'a Location<'a>,
    looked: Instant,
    pause: Duration,
    /// The notes of the last look.
    seen: Vec<String>,
}

impl<'a> Search<'a> {
    pub(super) fn begin(location: &'a Location<'a>) -> Self {
        Self { location, looked: Instant::now(), pause: location.first_look, seen: Vec::new() }
    }

    /// Looks, if it is time to, and ends a process that a note names at two looks in a row.
    pub(super) fn look(&mut self, file: impl AsFd) {
        if self.looked.elapsed() < self.pause {
            return;
        }
        let found = self.notes_on(file);
        let (again, new): (Vec<&String>, Vec<_>) =
            found.iter().partition(|name| self.seen.contains(name));
        for process in again.into_iter().filter_map(|name| Process::named_in(name)) {
            process.end_if_once(self.location.argument);
        }
        // One that is new is looked for again after the next pause.
        self.pause = if new.is_empty() { EACH_LOOK } else { Duration::ZERO };
        self.looked = Instant::now();
        self.seen = found;
    }

    /// None where there is no directory that can be trusted.
    fn notes_on(&self, file: impl AsFd) -> Vec<String> {
        let Some(prefix) = prefix(file) else { return Vec::new() };
        let path = Path::new(self.location.above).join(self.location.name);
        Directory::open(&path, self.location.owner, Shared::Nobody)
            .and_then(|directory| directory.names_that(|name| name.starts_with(&prefix)))
            .unwrap_or_default()
    }
}

/// What the notes on a file begin with.
fn prefix(file: impl AsFd) -> Option<String> {
    let found = fstat(file).ok()?;
    Some(format!("{}-{}-", found.st_dev, found.st_ino))
}

/// A process, named so that no later one is taken for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Process {
    pid: Pid,
    /// Ticks from boot to its start.
    started: u64,
}

impl Process {
    fn this() -> Option<Self> {
        Some(Self { pid: getpid(), started: start_of(getpid())? })
    }

    fn pid(self) -> i32 {
        self.pid.as_raw_nonzero().get()
    }

    /// `None`: not the name of a note.
    fn named_in(name: &str) -> Option<Self> {
        let mut words = name.split('-').skip(2);
        let pid = Pid::from_raw(words.next()?.parse().ok().filter(|pid| *pid > 0)?)?;
        let started = words.next()?.parse().ok()?;
        let _count: u64 = words.next()?.parse().ok()?;
        words.next().is_none().then_some(Self { pid, started })
    }

    fn is_running(self) -> bool {
        start_of(self.pid) == Some(self.started)
    }

    /// Not where that can't be seen.
    fn is_gone(self) -> bool {
        match pidfd_open(self.pid, PidfdFlags::empty()) {
            Err(Errno::SRCH) => true,
            _ => start_of(self.pid).is_some_and(|started| started != self.started),
        }
    }

    /// Kills it if it is another process, root's, and a `totpd` with this first argument. What it had committed stays
    /// committed; its lock ends with it.
    fn end_if_once(self, argument: &str) {
        if self.pid == getpid() || !self.is_running() {
            return;
        }
        let Ok(fd) = pidfd_open(self.pid, PidfdFlags::empty()) else { return };
        // Looked at with the descriptor open: it can't be another process that is looked at than the one that is killed.
        if self.is_running() && is_roots(self.pid) && is_once(self.pid, argument) {
            let _ = pidfd_send_signal(&fd, Signal::KILL); // it may be gone by now
        }
    }
}

/// Whether root is who runs it: its real uid, not only that of a set-uid program.
fn is_roots(pid: Pid) -> bool {
    let status = fs::read_to_string(of(pid, "status")).unwrap_or_default();
    let uids = status.lines().find_map(|line| line.strip_prefix("Uid:"));
    uids.is_some_and(|uids| uids.split_ascii_whitespace().eq(["0"; 4]))
}

fn is_once(pid: Pid, argument: &str) -> bool {
    let arguments = fs::read(of(pid, "cmdline")).unwrap_or_default();
    let first = arguments.split(|byte| *byte == 0).nth(1);
    first == Some(argument.as_bytes()) && program(pid).as_deref() == Some(PROGRAM)
}

/// The file name of its program.
fn program(pid: Pid) -> Option<String> {
    match fs::read_link(of(pid, "exe")) {
        Ok(path) => {
            let name = path.file_name()?.to_str()?;
            Some(name.strip_suffix(" (deleted)").unwrap_or(name).to_owned())
        }
        // A waiter with fewer capabilities than the process may not see that (ptrace(2)), but what it was started as.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            let name = fs::read_to_string(of(pid, "comm")).ok()?;
            Some(name.trim_end_matches('\n').to_owned())
        }
        Err(_) => None,
    }
}

fn start_of(pid: Pid) -> Option<u64> {
    crate::clock::start_ticks(&fs::read_to_string(of(pid, "stat")).ok()?)
}

fn of(pid: Pid, file: &str) -> String {
    format!("/proc/{}/{file}", pid.as_raw_nonzero())
}

#[cfg(test)]
mod tests {
    use std::env;
    use std::os::unix::fs::PermissionsExt as _;
    use std::os::unix::process::CommandExt as _;
    use std::path::PathBuf;
    use std::process::{Child, Command};
    use std::thread::sleep;

    use rustix::process::kill_process;
    use tempfile::TempDir;

    use super::super::patience::lock_searching;
    use super::super::{Held, NoLock, Wait};
    use super::*;

    /// What a process of these tests is started with.
    const ARGUMENT: &str = "600";

    /// Names the directory of the scene that an inner test waits in.
    const SCENE: &str = "PAM_TOTP_TEST_SCENE";

    const LONG: Wait = Wait::AtMost(Duration::from_secs(20));

    /// Long enough for two looks.
    const SHORT: Wait = Wait::AtMost(Duration::from_millis(200));

    /// A directory of notes, a locked file, and programs that may hold the lock.
    struct Scene {
        path: PathBuf,
        above: String,
        _temp: Option<TempDir>,
    }

    impl Scene {
        fn new() -> Self {
            let temp = TempDir::new().unwrap();
            fs::write(temp.path().join("state"), "").unwrap();
            let scene = Self::at(temp.path());
            Self { _temp: Some(temp), ..scene }
        }

        /// That of another process.
        fn at(path: &Path) -> Self {
            let above = path.join("pam-totp").to_str().unwrap().to_owned();
            Self { path: path.to_owned(), above, _temp: None }
        }

        fn location(&self) -> Location<'_> {
            Location {
                above: &self.above,
                name: "once",
                owner: Owner::this_process(),
                argument: ARGUMENT,
                first_look: Duration::ZERO,
            }
        }

        fn notes(&self) -> Notes {
            Notes::open(&self.location()).unwrap()
        }

        fn names(&self) -> Vec<String> {
            self.notes().directory.list().unwrap()
        }

        fn state(&self) -> fs::File {
            fs::File::open(self.path.join("state")).unwrap()
        }

        fn program(&self, name: &str) -> PathBuf {
            let program = self.path.join(name);
            fs::copy("/bin/sleep", &program).unwrap();
            program
        }

        /// A process that holds the lock on the state, and is stopped.
        fn holder(&self, name: &str, argument: &str, uid: u32) -> Holder {
            let program = self.program(name);
            let mut flock = Command::new("flock");
            flock.args(["--no-fork", "--exclusive"]).arg(self.path.join("state"));
            flock.arg(&program).arg(argument);
            if uid != 0 {
                let open = fs::Permissions::from_mode(0o755);
                fs::set_permissions(&self.path, open).unwrap();
                flock.uid(uid);
            }
            let child = flock.spawn().unwrap();
            let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
            while fs::read_to_string(of(pid, "comm")).unwrap().trim_end() != name {
                sleep(Duration::from_millis(2));
            }
            kill_process(pid, Signal::STOP).unwrap();
            let process = Process { pid, started: start_of(pid).unwrap() };
            Holder { child, process }
        }

        fn note(&self, process: Process) {
            let (pid, started) = (process.pid(), process.started);
            let name = format!("{}{pid}-{started}-0", prefix(self.state()).unwrap());
            self.notes().directory.create(&name).unwrap();
        }

        fn wait(&self, wait: Wait) -> Result<(), NoLock> {
            let location = self.location();
            lock_searching(&self.state(), wait, None, Search::begin(&location)).map(drop)
        }
    }

    struct Holder {
        child: Child,
        process: Process,
    }

    impl Holder {
        fn lives(&mut self) -> bool {
            self.child.try_wait().unwrap().is_none()
        }
    }

    impl Drop for Holder {
        fn drop(&mut self) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }

    /// Only root's processes are ended.
    #[allow(clippy::print_stderr)] // to whoever runs the test
    fn is_root() -> bool {
        let root = nix::unistd::Uid::effective().is_root();
        if !root {
            eprintln!("left out: only root's processes are ended");
        }
        root
    }

    #[test]
    fn a_stopped_totpd_that_left_a_note_is_ended() {
        let scene = Scene::new();
        if is_root() {
            let mut holder = scene.holder("totpd", ARGUMENT, 0);
            scene.note(holder.process);
            assert_eq!(scene.wait(LONG), Ok(()));
            assert!(!holder.child.wait().unwrap().success());
        }
    }

    #[test]
    fn a_totpd_whose_file_was_replaced_since_is_ended_as_well() {
        let scene = Scene::new();
        if is_root() {
            let holder = scene.holder("totpd", ARGUMENT, 0);
            fs::remove_file(scene.path.join("totpd")).unwrap();
            scene.note(holder.process);
            assert_eq!(scene.wait(LONG), Ok(()));
        }
    }

    #[test]
    fn a_waiter_without_capabilities_ends_it_as_well() {
        let scene = Scene::new();
        if is_root() {
            let mut holder = scene.holder("totpd", ARGUMENT, 0);
            scene.note(holder.process);
            let status = Command::new("setpriv")
                .args(["--bounding-set=-all", "--inh-caps=-all"])
                .arg(env::current_exe().unwrap())
                .args(["--exact", "--ignored", "flock::notes::tests::inner_without_capabilities"])
                .env(SCENE, &scene.path)
                .status();
            assert!(status.unwrap().success());
            assert!(!holder.child.wait().unwrap().success());
        }
    }

    #[test]
    #[ignore = "runs inside the one above"]
    fn inner_without_capabilities() {
        let path = env::var_os(SCENE).unwrap();
        assert_eq!(Scene::at(Path::new(&path)).wait(LONG), Ok(()));
    }

    #[test]
    fn a_note_that_names_anything_else_ends_nothing() {
        if !is_root() {
            return;
        }
        let nobody = 65_534;
        for (name, argument, uid) in
            [("other", ARGUMENT, 0), ("totpd", "601", 0), ("totpd", ARGUMENT, nobody)]
        {
            let scene = Scene::new();
            let mut holder = scene.holder(name, argument, uid);
            scene.note(holder.process);
            assert_eq!(scene.wait(SHORT), Err(NoLock::Busy));
            assert!(holder.lives(), "{name} {argument} {uid}");
        }
    }

    #[test]
    fn a_note_of_an_earlier_process_ends_nothing() {
        let scene = Scene::new();
        let mut holder = scene.holder("totpd", ARGUMENT, 0);
        let Process { pid, started } = holder.process;
        scene.note(Process { pid, started: started - 1 });
        assert_eq!(scene.wait(SHORT), Err(NoLock::Busy));
        assert!(holder.lives());
    }

    #[test]
    fn a_holder_without_a_note_is_waited_for() {
        let scene = Scene::new();
        let mut holder = scene.holder("totpd", ARGUMENT, 0);
        let elsewhere = tempfile::NamedTempFile::new().unwrap();
        let name = format!(
            "{}{}-{}-0",
            prefix(&elsewhere).unwrap(),
            holder.process.pid(),
            holder.process.started
        );
        scene.notes().directory.create(&name).unwrap();
        assert_eq!(scene.wait(SHORT), Err(NoLock::Busy));
        assert!(holder.lives());
    }

    #[test]
    fn a_note_counts_only_when_it_is_still_there_at_the_next_look() {
        let scene = Scene::new();
        if !is_root() {
            return;
        }
        let mut holder = scene.holder("totpd", ARGUMENT, 0);
        let location = scene.location();
        let mut search = Search::begin(&location);
        scene.note(holder.process);
        search.look(scene.state());
        sleep(Duration::from_millis(50)); // so that one that is killed would be gone
        assert!(holder.lives());
        search.look(scene.state());
        assert!(!holder.child.wait().unwrap().success());
    }

    #[test]
    fn nothing_is_looked_for_before_its_time() {
        let scene = Scene::new();
        let location = Location { first_look: FIRST_LOOK, ..scene.location() };
        let mut search = Search::begin(&location);
        let notes = scene.notes();
        let state = scene.state();
        let _note = notes.leave(&state).unwrap();
        search.look(&state);
        assert_eq!(search.seen, [""; 0]);
        search.looked = search.looked.checked_sub(FIRST_LOOK).unwrap();
        search.look(&state);
        assert_eq!(search.seen.len(), 1);
    }

    #[test]
    fn a_lock_has_a_note_for_as_long_as_it_is_held_and_no_longer() {
        let scene = Scene::new();
        let notes = scene.notes();
        let (one, two) = (scene.state(), scene.state());
        let held = Held::take_noted(&one, Some(&notes)).unwrap().unwrap();
        let names = scene.names();
        assert_eq!(names.len(), 1);
        assert_eq!(Process::named_in(&names[0]), Process::this());
        assert!(Held::take_noted(&two, Some(&notes)).unwrap().is_none());
        assert_eq!(scene.names(), names);
        drop(held);
        assert_eq!(scene.names(), [""; 0]);
    }

    #[test]
    fn a_lock_whose_note_cannot_be_written_is_not_taken() {
        let scene = Scene::new();
        let notes = scene.notes();
        fs::remove_dir(Path::new(&scene.above).join("once")).unwrap();
        let state = scene.state();
        assert!(Held::take_noted(&state, Some(&notes)).is_err());
        assert!(Held::take_noted(&scene.state(), None).unwrap().is_some());
    }

    #[test]
    fn the_directory_of_notes_is_for_its_owner_alone() {
        let scene = Scene::new();
        let _ = scene.notes();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let once = Path::new(&scene.above).join("once");
        assert_eq!((mode(Path::new(&scene.above)), mode(&once)), (0o755, 0o700));
        fs::set_permissions(&once, fs::Permissions::from_mode(0o707)).unwrap();
        assert!(Notes::open(&scene.location()).is_err());
    }

    #[test]
    fn notes_of_processes_that_are_gone_are_taken_away() {
        let scene = Scene::new();
        let notes = scene.notes();
        let state = scene.state();
        let _note = notes.leave(&state).unwrap();
        let this = Process::this().unwrap();
        scene.note(Process { started: this.started - 1, ..this });
        scene.note(Process { pid: Pid::from_raw(i32::MAX).unwrap(), started: 1 });
        assert_eq!(scene.names().len(), 3);
        notes.sweep();
        assert_eq!(scene.names().len(), 1);
    }

    #[test]
    fn what_is_no_note_names_no_process() {
        for name in ["", "x", "1-2-3", "1-2-3-4", "1-2-0-4-5", "1-2--3-4-5", "1-2-3-4-5-6"] {
            assert_eq!(Process::named_in(name), None, "{name}");
        }
    }
}
