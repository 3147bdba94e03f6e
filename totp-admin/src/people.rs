//! From what the store and the name service know to what `show` and `list` say.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;
use std::sync::LazyLock;

use anyhow::{Context as _, Result, bail};
use totp_core::evaluate::recovery_codes_left;
use totp_core::policy::{Config, RecoveryMode};
use totp_core::prices::codes_required;
use totp_core::record::{Decision, Record};
use totp_core::route::{Route, Skip};
use totp_core::state::{Meter, Uses, Visit};
use totp_core::store::{Found, Opening, StateRead};
use totp_core::time::UnixTime;
use totp_store::accounts::{self, Account};
use totp_store::store::{ByUid, Expected, Inspected};

use crate::resolved::ResolvedPolicy;
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
        Found::Absent => missing(site, &ResolvedPolicy::of(site.config(), "")?, whom)?,
    })
}

/// Somebody about whom nothing is decided, where a second factor is required: now, or from some day on.
fn missing(site: &Site, resolved: &ResolvedPolicy, whom: &Whom) -> Result<Option<Person>> {
    let route = resolved.route(whom, &Found::Absent)?;
    let user = whom.name.as_str().to_owned();
    if let Route::Skip(Skip::Exempt | Skip::ExemptNetwork) = route {
        return Ok(None);
    }
    match whom.uid().map_or(Ok(ByUid::Nothing), |uid| site.store().by_uid(&whom.name, uid)) {
        Ok(ByUid::Nothing | ByUid::Disabled(_)) => {}
        // Listed under that name.
        Ok(ByUid::One(..)) => return Ok(None),
        Ok(ByUid::Several(names)) => {
            let names = names.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            let problem = format!("several enrollments have its uid, denied: {names}");
            let missing = Person::new(user, Status::Missing);
            return Ok(Some(Person { problem: Some(problem), ..missing }));
        }
        Err(fault) => return Ok(Some(damaged(user, fault.to_string()))),
    }
    let may_enroll_until = match route {
        Route::Ask { pretext: Some(_) } => None,
        Route::Skip(Skip::MayEnroll { .. }) => resolved.policy.enroll_by.map(|day| day.to_string()),
        Route::Ask { pretext: None } | Route::Skip(_) => return Ok(None),
    };
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
    let resolved = ResolvedPolicy::of(site.config(), "")?;
    for whom in people_with_a_shell()? {
        if !decided.contains(&whom.name.file_name()) {
            people.extend(missing(site, &resolved, &whom)?);
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
        Found::Pending(opening) => {
            let left = enrollment_logins_left(opening, &inspected.meter);
            let over = opening.pending.until <= site.now();
            let status = if left == Some(0) && !over { Status::UsedUp } else { Status::Pending };
            Person {
                pending_until: Some(opening.pending.until),
                enrollment_logins_left: left,
                last_login: last_login_before(site, whom),
                ..decided(Person::new(user, status), &opening.pending.decision)
            }
        }
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
    if let Some(problem) = problem(site, whom, inspected) {
        person.problem = Some(problem.1);
        person.status = problem.0.unwrap_or(person.status);
    }
    person.account_uid = whom.uid();
    person.renamed_to = renamed_to(whom, person.uid);
    person.home_made = home_made_later(whom, inspected);
    person
}

/// The account that has the uid of an enrollment whose own account is gone or another one.
fn renamed_to(whom: &Whom, uid: Option<u32>) -> Option<String> {
    let uid = uid.filter(|uid| whom.uid() != Some(*uid))?;
    let account = accounts::account_of(uid).ok()??;
    Some(account.name.as_str().to_owned())
}

/// When the home directory was made, where that was after the enrollment: a hint that the account is another person's. Homes
/// of accounts that are not in `/etc/passwd` are made at the first login, or lie on a server that may not answer.
fn home_made_later(whom: &Whom, inspected: &Inspected) -> Option<UnixTime> {
    let Found::Enrolled(enrolled) = &inspected.found else { return None };
    static LOCAL: LazyLock<BTreeSet<String>> = LazyLock::new(accounts::local_names);
    let account = whom.account.as_ref().filter(|account| LOCAL.contains(account.name.as_str()))?;
    account.home_made().filter(|made| *made > enrolled.record.decision.since)
}

/// When somebody who is switched off last logged in with a code. A state that can't be read is no reason to show nothing
/// else.
fn last_login_before(site: &Site, whom: &Whom) -> Option<Visited> {
    site.store().last_login(&whom.name).ok().flatten().as_ref().map(visited)
}

/// How many logins the enrollment code still grants; `None` where there is no code.
fn enrollment_logins_left(opening: &Opening, meter: &Meter) -> Option<u8> {
    opening.pending.code.as_ref()?;
    let StateRead::Good(state) = &opening.state else { return Some(0) };
    // The meter knows of more where a block was lost.
    let repeated = meter.repeated.iter();
    let known = repeated.filter(|known| known.enrollment == opening.pending.enrollment);
    let opened = known.map(|known| known.opened).fold(state.once.opened, Uses::and);
    Some(opened.left())
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
        uid: decision.uid,
        contact: Some(decision.contact.clone()),
        since: Some(decision.since),
        by: Some(decision.by.clone()),
        record: Some(decision.seq),
        ..person
    }
}

/// What is wrong although the files can be read, and the status where it keeps the user out.
fn problem(site: &Site, whom: &Whom, inspected: &Inspected) -> Option<(Option<Status>, String)> {
    let (uid, enrolled) = match &inspected.found {
        Found::Enrolled(enrolled) => (enrolled.record.decision.uid, Some(enrolled)),
        Found::Disabled(tombstone) => (tombstone.decision.uid, None),
        Found::Pending(opening) => (opening.pending.decision.uid, None),
        Found::Absent => return None,
    };
    match (uid, whom.uid()) {
        (Some(then), Some(now)) if then != now => {
            let text = match site.other_owner(whom) {
                Ok(Some(owner)) => format!(
                    "the account has uid {now}: refused; {}",
                    is_the_owners(site, whom, &owner, &inspected.found)
                ),
                Ok(None) => format!(
                    "decided for uid {then}, the account has uid {now}: refused; the same person: totp-admin rename --uid \
                     {whom}, another: totp-admin remove {whom}"
                ),
                // Which of these commands is right can't be told.
                Err(error) => {
                    format!("decided for uid {then}, the account has uid {now}: refused; {error:#}")
                }
            };
            return Some((Some(Status::Damaged), text));
        }
        (Some(_), None) => {
            let text = match site.other_owner(whom) {
                Ok(Some(owner)) => format!(
                    "the account is gone; {}",
                    is_the_owners(site, whom, &owner, &inspected.found)
                ),
                Ok(None) => "the account is gone: totp-admin remove".to_owned(),
                Err(error) => format!("the account is gone; {error:#}"),
            };
            return Some((None, text));
        }
        (None, Some(now)) => {
            let text = format!(
                "decided without an account, for whoever has the name; the account with uid {now} is the same person's: \
                 totp-admin rename --uid {whom}, another's: totp-admin remove {whom}"
            );
            return Some((None, text));
        }
        _ => {}
    }
    if enrolled.is_some_and(|one| matches!(one.state, StateRead::Lost { .. })) {
        let text = "the state is lost; the next login begins it anew, recovery codes are void";
        return Some((None, text.to_owned()));
    }
    inspected.volatile.then(|| (None, "the disk can't be written: the state is in /run".to_owned()))
}

/// That an account of another name has the uid now. Only a disabled marker that denies follows it.
fn is_the_owners(site: &Site, whom: &Whom, owner: &Account, found: &Found) -> String {
    let (uid, new) = (owner.uid, owner.name.as_str());
    let another = match &whom.account {
        Some(_) => format!("; if {new} is another person: totp-admin enroll {new}"),
        None => String::new(),
    };
    match found {
        Found::Disabled(_) if !site.switched_off_is_denied() => {
            format!(
                "uid {uid} is {new}'s, who is not disabled by this: totp-admin rename {whom} {new}"
            )
        }
        // Whoever is still to enroll is refused until then.
        Found::Pending(_) | Found::Disabled(_) => {
            format!("uid {uid} is {new}'s: totp-admin rename {whom} {new}")
        }
        Found::Enrolled(_) | Found::Absent => format!(
            "uid {uid} is {new}'s, who logs in with this: totp-admin rename {whom} {new}{another}"
        ),
    }
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
    ResolvedPolicy::of(config, service)?.locks_out(whom, &Found::Absent)
}

/// The accounts of the name service, as far as it lists them: lines of passwd(5).
/// getent(1) asks it; what libc offers for that is not safe to call.
pub fn listed_accounts() -> Result<String> {
    let answer =
        Command::new("/usr/bin/getent").arg("passwd").output().context("cannot run getent")?;
    if !answer.status.success() {
        bail!("the name service does not enumerate accounts (getent passwd: {})", answer.status);
    }
    Ok(String::from_utf8_lossy(&answer.stdout).into_owned())
}

/// The accounts that can log in: those with a shell of shells(5), as far as the name service enumerates them.
pub fn people_with_a_shell() -> Result<Vec<Whom>> {
    let shells = fs::read_to_string("/etc/shells").context("cannot read /etc/shells")?;
    let mut people = Vec::new();
    for name in logins(&listed_accounts()?, &shells) {
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
    found: impl Fn(&Whom) -> Option<Found>,
) -> Result<Vec<String>> {
    let services: BTreeSet<&str> =
        before.service.keys().chain(after.service.keys()).map(String::as_str).collect();
    let both = |service| -> Result<(ResolvedPolicy, ResolvedPolicy)> {
        Ok((ResolvedPolicy::of(before, service)?, ResolvedPolicy::of(after, service)?))
    };
    let general = both("")?;
    let of_services = services.iter().map(|name| Ok((name, both(name)?)));
    let of_services = of_services.collect::<Result<Vec<_>>>()?;
    let mut names = Vec::new();
    for whom in &people_with_a_shell()? {
        let Some(found) = found(whom) else { continue };
        let kept_out = |(before, after): &(ResolvedPolicy, ResolvedPolicy)| -> Result<bool> {
            Ok(after.locks_out(whom, &found)? && !before.locks_out(whom, &found)?)
        };
        if kept_out(&general)? {
            names.push(whom.name.as_str().to_owned());
            continue;
        }
        for (service, both) in &of_services {
            if kept_out(both)? {
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
