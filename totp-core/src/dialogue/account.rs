//! The dialogue behind a login that has passed: enrollment where it is due or wanted, the next recovery code, login notices, and
//! the question whether to remember the device.
//!
//! ```text
//!   open enrollment ──ask──► offer ─► set up ─► install ─► codes ─► notices ─► success
//!                      └──────┴─────────┴──────────┴─ anything else: denied
//!   may enroll ───────ask──► the same; anything else: not now
//!   by a code ─► notices ─► a new phone? ─► codes ─► remember the device? ─► nothing to say
//! ```
//!
//! No secret exists before somebody has answered a prompt: programs collect messages and show them later, and some of them
//! answer every prompt of this phase with an error. A secret stands in the prompt that asks about it, never in a message:
//! programs write messages to logs, and to the output of the command that the user runs. Where not even a prompt is the
//! user's alone ([`Display`]), no secret is made.

use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use zeroize::Zeroizing;

use crate::dialogue::enrollment::{self, Enrollment, Note, clocks};
use crate::evaluate::By;
use crate::log::one_word;
use crate::onetime::OneTimeCode;
use crate::otp::Totp;
use crate::policy::Display;
use crate::state::TotpSpent;
use crate::time::UnixTime;

/// What begins an enrollment that is due.
pub const START: &str = "Two-factor login has to be set up. Have your authenticator app ready, and press Enter to begin: ";

/// What begins a replacement that was asked for with `new` and a code.
pub const START_NEW: &str =
    "Press Enter to set up the new phone; the one you have works until that is done (n: not now): ";

/// The same after a recovery code.
pub const START_OVER: &str =
    "Press Enter to set up the new phone; whatever you had before ends with it (n: not now): ";

/// What is asked after a recovery code.
pub const OFFER: &str =
    "Is the phone lost? Set up a new one now, and whatever you had before ends with it? [y/N]: ";

/// What is asked once recovery codes are shown.
pub const NOTED: &str = "Press Enter once that is noted; until then it is not valid: ";

const KEEP: &str = "Not shown again: print it, or keep it in a password manager, not on the phone.";

/// More than the longest prompt with recovery codes, in bytes.
const MOST_TEXT: usize = 1024;

/// Answers that may be wrong before an enrollment is given up.
const TRIES: u8 = 3;

/// What auth found out about a login, and what there is to be done by it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Passed {
    /// An open enrollment: without it nobody gets in.
    ToEnroll,
    /// Enrollment may be put off.
    MayEnroll {
        /// Days left, today included.
        days: u64,
    },
    /// A code was right.
    Code {
        /// Which.
        by: By,
        /// Whether `new` was typed before it.
        wants_new: bool,
        /// Whether the next recovery code is due (`rotating`).
        next_due: bool,
        /// For how many days this device can be remembered, where it can and isn't.
        remember: Option<u64>,
    },
    /// A device is remembered.
    Remembered,
}

/// What is configured, and where this login is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Steps either way in which a confirming code is right.
    pub window: u64,
    /// What fresh recovery codes there are.
    pub codes: Codes,
    /// Whether secrets can be shown here.
    pub display: Display,
    /// The services at which they can be.
    pub enroll_in: Vec<String>,
}

/// What recovery codes an enrollment issues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codes {
    /// None.
    Off,
    /// One that is replaced when it is used.
    Rotating,
    /// Several.
    Several,
}

/// What to do next.
#[derive(Debug)]
#[must_use]
pub enum Next {
    /// Ask this and hand the answer, or that there is none, to [`Account::reply`].
    Ask(String),
    /// Say this.
    Tell(String),
    /// Say why a code doesn't confirm the enrollment.
    Explain(Note),
    /// Write this to the log.
    Log(Remark),
    /// Look whether the enrollment still is to be made, make a secret, and record that it is shown:
    /// [`Account::offered`].
    Offer,
    /// Ask this together with QR code and key: [`Account::reply`].
    AskWithKey {
        /// Draw without UTF-8.
        ascii: bool,
        /// The last line of the prompt.
        question: String,
    },
    /// Record the enrollment and make it: [`Account::installed`].
    Install(TotpSpent),
    /// Make fresh recovery codes, and ask [`all_codes`] with them: [`Account::reply`]. Where they can't be made:
    /// [`Account::kept`].
    AskWithCodes,
    /// Make the next recovery code, and ask [`next_code`] with it: [`Account::reply`], or [`Account::kept`].
    AskWithNextCode,
    /// Record the codes that were shown last, and make them valid: [`Account::kept`].
    KeepCodes,
    /// Record that the device is remembered, and remember it: [`Account::remembered`].
    Remember,
    /// Give back the use of the enrollment code, if this login was let in by one: the program takes no answers.
    GiveUseBack,
    /// Show login notices.
    Notices,
    /// It is over.
    Done(End),
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Nothing to say about this login.
    Ignore,
    /// Enrolled.
    Enrolled,
    /// Not let in: what was due is not done.
    Denied,
}

