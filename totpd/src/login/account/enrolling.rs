//! An enrollment at a login: looked at again before anything is shown and before anything is changed, recorded before
//! either.

use totp_core::contact::Contact;
use totp_core::dialogue::account::Failed;
use totp_core::evaluate::By;
use totp_core::event::EventKind;
use totp_core::name::AuthenticatorName;
use totp_core::otp::Totp;
use totp_core::record::{Decision, EnrollmentId, Entry, Record};
use totp_core::secret::Secret;
use totp_core::state::{State, TotpSpent};
use totp_core::succession::{Instead, Successor};
use totp_store::actor::Actor;
use totp_store::permanent;
use totp_store::recorded::{Means, NotMade};
use totp_store::store::{ByUid, Expected, NotChanged};
use totp_store::{clock, entropy, host_name};

use super::{Phase, drawing};
use crate::login::host::{Priority, Typed};
use crate::login::mark::Passed;

/// How long after auth an enrollment can be completed, in seconds.
const OFFERED_FOR: u64 = 900;

/// An enrollment of one login, as far as it has come.
pub(super) struct Enrolling {
    wanted: Wanted,
    totp: Option<Totp>,
    /// What the user is enrolled as, before and after.
    enrollment: Option<EnrollmentId>,
}

/// What is to be enrolled.
enum Wanted {
    /// Nothing can be.
    Nothing,
    /// For a user with this open enrollment.
    Opened(EnrollmentId),
    /// For a user without an enrollment.
    First,
    /// A phone in place of this authenticator.
    InPlaceOf(EnrollmentId, AuthenticatorName),
    /// A phone in place of everything.
    StartOver(EnrollmentId),
}

impl Enrolling {
    pub(super) fn new(passed: &Passed) -> Self {
        let (wanted, enrollment) = match passed {
            Passed::ToEnroll(enrollment) => (Wanted::Opened(*enrollment), None),
            Passed::MayEnroll { .. } => (Wanted::First, None),
            Passed::Code { by, enrollment, .. } => {
                let wanted = match by {
                    By::Totp { authenticator, .. } => {
                        Wanted::InPlaceOf(*enrollment, authenticator.clone())
                    }
                    By::Recovery { .. } => Wanted::StartOver(*enrollment),
                    By::Bypass | By::Text | By::Enrollment => Wanted::Nothing,
                };
                (wanted, Some(*enrollment))
            }
            Passed::Remembered => (Wanted::Nothing, None),
        };
        Self { wanted, totp: None, enrollment }
    }

    /// What the user is enrolled as by now.
    pub(super) fn enrollment(&self) -> Option<EnrollmentId> {
        self.enrollment
    }

    /// Makes a fresh secret, where the enrollment still is to be made, and records that it will be shown.
    pub(super) fn offer(&mut self, phase: &mut Phase<'_>) -> Result<&Totp, Failed> {
        self.base(phase)?;
        let totp = &phase.site.config().totp;
        let random = entropy::secret().map_err(|error| phase.trouble(&error.to_string()))?;
        let fresh = Totp {
            secret: Secret::fresh(&random),
            algorithm: totp.algorithm.0,
            digits: totp.digits(),
            period: totp.period(),
        };
        let entry = phase.entry(EventKind::EnrollmentOffered, None);
        let telling = phase.telling();
        let say = |entry: &_, recorded: &_| telling.recorded(entry, recorded);
        let recorded = phase.recorder(&say).append(&entry, clock::now());
        recorded.map_err(|error| phase.trouble(&format!("{error}; no key is shown")))?;
        Ok(self.totp.insert(fresh))
    }

    /// Shows the secret that was offered, in the prompt that ends with `question`.
    pub(super) fn ask_with_key(
        &self,
        phase: &mut Phase<'_>,
        ascii: bool,
        question: &str,
    ) -> Option<Typed> {
        let totp = self.totp.as_ref()?;
        let configured = &phase.site.config().totp.issuer;
        let issuer = if configured.is_empty() {
            host_name().unwrap_or_default()
        } else {
            configured.clone()
        };
        let account = phase.mark.user.as_str();
        let prompt = drawing::prompt(totp, &issuer, account, ascii, question);
        phase.host.ask_with_secret(&prompt).ok()
    }

    /// Records the enrollment, then makes it: of several at once one.
    pub(super) fn install(
        &mut self,
        phase: &mut Phase<'_>,
        spent: TotpSpent,
    ) -> Result<(), Failed> {
        let base = self.base(phase)?;
        let totp = self.totp.take().ok_or(Failed::Trouble)?;
        let name = AuthenticatorName::new(AuthenticatorName::DEFAULT)
            .map_err(|error| phase.trouble(&error.to_string()))?;
        let random = entropy::bytes().map_err(|error| phase.trouble(&error.to_string()))?;
        let enrollment = EnrollmentId::fresh(random);
        let (expected, contact) = (base.expected, base.contact());
        let entry = phase.entry(EventKind::Enrolled, self.how());
        let made = {
            let (phase, telling) = (&*phase, phase.telling());
            let say = |entry: &_, recorded: &_| telling.recorded(entry, recorded);
            phase.recorder(&say).change(&entry, clock::now(), means, |seq| {
                let decision = phase.decision(seq, contact);
                let fresh = (name, totp, spent);
                let new = Successor::new(
                    decision,
                    enrollment,
                    self.instead(&base),
                    fresh,
                    &phase.rules,
                    clock::now(),
                );
                let first = |old: Option<&State>| new.beginning.state(old);
                phase.store.install(new.record, expected, &first)
            })
        };
        match made {
            Ok(_) => {}
            Err(error) => {
                phase.host.log(Priority::Error, &error.to_string());
                match error {
                    NotMade::InPlace { .. } => {}
                    NotMade::Failed { error: NotChanged::Meanwhile(_), .. } => {
                        return Err(Failed::Changed);
                    }
                    NotMade::Failed { .. } | NotMade::Unrecorded(_) => return Err(Failed::Trouble),
                }
            }
        }
        self.enrollment = Some(enrollment);
        self.wanted = Wanted::Nothing;
        Ok(())
    }

