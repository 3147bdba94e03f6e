//! Who is it: from the name that was typed to the name that counts, by way of the name service.

use totp_core::coverage::Coverage;
use totp_core::name::UserName;
use totp_core::policy::Config;
use totp_core::route::{self, Facts};
use totp_store::accounts::{self, Account, NameServiceError};
use totp_store::clock;
use totp_store::coverage::{self, CoverageError};

use crate::login::facts::text;

/// The user of this login.
#[derive(Debug)]
pub(crate) enum Person {
    /// A user who may be in the store, and the account.
    Possible(Facts, Option<Account>),
    /// A name that no user can have (empty, over 256 bytes, not UTF-8): asked like all others, with this name
    /// in its place, and never looked up.
    Impossible(UserName),
}

impl Person {
    /// Looks up an account, and whom `exempt` names; without an account the name itself counts, for users without one.
    ///
    /// # Errors
    /// A name service that gives no answer. That is not absence.
    pub(crate) fn identify(
        typed: &[u8],
        config: &Config,
        service: &str,
        rhost: &str,
    ) -> Result<Self, CoverageError> {
        let Some((typed, folded)) = str::from_utf8(typed)
            .ok()
            .and_then(|typed| Some((typed, UserName::without_account(typed).ok()?)))
        else {
            return Ok(Self::Impossible(in_place_of(typed)?));
        };
        let found = accounts::account(typed)?;
        let user = found.as_ref().map_or(folded, |account| account.name.clone());
        let facts = Facts {
            user,
            account: found.as_ref().map(|account| route::Account { uid: account.uid }),
            exempt: coverage::exempts(config, service, found.as_ref()),
            required: None,
            rhost: rhost.to_owned(),
            nullok: false,
            now: clock::now(),
        };
        Ok(Self::Possible(facts, found))
    }

    /// Where the line says `nullok`, and that counts from its caller. Otherwise it is left out before anything
    /// is looked up: the time to the prompt would tell who is enrolled.
    pub(crate) fn with_nullok(self) -> Self {
        match self {
            Self::Possible(facts, account) => {
                Self::Possible(Facts { nullok: true, ..facts }, account)
            }
            impossible @ Self::Impossible(_) => impossible,
        }
    }

    /// The account's uid, where there is one.
    pub(crate) fn uid(&self) -> Option<u32> {
        match self {
            Self::Possible(facts, _) => facts.account.as_ref().map(|account| account.uid),
            Self::Impossible(_) => None,
        }
    }

    /// The account, where there is one.
    pub(crate) fn account(&self) -> Option<&Account> {
        match self {
            Self::Possible(_, account) => account.as_ref(),
            Self::Impossible(_) => None,
        }
    }

    /// The name that counts, and that the log has.
    pub(crate) fn user(&self) -> &UserName {
        match self {
            Self::Possible(facts, _) => &facts.user,
            Self::Impossible(user) => user,
        }
    }
}

/// Who an account phase is about: the account's own name, and its uid; without an account what was typed. `None` for a name
/// that no user can have.
///
/// # Errors
/// A name service that gives no answer.
pub(crate) fn named(typed: &[u8]) -> Result<Option<(UserName, Option<u32>)>, NameServiceError> {
    let Some((typed, folded)) = str::from_utf8(typed)
        .ok()
        .and_then(|typed| Some((typed, UserName::without_account(typed).ok()?)))
    else {
        return Ok(None);
    };
    Ok(Some(match accounts::account(typed)? {
        None => (folded, None),
        Some(account) => (account.name, Some(account.uid)),
    }))
}

/// Something to call an impossible name: a question mark, and as much of it as a name has room for.
fn in_place_of(typed: &[u8]) -> Result<UserName, NameServiceError> {
    let mut name = String::from("?");
    for c in text(typed).chars().filter(|c| *c != '\0') {
        if name.len().saturating_add(c.len_utf8()) > 256 {
            break;
        }
        name.push(c);
    }
    let unusable = || NameServiceError::Unusable { asked: text(typed), answer: name.clone() };
    UserName::new(&name).map_err(|_| unusable()) // cannot fail; if it did, it would deny
}

/// What `require` comes to for a user who is not enrolled. Looked up for no other, and only where it can make a difference.
///
/// # Errors
/// A name service that gives no answer, or a directory of services that can't be searched.
pub(crate) fn required(
    config: &Config,
    service: &str,
    nullok: bool,
    account: Option<&Account>,
) -> Result<Option<Coverage>, CoverageError> {
    if !route::depends_on_names(&config.policy(service), nullok) {
        return Ok(None);
    }
    Ok(Some(coverage::required(config, service)?.coverage(account)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identify(typed: &[u8], policy: &str) -> Person {
        let config = Config::parse(policy).expect("a configuration");
        Person::identify(typed, &config, "sshd", "").expect("a name service")
    }

    #[test]
    fn an_account_is_called_what_the_name_service_calls_it() {
        let Person::Possible(facts, _) = identify(b"root", "") else { panic!("root is possible") };
        assert_eq!((facts.user.as_str(), facts.account.map(|a| a.uid)), ("root", Some(0)));
    }

    #[test]
    fn the_account_phase_means_the_same_people() {
        let root = UserName::new("root").expect("a name");
        assert_eq!(named(b"root").expect("an answer"), Some((root, Some(0))));
        let nobody = UserName::new("no-such-user").expect("a name");
        assert_eq!(named(b"No-Such-User").expect("an answer"), Some((nobody, None)));
        for typed in [&b""[..], b"\xff", &[b'a'; 257]] {
            assert_eq!(named(typed).expect("an answer"), None);
        }
    }

    #[test]
    fn whom_policy_exempts_is_looked_up_for_all_and_whom_it_requires_where_that_decides() {
        let exempt = "[policy]\nexempt = [\"@root\", \"dave\"]";
        let Person::Possible(facts, _) = identify(b"root", exempt) else { panic!("possible") };
        assert!(facts.exempt.covers && facts.required.is_none());
        let config = Config::parse("[policy]\nrequire = [\"root\"]").expect("a configuration");
        let root = accounts::account("root").expect("an answer");
        let of =
            |config, nullok| required(config, "sshd", nullok, root.as_ref()).expect("an answer");
        assert!(of(&config, false).is_some_and(|required| required.covers));
        assert_eq!(of(&config, true), None);
        assert_eq!(of(&Config::default(), false), None);
    }

    #[test]
    fn who_has_no_account_is_called_as_typed_in_lower_case() {
        let Person::Possible(facts, _) = identify(b"No-Such-User", "") else { panic!("possible") };
        assert_eq!((facts.user.as_str(), facts.account), ("no-such-user", None));
    }

    #[test]
    fn a_name_that_nobody_can_have_is_never_looked_up() {
        for typed in [&b""[..], b"\xff", &[b'a'; 257], &[b'a'; 5000]] {
            assert!(matches!(identify(typed, ""), Person::Impossible(_)), "{typed:?}");
        }
        assert_eq!(identify(b"", "").user().as_str(), "?");
        assert_eq!(identify(&[b'a'; 5000], "").user().as_str().len(), 256);
    }
}
