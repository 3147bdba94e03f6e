//! The auth hook: who the user is, whether this login is challenged, and the dialogue if it is.
//!
//! The order is: look, route, prompt, lock, read again. What concerns one user's files alone waits until
//! after the same prompts that all users get; what concerns all users (configuration, name service,
//! directories) ends the login at once.

use totp_core::evaluate::Reason;
use totp_core::log;
use totp_core::name::UserName;
use totp_core::policy::Config;
use totp_core::route::{self, Route, Skip, route};
use totp_core::store::{Fault, FaultKind, Found, Store};
use totp_store::clock;
use totp_store::coverage::CoverageError;
use totp_store::installation::Installation;

use super::arguments::Arguments;
use super::configuration::{arguments, installation};
use super::facts::{Facts, text};
use super::host::{Host, Priority, ReturnCode, Typed};
use super::judge::{Against, Judge};
use super::mark::{Mark, Outcome, Passed};
use super::person::{self, Person};
use super::remembered::Device;
use super::trial::Trial;
use super::{Decision, Logins};
use crate::request::{Caller, Request};

/// How long a failure takes, in microseconds. libpam varies it.
const FAIL_DELAY: u32 = 2_000_000;

/// Called when a user is to prove who they are.
pub(crate) fn authenticate(
    host: &mut dyn Host,
    request: &mut Request,
    logins: &Logins,
) -> Decision {
    let arguments = match arguments(host, request) {
        Ok(arguments) => arguments,
        Err(code) => return Decision::refused(code),
    };
    let decision =
        run(host, request, &arguments, logins).unwrap_or_else(|denied| Decision::refused(denied.0));
    let code = decision.code;
    let failed = matches!(code, ReturnCode::AuthErr | ReturnCode::SystemErr | ReturnCode::ConvErr);
    if failed && !arguments.nodelay {
        host.fail_delay(FAIL_DELAY);
    }
    decision
}

/// Denied without a verdict; the log has the reason already.
struct Denied(ReturnCode);

fn run(
    host: &mut dyn Host,
    request: &mut Request,
    arguments: &Arguments,
    logins: &Logins,
) -> Result<Decision, Denied> {
    let typed = request.user.clone();
    if request.service.is_none() {
        host.log(
            Priority::Error,
            "the name of the service is longer than that of a file; login denied",
        );
        return Err(Denied(ReturnCode::ServiceErr));
    }
    let site = installation(host, arguments, logins).map_err(|code| {
        host.log(Priority::Notice, &refused_for(&typed, Reason::Config));
        Denied(code)
    })?;
    let facts = Facts::of(request);
    let config = site.config();
    let person = identify(host, &typed, config, &facts, arguments)?;
    let store = site.store();
    let asked = match look(host, &site, &store, &facts.service, &person)? {
        Asked::Yes(against) => unless_remembered(host, &site, &facts, &person, against),
        asked @ Asked::Not(_) => asked,
    };
    let asked = of_the_caller(asked, request.caller, &person);
    if arguments.debug {
        let line = format!("debug: user={} {facts:?} {asked}", person.user());
        host.log(Priority::Debug, &line);
    }
    let against = match asked {
        Asked::Not(skip) => {
            host.log(Priority::Info, &log::not_asked(person.user(), skip));
            return Ok(not_asked(&person, skip));
        }
        Asked::Yes(against) => against,
    };
    let rules = config.rules().ok_or(Denied(ReturnCode::ServiceErr))?; // checked when it was loaded
    let (origin, place) = (facts.origin(), facts.place());
    let judge = Judge { store: &store, rules, user: person.user(), origin, place, against };
    let record = site.audit_log();
    let (uid, notices) = (person.uid(), None);
    let (facts, site, record) = (&facts, &site, &record);
    let authtok =
        request.authtok.take().map(|mut password| Typed::new(std::mem::take(&mut *password)));
    let turns = &logins.turns;
    let trial = Trial { host, arguments, facts, site, record, judge, turns, uid, notices };
    Ok(trial.run(&typed, authtok))
}

/// A program that is not root asks about the account that it runs as. About any other one it gets the same prompts, and a
/// refusal; and no program of a user's own enrolls.
fn of_the_caller(asked: Asked, caller: Caller, person: &Person) -> Asked {
    match (caller, asked) {
        (Caller::Root { .. }, asked) => asked,
        (Caller::User { uid }, _) if person.uid() != Some(uid) => {
            Asked::Yes(Against::Decoy(Reason::Caller))
        }
        (
            Caller::User { .. },
            Asked::Not(Skip::ToEnroll(_)) | Asked::Yes(Against::Own(Found::Pending(_), _)),
        ) => Asked::Yes(Against::Decoy(Reason::NotEnrolled)),
        (Caller::User { .. }, asked) => asked,
    }
}

/// Leaves to account what is to be done there.
fn not_asked(person: &Person, skip: Skip) -> Decision {
    let passed = |how| Outcome::Passed { how, notices: None };
    let outcome = match skip {
        Skip::ToEnroll(enrollment) => passed(Passed::ToEnroll(enrollment)),
        Skip::MayEnroll { days } => passed(Passed::MayEnroll { days }),
        Skip::Remembered(_) => passed(Passed::Remembered),
        Skip::Disabled | Skip::Exempt | Skip::ExemptNetwork | Skip::NotRequired => {
            Outcome::NotChallenged
        }
    };
    let (user, uid, made) = (person.user().clone(), person.uid(), clock::now());
    Decision::marked(ReturnCode::Ignore, Mark { user, uid, made, outcome })
}

