//! Remembered devices, as a login meets them: a key that sshd has verified, at a service that remembers.
//!
//! Auth doesn't ask a user with one that is remembered; account remembers one. Whatever is wrong with the list is
//! logged, and then no device is remembered: a login is asked, and that is all.

use totp_core::name::UserName;
use totp_core::origin::Net;
use totp_core::record::EnrollmentId;
use totp_core::remembered::{Arrival, Terms};
use totp_core::time::UnixTime;
use totp_store::installation::Installation;
use totp_store::remembered::{Remembered, RememberedError};

use crate::login::facts::Facts;
use crate::login::host::{Host, Priority};

/// The device of a login, where devices are remembered.
pub(crate) struct Device {
    /// The key, and where it comes from.
    pub(crate) arrival: Arrival,
    terms: Terms,
    lists: Remembered,
}

impl Device {
    /// `None` where there is no verified key, or the service remembers none.
    pub(crate) fn of(
        site: &Installation,
        facts: &Facts,
        enrollment: EnrollmentId,
        now: UnixTime,
    ) -> Option<Self> {
        let terms = Terms::of(&site.config().remember, &facts.service)?;
        let network = Net::of(&facts.rhost);
        let arrival = Arrival { key: facts.key?, network, enrollment, now };
        let lists = site.remembered();
        Some(Self { arrival, terms, lists })
    }

    /// Whether it is remembered.
    pub(crate) fn is_known(&self, host: &dyn Host, user: &UserName) -> bool {
        let known = match self.lists.read(user) {
            Ok(devices) => devices.known(&self.arrival, &self.terms).is_some(),
            Err(error) => {
                log(host, &error, "nobody is remembered");
                false
            }
        };
        if known && let Err(error) = self.lists.note_use(user, &self.arrival) {
            log(host, &error, "when a device was last used isn't noted");
        }
        known
    }

    /// For how many days it would be remembered.
    pub(crate) fn days(&self) -> u64 {
        self.terms.seconds.div_ceil(totp_core::time::DAY)
    }

    /// Remembers it from now on. `false`: the log says why not.
    pub(crate) fn remember(&self, host: &dyn Host, user: &UserName) -> bool {
        let remembered = self.lists.remember(user, &self.arrival, &self.terms);
        if let Err(error) = &remembered {
            log(host, error, "the device isn't remembered");
        }
        remembered.is_ok()
    }
}

fn log(host: &dyn Host, error: &RememberedError, so: &str) {
    host.log(Priority::Error, &format!("{error}; {so}"));
}
