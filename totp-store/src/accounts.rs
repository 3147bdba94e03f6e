//! What the name service says about accounts. An account that is proven absent and a name service that fails are
//! different answers here, and stay different.
//!
//! Known limit: where a module of the name service fails without setting an error number, glibc reports absence.

use std::collections::BTreeSet;
use std::ffi::CString;
use std::fs;
use std::path::PathBuf;

use nix::errno::Errno;
use nix::unistd::{self, Gid, Uid, User, getgrouplist};
use rustix::fs::{AtFlags, CWD, StatxFlags, statx};
use thiserror::Error;
use totp_core::name::UserName;
use totp_core::time::UnixTime;

/// An account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// What the name service calls it, which may differ from what was typed.
    pub name: UserName,
    /// Its uid.
    pub uid: u32,
    /// Its primary group.
    gid: Gid,
    home: PathBuf,
}

impl Account {
    /// When the home directory came into being, where the file system knows. Only for accounts whose home is on this machine: a
    /// server that doesn't answer would hold this up.
    #[must_use]
    pub fn home_made(&self) -> Option<UnixTime> {
        let flags = AtFlags::NO_AUTOMOUNT | AtFlags::STATX_DONT_SYNC;
        let found = statx(CWD, &self.home, flags, StatxFlags::BTIME).ok()?;
        let is_known = StatxFlags::from_bits_retain(found.stx_mask).contains(StatxFlags::BTIME);
        let made = u64::try_from(found.stx_btime.tv_sec).ok()?;
        is_known.then_some(UnixTime(made))
    }
}

/// The names of the accounts in `/etc/passwd`.
#[must_use]
pub fn local_names() -> BTreeSet<String> {
    let passwd = fs::read(PASSWD).unwrap_or_default();
    let passwd = String::from_utf8_lossy(&passwd);
    passwd.lines().filter_map(|line| Some(line.split_once(':')?.0.to_owned())).collect()
}

const PASSWD: &str = "/etc/passwd";

/// The name service couldn't answer, or answered with what can't be used.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum NameServiceError {
    /// A look-up failed.
    #[error("the name service can't look up {what} {name:?}: {}; look at /etc/nsswitch.conf and its services",
        .errno.desc())]
    Failed {
        /// What kind of thing was looked for.
        what: &'static str,
        /// Its name.
        name: String,
        /// Why not.
        errno: Errno,
    },
    /// An account whose name is empty, too long, or not UTF-8.
    #[error("the name service answers {asked:?} with a name that can't be used: {answer:?}")]
    Unusable {
        /// What was asked.
        asked: String,
        /// What came back.
        answer: String,
    },
}

/// Looks an account up. `None`: there is none of this name.
///
/// # Errors
/// Whatever is not an answer.
pub fn account(typed: &str) -> Result<Option<Account>, NameServiceError> {
    if typed.is_empty() || typed.contains('\0') {
        return Ok(None); // no account can be called so
    }
    let found = asked("user", typed, || User::from_name(typed))?;
    found.map(|user| from_user(typed, &user)).transpose()
}

/// The account of a uid. `None`: there is none.
///
/// # Errors
/// Whatever is not an answer.
pub fn account_of(uid: u32) -> Result<Option<Account>, NameServiceError> {
    let typed = uid.to_string();
    let found = asked("uid", &typed, || User::from_uid(Uid::from_raw(uid)))?;
    found.map(|user| from_user(&typed, &user)).transpose()
}

/// A group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// What the name service calls it.
    pub name: String,
    /// Its gid.
    pub gid: u32,
    /// The names in its list of members, which need not be all.
    pub members: Vec<String>,
}

/// Looks a group up. `None`: there is none of this name.
///
/// # Errors
/// Whatever is not an answer.
pub fn group(name: &str) -> Result<Option<Group>, NameServiceError> {
    if name.is_empty() || name.contains('\0') {
        return Ok(None);
    }
    let found = asked("group", name, || unistd::Group::from_name(name))?;
    Ok(found.map(|group| Group { name: group.name, gid: group.gid.as_raw(), members: group.mem }))
}

/// The groups of an account.
///
/// Each is looked up by name, rather than the account's list of groups alone: getgrouplist(3) hides errors, and an
/// account that seems to be in no group would not be asked for a code.
#[derive(Debug)]
pub struct Memberships<'a> {
    account: &'a Account,
    listed: Option<Vec<Gid>>,
}

impl<'a> Memberships<'a> {
    /// Of `account`; nothing is looked up yet.
    #[must_use]
    pub fn of(account: &'a Account) -> Self {
        Self { account, listed: None }
    }

    /// The account.
    #[must_use]
    pub fn account(&self) -> &'a Account {
        self.account
    }

    /// Whether the account is in `group`, as its primary group or as a member.
    ///
    /// # Errors
    /// The account's list of groups can't be looked up.
    pub fn include(&mut self, group: &Group) -> Result<bool, NameServiceError> {
        let account = self.account;
        let gid = Gid::from_raw(group.gid);
        if gid == account.gid || group.members.iter().any(|one| one == account.name.as_str()) {
            return Ok(true);
        }
        if self.listed.is_none() {
            self.listed = Some(group_list(account)?);
        }
        Ok(self.listed.as_ref().is_some_and(|gids| gids.contains(&gid)))
    }
}

