//! Remembered devices: SSH keys with which a user isn't asked for some days, and their text form in
//! `remembered/NAME`.
//!
//! A device is a key that the ssh server has verified at this very login; an address alone never is one. It was remembered
//! under one enrollment and is nothing under another: whoever switches off or starts over forgets every device.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::{self, Write as _};
use core::str::FromStr;

use crate::encoding::BASE64_NOPAD;
use thiserror::Error;

use crate::origin::Net;
use crate::policy::RememberKeys;
use crate::record::EnrollmentId;
use crate::time::{DAY, UnixTime};

/// As many devices of one user are remembered.
pub const MOST_DEVICES: usize = 32;

/// A list is never larger than this, in bytes.
pub const MOST_BYTES: usize = 16 * 1024;

const HEAD: &str = "pam-totp remembered 1";

/// SHA-256 of a public key's wire form (RFC 4253 section 6.6): what `ssh-keygen -l` shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint(pub [u8; 32]);

impl fmt::Display for Fingerprint {
    /// `SHA256:` and base64 without padding.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SHA256:{}", BASE64_NOPAD.encode(&self.0))
    }
}

/// A text that is no fingerprint.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("not a fingerprint such as ssh-keygen -l shows, SHA256: and 43 characters")]
pub struct NotAFingerprint;

impl FromStr for Fingerprint {
    type Err = NotAFingerprint;

    fn from_str(text: &str) -> Result<Self, NotAFingerprint> {
        let encoded = text.strip_prefix("SHA256:").ok_or(NotAFingerprint)?;
        let bytes = BASE64_NOPAD.decode(encoded.as_bytes()).map_err(|_| NotAFingerprint)?;
        bytes.try_into().map(Self).map_err(|_| NotAFingerprint)
    }
}

/// A login with a key that the ssh server has verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// The key.
    pub key: Fingerprint,
    /// Where it comes from, if that is a literal address.
    pub network: Option<Net>,
    /// The user's enrollment.
    pub enrollment: EnrollmentId,
    /// The time.
    pub now: UnixTime,
}

/// What policy says at one service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// How long a device is remembered.
    pub seconds: u64,
    /// Whether it is known in the network alone from which it was remembered.
    pub same_network: bool,
}

impl Terms {
    /// The terms of `service`; `None` where it remembers no device.
    #[must_use]
    pub fn of(keys: &RememberKeys, service: &str) -> Option<Self> {
        let seconds = keys.seconds(service)?;
        Some(Self { seconds, same_network: keys.same_network })
    }
}

/// A key that was remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Device {
    /// The key.
    pub key: Fingerprint,
    /// When it was remembered.
    pub added: UnixTime,
    /// When it last let somebody in, give or take a day.
    pub used: UnixTime,
    /// When it is asked again, at the latest.
    pub until: UnixTime,
    /// Where it was remembered.
    pub network: Option<Net>,
    /// The enrollment under which it was.
    pub enrollment: EnrollmentId,
}

impl Device {
    /// Whether it still is remembered. One from the future isn't: the clock was set back since.
    #[must_use]
    pub fn holds(&self, enrollment: EnrollmentId, now: UnixTime) -> bool {
        self.enrollment == enrollment && now >= self.used && now < self.until
    }

    fn is(&self, arrival: &Arrival, terms: &Terms) -> bool {
        let there = self.network.is_some() && self.network == arrival.network;
        self.key == arrival.key
            && self.holds(arrival.enrollment, arrival.now)
            // Policy may have become shorter since.
            && arrival.now < self.added.plus(terms.seconds)
            && (there || !terms.same_network)
    }
}

/// The remembered devices of one user.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Devices(Vec<Device>);

impl Devices {
    /// The device that arrives, if it is remembered.
    #[must_use]
    pub fn known(&self, arrival: &Arrival, terms: &Terms) -> Option<&Device> {
        self.0.iter().find(|device| device.is(arrival, terms))
    }

    /// The devices that still are remembered under this enrollment.
    pub fn that_hold(
        &self,
        enrollment: EnrollmentId,
        now: UnixTime,
    ) -> impl Iterator<Item = &Device> {
        self.0.iter().filter(move |device| device.holds(enrollment, now))
    }

    /// Remembers a device from now on. What no longer holds goes; where there are too many, the one that was used least
    /// recently goes as well.
    pub fn remember(&mut self, arrival: &Arrival, terms: &Terms) {
        let Arrival { key, network, enrollment, now } = *arrival;
        self.0.retain(|device| device.key != key && device.holds(enrollment, now));
        self.0.sort_by_key(|device| core::cmp::Reverse(device.used));
        self.0.truncate(MOST_DEVICES.saturating_sub(1));
        let until = now.plus(terms.seconds);
        self.0.push(Device { key, added: now, used: now, until, network, enrollment });
    }

    /// Notes that a device was used, once a day at most. `false`: nothing to be written.
    pub fn used(&mut self, arrival: &Arrival) -> bool {
        let same = |device: &&mut Device| {
            device.key == arrival.key && device.enrollment == arrival.enrollment
        };
        match self.0.iter_mut().find(same) {
            Some(device) if arrival.now.since(device.used) >= DAY => {
                device.used = arrival.now;
                true
            }
            _ => false,
        }
    }

