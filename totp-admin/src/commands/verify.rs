//! `verify`: would this code be accepted? Nothing is spent or debited.

use anyhow::{Result, bail};
use serde_json::json;
use totp_core::answer::Answer;
use totp_core::prices::codes_required;
use totp_core::time::UnixTime;
use totp_core::upkeep::{Explanation, Outlook, explain};
use zeroize::Zeroizing;

use crate::change::state_of;
use crate::cli::Verify;
use crate::commands::enrolled;
use crate::site::{Site, Whom};
use crate::times;
use crate::ui::{Advice, Refused, Ui};

/// Explains.
pub fn run(ui: &Ui, site: &Site, args: &Verify) -> Result<()> {
    let whom = site.known(&args.user)?;
    let (one, meter) = enrolled(site, &whom)?;
    let state = state_of(&one.state)?;
    let typed = typed(ui, args)?;
    let now = site.now();
    let required = codes_required(site.rules(), &one.record, &meter, now);
    let answer = Answer::read(typed.as_bytes());
    let found = explain(site.rules(), &one.record, state, required, &answer, now);
    let accepted = found.outlook == Outlook::Right;
    ui.document(&json!({
        "user": whom.name.as_str(),
        "accepted": accepted,
        "result": word(found.outlook),
        "authenticator": found.authenticator.as_ref().map(|name| name.as_str()),
        "ahead": found.ahead,
        "waits": waits(found.outlook),
        "codes_required": required,
    }))?;
    let said = in_words(&whom, &found, required, now);
    if accepted {
        return ui.done(said);
    }
    ui.result(said)?;
    Err(Refused.into())
}

fn typed(ui: &Ui, args: &Verify) -> Result<Zeroizing<String>> {
    if !args.code.is_empty() {
        return Ok(Zeroizing::new(args.code.join(" ")));
    }
    match ui.ask("Code:")? {
        Some(line) => Ok(line),
        None => bail!(Advice::new("no code was entered", "Type one, or name it behind the user.")),
    }
}

fn word(outlook: Outlook) -> &'static str {
    match outlook {
        Outlook::Right => "right",
        Outlook::MoreCodes => "more-codes",
        Outlook::Replay => "replay",
        Outlook::Clock { .. } => "clock",
        Outlook::OtherTime => "other-time",
        Outlook::Wrong => "wrong",
        Outlook::NotACode => "not-a-code",
    }
}

/// Seconds until any code of now can be accepted.
fn waits(outlook: Outlook) -> u64 {
    match outlook {
        Outlook::Clock { seconds } => seconds,
        _ => 0,
    }
}

fn in_words(whom: &Whom, found: &Explanation, required: u8, now: UnixTime) -> String {
    let device = found.authenticator.as_ref().map(|name| format!(" ({name})")).unwrap_or_default();
    let zone = times::zone();
    let at = UnixTime(now.0.saturating_add_signed(found.ahead));
    match found.outlook {
        Outlook::Right if found.ahead == 0 => format!("Right{device}; the clocks agree."),
        Outlook::Right => format!("Right{device}; {}.", clocks(found.ahead)),
        Outlook::MoreCodes => {
            format!(
                "Right{device}, but {required} codes in a row are asked for: totp-admin unlock {whom}"
            )
        }
        Outlook::Replay => {
            format!("Used already, or older than one that was{device}. Wait for the next.")
        }
        Outlook::Clock { seconds } => format!(
            "Nothing is right before {}{device}: a code of a later time was accepted. Set this \
             machine's clock if it is wrong, else: totp-admin enroll --replace {whom}",
            times::when(seconds, now, &zone)
        ),
        Outlook::OtherTime => format!(
            "Right for {}; this machine says {}{device}. Set the clock that is wrong.",
            times::clock(at, now, &zone),
            times::clock(now, now, &zone)
        ),
        Outlook::Wrong => format!("Not a code of {whom} within a day of now."),
        Outlook::NotACode => format!("Not a code: {whom}'s have another number of digits."),
    }
}

fn clocks(ahead: i64) -> String {
    let side = if ahead > 0 { "ahead" } else { "behind" };
    format!("the code is {} {side}", times::span(ahead.unsigned_abs()))
}
