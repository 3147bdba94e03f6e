//! One unit of the disk (a block, a name in a directory): what everybody reads, and what may be on stable storage.

/// `now` is what the page cache has. `perhaps` is what the disk may have: after a flush that alone, otherwise any version
/// since, or a torn one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Durable<T> {
    now: T,
    perhaps: Vec<T>,
    dirty: bool,
}

impl<T: Clone + Ord> Durable<T> {
    /// On stable storage.
    pub(crate) fn new(now: T) -> Self {
        Self { perhaps: vec![now.clone()], now, dirty: false }
    }

    pub(crate) fn now(&self) -> &T {
        &self.now
    }

    /// Overwritten in the page cache; `torn` is what half a write would leave on disk. Half of the same bytes over what the
    /// disk has for certain changes nothing.
    pub(crate) fn write(&mut self, new: T, torn: Option<T>) {
        if self.perhaps != [new.clone()] {
            self.perhaps.push(new.clone());
            self.perhaps.extend(torn);
            self.perhaps.sort_unstable();
            self.perhaps.dedup();
        }
        self.now = new;
        self.dirty = true;
    }

    /// A flush that succeeds. What an earlier one failed to write counts as clean, and isn't written (Linux since 4.13
    /// says so once, and never again).
    pub(crate) fn flush(&mut self) {
        if self.dirty {
            self.perhaps = vec![self.now.clone()];
        }
        self.dirty = false;
    }

    /// A flush that fails: nobody knows what was written, and the page counts as clean. (Not so with a directory: a journal
    /// keeps what it couldn't write, or takes nothing any more.)
    pub(crate) fn flush_fails(&mut self) {
        self.dirty = false;
    }

    /// How many different things the disk may have.
    pub(crate) fn versions(&self) -> usize {
        self.perhaps.len()
    }

    /// The power is lost, and the disk has the `nth` of what it may have.
    pub(crate) fn lose(&mut self, nth: usize) {
        self.now = self.perhaps[nth].clone();
        self.perhaps = vec![self.now.clone()];
        self.dirty = false;
    }

    /// Whether a clean page may differ from the disk.
    pub(crate) fn is_unsure(&self) -> bool {
        !self.dirty && self.perhaps.len() > 1
    }

    /// Damaged where it lies.
    pub(crate) fn rot(&mut self, rotten: T) {
        *self = Self::new(rotten);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unflushed_write_may_be_there_be_torn_or_be_lost() {
        let mut block = Durable::new(Some(1));
        block.write(Some(2), Some(None));
        let after = |nth| {
            let mut lost = block.clone();
            lost.lose(nth);
            *lost.now()
        };
        let all: Vec<Option<i32>> = (0..block.versions()).map(after).collect();
        assert_eq!(all, [None, Some(1), Some(2)]);
        block.flush();
        assert_eq!(block.versions(), 1);
    }

    #[test]
    fn a_flush_after_one_that_failed_writes_nothing() {
        let mut block = Durable::new(Some(1));
        block.write(Some(2), None);
        block.flush_fails();
        block.flush();
        assert!(block.is_unsure());
        block.write(Some(2), None);
        block.flush();
        assert!(!block.is_unsure());
    }
}
