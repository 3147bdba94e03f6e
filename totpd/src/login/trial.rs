//! One login that is asked: drives the dialogue of totp-core, writes its lines to the log, ends it.

use totp_core::answer::Word;
use totp_core::dialogue::account::Remark;
use totp_core::dialogue::login::{End, NOTHING_TYPED, Next, REFUSED};
use totp_core::evaluate::{Accepted, By, Reason, Refusal, Verdict};
use totp_core::log;
use totp_core::name::UserName;
use totp_core::store::{Durability, Fault, Store};
use totp_store::clock::Moment;
use totp_store::installation::Installation;
use totp_store::permanent::PermanentRecord;
use totp_store::{clock, host_name};

use super::arguments::{Arguments, FirstPass};
use super::facts::Facts;
use super::first_answer::{self, Beginning, Combined, NoBeginning};
use super::host::{Echo, Host, NoReply, Priority, ReturnCode, Typed};
use super::judge::{Judge, Judged};
use super::mark::{Mark, Outcome, Passed};
use super::telling::Telling;
use super::turns::{Lane, Turn, Turns};
use super::{Decision, events, pam_stack, text_message};

/// A login that is asked.
pub(crate) struct Trial<'a, S> {
    pub(crate) host: &'a mut dyn Host,
    pub(crate) arguments: &'a Arguments,
    pub(crate) facts: &'a Facts,
    pub(crate) site: &'a Installation,
    pub(crate) record: &'a PermanentRecord,
    pub(crate) judge: Judge<'a, S>,
    pub(crate) turns: &'a Turns,
    /// The account's name, or that of a user without one. The judge's is the one under which the enrollment is kept.
    pub(crate) user: &'a UserName,
    /// Whether an answer was refused: then the dialogue is a failed login however it ends, unless a later answer is right.
    pub(crate) refused_one: bool,
}

/// The end of a dialogue without a verdict.
enum Broken {
    /// No reply came.
    NoReply,
    /// Nothing could be decided or committed. Right and wrong look alike.
    Fault(Fault),
    /// libpam refused a call.
    Host(String),
}

impl<'a, S: Store> Trial<'a, S> {
    /// Asks, evaluates, and says what became of it. `typed` is the name that was typed.
    pub(crate) fn run(mut self, typed: &[u8], authtok: Option<Typed>) -> Decision {
        // How many digits a code has where nothing else tells where a password ends.
        let digits = self.site.config().totp.digits().count();
        let beginning = first_answer::begin(self.host, self.arguments, authtok, digits);
        let end = beginning.map_err(Broken::from).and_then(|beginning| self.converse(beginning));
        match end {
            Ok((end, wants_new)) => self.end(&end, wants_new, typed),
            Err(broken) => Decision::refused(self.broken(broken, typed)),
        }
    }

    /// How it ends, and whether `new` was typed.
    fn converse(&mut self, beginning: Beginning) -> Result<(End, bool), Broken> {
        let Beginning { mut login, combined } = beginning;
        let mut refused = None;
        // Said in the log alone. sshd gives us junk of the same length for password and code of a user whom it refuses: what is
        // asked next would tell that user from others.
        let mut is_password = false;
        let mut answered = Moment::now();
        loop {
            match login.next() {
                Next::Ask(prompt) => {
                    let answer = self.host.ask(&prompt, Echo::of(self.arguments.echo))?;
                    answered = Moment::now();
                    // With a code behind it the password is an answer, and the same one again is told by itself.
                    is_password = answer.is_authtok() && combined.is_none();
                    login.reply(answer.as_bytes());
                }
                Next::Word(word) => {
                    self.text_message(word)?;
                    login.done();
                }
                Next::Judge { answers, first, pretend } => {
                    let turn = self.turn()?;
                    if !self.host.is_there() {
                        return Err(Broken::NoReply);
                    }
                    let mut judged =
                        self.judge.judge(answers, first, pretend).map_err(Broken::Fault)?;
                    drop(turn);
                    // The same answer is refused for the same reason; what the decoy said means nothing.
                    if let (true, Some(earlier)) = (pretend, refused.take()) {
                        judged.verdict = Verdict::Refused(earlier);
                    }
                    if let Verdict::Refused(refusal) = &mut judged.verdict {
                        refused = Some(refusal.clone());
                        if is_password && !pretend {
                            self.hint();
                            if refusal.reason == Reason::Wrong {
                                refusal.reason = Reason::PasswordTyped;
                            }
                        }
                    }
                    // What a program gives at each prompt has its line already.
                    if !(pretend && (is_password || combined.is_some())) {
                        self.note(&judged);
                    }
                    if let Verdict::Refused(_) = judged.verdict {
                        // Whatever it took to find out, and to write to the log.
                        judged.begun.wait_for_a_whole_millisecond();
                    }
                    login.judged(judged.verdict);
                }
                Next::Done(end) => {
                    self.settle(&end, combined.as_ref(), &answered)?;
                    return Ok((end, login.wants_new()));
                }
            }
        }
    }

