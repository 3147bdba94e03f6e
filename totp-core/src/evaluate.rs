//! Is this right? One pure question, asked under the user's lock, with everything it depends on as a parameter.
//!
//! The answers of a dialogue form one sequence of codes; its last one, last two and last three are looked for in
//! time, the more codes the wider ([`crate::search`]). What is found is either spent now, or debited to the guess
//! budget ([`crate::budget`]) with the chance it had.

mod enrolled;
mod look;
mod once;
mod resync;
mod verify;

use alloc::format;
use alloc::string::String;

use crate::answer::Answer;
use crate::budget::{Debit, Standing, YearlyChance};
use crate::event::{EventKind, Place, QueuedEvent};
use crate::name::AuthenticatorName;
use crate::onetime::CodeHash;
use crate::origin::Origin;
use crate::otp::Algorithm;
use crate::record::EnrollmentId;
use crate::search::Codebook;
use crate::state::{Meter, Visit};
use crate::store::{Change, Found, Opening, StateRead, View, Writes};
use crate::time::{Period, UnixTime};

use self::enrolled::of_enrolled;
pub use self::once::{left as recovery_codes_left, next_is_due};
pub use self::resync::{Resynchronised, resynchronise, try_to_resynchronise};
pub use self::verify::verify;

/// What a site decides about evaluating.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Steps either way of the drift in which one code is right: 0 to 10, usually 1.
    pub window: u64,
    /// What guessing may win in a year.
    pub chance: YearlyChance,
    /// What authenticators are usually like: what is computed for people who have none.
    pub usual: Usual,
}

impl Default for Rules {
    fn default() -> Self {
        Self { window: 1, chance: YearlyChance::DEFAULT, usual: Usual::default() }
    }
}

/// What new authenticators are like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usual {
    /// The hash under the HMAC.
    pub algorithm: Algorithm,
    /// The length of a step.
    pub period: Period,
}

impl Default for Usual {
    fn default() -> Self {
        Self { algorithm: Algorithm::default(), period: Period::DEFAULT }
    }
}

/// One evaluation of a dialogue, and everything it depends on besides the user's files.
pub struct Attempt<'a> {
    /// All answers of the dialogue so far, one or two, the one to be evaluated last.
    pub answers: &'a [Answer],
    /// Codes computed for these answers before the lock was taken.
    pub codebook: &'a Codebook,
    /// What became of the dialogue's first evaluation, where this is the second.
    pub first: Option<&'a First>,
    /// Where this login comes from, for the budget.
    pub origin: &'a Origin,
    /// Where this login comes from, for people.
    pub place: &'a Place,
    /// The time.
    pub now: UnixTime,
    /// Fresh random bits, for the ids of events.
    pub entropy: [u64; 2],
    /// Why nobody can be let in here whatever was typed, where that isn't "not enrolled".
    pub pretext: Option<Reason>,
}

/// What an evaluation comes to. `Accepted` can only be made here, and seen only once it is committed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Verdict {
    /// Right: let in.
    Accepted(Accepted),
    /// Not let in.
    Refused(Refusal),
}

/// What a dialogue's first evaluation leaves for its second.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct First {
    /// What it was debited with: given back if the second answer is accepted.
    pub debit: Debit,
    /// As [`Refusal::already_used`].
    pub already_used: Option<Visit>,
}

/// A code was right, and is spent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    by: By,
    enrollment: EnrollmentId,
    has_events: bool,
    ahead: i64,
    characters: usize,
}

impl Accepted {
    /// What was right.
    #[must_use]
    pub fn by(&self) -> &By {
        &self.by
    }

    /// Of which enrollment.
    #[must_use]
    pub fn enrollment(&self) -> EnrollmentId {
        self.enrollment
    }

    /// Whether something waits in the user's state to be moved to the permanent record, of this login or of earlier ones.
    #[must_use]
    pub fn has_events(&self) -> bool {
        self.has_events
    }

    /// Seconds by which the code's time is ahead of ours, by steps; 0 for codes that have no time.
    #[must_use]
    pub fn ahead(&self) -> i64 {
        self.ahead
    }

    /// How many characters at the end of the answer were right, spaces and hyphens left out. Meaningful for an answer
    /// that begins with a password.
    #[must_use]
    pub fn characters(&self) -> usize {
        self.characters
    }

