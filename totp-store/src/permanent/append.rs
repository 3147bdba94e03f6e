//! Adding lines: under the file's own lock, on stable storage before it is over, all or nothing.

use std::fs::File;
use std::os::unix::fs::FileExt as _;

use nix::errno::Errno;
use totp_core::time::UnixTime;

use super::chain::{FIRST, LONGEST, Link};
use super::read::append_time_and_id;
use super::{DEMAND, Entry, PermanentRecord, RecordError, Recorded};
use crate::files::{Access, Directory, FileError};
use crate::flock::{Held, NoLock, Wait, lock_within};
use crate::limits;

/// Seconds by which clocks may have been set back between an event and its recording.
const CLOCK_SLACK: u64 = 3600;

/// Bytes that are looked back through at most for an event's id: a login must not hold the lock for seconds. Farther back,
/// an event that waited that long in its queue could be recorded twice.
const FARTHEST_LOOK: u64 = 64 * 1024 * 1024;

impl PermanentRecord {
    /// Records one entry. `now` is the time of recording.
    ///
    /// # Errors
    /// Nothing was recorded then: a full disk leaves the file as it was.
    pub fn append(
        &self,
        entry: &Entry,
        now: UnixTime,
        wait: Wait,
    ) -> Result<Recorded, RecordError> {
        let (directory, name) = self.directory()?;
        let file = self.open_or_create(&directory, name)?;
        let writer = self.locked(&directory, name, &file, wait)?;
        let mut tail = writer.tail()?;
        let (line, recorded) = tail.next(entry, now);
        writer.write(tail.end, line.as_bytes())?;
        Ok(recorded)
    }

    /// Records those of `events` that have not been recorded yet, by their ids: in one write, with one flush. Gives those
    /// that it did.
    ///
    /// # Errors
    /// None of them was recorded then.
    pub fn append_once<'a>(
        &self,
        events: &'a [Entry],
        now: UnixTime,
        wait: Wait,
    ) -> Result<Vec<(&'a Entry, Recorded)>, RecordError> {
        if events.is_empty() {
            return Ok(Vec::new());
        }
        let (directory, name) = self.directory()?;
        let file = self.open_or_create(&directory, name)?;
        let writer = self.locked(&directory, name, &file, wait)?;
        let mut tail = writer.tail()?;
        let (end, known) = (tail.end, writer.ids_since(tail.end, oldest(events))?);
        let mut lines = String::new();
        let mut all = Vec::new();
        for event in events.iter().filter(|event| !event.id.is_some_and(|id| known.contains(&id))) {
            let (line, recorded) = tail.next(event, now);
            lines.push_str(&line);
            all.push((event, recorded));
        }
        if !lines.is_empty() {
            writer.write(end, lines.as_bytes())?;
        }
        Ok(all)
    }

    fn open_or_create(&self, directory: &Directory, name: &str) -> Result<File, FileError> {
        if let Some(file) = directory.file(name, Access::Write, DEMAND)? {
            return Ok(file);
        }
        match directory.create(name) {
            Ok(file) => {
                directory.sync()?;
                Ok(file)
            }
            // Two first entries at once: the other one's file is as good.
            Err(error) if error.errno_if_system() == Some(Errno::EEXIST) => {
                directory.file(name, Access::Write, DEMAND)?.ok_or(error)
            }
            Err(error) => Err(error),
        }
    }

    fn locked<'a>(
        &'a self,
        directory: &Directory,
        name: &str,
        file: &'a File,
        wait: Wait,
    ) -> Result<Writer<'a>, RecordError> {
        let held = lock_within(file, wait).map_err(|no_lock| match no_lock {
            NoLock::Busy => RecordError::Busy(self.path.clone()),
            NoLock::Failed(errno) => FileError::errno(&self.path, "flock", errno).into(),
        })?;
        // Moved away by a rotation while we waited: what is written here would not be looked for.
        if !directory.names(name, file)? {
            return Err(RecordError::Busy(self.path.clone()));
        }
        Ok(Writer { record: self, file, _held: held })
    }
}

fn oldest(events: &[Entry]) -> UnixTime {
    events.iter().map(|event| event.time).min().unwrap_or(UnixTime::MAX)
}

/// The end of the chain.
struct Tail {
    /// Where the next line begins.
    end: u64,
    seq: u64,
    hash: String,
}

impl Tail {
    fn next(&mut self, entry: &Entry, now: UnixTime) -> (String, Recorded) {
        let (line, recorded) = entry.line(self.seq.saturating_add(1), &self.hash, now);
        self.seq = recorded.seq;
        self.hash.clone_from(&recorded.hash);
        (line, recorded)
    }
}

/// The open file under its lock.
struct Writer<'a> {
    record: &'a PermanentRecord,
    file: &'a File,
    _held: Held<'a>,
}

