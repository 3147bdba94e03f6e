//! Events: what somebody must be told of, and the queue in which a login leaves them inside the state.

use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::String;
use core::fmt;
use core::str::FromStr;

use crate::name::{escaped, unword, word};
use crate::time::UnixTime;

/// What can happen; the words are those of the permanent record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// A user has a second factor from now on.
    Enrolled,
    /// The user is to enroll at one of the next logins.
    Pending,
    /// A fresh secret was shown at a login.
    EnrollmentOffered,
    /// An administrator switched the second factor off.
    Disabled,
    /// An administrator switched it off, and the user enrolls again at one of the next logins.
    Reset,
    /// Everything about the user was erased.
    Removed,
    /// What was decided about one name is about another from now on.
    Renamed,
    /// The account has another uid, and what was decided about it is about that one from now on.
    UidChanged,
    /// What a restored backup may have brought back was made harmless.
    Repaired,
    /// An enrolled user has another authenticator.
    AuthenticatorAdded,
    /// An enrolled user has one authenticator less.
    AuthenticatorRemoved,
    /// One authenticator's clock was set by two codes.
    Resynchronised,
    /// A recovery code was good for a login, and is spent.
    RecoveryCodeUsed,
    /// There are fresh recovery codes, and older ones are void.
    RecoveryCodesIssued,
    /// There is a code that is good once, for some hours.
    BypassCodeIssued,
    /// It was good for a login, and is spent.
    BypassCodeUsed,
    /// A device's key alone logs in for some days.
    DeviceRemembered,
    /// It no longer does.
    DeviceForgotten,
    /// The user is told at another address, or texted at another number.
    ContactChanged,
    /// The guess budget was given back.
    Unlocked,
    /// More than one code is asked for, because guesses used the budget up. At most once a day.
    MoreCodesRequired,
    /// The owner's code had been accepted before, from elsewhere: somebody else has seen it.
    CodeAlreadyUsed,
    /// The state moved to volatile memory because the disk can't be written.
    StateVolatile,
    /// The state was lost or damaged and begun anew.
    StateRebuilt,
    /// A state directory was given the identity of this installation although it was not new.
    InstallationAdopted,
    /// An administrator had a code evaluated, without spending it.
    Verified,
    /// A recorded change that was then not made.
    NotDone,
    /// Somebody was told of an event by mail.
    Delivered,
    /// Mail about an event could not be delivered yet, or not at all.
    Undelivered,
}

impl EventKind {
    /// All there are, as a table of their words.
    pub const ALL: [(Self, &'static str); 29] = [
        (Self::Enrolled, "enrolled"),
        (Self::Pending, "pending"),
        (Self::EnrollmentOffered, "enrollment-offered"),
        (Self::Disabled, "disabled"),
        (Self::Reset, "reset"),
        (Self::Removed, "removed"),
        (Self::Renamed, "renamed"),
        (Self::UidChanged, "uid-changed"),
        (Self::Repaired, "repaired"),
        (Self::AuthenticatorAdded, "authenticator-added"),
        (Self::AuthenticatorRemoved, "authenticator-removed"),
        (Self::Resynchronised, "resynchronised"),
        (Self::RecoveryCodeUsed, "recovery-code-used"),
        (Self::RecoveryCodesIssued, "recovery-codes-issued"),
        (Self::BypassCodeIssued, "bypass-code-issued"),
        (Self::BypassCodeUsed, "bypass-code-used"),
        (Self::DeviceRemembered, "device-remembered"),
        (Self::DeviceForgotten, "device-forgotten"),
        (Self::ContactChanged, "contact-changed"),
        (Self::Unlocked, "unlocked"),
        (Self::MoreCodesRequired, "more-codes-required"),
        (Self::CodeAlreadyUsed, "code-already-used"),
        (Self::StateVolatile, "state-volatile"),
        (Self::StateRebuilt, "state-rebuilt"),
        (Self::InstallationAdopted, "installation-adopted"),
        (Self::Verified, "verified"),
        (Self::NotDone, "not-done"),
        (Self::Delivered, "delivered"),
        (Self::Undelivered, "undelivered"),
    ];

    /// As the permanent record writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(kind, _)| *kind == self).map_or("", |(_, word)| word)
    }
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for EventKind {
    type Err = UnknownEvent;

    fn from_str(text: &str) -> Result<Self, UnknownEvent> {
        Self::ALL.iter().find(|(_, word)| *word == text).map(|(kind, _)| *kind).ok_or(UnknownEvent)
    }
}

/// A word that no event has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownEvent;

/// Bytes of a remote host, as a [`word`].
const FROM: usize = 64;

/// Bytes of a service account's name, each as long as it can get. An IPv4 address has room beside it.
const CALLER: usize = 32;

/// Stands behind a name that was cut.
const CUT: &str = "...";

/// Where a login came from, as events and the state remember it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The PAM service, at most 32 bytes.
    pub service: String,
    /// The remote host as the service gave it, or empty; at most 64 bytes.
    pub from: String,
}

