//! From the permanent record into the outbox: every line that has not been gone through yet becomes mail for those who are
//! to be told, and a notice for the user. The record comes first, so whatever ends the program in between, the next one
//! goes on where the cursor stands; and what is there already is not made twice.

use totp_core::contact::Email;
use totp_core::event::EventKind;
use totp_core::time::UnixTime;

use super::text::{Lines, NotOfThisFormat, field};
use super::{About, Audience, DEMAND, Mail, Outbox, OutboxError, audience};
use crate::files::FileError;
use crate::flock::{Held, NoLock, Wait, lock_within};
use crate::permanent::{Line, Logged, PermanentRecord, Reader};

pub(crate) const CURSOR: &str = ".cursor";
const KIND: &str = "pam-totp-cursor";

/// So many lines are held in memory, and written about before the cursor moves: a record may have millions.
const BATCH: usize = 256;

/// So many notices that could not be added are told of; the others will have the same cause.
const MOST_TROUBLE: usize = 10;

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

/// The cursor of a new installation: everything that will be recorded is told. An older installation, which has no cursor,
/// begins at the end of its permanent record.
pub(crate) fn first_cursor() -> String {
    Cursor::beginning().print()
}

/// A line of the record, and where the next look begins once it has been gone through.
struct Passed {
    logged: Logged,
    cursor: Cursor,
}

/// While this is held, nobody else goes through the permanent record. Who records a change of which the user's address must
/// be known from before takes it first: nobody enqueues that line without it.
#[derive(Debug)]
pub struct Hold<'a> {
    outbox: &'a Outbox,
    _held: Held<'a>,
}

impl Outbox {
    /// The line of the permanent record up to which it has been gone through; `None`: it never was.
    ///
    /// # Errors
    /// What can't be read.
    pub fn passed(&self) -> Result<Option<u64>, OutboxError> {
        let Some(text) = self.directory.text(CURSOR, DEMAND)? else { return Ok(None) };
        let cursor = Cursor::parse(&text).map_err(|error| self.format(CURSOR, error))?;
        Ok(Some(cursor.seq))
    }

    /// Takes the lock. Where nobody has ever gone through `record`, its present end counts as gone through: nobody is
    /// told of what happened before there was an outbox. (`totp-admin init` sets the cursor where there is no record yet.)
    ///
    /// # Errors
    /// Somebody else has it, for longer than `wait`; or the cursor or the record can't be read.
    pub fn hold(&self, record: &PermanentRecord, wait: Wait) -> Result<Hold<'_>, OutboxError> {
        let held = lock_within(&self.directory, wait).map_err(|no_lock| {
            let path = self.path();
            match no_lock {
                NoLock::Busy => OutboxError::Busy(path.to_owned()),
                NoLock::Failed(errno) => FileError::errno(path, "flock", errno).into(),
            }
        })?;
        let hold = Hold { outbox: self, _held: held };
        if hold.cursor()?.is_none() {
            let mut last = Cursor::beginning();
            for passed in Behind::from(record, 0)? {
                last = passed?.cursor;
            }
            hold.set(&last)?;
        }
        Ok(hold)
    }
}

