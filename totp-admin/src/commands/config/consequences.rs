//! What follows from settings that are valid, and is better said here than found out later: whom nobody tells, what is
//! never sent, and what alone logs in. Keeps nothing from being installed.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use totp_core::policy::{Config, Policy, Transport};
use totp_core::time::Date;
use totp_store::clock;
use totp_store::installation::Installation;

use super::files;
use crate::coverage::Report;
use crate::times;

/// Sentences, for whoever has just written it.
pub fn of(installation: &Installation, coverage: &Report) -> Vec<String> {
    let config = installation.config();
    [
        keys_alone(config),
        no_text_messages(config),
        codes_in_arguments(config),
        no_mail_program(config),
        nobody_told(installation),
        the_same_address_for_all(config),
        the_same_number_for_all(config),
        more_in_an_hour_than_in_a_day(config),
        no_password(config),
    ]
    .into_iter()
    .flatten()
    .chain(days_that_are_over(config))
    .chain(files::of(config))
    .chain(coverage.sentences().cloned())
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
fn nobody_told(installation: &Installation) -> Option<String> {
    let config = installation.config();
    if config.mail.default_to.is_some() || !config.mail.copy_to.is_empty() {
        return None;
    }
    let entries: Vec<_> = installation
        .store()
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

fn the_same_address_for_all(config: &Config) -> Option<String> {
    let pattern = config.mail.default_to.as_ref()?.to_string();
    (!pattern.contains("{user}")).then(|| {
        format!("[mail] default_to has no {{user}}: mail for everybody goes to {pattern}.")
    })
}

fn the_same_number_for_all(config: &Config) -> Option<String> {
    let (_, mut arguments) = config.sms.command.parts()?;
    (!arguments.any(|argument| argument.contains("{phone}"))).then(|| {
        "[sms] no argument of command has {phone}: the program does not learn to whom a text message goes."
            .to_owned()
    })
}

fn more_in_an_hour_than_in_a_day(config: &Config) -> Option<String> {
    let limits = config.sms.limits()?;
    (limits.per_day < limits.per_hour).then(|| {
        format!(
            "[sms] per_day = {} is less than per_hour = {}, which is never reached.",
            limits.per_day, limits.per_hour
        )
    })
}

fn no_password(config: &Config) -> Option<String> {
    let mail = &config.mail;
    let server = matches!(mail.transport, Transport::Smtp { .. });
    (server && mail.user.is_some() && mail.password_file.is_none())
        .then(|| "[mail] user has no password_file: nobody logs in to the mail server.".to_owned())
}

fn days_that_are_over(config: &Config) -> Vec<String> {
    let now = clock::now();
    let over = |policy: &Policy| policy.enroll_by.filter(|day| day.days_left(now).is_none());
    let sentence = |table: &str, day: Date| {
        format!(
            "[{table}] enroll_by = {day} is over: who must be enrolled and is not cannot log in."
        )
    };
    let general = over(&config.policy(""));
    let mut sentences: Vec<String> =
        general.map(|day| sentence("policy", day)).into_iter().collect();
    for (name, keys) in &config.service {
        let own = keys.enroll_by.is_some();
        let day = over(&config.policy(name)).filter(|_| own);
        sentences.extend(day.map(|day| sentence(&format!("service.{name}"), day)));
    }
    sentences
}

fn can_be_run(program: &str) -> bool {
    fs::metadata(program).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}
