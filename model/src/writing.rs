//! How a decision gets to disk: `Blocks::write`, `Blocks::write_state`, `FileStore::on_disk`, `FileStore::in_memory` and
//! `FileStore::take_back`.

use crate::blocks::{Blocks, Meter, Slot};
use crate::scene::{Slip, Task};
use crate::step::Step;
use crate::world::{Answer, Place, Purpose, StateFile, World, Writing};

impl Writing {
    /// The block that must survive, where its flush isn't noted.
    fn kept_unflushed(&self) -> Option<Slot> {
        let kept = self.blocks.newest(self.enrollment);
        kept.filter(|(_, kept)| kept.seq > self.blocks.noted()).map(|(slot, _)| slot)
    }

    /// All steps, in the order of writes.
    pub(crate) fn steps(&self, slip: Option<Slip>) -> Vec<Step> {
        let mut steps = Vec::new();
        if self.writes.debit.is_some() {
            steps.push(Step::Debit);
        }
        if self.writes.state.is_some() {
            steps.extend(self.state_steps(slip));
            if slip == Some(Slip::DebitAfterState) {
                steps.retain(|step| *step != Step::Debit);
                steps.push(Step::Debit);
            }
        }
        if self.purpose == Purpose::First {
            steps.extend([Step::Record, Step::FlushRecord]);
            if slip == Some(Slip::RecordBeforeBlock) {
                steps.rotate_right(2);
            }
        }
        if self.writes.state.is_some() || self.writes.settle.is_some() {
            steps.push(Step::Note);
        }
        if slip == Some(Slip::NotedBeforeFlushed)
            && let Some(flush) = steps.iter().position(|step| *step == Step::Flush)
        {
            steps.retain(|step| *step != Step::Note);
            steps.insert(flush, Step::Note);
        }
        if self.place == Place::Memory {
            let disks = [Step::KeepRecord, Step::FlushRewritten, Step::Flush];
            steps.retain(|step| !disks.contains(step));
        }
        let too_early = slip == Some(Slip::MemoryRemovedBeforeFlush);
        match self.purpose {
            Purpose::TakingBack if too_early => {
                steps.retain(|step| *step != Step::Flush);
                steps.extend([Step::RemoveMemory, Step::FlushBack, Step::Read]);
            }
            Purpose::TakingBack => steps.extend([Step::FlushBack, Step::RemoveMemory, Step::Read]),
            _ => steps.extend([Step::Unlock, Step::Tell]),
        }
        steps
    }

    fn state_steps(&self, slip: Option<Slip>) -> Vec<Step> {
        let mut steps = Vec::new();
        if self.kept_unflushed().is_some() && slip != Some(Slip::RecordNotKept) {
            steps.push(Step::KeepRecord);
        }
        if self.kept_unflushed().is_some() && slip != Some(Slip::TakenForFlushed) {
            if slip != Some(Slip::FlushedButNotRewritten) {
                steps.push(Step::Rewrite);
            }
            steps.push(Step::FlushRewritten);
        }
        steps.push(Step::Target);
        if slip != Some(Slip::NoFlush) {
            steps.push(Step::Flush);
        }
        steps
    }

    fn target(&self, slip: Option<Slip>) -> Slot {
        let target = self.blocks.target(self.enrollment);
        let wrong = match slip {
            Some(Slip::NewestOverwritten) => self.purpose != Purpose::First,
            Some(Slip::FirstBlockOverNewest) => self.purpose == Purpose::First,
            _ => false,
        };
        if wrong { target.other() } else { target }
    }

    /// The meter after the flush, with the note of it.
    fn settled(&self) -> Meter {
        let meter = self.writes.settle.or(self.writes.debit).unwrap_or(self.blocks.meter());
        Meter { noted: self.writes.state.map_or(self.blocks.noted(), |state| state.seq), ..meter }
    }
}

impl World {
    /// Begins to write.
    pub(crate) fn write(&mut self, p: usize, writing: Writing, slip: Option<Slip>) {
        let process = &mut self.processes[p];
        process.only(&writing.steps(slip));
        process.writing = Some(writing);
    }

    /// One of the steps that write or flush a state file.
    pub(crate) fn write_step(&mut self, p: usize, step: Step, slip: Option<Slip>) {
        let Some(writing) = self.processes[p].writing else { return };
        if writing.place == Place::Disk && self.disk_refuses {
            self.refused_by_disk(p, writing, step, slip);
            return;
        }
        self.note_what_shows(p, &writing, step);
        let by_memory = writing.place == Place::Memory;
        if by_memory && step == Step::Target {
            self.remember_by_memory(p);
        }
        if step == Step::KeepRecord {
            self.keep_record();
            return;
        }
        let target = writing.target(slip);
        let Some(file) = self.written_file(p, writing.place) else { return };
        match step {
            Step::Debit => file.write_meter(
                writing.writes.debit.map(|m| Meter { noted: writing.blocks.noted(), ..m }),
            ),
            Step::Rewrite => rewrite(file, &writing),
            Step::Target => file.write(target, writing.writes.state),
            Step::Note => file.write_meter(Some(writing.settled())),
            _ => file.flush(),
        }
        if by_memory {
            file.flush();
        }
        self.processes[p].debited |= step == Step::Debit;
    }