/// Why a step was not done; the log has the details.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failed {
    /// The enrollment is over, completed by another login, or was changed by an administrator.
    Changed,
    /// The files can't be read or written.
    Trouble,
}

/// What the log has of it, besides what failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remark {
    /// Nobody answers here: an enrollment that is due can't be made.
    CannotAsk,
    /// The same for one that can wait.
    CannotAskYet,
    /// It was begun and not completed.
    NotCompleted,
    /// Recovery codes were shown, and nobody said that they are noted.
    NotNoted,
    /// An enrollment is due, and this service must not show a key.
    NotHere(Display),
    /// The same where the login goes on without.
    NotShown(Display),
}

impl Remark {
    /// Whether this is as it should be, and no administrator has to do anything.
    #[must_use]
    pub fn is_routine(self) -> bool {
        matches!(self, Self::NotShown(_))
    }

    /// The line, about `user` at `service`.
    #[must_use]
    pub fn line(self, user: &str, service: &str) -> String {
        const REMEDY: &str = "the program takes no answers here; for sshd: KbdInteractiveAuthentication yes, and \
                              keyboard-interactive in AuthenticationMethods";
        match self {
            Self::CannotAsk => format!("{user} has to enroll and can't be asked: {REMEDY}"),
            Self::CannotAskYet => format!("{user} can't be asked to enroll: {REMEDY}"),
            Self::NotCompleted => format!("{user} has not completed the enrollment"),
            Self::NotNoted => {
                format!("recovery codes of {user} were shown and not acknowledged: they are void")
            }
            Self::NotHere(display) => {
                format!("{user} has to enroll and can't here: {}", not_private(display, service))
            }
            Self::NotShown(display) => {
                format!(
                    "{user} is shown no key or recovery code: {}",
                    not_private(display, service)
                )
            }
        }
    }
}

/// Why no secret is shown at `service`, and what can be done, for the log.
#[must_use]
pub fn not_private(display: Display, service: &str) -> String {
    let service = one_word(service);
    match display {
        Display::Private => "nothing is in the way".to_string(),
        Display::NotListed => format!(
            "the service {service} is not in enroll_in of [policy]; add it if it shows prompts to the user alone, or \
             let the user log in at one that is in there"
        ),
        Display::Redirected => format!(
            "standard output or standard error of {service} is not a terminal; the user has to repeat it without \
             redirection"
        ),
    }
}

/// What a user is asked together with fresh recovery codes.
#[must_use]
pub fn all_codes(kind: Codes, codes: &[OneTimeCode]) -> Zeroizing<String> {
    let head = match kind {
        Codes::Rotating => {
            "Your recovery code, for a login without the phone; using it gives you the next one:"
        }
        Codes::Several | Codes::Off => "Your recovery codes, each for one login without the phone:",
    };
    // Room at once: a growing String would leave copies behind.
    let mut text = Zeroizing::new(String::with_capacity(MOST_TEXT));
    text.push_str(head);
    for code in codes {
        text.push_str("\n  ");
        text.push_str(&code.shown());
    }
    text.push('\n');
    text.push_str(KEEP);
    text.push('\n');
    text.push_str(NOTED);
    text
}

/// What is asked together with the recovery code that takes the place of a used one. One text, so that the code is seen where a
/// prompt is, and nowhere else.
#[must_use]
pub fn next_code(code: &str) -> Zeroizing<String> {
    Zeroizing::new(format!(
        "Your next recovery code, in place of the used one: {code}. It is valid once you have noted it and \
         pressed Enter: "
    ))
}

