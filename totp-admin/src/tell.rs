//! Telling who is concerned, once a change is made: by mail, at once; what can't be delivered stays in the outbox, and the
//! agent or `totp-admin outbox flush` tries it again. That nobody can be told keeps nothing from being changed.

use std::time::Duration;

use anyhow::Context as _;
use serde::Serialize;
use serde_json::{Value, json};
use totp_agent::post::{Post, Report, When};
use totp_agent::transport;
use totp_store::Wait;
use totp_store::files::Owner;
use totp_store::outbox::Item;

use crate::change::Recorded;
use crate::site::{Site, Whom};
use crate::syslog::{self, PROGRAM};
use crate::ui::{Ui, printable};

/// How long whoever else goes through the permanent record is waited for: no longer than a person would wait.
const PATIENCE: Wait = Wait::AtMost(Duration::from_secs(3));

/// Opens the outbox that the configuration names.
pub fn post(site: &Site) -> anyhow::Result<Post> {
    Ok(Post::open(site.config().clone(), Owner::ROOT, PROGRAM)?)
}

/// Makes a change, and puts mail about it into the outbox: also for the address that the user had before. `seq` finds the
/// line of the permanent record in what came of the change.
pub fn around<T>(
    site: &Site,
    whom: &Whom,
    seq: impl FnOnce(&T) -> Option<u64>,
    change: impl FnOnce() -> T,
) -> T {
    // What is wrong with the outbox is said when it is delivered.
    let post = post(site).ok();
    let hold = post.as_ref().and_then(|post| post.hold(PATIENCE).ok());
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
    let before = post.as_ref().map(|post| post.contact(&whom.name)).unwrap_or_default();
    let made = change();
    enqueue(seq(&made).map(|seq| (seq, before)));
    made
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
    to: &'a str,
    delivered: bool,
    error: Option<&'a str>,
}

/// The telling of a change that was made.
pub struct Telling<'a> {
    ui: &'a Ui,
    site: &'a Site,
    whom: &'a Whom,
    seq: u64,
    told: Option<Told>,
}

impl<'a> Telling<'a> {
    /// Nobody is told yet.
    pub fn of(ui: &'a Ui, site: &'a Site, whom: &'a Whom, recorded: Recorded) -> Self {
        Self { ui, site, whom, seq: recorded.seq, told: None }
    }

    /// The key `told` of a document: who was told by mail, and who wasn't. Tells them first, where a document is wanted.
    pub fn json(&mut self) -> Value {
        if !self.ui.json() {
            return Value::Null;
        }
        let reports = &self.told().reports;
        let served = reports.iter().flat_map(|report| &report.served);
        let failed = reports.iter().flat_map(|report| &report.failed);
        let served = served.map(|to| Row { to: to.as_str(), delivered: true, error: None });
        let failed = failed.map(|(to, why)| Row {
            to: to.as_str(),
            delivered: false,
            error: Some(why.as_str()),
        });
        json!(served.chain(failed).collect::<Vec<_>>())
    }

    /// Tells them, unless that is done, and says what came of it.
    pub fn say(mut self) {
        let (ui, seq, whom) = (self.ui, self.seq, self.whom);
        let by = transport::name(&self.site.config().mail);
        let told = self.told();
        for one in &told.trouble {
            ui.warn(printable(one));
        }
        for report in &told.reports {
            say(ui, report, &by);
        }
        if told.reports.is_empty() && told.trouble.is_empty() {
            ui.note(format_args!(
                "  Nobody was told by mail: no address of {whom} is known. (Record {seq}; {whom} is told at the next login.)"
            ));
        }
    }

    fn told(&mut self) -> &Told {
        let (site, seq) = (self.site, self.seq);
        self.told.get_or_insert_with(|| deliver(site, seq))
    }
}

/// Delivers all mail about a line of the record.
fn deliver(site: &Site, seq: u64) -> Told {
    let mut trouble = Vec::new();
    let mut attempt = || -> anyhow::Result<Vec<Report>> {
        let post = post(site)?;
        // Where it could not be held while the change was made.
        trouble.extend(post.enqueue().context("not enqueued yet")?);
        let mut reports = Vec::new();
        for item in post.outbox().items()? {
            if let Item::Mail { seq: its, name } = item
                && its == seq
            {
                match post.deliver(&name, When::Now)? {
                    Some(report) => reports.push(report),
                    None => trouble
                        .push(format!("Another program delivers the mail about record {seq}.")),
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
