//! `notices`: what a user is shown at logins, and saying that it was read.
//!
//! That is no change of what the user has, so that it needs no code and gets no line in the audit log, which has each of these
//! events already; mail has told of them. A line in the system's log says who did it.

use anyhow::Result;
use serde_json::{Value, json};
use totp_core::log::one_word;
use totp_store::notices::{Notice, Waiting};

use crate::change::Administrator;
use crate::cli;
use crate::site::{Site, Whom};
use crate::ui::{Ui, printable};
use crate::{syslog, times};

/// Lists, and marks as read.
pub fn run(ui: &Ui, site: &Site, args: &cli::Notices) -> Result<()> {
    let mut whom = site.find(&args.user)?;
    if let Some(kept) = site.kept_under(&whom)? {
        whom = site.find(kept.as_str())?;
    }
    let notices = site.installation().notices()?;
    let waiting = notices.look(&whom.name, site.now())?;
    let marks = args.read && !waiting.is_empty();
    if marks {
        notices.mark_read(&whom.name, &waiting)?;
        syslog::send(&marked(&whom, &waiting), site.now());
    }
    ui.document(&json!({
        "user": whom.name.as_str(),
        "notices": waiting.notices.iter().map(document).collect::<Vec<_>>(),
        "more": waiting.more,
        "read": args.read,
    }))?;
    if waiting.is_empty() {
        ui.note(format_args!("No login notice waits for {whom}."));
        return Ok(());
    }
    list(ui, &whom, &waiting)?;
    if marks {
        ui.told(format_args!("These are not shown to {whom} any more."));
    }
    Ok(())
}

fn list(ui: &Ui, whom: &Whom, waiting: &Waiting) -> Result<()> {
    let zone = times::zone();
    for notice in &waiting.notices {
        let shown = match notice.first_shown() {
            Some(time) => format!("first shown {}", times::local(time, &zone)),
            None => "not shown yet".to_owned(),
        };
        ui.result(format_args!("{}; {shown}", printable(&notice.sentence())))?;
    }
    if waiting.more > 0 {
        let user = printable(whom.name.as_str());
        ui.note(format_args!(
            "{} more had no room: totp-admin log --user {user} has them.",
            waiting.more
        ));
    }
    Ok(())
}

/// `null` for what a notice of an earlier version does not say by itself.
fn document(notice: &Notice) -> Value {
    let event = notice.event();
    let text = |text: fn(&totp_store::notices::Event) -> Option<&String>| event.and_then(text);
    json!({
        "text": notice.sentence(),
        "time": event.map(|event| event.time.to_string()),
        "event": event.map(|event| event.kind.as_str()),
        "by": text(|event| event.by.as_ref()),
        "from": text(|event| event.from.as_ref()),
        "service": text(|event| event.service.as_ref()),
        "reason": text(|event| event.reason.as_ref()),
        "first_shown": notice.first_shown().map(|time| time.to_string()),
    })
}

/// The line of the system's log.
fn marked(whom: &Whom, waiting: &Waiting) -> String {
    let by = one_word(&Administrator::here().name());
    let count = waiting.notices.len();
    let user = one_word(whom.name.as_str());
    format!("login notices marked as read: user={user} count={count} more={} by={by}", waiting.more)
}
