//! What a user is shown at the next login, one line an event, in `notices/NAME`. Shown first and removed after: whatever
//! is added in between stays. Whoever records an event at a login adds its line, and whoever goes through the permanent
//! record later adds it as well: a line is known by the hash of the record's, also for a while after it was shown.
//!
//! Not brought to stable storage: mail and the permanent record have it, too.

use std::collections::VecDeque;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::FileExt as _;

use nix::errno::Errno;
use totp_core::event::EventKind;
use totp_core::name::{UserName, escaped};
use totp_core::time::UnixTime;
use totp_core::visible::is_plain;

use crate::files::{Access, Demand, Directory, FileError, Problem, Shared};
use crate::flock::{Held, NoLock, lock_within};
use crate::outbox::{About, Audience, audience};
use crate::{limits, waits};

/// What the directory is called in the state directory.
pub(crate) const NAME: &str = "notices";

/// Bytes of a user's notices; further ones are counted.
const MOST: usize = 8192;

/// Bytes of one line.
const LONGEST: usize = 300;

const DEMAND: Demand = Demand::private(65_536);

/// Stands before a line that is no line of the permanent record.
const NO_KEY: &str = "-";

/// Characters of a record's hash that name its line here.
const KEY: usize = 16;

/// As many lines that were shown are remembered.
const MOST_SEEN: usize = 64;

/// The line that names one that was shown.
const SEEN: &str = "seen";

/// The line that counts what had no room.
const MORE: &str = "more";

/// The notices of an installation.
#[derive(Debug)]
pub struct Notices {
    directory: Directory,
}

/// What a user is to be shown. [`Notices::remove`] takes it away once it was.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shown {
    /// Oldest first.
    pub lines: Vec<String>,
    /// How many more there were than could be kept.
    pub more: u64,
    /// The lines as they stand in the file.
    raw: String,
}

impl Shown {
    /// The lines as they stand in the file, and how many more there were: what [`Shown::from_parts`] makes the same of.
    #[must_use]
    pub fn to_parts(&self) -> (String, u64) {
        (self.raw.clone(), self.more)
    }

    /// What [`Notices::look`] found earlier.
    #[must_use]
    pub fn from_parts(raw: String, more: u64) -> Self {
        let text = |line: &str| line.split_once(' ').map(|(_, text)| printable(text));
        let lines = raw.lines().filter_map(text).collect();
        Self { lines, more, raw }
    }
}

impl Notices {
    pub(crate) fn beneath(state_dir: &Directory) -> Result<Self, FileError> {
        Ok(Self { directory: state_dir.inner(NAME, Shared::Nobody)? })
    }

    /// Adds a line of printable text, shown at the user's next login.
    ///
    /// # Errors
    /// Where it can't be written.
    pub fn add(&self, user: &UserName, text: &str) -> Result<(), FileError> {
        self.add_line(user, NO_KEY, text)
    }

    /// Adds what is to be said of an event of which its user is told, once. `hash` is that of its line in the permanent
    /// record. Of somebody who is gone nobody who later has the name is told anything.
    ///
    /// # Errors
    /// Where it can't be written.
    pub fn add_event(&self, about: &About, hash: &str) -> Result<(), FileError> {
        if audience(about.event) != Audience::User {
            return Ok(());
        }
        let Ok(user) = UserName::new(&about.user) else { return Ok(()) };
        if about.event == EventKind::Removed {
            return self.directory.unlink(&user.file_name()).map(drop);
        }
        self.add_line(&user, hash.get(..KEY).unwrap_or(NO_KEY), &sentence(about))
    }

