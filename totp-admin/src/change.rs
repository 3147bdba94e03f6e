//! How every change is made: who acts and whether they may, the permanent record first, then the change, and
//! `not-done` where it then fails. Nothing is changed that is not on record (invariant 8).

use std::fmt;

use anyhow::{Result, bail};
use totp_core::answer::Answer;
use totp_core::contact::Contact;
use totp_core::evaluate::{Attempt, By, Reason, Verdict, evaluate};
use totp_core::event::{EventKind, Place};
use totp_core::onetime::OneTimeCode;
use totp_core::origin::Origin;
use totp_core::record::{Decision, Entry as Decided, Pending};
use totp_core::search::{Codebook, Computed};
use totp_core::state::State;
use totp_core::store::Store as _;
use totp_store::actor::Actor;
use totp_store::files::FileError;
use totp_store::permanent::{Entry, PermanentRecord};
use totp_store::recorded::{Means, NotMade, Recorder, as_not_done};
use totp_store::store::{Expected, NotChanged};
use totp_store::{clock, entropy, waits};

use crate::site::{Site, Whom};
use crate::ui::{Advice, Ui, printable};
use crate::{events, signals, syslog, tell, whence};

/// The longest reason, in bytes: it must fit into a record and a line of the log.
pub const LONGEST_REASON: usize = 500;

/// What is lost where only the confirmation of a change was to be read.
pub const UNSAID: &str = "but that could not be said";

/// Somebody who changes something.
pub struct Administrator {
    actor: Actor,
}

/// A change that was made: the line of the permanent record that has it.
#[derive(Clone, Copy, Debug)]
pub struct Recorded {
    /// Its number.
    pub seq: u64,
    /// What it is called there.
    pub event: EventKind,
    /// Whether the user has, or had, an address to be told at.
    pub has_address: bool,
}

impl Recorded {
    /// What comes of the output after the change: nobody may take it for one that was not made because standard output
    /// is full or closed. `lost` is what was to be read there; `advice` is a sentence.
    pub fn told(self, said: Result<()>, lost: &str, advice: impl Into<String>) -> Result<()> {
        said.map_err(|error| {
            let what = format!("recorded as {}, and done; {lost}: {error:#}", self.seq);
            Advice::new(what, advice).into()
        })
    }
}

/// An error after which the change is in place all the same: only whether it lasts is uncertain.
#[derive(Debug)]
pub struct InPlace {
    recorded: Recorded,
    why: String,
}

impl fmt::Display for InPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "recorded as {}, and done: {}", self.recorded.seq, self.why)
    }
}

impl std::error::Error for InPlace {}

impl InPlace {
    /// Parts what failed from what is in place although it failed.
    pub fn or_failed<T>(
        result: Result<(Recorded, T)>,
    ) -> Result<(Recorded, Option<T>, Option<Self>)> {
        match result {
            Ok((recorded, made)) => Ok((recorded, Some(made), None)),
            Err(error) => {
                error.downcast::<Self>().map(|in_place| (in_place.recorded, None, Some(in_place)))
            }
        }
    }
}

impl Administrator {
    /// Who runs this command.
    pub fn here() -> Self {
        Self { actor: whence::actor() }
    }

    /// The name that records carry.
    pub fn name(&self) -> String {
        match (&self.actor.name, self.actor.uid) {
            (Some(name), _) => name.clone(),
            (None, Some(uid)) => format!("uid {uid}"),
            (None, None) => "unknown".to_owned(),
        }
    }

    /// `by alice from 198.51.100.4`.
    pub fn signature(&self) -> String {
        let from = self.actor.from.as_deref().map(|from| format!(" from {from}"));
        printable(&format!("by {}{}", self.name(), from.unwrap_or_default()))
    }

    /// `Record 7, by alice from 198.51.100.4.`, behind what was done.
    pub fn signed(&self, recorded: Recorded) -> String {
        format!("Record {}, {}.", recorded.seq, self.signature())
    }