fn identify(
    host: &dyn Host,
    typed: &[u8],
    config: &Config,
    facts: &Facts,
    arguments: &Arguments,
) -> Result<Person, Denied> {
    let (service, rhost) = (&facts.service, &facts.rhost);
    Person::identify(typed, config, service, rhost, arguments.nullok)
        .map_err(|error| not_found_out(host, &error, &text(typed)))
}

/// Who the user is, or whom policy means, can't be found out: no login is granted.
fn not_found_out(host: &dyn Host, error: &CoverageError, user: &str) -> Denied {
    host.log(Priority::Error, &format!("{error}; login denied"));
    let line = refused_for(user.as_bytes(), Reason::Store(FaultKind::Unavailable));
    host.log(Priority::Notice, &line);
    Denied(ReturnCode::SystemErr)
}

/// The line of the log for a name that was not looked up.
fn refused_for(typed: &[u8], reason: Reason) -> String {
    format!("reason={} user={}", reason.as_str(), log::one_word(&text(typed)))
}

/// Whether this login is asked.
enum Asked {
    Not(Skip),
    Yes(Against),
}

impl std::fmt::Display for Asked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Not(skip) => write!(f, "not asked: {skip}"),
            Self::Yes(Against::Own(_, None)) => f.write_str("asked"),
            Self::Yes(Against::Own(_, Some(reason)) | Against::Decoy(reason)) => {
                write!(f, "asked, and refused: {}", reason.as_str())
            }
        }
    }
}

fn look<S: Store>(
    host: &dyn Host,
    site: &Installation,
    store: &S,
    service: &str,
    person: &Person,
) -> Result<Asked, Denied> {
    let Person::Possible(facts, account) = person else {
        return Ok(Asked::Yes(Against::Decoy(Reason::NoAccount)));
    };
    let config = site.config();
    let policy = config.policy(service);
    let found = match store.look(person.user()) {
        Ok(found) => found,
        Err(fault) => {
            return in_spite_of(host, &fault, route::exemption(&policy, facts), person);
        }
    };
    let mut facts = facts.clone();
    if matches!(found, Found::Absent) {
        facts.required = person::required(config, service, facts.nullok, account.as_ref())
            .map_err(|error| not_found_out(host, &error, facts.user.as_str()))?;
    }
    let decided = route(&policy, &facts, &found);
    for unresolved in route::counted(&facts, decided) {
        let line = format!("{}: {unresolved}", site.config_path().display());
        host.log(Priority::Warning, &line);
    }
    Ok(match decided {
        Route::Skip(skip) => Asked::Not(skip),
        // There is something, and it is not for this person: it must not be what is evaluated.
        Route::Ask { pretext: Some(reason) } if !matches!(found, Found::Absent) => {
            if reason == Reason::Store(FaultKind::RecordRefused) {
                host.log(Priority::Error, &recycled(person.user()));
            }
            Asked::Yes(Against::Decoy(reason))
        }
        Route::Ask { pretext } => Asked::Yes(Against::Own(found, pretext)),
    })
}

/// An enrolled user with a remembered device isn't asked. All others are, also those who can't be granted access.
fn unless_remembered(
    host: &dyn Host,
    site: &Installation,
    facts: &Facts,
    person: &Person,
    against: Against,
) -> Asked {
    let Against::Own(Found::Enrolled(enrolled), None) = &against else {
        return Asked::Yes(against);
    };
    match Device::of(site, facts, enrolled.record.enrollment, clock::now()) {
        Some(device) if device.is_known(host, person.user()) => {
            Asked::Not(Skip::Remembered(device.arrival.key))
        }
        _ => Asked::Yes(against),
    }
}

/// The remedy where a record was made for an earlier account of this name.
fn recycled(user: &UserName) -> String {
    format!(
        "what was decided about {user} was about an account with another uid; \
         if this one is new: totp-admin remove {user}"
    )
}

/// What becomes of a login whose user's record can't be read: exemptions hold whatever the record says.
fn in_spite_of(
    host: &dyn Host,
    fault: &Fault,
    exemption: Option<Skip>,
    person: &Person,
) -> Result<Asked, Denied> {
    host.log(Priority::Error, &fault.to_string());
    match exemption {
        Some(skip) => Ok(Asked::Not(skip)),
        None if fault.kind.is_the_users_own() => {
            Ok(Asked::Yes(Against::Decoy(Reason::Store(fault.kind))))
        }
        None => Err(denied_by(host, fault, person)),
    }
}

/// No login can be granted: the reason goes to the log, the detail is there already.
fn denied_by(host: &dyn Host, fault: &Fault, person: &Person) -> Denied {
    let line = log::reason_alone(person.user(), Reason::Store(fault.kind), None);
    host.log(Priority::Notice, &line);
    Denied(ReturnCode::SystemErr)
}
