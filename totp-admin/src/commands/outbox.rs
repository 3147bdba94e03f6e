//! `outbox`: what has not been delivered yet, and delivering it now.

use anyhow::{Context as _, Result, bail};
use serde::Serialize;
use serde_json::json;
use totp_agent::post::{Post, PostError, Texted, When};
use totp_agent::transport;
use totp_core::time::UnixTime;
use totp_store::outbox::Item;

use crate::cli::Outbox;
use crate::site::Site;
use crate::ui::{Ui, printable};
use crate::{tell, times};

/// Lists, or delivers.
pub fn run(ui: &Ui, site: &Site, what: &Outbox) -> Result<()> {
    let post = tell::post(site)?;
    // What keeps more from coming into the outbox keeps nothing in it.
    let moved = post.move_events().context("what logins left was not recorded yet");
    let enqueued =
        post.enqueue().context("what is new in the permanent record was not enqueued yet");
    for trouble in enqueued.iter().flatten() {
        ui.warn(printable(trouble));
    }
    let incomplete = moved.and(enqueued).err();
    match what {
        Outbox::List => list(ui, &post, incomplete.is_none())?,
        Outbox::Flush => flush(ui, &post, incomplete.is_none())?,
    }
    incomplete.map_or(Ok(()), Err)
}

/// Something that waits.
#[derive(Serialize)]
struct Row {
    kind: &'static str,
    record: Option<u64>,
    file: String,
    event: Option<String>,
    user: Option<String>,
    to: Vec<String>,
    told: Vec<String>,
    tries: u64,
    next: Option<String>,
    error: Option<String>,
    #[serde(skip)]
    next_try: Option<UnixTime>,
}

impl Row {
    fn new(kind: &'static str, file: String) -> Self {
        let (record, event, user, next, error, next_try) = (None, None, None, None, None, None);
        let (to, told) = (Vec::new(), Vec::new());
        Self { kind, record, file, event, user, to, told, tries: 0, next, error, next_try }
    }
}

/// What waits; what a login left to deceive is none of it. Text messages are named without what they say.
fn rows(post: &Post) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for item in post.outbox().items()? {
        match item {
            Item::Mail { seq, name } => match post.outbox().look(&name) {
                Ok(None) => {}
                Ok(Some(mail)) => {
                    let of = |served: bool| {
                        let some = mail.to.iter().filter(|one| one.served == served);
                        some.map(|one| one.address.to_string()).collect::<Vec<_>>()
                    };
                    rows.push(Row {
                        record: Some(seq),
                        event: Some(mail.about.event.to_string()),
                        user: Some(mail.about.user.clone()),
                        to: of(false),
                        told: of(true),
                        tries: mail.tries,
                        next: Some(mail.next.to_string()),
                        next_try: Some(mail.next),
                        error: mail.error.clone(),
                        ..Row::new("mail", name)
                    });
                }
                Err(error) => {
                    rows.push(Row {
                        error: Some(error.to_string()),
                        ..Row::new("unreadable", name)
                    });
                }
            },
            Item::Message(name) => rows.push(Row::new("text", name)),
            Item::Decoy(_) => {}
            Item::Unknown(name) => {
                let error = Some("not a file of the outbox; look at it, and remove it".to_owned());
                rows.push(Row { error, ..Row::new("unreadable", name) });
            }
        }
    }
    Ok(rows)
}

/// `complete`: there is nothing that is not in the outbox yet.
fn list(ui: &Ui, post: &Post, complete: bool) -> Result<()> {
    let rows = rows(post)?;
    ui.document(&rows)?;
    if rows.is_empty() {
        if complete {
            ui.note("Nothing waits.");
        }
        return Ok(());
    }
    let zone = times::zone();
    for row in &rows {
        let error = row.error.as_deref().map(printable);
        match (row.kind, row.record) {
            ("mail", Some(seq)) => {
                let event = row.event.as_deref().unwrap_or_default();
                let user = row.user.as_deref().map(printable).unwrap_or_default();
                ui.result(format_args!("{seq}  {event} {user}, to {}", row.to.join(", ")))?;
                let next = row.next_try.map(|next| times::local(next, &zone)).unwrap_or_default();
                if let Some(error) = error {
                    ui.result(format_args!("    tried {} times, next {next}: {error}", row.tries))?;
                }
            }
            ("text", _) => ui.result("text message")?,
            _ => {
                let path = post.outbox().path().join(&row.file);
                let error = error.unwrap_or_default();
                ui.result(format_args!("{}: {error}", printable(&path.display().to_string())))?;
            }
        }
    }
    ui.note("totp-admin outbox flush delivers it now; to give one up, remove its file:");
    ui.note(format_args!("  {}", post.outbox().path().display()));
    Ok(())
}

