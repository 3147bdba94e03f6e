//! What is said of each event, where no administrator has put another text in its place. Each says what changed, who did
//! it, from where, when and why, what it means for the reader, and what to do if it wasn't expected. None has a secret or
//! a code in it.

use totp_core::event::EventKind;
use totp_store::outbox::About;

/// The template of an event: subject, what happened, the facts, what to do. Lines of a paragraph are joined and broken
/// anew once the values are in.
#[must_use]
pub fn built_in(about: &About) -> String {
    let Telling { subject, what, then } = telling(about.event);
    let what = in_these_circumstances(about).unwrap_or(what);
    format!("{subject}\n{what}\n\n{{facts}}\n\n{then}\n\nQuestions: {{questions}}\n")
}

/// Where what happened isn't what it usually is.
fn in_these_circumstances(about: &About) -> Option<&'static str> {
    let at_the_command = about.service.as_deref() == Some(COMMAND);
    let without_code = about.details.terms.is_some_and(|terms| !terms.code);
    match about.event {
        EventKind::RecoveryCodeUsed if at_the_command => Some(
            "Somebody who works as {user} gave a recovery code at the command totp-admin instead of a code from\n\
             the authenticator. That recovery code is spent.",
        ),
        EventKind::BypassCodeUsed if at_the_command => Some(
            "Somebody who works as {user} gave the bypass code that an administrator had made at the command\n\
             totp-admin. It is spent.",
        ),
        EventKind::Pending if without_code => Some(
            "At your next login as {user} you will be shown a QR code for the authenticator app on your phone.\n\
             Have the phone at hand. No enrollment code is asked for.",
        ),
        EventKind::Reset if without_code => Some(
            "The second factor of {user} was erased, and you enroll a new one at your next login: have the phone\n\
             with the authenticator app at hand. No enrollment code is asked for.",
        ),
        _ => None,
    }
}

/// The service of what is done at the administrator's command.
const COMMAND: &str = "totp-admin";

struct Telling {
    subject: &'static str,
    what: &'static str,
    then: &'static str,
}

/// For what people do themselves, or have done for them.
const UNEXPECTED: &str = "\
If neither you nor somebody on your behalf did this, tell your administrator at once: somebody may be
getting at your account.";

/// For what only somebody else can have done.
const ALARM: &str = "\
Tell your administrator at once, by telephone if you can, and change your password from another
machine.";

