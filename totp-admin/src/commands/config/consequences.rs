//! What follows from settings that are valid, and is better said here than found out later: whom nobody tells, what is
//! never sent, and what alone logs in. Keeps nothing from being installed.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use totp_core::policy::{Config, Transport};
use totp_store::clock;
use totp_store::files::Owner;
use totp_store::store::FileStore;

use crate::times;

/// Sentences, for whoever has just written it.
pub fn of(config: &Config) -> Vec<String> {
    [
        keys_alone(config),
        no_text_messages(config),
        codes_in_arguments(config),
        no_mail_program(config),
        nobody_told(config),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn keys_alone(config: &Config) -> Option<String> {
    let keys = &config.remember;
    let seconds = keys.services.iter().find_map(|service| keys.seconds(service))?;
    Some(format!(
        "[remember] For {} the key of a remembered device alone logs in at {}. Where sshd has no public key of the user, \
         nothing is remembered.",
        times::span(seconds),
        keys.services.join(", ")
    ))
}

fn no_text_messages(config: &Config) -> Option<String> {
    let (program, _) = config.sms.command.parts()?;
    (!can_be_run(program))
        .then(|| format!("[sms] {program} is not there or cannot be run: no text message is sent."))
}

fn codes_in_arguments(config: &Config) -> Option<String> {
    config.sms.command.parts()?.1.any(|argument| argument.contains("{text}")).then(|| {
        "[sms] {text} among the arguments shows codes to every user of this machine (ps): leave it out, and the program \
         gets the text on standard input."
            .to_owned()
    })
}

fn no_mail_program(config: &Config) -> Option<String> {
    let mail = &config.mail;
    let somebody = mail.default_to.is_some() || !mail.copy_to.is_empty();
    let program = mail.sendmail.as_str();
    (mail.transport == Transport::Sendmail && somebody && !can_be_run(program)).then(|| {
        format!("[mail] {program} is not there or cannot be run: mail stays in the outbox.")
    })
}

/// `None` also where it can't be found out.
fn nobody_told(config: &Config) -> Option<String> {
    if config.mail.default_to.is_some() || !config.mail.copy_to.is_empty() {
        return None;
    }
    let (state_dir, run_dir) = (config.paths.state_dir.as_str(), config.paths.run_dir.as_str());
    let store = FileStore::new(Path::new(state_dir), Path::new(run_dir), Owner::ROOT);
    let entries: Vec<_> = store
        .everybody(clock::now())
        .ok()?
        .into_iter()
        .filter_map(|(_, entry)| entry.ok())
        .collect();
    let known = entries.iter().any(|entry| entry.decision().contact.email.is_some());
    (!entries.is_empty() && !known).then(|| {
        "[mail] default_to is not set and no user has an address: nobody is told anything by mail.".to_owned()
    })
}

fn can_be_run(program: &str) -> bool {
    fs::metadata(program).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}
