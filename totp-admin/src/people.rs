//! From what the store and the name service know to what `show` and `list` say.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use totp_core::evaluate::recovery_codes_left;
use totp_core::name::UserName;
use totp_core::policy::{Config, Policy, RecoveryMode, Require, Who};
use totp_core::prices::codes_required;
use totp_core::record::{Decision, Record};
use totp_core::route::{self, Facts, Route, Skip, route};
use totp_core::state::Visit;
use totp_core::store::{Found, StateRead};
use totp_store::accounts::{self, Account};
use totp_store::clock;
use totp_store::store::{Expected, Inspected};

use crate::site::{Site, Whom};
use crate::times;
use crate::ui::{Ui, printable};
use crate::view::{self, Device, Person, Status, Visited};

/// What is known about one user; `None` where that is nothing, and nothing is required either.
pub fn person(site: &Site, whom: &Whom) -> Result<Option<Person>> {
    let inspected = site.store().inspect(&whom.name)?;
    Ok(match &inspected.found {
        Found::Enrolled(_) | Found::Disabled(_) | Found::Pending(_) => {
            Some(of_found(site, whom, &inspected))
        }
        Found::Absent => missing(site, whom)?,
    })
}

/// Somebody about whom nothing is decided, where a second factor is required: now, or from some day on.
fn missing(site: &Site, whom: &Whom) -> Result<Option<Person>> {
    let policy = site.config().policy("");
    let facts = facts(&policy, whom)?;
    let may_enroll_until = match route(&policy, &facts, &Found::Absent) {
        Route::Ask { pretext: Some(_) } => None,
        Route::Skip(Skip::MayEnroll { .. }) => policy.enroll_by.map(|day| day.to_string()),
        Route::Ask { pretext: None } | Route::Skip(_) => return Ok(None),
    };
    let user = whom.name.as_str().to_owned();
    Ok(Some(Person { may_enroll_until, ..Person::new(user, Status::Missing) }))
}

/// Whom a change is about to hit, before it is asked whether that is meant.
pub fn introduce(ui: &Ui, site: &Site, whom: &Whom, expected: Expected) {
    if expected == Expected::Unusable {
        let fault = site.store().inspect(&whom.name).err();
        let fault = fault.map_or_else(|| "it cannot be used".to_owned(), |fault| fault.to_string());
        ui.warn(format_args!("{whom}'s record is damaged: {}", printable(&fault)));
    }
    let person = person(site, whom).ok().flatten();
    if let Some(line) = person.and_then(|one| view::introduction(&one, site.now(), &times::zone()))
    {
        ui.note(line);
    }
}

/// Everybody about whom something is decided, and who is required and not enrolled; by name.
pub fn everybody(site: &Site) -> Result<Vec<Person>> {
    let mut people = Vec::new();
    let mut decided = BTreeSet::new();
    for (file, entry) in site.store().everybody(site.now())? {
        decided.insert(file.clone());
        people.push(match entry {
            Ok(entry) => {
                let name = entry.decision().user.clone();
                let whom = Whom { account: accounts::account(name.as_str())?, name };
                match site.store().inspect(&whom.name) {
                    Ok(inspected) => of_found(site, &whom, &inspected),
                    Err(fault) => damaged(whom.name.as_str().to_owned(), fault.to_string()),
                }
            }
            // The name in the file can't be believed; that of the file is what there is.
            Err(fault) => damaged(file, fault.to_string()),
        });
    }
    for whom in people_with_a_shell()? {
        if !decided.contains(&whom.name.file_name()) {
            people.extend(missing(site, &whom)?);
        }
    }
    people.sort_by(|one, other| one.user.cmp(&other.user));
    Ok(people)
}

fn damaged(user: String, problem: String) -> Person {
    Person { problem: Some(problem), ..Person::new(user, Status::Damaged) }
}

