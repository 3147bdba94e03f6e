//! The tables of `config.toml` for what stands around the code: recovery codes, remembered devices, mail and text
//! messages.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

use serde::de::{self, Deserializer};
use serde::{Deserialize, Serialize, Serializer};

use super::values::{AbsolutePath, Argument, Limited, as_text};
use crate::contact::Email;
use crate::text_message::Limits;
use crate::time::DAY;

/// `[recovery]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RecoveryKeys {
    /// What kind of recovery codes an enrollment issues.
    pub mode: RecoveryMode,
    /// How many of them, 1 to 16; `rotating` has one in any case.
    pub count: Limited<1, 16>,
}

impl Default for RecoveryKeys {
    fn default() -> Self {
        Self { mode: RecoveryMode::Codes, count: Limited(5) }
    }
}

impl RecoveryKeys {
    /// How many codes are issued.
    #[must_use]
    pub fn count(&self) -> usize {
        match self.mode {
            RecoveryMode::Off => 0,
            RecoveryMode::Rotating => 1,
            RecoveryMode::Codes => usize::try_from(self.count.0).unwrap_or(1),
        }
    }
}

/// `mode` of `[recovery]`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RecoveryMode {
    /// Several, each good once.
    #[default]
    Codes,
    /// One; signing in with it hands out the next.
    Rotating,
    /// None.
    Off,
}

/// `[remember]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RememberKeys {
    /// For how many days a device is remembered, up to 365; 0: never.
    pub days: Limited<0, 365>,
    /// The PAM services that remember devices.
    pub services: Vec<String>,
    /// Whether a device is known in the network alone from which it was remembered (/24, /64).
    pub same_network: bool,
}

impl Default for RememberKeys {
    fn default() -> Self {
        Self { days: Limited(0), services: vec!["sshd".to_owned()], same_network: false }
    }
}

impl RememberKeys {
    /// For how many seconds `service` remembers a device; `None`: not at all.
    #[must_use]
    pub fn seconds(&self, service: &str) -> Option<u64> {
        let listed = self.services.iter().any(|one| one.eq_ignore_ascii_case(service)); // as libpam
        self.anywhere().filter(|_| listed)
    }

    /// For how many seconds a device is remembered where it is; `None`: nowhere.
    #[must_use]
    pub fn anywhere(&self) -> Option<u64> {
        (self.days.0 > 0).then(|| self.days.0.saturating_mul(DAY))
    }
}

/// `[mail]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MailKeys {
    /// The sender. Left out: `pam-totp@` and the host's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Email>,
    /// Where mail goes for users without an address; `{user}` stands for the name. Left out: nowhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_to: Option<Pattern>,
    /// Who gets a copy of every notification.
    pub copy_to: Vec<Email>,
    /// How mail leaves this host.
    pub transport: Transport,
    /// The program of the transport `sendmail`.
    pub sendmail: AbsolutePath,
    /// The name to log in with over SMTP.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// A file of root's with the password for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password_file: Option<AbsolutePath>,
    /// A file with certificates (PEM) that are trusted besides the system's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<AbsolutePath>,
    /// Whom people are to ask about a notification: an address, a number, a page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub questions: Option<String>,
    /// Texts of notifications that stand in for ours.
    pub templates: AbsolutePath,
    /// Seconds that one delivery may take, 1 to 300.
    pub timeout: Limited<1, 300>,
}

impl Default for MailKeys {
    fn default() -> Self {
        Self {
            from: None,
            default_to: None,
            copy_to: Vec::new(),
            transport: Transport::Sendmail,
            sendmail: AbsolutePath("/usr/sbin/sendmail".to_owned()),
            user: None,
            password_file: None,
            ca_file: None,
            questions: None,
            templates: AbsolutePath("/etc/pam-totp/notices".to_owned()),
            timeout: Limited(20),
        }
    }
}

/// `transport` of `[mail]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Transport {
    /// The program `sendmail`, which queues by itself.
    #[default]
    Sendmail,
    /// A mail server.
    Smtp {
        /// Name or address.
        host: String,
        /// The port, where it isn't the usual one (587, or 465 for `smtps`).
        port: Option<u16>,
        /// Whether TLS begins with the connection (`smtps://`), not by STARTTLS (`smtp://`). Without either only this
        /// host itself is spoken to.
        wrapped: bool,
    },
}

