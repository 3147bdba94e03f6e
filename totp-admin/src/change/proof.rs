//! One's own second factor is proven before it is weakened. Every change takes a [`Proof`], so that no command can forget to
//! ask for it.
//!
//! It guards against slips, and against a session that was left open. It is no guard against root, which this command's
//! caller is: root can set the login uid, and can write the files.

use anyhow::{Result, bail};
use totp_core::answer::Answer;
use totp_core::evaluate::{By, Reason, Verdict, evaluate};
use totp_core::onetime::OneTimeCode;
use totp_core::origin::Origin;
use totp_core::record::{Entry as Decided, Pending};

use super::Administrator;
use crate::evaluation::{Evaluation, another_accounts};
use crate::site::{Site, Whom};
use crate::ui::{Advice, Ui};

/// That an administrator may change a user: it is not their own account, or they have shown their second factor. Good for
/// one change.
#[derive(Debug)]
#[must_use]
pub struct Proof(());

impl Proof {
    /// No proof is needed, because of `why`: `docs/decisions/0016-what-proves-ones-own.md` has all these reasons.
    pub fn not_needed(_why: &'static str) -> Self {
        Self(())
    }
}

impl Administrator {
    /// Whoever weakens their own second factor shows that they still have it; a stolen session must not get
    /// rid of it. `entry` is what is decided about them; without a usable record that is for another administrator.
    /// Codes that were sent or told to them are good for logins alone: whoever sent them may have been talked into it.
    pub fn prove_if_own(
        &self,
        ui: &Ui,
        site: &Site,
        whom: &Whom,
        entry: Option<&Decided>,
    ) -> Result<Proof> {
        if !self.is(site, whom)? {
            return Ok(Proof(()));
        }
        let elsewhere = "Another administrator can do it.";
        let what = match entry {
            Some(Decided::Enrolled(_)) => "a current code or a recovery code",
            Some(Decided::Pending(Pending { code: Some(_), .. })) => "the enrollment code",
            _ => bail!(Advice::new(
                format!("{whom} is your own account, and has no second factor to prove"),
                elsewhere
            )),
        };
        ui.note(format_args!("{whom} is your own account: this needs {what}."));
        let Some(typed) = ui.ask("Your code now:")? else {
            bail!(Advice::new("no code was entered; nothing was changed", elsewhere));
        };
        let for_logins = || {
            let refusal = "that code is good for a login alone; nothing was changed";
            Advice::new(refusal, format!("It takes {what}. {elsewhere}"))
        };
        let typed = typed.as_bytes();
        if is_bypass_code(entry, typed) {
            bail!(for_logins()); // not spent: it is good for a login still
        }
        // As at a login: the code is spent, and a wrong one is paid for from the guess budget.
        let uid = self.actor.uid.unwrap_or_default();
        let evaluation =
            Evaluation { site, whom, origin: Origin::new(None, "", uid), from: self.from() };
        match evaluation.by(evaluate, &[Answer::read(typed)], None)? {
            Verdict::Accepted(accepted) => match accepted.by() {
                By::Totp { .. } | By::Recovery { .. } | By::Enrollment => Ok(Proof(())),
                By::Bypass | By::Text => bail!(for_logins()),
            },
            Verdict::Refused(refusal) => bail!(Advice::new(
                format!(
                    "the code was not accepted ({}); nothing was changed",
                    why(whom, refusal.reason)
                ),
                elsewhere,
            )),
        }
    }
}

fn is_bypass_code(entry: Option<&Decided>, typed: &[u8]) -> bool {
    let Some(Decided::Enrolled(record)) = entry else { return false };
    let typed = OneTimeCode::read(typed).map(|code| code.hash());
    record.bypass.is_some_and(|bypass| typed == Some(bypass.code))
}

fn why(whom: &Whom, reason: Reason) -> String {
    match reason {
        Reason::Wrong => "wrong".to_owned(),
        Reason::Replay => "used or void: take the next one".to_owned(),
        Reason::Clock { seconds } => {
            format!("the clock was set back: no code is right for {seconds} s")
        }
        Reason::Budget => "after many wrong codes two or three in a row are asked for".to_owned(),
        other => another_accounts(whom, other).unwrap_or_else(|| other.as_str().to_owned()),
    }
}
