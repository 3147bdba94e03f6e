//! What an enrollment is built on: what the user has before, whether it may be added to or replaced, and how the
//! new authenticator takes its place.

use anyhow::{Result, bail};
use totp_core::contact::Contact;
use totp_core::event::EventKind;
use totp_core::name::AuthenticatorName;
use totp_core::otp::Totp;
use totp_core::record::{Authenticator, EnrollmentId, Entry, MOST_AUTHENTICATORS, Pending, Record};
use totp_core::state::{Spent, State, TotpSpent};
use totp_core::succession::all_spent;
use totp_store::entropy;
use totp_store::store::Expected;

use crate::change::{Administrator, Recorded};
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

    /// Where the secret stays the same, what it has spent stays spent.
    pub fn not_below_what_was_spent(
        &self,
        totp: &Totp,
        spent: TotpSpent,
    ) -> (TotpSpent, Option<AuthenticatorName>) {
        let before = self.enrolled().and_then(|record| {
            record.authenticators.iter().find(|one| one.kind.totp().secret.same_as(&totp.secret))
        });
        (spent, before.map(|one| one.name.clone()))
    }

    /// On record, then on disk. Who gets one more authenticator keeps the codes that are good once, and what is used of
    /// them.
    pub fn install(
        self,
        site: &Site,
        who: &Administrator,
        whom: &Whom,
        (fresh, (spent, before)): (Authenticator, (TotpSpent, Option<AuthenticatorName>)),
        issued: &Issued,
    ) -> Result<(Recorded, ())> {
        let enrollment = EnrollmentId::fresh(entropy::bytes()?);
        let adds = !self.kept.is_empty();
        let event = if adds { EventKind::AuthenticatorAdded } else { EventKind::Enrolled };
        let kept: Vec<AuthenticatorName> = self.kept.iter().map(|one| one.name.clone()).collect();
        let name = fresh.name.clone();
        let carried = self.enrolled().filter(|_| adds).map(all_spent).unwrap_or_default();
        let first = |old: Option<&State>| {
            let floor = before.as_ref().and_then(|name| Some(old?.spent(name)?.totp().floor));
            let spent = TotpSpent { floor: spent.floor.max(floor.unwrap_or_default()), ..spent };
            let mut first =
                first_state(enrollment, old, &kept, adds, (name.clone(), Spent::Totp(spent)));
            if old.is_none() {
                // Which of them were used, nobody knows any more.
                first.once.clone_from(&carried);
            }
            first
        };
        let expected = self.expected;
        let contact = self.contact;
        let before = self.entry.as_ref().map(|entry| &entry.decision().contact);
        let reason = before.and_then(|before| contacts::difference(before, &contact));
        let (recovery, bypass) = match &self.entry {
            Some(Entry::Enrolled(record)) if adds => (record.recovery.clone(), record.bypass),
            _ => (issued.recovery(site), None),
        };
        who.nobody_else_was_faster(site, whom, expected)?;
        who.change(site, whom, event, reason.as_deref(), |recorded| {
            let mut authenticators = self.kept;
            authenticators.push(fresh);
            let decision = who.decision(site, whom, recorded, contact);
            let record =
                Record { recovery, bypass, ..Record::new(decision, enrollment, authenticators) };
            Ok(site.store().install(record, expected, &first)?)
        })
    }
}

/// What logins begin with. Of an enrollment that is replaced the known places are forgotten: the phone may
/// have been stolen.
fn first_state(
    enrollment: EnrollmentId,
    old: Option<&State>,
    kept: &[AuthenticatorName],
    adds: bool,
    fresh: (AuthenticatorName, Spent),
) -> State {
    let of_kept = |name: &AuthenticatorName| Some((name.clone(), *old?.spent(name)?));
    let mut spent: Vec<(AuthenticatorName, Spent)> = kept.iter().filter_map(of_kept).collect();
    spent.push(fresh);
    let mut first = State::new(enrollment, 0, spent);
    if let Some(old) = old {
        first.last_login.clone_from(&old.last_login);
        first.events = old.events.clone();
        if adds {
            first.origins = old.origins.clone();
            first.once = old.once.clone();
        }
    }
    first
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