impl FromStr for Transport {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const WHAT: &str =
            "the transport is \"sendmail\", \"smtp://HOST[:PORT]\" or \"smtps://HOST[:PORT]\"";
        if text == "sendmail" {
            return Ok(Self::Sendmail);
        }
        let (wrapped, rest) = match (text.strip_prefix("smtp://"), text.strip_prefix("smtps://")) {
            (Some(rest), _) => (false, rest),
            (_, Some(rest)) => (true, rest),
            _ => return Err(WHAT),
        };
        if rest.contains('@') {
            return Err("others may read this file: the login goes to user and password_file");
        }
        let (host, port) = match rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((host, "")) => (host, None),
            Some((host, port)) => (host, Some(port.strip_prefix(':').ok_or(WHAT)?)),
            None => match rest.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (rest, None),
            },
        };
        let sane = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':');
        if host.is_empty() || !host.chars().all(sane) {
            return Err(WHAT);
        }
        let port = match port {
            None => None,
            Some(port) => Some(port.parse().ok().filter(|port| *port != 0).ok_or(WHAT)?),
        };
        Ok(Self::Smtp { host: host.to_owned(), port, wrapped })
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Smtp { host, port, wrapped } = self else { return f.write_str("sendmail") };
        f.write_str(if *wrapped { "smtps://" } else { "smtp://" })?;
        if host.contains(':') {
            write!(f, "[{host}]")?
        } else {
            f.write_str(host)?
        }
        port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

/// An address in which `{user}` stands for the name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(String);

impl Pattern {
    /// The address of `user`, where that makes one.
    #[must_use]
    pub fn address_of(&self, user: &str) -> Option<Email> {
        self.0.replace("{user}", user).parse().ok()
    }
}

impl FromStr for Pattern {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let pattern = Self(text.to_owned());
        if text.replace("{user}", "").contains(['{', '}']) {
            return Err("only {user} stands for something here, as in {user}@example.com");
        }
        match pattern.address_of("user") {
            Some(_) => Ok(pattern),
            None => Err("not an address such as {user}@example.com"),
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// `[sms]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SmsKeys {
    /// The program that sends a text message, and its arguments: `{phone}` and `{text}` are put in, and the text goes
    /// to its standard input where no argument has it. Empty: there are no text messages.
    pub command: Command,
    /// How many are sent to a user in an hour, 2 to 10: strangers get half.
    pub per_hour: Limited<2, 10>,
    /// How many in a day, 2 to 20.
    pub per_day: Limited<2, 20>,
    /// Seconds that the program may take, 1 to 120.
    pub timeout: Limited<1, 120>,
}

impl Default for SmsKeys {
    fn default() -> Self {
        Self {
            command: Command(Vec::new()),
            per_hour: Limited(3),
            per_day: Limited(10),
            timeout: Limited(20),
        }
    }
}

impl SmsKeys {
    /// How many messages a user is sent; `None` where there are no text messages.
    #[must_use]
    pub fn limits(&self) -> Option<Limits> {
        let count = |number: u64| usize::try_from(number).unwrap_or(1);
        (!self.command.is_empty())
            .then(|| Limits { per_hour: count(self.per_hour.0), per_day: count(self.per_day.0) })
    }
}

/// A program by its absolute path, and its arguments. May be empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Command(Vec<Argument>);

impl Command {
    /// The program and its arguments; `None` where there is none.
    #[must_use]
    pub fn parts(&self) -> Option<(&str, impl Iterator<Item = &str>)> {
        let (program, arguments) = self.0.split_first()?;
        Some((program.as_str(), arguments.iter().map(Argument::as_str)))
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<'de> Deserialize<'de> for Command {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let parts = Vec::<Argument>::deserialize(deserializer)?;
        if parts.first().is_some_and(|program| !program.as_str().starts_with('/')) {
            return Err(de::Error::custom("a program is named by its path, which begins with /"));
        }
        for argument in &parts {
            if let Some(name) = unknown_placeholder(argument.as_str()) {
                return Err(de::Error::custom(format_args!(
                    "{{{name}}} stands for nothing here; write {{phone}} or {{text}}"
                )));
            }
        }
        Ok(Self(parts))
    }
}

/// A word in braces that would be handed over as it stands: somebody meant [`SmsKeys::command`] to put something in. Braces
/// around anything else, and a shell's `${NAME}`, are the program's own.
fn unknown_placeholder(argument: &str) -> Option<&str> {
    let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    let mut parts = argument.split('{');
    let mut before = parts.next()?;
    for part in parts {
        let inner = part.split_once('}').map(|(inner, _)| inner);
        let meant = inner.filter(|inner| {
            let name = inner.trim();
            let ours = matches!(*inner, "phone" | "text");
            !ours && !before.ends_with('$') && !name.is_empty() && name.chars().all(word)
        });
        if meant.is_some() {
            return meant;
        }
        before = part;
    }
    None
}

as_text!(Transport, Pattern, Email);

#[cfg(test)]
mod tests {
    use alloc::string::ToString as _;