fn of_found(site: &Site, whom: &Whom, inspected: &Inspected) -> Person {
    let user = whom.name.as_str().to_owned();
    let mut person = match &inspected.found {
        Found::Absent => return Person::new(user, Status::Missing), // erased a moment ago
        Found::Disabled(tombstone) => Person {
            reason: tombstone.reason.clone(),
            last_login: last_login_before(site, whom),
            ..decided(Person::new(user, Status::Disabled), &tombstone.decision)
        },
        Found::Pending(opening) => Person {
            pending_until: Some(opening.pending.until),
            last_login: last_login_before(site, whom),
            ..decided(Person::new(user, Status::Pending), &opening.pending.decision)
        },
        Found::Enrolled(enrolled) => {
            let (record, state) = (&enrolled.record, &enrolled.state);
            Person {
                authenticators: devices(record, state),
                recovery_codes_left: recovery_codes(site, record, inspected),
                // What can't be read is nobody's: `remembered list` says why.
                remembered: crate::devices::remembered(site, record).ok().map(|all| all.len()),
                codes_required: Some(codes_required(
                    site.rules(),
                    record,
                    &inspected.meter,
                    site.now(),
                )),
                last_login: match state {
                    StateRead::Good(state) => state.last_login.as_ref().map(visited),
                    StateRead::Lost { .. } => None,
                },
                last_failure: inspected.meter.last_failure.as_ref().map(visited),
                ..decided(Person::new(user, Status::Active), &record.decision)
            }
        }
    };
    if let Some(problem) = problem(whom, inspected) {
        person.problem = Some(problem.1);
        person.status = problem.0.unwrap_or(person.status);
    }
    person
}

/// When somebody who is switched off last logged in with a code. A state that can't be read is no reason to show nothing
/// else.
fn last_login_before(site: &Site, whom: &Whom) -> Option<Visited> {
    site.store().last_login(&whom.name).ok().flatten().as_ref().map(visited)
}

/// How many are good; `None` where the feature is off and there are none.
fn recovery_codes(site: &Site, record: &Record, inspected: &Inspected) -> Option<u64> {
    if record.recovery.is_none() && site.config().recovery.mode == RecoveryMode::Off {
        return None;
    }
    let Found::Enrolled(enrolled) = &inspected.found else { return None };
    Some(match &enrolled.state {
        StateRead::Good(state) => {
            u64::try_from(recovery_codes_left(record, &state.once)).unwrap_or(u64::MAX)
        }
        StateRead::Lost { .. } => 0,
    })
}

fn decided(person: Person, decision: &Decision) -> Person {
    Person {
        contact: Some(decision.contact.clone()),
        since: Some(decision.since),
        by: Some(decision.by.clone()),
        record: Some(decision.seq),
        ..person
    }
}

/// What is wrong although the files can be read, and the status where it keeps the user out.
fn problem(whom: &Whom, inspected: &Inspected) -> Option<(Option<Status>, String)> {
    let (uid, enrolled) = match &inspected.found {
        Found::Enrolled(enrolled) => (enrolled.record.decision.uid, Some(enrolled)),
        Found::Disabled(tombstone) => (tombstone.decision.uid, None),
        Found::Pending(opening) => (opening.pending.decision.uid, None),
        Found::Absent => return None,
    };
    match (uid, whom.uid()) {
        (Some(then), Some(now)) if then != now => {
            let text = format!(
                "decided for uid {then}, the account has uid {now}: a recycled name, refused"
            );
            return Some((Some(Status::Damaged), text));
        }
        (Some(_), None) => {
            return Some((None, "the account is gone: totp-admin remove".to_owned()));
        }
        _ => {}
    }
    if enrolled.is_some_and(|one| matches!(one.state, StateRead::Lost { .. })) {
        let text = "the state is lost; the next login begins it anew, recovery codes are void";
        return Some((None, text.to_owned()));
    }
    inspected.volatile.then(|| (None, "the disk can't be written: the state is in /run".to_owned()))
}

fn devices(record: &Record, state: &StateRead) -> Vec<Device> {
    let device = |one: &totp_core::record::Authenticator| {
        let totp = one.kind.totp();
        let spent = match state {
            StateRead::Good(state) => state.spent(&one.name).map(|spent| *spent.totp()),
            StateRead::Lost { .. } => None,
        };
        Device {
            name: one.name.as_str().to_owned(),
            kind: one.kind.as_str(),
            digits: totp.digits.count(),
            period: totp.period.seconds(),
            algorithm: totp.algorithm.as_str(),
            drift: spent.map(|spent| spent.drift),
            last_used: spent.and_then(|spent| spent.used),
        }
    };
    record.authenticators.iter().map(device).collect()
}

fn visited(visit: &Visit) -> Visited {
    let from = Some(visit.place.from.clone()).filter(|from| !from.is_empty());
    Visited { time: visit.time, service: visit.place.service.clone(), from }
}

