//! The account hook: what is to be done behind a login that has passed, and a second refusal for one that has not.
//!
//! It runs without any auth before it (sudo -n, su by root, cron, a public key alone), so whatever it does for a user stands
//! behind auth's mark: without one it neither asks nor says anything, and ends with `PAM_IGNORE`. What is asked and said is
//! decided in `totp-core`; here it is put to the user, recorded and done.

mod codes;
mod drawing;
mod enrolling;

use totp_core::dialogue::account::{self, Account, Codes, End, Next, Remark, Settings};
use totp_core::dialogue::enrollment::Note;
use totp_core::evaluate::{By, Rules, next_is_due};
use totp_core::event::EventKind;
use totp_core::policy::{Display, Messages, Policy, RecoveryMode};
use totp_core::record::EnrollmentId;
use totp_core::store::{Committed, Found, StateRead, Store as _, View};
use totp_core::time::UnixTime;
use totp_core::upkeep::give_use_back;
use totp_store::installation::Installation;
use totp_store::permanent::{self, PermanentRecord, Recorded};
use totp_store::recorded::{Means, Recorder};
use totp_store::store::FileStore;
use totp_store::{clock, waits};

use self::codes::Shown as ShownCodes;
use self::enrolling::Enrolling;
use super::configuration::{arguments, installation};
use super::facts::Facts;
use super::host::{Echo, Host, Priority, ReturnCode, Typed};
use super::mark::{self, Found as FoundMark, Mark, Outcome, Passed};
use super::remembered::Device;
use super::telling::Telling;
use super::{Decision, Logins, notices, person};
use crate::request::Request;

const DUE: &str =
    "an enrollment is due and was not made; the PAM stack needs: account required pam_totp.so";

/// Called behind auth. An enrollment that is due stays due, whatever goes wrong here.
pub(crate) fn manage(host: &mut dyn Host, request: &Request, logins: &Logins) -> Decision {
    let is_due = match mark::read(&request.mark) {
        FoundMark::Mark(mark) => mark.enrollment_is_due(),
        FoundMark::Nothing | FoundMark::Refused => false,
    };
    let decision = manage_marked(host, request, logins);
    if is_due && decision.is_refusal() { decision.and_due() } else { decision }
}

fn manage_marked(host: &mut dyn Host, request: &Request, logins: &Logins) -> Decision {
    let arguments = match arguments(host, request) {
        Ok(arguments) => arguments,
        Err(code) => return Decision::refused(code),
    };
    let mark = match mark::read(&request.mark) {
        FoundMark::Nothing => {
            if arguments.debug {
                host.log(Priority::Debug, "debug: auth did not run; nothing to do");
            }
            return Decision::unmarked(ReturnCode::Ignore);
        }
        FoundMark::Refused => return refused(host, arguments.or_other),
        FoundMark::Mark(mark) => mark,
    };
    if arguments.debug {
        let line = format!("debug: auth of {} came to: {:?}", mark.user, mark.outcome);
        host.log(Priority::Debug, &line);
    }
    // A program of the user's own may have written the mark itself.
    if !request.caller.is_root() {
        return Decision::unmarked(ReturnCode::Ignore);
    }
    match is_still(host, request, &mark) {
        Ok(true) => {}
        Ok(false) => return refused(host, arguments.or_other),
        Err(code) => return Decision::refused(code),
    }
    let how = match &mark.outcome {
        Outcome::Passed(how) => how,
        Outcome::Due => return due(host, *mark),
        Outcome::NotChallenged => {
            notices::show_unchallenged(host, request, &arguments, logins, &mark);
            return Decision::marked(ReturnCode::Ignore, settled(*mark));
        }
        Outcome::Settled => return Decision::marked(ReturnCode::Ignore, settled(*mark)),
    };
    let site = match installation(host, &arguments, logins) {
        Ok(site) => site,
        Err(code) => return Decision::refused(code),
    };
    // Checked when it was loaded.
    let Some(rules) = site.config().rules() else {
        return Decision::refused(ReturnCode::ServiceErr);
    };
    let (store, record) = (site.store(), site.audit_log());
    let facts = Facts::of(request);
    let policy = site.config().policy(&facts.service);
    let code = Phase {
        host,
        site: &site,
        rules,
        facts: &facts,
        policy: &policy,
        login_uid: request.login_uid,
        store: &store,
        record: &record,
        mark: &mark,
        how,
    }
    .run();
    match code {
        ReturnCode::Success | ReturnCode::Ignore => Decision::marked(code, settled(*mark)),
        code => Decision::marked(code, Mark { outcome: Outcome::Due, ..*mark }),
    }
}