/// What an answer is the answer to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    Nothing,
    /// To begin; whether Enter does.
    Begin {
        enter: bool,
    },
    Confirm,
    CodesNoted,
    NextCodeNoted,
    Remember,
    /// Nothing: the prompt says why the login is denied, since messages are not read everywhere.
    Elsewhere,
}

/// The dialogue of one login's account phase.
pub struct Account {
    passed: Passed,
    settings: Settings,
    steps: VecDeque<Next>,
    asked: Asked,
    setup: Option<Enrollment>,
    /// QR code and key go into the next prompt, drawn without UTF-8 or with it.
    show: Option<bool>,
    ahead: i64,
    enrolled: bool,
    mute: bool,
}

impl Account {
    /// Begins.
    #[must_use]
    pub fn new(passed: Passed, settings: Settings) -> Self {
        let mut account = Self {
            passed,
            settings,
            steps: VecDeque::new(),
            asked: Asked::Nothing,
            setup: None,
            show: None,
            ahead: 0,
            enrolled: false,
            mute: false,
        };
        account.begin();
        account
    }

    /// What to do next.
    pub fn next(&mut self, now: UnixTime) -> Next {
        if let Some(step) = self.steps.pop_front() {
            return step;
        }
        match self.setup.as_mut().map(|setup| setup.next(now)) {
            Some(enrollment::Next::Show { ascii }) => {
                self.show = Some(ascii);
                self.next(now)
            }
            Some(enrollment::Next::Say(note)) => Next::Explain(note),
            Some(enrollment::Next::Ask(question)) => {
                self.asked = Asked::Confirm;
                match self.show.take() {
                    Some(ascii) => Next::AskWithKey { ascii, question },
                    None => Next::Ask(question),
                }
            }
            Some(enrollment::Next::Done(enrollment::End::Confirmed { spent, ahead })) => {
                self.setup = None;
                self.ahead = ahead;
                Next::Install(spent)
            }
            Some(enrollment::Next::Done(enrollment::End::GivenUp)) => {
                self.setup = None;
                self.not_completed();
                self.next(now)
            }
            // Whoever drives this has not said what came of the last step: it is as if that had failed.
            None => Next::Done(self.without()),
        }
    }

    /// The answer to what was asked; `None`: there is none, and there won't be.
    pub fn reply(&mut self, typed: Option<&[u8]>, now: UnixTime) {
        let asked = core::mem::replace(&mut self.asked, Asked::Nothing);
        self.mute |= typed.is_none();
        match (asked, typed) {
            (Asked::Nothing, _) => {}
            (Asked::Begin { enter }, Some(typed)) => {
                if wants(typed, enter) {
                    self.push(Next::Offer);
                } else {
                    self.not_now();
                }
            }
            (Asked::Begin { .. }, None) => {
                let due = self.passed == Passed::ToEnroll;
                self.push(Next::Log(if due { Remark::CannotAsk } else { Remark::CannotAskYet }));
                if due {
                    self.push(Next::GiveUseBack);
                }
                self.without_enrollment();
            }
            (Asked::Confirm, Some(typed)) => {
                if let Some(setup) = &mut self.setup {
                    setup.reply(typed, now);
                }
            }
            (Asked::Confirm, None) => {
                self.setup = None;
                self.not_completed();
            }
            (Asked::CodesNoted | Asked::NextCodeNoted, Some(_)) => self.push(Next::KeepCodes),
            (Asked::CodesNoted | Asked::NextCodeNoted, None) => {
                self.push(Next::Log(Remark::NotNoted));
                self.after_codes();
            }
            (Asked::Elsewhere, _) => self.without_enrollment(),
            (Asked::Remember, Some(typed)) if wants(typed, false) => self.push(Next::Remember),
            (Asked::Remember, _) => self.finish(),
        }
    }

    /// What came of [`Next::Offer`].
    pub fn offered(&mut self, offered: Result<&Totp, Failed>) {
        match offered {
            Ok(totp) => self.setup = Some(Enrollment::new(totp, self.settings.window, Some(TRIES))),
            Err(failed) => {
                self.tell(match failed {
                    Failed::Changed => {
                        "This enrollment is over, or was changed meanwhile. Ask an administrator."
                    }
                    Failed::Trouble => {
                        "Two-factor login can't be set up now. An administrator finds the reason in the log."
                    }
                });
                self.without_enrollment();
            }
        }
    }

