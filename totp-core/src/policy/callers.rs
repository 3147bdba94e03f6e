//! `[callers]`: service accounts whose programs ask about other users.

use alloc::borrow::ToOwned;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

use serde::de::{self, Deserializer};
use serde::{Deserialize, Serialize, Serializer};

use super::Who;
use super::values::as_text;

/// `[callers]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CallersKeys {
    /// The users and groups that the programs of each service account may ask about.
    pub allow: BTreeMap<CallerName, Vec<Who>>,
}

/// The name of a service account: a user's.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CallerName(String);

impl CallerName {
    /// The name, as the file spells it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for CallerName {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() {
            return Err("a caller's name is not empty");
        }
        // Programs run as a user. That a group has members says nothing of which of them are a service's.
        if text.starts_with('@') {
            return Err(
                "a caller is a user, not a group: name the account that the service runs as",
            );
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for CallerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

as_text!(CallerName);

#[cfg(test)]
mod tests {
    use alloc::string::ToString as _;

    use super::*;
    use crate::policy::Config;

    #[test]
    fn callers_have_lists_of_users_and_groups_in_either_form_of_a_table() {
        let inline =
            "[callers]\nallow = { postgres = [\"@dbusers\"], freerad = [\"alice\", \"@vpn\"] }";
        let table = "[callers.allow]\npostgres = [\"@dbusers\"]\nfreerad = [\"alice\", \"@vpn\"]";
        let config = Config::parse(inline).unwrap();
        assert_eq!(Config::parse(table).unwrap(), config);
        let of = |name: &str| config.callers.allow[&name.parse::<CallerName>().unwrap()].clone();
        assert_eq!(of("freerad"), [Who::User("alice".into()), Who::Group("vpn".into())]);
        assert_eq!(Config::parse(&config.print().unwrap()), Ok(config));
    }

    #[test]
    fn a_caller_is_a_user_and_each_mistake_is_named_with_its_place() {
        let cases = [
            (
                "[callers]\nallow = { \"@web\" = [] }",
                "line 2, column 11: a caller is a user, not a",
            ),
            ("[callers]\nallow = { \"\" = [] }", "line 2, column 11: a caller's name is not empty"),
            ("[callers]\nallow = { www-data = [\"@\"] }", "line 2, column 23: a group has a name"),
            ("[callers]\nallow = [\"postgres\"]", "line 2, column 9: invalid type"),
            ("[callers]\npostgres = []", "line 2, column 1: unknown field `postgres`"),
        ];
        for (text, expected) in cases {
            let error = Config::parse(text).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error}");
        }
    }
}
