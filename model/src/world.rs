//! Everything at one moment: processes, files, names, and what people were told.

use crate::blocks::{Blocks, Meter, Slot, State, Writes};
use crate::durable::Durable;
use crate::scene::{Faults, Scene, Task};
use crate::step::Step;

/// A state file, by its inode.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct StateFile {
    pub(crate) a: Durable<Option<State>>,
    pub(crate) b: Durable<Option<State>>,
    pub(crate) meter: Durable<Option<Meter>>,
    /// Who holds the flock.
    pub(crate) holder: Option<usize>,
}

impl StateFile {
    pub(crate) fn of(blocks: Blocks) -> Self {
        Self {
            a: Durable::new(blocks.a),
            b: Durable::new(blocks.b),
            meter: Durable::new(blocks.meter),
            holder: None,
        }
    }

    pub(crate) fn read(&self) -> Blocks {
        Blocks { a: *self.a.now(), b: *self.b.now(), meter: *self.meter.now() }
    }

    pub(crate) fn write(&mut self, slot: Slot, state: Option<State>) {
        match slot {
            Slot::A => self.a.write(state, Some(None)),
            Slot::B => self.b.write(state, Some(None)),
        }
    }

    pub(crate) fn write_meter(&mut self, meter: Option<Meter>) {
        self.meter.write(meter, Some(None));
    }

    /// fdatasync(2): of the whole file.
    pub(crate) fn flush(&mut self) {
        self.a.flush();
        self.b.flush();
        self.meter.flush();
    }

    pub(crate) fn flush_fails(&mut self) {
        self.a.flush_fails();
        self.b.flush_fails();
        self.meter.flush_fails();
    }
}

/// A name of the account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Name {
    /// The one that people log in by.
    Usual,
    /// What it is renamed to.
    Other,
}

impl Name {
    pub(crate) fn other(self) -> Self {
        if self == Self::Usual { Self::Other } else { Self::Usual }
    }
}

/// The record: whose it is, and of which enrollment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Record {
    pub(crate) name: Name,
    pub(crate) enrollment: u8,
}

/// How a process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Life {
    Running,
    Stopped,
    /// Killed, and not gone yet; one at work may finish the system call it is in.
    Ending {
        one_more: bool,
    },
}

/// Which file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Place {
    Disk,
    Memory,
}

/// What it is written for, and so what follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Purpose {
    /// A login's decision.
    Verdict,
    /// `take_back`; then all is read again.
    TakingBack,
    /// `write_first` of a new enrollment.
    First,
}

/// What is being written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Writing {
    pub(crate) place: Place,
    pub(crate) purpose: Purpose,
    /// As the file was read.
    pub(crate) blocks: Blocks,
    /// Whose newest block has to survive.
    pub(crate) enrollment: u8,
    pub(crate) writes: Writes,
}

/// What a login will be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Answer {
    In {
        by_memory: bool,
    },
    /// `with_reason`: not enrolled at that moment, or older than memory's beginning.
    Refused {
        with_reason: bool,
    },
    /// An administrator's command has ended, whatever it came to.
    Ended,
}

/// One process. When it is killed, its person begins again with the same code.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Process {
    pub(crate) task: Task,
    /// What is left to do, the next step last. Empty: it has ended.
    pub(crate) todo: Vec<Step>,
    pub(crate) life: Life,
    /// An earlier try was killed, and may have spent the code.
    pub(crate) was_killed: bool,
    /// The open state file, of administrators the source, and the target.
    pub(crate) open: Option<usize>,
    pub(crate) target: Option<usize>,
    pub(crate) read_too_early: Option<Blocks>,
    pub(crate) writing: Option<Writing>,
    pub(crate) debited: bool,
    pub(crate) answer: Option<Answer>,
}

impl Process {
    pub(crate) fn next(&self) -> Option<Step> {
        self.todo.last().copied()
    }

