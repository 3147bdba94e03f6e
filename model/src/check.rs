//! The model as stateright walks through it: from each moment every process may take its step, and every fault that is
//! left may happen.

use stateright::{Model, Property};

use crate::faults::Block;
use crate::scene::{Scene, Slip, Task, WRONG};
use crate::world::{Answer, Life, Process, StateFile, World};

/// The protocol in one scene.
#[derive(Clone, Debug)]
pub struct Protocol(pub Scene);

/// What happens next; processes by their number.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// A process takes its next step.
    Step(usize),
    /// One that waits ends the holder.
    End {
        /// Who waits.
        waiter: usize,
        /// Who holds the lock.
        holder: usize,
    },
    /// One that was ended is gone.
    Gone(usize),
    /// Killed by somebody else.
    Kill(usize),
    /// SIGSTOP.
    Stop(usize),
    /// SIGCONT.
    Continue(usize),
    /// The power is lost; which of the possible disks is left.
    LosePower(usize),
    /// The disk refuses from now on, or ceases to.
    DiskTurns,
    /// A clean page is read back from the disk: one of what it may have.
    Evict(Block, usize),
    /// A block can't be read any more.
    Rot(Block),
}

impl Protocol {
    /// What needs no fault to happen.
    fn progress(&self, world: &World, actions: &mut Vec<Action>) {
        for p in 0..world.processes.len() {
            if world.can_step(p) {
                actions.push(Action::Step(p));
            }
            if matches!(world.processes[p].life, Life::Ending { .. }) {
                actions.push(Action::Gone(p));
            }
            if let Some(holder) = world.waits_for(p)
                && self.may_end(world, holder)
            {
                actions.push(Action::End { waiter: p, holder });
            }
        }
    }

    /// A run from the beginning, a line for each action: what is done, and what the disk, memory and people have then.
    #[must_use]
    pub fn in_words(&self, run: Vec<Action>) -> String {
        let mut world = World::first(&self.0);
        let mut words = String::new();
        for action in run {
            let what = match action {
                Action::Step(p) => format!("{p} {:?}", world.processes[p].next()),
                ref other => format!("{other:?}"),
            };
            self.happens(&mut world, action);
            let named = world.inode(world.record.now().name);
            words += &format!(
                "{what:40} {:?} {:?} memory {:?} told {:?}\n",
                world.record.now(),
                named.map(|inode| world.files[inode].read()),
                world.memory.as_ref().map(StateFile::read),
                world.told.accepted
            );
        }
        words
    }

    /// Whether a waiter ends this holder: any may be a `totpd --once` that left a note.
    fn may_end(&self, world: &World, holder: usize) -> bool {
        match world.processes[holder].life {
            Life::Stopped => self.0.slip != Some(Slip::StoppedLeftAlone),
            Life::Running => world.left.mistaken > 0,
            Life::Ending { .. } => false,
        }
    }

    fn is_over(&self, world: &World) -> bool {
        let mut progress = Vec::new();
        self.progress(world, &mut progress);
        progress.is_empty()
    }

    fn happens(&self, world: &mut World, action: Action) {
        let scene = &self.0;
        match action {
            Action::Step(p) => {
                world.step(scene, p);
                if matches!(world.processes[p].life, Life::Ending { .. }) {
                    world.processes[p].life = Life::Ending { one_more: false };
                }
            }
            Action::End { waiter, holder } => world.end(scene, waiter, holder),
            Action::Gone(p) => world.die(scene, p),
            Action::Kill(p) => {
                world.left.kills -= 1;
                world.die(scene, p);
            }
            Action::Stop(p) => {
                world.left.stops -= 1;
                world.processes[p].life = Life::Stopped;
            }
            Action::Continue(p) => world.processes[p].life = Life::Running,
            Action::LosePower(nth) => {
                world.left.losses -= 1;
                world.lose_power(scene, nth);
            }
            Action::DiskTurns => {
                world.left.refusals -= 1;
                world.disk_refuses = !world.disk_refuses;
            }
            Action::Evict(block, nth) => {
                world.left.evictions -= 1;
                world.evict(block, nth);
            }
            Action::Rot(block) => {
                world.left.rots -= 1;
                world.rot(block);
            }
        }
    }
}

impl Model for Protocol {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        vec![World::first(&self.0)]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        self.progress(world, actions);
        world.faults(actions);
    }

    fn next_state(&self, world: &World, action: Action) -> Option<World> {
        let mut next = world.clone();
        self.happens(&mut next, action);
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("no code is accepted twice", |_, w: &World| {
                w.told.accepted.iter().all(|times| *times <= 1)
            }),
            Property::always("what was accepted stays spent", |_, w: &World| {
                w.floor().is_none_or(|floor| {
                    (1..).zip(&w.told.accepted).all(|(code, times)| *times == 0 || floor >= code)
                })
            }),
            Property::always("the state is never lost", |_, w: &World| w.floor().is_some()),
            Property::always("nobody is kept out", |m: &Self, w: &World| {
                !m.is_over(w) || w.processes.iter().all(|p| w.has_what_is_due(p))
            }),
            Property::always("nothing shows before the debit", |_, w: &World| !w.told.oracle),
            Property::always("no debit is lost", |_, w: &World| {
                w.seen().meter.is_none_or(|meter| meter.debits >= w.told.wrong)
            }),
            Property::sometimes("both codes are accepted", |_, w: &World| {
                w.told.accepted == [1, 1]
            }),
            Property::sometimes("a holder is ended and all come through", |m: &Self, w: &World| {
                w.told.ended && m.is_over(w) && w.processes.iter().all(|p| p.todo.is_empty())
            }),
            Property::sometimes("a code is refused as used", |_, w: &World| {
                w.processes.iter().any(|p| {
                    p.todo.is_empty()
                        && p.task != Task::Login(WRONG)
                        && p.answer == Some(Answer::Refused { with_reason: false })
                })
            }),
            Property::sometimes("memory is taken back with a code in it", |_, w: &World| {
                w.told.taken_back && w.told.accepted != [0, 0] && w.memory.is_none()
            }),
            Property::sometimes("the new enrollment lets somebody in", |_, w: &World| {
                w.record.now().enrollment == 2
                    && w.floor().is_some_and(|floor| floor > 0)
                    && w.processes.iter().all(|p| p.todo.is_empty() && !p.was_killed)
            }),
        ]
    }
}

impl World {
    /// Whether a process that can't go on has got what it may expect. One that is stopped may expect nothing; the
    /// others an answer, and with a right code a yes, unless that code or a later one was used, or may have been by
    /// somebody who was stopped or killed before being told.
    fn has_what_is_due(&self, process: &Process) -> bool {
        let Task::Login(code) = process.task else {
            return process.life == Life::Stopped || process.todo.is_empty();
        };
        if process.life == Life::Stopped {
            return true;
        }
        let refused = process.answer == Some(Answer::Refused { with_reason: false });
        process.todo.is_empty() && (code == WRONG || !refused || self.may_be_used(code))
    }

    fn may_be_used(&self, code: u8) -> bool {
        let later =
            |process: &&Process| matches!(process.task, Task::Login(other) if other >= code);
        self.processes.iter().filter(later).any(|process| {
            let in_by_it = matches!(process.answer, Some(Answer::In { .. }));
            in_by_it || process.was_killed || process.life == Life::Stopped
        })
    }
}
