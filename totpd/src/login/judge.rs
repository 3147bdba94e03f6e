//! Has answers evaluated: codes computed before the lock, evaluated under it, and nothing told that is not
//! committed. What is right is decided in totp-core.

use std::cell::Cell;

use totp_core::answer::Answer;
use totp_core::evaluate::{Attempt, First, Reason, Rules, Verdict, evaluate};
use totp_core::event::Place;
use totp_core::name::UserName;
use totp_core::origin::Origin;
use totp_core::search::Codebook;
use totp_core::store::{
    Change, Committed, Durability, Fault, FaultKind, Found, StateRead, Store, View,
};
use totp_core::text_message::{Limits, Message, request};
use totp_core::time::UnixTime;
use totp_store::clock::Moment;
use totp_store::{clock, entropy, limits};

/// Why an enrollment is refused that is about another account than it was before the prompt.
const ANOTHERS: Reason = Reason::Store(FaultKind::RecordRefused);

/// Against what answers are evaluated.
#[derive(Debug)]
pub(crate) enum Against {
    /// The user's own record, or its absence, with the reason it will be refused for.
    Own(Found, Option<Reason>),
    /// A decoy, whatever there is: no login is granted here, for this reason.
    Decoy(Reason),
}

impl Against {
    /// Whether an attempt waits for earlier ones on the same name. One by a program of another user's than the one it asks
    /// about does not: it must neither delay the owner's attempts, nor learn from a delay of its own that there are any.
    pub(crate) fn waits_its_turn(&self) -> bool {
        !matches!(self, Self::Decoy(Reason::Caller))
    }
}

/// By what an account has an enrollment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Claim {
    /// The account's uid, where there is one.
    pub(crate) uid: Option<u32>,
    /// Whether the enrollment is kept under the account's own name; else its uid alone makes it the account's.
    pub(crate) by_name: bool,
}

impl Claim {
    /// Whether what is found under the lock still is about this account.
    fn is_about(self, found: &Found) -> bool {
        match (found, found.enrolled_uid()) {
            (Found::Enrolled(_), None) | (Found::Absent | Found::Disabled(_), _) => self.by_name,
            (Found::Pending(_), None) => self.by_name,
            (Found::Pending(_), then) => self.by_name && then == self.uid,
            (Found::Enrolled(_), then) => then == self.uid,
        }
    }
}

/// Evaluates the answers of one login.
pub(crate) struct Judge<'a, S> {
    pub(crate) store: &'a S,
    pub(crate) rules: Rules,
    /// Under which name the enrollment is kept.
    pub(crate) user: &'a UserName,
    /// Whose it must be, under the lock as well.
    pub(crate) account: Claim,
    pub(crate) origin: Origin,
    pub(crate) place: Place,
    pub(crate) against: Against,
}

/// One evaluation, committed.
#[derive(Debug)]
pub(crate) struct Judged {
    /// What it came to.
    pub(crate) verdict: Verdict,
    /// Where it was written.
    pub(crate) durability: Durability,
    /// Whether the user's state was lost, and is begun anew by this evaluation.
    pub(crate) begun_anew: bool,
    /// A fault of the user's own files that came up only now; the verdict is a refusal then.
    pub(crate) fault: Option<Fault>,
    /// When the codes were computed. From then on, what is done depends on whose files there are.
    pub(crate) begun: Moment,
}