/// What came of one item.
enum Came {
    Delivered,
    /// Somebody else delivers it, or has.
    NotOurs,
    /// It stays, and is tried again.
    Left,
    /// It was thrown away undelivered; why.
    Dropped(String),
}

/// Everything, whether its time has come or not. Mail that fails keeps nothing else waiting.
fn flush(ui: &Ui, post: &Post, complete: bool) -> Result<()> {
    let (mut delivered, mut left, mut dropped) = (Vec::new(), Vec::new(), Vec::new());
    let mut complete = complete;
    for item in post.outbox().items()? {
        let (name, record) = match &item {
            Item::Mail { seq, name } => (name, Some(*seq)),
            Item::Message(name) => (name, None),
            Item::Decoy(_) => continue,
            Item::Unknown(name) => {
                left.push(json!({"file": name, "error": "not a file of the outbox"}));
                ui.warn(format_args!("{}: not a file of the outbox", printable(name)));
                continue;
            }
        };
        let came = match record {
            Some(_) => mail(ui, post, name),
            None => text(ui, post, name),
        };
        match came {
            Ok(Came::Delivered) => delivered.push(json!({"file": name, "record": record})),
            Ok(Came::NotOurs) => complete = false, // it may wait there still
            Ok(Came::Left) => left.push(json!({"file": name, "record": record})),
            Ok(Came::Dropped(error)) => {
                dropped.push(json!({"file": name, "record": record, "error": error}));
            }
            Err(error) => {
                ui.warn(printable(&error.to_string()));
                let error = error.to_string();
                left.push(json!({"file": name, "record": record, "error": error}));
            }
        }
    }
    post.outbox().sweep(totp_store::clock::now())?;
    let (done, waiting, lost) = (delivered.len(), left.len(), dropped.len());
    ui.document(&json!({"delivered": delivered, "left": left, "dropped": dropped}))?;
    let thrown_away = if lost > 0 { format!(", {lost} thrown away") } else { String::new() };
    if waiting > 0 {
        bail!("{done} delivered{thrown_away}, {waiting} left in the outbox");
    }
    if lost > 0 {
        bail!("{done} delivered{thrown_away}");
    }
    if complete {
        return ui.done(format_args!("{done} delivered; nothing waits."));
    }
    ui.done(format_args!("{done} delivered."))
}

fn mail(ui: &Ui, post: &Post, name: &str) -> Result<Came, PostError> {
    let Some(report) = post.deliver(name, When::Now)? else {
        let is_gone = post.outbox().look(name).is_ok_and(|mail| mail.is_none());
        return Ok(if is_gone { Came::NotOurs } else { Came::Left });
    };
    tell::say(ui, &report, &transport::name(&post.config().mail));
    Ok(if report.failed.is_empty() { Came::Delivered } else { Came::Left })
}

fn text(ui: &Ui, post: &Post, name: &str) -> Result<Came, PostError> {
    Ok(match post.text(name)? {
        Texted::Sent => Came::Delivered,
        Texted::NotOurs => Came::NotOurs,
        Texted::Expired => {
            ui.warn("A text message was thrown away: its time was over.");
            Came::Dropped("its time was over".to_owned())
        }
        Texted::GivenUp(why) => {
            ui.warn(format_args!("A text message was thrown away: {}", printable(&why)));
            Came::Dropped(why)
        }
        Texted::Failed(why) => {
            ui.warn(format_args!("A text message was not sent: {}", printable(&why)));
            Came::Left
        }
    })
}
