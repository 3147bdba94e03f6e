//! From the permanent record into the outbox: every line that has not been gone through yet becomes mail for those who are
//! to be told, and a notice for the user. The record comes first, so whatever ends the program in between, the next one
//! goes on where the cursor stands; and what is there already is not made twice.

use std::time::Duration;

use totp_core::contact::Email;
use totp_core::event::EventKind;
use totp_core::time::UnixTime;

use super::text::{Lines, NotOfThisFormat, field};
use super::{About, Audience, DEMAND, Mail, Outbox, OutboxError, audience};
use crate::files::{FileError, errno_of};
use crate::flock::{Held, Pauses, Wait};
use crate::permanent::{Line, Logged, PermanentRecord};

const CURSOR: &str = ".cursor";
const KIND: &str = "pam-totp-cursor";

/// So many records that were begun anew may have the same line waiting.
const MOST_OF_A_NUMBER: usize = 9;

/// How far the permanent record has been gone through: its last line that was.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Cursor {
    /// Where that line begins in the file.
    at: u64,
    /// Its number; 0 before the first.
    seq: u64,
    /// Its hash.
    hash: String,
    /// Its time.
    time: UnixTime,
}

impl Cursor {
    /// Before the first line.
    fn beginning() -> Self {
        Self { at: 0, seq: 0, hash: String::new(), time: UnixTime(0) }
    }

    fn print(&self) -> String {
        let hash = field(Some(&self.hash));
        format!("{KIND} 1\nat {}\nseq {}\nhash {hash}\ntime {}\n", self.at, self.seq, self.time)
    }

    fn parse(text: &str) -> Result<Self, NotOfThisFormat> {
        let mut lines = Lines::open(text, KIND)?;
        let cursor = Self {
            at: lines.must("at", |w| w.number())?,
            seq: lines.must("seq", |w| w.number())?,
            hash: lines.must("hash", |w| w.text())?.unwrap_or_default(),
            time: lines.must("time", |w| w.parsed())?,
        };
        lines.end()?;
        Ok(cursor)
    }
}

/// A line of the record, and where the next look begins once it has been gone through.
struct Passed {
    logged: Logged,
    cursor: Cursor,
}

/// Mail that is new in the outbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enqueued {
    /// The line of the permanent record that it is about.
    pub seq: u64,
    /// The file.
    pub name: String,
}

/// While this is held, nobody else goes through the permanent record. Who records a change of which the user's address must
/// be known from before takes it first: nobody enqueues that line without it.
#[derive(Debug)]
pub struct Hold<'a> {
    outbox: &'a Outbox,
    _held: Held<'a>,
}

