//! An enrollment that is opened for the next login: its code, its end, and what is said of it. For somebody who is not
//! here (`enroll --at-login`), or who begins anew (`reset`).

use anyhow::Result;
use serde_json::json;
use totp_core::contact::Contact;
use totp_core::event::EventKind;
use totp_core::onetime::OneTimeCode;
use totp_core::record::{EnrollmentId, Pending};
use totp_core::time::{DAY, UnixTime};
use totp_store::entropy;
use totp_store::permanent::{self as record, ContactChange, Details};
use totp_store::store::Expected;

use crate::change::{
    Administrator, Event, InPlace, LONGEST_REASON, Proof, Recorded, UNSAID, beginning,
};
use crate::site::{Site, Whom};
use crate::tell::Telling;
use crate::times::{self, Seconds};
use crate::ui::Ui;
use crate::{codes, signals};

/// How long an enrollment is open where nothing is said.
const USUAL: Seconds = Seconds(7 * DAY);

/// Between why and on what terms.
const BETWEEN: &str = "; ";

/// On what terms an enrollment is open.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// No code: whoever has the first factor may enroll.
    pub trust_first_factor: bool,
    /// For how long.
    pub within: Option<Seconds>,
}

/// What is to be opened.
pub struct Opening {
    /// What there must still be.
    pub expected: Expected,
    /// How the user is told from now on.
    pub contact: Contact,
    /// What that changes.
    pub changed: Option<ContactChange>,
    /// What the permanent record calls it.
    pub event: EventKind,
    /// Why.
    pub reason: Option<String>,
    /// On what terms.
    pub terms: Terms,
    /// Whether an enrollment code is good that no longer is then.
    pub voids: bool,
}

impl Opening {
    /// On record, then on disk, then said. `done` is the first half of a sentence: `Off`.
    pub fn open(
        self,
        ui: &Ui,
        site: &Site,
        (who, proof): (&Administrator, Proof),
        whom: &Whom,
        done: &str,
    ) -> Result<Recorded> {
        let code = if self.terms.trust_first_factor { None } else { Some(codes::fresh()?) };
        let Seconds(within) = self.terms.within.unwrap_or(USUAL);
        let until = site.now().plus(within);
        let enrollment = EnrollmentId::fresh(entropy::bytes()?);
        let Self { expected, contact, changed, event, reason, voids, .. } = self;
        let reason = on_record(reason.as_deref(), code.is_some(), until);
        who.nobody_else_was_faster(site, whom, expected)?;
        // Ctrl-C waits until the code is out: nobody else has it.
        let hold = signals::hold();
        let terms = record::Terms { code: code.is_some(), until };
        let details = Details { terms: Some(terms), contact: changed, ..Details::default() };
        let event = Event { kind: event, reason: Some(&reason), details };
        let change = who.change(site, whom, proof, event, |recorded| {
            let decision = who.decision(site, whom, recorded, contact)?;
            let code = code.as_ref().map(OneTimeCode::hash);
            let pending = Pending { decision, enrollment, code, until };
            Ok(site.store().open_enrollment(pending, expected)?)
        });
        let (recorded, _, uncertain) = InPlace::or_failed(change)?;
        let keys = json!({
            "enrollment_code": code.as_ref().map(|code| code.shown().as_str().to_owned()),
            "pending_until": until.to_string(),
        });
        let said = Telling::of(ui, site, whom, recorded).conclude(keys, || {
            let _hold = hold;
            let end = times::local(until, &times::zone());
            let void = if voids { "; the earlier enrollment code is void" } else { "" };
            let signed = who.signed(recorded);
            ui.done(format_args!(
                "{done}{whom} enrolls at the next login, until {end}{void}. {signed}"
            ))?;
            match &code {
                Some(code) => ui.result(format_args!(
                    "Enrollment code: {}  Not shown again.",
                    code.shown().as_str()
                )),
                None => Ok(()),
            }
        });
        let again = format!("For another one: totp-admin reset {whom}");
        let lost = if code.is_some() { "the enrollment code was not shown" } else { UNSAID };
        let said = recorded.told(said, lost, again);
        uncertain_or(said, uncertain, ui)?;
        instructions(ui, whom, code.is_some(), within);
        Ok(recorded)
    }
}

/// What the permanent record has: why, and on what terms. Those are never what is cut off.
fn on_record(why: Option<&str>, coded: bool, until: UnixTime) -> String {
    let how = if coded { "with an enrollment code" } else { "on the first factor alone" };
    let terms = format!("{how}, until {until}");
    let Some(why) = why else { return terms };
    let room = LONGEST_REASON.saturating_sub(terms.len()).saturating_sub(BETWEEN.len());
    format!("{}{BETWEEN}{terms}", beginning(why, room))
}

/// What comes of a change that was said, or wasn't, and may not last.
pub fn uncertain_or(said: Result<()>, uncertain: Option<InPlace>, ui: &Ui) -> Result<()> {
    match (said, uncertain) {
        (said, None) => said,
        (Ok(()), Some(uncertain)) => Err(uncertain.into()),
        (Err(unsaid), Some(uncertain)) => {
            ui.warn(uncertain);
            Err(unsaid)
        }
    }
}

fn instructions(ui: &Ui, whom: &Whom, coded: bool, within: u64) {
    if coded {
        ui.note(format_args!(
            "  Tell {whom}, and nobody else: log in as usual, type it where the verification code is asked for, and \
             scan\n  the QR code that appears. It is good for three logins, until the enrollment is complete."
        ));
    } else {
        ui.warn(format_args!(
            "Whoever has {whom}'s first factor can enroll in {whom}'s place for {}.",
            times::span(within)
        ));
        ui.note(format_args!("  Tell {whom}: log in as usual, and scan the QR code that appears."));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_terms_are_on_record_however_long_the_reason_is() {
        let until = UnixTime(1_773_307_210);
        let terms = "with an enrollment code, until 2026-03-12T09:20:10Z";
        assert_eq!(on_record(None, true, until), terms);
        let alone = on_record(Some("new phone"), false, until);
        assert_eq!(alone, "new phone; on the first factor alone, until 2026-03-12T09:20:10Z");
        let long = on_record(Some(&"x".repeat(LONGEST_REASON)), true, until);
        assert!(long.len() == LONGEST_REASON && long.ends_with(terms), "{long}");
    }
}
