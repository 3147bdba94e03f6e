//! A user as `show` and `list` say it: the keys of the JSON documents, the table, and the lines below a
//! name. What a key means is the contract of scripts: keys are added here, none is renamed.

use comfy_table::{Cell, ContentArrangement, Table, presets};
use jiff::tz::TimeZone;
use serde::{Serialize, Serializer};
use totp_core::contact::Contact;
use totp_core::time::UnixTime;

use crate::ui::printable;
use crate::{codes, contacts, times};

/// What a user is.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// Is asked for a code.
    Active,
    /// To enroll at one of the next logins.
    Pending,
    /// The same, and the enrollment code has granted as many logins as it may.
    UsedUp,
    /// Switched off by an administrator.
    Disabled,
    /// Required, and not enrolled.
    Missing,
    /// The record can't be read or trusted.
    Damaged,
}

impl Status {
    /// The word in the table and in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Pending => "pending",
            Self::UsedUp => "used-up",
            Self::Disabled => "disabled",
            Self::Missing => "missing",
            Self::Damaged => "damaged",
        }
    }
}

/// What is known about a user. `null` stands where something is unknown or a feature is off.
#[derive(Debug, Serialize)]
pub struct Person {
    /// The name.
    pub user: String,
    /// What the user is.
    pub status: Status,
    /// What makes the user's codes; no secrets.
    pub authenticators: Vec<Device>,
    /// How many recovery codes are good; null where there are none by the configuration.
    pub recovery_codes_left: Option<u64>,
    /// How many devices are not asked; null for who isn't enrolled, or where that can't be read.
    pub remembered: Option<usize>,
    /// How many codes a login from an unknown place is asked for: 1, or 2 or 3 after too many wrong ones.
    pub codes_required: Option<u8>,
    /// The last accepted login.
    pub last_login: Option<Visited>,
    /// The last refused answer.
    pub last_failure: Option<Visited>,
    /// Until when the user may enroll at a login.
    #[serde(serialize_with = "rfc3339")]
    pub pending_until: Option<UnixTime>,
    /// How many logins the enrollment code still grants; null where there is none.
    pub enrollment_logins_left: Option<u8>,
    /// Where the user is told things; null for somebody about whom nothing is decided.
    #[serde(serialize_with = "email_and_phone")]
    pub contact: Option<Contact>,
    /// Since when the status holds.
    #[serde(serialize_with = "rfc3339")]
    pub since: Option<UnixTime>,
    /// Who decided it.
    pub by: Option<String>,
    /// Why it was switched off.
    pub reason: Option<String>,
    /// The line of the permanent record that has the decision.
    pub record: Option<u64>,
    /// What is wrong, where something is.
    pub problem: Option<String>,
    /// The uid that it was decided for; null for a name without an account.
    pub uid: Option<u32>,
    /// The uid of the account of this name; null where there is none.
    pub account_uid: Option<u32>,
    /// The account that has `uid` now, where that of this name has not: it logs in with this enrollment, unless it has one of its own.
    pub renamed_to: Option<String>,
    /// When the home directory was made, where that was after the enrollment.
    #[serde(serialize_with = "rfc3339")]
    pub home_made: Option<UnixTime>,
    /// The day until which somebody who is missing may enroll at a login, or put it off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub may_enroll_until: Option<String>,
}

/// An authenticator.
#[derive(Debug, Serialize)]
pub struct Device {
    /// What it is called.
    pub name: String,
    /// `totp`.
    pub kind: &'static str,
    /// Length of a code.
    pub digits: u8,
    /// Seconds a code is shown.
    pub period: u64,
    /// `sha1`, `sha256`, `sha512`.
    pub algorithm: &'static str,
    /// How far its clock is ahead of this machine's, in steps.
    pub drift: Option<i64>,
    /// When a code of it was last accepted.
    #[serde(serialize_with = "rfc3339")]
    pub last_used: Option<UnixTime>,
}

