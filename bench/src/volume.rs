//! The file systems on which it is measured. In the house each is mounted at a short path: a login looks at every
//! directory on the way to its files, and an installation's lie two or three deep.

use std::fs;
use std::path::{Path, PathBuf};

use pam_totp_tests::House;

use crate::said;

/// What servers have, for the most part. A new file there is durable only with the journal, an overwrite without it.
const USUAL: &str = "ext4 with a journal";

/// Room for 100,000 users. Below half of it mkfs.ext4 would take smaller blocks than servers have.
const SIZE: u64 = 1 << 30;

/// One file system, in the house.
#[derive(Debug, Clone)]
pub struct Volume {
    /// Where it is mounted, inside.
    root: &'static str,
    kind: String,
    /// The machine's device, below the file where it is in a file.
    device: String,
    own: bool,
}

impl Volume {
    /// Mounts those on which it is measured: an ext4 with a journal first; behind it the machine's own, where that is
    /// something else. All are gone with the house.
    ///
    /// # Panics
    ///
    /// Where the house is in memory, whose flushes cost nothing, and where there are no loop devices.
    #[must_use]
    pub fn mount(house: &House) -> Vec<Self> {
        let (kind, device) = looked_up(text(house.disk()), |words| said("findmnt", words));
        if kind == USUAL {
            return vec![Self::own(house, "/srv", kind, device)];
        }
        house.mount_disk("/srv", SIZE);
        let (usual, _) = looked_up("/srv", |words| house.run("findmnt", words));
        let usual = Self { root: "/srv", kind: usual, device: device.clone(), own: false };
        vec![usual, Self::own(house, "/mnt", kind, device)]
    }

    fn own(house: &House, root: &'static str, kind: String, device: String) -> Self {
        let directory = house.disk().join("volume");
        fs::create_dir(&directory).unwrap();
        house.run("mount", &["--bind", text(&directory), root]);
        Self { root, kind, device, own: true }
    }

    /// What it is: `ext4 with a journal`.
    #[must_use]
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// The machine's device on which it is.
    #[must_use]
    pub fn device(&self) -> &str {
        &self.device
    }

    /// Whether it is the machine's own, and not in a file on that.
    #[must_use]
    pub fn is_own(&self) -> bool {
        self.own
    }

    /// A file or directory right on it, by its path in the house.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        Path::new(self.root).join(name)
    }

    /// A file to be overwritten.
    #[must_use]
    pub fn scratch(&self, nth: usize) -> PathBuf {
        self.path(&format!("scratch{nth}"))
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("the harness names its files in UTF-8")
}

/// Kind and device of the file system with this directory, as `findmnt` says them.
fn looked_up(directory: &str, findmnt: impl Fn(&[&str]) -> String) -> (String, String) {
    let column = |name| findmnt(&["-n", "-o", name, "--target", directory]).trim().to_string();
    let (name, device) = (column("FSTYPE"), column("SOURCE"));
    assert!(name != "tmpfs", "{directory} is in memory: set TMPDIR to a folder on a disk");
    (kind(&name, options(&column("MAJ:MIN")).as_deref()), device)
}

/// What the kernel says an ext4 on this device, by its number, is mounted with, its defaults included.
fn options(number: &str) -> Option<String> {
    let device = fs::read_link(Path::new("/sys/dev/block").join(number)).ok()?;
    fs::read_to_string(Path::new("/proc/fs/ext4").join(device.file_name()?).join("options")).ok()
}

/// What a file system is. The mode in which an ext4 writes data is one of its journal, and there with that alone.
fn kind(name: &str, options: Option<&str>) -> String {
    let journal = options.map(|list| list.lines().any(|option| option.starts_with("data=")));
    match journal {
        Some(true) => format!("{name} with a journal"),
        Some(false) => format!("{name} without a journal"),
        None => name.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_ext4_is_mounted_with_says_whether_it_has_a_journal() {
        assert_eq!(kind("ext4", Some("rw\ndelalloc\ndata=ordered\ncommit=5\n")), USUAL);
        let without = Some("rw\ndelalloc\nnojournal_checksum\ncommit=5\n");
        assert_eq!(kind("ext4", without), "ext4 without a journal");
    }

    #[test]
    fn of_another_file_system_nothing_is_said_but_its_name() {
        assert_eq!(kind("xfs", None), "xfs");
    }
}
