//! Telling who is concerned, once a change is made: by mail, at once; what can't be delivered stays in the outbox, and the
//! agent or `totp-admin outbox flush` tries it again. That nobody can be told keeps nothing from being changed.

use anyhow::{Context as _, Result};
use serde::Serialize;
use serde_json::{Value, json};
use totp_agent::post::{Post, Report, When};
use totp_agent::transport;
use totp_core::contact::Email;
use totp_core::event::EventKind;
use totp_core::policy::MailKeys;
use totp_store::outbox::{Item, recipients};
use totp_store::waits;

use crate::change::Recorded;
use crate::site::{Site, Whom};
use crate::syslog::{self, PROGRAM};
use crate::ui::{Ui, printable};

/// Opens the outbox that the configuration names.
pub fn post(site: &Site) -> anyhow::Result<Post> {
    Ok(Post::open(site.installation(), PROGRAM)?)
}

/// Makes a change, and puts mail about it into the outbox: also for the address that the user had before. `seq` finds the
/// line of the permanent record in what came of the change. Gives also whether the user has, or had, an address: who gets
/// copies is somebody else.
pub fn around<T>(
    site: &Site,
    whom: &Whom,
    event: EventKind,
    seq: impl FnOnce(&T) -> Option<u64>,
    change: impl FnOnce() -> T,
) -> (T, bool) {
    // What is wrong with the outbox is said when it is delivered.
    let post = post(site).ok();
    let hold = post.as_ref().and_then(|post| post.hold(waits::MAIL_OF_A_CHANGE).ok());
    let enqueue = |known| {
        let (Some(post), Some(hold)) = (&post, &hold) else { return };
        let trouble = match post.enqueue_with(hold, known) {
            Ok(trouble) => trouble,
            Err(error) => vec![error.to_string()],
        };
        for one in trouble {
            syslog::send(&one, site.now());
        }
    };
    // What happened before the change is told where the user could be told until now.
    enqueue(None);
    let contact = || post.as_ref().map(|post| post.contact(&whom.name)).unwrap_or_default();
    let before = contact();
    let made = change();
    let mail = MailKeys { copy_to: Vec::new(), ..site.config().mail.clone() };
    let own = recipients(&mail, event, whom.name.as_str(), &[before.clone(), contact()]);
    enqueue(seq(&made).map(|seq| (seq, before)));
    // Where there is no outbox, that is what is said.
    (made, post.is_none() || !own.is_empty())
}

/// What came of telling.
#[derive(Debug, Default)]
struct Told {
    reports: Vec<Report>,
    trouble: Vec<String>,
}

/// One recipient, for machines.
#[derive(Serialize)]
struct Row<'a> {
    /// Null: the user, who has no address.
    to: Option<&'a str>,
    delivered: bool,
    error: Option<&'a str>,
    /// The line of the permanent record that it is about.
    record: u64,
}

impl<'a> Row<'a> {
    fn of(to: &'a Email, error: Option<&'a String>, record: u64) -> Self {
        let (to, error) = (Some(to.as_str()), error.map(String::as_str));
        Self { to, delivered: error.is_none(), error, record }
    }
}

/// The telling of a change that was made.
pub struct Telling<'a> {
    ui: &'a Ui,
    site: &'a Site,
    whom: &'a Whom,
    recorded: Recorded,
    told: Option<Told>,
}

impl<'a> Telling<'a> {
    /// Nobody is told yet.
    pub fn of(ui: &'a Ui, site: &'a Site, whom: &'a Whom, recorded: Recorded) -> Self {
        Self { ui, site, whom, recorded, told: None }
    }