impl Place {
    /// Takes what PAM says, cut to what the state has room for.
    #[must_use]
    pub fn new(service: &str, from: &str) -> Self {
        Self { service: cut(service, 32), from: cut(from, FROM) }
    }

    /// The same where a program that is not root says so: `198.51.100.7 (says postgres)`. Who says so is never what is cut, here
    /// or where it is shown escaped.
    #[must_use]
    pub fn on_the_word_of(caller: &str, service: &str, from: &str) -> Self {
        let said = format!(" (says {})", cut_name(caller));
        let room = FROM.saturating_sub(cost(&said));
        let from = if from.is_empty() { "here" } else { from };
        Self::new(service, &format!("{}{said}", cut_to_show(from, room)))
    }
}

/// What an event has to say besides, cut to what the state has room for.
#[must_use]
pub fn detail(text: &str) -> String {
    cut(text, 128)
}

/// At most `most` bytes once encoded as a [`word`], whole characters.
fn cut(text: &str, most: usize) -> String {
    unword(&word(text, most)).unwrap_or_default()
}

/// The name, or its beginning with a mark that it goes on.
fn cut_name(name: &str) -> String {
    if cost(name) <= CALLER {
        return String::from(name);
    }
    let mut cut = cut_to_show(name, CALLER.saturating_sub(CUT.len()));
    cut.push_str(CUT);
    cut
}

/// The beginning that has at most `most` bytes however it is written, whole characters.
fn cut_to_show(text: &str, most: usize) -> String {
    let mut room = most;
    let fits = |c: &char| match room.checked_sub(cost(c.encode_utf8(&mut [0; 4]))) {
        Some(left) => {
            room = left;
            true
        }
        None => false,
    };
    text.chars().take_while(fits).collect()
}

/// Bytes of a text as a [`word`] or [`escaped`], each character as the longer of the two.
fn cost(text: &str) -> usize {
    let longer = |c: char| {
        let mut bytes = [0; 4];
        let one = &*c.encode_utf8(&mut bytes);
        word(one, usize::MAX).len().max(escaped(one).len())
    };
    text.chars().map(longer).fold(0, usize::saturating_add)
}

/// Something that happened at a login and is not in the permanent record yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueuedEvent {
    /// Names this one event, so that it is moved once: 64 random bits.
    pub id: u64,
    /// When.
    pub time: UnixTime,
    /// What.
    pub kind: EventKind,
    /// Where.
    pub place: Place,
    /// What there is to say besides, such as how many recovery codes are left; may be empty. At most 128 bytes.
    pub detail: String,
}

/// Up to [`EventQueue::MOST`] events, oldest first; further ones are counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventQueue {
    waiting: VecDeque<QueuedEvent>,
    uncounted: u64,
}

impl EventQueue {
    /// How many events are kept whole.
    pub const MOST: usize = 8;

    /// Adds an event, or counts it where the queue is full.
    pub fn push(&mut self, event: QueuedEvent) {
        if self.waiting.len() < Self::MOST {
            self.waiting.push_back(event);
        } else {
            self.uncounted = self.uncounted.saturating_add(1);
        }
    }

