//! Whom the lists of a configuration cover now, and what of it is wrong or surprising. Used by `config check`,
//! `config edit` and `status`.

mod callers;
mod networks;

use std::collections::BTreeSet;

use serde::Serialize;
use totp_core::coverage::Unresolved;
use totp_core::policy::{Config, List, Section, Who};
use totp_store::accounts::{self, NameServiceError};
use totp_store::coverage::{Meaning, Resolved};
use totp_store::services;

use self::callers::Allowed;
use crate::people::listed_accounts;

/// How many names a sentence has.
const FEW: usize = 5;

/// What was found out.
#[derive(Default)]
pub struct Report {
    /// Each list that stands in the file.
    pub lists: Vec<Covered>,
    /// Each caller that stands in the file.
    pub callers: Vec<Allowed>,
    /// What stands for nothing, or can't be found out.
    pub wrong: Vec<String>,
    /// What is as it was written, and maybe not as it was meant.
    pub consequences: Vec<String>,
    /// Sections that require a second factor of users at a service that there is none of.
    requiring: Vec<String>,
    /// The accounts of the name service, as far as it lists them: lines of passwd(5).
    accounts: String,
}

/// Whom one list covers.
#[derive(Serialize)]
pub struct Covered {
    section: String,
    key: &'static str,
    entries: Vec<Entry>,
    /// A name in `require` does not exist, or a section stands for no service: every user is required.
    everyone: bool,
    count: usize,
    users: Vec<String>,
}

/// One entry, and what it stands for.
#[derive(Serialize)]
struct Entry {
    entry: String,
    exists: bool,
    name: Option<String>,
    id: Option<u32>,
}

/// Looks everything up.
pub fn report(config: &Config) -> Report {
    let mut report = Report::default();
    report.services(config);
    let allowed = config.callers.allow.values().any(|entries| !entries.is_empty());
    if allowed || config.lists().any(|list| !list.entries.is_empty()) {
        report.list_accounts();
    }
    for named in config.lists() {
        let (section, list) = (named.section.clone(), named.list);
        let covered =
            Resolved::of(&named).and_then(|resolved| report.covered(&section, list, &resolved));
        match covered {
            Ok(covered) => report.lists.push(covered),
            Err(error) => report.wrong.push(format!(
                "It cannot be found out whom {section} {} covers: {error}. Logins that depend on it are denied.",
                list.as_str()
            )),
        }
    }
    callers::report(config, &mut report);
    for (section, keys) in config.sections() {
        let networks = keys.exempt_networks.iter().flatten();
        report.consequences.extend(networks.filter_map(|one| networks::remark(&section, *one)));
    }
    report
}

impl Report {
    /// What each list comes to, a line for each.
    pub fn lines(&self) -> impl Iterator<Item = String> {
        let lists = self.lists.iter().map(ToString::to_string);
        lists.chain(self.callers.iter().map(ToString::to_string))
    }

    /// All sentences.
    pub fn sentences(&self) -> impl Iterator<Item = &String> {
        self.wrong.iter().chain(&self.consequences)
    }

    fn services(&mut self, config: &Config) {
        let requiring: Vec<&str> = config.sections_that_require("").collect();
        for name in config.service.keys() {
            let lower = name.to_ascii_lowercase();
            match services::exists(name) {
                Ok(true) if *name != lower => {
                    self.consequences.push(format!("[service.{name}] means the service {lower}."));
                }
                Ok(true) => {}
                Ok(false) if requiring.contains(&name.as_str()) => {
                    self.wrong.push(format!("{}.", Unresolved::Service(name.clone())));
                    self.requiring.push(name.clone());
                }
                Ok(false) => self.wrong.push(format!(
                    "[service.{name}] holds for no login: there is no service {name:?} in /etc/pam.d; correct it or \
                     take it out."
                )),
                Err(error) => self.wrong.push(format!("{error}; until then logins are denied.")),
            }
        }
        let remembering = config.remember.anywhere().map(|_| &config.remember.services);
        for name in remembering.into_iter().flatten() {
            if services::exists(name) == Ok(false) {
                self.consequences.push(format!(
                    "[remember] services: there is no service {name:?} in /etc/pam.d: no device is remembered there."
                ));
            }
        }
        // The default names services that a machine need not have.
        for (section, keys) in config.sections() {
            let listed = keys.enroll_in.iter().flatten();
            for name in listed.filter(|name| services::exists(name) == Ok(false)) {
                self.consequences.push(format!(
                    "{section} enroll_in: there is no service {name:?} in /etc/pam.d: no user enrolls there."
                ));
            }
        }
    }

    fn list_accounts(&mut self) {
        match listed_accounts() {
            Ok(accounts) => self.accounts = accounts,
            Err(error) => self.consequences.push(format!(
                "{error:#}: users whose primary group a list names are not counted among those it covers."
            )),
        }
    }

