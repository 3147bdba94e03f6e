//! The outbox of an installation at work: what is new in the permanent record is enqueued, what is due is delivered, and
//! what came of it is recorded.
//!
//! The order of a delivery, so that nothing is lost or sent twice whenever this process ends: the try and the time of the
//! next one are written down; the message is handed over; that it was is written down; once for all in it, the permanent
//! record gets it; the entry is removed. Only between handing over and writing that down can an end of the process
//! cause a repetition, which has the same message id.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use sha2::{Digest as _, Sha256};
use thiserror::Error;
use totp_core::contact::{Contact, Email};
use totp_core::event::EventKind;
use totp_core::name::UserName;
use totp_core::policy::Config;
use totp_core::time::{DAY, UnixTime};
use totp_core::visible::one_line;
use totp_store::files::Owner;
use totp_store::installation::Installation;
use totp_store::outbox::{
    About, Audience, ClaimedMail, ClaimedMessage, Hold, Mail, Outbox, OutboxError, Recipient,
    audience, recipients,
};
use totp_store::permanent::{ContactChange, Entry, PermanentRecord, RecordError};
use totp_store::store::FileStore;
use totp_store::{Wait, clock, waits};

use crate::events::{self, NotMoved};
use crate::render::Text;
use crate::transport::{NotSent, send};
use crate::{contacts, mail, render, sms, syslog};

/// The first pause after a failed try, in seconds; each following one is twice as long.
const FIRST_PAUSE: u64 = 60;

/// The longest pause, in seconds.
const LONGEST_PAUSE: u64 = 4 * 3600;

/// Seconds for which the agent leaves mail to the command that caused it.
const GRACE: u64 = 10;

/// How often a text message is tried, whatever comes of it.
pub const TEXT_TRIES: u64 = 5;

/// The longest reason in a record, in characters.
const LONGEST_REASON: usize = 400;

/// An installation, and this program's name in syslog.
#[derive(Debug)]
pub struct Post {
    config: Config,
    store: FileStore,
    record: PermanentRecord,
    outbox: Outbox,
    owner: Owner,
    program: &'static str,
    /// Who has been told, and could not be written down: the mail's hash, and the address.
    unwritten: Mutex<BTreeSet<(String, String)>>,
}

/// What keeps the post from working.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum PostError {
    /// The outbox.
    #[error(transparent)]
    Outbox(#[from] OutboxError),
    /// The permanent record.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// Events in users' states.
    #[error(transparent)]
    Events(#[from] NotMoved),
}

/// Whether a delivery is tried before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Only once its pause is over.
    Due,
    /// Now.
    Now,
}

/// What came of a try to deliver mail.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The line of the permanent record that it is about.
    pub seq: u64,
    /// Who has been told by this try.
    pub served: Vec<Email>,
    /// Who has not, and why.
    pub failed: Vec<(Email, String)>,
    /// When it is tried again; `None` when nothing is left to do.
    pub next: Option<UnixTime>,
    /// Nobody could be reached: other mail would fare no better just now.
    pub down: bool,
    /// What an administrator should know besides: a template that can't be used.
    pub remarks: Vec<String>,
    /// Whether a log that is not to be flooded should have it: the first try, and one a day.
    pub noteworthy: bool,
}

/// What came of a try to send a text message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Texted {
    /// It is gone, or somebody else sends it.
    NotOurs,
    /// It was handed over.
    Sent,
    /// It was not, and is to be tried again.
    Failed(String),
    /// It was not, for the last time, and was thrown away.
    GivenUp(String),
    /// Its time is over, and it was thrown away.
    Expired,
}

impl Post {
    /// Opens the outbox of an installation.
    ///
    /// # Errors
    /// Where a directory is missing or can't be trusted, or is not this installation's.
    pub fn open(installation: &Installation, program: &'static str) -> Result<Self, OutboxError> {
        Ok(Self {
            store: installation.store(),
            record: installation.audit_log(),
            outbox: installation.outbox()?,
            config: installation.config().clone(),
            owner: installation.owner(),
            program,
            unwritten: Mutex::default(),
        })
    }

