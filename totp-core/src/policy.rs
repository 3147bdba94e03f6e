//! Policy: what an administrator decided for everyone, as `config.toml` says it. Every key is optional; an unknown
//! key is refused.

mod callers;
mod lists;
mod places;
mod values;
mod ways;

use alloc::borrow::ToOwned;
use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use serde::de::{self, Deserializer};
use serde::{Deserialize, Serialize, Serializer};
use thiserror::Error;

use crate::budget::YearlyChance;
use crate::evaluate::{Rules, Usual};
use crate::otp::Digits;
use crate::reading;
use crate::time::{Date, Period};

pub use self::callers::{CallerName, CallersKeys};
pub use self::lists::{List, NamedList, Section};
pub use self::places::{Display, Messages, Outputs, is_sshd, messages};
pub use self::values::{
    AbsolutePath, AlgorithmKey, Argument, Chance, DateKey, Limited, Network, Who,
};
pub use self::ways::{
    Command, MailKeys, Pattern, RecoveryKeys, RecoveryMode, RememberKeys, SmsKeys, Transport,
};

/// The whole configuration.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Who is asked.
    pub policy: PolicyKeys,
    /// Other values of the same keys for one PAM service.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "lists::sections")]
    pub service: BTreeMap<String, PolicyKeys>,
    /// Which programs that are not root ask about other users.
    pub callers: CallersKeys,
    /// What new authenticators are like, and the window.
    pub totp: TotpKeys,
    /// What guessing may win.
    pub guessing: GuessingKeys,
    /// Recovery codes.
    pub recovery: RecoveryKeys,
    /// Remembered devices.
    pub remember: RememberKeys,
    /// How people are told.
    pub mail: MailKeys,
    /// Text messages.
    pub sms: SmsKeys,
    /// Where files are.
    pub paths: Paths,
}

/// `[policy]` and `[service.NAME]`: each key may be left out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PolicyKeys {
    /// Who needs a second factor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub require: Option<Require>,
    /// Who is never asked: names, and groups as `@name`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exempt: Option<Vec<Who>>,
    /// From where nobody is asked: literal remote addresses only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exempt_networks: Option<Vec<Network>>,
    /// What becomes of users whose second factor was switched off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disabled: Option<Disabled>,
    /// Until this day, inclusive (UTC), who must be enrolled and isn't may enroll at login, or put it off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enroll_by: Option<DateKey>,
    /// The services at which secrets are shown: keys to enroll, and recovery codes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enroll_in: Option<Vec<String>>,
}

/// `[policy]` for one service, every key decided.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// Who needs a second factor.
    pub require: Require,
    /// Who is never asked.
    pub exempt: Vec<Who>,
    /// From where nobody is asked.
    pub exempt_networks: Vec<Network>,
    /// What becomes of users whose second factor was switched off.
    pub disabled: Disabled,
    /// Until this day, inclusive (UTC), who must be enrolled and isn't may enroll at login, or put it off.
    pub enroll_by: Option<Date>,
    /// The services at which secrets are shown: keys to enroll, and recovery codes.
    pub enroll_in: Vec<String>,
}

/// `require`.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Require {
    /// Everybody, enrolled or not, with an account or without.
    #[default]
    Everyone,
    /// Who is enrolled.
    Enrolled,
    /// These, and whoever is enrolled.
    These(Vec<Who>),
}

/// `disabled`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Disabled {
    /// The first factor alone lets in: an administrator decided so.
    #[default]
    Exempt,
    /// Nobody gets in.
    Denied,
}

/// `[totp]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TotpKeys {
    /// Names the host or company in the app. Empty: the host's name.
    pub issuer: String,
    /// 6, 7 or 8.
    pub digits: Limited<6, 8>,
    /// Seconds, 15 to 120.
    pub period: Limited<15, 120>,
    /// `sha1`, `sha256` or `sha512`.
    pub algorithm: AlgorithmKey,
    /// Steps either way, 0 to 10.
    pub window: Limited<0, 10>,
}

impl Default for TotpKeys {
    fn default() -> Self {
        Self {
            issuer: String::new(),
            digits: Limited(6),
            period: Limited(30),
            algorithm: AlgorithmKey::default(),
            window: Limited(1),
        }
    }
}

impl TotpKeys {
    /// Digits of a new authenticator's codes.
    #[must_use]
    pub fn digits(&self) -> Digits {
        Digits::new(self.digits.0).unwrap_or_default() // Limited has checked
    }

    /// The period of a new authenticator.
    #[must_use]
    pub fn period(&self) -> Period {
        Period::new(self.period.0).unwrap_or(Period::DEFAULT) // Limited has checked
    }
}

