//! An event as a login notice says it, in one line: `recovery codes issued by carol from 192.0.2.7, 2026-03-12 09:14 UTC`.

use totp_core::event::EventKind;
use totp_core::name::escaped;
use totp_core::time::UnixTime;

use crate::outbox::About;

/// Characters of a name, an address or a service. An address on the word of a service account ends with who says so, and has room
/// ([`totp_core::event::Place::on_the_word_of`]).
const SHORT: usize = 60;

/// Characters of a reason.
const LONG: usize = 100;

/// For so long what users did themselves is no news to them, in seconds.
const NO_NEWS: u64 = 600;

/// What happened. Its texts are printable ASCII and short.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// When.
    pub time: UnixTime,
    /// What.
    pub kind: EventKind,
    /// Who did it; `None` for the user, in a login.
    pub by: Option<String>,
    /// From where.
    pub from: Option<String>,
    /// In which PAM service; `None` for a command.
    pub service: Option<String>,
    /// Why.
    pub reason: Option<String>,
}

/// A login at which notices are shown.
#[derive(Clone, Copy, Debug)]
pub struct Login<'a> {
    /// What the account is called, and under which name it is kept.
    pub names: [&'a str; 2],
    /// The remote host; empty where there is none.
    pub from: &'a str,
    /// The PAM service.
    pub service: &'a str,
    /// The time.
    pub now: UnixTime,
}

impl Event {
    /// Cuts texts to what a line has room for.
    pub(crate) fn of(about: &About) -> Self {
        let part = |text: &Option<String>, most| {
            text.as_deref().filter(|text| !text.is_empty()).map(|text| short(text, most))
        };
        Self {
            time: about.time,
            kind: about.event,
            by: part(&about.by, SHORT),
            from: part(&about.from, SHORT),
            service: part(&about.service, SHORT),
            reason: part(&about.reason, LONG),
        }
    }

    /// Whether the user of this login has just done it, from the same place. Never of what others may have done.
    pub(crate) fn is_own_of(&self, login: &Login<'_>) -> bool {
        let is = |text: &str, given: &Option<String>| {
            *given == Some(text).filter(|text| !text.is_empty()).map(|text| short(text, SHORT))
        };
        let by_user = match &self.by {
            Some(_) => login.names.iter().any(|name| is(name, &self.by)),
            None => self.service.is_some(),
        };
        let here = is(login.from, &self.from)
            && (self.service.is_none() || is(login.service, &self.service));
        let age = login.now.0.checked_sub(self.time.0); // a time to come is no proof of anything
        by_user && here && is_a_doing(self.kind) && age.is_some_and(|age| age < NO_NEWS)
    }

    /// The line.
    pub(crate) fn sentence(&self) -> String {
        let mut text = what(self.kind).to_owned();
        let mut add = |word: &str, value: &Option<String>| {
            if let Some(value) = value {
                text.push_str(&format!(" {word} {value}"));
            }
        };
        add("by", &self.by);
        add("from", &self.from);
        add("at", &self.service);
        text.push_str(&format!(", {}", minute(self.time)));
        if let Some(reason) = &self.reason {
            text.push_str(&format!(" ({reason})"));
        }
        text
    }
}

/// An event in one line.
#[must_use]
pub fn sentence(about: &About) -> String {
    Event::of(about).sentence()
}

/// `2026-03-12 09:14 UTC`.
#[must_use]
pub fn minute(time: UnixTime) -> String {
    let text = time.to_string(); // 2026-03-12T09:14:00Z
    let (date, clock) = text.split_once('T').unwrap_or((&text, ""));
    format!("{date} {} UTC", clock.get(..5).unwrap_or(clock))
}

fn short(text: &str, most: usize) -> String {
    let mut text = escaped(text);
    text.truncate(most); // ASCII by now
    text
}

/// Whether the user who is named for it has done it. The others happen to a user.
fn is_a_doing(kind: EventKind) -> bool {
    !matches!(
        kind,
        EventKind::CodeAlreadyUsed
            | EventKind::MoreCodesRequired
            | EventKind::StateVolatile
            | EventKind::StateRebuilt
            | EventKind::NotDone
    )
}

fn what(event: EventKind) -> &'static str {
    match event {
        EventKind::Enrolled => "second factor switched on",
        EventKind::Pending => "you are to enroll a second factor",
        EventKind::EnrollmentOffered => "a new key for your second factor was shown",
        EventKind::Disabled => "second factor switched off",
        EventKind::Reset => "second factor reset",
        EventKind::Removed => "second factor erased",
        EventKind::Renamed => "second factor moved to another account name",
        EventKind::UidChanged => "second factor moved to another uid of the account",
        EventKind::Repaired => "second factor repaired after a backup was restored",
        EventKind::AuthenticatorAdded => "authenticator added",
        EventKind::AuthenticatorRemoved => "authenticator removed",
        EventKind::Resynchronised => "authenticator's clock set right",
        EventKind::RecoveryCodeUsed => "recovery code used",
        EventKind::RecoveryCodesIssued => "recovery codes issued",
        EventKind::BypassCodeIssued => "bypass code issued",
        EventKind::BypassCodeUsed => "bypass code used",
        EventKind::DeviceRemembered => "device remembered",
        EventKind::DeviceForgotten => "remembered device forgotten",
        EventKind::ContactChanged => "your mail address or telephone number was changed",
        EventKind::Unlocked => "guess budget given back",
        EventKind::MoreCodesRequired => {
            "many wrong codes were entered: several codes in a row are asked for"
        }
        EventKind::CodeAlreadyUsed => {
            "A CODE OF YOURS WAS USED BY SOMEBODY ELSE before you entered it"
        }
        EventKind::StateVolatile => "the disk can't be written",
        EventKind::StateRebuilt => {
            "the state of your second factor was lost and begun anew; recovery codes are void"
        }
        EventKind::NotDone => {
            "a change told before failed and was not made, everything is as it was before it: tried"
        }
        EventKind::InstallationAdopted => "the installation was given an identity",
        EventKind::Verified => "code verified by an administrator",
        EventKind::Delivered => "mail delivered",
        EventKind::Undelivered => "mail not delivered",
    }
}