    /// Whether `whom` is this administrator.
    pub fn is(&self, whom: &Whom) -> bool {
        self.actor.person().is_some() && self.actor.person() == whom.uid()
    }

    /// Whoever weakens their own second factor shows that they still have it; a stolen session must not get
    /// rid of it. `entry` is what is decided about them; without a usable record that is for another administrator.
    /// Codes that were sent or told to them are good for logins alone: whoever sent them may have been talked into it.
    pub fn prove_if_own(
        &self,
        ui: &Ui,
        site: &Site,
        whom: &Whom,
        entry: Option<&Decided>,
    ) -> Result<()> {
        if !self.is(whom) {
            return Ok(());
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
        match self.evaluate(site, whom, entry, Answer::read(typed))? {
            Verdict::Accepted(accepted) => match accepted.by() {
                By::Totp { .. } | By::Recovery { .. } | By::Enrollment => Ok(()),
                By::Bypass | By::Text => bail!(for_logins()),
            },
            Verdict::Refused(refusal) => bail!(Advice::new(
                format!("the code was not accepted ({}); nothing was changed", why(refusal.reason)),
                elsewhere,
            )),
        }
    }

    /// Where being switched off keeps somebody out, nobody takes that back for themselves: their open session may be
    /// the very reason for it.
    pub fn not_out_of_own_denial(
        &self,
        site: &Site,
        whom: &Whom,
        expected: Expected,
    ) -> Result<()> {
        if expected == Expected::Disabled && self.is(whom) && site.switched_off_is_denied() {
            bail!(Advice::new(
                format!("{whom} is your own account, and kept out: disabled = \"denied\""),
                "That is for another administrator.",
            ));
        }
        Ok(())
    }

    /// As at a login: the code is spent, and a wrong one is paid for from the guess budget.
    fn evaluate(
        &self,
        site: &Site,
        whom: &Whom,
        entry: Option<&Decided>,
        answer: Answer,
    ) -> Result<Verdict> {
        let now = site.now();
        let authenticators = match entry {
            Some(Decided::Enrolled(record)) => record.authenticators.as_slice(),
            _ => &[],
        };
        let computed: Vec<Computed<'_>> =
            authenticators.iter().map(|one| Computed { totp: one.kind.totp(), drift: 0 }).collect();
        let answers = [answer];
        let enrollment = entry.and_then(Decided::enrollment);
        let codebook = Codebook::compute(enrollment, &computed, &answers, site.rules(), now);
        let uid = self.actor.uid.unwrap_or_default();
        let attempt = Attempt {
            answers: &answers,
            codebook: &codebook,
            first: None,
            origin: &Origin::new(None, "", uid),
            place: &Place::new("totp-admin", self.actor.from.as_deref().unwrap_or_default()),
            now,
            entropy: [random()?, random()?],
            pretext: None,
        };
        let decided =
            site.store().transact(&whom.name, &|view| evaluate(site.rules(), view, &attempt))?;
        Ok(decided.into_outcome())
    }

    /// Questions take their time: whether what a change was prepared against is still there. The store asks once
    /// more under its lock; here it keeps a change that can't be made out of the permanent record.
    pub fn nobody_else_was_faster(
        &self,
        site: &Site,
        whom: &Whom,
        expected: Expected,
    ) -> Result<()> {
        if site.store().expect(&whom.name)?.0 == expected {
            return Ok(());
        }
        bail!(NotChanged::Meanwhile(whom.name.clone()))
    }

    /// Records `event` about `whom`, then makes the `change`, which gets the record's number.
    pub fn change<T>(
        &self,
        site: &Site,
        whom: &Whom,
        event: EventKind,
        reason: Option<&str>,
        change: impl FnOnce(Recorded) -> Result<T>,
    ) -> Result<(Recorded, T)> {
        // What logins left in the state would be gone with it. Where the user's files are at fault nothing can be
        // moved, which must not keep anybody from switching off.
        let _ = events::move_of(site, &whom.name);
        let entry = self.entry(site, whom, event, reason);
        // What is recorded is made, or recorded as not done, before Ctrl-C ends this.
        let _hold = signals::hold();
        let say = |_: &Entry, recorded: &totp_store::permanent::Recorded| {
            syslog::send(&recorded.syslog, site.now());
        };
        let wait = waits::CHANGE;
        let recorder = Recorder { record: site.record(), wait, say: &say };
        let in_record = |seq, has_address| Recorded { seq, event, has_address };
        let change = |seq| change(in_record(seq, false));
        // From before the change, when the address may be another one, until the mail about it is in the outbox.
        let (made, has_address) = tell::around(site, whom, event, seq_of, || {
            recorder.change(&entry, site.now(), means, change)
        });
        let recorded = |seq| in_record(seq, has_address);
        made.map(|(seq, made)| (recorded(seq), made)).map_err(|not_made| match not_made {
            NotMade::Unrecorded(error) => anyhow::Error::new(error).context("nothing was changed"),
            NotMade::InPlace { seq, error } => {
                InPlace { recorded: recorded(seq), why: format!("{error:#}") }.into()
            }
            NotMade::Failed { seq, undone, error } => {
                error.context(format!("recorded as {seq}, {}", as_not_done(undone)))
            }
        })
    }

    /// Records an event about `whom`, then changes what is decided within the same enrollment. The record says which line
    /// has it; since when and by whom the status is what it is stays.
    pub fn amend(
        &self,
        site: &Site,
        whom: &Whom,
        expected: Expected,
        (event, reason): (EventKind, Option<&str>),
        amend: impl Fn(&mut Decided),
    ) -> Result<(Recorded, ())> {
        self.nobody_else_was_faster(site, whom, expected)?;
        self.change(site, whom, event, reason, |recorded| {
            Ok(site.store().amend(&whom.name, expected, &mut |entry| {
                entry.decision_mut().seq = recorded.seq;
                amend(entry);
            })?)
        })
    }

    /// What a record begins with that this administrator decides now.
    pub fn decision(
        &self,
        site: &Site,
        whom: &Whom,
        recorded: Recorded,
        contact: Contact,
    ) -> Decision {
        Decision {
            user: whom.name.clone(),
            uid: whom.uid(),
            since: site.now(),
            by: self.name(),
            seq: recorded.seq,
            contact,
        }
    }

    /// Records that an installation is given an identity although it is not new, then makes the `change`. There is no user
    /// to be told. Gives the line of the record.
    pub fn adopt(
        &self,
        record: &PermanentRecord,
        reason: &str,
        change: impl FnOnce() -> Result<()>,
    ) -> Result<u64> {
        let now = clock::now();
        let entry = Entry {
            actor: self.actor.clone(),
            host: totp_store::host_name(),
            reason: Some(reason.to_owned()),
            ..Entry::new(now, EventKind::InstallationAdopted)
        };
        let _hold = signals::hold();
        let say = |_: &Entry, recorded: &totp_store::permanent::Recorded| {
            syslog::send(&recorded.syslog, now);
        };
        let recorder = Recorder { record, wait: waits::CHANGE, say: &say };
        match recorder.change(&entry, now, means, |_| change()) {
            Ok((seq, ())) => Ok(seq),
            Err(NotMade::Unrecorded(error)) => {
                Err(anyhow::Error::new(error).context("no identity was given"))
            }
            Err(NotMade::InPlace { seq, error }) => {
                Err(error.context(format!("recorded as {seq}, and done")))
            }
            Err(NotMade::Failed { seq, undone, error }) => {
                Err(error.context(format!("recorded as {seq}, {}", as_not_done(undone))))
            }
        }
    }

    fn entry(&self, site: &Site, whom: &Whom, event: EventKind, reason: Option<&str>) -> Entry {
        Entry {
            user: Some(whom.name.as_str().to_owned()),
            actor: self.actor.clone(),
            host: totp_store::host_name(),
            reason: reason.map(|reason| beginning(reason, LONGEST_REASON).to_owned()),
            ..Entry::new(site.now(), event)
        }
    }
}

/// Whether a change was made although it failed: only whether it lasts is uncertain.
fn is_in_place(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(NotChanged::NotDurable(_)))
        || error.downcast_ref::<FileError>().is_some_and(FileError::is_in_place)
}

