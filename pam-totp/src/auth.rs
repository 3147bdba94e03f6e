//! The auth hook: who is it, is this login asked, and the dialogue if it is.
//!
//! The order is: look, route, prompt, lock, read again. What concerns one user's files alone waits until
//! after the same prompts that everybody gets; what concerns everybody (configuration, name service,
//! directories) ends the login at once.

use std::ffi::CStr;
use std::path::Path;

use totp_core::evaluate::Reason;
use totp_core::log;
use totp_core::name::UserName;
use totp_core::policy::{Config, Policy};
use totp_core::route::{Route, Skip, route};
use totp_core::store::{Fault, FaultKind, Found, Store};
use totp_store::clock;
use totp_store::files::Owner;
use totp_store::permanent::PermanentRecord;
use totp_store::store::FileStore;

use crate::arguments::Arguments;
use crate::configuration::{arguments, configuration};
use crate::facts::{Facts, text};
use crate::host::{Host, NoUser, Priority, ReturnCode};
use crate::judge::{Against, Judge};
use crate::mark::{Mark, Passed};
use crate::person::Person;
use crate::remembered::Device;
use crate::trial::Trial;

/// How long a failure takes, in microseconds. libpam varies it.
const FAIL_DELAY: u32 = 2_000_000;

/// Called when somebody is to prove who they are.
pub(crate) fn authenticate(host: &mut dyn Host, words: &[&CStr]) -> ReturnCode {
    // First of all: what an earlier call in this handle found out is void.
    if let Err(error) = host.clear_mark() {
        host.log(Priority::Error, &format!("{error}; login denied"));
        return ReturnCode::SystemErr;
    }
    let arguments = match arguments(host, words) {
        Ok(arguments) => arguments,
        Err(code) => return code,
    };
    let code = run(host, &arguments).unwrap_or_else(|denied| denied.0);
    let failed = matches!(code, ReturnCode::AuthErr | ReturnCode::SystemErr | ReturnCode::ConvErr);
    if failed && !arguments.nodelay {
        host.fail_delay(FAIL_DELAY);
    }
    code
}

/// Denied without a verdict; the log has the reason already.
struct Denied(ReturnCode);

fn run(host: &mut dyn Host, arguments: &Arguments) -> Result<ReturnCode, Denied> {
    let typed = typed_name(host)?;
    let config = configuration(host, arguments).map_err(|code| {
        host.log(Priority::Notice, &refused_for(&typed, Reason::Config));
        Denied(code)
    })?;
    let facts = Facts::collect(host);
    let policy = config.policy(&facts.service);
    let person = identify(host, &typed, &policy, &facts, arguments)?;
    let store = FileStore::new(
        Path::new(config.paths.state_dir.as_str()),
        Path::new(config.paths.run_dir.as_str()),
        Owner::ROOT,
    );
    let asked = match look(host, &store, &policy, &person)? {
        Asked::Yes(against) => unless_remembered(host, &config, &facts, &person, against),
        asked @ Asked::Not(_) => asked,
    };
    if arguments.debug {
        let line = format!("debug: user={} {facts:?} {asked}", person.user());
        host.log(Priority::Debug, &line);
    }
    let against = match asked {
        Asked::Not(skip) => {
            host.log(Priority::Info, &log::not_asked(person.user(), skip));
            return not_asked(host, &person, skip);
        }
        Asked::Yes(against) => against,
    };
    let rules = config.rules().ok_or(Denied(ReturnCode::ServiceErr))?; // checked when it was loaded
    let (origin, place) = (facts.origin(), facts.place());
    let judge = Judge { store: &store, rules, user: person.user(), origin, place, against };
    let record = PermanentRecord::new(Path::new(config.paths.log_file.as_str()), Owner::ROOT);
    let (uid, notices) = (person.uid(), None);
    let (facts, config, record) = (&facts, &config, &record);
    Ok(Trial { host, arguments, facts, config, record, judge, uid, notices }.run(&typed))
}