    /// What there is now, where the enrollment still is to be made.
    fn base(&self, phase: &Phase<'_>) -> Result<Base, Failed> {
        let looked = phase.store.expect(phase.mark.kept());
        let (expected, entry) = looked.map_err(|fault| phase.trouble(&fault.to_string()))?;
        let now = clock::now();
        // The enrollment may have ended while the question stood.
        let over = now.since(phase.mark.made) > OFFERED_FOR
            || matches!(&entry, Some(Entry::Pending(pending)) if now >= pending.until);
        let as_wanted = match (&self.wanted, expected) {
            (Wanted::Opened(id), Expected::Pending(version))
            | (Wanted::InPlaceOf(id, _) | Wanted::StartOver(id), Expected::Enrolled(version)) => {
                version.enrollment() == *id
            }
            (Wanted::First, Expected::Absent) => phase.has_none_by_uid()?,
            _ => false,
        };
        if !as_wanted || over {
            let line = format!("what is decided about {} has changed meanwhile", phase.mark.user);
            phase.host.log(Priority::Notice, if over { "the enrollment is over" } else { &line });
            return Err(Failed::Changed);
        }
        Ok(Base { expected, entry })
    }

    fn instead<'a>(&'a self, base: &'a Base) -> Instead<'a> {
        match (&self.wanted, base.record()) {
            (Wanted::InPlaceOf(_, name), Some(record)) => Instead::Of(record, name),
            (Wanted::StartOver(_), Some(record)) => Instead::OfAll(record),
            _ => Instead::OfNothing,
        }
    }

    /// What the record says of the way it was done.
    fn how(&self) -> Option<String> {
        match &self.wanted {
            Wanted::InPlaceOf(_, name) => Some(format!("in place of {name}, after a code of it")),
            Wanted::StartOver(_) => {
                Some("in place of all there was, after a recovery code".to_owned())
            }
            Wanted::Opened(_) | Wanted::First | Wanted::Nothing => None,
        }
    }
}

/// What an enrollment is built on.
struct Base {
    expected: Expected,
    entry: Option<Entry>,
}

impl Base {
    fn record(&self) -> Option<&Record> {
        match &self.entry {
            Some(Entry::Enrolled(record)) => Some(record),
            _ => None,
        }
    }

    fn contact(&self) -> Contact {
        self.entry.as_ref().map(|entry| entry.decision().contact.clone()).unwrap_or_default()
    }
}

fn means(error: &NotChanged) -> Means {
    match error {
        NotChanged::NotDurable(_) => Means::InPlace,
        NotChanged::Meanwhile(_) | NotChanged::Fault(_) => Means::NotDone(error.to_string()),
    }
}

impl Phase<'_> {
    /// Whether the account still has no enrollment under another name either.
    fn has_none_by_uid(&self) -> Result<bool, Failed> {
        let Some(uid) = self.mark.uid else { return Ok(true) };
        match self.store.by_uid(&self.mark.user, uid) {
            Ok(by_uid) => Ok(matches!(by_uid, ByUid::Nothing | ByUid::Disabled(_))),
            Err(fault) => Err(self.trouble(&fault.to_string())),
        }
    }

    fn trouble(&self, detail: &str) -> Failed {
        self.host.log(Priority::Error, detail);
        Failed::Trouble
    }

    /// A line of the permanent record about this login, by the user.
    pub(super) fn entry(&self, event: EventKind, reason: Option<String>) -> permanent::Entry {
        let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let actor = Actor {
            name: Some(self.mark.user.as_str().to_owned()),
            uid: self.mark.uid,
            loginuid: self.login_uid,
            real_uid: Some(self.facts.uid),
            sudo_uid: None,
            tty: given(&self.facts.tty),
            from: given(&self.facts.rhost),
        };
        permanent::Entry {
            user: Some(self.mark.kept().as_str().to_owned()),
            actor,
            host: host_name(),
            service: given(&self.facts.service),
            rhost: given(&self.facts.rhost),
            reason,
            ..permanent::Entry::new(clock::now(), event)
        }
    }

    fn decision(&self, seq: u64, contact: Contact) -> Decision {
        let user = self.mark.kept().clone();
        let by = self.mark.user.as_str().to_owned();
        Decision { user, uid: self.mark.uid, since: clock::now(), by, seq, contact }
    }
}