fn telling(event: EventKind) -> Telling {
    let (subject, what, then) = match event {
        EventKind::Enrolled => (
            "Second factor of {user} switched on at {host}",
            "From now on, logging in as {user} takes a code from your authenticator besides the password.\n\
             Keep your recovery codes, if you were given any, apart from your phone.",
            "Lost your phone, or no text message arrives? An administrator helps, who first makes sure that\n\
             it is you who asks, and knows your telephone number or sets it anew.\n\n\
             If you did not enroll, and nobody did it with you, somebody else now has your second factor:\n\
             tell your administrator at once.",
        ),
        EventKind::Pending => (
            "{user} is to enroll a second factor at {host}",
            "At your next login as {user} you will be shown a QR code for the authenticator app on your phone.\n\
             Have the phone at hand. If you were given an enrollment code, it is asked for at that login.",
            UNEXPECTED,
        ),
        EventKind::EnrollmentOffered => (
            "A new key for {user} was shown at {host}",
            "Somebody who logged in as {user} was shown a QR code with a new secret key. It counts once a code\n\
             made with it has been entered; another message says so then.",
            "If that was not you, somebody else knows your password and is about to make a second factor of\n\
             their own. Tell your administrator at once.",
        ),
        EventKind::Disabled => (
            "Second factor of {user} switched off at {host}",
            "The second factor of {user} was switched off, and its secrets and recovery codes were erased.\n\
             Logging in takes the password alone from now on, or is no longer possible where the\n\
             administrators decided so.",
            "If you did not ask for this, somebody who knows your password needs nothing more to get in. Tell\n\
             another administrator at once.",
        ),
        EventKind::Reset => (
            "Second factor of {user} reset at {host}",
            "The second factor of {user} was erased, and you enroll a new one at your next login: have the phone\n\
             with the authenticator app at hand. The enrollment code for it is given to you by an\n\
             administrator, not by mail.",
            "If you did not ask for this, somebody may be about to enroll a phone of theirs in your name. Tell\n\
             another administrator at once.",
        ),
        EventKind::Removed => (
            "Second factor of {user} erased at {host}",
            "Everything that was kept about the second factor of {user} was erased: authenticators, recovery\n\
             codes and settings. This is done when an account is gone.",
            UNEXPECTED,
        ),
        EventKind::Renamed => (
            "Second factor of {user} renamed at {host}",
            "The second factor belongs to another account name from now on. Authenticators and codes stay what\n\
             they were.",
            UNEXPECTED,
        ),
        EventKind::UidChanged => (
            "Second factor of {user} moved to another uid at {host}",
            "The account {user} has another uid (user number), and its second factor belongs to that one from now\n\
             on. Authenticators and codes stay what they were.",
            UNEXPECTED,
        ),
        EventKind::Repaired => (
            "Second factor of {user} repaired at {host}",
            "A backup was restored on this machine, and with it an old state of {user}'s second factor. So that\n\
             no code that was used is good again, older codes and recovery codes are void.",
            "Your authenticator works as before. If you need recovery codes, ask for new ones.",
        ),
        EventKind::AuthenticatorAdded => (
            "{user} has another authenticator at {host}",
            "An authenticator (a phone, an app or a token) was added to {user}. Its codes log in as well as\n\
             those of the ones that were there.",
            UNEXPECTED,
        ),
        EventKind::AuthenticatorRemoved => (
            "{user} has one authenticator less at {host}",
            "An authenticator (a phone, an app or a token) of {user} was removed. Its codes are no longer\n\
             accepted.",
            UNEXPECTED,
        ),
        EventKind::Resynchronised => (
            "Authenticator of {user} set right at {host}",
            "The clock or counter of one of {user}'s authenticators was off, and was set right with consecutive\n\
             codes of it.",
            UNEXPECTED,
        ),
        EventKind::RecoveryCodeUsed => (
            "A recovery code of {user} was used at {host}",
            "Somebody logged in as {user} with a recovery code instead of a code from the authenticator. That\n\
             recovery code is spent.",
            "If that was not you, somebody has your recovery codes and your password. Change the password,\n\
             and ask for new recovery codes, which makes the old ones void: tell your administrator at once.",
        ),
        EventKind::RecoveryCodesIssued => (
            "New recovery codes of {user} at {host}",
            "Recovery codes were made for {user}. Each logs in once without the authenticator; all older ones\n\
             are void. They are not in this mail.",
            "If you did not ask for them, somebody else has them now. Tell another administrator at once.",
        ),
        EventKind::BypassCodeIssued => (
            "A bypass code of {user} was made at {host}",
            "A code was made that logs {user} in once, for some hours, in the place of the authenticator: for\n\
             a phone left at home. It is not in this mail.",
            "If you did not ask for it, somebody else has it now. Tell another administrator at once.",
        ),
        EventKind::BypassCodeUsed => (
            "A bypass code of {user} was used at {host}",
            "Somebody logged in as {user} with the bypass code that an administrator had made. It is spent.",
            UNEXPECTED,
        ),
        EventKind::DeviceRemembered => (
            "A device of {user} is remembered at {host}",
            "After a login as {user} with a code, this device was remembered: for some days it logs in with its\n\
             own key, and no code is asked for.",
            "If that was not you, an administrator can make it forgotten (totp-admin remembered forget). Tell\n\
             them at once.",
        ),
        EventKind::DeviceForgotten => (
            "A remembered device of {user} was forgotten at {host}",
            "A device that logged {user} in without a code is asked for one again.",
            UNEXPECTED,
        ),
        EventKind::ContactChanged => (
            "Mail address or telephone number of {user} changed at {host}",
            "Messages about {user}'s second factor go to another address, or codes by text message to another\n\
             number, from now on. This goes to the old address as well as to the new one.",
            "If you did not ask for this, somebody may be about to get your codes, or to keep these messages\n\
             from you. Tell another administrator at once.",
        ),
        EventKind::Unlocked => (
            "{user} is asked for one code again at {host}",
            "After many wrong codes {user} was asked for two or three codes in a row. An administrator ended\n\
             that. Codes that were used stay used.",
            "If you have not entered wrong codes yourself, somebody who knows your password has been guessing:\n\
             change it.",
        ),
        EventKind::MoreCodesRequired => (
            "Many wrong codes for {user} at {host}",
            "So many wrong codes have been entered for {user} that two or three codes in a row are asked for,\n\
             for now: enter one, wait for the next, enter that, all in one answer if you like. You are not\n\
             locked out.",
            "Where these codes were entered the password was right. If that was not you, change your password\n\
             now, and tell your administrator. If your own codes are not accepted, the clock of your phone may\n\
             be off: set it to automatic. Where a text message was asked for and none came, no telephone number\n\
             may be known: an administrator sets it.",
        ),
        EventKind::CodeAlreadyUsed => (
            "Warning: a code of {user} was used by somebody else at {host}",
            "A right code of {user}'s was entered that had been used shortly before, from somewhere else. Codes\n\
             are good once, so this was refused. Somebody may have watched you enter a code, or you entered it\n\
             at a page or a machine that passed it on, and that somebody is logged in as you.",
            ALARM,
        ),
        EventKind::StateVolatile => (
            "The second factors at {host} can't be written to disk",
            "A login as {user} could not be written to disk, so its state is kept in memory until it can be.\n\
             Until then only codes from authenticator apps are accepted.",
            "Look at the disk: is it full, read-only or broken? Nothing else needs to be done; the state moves\n\
             back by itself.",
        ),
        EventKind::StateRebuilt => (
            "State of {user}'s second factor begun anew at {host}",
            "What {user}'s logins had left on disk was missing or damaged, and was begun anew. So that no code\n\
             is good twice, recovery codes are void until an administrator repairs them, and two or three codes\n\
             in a row may be asked for.",
            "Ask your administrator for new recovery codes. Administrators: look at the disk, and whether\n\
             somebody touched the files.",
        ),
        EventKind::NotDone => (
            "Not done after all: a change for {user} at {host}",
            "A change to {user}'s second factor was begun and put on record, but it failed, and was not made.\n\
             Everything is as it was before that. The reason below is what went wrong.\n\
             If a message about record {of} has told you otherwise, it no longer holds.",
            "You need not do anything. Whoever began it knows that it failed, and may do it again: then another\n\
             message tells you so.",
        ),
        EventKind::InstallationAdopted => (
            "The second factors at {host} were adopted",
            "The state directory was given the identity of this installation: totp-admin init.",
            UNEXPECTED,
        ),
        EventKind::Delivered | EventKind::Undelivered => {
            ("{event}: {user} at {host}", "This is about mail that you were sent.", UNEXPECTED)
        }
        EventKind::Verified => (
            "A code of {user} was verified at {host}",
            "An administrator had a code evaluated for {user}. It was not spent.",
            UNEXPECTED,
        ),
    };
    Telling { subject, what, then }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use totp_core::policy::Config;
    use totp_core::time::UnixTime;
    use totp_store::outbox::{Audience, audience};
    use totp_store::permanent::{Details, Terms};

    use super::*;
    use crate::render::fill;
    use crate::render::tests::about;
    use crate::wrap::{COLUMNS, wrapped};

    #[test]
    fn every_event_that_is_told_has_a_text_with_all_facts_and_a_subject_of_its_own() {
        let keys = Config::parse("[mail]\nquestions = \"security@example.com\"").unwrap().mail;
        let mut subjects = BTreeSet::new();
        for (event, _) in totp_core::event::EventKind::ALL {
            if audience(event) == Audience::Nobody {
                continue;
            }
            let text = fill(&built_in(&about(event)), &about(event), &keys).unwrap();
            for fact in [
                "bob",
                "alice",
                "198.51.100.4",
                "web1",
                "2026-03-12 09:20 UTC",
                "phone stolen, called 03:10",
                "812",
                "security@example.com",
            ] {
                let all = format!("{}\n{}", text.subject, text.body);
                assert!(all.contains(fact), "{event}: no {fact} in\n{all}");
            }
            let body = wrapped(&text.body);
            assert!(body.lines().all(|line| line.chars().count() <= COLUMNS), "{body}");
            assert!(subjects.insert(text.subject), "{event}");
        }
    }

    #[test]
    fn a_code_that_was_used_at_the_command_logged_nobody_in() {
        for event in [EventKind::RecoveryCodeUsed, EventKind::BypassCodeUsed] {
            let service = |name: &str| About { service: Some(name.to_owned()), ..about(event) };
            assert!(built_in(&service("sshd")).contains("logged in as"), "{event}");
            let at_command = built_in(&service("totp-admin"));
            assert!(!at_command.contains("logged in as"), "{at_command}");
            assert!(at_command.contains("spent"), "{at_command}");
        }
    }

    #[test]
    fn no_enrollment_code_is_promised_where_none_is_asked_for() {
        for event in [EventKind::Pending, EventKind::Reset] {
            let terms = |code| {
                let terms = Some(Terms { code, until: UnixTime(1_773_307_210) });
                built_in(&About {
                    details: Details { terms, ..Details::default() },
                    ..about(event)
                })
            };
            let with = terms(true);
            assert!(with.contains("nrollment code for it") || with.contains("given an enrollment"));
            let without = terms(false);
            assert!(without.contains("No enrollment code is asked for."), "{without}");
            assert!(!without.contains("given"), "{without}");
            // An administrator's own words decide nothing.
            let reason = Some("as before: on the first factor alone".to_owned());
            let said = built_in(&About { reason, ..about(event) });
            assert!(!said.contains("No enrollment code is asked for."), "{said}");
        }
    }

    #[test]
    fn where_nobody_is_named_for_questions_no_empty_line_asks() {
        let text = fill(
            &built_in(&about(EventKind::Disabled)),
            &about(EventKind::Disabled),
            &Config::default().mail,
        );
        assert!(!text.unwrap().body.contains("Questions"));
    }
}