/// The line that has a change that was made.
fn seq_of<T, E>(made: &Result<(u64, T), NotMade<E>>) -> Option<u64> {
    match made {
        Ok((seq, _)) | Err(NotMade::InPlace { seq, .. }) => Some(*seq),
        Err(_) => None,
    }
}

fn means(error: &anyhow::Error) -> Means {
    if is_in_place(error) {
        return Means::InPlace;
    }
    Means::NotDone(beginning(&format!("{error:#}"), LONGEST_REASON).to_owned())
}

fn is_bypass_code(entry: Option<&Decided>, typed: &[u8]) -> bool {
    let Some(Decided::Enrolled(record)) = entry else { return false };
    let typed = OneTimeCode::read(typed).map(|code| code.hash());
    record.bypass.is_some_and(|bypass| typed == Some(bypass.code))
}

/// 64 random bits.
pub fn random() -> Result<u64> {
    Ok(u64::from_ne_bytes(entropy::bytes::<8>()?))
}

/// Whether a state belongs to this enrollment and can be read.
pub fn state_of(state: &totp_core::store::StateRead) -> Result<&State> {
    match state {
        totp_core::store::StateRead::Good(state) => Ok(state),
        totp_core::store::StateRead::Lost { .. } => bail!(Advice::new(
            "the user's state is lost",
            "The next login begins it anew, with every code of now and every recovery code used up. To do it at once: \
             totp-admin repair USER",
        )),
    }
}

