//! A notification by mail as it waits: what happened, who is to be told of it, and what became of that so far.

use std::fmt::Write as _;

use totp_core::contact::Email;
use totp_core::event::EventKind;
use totp_core::time::UnixTime;

use super::text::{Lines, NotOfThisFormat, Words, field, line};
use crate::permanent::{Details, Entry, Logged, Recorded, Terms};

const KIND: &str = "pam-totp-mail";

/// What an open enrollment takes.
const ENROLLMENT_CODE: &str = "enrollment-code";
const FIRST_FACTOR: &str = "first-factor";

fn terms(words: &mut Words<'_>) -> Option<Terms> {
    let code = match words.one()? {
        ENROLLMENT_CODE => true,
        FIRST_FACTOR => false,
        _ => return None,
    };
    Some(Terms { code, until: words.parsed()? })
}

/// What happened, as the permanent record says it; `None` is unknown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct About {
    /// Its line in the permanent record.
    pub seq: u64,
    /// When.
    pub time: UnixTime,
    /// What.
    pub event: EventKind,
    /// Whom it concerns.
    pub user: String,
    /// Who did it: the actor's name, else the uid.
    pub by: Option<String>,
    /// From where: the actor's address, else that of the login.
    pub from: Option<String>,
    /// On which machine.
    pub host: Option<String>,
    /// In which PAM service.
    pub service: Option<String>,
    /// Why.
    pub reason: Option<String>,
    /// What this event says in keys of its own. Of these a mail that waits keeps the terms alone.
    pub details: Details,
    /// `not-done`: the line of the change that failed.
    pub of: Option<u64>,
}

impl About {
    /// Of what has just been recorded; `None` for what concerns nobody.
    #[must_use]
    pub fn of_entry(entry: &Entry, recorded: &Recorded) -> Option<Self> {
        let actor = &entry.actor;
        let uid = || actor.uid.map(|uid| format!("uid {uid}"));
        Some(Self {
            seq: recorded.seq,
            time: entry.time,
            event: entry.event,
            user: entry.user.clone()?,
            by: actor.name.clone().or_else(uid),
            from: actor.from.clone().or_else(|| entry.rhost.clone()),
            host: entry.host.clone(),
            service: entry.service.clone(),
            reason: entry.reason.clone(),
            details: entry.details.clone(),
            of: entry.of,
        })
    }

    /// `None` for an event of a later version, and for what concerns nobody.
    #[must_use]
    pub fn of(logged: &Logged) -> Option<Self> {
        let actor = &logged.actor;
        let uid = || actor.uid.map(|uid| format!("uid {uid}"));
        Some(Self {
            seq: logged.seq,
            time: logged.time,
            event: logged.event.parse().ok()?,
            user: logged.user.clone()?,
            by: actor.name.clone().or_else(uid),
            from: actor.from.clone().or_else(|| logged.rhost.clone()),
            host: logged.host.clone(),
            service: logged.service.clone(),
            reason: logged.reason.clone(),
            details: logged.details.clone(),
            of: logged.of,
        })
    }
}

/// One of those who are to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipient {
    /// Where.
    pub address: Email,
    /// Whether the mail has been handed over.
    pub served: bool,
}

/// A notification in the outbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    /// What happened.
    pub about: About,
    /// The hash of that line, which tells two records apart that both begin at 1.
    pub hash: String,
    /// Everybody who is to be told. At least one.
    pub to: Vec<Recipient>,
    /// How often delivering it was tried.
    pub tries: u64,
    /// When it is to be tried next.
    pub next: UnixTime,
    /// Why the last try failed.
    pub error: Option<String>,
    /// Since when the permanent record has it as undelivered.
    pub undelivered: Option<UnixTime>,
    /// When the last one was served.
    pub delivered: Option<UnixTime>,
}

impl Mail {
    /// A notification that is to be delivered from `due` on.
    #[must_use]
    pub fn new(about: About, hash: String, to: Vec<Email>, due: UnixTime) -> Self {
        let to = to.into_iter().map(|address| Recipient { address, served: false }).collect();
        let (error, undelivered, delivered) = (None, None, None);
        Self { about, hash, to, tries: 0, next: due, error, undelivered, delivered }
    }

