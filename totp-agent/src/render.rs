//! From a template to a text: the first line is the subject, the rest the body. A placeholder stands in braces; a brace
//! itself is written twice. A line of the body whose placeholder has no value is left out.

use std::path::Path;

use thiserror::Error;
use totp_core::event::EventKind;
use totp_core::policy::MailKeys;
use totp_core::visible::one_line;
use totp_store::files::{Demand, Directory, FileError, Owner, Problem, Shared};
use totp_store::notices::minute;
use totp_store::outbox::About;

use crate::texts;
use crate::wrap::wrapped;

/// A template is never larger, in bytes.
const LARGEST: u64 = 65_536;

/// Characters of a subject.
const LONGEST_SUBJECT: usize = 200;

/// What is said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    /// One line without control characters.
    pub subject: String,
    /// Lines.
    pub body: String,
}

/// Why an administrator's template can't be used.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum TemplateError {
    /// The file.
    #[error(transparent)]
    File(#[from] FileError),
    /// A word in braces that stands for nothing.
    #[error("line {line}: {{{name}}} stands for nothing; there are {}", names())]
    Unknown {
        /// The line, counted from 1.
        line: usize,
        /// The word.
        name: String,
    },
    /// A brace that is not closed, or not opened.
    #[error("line {0}: a brace stands alone; write it twice if it is to be seen")]
    Brace(usize),
    /// Nothing but spaces in the first line, or no body.
    #[error("a template is a subject in the first line, and a text behind it")]
    Empty,
}

/// What can be put in, besides nothing.
const NAMES: [&str; 12] = [
    "user",
    "event",
    "time",
    "by",
    "from",
    "host",
    "service",
    "reason",
    "questions",
    "seq",
    "of",
    "facts",
];

fn names() -> String {
    NAMES.map(|name| format!("{{{name}}}")).join(" ")
}

/// What is said of an event, and what is wrong with the administrator's template, if there is one that can't be used: then
/// it is our own text.
#[must_use]
pub fn text(keys: &MailKeys, about: &About, owner: Owner) -> (Text, Option<String>) {
    let own = |problem| {
        let text = fill(&texts::built_in(about), about, keys)
            .map(|text| Text { body: wrapped(&text.body), ..text });
        // Ours are all tried by a test.
        let text = text.unwrap_or_else(|_| Text {
            subject: format!("{}: {}", about.event, one_line(&about.user)),
            body: totp_store::notices::sentence(about) + "\n",
        });
        (text, problem)
    };
    let directory = Path::new(keys.templates.as_str());
    match template(directory, about.event, owner) {
        Ok(None) => own(None),
        Ok(Some(template)) => match fill(&template, about, keys) {
            Ok(text) => (text, None),
            Err(error) => {
                let path = directory.join(file_name(about.event));
                own(Some(format!("{}: {error}; the built-in text was used", path.display())))
            }
        },
        Err(error) => own(Some(format!("{error}; the built-in text was used"))),
    }
}

/// An administrator's template for an event; `None` where there is none.
fn template(path: &Path, event: EventKind, owner: Owner) -> Result<Option<String>, FileError> {
    let directory = match Directory::open(path, owner, Shared::Readable) {
        Err(FileError { problem: Problem::NoDirectory, .. }) => return Ok(None),
        opened => opened?,
    };
    let text = directory.text(&file_name(event), Demand::unwritable(LARGEST))?;
    Ok(text.map(|text| text.as_str().to_owned()))
}

fn file_name(event: EventKind) -> String {
    format!("{event}.txt")
}

/// Puts the values in.
///
/// # Errors
/// Where the template can't be used.
pub fn fill(template: &str, about: &About, keys: &MailKeys) -> Result<Text, TemplateError> {
    let mut lines = template.lines().enumerate().map(|(at, line)| (at.saturating_add(1), line));
    let (_, first) = lines.next().ok_or(TemplateError::Empty)?;
    let value = |name: &str| value(name, about, keys);
    let subject = filled(first, 1, &|name| {
        value(name).map(|value| Some(value.unwrap_or_else(|| "unknown".to_owned())))
    })?;
    let subject = one_line(&subject.unwrap_or_default());
    let subject: String = subject.trim().chars().take(LONGEST_SUBJECT).collect();
    let mut body = String::new();
    for (at, line) in lines {
        if let Some(line) = filled(line, at, &value)? {
            body.push_str(&line);
            body.push('\n');
        }
    }
    let body = format!("{}\n", body.trim_matches('\n'));
    if subject.is_empty() || body.trim().is_empty() {
        return Err(TemplateError::Empty);
    }
    Ok(Text { subject, body })
}