/// Whether somebody about whom nothing is decided is asked for a code all the same, and so can't log in.
pub fn is_locked_out(config: &Config, service: &str, whom: &Whom) -> Result<bool> {
    cannot_log_in(config, service, whom, &Found::Absent)
}

/// Whether somebody is asked for a code who has none.
fn cannot_log_in(config: &Config, service: &str, whom: &Whom, found: &Found) -> Result<bool> {
    let policy = config.policy(service);
    let facts = facts(&policy, whom)?;
    Ok(matches!(route(&policy, &facts, found), Route::Ask { pretext: Some(_) }))
}

fn facts(policy: &Policy, whom: &Whom) -> Result<Facts> {
    let required = match &policy.require {
        Require::These(these) => these.as_slice(),
        Require::Everyone | Require::Enrolled => &[],
    };
    let groups = policy.exempt.iter().chain(required).filter_map(|who| match who {
        Who::Group(name) => Some(name.as_str()),
        Who::User(_) => None,
    });
    let account = match &whom.account {
        None => None,
        Some(account) => Some(known_account(account, groups)?),
    };
    let (user, rhost) = (whom.name.clone(), String::new());
    Ok(Facts { user, account, rhost, nullok: false, now: clock::now() })
}

fn known_account<'a>(
    account: &Account,
    groups: impl Iterator<Item = &'a str>,
) -> Result<route::Account> {
    let groups = accounts::groups_among(account, groups)?.into_iter().map(str::to_owned).collect();
    Ok(route::Account { uid: account.uid, groups })
}

/// The accounts that can log in: those with a shell of shells(5), as far as the name service enumerates them.
/// getent(1) asks it; what libc offers for that is not safe to call.
pub fn people_with_a_shell() -> Result<Vec<Whom>> {
    let shells = fs::read_to_string("/etc/shells").context("cannot read /etc/shells")?;
    let answer =
        Command::new("/usr/bin/getent").arg("passwd").output().context("cannot run getent")?;
    if !answer.status.success() {
        bail!("the name service does not enumerate accounts (getent passwd: {})", answer.status);
    }
    let mut people = Vec::new();
    for name in logins(&String::from_utf8_lossy(&answer.stdout), &shells) {
        if let Some(account) = accounts::account(&name)? {
            people.push(Whom { name: account.name.clone(), account: Some(account) });
        }
    }
    Ok(people)
}

/// The names of passwd(5) lines whose shell is in shells(5); a line without a shell means /bin/sh.
fn logins(passwd: &str, shells: &str) -> Vec<String> {
    let shells: BTreeSet<&str> =
        shells.lines().map(str::trim).filter(|line| line.starts_with('/')).collect();
    let login = |line: &str| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let shell = fields.nth(5)?;
        shells.contains(if shell.is_empty() { "/bin/sh" } else { shell }).then(|| name.to_owned())
    };
    passwd.lines().filter_map(login).collect()
}

/// Whom, of those who can log in now, `after` would keep out: names, with the service where it is not all.
/// `found` is what is decided about somebody; `None` for who has a second factor, and can always use it.
pub fn newly_locked_out(
    before: &Config,
    after: &Config,
    found: impl Fn(&UserName) -> Option<Found>,
) -> Result<Vec<String>> {
    let services: BTreeSet<&str> =
        before.service.keys().chain(after.service.keys()).map(String::as_str).collect();
    let mut names = Vec::new();
    for whom in &people_with_a_shell()? {
        let Some(found) = found(&whom.name) else { continue };
        let kept_out = |service| -> Result<bool> {
            Ok(cannot_log_in(after, service, whom, &found)?
                && !cannot_log_in(before, service, whom, &found)?)
        };
        if kept_out("")? {
            names.push(whom.name.as_str().to_owned());
            continue;
        }
        for service in &services {
            if kept_out(service)? {
                names.push(format!("{} ({service})", whom.name.as_str()));
            }
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_can_log_in_is_told_by_the_shell() {
        let passwd = "root:x:0:0:root:/root:/bin/bash\ndaemon:x:1:1::/:/usr/sbin/nologin\n\
                      old:x:5:5::/:\nbroken\nalice:x:1000:1000:,,,:/home/alice:/bin/bash\n";
        let shells = "# shells\n/bin/sh\n /bin/bash\n";
        assert_eq!(logins(passwd, shells), ["root", "old", "alice"]);
    }
}
