//! What a user is shown at logins: any bytes as the file in `notices/`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use totp_core::event::EventKind;
use totp_core::name::UserName;
use totp_core::time::{DAY, UnixTime};
use totp_store::files::Owner;
use totp_store::notices::Waiting;
use totp_store::outbox::{About, Outbox};
use totp_store::permanent::Details;

use crate::scratch;

const NOW: UnixTime = UnixTime(1_800_000_000);

/// Only printable lines reach a terminal, in a message of PAM's; what is added is shown, what was read is gone, what a program
/// took is gone a month later, and what came in between stays.
pub fn check(data: &[u8]) {
    let directory = installation();
    let path = directory.join("notices/alice");
    fs::write(&path, data).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let outbox = Outbox::open(&directory, Owner::this_process()).expect("an installation");
    let (notices, alice) = (outbox.notices(), UserName::new("alice").unwrap());
    let Ok(first) = notices.look(&alice, NOW) else {
        assert!(data.len() > 65_536, "a file of a sane size can be read");
        return fs::remove_file(&path).unwrap();
    };
    printable(&first);
    let added = about(&String::from_utf8_lossy(data));
    notices.add_event(&added, &"z".repeat(64)).expect("there is room");
    let look = || notices.look(&alice, NOW).expect("it was just written");
    let both = look();
    printable(&both);
    let is_last =
        both.notices.last().is_some_and(|last| last.event().is_some_and(|e| e.by == added.by));
    assert!(is_last, "whatever it takes the place of");
    notices.mark_read(&alice, &first).expect("it can be written");
    let rest = look();
    assert!(rest.notices.iter().all(|notice| !first.notices.contains(notice)));
    assert_eq!(rest.notices.last(), both.notices.last());
    notices.show(&alice, &rest, NOW).expect("it can be written");
    let shown = look();
    assert_eq!((shown.notices.len(), shown.more), (rest.notices.len(), rest.more));
    let later = NOW.plus(30 * DAY);
    assert!(notices.look(&alice, later).expect("as before").is_empty());
    notices.show(&alice, &Waiting::default(), later).expect("it can be written");
    assert!(look().is_empty(), "forgotten");
    let _ = fs::remove_file(&path);
}

fn printable(waiting: &Waiting) {
    let printable = |line: &str| line.bytes().all(|b| b.is_ascii_graphic() || b == b' ');
    assert!(waiting.notices.iter().all(|one| printable(&one.sentence())), "{waiting:?}");
    let line = waiting.summary(&UserName::new("alice").unwrap());
    assert_eq!(line.is_none(), waiting.is_empty());
    assert!(line.is_none_or(|line| printable(&line) && line.len() <= 511));
}

fn about(reason: &str) -> About {
    About {
        seq: 1,
        time: NOW,
        event: EventKind::Reset,
        user: "alice".to_owned(),
        by: Some("fuzz".to_owned()),
        from: None,
        host: None,
        service: None,
        reason: Some(reason.to_owned()),
        details: Details::default(),
        of: None,
    }
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
