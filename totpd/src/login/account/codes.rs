//! Recovery codes at a login: shown first, and made valid once the user has said that they are noted. Codes whose
//! prompt was broken off are worthless.

use totp_core::dialogue::account::{Account, all_codes, next_code};
use totp_core::event::EventKind;
use totp_core::onetime::{CodeHash, OneTimeCode};
use totp_core::policy::RecoveryMode;
use totp_core::record::{EnrollmentId, Entry, Recovery};
use totp_core::store::{Fault, Store as _};
use totp_core::upkeep::hand_out;
use totp_store::recorded::{Means, NotMade};
use totp_store::store::{Expected, NotChanged};
use totp_store::{clock, entropy};

use super::Phase;
use crate::login::host::{Priority, Typed};

/// Codes that were shown, and are not valid yet.
pub(super) enum Shown {
    /// None, or none that could be made.
    Nothing,
    /// What is to take the place of all there were.
    All(Vec<CodeHash>, Expected),
    /// What is to take the place of the used one.
    Next(CodeHash),
}

/// Makes as many as are configured, and asks whether they are noted.
pub(super) fn ask_with_all(phase: &mut Phase<'_>, dialogue: &mut Account) -> Shown {
    let Some((expected, codes)) = all(phase) else { return not_made(dialogue) };
    ask(phase, dialogue, &all_codes(phase.kind_of_codes(), &codes));
    Shown::All(codes.iter().map(OneTimeCode::hash).collect(), expected)
}

fn all(phase: &Phase<'_>) -> Option<(Expected, Vec<OneTimeCode>)> {
    // Whatever is decided from here on, while they are noted, voids what is shown.
    let expected = match phase.store.expect(phase.mark.kept()) {
        Ok((expected, _)) => expected,
        Err(fault) => {
            phase.host.log(Priority::Error, &fault.to_string());
            return None;
        }
    };
    let count = phase.site.config().recovery.count();
    let codes = (0..count).map(|_| fresh(phase)).collect::<Option<_>>()?;
    Some((expected, codes))
}

/// Makes the one that takes the place of the used one, and asks whether it is noted.
pub(super) fn ask_with_next(phase: &mut Phase<'_>, dialogue: &mut Account) -> Shown {
    let Some(code) = fresh(phase) else { return not_made(dialogue) };
    ask(phase, dialogue, &next_code(&code.shown()));
    Shown::Next(code.hash())
}

fn ask(phase: &mut Phase<'_>, dialogue: &mut Account, prompt: &str) {
    let typed = phase.host.ask_with_secret(prompt).ok();
    dialogue.reply(typed.as_ref().map(Typed::as_bytes), clock::now());
}

fn not_made(dialogue: &mut Account) -> Shown {
    dialogue.kept(false);
    Shown::Nothing
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
