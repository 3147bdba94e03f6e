//! A text of an administrator's for a notification by mail. The first line of the input is what a stranger put into a reason;
//! the rest is the template.

use totp_agent::mail::compose;
use totp_agent::render::{Text, fill};
use totp_core::contact::Email;
use totp_core::event::EventKind;
use totp_core::policy::MailKeys;
use totp_core::time::UnixTime;
use totp_core::visible::{is_hidden, one_line};
use totp_store::outbox::{About, Mail};
use totp_store::permanent::Details;

const NOW: UnixTime = UnixTime(1_763_000_000);

/// The headers that a mail of ours has, and no other.
const HEADERS: [&str; 10] = [
    "From",
    "To",
    "Subject",
    "Date",
    "Message-ID",
    "Auto-Submitted",
    "Content-Type",
    "Content-Transfer-Encoding",
    "MIME-Version",
    "References",
];

/// A value adds no line and no header, and is not looked at for placeholders; a word in braces that stands for nothing is
/// refused.
pub fn check(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (reason, template) = text.split_once('\n').unwrap_or((&text, "{user}\n\n{reason}"));
    let keys = MailKeys::default();
    let about = about(reason);
    let Ok(text) = fill(template, &about, &keys) else { return };
    assert!(!text.subject.contains(is_hidden) && !text.subject.trim().is_empty());
    assert!(text.subject.chars().count() <= 200 && text.body.ends_with('\n'));
    // With a value of one letter there are as many lines: nothing that a stranger wrote adds one.
    let plain =
        fill(template, &self::about("x"), &keys).expect("the template is as good as it was");
    let wordless = reason.chars().all(|c| is_hidden(c) || c.is_whitespace());
    if !wordless && !template.contains('\u{a0}') {
        assert_eq!(text.body.lines().count(), plain.body.lines().count(), "{reason:?}");
    }
    assert!(fill(&format!("{template}\n{{noise}}"), &about, &keys).is_err(), "stands for nothing");
    let whole = fill("{{{{{reason}}}}}\n{user}", &about, &keys).expect("a good template");
    if !wordless && reason.chars().count() < 100 && !reason.contains(char::is_control) {
        let seen: String = one_line(reason);
        assert_eq!(whole.subject, format!("{{{{{seen}}}}}"), "as it stands, once");
    }
    is_one_message(&text, about);
}

fn about(reason: &str) -> About {
    About {
        seq: 812,
        time: NOW,
        event: EventKind::Disabled,
        user: "bob".to_owned(),
        by: Some("alice".to_owned()),
        from: None,
        host: Some("web1".to_owned()),
        service: None,
        reason: Some(reason.to_owned()),
        details: Details::default(),
        of: None,
    }
}

fn is_one_message(text: &Text, about: About) {
    let address = |text: &str| text.parse::<Email>().expect("a good address");
    let (from, to) = (address("root@example.com"), address("bob@example.com"));
    let mail = Mail::new(about, "0".repeat(64), vec![to.clone()], NOW);
    let composed = compose(&mail, text, &from, &to, NOW).expect("a message");
    let message = String::from_utf8(composed.bytes).expect("encoded");
    assert!(message.is_ascii());
    let (head, _) = message.split_once("\r\n\r\n").expect("headers and body");
    for line in head.split("\r\n").filter(|line| !line.starts_with([' ', '\t'])) {
        let (name, _) = line.split_once(':').expect("a header");
        assert!(HEADERS.contains(&name), "{line}");
    }
    for name in ["To", "Subject", "From"] {
        let count = head.split("\r\n").filter(|line| line.starts_with(&format!("{name}:"))).count();
        assert_eq!(count, 1, "{name}");
    }
}
