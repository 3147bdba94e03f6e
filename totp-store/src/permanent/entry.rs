//! One entry of the permanent record, and its bytes. The order of the keys is part of the format.

use std::fmt::Write as _;

use totp_core::event::{EventKind, QueuedEvent};
use totp_core::name::{UserName, word};
use totp_core::time::UnixTime;
use totp_core::visible::is_hidden;

use super::chain;
use super::details::Details;
use crate::actor::Actor;

/// What is to be recorded; `None` is unknown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// When it happened.
    pub time: UnixTime,
    /// What.
    pub event: EventKind,
    /// Whom it concerns.
    pub user: Option<String>,
    /// Who did it.
    pub actor: Actor,
    /// On which machine.
    pub host: Option<String>,
    /// In which PAM service.
    pub service: Option<String>,
    /// From where that login came.
    pub rhost: Option<String>,
    /// Why, in somebody's words.
    pub reason: Option<String>,
    /// What this event says in keys of its own.
    pub details: Details,
    /// `not-done` alone: the `seq` of the recorded change that failed.
    pub of: Option<u64>,
    /// A login's event alone: what tells it from all others, so that it is recorded once.
    pub id: Option<u64>,
}

/// What has been recorded, for good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// The place in the chain.
    pub seq: u64,
    /// Hash of the line.
    pub hash: String,
    /// One line for syslog, so that a central log anchors the chain.
    pub syslog: String,
}

impl Entry {
    /// An entry of which only the time and the event are known yet.
    #[must_use]
    pub fn new(time: UnixTime, event: EventKind) -> Self {
        Self {
            time,
            event,
            user: None,
            actor: Actor::default(),
            host: None,
            service: None,
            rhost: None,
            reason: None,
            details: Details::default(),
            of: None,
            id: None,
        }
    }

    /// What a login left in the queue of its user's state.
    #[must_use]
    pub fn of_login(user: &UserName, event: &QueuedEvent, host: Option<String>) -> Self {
        let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Self {
            user: Some(user.as_str().to_owned()),
            host,
            service: given(&event.place.service),
            rhost: given(&event.place.from),
            reason: given(&event.detail),
            id: Some(event.id),
            ..Self::new(event.time, event.kind)
        }
    }

    /// All that logins left in the queues of a user's state; `without_room` more are mentioned with the last one.
    #[must_use]
    pub fn of_logins(
        user: &UserName,
        events: &[QueuedEvent],
        without_room: u64,
        host: Option<&str>,
    ) -> Vec<Self> {
        let entry = |event| Self::of_login(user, event, host.map(str::to_owned));
        let mut entries: Vec<Self> = events.iter().map(entry).collect();
        if let Some(last) = entries.last_mut().filter(|_| without_room > 0) {
            let more = format!("{without_room} more events of this user had no room");
            last.reason = Some(match last.reason.take() {
                Some(reason) => format!("{reason}; {more}"),
                None => more,
            });
        }
        entries
    }

    /// The line, with its newline, that continues the chain.
    pub(super) fn line(&self, seq: u64, prev: &str, recorded: UnixTime) -> (String, Recorded) {
        let mut json = Json::begin();
        json.number("seq", Some(seq));
        json.text("time", Some(&self.time.to_string()));
        json.text("event", Some(self.event.as_str()));
        json.text("user", self.user.as_deref());
        json.key("actor");
        json.raw(&actor(&self.actor));
        json.text("host", self.host.as_deref());
        json.text("service", self.service.as_deref());
        json.text("rhost", self.rhost.as_deref());
        json.text("reason", self.reason.as_deref());
        self.details.write(&mut json);
        if self.of.is_some() {
            json.number("of", self.of);
        }
        if let Some(id) = self.id {
            json.text("id", Some(&format!("{id:016x}")));
            json.text("recorded", Some(&recorded.to_string()));
        }
        json.text("prev", Some(prev));
        let hash = chain::hash(json.so_far());
        json.text("hash", Some(&hash));
        let line = json.end() + "\n";
        let syslog = self.syslog(seq, &hash);
        (line, Recorded { seq, hash, syslog })
    }

    /// `record 812: disabled user=bob by=alice from=198.51.100.4 hash=…`
    fn syslog(&self, seq: u64, hash: &str) -> String {
        let mut line = format!("record {seq}: {}", self.event);
        let mut field = |name: &str, value: Option<&str>| {
            if let Some(value) = value {
                let _ = write!(line, " {name}={}", word(value, 100)); // a String takes everything
            }
        };
        field("user", self.user.as_deref());
        field("outcome", self.details.outcome.as_deref());
        field("by", self.actor.name.as_deref());
        field("from", self.actor.from.as_deref().or(self.rhost.as_deref()));
        field("hash", Some(hash));
        line
    }
}

fn actor(actor: &Actor) -> String {
    let mut json = Json::begin();
    json.text("name", actor.name.as_deref());
    json.number("uid", actor.uid.map(u64::from));
    json.number("loginuid", actor.loginuid.map(u64::from));
    json.number("real_uid", actor.real_uid.map(u64::from));
    json.number("sudo_uid", actor.sudo_uid.map(u64::from));
    json.text("tty", actor.tty.as_deref());
    json.text("from", actor.from.as_deref());
    json.end()
}

/// A JSON object (RFC 8259), written key by key without spaces.
pub(super) struct Json(String);

impl Json {
    pub(super) fn begin() -> Self {
        Self("{".to_owned())
    }