/// One line with its values; `None` where one of them is unknown.
fn filled(
    line: &str,
    at: usize,
    value: &dyn Fn(&str) -> Option<Option<String>>,
) -> Result<Option<String>, TemplateError> {
    let mut out = Some(String::with_capacity(line.len()));
    let mut push = |text: &str| {
        if let Some(out) = &mut out {
            out.push_str(text);
        }
    };
    let mut unknown = false;
    let mut rest = line;
    while let Some(found) = rest.find(['{', '}']) {
        let (before, behind) = rest.split_at(found);
        push(before);
        if let Some(behind) = behind.strip_prefix("{{") {
            push("{");
            rest = behind;
        } else if let Some(behind) = behind.strip_prefix("}}") {
            push("}");
            rest = behind;
        } else {
            let inner = behind.strip_prefix('{').ok_or(TemplateError::Brace(at))?;
            let (name, behind) = inner.split_once('}').ok_or(TemplateError::Brace(at))?;
            let none = || TemplateError::Unknown { line: at, name: one_line(name) };
            match value(name).ok_or_else(none)? {
                Some(value) => push(&value),
                None => unknown = true,
            }
            rest = behind;
        }
    }
    push(rest);
    Ok(out.filter(|_| !unknown))
}

/// `None`: there is no such placeholder. `Some(None)`: it has no value here.
fn value(name: &str, about: &About, keys: &MailKeys) -> Option<Option<String>> {
    let given = |text: &Option<String>| {
        text.as_deref().map(one_line).filter(|text| !text.trim().is_empty())
    };
    Some(match name {
        "user" => Some(one_line(&about.user)),
        "event" => Some(about.event.to_string()),
        "time" => Some(minute(about.time)),
        "by" => given(&about.by),
        "from" => given(&about.from),
        "host" => given(&about.host),
        "service" => given(&about.service),
        "reason" => given(&about.reason),
        "questions" => given(&keys.questions),
        "seq" => Some(about.seq.to_string()),
        "of" => about.of.map(|of| of.to_string()),
        "facts" => Some(facts(about, keys)),
        _ => return None,
    })
}

/// All that is known, a line each.
fn facts(about: &About, keys: &MailKeys) -> String {
    let mut lines = Vec::new();
    for (title, name) in [
        ("When:", "time"),
        ("By:", "by"),
        ("From:", "from"),
        ("Host:", "host"),
        ("Service:", "service"),
        ("Reason:", "reason"),
        ("About:", "of"),
        ("Record:", "seq"),
    ] {
        if let Some(Some(value)) = value(name, about, keys) {
            let value = if name == "of" { format!("record {value}") } else { value };
            lines.push(format!("  {title:<9}{value}"));
        }
    }
    lines.join("\n")
}

