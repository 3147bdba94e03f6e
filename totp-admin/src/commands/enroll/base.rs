//! What an enrollment is built on: what the user has before, whether it may be added to or replaced, and how the
//! new authenticator takes its place.

use anyhow::{Result, bail};
use totp_core::contact::Contact;
use totp_core::event::EventKind;
use totp_core::name::AuthenticatorName;
use totp_core::otp::Totp;
use totp_core::record::{Authenticator, EnrollmentId, Entry, MOST_AUTHENTICATORS, Pending, Record};
use totp_core::state::TotpSpent;
use totp_core::succession::{Instead, Successor};
use totp_store::entropy;
use totp_store::permanent::Details;
use totp_store::store::Expected;

use crate::change::{Administrator, Event, Proof, Recorded};
use crate::cli::Enroll;
use crate::codes::Issued;
use crate::contacts;
use crate::site::{Site, Whom};
use crate::ui::Advice;

/// What the enrollment is built on.
pub struct Base {
    /// What there must still be when it is installed.
    pub expected: Expected,
    entry: Option<Entry>,
    /// What stays beside the new authenticator.
    pub kept: Vec<Authenticator>,
    /// How the user is told from now on.
    contact: Contact,
    /// Whether somebody who has a second factor gets another one.
    pub weakens: bool,
}

impl Base {
    /// `None` where the user is enrolled and that is enough.
    pub fn of(
        site: &Site,
        whom: &Whom,
        args: &Enroll,
        name: &AuthenticatorName,
    ) -> Result<Option<Self>> {
        let (expected, entry) = site.store().expect(&whom.name)?;
        let mut kept = Vec::new();
        // An enrollment code is the second factor of who has none yet.
        let coded = matches!(&entry, Some(Entry::Pending(Pending { code: Some(_), .. })));
        let weakens = coded || matches!(expected, Expected::Enrolled(_) | Expected::Unusable);
        let contact = contact(entry.as_ref(), args);
        match &entry {
            Some(Entry::Enrolled(record))
                if whom.took_the_name_over(&record.decision) && !args.replace =>
            {
                return Err(for_another_uid(whom).into());
            }
            Some(Entry::Enrolled(_)) if args.if_missing => return Ok(None),
            Some(Entry::Enrolled(record)) if args.add => {
                can_be_added(whom, record, name)?;
                kept = record.authenticators.iter().map(Authenticator::duplicate).collect();
            }
            Some(Entry::Enrolled(record)) if !args.replace => {
                return Err(enrolled_already(whom, record));
            }
            None if expected == Expected::Unusable && !args.replace => {
                return Err(unusable(site, whom));
            }
            _ => {}
        }
        Ok(Some(Self { expected, entry, kept, contact, weakens }))
    }

    /// What is decided, where it can be used.
    pub fn entry(&self) -> Option<&Entry> {
        self.entry.as_ref()
    }

    /// The command for where the one with the phone is not here; none adds an authenticator.
    pub fn elsewhere(&self, whom: &Whom) -> Option<String> {
        match self.expected {
            _ if !self.kept.is_empty() => None,
            Expected::Enrolled(_) | Expected::Unusable => Some(format!("totp-admin reset {whom}")),
            Expected::Absent | Expected::Disabled | Expected::Pending(_) => {
                Some(format!("{} --at-login", whom.enroll_command()))
            }
        }
    }

    /// What they have, where it can be used.
    fn enrolled(&self) -> Option<&Record> {
        match &self.entry {
            Some(Entry::Enrolled(record)) => Some(record),
            _ => None,
        }
    }

    /// Whether the user may have logged in with this secret before.
    pub fn may_have_used(&self, totp: &Totp) -> bool {
        match &self.entry {
            Some(Entry::Enrolled(record)) => {
                record.authenticators.iter().any(|one| one.kind.totp().secret.same_as(&totp.secret))
            }
            Some(Entry::Disabled(_) | Entry::Pending(_)) => true,
            None => self.expected != Expected::Absent,
        }
    }