    fn add_line(&self, user: &UserName, key: &str, text: &str) -> Result<(), FileError> {
        let mut text = escaped(text);
        text.truncate(LONGEST); // ASCII by now
        let name = user.file_name();
        loop {
            let file = self.open_or_create(&name)?;
            let Some(held) = self.locked(&file, &name)? else { continue };
            let content = Content::read(&file).map_err(|e| self.system(&name, "read", &e))?;
            if content.knows(key) {
                return Ok(());
            }
            let written = content.with(&format!("{key} {text}\n")).write(&file);
            drop(held);
            return written.map_err(|e| self.system(&name, "write", &e));
        }
    }

    /// What is to be shown; empty where there is nothing.
    ///
    /// # Errors
    /// What can't be read or trusted.
    pub fn look(&self, user: &UserName) -> Result<Shown, FileError> {
        let name = user.file_name();
        loop {
            let Some(file) = self.directory.file(&name, Access::Read, DEMAND)? else {
                return Ok(Shown::default());
            };
            let Some(held) = self.locked(&file, &name)? else { continue };
            let content = Content::read(&file).map_err(|e| self.system(&name, "read", &e))?;
            drop(held);
            return Ok(Shown::from_parts(content.lines, content.more));
        }
    }

    /// Removes what was shown. What was added since then stays.
    ///
    /// # Errors
    /// Where it can't be removed: it is shown once more.
    pub fn remove(&self, user: &UserName, shown: &Shown) -> Result<(), FileError> {
        let name = user.file_name();
        loop {
            let Some(file) = self.directory.file(&name, Access::Write, DEMAND)? else {
                return Ok(());
            };
            let Some(held) = self.locked(&file, &name)? else { continue };
            let content = Content::read(&file).map_err(|e| self.system(&name, "read", &e))?;
            // Another login may have shown and removed them meanwhile.
            let Some(rest) = content.lines.strip_prefix(&shown.raw) else { return Ok(()) };
            let rest = Content {
                lines: rest.to_owned(),
                more: content.more.saturating_sub(shown.more),
                seen: content.seen,
            };
            let rest = rest.after(&shown.raw);
            let done = if rest.is_empty() {
                self.directory.unlink(&name).map(drop)
            } else {
                rest.write(&file).map_err(|e| self.system(&name, "write", &e))
            };
            drop(held);
            return done;
        }
    }

    fn open_or_create(&self, name: &str) -> Result<File, FileError> {
        loop {
            if let Some(file) = self.directory.file(name, Access::Write, DEMAND)? {
                return Ok(file);
            }
            match self.directory.create(name) {
                Err(error) if error.errno_if_system() == Some(Errno::EEXIST) => {}
                created => return created,
            }
        }
    }

    /// The lock of an open file; `None` where the file was removed meanwhile and another one has to be opened.
    fn locked<'a>(&self, file: &'a File, name: &str) -> Result<Option<Held<'a>>, FileError> {
        let held = lock_within(file, waits::LINE_OF_A_LOGIN).map_err(|no_lock| {
            let errno = match no_lock {
                NoLock::Busy => Errno::EWOULDBLOCK,
                NoLock::Failed(errno) => errno,
            };
            self.system(name, "flock", &errno.into())
        })?;
        Ok(self.directory.names(name, file)?.then_some(held))
    }

    fn system(&self, name: &str, call: &'static str, error: &std::io::Error) -> FileError {
        let errno = crate::files::errno_of(error);
        FileError::new(&self.directory.path().join(name), Problem::System { call, errno })
    }
}

/// Lines are printable when they are written; an administrator may have edited them.
fn printable(text: &str) -> String {
    let plain = |c: char| u8::try_from(c).is_ok_and(is_plain);
    text.chars().map(|c| if plain(c) { c } else { '?' }).collect()
}

/// What stands in a file.
struct Content {
    lines: String,
    more: u64,
    /// The keys of lines that were shown, oldest first.
    seen: VecDeque<String>,
}