impl<S: Store> Judge<'_, S> {
    /// Evaluates the last of these answers; where that is to be pretended, on a decoy.
    ///
    /// # Errors
    /// Nothing could be decided or nothing committed, for any user.
    pub(crate) fn judge(
        &mut self,
        answers: &[Answer],
        first: Option<&First>,
        pretended: bool,
    ) -> Result<Judged, Fault> {
        limits::room_in_memory().map_err(|errno| Fault {
            kind: FaultKind::Unavailable,
            detail: format!(
                "{errno}: totpd has too little memory left: raise its limits (systemctl show totpd)"
            ),
        })?;
        let now = clock::now();
        let entropy = random_bits()?;
        let codebook = self.codebook(answers, now);
        let begun = Moment::now();
        let attempt = |pretext| Attempt {
            answers,
            codebook: &codebook,
            first,
            origin: &self.origin,
            place: &self.place,
            now,
            entropy,
            pretext,
        };
        let (rules, seat) = (&self.rules, self.seat());
        let pretend = |reason| {
            let attempt = attempt(Some(reason));
            self.store.pretend(&seat, &|view| evaluate(rules, view, &attempt))
        };
        let (committed, fault) = match &self.against {
            Against::Decoy(reason) => (pretend(*reason)?, None),
            Against::Own(_, pretext) if pretended => {
                (pretend(pretext.unwrap_or(Reason::Wrong))?, None)
            }
            Against::Own(_, pretext) => {
                let lost = Cell::new(false);
                let decide = |view: &View| -> Change<Verdict> {
                    lost.set(is_lost(view));
                    let another = (!self.account.is_about(&view.found)).then_some(ANOTHERS);
                    evaluate(rules, view, &attempt(pretext.or(another)))
                };
                match self.store.transact(self.user, &decide) {
                    Ok(committed) => {
                        return Ok(Judged { begun_anew: lost.get(), ..judged(committed, begun) });
                    }
                    // The same work as for all users; from now on no login is granted here.
                    Err(fault) if fault.kind.is_the_users_own() => {
                        (pretend(Reason::Store(fault.kind))?, Some(fault))
                    }
                    Err(fault) => return Err(fault),
                }
            }
        };
        if let Some(fault) = &fault {
            self.against = Against::Decoy(Reason::Store(fault.kind));
        }
        Ok(Judged { fault, ..judged(committed, begun) })
    }

    /// Asks for a text message; where `asked` is false or there is no number to send it to, does as much for nothing.
    ///
    /// # Errors
    /// Nothing could be written, for any user.
    pub(crate) fn text(
        &self,
        limits: Option<Limits>,
        asked: bool,
    ) -> Result<Option<Message>, Fault> {
        let (rules, now) = (&self.rules, clock::now());
        let entropy = entropy::secret::<16>().map_err(no_entropy)?;
        let nobody = || {
            let decide = |view: &View| request(rules, None, view, &self.origin, &entropy, now);
            self.store.pretend(&self.seat(), &decide).map(Committed::into_outcome)
        };
        match &self.against {
            Against::Own(Found::Enrolled(_), None) if asked => {
                let decide = |view: &View| {
                    let limits = limits.filter(|_| self.account.is_about(&view.found));
                    request(rules, limits, view, &self.origin, &entropy, now)
                };
                match self.store.transact(self.user, &decide) {
                    Ok(committed) => Ok(committed.into_outcome()),
                    // It comes up again with the next answer, and is logged then.
                    Err(fault) if fault.kind.is_the_users_own() => nobody(),
                    Err(fault) => Err(fault),
                }
            }
            Against::Own(..) | Against::Decoy(_) => nobody(),
        }
    }

    /// On whose files an evaluation is pretended. A program that asks about another user's account takes no lock of that user's
    /// and writes to no file of theirs: all such programs share the seat of a name that no account has.
    fn seat(&self) -> UserName {
        if self.against.waits_its_turn() {
            return self.user.clone();
        }
        UserName::new("?").unwrap_or_else(|_| self.user.clone()) // never fails
    }

    fn codebook(&self, answers: &[Answer], now: UnixTime) -> Codebook {
        let found = match &self.against {
            Against::Own(found, _) => found,
            Against::Decoy(_) => &Found::Absent,
        };
        Codebook::of(found, answers, &self.rules, now)
    }
}

fn judged(committed: Committed<Verdict>, begun: Moment) -> Judged {
    let durability = committed.durability();
    let verdict = committed.into_outcome();
    Judged { verdict, durability, begun_anew: false, fault: None, begun }
}

fn is_lost(view: &View) -> bool {
    matches!(&view.found, Found::Enrolled(e) if matches!(e.state, StateRead::Lost { .. }))
}

fn random_bits() -> Result<[u64; 2], Fault> {
    let bytes = entropy::bytes::<16>().map_err(no_entropy)?;
    let both = u128::from_ne_bytes(bytes);
    // The two halves.
    #[allow(clippy::cast_possible_truncation)]
    Ok([both as u64, (both >> 64) as u64])
}

fn no_entropy(error: impl std::fmt::Display) -> Fault {
    let detail = format!("{error}; the kernel must allow getrandom");
    Fault { kind: FaultKind::Unavailable, detail }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_enrollment_found_by_uid_alone_counts_only_while_it_has_that_uid() {
        let by = |uid, by_name| Claim { uid, by_name };
        assert!(by(Some(7), true).is_about(&Found::Absent));
        assert!(!by(Some(7), false).is_about(&Found::Absent));
    }

    #[test]
    fn an_attempt_of_a_stranger_stands_in_no_users_way() {
        assert!(!Against::Decoy(Reason::Caller).waits_its_turn());
        assert!(Against::Decoy(Reason::NoAccount).waits_its_turn());
        assert!(Against::Own(Found::Absent, Some(Reason::NotEnrolled)).waits_its_turn());
    }
}