    /// One code would be good twice.
    pub fn refuse_same_secret(&self, totp: &Totp, args: &Enroll) -> Result<()> {
        let same = |one: &&Authenticator| one.kind.totp().secret.same_as(&totp.secret);
        match self.kept.iter().find(same) {
            Some(one) if args.add => bail!(Advice::new(
                format!("the authenticator {} has this secret already", one.name),
                "Bring another secret, or none: one is made then.",
            )),
            _ => Ok(()),
        }
    }

    /// On record, then on disk. Who gets one more authenticator keeps the codes that are good once, and what is used of
    /// them.
    pub fn install(
        self,
        site: &Site,
        (who, proof): (&Administrator, Proof),
        whom: &Whom,
        fresh: (AuthenticatorName, Totp, TotpSpent),
        issued: &Issued,
    ) -> Result<(Recorded, ())> {
        let enrollment = EnrollmentId::fresh(entropy::bytes()?);
        let adds = !self.kept.is_empty();
        let before = self.entry.as_ref().map(|entry| &entry.decision().contact);
        let reason = before.and_then(|before| contacts::difference(before, &self.contact));
        let contact = before.and_then(|before| contacts::change(before, &self.contact));
        let event = Event {
            kind: if adds { EventKind::AuthenticatorAdded } else { EventKind::Enrolled },
            reason: reason.as_deref(),
            details: Details { contact, ..Details::default() },
        };
        let instead = match self.enrolled() {
            Some(record) if adds => Instead::Beside(record),
            Some(record) => Instead::OfAll(record),
            None => Instead::OfNothing,
        };
        who.nobody_else_was_faster(site, whom, self.expected)?;
        who.change(site, whom, proof, event, |recorded| {
            let decision = who.decision(site, whom, recorded, self.contact.clone())?;
            let Successor { mut record, beginning } =
                Successor::new(decision, enrollment, instead, fresh, site.rules(), site.now());
            if !adds {
                record.recovery = issued.recovery(site);
            }
            Ok(site.store().install(record, self.expected, &|old| beginning.state(old))?)
        })
    }
}

/// What was known stays, also of somebody who is switched off.
pub fn contact(entry: Option<&Entry>, args: &Enroll) -> Contact {
    let known = entry.map(|entry| entry.decision().contact.clone()).unwrap_or_default();
    Contact { email: args.email.clone().or(known.email), phone: args.phone.clone().or(known.phone) }
}

fn can_be_added(whom: &Whom, record: &Record, name: &AuthenticatorName) -> Result<()> {
    if record.decision.uid != whom.uid() {
        bail!(for_another_uid(whom));
    }
    if record.authenticator(name).is_some() {
        bail!(Advice::new(
            format!("{whom} has an authenticator called {name} already"),
            "Call the new one something else with --name.",
        ));
    }
    if record.authenticators.len() >= MOST_AUTHENTICATORS {
        bail!(Advice::new(
            format!("{whom} has {MOST_AUTHENTICATORS} authenticators, and cannot have more"),
            "--replace starts over with a single one.",
        ));
    }
    Ok(())
}

fn for_another_uid(whom: &Whom) -> Advice {
    Advice::new(
        format!("{whom} was enrolled for another uid: the name is somebody else's now"),
        "--replace starts over.",
    )
}

fn enrolled_already(whom: &Whom, record: &Record) -> anyhow::Error {
    let names: Vec<&str> = record.authenticators.iter().map(|one| one.name.as_str()).collect();
    Advice::new(
        format!("{whom} is enrolled already ({})", names.join(", ")),
        "--add gives one more authenticator, --replace starts over.",
    )
    .into()
}

fn unusable(site: &Site, whom: &Whom) -> anyhow::Error {
    let fault = match site.store().inspect(&whom.name) {
        Err(fault) => fault.to_string(),
        Ok(_) => "the record cannot be used".to_owned(),
    };
    let command = whom.enroll_command();
    Advice::new(fault, format!("Once that is understood: {command} --replace")).into()
}
