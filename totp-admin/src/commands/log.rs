//! `log`: the permanent record, read, followed and verified.

use std::io::{self, Write as _};
use std::thread::sleep;
use std::time::Duration;

use anyhow::Result;
use jiff::tz::TimeZone;
use serde_json::json;
use totp_core::name::UserName;
use totp_core::record::Decision;
use totp_store::accounts;
use totp_store::permanent::{Filter, Line, Logged, Mention, PermanentRecord, Verified};
use totp_store::store::Listed;

use crate::cli::Log;
use crate::events;
use crate::site::Site;
use crate::times;
use crate::ui::{Refused, Ui, printable};

/// Between two looks at a record that is followed.
const PAUSE: Duration = Duration::from_millis(500);

/// Prints, follows or verifies.
pub fn run(ui: &Ui, site: &Site, args: &Log) -> Result<()> {
    let record = site.record();
    if args.verify {
        let mentions = mentions(ui, site); // before the file is read
        return say(ui, record, &record.verify(&mentions)?);
    }
    let zone = times::zone();
    // Wrong usage is found before anything is done.
    let since =
        args.since.as_deref().map(|text| times::since(text, site.now(), &zone)).transpose()?;
    let filter = Filter { since, names: args.user.as_deref().map(names).unwrap_or_default() };
    // What logins left in their users' states belongs in here; where it can't be moved now, it stays there.
    if let Err(error) = events::move_all(site) {
        ui.warn(format_args!("events of logins could not be moved here: {error:#}"));
    }
    let mut reader = loop {
        match record.read()? {
            Some(reader) => break reader,
            None if args.follow => sleep(PAUSE),
            None => {
                ui.note(format_args!(
                    "Nothing has been recorded yet ({}).",
                    record.path().display()
                ));
                return Ok(());
            }
        }
    };
    let mut shown = false;
    loop {
        while let Some(line) = reader.poll()? {
            if filter.wants(&line) {
                shown |= line.logged.is_some();
                show(ui, &line, &zone)?;
            }
        }
        if !args.follow {
            if let Some(user) = args.user.as_deref().filter(|_| !shown) {
                let since = if since.is_some() { " since then" } else { "" };
                ui.note(format_args!("Nothing is recorded about {}{since}.", printable(user)));
            }
            return Ok(());
        }
        sleep(PAUSE);
    }
}

/// The names under which a user may stand in the record: the account's own, what was typed (an account may be gone by
/// now), and what a name without an account is folded to.
fn names(typed: &str) -> Vec<String> {
    let account = accounts::account(typed).ok().flatten().map(|account| account.name);
    let folded = UserName::without_account(typed).ok();
    let others = [account, folded].into_iter().flatten().map(|name| name.as_str().to_owned());
    [typed.to_owned()].into_iter().chain(others).collect()
}

/// What the users' records and the outbox name. Whoever's can't be read may name more; that is told.
fn mentions(ui: &Ui, site: &Site) -> Vec<Mention> {
    let everybody = site.store().everybody(site.now()).unwrap_or_else(|fault| {
        ui.warn(format_args!("not compared with the users' records: {fault}"));
        Vec::new()
    });
    let mention = |(_, entry): Listed| match entry {
        Ok(entry) => {
            let Decision { seq, user, .. } = entry.decision();
            Some(Mention { seq: *seq, user: Some(user.as_str().to_owned()) })
        }
        Err(fault) => {
            ui.warn(format_args!("not compared with: {fault}"));
            None
        }
    };
    everybody.into_iter().filter_map(mention).chain(passed(ui, site)).collect()
}

/// The line up to which people have been told.
fn passed(ui: &Ui, site: &Site) -> Option<Mention> {
    let outbox = site.installation().outbox();
    let seq = outbox.and_then(|outbox| outbox.passed()).unwrap_or_else(|error| {
        ui.warn(format_args!("not compared with the outbox: {error}"));
        None
    });
    seq.map(|seq| Mention { seq, user: None })
}

fn show(ui: &Ui, line: &Line, zone: &TimeZone) -> Result<()> {
    let Some(logged) = &line.logged else {
        ui.warn(format_args!(
            "line {} is not a line of the record: totp-admin log --verify",
            line.number
        ));
        return Ok(());
    };
    if ui.json() {
        let mut out = io::stdout().lock();
        writeln!(out, "{}", line.text)?;
        out.flush()?;
        return Ok(());
    }
    ui.result(in_words(logged, zone))
}

/// `812  2026-03-12 02:14  disabled bob, by alice from 198.51.100.4: phone stolen`.
fn in_words(logged: &Logged, zone: &TimeZone) -> String {
    let mut text =
        format!("{:>5}  {}  {}", logged.seq, times::local(logged.time, zone), logged.event);
    let mut add = |before: &str, value: Option<&str>| {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            text.push_str(before);
            text.push_str(&printable(value));
        }
    };
    add(" ", logged.user.as_deref());
    add(" of record ", logged.of.map(|seq| seq.to_string()).as_deref());
    add(" as ", logged.details.outcome.as_deref());
    add(", by ", logged.actor.name.as_deref());
    add(" from ", logged.actor.from.as_deref());
    add(", at ", logged.service.as_deref());
    add(" from ", logged.rhost.as_deref());
    add(": ", logged.reason.as_deref());
    text
}

fn say(ui: &Ui, record: &PermanentRecord, verified: &Verified) -> Result<()> {
    let whole = verified.findings.is_empty();
    ui.document(&json!({
        "valid": whole,
        "lines": verified.lines,
        "findings": verified.findings.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "incomplete": verified.incomplete,
        "last": verified.last.as_ref().map(|last| json!({"seq": last.seq, "hash": last.hash})),
    }))?;
    for finding in &verified.findings {
        ui.result(finding)?;
    }
    if verified.incomplete {
        ui.note("Something unfinished stands at the end; the next record takes its place.");
    }
    if !whole {
        ui.note(format_args!(
            "{} is not what was recorded. Compare it with the hashes in the central log.",
            record.path().display()
        ));
        return Err(Refused.into());
    }
    match &verified.last {
        None => ui.done("nothing has been recorded yet"),
        Some(last) => {
            let records = if verified.lines == 1 { "record" } else { "records" };
            ui.done(format_args!("{} {records}, unchanged", verified.lines))?;
            ui.result(format_args!("  the last is record {}, hash {}", last.seq, last.hash))?;
            ui.result(
                "  What root cut off the end or computed anew shows in a central log alone: compare the hash.",
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use totp_core::time::UnixTime;
    use totp_store::actor::Actor;
    use totp_store::permanent::Details;

    #[test]
    fn a_record_is_one_line_that_moves_no_cursor() {
        let logged = Logged {
            seq: 812,
            time: UnixTime(1_773_307_210),
            event: "disabled".to_owned(),
            user: Some("bob".to_owned()),
            actor: Actor {
                name: Some("alice".to_owned()),
                from: Some("198.51.100.4".to_owned()),
                ..Actor::default()
            },
            host: None,
            service: None,
            rhost: None,
            reason: Some("phone\nstolen\x1b[0m".to_owned()),
            details: Details::default(),
            of: None,
        };
        assert_eq!(
            in_words(&logged, &TimeZone::UTC),
            "  812  2026-03-12 09:20  disabled bob, by alice from 198.51.100.4: phone\\nstolen\\u{1b}[0m"
        );
    }
}