    pub(super) fn key(&mut self, key: &str) {
        if self.0.len() > 1 {
            self.0.push(',');
        }
        self.string(key);
        self.0.push(':');
    }

    pub(super) fn raw(&mut self, json: &str) {
        self.0.push_str(json);
    }

    fn number(&mut self, key: &str, value: Option<u64>) {
        self.key(key);
        match value {
            Some(value) => self.raw(&value.to_string()),
            None => self.raw("null"),
        }
    }

    pub(super) fn text(&mut self, key: &str, value: Option<&str>) {
        self.key(key);
        match value {
            Some(value) => self.string(value),
            None => self.raw("null"),
        }
    }

    fn string(&mut self, text: &str) {
        self.0.push('"');
        for c in text.chars() {
            match c {
                '"' | '\\' => self.0.extend(['\\', c]),
                // RFC 8259 section 7 wants only C0 escaped, and lets everything be.
                c if is_hidden(c) => {
                    for unit in c.encode_utf16(&mut [0; 2]) {
                        let _ = write!(self.0, "\\u{unit:04x}"); // a String takes everything
                    }
                }
                c => self.0.push(c),
            }
        }
        self.0.push('"');
    }

    fn so_far(&self) -> &str {
        &self.0
    }

    pub(super) fn end(mut self) -> String {
        self.0.push('}');
        self.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entry() -> Entry {
        Entry {
            user: Some("bob".to_owned()),
            actor: Actor {
                name: Some("alice".to_owned()),
                uid: Some(0),
                loginuid: Some(1000),
                real_uid: Some(0),
                ..Actor::default()
            },
            host: Some("web1".to_owned()),
            reason: Some("phone \"stolen\"\n".to_owned()),
            ..Entry::new(UnixTime(1_773_307_200), EventKind::Disabled)
        }
    }

    #[test]
    fn a_line_has_all_keys_in_their_order() {
        let (line, recorded) = entry().line(1, chain::FIRST, UnixTime(0));
        let zeros = "0".repeat(64);
        let before = format!(
            "{{\"seq\":1,\"time\":\"2026-03-12T09:20:00Z\",\"event\":\"disabled\",\"user\":\"bob\",\
             \"actor\":{{\"name\":\"alice\",\"uid\":0,\"loginuid\":1000,\"real_uid\":0,\"sudo_uid\":null,\"tty\":null,\"from\":null}},\
             \"host\":\"web1\",\"service\":null,\"rhost\":null,\"reason\":\"phone \\\"stolen\\\"\\u000a\",\
             \"prev\":\"{zeros}\""
        );
        assert_eq!(line, format!("{before},\"hash\":\"{}\"}}\n", recorded.hash));
        assert_eq!(recorded.hash, chain::hash(&before));
        assert_eq!(
            recorded.syslog,
            format!("record 1: disabled user=bob by=alice hash={}", recorded.hash)
        );
    }

    #[test]
    fn a_login_event_carries_its_id_and_when_it_was_recorded() {
        let event = Entry { id: Some(0x7f), of: Some(3), ..entry() };
        let (line, _) = event.line(4, chain::FIRST, UnixTime(60));
        assert!(line.contains(",\"of\":3,\"id\":\"000000000000007f\",\"recorded\":\"1970-01-01T00:01:00Z\",\"prev\":\""));
    }

    #[test]
    fn where_somebody_came_from_is_one_word_of_the_systems_log() {
        let actor = Actor { from: Some("host\nby=root x".to_owned()), ..entry().actor };
        let (_, recorded) = Entry { actor, ..entry() }.line(1, chain::FIRST, UnixTime(0));
        let words: Vec<&str> = recorded.syslog.split(' ').collect();
        assert_eq!(words.iter().filter(|word| word.starts_with("by=")).count(), 1, "{words:?}");
        assert!(words.contains(&"from=host%0Aby%3Droot%20x"), "{words:?}");
        assert!(!recorded.syslog.contains('\n'));
    }

    #[test]
    fn what_an_event_says_in_keys_of_its_own_stands_behind_the_reason() {
        let details = Details { outcome: Some("right".to_owned()), ..Details::default() };
        let (line, recorded) = Entry { details, ..entry() }.line(1, chain::FIRST, UnixTime(0));
        assert!(line.contains("\\u000a\",\"outcome\":\"right\",\"prev\":"), "{line}");
        assert!(
            recorded.syslog.contains(" user=bob outcome=right by=alice "),
            "{}",
            recorded.syslog
        );
    }

    #[test]
    fn what_would_act_on_a_terminal_is_escaped() {
        let mut json = Json::begin();
        json.text("k", Some("\u{1b}[2J\u{9b}\u{202e}\u{7f}é😀"));
        assert_eq!(json.end(), "{\"k\":\"\\u001b[2J\\u009b\\u202e\\u007fé😀\"}");
    }

    #[test]
    fn no_hidden_character_stands_in_the_audit_log_and_each_reads_back() {
        let all: String = ('\0'..=char::MAX).collect();
        let mut json = Json::begin();
        json.text("k", Some(&all));
        let line = json.end();
        assert!(!line.contains(is_hidden));
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert!(value["k"].as_str() == Some(all.as_str()));
    }

    proptest! {
        #[test]
        fn any_text_reads_back(text in "\\PC*|.*") {
            let mut json = Json::begin();
            json.text("k", Some(&text));
            let line = json.end();
            let value: serde_json::Value = serde_json::from_str(&line).unwrap();
            prop_assert_eq!(value["k"].as_str(), Some(text.as_str()));
            prop_assert!(!line.contains('\n'));
        }
    }
}
