//! `[callers]`: whom the programs of each service account may ask about, and what of it allows nothing.

use std::collections::BTreeSet;

use serde::Serialize;
use totp_core::coverage::Unresolved;
use totp_core::policy::{CallerName, Config, Who};
use totp_store::accounts::{self, Account, NameServiceError};
use totp_store::coverage::{Meaning, allowed};

use super::{Entry, Report, entry, enumeration, users_of};

/// Whom the programs of one service account may ask about.
#[derive(Serialize)]
pub struct Allowed {
    caller: String,
    exists: bool,
    uid: Option<u32>,
    entries: Vec<Entry>,
    count: usize,
    users: Vec<String>,
}

impl std::fmt::Display for Allowed {
    /// As in `[callers] allow: postgres asks about 2 users: alice and bob`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "[callers] allow: {} asks about ", self.caller)?;
        match self.count {
            0 => return f.write_str("no other user"),
            1 => f.write_str("1 user: ")?,
            more => write!(f, "{more} users: ")?,
        }
        f.write_str(&enumeration(&self.users))
    }
}

/// Looks each up, and notes what is wrong.
pub(super) fn report(config: &Config, report: &mut Report) {
    for (caller, entries) in &config.callers.allow {
        let found = accounts::account(caller.as_str()).and_then(|account| {
            let entries = allowed(entries)?;
            let users = if account.is_some() {
                users_of(&entries, &report.accounts)?
            } else {
                BTreeSet::new()
            };
            Ok((account, entries, users))
        });
        match found {
            Ok((account, entries, users)) => {
                report.wrong.extend(wrong(caller, account.as_ref(), &entries));
                report.consequences.extend(respelled(caller, account.as_ref()));
                report.callers.push(listed(caller, account.as_ref(), &entries, users));
            }
            Err(error) => report.wrong.push(cannot_be_found_out(caller, &error)),
        }
    }
}

fn wrong(
    caller: &CallerName,
    account: Option<&Account>,
    entries: &[(Who, Meaning)],
) -> Vec<String> {
    let unresolved = |entry: Option<&Who>| {
        let (caller, entry) = (caller.clone(), entry.cloned());
        format!("{}.", Unresolved::Caller { caller, entry, why: None })
    };
    let itself = match account {
        None => Some(unresolved(None)),
        Some(account) if account.uid == 0 => Some(format!(
            "[callers] allow names {caller}, which is root (uid 0) and asks about every user: take it out."
        )),
        Some(_) => None,
    };
    let missing = entries.iter().filter(|(_, meaning)| *meaning == Meaning::Nothing);
    itself.into_iter().chain(missing.map(|(who, _)| unresolved(Some(who)))).collect()
}

fn respelled(caller: &CallerName, account: Option<&Account>) -> Option<String> {
    let account = account.filter(|account| account.name.as_str() != caller.as_str())?;
    Some(format!(
        "[callers] allow: {caller} means the user {} (uid {}).",
        account.name, account.uid
    ))
}

fn listed(
    caller: &CallerName,
    account: Option<&Account>,
    entries: &[(Who, Meaning)],
    users: BTreeSet<String>,
) -> Allowed {
    Allowed {
        caller: caller.to_string(),
        exists: account.is_some(),
        uid: account.map(|account| account.uid),
        entries: entries.iter().map(|(who, meaning)| entry(who, meaning)).collect(),
        count: users.len(),
        users: users.into_iter().collect(),
    }
}

fn cannot_be_found_out(caller: &CallerName, error: &NameServiceError) -> String {
    format!(
        "It cannot be found out whom [callers] allows {caller}: {error}. What depends on it is refused."
    )
}
