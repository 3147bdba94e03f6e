//! Is this login asked at all? A pure question, asked once, before the prompt.

use alloc::string::String;
use core::fmt;

use crate::coverage::{Coverage, Unresolved};
use crate::evaluate::Reason;
use crate::name::UserName;
use crate::origin::address;
use crate::policy::{Disabled, Policy, Require};
use crate::record::{EnrollmentId, Pending};
use crate::remembered::Fingerprint;
use crate::store::{FaultKind, Found};
use crate::time::UnixTime;

/// What is known about a login besides the store.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The user: the account's own name, or, without an account, what was typed, folded.
    pub user: UserName,
    /// What the name service says; `None` is a proven absence.
    pub account: Option<Account>,
    /// What `exempt` comes to for this user.
    pub exempt: Coverage,
    /// What `require` comes to for this user. Only users who are not enrolled need it; `None`, not looked up, counts as
    /// required.
    pub required: Option<Coverage>,
    /// The remote host, as the service gave it; empty if there is none.
    pub rhost: String,
    /// `nullok` on the PAM line.
    pub nullok: bool,
    /// The time.
    pub now: UnixTime,
}

/// An account as the name service knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Its number.
    pub uid: u32,
}

/// Whether a login is asked for a second factor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Route {
    /// Asked. Whoever can't be right is refused for the reason given, after the same prompts.
    Ask {
        /// Why nobody can be let in here whatever is typed.
        pretext: Option<Reason>,
    },
    /// Not asked: the module stands aside (`PAM_IGNORE`), or the first factor that its line names is success.
    Skip(Skip),
}

/// Why a login isn't asked; each says so in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Skip {
    /// Switched off by an administrator.
    Disabled,
    /// Named in `exempt`, or in a group that is.
    Exempt,
    /// From a network in `exempt_networks`.
    ExemptNetwork,
    /// Not enrolled, and policy doesn't require it.
    NotRequired,
    /// Enrolls in the account phase, behind the first factor alone: an administrator decided so.
    ToEnroll(EnrollmentId),
    /// May enroll in the account phase, or put it off: policy gives everybody until a day.
    MayEnroll {
        /// Days left, today included.
        days: u64,
    },
    /// Enrolled, and with a key that is remembered: said after [`route`], which knows no devices.
    Remembered(Fingerprint),
}

impl Skip {
    /// The words of `Display`, without what they say it of.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Disabled => "disabled",
            Self::Exempt => "exempt",
            Self::ExemptNetwork => "exempt network",
            Self::NotRequired => "not required",
            Self::ToEnroll(_) => "to enroll",
            Self::MayEnroll { .. } => "may enroll",
            Self::Remembered(_) => "remembered device",
        }
    }
}

impl fmt::Display for Skip {
    /// As in `not asked for bob: disabled`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())?;
        match self {
            Self::Remembered(key) => write!(f, " {key}"),
            _ => Ok(()),
        }
    }
}

/// Decides. Everything that isn't a reason to stand aside is asked.
pub fn route(policy: &Policy, facts: &Facts, found: &Found) -> Route {
    if let Some(skip) = exemption(policy, facts) {
        return Route::Skip(skip);
    }
    if let Some(reason) = about_somebody_else(facts.account.as_ref(), found) {
        return Route::Ask { pretext: Some(reason) };
    }
    match found {
        Found::Enrolled(_) => Route::Ask { pretext: None },
        Found::Disabled(_) if policy.disabled == Disabled::Exempt => Route::Skip(Skip::Disabled),
        Found::Disabled(_) => Route::Ask { pretext: Some(Reason::NotEnrolled) },
        Found::Absent => not_enrolled(policy, facts),
        Found::Pending(opening) => to_enroll(&opening.pending, facts.now),
    }
}

/// The exemption that policy makes whatever is decided about the user.
#[must_use]
pub fn exemption(policy: &Policy, facts: &Facts) -> Option<Skip> {
    if facts.exempt.covers {
        return Some(Skip::Exempt);
    }
    let address = address(&facts.rhost)?;
    let inside = policy.exempt_networks.iter().any(|network| network.contains(address));
    inside.then_some(Skip::ExemptNetwork)
}

/// Whether the decision about a user who is not enrolled depends on whom `require` names.
#[must_use]
pub fn depends_on_names(policy: &Policy, nullok: bool) -> bool {
    !nullok && policy.require != Require::Everyone
}