    /// `Memory::put`, which is one rename.
    pub(crate) fn put(&mut self, p: usize) {
        let Some(writing) = self.processes[p].writing else { return };
        let after = writing.blocks.after(writing.enrollment, &writing.writes);
        self.memory = Some(StateFile::of(after));
        self.remember_by_memory(p);
    }

    /// `Memory::remove`: what was accepted there is on disk now.
    pub(crate) fn remove_memory(&mut self) {
        self.memory = None;
        self.told.by_memory = [false; 2];
        self.told.taken_back = true;
    }

    fn written_file(&mut self, p: usize, place: Place) -> Option<&mut StateFile> {
        match (place, self.processes[p].open) {
            (Place::Memory, _) => self.memory.as_mut(),
            (Place::Disk, Some(inode)) => self.files.get_mut(inode),
            (Place::Disk, None) => None,
        }
    }

    /// What follows where the disk doesn't take a write or a flush.
    fn refused_by_disk(&mut self, p: usize, writing: Writing, step: Step, slip: Option<Slip>) {
        if matches!(step, Step::Flush | Step::FlushRewritten | Step::FlushBack)
            && let Some(file) = self.written_file(p, Place::Disk)
        {
            file.flush_fails();
        }
        let Task::Login(code) = self.processes[p].task else {
            // `Fault::Unavailable`, except for the note: that is done without.
            if step != Step::Note {
                self.end_with(p, Answer::Ended);
            }
            return;
        };
        if writing.purpose == Purpose::TakingBack {
            self.decide_in_memory(p, code, slip);
        } else {
            self.decide_again(p, writing, code, slip);
        }
    }

    /// `FileStore::on_disk`, its second half: the same view, with what memory has forgotten.
    fn decide_again(&mut self, p: usize, writing: Writing, code: u8, slip: Option<Slip>) {
        let enrollment = writing.enrollment;
        let decision = writing.blocks.decide(enrollment, code, Some(self.since), slip);
        let process = &mut self.processes[p];
        process.answer = Some(Answer::of(&decision, Place::Memory));
        process.writing = Some(Writing { writes: decision.writes, ..writing });
        process.only(&[Step::Put, Step::Unlock, Step::Tell]);
    }

    /// `FileStore::in_memory`.
    fn decide_in_memory(&mut self, p: usize, code: u8, slip: Option<Slip>) {
        let blocks = self.memory.as_ref().map(StateFile::read).unwrap_or_default();
        self.decide(p, code, blocks, Place::Memory, slip);
    }

    pub(crate) fn decide(
        &mut self,
        p: usize,
        code: u8,
        blocks: Blocks,
        place: Place,
        slip: Option<Slip>,
    ) {
        let enrollment = self.record.now().enrollment;
        let since = (place == Place::Memory).then_some(self.since);
        let decision = blocks.decide(enrollment, code, since, slip);
        self.processes[p].answer = Some(Answer::of(&decision, place));
        let writes = decision.writes;
        let purpose = Purpose::Verdict;
        self.write(p, Writing { place, purpose, blocks, enrollment, writes }, slip);
    }

    /// That a flush or another block follows can be seen from outside (by its time, or by stopping the process there), and
    /// follows a right code alone.
    fn note_what_shows(&mut self, p: usize, writing: &Writing, step: Step) {
        let shows =
            [Step::KeepRecord, Step::Rewrite, Step::FlushRewritten, Step::Target, Step::Flush];
        if shows.contains(&step) && writing.writes.debit.is_some() && !self.processes[p].debited {
            self.told.oracle = true;
        }
    }

    fn remember_by_memory(&mut self, p: usize) {
        if let (Task::Login(code @ 1..), Some(Answer::In { .. })) =
            (self.processes[p].task, self.processes[p].answer)
        {
            self.told.by_memory[usize::from(code - 1)] = true;
        }
    }
}

fn rewrite(file: &mut StateFile, writing: &Writing) {
    match writing.kept_unflushed() {
        Some(Slot::A) => file.write(Slot::A, writing.blocks.a),
        Some(Slot::B) => file.write(Slot::B, writing.blocks.b),
        None => {}
    }
}