    /// Forgets a device. `false`: it wasn't there.
    pub fn forget(&mut self, key: Fingerprint) -> bool {
        let before = self.0.len();
        self.0.retain(|device| device.key != key);
        self.0.len() != before
    }

    /// The keys of all of them, those that no longer hold as well.
    pub fn keys(&self) -> impl Iterator<Item = Fingerprint> {
        self.0.iter().map(|device| device.key)
    }

    /// Whether there are none, not even some that no longer hold.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Reads a list.
    ///
    /// # Errors
    /// Anything but what [`Self::print`] writes.
    pub fn parse(text: &str) -> Result<Self, NotAList> {
        let body = text.strip_prefix(HEAD).and_then(|text| text.strip_prefix('\n'));
        let mut devices: Vec<Device> = Vec::new();
        for (at, line) in body.ok_or(NotAList { line: 1 })?.split_inclusive('\n').enumerate() {
            let bad = NotAList { line: at.saturating_add(2) };
            let device = line.strip_suffix('\n').and_then(read).ok_or(bad)?;
            let twice = devices.iter().any(|other| other.key == device.key);
            if twice || devices.len() >= MOST_DEVICES {
                return Err(bad);
            }
            devices.push(device);
        }
        Ok(Self(devices))
    }

    /// Writes the list, a line for each device.
    #[must_use]
    pub fn print(&self) -> String {
        let mut text = format!("{HEAD}\n");
        for Device { key, added, used, until, network, enrollment } in &self.0 {
            let network = network.map_or_else(|| String::from("-"), |network| network.to_string());
            // A String takes everything.
            let _ = writeln!(
                text,
                "{key} added={added} used={used} until={until} network={network} enrollment={enrollment}"
            );
        }
        text
    }
}

/// A text that is no list of remembered devices.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("line {line} is not what a list of remembered devices has there")]
pub struct NotAList {
    /// Counted from 1.
    pub line: usize,
}

