//! `bypass-code`: a code that is good once, for some hours, for somebody whose phone is at home. Authenticators and
//! recovery codes stay.

use anyhow::Result;
use serde_json::json;
use totp_core::event::EventKind;
use totp_core::record::{Bypass, Entry};
use totp_store::store::Expected;

use crate::change::{Administrator, InPlace, state_of};
use crate::cli::BypassCode;
use crate::commands::enrolled;
use crate::opening::uncertain_or;
use crate::site::Site;
use crate::tell::Telling;
use crate::ui::Ui;
use crate::{codes, signals, times};

/// Issues.
pub fn run(ui: &Ui, site: &Site, args: &BypassCode) -> Result<()> {
    let whom = site.to_change(&args.user)?;
    let (one, _) = enrolled(site, &whom)?;
    // A state that is begun anew voids every code that the record has then.
    state_of(&one.state)?;
    let earlier = one.record.bypass.is_some_and(|bypass| site.now() < bypass.until);
    let entry = Entry::Enrolled(one.record);
    let expected = Expected::of_entry(&entry);
    let who = Administrator::here();
    let proof = who.prove_if_own(ui, site, &whom, Some(&entry))?;
    let code = codes::fresh()?;
    let until = site.now().plus(args.lasting.0);
    let bypass = Bypass { code: code.hash(), until };
    let void = if earlier { "; the earlier one is void" } else { "" };
    let reason = format!("good until {until}");
    // Ctrl-C waits until the code is out: nobody else has it.
    let hold = signals::hold();
    let event = (EventKind::BypassCodeIssued, Some(reason.as_str()));
    let change = who.amend(site, &whom, proof, expected, event, |entry| {
        if let Entry::Enrolled(record) = entry {
            record.bypass = Some(bypass);
        }
    });
    let (recorded, _, uncertain) = InPlace::or_failed(change)?;
    let keys = json!({"code": code.shown().as_str(), "until": until.to_string()});
    let said = Telling::of(ui, site, &whom, recorded).conclude(keys, || {
        let _hold = hold;
        let until = times::local(until, &times::zone());
        let signed = who.signed(recorded);
        ui.done(format_args!("A code for one login, until {until}{void}. {signed}"))?;
        ui.result(format_args!("Bypass code: {}  Not shown again.", code.shown().as_str()))
    });
    let again = format!("For another one: totp-admin bypass-code {whom}");
    uncertain_or(recorded.told(said, "the bypass code was not shown", again), uncertain, ui)?;
    ui.note(format_args!(
        "  Tell {whom}, and nobody else; it is typed in place of the verification code."
    ));
    Ok(())
}
