//! Reading the record back: line by line, also while it grows.

use std::fs::File;
use std::os::unix::fs::FileExt as _;

use serde_json::Value;
use totp_core::time::UnixTime;

use super::chain::LONGEST;
use super::{Details, PermanentRecord, RecordError};
use crate::actor::Actor;
use crate::files::{Access, FileError};

/// One line of the file.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// Counted from 1.
    pub number: u64,
    /// The line as it stands, without its newline; bytes that are not UTF-8 are replaced.
    pub text: String,
    /// What it says; `None` where it is not a line of the record.
    pub logged: Option<Logged>,
}

/// What a line says. Whether it is true is a question for [`PermanentRecord::verify`].
#[derive(Clone, Debug, PartialEq)]
pub struct Logged {
    /// Its place in the chain.
    pub seq: u64,
    /// When it happened.
    pub time: UnixTime,
    /// What; possibly an event of a later version.
    pub event: String,
    /// Whom it concerns.
    pub user: Option<String>,
    /// Who did it.
    pub actor: Actor,
    /// On which machine.
    pub host: Option<String>,
    /// In which PAM service.
    pub service: Option<String>,
    /// From where.
    pub rhost: Option<String>,
    /// Why.
    pub reason: Option<String>,
    /// What this event says in keys of its own.
    pub details: Details,
    /// `not-done`: the `seq` of the change that failed.
    pub of: Option<u64>,
}

impl Logged {
    fn of(text: &str) -> Option<Self> {
        let value: Value = serde_json::from_str(text).ok()?;
        let string = |at: &Value, key: &str| at.get(key).and_then(Value::as_str).map(str::to_owned);
        let number = |at: &Value, key: &str| at.get(key).and_then(Value::as_u64);
        let uid = |at: &Value, key: &str| number(at, key).and_then(|uid| u32::try_from(uid).ok());
        let actor = value.get("actor")?;
        Some(Self {
            seq: number(&value, "seq")?,
            time: string(&value, "time")?.parse().ok()?,
            event: string(&value, "event")?,
            user: string(&value, "user"),
            actor: Actor {
                name: string(actor, "name"),
                uid: uid(actor, "uid"),
                loginuid: uid(actor, "loginuid"),
                real_uid: uid(actor, "real_uid"),
                sudo_uid: uid(actor, "sudo_uid"),
                tty: string(actor, "tty"),
                from: string(actor, "from"),
            },
            host: string(&value, "host"),
            service: string(&value, "service"),
            rhost: string(&value, "rhost"),
            reason: string(&value, "reason"),
            details: Details::of(&value),
            of: number(&value, "of"),
        })
    }
}

/// Which lines are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Those of this time and later.
    pub since: Option<UnixTime>,
    /// Those that concern a user, by any of these names; none: everybody.
    pub names: Vec<String>,
}

impl Filter {
    /// Whether `line` is wanted. A damaged line may be about anybody and is always shown.
    #[must_use]
    pub fn wants(&self, line: &Line) -> bool {
        let Some(logged) = &line.logged else { return true };
        self.since.is_none_or(|since| logged.time >= since)
            && (self.names.is_empty()
                || logged.user.as_ref().is_some_and(|user| self.names.contains(user)))
    }
}

impl PermanentRecord {
    /// Reads from the beginning. `None` where nothing has ever been recorded.
    ///
    /// # Errors
    /// What can't be read.
    pub fn read(&self) -> Result<Option<Reader<'_>>, RecordError> {
        self.read_from(0)
    }

    /// As [`PermanentRecord::read`], from the line that begins at byte `at`. Lines are counted from there.
    pub(crate) fn read_from(&self, at: u64) -> Result<Option<Reader<'_>>, RecordError> {
        Ok(self.open(Access::Read)?.map(|file| Reader {
            record: self,
            file,
            at,
            number: 0,
            buffer: Vec::new(),
        }))
    }
}

/// Reads complete lines. At the end it says `None` and may be asked again later: what has been added since then follows.
#[derive(Debug)]
pub struct Reader<'a> {
    record: &'a PermanentRecord,
    file: File,
    /// Where the next line begins.
    at: u64,
    number: u64,
    /// Complete lines, and perhaps more, from `at` on.
    buffer: Vec<u8>,
}

impl Reader<'_> {
    /// Where in the file the next line begins.
    pub(crate) fn at(&self) -> u64 {
        self.at
    }

    /// The next complete line; `None` when there is none (yet).
    ///
    /// # Errors
    /// What can't be read.
    pub fn poll(&mut self) -> Result<Option<Line>, RecordError> {
        Ok(self.poll_bytes()?.map(|(number, bytes)| {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            let logged = Logged::of(&text);
            Line { number, text, logged }
        }))
    }

    /// As [`Reader::poll`], the bytes as they stand, without the newline.
    pub(super) fn poll_bytes(&mut self) -> Result<Option<(u64, Vec<u8>)>, RecordError> {
        loop {
            if let Some(newline) = self.buffer.iter().position(|&byte| byte == b'\n') {
                let rest = self.buffer.split_off(newline.saturating_add(1));
                let mut line = std::mem::replace(&mut self.buffer, rest);
                self.at = self.at.saturating_add(length(&line));
                self.number = self.number.saturating_add(1);
                line.pop();
                return Ok(Some((self.number, line)));
            }
            if !self.refill()? {
                return Ok(None);
            }
        }
    }

    /// Whether bytes follow the last complete line: a writer's half-finished work.
    pub(super) fn has_incomplete_line(&self) -> bool {
        !self.buffer.is_empty()
    }

    /// An incomplete line is read anew each time: its writer may have been killed, and the next one cuts it off.
    fn refill(&mut self) -> Result<bool, RecordError> {
        let failed = |e| FileError::system(&self.record.path, "read", &e);
        let known = self.buffer.len();
        let mut chunk = vec![0; known.saturating_add(LONGEST)];
        let mut filled: usize = 0;
        while let Some(space) = chunk.get_mut(filled..).filter(|space| !space.is_empty()) {
            let offset = self.at.saturating_add(u64::try_from(filled).unwrap_or(u64::MAX));
            match self.file.read_at(space, offset).map_err(failed)? {
                0 => break,
                more => filled = filled.saturating_add(more),
            }
        }
        chunk.truncate(filled);
        let fresh = chunk != self.buffer;
        self.buffer = chunk;
        Ok(fresh)
    }
}

impl Iterator for Reader<'_> {
    type Item = Result<Line, RecordError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.poll().transpose()
    }
}

fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

/// For a writer that looks back: when a line was added, and the id of a login event. By the line's own fixed form,
/// so that a login parses no JSON. `None` where the line is not of that form.
pub(super) fn append_time_and_id(line: &[u8]) -> Option<(UnixTime, Option<u64>)> {
    let line = str::from_utf8(line).ok()?;
    let (entry, _) = line.rsplit_once(",\"prev\":\"")?;
    if let Some((before, recorded)) = entry.rsplit_once(",\"recorded\":\"") {
        let (_, id) = before.rsplit_once(",\"id\":\"")?;
        let id = u64::from_str_radix(id.strip_suffix('"')?, 16).ok()?;
        return Some((recorded.strip_suffix('"')?.parse().ok()?, Some(id)));
    }
    let (_, rest) = entry.split_once(",\"time\":\"")?;
    let (time, _) = rest.split_once('"')?;
    Some((time.parse().ok()?, None))
}