/// A login, or one that failed.
#[derive(Debug, Serialize)]
pub struct Visited {
    /// When.
    #[serde(serialize_with = "rfc3339_always")]
    pub time: UnixTime,
    /// The PAM service.
    pub service: String,
    /// The remote host; null where there was none.
    pub from: Option<String>,
}

fn rfc3339<S: Serializer>(time: &Option<UnixTime>, to: S) -> Result<S::Ok, S::Error> {
    time.map(|time| time.to_string()).serialize(to)
}

fn email_and_phone<S: Serializer>(contact: &Option<Contact>, to: S) -> Result<S::Ok, S::Error> {
    contact.as_ref().map(contacts::document).serialize(to)
}

fn rfc3339_always<S: Serializer>(time: &UnixTime, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(time)
}

impl Person {
    /// Somebody about whom nothing is known but the name.
    pub fn new(user: String, status: Status) -> Self {
        Self {
            user,
            status,
            authenticators: Vec::new(),
            recovery_codes_left: None,
            remembered: None,
            codes_required: None,
            last_login: None,
            last_failure: None,
            pending_until: None,
            enrollment_logins_left: None,
            contact: None,
            since: None,
            by: None,
            reason: None,
            record: None,
            problem: None,
            uid: None,
            account_uid: None,
            renamed_to: None,
            home_made: None,
            may_enroll_until: None,
        }
    }

    /// Whether the user was to enroll, and hasn't in time.
    fn is_over(&self, now: UnixTime) -> bool {
        self.status == Status::Pending && self.pending_until.is_some_and(|until| until <= now)
    }

    /// What an administrator should see at a glance.
    fn remark(&self, now: UnixTime, zone: &TimeZone) -> String {
        if let Some(problem) = &self.problem {
            return printable(problem);
        }
        match (self.status, self.codes_required) {
            (Status::Missing, _) => match &self.may_enroll_until {
                None => "required; cannot log in".to_owned(),
                Some(day) => format!("required; may enroll until {day}"),
            },
            (Status::Pending, _) => {
                let until = self.pending_until.map(|until| times::local(until, zone));
                let until = until.unwrap_or_default();
                match (self.is_over(now), self.enrollment_logins_left) {
                    (true, _) => format!("enrollment over since {until}; cannot log in"),
                    (false, None) => format!("pending until {until}"),
                    (false, Some(left)) => format!("pending until {until}, {}", logins_left(left)),
                }
            }
            (Status::UsedUp, _) => format!("{USED_UP}: totp-admin reset"),
            (Status::Disabled, _) => {
                let by = self.by.as_deref().map(|by| format!("by {}", printable(by)));
                let why = self.reason.as_deref().map(printable);
                [by, why].into_iter().flatten().collect::<Vec<_>>().join(": ")
            }
            _ if self.home_made.is_some() => HOME_IS_NEWER.to_owned(),
            (_, Some(codes @ 2..)) => format!("asked for {codes} codes: totp-admin unlock"),
            _ => String::new(),
        }
    }
}

/// An account that was deleted, and made anew for another person, may have kept name and uid.
const HOME_IS_NEWER: &str = "home directory made after the enrollment: is it the same person?";

/// The table of `list`.
pub fn table(people: &[Person], now: UnixTime, zone: &TimeZone) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(["USER", "STATUS", "AUTHENTICATORS", "RECOVERY", "LAST LOGIN", "NOTE"]);
    for person in people {
        let names: Vec<&str> = person.authenticators.iter().map(|one| one.name.as_str()).collect();
        let login = person.last_login.as_ref().map(|login| times::local(login.time, zone));
        table.add_row([
            Cell::new(printable(&person.user)),
            Cell::new(person.status.as_str()),
            Cell::new(names.join(", ")),
            Cell::new(person.recovery_codes_left.map_or_else(String::new, |left| left.to_string())),
            Cell::new(login.unwrap_or_default()),
            Cell::new(person.remark(now, zone)),
        ]);
    }
    let last = table.column_count().saturating_sub(1);
    for (index, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, if index == last { 0 } else { 2 }));
    }
    // The padding of the last column would be blanks at the end of every line.
    table.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

