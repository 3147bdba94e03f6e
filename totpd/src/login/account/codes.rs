//! Recovery codes at a login: shown first, and made valid once the user has said that they are noted. Codes whose
//! prompt was broken off are worthless.

use totp_core::dialogue::account::next_code;
use totp_core::event::EventKind;
use totp_core::onetime::{CodeHash, OneTimeCode};
use totp_core::policy::RecoveryMode;
use totp_core::record::{EnrollmentId, Entry, Recovery};
use totp_core::store::{Fault, Store as _};
use totp_core::upkeep::hand_out;
use totp_store::recorded::{Means, NotMade};
use totp_store::store::{Expected, NotChanged};
use totp_store::{clock, entropy};
use zeroize::Zeroizing;

use super::Phase;
use crate::login::host::{Echo, Priority, Typed};

/// Codes that were shown, and are not valid yet.
pub(super) enum Shown {
    /// None, or none that could be made.
    Nothing,
    /// What is to take the place of all there were.
    All(Vec<CodeHash>, Expected),
    /// What is to take the place of the used one.
    Next(CodeHash),
}

/// Makes as many as are configured, and shows them.
pub(super) fn show(phase: &mut Phase<'_>) -> Shown {
    // Whatever is decided from here on, while they are noted, voids what is shown.
    let expected = match phase.store.expect(phase.mark.kept()) {
        Ok((expected, _)) => expected,
        Err(fault) => {
            phase.host.log(Priority::Error, &fault.to_string());
            return Shown::Nothing;
        }
    };
    let mut hashes = Vec::new();
    for _ in 0..phase.site.config().recovery.count() {
        let Some(code) = fresh(phase) else { return Shown::Nothing };
        let line = Zeroizing::new(format!("  {}", code.shown().as_str()));
        phase.host.tell(&line);
        hashes.push(code.hash());
    }
    Shown::All(hashes, expected)
}

/// Makes one, and asks whether it is noted; nothing where it can't be made.
pub(super) fn ask_with_next(phase: &mut Phase<'_>) -> (Shown, Option<Typed>) {
    let Some(code) = fresh(phase) else { return (Shown::Nothing, None) };
    let typed = phase.host.ask(&next_code(&code.shown()), Echo::On).ok();
    (Shown::Next(code.hash()), typed)
}

fn fresh(phase: &Phase<'_>) -> Option<OneTimeCode> {
    match entropy::secret() {
        Ok(bytes) => Some(OneTimeCode::fresh(&bytes)),
        Err(error) => {
            phase.host.log(Priority::Error, &format!("{error}; no recovery code is made"));
            None
        }
    }
}

/// Records them, then makes them valid.
pub(super) fn keep(phase: &mut Phase<'_>, shown: Shown, enrollment: Option<EnrollmentId>) -> bool {
    let (Some(enrollment), false) = (enrollment, matches!(shown, Shown::Nothing)) else {
        return false;
    };
    let why = match &shown {
        Shown::Next(_) => "the next one, in place of the used one".to_owned(),
        Shown::All(codes, _) => format!("{} at the enrollment", codes.len()),
        Shown::Nothing => return false,
    };
    let entry = phase.entry(EventKind::RecoveryCodesIssued, Some(why));
    let made = {
        let (phase, telling) = (&*phase, phase.telling());
        let say = |entry: &_, recorded: &_| telling.recorded(entry, recorded);
        let change = |_| phase.make_valid(shown, enrollment);
        phase.recorder(&say).change(&entry, clock::now(), means, change)
    };
    match made {
        Ok(_) => true,
        Err(error) => {
            let valid = matches!(error, NotMade::InPlace { .. });
            phase.host.log(Priority::Error, &error.to_string());
            valid
        }
    }
}

fn means(error: &NotChanged) -> Means {
    match error {
        NotChanged::NotDurable(_) => Means::InPlace,
        NotChanged::Meanwhile(_) | NotChanged::Fault(_) => Means::NotDone(error.to_string()),
    }
}

impl Phase<'_> {
    fn make_valid(&self, shown: Shown, enrollment: EnrollmentId) -> Result<(), NotChanged> {
        let user = self.mark.kept();
        match shown {
            Shown::Nothing => Ok(()),
            Shown::All(_, expected) if expected.enrollment() != Some(enrollment) => {
                Err(NotChanged::Meanwhile(user.clone()))
            }
            Shown::All(codes, expected) => {
                let rotating = self.site.config().recovery.mode == RecoveryMode::Rotating;
                let recovery = Recovery { rotating, issued: clock::now(), codes };
                self.store.amend(user, expected, &mut |entry| {
                    if let Entry::Enrolled(record) = entry {
                        record.recovery = Some(recovery.clone());
                    }
                })
            }
            Shown::Next(code) => {
                let handed = self.store.transact(user, &|view| hand_out(view, enrollment, code))?;
                handed.into_outcome().map_err(|why| {
                    let detail = format!("the next recovery code was not handed out: {why:?}");
                    Fault { kind: totp_core::store::FaultKind::Unavailable, detail }.into()
                })
            }
        }
    }
}