impl Content {
    fn read(file: &File) -> std::io::Result<Self> {
        let mut bytes = Vec::new();
        let mut reader = file.take(DEMAND.at_most);
        reader.read_to_end(&mut bytes)?;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        // A writer that was killed leaves half a line.
        let whole = text.rfind('\n').map_or(0, |at| at.saturating_add(1));
        let text = text.get(..whole).unwrap_or_default();
        let (mut lines, mut more, mut seen) = (String::new(), 0, VecDeque::new());
        // Not `lines`, which would take a carriage return away each time.
        for line in text.split_terminator('\n') {
            match line.split_once(' ') {
                Some((MORE, count)) => more = count.parse().unwrap_or(1),
                Some((SEEN, key)) => seen.push_back(key.to_owned()),
                _ => {
                    lines.push_str(line);
                    lines.push('\n');
                }
            }
        }
        Ok(Self { lines, more, seen })
    }

    /// Whether this line of the permanent record is here, or was shown.
    fn knows(&self, key: &str) -> bool {
        let waits = || self.lines.lines().any(|line| line.split(' ').next() == Some(key));
        key != NO_KEY && (self.seen.iter().any(|seen| seen == key) || waits())
    }

    /// The same once `shown` was shown.
    fn after(mut self, shown: &str) -> Self {
        let keys = shown.lines().filter_map(|line| line.split(' ').next());
        self.seen.extend(keys.filter(|key| *key != NO_KEY).map(str::to_owned));
        let superfluous = self.seen.len().saturating_sub(MOST_SEEN);
        self.seen.drain(..superfluous);
        self
    }

    fn is_empty(&self) -> bool {
        self.lines.is_empty() && self.more == 0 && self.seen.is_empty()
    }

    fn with(mut self, line: &str) -> Self {
        if self.more == 0 && self.lines.len().saturating_add(line.len()) <= MOST {
            self.lines.push_str(line);
        } else {
            self.more = self.more.saturating_add(1);
        }
        self
    }

    fn write(&self, file: &File) -> std::io::Result<()> {
        let mut text = self.lines.clone();
        for key in &self.seen {
            text.push_str(&format!("{SEEN} {key}\n"));
        }
        if self.more > 0 {
            text.push_str(&format!("{MORE} {}\n", self.more));
        }
        let length = u64::try_from(text.len()).unwrap_or(u64::MAX);
        limits::allow_file_size(length).map_err(std::io::Error::from)?;
        file.write_all_at(text.as_bytes(), 0)?;
        file.set_len(length)
    }
}

/// An event in one line: `recovery codes issued by carol from 192.0.2.7, 2026-03-12 09:14 UTC`.
#[must_use]
pub fn sentence(about: &About) -> String {
    let mut text = what(about.event).to_owned();
    let mut add = |word: &str, value: Option<&str>| {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            let short: String = value.chars().take(60).collect();
            text.push_str(&format!(" {word} {short}"));
        }
    };
    add("by", about.by.as_deref());
    add("from", about.from.as_deref());
    add("at", about.service.as_deref());
    text.push_str(&format!(", {}", minute(about.time)));
    if let Some(reason) = about.reason.as_deref().filter(|reason| !reason.is_empty()) {
        let short: String = reason.chars().take(100).collect();
        text.push_str(&format!(" ({short})"));
    }
    text
}

/// `2026-03-12 09:14 UTC`.
#[must_use]
pub fn minute(time: UnixTime) -> String {
    let text = time.to_string(); // 2026-03-12T09:14:00Z
    let (date, clock) = text.split_once('T').unwrap_or((&text, ""));
    format!("{date} {} UTC", clock.get(..5).unwrap_or(clock))
}