/// `[guessing]`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GuessingKeys {
    /// What an attacker who knows the password may win in a year of guessing: 0.0001 to 0.01.
    pub yearly_chance: Chance,
    /// How many hosts share a secret: 1 to 1000.
    pub hosts: Limited<1, 1000>,
}

impl Default for GuessingKeys {
    fn default() -> Self {
        Self { yearly_chance: Chance(0.001), hosts: Limited(1) }
    }
}

/// `[paths]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Paths {
    /// Holds `users/` and `state/`.
    pub state_dir: AbsolutePath,
    /// The permanent record.
    pub log_file: AbsolutePath,
    /// Holds the state while the disk can't be written.
    pub run_dir: AbsolutePath,
}

impl Default for Paths {
    fn default() -> Self {
        let path = |text: &str| AbsolutePath(text.to_owned());
        Self {
            state_dir: path("/var/lib/pam-totp"),
            log_file: path("/var/log/pam-totp/notifications.jsonl"),
            run_dir: path("/run/pam-totp/state"),
        }
    }
}

impl Config {
    /// Reads `config.toml`.
    ///
    /// # Errors
    /// With line and column; an unknown key is an error.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        reading::from_str(text).map_err(|error| ConfigError::of(text, &error))
    }

    /// The effective settings, as a file that says the same.
    ///
    /// # Errors
    /// None that is known of; whatever the library says.
    pub fn print(&self) -> Result<String, ConfigError> {
        toml::to_string(self).map_err(|error| ConfigError {
            line: 1,
            column: 1,
            message: error.to_string(),
        })
    }

    /// Policy for one PAM service: its own keys, else the general ones, else the defaults.
    #[must_use]
    pub fn policy(&self, service: &str) -> Policy {
        let own = self.section(service).map(|(_, keys)| keys);
        let general = &self.policy;
        Policy {
            require: pick(own, general, |keys| keys.require.clone()),
            exempt: pick(own, general, |keys| keys.exempt.clone()),
            exempt_networks: pick(own, general, |keys| keys.exempt_networks.clone()),
            disabled: pick(own, general, |keys| keys.disabled),
            enroll_by: own.and_then(|keys| keys.enroll_by).or(general.enroll_by).map(|day| day.0),
            enroll_in: own
                .and_then(|keys| keys.enroll_in.clone())
                .or_else(|| general.enroll_in.clone())
                .unwrap_or_else(places::usual),
        }
    }

    /// What evaluating needs to know. `None` where the chance is out of range, which `parse` refuses.
    #[must_use]
    pub fn rules(&self) -> Option<Rules> {
        let chance = YearlyChance::new(self.guessing.yearly_chance.0, self.guessing.hosts.0)?;
        let usual = Usual { algorithm: self.totp.algorithm.0, period: self.totp.period() };
        Some(Rules { window: self.totp.window.0, chance, usual })
    }
}

fn pick<T: Default>(
    own: Option<&PolicyKeys>,
    general: &PolicyKeys,
    key: impl Fn(&PolicyKeys) -> Option<T>,
) -> T {
    own.and_then(&key).or_else(|| key(general)).unwrap_or_default()
}

/// Why a configuration can't be used, and where.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("line {line}, column {column}: {message}")]
pub struct ConfigError {
    /// Counted from 1.
    pub line: usize,
    /// Counted from 1, in characters.
    pub column: usize,
    /// What is wrong.
    pub message: String,
}

impl ConfigError {
    fn of(text: &str, error: &reading::Error) -> Self {
        let at = error.span().map_or(0, |span| span.start);
        let before = text.get(..at).unwrap_or_default();
        let line = before.matches('\n').count().saturating_add(1);
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count();
        Self { line, column: column.saturating_add(1), message: error.message().to_owned() }
    }
}

impl<'de> Deserialize<'de> for Require {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Require;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("\"everyone\", \"enrolled\" or a list such as [\"@sudo\", \"dave\"]")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Require, E> {
                match text {
                    "everyone" => Ok(Require::Everyone),
                    "enrolled" => Ok(Require::Enrolled),
                    _ => Err(E::invalid_value(de::Unexpected::Str(text), &self)),
                }
            }

            fn visit_seq<A: de::SeqAccess<'de>>(self, mut list: A) -> Result<Require, A::Error> {
                let mut these = Vec::new();
                while let Some(who) = list.next_element()? {
                    these.push(who);
                }
                Ok(Require::These(these))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl Serialize for Require {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Everyone => serializer.serialize_str("everyone"),
            Self::Enrolled => serializer.serialize_str("enrolled"),
            Self::These(these) => serializer.collect_seq(these),
        }
    }
}
#[cfg(test)]
mod tests {
    use alloc::format;
    use core::net::IpAddr;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_empty_file_means_the_defaults() {
        let config = Config::parse("").unwrap();
        assert_eq!(config, Config::default());
        assert_eq!(config.rules(), Some(Rules::default()));
        assert_eq!(config.policy("sshd").require, Require::Everyone);
        assert_eq!(config.paths.state_dir.as_str(), "/var/lib/pam-totp");
    }