/// The lines of `show`.
pub fn lines(person: &Person, now: UnixTime, zone: &TimeZone) -> Vec<(&'static str, String)> {
    let mut lines = vec![("status", status_line(person, now, zone))];
    if let Some(reason) = &person.reason {
        lines.push(("reason", printable(reason)));
    }
    if let Some(problem) = &person.problem {
        lines.push(("problem", printable(problem)));
    }
    if let Some(made) = person.home_made {
        lines.push(("home", format!("{HOME_IS_NEWER} ({})", times::local(made, zone))));
    }
    lines.extend(
        person.authenticators.iter().map(|one| ("authenticator", device_line(one, now, zone))),
    );
    if let Some(left) = person.recovery_codes_left {
        lines.push(("recovery", codes::counted(left)));
    }
    if let Some(contact) = &person.contact {
        lines.push(("contact", contacts::in_words(contact)));
    }
    if let Some(codes) = person.codes_required {
        lines.push(("asked for", codes_line(codes)));
    }
    if let Some(devices @ 1..) = person.remembered {
        lines.push(("remembered", devices_line(devices)));
    }
    if person.status == Status::Active {
        lines.push(("last login", visited_line(person.last_login.as_ref(), now, zone)));
        lines.push(("last failure", visited_line(person.last_failure.as_ref(), now, zone)));
    }
    lines
}

/// What became of an enrollment code.
const USED_UP: &str = "the enrollment code has granted all its logins; cannot log in";

fn logins_left(left: u8) -> String {
    match left {
        1 => "1 login by the code left".to_owned(),
        _ => format!("{left} logins by the code left"),
    }
}

fn status_line(person: &Person, now: UnixTime, zone: &TimeZone) -> String {
    let mut line = person.status.as_str().to_owned();
    match (person.status, &person.may_enroll_until, person.pending_until) {
        (Status::Missing, None, _) => {
            line.push_str(": required to have a second factor, not enrolled, cannot log in");
        }
        (Status::Missing, Some(day), _) => {
            line.push_str(": required to have a second factor, may enroll at a login until ");
            line.push_str(day);
        }
        (Status::Pending, _, Some(until)) => {
            let until = times::local(until, zone);
            line.push_str(&match (person.is_over(now), person.enrollment_logins_left) {
                (true, _) => format!(": enrollment over since {until}; cannot log in;"),
                (false, None) => format!(": enrolls at the next login, until {until};"),
                (false, Some(left)) => {
                    let left = logins_left(left);
                    format!(": enrolls at the next login, until {until}, {left};")
                }
            });
        }
        (Status::UsedUp, ..) => line.push_str(&format!(": {USED_UP} (totp-admin reset);")),
        _ => {}
    }
    if let (Some(since), Some(by)) = (person.since, &person.by) {
        line.push_str(&format!(" since {} by {}", times::local(since, zone), printable(by)));
    }
    if let Some(record) = person.record {
        line.push_str(&format!(" (record {record})"));
    }
    line
}

/// `bob: phone (TOTP), 4 recovery codes, enrolled 2026-03-02 by carol, last login 2 h ago`, of who has something to lose.
pub fn introduction(person: &Person, now: UnixTime, zone: &TimeZone) -> Option<String> {
    let devices = person.authenticators.iter();
    let mut what: Vec<String> =
        devices.map(|one| format!("{} ({})", one.name, one.kind.to_uppercase())).collect();
    if what.is_empty() {
        return None;
    }
    what.extend(person.recovery_codes_left.map(codes::counted));
    let since = person.since.map(|since| times::date(since, zone)).unwrap_or_default();
    let by = person.by.as_deref().map(printable).unwrap_or_default();
    let login = match person.last_login.as_ref() {
        None => "never logged in".to_owned(),
        login => format!("last login {}", visited_line(login, now, zone)),
    };
    let user = printable(&person.user);
    Some(format!("{user}: {}, enrolled {since} by {by}, {login}", what.join(", ")))
}