    /// What is to be done before the end is told: the password goes to the modules behind, and an empty answer to the log.
    fn settle(
        &mut self,
        end: &End,
        combined: Option<&Combined>,
        answered: &Moment,
    ) -> Result<(), Broken> {
        match (end, combined) {
            (End::Accepted(accepted), Some(combined)) => combined
                .forward(self.host, accepted.characters())
                .map_err(|error| Broken::Host(error.to_string())),
            (End::Accepted(_), None) | (End::Refused, _) => Ok(()),
            (End::Unanswered, _) => {
                let line = log::reason_alone(self.user, Reason::NoReply, None);
                self.host.log(Priority::Notice, &self.named(line));
                answered.wait_for_a_whole_millisecond();
                Ok(())
            }
        }
    }

    /// The turn of this attempt, where it waits for one.
    fn turn(&self) -> Result<Option<Turn<'a>>, Broken> {
        if !self.judge.against.waits_its_turn() {
            return Ok(None);
        }
        let lane = if self.facts.word.is_some() { Lane::Services } else { Lane::Others };
        self.turns.wait_for(self.judge.user, lane).map(Some).map_err(Broken::Fault)
    }

    /// A text message, if one was asked for and there is a number to send it to; the same work if not.
    fn text_message(&mut self, word: Word) -> Result<(), Broken> {
        let begun = Moment::now();
        let limits = self.site.config().sms.limits();
        let asked = word == Word::Sms && limits.is_some();
        let turn = self.turn()?;
        if !self.host.is_there() {
            return Err(Broken::NoReply);
        }
        let message = self.judge.text(limits, asked).map_err(Broken::Fault)?;
        drop(turn);
        let put = text_message::put(
            self.site,
            self.judge.user,
            message,
            host_name().as_deref().unwrap_or_default(),
        );
        if let Err(error) = put {
            // The same is said and done on: what is seen must not tell whether there is a number.
            self.host.log(Priority::Warning, &format!("{error}; no text message is sent"));
        }
        begun.wait_for_a_whole_millisecond();
        Ok(())
    }

    /// The line of one evaluation; and, once a login is granted, what earlier logins left to be recorded.
    fn note(&mut self, judged: &Judged) {
        if let Some(fault) = &judged.fault {
            self.host.log(Priority::Error, &fault.to_string());
        }
        if judged.begun_anew {
            let line = format!(
                "the state of {} was lost or damaged, and is begun anew: what was shown up to now is spent, and \
                 two codes in a row are asked for",
                self.judge.user
            );
            self.host.log(Priority::Warning, &line);
        }
        match &judged.verdict {
            Verdict::Accepted(accepted) => self.accepted(accepted, judged),
            Verdict::Refused(refusal) => self.refused(refusal),
        }
    }

    fn accepted(&mut self, accepted: &Accepted, judged: &Judged) {
        let Judge { user, store, .. } = self.judge;
        let rhost = self.facts.shown_rhost();
        let line = self.named(log::accepted(self.user, rhost, accepted, judged.durability));
        let caller = self.facts.word.as_ref().map(|word| word.caller.as_str());
        self.host.log(Priority::Info, &log::with_caller(line, caller));
        if judged.durability == Durability::Volatile {
            let line = format!(
                "the disk with {} can't be written: until it can, used codes are known in memory alone; \
                 make room or repair it",
                self.site.config().paths.state_dir
            );
            self.host.log(Priority::Warning, &line);
        }
        if *accepted.by() == By::Enrollment {
            pam_stack::warn_without_account_line(self.host, &self.facts.service, user);
        }
        if accepted.has_events() {
            let telling = Telling { host: self.host, site: self.site };
            events::move_events(telling, store, self.record, user);
        }
    }

    fn refused(&mut self, refusal: &Refusal) {
        // After an answer, when a refusal takes whole milliseconds: before the prompt a line more would be seen by the time.
        if refusal.reason == Reason::EnrollElsewhere && !self.refused_one {
            let Facts { service, .. } = self.facts;
            let remark = Remark::NotHere(self.facts.display(&self.site.config().policy(service)));
            self.host.log(Priority::Warning, &remark.line(self.user.as_str(), service));
        }
        self.refused_one = true;
        self.host.log(Priority::Notice, &self.named(log::reason(self.user, refusal)));
    }

    /// What to set where a program gives the account's password for the code: whatever the answer was refused for.
    fn hint(&self) {
        let Facts { service, tty, .. } = self.facts;
        self.host.log(Priority::Warning, &log::password_typed(self.user, service, tty));
    }

    fn named(&self, line: String) -> String {
        log::with_name(line, self.user, self.judge.user)
    }

    fn end(mut self, end: &End, wants_new: bool, typed: &[u8]) -> Decision {
        match end {
            End::Accepted(accepted) => {
                let (by, enrollment) = (accepted.by().clone(), accepted.enrollment());
                let how = match by {
                    By::Enrollment => Passed::ToEnroll(enrollment),
                    by => Passed::Code { by, enrollment, wants_new, key: self.facts.key },
                };
                let outcome = Outcome::Passed(how);
                let (user, uid, made) = (self.user.clone(), self.judge.account.uid, clock::now());
                let enrolled_as = Some(self.judge.user).filter(|kept| *kept != self.user).cloned();
                let mark = Mark { user, uid, enrolled_as, made, outcome };
                Decision::marked(ReturnCode::Success, mark)
            }
            End::Refused => {
                self.say(REFUSED);
                self.host.log_in_any_case(Priority::Notice, &self.facts.failure(typed));
                Decision::refused(ReturnCode::AuthErr)
            }
            End::Unanswered => {
                self.say(NOTHING_TYPED);
                // No guess: where there was none before it, log readers have nothing to count.
                if self.refused_one {
                    self.host.log_in_any_case(Priority::Notice, &self.facts.failure(typed));
                }
                Decision::refused(ReturnCode::AuthErr)
            }
        }
    }

    /// The last words, where the line does not have to be silent.
    fn say(&mut self, text: &str) {
        if self.arguments.first_pass != FirstPass::Only {
            self.host.tell(self.facts.style(), text);
        }
    }

    fn broken(self, broken: Broken, typed: &[u8]) -> ReturnCode {
        let (reason, code) = match broken {
            Broken::NoReply => (Some(Reason::NoReply), ReturnCode::ConvErr),
            Broken::Fault(fault) => {
                self.host.log(Priority::Error, &fault.to_string());
                (Some(Reason::Store(fault.kind)), ReturnCode::SystemErr)
            }
            Broken::Host(error) => {
                self.host.log(Priority::Error, &format!("{error}; login denied"));
                (None, ReturnCode::SystemErr)
            }
        };
        if let Some(reason) = reason {
            let line = self.named(log::reason_alone(self.user, reason, None));
            self.host.log(Priority::Notice, &line);
        }
        // One guess was evaluated: a client that breaks off behind it must not keep it from log readers.
        if self.refused_one {
            self.host.log_in_any_case(Priority::Notice, &self.facts.failure(typed));
        }
        code
    }
}

impl From<NoReply> for Broken {
    fn from(_: NoReply) -> Self {
        Self::NoReply
    }
}

impl From<NoBeginning> for Broken {
    fn from(error: NoBeginning) -> Self {
        match error {
            NoBeginning::NoReply(_) => Self::NoReply,
            NoBeginning::Failed(error) => Self::Host(error.to_string()),
        }
    }
}
