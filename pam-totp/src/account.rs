//! The account hook: what is to be done behind a login that has passed.
//!
//! It runs without any auth before it (sudo -n, su by root, cron, a public key alone), so whatever it does for a user stands
//! behind auth's mark: without one for this very user it neither asks nor says anything, and ends with `PAM_IGNORE`. What is
//! asked and said is decided in `totp-core`; here it is put to the person, recorded and done.

mod codes;
mod drawing;
mod enrolling;

use std::ffi::CStr;
use std::path::Path;

use totp_core::dialogue::account::{self, Account, Codes, End, Next, Settings};
use totp_core::dialogue::enrollment::Note;
use totp_core::evaluate::{By, Rules, next_is_due};
use totp_core::event::EventKind;
use totp_core::policy::{Config, RecoveryMode};
use totp_core::record::EnrollmentId;
use totp_core::store::{Found, StateRead, Store as _};
use totp_core::time::UnixTime;
use totp_store::clock;
use totp_store::files::Owner;
use totp_store::notices::Shown;
use totp_store::permanent::{self, PermanentRecord, Recorded};
use totp_store::recorded::{Means, Recorder};
use totp_store::store::FileStore;

use self::codes::Shown as ShownCodes;
use self::enrolling::{Enrolling, PATIENCE};
use crate::configuration::{arguments, configuration};
use crate::facts::Facts;
use crate::host::{Echo, Host, NoUser, Priority, ReturnCode, Typed};
use crate::mark::{Mark, Passed};
use crate::person;
use crate::remembered::Device;
use crate::telling::Telling;

/// Called at each login behind auth, or without it.
pub(crate) fn manage(host: &mut dyn Host, words: &[&CStr]) -> ReturnCode {
    let arguments = match arguments(host, words) {
        Ok(arguments) => arguments,
        Err(code) => return code,
    };
    let config = match configuration(host, &arguments) {
        Ok(config) => config,
        Err(code) => return code,
    };
    let mark = match host.take_mark() {
        Ok(mark) => mark,
        Err(error) => {
            host.log(Priority::Error, &format!("{error}; login denied"));
            return ReturnCode::SystemErr;
        }
    };
    if arguments.debug {
        let line = match &mark {
            Some(mark) => format!("debug: {} has passed our auth: {:?}", mark.user, mark.passed),
            None => "debug: nobody has passed our auth; nothing to do".to_owned(),
        };
        host.log(Priority::Debug, &line);
    }
    let Some(mark) = mark else { return unless_due(host) };
    match is_still(host, &mark) {
        Ok(true) => {}
        Ok(false) => return unless_due(host),
        Err(code) => return code,
    }
    let Some(rules) = config.rules() else { return ReturnCode::ServiceErr }; // checked when it was loaded
    let store = FileStore::new(
        Path::new(config.paths.state_dir.as_str()),
        Path::new(config.paths.run_dir.as_str()),
        Owner::ROOT,
    );
    let record = PermanentRecord::new(Path::new(config.paths.log_file.as_str()), Owner::ROOT);
    let facts = Facts::collect(host);
    Phase {
        host,
        config: &config,
        rules,
        facts: &facts,
        store: &store,
        record: &record,
        mark: &mark,
    }
    .run()
}

/// Called where credentials would be set: nobody gets by without the account line who was let in to enroll.
pub(crate) fn set_credentials(host: &mut dyn Host, _words: &[&CStr]) -> ReturnCode {
    match unless_due(host) {
        ReturnCode::Ignore => ReturnCode::Success,
        denied => denied,
    }
}

/// Nothing to do here for this user; but an enrollment that auth let somebody in for, and that was not made, still keeps out.
fn unless_due(host: &dyn Host) -> ReturnCode {
    if !host.enrollment_is_due() {
        return ReturnCode::Ignore;
    }
    let line =
        "an enrollment is due and was not made; the PAM stack needs: account required pam_totp.so";
    host.log(Priority::Error, line);
    ReturnCode::PermDenied
}

/// Whether the handle still is about whom the mark was made for.
fn is_still(host: &mut dyn Host, mark: &Mark) -> Result<bool, ReturnCode> {
    let trouble = || {
        if mark.enrollment_is_due() { ReturnCode::PermDenied } else { ReturnCode::SystemErr }
    };
    let typed = host.user().map_err(|error| {
        let (NoUser::NoReply(_) | NoUser::Failed(_)) = error;
        host.log(Priority::Error, &format!("no user name: {error}"));
        trouble()
    })?;
    let named = person::named(&typed).map_err(|error| {
        host.log(Priority::Error, &format!("{error}; login denied"));
        trouble()
    })?;
    Ok(named.is_some_and(|(user, uid)| mark.is_of(&user, uid)))
}

/// One login's account phase.
struct Phase<'a> {
    host: &'a mut dyn Host,
    config: &'a Config,
    rules: Rules,
    facts: &'a Facts,
    store: &'a FileStore,
    record: &'a PermanentRecord,
    mark: &'a Mark,
}

