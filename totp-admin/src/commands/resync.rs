//! `resync`: sets an authenticator whose clock is off right, with two consecutive codes (RFC 4226 section 7.4).

use anyhow::{Result, anyhow, bail};
use serde_json::json;
use totp_core::answer::Answer;
use totp_core::event::EventKind;
use totp_core::store::{Durability, Found, Store as _, View};
use totp_core::time::UnixTime;
use totp_core::upkeep::{NotChanged, Resynchronised, resynchronise};

use crate::change::{Administrator, UNSAID};
use crate::cli::Resync;
use crate::commands::{enrolled, not_changed};
use crate::site::{Site, Whom};
use crate::tell::Telling;
use crate::times;
use crate::ui::{Advice, Ui};

/// Learns the drift.
pub fn run(ui: &Ui, site: &Site, args: &Resync) -> Result<()> {
    let whom = site.known(&args.user)?;
    let (one, meter) = enrolled(site, &whom)?;
    let id = one.record.enrollment;
    let typed = [&args.first, &args.second].map(|code| Answer::read(code.as_bytes()));
    let now = site.now();

    // Tried on what was read, so that codes that don't match leave no record.
    let view = View { found: Found::Enrolled(one), meter, volatile: None };
    let tried = resynchronise(&view, id, &typed, site.rules(), now)
        .commit(|_| Ok::<_, anyhow::Error>(Durability::Disk))?;
    match tried.into_outcome() {
        Ok(_) => {}
        Err(NotChanged::NoMatch) => bail!(Advice::new(
            format!("these are not two consecutive, unused codes of {whom} within a day"),
            "Wait for two new ones, and enter them in the order in which they are shown.",
        )),
        Err(why) => bail!(not_changed(&whom, why)),
    }
    let who = Administrator::here();
    let (recorded, done) = who.change(site, &whom, EventKind::Resynchronised, None, |_| {
        let changed = site
            .store()
            .transact(&whom.name, &|view| resynchronise(view, id, &typed, site.rules(), now))?;
        changed.into_outcome().map_err(|why| anyhow!(not_changed(&whom, why)))
    })?;
    let keys = json!({
        "authenticator": done.authenticator.as_str(),
        "ahead": done.ahead,
        "learned": done.learned,
        "waits": done.waits,
    });
    let said = Telling::of(ui, site, &whom, recorded)
        .conclude(keys, || say(ui, &whom, &done, now, &who.signed(recorded)));
    recorded.told(said, UNSAID, format!("totp-admin show {whom} shows it."))
}

fn say(ui: &Ui, whom: &Whom, done: &Resynchronised, now: UnixTime, record: &str) -> Result<()> {
    let off = times::span(done.ahead.unsigned_abs());
    let side = if done.ahead > 0 { "ahead of" } else { "behind" };
    let name = &done.authenticator;
    match (done.ahead, done.learned) {
        (0, _) => ui.done(format_args!("{name}: the clocks agree. {record}")),
        (_, true) => ui.done(format_args!(
            "{name}: its clock is {off} {side} this machine's; learned. {record}"
        )),
        (_, false) => {
            ui.done(format_args!("{name}: its clock is {off} {side} this machine's. {record}"))?;
            ui.warn("That is too far to be learned: set the clock that is wrong.");
            ui.note("  Until then a login takes three codes in a row.");
            if done.waits > 0 {
                ui.note(format_args!(
                    "  Single codes are not accepted before {}, also of a clock that was set right: \
                     totp-admin enroll --replace {whom}",
                    times::when(done.waits, now, &times::zone())
                ));
            }
            Ok(())
        }
    }
}
