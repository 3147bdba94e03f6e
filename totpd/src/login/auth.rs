//! The auth hook: who the user is, whether this login is challenged, and the dialogue if it is.
//!
//! The order is: look, route, prompt, lock, read again. What concerns one user's files alone waits until
//! after the same prompts that all users get; what concerns all users (configuration, name service,
//! directories) ends the login at once.

use totp_core::evaluate::Reason;
use totp_core::log;
use totp_core::name::UserName;
use totp_core::policy::{Config, Display};
use totp_core::route::{self, Route, Skip, route};
use totp_core::store::{Fault, FaultKind, Found};
use totp_store::clock;
use totp_store::coverage::CoverageError;
use totp_store::installation::Installation;
use totp_store::store::FileStore;

use super::arguments::Arguments;
use super::caller::Standing;
use super::configuration::{arguments, installation};
use super::facts::{Facts, text};
use super::first_factor::{self, Missing};
use super::host::{Host, Priority, ReturnCode, Typed};
use super::judge::{Against, Claim, Judge};
use super::kept::{self, Kept};
use super::mark::{Mark, Outcome, Passed};
use super::pam_stack;
use super::person::{self, Person};
use super::remembered::Device;
use super::trial::Trial;
use super::{Decision, Logins};
use crate::request::Request;

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
    let mut facts = Facts::of(request);
    first_factor::ensure_given(host, request, arguments, &facts)
        .map_err(|Missing| Denied(ReturnCode::AuthErr))?;
    let site = installation(host, arguments, logins).map_err(|code| {
        host.log(Priority::Notice, &refused_for(&typed, Reason::Config));
        Denied(code)
    })?;
    let config = site.config();
    let person = identify(host, &typed, config, &facts)?;
    let standing = Standing::of(host, request, &person, config, logins, &mut facts);
    let nullok = arguments.nullok && standing.may_say_nullok();
    let person = if nullok { person.with_nullok() } else { person };
    let store = site.store();
    let (asked, kept) = look(host, &site, &store, &facts.service, &person)?;
    let asked = match asked {
        Asked::Yes(against) => unless_remembered(host, &site, &facts, &kept, against),
        asked @ Asked::Not(_) => asked,
    };
    let asked = standing.limit(asked);
    let display = facts.display(&config.policy(&facts.service));
    let asked = where_keys_are_private(asked, display);
    if arguments.debug {
        let line = format!("debug: user={} {facts:?} {asked}", person.user());
        host.log(Priority::Debug, &line);
    }
    let against = match asked {
        Asked::Not(skip) => {
            let line = log::with_name(log::not_asked(person.user(), skip), person.user(), &kept);
            host.log(Priority::Info, &line);
            let is_offered = match skip {
                Skip::ToEnroll(_) => true,
                Skip::MayEnroll { .. } => display == Display::Private,
                _ => false,
            };
            if is_offered && request.caller.is_root() {
                pam_stack::warn_without_account_line(host, &facts.service, person.user());
            }
            let code = first_factor::not_challenged(arguments);
            return Ok(not_asked(&person, kept, skip, code));
        }
        Asked::Yes(against) => against,
    };
    let rules = config.rules().ok_or(Denied(ReturnCode::ServiceErr))?; // checked when it was loaded
    let (origin, place) = (facts.origin(), facts.place());
    let account = Claim { uid: person.uid(), by_name: kept == *person.user() };
    let judge = Judge { store: &store, rules, user: &kept, account, origin, place, against };
    let record = site.audit_log();
    let (user, refused_one) = (person.user(), false);
    let (facts, site, record) = (&facts, &site, &record);
    let authtok =
        request.authtok.take().map(|mut password| Typed::new(std::mem::take(&mut *password)));
    let turns = &logins.turns;
    let trial = Trial { host, arguments, facts, site, record, judge, turns, user, refused_one };
    Ok(trial.run(&typed, authtok))
}

/// An enrollment code is refused where the enrollment would be: otherwise account refuses, and one of the three logins that
/// the code is good for is gone. Nothing is evaluated, and the prompts are those of a wrong code.
fn where_keys_are_private(asked: Asked, display: Display) -> Asked {
    match asked {
        Asked::Yes(Against::Own(Found::Pending(_), None)) if display != Display::Private => {
            Asked::Yes(Against::Decoy(Reason::EnrollElsewhere))
        }
        asked => asked,
    }
}