/// Whether the account is root's, or in a group whose members usually may become root.
///
/// # Errors
/// A group that can't be looked up.
pub fn is_an_administrator(account: &Account) -> Result<bool, NameServiceError> {
    let mut memberships = Memberships::of(account);
    for name in ["root", "sudo", "wheel", "admin"] {
        if let Some(group) = group(name)?
            && memberships.include(&group)?
        {
            return Ok(true);
        }
    }
    Ok(account.uid == 0)
}

fn group_list(account: &Account) -> Result<Vec<Gid>, NameServiceError> {
    let name = account.name.as_str();
    let failed =
        |errno| NameServiceError::Failed { what: "groups of user", name: name.to_owned(), errno };
    let c_name = CString::new(name).map_err(|_| failed(Errno::EINVAL))?;
    getgrouplist(&c_name, account.gid).map_err(failed)
}

fn from_user(typed: &str, user: &User) -> Result<Account, NameServiceError> {
    let unusable =
        || NameServiceError::Unusable { asked: typed.to_owned(), answer: user.name.clone() };
    // Bytes that are not UTF-8 arrive as U+FFFD: two accounts could become one name.
    if user.name.contains('\u{fffd}') {
        return Err(unusable());
    }
    let name = UserName::new(&user.name).map_err(|_| unusable())?;
    Ok(Account { name, uid: user.uid.as_raw(), gid: user.gid, home: user.dir.clone() })
}

/// Asks again when a signal came in between; the buffer that is too small (ERANGE) is nix's business.
fn asked<T>(
    what: &'static str,
    name: &str,
    question: impl Fn() -> nix::Result<Option<T>>,
) -> Result<Option<T>, NameServiceError> {
    loop {
        Errno::clear(); // the error is read from errno, where an old one would stand for a new one
        match question() {
            Ok(answer) => return Ok(answer),
            Err(Errno::EINTR) => {}
            Err(errno) => {
                return Err(NameServiceError::Failed { what, name: name.to_owned(), errno });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_is_found_by_name_and_by_uid() {
        let root = account("root").unwrap().unwrap();
        assert_eq!((root.name.as_str(), root.uid), ("root", 0));
        assert_eq!(account_of(0).unwrap().unwrap(), root);
    }

    #[test]
    fn a_home_directory_is_no_older_than_itself() {
        let home = tempfile::tempdir().unwrap();
        let root = account("root").unwrap().unwrap();
        let before = crate::clock::now();
        let fresh = Account { home: home.path().join("home"), ..root };
        assert_eq!(fresh.home_made(), None);
        fs::create_dir(&fresh.home).unwrap();
        // Not every file system knows; the clock of file systems lags by a tick.
        assert!(fresh.home_made().is_none_or(|made| made >= before.minus(1)));
        assert!(local_names().contains("root"));
    }

    #[test]
    fn absence_is_an_answer_and_no_error() {
        assert_eq!(account("no-such-user-here"), Ok(None));
        assert_eq!(account(""), Ok(None));
        assert_eq!(account("ro\0ot"), Ok(None));
        assert_eq!(account(&"x".repeat(5000)), Ok(None));
    }

    #[test]
    fn groups_are_those_of_the_primary_gid_and_of_membership() {
        let root = account("root").unwrap().unwrap();
        let mut memberships = Memberships::of(&root);
        let mut includes = |name| memberships.include(&group(name).unwrap().unwrap()).unwrap();
        assert!(includes("root"));
        assert!(!includes("daemon"));
        assert_eq!(group("no-such-group"), Ok(None));
        assert_eq!(group(""), Ok(None));
    }

    #[test]
    fn root_is_an_administrator_and_a_service_is_none() {
        let of = |name| is_an_administrator(&account(name).unwrap().unwrap()).unwrap();
        assert!(of("root"));
        assert!(!of("daemon"));
    }

    #[test]
    fn a_name_that_is_not_utf_8_is_refused() {
        let mut user = User::from_name("root").unwrap().unwrap();
        user.name = "r\u{fffd}t".to_owned();
        assert!(matches!(from_user("x", &user), Err(NameServiceError::Unusable { .. })));
    }

    #[test]
    fn a_failing_name_service_is_never_absence() {
        let answer = asked::<()>("user", "alice", || Err(Errno::EIO));
        assert_eq!(
            answer.unwrap_err().to_string(),
            "the name service can't look up user \"alice\": I/O error; look at /etc/nsswitch.conf and its services"
        );
    }

    #[test]
    fn a_signal_makes_the_question_asked_again() {
        let calls = core::cell::Cell::new(0);
        let answer = asked("user", "alice", || {
            calls.set(calls.get() + 1);
            if calls.get() == 1 { Err(Errno::EINTR) } else { Ok(Some(())) }
        });
        assert_eq!(answer, Ok(Some(())));
    }
}
