//! What happens to processes and files: kills, stops, a waiter that ends a holder, the loss of the power, a disk that refuses.

use crate::blocks::{ABOVE_ALL, Blocks};
use crate::check::Action;
use crate::scene::{Scene, Slip};
use crate::step::Step;
use crate::world::{Life, StateFile, World};

/// One of the blocks of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Block {
    /// The first of what is accepted.
    A,
    /// The second.
    B,
    /// Of what is refused.
    Meter,
}

const BLOCKS: [Block; 3] = [Block::A, Block::B, Block::Meter];

impl World {
    /// Whether a process can go on.
    pub(crate) fn can_step(&self, p: usize) -> bool {
        let process = &self.processes[p];
        let lives = matches!(process.life, Life::Running | Life::Ending { one_more: true });
        let free = |inode: Option<usize>| inode.is_none_or(|i| self.files[i].holder.is_none());
        lives
            && match process.next() {
                None => false,
                Some(Step::Lock) => free(process.open),
                Some(Step::LockTarget) => free(process.target),
                Some(_) => true,
            }
    }

    /// Whom a process waits for.
    pub(crate) fn waits_for(&self, p: usize) -> Option<usize> {
        let process = &self.processes[p];
        let inode = match process.next() {
            Some(Step::Lock) => process.open?,
            Some(Step::LockTarget) => process.target?,
            _ => return None,
        };
        self.files[inode].holder.filter(|holder| *holder != p && process.life == Life::Running)
    }

    /// `notes::Search::look`: SIGKILL, which a process at work may notice a system call later. A stopped one does
    /// nothing more.
    pub(crate) fn end(&mut self, scene: &Scene, waiter: usize, holder: usize) {
        let one_more = self.processes[holder].life == Life::Running;
        if one_more {
            self.left.mistaken -= 1;
        }
        self.processes[holder].life = Life::Ending { one_more };
        self.told.ended = true;
        if scene.slip == Some(Slip::NoLockAfterEnding) {
            self.processes[waiter].todo.pop();
        }
    }

    /// Gone, with its locks; its person begins again.
    pub(crate) fn die(&mut self, scene: &Scene, p: usize) {
        self.release(p);
        self.processes[p].was_killed = true;
        self.begin(scene, p);
    }

    /// How many different disks a loss of the power may leave.
    pub(crate) fn possible_losses(&self) -> usize {
        let file = |f: &StateFile| f.a.versions() * f.b.versions() * f.meter.versions();
        let names: usize = self.names.iter().map(|name| name.versions()).product();
        self.files.iter().map(file).product::<usize>() * names * self.record.versions()
    }

    /// The `nth` of them. Memory is empty, and everybody who wasn't told anything begins again.
    pub(crate) fn lose_power(&mut self, scene: &Scene, nth: usize) {
        let mut rest = nth;
        let mut pick = |versions: usize| {
            let picked = rest % versions;
            rest /= versions;
            picked
        };
        for file in &mut self.files {
            file.a.lose(pick(file.a.versions()));
            file.b.lose(pick(file.b.versions()));
            file.meter.lose(pick(file.meter.versions()));
            file.holder = None;
        }
        for name in &mut self.names {
            name.lose(pick(name.versions()));
        }
        self.record.lose(pick(self.record.versions()));
        self.memory = None;
        self.since = ABOVE_ALL;
        self.forget();
        let named = [self.names[0].now(), self.names[1].now()].map(|inode| *inode);
        for (inode, file) in self.files.iter_mut().enumerate() {
            if !named.contains(&Some(inode)) {
                *file = StateFile::of(Blocks::default());
            }
        }
        for p in 0..self.processes.len() {
            if !self.processes[p].todo.is_empty() {
                self.die(scene, p);
            }
        }
    }

    /// What docs/formats.md says isn't covered: codes accepted in memory alone are good again on disk.
    fn forget(&mut self) {
        let told = &mut self.told;
        told.wrong = 0;
        for code in 0..told.accepted.len() {
            if told.by_memory[code] {
                told.accepted[code] = 0;
                told.forgotten[code] = true;
            }
        }
        told.by_memory = [false; 2];
    }

    /// Everything that may go wrong now.
    pub(crate) fn faults(&self, actions: &mut Vec<Action>) {
        for (p, process) in self.processes.iter().enumerate() {
            let at_work = !process.todo.is_empty() && process.life == Life::Running;
            if at_work && self.left.kills > 0 {
                actions.push(Action::Kill(p));
            }
            if at_work && self.left.stops > 0 {
                actions.push(Action::Stop(p));
            }
            if process.life == Life::Stopped {
                actions.push(Action::Continue(p));
            }
        }
        if self.left.losses > 0 {
            actions.extend((0..self.possible_losses()).map(Action::LosePower));
        }
        if self.left.refusals > 0 {
            actions.push(Action::DiskTurns);
        }
        for block in BLOCKS {
            if self.left.evictions > 0 {
                actions.extend((0..self.unsure(block)).map(|nth| Action::Evict(block, nth)));
            }
            if self.left.rots > 0 {
                actions.push(Action::Rot(block));
            }
        }
    }

    /// How many versions a clean page may be read back as.
    fn unsure(&self, block: Block) -> usize {
        let Some(inode) = self.inode(self.record.now().name) else { return 0 };
        let file = &self.files[inode];
        let (unsure, versions) = match block {
            Block::A => (file.a.is_unsure(), file.a.versions()),
            Block::B => (file.b.is_unsure(), file.b.versions()),
            Block::Meter => (file.meter.is_unsure(), file.meter.versions()),
        };
        if unsure { versions } else { 0 }
    }

    /// Read back from the disk.
    pub(crate) fn evict(&mut self, block: Block, nth: usize) {
        let Some(inode) = self.inode(self.record.now().name) else { return };
        let file = &mut self.files[inode];
        match block {
            Block::A => file.a.lose(nth),
            Block::B => file.b.lose(nth),
            Block::Meter => {
                file.meter.lose(nth);
                self.told.wrong = 0;
            }
        }
    }

    /// Can't be read any more.
    pub(crate) fn rot(&mut self, block: Block) {
        let Some(inode) = self.inode(self.record.now().name) else { return };
        let file = &mut self.files[inode];
        match block {
            Block::A => file.a.rot(None),
            Block::B => file.b.rot(None),
            Block::Meter => {
                file.meter.rot(None);
                self.told.wrong = 0;
            }
        }
    }
}
