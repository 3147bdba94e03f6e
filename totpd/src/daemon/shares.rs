//! Fair shares: how many conversations one caller has at once. Over it, a caller is told `busy`; other
//! callers notice nothing.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::request::{Caller, Request};

/// Conversations of one caller.
const MOST: u32 = 64;

/// What conversations are counted by.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Share {
    /// The uid of the caller: under su and sudo that of the user who runs them.
    Uid(u32),
    /// Programs that root runs itself: where the login comes from.
    Rhost(String),
}

impl Share {
    /// The share of a request.
    pub(crate) fn of(request: &Request) -> Self {
        match request.caller {
            Caller::Root { real_uid: 0 } => Self::Rhost(request.rhost.clone()),
            Caller::Root { real_uid } => Self::Uid(real_uid),
            Caller::User { uid } => Self::Uid(uid),
        }
    }
}

/// How many conversations each share has.
#[derive(Debug, Default)]
pub(crate) struct Shares {
    counts: Arc<Mutex<HashMap<Share, u32>>>,
}

/// One conversation of a share. It is over with this value.
#[derive(Debug)]
pub(crate) struct Admitted {
    counts: Arc<Mutex<HashMap<Share, u32>>>,
    share: Share,
}

impl Shares {
    /// Counts one more conversation; `None` where the share is used up.
    pub(crate) fn admit(&self, share: Share) -> Option<Admitted> {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(share.clone()).or_default();
        if *count >= MOST {
            return None;
        }
        *count = count.saturating_add(1);
        Some(Admitted { counts: Arc::clone(&self.counts), share })
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.share) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                counts.remove(&self.share);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::tests::sshd;

    #[test]
    fn a_share_that_is_used_up_leaves_the_others_theirs() {
        let shares = Shares::default();
        let mallory = Share::Uid(1000);
        let mut held: Vec<_> = (0..MOST).map(|_| shares.admit(mallory.clone())).collect();
        assert!(held.iter().all(Option::is_some));
        assert!(shares.admit(mallory.clone()).is_none());
        assert!(shares.admit(Share::Uid(1001)).is_some());
        held.pop();
        assert!(shares.admit(mallory).is_some());
    }

    #[test]
    fn what_is_over_is_not_counted_any_more() {
        let shares = Shares::default();
        drop(shares.admit(Share::Uid(7)));
        assert!(shares.counts.lock().expect("no panic").is_empty());
    }

    #[test]
    fn programs_of_root_are_told_apart_by_where_the_login_comes_from_and_others_by_their_caller() {
        let mut request = sshd();
        assert_eq!(Share::of(&request), Share::Rhost("192.0.2.1".to_owned()));
        request.caller = Caller::Root { real_uid: 1000 };
        assert_eq!(Share::of(&request), Share::Uid(1000));
        request.caller = Caller::User { uid: 1000 };
        assert_eq!(Share::of(&request), Share::Uid(1000));
    }
}
