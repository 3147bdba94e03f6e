//! `resync`: sets an authenticator whose clock is off right, with two consecutive codes (RFC 4226 section 7.4).

use anyhow::{Result, anyhow, bail};
use serde_json::json;
use totp_core::answer::Answer;
use totp_core::evaluate::{Reason, Refusal, Resynchronised, resynchronise, try_to_resynchronise};
use totp_core::event::EventKind;
use totp_core::origin::Origin;
use totp_core::time::UnixTime;
use totp_store::permanent::Details;
use zeroize::Zeroizing;

use crate::change::{Administrator, Event, Proof, UNSAID};
use crate::cli::Resync;
use crate::commands::{codes_are_no_arguments, enrolled};
use crate::evaluation::{Evaluation, another_accounts};
use crate::site::{Site, Whom};
use crate::tell::Telling;
use crate::times;
use crate::ui::{Advice, Ui};

/// As many digits are two codes at least.
const TWO_CODES: usize = 12;

/// Learns the drift.
pub fn run(ui: &Ui, site: &Site, args: &Resync) -> Result<()> {
    codes_are_no_arguments(&args.code)?;
    let whom = site.to_change(&args.user)?;
    enrolled(site, &whom)?;
    let typed: Vec<Answer> = typed(ui)?.iter().map(|line| Answer::read(line.as_bytes())).collect();
    let who = Administrator::here();
    let evaluation = Evaluation { site, whom: &whom, origin: Origin::Unknown, from: who.from() };
    let refused = |refusal: &Refusal| anyhow!(why(&whom, refusal.reason));
    let first = match evaluation.by(try_to_resynchronise, &typed, None)? {
        Ok(found) => found.first,
        Err(refusal) => {
            // Before it is said: codes are tried here as by verify, and no try leaves no trace.
            let outcome = Some(refusal.reason.as_str().to_owned());
            let details = Details { outcome, ..Details::default() };
            who.note(site, &whom, Event { details, ..EventKind::Verified.into() })?;
            return Err(refused(&refusal));
        }
    };
    let (now, proof) = (site.now(), Proof::not_needed("its two codes are the proof"));
    let (recorded, done) = who.change(site, &whom, proof, EventKind::Resynchronised, |_| {
        let done = evaluation.by(resynchronise, &typed, Some(&first))?;
        done.map_err(|refusal| refused(&refusal))
    })?;
    let keys = json!({
        "authenticator": done.authenticator.as_str(),
        "ahead": done.ahead,
        "learned": done.learned,
        "waits": done.waits,
    });
    let said = Telling::of(ui, site, &whom, recorded)
        .conclude(keys, || say(ui, &whom, &done, now, &who.signed(recorded)));
    recorded.told(said, UNSAID, format!("totp-admin show {whom} shows it."))
}

/// Two lines, or one with both codes.
fn typed(ui: &Ui) -> Result<Vec<Zeroizing<String>>> {
    let mut lines = Vec::new();
    for question in ["A code:", "The code that is shown next:"] {
        let Some(line) = ui.ask(question)? else {
            bail!(Advice::new(
                "two codes are needed",
                "Type them, or give them on standard input, one a line."
            ));
        };
        let has_both = line.bytes().filter(u8::is_ascii_digit).count() >= TWO_CODES;
        lines.push(line);
        if has_both {
            break;
        }
    }
    Ok(lines)
}

fn why(whom: &Whom, reason: Reason) -> Advice {
    if let Some(why) = another_accounts(whom, reason) {
        return Advice::new(why, format!("What to do: totp-admin show {whom}"));
    }
    match reason {
        Reason::Budget => Advice::new(
            format!(
                "so many wrong codes were entered for {whom} that two in a row are not evaluated for now"
            ),
            format!("To give the guess budget back: totp-admin unlock {whom}"),
        ),
        Reason::Unavailable => Advice::new(
            format!("the disk with {whom}'s state can't be written"),
            "Make room or repair it first.",
        ),
        Reason::NotEnrolled => Advice::new(
            format!("{whom} was changed by somebody else in the meantime"),
            "Look again (totp-admin show), and repeat it.",
        ),
        _ => Advice::new(
            format!("these are not two consecutive, unused codes of {whom} within a day"),
            "Wait for two new ones, and enter them in the order in which they are shown.",
        ),
    }
}

fn say(ui: &Ui, whom: &Whom, done: &Resynchronised, now: UnixTime, record: &str) -> Result<()> {
    let off = times::span(done.ahead.unsigned_abs());
    let side = if done.ahead > 0 { "ahead of" } else { "behind" };
    let name = &done.authenticator;
    match (done.ahead, done.learned) {
        (0, _) => ui.done(format_args!("{name}: the clocks agree. {record}")),
        (_, true) => ui.done(format_args!(
            "{name}: its clock is {off} {side} this machine's; learned. {record}"
        )),
        (_, false) => {
            ui.done(format_args!("{name}: its clock is {off} {side} this machine's. {record}"))?;
            ui.warn("That is too far to be learned: set the clock that is wrong.");
            ui.note("  Until then a login takes three codes in a row.");
            if done.waits > 0 {
                ui.note(format_args!(
                    "  Single codes are not accepted before {}, also of a clock that was set right: \
                     totp-admin enroll --replace {whom}",
                    times::when(done.waits, now, &times::zone())
                ));
            }
            Ok(())
        }
    }
}
