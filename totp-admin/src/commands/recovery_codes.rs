//! `recovery-codes`: a fresh set, which voids the older one. The authenticators stay as they are.

use anyhow::{Result, bail};
use serde_json::json;
use totp_core::event::EventKind;
use totp_core::policy::RecoveryMode;
use totp_core::record::Entry;
use totp_store::store::Expected;

use crate::change::{Administrator, InPlace, UNSAID, state_of};
use crate::cli::RecoveryCodes;
use crate::codes::Issued;
use crate::commands::enrolled;
use crate::opening::uncertain_or;
use crate::signals;
use crate::site::Site;
use crate::tell::Telling;
use crate::ui::{Advice, Ui, Usage};

/// Issues.
pub fn run(ui: &Ui, site: &Site, args: &RecoveryCodes) -> Result<()> {
    let whom = site.to_change(&args.user)?;
    match (site.config().recovery.mode, args.count) {
        (RecoveryMode::Off, _) => bail!(Advice::new(
            "the configuration says [recovery] mode = \"off\": there are no recovery codes",
            "Set it to \"codes\" or \"rotating\" (totp-admin config edit); for a login now: totp-admin bypass-code.",
        )),
        (RecoveryMode::Rotating, Some(2..)) => bail!(Usage(
            "[recovery] mode = \"rotating\" has a single code: leave --count out".to_owned()
        )),
        _ => {}
    }
    let (one, _) = enrolled(site, &whom)?;
    // A state that is begun anew voids every code that the record has then.
    state_of(&one.state)?;
    let had = one.record.recovery.is_some();
    let entry = Entry::Enrolled(one.record);
    let expected = Expected::of_entry(&entry);
    let who = Administrator::here();
    let proof = who.prove_if_own(ui, site, &whom, Some(&entry))?;
    let issued = Issued::of(site, args.count.map(usize::from))?;
    let recovery = issued.recovery(site);
    // Ctrl-C waits until the codes are out: nobody else has them.
    let hold = signals::hold();
    let change = who.amend(site, &whom, proof, expected, EventKind::RecoveryCodesIssued, |entry| {
        if let Entry::Enrolled(record) = entry {
            record.recovery.clone_from(&recovery);
        }
    });
    let (recorded, _, uncertain) = InPlace::or_failed(change)?;
    let keys = json!({"recovery_codes": issued.listed()});
    let said = Telling::of(ui, site, &whom, recorded).conclude(keys, || {
        let _hold = hold;
        let void = if had { "; the earlier ones are void" } else { "" };
        let signed = who.signed(recorded);
        ui.done(format_args!("{whom} has fresh recovery codes{void}. {signed}"))?;
        issued.say(ui, &whom)
    });
    let lost = issued.lost(&whom).unwrap_or((UNSAID, String::new()));
    uncertain_or(recorded.told(said, lost.0, lost.1), uncertain, ui)
}