/// `phone: TOTP, 6 digits, 30 s, sha1, last used 2 h ago`.
pub fn device_line(device: &Device, now: UnixTime, zone: &TimeZone) -> String {
    let Device { name, digits, period, algorithm, .. } = device;
    let kind = device.kind.to_uppercase();
    let drift = match device.drift {
        None | Some(0) => String::new(),
        Some(steps) => format!(", {}", drift_in_words(steps, *period)),
    };
    let used = device.last_used.map_or_else(
        || "never used".to_owned(),
        |time| format!("last used {}", times::ago(time, now, zone)),
    );
    format!("{name}: {kind}, {digits} digits, {period} s, {algorithm}{drift}, {used}")
}

/// `its clock is 60 s ahead`, of an authenticator.
pub fn drift_in_words(steps: i64, period: u64) -> String {
    let off = times::span(steps.unsigned_abs().saturating_mul(period));
    format!("its clock is {off} {}", if steps > 0 { "ahead" } else { "behind" })
}

fn codes_line(codes: u8) -> String {
    match codes {
        0 | 1 => "one code".to_owned(),
        _ => format!(
            "{codes} codes in a row, until the guess budget has refilled; to give it back: totp-admin unlock"
        ),
    }
}

fn devices_line(devices: usize) -> String {
    let ending = if devices == 1 { " that is" } else { "s that are" };
    format!("{devices} device{ending} not asked")
}