    /// What is to be done next, in this order.
    pub(crate) fn then(&mut self, steps: &[Step]) {
        self.todo.extend(steps.iter().rev());
    }

    pub(crate) fn only(&mut self, steps: &[Step]) {
        self.todo.clear();
        self.then(steps);
    }

    /// Nothing of what it worked with is needed any more.
    pub(crate) fn forget(&mut self) {
        self.open = None;
        self.target = None;
        self.read_too_early = None;
        self.writing = None;
        self.debited = false;
    }
}

/// What has come out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Told {
    /// How many were let in by the code 1, and by 2.
    pub(crate) accepted: [u8; 2],
    /// Codes accepted in memory, which the disk doesn't know yet.
    pub(crate) by_memory: [bool; 2],
    /// Codes that a restart has forgotten with the memory (docs/formats.md says so). On disk they are good again.
    pub(crate) forgotten: [bool; 2],
    /// Wrong codes refused since the last restart.
    pub(crate) wrong: u8,
    /// It could be seen whether a code was right before the try was debited.
    pub(crate) oracle: bool,
    /// Holders ended by waiters, and states taken back from memory: to see that it happens.
    pub(crate) ended: bool,
    pub(crate) taken_back: bool,
}

/// Everything at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct World {
    pub(crate) processes: Vec<Process>,
    pub(crate) files: Vec<StateFile>,
    /// What `state/NAME` is, by [`Name`].
    pub(crate) names: [Durable<Option<usize>>; 2],
    pub(crate) record: Durable<Record>,
    /// The state under `run_dir`.
    pub(crate) memory: Option<StateFile>,
    pub(crate) disk_refuses: bool,
    /// Up to which code memory may have forgotten.
    pub(crate) since: u8,
    pub(crate) left: Faults,
    pub(crate) told: Told,
}

impl World {
    /// Enrolled with `Blocks::first` of the real code, and everybody about to begin.
    pub(crate) fn first(scene: &Scene) -> Self {
        let state = State { enrollment: 1, seq: 1, floor: 0 };
        let meter = Meter { noted: 1, debits: 0, repeated: Some((1, 0)) };
        // With only one block there, its loss would be the loss of all.
        let b = Some(state).filter(|_| scene.faults.rots > 0);
        let blocks = Blocks { a: Some(state), b, meter: Some(meter) };
        let process = |task: &Task| Process {
            task: *task,
            todo: Vec::new(),
            life: Life::Running,
            was_killed: false,
            open: None,
            target: None,
            read_too_early: None,
            writing: None,
            debited: false,
            answer: None,
        };
        let mut world = Self {
            processes: scene.tasks.iter().map(process).collect(),
            files: vec![StateFile::of(blocks)],
            names: [Durable::new(Some(0)), Durable::new(None)],
            record: Durable::new(Record { name: Name::Usual, enrollment: 1 }),
            memory: None,
            disk_refuses: false,
            since: 0,
            left: scene.faults,
            told: Told::default(),
        };
        (0..scene.tasks.len()).for_each(|p| world.begin(scene, p));
        world
    }

    pub(crate) fn inode(&self, name: Name) -> Option<usize> {
        *self.names[name as usize].now()
    }

    /// What a login that could read everything at this moment would see.
    pub(crate) fn seen(&self) -> Blocks {
        let on_disk = self.inode(self.record.now().name).map(|inode| &self.files[inode]);
        self.memory.as_ref().or(on_disk).map(StateFile::read).unwrap_or_default()
    }

    /// The floor that such a login would see; `None`: the state is lost.
    pub(crate) fn floor(&self) -> Option<u8> {
        self.seen().state(self.record.now().enrollment).map(|state| state.floor)
    }

    /// All locks of a process end with it.
    pub(crate) fn release(&mut self, p: usize) {
        for file in &mut self.files {
            file.holder = file.holder.filter(|holder| *holder != p);
        }
    }
}