    /// The key `told` of a document: who was told by mail, and who wasn't. Tells them first, where a document is wanted.
    pub fn json(&mut self) -> Value {
        if !self.ui.json() {
            return Value::Null;
        }
        let Recorded { seq, has_address, .. } = self.recorded;
        let mut rows = Vec::new();
        for Report { seq: record, served, failed, .. } in &self.told().reports {
            rows.extend(served.iter().map(|to| Row::of(to, None, *record)));
            rows.extend(failed.iter().map(|(to, why)| Row::of(to, Some(why), *record)));
        }
        let nobody = Row { to: None, delivered: false, error: Some("no address"), record: seq };
        rows.extend((!has_address).then_some(nobody));
        json!(rows)
    }

    /// What every change ends with: the document for machines, which has `keys` besides those of every change, the lines
    /// for `people`, and who was told. Gives whether the first two could be said.
    pub fn conclude(mut self, keys: Value, people: impl FnOnce() -> Result<()>) -> Result<()> {
        let mut document = json!({
            "user": self.whom.name.as_str(),
            "changed": true,
            "record": self.recorded.seq,
            "told": self.json(),
        });
        if let (Value::Object(all), Value::Object(keys)) = (&mut document, keys) {
            all.extend(keys);
        }
        let said = self.ui.document(&document).and_then(|()| people());
        self.say();
        said
    }

    /// Tells them, unless that is done, and says what came of it.
    pub fn say(mut self) {
        let (ui, whom, recorded) = (self.ui, self.whom, self.recorded);
        let by = transport::name(&self.site.config().mail);
        let told = self.told();
        for one in &told.trouble {
            ui.warn(printable(one));
        }
        for report in &told.reports {
            say(ui, report, &by);
        }
        if recorded.has_address {
            return;
        }
        // What was to be shown at the next login, and the record that keeps an address, are erased with all the rest.
        if recorded.event == EventKind::Removed {
            return ui.warn(format_args!("{whom} was not told by mail: no address"));
        }
        ui.warn(format_args!(
            "{whom} was not told by mail: no address (totp-admin contact {whom} --email ADDRESS)"
        ));
        ui.note(format_args!("  {whom} is told at the next login: record {}.", recorded.seq));
    }

    fn told(&mut self) -> &Told {
        let (site, whom, seq) = (self.site, self.whom, self.recorded.seq);
        self.told.get_or_insert_with(|| deliver(site, whom, seq))
    }
}

/// Delivers all mail about a line of the record, and what else this run has caused: that the user's own recovery code was
/// used to prove who they are.
fn deliver(site: &Site, whom: &Whom, seq: u64) -> Told {
    let mut trouble = Vec::new();
    let mut attempt = || -> anyhow::Result<Vec<Report>> {
        let post = post(site)?;
        // Where it could not be held while the change was made.
        trouble.extend(post.enqueue().context("not enqueued yet")?);
        let mut reports = Vec::new();
        for item in post.outbox().items()? {
            let Item::Mail { seq: its, name } = item else { continue };
            if its != seq && !(its < seq && is_fresh(&post, &name, whom)) {
                continue;
            }
            match post.deliver(&name, When::Now)? {
                Some(report) => reports.push(report),
                None => {
                    trouble.push(format!("Another program delivers the mail about record {its}."))
                }
            }
        }
        Ok(reports)
    };
    let reports = attempt().unwrap_or_else(|error| {
        trouble.push(format!("Nobody was told by mail: {error:#}"));
        Vec::new()
    });
    Told { reports, trouble }
}

/// Whether a mail is about this user, and nobody has tried to deliver it.
fn is_fresh(post: &Post, name: &str, whom: &Whom) -> bool {
    let mail = post.outbox().look(name).ok().flatten();
    mail.is_some_and(|mail| mail.tries == 0 && mail.about.user == whom.name.as_str())
}

/// Says what came of mail.
pub fn say(ui: &Ui, report: &Report, by: &str) {
    for remark in &report.remarks {
        ui.warn(printable(remark));
    }
    for to in &report.served {
        ui.told(format_args!("{to} told."));
    }
    for (to, why) in &report.failed {
        ui.warn(format_args!(
            "Mail to {to} by {by} refused, queued as {}: totp-admin outbox flush\n  {}",
            report.seq,
            printable(why)
        ));
    }
}