    #[test]
    fn the_effective_settings_read_back() {
        let config = Config::parse(
            "[policy]\nrequire = [\"@sudo\", \"dave\"]\nexempt_networks = [\"10.0.0.0/8\", \"::1\"]\n\
             [service.sudo]\nrequire = \"enrolled\"\ndisabled = \"denied\"\n\
             [totp]\nissuer = \"ACME\"\nalgorithm = \"sha256\"\n[guessing]\nhosts = 3\n",
        )
        .unwrap();
        assert_eq!(Config::parse(&config.print().unwrap()), Ok(config));
    }

    #[test]
    fn a_service_has_its_own_keys_and_the_general_ones_otherwise() {
        let config = Config::parse(
            "[policy]\nexempt = [\"robot\"]\nrequire = \"enrolled\"\n[service.sudo]\nrequire = \"everyone\"",
        )
        .unwrap();
        assert_eq!(config.policy("sudo").require, Require::Everyone);
        assert_eq!(config.policy("sshd").require, Require::Enrolled);
        assert_eq!(config.policy("sudo").exempt, [Who::User("robot".into())]);
    }

    #[test]
    fn every_mistake_is_named_with_its_place() {
        let cases = [
            ("[policy]\nrequires = 1", "line 2, column 1: unknown field `requires`"),
            ("[polcy]\n", "line 1, column 2: unknown field `polcy`"),
            ("[policy]\nrequire = \"all\"", "line 2, column 11: invalid value"),
            (
                "[policy]\nexempt_networks = [\"10.0.0.0/33\"]",
                "line 2, column 20: not an IP network",
            ),
            ("[policy]\nexempt = [\"@\"]", "line 2, column 11: a group has a name"),
            ("[totp]\ndigits = 5", "line 2, column 10: 5 is not from 6 to 8"),
            ("[totp]\nwindow = -1", "line 2, column 10: -1 is not from 0 to 10"),
            ("[totp]\nalgorithm = \"md5\"", "line 2, column 13: the algorithm is"),
            (
                "[guessing]\nyearly_chance = 0.5",
                "line 2, column 17: a chance is from 0.0001 to 0.01",
            ),
            ("[paths]\nstate_dir = \"x\"", "line 2, column 13: a path begins with /"),
        ];
        for (text, expected) in cases {
            let error = Config::parse(text).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error}");
        }
    }

    #[test]
    fn networks_hold_their_addresses() {
        let contains = |network: &str, address: &str| {
            network.parse::<Network>().unwrap().contains(address.parse().unwrap())
        };
        assert!(contains("10.0.0.0/8", "10.255.0.1"));
        assert!(contains("10.0.0.0/8", "::ffff:10.1.2.3"));
        assert!(!contains("10.0.0.0/8", "11.0.0.1"));
        assert!(contains("2001:db8::/32", "2001:db8:ffff::1"));
        assert!(contains("0.0.0.0/0", "203.0.113.9") && !contains("0.0.0.0/0", "::1"));
        assert!(contains("::/0", "2001:db8::1"));
        assert!(contains("192.0.2.1", "192.0.2.1") && !contains("192.0.2.1", "192.0.2.2"));
    }

    #[test]
    fn a_network_is_the_same_with_its_host_bits_0() {
        let canonical = |text: &str| text.parse::<Network>().unwrap().canonical().to_string();
        assert_eq!(canonical("10.0.0.5/8"), "10.0.0.0/8");
        assert_eq!(canonical("10.0.0.5/0"), "0.0.0.0/0");
        assert_eq!(canonical("192.0.2.7"), "192.0.2.7/32");
        assert_eq!(canonical("2001:db8::7/32"), "2001:db8::/32");
        assert_eq!(canonical("2001:db8::7/0"), "::/0");
    }

    #[test]
    fn ipv4_addresses_written_as_ipv6_make_an_empty_network() {
        let is_empty = |text: &str| text.parse::<Network>().unwrap().is_empty();
        assert!(is_empty("::ffff:10.0.0.0/104"));
        assert!(!is_empty("::/0") && !is_empty("10.0.0.0/8") && !is_empty("::1"));
    }

    proptest! {
        #[test]
        fn a_printed_network_reads_back(base in any::<IpAddr>(), bits in 0u8..=32) {
            let text = format!("{base}/{bits}");
            prop_assert_eq!(text.parse::<Network>().unwrap().to_string(), text);
        }

        #[test]
        fn any_configuration_is_parsed_without_a_panic(text in "(\\[policy\\]\n)?.{0,60}") {
            let _ = Config::parse(&text);
        }
    }
}
