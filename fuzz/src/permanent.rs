//! The permanent record: any bytes as its file, and entries with any texts behind them.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use totp_core::event::EventKind;
use totp_core::time::UnixTime;
use totp_core::visible::is_hidden;
use totp_store::Wait;
use totp_store::actor::Actor;
use totp_store::files::Owner;
use totp_store::outbox::About;
use totp_store::permanent::{Entry, Line, PermanentRecord};

use crate::choices::Choices;
use crate::scratch;

const NOW: UnixTime = UnixTime(1_763_000_000);

/// Every line is read and counted; what continues the chain holds, whatever it says; one byte changed in it is found.
pub fn check(data: &[u8]) {
    let path = scratch::directory().join("notifications.jsonl");
    let record = PermanentRecord::new(&path, Owner::this_process());
    put(&path, data);
    let lines = lines(&record);
    assert_eq!(lines.len(), data.iter().filter(|byte| **byte == b'\n').count());
    let before = record.verify(&[]).expect("a file that can be read");
    assert_eq!(before.lines, lines.len() as u64);
    assert_eq!(before.incomplete, data.last().is_some_and(|byte| *byte != b'\n'));
    let logged = || lines.iter().filter_map(|line| line.logged.as_ref());
    for about in logged().filter_map(About::of) {
        assert!(!totp_store::notices::sentence(&about).is_empty());
    }
    // On a file of its own: a damaged one has its own findings.
    fs::remove_file(&path).unwrap();
    continues(&record, &path, &entries(data), data);
    let _ = fs::remove_file(&path);
}

fn continues(record: &PermanentRecord, path: &Path, entries: &[Entry], data: &[u8]) {
    let wait = Wait::AtMost(Duration::from_secs(1));
    let recorded = record.append_once(entries, NOW, wait).expect("there is room");
    let again = record.append_once(entries, NOW, wait).expect("there is room");
    let anew = entries.iter().filter(|entry| entry.id.is_none()).count();
    assert_eq!(again.len(), anew, "what has an id is recorded once");
    let verified = record.verify(&[]).unwrap();
    assert_eq!(verified.findings, []);
    let lines = lines(record);
    assert_eq!(lines.len(), recorded.len() + again.len());
    for ((entry, recorded), line) in recorded.iter().chain(&again).zip(&lines) {
        reads_back(entry, line);
        assert!(line.text.ends_with(&format!("\"hash\":\"{}\"}}", recorded.hash)));
        let plain = |byte: u8| byte.is_ascii_graphic() || byte == b' ';
        assert!(recorded.syslog.bytes().all(plain), "{}", recorded.syslog);
    }
    let mut bytes = fs::read(path).unwrap();
    let at = data.iter().map(|byte| usize::from(*byte)).sum::<usize>() % (bytes.len() - 1);
    bytes[at] ^= 1;
    put(path, &bytes);
    assert_ne!(record.verify(&[]).unwrap().findings, [], "byte {at} changed");
}

fn reads_back(entry: &Entry, line: &Line) {
    assert!(!line.text.contains(is_hidden), "{}", line.text);
    let logged = line.logged.as_ref().expect("a line of the record");
    assert_eq!(logged.event, entry.event.as_str());
    assert_eq!((logged.time, &logged.user, &logged.of), (entry.time, &entry.user, &entry.of));
    assert_eq!((&logged.actor, &logged.host), (&entry.actor, &entry.host));
    assert_eq!((&logged.service, &logged.rhost), (&entry.service, &entry.rhost));
    assert_eq!(logged.reason, entry.reason);
}

/// One to three entries with texts out of `data`.
fn entries(data: &[u8]) -> Vec<Entry> {
    let mut choices = Choices::new(data);
    let count = 1 + choices.below(3);
    let mut text = |most| (!choices.yes()).then(|| choices.text(most));
    let mut all: Vec<Entry> = Vec::new();
    for n in 0..count {
        let kind = EventKind::ALL[usize::try_from(n).unwrap() % EventKind::ALL.len()].0;
        let mut entry = Entry::new(NOW, kind);
        entry.reason = text(255);
        entry.user = text(64);
        entry.actor = Actor { name: text(16), uid: Some(7), from: text(16), ..Actor::default() };
        entry.host = text(16);
        entry.service = text(16);
        entry.rhost = text(32);
        entry.id = text(1).map(|_| n);
        all.push(entry);
    }
    all
}

fn put(path: &Path, bytes: &[u8]) {
    fs::write(path, bytes).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

fn lines(record: &PermanentRecord) -> Vec<Line> {
    let reader = record.read().expect("a file that can be opened").expect("a file");
    reader.map(|line| line.expect("a file that can be read")).collect()
}
