//! Leaves the control groups of the caller (cgroups(7)): a user may freeze a group of their own, or leave it no memory.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

const MOUNT: &str = "/sys/fs/cgroup";

const GROUPS: &str = "/proc/self/cgroup";

/// Moves this process to the top of each hierarchy. Whether it is out of every group that it was in.
pub(super) fn leave() -> bool {
    let Ok(groups) = fs::read_to_string(GROUPS) else {
        return !Path::new(GROUPS).exists() && Path::new("/proc/self").exists();
    };
    // Each hierarchy is tried, whatever becomes of the others.
    for membership in groups.lines().filter_map(Membership::parse) {
        membership.leave();
    }
    // What was written may have gone elsewhere: the kernel says what came of it.
    fs::read_to_string(GROUPS).is_ok_and(|groups| {
        groups.lines().filter_map(Membership::parse).all(|membership| membership.is_at_the_top())
    })
}

/// Whether all groups that this process is in are root's alone, so that no other user freezes or limits them.
pub(super) fn are_roots() -> bool {
    fs::read_to_string(GROUPS).is_ok_and(|groups| {
        groups.lines().all(|line| Membership::parse(line).is_some_and(|one| one.is_roots()))
    })
}

/// A line of `/proc/self/cgroup`: `7:freezer:/user`, or `0::/user.slice` for version 2.
#[derive(Debug, PartialEq, Eq)]
struct Membership<'a> {
    controllers: &'a str,
    group: &'a str,
}

impl<'a> Membership<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let mut fields = line.splitn(3, ':').skip(1);
        Some(Self { controllers: fields.next()?, group: fields.next()? })
    }

    fn is_at_the_top(&self) -> bool {
        self.group == "/"
    }

    /// Each directory from the top of the hierarchy to the group. One that can't be looked at is not root's.
    fn is_roots(&self) -> bool {
        let is_roots = |path: &Path| {
            fs::symlink_metadata(path)
                .is_ok_and(|found| found.uid() == 0 && found.mode() & 0o022 == 0)
        };
        self.is_at_the_top()
            || self.tops().iter().any(|top| {
                let group = top.join(self.group.trim_start_matches('/'));
                group.ancestors().take_while(|path| path.starts_with(top)).all(is_roots)
            })
    }

    fn leave(&self) {
        if self.is_at_the_top() {
            return;
        }
        for top in self.tops() {
            // Never made: on a file system of another kind, a file of this name would be one like any other.
            let procs = File::options().write(true).open(top.join("cgroup.procs"));
            let _ = procs.and_then(|mut procs| procs.write_all(b"0")); // there may be none there
        }
    }

    /// Where the top of this hierarchy may be mounted.
    fn tops(&self) -> Vec<PathBuf> {
        let mount = Path::new(MOUNT);
        if self.controllers.is_empty() {
            return vec![mount.to_owned(), mount.join("unified")];
        }
        let name = self.controllers.strip_prefix("name=").unwrap_or(self.controllers);
        vec![mount.join(name)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_hierarchy_is_left_where_it_is_mounted() {
        let tops = |line| Membership::parse(line).expect("a membership").tops();
        assert_eq!(tops("0::/user.slice")[0], Path::new("/sys/fs/cgroup"));
        assert_eq!(tops("7:freezer:/mallory"), [Path::new("/sys/fs/cgroup/freezer")]);
        assert_eq!(tops("1:name=systemd:/a:b"), [Path::new("/sys/fs/cgroup/systemd")]);
        assert_eq!(Membership::parse("1:name=systemd:/a:b").expect("one").group, "/a:b");
    }

    #[test]
    fn a_group_that_cannot_be_looked_at_is_not_roots() {
        assert!(!Membership { controllers: "pids", group: "/no-such-group" }.is_roots());
        assert!(Membership { controllers: "pids", group: "/" }.is_roots());
    }

    #[test]
    fn a_process_is_out_of_a_group_only_at_the_top() {
        assert!(Membership { controllers: "pids", group: "/" }.is_at_the_top());
        assert!(!Membership { controllers: "pids", group: "/x" }.is_at_the_top());
    }
}