impl Outbox {
    /// Takes the lock. Where nobody has ever gone through `record`, its present end counts as gone through: nobody is
    /// told of what happened before there was an outbox. (`make install` sets the cursor where there is no record yet.)
    ///
    /// # Errors
    /// Somebody else has it, for longer than `wait`; or the cursor or the record can't be read.
    pub fn hold(&self, record: &PermanentRecord, wait: Wait) -> Result<Hold<'_>, OutboxError> {
        let mut pauses = Pauses::new(wait);
        // Whoever has it may be in the middle of a change: nobody is ended for it.
        let held = loop {
            let failed = |errno: rustix::io::Errno| {
                FileError::errno(self.path(), "flock", errno_of(&errno.into()))
            };
            if let Some(held) = Held::take(&self.directory).map_err(failed)? {
                break held;
            }
            if !pauses.pause() {
                return Err(OutboxError::Busy(self.path().to_owned()));
            }
        };
        let hold = Hold { outbox: self, _held: held };
        if hold.cursor()?.is_none() {
            let all = passed_from(record, &Cursor::beginning())?;
            let last = all.into_iter().last().map_or(Cursor::beginning(), |passed| passed.cursor);
            hold.set(&last)?;
        }
        Ok(hold)
    }

    /// As [`Outbox::hold`] for who goes through the record alone and can as well come later.
    ///
    /// # Errors
    /// As [`Outbox::hold`].
    pub fn hold_if_free(&self, record: &PermanentRecord) -> Result<Option<Hold<'_>>, OutboxError> {
        match self.hold(record, Wait::AtMost(Duration::from_millis(200))) {
            Ok(hold) => Ok(Some(hold)),
            Err(OutboxError::Busy(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl Hold<'_> {
    /// Makes mail, to be delivered from `due` on, and notices of what is new in `record`. `recipients` says where mail about
    /// an event goes; an event about which nobody can be told by mail still is a notice.
    ///
    /// # Errors
    /// What can't be read or written. What has been made stays, and is not made again the next time.
    pub fn enqueue_new(
        &self,
        record: &PermanentRecord,
        due: UnixTime,
        recipients: &dyn Fn(&About) -> Vec<Email>,
    ) -> Result<Vec<Enqueued>, OutboxError> {
        let cursor = self.cursor()?.unwrap_or_else(Cursor::beginning);
        let new = passed_from(record, &cursor)?;
        let mut enqueued = Vec::new();
        for passed in &new {
            let Some(about) = About::of(&passed.logged) else { continue };
            if audience(about.event) == Audience::Nobody || was_not_done(&about, &new) {
                continue;
            }
            self.outbox.notices.add_event(&about, &passed.cursor.hash)?;
            let to = recipients(&about);
            if !to.is_empty() {
                let mail = Mail::new(about, passed.cursor.hash.clone(), to, due);
                enqueued.extend(self.put(&mail)?);
            }
        }
        if let Some(last) = new.last() {
            self.set(&last.cursor)?;
        }
        Ok(enqueued)
    }

    /// `None` where it is there already.
    fn put(&self, mail: &Mail) -> Result<Option<Enqueued>, OutboxError> {
        let seq = mail.about.seq;
        for number in 1..=MOST_OF_A_NUMBER {
            let name = if number == 1 { seq.to_string() } else { format!("{seq}.{number}") };
            match self.outbox.look(&name) {
                Ok(None) => {
                    self.outbox.directory.replace(&name, mail.print().as_bytes())?;
                    return Ok(Some(Enqueued { seq, name }));
                }
                Ok(Some(there)) if there.hash == mail.hash => return Ok(None),
                // Of another record, or damaged, which is told to whoever delivers.
                Ok(Some(_)) | Err(OutboxError::Format { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    fn cursor(&self) -> Result<Option<Cursor>, OutboxError> {
        let Some(text) = self.outbox.directory.text(CURSOR, DEMAND)? else { return Ok(None) };
        Cursor::parse(&text).map(Some).map_err(|error| self.outbox.format(CURSOR, error))
    }

    fn set(&self, cursor: &Cursor) -> Result<(), OutboxError> {
        Ok(self.outbox.directory.replace(CURSOR, cursor.print().as_bytes())?)
    }
}

/// A change that was recorded and then not made, and neither has been told: nothing has happened.
fn was_not_done(about: &About, all: &[Passed]) -> bool {
    let is_not_done = |logged: &Logged| logged.event == EventKind::NotDone.as_str();
    if about.event == EventKind::NotDone {
        return all.iter().any(|passed| Some(passed.logged.seq) == about.of);
    }
    all.iter().any(|passed| is_not_done(&passed.logged) && passed.logged.of == Some(about.seq))
}

/// The lines behind the cursor. Where its line is not where it was, the record was moved away and begun anew, or somebody
/// changed it: a record whose first line is younger than the cursor is new as a whole, of another one what has a higher
/// number.
fn passed_from(record: &PermanentRecord, cursor: &Cursor) -> Result<Vec<Passed>, OutboxError> {
    let mut from_there = lines_from(record, cursor.at)?;
    if cursor.seq == 0 {
        return Ok(from_there);
    }
    if from_there.first().is_some_and(|first| first.cursor.hash == cursor.hash) {
        from_there.remove(0);
        return Ok(from_there);
    }
    let all = lines_from(record, 0)?;
    let begun_anew = all.first().is_some_and(|first| first.logged.time > cursor.time)
        || all.last().is_some_and(|last| last.logged.seq < cursor.seq);
    let is_new = |passed: &Passed| begun_anew || passed.logged.seq > cursor.seq;
    Ok(all.into_iter().filter(is_new).collect())
}

/// The lines from byte `at` on that are lines of the record.
fn lines_from(record: &PermanentRecord, at: u64) -> Result<Vec<Passed>, OutboxError> {
    let mut lines = Vec::new();
    let Some(mut reader) = record.read_from(at)? else { return Ok(lines) };
    loop {
        let at = reader.at();
        let Some(line) = reader.poll()? else { return Ok(lines) };
        let hash = hash_of(&line).unwrap_or_default().to_owned();
        let Some(logged) = line.logged else { continue };
        let cursor = Cursor { at, seq: logged.seq, hash, time: logged.time };
        lines.push(Passed { logged, cursor });
    }
}

fn hash_of(line: &Line) -> Option<&str> {
    line.text.rsplit_once(",\"hash\":\"")?.1.strip_suffix("\"}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_back_also_that_of_an_installation() {
        let cursor = Cursor { at: 7, seq: 3, hash: "ab".to_owned(), time: UnixTime(60) };
        for one in [cursor, Cursor::beginning()] {
            assert_eq!(Cursor::parse(&one.print()), Ok(one));
        }
        assert!(Cursor::parse("pam-totp-cursor 1\nat 0\n").is_err());
    }
}