#[cfg(test)]
pub(crate) mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use proptest::prelude::*;
    use totp_core::policy::Config;
    use totp_core::time::UnixTime;
    use totp_core::visible::is_hidden;
    use totp_store::permanent::Details;

    use super::*;

    pub(crate) fn about(event: EventKind) -> About {
        About {
            seq: 812,
            time: UnixTime(1_773_307_200),
            event,
            user: "bob".to_owned(),
            by: Some("alice".to_owned()),
            from: Some("198.51.100.4".to_owned()),
            host: Some("web1".to_owned()),
            service: None,
            reason: Some("phone stolen, called 03:10".to_owned()),
            details: Details::default(),
            of: None,
        }
    }

    fn keys(text: &str) -> MailKeys {
        Config::parse(&format!("[mail]\n{text}")).unwrap().mail
    }

    fn filled(template: &str) -> Result<Text, TemplateError> {
        fill(template, &about(EventKind::Disabled), &keys("questions = \"security@example.com\""))
    }

    #[test]
    fn no_hidden_character_of_a_value_reaches_a_mail() {
        let all: String = ('\0'..=char::MAX).collect();
        let about = About {
            user: format!("bob{all}"),
            by: Some(format!("alice{all}")),
            reason: Some(format!("stolen{all}")),
            ..about(EventKind::Disabled)
        };
        let text = fill("{event}: {user}\n\n{by}\n{reason}\n", &about, &keys("")).unwrap();
        assert!(!text.subject.contains(is_hidden));
        assert!(text.body.contains("stolen") && !text.body.replace('\n', "").contains(is_hidden));
    }

    #[test]
    fn values_are_put_in_and_doubled_braces_stay() {
        let text = filled("{event}: {user} on {host}\n\n{{{by}}} from {from}, {time}\n").unwrap();
        assert_eq!(text.subject, "disabled: bob on web1");
        assert_eq!(text.body, "{alice} from 198.51.100.4, 2026-03-12 09:20 UTC\n");
    }

    #[test]
    fn a_line_without_its_value_is_left_out_and_in_a_subject_it_is_unknown() {
        let text = filled("At {service}\none\nService: {service}\ntwo\n").unwrap();
        assert_eq!((text.subject.as_str(), text.body.as_str()), ("At unknown", "one\ntwo\n"));
    }

    #[test]
    fn what_is_wrong_with_a_template_is_said_with_its_line() {
        let error = filled("a\nb {bob}\n").unwrap_err().to_string();
        assert!(error.starts_with("line 2: {bob} stands for nothing; there are {user}"), "{error}");
        assert_eq!(filled("a\nb {user\n"), Err(TemplateError::Brace(2)));
        assert_eq!(filled("a}\nb\n"), Err(TemplateError::Brace(1)));
        for empty in ["", "\n\n", "subject\n", "subject", " \nbody"] {
            assert_eq!(filled(empty), Err(TemplateError::Empty), "{empty:?}");
        }
    }

    #[test]
    fn a_value_cannot_become_a_header_or_another_line() {
        let mut about = about(EventKind::Disabled);
        about.user = "bob\r\nBcc: eve@example.com".to_owned();
        about.reason = Some("a\n\nDear Bob,\u{202e}".to_owned());
        let text = fill("Of {user}\n{reason}\n", &about, &keys("")).unwrap();
        assert_eq!(text.subject, "Of bob  Bcc: eve@example.com");
        assert_eq!(text.body, "a  Dear Bob, \n");
    }

    #[test]
    fn a_long_subject_is_cut() {
        let text = filled(&format!("{}\nbody\n", "x".repeat(500))).unwrap();
        assert_eq!(text.subject.len(), LONGEST_SUBJECT);
    }

    #[test]
    fn an_administrators_template_stands_in_and_a_bad_one_is_told() {
        let temp = tempfile::tempdir().unwrap();
        let keys = keys(&format!("templates = {:?}", temp.path()));
        let file = temp.path().join("disabled.txt");
        let write = |text: &[u8], mode| {
            fs::write(&file, text).unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        };
        let of = |event| text(&keys, &about(event), Owner::this_process());

        assert_eq!(of(EventKind::Disabled).1, None);
        write(b"Off: {user}\nCall 4711.\n", 0o644);
        let (own, problem) = of(EventKind::Disabled);
        assert_eq!((own.subject.as_str(), problem), ("Off: bob", None));
        assert!(of(EventKind::Enrolled).0.subject.contains("switched on"), "another event");

        let large = vec![b'x'; 70_000];
        for (content, mode) in [
            (&b"Off: {nobody}\nx\n"[..], 0o644),
            (b"Off\n\xff\n", 0o644),
            (b"Off\nCall 4711.\n", 0o666),
            (&large, 0o644),
        ] {
            write(content, mode);
            let (text, problem) = of(EventKind::Disabled);
            let problem = problem.unwrap();
            assert!(problem.contains("disabled.txt: "), "{problem}");
            assert!(problem.ends_with("; the built-in text was used"), "{problem}");
            assert!(text.body.contains("phone stolen"), "{}", text.body);
        }
    }

    proptest! {
        #[test]
        fn any_template_is_read_without_a_panic(template in "([{}a-z\n]|\\PC){0,60}") {
            if let Ok(text) = filled(&template) {
                prop_assert!(!text.subject.contains(is_hidden));
            }
        }
    }
}