    /// The settings.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The outbox.
    #[must_use]
    pub fn outbox(&self) -> &Outbox {
        &self.outbox
    }

    /// The permanent record.
    #[must_use]
    pub fn record(&self) -> &PermanentRecord {
        &self.record
    }

    /// Moves what logins left in users' states to the permanent record.
    ///
    /// # Errors
    /// What keeps it from being moved.
    pub fn move_events(&self) -> Result<(), PostError> {
        Ok(events::move_all(&self.store, &self.record, self.program)?)
    }

    /// How a user is told, as far as that can be read.
    #[must_use]
    pub fn contact(&self, user: &UserName) -> Contact {
        contact(&self.store, user)
    }

    /// Keeps others from enqueuing, for up to `wait`: from before a change is recorded until its mail is enqueued. Then
    /// nobody enqueues it without the addresses of before.
    ///
    /// # Errors
    /// As [`Outbox::hold`].
    pub fn hold(&self, wait: Wait) -> Result<Hold<'_>, PostError> {
        Ok(self.outbox.hold(&self.record, wait)?)
    }

    /// Enqueues what is new in the permanent record. Gives what an administrator should know besides: notices that could
    /// not be added.
    ///
    /// # Errors
    /// What can't be read or written, and where somebody else holds the outbox for more than some seconds.
    pub fn enqueue(&self) -> Result<Vec<String>, PostError> {
        let hold = self.hold(waits::MAIL_OF_A_CHANGE)?;
        self.enqueue_with(&hold, None)
    }

    /// The same under a lock that is held already, for a command that delivers itself. `known`: how the user in this line of
    /// the record could be told before it.
    ///
    /// # Errors
    /// What can't be read or written.
    pub fn enqueue_with(
        &self,
        hold: &Hold<'_>,
        known: Option<(u64, Contact)>,
    ) -> Result<Vec<String>, PostError> {
        let to = |about: &About| {
            let before = known.iter().filter(|(seq, _)| *seq == about.seq);
            let mut all: Vec<Contact> = before.map(|(_, contact)| contact.clone()).collect();
            // Where who knew it from before was ended in between, the line itself does.
            all.extend(about.details.contact.iter().flat_map(ContactChange::addresses));
            all.extend(UserName::new(&about.user).map(|user| self.contact(&user)));
            recipients(&self.config.mail, about.event, &about.user, &all)
        };
        let now = clock::now();
        let due = if known.is_some() { now.plus(GRACE) } else { now };
        Ok(hold.enqueue_new(&self.record, due, &to)?)
    }

    /// Tries to deliver a mail. `None`: it is gone, is not due yet, or somebody else delivers it.
    ///
    /// # Errors
    /// Where it can't be read, or what came of it can't be written down.
    pub fn deliver(&self, name: &str, when: When) -> Result<Option<Report>, PostError> {
        let Some(mut claimed) = self.outbox.claim_mail(name)? else { return Ok(None) };
        let now = clock::now();
        let mut report = Report { seq: claimed.mail.about.seq, ..Report::default() };
        self.remember_served(&mut claimed);
        if !claimed.mail.is_done() {
            if when == When::Due && now < claimed.mail.next {
                return Ok(None);
            }
            report.noteworthy = is_noteworthy(&claimed.mail, now);
            claimed.mail.tries = claimed.mail.tries.saturating_add(1);
            claimed.mail.next = now.plus(pause(claimed.mail.tries));
            // Where this can't be written, nothing is sent: or the same would be sent at every look.
            claimed.save()?;
            self.hand_over(&mut claimed, &mut report, now)?;
        }
        if claimed.mail.is_done() {
            self.finish(claimed)?;
        } else {
            report.next = Some(claimed.mail.next);
            self.note_failure(&mut claimed, &report, now)?;
        }
        Ok(Some(report))
    }

    /// Whom this process has told although the file doesn't say so: they are not told again.
    fn remember_served(&self, claimed: &mut ClaimedMail<'_>) {
        let unwritten = self.unwritten();
        let mail = &mut claimed.mail;
        for one in mail.to.iter_mut().filter(|one| !one.served) {
            one.served = unwritten.contains(&(mail.hash.clone(), one.address.to_string()));
        }
        if mail.is_done() && mail.delivered.is_none() {
            mail.delivered = Some(clock::now());
        }
    }

    fn unwritten(&self) -> MutexGuard<'_, BTreeSet<(String, String)>> {
        self.unwritten.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hand_over(
        &self,
        claimed: &mut ClaimedMail<'_>,
        report: &mut Report,
        now: UnixTime,
    ) -> Result<(), PostError> {
        let keys = &self.config.mail;
        let (text, remark) = render::text(keys, &claimed.mail.about, self.owner);
        report.remarks.extend(remark);
        for at in 0..claimed.mail.to.len() {
            let Some(one) = claimed.mail.to.get(at).filter(|one| !one.served) else { continue };
            let to = one.address.clone();
            let sent = if report.down {
                let before = report.failed.last().map(|(_, why)| why.clone());
                Err(NotSent::Down(before.unwrap_or_default()))
            } else {
                self.send(&claimed.mail, &self.addressed(&text, &claimed.mail, &to), &to, now)
            };
            match sent {
                Ok(()) => {
                    if let Some(one) = claimed.mail.to.get_mut(at) {
                        one.served = true;
                    }
                    if claimed.mail.is_done() {
                        claimed.mail.delivered = Some(clock::now());
                    }
                    self.unwritten().insert((claimed.mail.hash.clone(), to.to_string()));
                    claimed.save()?;
                    self.unwritten().remove(&(claimed.mail.hash.clone(), to.to_string()));
                    report.served.push(to);
                }
                Err(error) => {
                    report.down |= matches!(error, NotSent::Down(_));
                    report.failed.push((to, error.to_string()));
                }
            }
        }
        Ok(())
    }

    /// A copy says whether whom it is about was told: who gets it may be the only one who can do something.
    fn addressed(&self, text: &Text, mail: &Mail, to: &Email) -> Text {
        let copies = &self.config.mail.copy_to;
        let users_own = |one: &&Recipient| !copies.contains(&one.address);
        let users: Vec<&Recipient> = mail.to.iter().filter(users_own).collect();
        let told: Vec<&str> =
            users.iter().filter(|one| one.served).map(|one| one.address.as_str()).collect();
        let all: Vec<&str> = users.iter().map(|one| one.address.as_str()).collect();
        let line = if !copies.contains(to) || audience(mail.about.event) != Audience::User {
            return text.clone();
        } else if !told.is_empty() {
            format!("Copy: this was sent to {}.", told.join(", "))
        } else if !all.is_empty() {
            format!("Copy: this could not be delivered to {} so far.", all.join(", "))
        } else if self.is_address_of(&mail.about.user, to) {
            return text.clone();
        } else {
            format!("Copy: {} has no address.", one_line(&mail.about.user))
        };
        Text { subject: text.subject.clone(), body: format!("{line}\n\n{}", text.body) }
    }

    fn is_address_of(&self, user: &str, address: &Email) -> bool {
        let known = UserName::new(user).ok().and_then(|user| self.contact(&user).email);
        let usual = || self.config.mail.default_to.as_ref()?.address_of(user);
        known.or_else(usual).as_ref() == Some(address)
    }

    fn send(&self, mail: &Mail, text: &Text, to: &Email, now: UnixTime) -> Result<(), NotSent> {
        let keys = &self.config.mail;
        let refused = |what: String| NotSent::Refused(what);
        let from = mail::sender(keys).ok_or_else(|| refused("set from in [mail]".to_owned()))?;
        let message = mail::compose(mail, text, &from, to, now);
        let message = message.map_err(|error| refused(error.to_string()))?;
        send(keys, &message, self.owner)
    }

    /// Everybody has been told: on record, and gone.
    fn finish(&self, claimed: ClaimedMail<'_>) -> Result<(), PostError> {
        let mail = &claimed.mail;
        let to: Vec<&str> = mail.to.iter().map(|one| one.address.as_str()).collect();
        let time = mail.delivered.unwrap_or_else(clock::now);
        self.came_of(mail, EventKind::Delivered, time, &format!("to {}", to.join(", ")))?;
        let hash = mail.hash.clone();
        claimed.finish()?;
        self.unwritten().retain(|(of, _)| *of != hash);
        Ok(())
    }

    /// It is told at each try, and on record once.
    fn note_failure(
        &self,
        claimed: &mut ClaimedMail<'_>,
        report: &Report,
        now: UnixTime,
    ) -> Result<(), PostError> {
        let all: Vec<String> =
            report.failed.iter().map(|(to, why)| format!("{to}: {why}")).collect();
        let error: String = all.join("; ").chars().take(LONGEST_REASON).collect();
        if claimed.mail.undelivered.is_none() {
            self.came_of(&claimed.mail, EventKind::Undelivered, now, &format!("to {error}"))?;
            claimed.mail.undelivered = Some(now);
        }
        claimed.mail.error = Some(error);
        Ok(claimed.save()?)
    }

    /// Records what came of a mail: once, however often it is tried.
    fn came_of(
        &self,
        mail: &Mail,
        event: EventKind,
        time: UnixTime,
        reason: &str,
    ) -> Result<(), PostError> {
        let entry = Entry {
            user: Some(mail.about.user.clone()),
            host: totp_store::host_name(),
            reason: Some(reason.chars().take(LONGEST_REASON).collect()),
            of: Some(mail.about.seq),
            id: Some(id(mail, event)),
            ..Entry::new(time, event)
        };
        let now = clock::now();
        for (_, recorded) in self.record.append_once(&[entry], now, waits::CHANGE)? {
            syslog::send(self.program, &recorded.syslog, now);
        }
        Ok(())
    }

    /// Tries to send a text message: [`TEXT_TRIES`] times at most. Sent at most once: that a try begins is written down
    /// before it, and that it failed after it; where the one is there without the other the message may be on its way.
    ///
    /// # Errors
    /// Where it can't be read, written or removed.
    pub fn text(&self, name: &str) -> Result<Texted, PostError> {
        let Some(mut claimed) = self.outbox.claim_message(name)? else {
            return Ok(Texted::NotOurs);
        };
        let message = &mut claimed.message;
        if message.begun != message.failed {
            let why = "it is not known whether it was sent".to_owned();
            return self.give_up(claimed, why).map(Texted::GivenUp);
        }
        if clock::now() >= message.until {
            return self.give_up(claimed, "its time was over".to_owned()).map(|_| Texted::Expired);
        }
        message.begun = message.begun.saturating_add(1);
        // Where this can't be written, nothing is sent.
        claimed.save()?;
        let why = match sms::send(&self.config.sms, &claimed.message) {
            Ok(()) => {
                let (user, what) = described(&claimed);
                // Gone first: what stays is never sent again, and would be on record as unknown.
                claimed.finish()?;
                self.came_of_text(&user, EventKind::Delivered, &what);
                return Ok(Texted::Sent);
            }
            Err(sms::NotSent::Unknown(why)) => {
                let why = format!("it is not known whether it was sent: {why}");
                return self.give_up(claimed, why).map(Texted::GivenUp);
            }
            Err(sms::NotSent::No(why)) => why,
        };
        if claimed.message.begun >= TEXT_TRIES {
            return self.give_up(claimed, why).map(Texted::GivenUp);
        }
        claimed.message.failed = claimed.message.begun;
        claimed.save()?;
        Ok(Texted::Failed(why))
    }

    /// Throws it away, and records why. Gives that back.
    fn give_up(&self, claimed: ClaimedMessage<'_>, why: String) -> Result<String, PostError> {
        let (user, what) = described(&claimed);
        claimed.finish()?;
        self.came_of_text(&user, EventKind::Undelivered, &format!("{what}: {why}"));
        Ok(why)
    }

    /// The message is gone either way; that the record can't be written is told by whatever comes next.
    fn came_of_text(&self, user: &str, event: EventKind, reason: &str) {
        let now = clock::now();
        let entry = Entry {
            user: Some(user.to_owned()),
            host: totp_store::host_name(),
            reason: Some(reason.chars().take(LONGEST_REASON).collect()),
            ..Entry::new(now, event)
        };
        if let Ok(recorded) = self.record.append(&entry, now, waits::CHANGE) {
            syslog::send(self.program, &recorded.syslog, now);
        }
    }
}

