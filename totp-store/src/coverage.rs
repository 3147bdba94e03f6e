//! Whom the lists of a configuration cover: the only place where their names become users and groups. Names are looked up
//! at each use and compared by uid and gid; nothing is kept, least of all that a name does not exist.

mod callers;

use thiserror::Error;
use totp_core::coverage::{Coverage, Unresolved};
use totp_core::policy::{Config, List, NamedList, Section, Who};

use crate::accounts::{self, Account, Group, Memberships, NameServiceError};
use crate::services::{self, ServicesError};

pub use self::callers::{Allowance, allowance, allowed};

/// It can't be found out whom a list covers. The login that needs it is denied.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum CoverageError {
    /// The name service fails.
    #[error(transparent)]
    Names(#[from] NameServiceError),
    /// The directories of services can't be searched.
    #[error(transparent)]
    Services(#[from] ServicesError),
}

/// What the name service knows by the name of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// A user.
    User(Account),
    /// A group.
    Group(Group),
    /// Proven: nothing.
    Nothing,
}

/// A list whose names have been looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    section: Section,
    list: List,
    entries: Vec<(Who, Meaning)>,
    /// Sections that may have meant the service this list holds for.
    sections: Vec<String>,
}

/// Looks up whom `service` exempts.
///
/// # Errors
/// The name service fails.
pub fn exempt(config: &Config, service: &str) -> Result<Resolved, CoverageError> {
    Ok(Resolved::of(&config.list(service, List::Exempt))?)
}

/// What `exempt` of `service` comes to for an account. An entry that can't be looked up exempts no user, and takes nothing from
/// the others: root, exempt for the day when the directory does not answer, needs no answer of the directory.
#[must_use]
pub fn exempts(config: &Config, service: &str, account: Option<&Account>) -> Coverage {
    let NamedList { section, list, entries } = config.list(service, List::Exempt);
    let mut memberships = account.map(Memberships::of);
    let mut unresolved = Vec::new();
    for who in entries {
        let found = meaning(who).and_then(|meaning| {
            let covers = memberships.as_mut().map_or(Ok(false), |them| covers(&meaning, them))?;
            Ok((meaning, covers))
        });
        match found {
            Ok((_, true)) => return Coverage { covers: true, unresolved: Vec::new() },
            Ok((Meaning::Nothing, false)) => {
                unresolved.push(Unresolved::Name {
                    section: section.clone(),
                    list,
                    who: who.clone(),
                });
            }
            Ok((_, false)) => {}
            Err(error) => {
                let (section, who) = (section.clone(), who.clone());
                unresolved.push(Unresolved::Unknown { section, who, why: error.to_string() });
            }
        }
    }
    Coverage { covers: false, unresolved }
}

/// Looks up whom `service` requires to have a second factor, besides those who are enrolled.
///
/// # Errors
/// The name service fails, or it can't be found out which services there are.
pub fn required(config: &Config, service: &str) -> Result<Resolved, CoverageError> {
    let mut resolved = Resolved::of(&config.list(service, List::Require))?;
    for name in config.sections_that_require(service) {
        if !services::exists(name)? {
            resolved.sections.push(name.to_owned());
        }
    }
    Ok(resolved)
}

impl Resolved {
    /// Looks up each entry.
    ///
    /// # Errors
    /// The name service fails.
    pub fn of(named: &NamedList<'_>) -> Result<Self, NameServiceError> {
        let look_up = |who: &Who| Ok((who.clone(), meaning(who)?));
        let entries = named.entries.iter().map(look_up).collect::<Result<_, _>>()?;
        let (section, list) = (named.section.clone(), named.list);
        Ok(Self { section, list, entries, sections: Vec::new() })
    }

    /// The entries, in the order of the file.
    #[must_use]
    pub fn entries(&self) -> &[(Who, Meaning)] {
        &self.entries
    }

    /// The entries and sections that stand for nothing.
    #[must_use]
    pub fn unresolved(&self) -> Vec<Unresolved> {
        let nothing = |(_, meaning): &&(Who, Meaning)| *meaning == Meaning::Nothing;
        let names = self.entries.iter().filter(nothing).map(|(who, _)| Unresolved::Name {
            section: self.section.clone(),
            list: self.list,
            who: who.clone(),
        });
        names.chain(self.sections.iter().cloned().map(Unresolved::Service)).collect()
    }

    /// What the list comes to for an account; without one no entry covers the user, whatever was typed.
    ///
    /// # Errors
    /// The groups of the account can't be looked up.
    pub fn coverage(&self, account: Option<&Account>) -> Result<Coverage, NameServiceError> {
        let covers = account.map_or(Ok(false), |account| self.covers(account))?;
        Ok(Coverage { covers, unresolved: self.unresolved() })
    }

    fn covers(&self, account: &Account) -> Result<bool, NameServiceError> {
        let mut memberships = Memberships::of(account);
        for (_, meaning) in &self.entries {
            if covers(meaning, &mut memberships)? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

fn covers(meaning: &Meaning, of: &mut Memberships<'_>) -> Result<bool, NameServiceError> {
    match meaning {
        Meaning::User(user) => Ok(user.uid == of.account().uid),
        Meaning::Group(group) => of.include(group),
        Meaning::Nothing => Ok(false),
    }
}

fn meaning(who: &Who) -> Result<Meaning, NameServiceError> {
    Ok(match who {
        Who::User(name) => accounts::account(name)?.map_or(Meaning::Nothing, Meaning::User),
        Who::Group(name) => accounts::group(name)?.map_or(Meaning::Nothing, Meaning::Group),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn coverage(list: &str, user: &str) -> Coverage {
        let config = Config::parse(&format!("[policy]\nexempt = {list}")).unwrap();
        let account = accounts::account(user).unwrap();
        exempt(&config, "sshd").unwrap().coverage(account.as_ref()).unwrap()
    }

    #[test]
    fn users_and_groups_cover_their_accounts() {
        for list in ["[\"root\"]", "[\"@root\"]", "[\"no-such-user\", \"root\"]"] {
            assert!(coverage(list, "root").covers, "{list}");
            assert!(!coverage(list, "daemon").covers, "{list}");
        }
    }

    #[test]
    fn what_does_not_exist_is_unresolved_and_covers_no_user_of_that_name() {
        let list = "[\"no-such-user\", \"@no-such-group\", \"root\", \"a\\u0000b\"]";
        let found = coverage(list, "no-such-user");
        assert!(!found.covers);
        let said: Vec<String> = found.unresolved.iter().map(ToString::to_string).collect();
        assert_eq!(said.len(), 3, "{said:?}");
        assert_eq!(
            said[0],
            "[policy] exempt names the user \"no-such-user\", which does not exist: it exempts no user; correct it or take it out"
        );
        assert!(said[1].contains("the group \"no-such-group\""), "{said:?}");
    }

    #[test]
    fn a_section_of_no_service_leaves_what_it_requires_unresolved_everywhere_else() {
        let section = "[service.no-such-service]\nrequire = [\"root\"]";
        let text = format!("[policy]\nrequire = []\n{section}");
        let config = Config::parse(&text).unwrap();
        let unresolved = |service| required(&config, service).unwrap().unresolved();
        assert_eq!(unresolved("sshd"), [Unresolved::Service("no-such-service".to_owned())]);
        assert_eq!(unresolved("no-such-service"), []);
        let config = Config::parse("[policy]\nrequire = []\n[service.x]\nexempt = []").unwrap();
        assert_eq!(required(&config, "sshd").unwrap().unresolved(), []);
    }
}
