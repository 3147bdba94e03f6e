//! The mark: what auth came to, for the later hooks of the same PAM handle. The module keeps it as bytes that mean nothing
//! to it, and brings it along.
//!
//! Only where there is none, auth did not run in this handle (sudo -n, su by root, cron, a public key alone). One that is
//! there and can't be used, for whatever reason, stands for a refusal. A mark is made for one account and good for ten minutes.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use totp_core::evaluate::By;
use totp_core::name::{AuthenticatorName, UserName};
use totp_core::record::EnrollmentId;
use totp_core::remembered::Fingerprint;
use totp_core::time::UnixTime;
use totp_store::clock;
use totp_wire::Later;

use crate::request::Brought;

/// The form of the bytes. Another one is not read.
const FORM: u8 = 1;

/// How long after auth the later hooks may come.
const GOOD_FOR: Duration = Duration::from_secs(600);

/// What auth came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    /// For whom.
    pub(crate) user: UserName,
    /// That account's uid; `None` where there is no account.
    pub(crate) uid: Option<u32>,
    /// Under which name the enrollment is kept, where it is not the account's own.
    pub(crate) enrolled_as: Option<UserName>,
    /// When, by the clock that people see.
    pub(crate) made: UnixTime,
    pub(crate) outcome: Outcome,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Not challenged, and nothing to be done about it later.
    NotChallenged,
    /// Passed: account has something to do.
    Passed(Passed),
    /// Account has run, and has not made the enrollment that is due.
    Due,
    /// Account has run, and nothing is left to be done.
    Settled,
}

/// How a user passed auth.
#[derive(Clone, Debug, PartialEq, Eq)]
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

/// A mark as a later hook finds it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// Auth did not run.
    Nothing,
    /// Auth refused, or left what can't be used.
    Refused,
    /// This.
    Mark(Box<Mark>),
}

impl Mark {
    /// Whether access is denied until the user has enrolled.
    pub(crate) fn enrollment_is_due(&self) -> bool {
        matches!(self.outcome, Outcome::Due | Outcome::Passed(Passed::ToEnroll(_)))
    }

    /// The name under which everything about the user is kept.
    pub(crate) fn kept(&self) -> &UserName {
        self.enrolled_as.as_ref().unwrap_or(&self.user)
    }

    /// Whether it was made for this account.
    pub(crate) fn is_of(&self, user: &UserName, uid: Option<u32>) -> bool {
        self.user == *user && self.uid == uid
    }

    /// Which later hooks have something to do.
    pub(crate) fn later(&self) -> Later {
        let account = self.outcome != Outcome::Settled;
        Later { account, setcred: self.enrollment_is_due() }
    }

    /// The bytes that the module keeps.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let kept = Kept {
            form: FORM,
            user: self.user.as_str().to_owned(),
            uid: self.uid,
            enrolled_as: self.enrolled_as.as_ref().map(|name| name.as_str().to_owned()),
            made: self.made.0,
            awake: clock::since_boot().as_secs(),
            outcome: KeptOutcome::of(&self.outcome),
        };
        serde_json::to_vec(&kept).unwrap_or_else(|_| REFUSED.to_vec()) // plain data: never fails
    }

    fn decode(bytes: &[u8], now: Duration) -> Option<Self> {
        let kept: Kept = serde_json::from_slice(bytes).ok()?;
        let age = now.as_secs().checked_sub(kept.awake)?;
        if kept.form != FORM || age > GOOD_FOR.as_secs() {
            return None;
        }
        Some(Self {
            user: UserName::new(&kept.user).ok()?,
            uid: kept.uid,
            enrolled_as: match kept.enrolled_as {
                None => None,
                Some(name) => Some(UserName::new(&name).ok()?),
            },
            made: UnixTime(kept.made),
            outcome: kept.outcome.outcome()?,
        })
    }
}

/// The mark of a refusal: no mark that anything else is read from. The module keeps the same until auth is over.
pub(crate) const REFUSED: &[u8] = b"!";