/// The names in the configuration that do not exist and counted in this decision.
pub fn counted(facts: &Facts, route: Route) -> impl Iterator<Item = &Unresolved> {
    let challenged = match route {
        Route::Ask { .. } | Route::Skip(Skip::MayEnroll { .. } | Skip::ToEnroll(_)) => true,
        Route::Skip(
            Skip::Disabled
            | Skip::Exempt
            | Skip::ExemptNetwork
            | Skip::NotRequired
            | Skip::Remembered(_),
        ) => false,
    };
    let required = facts.required.iter().filter(|coverage| !coverage.covers);
    let lists = core::iter::once(&facts.exempt).chain(required);
    lists.filter(move |_| challenged).flat_map(|coverage| &coverage.unresolved)
}

fn to_enroll(pending: &Pending, now: UnixTime) -> Route {
    if now >= pending.until {
        return Route::Ask { pretext: Some(Reason::Expired) };
    }
    match pending.code {
        Some(_) => Route::Ask { pretext: None },
        None => Route::Skip(Skip::ToEnroll(pending.enrollment)),
    }
}

/// Whether what was decided is about an account that had this name before: nobody's name now, or a recycled one. No code of it
/// is accepted then.
#[must_use]
pub fn about_somebody_else(account: Option<&Account>, found: &Found) -> Option<Reason> {
    let decided = match found {
        Found::Absent => None,
        Found::Disabled(tombstone) => tombstone.decision.uid,
        Found::Enrolled(enrolled) => enrolled.record.decision.uid,
        Found::Pending(opening) => opening.pending.decision.uid,
    };
    match (decided, account) {
        (Some(_), None) => Some(Reason::NoAccount),
        (Some(uid), Some(account)) if account.uid != uid => {
            Some(Reason::Store(FaultKind::RecordRefused))
        }
        _ => None,
    }
}