/// Leaves to account what is to be done there.
fn not_asked(host: &mut dyn Host, person: &Person, skip: Skip) -> Result<ReturnCode, Denied> {
    let passed = match skip {
        Skip::ToEnroll(enrollment) => Passed::ToEnroll(enrollment),
        Skip::MayEnroll { days } => Passed::MayEnroll { days },
        Skip::Remembered(_) => Passed::Remembered,
        Skip::Disabled | Skip::Exempt | Skip::ExemptNetwork | Skip::NotRequired => {
            return Ok(ReturnCode::Ignore);
        }
    };
    let (user, uid) = (person.user().clone(), person.uid());
    let made = clock::now();
    host.mark(Mark { user, uid, passed, made, notices: None }).map_err(|error| {
        host.log(Priority::Error, &format!("{error}; login denied"));
        Denied(ReturnCode::SystemErr)
    })?;
    Ok(ReturnCode::Ignore)
}

fn typed_name(host: &mut dyn Host) -> Result<Vec<u8>, Denied> {
    host.user().map_err(|error| {
        host.log(Priority::Error, &format!("no user name: {error}"));
        Denied(match error {
            NoUser::NoReply(_) => ReturnCode::ConvErr,
            NoUser::Failed(_) => ReturnCode::SystemErr,
        })
    })
}

fn identify(
    host: &dyn Host,
    typed: &[u8],
    policy: &Policy,
    facts: &Facts,
    arguments: &Arguments,
) -> Result<Person, Denied> {
    Person::identify(typed, policy, &facts.rhost, arguments.nullok).map_err(|error| {
        host.log(Priority::Error, &format!("{error}; login denied"));
        let line = refused_for(typed, Reason::Store(FaultKind::Unavailable));
        host.log(Priority::Notice, &line);
        Denied(ReturnCode::SystemErr)
    })
}

/// The line of the log for a name that nobody was looked up by.
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
    store: &S,
    policy: &Policy,
    person: &Person,
) -> Result<Asked, Denied> {
    let Person::Possible(facts) = person else {
        return Ok(Asked::Yes(Against::Decoy(Reason::NoAccount)));
    };
    let found = match store.look(person.user()) {
        Ok(found) => found,
        Err(fault) => {
            return in_spite_of(host, &fault, route(policy, facts, &Found::Absent), person);
        }
    };
    Ok(match route(policy, facts, &found) {
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

/// Somebody who is enrolled, and who comes with a device that is remembered, isn't asked. Everybody else is, those who
/// can't be let in as well.
fn unless_remembered(
    host: &dyn Host,
    config: &Config,
    facts: &Facts,
    person: &Person,
    against: Against,
) -> Asked {
    let Against::Own(Found::Enrolled(enrolled), None) = &against else {
        return Asked::Yes(against);
    };
    match Device::of(config, facts, enrolled.record.enrollment, clock::now()) {
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

/// What becomes of a login whose user's record can't be read. `as_if_absent` counts for nothing but the
/// exemptions that policy makes whatever the record says.
fn in_spite_of(
    host: &dyn Host,
    fault: &Fault,
    as_if_absent: Route,
    person: &Person,
) -> Result<Asked, Denied> {
    host.log(Priority::Error, &fault.to_string());
    match as_if_absent {
        Route::Skip(skip @ (Skip::Exempt | Skip::ExemptNetwork)) => Ok(Asked::Not(skip)),
        _ if fault.kind.is_the_users_own() => {
            Ok(Asked::Yes(Against::Decoy(Reason::Store(fault.kind))))
        }
        _ => Err(denied_by(host, fault, person)),
    }
}

/// Nobody can be let in: the reason goes to the log, the detail is there already.
fn denied_by(host: &dyn Host, fault: &Fault, person: &Person) -> Denied {
    let line = log::reason_alone(person.user(), Reason::Store(fault.kind), None);
    host.log(Priority::Notice, &line);
    Denied(ReturnCode::SystemErr)
}
