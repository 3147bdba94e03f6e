//! The people of a house: their accounts, all with the same password, and the name service that knows
//! them from files alone.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, chown};
use std::path::Path;

/// Everybody's password.
pub const PASSWORD: &str = "correct horse";

/// `PASSWORD`, as crypt(5) writes it with few rounds: the time of hashing is not what is tested.
const PASSWORD_HASH: &str = "$6$rounds=1000$pamtotptests$mBL3KmA.lsJjfqAihNtTrdpib.A4qPoLVQAj8gnhMKvqXA0x/\
                             Xdn9kAIAGE4oc8fTfRlbDdc5w6q2cycPhvNt0";

const FIRST_UID: u32 = 20_000;

/// The group of Debian's that reads passwords.
const SHADOW: u32 = 42;

/// One account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// The name of the account, as `/etc/passwd` spells it.
    pub name: String,
    /// The user id, which is also that of the person's own group.
    pub uid: u32,
}

/// Makes this thread, and all that it starts, as if nobody had logged in: a login uid counts as that of whoever acts
/// (`/proc/self/loginuid`, which sudo leaves as it is), and would be that of the person at the test.
///
/// # Panics
///
/// Where the kernel holds on to it (`auditctl --loginuid-immutable`).
pub(crate) fn forget_who_logged_in() {
    const FILE: &str = "/proc/thread-self/loginuid";
    const NOBODY: &str = "4294967295";
    if fs::read_to_string(FILE).is_ok_and(|uid| uid.trim_end() != NOBODY) {
        fs::write(FILE, NOBODY)
            .expect("the login uid can be unset (else: systemd-run --pty make test)");
    }
}

/// Writes the accounts and the name service's files below `root`, the view of the house from outside.
pub(crate) fn settle(root: &Path, names: &[String]) -> Vec<Person> {
    let people: Vec<Person> =
        (FIRST_UID..).zip(names).map(|(uid, name)| Person { name: name.clone(), uid }).collect();
    let mut passwd = String::from("root:x:0:0:root:/root:/bin/sh\n");
    let mut shadow = String::from("root:*:19000:0:99999:7:::\n");
    let mut group =
        String::from("root:x:0:\ntty:x:5:\nutmp:x:43:\nshadow:x:42:\nnogroup:x:65534:\n");
    passwd.push_str("sshd:x:101:65534::/run/sshd:/usr/sbin/nologin\n");
    passwd.push_str("nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n");
    for Person { name, uid } in &people {
        writeln!(passwd, "{name}:x:{uid}:{uid}::/home/{uid}:/bin/sh").unwrap();
        writeln!(shadow, "{name}:{PASSWORD_HASH}:19000:0:99999:7:::").unwrap();
        writeln!(group, "{name}:x:{uid}:").unwrap();
        make_home(&root.join(format!("home/{uid}")), *uid);
    }
    writeln!(group, "admins:x:19000:{}", names.join(",")).unwrap();
    let etc = root.join("etc");
    fs::write(etc.join("passwd"), passwd).unwrap();
    fs::write(etc.join("group"), group).unwrap();
    fs::write(etc.join("shadow"), shadow).unwrap();
    // As Debian has it, so that a program of a user's own can have that user's password checked (unix_chkpwd).
    chown(etc.join("shadow"), Some(0), Some(SHADOW)).unwrap();
    fs::set_permissions(etc.join("shadow"), fs::Permissions::from_mode(0o640)).unwrap();
    fs::write(
        etc.join("nsswitch.conf"),
        "passwd: files\ngroup: files\nshadow: files\nhosts: files\n",
    )
    .unwrap();
    people
}

fn make_home(home: &Path, uid: u32) {
    fs::DirBuilder::new().mode(0o700).create(home).unwrap();
    chown(home, Some(uid), Some(uid)).unwrap();
}
