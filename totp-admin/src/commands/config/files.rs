//! Files and directories that a valid configuration names, and without which people log in all the same, but are told
//! nothing, or something else than was meant. Nothing is made.

use std::path::Path;

use totp_agent::render;
use totp_core::event::EventKind;
use totp_core::policy::{AbsolutePath, Config, Transport};
use totp_core::time::UnixTime;
use totp_store::files::{Demand, Directory, Owner, Shared};
use totp_store::outbox::About;
use totp_store::permanent::Details;

use crate::site::must_be_root;

/// The largest file with a password, and with certificates, that is read when mail is sent, in bytes.
const PASSWORD: u64 = 4096;
const CERTIFICATES: u64 = 1024 * 1024;

/// What is wrong with files and directories without which people log in all the same. Root alone can see that.
pub fn of(config: &Config) -> Vec<String> {
    if must_be_root().is_err() {
        return Vec::new();
    }
    let mut sentences = missing_directories(config);
    sentences.extend(unreadable_files(config));
    sentences.extend(broken_templates(config));
    sentences
}

fn missing_directories(config: &Config) -> Vec<String> {
    let state_dir = Path::new(config.paths.state_dir.as_str());
    // Without it nobody could log in, which is said elsewhere.
    let Ok(above) = Directory::open(state_dir, Owner::ROOT, Shared::Readable) else {
        return Vec::new();
    };
    let wanted = [
        ("outbox", "Nobody is told anything by mail or text message", true),
        ("notices", "Nobody is told anything, neither by mail nor at the next login", true),
        ("remembered", "No device is remembered", config.remember.anywhere().is_some()),
    ];
    let wanted = wanted.into_iter().filter(|(_, _, wanted)| *wanted);
    wanted
        .filter_map(|(name, what, _)| {
            let error = above.inner(name, Shared::Nobody).err()?;
            Some(format!("{what}: {error}."))
        })
        .collect()
}

fn unreadable_files(config: &Config) -> Vec<String> {
    let mail = &config.mail;
    if mail.transport == Transport::Sendmail {
        return Vec::new();
    }
    let password = mail.password_file.as_ref().filter(|_| mail.user.is_some());
    [
        ("password_file", password, Demand::private(PASSWORD)),
        ("ca_file", mail.ca_file.as_ref(), Demand::unwritable(CERTIFICATES)),
    ]
    .into_iter()
    .filter_map(|(key, path, demand)| {
        let error = readable(path?, demand).err()?;
        Some(format!("[mail] {key}: {error}; mail stays in the outbox."))
    })
    .collect()
}

/// As mail is sent.
fn readable(path: &AbsolutePath, demand: Demand) -> Result<(), String> {
    let path = Path::new(path.as_str());
    let parts = path.parent().zip(path.file_name().and_then(|name| name.to_str()));
    let (above, name) = parts.ok_or_else(|| format!("{} is no file", path.display()))?;
    let text = Directory::open(above, Owner::ROOT, Shared::Readable)
        .and_then(|directory| directory.text(name, demand))
        .map_err(|error| error.to_string())?;
    text.map(drop).ok_or_else(|| format!("{}: no such file", path.display()))
}

/// Each tried with an event of its kind. A directory that can't be read is wrong for all, and said once.
fn broken_templates(config: &Config) -> Vec<String> {
    let mut sentences = Vec::new();
    for (event, _) in EventKind::ALL {
        let (_, remark) = render::text(&config.mail, &example(event), Owner::ROOT);
        let Some(remark) = remark else { continue };
        let sentence = match remark.strip_suffix("; the built-in text was used") {
            Some(error) => format!("{error}; the built-in text is used."),
            None => remark,
        };
        if !sentences.contains(&sentence) {
            sentences.push(sentence);
        }
    }
    sentences
}

fn example(event: EventKind) -> About {
    let word = || Some("example".to_owned());
    About {
        seq: 1,
        time: UnixTime(0),
        event,
        user: "example".to_owned(),
        by: word(),
        from: word(),
        host: word(),
        service: word(),
        reason: word(),
        details: Details::default(),
        of: Some(1),
    }
}
