//! The mark that auth leaves in the PAM handle for the account hook of the same login: what it found out about whom.
//!
//! Account runs without any auth before it, too (sudo -n, su by root, cron, a public key alone), and programs use one handle
//! for several tries. So each call of auth begins by clearing the mark, account takes it away, and it counts for the user it
//! was made for and nobody else.

use totp_core::evaluate::By;
use totp_core::name::UserName;
use totp_core::record::EnrollmentId;
use totp_core::remembered::Fingerprint;
use totp_core::time::UnixTime;
use totp_store::notices::Shown;

/// What auth found out.
#[derive(Clone, Debug)]
pub(crate) struct Mark {
    /// About whom.
    pub(crate) user: UserName,
    /// That account's uid; `None` where there is no account.
    pub(crate) uid: Option<u32>,
    /// What.
    pub(crate) passed: Passed,
    /// When: what it leads to is not offered for ever.
    pub(crate) made: UnixTime,
    /// What the user was to be shown before this login left something to be told itself.
    pub(crate) notices: Option<Shown>,
}

/// How somebody passed auth.
#[derive(Clone, Debug)]
pub(crate) enum Passed {
    /// A code was right.
    Code {
        /// Which.
        by: By,
        /// Of which enrollment.
        enrollment: EnrollmentId,
        /// Whether `new` was typed.
        wants_new: bool,
        /// The key that sshd had verified, if any.
        key: Option<Fingerprint>,
    },
    /// This enrollment is open, and due.
    ToEnroll(EnrollmentId),
    /// There is no enrollment, and it may be put off.
    MayEnroll {
        /// Days left, today included.
        days: u64,
    },
    /// With a remembered device.
    Remembered,
}

impl Mark {
    /// Whether nobody gets in without enrolling.
    pub(crate) fn enrollment_is_due(&self) -> bool {
        matches!(self.passed, Passed::ToEnroll(_))
    }

    /// Whether it was made for this account.
    pub(crate) fn is_of(&self, user: &UserName, uid: Option<u32>) -> bool {
        self.user == *user && self.uid == uid
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_counts_for_the_same_account_alone() {
        let name = |text| UserName::new(text).expect("a name");
        let (user, made) = (name("alice"), UnixTime(7));
        let mark = Mark { user, uid: Some(7), passed: Passed::Remembered, made, notices: None };
        assert!(mark.is_of(&name("alice"), Some(7)));
        assert!(!mark.is_of(&name("bob"), Some(7)));
        assert!(!mark.is_of(&name("alice"), Some(8)) && !mark.is_of(&name("alice"), None));
    }
}
