//! The uids that `[callers]` named when last asked. Only how many conversations such a uid may have depends on it: that is decided
//! before anything is read. What it may ask about is looked up each time.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The uids of services.
#[derive(Debug, Default)]
pub(crate) struct Services {
    uids: Mutex<HashSet<u32>>,
}

impl Services {
    /// Whether this uid was named.
    pub(crate) fn include(&self, uid: u32) -> bool {
        self.lock().contains(&uid)
    }

    /// Notes whether this uid is named now.
    pub(crate) fn note(&self, uid: u32, named: bool) {
        let mut uids = self.lock();
        if named {
            uids.insert(uid);
        } else {
            uids.remove(&uid);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<u32>> {
        self.uids.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uid_is_a_service_for_as_long_as_it_is_named() {
        let services = Services::default();
        assert!(!services.include(7));
        services.note(7, true);
        assert!(services.include(7) && !services.include(8));
        services.note(7, false);
        assert!(!services.include(7));
    }
}
