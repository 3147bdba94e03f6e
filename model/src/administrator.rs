//! Administration: `FileStore::put` and `FileStore::rename`, under the lock of all administration, which nobody else takes here.

use crate::blocks::{ABOVE_ALL, Blocks, Meter, State, Writes};
use crate::scene::{Slip, Task};
use crate::step::Step;
use crate::world::{Answer, Name, Place, Purpose, Record, StateFile, World, Writing};

/// One renaming.
pub(crate) const RENAME: [Step; 11] = [
    Step::Open,
    Step::Lock,
    Step::Make,
    Step::LockTarget,
    Step::Read,
    Step::Copy,
    Step::SyncCopy,
    Step::Record,
    Step::FlushRecord,
    Step::Unlink,
    Step::Unlock,
];

/// The enrollment that takes the place of the first.
const ANOTHER: u8 = 2;

impl World {
    /// `as_expected` and `ready_to_change`.
    pub(crate) fn expect(&mut self, p: usize, slip: Option<Slip>) {
        if self.processes[p].task == Task::RenameThereAndBack {
            self.expect_for_rename(p, slip);
            return;
        }
        if self.record.now().enrollment == ANOTHER {
            self.end_with(p, Answer::Ended); // an earlier try had come so far
            return;
        }
        if !self.takes_back(p, slip) {
            self.replace(p, slip);
        }
    }

    /// The source's lock is held, and nobody else renames: all is as expected.
    fn expect_for_rename(&mut self, p: usize, slip: Option<Slip>) {
        let blocks = self.opened(p);
        if self.memory.is_some() {
            self.end_with(p, Answer::Ended); // by its own steps it would be taken back; nobody renames then
        } else if blocks.is_unnoted(self.record.now().enrollment)
            && slip != Some(Slip::RecordNotKept)
        {
            self.processes[p].then(&[Step::KeepRecord]);
        }
    }

    /// `FileStore::keep_record`, of logins as of administrators.
    pub(crate) fn keep_record(&mut self) {
        self.record.flush();
    }

    /// `FileStore::put`: the first state of the new enrollment knows what the old one has spent.
    fn replace(&mut self, p: usize, slip: Option<Slip>) {
        let blocks = self.opened(p);
        let current = self.record.now().enrollment;
        let floor = blocks.state(current).map_or(ABOVE_ALL, |state| state.floor);
        let state = State { enrollment: ANOTHER, seq: blocks.highest() + 1, floor };
        let meter = Meter { repeated: Some((ANOTHER, floor)), ..blocks.meter() };
        let writes = Writes { debit: None, state: Some(state), settle: Some(meter) };
        let (place, purpose) = (Place::Disk, Purpose::First);
        self.write(p, Writing { place, purpose, blocks, enrollment: current, writes }, slip);
    }

    /// The rename in the directory of records: of a new record over the old one, or of its file to another name.
    pub(crate) fn replace_record(&mut self, p: usize) {
        let old = *self.record.now();
        let new = match self.processes[p].task {
            Task::RenameThereAndBack => Record { name: old.name.other(), ..old },
            _ => Record { enrollment: ANOTHER, ..old },
        };
        self.record.write(new, None);
    }

    /// `NotChanged::NotDurable` where the disk refuses: the change is in place, and its block isn't noted.
    pub(crate) fn flush_record(&mut self, p: usize) {
        if self.disk_refuses {
            self.processes[p].todo.retain(|step| ![Step::Note, Step::Unlink].contains(step));
        } else {
            self.record.flush();
        }
    }

    /// Another file under the new name, where there is none yet.
    pub(crate) fn make(&mut self, p: usize) {
        let to = self.record.now().name.other();
        let inode = self.inode(to).unwrap_or_else(|| self.make_state(to));
        self.processes[p].target = Some(inode);
    }

    /// `FileStore::make_state`, with the directory's flush.
    pub(crate) fn make_state(&mut self, name: Name) -> usize {
        self.files.push(StateFile::of(Blocks::default()));
        let inode = self.files.len() - 1;
        self.names[name as usize].write(Some(inode), None);
        self.names[name as usize].flush();
        inode
    }

    /// `Blocks::under`: nothing is noted of the copy.
    pub(crate) fn copy(&mut self, p: usize) {
        let source = self.opened(p);
        let meter = source.meter.map(|meter| Meter { noted: 0, ..meter });
        if let Some(target) = self.processes[p].target {
            let file = &mut self.files[target];
            file.a.write(source.a, Some(None));
            file.b.write(source.b, Some(None));
            file.meter.write(meter, Some(None));
        }
    }

    pub(crate) fn sync_copy(&mut self, p: usize) {
        if let Some(target) = self.processes[p].target {
            self.files[target].flush();
        }
    }

    /// What is left under the name that the record had, with the directory's flush.
    pub(crate) fn unlink(&mut self) {
        let from = self.record.now().name.other() as usize;
        self.names[from].write(None, None);
        self.names[from].flush();
    }

    /// There, and back again.
    pub(crate) fn go_back_after_rename(&mut self, p: usize) {
        let there = self.record.now().name == Name::Other;
        let process = &mut self.processes[p];
        if process.task != Task::RenameThereAndBack || process.answer.is_some() {
            return;
        }
        if there {
            process.only(&RENAME);
        } else {
            process.answer = Some(Answer::Ended);
        }
    }
}