impl Hold<'_> {
    /// Makes mail, to be delivered from `due` on, and notices of what is new in `record`. `recipients` says where mail about
    /// an event goes; an event about which nobody can be told by mail still is a notice.
    ///
    /// Gives what is wrong with notices that could not be added. One user's file keeps nobody from being told by mail.
    ///
    /// # Errors
    /// What can't be read or written. What has been made stays, and is not made again the next time.
    pub fn enqueue_new(
        &self,
        record: &PermanentRecord,
        due: UnixTime,
        recipients: &dyn Fn(&About) -> Vec<Email>,
    ) -> Result<Vec<String>, OutboxError> {
        let cursor = self.cursor()?.unwrap_or_else(Cursor::beginning);
        let mut behind = Behind::cursor(record, &cursor)?;
        let mut trouble = Vec::new();
        loop {
            let batch = behind.by_ref().take(BATCH).collect::<Result<Vec<_>, _>>()?;
            let Some(last) = batch.last() else { return Ok(trouble) };
            for passed in &batch {
                self.tell_of(passed, &batch, due, recipients, &mut trouble)?;
            }
            self.set(&last.cursor)?;
        }
    }

    fn tell_of(
        &self,
        passed: &Passed,
        batch: &[Passed],
        due: UnixTime,
        recipients: &dyn Fn(&About) -> Vec<Email>,
        trouble: &mut Vec<String>,
    ) -> Result<(), OutboxError> {
        let Some(about) = About::of(&passed.logged) else { return Ok(()) };
        if audience(about.event) == Audience::Nobody || was_not_done(&about, batch) {
            return Ok(());
        }
        if let Err(error) = self.outbox.notices.add_event(&about, &passed.cursor.hash) {
            let error = format!("{error}: not shown at the next login");
            if trouble.len() < MOST_TROUBLE && !trouble.contains(&error) {
                trouble.push(error);
            }
        }
        let to = recipients(&about);
        if to.is_empty() {
            return Ok(());
        }
        self.put(&Mail::new(about, passed.cursor.hash.clone(), to, due))
    }

    /// Writes it, unless it is there already.
    fn put(&self, mail: &Mail) -> Result<(), OutboxError> {
        let seq = mail.about.seq;
        for number in 1..=MOST_OF_A_NUMBER {
            let name = if number == 1 { seq.to_string() } else { format!("{seq}.{number}") };
            match self.outbox.look(&name) {
                Ok(None) => {
                    return Ok(self.outbox.directory.replace(&name, mail.print().as_bytes())?);
                }
                Ok(Some(there)) if there.hash == mail.hash => return Ok(()),
                Err(OutboxError::File(error)) if error.errno_if_system().is_some() => {
                    return Err(error.into());
                }
                // Of another record, or nothing of ours, which is told to whoever delivers.
                Ok(Some(_)) | Err(_) => {}
            }
        }
        Ok(())
    }

    fn cursor(&self) -> Result<Option<Cursor>, OutboxError> {
        let Some(text) = self.outbox.directory.text(CURSOR, DEMAND)? else { return Ok(None) };
        Cursor::parse(&text).map(Some).map_err(|error| self.outbox.format(CURSOR, error))
    }

    fn set(&self, cursor: &Cursor) -> Result<(), OutboxError> {
        Ok(self.outbox.directory.replace(CURSOR, cursor.print().as_bytes())?)
    }
}

/// A change that was recorded and then not made, and neither has been told: nothing has happened. (Where a batch ends
/// between the two, both are told.)
fn was_not_done(about: &About, all: &[Passed]) -> bool {
    let is_not_done = |logged: &Logged| logged.event == EventKind::NotDone.as_str();
    if about.event == EventKind::NotDone {
        return all.iter().any(|passed| Some(passed.logged.seq) == about.of);
    }
    all.iter().any(|passed| is_not_done(&passed.logged) && passed.logged.of == Some(about.seq))
}

/// The lines of the record behind some place in it, one by one.
struct Behind<'a> {
    /// `None`: there is no record.
    reader: Option<Reader<'a>>,
    /// Only lines with a higher number than this cursor's are given, and younger ones.
    after: Option<Cursor>,
}

impl<'a> Behind<'a> {
    /// From byte `at` on.
    fn from(record: &'a PermanentRecord, at: u64) -> Result<Self, OutboxError> {
        Ok(Self { reader: record.read_from(at)?, after: None })
    }

    /// Those behind the cursor. Where its line is not where it was, the record was moved away and begun anew, came back from
    /// a backup, or somebody cut or changed it: what is younger than the cursor's line is new then, whatever its number,
    /// and history is never told again.
    fn cursor(record: &'a PermanentRecord, cursor: &Cursor) -> Result<Self, OutboxError> {
        let mut from_there = Self::from(record, cursor.at)?;
        if cursor.seq == 0 {
            return Ok(from_there);
        }
        if from_there.next().transpose()?.is_some_and(|first| first.cursor.hash == cursor.hash) {
            return Ok(from_there);
        }
        Ok(Self { after: Some(cursor.clone()), ..Self::from(record, 0)? })
    }
}

impl Iterator for Behind<'_> {
    type Item = Result<Passed, OutboxError>;

    fn next(&mut self) -> Option<Self::Item> {
        let reader = self.reader.as_mut()?;
        loop {
            let at = reader.at();
            let line = match reader.poll() {
                Ok(line) => line?,
                Err(error) => return Some(Err(error.into())),
            };
            let hash = hash_of(&line).unwrap_or_default().to_owned();
            // What is no line of the record is a finding of `log --verify`.
            let Some(logged) = line.logged else { continue };
            // In the very second of the cursor's line: rather told twice than not at all.
            let is_new = |after: &Cursor| logged.seq > after.seq || logged.time >= after.time;
            if self.after.as_ref().is_none_or(is_new) {
                let cursor = Cursor { at, seq: logged.seq, hash, time: logged.time };
                return Some(Ok(Passed { logged, cursor }));
            }
        }
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
