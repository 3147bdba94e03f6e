//! `verify`: what would a login say to this code? It is evaluated as there, paid for as there, and not spent.

use anyhow::{Result, bail};
use serde_json::json;
use totp_core::answer::{Answer, Sequence};
use totp_core::evaluate::{Accepted, Reason, Refusal, Verdict, try_to_resynchronise, verify};
use totp_core::event::EventKind;
use totp_core::name::AuthenticatorName;
use totp_core::origin::Origin;
use totp_core::prices::codes_required;
use totp_core::record::Record;
use totp_core::store::Found;
use totp_core::time::UnixTime;
use totp_store::permanent::Details;
use zeroize::Zeroizing;

use crate::change::{Administrator, Event};
use crate::cli::Verify;
use crate::commands::{codes_are_no_arguments, not_to_be_evaluated};
use crate::evaluation::{Evaluation, another_accounts};
use crate::site::{Site, Whom};
use crate::times;
use crate::ui::{Advice, Refused, Ui};

/// Evaluates, records what came of it, and says it.
pub fn run(ui: &Ui, site: &Site, args: &Verify) -> Result<()> {
    codes_are_no_arguments(&args.code)?;
    let whom = site.known(&args.user)?;
    let found = site.store().inspect(&whom.name)?.found;
    if let Some(advice) = not_to_be_evaluated(&whom, &found) {
        bail!(advice);
    }
    let answer = [Answer::read(typed(ui)?.as_bytes())];
    let who = Administrator::here();
    // No place of the user's: what is paid here leaves the share of the places that they log in from.
    let evaluation = Evaluation { site, whom: &whom, origin: Origin::Unknown, from: who.from() };
    let outcome = match evaluation.by(verify, &answer, None)? {
        Verdict::Accepted(accepted) => Outcome::Right(accepted),
        Verdict::Refused(refusal) => refused(&evaluation, &found, &answer, refusal)?,
    };
    // Before it is said: there is no verifying that leaves no trace.
    let details = Details { outcome: Some(outcome.word().to_owned()), ..Details::default() };
    let event = Event { details, ..EventKind::Verified.into() };
    let record = who.note(site, &whom, event)?;
    let required = required(site, &whom)?;
    ui.document(&json!({
        "user": whom.name.as_str(),
        "accepted": outcome.is_right(),
        "result": outcome.word(),
        "kind": outcome.kind(),
        "authenticator": outcome.authenticator().map(AuthenticatorName::as_str),
        "ahead": outcome.ahead(),
        "waits": outcome.waits(),
        "codes_required": required,
        "record": record,
    }))?;
    let said = in_words(&whom, &outcome, required.unwrap_or(1), site.now());
    if outcome.is_right() {
        ui.done(said)?;
        ui.note("  Not spent: it is good for a login until it is used or its time is over.");
        return Ok(());
    }
    ui.result(said)?;
    Err(Refused.into())
}

/// What a login would come to.
enum Outcome {
    Right(Accepted),
    /// Two codes in a row of another hour: no login takes those, a resynchronisation does.
    OtherTime {
        authenticator: AuthenticatorName,
        ahead: i64,
    },
    /// Of no length that one of the user's codes has.
    NotACode,
    Refused(Refusal),
}

/// Of a code that no login takes: whether it is two in a row of another hour. Those are paid for as a resynchronisation pays
/// for them; a single code is never looked for farther than at a login.
fn refused(
    evaluation: &Evaluation<'_>,
    found: &Found,
    answer: &[Answer],
    refusal: Refusal,
) -> Result<Outcome> {
    let Found::Enrolled(enrolled) = found else { return Ok(Outcome::Refused(refusal)) };
    let codes = codes_in(&enrolled.record, answer);
    if refusal.reason != Reason::Wrong {
        return Ok(Outcome::Refused(refusal));
    }
    if codes == 0 && !matches!(answer, [Answer::Code { .. }]) {
        return Ok(Outcome::NotACode);
    }
    if codes < 2 {
        return Ok(Outcome::Refused(refusal));
    }
    Ok(match evaluation.by(try_to_resynchronise, answer, None)? {
        Ok(found) => Outcome::OtherTime { authenticator: found.authenticator, ahead: found.ahead },
        Err(_) => Outcome::Refused(refusal),
    })
}

/// How many codes of one of the user's authenticators this has, by its length.
fn codes_in(record: &Record, answer: &[Answer]) -> usize {
    let digits = record.authenticators.iter().map(|one| one.kind.totp().digits);
    digits.map(|digits| Sequence::of(answer, digits).len()).max().unwrap_or(0)
}

impl Outcome {
    fn is_right(&self) -> bool {
        matches!(self, Self::Right(_))
    }

