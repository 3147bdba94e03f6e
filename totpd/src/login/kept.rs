//! What is kept about the account of a login: under its own name, or else the one enrollment with its uid (the account was
//! renamed in the directory, or is an alias).

use totp_core::evaluate::Reason;
use totp_core::name::UserName;
use totp_core::policy::{Disabled, Policy};
use totp_core::route::{Facts, Route, route};
use totp_core::store::{Fault, Found, Store as _};
use totp_store::store::{ByUid, FileStore};

/// What is kept.
#[derive(Debug)]
pub(crate) enum Kept {
    /// This, under this name; where it is not the account's own, an enrollment with the account's uid.
    Under(UserName, Found),
    /// Something that can't be taken for the account's.
    Unclear {
        /// Why the login is denied.
        reason: Reason,
        /// The same for the log, with the remedy.
        line: String,
    },
}

/// Looks for it.
///
/// # Errors
/// Anything but a proven answer.
pub(crate) fn look(store: &FileStore, policy: &Policy, facts: &Facts) -> Result<Kept, Fault> {
    let found = store.look(&facts.user)?;
    if let (Found::Absent, Some(account)) = (&found, &facts.account) {
        return by_uid(store, policy, &facts.user, account.uid);
    }
    // Where an account that is not enrolled would be asked all the same, the time must not tell that this one is.
    if let Route::Ask { .. } = route(policy, facts, &Found::Absent) {
        store.look_for_nobodys_uid();
    }
    Ok(Kept::Under(facts.user.clone(), found))
}

/// Under which name the notices of this account are kept; `None` where what is kept may be another user's.
///
/// # Errors
/// Anything but a proven answer.
pub(crate) fn whose(
    store: &FileStore,
    user: &UserName,
    uid: Option<u32>,
) -> Result<Option<UserName>, Fault> {
    let found = store.look(user)?;
    if let (Found::Absent, Some(uid)) = (&found, uid) {
        return Ok(match store.by_uid(user, uid)? {
            ByUid::Nothing => Some(user.clone()),
            ByUid::One(name, Found::Enrolled(_)) => Some(name),
            ByUid::One(..) | ByUid::Several(_) | ByUid::Disabled(_) => None,
        });
    }
    let decided = match &found {
        Found::Disabled(tombstone) => tombstone.decision.uid,
        found => found.enrolled_uid(),
    };
    let is_anothers = decided.is_some() && decided != uid;
    Ok((!is_anothers).then(|| user.clone()))
}

fn by_uid(store: &FileStore, policy: &Policy, user: &UserName, uid: u32) -> Result<Kept, Fault> {
    Ok(match store.by_uid(user, uid)? {
        // What a marker denies it denies by every name. What it lets pass it does not: the uid may be another user's now.
        ByUid::Disabled(name) if policy.disabled == Disabled::Denied => Kept::Unclear {
            reason: Reason::NotEnrolled,
            line: format!(
                "{user} has uid {uid}, which is disabled under the name {name}; where the account was renamed: \
                 totp-admin rename {name} {user}; where it is another user's: totp-admin remove {name}"
            ),
        },
        ByUid::Nothing | ByUid::Disabled(_) => Kept::Under(user.clone(), Found::Absent),
        ByUid::One(name, found @ Found::Enrolled(_)) => Kept::Under(name, found),
        ByUid::One(name, _) => Kept::Unclear {
            reason: Reason::NotEnrolled,
            line: format!(
                "{user} has uid {uid}, for which an enrollment is open under the name {name}; where the account was \
                 renamed: totp-admin rename {name} {user}"
            ),
        },
        ByUid::Several(names) => Kept::Unclear {
            reason: Reason::SeveralEnrollments,
            line: format!(
                "{user} is not enrolled by this name, and several are with its uid {uid}: {}; enroll {user} for itself, \
                 or remove those that are not needed: totp-admin remove NAME",
                listed(&names)
            ),
        },
    })
}

fn listed(names: &[UserName]) -> String {
    names.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