/// Called where credentials would be set: without an account line, a login that was granted to enroll would be a login
/// without a second factor.
pub(crate) fn set_credentials(host: &mut dyn Host, request: &Request) -> Decision {
    match mark::read(&request.mark) {
        FoundMark::Mark(mark) if request.caller.is_root() && mark.enrollment_is_due() => {
            due(host, *mark)
        }
        FoundMark::Mark(mark) => Decision::marked(ReturnCode::Success, *mark),
        FoundMark::Nothing => Decision::unmarked(ReturnCode::Success),
        // The module comes back for a mark of an enrollment that is due, and for no other: this one is too old, or can't be read.
        FoundMark::Refused => {
            host.log(Priority::Error, DUE);
            Decision::refused(ReturnCode::PermDenied).and_due()
        }
    }
}

/// Auth has refused this login, whatever the stack made of that: a line of ours that is `optional` or `sufficient` must not
/// grant by being passed over.
fn refused(host: &dyn Host, or_other: bool) -> Decision {
    if or_other {
        return Decision::refused(ReturnCode::Ignore);
    }
    let line = "the second factor was refused in this login, and the PAM stack went on all the same: denied";
    host.log(Priority::Notice, line);
    Decision::refused(ReturnCode::PermDenied)
}

fn due(host: &dyn Host, mark: Mark) -> Decision {
    host.log(Priority::Error, DUE);
    Decision::marked(ReturnCode::PermDenied, Mark { outcome: Outcome::Due, ..mark })
}

fn settled(mark: Mark) -> Mark {
    Mark { outcome: Outcome::Settled, ..mark }
}

/// Whether the handle still is about the user that the mark was made for.
fn is_still(host: &dyn Host, request: &Request, mark: &Mark) -> Result<bool, ReturnCode> {
    let named = person::named(&request.user).map_err(|error| {
        host.log(Priority::Error, &format!("{error}; login denied"));
        if mark.enrollment_is_due() { ReturnCode::PermDenied } else { ReturnCode::SystemErr }
    })?;
    Ok(named.is_some_and(|(user, uid)| mark.is_of(&user, uid)))
}

/// One login's account phase.
struct Phase<'a> {
    host: &'a mut dyn Host,
    site: &'a Installation,
    rules: Rules,
    facts: &'a Facts,
    policy: &'a Policy,
    store: &'a FileStore,
    record: &'a PermanentRecord,
    /// The login uid of the program that the user logs in at.
    login_uid: Option<u32>,
    mark: &'a Mark,
    /// How the user passed auth.
    how: &'a Passed,
}