    /// Which authenticator made it, if one did.
    #[must_use]
    pub fn authenticator(&self) -> Option<&AuthenticatorName> {
        match &self.by {
            By::Totp { authenticator, .. } => Some(authenticator),
            By::Recovery { .. } | By::Bypass | By::Text | By::Enrollment => None,
        }
    }

    /// `totp`, `recovery-code`, `bypass-code`, `text-message` or `enrollment-code`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match &self.by {
            By::Totp { .. } => "totp",
            By::Recovery { .. } => "recovery-code",
            By::Bypass => "bypass-code",
            By::Text => "text-message",
            By::Enrollment => "enrollment-code",
        }
    }
}

/// What was right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum By {
    /// Codes of a time-based authenticator.
    Totp {
        /// Which one.
        authenticator: AuthenticatorName,
        /// Its drift from now on, in steps.
        drift: i64,
        /// How many consecutive codes it took: 1 to 3.
        codes: usize,
        /// Seconds by which its clock is ahead of ours, where that is too far to be learned.
        off: Option<i64>,
    },
    /// A recovery code.
    Recovery {
        /// How many are left.
        left: usize,
        /// Whether the next one is due to be shown.
        due: bool,
    },
    /// A bypass code.
    Bypass,
    /// A code sent as a text message.
    Text,
    /// An enrollment code: it lets in to enroll, and no further.
    Enrollment,
}

/// Not let in: why, for the log, and what it cost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// For the log; the person is told nothing of it.
    pub reason: Reason,
    /// The authenticator that a reason concerns, where one can be named.
    pub authenticator: Option<AuthenticatorName>,
    /// What was debited. Given back if the dialogue's second answer is accepted.
    pub debit: Debit,
    /// Where a code was refused that the last accepted login had used: that login, if it came from another origin. If
    /// this is the owner, somebody else has seen the code.
    pub already_used: Option<Visit>,
}

impl Refusal {
    /// For this reason, at no cost.
    #[must_use]
    pub fn free(reason: Reason) -> Self {
        let debit = Debit::none(Standing::Unknown);
        Self { reason, authenticator: None, debit, already_used: None }
    }

    /// What the second evaluation needs to know.
    #[must_use]
    pub fn first(&self) -> First {
        First { debit: self.debit, already_used: self.already_used.clone() }
    }
}

/// Why somebody isn't let in; the words are the log's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// No code that is good now.
    Wrong,
    /// A code that was accepted before.
    Replay,
    /// No step of the window lies above the floor: our clock was set back.
    Clock {
        /// Until one does.
        seconds: u64,
    },
    /// One code isn't evaluated while the budget is used up, or two.
    Budget,
    /// A code whose time is over, or an enrollment that nobody completed in time.
    Expired,
    /// A code that is good once isn't evaluated while the state is in memory: a restart would forget that it is spent.
    Unavailable,
    /// Required, and not enrolled (or switched off where policy denies that).
    NotEnrolled,
    /// Not enrolled by this name, and several enrollments have the account's uid.
    SeveralEnrollments,
    /// The name service knows nobody of this name.
    NoAccount,
    /// No answer came, or an empty one.
    NoReply,
    /// The answer is the account's password, not a code, and it is not right as a code either.
    PasswordTyped,
    /// A fault of the store.
    Store(crate::store::FaultKind),
    /// The configuration can't be used.
    Config,
    /// A program that is not root asks about an account that is not its own.
    Caller,
    /// sshd names no verified public key where the PAM line requires one.
    FirstFactor,
    /// An enrollment that can't be made at this service: others may see the key.
    EnrollElsewhere,
}

impl Reason {
    /// The word of the log line `reason=`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Wrong => "wrong",
            Self::Replay => "replay",
            Self::Clock { .. } => "clock",
            Self::Budget => "budget",
            Self::Expired => "expired",
            Self::Unavailable => "unavailable",
            Self::NotEnrolled => "not-enrolled",
            Self::SeveralEnrollments => "several-enrollments",
            Self::NoAccount => "no-account",
            Self::NoReply => "no-reply",
            Self::PasswordTyped => "password-typed",
            Self::Store(kind) => kind.as_str(),
            Self::Config => "config",
            Self::Caller => "caller",
            Self::FirstFactor => "first-factor",
            Self::EnrollElsewhere => "enroll-elsewhere",
        }
    }
}