    fn covered(
        &mut self,
        section: &Section,
        list: List,
        resolved: &Resolved,
    ) -> Result<Covered, NameServiceError> {
        let unresolved = resolved.unresolved();
        self.wrong.extend(unresolved.iter().map(|one| format!("{one}.")));
        let place = format!("{section} {}", list.as_str());
        self.consequences.extend(
            resolved.entries().iter().filter_map(|(who, meaning)| respelled(&place, who, meaning)),
        );
        let users = users_of(resolved.entries(), &self.accounts)?;
        if list == List::Exempt {
            self.consequences.extend(administrators(section, &place, &users)?);
        }
        let elsewhere = *section == Section::Policy && !self.requiring.is_empty();
        Ok(Covered {
            section: table(section),
            key: list.as_str(),
            entries: resolved.entries().iter().map(|(who, meaning)| entry(who, meaning)).collect(),
            everyone: list == List::Require && (elsewhere || !unresolved.is_empty()),
            count: users.len(),
            users: users.into_iter().collect(),
        })
    }
}

impl std::fmt::Display for Covered {
    /// As in `[policy] exempt covers 2 users: alice and bob`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "[{}] {} covers ", self.section, self.key)?;
        if self.everyone {
            return f.write_str("every user, since not every name exists");
        }
        match self.count {
            0 => return f.write_str("no user"),
            1 => f.write_str("1 user: ")?,
            more => write!(f, "{more} users: ")?,
        }
        f.write_str(&enumeration(&self.users))
    }
}

fn table(section: &Section) -> String {
    match section {
        Section::Policy => "policy".to_owned(),
        Section::Service(name) => format!("service.{name}"),
    }
}

fn entry(who: &Who, meaning: &Meaning) -> Entry {
    let (name, id) = match meaning {
        Meaning::User(user) => (Some(user.name.as_str().to_owned()), Some(user.uid)),
        Meaning::Group(group) => (Some(group.name.clone()), Some(group.gid)),
        Meaning::Nothing => (None, None),
    };
    Entry { entry: who.to_string(), exists: *meaning != Meaning::Nothing, name, id }
}

/// An entry that the name service spells differently.
fn respelled(place: &str, who: &Who, meaning: &Meaning) -> Option<String> {
    match (who, meaning) {
        (Who::User(name), Meaning::User(user)) if name != user.name.as_str() => {
            Some(format!("{place}: {name} means the user {} (uid {}).", user.name, user.uid))
        }
        (Who::Group(name), Meaning::Group(group)) if *name != group.name => {
            Some(format!("{place}: @{name} means the group {} (gid {}).", group.name, group.gid))
        }
        _ => None,
    }
}

/// The users that a list covers, as far as the name service lists accounts and members of groups.
fn users_of(
    entries: &[(Who, Meaning)],
    accounts: &str,
) -> Result<BTreeSet<String>, NameServiceError> {
    let mut users = BTreeSet::new();
    let listed: Vec<(&str, u32, u32)> = accounts.lines().filter_map(passwd).collect();
    for (_, meaning) in entries {
        match meaning {
            Meaning::User(user) => {
                let same = listed.iter().filter(|(_, uid, _)| *uid == user.uid);
                users.extend(same.map(|(name, ..)| (*name).to_owned()));
                users.insert(user.name.as_str().to_owned());
            }
            Meaning::Group(group) => {
                let primary = listed.iter().filter(|(_, _, gid)| *gid == group.gid);
                users.extend(primary.map(|(name, ..)| (*name).to_owned()));
                for member in &group.members {
                    let account = accounts::account(member)?;
                    users.extend(account.map(|account| account.name.as_str().to_owned()));
                }
            }
            Meaning::Nothing => {}
        }
    }
    Ok(users)
}

/// Name, uid and gid of a line of passwd(5).
fn passwd(line: &str) -> Option<(&str, u32, u32)> {
    let mut fields = line.split(':');
    let name = fields.next()?;
    let uid = fields.nth(1)?.parse().ok()?;
    Some((name, uid, fields.next()?.parse().ok()?))
}

fn administrators(
    section: &Section,
    place: &str,
    exempt: &BTreeSet<String>,
) -> Result<Option<String>, NameServiceError> {
    let mut administrators = Vec::new();
    for name in exempt {
        if let Some(account) = accounts::account(name)?
            && accounts::is_an_administrator(&account)?
        {
            administrators.push(name.clone());
        }
    }
    let log_in = if administrators.len() == 1 { "logs in" } else { "log in" };
    let at = match section {
        Section::Policy => String::new(),
        Section::Service(name) => format!(" at {name}"),
    };
    Ok((!administrators.is_empty()).then(|| {
        format!(
            "{place} covers administrators: {} {log_in}{at} without a second factor.",
            enumeration(&administrators)
        )
    }))
}

/// `root, alice and 3 more`.
fn enumeration(names: &[String]) -> String {
    let few = names.iter().take(FEW).cloned();
    let mut parts: Vec<String> = few.collect();
    match names.len().saturating_sub(FEW) {
        0 => {}
        more => parts.push(format!("{more} more")),
    }
    match parts.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} and {last}", others.join(", ")),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_names_are_counted() {
        let names = |count: u32| (0..count).map(|n| format!("u{n}")).collect::<Vec<_>>();
        assert_eq!(enumeration(&names(1)), "u0");
        assert_eq!(enumeration(&names(3)), "u0, u1 and u2");
        assert_eq!(enumeration(&names(8)), "u0, u1, u2, u3, u4 and 3 more");
    }

    #[test]
    fn a_line_of_passwd_has_a_uid_and_a_gid() {
        assert_eq!(passwd("bob:x:1001:1002::/home/bob:/bin/sh"), Some(("bob", 1001, 1002)));
        assert_eq!(passwd("broken:x"), None);
    }
}
