//! What stands in the file of one user's login notices.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::AsFd as _;
use std::os::unix::fs::FileExt as _;

use nix::errno::Errno;
use nix::fcntl::posix_fallocate;
use totp_core::time::UnixTime;

use super::notice::{Notice, is_over, time};
use super::{DEMAND, Waiting};
use crate::limits;
use crate::outbox::{Words, field};

/// Bytes of a user's notices; further ones are counted.
const MOST: usize = 8192;

/// As many notices that are over are remembered: whoever goes through the audit log later does not add them again.
const MOST_SEEN: usize = 64;

/// The line that names one that is over.
const SEEN: &str = "seen";

/// The line that counts what had no room.
const MORE: &str = "more";

#[derive(Default)]
pub(super) struct Content {
    /// Oldest first.
    notices: Vec<Notice>,
    more: u64,
    /// When a program first took the count.
    more_shown: Option<UnixTime>,
    /// The keys of notices that are over, oldest first.
    seen: VecDeque<String>,
}

impl Content {
    pub(super) fn read(file: &File) -> io::Result<Self> {
        let mut bytes = Vec::new();
        file.take(DEMAND.at_most).read_to_end(&mut bytes)?;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        // A writer that was killed leaves half a line.
        let whole = text.rfind('\n').map_or(0, |at| at.saturating_add(1));
        let text = text.get(..whole).unwrap_or_default();
        let mut content = Self::default();
        // Not `lines`, which would take a carriage return away each time.
        for line in text.split_terminator('\n') {
            content.read_line(line);
        }
        Ok(content)
    }

    fn read_line(&mut self, line: &str) {
        match line.split_once(' ') {
            Some((SEEN, key)) => self.seen.push_back(key.to_owned()),
            Some((MORE, rest)) => {
                let mut words = Words::of(rest);
                self.more = words.one().and_then(|count| count.parse().ok()).unwrap_or(1);
                self.more_shown = time(&mut words).flatten();
            }
            _ => self.notices.extend(Notice::parse(line)),
        }
    }

    /// What is to be shown at `now`.
    pub(super) fn waiting(&self, now: UnixTime) -> Waiting {
        let notices = self.notices.iter().filter(|notice| !notice.is_over(now)).cloned().collect();
        let more = if is_over(self.more_shown, now) { 0 } else { self.more };
        Waiting { notices, more }
    }

    /// Adds a notice at `now`; `false` where it is here, or was. Where there is no room, the oldest of the most common kind is
    /// dropped and counted: a flood of one kind, which a thief can cause, hides no other kind.
    pub(super) fn add(&mut self, notice: Notice, now: UnixTime) -> bool {
        let known = |key: &str| {
            self.seen.iter().any(|seen| seen == key)
                || self.notices.iter().any(|notice| notice.key() == Some(key))
        };
        if notice.key().is_some_and(known) {
            return false;
        }
        self.forget_over(now);
        self.notices.push(notice);
        while self.size() > MOST
            && let Some(at) = most_common(&self.notices)
        {
            let dropped = self.notices.remove(at);
            self.see(&dropped);
            self.more = self.more.saturating_add(1);
            self.more_shown = None;
        }
        true
    }

    /// Bytes of the notices.
    fn size(&self) -> usize {
        self.notices.iter().map(|one| one.print().len()).sum()
    }

    /// Notes that a program took these, and forgets what is over; says whether anything is new in that.
    pub(super) fn show(&mut self, shown: &Waiting, now: UnixTime) -> bool {
        let mut changed = self.forget_over(now);
        for notice in &mut self.notices {
            if shown.notices.iter().any(|one| one.is(notice)) {
                changed |= notice.show(now);
            }
        }
        if shown.more > 0 && self.more > 0 && self.more_shown.is_none() {
            (self.more_shown, changed) = (Some(now), true);
        }
        changed
    }

    /// Forgets what was read. What was added since then stays.
    pub(super) fn mark_read(&mut self, read: &Waiting) -> bool {
        let changed = self.forget(|notice| read.notices.iter().any(|one| one.is(notice)));
        let counted = self.more.min(read.more);
        self.more = self.more.saturating_sub(counted);
        self.more_shown = self.more_shown.filter(|_| self.more > 0);
        changed || counted > 0
    }

    fn forget_over(&mut self, now: UnixTime) -> bool {
        let forgot = self.forget(|notice| notice.is_over(now));
        let counted = is_over(self.more_shown, now);
        if counted {
            (self.more, self.more_shown) = (0, None);
        }
        forgot || counted
    }

    fn forget(&mut self, is_over: impl Fn(&Notice) -> bool) -> bool {
        let (over, rest): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.notices).into_iter().partition(is_over);
        self.notices = rest;
        over.iter().for_each(|notice| self.see(notice));
        !over.is_empty()
    }

    fn see(&mut self, notice: &Notice) {
        self.seen.extend(notice.key().map(str::to_owned));
        let superfluous = self.seen.len().saturating_sub(MOST_SEEN);
        self.seen.drain(..superfluous);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.notices.is_empty() && self.more == 0 && self.seen.is_empty()
    }

    /// In place. Room is made first: a full disk leaves the file as it was.
    pub(super) fn write(&self, file: &File) -> io::Result<()> {
        let text = self.print();
        let length = u64::try_from(text.len()).unwrap_or(u64::MAX);
        limits::allow_file_size(length).map_err(io::Error::from)?;
        if length > 0 {
            allocate(file, length)?;
        }
        file.write_all_at(text.as_bytes(), 0)?;
        file.set_len(length)
    }

    fn print(&self) -> String {
        let mut text: String = self.notices.iter().map(Notice::print).collect();
        for key in &self.seen {
            text.push_str(&format!("{SEEN} {key}\n"));
        }
        if self.more > 0 {
            let first = field(self.more_shown.map(|time| time.to_string()).as_deref());
            text.push_str(&format!("{MORE} {} {first}\n", self.more));
        }
        text
    }
}

/// The oldest notice of the kind that most are of.
fn most_common(notices: &[Notice]) -> Option<usize> {
    let like = |one: &Notice| notices.iter().filter(|other| other.kind() == one.kind()).count();
    let most = notices.iter().map(like).max()?;
    notices.iter().position(|one| like(one) == most)
}

fn allocate(file: &File, length: u64) -> io::Result<()> {
    let length = i64::try_from(length).unwrap_or(i64::MAX);
    match posix_fallocate(file.as_fd(), 0, length) {
        // A file system that can't is no reason to show nothing.
        Ok(()) | Err(Errno::EOPNOTSUPP | Errno::EINVAL | Errno::ENODEV) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}