/// Evaluates the last answer of a dialogue.
///
/// For a user who isn't enrolled the same is read, computed and written, and never accepted.
pub fn evaluate(rules: &Rules, view: &View, attempt: &Attempt<'_>) -> Change<Verdict> {
    match &view.found {
        Found::Enrolled(_) if attempt.pretext.is_some() => of_nobody(rules, view, attempt),
        Found::Enrolled(enrolled) => of_enrolled(rules, view, enrolled, attempt),
        Found::Pending(opening) => of_pending(rules, view, opening, attempt),
        Found::Absent | Found::Disabled(_) => of_nobody(rules, view, attempt),
    }
}

/// The same work on a decoy, refused.
fn of_nobody(rules: &Rules, view: &View, attempt: &Attempt<'_>) -> Change<Verdict> {
    attempt.codebook.search_decoys(0, attempt.answers);
    let _ = once::search(&typed_hashes(attempt), &[]);
    refused(rules, view, attempt, attempt.pretext.unwrap_or(Reason::NotEnrolled))
}

/// An enrollment code lets in to enroll, while it is good; nothing else does.
fn of_pending(
    rules: &Rules,
    view: &View,
    opening: &Opening,
    attempt: &Attempt<'_>,
) -> Change<Verdict> {
    attempt.codebook.search_decoys(0, attempt.answers);
    let Opening { pending, state } = opening;
    let found = once::search(&typed_hashes(attempt), pending.code.as_slice());
    let state = match state {
        StateRead::Good(state) => state,
        // How often it was used is not known any more.
        StateRead::Lost { .. } => return refused(rules, view, attempt, Reason::Expired),
    };
    let mut after = state.clone().recalled(&view.meter);
    let over = attempt.now >= pending.until || after.once.opened.left() == 0;
    let reason = match (attempt.pretext, found, over) {
        (Some(reason), ..) => reason,
        (None, None, _) => Reason::Wrong,
        (None, Some(_), true) => Reason::Expired,
        (None, Some(_), false) if view.volatile.is_some() => Reason::Unavailable,
        (None, Some(right), false) => {
            after.once.opened = after.once.opened.counted_up();
            after.seq = after.seq.saturating_add(1);
            let debit = refilled(rules, view, attempt);
            let settle = Meter { repeated: Some(after.repeated()), ..debit.clone() };
            let enrollment = pending.enrollment;
            let (by, characters) = (By::Enrollment, right.characters);
            let accepted = Accepted { by, enrollment, has_events: false, ahead: 0, characters };
            let writes = Writes { debit: Some(debit), state: Some(after), settle: Some(settle) };
            return Change::new(writes, Verdict::Accepted(accepted));
        }
    };
    refused(rules, view, attempt, reason)
}

/// Refused at no cost, with what everybody's refusal writes.
fn refused(rules: &Rules, view: &View, attempt: &Attempt<'_>, reason: Reason) -> Change<Verdict> {
    let writes = Writes { debit: Some(failed(rules, view, attempt)), ..Writes::default() };
    Change::new(writes, Verdict::Refused(Refusal::free(reason)))
}

/// The meter after a try that cost nothing.
fn failed(rules: &Rules, view: &View, attempt: &Attempt<'_>) -> Meter {
    let last_failure = Some(Visit { time: attempt.now, place: attempt.place.clone() });
    Meter { last_failure, ..refilled(rules, view, attempt) }
}

/// The meter with what has come back to the budget by now.
fn refilled(rules: &Rules, view: &View, attempt: &Attempt<'_>) -> Meter {
    let spending = view.meter.spending.refilled(rules.chance, attempt.now);
    Meter { spending, ..view.meter.clone() }
}

/// The hashes of the last answer, as of codes that are good once.
fn typed_hashes(attempt: &Attempt<'_>) -> [CodeHash; 2] {
    attempt.answers.last().map_or([CodeHash::NONE; 2], Answer::hashes)
}

fn event(kind: EventKind, attempt: &Attempt<'_>, nth: usize, detail: String) -> QueuedEvent {
    // Different kinds in one login get different ids out of the same random bits.
    let bits = attempt.entropy.get(nth).copied().unwrap_or(0);
    let id = bits.rotate_left(kind as u32);
    let place = attempt.place.clone();
    QueuedEvent { id, time: attempt.now, kind, place, detail: crate::event::detail(&detail) }
}

/// When and where a code was accepted before.
fn earlier(visit: &Visit) -> String {
    let from = if visit.place.from.is_empty() { "here" } else { &visit.place.from };
    format!("accepted at {} by {} from {from}", visit.time, visit.place.service)
}