fn read(line: &str) -> Option<Device> {
    let mut words = line.split(' ');
    let key = words.next()?.parse().ok()?;
    let mut value = |name: &str| words.next()?.strip_prefix(name)?.strip_prefix('=');
    let added = value("added")?.parse().ok()?;
    let used = value("used")?.parse().ok()?;
    let until = value("until")?.parse().ok()?;
    let network = match value("network")? {
        "-" => None,
        network => Some(network.parse().ok()?),
    };
    let enrollment = value("enrollment")?.parse().ok()?;
    let whole = words.next().is_none() && added <= used && added <= until;
    whole.then_some(Device { key, added, used, until, network, enrollment })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: UnixTime = UnixTime(1_773_307_200);
    const MONTH: Terms = Terms { seconds: 30 * DAY, same_network: false };

    fn arrival(key: u8) -> Arrival {
        Arrival {
            key: Fingerprint([key; 32]),
            network: Net::of("192.0.2.7"),
            enrollment: EnrollmentId::fresh([7; 8]),
            now: NOW,
        }
    }

    fn later(arrival: Arrival, seconds: u64) -> Arrival {
        Arrival { now: arrival.now.plus(seconds), ..arrival }
    }

    fn remembered() -> Devices {
        let mut devices = Devices::default();
        devices.remember(&arrival(1), &MONTH);
        devices
    }

    #[test]
    fn a_remembered_key_is_known_until_its_days_are_over() {
        let devices = remembered();
        assert!(devices.known(&arrival(1), &MONTH).is_some());
        assert!(devices.known(&later(arrival(1), 30 * DAY - 1), &MONTH).is_some());
        assert!(devices.known(&later(arrival(1), 30 * DAY), &MONTH).is_none());
    }

    #[test]
    fn another_key_is_not_known_from_wherever_it_comes() {
        assert_eq!(remembered().known(&arrival(2), &MONTH), None);
        let nets = Terms { same_network: true, ..MONTH };
        assert_eq!(remembered().known(&arrival(2), &nets), None);
    }

    #[test]
    fn another_enrollment_knows_no_device() {
        let other = Arrival { enrollment: EnrollmentId::fresh([8; 8]), ..arrival(1) };
        assert_eq!(remembered().known(&other, &MONTH), None);
    }

    #[test]
    fn a_clock_set_back_asks() {
        let earlier = Arrival { now: NOW.minus(1), ..arrival(1) };
        assert_eq!(remembered().known(&earlier, &MONTH), None);
    }

    #[test]
    fn days_taken_off_the_policy_end_what_was_remembered_for_longer() {
        let week = Terms { seconds: 7 * DAY, ..MONTH };
        assert!(remembered().known(&later(arrival(1), 7 * DAY - 1), &week).is_some());
        assert!(remembered().known(&later(arrival(1), 7 * DAY), &week).is_none());
    }

    #[test]
    fn days_added_to_the_policy_do_not_prolong_what_was_remembered() {
        let year = Terms { seconds: 365 * DAY, ..MONTH };
        assert!(remembered().known(&later(arrival(1), 30 * DAY), &year).is_none());
    }

    #[test]
    fn where_the_network_counts_another_one_asks_and_none_does() {
        let terms = Terms { same_network: true, ..MONTH };
        let from = |rhost: &str| Arrival { network: Net::of(rhost), ..arrival(1) };
        assert!(remembered().known(&from("192.0.2.200"), &terms).is_some());
        assert!(remembered().known(&from("192.0.3.7"), &terms).is_none());
        assert!(remembered().known(&from("192.0.3.7"), &MONTH).is_some());
        let mut nowhere = Devices::default();
        nowhere.remember(&from("desk.example.com"), &terms);
        assert!(nowhere.known(&from("desk.example.com"), &terms).is_none());
    }

    #[test]
    fn remembering_again_begins_anew_and_leaves_one() {
        let mut devices = remembered();
        let again = later(arrival(1), DAY);
        devices.remember(&again, &MONTH);
        assert_eq!(devices.that_hold(again.enrollment, again.now).count(), 1);
        assert!(devices.known(&later(arrival(1), 30 * DAY), &MONTH).is_some());
    }

    #[test]
    fn the_least_recently_used_makes_room() {
        let mut devices = Devices::default();
        for key in 0..=31 {
            devices.remember(&later(arrival(key), key.into()), &MONTH);
        }
        assert!(devices.used(&later(arrival(0), DAY)));
        let now = later(arrival(32), DAY);
        devices.remember(&now, &MONTH);
        assert_eq!(devices.that_hold(now.enrollment, now.now).count(), MOST_DEVICES);
        assert!(devices.known(&later(arrival(0), DAY), &MONTH).is_some());
        assert!(devices.known(&later(arrival(1), DAY), &MONTH).is_none());
    }

    #[test]
    fn a_use_is_noted_once_a_day() {
        let mut devices = remembered();
        assert!(!devices.used(&later(arrival(1), DAY - 1)));
        assert!(devices.used(&later(arrival(1), DAY)));
        assert!(!devices.used(&later(arrival(1), DAY)));
        assert!(!devices.used(&later(arrival(2), DAY)));
    }

    #[test]
    fn a_forgotten_device_is_not_known() {
        let mut devices = remembered();
        assert!(devices.forget(arrival(1).key) && !devices.forget(arrival(1).key));
        assert!(devices.is_empty() && devices.known(&arrival(1), &MONTH).is_none());
    }

    #[test]
    fn a_list_reads_back_and_is_text_for_people() {
        let devices = remembered();
        let text = devices.print();
        assert_eq!(
            text,
            "pam-totp remembered 1\n\
             SHA256:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE added=2026-03-12T09:20:00Z \
             used=2026-03-12T09:20:00Z until=2026-04-11T09:20:00Z network=192.0.2.0/24 \
             enrollment=0707070707070707\n"
        );
        assert_eq!(Devices::parse(&text), Ok(devices));
    }

    #[test]
    fn whatever_is_not_exactly_a_list_is_refused() {
        let text = remembered().print();
        let end = text.len();
        // Cut off anywhere but behind a whole line.
        for at in (0..end).filter(|at| *at != HEAD.len() + 1) {
            assert!(Devices::parse(&text[..at]).is_err(), "cut at {at}");
        }
        let (_, line) = text.split_once('\n').unwrap();
        assert_eq!(Devices::parse(&format!("{text}{line}")), Err(NotAList { line: 3 }));
        for (from, to) in [
            ("remembered 1", "remembered 2"),
            ("SHA256:", "MD5:"),
            ("AQE ", "AQF "),
            (" added", "  added"),
            ("used=2026", "used=2025"),
            ("network=192.0.2.0/24", "network="),
            ("0707\n", "0707 x\n"),
            ("\n", "\r\n"),
        ] {
            assert!(Devices::parse(&text.replacen(from, to, 1)).is_err(), "{to}");
        }
    }

    #[test]
    fn a_list_that_is_too_long_is_refused() {
        let mut text = format!("{HEAD}\n");
        let line = remembered().print().lines().last().unwrap().to_string();
        for key in 0..=32_u8 {
            let own = Fingerprint([key; 32]).to_string();
            let _ = writeln!(text, "{own}{}", &line[own.len()..]);
        }
        assert_eq!(Devices::parse(&text), Err(NotAList { line: 34 }));
        assert!(text.len() < MOST_BYTES);
    }

    proptest! {
        #[test]
        fn any_list_reads_back(keys in proptest::collection::vec((any::<u8>(), 0..DAY), 0..40)) {
            let mut devices = Devices::default();
            for (key, after) in keys {
                devices.remember(&later(arrival(key), after), &MONTH);
            }
            prop_assert_eq!(Devices::parse(&devices.print()), Ok(devices));
        }

        #[test]
        fn any_text_is_read_without_a_panic(text in "(pam-totp remembered 1\n)?(SHA256:.{0,80}\n?){0,3}") {
            let _ = Devices::parse(&text);
        }
    }
}