    /// What came of [`Next::Install`].
    pub fn installed(&mut self, installed: Result<(), Failed>) {
        match installed {
            Ok(()) => {
                self.enrolled = true;
                let how = clocks(self.ahead);
                self.push(Next::Tell(format!("Two-factor login is set up; {how}.")));
                if self.settings.codes == Codes::Off || self.keeps_codes() {
                    self.after_enrollment();
                } else {
                    self.push(Next::AskWithCodes);
                    self.asked = Asked::CodesNoted;
                }
            }
            Err(failed) => {
                self.tell(match failed {
                    Failed::Changed => {
                        "Not set up: another login was faster, or an administrator has changed it meanwhile. \
                         Delete what you have scanned from the app."
                    }
                    Failed::Trouble => {
                        "Not set up: it could not be stored. Delete what you have scanned from the app. An \
                         administrator finds the reason in the log."
                    }
                });
                self.without_enrollment();
            }
        }
    }

    /// Whether the codes that were shown are valid now.
    pub fn kept(&mut self, kept: bool) {
        if !kept {
            self.tell(
                "That could not be stored: what you have noted is not valid. An administrator finds the reason in \
                 the log.",
            );
        }
        self.after_codes();
    }

    /// Whether the device is remembered now.
    pub fn remembered(&mut self, remembered: bool) {
        self.tell(if remembered {
            "This device is remembered."
        } else {
            "This device could not be remembered. An administrator finds the reason in the log."
        });
        self.finish();
    }

    fn begin(&mut self) {
        match self.passed.clone() {
            Passed::ToEnroll if !self.is_private() => {
                self.push(Next::Log(Remark::NotHere(self.settings.display)));
                let why = format!(
                    "Two-factor login has to be set up. {} Press Enter: ",
                    self.elsewhere()
                );
                self.ask(&why, Asked::Elsewhere);
            }
            Passed::MayEnroll { .. } if !self.is_private() => {
                self.not_shown();
                self.finish_with_notices();
            }
            Passed::ToEnroll => self.ask(START, Asked::Begin { enter: true }),
            Passed::MayEnroll { days } => {
                self.ask(&may_enroll(days), Asked::Begin { enter: false })
            }
            Passed::Code { by, wants_new, .. } => {
                self.push(Next::Notices);
                match (by, wants_new) {
                    (By::Totp { .. } | By::Recovery { .. }, true) if !self.is_private() => {
                        self.not_shown();
                        let why = format!("No phone can be set up here. {}", self.elsewhere());
                        self.push(Next::Tell(why));
                        self.codes();
                    }
                    (By::Recovery { .. }, false) if !self.is_private() => self.codes(),
                    (By::Totp { .. }, true) => self.ask(START_NEW, Asked::Begin { enter: true }),
                    (By::Recovery { .. }, true) => {
                        self.ask(START_OVER, Asked::Begin { enter: true });
                    }
                    (By::Recovery { .. }, false) => self.ask(OFFER, Asked::Begin { enter: false }),
                    (By::Bypass | By::Text, true) => {
                        self.tell(
                            "Another phone needs a code of the one you have, or a recovery code. Or ask an \
                             administrator.",
                        );
                        self.codes();
                    }
                    _ => self.codes(),
                }
            }
            Passed::Remembered => self.finish_with_notices(),
        }
    }

    fn is_private(&self) -> bool {
        self.settings.display == Display::Private
    }

    /// Says in the log why something is not shown.
    fn not_shown(&mut self) {
        self.push(Next::Log(Remark::NotShown(self.settings.display)));
    }

    /// What the user can do where no secret is shown.
    fn elsewhere(&self) -> String {
        match self.settings.display {
            Display::Redirected => {
                "Your key must not get into a file or another program: repeat this without \
                                    redirecting its output."
                    .to_string()
            }
            Display::Private | Display::NotListed if self.settings.enroll_in.is_empty() => {
                "Here your key might be seen by others: ask an administrator.".to_string()
            }
            Display::Private | Display::NotListed => format!(
                "Here your key might be seen by others: log in at one of these first: {}.",
                self.settings.enroll_in.join(", ")
            ),
        }
    }

    /// The person has decided against it.
    fn not_now(&mut self) {
        if self.passed == Passed::ToEnroll {
            self.push(Next::Log(Remark::NotCompleted));
        }
        self.without_enrollment();
    }