/// Whose message it is, and what it is, for the record.
fn described(claimed: &ClaimedMessage<'_>) -> (String, String) {
    let message = &claimed.message;
    (message.user.clone(), format!("text message to {}", contacts::masked(&message.phone)))
}

/// How a user is told, as far as that can be read.
#[must_use]
pub fn contact(store: &FileStore, user: &UserName) -> Contact {
    let entry = store.expect(user).ok().and_then(|(_, entry)| entry);
    entry.map(|entry| entry.decision().contact.clone()).unwrap_or_default()
}

/// The pause after so many tries, in seconds: 1 minute, 2, 4, up to 4 hours.
fn pause(tries: u64) -> u64 {
    let doublings = u32::try_from(tries.saturating_sub(1)).unwrap_or(u32::MAX).min(16);
    FIRST_PAUSE.saturating_mul(1 << doublings).min(LONGEST_PAUSE)
}

/// The first try, and the first one of each day after it.
fn is_noteworthy(mail: &Mail, now: UnixTime) -> bool {
    let Some(since) = mail.undelivered else { return true };
    let before = mail.next.minus(pause(mail.tries));
    let day = |time: UnixTime| time.since(since).checked_div(DAY);
    day(now) != day(before)
}

fn id(mail: &Mail, event: EventKind) -> u64 {
    let digest = Sha256::digest(format!("{event} {} {}", mail.about.seq, mail.hash));
    digest.iter().take(8).fold(0, |id, byte| (id << 8) | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::tests::about;

    #[test]
    fn pauses_grow_from_a_minute_to_four_hours() {
        let pauses: Vec<u64> = (1..=10).map(|tries| pause(tries) / 60).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 64, 128, 240, 240]);
        assert_eq!(pause(u64::MAX), LONGEST_PAUSE);
    }

    #[test]
    fn a_failure_is_told_at_first_and_once_a_day() {
        let mut mail =
            Mail::new(about(EventKind::Disabled), "ab".to_owned(), Vec::new(), UnixTime(0));
        assert!(is_noteworthy(&mail, UnixTime(0)));
        mail.undelivered = Some(UnixTime(0));
        let mut told = 0;
        let mut now = UnixTime(0);
        while now < UnixTime(10 * DAY) {
            mail.tries += 1;
            mail.next = now.plus(pause(mail.tries));
            now = mail.next;
            told += u32::from(is_noteworthy(&mail, now));
        }
        assert_eq!(told, 10);
    }

    #[test]
    fn an_outcome_is_the_same_one_each_time_it_is_recorded() {
        let mail = Mail::new(about(EventKind::Disabled), "ab".to_owned(), Vec::new(), UnixTime(0));
        let other = Mail { hash: "ac".to_owned(), ..mail.clone() };
        assert_eq!(id(&mail, EventKind::Delivered), id(&mail, EventKind::Delivered));
        assert_ne!(id(&mail, EventKind::Delivered), id(&mail, EventKind::Undelivered));
        assert_ne!(id(&mail, EventKind::Delivered), id(&other, EventKind::Delivered));
    }
}