    /// Everybody has been served.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.to.iter().all(|one| one.served)
    }

    /// What stands in its file.
    #[must_use]
    pub fn print(&self) -> String {
        let about = &self.about;
        let mut text = format!("{KIND} 1\n");
        let _ = writeln!(text, "seq {}\nhash {}", about.seq, field(Some(&self.hash)));
        let _ = writeln!(text, "time {}\nevent {}", about.time, about.event);
        line(&mut text, &["user", &field(Some(&about.user))]);
        for (key, value) in [
            ("by", &about.by),
            ("from", &about.from),
            ("host", &about.host),
            ("service", &about.service),
            ("reason", &about.reason),
        ] {
            line(&mut text, &[key, &field(value.as_deref())]);
        }
        if let Some(Terms { code, until }) = about.details.terms {
            let what = if code { ENROLLMENT_CODE } else { FIRST_FACTOR };
            line(&mut text, &["terms", what, &until.to_string()]);
        }
        if let Some(of) = about.of {
            line(&mut text, &["of", &of.to_string()]);
        }
        let _ = writeln!(text, "tries {}\nnext {}", self.tries, self.next);
        line(&mut text, &["error", &field(self.error.as_deref())]);
        for (key, time) in [("undelivered", self.undelivered), ("delivered", self.delivered)] {
            if let Some(time) = time {
                line(&mut text, &[key, &time.to_string()]);
            }
        }
        for one in &self.to {
            let key = if one.served { "served" } else { "to" };
            line(&mut text, &[key, one.address.as_str()]);
        }
        text
    }

    /// Reads a file of the outbox.
    ///
    /// # Errors
    /// Anything but what [`Self::print`] writes.
    pub fn parse(text: &str) -> Result<Self, NotOfThisFormat> {
        let mut lines = Lines::open(text, KIND)?;
        let seq = lines.must("seq", |w| w.number())?;
        let hash = lines.must("hash", |w| w.text()?)?;
        let time = lines.must("time", |w| w.parsed())?;
        let event = lines.must("event", |w| w.parsed())?;
        let user = lines.must("user", |w| w.text()?)?;
        let about = About {
            seq,
            time,
            event,
            user,
            by: lines.must("by", |w| w.text())?,
            from: lines.must("from", |w| w.text())?,
            host: lines.must("host", |w| w.text())?,
            service: lines.must("service", |w| w.text())?,
            reason: lines.must("reason", |w| w.text())?,
            details: Details { terms: lines.may("terms", terms)?, ..Details::default() },
            of: lines.may("of", |w| w.number())?,
        };
        let mut mail = Self {
            about,
            hash,
            tries: lines.must("tries", |w| w.number())?,
            next: lines.must("next", |w| w.parsed())?,
            error: lines.must("error", |w| w.text())?,
            undelivered: lines.may("undelivered", |w| w.parsed())?,
            delivered: lines.may("delivered", |w| w.parsed())?,
            to: Vec::new(),
        };
        loop {
            let (address, served) = match lines.may("to", |w| w.parsed())? {
                Some(address) => (address, false),
                None => match lines.may("served", |w| w.parsed())? {
                    Some(address) => (address, true),
                    None => break,
                },
            };
            mail.to.push(Recipient { address, served });
        }
        lines.end()?;
        Ok(mail)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    pub(in super::super) fn mail() -> Mail {
        let about = About {
            seq: 812,
            time: UnixTime(1_773_307_200),
            event: EventKind::Disabled,
            user: "bob".to_owned(),
            by: Some("alice".to_owned()),
            from: Some("198.51.100.4".to_owned()),
            host: Some("web1".to_owned()),
            service: None,
            reason: Some("phone stolen, called 03:10\n".to_owned()),
            details: Details::default(),
            of: None,
        };
        let to = ["bob@example.com", "security@example.com"].map(|to| to.parse().unwrap());
        Mail::new(about, "ab".to_owned(), to.to_vec(), UnixTime(1_773_307_201))
    }

    #[test]
    fn a_mail_reads_back_at_every_stage() {
        let fresh = mail();
        let mut later = mail();
        later.tries = 3;
        later.error = Some("connection refused".to_owned());
        later.undelivered = Some(UnixTime(1_773_307_300));
        later.to[0].served = true;
        let mut done = later.clone();
        done.to[1].served = true;
        done.delivered = Some(UnixTime(1_773_307_400));
        done.about.of = Some(7);
        let (mut coded, mut trusted) = (mail(), mail());
        let until = UnixTime(1_773_307_500);
        coded.about.details.terms = Some(Terms { code: true, until });
        trusted.about.details.terms = Some(Terms { code: false, until });
        assert_ne!(coded.print(), trusted.print());
        for one in [fresh, later, done, coded, trusted] {
            assert_eq!(Mail::parse(&one.print()), Ok(one));
        }
    }

    #[test]
    fn whatever_else_stands_there_is_refused_with_its_line() {
        let text = mail().print();
        assert_eq!(Mail::parse(""), Err(NotOfThisFormat(1)));
        assert_eq!(Mail::parse(&text.replace("mail 1", "mail 2")), Err(NotOfThisFormat(1)));
        assert_eq!(Mail::parse(&text.replace("seq 812", "seq +812")), Err(NotOfThisFormat(2)));
        let two = text.replace("bob@example.com", "bob@example.com eve@example.com");
        assert_eq!(Mail::parse(&two), Err(NotOfThisFormat(15)));
        assert!(Mail::parse(&format!("{text}more\n")).is_err());
        for (at, _) in text.match_indices('\n') {
            let cut = &text[..at];
            assert!(Mail::parse(cut).is_err(), "{cut}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in "(pam-totp-mail 1\n)?\\PC{0,80}") {
            let _ = Mail::parse(&text);
        }
    }
}
