//! The lists of users and groups in a configuration, with the section each stands in, and the sections of services.

use alloc::collections::BTreeMap;
use alloc::string::String;
use core::fmt;

use serde::de::{self, Deserializer, MapAccess};

use super::{Config, PolicyKeys, Require, Who};

/// A section of the configuration with the keys of `[policy]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Section {
    /// `[policy]`.
    Policy,
    /// `[service.NAME]`, as the file spells it.
    Service(String),
}

impl fmt::Display for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Policy => f.write_str("[policy]"),
            Self::Service(name) => write!(f, "[service.{name}]"),
        }
    }
}

/// Which of the two lists of a section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum List {
    /// `require`.
    Require,
    /// `exempt`.
    Exempt,
}

impl List {
    /// The key in the file.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Require => "require",
            Self::Exempt => "exempt",
        }
    }

    fn of(self, keys: &PolicyKeys) -> Option<&[Who]> {
        match self {
            Self::Require => keys.require.as_ref().map(Require::names),
            Self::Exempt => keys.exempt.as_deref(),
        }
    }
}

/// One list of users and groups, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedList<'a> {
    /// The section.
    pub section: Section,
    /// The key.
    pub list: List,
    /// The entries.
    pub entries: &'a [Who],
}

impl Require {
    /// The users and groups that it lists.
    #[must_use]
    pub fn names(&self) -> &[Who] {
        match self {
            Self::These(these) => these,
            Self::Everyone | Self::Enrolled => &[],
        }
    }

    /// Whether it requires a second factor of any user who is not enrolled.
    fn requires_anything(&self) -> bool {
        match self {
            Self::Everyone => true,
            Self::Enrolled => false,
            Self::These(these) => !these.is_empty(),
        }
    }
}

impl Config {
    /// The section for a service. libpam turns the names of services into lower case (`pam_start`, `pam_set_item`).
    pub(super) fn section(&self, service: &str) -> Option<(&str, &PolicyKeys)> {
        let mut sections = self.service.iter();
        let found = sections.find(|(name, _)| name.eq_ignore_ascii_case(service));
        found.map(|(name, keys)| (name.as_str(), keys))
    }

    /// The list that holds for a service, in its own section or in `[policy]`.
    #[must_use]
    pub fn list(&self, service: &str, list: List) -> NamedList<'_> {
        if let Some((name, keys)) = self.section(service)
            && let Some(entries) = list.of(keys)
        {
            return NamedList { section: Section::Service(name.into()), list, entries };
        }
        let entries = list.of(&self.policy).unwrap_or_default();
        NamedList { section: Section::Policy, list, entries }
    }

    /// All lists that stand in the file.
    pub fn lists(&self) -> impl Iterator<Item = NamedList<'_>> {
        self.sections().flat_map(|(section, keys)| {
            let named = move |list: List| {
                let listed = match (list, &keys.require) {
                    (List::Require, Some(Require::Everyone | Require::Enrolled)) => None,
                    _ => list.of(keys),
                };
                listed.map(|entries| NamedList { section: section.clone(), list, entries })
            };
            [List::Require, List::Exempt].into_iter().filter_map(named)
        })
    }

    /// `[policy]` and the sections of services.
    pub fn sections(&self) -> impl Iterator<Item = (Section, &PolicyKeys)> {
        let services =
            self.service.iter().map(|(name, keys)| (Section::Service(name.clone()), keys));
        core::iter::once((Section::Policy, &self.policy)).chain(services)
    }

    /// The services whose sections require a second factor of more users than the policy of `service` may do. Where one of
    /// them is no service, its users were meant to be asked at another one, which may be this.
    /// None where `service` has a `require` of its own, or requires a second factor of everyone.
    pub fn sections_that_require(&self, service: &str) -> impl Iterator<Item = &str> {
        let own = self.section(service).is_some_and(|(_, keys)| keys.require.is_some());
        let decided = own || matches!(self.policy(service).require, Require::Everyone);
        let sections = self.service.iter().filter(move |_| !decided);
        sections
            .filter(|(_, keys)| keys.require.as_ref().is_some_and(Require::requires_anything))
            .map(|(name, _)| name.as_str())
    }
}

/// Reads the sections of services, and refuses two for one service.
pub(super) fn sections<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<String, PolicyKeys>, D::Error> {
    struct Visitor;
    impl<'de> de::Visitor<'de> for Visitor {
        type Value = BTreeMap<String, PolicyKeys>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("sections such as [service.sudo]")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut sections: Self::Value = BTreeMap::new();
            while let Some(name) = map.next_key::<String>()? {
                let earlier = sections.keys().find(|one| one.eq_ignore_ascii_case(&name));
                if let Some(earlier) = earlier {
                    return Err(de::Error::custom(alloc::format!(
                        "[service.{earlier}] and [service.{name}] are the same service: libpam uses lower case"
                    )));
                }
                let keys = map.next_value()?;
                sections.insert(name, keys);
            }
            Ok(sections)
        }
    }
    deserializer.deserialize_map(Visitor)
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString as _;
    use alloc::vec::Vec;

    use super::*;

    fn config(text: &str) -> Config {
        Config::parse(text).unwrap()
    }

    fn that_require(text: &str, service: &str) -> Vec<String> {
        config(text).sections_that_require(service).map(Into::into).collect()
    }

    #[test]
    fn a_section_is_found_as_libpam_spells_the_service() {
        let config = config("[service.SSHD]\nrequire = \"enrolled\"");
        assert_eq!(config.policy("sshd").require, Require::Enrolled);
    }

    #[test]
    fn two_sections_for_one_service_are_a_mistake() {
        let text = "[service.SSHD]\nrequire = \"everyone\"\n[service.sshd]\nrequire = \"enrolled\"";
        let error = Config::parse(text).unwrap_err().to_string();
        assert!(error.contains("[service.SSHD] and [service.sshd] are the same"), "{error}");
    }

    #[test]
    fn a_list_is_told_with_the_section_it_stands_in() {
        let config = config(
            "[policy]\nrequire = [\"a\"]\nexempt = [\"b\"]\n[service.Sudo]\nrequire = [\"c\"]",
        );
        let of = |service, list| {
            let found = config.list(service, list);
            (found.section.to_string(), found.entries[0].to_string())
        };
        let expected = |section: &str, entry: &str| (section.to_string(), entry.to_string());
        assert_eq!(of("sudo", List::Require), expected("[service.Sudo]", "c"));
        assert_eq!(of("sudo", List::Exempt), expected("[policy]", "b"));
        assert_eq!(of("sshd", List::Require), expected("[policy]", "a"));
        assert_eq!(config.lists().count(), 3);
    }

    #[test]
    fn sections_that_require_something_are_those_of_other_services() {
        let sections = "[service.a]\nrequire = \"everyone\"\n[service.b]\nrequire = [\"root\"]\n\
                        [service.c]\nrequire = []\n[service.d]\nrequire = \"enrolled\"\n\
                        [service.e]\nexempt = []\n";
        let text = alloc::format!("[policy]\nrequire = \"enrolled\"\n{sections}");
        assert_eq!(that_require(&text, "other"), ["a", "b"]);
        assert_eq!(that_require(&text, "e"), ["a", "b"], "without a require of its own");
        assert_eq!(that_require(&text, "d"), [""; 0], "it has one");
        assert_eq!(that_require(sections, "other"), [""; 0], "everyone is required already");
    }
}