fn why(reason: Reason) -> String {
    match reason {
        Reason::Wrong => "wrong".to_owned(),
        Reason::Replay => "used or void: take the next one".to_owned(),
        Reason::Clock { seconds } => {
            format!("the clock was set back: no code is right for {seconds} s")
        }
        Reason::Budget => "after many wrong codes two or three in a row are asked for".to_owned(),
        other => other.as_str().to_owned(),
    }
}

/// As much of a text as has room in `most` bytes.
pub fn beginning(text: &str, most: usize) -> &str {
    let end = (0..=most.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    text.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_place_is_not_recorded_as_not_done() {
        let fault = || totp_core::store::Fault {
            kind: totp_core::store::FaultKind::Unavailable,
            detail: String::new(),
        };
        assert!(is_in_place(&NotChanged::NotDurable(fault()).into()));
        assert!(is_in_place(&anyhow::Error::from(NotChanged::NotDurable(fault())).context("more")));
        assert!(!is_in_place(&NotChanged::Fault(fault()).into()));
    }

    #[test]
    fn what_is_in_place_goes_on_to_be_said() {
        let recorded = Recorded { seq: 7, event: EventKind::Disabled, has_address: true };
        let (same, made, none) = InPlace::or_failed(Ok((recorded, "made"))).unwrap();
        assert!(same.seq == 7 && made == Some("made") && none.is_none());
        let in_place = || InPlace { recorded, why: "the disk".to_owned() };
        let (same, _, some) = InPlace::or_failed::<()>(Err(in_place().into())).unwrap();
        assert_eq!(
            (same.seq, some.unwrap().to_string().as_str()),
            (7, "recorded as 7, and done: the disk")
        );
        assert!(InPlace::or_failed::<()>(Err(anyhow::anyhow!("not done"))).is_err());
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        assert_eq!(beginning("aé", 2), "a");
        assert_eq!(beginning("aé", 3), "aé");
        assert_eq!(beginning("", 3), "");
    }
}
