//! Control groups that freeze their processes: version 2 where it is mounted, else the freezer of version 1.

use std::fs;
use std::path::{Path, PathBuf};

use nix::unistd::Pid;

use crate::eventually;

/// A control group. Dropped, it is thawed, its processes are killed, and it is removed.
#[derive(Debug)]
pub struct Freezer {
    group: PathBuf,
    version: Version,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    One,
    Two,
}

impl Freezer {
    /// A new group with one process in it; `None` where none can be made.
    #[must_use]
    pub fn around(process: Pid) -> Option<Self> {
        let (mount, version) = mount("cgroup2", "")
            .map(|mount| (mount, Version::Two))
            .or_else(|| Some((mount("cgroup", "freezer")?, Version::One)))?;
        let group = mount.join(format!("pam-totp-test-freezer-{process}"));
        fs::create_dir(&group).ok()?;
        let freezer = Self { group, version };
        fs::write(freezer.group.join("cgroup.procs"), process.to_string()).ok()?;
        Some(freezer)
    }

    /// Freezes it, and waits until it is frozen.
    ///
    /// # Panics
    ///
    /// If that does not happen.
    pub fn freeze(&self) {
        let (file, frozen) = match self.version {
            Version::One => ("freezer.state", "FROZEN"),
            Version::Two => ("cgroup.events", "frozen 1"),
        };
        self.set(true).expect("a group can be frozen");
        eventually("the group is frozen", || {
            let state = fs::read_to_string(self.group.join(file)).ok()?;
            state.contains(frozen).then_some(())
        });
    }

    /// Lets its processes go on.
    ///
    /// # Panics
    ///
    /// If that can't be written.
    pub fn thaw(&self) {
        self.set(false).expect("a group can be thawed");
    }

    /// Whether a process is in it.
    #[must_use]
    pub fn holds(&self, process: Pid) -> bool {
        let inside = fs::read_to_string(self.group.join("cgroup.procs")).unwrap_or_default();
        inside.lines().any(|line| line == process.to_string())
    }

    fn set(&self, frozen: bool) -> std::io::Result<()> {
        let (file, value) = match (self.version, frozen) {
            (Version::One, true) => ("freezer.state", "FROZEN"),
            (Version::One, false) => ("freezer.state", "THAWED"),
            (Version::Two, true) => ("cgroup.freeze", "1"),
            (Version::Two, false) => ("cgroup.freeze", "0"),
        };
        fs::write(self.group.join(file), value)
    }
}

impl Drop for Freezer {
    fn drop(&mut self) {
        let _ = self.set(false);
        eventually("the cgroup is empty", || match fs::remove_dir(&self.group) {
            Ok(()) => Some(()),
            Err(_) if std::thread::panicking() => Some(()),
            Err(_) => {
                let inside =
                    fs::read_to_string(self.group.join("cgroup.procs")).unwrap_or_default();
                for pid in inside.lines().filter_map(|line| line.parse().ok()) {
                    let _ = nix::sys::signal::kill(
                        Pid::from_raw(pid),
                        nix::sys::signal::Signal::SIGKILL,
                    );
                }
                None
            }
        });
    }
}

/// Where a hierarchy is mounted, with this controller if one is named.
fn mount(kind: &str, controller: &str) -> Option<PathBuf> {
    let mounts = fs::read_to_string("/proc/mounts").ok()?;
    let found = mounts.lines().find_map(|line| {
        let mut words = line.split(' ').skip(1);
        let (path, is_kind) = (words.next()?, words.next()? == kind);
        let has_controller =
            controller.is_empty() || words.next()?.split(',').any(|option| option == controller);
        (is_kind && has_controller).then_some(path)
    })?;
    Some(Path::new(found).to_owned())
}
