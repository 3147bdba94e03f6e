//! What the users, groups and services that a configuration names come to for one login, once the name service has
//! answered. A name that does not exist covers no user; in `require` it may have meant any.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::policy::{CallerName, List, Section, Who};

/// What one list comes to for one user.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    /// An entry names the user, or a group of the user's.
    pub covers: bool,
    /// What the list names and does not exist.
    pub unresolved: Vec<Unresolved>,
}

impl Coverage {
    /// Whether the user is covered, or may have been meant by a name that does not exist.
    #[must_use]
    pub fn covers_or_may(&self) -> bool {
        self.covers || !self.unresolved.is_empty()
    }
}

/// A name in the configuration that stands for nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unresolved {
    /// A user or group in a list, proven not to exist.
    Name {
        /// The section.
        section: Section,
        /// The key.
        list: List,
        /// The entry.
        who: Who,
    },
    /// An entry of `exempt` that can't be looked up. Where one of `require` can't be, the login is denied.
    Unknown {
        /// The section.
        section: Section,
        /// The entry.
        who: Who,
        /// What the name service says.
        why: String,
    },
    /// The section of a service that there is none of, and that requires a second factor.
    Service(String),
    /// A caller in `[callers]`, or an entry of its list.
    Caller {
        /// The caller.
        caller: CallerName,
        /// The entry; `None` is the caller itself.
        entry: Option<Who>,
        /// What the name service says where it fails; `None` is a proven absence.
        why: Option<String>,
    },
}

impl fmt::Display for Unresolved {
    /// What is wrong and what follows, without the file.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name { section, list, who } => {
                let (key, who) = (list.as_str(), Described(who));
                write!(f, "{section} {key} names {who}, which does not exist: ")?;
                f.write_str(match list {
                    List::Require => "every user needs a second factor until it is corrected",
                    List::Exempt => "it exempts no user; correct it or take it out",
                })
            }
            Self::Unknown { section, who, why } => {
                write!(f, "{section} exempt names {who}, and {why}: until then it exempts no user")
            }
            Self::Service(name) => write!(
                f,
                "[service.{name}] sets require, and there is no service {name:?} in /etc/pam.d: every user needs a \
                 second factor at each service without a require of its own until it is corrected"
            ),
            Self::Caller { caller, entry: None, why: None } => write!(
                f,
                "[callers] allow names the caller {:?}, which does not exist: it allows no program; correct it or take \
                 it out",
                caller.as_str()
            ),
            Self::Caller { caller, entry: None, why: Some(why) } => write!(
                f,
                "[callers] allow names the caller {caller}, and {why}: until then it allows no program"
            ),
            Self::Caller { caller, entry: Some(who), why: None } => write!(
                f,
                "[callers] allow of {caller} names {}, which does not exist: it allows no user; correct it or take it out",
                Described(who)
            ),
            Self::Caller { caller, entry: Some(who), why: Some(why) } => write!(
                f,
                "[callers] allow of {caller} names {who}, and {why}: until then it allows no user"
            ),
        }
    }
}

/// As in `the group "admins"`.
struct Described<'a>(&'a Who);

impl fmt::Display for Described<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Who::User(name) => write!(f, "the user {name:?}"),
            Who::Group(name) => write!(f, "the group {name:?}"),
        }
    }
}
