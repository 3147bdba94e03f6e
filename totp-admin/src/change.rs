//! How every change is made: who acts and whether they may, the permanent record first, then the change, and
//! `not-done` where it then fails. Nothing is changed that is not on record (invariant 8).

mod outcome;
mod proof;

use anyhow::{Context as _, Result, bail};
use totp_core::contact::Contact;
use totp_core::event::EventKind;
use totp_core::record::{Decision, Entry as Decided};
use totp_core::state::State;
use totp_store::actor::Actor;
use totp_store::files::FileError;
use totp_store::permanent::{Details, Entry, PermanentRecord};
use totp_store::recorded::{Means, NotMade, Recorder, as_not_done};
use totp_store::store::{ByUid, Expected, NotChanged};
use totp_store::{clock, waits};

pub use self::outcome::{InPlace, Recorded, UNSAID};
pub use self::proof::Proof;

use crate::site::{Site, Whom};
use crate::ui::{Advice, printable};
use crate::{events, signals, syslog, tell, whence};

/// The longest reason, in bytes: it must fit into a record and a line of the log.
pub const LONGEST_REASON: usize = 500;

/// What the audit log is to say of a change.
#[derive(Debug)]
pub struct Event<'a> {
    pub kind: EventKind,
    /// In somebody's words.
    pub reason: Option<&'a str>,
    /// For programs.
    pub details: Details,
}

impl From<EventKind> for Event<'_> {
    fn from(kind: EventKind) -> Self {
        Self { kind, reason: None, details: Details::default() }
    }
}

impl<'a> From<(EventKind, Option<&'a str>)> for Event<'a> {
    fn from((kind, reason): (EventKind, Option<&'a str>)) -> Self {
        Self { reason, ..kind.into() }
    }
}

/// Somebody who changes something.
pub struct Administrator {
    actor: Actor,
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

    /// The address that this session came from, or nothing.
    pub fn from(&self) -> &str {
        self.actor.from.as_deref().unwrap_or_default()
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

    /// Whether `whom` is this administrator: by the account, or by what is kept under its name. A session that was left open has
    /// the uid of before where the account has another one now.
    pub fn is(&self, site: &Site, whom: &Whom) -> Result<bool> {
        let Some(person) = self.actor.person() else { return Ok(false) };
        Ok(whom.uid() == Some(person) || site.store().kept_uid(&whom.name)? == Some(person))
    }

    /// Where being switched off keeps somebody out, nobody takes that back for themselves: their open session may be
    /// the very reason for it.
    pub fn not_out_of_own_denial(
        &self,
        site: &Site,
        whom: &Whom,
        expected: Expected,
    ) -> Result<()> {
        if site.switched_off_is_denied()
            && self.is(site, whom)?
            && is_disabled(site, whom, expected)?
        {
            bail!(Advice::new(
                format!("{whom} is your own account, and kept out: disabled = \"denied\""),
                "That is for another administrator.",
            ));
        }
        Ok(())
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

    /// Records `event` about `whom`, then makes the `change`, which gets the record's number. The proof is used up by it.
    pub fn change<'e, T>(
        &self,
        site: &Site,
        whom: &Whom,
        _proof: Proof,
        event: impl Into<Event<'e>>,
        change: impl FnOnce(Recorded) -> Result<T>,
    ) -> Result<(Recorded, T)> {
        let event = event.into();
        // What logins left in the state would be gone with it. Where the user's files are at fault nothing can be
        // moved, which must not keep anybody from switching off.
        let _ = events::move_of(site, &whom.name);
        let entry = self.entry(site, whom, &event);
        let event = event.kind;
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
    pub fn amend<'e>(
        &self,
        site: &Site,
        whom: &Whom,
        proof: Proof,
        expected: Expected,
        event: impl Into<Event<'e>>,
        amend: impl Fn(&mut Decided),
    ) -> Result<(Recorded, ())> {
        self.nobody_else_was_faster(site, whom, expected)?;
        self.change(site, whom, proof, event, |recorded| {
            Ok(site.store().amend(&whom.name, expected, &mut |entry| {
                entry.decision_mut().seq = recorded.seq;
                amend(entry);
            })?)
        })
    }

    /// What a record begins with that this administrator decides now. Where there is no account, the uid for which something is
    /// kept stays: what has it is still found by it, and no account is asked less than before.
    pub fn decision(
        &self,
        site: &Site,
        whom: &Whom,
        recorded: Recorded,
        contact: Contact,
    ) -> Result<Decision> {
        let uid = match whom.uid() {
            Some(uid) => Some(uid),
            None => site.store().kept_uid(&whom.name)?,
        };
        Ok(Decision {
            user: whom.name.clone(),
            uid,
            since: site.now(),
            by: self.name(),
            seq: recorded.seq,
            contact,
        })
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

    /// Records something about `whom` that changes nothing they have. Gives the line's number.
    pub fn note<'e>(&self, site: &Site, whom: &Whom, event: impl Into<Event<'e>>) -> Result<u64> {
        let say = |_: &Entry, recorded: &totp_store::permanent::Recorded| {
            syslog::send(&recorded.syslog, site.now());
        };
        let recorder = Recorder { record: site.record(), wait: waits::CHANGE, say: &say };
        let entry = self.entry(site, whom, &event.into());
        recorder.append(&entry, site.now()).context("it could not be recorded")
    }

    fn entry(&self, site: &Site, whom: &Whom, event: &Event<'_>) -> Entry {
        Entry {
            user: Some(whom.name.as_str().to_owned()),
            actor: self.actor.clone(),
            host: totp_store::host_name(),
            reason: event.reason.map(|reason| beginning(reason, LONGEST_REASON).to_owned()),
            details: event.details.clone(),
            ..Entry::new(site.now(), event.kind)
        }
    }
}

/// Whether a user is disabled, under the own name or by a marker of the uid under another.
fn is_disabled(site: &Site, whom: &Whom, expected: Expected) -> Result<bool> {
    Ok(match (expected, whom.uid()) {
        (Expected::Disabled, _) => true,
        (Expected::Absent, Some(uid)) => {
            matches!(site.store().by_uid(&whom.name, uid)?, ByUid::Disabled(_))
        }
        _ => false,
    })
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
    fn a_long_text_is_cut_between_characters() {
        assert_eq!(beginning("aé", 2), "a");
        assert_eq!(beginning("aé", 3), "aé");
        assert_eq!(beginning("", 3), "");
    }
}