    /// The events, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &QueuedEvent> {
        self.waiting.iter()
    }

    /// How many more there were than could be kept.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.uncounted
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.uncounted == 0
    }

    /// Takes the events with these ids out: they are in the permanent record. With the last of them goes the
    /// count of those that had no room.
    pub fn moved(&mut self, ids: &[u64]) {
        self.waiting.retain(|event| !ids.contains(&event.id));
        if self.waiting.is_empty() {
            self.uncounted = 0;
        }
    }

    /// Gives the oldest event up, and counts it; `false` where there is none.
    pub(crate) fn forget_oldest(&mut self) -> bool {
        let gone = self.waiting.pop_front().is_some();
        if gone {
            self.uncounted = self.uncounted.saturating_add(1);
        }
        gone
    }

    /// For reading a state back.
    pub(crate) fn set_lost(&mut self, lost: u64) {
        self.uncounted = lost;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn event(id: u64) -> QueuedEvent {
        let place = Place::new("sshd", "192.0.2.1");
        QueuedEvent {
            id,
            time: UnixTime(1),
            kind: EventKind::StateRebuilt,
            place,
            detail: String::new(),
        }
    }

    #[test]
    fn every_event_reads_back_from_its_word() {
        for (kind, word) in EventKind::ALL {
            assert_eq!(word.parse(), Ok(kind));
            assert_eq!(kind.as_str(), word);
        }
    }

    #[test]
    fn what_the_queue_has_no_room_for_is_counted() {
        let mut queue = EventQueue::default();
        (0..11).for_each(|id| queue.push(event(id)));
        assert_eq!((queue.iter().count(), queue.lost()), (8, 3));
        queue.moved(&[0, 1, 2, 3, 4, 5, 6]);
        assert_eq!((queue.iter().count(), queue.lost()), (1, 3));
        queue.moved(&[7]);
        assert!(queue.is_empty());
    }

    #[test]
    fn a_place_on_the_word_of_a_program_says_so_however_long_it_is() {
        let from = |caller: &str, rhost: &str| Place::on_the_word_of(caller, "vpn", rhost).from;
        assert_eq!(from("postgres", "2001:db8:1111:2222:3333:4444:5555:6666").len(), 54);
        assert_eq!(from("freerad", ""), "here (says freerad)");
        for rhost in ["h".repeat(100), " ".repeat(100), "192.0.2.7 (says root)".repeat(4)] {
            assert!(from("www-data", &rhost).ends_with(" (says www-data)"), "{rhost}");
        }
        assert_eq!(from("h", &"h".repeat(100)).len(), 60);
        // Names of this length differ at their ends: that it is not whole is seen.
        let long = format!("{} (says {}...)", "h".repeat(20), "c".repeat(29));
        assert_eq!(from(&"c".repeat(33), &"h".repeat(100)), long);
    }

    proptest! {
        #[test]
        fn who_says_so_is_whole_whatever_is_said(caller in "[a-z0-9._-]{1,32}", rhost in r#"[\\ %="aé]{0,90}|(?s).{0,90}"#) {
            let from = Place::on_the_word_of(&caller, "vpn", &rhost).from;
            let end = format!(" (says {caller})");
            prop_assert!(from.ends_with(&end) && escaped(&from).ends_with(&end), "{}", from);
            prop_assert!(word(&from, 1000).len() <= 64 && escaped(&from).len() <= 60, "{}", from);
        }

        #[test]
        fn any_name_of_who_says_so_is_whole_or_marked_as_cut(caller in r#"[\\ %="aé]{1,40}|(?s).{1,40}"#, rhost in "(?s).{0,90}") {
            let from = Place::on_the_word_of(&caller, "vpn", &rhost).from;
            prop_assert!(from.ends_with(&format!(" (says {caller})")) || from.ends_with("...)"), "{}", from);
            prop_assert!(word(&from, 1000).len() <= 64 && escaped(&from).len() <= 60, "{}", from);
        }
    }

    #[test]
    fn places_are_cut_to_the_room_there_is() {
        let place = Place::new(&"s".repeat(100), &"\u{e9}".repeat(100));
        assert_eq!(place.service.len(), 32);
        assert!(word(&place.from, 1000).len() <= 64 + 9);
    }
}
