//! Leaves the control groups of the caller (cgroups(7)): a user may freeze a group of their own, or leave it no memory.

use std::fs;
use std::path::{Path, PathBuf};

const MOUNT: &str = "/sys/fs/cgroup";

/// Moves this process to the top of each hierarchy. Whether it is out of every group that it was in.
pub(super) fn leave() -> bool {
    let Ok(groups) = fs::read_to_string("/proc/self/cgroup") else {
        return !Path::new("/proc/self/cgroup").exists() && Path::new("/proc/self").exists();
    };
    let all_left =
        groups.lines().filter_map(Membership::parse).map(|membership| membership.leave());
    // Each hierarchy is tried, whatever became of the others.
    all_left.fold(true, |all, left| all & left)
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

    fn leave(&self) -> bool {
        self.group == "/"
            || self.tops().iter().any(|top| fs::write(top.join("cgroup.procs"), "0").is_ok())
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
    fn a_process_at_the_top_has_nothing_to_leave() {
        assert!(Membership { controllers: "pids", group: "/" }.leave());
        assert!(!Membership { controllers: "no-such-controller", group: "/x" }.leave());
    }
}