impl Phase<'_> {
    fn run(mut self) -> ReturnCode {
        let settings = Settings {
            window: self.rules.window,
            codes: self.kind_of_codes(),
            display: self.facts.display(self.policy),
            enroll_in: self.policy.enroll_in.clone(),
        };
        let mut dialogue = Account::new(self.passed(), settings);
        let mut enrolling = Enrolling::new(self.how);
        let mut codes = ShownCodes::Nothing;
        loop {
            let next = dialogue.next(clock::now());
            let changes =
                matches!(next, Next::Offer | Next::Install(_) | Next::KeepCodes | Next::Remember);
            // Nothing is changed for a module that has left: its login was denied.
            if changes && !self.host.is_there() {
                return ReturnCode::PermDenied;
            }
            match next {
                Next::Ask(question) => {
                    let typed = self.ask(&question);
                    dialogue.reply(typed.as_ref().map(Typed::as_bytes), clock::now());
                }
                Next::Tell(text) => self.tell(&text),
                Next::Explain(note) => self.tell(&explained(&note)),
                Next::Log(remark) => self.log(remark),
                Next::Offer => dialogue.offered(enrolling.offer(&mut self)),
                Next::AskWithKey { ascii, question } => {
                    let typed = enrolling.ask_with_key(&mut self, ascii, &question);
                    dialogue.reply(typed.as_ref().map(Typed::as_bytes), clock::now());
                }
                Next::Install(spent) => dialogue.installed(enrolling.install(&mut self, spent)),
                Next::AskWithCodes => {
                    codes = codes::ask_with_all(&mut self, &mut dialogue);
                }
                Next::AskWithNextCode => {
                    codes = codes::ask_with_next(&mut self, &mut dialogue);
                }
                Next::KeepCodes => {
                    let shown = std::mem::replace(&mut codes, ShownCodes::Nothing);
                    dialogue.kept(codes::keep(&mut self, shown, enrolling.enrollment()));
                }
                Next::Remember => dialogue.remembered(self.remember(enrolling.enrollment())),
                Next::GiveUseBack => self.give_use_back(),
                Next::Notices => self.show_notices(),
                Next::Done(End::Ignore) => return ReturnCode::Ignore,
                Next::Done(End::Enrolled) => return ReturnCode::Success,
                Next::Done(End::Denied) => return ReturnCode::PermDenied,
            }
        }
    }

    fn log(&self, remark: Remark) {
        let priority = if remark.is_routine() { Priority::Info } else { Priority::Warning };
        let line = remark.line(self.mark.user.as_str(), &self.facts.service);
        self.host.log(priority, &line);
    }

    /// What is typed here is no secret for longer than a moment, and people want to see that Enter was heard.
    fn ask(&mut self, question: &str) -> Option<Typed> {
        self.host.ask(question, Echo::On).ok()
    }

    fn passed(&self) -> account::Passed {
        match self.how {
            Passed::ToEnroll(_) => account::Passed::ToEnroll,
            Passed::MayEnroll { days } => account::Passed::MayEnroll { days: *days },
            Passed::Remembered => account::Passed::Remembered,
            Passed::Code { by, enrollment, wants_new, .. } => account::Passed::Code {
                by: by.clone(),
                wants_new: *wants_new,
                next_due: self.next_is_due(by, *enrollment),
                remember: self.device(*enrollment).map(|device| device.days()),
            },
        }
    }

    /// Whether the next recovery code is to be shown. No user is refused because that can't be found out.
    fn next_is_due(&self, by: &By, enrollment: EnrollmentId) -> bool {
        let used_now = matches!(by, By::Recovery { due: true, .. });
        if !used_now && self.site.config().recovery.mode != RecoveryMode::Rotating {
            return false;
        }
        match self.store.look(self.mark.kept()) {
            Ok(Found::Enrolled(enrolled)) if enrolled.record.enrollment == enrollment => {
                matches!(&enrolled.state, StateRead::Good(state) if next_is_due(&enrolled.record, &state.once))
            }
            Ok(_) => false,
            Err(fault) => {
                self.host.log(Priority::Error, &fault.to_string());
                false
            }
        }
    }

    /// Nothing was shown, and nobody could answer: auth's count of the enrollment code is taken back. Where that fails the login is
    /// denied all the same, and counted.
    fn give_use_back(&self) {
        let Passed::ToEnroll(enrollment) = self.how else { return };
        let decide = |view: &View| give_use_back(view, *enrollment);
        match self.store.transact(self.mark.kept(), &decide).map(Committed::into_outcome) {
            Ok(true) => {
                let line =
                    format!("the enrollment code of {} is as good as before", self.mark.user);
                self.host.log(Priority::Info, &line);
            }
            Ok(false) => {}
            Err(fault) => self.host.log(Priority::Error, &fault.to_string()),
        }
    }

    fn kind_of_codes(&self) -> Codes {
        match self.site.config().recovery.mode {
            RecoveryMode::Off => Codes::Off,
            RecoveryMode::Rotating => Codes::Rotating,
            RecoveryMode::Codes => Codes::Several,
        }
    }

    /// The device of this login, with the key that sshd had verified before auth.
    fn device(&self, enrollment: EnrollmentId) -> Option<Device> {
        let Passed::Code { key, .. } = self.how else { return None };
        let facts = Facts { key: *key, ..self.facts.clone() };
        Device::of(self.site, &facts, enrollment, clock::now())
    }

    fn remember(&mut self, enrollment: Option<EnrollmentId>) -> bool {
        let Some(device) = enrollment.and_then(|enrollment| self.device(enrollment)) else {
            return false;
        };
        let key = device.arrival.key.to_string();
        let entry = self.entry(EventKind::DeviceRemembered, Some(key));
        let host = &*self.host;
        let telling = self.telling();
        let say = |entry: &_, recorded: &_| telling.recorded(entry, recorded);
        let made = self.recorder(&say).change(
            &entry,
            clock::now(),
            |()| Means::NotDone("the list could not be written".to_owned()),
            |_| if device.remember(host, self.mark.kept()) { Ok(()) } else { Err(()) },
        );
        if let Err(totp_store::recorded::NotMade::Unrecorded(error)) = &made {
            host.log(Priority::Error, &format!("{error}; the device isn't remembered"));
        }
        made.is_ok()
    }

    fn show_notices(&mut self) {
        notices::of_mark(self.site, self.facts, self.mark).show(self.host);
    }

    /// A message. Where it might get into a command's output it is not shown, unless secrets would be.
    fn tell(&mut self, text: &str) {
        let is_private = self.facts.display(self.policy) == Display::Private;
        if is_private || self.facts.messages() != Messages::Nowhere {
            self.host.tell(self.facts.style(), text);
        }
    }

    fn telling(&self) -> Telling<'_> {
        Telling { host: &*self.host, site: self.site }
    }

    fn recorder<'b>(&'b self, say: &'b dyn Fn(&permanent::Entry, &Recorded)) -> Recorder<'b> {
        Recorder { record: self.record, wait: waits::RECORD_OF_A_LOGIN, say }
    }
}

/// Why a code doesn't confirm, with times in UTC: a login knows no other zone of the person's.
fn explained(note: &Note) -> String {
    note.text(&|time: UnixTime| {
        let text = time.to_string();
        format!("{} UTC", text.get(11..16).unwrap_or(&text))
    })
}