    /// In documents and in the audit log; for a refusal the word that logins have for it.
    fn word(&self) -> &'static str {
        match self {
            Self::Right(_) => "right",
            Self::OtherTime { .. } => "other-time",
            Self::NotACode => "not-a-code",
            Self::Refused(refusal) => refusal.reason.as_str(),
        }
    }

    fn authenticator(&self) -> Option<&AuthenticatorName> {
        match self {
            Self::Right(accepted) => accepted.authenticator(),
            Self::OtherTime { authenticator, .. } => Some(authenticator),
            Self::NotACode => None,
            Self::Refused(refusal) => refusal.authenticator.as_ref(),
        }
    }

    fn kind(&self) -> Option<&'static str> {
        match self {
            Self::Right(accepted) => Some(accepted.kind()),
            _ => self.authenticator().map(|_| "totp"),
        }
    }

    /// Seconds.
    fn ahead(&self) -> i64 {
        match self {
            Self::Right(accepted) => accepted.ahead(),
            Self::OtherTime { ahead, .. } => *ahead,
            Self::NotACode | Self::Refused(_) => 0,
        }
    }

    /// Seconds until any code of now can be accepted.
    fn waits(&self) -> u64 {
        match self {
            Self::Refused(Refusal { reason: Reason::Clock { seconds }, .. }) => *seconds,
            _ => 0,
        }
    }
}

/// How many codes a login from an unknown place needs from now on; of an open enrollment nothing.
fn required(site: &Site, whom: &Whom) -> Result<Option<u8>> {
    let inspected = site.store().inspect(&whom.name)?;
    Ok(match &inspected.found {
        Found::Enrolled(enrolled) => {
            Some(codes_required(site.rules(), &enrolled.record, &inspected.meter, site.now()))
        }
        Found::Absent | Found::Disabled(_) | Found::Pending(_) => None,
    })
}

fn typed(ui: &Ui) -> Result<Zeroizing<String>> {
    match ui.ask("Code:")? {
        Some(line) => Ok(line),
        None => {
            bail!(Advice::new("no code was entered", "Type one, or give it on standard input."))
        }
    }
}

fn in_words(whom: &Whom, outcome: &Outcome, required: u8, now: UnixTime) -> String {
    let zone = times::zone();
    let device = outcome.authenticator().map(|name| format!(" ({name})")).unwrap_or_default();
    match outcome {
        Outcome::Right(accepted) => match (accepted.kind(), accepted.ahead()) {
            ("totp", 0) => format!("Right{device}; the clocks agree."),
            ("totp", ahead) => format!("Right{device}; {}.", clocks(ahead)),
            ("recovery-code", _) => "Right: a recovery code.".to_owned(),
            ("bypass-code", _) => "Right: a bypass code.".to_owned(),
            ("enrollment-code", _) => "Right: the enrollment code.".to_owned(),
            _ => "Right: the code of a text message.".to_owned(),
        },
        Outcome::OtherTime { ahead, .. } => format!(
            "Right for {}; this machine says {}{device}. Set the clock that is wrong, or: totp-admin resync {whom}",
            times::clock(UnixTime(now.0.saturating_add_signed(*ahead)), now, &zone),
            times::clock(now, now, &zone)
        ),
        Outcome::NotACode => format!("Not a code: {whom}'s have another number of digits."),
        Outcome::Refused(refusal) => match refusal.reason {
            Reason::Wrong => format!("Not a code of {whom}, or not of now."),
            Reason::Replay => format!("Used already, or void{device}. Take the next one."),
            Reason::Expired => "Its time is over, or it was used too often.".to_owned(),
            Reason::Unavailable => format!(
                "Codes that are good once are not accepted while the disk with {whom}'s state can't be written."
            ),
            Reason::Budget => format!(
                "Not evaluated: after many wrong codes {required} in a row are asked for. Enter them in one line, or: \
                 totp-admin unlock {whom}"
            ),
            Reason::Clock { seconds } => format!(
                "Nothing is right before {}{device}: a code of a later time was accepted. Set this \
                 machine's clock if it is wrong, else: totp-admin enroll --replace {whom}",
                times::when(seconds, now, &zone)
            ),
            other => match another_accounts(whom, other) {
                Some(why) => {
                    format!("A login would be refused: {why}. What to do: totp-admin show {whom}")
                }
                None => format!("A login would be refused ({}).", other.as_str()),
            },
        },
    }
}

fn clocks(ahead: i64) -> String {
    let side = if ahead > 0 { "ahead" } else { "behind" };
    format!("the code is {} {side}", times::span(ahead.unsigned_abs()))
}