impl Writer<'_> {
    /// Finds the end of the chain. What follows the last newline was never acknowledged, and is cut off with the next write.
    /// Lines that are not of the form (a verification names them) are stepped over: an administrator who must
    /// switch off a stolen phone is not kept from it by a damaged log.
    fn tail(&self) -> Result<Tail, RecordError> {
        let mut lines = Backward::new(self.file, self.size()?);
        let mut end = None;
        while let Some((at, line)) = lines.next().map_err(|error| self.failed("read", error))? {
            let Some(whole) = line.strip_suffix(b"\n") else { continue };
            let past = at.saturating_add(u64::try_from(line.len()).unwrap_or(u64::MAX));
            let end = *end.get_or_insert(past);
            if let Some(link) = Link::of(whole) {
                return Ok(Tail { end, seq: link.seq, hash: link.hash.to_owned() });
            }
        }
        match end {
            None if lines.gave_up => Err(RecordError::Foreign(self.record.path.clone())),
            None => Ok(Tail { end: 0, seq: 0, hash: FIRST.to_owned() }),
            Some(_) => Err(RecordError::Foreign(self.record.path.clone())),
        }
    }

    /// The ids of login events recorded since shortly before `since`, as far back as is looked.
    fn ids_since(&self, end: u64, since: UnixTime) -> Result<Vec<u64>, RecordError> {
        let mut lines = Backward::new(self.file, end);
        let mut ids = Vec::new();
        while let Some((at, line)) = lines.next().map_err(|error| self.failed("read", error))? {
            let Some((recorded, id)) = append_time_and_id(&line) else { continue };
            if recorded < since.minus(CLOCK_SLACK) || end.saturating_sub(at) > FARTHEST_LOOK {
                break;
            }
            ids.extend(id);
        }
        Ok(ids)
    }

    /// Writes at `end`, cutting off an incomplete line there, and flushes. On failure the file is as long as it was
    /// before, without that incomplete line.
    fn write(&self, end: u64, lines: &[u8]) -> Result<(), RecordError> {
        let length = u64::try_from(lines.len()).unwrap_or(u64::MAX);
        limits::allow_file_size(end.saturating_add(length)).map_err(|errno| {
            FileError::errno(&self.record.path, "write (file-size limit)", errno)
        })?;
        if self.size()? != end {
            self.file.set_len(end).map_err(|error| self.failed("ftruncate", error))?;
        }
        let written = self.file.write_all_at(lines, end).and_then(|()| self.file.sync_data());
        written.map_err(|error| {
            // Best effort: what stays is an incomplete line, or a whole one that the caller calls not done.
            let _ = self.file.set_len(end).and_then(|()| self.file.sync_data());
            self.failed("write", error)
        })
    }

    fn size(&self) -> Result<u64, RecordError> {
        Ok(self.file.metadata().map_err(|error| self.failed("fstat", error))?.len())
    }

    fn failed(&self, call: &'static str, error: std::io::Error) -> RecordError {
        FileError::system(&self.record.path, call, &error).into()
    }
}

/// The lines of a file from its end to its beginning, each with its newline and where it begins.
struct Backward<'a> {
    file: &'a File,
    /// What lies in the file before `buffer`.
    before: u64,
    buffer: Vec<u8>,
    /// A line longer than any: not a file of ours.
    gave_up: bool,
}

impl<'a> Backward<'a> {
    fn new(file: &'a File, end: u64) -> Self {
        Self { file, before: end, buffer: Vec::new(), gave_up: false }
    }

    fn next(&mut self) -> std::io::Result<Option<(u64, Vec<u8>)>> {
        loop {
            let last = self.buffer.len().saturating_sub(1);
            let inner = self.buffer.get(..last).unwrap_or_default();
            if let Some(newline) = inner.iter().rposition(|&byte| byte == b'\n') {
                let from = newline.saturating_add(1);
                let at = self.before.saturating_add(u64::try_from(from).unwrap_or(u64::MAX));
                return Ok(Some((at, self.buffer.split_off(from))));
            }
            if self.before == 0 {
                let rest = std::mem::take(&mut self.buffer);
                return Ok((!rest.is_empty()).then_some((0, rest)));
            }
            if self.buffer.len() > LONGEST {
                self.gave_up = true;
                return Ok(None);
            }
            self.refill()?;
        }
    }

    fn refill(&mut self) -> std::io::Result<()> {
        const CHUNK: u64 = 4096;
        let length = self.before.min(CHUNK);
        let from = self.before.saturating_sub(length);
        let mut chunk = vec![0; usize::try_from(length).unwrap_or(0)];
        self.file.read_exact_at(&mut chunk, from)?;
        chunk.append(&mut self.buffer);
        self.buffer = chunk;
        self.before = from;
        Ok(())
    }
}