fn not_enrolled(policy: &Policy, facts: &Facts) -> Route {
    let required = !facts.nullok
        && (policy.require == Require::Everyone
            || facts.required.as_ref().is_none_or(Coverage::covers_or_may));
    if !required {
        return Route::Skip(Skip::NotRequired);
    }
    let days = policy.enroll_by.and_then(|day| day.days_left(facts.now));
    if let Some(days) = days.filter(|_| facts.account.is_some()) {
        return Route::Skip(Skip::MayEnroll { days });
    }
    let pretext = if facts.account.is_none() { Reason::NoAccount } else { Reason::NotEnrolled };
    Route::Ask { pretext: Some(pretext) }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;
    use crate::policy::{Config, List, Section, Who};
    use crate::record::{self, Entry};
    use crate::state::State;
    use crate::store::{Enrolled, Opening, StateRead};

    fn facts() -> Facts {
        Facts {
            user: UserName::new("bob").unwrap(),
            account: Some(Account { uid: 1001 }),
            exempt: Coverage::default(),
            required: Some(Coverage::default()),
            rhost: "192.0.2.7".into(),
            nullok: false,
            now: "2026-11-21T12:00:00Z".parse().unwrap(),
        }
    }

    fn policy(text: &str) -> Policy {
        Config::parse(text).unwrap().policy("sshd")
    }

    fn head(status: &str) -> String {
        alloc::format!(
            "version = 1\nstatus = \"{status}\"\nuser = \"bob\"\nuid = 1001\n\
             since = \"2026-03-02T10:00:00Z\"\nby = \"carol\"\nseq = 7\n"
        )
    }

    fn disabled() -> Found {
        match record::parse(&head("disabled")).unwrap() {
            Entry::Disabled(tombstone) => Found::Disabled(tombstone),
            _ => panic!("not disabled"),
        }
    }

    fn enrolled() -> Found {
        let text = head("enrolled")
            + "enrollment = \"0011223344556677\"\n[[authenticator]]\nname = \"phone\"\n\
               kind = \"totp\"\nadded = \"2026-03-02T10:00:00Z\"\nsecret = \"GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ\"\n\
               algorithm = \"sha1\"\ndigits = 6\nperiod = 30\n";
        match record::parse(&text).unwrap() {
            Entry::Enrolled(record) => {
                let state = StateRead::Good(State::new(record.enrollment, 1, vec![]));
                Found::Enrolled(Enrolled { record, state }.into())
            }
            _ => panic!("not enrolled"),
        }
    }

    const ASKED: Route = Route::Ask { pretext: None };
    const REFUSED: Route = Route::Ask { pretext: Some(Reason::NotEnrolled) };

    #[test]
    fn who_is_enrolled_is_asked_whatever_is_required() {
        for text in ["", "[policy]\nrequire = \"enrolled\"", "[policy]\nrequire = []"] {
            assert_eq!(route(&policy(text), &facts(), &enrolled()), ASKED);
        }
        let nullok = Facts { nullok: true, ..facts() };
        assert_eq!(route(&policy(""), &nullok, &enrolled()), ASKED);
    }

    #[test]
    fn who_is_not_enrolled_is_refused_where_everyone_must_be() {
        assert_eq!(route(&policy(""), &facts(), &Found::Absent), REFUSED);
    }

    #[test]
    fn who_is_not_enrolled_is_not_asked_where_that_is_not_required() {
        let skipped = Route::Skip(Skip::NotRequired);
        let nullok = Facts { nullok: true, ..facts() };
        assert_eq!(route(&policy(""), &nullok, &Found::Absent), skipped);
        for text in ["require = \"enrolled\"", "require = [\"@sudo\", \"dave\"]"] {
            let policy = policy(&alloc::format!("[policy]\n{text}"));
            assert_eq!(route(&policy, &facts(), &Found::Absent), skipped);
        }
    }

    fn covered() -> Coverage {
        Coverage { covers: true, unresolved: vec![] }
    }

    fn unresolved(list: List) -> Coverage {
        let who = Who::Group("nosuchgroup".into());
        let unresolved = vec![Unresolved::Name { section: Section::Policy, list, who }];
        Coverage { covers: false, unresolved }
    }

    const LISTED: &str = "[policy]\nrequire = [\"@nosuchgroup\"]\nexempt = [\"@nosuchgroup\"]";

    #[test]
    fn whom_a_list_covers_is_required_or_exempt() {
        let required = Facts { required: Some(covered()), ..facts() };
        assert_eq!(route(&policy(LISTED), &required, &Found::Absent), REFUSED);
        let exempt = Facts { exempt: covered(), ..facts() };
        assert_eq!(route(&policy(LISTED), &exempt, &enrolled()), Route::Skip(Skip::Exempt));
    }

    #[test]
    fn a_required_name_that_does_not_exist_may_mean_any_user() {
        let facts = Facts { required: Some(unresolved(List::Require)), ..facts() };
        assert_eq!(route(&policy(LISTED), &facts, &Found::Absent), REFUSED);
        let only_enrolled = policy("[policy]\nrequire = \"enrolled\"");
        assert_eq!(route(&only_enrolled, &facts, &Found::Absent), REFUSED, "another section");
        let nullok = Facts { nullok: true, ..facts };
        let skipped = Route::Skip(Skip::NotRequired);
        assert_eq!(route(&policy(LISTED), &nullok, &Found::Absent), skipped);
    }

    #[test]
    fn an_exempt_name_that_does_not_exist_means_no_user() {
        let facts = Facts { exempt: unresolved(List::Exempt), ..facts() };
        assert_eq!(route(&policy(LISTED), &facts, &enrolled()), ASKED);
    }

    #[test]
    fn a_requirement_that_was_not_looked_up_holds() {
        let facts = Facts { required: None, ..facts() };
        assert_eq!(route(&policy(LISTED), &facts, &Found::Absent), REFUSED);
    }

    #[test]
    fn names_that_do_not_exist_count_where_the_user_is_challenged_and_not_named_besides() {
        let of = |facts: &Facts, route| counted(facts, route).count();
        let facts = Facts {
            exempt: unresolved(List::Exempt),
            required: Some(unresolved(List::Require)),
            ..facts()
        };
        assert_eq!(of(&facts, REFUSED), 2);
        assert_eq!(of(&facts, Route::Skip(Skip::MayEnroll { days: 1 })), 2);
        assert_eq!(of(&facts, Route::Skip(Skip::ExemptNetwork)), 0);
        let named = Coverage { covers: true, ..unresolved(List::Require) };
        assert_eq!(of(&Facts { required: Some(named), ..facts.clone() }, REFUSED), 1);
        assert_eq!(of(&Facts { required: None, ..facts }, ASKED), 1);
    }

    #[test]
    fn a_user_without_an_account_is_refused_where_a_name_does_not_exist() {
        let nobody = Facts { account: None, required: Some(unresolved(List::Require)), ..facts() };
        let refused = Route::Ask { pretext: Some(Reason::NoAccount) };
        assert_eq!(route(&policy(LISTED), &nobody, &Found::Absent), refused);
    }

    #[test]
    fn networks_exempt_literal_addresses_only() {
        let policy =
            policy("[policy]\nexempt_networks = [\"192.0.2.0/24\", \"127.0.0.0/8\", \"::1\"]");
        assert_eq!(route(&policy, &facts(), &enrolled()), Route::Skip(Skip::ExemptNetwork));
        for rhost in ["", "localhost", "host.example.com", "192.0.3.1"] {
            let facts = Facts { rhost: rhost.into(), ..facts() };
            assert_eq!(route(&policy, &facts, &enrolled()), ASKED, "{rhost}");
        }
    }

    #[test]
    fn a_disabled_user_is_let_by_or_denied_as_policy_says() {
        assert_eq!(route(&policy(""), &facts(), &disabled()), Route::Skip(Skip::Disabled));
        let denied = policy("[policy]\ndisabled = \"denied\"");
        assert_eq!(route(&denied, &facts(), &disabled()), REFUSED);
    }

    #[test]
    fn the_record_of_an_account_that_is_gone_lets_nobody_in() {
        let nobody = Facts { account: None, ..facts() };
        let refused = Route::Ask { pretext: Some(Reason::NoAccount) };
        assert_eq!(route(&policy(""), &nobody, &enrolled()), refused);
    }

    #[test]
    fn a_name_that_another_account_has_now_is_refused_whatever_was_decided() {
        let other = Some(Account { uid: 1002 });
        let other = Facts { account: other, nullok: true, ..facts() };
        let refused = Route::Ask { pretext: Some(Reason::Store(FaultKind::RecordRefused)) };
        assert_eq!(route(&policy(""), &other, &enrolled()), refused);
        assert_eq!(route(&policy(""), &other, &disabled()), refused);
    }

    fn pending(code: bool) -> Found {
        let code = if code {
            alloc::format!("code = \"{}\"\n", "0123456789abcdef".repeat(4))
        } else {
            String::new()
        };
        let text = head("pending")
            + "enrollment = \"0011223344556677\"\n"
            + &code
            + "until = \"2026-11-22T00:00:00Z\"\n";
        match record::parse(&text).unwrap() {
            Entry::Pending(pending) => {
                let state = StateRead::Good(State::new(pending.enrollment, 1, vec![]));
                Found::Pending(Opening { pending, state }.into())
            }
            _ => panic!("not pending"),
        }
    }

    #[test]
    fn an_open_enrollment_with_a_code_is_asked_for_it() {
        assert_eq!(route(&policy(""), &facts(), &pending(true)), ASKED);
    }

    #[test]
    fn an_open_enrollment_without_a_code_is_not_asked() {
        let skipped = route(&policy(""), &facts(), &pending(false));
        assert!(matches!(skipped, Route::Skip(Skip::ToEnroll(_))));
    }

    #[test]
    fn an_open_enrollment_ends() {
        let late = Facts { now: "2026-11-22T00:00:00Z".parse().unwrap(), ..facts() };
        let refused = Route::Ask { pretext: Some(Reason::Expired) };
        for code in [true, false] {
            assert_eq!(route(&policy(""), &late, &pending(code)), refused);
        }
    }

    #[test]
    fn an_open_enrollment_of_an_earlier_account_is_nobody_elses() {
        let other = Facts { account: Some(Account { uid: 7 }), ..facts() };
        let refused = Route::Ask { pretext: Some(Reason::Store(FaultKind::RecordRefused)) };
        assert_eq!(route(&policy(""), &other, &pending(false)), refused);
    }

    #[test]
    fn until_a_day_who_must_enroll_may_put_it_off() {
        let until = policy("[policy]\nenroll_by = 2026-11-22");
        let offered = Route::Skip(Skip::MayEnroll { days: 2 });
        assert_eq!(route(&until, &facts(), &Found::Absent), offered);
        let late = Facts { now: "2026-11-23T00:00:00Z".parse().unwrap(), ..facts() };
        assert_eq!(route(&until, &late, &Found::Absent), REFUSED);
        assert_eq!(route(&until, &facts(), &disabled()), Route::Skip(Skip::Disabled));
        let nobody = Facts { account: None, ..facts() };
        let refused = Route::Ask { pretext: Some(Reason::NoAccount) };
        assert_eq!(route(&until, &nobody, &Found::Absent), refused);
    }
}
