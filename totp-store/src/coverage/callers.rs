//! What `[callers]` comes to for one program that is not root and asks about one account.

use totp_core::coverage::Unresolved;
use totp_core::policy::{CallerName, Config, Who};

use super::{Meaning, covers, meaning};
use crate::accounts::{self, Account, Memberships, NameServiceError};

/// Whether a program may ask about an account besides its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Allowance {
    /// By which name `[callers]` names the user that the program runs as; `None` where it does not.
    pub named: Option<CallerName>,
    /// Whether an entry of that user's list covers the account.
    pub covers: bool,
    /// What does not exist, or can't be looked up, and so allows nothing.
    pub unresolved: Vec<Unresolved>,
}

/// Looks up what the programs of `caller_uid` may ask about. What does not exist or can't be looked up allows nothing, and takes
/// nothing from the rest. Where several names have the uid, the list of each counts.
#[must_use]
pub fn allowance(config: &Config, caller_uid: u32, account: Option<&Account>) -> Allowance {
    let mut allowance = Allowance::default();
    let mut memberships = account.map(Memberships::of);
    for (caller, entries) in &config.callers.allow {
        match is_user(caller, caller_uid) {
            Ok(Some(true)) => {}
            Ok(Some(false)) => continue,
            Ok(None) => {
                allowance.does_not_resolve(caller, None, None);
                continue;
            }
            Err(error) => {
                allowance.does_not_resolve(caller, None, Some(&error));
                continue;
            }
        }
        allowance.named.get_or_insert_with(|| caller.clone());
        for who in entries {
            let found = meaning(who).and_then(|meaning| {
                let of = memberships.as_mut();
                Ok((of.map_or(Ok(false), |of| covers(&meaning, of))?, meaning))
            });
            match found {
                Ok((true, _)) => allowance.covers = true,
                Ok((false, Meaning::Nothing)) => {
                    allowance.does_not_resolve(caller, Some(who), None);
                }
                Ok((false, _)) => {}
                Err(error) => allowance.does_not_resolve(caller, Some(who), Some(&error)),
            }
        }
    }
    allowance
}

/// What the name service knows by each entry of a caller's list.
///
/// # Errors
/// The name service fails.
pub fn allowed(entries: &[Who]) -> Result<Vec<(Who, Meaning)>, NameServiceError> {
    entries.iter().map(|who| Ok((who.clone(), meaning(who)?))).collect()
}

/// Whether the account of that name has this uid; `None` where there is no account.
fn is_user(caller: &CallerName, uid: u32) -> Result<Option<bool>, NameServiceError> {
    Ok(accounts::account(caller.as_str())?.map(|found| found.uid == uid))
}

impl Allowance {
    fn does_not_resolve(
        &mut self,
        caller: &CallerName,
        entry: Option<&Who>,
        why: Option<&NameServiceError>,
    ) {
        self.unresolved.push(Unresolved::Caller {
            caller: caller.clone(),
            entry: entry.cloned(),
            why: why.map(ToString::to_string),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAEMON: u32 = 1;

    fn of(allow: &str, caller_uid: u32, user: &str) -> Allowance {
        let config = Config::parse(&format!("[callers]\nallow = {allow}")).unwrap();
        allowance(&config, caller_uid, accounts::account(user).unwrap().as_ref())
    }

    fn covers(allow: &str, caller_uid: u32, user: &str) -> bool {
        of(allow, caller_uid, user).covers
    }

    #[test]
    fn a_caller_is_allowed_the_users_that_its_own_list_covers() {
        for list in ["bin", "@bin"] {
            let allow = format!("{{ daemon = [\"{list}\"], sys = [\"games\"] }}");
            assert!(covers(&allow, DAEMON, "bin"), "{list}");
            assert!(!covers(&allow, DAEMON, "games"), "the list of another caller");
            assert!(!covers(&allow, DAEMON, "no-such-user"));
            assert!(!covers(&allow, 12345, "bin"), "a caller that is not named");
        }
        assert!(!covers("{}", DAEMON, "bin"));
        assert!(!covers("{ daemon = [] }", DAEMON, "bin"));
    }

    #[test]
    fn what_does_not_exist_allows_nothing_and_takes_nothing_from_the_rest() {
        let allow = "{ no-such-caller = [\"bin\"], daemon = [\"no-such-user\", \"bin\", \"@no-such-group\"] }";
        let found = of(allow, DAEMON, "bin");
        assert!(found.covers);
        assert_eq!(found.named.unwrap().as_str(), "daemon");
        let said: Vec<String> = found.unresolved.iter().map(ToString::to_string).collect();
        assert_eq!(
            said,
            [
                "[callers] allow of daemon names the user \"no-such-user\", which does not exist: it allows no user; \
                 correct it or take it out",
                "[callers] allow of daemon names the group \"no-such-group\", which does not exist: it allows no user; \
                 correct it or take it out",
                "[callers] allow names the caller \"no-such-caller\", which does not exist: it allows no program; correct \
                 it or take it out",
            ]
        );
        assert!(!of(allow, DAEMON, "no-such-user").covers, "whatever was typed");
    }
}