fn what(event: EventKind) -> &'static str {
    match event {
        EventKind::Enrolled => "second factor switched on",
        EventKind::Pending => "you are to enroll a second factor",
        EventKind::EnrollmentOffered => "a new key for your second factor was shown",
        EventKind::Disabled => "second factor switched off",
        EventKind::Reset => "second factor reset",
        EventKind::Removed => "second factor erased",
        EventKind::Renamed => "second factor moved to another account name",
        EventKind::UidChanged => "second factor moved to another uid of the account",
        EventKind::Repaired => "second factor repaired after a backup was restored",
        EventKind::AuthenticatorAdded => "authenticator added",
        EventKind::AuthenticatorRemoved => "authenticator removed",
        EventKind::Resynchronised => "authenticator's clock set right",
        EventKind::RecoveryCodeUsed => "recovery code used",
        EventKind::RecoveryCodesIssued => "recovery codes issued",
        EventKind::BypassCodeIssued => "bypass code issued",
        EventKind::BypassCodeUsed => "bypass code used",
        EventKind::DeviceRemembered => "device remembered",
        EventKind::DeviceForgotten => "remembered device forgotten",
        EventKind::ContactChanged => "your mail address or telephone number was changed",
        EventKind::Unlocked => "guess budget given back",
        EventKind::MoreCodesRequired => {
            "many wrong codes were entered: several codes in a row are asked for"
        }
        EventKind::CodeAlreadyUsed => {
            "A CODE OF YOURS WAS USED BY SOMEBODY ELSE before you entered it"
        }
        EventKind::StateVolatile => "the disk can't be written",
        EventKind::StateRebuilt => {
            "the state of your second factor was lost and begun anew; recovery codes are void"
        }
        EventKind::NotDone => {
            "a change told before failed and was not made, everything is as it was before it: tried"
        }
        EventKind::InstallationAdopted => "the installation was given an identity",
        EventKind::Verified => "code verified by an administrator",
        EventKind::Delivered => "mail delivered",
        EventKind::Undelivered => "mail not delivered",
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use tempfile::TempDir;

    use super::*;
    use crate::files::Owner;
    use crate::permanent::Details;

    fn notices() -> (TempDir, Notices) {
        let temp = TempDir::new().unwrap();
        fs::create_dir(temp.path().join("notices")).unwrap();
        let mode = fs::Permissions::from_mode(0o700);
        fs::set_permissions(temp.path().join("notices"), mode).unwrap();
        let owner = Owner::this_process();
        let above = Directory::open(temp.path(), owner, Shared::Readable).unwrap();
        (temp, Notices::beneath(&above).unwrap())
    }

    fn alice() -> UserName {
        UserName::new("alice").unwrap()
    }

    #[test]
    fn no_hidden_character_of_a_line_is_shown() {
        let all: String = ('\0'..=char::MAX).collect();
        assert!(printable(&all).bytes().all(is_plain));
    }

    #[test]
    fn what_was_shown_is_removed_and_the_file_with_it() {
        let (temp, notices) = notices();
        notices.add(&alice(), "one").unwrap();
        notices.add(&alice(), "two").unwrap();
        let shown = notices.look(&alice()).unwrap();
        assert_eq!((shown.lines.join(", "), shown.more), ("one, two".to_owned(), 0));
        notices.remove(&alice(), &shown).unwrap();
        assert_eq!(notices.look(&alice()).unwrap(), Shown::default());
        assert!(!temp.path().join("notices/alice").exists());
    }

    #[test]
    fn what_is_added_between_showing_and_removing_stays() {
        let (_temp, notices) = notices();
        notices.add(&alice(), "one").unwrap();
        let shown = notices.look(&alice()).unwrap();
        notices.add(&alice(), "two").unwrap();
        notices.remove(&alice(), &shown).unwrap();
        assert_eq!(notices.look(&alice()).unwrap().lines, ["two"]);
        // Somebody else who has shown the first one as well removes nothing more.
        notices.remove(&alice(), &shown).unwrap();
        assert_eq!(notices.look(&alice()).unwrap().lines, ["two"]);
    }

    #[test]
    fn an_event_is_shown_once_whoever_adds_it_and_when() {
        let (_temp, notices) = notices();
        let about = About {
            seq: 7,
            time: UnixTime(60),
            event: EventKind::RecoveryCodeUsed,
            user: "alice".to_owned(),
            by: None,
            from: None,
            host: None,
            service: None,
            reason: None,
            details: Details::default(),
            of: None,
        };
        let hash = "0123456789abcdef".repeat(4);
        notices.add_event(&about, &hash).unwrap();
        notices.add_event(&about, &hash).unwrap();
        let shown = notices.look(&alice()).unwrap();
        assert_eq!(shown.lines.len(), 1);
        notices.remove(&alice(), &shown).unwrap();
        notices.add_event(&about, &hash).unwrap();
        assert_eq!(notices.look(&alice()).unwrap().lines, [""; 0]);
        let other = "f".repeat(64);
        notices.add_event(&About { seq: 8, ..about.clone() }, &other).unwrap();
        assert_eq!(notices.look(&alice()).unwrap().lines.len(), 1);
        // About the host, not about anybody.
        let disk = About { event: EventKind::StateVolatile, ..about };
        notices.add_event(&disk, &"e".repeat(64)).unwrap();
        assert_eq!(notices.look(&alice()).unwrap().lines.len(), 1);
    }

    #[test]
    fn what_has_no_room_is_counted() {
        let (_temp, notices) = notices();
        for n in 0..200 {
            notices.add(&alice(), &format!("{n} {}", "x".repeat(90))).unwrap();
        }
        let shown = notices.look(&alice()).unwrap();
        assert!(shown.raw.len() <= MOST && shown.lines.len() > 60);
        assert_eq!(shown.lines.len() + usize::try_from(shown.more).unwrap(), 200);
        notices.add(&alice(), "late").unwrap();
        notices.remove(&alice(), &shown).unwrap();
        let rest = notices.look(&alice()).unwrap();
        assert_eq!((rest.lines.len(), rest.more), (0, 1));
    }

    #[test]
    fn a_line_cannot_hold_another_one_or_move_a_cursor() {
        let (_temp, notices) = notices();
        notices.add(&alice(), "a\nmore 7\n\x1b[2J").unwrap();
        let shown = notices.look(&alice()).unwrap();
        assert_eq!((shown.lines, shown.more), (vec!["a\\x0amore 7\\x0a\\x1b[2J".to_owned()], 0));
    }

    #[test]
    fn many_writers_and_readers_lose_nothing_and_show_nothing_twice() {
        let (_temp, notices) = notices();
        let mut seen: Vec<String> = std::thread::scope(|scope| {
            let writers: Vec<_> = (0..4)
                .map(|w| {
                    let notices = &notices;
                    scope.spawn(move || {
                        (0..50).for_each(|n| notices.add(&alice(), &format!("{w}-{n}")).unwrap());
                    })
                })
                .collect();
            let mut seen = Vec::new();
            while writers.iter().any(|writer| !writer.is_finished()) {
                let shown = notices.look(&alice()).unwrap();
                notices.remove(&alice(), &shown).unwrap();
                seen.extend(shown.lines);
            }
            seen
        });
        seen.extend(notices.look(&alice()).unwrap().lines);
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), 200);
    }

    #[test]
    fn what_was_not_done_after_all_says_that_nothing_changed_and_why() {
        let about = About {
            seq: 8,
            time: UnixTime(60),
            event: EventKind::NotDone,
            user: "alice".to_owned(),
            by: Some("carol".to_owned()),
            from: None,
            host: None,
            service: None,
            reason: Some("no space left".to_owned()),
            details: Details::default(),
            of: Some(7),
        };
        assert_eq!(
            sentence(&about),
            "a change told before failed and was not made, everything is as it was before it: tried by carol, \
             1970-01-01 00:01 UTC (no space left)"
        );
    }

    #[test]
    fn every_event_has_a_sentence_of_its_own() {
        let mut all: Vec<&str> = EventKind::ALL.iter().map(|(kind, _)| what(*kind)).collect();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), EventKind::ALL.len());
    }
}
