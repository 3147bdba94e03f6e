//! What a user is shown at the next login: any bytes as the file in `notices/`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use totp_core::name::UserName;
use totp_store::files::Owner;
use totp_store::outbox::Outbox;

use crate::scratch;

/// Only printable lines reach a terminal; what is added is shown, what was shown is gone, and what came in between stays.
pub fn check(data: &[u8]) {
    let directory = installation();
    let path = directory.join("notices/alice");
    fs::write(&path, data).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let outbox = Outbox::open(&directory, Owner::this_process()).expect("an installation");
    let (notices, alice) = (outbox.notices(), UserName::new("alice").unwrap());
    let Ok(shown) = notices.look(&alice) else {
        assert!(data.len() > 65_536, "a file of a sane size can be read");
        return fs::remove_file(&path).unwrap();
    };
    let printable = |line: &String| line.bytes().all(|b| b.is_ascii_graphic() || b == b' ');
    assert!(shown.lines.iter().all(printable), "{shown:?}");
    let added = String::from_utf8_lossy(data).into_owned();
    notices.add(&alice, &added).expect("there is room");
    let both = notices.look(&alice).expect("it was just written");
    assert!(both.lines.iter().all(printable));
    assert_eq!(both.lines[..shown.lines.len()], shown.lines);
    let one_more = both.lines.len() == shown.lines.len() + 1;
    assert!(one_more != (both.more == shown.more.saturating_add(1)), "shown, or counted");
    notices.remove(&alice, &shown).expect("it can be written");
    let rest = notices.look(&alice).expect("it was just written");
    assert_eq!(rest.lines, both.lines[shown.lines.len()..]);
    notices.remove(&alice, &rest).expect("it can be written");
    let nothing = notices.look(&alice).expect("nothing, or what is remembered of what was shown");
    assert!(nothing.lines.is_empty() && nothing.more == 0, "{nothing:?}");
    let _ = fs::remove_file(&path);
}

fn installation() -> PathBuf {
    let directory = scratch::directory();
    for name in ["outbox", "notices"] {
        private(&directory.join(name));
    }
    directory
}

fn private(directory: &Path) {
    if !directory.exists() {
        fs::create_dir(directory).unwrap();
        fs::set_permissions(directory, fs::Permissions::from_mode(0o700)).unwrap();
    }
}
