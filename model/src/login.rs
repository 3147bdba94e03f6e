//! A login: `FileStore::transacted` and what it calls.

use crate::administrator::RENAME;
use crate::blocks::{Blocks, Decision};
use crate::scene::{Scene, Slip, Task};
use crate::step::Step;
use crate::world::{Answer, Life, Name, Place, Purpose, StateFile, World, Writing};

const LOGIN: [Step; 4] = [Step::Open, Step::Lock, Step::Check, Step::Read];

impl Answer {
    pub(crate) fn of(decision: &Decision, place: Place) -> Self {
        if decision.accepted {
            Self::In { by_memory: place == Place::Memory }
        } else {
            Self::Refused { with_reason: decision.forgotten }
        }
    }
}

impl World {
    /// A process that has done nothing yet: the answer is in.
    pub(crate) fn begin(&mut self, scene: &Scene, p: usize) {
        let from = self.record.now().name;
        let process = &mut self.processes[p];
        process.life = Life::Running;
        process.answer = None;
        process.forget();
        match process.task {
            Task::Login(_) if scene.slip == Some(Slip::ReadBeforeLock) => {
                process.only(&[
                    Step::Open,
                    Step::ReadTooEarly,
                    Step::Lock,
                    Step::Check,
                    Step::Read,
                ]);
            }
            Task::Login(_) => process.only(&LOGIN),
            Task::Replace => process.only(&[Step::Open, Step::Lock, Step::Read]),
            // Whoever looks again after being killed finds everything as before, and leaves it at that.
            Task::RenameThereAndBack if process.was_killed && from == Name::Usual => {
                self.end_with(p, Answer::Ended);
            }
            Task::RenameThereAndBack => process.only(&RENAME),
        }
    }

    /// Does the next step of a process.
    pub(crate) fn step(&mut self, scene: &Scene, p: usize) {
        let Some(step) = self.processes[p].todo.pop() else { return };
        let slip = scene.slip;
        let kept_by_administrator = step == Step::KeepRecord && self.processes[p].writing.is_none();
        let of_names = [Step::Make, Step::SyncCopy, Step::Record].contains(&step);
        if self.disk_refuses && (of_names || kept_by_administrator) {
            self.end_with(p, Answer::Ended); // nothing is changed, and the command says so
            return;
        }
        match step {
            Step::Open => self.open(p),
            Step::Decoy => self.look_at_decoy(p),
            Step::Lock => self.lock(p, self.processes[p].open),
            Step::LockTarget => self.lock(p, self.processes[p].target),
            Step::Check => self.check(p, slip),
            Step::ReadTooEarly => {
                self.processes[p].read_too_early = Some(self.opened(p));
            }
            Step::Read => match self.processes[p].task {
                Task::Login(code) => self.read(p, code, slip),
                _ => self.expect(p, slip),
            },
            Step::Put => self.put(p),
            Step::RemoveMemory => self.remove_memory(),
            Step::Record => self.replace_record(p),
            Step::KeepRecord if kept_by_administrator => self.keep_record(),
            Step::FlushRecord => self.flush_record(p),
            Step::Make => self.make(p),
            Step::Copy => self.copy(p),
            Step::SyncCopy => self.sync_copy(p),
            Step::Unlink => self.unlink(),
            Step::Unlock => self.unlock(p),
            Step::Tell => self.tell(p),
            write => self.write_step(p, write, slip),
        }
    }

    /// A state under the user's name; without one, the decoy's.
    fn open(&mut self, p: usize) {
        let from = self.record.now().name;
        let process = &self.processes[p];
        let name = if matches!(process.task, Task::Login(_)) { Name::Usual } else { from };
        let inode = self.inode(name);
        self.processes[p].open = inode;
        if inode.is_none() {
            self.processes[p].only(&[Step::Decoy]);
        }
    }

    /// `Turn::StateWanted` where the user turns out to be enrolled.
    fn look_at_decoy(&mut self, p: usize) {
        if self.record.now().name != Name::Usual {
            self.end_with(p, Answer::Refused { with_reason: true });
            return;
        }
        if self.inode(Name::Usual).is_none() {
            self.make_state(Name::Usual);
        }
        self.processes[p].only(&LOGIN);
    }

    fn lock(&mut self, p: usize, inode: Option<usize>) {
        if let Some(inode) = inode {
            self.files[inode].holder = Some(p);
        }
    }

    /// `Turn::Again` where the path names another file.
    fn check(&mut self, p: usize, slip: Option<Slip>) {
        let open = self.processes[p].open;
        if open != self.inode(Name::Usual) && slip != Some(Slip::NoInodeCheck) {
            self.release(p);
            self.processes[p].forget();
            self.processes[p].only(&LOGIN);
        }
    }

    /// Record, memory and blocks, and what is decided by them. Nobody else changes any of them meanwhile: one step.
    fn read(&mut self, p: usize, code: u8, slip: Option<Slip>) {
        if self.record.now().name != Name::Usual {
            self.end_with(p, Answer::Refused { with_reason: true });
            return;
        }
        if self.takes_back(p, slip) {
            return;
        }
        let blocks = self.opened(p);
        let blocks = self.processes[p].read_too_early.unwrap_or(blocks);
        self.decide(p, code, blocks, Place::Disk, slip);
    }

    /// Begins to take a state back from memory, where it is there.
    pub(crate) fn takes_back(&mut self, p: usize, slip: Option<Slip>) -> bool {
        let Some(memory) = self.memory.as_ref().map(StateFile::read) else { return false };
        let enrollment = self.record.now().enrollment;
        let blocks = self.opened(p);
        let writes = blocks.taking_back(enrollment, &memory);
        let (place, purpose) = (Place::Disk, Purpose::TakingBack);
        self.write(p, Writing { place, purpose, blocks, enrollment, writes }, slip);
        true
    }

    pub(crate) fn opened(&self, p: usize) -> Blocks {
        self.processes[p].open.map(|inode| self.files[inode].read()).unwrap_or_default()
    }

    pub(crate) fn end_with(&mut self, p: usize, answer: Answer) {
        self.processes[p].answer = Some(answer);
        self.processes[p].only(&[Step::Unlock, Step::Tell]);
    }

    fn unlock(&mut self, p: usize) {
        self.release(p);
        self.processes[p].forget();
        self.go_back_after_rename(p);
    }

    fn tell(&mut self, p: usize) {
        let Task::Login(code) = self.processes[p].task else { return };
        let told = &mut self.told;
        match (code.checked_sub(1).map(usize::from), self.processes[p].answer) {
            (Some(code), Some(Answer::In { by_memory })) => {
                told.accepted[code] += 1;
                // What a restart has forgotten is good again on disk alone.
                told.accepted[code] += u8::from(by_memory && told.forgotten[code]);
            }
            (None, Some(Answer::Refused { .. })) => told.wrong += 1,
            _ => {}
        }
    }
}