impl Phase<'_> {
    fn run(mut self) -> ReturnCode {
        let notices = match &self.mark.notices {
            Some(before) => before.clone(),
            None => self.telling().notices(&self.mark.user),
        };
        let settings = Settings { window: self.rules.window, codes: self.kind_of_codes() };
        let mut dialogue = Account::new(self.passed(), settings);
        let mut enrolling = Enrolling::new(&self.mark.passed);
        let mut codes = ShownCodes::Nothing;
        loop {
            match dialogue.next(clock::now()) {
                Next::Ask(question) => {
                    let typed = self.ask(&question);
                    dialogue.reply(typed.as_ref().map(Typed::as_bytes), clock::now());
                }
                Next::Tell(text) => drop(self.host.tell(&text)),
                Next::Explain(note) => drop(self.host.tell(&explained(&note))),
                Next::Log(remark) => {
                    self.host.log(Priority::Warning, &remark.line(self.mark.user.as_str()));
                }
                Next::Offer => dialogue.offered(enrolling.offer(&mut self)),
                Next::Show { ascii } => enrolling.show(&mut self, ascii),
                Next::Install(spent) => dialogue.installed(enrolling.install(&mut self, spent)),
                Next::ShowCodes => codes = codes::show(&mut self),
                Next::AskWithNextCode => {
                    let typed;
                    (codes, typed) = codes::ask_with_next(&mut self);
                    dialogue.reply(typed.as_ref().map(Typed::as_bytes), clock::now());
                }
                Next::KeepCodes => {
                    let shown = std::mem::replace(&mut codes, ShownCodes::Nothing);
                    dialogue.kept(codes::keep(&mut self, shown, enrolling.enrollment()));
                }
                Next::Remember => dialogue.remembered(self.remember(enrolling.enrollment())),
                Next::Notices => self.show_notices(&notices),
                Next::Done(End::Ignore) => return ReturnCode::Ignore,
                Next::Done(End::Enrolled) => return self.enrolled(),
                Next::Done(End::Denied) => return ReturnCode::PermDenied,
            }
        }
    }

    /// What is typed here is no secret for longer than a moment, and people want to see that Enter was heard.
    fn ask(&mut self, question: &str) -> Option<Typed> {
        self.host.ask(question, Echo::On).ok()
    }

    /// What was due is done.
    fn enrolled(&mut self) -> ReturnCode {
        match self.host.clear_mark() {
            Ok(()) => ReturnCode::Success,
            Err(error) => {
                self.host.log(Priority::Error, &format!("{error}; login denied"));
                ReturnCode::PermDenied
            }
        }
    }

    fn passed(&self) -> account::Passed {
        match &self.mark.passed {
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

    /// Whether the next recovery code is to be shown. Nobody is refused because that can't be found out.
    fn next_is_due(&self, by: &By, enrollment: EnrollmentId) -> bool {
        let used_now = matches!(by, By::Recovery { due: true, .. });
        if !used_now && self.config.recovery.mode != RecoveryMode::Rotating {
            return false;
        }
        match self.store.look(&self.mark.user) {
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

    fn kind_of_codes(&self) -> Codes {
        match self.config.recovery.mode {
            RecoveryMode::Off => Codes::Off,
            RecoveryMode::Rotating => Codes::Rotating,
            RecoveryMode::Codes => Codes::Several,
        }
    }

    /// The device of this login, with the key that sshd had verified before auth.
    fn device(&self, enrollment: EnrollmentId) -> Option<Device> {
        let Passed::Code { key, .. } = &self.mark.passed else { return None };
        let facts = Facts { key: *key, ..self.facts.clone() };
        Device::of(self.config, &facts, enrollment, clock::now())
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
            |_| if device.remember(host, &self.mark.user) { Ok(()) } else { Err(()) },
        );
        if let Err(totp_store::recorded::NotMade::Unrecorded(error)) = &made {
            host.log(Priority::Error, &format!("{error}; the device isn't remembered"));
        }
        made.is_ok()
    }

    fn show_notices(&mut self, notices: &Shown) {
        if notices.lines.is_empty() && notices.more == 0 {
            return;
        }
        let mut taken = true;
        for line in &notices.lines {
            taken &= self.host.tell(&format!("Since your last login: {line}"));
        }
        if notices.more > 0 {
            taken &= self.host.tell(&format!("And {} more since your last login.", notices.more));
        }
        // What a program throws away is there at the next login.
        if taken {
            self.telling().shown(&self.mark.user, notices);
        }
    }

    fn telling(&self) -> Telling<'_> {
        Telling { host: &*self.host, config: self.config }
    }

    fn recorder<'b>(&'b self, say: &'b dyn Fn(&permanent::Entry, &Recorded)) -> Recorder<'b> {
        Recorder { record: self.record, wait: PATIENCE, say }
    }
}

/// Why a code doesn't confirm, with times in UTC: a login knows no other zone of the person's.
fn explained(note: &Note) -> String {
    note.text(&|time: UnixTime| {
        let text = time.to_string();
        format!("{} UTC", text.get(11..16).unwrap_or(&text))
    })
}
