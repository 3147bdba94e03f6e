//! `verify`: would this code be accepted? Nothing is spent or debited.

mod once;

use anyhow::{Result, bail};
use serde_json::{Value, json};
use totp_core::answer::Answer;
use totp_core::onetime::OneTimeCode;
use totp_core::prices::codes_required;
use totp_core::store::Found;
use totp_core::time::UnixTime;
use totp_core::upkeep::{Explanation, Outlook, explain};
use zeroize::Zeroizing;

use self::once::{Fate, Known};
use crate::change::state_of;
use crate::cli::Verify;
use crate::commands::enrolled;
use crate::site::{Site, Whom};
use crate::times;
use crate::ui::{Advice, Refused, Ui};

/// Explains.
pub fn run(ui: &Ui, site: &Site, args: &Verify) -> Result<()> {
    let whom = site.known(&args.user)?;
    let inspected = site.store().inspect(&whom.name)?;
    if let Found::Pending(opening) = &inspected.found {
        let typed = typed(ui, args)?;
        let hash = OneTimeCode::read(typed.as_bytes()).map(|code| code.hash());
        let (meter, now) = ((&inspected.meter, inspected.volatile), site.now());
        let known = hash.and_then(|hash| once::of_pending(&hash, opening, meter, now));
        return say_once(ui, &whom, known, None);
    }
    let (one, meter) = enrolled(site, &whom)?;
    let state = state_of(&one.state)?;
    let typed = typed(ui, args)?;
    let now = site.now();
    let required = codes_required(site.rules(), &one.record, &meter, now);
    if let Some(code) = OneTimeCode::read(typed.as_bytes()) {
        let kept = (state, &meter, inspected.volatile);
        let known = once::of_enrolled(&code.hash(), &one.record, kept, now);
        return say_once(ui, &whom, known, Some(required));
    }
    let answer = Answer::read(typed.as_bytes());
    let found = explain(site.rules(), &one.record, state, required, &answer, now);
    let accepted = found.outlook == Outlook::Right;
    ui.document(&json!({
        "user": whom.name.as_str(),
        "accepted": accepted,
        "result": word(found.outlook),
        "kind": found.authenticator.as_ref().map(|_| "totp"),
        "authenticator": found.authenticator.as_ref().map(|name| name.as_str()),
        "ahead": found.ahead,
        "waits": waits(found.outlook),
        "codes_required": required,
    }))?;
    let said = in_words(&whom, &found, required, now);
    verdict(ui, accepted, &said)
}

fn verdict(ui: &Ui, accepted: bool, said: &str) -> Result<()> {
    if accepted {
        return ui.done(said);
    }
    ui.result(said)?;
    Err(Refused.into())
}

/// Says what would become of a code that is good once.
fn say_once(ui: &Ui, whom: &Whom, known: Option<Known>, required: Option<u8>) -> Result<()> {
    let fate = known.map(|known| known.fate);
    ui.document(&json!({
        "user": whom.name.as_str(),
        "accepted": fate == Some(Fate::Good),
        "result": match fate {
            Some(Fate::Good) => "right",
            Some(Fate::Used) => "replay",
            Some(Fate::Expired) => "expired",
            Some(Fate::InMemory) => "unavailable",
            None => "wrong",
        },
        "kind": known.map(|known| known.kind),
        "authenticator": Value::Null,
        "ahead": 0,
        "waits": 0,
        "codes_required": required,
    }))?;
    let kind = match known.map_or("", |known| known.kind) {
        "recovery-code" => "a recovery code",
        "bypass-code" => "a bypass code",
        "enrollment-code" => "the enrollment code",
        _ => "a code",
    };
    let said = match fate {
        Some(Fate::Good) => format!("Right: {kind}."),
        Some(Fate::Used) => format!("Used up or void: {kind}."),
        Some(Fate::Expired) => format!("Its time is over: {kind}."),
        Some(Fate::InMemory) => {
            format!("Not accepted while the disk with {whom}'s state can't be written: {kind}.")
        }
        None if required.is_none() => format!("Not {whom}'s enrollment code."),
        None => format!("Not a code of {whom}, or not any more."),
    };
    verdict(ui, fate == Some(Fate::Good), &said)
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