/// What a refusal has later hooks do.
pub(crate) const AFTER_REFUSAL: Later = Later { account: true, setcred: false };

/// What the module has brought along.
pub(crate) fn read(brought: &Brought) -> Found {
    match brought {
        Brought::Nothing => Found::Nothing,
        Brought::TooLong => Found::Refused,
        Brought::Bytes(bytes) => match Mark::decode(bytes, clock::since_boot()) {
            Some(mark) => Found::Mark(Box::new(mark)),
            None => Found::Refused,
        },
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    form: u8,
    user: String,
    uid: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    enrolled_as: Option<String>,
    made: u64,
    /// Seconds since boot: a clock that is set makes no mark older or younger.
    awake: u64,
    outcome: KeptOutcome,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
enum KeptOutcome {
    NotChallenged,
    Code { by: KeptBy, enrollment: String, wants_new: bool, key: Option<String> },
    ToEnroll(String),
    MayEnroll(u64),
    Remembered,
    Due,
    Settled,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
enum KeptBy {
    Totp { authenticator: String, drift: i64, codes: usize, off: Option<i64> },
    Recovery { left: usize, due: bool },
    Bypass,
    Text,
    Enrollment,
}

impl KeptOutcome {
    fn of(outcome: &Outcome) -> Self {
        match outcome {
            Outcome::NotChallenged => Self::NotChallenged,
            Outcome::Due => Self::Due,
            Outcome::Settled => Self::Settled,
            Outcome::Passed(Passed::Code { by, enrollment, wants_new, key }) => Self::Code {
                by: KeptBy::of(by),
                enrollment: enrollment.to_string(),
                wants_new: *wants_new,
                key: key.map(|key| key.to_string()),
            },
            Outcome::Passed(Passed::ToEnroll(enrollment)) => Self::ToEnroll(enrollment.to_string()),
            Outcome::Passed(Passed::MayEnroll { days }) => Self::MayEnroll(*days),
            Outcome::Passed(Passed::Remembered) => Self::Remembered,
        }
    }

    fn outcome(self) -> Option<Outcome> {
        Some(match self {
            Self::NotChallenged => Outcome::NotChallenged,
            Self::Due => Outcome::Due,
            Self::Settled => Outcome::Settled,
            Self::Code { by, enrollment, wants_new, key } => Outcome::Passed(Passed::Code {
                by: by.by()?,
                enrollment: enrollment.parse().ok()?,
                wants_new,
                key: match key {
                    None => None,
                    Some(key) => Some(key.parse().ok()?),
                },
            }),
            Self::ToEnroll(enrollment) => {
                Outcome::Passed(Passed::ToEnroll(enrollment.parse().ok()?))
            }
            Self::MayEnroll(days) => Outcome::Passed(Passed::MayEnroll { days }),
            Self::Remembered => Outcome::Passed(Passed::Remembered),
        })
    }
}

impl KeptBy {
    fn of(by: &By) -> Self {
        match by {
            By::Totp { authenticator, drift, codes, off } => Self::Totp {
                authenticator: authenticator.to_string(),
                drift: *drift,
                codes: *codes,
                off: *off,
            },
            By::Recovery { left, due } => Self::Recovery { left: *left, due: *due },
            By::Bypass => Self::Bypass,
            By::Text => Self::Text,
            By::Enrollment => Self::Enrollment,
        }
    }

    fn by(self) -> Option<By> {
        Some(match self {
            Self::Totp { authenticator, drift, codes, off } => {
                let authenticator = AuthenticatorName::new(&authenticator).ok()?;
                By::Totp { authenticator, drift, codes, off }
            }
            Self::Recovery { left, due } => By::Recovery { left, due },
            Self::Bypass => By::Bypass,
            Self::Text => By::Text,
            Self::Enrollment => By::Enrollment,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> UserName {
        UserName::new(text).expect("a name")
    }

    fn mark(outcome: Outcome) -> Mark {
        let (user, uid, made) = (name("alice"), Some(7), UnixTime(7));
        Mark { user, uid, enrolled_as: None, made, outcome }
    }

    fn passed(how: Passed) -> Mark {
        mark(Outcome::Passed(how))
    }

    fn to_enroll() -> Mark {
        passed(Passed::ToEnroll(EnrollmentId::fresh([3; 8])))
    }

    fn all() -> Vec<Mark> {
        let by = [
            By::Totp {
                authenticator: AuthenticatorName::new("phone").expect("a name"),
                drift: -1,
                codes: 3,
                off: Some(-3600),
            },
            By::Recovery { left: 3, due: true },
            By::Bypass,
            By::Text,
            By::Enrollment,
        ];
        let code = by.into_iter().map(|by| {
            Outcome::Passed(Passed::Code {
                by,
                enrollment: EnrollmentId::fresh([1; 8]),
                wants_new: true,
                key: Some(Fingerprint([9; 32])),
            })
        });
        let others = [Outcome::NotChallenged, Outcome::Due, Outcome::Settled];
        let mut all: Vec<Mark> = code.chain(others).map(mark).collect();
        all.extend([
            to_enroll(),
            passed(Passed::MayEnroll { days: 3 }),
            passed(Passed::Remembered),
            Mark { enrolled_as: Some(name("al")), ..passed(Passed::Remembered) },
        ]);
        all
    }

    #[test]
    fn every_mark_comes_back_as_it_was_left() {
        for mark in all() {
            let found = read(&Brought::Bytes(mark.encode()));
            assert_eq!(found, Found::Mark(Box::new(mark)));
        }
    }

    #[test]
    fn no_mark_is_no_refusal_and_whatever_else_is_unreadable_is() {
        assert_eq!(read(&Brought::Nothing), Found::Nothing);
        assert_eq!(read(&Brought::TooLong), Found::Refused);
        let whole = to_enroll().encode();
        let other_form = String::from_utf8_lossy(&whole).replace("\"form\":1", "\"form\":2");
        for bytes in [REFUSED, b"", b"{}", &whole[1..], other_form.as_bytes()] {
            assert_eq!(read(&Brought::Bytes(bytes.to_vec())), Found::Refused);
        }
    }

    #[test]
    fn a_mark_is_good_for_ten_minutes_and_none_comes_from_the_future() {
        let bytes = to_enroll().encode();
        let now = clock::since_boot();
        let after = |seconds| Mark::decode(&bytes, now + Duration::from_secs(seconds));
        assert!(after(0).is_some() && after(600).is_some());
        assert_eq!(after(602), None);
        assert_eq!(Mark::decode(&bytes, Duration::ZERO), None);
    }

    #[test]
    fn it_counts_for_the_same_account_alone() {
        let mark = to_enroll();
        assert!(mark.is_of(&name("alice"), Some(7)));
        assert!(!mark.is_of(&name("bob"), Some(7)));
        assert!(!mark.is_of(&name("alice"), Some(8)) && !mark.is_of(&name("alice"), None));
    }

    #[test]
    fn what_is_kept_may_have_another_name_than_the_account_it_counts_for() {
        let mark = Mark { enrolled_as: Some(name("al")), ..to_enroll() };
        assert_eq!((mark.kept(), to_enroll().kept()), (&name("al"), &name("alice")));
        assert!(mark.is_of(&name("alice"), Some(7)) && !mark.is_of(&name("al"), Some(7)));
    }

    #[test]
    fn setcred_comes_back_where_an_enrollment_is_due_and_account_until_it_has_run() {
        let later = |account, setcred| Later { account, setcred };
        assert_eq!(to_enroll().later(), later(true, true));
        assert_eq!(mark(Outcome::Due).later(), later(true, true));
        assert_eq!(passed(Passed::Remembered).later(), later(true, false));
        assert_eq!(mark(Outcome::NotChallenged).later(), later(true, false));
        assert_eq!(mark(Outcome::Settled).later(), later(false, false));
    }
}
