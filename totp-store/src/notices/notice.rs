//! One login notice, and its line in the file.

use totp_core::event::EventKind;
use totp_core::time::{DAY, UnixTime};
use totp_core::visible::is_plain;

use super::event::{Event, Login};
use crate::outbox::{Words, field};

/// For so long a notice is shown, counted from when a program first took it, in seconds. That a program took it does not mean
/// that the user has read it.
const SHOWN_FOR: u64 = 7 * DAY;

/// For so long one that alarms is shown: an owner may be away while a program takes notices each hour.
const ALARM_SHOWN_FOR: u64 = 30 * DAY;

/// Stands before a line that is no line of the audit log.
const NO_KEY: &str = "-";

/// Characters of an audit log line's hash that name its notice.
const KEY: usize = 16;

/// Characters of a line of an earlier version.
const LONGEST: usize = 300;

/// Leads a line about an event.
const EVENT: &str = "event";

/// Leads a line whose words are fixed: of an earlier version, and shown since.
const TEXT: &str = "text";

/// A login notice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Names its line in the audit log.
    key: String,
    what: What,
    /// When a program first took it.
    first_shown: Option<UnixTime>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum What {
    Event(Event),
    /// A line of an earlier version.
    Text(String),
}

impl Notice {
    /// Of an event whose line in the audit log has this hash.
    pub(super) fn new(event: Event, hash: &str) -> Self {
        let key = hash.get(..KEY).unwrap_or(NO_KEY).to_owned();
        Self { key, what: What::Event(event), first_shown: None }
    }

    /// What happened; `None` for a line of an earlier version.
    #[must_use]
    pub fn event(&self) -> Option<&Event> {
        match &self.what {
            What::Event(event) => Some(event),
            What::Text(_) => None,
        }
    }

    /// The kind of its event; `None` for a line of an earlier version.
    pub(super) fn kind(&self) -> Option<EventKind> {
        self.event().map(|event| event.kind)
    }

    /// What the user is shown: printable ASCII.
    #[must_use]
    pub fn sentence(&self) -> String {
        match &self.what {
            What::Event(event) => event.sentence(),
            What::Text(text) => text.clone(),
        }
    }

    /// When a program first took it.
    #[must_use]
    pub fn first_shown(&self) -> Option<UnixTime> {
        self.first_shown
    }

    /// Whether the user of this login has just done it.
    #[must_use]
    pub fn is_own_of(&self, login: &Login<'_>) -> bool {
        self.event().is_some_and(|event| event.is_own_of(login))
    }

    /// The key, where it names anything.
    pub(super) fn key(&self) -> Option<&str> {
        Some(self.key.as_str()).filter(|key| *key != NO_KEY)
    }

    /// Whether it is the same one, shown by now or not.
    pub(super) fn is(&self, other: &Self) -> bool {
        self.key == other.key && self.what == other.what
    }

    pub(super) fn is_over(&self, now: UnixTime) -> bool {
        let lasts = if self.kind().is_some_and(alarms) { ALARM_SHOWN_FOR } else { SHOWN_FOR };
        has_passed(lasts, self.first_shown, now)
    }

    /// Notes that a program took it; says whether that is news.
    pub(super) fn show(&mut self, now: UnixTime) -> bool {
        let is_first = self.first_shown.is_none();
        self.first_shown.get_or_insert(now);
        is_first
    }

    /// Reads a line without its newline; `None`: there is nothing to show in it. What these programs did not write is shown as
    /// it stands.
    pub(super) fn parse(line: &str) -> Option<Self> {
        parsed(&mut Words::of(line)).or_else(|| {
            let (key, text) = line.split_once(' ')?;
            let mut text = printable(text);
            text.truncate(LONGEST); // ASCII by now
            Some(Self { key: key.to_owned(), what: What::Text(text), first_shown: None })
        })
    }

    /// The line, with its newline.
    pub(super) fn print(&self) -> String {
        let first = field(self.first_shown.map(|time| time.to_string()).as_deref());
        let mut words = Vec::new();
        match &self.what {
            What::Event(event) => {
                words.extend([EVENT.to_owned(), self.key.clone(), first]);
                words.extend([event.time.to_string(), event.kind.as_str().to_owned()]);
                let texts = [&event.by, &event.from, &event.service, &event.reason];
                words.extend(texts.map(|text| field(text.as_deref())));
            }
            What::Text(text) => {
                words.extend([TEXT.to_owned(), self.key.clone(), first, field(Some(text))]);
            }
        }
        words.join(" ") + "\n"
    }
}

/// Whether a count that was first shown then is over.
pub(super) fn is_over(first_shown: Option<UnixTime>, now: UnixTime) -> bool {
    has_passed(SHOWN_FOR, first_shown, now)
}

fn has_passed(time: u64, first_shown: Option<UnixTime>, now: UnixTime) -> bool {
    first_shown.is_some_and(|first| now.since(first) >= time)
}

/// Whether it is what a thief does, or needs. Not that a second factor was switched on: that befalls each user once, and an owner
/// whose authenticator was replaced learns of it at the next code.
fn alarms(kind: EventKind) -> bool {
    matches!(
        kind,
        EventKind::CodeAlreadyUsed
            | EventKind::RecoveryCodeUsed
            | EventKind::BypassCodeUsed
            | EventKind::Disabled
            | EventKind::Reset
    )
}

fn parsed(words: &mut Words<'_>) -> Option<Notice> {
    let lead = words.one()?;
    let key = words.one()?.to_owned();
    let first_shown = time(words)?;
    let what = match lead {
        EVENT => What::Event(Event {
            time: words.parsed()?,
            kind: words.parsed()?,
            by: text(words)?,
            from: text(words)?,
            service: text(words)?,
            reason: text(words)?,
        }),
        TEXT => What::Text(text(words)?.unwrap_or_default()),
        _ => return None,
    };
    words.is_empty().then_some(Notice { key, what, first_shown })
}

/// A time, or none.
pub(super) fn time(words: &mut Words<'_>) -> Option<Option<UnixTime>> {
    match words.text()? {
        None => Some(None),
        Some(text) => text.parse().ok().map(Some),
    }
}

/// An administrator may have edited it.
fn text(words: &mut Words<'_>) -> Option<Option<String>> {
    let text = words.text()?;
    match &text {
        Some(text) if printable(text) != *text || text.len() > LONGEST => None,
        _ => Some(text),
    }
}

/// Lines are printable when they are written; an administrator may have edited them.
fn printable(text: &str) -> String {
    let plain = |c: char| u8::try_from(c).is_ok_and(is_plain);
    text.chars().map(|c| if plain(c) { c } else { '?' }).collect()
}
