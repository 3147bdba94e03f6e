//! How every change is made, by the command and at a login alike: the permanent record first, then the change, and
//! `not-done` where it then fails. Nothing is changed that is not on record.

use thiserror::Error;
use totp_core::event::EventKind;
use totp_core::time::UnixTime;

use crate::Wait;
use crate::permanent::{Details, Entry, PermanentRecord, RecordError, Recorded};

/// Where changes are recorded, and how.
pub struct Recorder<'a> {
    /// The permanent record.
    pub record: &'a PermanentRecord,
    /// For how long another writer is waited for.
    pub wait: Wait,
    /// Says what was recorded, as each line is.
    pub say: &'a dyn Fn(&Entry, &Recorded),
}

/// Why a change was not made, or not for good.
#[derive(Debug, Error)]
pub enum NotMade<E> {
    /// It could not be recorded, and nothing was changed.
    #[error("nothing was changed: {0}")]
    Unrecorded(RecordError),
    /// It failed. The record says so, unless that failed, too.
    #[error("recorded as {seq}, {}: {error}", as_not_done(*.undone))]
    Failed {
        /// The line that has the change.
        seq: u64,
        /// The line that says that it was not made.
        undone: Option<u64>,
        /// Why it wasn't.
        error: E,
    },
    /// It is in place all the same: only whether it lasts is uncertain.
    #[error("recorded as {seq}, and done: {error}")]
    InPlace {
        /// The line that has the change.
        seq: u64,
        /// Why it may not last.
        error: E,
    },
}

/// As a part of a sentence: whether the record knows that a change was not made.
#[must_use]
pub fn as_not_done(undone: Option<u64>) -> String {
    match undone {
        Some(undone) => format!("and as not done in {undone}"),
        None => "but not done".to_owned(),
    }
}

/// What an error says about a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Means {
    /// It is in place although the error is there.
    InPlace,
    /// It was not made. What the record is to say of why.
    NotDone(String),
}

impl Recorder<'_> {
    /// Records a line by itself.
    ///
    /// # Errors
    /// Nothing was recorded.
    pub fn append(&self, entry: &Entry, now: UnixTime) -> Result<u64, RecordError> {
        let recorded = self.record.append(entry, now, self.wait)?;
        (self.say)(entry, &recorded);
        Ok(recorded.seq)
    }

    /// Records `entry`, then makes the `change`, which gets the number of its line. Where that fails, `means` says how far
    /// it came.
    ///
    /// # Errors
    /// [`NotMade`] says how far it came.
    pub fn change<T, E>(
        &self,
        entry: &Entry,
        now: UnixTime,
        means: impl FnOnce(&E) -> Means,
        change: impl FnOnce(u64) -> Result<T, E>,
    ) -> Result<(u64, T), NotMade<E>> {
        let seq = self.append(entry, now).map_err(NotMade::Unrecorded)?;
        let error = match change(seq) {
            Ok(made) => return Ok((seq, made)),
            Err(error) => error,
        };
        match means(&error) {
            Means::InPlace => Err(NotMade::InPlace { seq, error }),
            Means::NotDone(why) => {
                let undone = Entry {
                    event: EventKind::NotDone,
                    reason: Some(why),
                    details: Details::default(),
                    of: Some(seq),
                    ..entry.clone()
                };
                let undone = self.append(&undone, now).ok();
                Err(NotMade::Failed { seq, undone, error })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use tempfile::TempDir;

    use super::*;
    use crate::files::Owner;

    type Came = Result<(u64, &'static str), NotMade<Means>>;

    fn means(error: &Means) -> Means {
        error.clone()
    }

    /// The events that stand in the record after such a change, and what came of it.
    fn after(result: impl FnOnce(u64) -> Result<&'static str, Means>) -> (Vec<String>, Came) {
        let directory = tempdir();
        let record =
            PermanentRecord::new(&directory.path().join("log.jsonl"), Owner::this_process());
        let said = RefCell::new(Vec::new());
        let say = |_: &Entry, recorded: &Recorded| said.borrow_mut().push(recorded.syslog.clone());
        let recorder = Recorder { record: &record, wait: Wait::No, say: &say };
        let entry = Entry::new(UnixTime(7), EventKind::Enrolled);
        let came = recorder.change(&entry, UnixTime(7), means, |seq| {
            let text = fs::read_to_string(record.path()).unwrap();
            assert!(
                text.contains("\"event\":\"enrolled\""),
                "not recorded before it is made: {text}"
            );
            result(seq)
        });
        let text = fs::read_to_string(record.path()).unwrap();
        assert_eq!(said.borrow().len(), text.lines().count());
        (text.lines().map(str::to_owned).collect(), came)
    }

    fn tempdir() -> TempDir {
        let directory = tempfile::tempdir().unwrap();
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o700)).unwrap();
        directory
    }

    #[test]
    fn a_change_is_on_record_before_it_is_made() {
        let (lines, came) = after(|seq| {
            assert_eq!(seq, 1);
            Ok("made")
        });
        assert_eq!(came.unwrap(), (1, "made"));
        assert_eq!(lines.len(), 1);
    }

    #[test]
    fn one_that_fails_is_recorded_as_not_done() {
        let (lines, came) = after(|_| Err(Means::NotDone("the disk".to_owned())));
        assert!(matches!(came, Err(NotMade::Failed { seq: 1, undone: Some(2), .. })));
        assert!(lines[1].contains("\"event\":\"not-done\""), "{lines:?}");
        assert!(lines[1].contains("\"reason\":\"the disk\",\"of\":1"), "{lines:?}");
    }

    #[test]
    fn one_that_is_in_place_is_not_recorded_as_not_done() {
        let (lines, came) = after(|_| Err(Means::InPlace));
        assert!(matches!(came, Err(NotMade::InPlace { seq: 1, .. })));
        assert_eq!(lines.len(), 1);
    }

    #[test]
    fn what_cannot_be_recorded_is_not_made() {
        let record = PermanentRecord::new("/nowhere/log.jsonl".as_ref(), Owner::this_process());
        let recorder = Recorder { record: &record, wait: Wait::No, say: &|_, _| {} };
        let entry = Entry::new(UnixTime(7), EventKind::Enrolled);
        let came: Result<(u64, ()), NotMade<Means>> =
            recorder.change(&entry, UnixTime(7), means, |_| panic!("it was made"));
        assert!(matches!(came, Err(NotMade::Unrecorded(_))));
    }
}