/// Leaves to account what is to be done there.
fn not_asked(person: &Person, kept: UserName, skip: Skip, code: ReturnCode) -> Decision {
    let outcome = match skip {
        Skip::ToEnroll(enrollment) => Outcome::Passed(Passed::ToEnroll(enrollment)),
        Skip::MayEnroll { days } => Outcome::Passed(Passed::MayEnroll { days }),
        Skip::Remembered(_) => Outcome::Passed(Passed::Remembered),
        Skip::Disabled | Skip::Exempt | Skip::ExemptNetwork | Skip::NotRequired => {
            Outcome::NotChallenged
        }
    };
    let (user, uid, made) = (person.user().clone(), person.uid(), clock::now());
    let enrolled_as = Some(kept).filter(|kept| *kept != user);
    Decision::marked(code, Mark { user, uid, enrolled_as, made, outcome })
}

fn identify(
    host: &dyn Host,
    typed: &[u8],
    config: &Config,
    facts: &Facts,
) -> Result<Person, Denied> {
    let (service, rhost) = (&facts.service, &facts.rhost);
    Person::identify(typed, config, service, rhost)
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
pub(super) fn refused_for(typed: &[u8], reason: Reason) -> String {
    format!("reason={} user={}", reason.as_str(), log::one_word(&text(typed)))
}

/// Whether this login is asked.
pub(super) enum Asked {
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

/// Whether this login is asked, and the name under which what is kept about the user is found.
fn look(
    host: &dyn Host,
    site: &Installation,
    store: &FileStore,
    service: &str,
    person: &Person,
) -> Result<(Asked, UserName), Denied> {
    let own = || person.user().clone();
    let Person::Possible(facts, account) = person else {
        return Ok((Asked::Yes(Against::Decoy(Reason::NoAccount)), own()));
    };
    let config = site.config();
    let policy = config.policy(service);
    let exemption = route::exemption(&policy, facts);
    let (name, found) = match kept::look(store, &policy, facts) {
        Ok(Kept::Under(name, found)) => (name, found),
        Ok(Kept::Unclear { reason, line }) => {
            host.log(Priority::Error, &line);
            return Ok((unless_exempt(exemption, reason), own()));
        }
        Err(fault) => return Ok((in_spite_of(host, &fault, exemption, person)?, own())),
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
    let asked = match decided {
        Route::Skip(skip) => Asked::Not(skip),
        // There is something, and it is not for this person: it must not be what is evaluated.
        Route::Ask { pretext: Some(reason) } if !matches!(found, Found::Absent) => {
            if reason == Reason::Store(FaultKind::RecordRefused) {
                host.log(Priority::Error, &recycled(person.user(), found.enrolled_uid()));
            }
            Asked::Yes(Against::Decoy(reason))
        }
        Route::Ask { pretext } => Asked::Yes(Against::Own(found, pretext)),
    };
    Ok((asked, name))
}

/// An enrolled user with a remembered device isn't asked. All others are, also those who can't be granted access.
fn unless_remembered(
    host: &dyn Host,
    site: &Installation,
    facts: &Facts,
    kept: &UserName,
    against: Against,
) -> Asked {
    let Against::Own(Found::Enrolled(enrolled), None) = &against else {
        return Asked::Yes(against);
    };
    match Device::of(site, facts, enrolled.record.enrollment, clock::now()) {
        Some(device) if device.is_known(host, kept) => {
            Asked::Not(Skip::Remembered(device.arrival.key))
        }
        _ => Asked::Yes(against),
    }
}

/// The remedy where an entry was made for another account of this name.
fn recycled(user: &UserName, uid: Option<u32>) -> String {
    let uid = uid.map_or_else(|| "another uid".to_owned(), |uid| format!("uid {uid}"));
    format!(
        "what is kept under the name {user} is about the account with {uid}: if that has another name now, \
         totp-admin rename {user} NAME; if it is gone and {user} is another person, totp-admin remove {user}; if {user} is the \
         same person, totp-admin rename --uid {user}"
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
    match unless_exempt(exemption, Reason::Store(fault.kind)) {
        Asked::Yes(_) if !fault.kind.is_the_users_own() => Err(denied_by(host, fault, person)),
        asked => Ok(asked),
    }
}

/// Asked, and refused for `reason`, but for the exemptions that policy makes whatever is kept.
fn unless_exempt(exemption: Option<Skip>, reason: Reason) -> Asked {
    match exemption {
        Some(skip) => Asked::Not(skip),
        None => Asked::Yes(Against::Decoy(reason)),
    }
}

/// No login can be granted: the reason goes to the log, the detail is there already.
fn denied_by(host: &dyn Host, fault: &Fault, person: &Person) -> Denied {
    let line = log::reason_alone(person.user(), Reason::Store(fault.kind), None);
    host.log(Priority::Notice, &line);
    Denied(ReturnCode::SystemErr)
}
