//! Fair shares: how many conversations one caller has at once. Over it, a caller is told `busy`; other
//! callers notice nothing.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use totp_core::origin::{Net, address};

use crate::request::{Caller, Request};

/// Conversations of one user, or from one place.
const MOST: u32 = 64;

/// Conversations of all clients of one service that `[callers]` names: an eighth of a pool's threads.
const MOST_OF_A_SERVICE: u32 = 512;

/// What conversations are counted by.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Share {
    /// The uid of the caller: under su and sudo that of the user who runs them.
    Uid(u32),
    /// Programs that root runs itself: where the login comes from.
    Rhost(String),
    /// All conversations of a service.
    Service(u32),
    /// Those of its clients at one place, as it says.
    Client(u32, String),
}

impl Share {
    /// The share of a caller that is not root: it is known before the caller has said anything.
    pub(crate) fn of_user(uid: u32, is_service: bool) -> Self {
        if is_service { Self::Service(uid) } else { Self::Uid(uid) }
    }

    /// The share of a request within that of its caller; `None` where there is no other.
    pub(crate) fn of(request: &Request, is_service: bool) -> Option<Self> {
        match request.caller {
            Caller::Root { real_uid: 0 } => Some(Self::Rhost(place(&request.rhost))),
            Caller::Root { real_uid } => Some(Self::Uid(real_uid)),
            Caller::User { uid } => {
                is_service.then(|| Self::Client(uid, place(&request.rhost_said)))
            }
        }
    }

    fn most(&self) -> u32 {
        match self {
            Self::Service(_) => MOST_OF_A_SERVICE,
            Self::Uid(_) | Self::Rhost(_) | Self::Client(..) => MOST,
        }
    }
}

/// One client may have all addresses of an IPv6 network.
fn place(rhost: &str) -> String {
    match address(rhost) {
        Some(address) if address.is_ipv6() => {
            Net::of(rhost).map_or_else(|| rhost.to_owned(), |net| net.to_string())
        }
        _ => rhost.to_owned(),
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
        if *count >= share.most() {
            return None;
        }
        *count = count.saturating_add(1);
        Some(Admitted { counts: Arc::clone(&self.counts), share })
    }
}

impl Admitted {
    /// Whether it is a service's, and its clients have shares of their own.
    pub(crate) fn is_of_a_service(&self) -> bool {
        matches!(self.share, Share::Service(_))
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
        let share = |request: &Request| Share::of(request, false);
        assert_eq!(share(&request), Some(Share::Rhost("192.0.2.1".to_owned())));
        request.caller = Caller::Root { real_uid: 1000 };
        assert_eq!(share(&request), Some(Share::Uid(1000)));
        request.caller = Caller::User { uid: 1000 };
        assert_eq!((share(&request), Share::of_user(1000, false)), (None, Share::Uid(1000)));
    }

    #[test]
    fn one_client_of_a_service_uses_up_its_own_share_and_leaves_the_service_the_rest() {
        let shares = Shares::default();
        let from = |rhost: &str| {
            let request = Request {
                caller: Caller::User { uid: 115 },
                rhost_said: rhost.to_owned(),
                ..sshd()
            };
            let of_service = shares.admit(Share::of_user(115, true))?;
            Some((of_service, shares.admit(Share::of(&request, true)?)?))
        };
        let held: Vec<_> = (0..MOST).map(|_| from("203.0.113.7")).collect();
        assert!(held.iter().all(Option::is_some));
        assert!(from("203.0.113.7").is_none());
        assert!(from("203.0.113.8").is_some());
    }

    #[test]
    fn a_service_as_a_whole_has_a_share_as_well() {
        let shares = Shares::default();
        let held: Vec<_> =
            (0..MOST_OF_A_SERVICE).map(|_| shares.admit(Share::of_user(115, true))).collect();
        assert!(held.iter().all(Option::is_some));
        assert!(shares.admit(Share::of_user(115, true)).is_none());
        assert!(shares.admit(Share::of_user(116, true)).is_some());
    }

    #[test]
    fn all_addresses_of_an_ipv6_network_are_one_place() {
        assert_eq!(place("2001:db8::1"), place("2001:db8::ffff:2"));
        assert_ne!(place("2001:db8::1"), place("2001:db8:0:1::1"));
        assert_ne!(place("192.0.2.1"), place("192.0.2.2"));
        assert_eq!(place("desk.example.com"), "desk.example.com");
    }
}