    /// It was begun, something was shown, and nothing came of it.
    fn not_completed(&mut self) {
        self.push(Next::Log(Remark::NotCompleted));
        self.tell("Not set up, nothing has changed. Delete what you have scanned from the app.");
        self.without_enrollment();
    }

    fn without_enrollment(&mut self) {
        match &self.passed {
            Passed::ToEnroll => self.push(Next::Done(End::Denied)),
            Passed::MayEnroll { .. } | Passed::Remembered => self.finish_with_notices(),
            Passed::Code { .. } => self.codes(),
        }
    }

    /// How it ends where nothing else is said.
    fn without(&self) -> End {
        match (&self.passed, self.enrolled) {
            (Passed::ToEnroll, false) => End::Denied,
            (Passed::ToEnroll | Passed::MayEnroll { .. }, true) => End::Enrolled,
            _ => End::Ignore,
        }
    }

    fn after_enrollment(&mut self) {
        match &self.passed {
            Passed::Code { .. } => self.codes(),
            _ => self.finish_with_notices(),
        }
    }

    /// Whether a replacement leaves the recovery codes as they are: after a code of the phone that is replaced.
    fn keeps_codes(&self) -> bool {
        matches!(self.passed, Passed::Code { by: By::Totp { .. }, .. })
    }

    /// What there is to say of recovery codes after a login by a code.
    fn codes(&mut self) {
        let reissued = self.enrolled && !self.keeps_codes();
        let Passed::Code { by, next_due, .. } = &self.passed else { return self.finish() };
        match by {
            // Where nobody answers it stays due.
            _ if reissued || (*next_due && self.mute) => {}
            _ if *next_due && !self.is_private() => {
                self.not_shown();
                let why = format!("Your next recovery code is not shown yet. {}", self.elsewhere());
                self.push(Next::Tell(why));
            }
            _ if *next_due => {
                self.push(Next::AskWithNextCode);
                self.asked = Asked::NextCodeNoted;
                return;
            }
            By::Recovery { left, .. } => {
                let left = few_left(*left);
                self.push(Next::Tell(left));
            }
            _ => {}
        }
        self.remember();
    }

    fn after_codes(&mut self) {
        match &self.passed {
            Passed::Code { .. } => self.remember(),
            _ => self.finish_with_notices(),
        }
    }

    fn remember(&mut self) {
        match self.passed {
            Passed::Code { by: By::Totp { .. }, remember: Some(days), .. } if !self.mute => {
                let days = count(days, "day");
                let question =
                    format!("Remember this device for {days}? Its key alone logs in then. [y/N]: ");
                self.ask(&question, Asked::Remember);
            }
            _ => self.finish(),
        }
    }

    fn finish_with_notices(&mut self) {
        self.push(Next::Notices);
        self.finish();
    }

    fn finish(&mut self) {
        self.push(Next::Done(self.without()));
    }

    fn push(&mut self, step: Next) {
        self.steps.push_back(step);
    }

    fn tell(&mut self, text: &str) {
        self.push(Next::Tell(text.to_string()));
    }

    fn ask(&mut self, question: &str, asked: Asked) {
        self.asked = asked;
        self.push(Next::Ask(question.to_string()));
    }
}

/// Whether an answer is yes; an empty one is what `enter` says.
fn wants(typed: &[u8], enter: bool) -> bool {
    let typed = typed.trim_ascii();
    let is = |words: &[&[u8]]| words.iter().any(|word| typed.eq_ignore_ascii_case(word));
    if enter { !is(&[b"n", b"no"]) } else { is(&[b"y", b"yes"]) }
}

fn may_enroll(days: u64) -> String {
    let when = match days {
        0 | 1 => "after today".to_string(),
        _ => format!("in {}", count(days, "day")),
    };
    format!("Two-factor login is required {when}. Set it up now? Enter: not yet. [y/N]: ")
}

fn few_left(left: usize) -> String {
    const ASK: &str = "Ask an administrator for new ones: totp-admin recovery-codes";
    match left {
        0 => format!("That was your last recovery code. {ASK}"),
        1 => format!("One recovery code is left. {ASK}"),
        _ => format!("{left} recovery codes are left."),
    }
}

fn count(n: u64, what: &str) -> String {
    if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") }
}

#[cfg(test)]
mod tests;