    use super::*;
    use crate::policy::Config;

    #[test]
    fn every_table_reads_back_as_it_is_printed() {
        let config = Config::parse(
            "[policy]\nenroll_by = 2027-01-31\n[recovery]\nmode = \"rotating\"\ncount = 8\n\
             [remember]\ndays = 30\nservices = [\"sshd\", \"vpn\"]\nsame_network = true\n\
             [mail]\nfrom = \"root@web1.example.com\"\ndefault_to = \"{user}@example.com\"\n\
             copy_to = [\"security@example.com\"]\ntransport = \"smtp://[::1]:2525\"\nuser = \"web1\"\n\
             password_file = \"/etc/pam-totp/mail\"\nquestions = \"security@example.com\"\n\
             [sms]\ncommand = [\"/usr/bin/gammu-smsd-inject\", \"TEXT\", \"{phone}\"]\nper_day = 5\n",
        )
        .unwrap();
        assert_eq!(Config::parse(&config.print().unwrap()), Ok(config));
    }

    #[test]
    fn transports_are_sendmail_or_a_server() {
        let good =
            ["sendmail", "smtp://mail.example.com", "smtps://192.0.2.1:465", "smtp://[::1]:25"];
        for text in good {
            assert_eq!(text.parse::<Transport>().unwrap().to_string(), text);
        }
        for text in
            ["", "smtp://", "http://x", "smtp://u:p@x", "smtp://x:0", "smtp://x/y", "smtp://a b"]
        {
            assert!(text.parse::<Transport>().is_err(), "{text}");
        }
    }

    #[test]
    fn mistakes_are_named_with_their_place() {
        let cases = [
            ("[mail]\ndefault_to = \"nobody\"", "line 2, column 14: not an address such as"),
            (
                "[mail]\ndefault_to = \"{host}-{user}@example.com\"",
                "line 2, column 14: only {user} stands for something here",
            ),
            (
                "[sms]\ncommand = [\"/bin/x\", \"--to={number}\"]",
                "line 2, column 11: {number} stands for nothing here; write {phone} or {text}",
            ),
            ("[mail]\nfrom = \"a\\nb@example.com\"", "line 2, column 8: not a mail address"),
            ("[sms]\ncommand = [\"gammu\"]", "line 2, column 11: a program is named by its path"),
            ("[sms]\nper_hour = 0", "line 2, column 12: 0 is not from 2 to 10"),
            ("[recovery]\nmode = \"some\"", "line 2, column 8: unknown variant"),
            ("[policy]\nenroll_by = 2027-01-31T00:00:00Z", "line 2, column 13: not a day"),
        ];
        for (text, expected) in cases {
            let error = Config::parse(text).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error}");
        }
    }

    #[test]
    fn braces_that_mean_something_to_the_program_are_its_own() {
        let unknown = ["{user}", "x{phone}{Text}", "{ phone }", "{{number}}"];
        for argument in unknown {
            assert!(unknown_placeholder(argument).is_some(), "{argument}");
        }
        let own = [
            "{phone}",
            "--to={phone},{text}",
            "${HOME}",
            "{ cat; }",
            "{print $1}",
            "{\"to\": \"{phone}\"}",
            "{}",
            "}{",
            "{phone",
            "phone}",
        ];
        for argument in own {
            assert_eq!(unknown_placeholder(argument), None, "{argument}");
        }
    }

    #[test]
    fn devices_are_remembered_by_listed_services_alone() {
        let config = Config::parse("[remember]\ndays = 30").unwrap();
        assert_eq!(config.remember.seconds("sshd"), Some(30 * DAY));
        assert_eq!(config.remember.seconds("sudo"), None);
        assert_eq!(Config::default().remember.seconds("sshd"), None);
    }
}