/// `2 h ago by sshd from 192.0.2.7`.
pub fn visited_line(visited: Option<&Visited>, now: UnixTime, zone: &TimeZone) -> String {
    let Some(Visited { time, service, from }) = visited else { return "none".to_owned() };
    let service = match service.as_str() {
        "" => String::new(),
        service => format!(" by {}", printable(service)),
    };
    let from = from.as_deref().map(|from| format!(" from {}", printable(from))).unwrap_or_default();
    format!("{}{service}{from}", times::ago(*time, now, zone))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixTime = UnixTime(1_773_307_210); // 2026-03-12 09:20:10

    fn phone() -> Device {
        Device {
            name: "phone".to_owned(),
            kind: "totp",
            digits: 6,
            period: 30,
            algorithm: "sha1",
            drift: Some(2),
            last_used: Some(NOW.minus(10)),
        }
    }

    fn people() -> Vec<Person> {
        let login = |time| {
            Some(Visited { time, service: "sshd".to_owned(), from: Some("192.0.2.7".to_owned()) })
        };
        let alice = Person {
            authenticators: vec![phone()],
            recovery_codes_left: Some(4),
            codes_required: Some(1),
            contact: Some(Contact {
                email: "alice@example.com".parse().ok(),
                phone: "+420123456789".parse().ok(),
            }),
            last_login: login(NOW.minus(10)),
            since: Some(NOW.minus(1_000_000)),
            by: Some("carol".to_owned()),
            record: Some(7),
            ..Person::new("alice".to_owned(), Status::Active)
        };
        let bob = Person {
            last_login: login(NOW.minus(29_880)),
            by: Some("alice".to_owned()),
            reason: Some("phone stolen\n\x1b[2J".to_owned()),
            ..Person::new("bob".to_owned(), Status::Disabled)
        };
        let erin = Person {
            pending_until: Some(NOW.plus(3600)),
            ..Person::new("erin".to_owned(), Status::Pending)
        };
        let frank = Person {
            may_enroll_until: Some("2027-01-31".to_owned()),
            ..Person::new("frank".to_owned(), Status::Missing)
        };
        let gina =
            Person { pending_until: Some(NOW), ..Person::new("gina".to_owned(), Status::Pending) };
        let hugo = Person {
            pending_until: Some(NOW.plus(3600)),
            enrollment_logins_left: Some(2),
            ..Person::new("hugo".to_owned(), Status::Pending)
        };
        let ivan = Person {
            pending_until: Some(NOW.plus(3600)),
            enrollment_logins_left: Some(0),
            ..Person::new("ivan".to_owned(), Status::UsedUp)
        };
        let dave = Person::new("dave".to_owned(), Status::Missing);
        vec![alice, bob, dave, erin, frank, gina, hugo, ivan]
    }

    #[test]
    fn the_table_has_a_line_for_each_user_and_no_blanks_at_its_ends() {
        let table = table(&people(), NOW, &TimeZone::UTC);
        insta::assert_snapshot!(table, @r"
        USER   STATUS    AUTHENTICATORS  RECOVERY  LAST LOGIN        NOTE
        alice  active    phone           4         2026-03-12 09:20
        bob    disabled                            2026-03-12 01:02  by alice: phone stolen\n\u{1b}[2J
        dave   missing                                               required; cannot log in
        erin   pending                                               pending until 2026-03-12 10:20
        frank  missing                                               required; may enroll until 2027-01-31
        gina   pending                                               enrollment over since 2026-03-12 09:20; cannot log in
        hugo   pending                                               pending until 2026-03-12 10:20, 2 logins by the code left
        ivan   used-up                                               the enrollment code has granted all its logins; cannot log in: totp-admin reset
        ");
    }

    #[test]
    fn every_key_of_the_contract_is_there() {
        let json = serde_json::to_value(people()).unwrap();
        for key in [
            "user",
            "status",
            "authenticators",
            "recovery_codes_left",
            "remembered",
            "codes_required",
            "last_login",
            "last_failure",
            "pending_until",
            "enrollment_logins_left",
            "contact",
        ] {
            assert!(json[2].get(key).is_some(), "{key}");
        }
        for key in ["name", "kind", "digits", "period", "algorithm", "drift", "last_used"] {
            assert!(json[0]["authenticators"][0].get(key).is_some(), "{key}");
        }
        assert_eq!(json[0]["last_login"]["time"], "2026-03-12T09:20:00Z");
        assert_eq!(json[2]["status"], "missing");
        assert_eq!(json[0]["contact"]["email"], "alice@example.com");
        assert_eq!(json[0]["contact"]["phone"], "+420123456789");
        assert_eq!(json[3]["pending_until"], "2026-03-12T10:20:10Z");
    }

    #[test]
    fn show_says_in_words_what_is_known() {
        let lines: Vec<String> = lines(&people()[0], NOW, &TimeZone::UTC)
            .into_iter()
            .map(|(what, line)| format!("{what}: {line}"))
            .collect();
        insta::assert_snapshot!(lines.join("\n"), @r"
        status: active since 2026-02-28 19:33 by carol (record 7)
        authenticator: phone: TOTP, 6 digits, 30 s, sha1, its clock is 1 min ahead, last used just now
        recovery: 4 recovery codes
        contact: mail alice@example.com, telephone +420123456789
        asked for: one code
        last login: just now by sshd from 192.0.2.7
        last failure: none
        ");
    }

    #[test]
    fn somebody_who_has_not_enrolled_in_time_cannot_log_in() {
        let line = |at: usize| status_line(&people()[at], NOW, &TimeZone::UTC);
        assert_eq!(line(5), "pending: enrollment over since 2026-03-12 09:20; cannot log in;");
        let open = line(3);
        assert_eq!(open, "pending: enrolls at the next login, until 2026-03-12 10:20;");
    }

    #[test]
    fn why_more_codes_are_asked_for_is_said_without_a_cause() {
        assert!(
            codes_line(2).starts_with("2 codes in a row, until the guess budget has refilled;")
        );
        assert_eq!(codes_line(1), "one code");
    }
}
