//! The dialogue of a login: a first prompt, a second chance for everyone, and the end.
//!
//! ```text
//!            ?, or a word: three times at most
//!              ┌──┐
//!   ask first ─┴──┴─► judge ──accepted──────────────────► done
//!        │              └─refused─► ask again ─► judge ──┘
//!     nothing typed                     ├─ same answer ─► judge, pretending
//!        └──────► done ◄─ nothing typed ┘
//! ```
//!
//! A program with one password field gives password and code in one answer, once. One that gives the password of the account where
//! a code is asked for would do so at the second prompt as well: there is none.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use zeroize::Zeroizing;

use crate::answer::{Answer, Word};
use crate::evaluate::{Accepted, First, Verdict};

/// The first prompt, where the PAM line has no `prompt=`.
pub const PROMPT: &str = "Verification code (? for help): ";

/// The second prompt: the same for everyone whom the first answer did not let in.
pub const AGAIN: &str = "Not accepted. Enter the next code when your authenticator shows it: ";

/// What stands in front of the prompt after `?`: the ways in, the same for everyone. In the prompt, because some services
/// show nothing else.
pub const HELP: &str = "Type one of: the digits that your authenticator shows now (if they are refused \
    although they are right, three codes in a row, as they appear); a recovery code; sms for a code by text \
    message, if your number is known here; new and then a code, to enroll another phone. Lost everything? An \
    administrator can let you enroll again. Verification code: ";

/// What stands in front of the prompt after `sms`, `new` and anything else of three bytes: the same for everyone.
pub const WORDS: &str = "After sms, a code is on its way if your number is known here. After new, enter a \
    code of the phone that you have, or a recovery code; the new phone comes next. Verification code: ";

/// The last words after the last refusal: the same for everyone.
pub const REFUSED: &str =
    "Not accepted. If your codes were right, type three in a row at the first prompt.";

/// The last words where nothing was typed: the same for everyone.
pub const NOTHING_TYPED: &str = "Nothing was typed, so nothing was checked.";

/// The prompt for password and code in one answer (`forward_pass`).
pub const COMBINED: &str = "Password and verification code, together: ";

/// How often a word is answered by its prompt again.
const MOST_WORDS: u8 = 3;

/// How a login is asked.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The first prompt.
    pub prompt: String,
    /// Whether there is a second chance (not with `prompts=1` or `use_first_pass`, nor where the line has asked once for password and
    /// code).
    pub second_chance: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self { prompt: PROMPT.to_string(), second_chance: true }
    }
}

/// What to do next.
#[derive(Debug)]
#[must_use]
pub enum Next<'a> {
    /// Ask this and hand the answer to [`Login::reply`].
    Ask(String),
    /// Do what this word asks for, whoever it is, and call [`Login::done`]: a text message, or the same work for nothing.
    Word(Word),
    /// Evaluate all answers so far and hand the verdict to [`Login::judged`].
    Judge {
        /// The answers, the one to be evaluated last.
        answers: &'a [Answer],
        /// What became of the first evaluation, where this is the second.
        first: Option<&'a First>,
        /// The same answer again, neither evaluated nor debited: do the work on a decoy, so that nobody sees by the
        /// time whether the two answers reached us as they were typed.
        pretend: bool,
    },
    /// It is over.
    Done(End),
}

/// How a dialogue ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum End {
    /// Let in.
    Accepted(Accepted),
    /// Not let in: say [`REFUSED`], then fail.
    Refused,
    /// Nothing was typed, and nothing evaluated: say [`NOTHING_TYPED`], then fail.
    Unanswered,
}

/// One login's dialogue.
pub struct Login {
    settings: Settings,
    stage: Stage,
    answers: Vec<Answer>,
    first_typed: Zeroizing<Vec<u8>>,
    /// Whether the first answer begins with a password.
    is_combined: bool,
    first: Option<First>,
    words: u8,
    shown: Shown,
    wants_new: bool,
}

/// What stands in front of the prompt.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shown {
    /// The prompt alone.
    Prompt,
    /// The ways in.
    Help,
    /// What becomes of a word; it is still to be done.
    Due(Word),
    /// The same, done.
    Words,
}

enum Stage {
    AskFirst,
    JudgeFirst,
    AskAgain,
    JudgeAgain { pretend: bool },
    Done(End),
}

impl Login {
    /// A dialogue that begins with the first prompt.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            stage: Stage::AskFirst,
            answers: Vec::with_capacity(2),
            first_typed: Zeroizing::new(Vec::new()),
            is_combined: false,
            first: None,
            words: 0,
            shown: Shown::Prompt,
            wants_new: false,
        }
    }

    /// A dialogue whose first answer is a password with a code behind it. It is evaluated whatever it is.
    #[must_use]
    pub fn with_first_answer(settings: Settings, combined: &[u8]) -> Self {
        let mut login = Self::new(settings);
        login.is_combined = true;
        login.take(Answer::read_combined(combined), combined);
        login
    }

    /// What to do next. The same until it has been done.
    pub fn next(&self) -> Next<'_> {
        match (&self.stage, self.shown) {
            (Stage::AskFirst | Stage::AskAgain, Shown::Due(word)) => Next::Word(word),
            (Stage::AskFirst | Stage::AskAgain, Shown::Help) => Next::Ask(HELP.to_string()),
            (Stage::AskFirst | Stage::AskAgain, Shown::Words) => Next::Ask(WORDS.to_string()),
            (Stage::AskFirst, Shown::Prompt) => Next::Ask(self.settings.prompt.clone()),
            (Stage::AskAgain, Shown::Prompt) => Next::Ask(AGAIN.to_string()),
            (Stage::JudgeFirst, _) => {
                Next::Judge { answers: &self.answers, first: None, pretend: false }
            }
            (Stage::JudgeAgain { pretend }, _) => Next::Judge {
                answers: &self.answers,
                first: self.first.as_ref(),
                pretend: *pretend,
            },
            (Stage::Done(end), _) => Next::Done(end.clone()),
        }
    }

    /// Whether `new` was typed: the phone is to be replaced, once a code was good.
    #[must_use]
    pub fn wants_new(&self) -> bool {
        self.wants_new
    }

    /// What [`Next::Word`] asked for is done.
    pub fn done(&mut self) {
        if matches!(self.shown, Shown::Due(_)) {
            self.shown = Shown::Words;
        }
    }

    /// The answer to what [`Next::Ask`] asked.
    pub fn reply(&mut self, typed: &[u8]) {
        let answer = Answer::read(typed);
        self.shown = match &answer {
            Answer::Help if self.words < MOST_WORDS => Shown::Help,
            Answer::Word(word) if self.words < MOST_WORDS => Shown::Due(*word),
            _ => Shown::Prompt,
        };
        if self.shown != Shown::Prompt {
            self.words = self.words.saturating_add(1);
            self.wants_new |= matches!(answer, Answer::Word(Word::New));
            return;
        }
        self.take(answer, typed);
    }

    /// An answer that is none of the words.
    fn take(&mut self, answer: Answer, typed: &[u8]) {
        let is_asked = matches!(self.stage, Stage::AskFirst | Stage::AskAgain);
        if is_asked && answer.is_empty() {
            self.stage = Stage::Done(End::Unanswered);
            return;
        }
        let typed = typed.trim_ascii();
        match self.stage {
            Stage::AskFirst => {
                self.first_typed = Zeroizing::new(typed.to_vec());
                self.stage = Stage::JudgeFirst;
            }
            // Clients that answer every prompt alike would pay twice for one guess.
            Stage::AskAgain => {
                let pretend = match self.is_combined {
                    false => *self.first_typed == typed,
                    true => !typed.is_empty() && self.first_typed.ends_with(typed),
                };
                self.stage = Stage::JudgeAgain { pretend };
            }
            Stage::JudgeFirst | Stage::JudgeAgain { .. } | Stage::Done(_) => return,
        }
        self.answers.push(answer);
    }

    /// What became of [`Next::Judge`].
    pub fn judged(&mut self, verdict: Verdict) {
        self.stage = match (&self.stage, verdict) {
            (
                Stage::JudgeFirst | Stage::JudgeAgain { pretend: false },
                Verdict::Accepted(accepted),
            ) => Stage::Done(End::Accepted(accepted)),
            (Stage::JudgeFirst, Verdict::Refused(refusal)) if self.settings.second_chance => {
                self.first = Some(refusal.first());
                Stage::AskAgain
            }
            _ => Stage::Done(End::Refused),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate::{Reason, Refusal};

    fn refused() -> Verdict {
        Verdict::Refused(Refusal::free(Reason::Wrong))
    }

    fn asked(login: &Login) -> String {
        match login.next() {
            Next::Ask(prompt) => prompt,
            other => panic!("{other:?}"),
        }
    }

    fn judging(login: &Login) -> (usize, bool) {
        match login.next() {
            Next::Judge { answers, first, pretend: false } => (answers.len(), first.is_some()),
            other => panic!("{other:?}"),
        }
    }

    fn is_refused(login: &Login) -> bool {
        matches!(login.next(), Next::Done(End::Refused))
    }

    #[test]
    fn everyone_gets_a_second_chance_and_no_third() {
        let mut login = Login::new(Settings::default());
        assert_eq!(asked(&login), PROMPT);
        login.reply(b"123456");
        assert_eq!(judging(&login), (1, false));
        login.judged(refused());
        assert_eq!(asked(&login), AGAIN);
        login.reply(b"654321");
        assert_eq!(judging(&login), (2, true));
        login.judged(refused());
        assert!(is_refused(&login));
    }

    #[test]
    fn the_same_answer_again_is_only_pretended_to_be_evaluated() {
        let mut login = Login::new(Settings::default());
        login.reply(b"123456");
        login.judged(refused());
        login.reply(b" 123456\n");
        assert!(matches!(login.next(), Next::Judge { pretend: true, .. }));
        login.judged(refused());
        assert!(is_refused(&login));
    }

    #[test]
    fn without_a_second_chance_the_first_refusal_is_the_end() {
        let mut login = Login::new(Settings { second_chance: false, ..Settings::default() });
        login.reply(b"123456");
        login.judged(refused());
        assert!(is_refused(&login));
    }

    #[test]
    fn help_repeats_the_prompt_three_times_and_is_then_an_answer() {
        let mut login = Login::new(Settings::default());
        for _ in 0..3 {
            login.reply(b"?");
            assert_eq!(asked(&login), HELP);
        }
        login.reply(b"?");
        assert_eq!(judging(&login), (1, false));
    }

    #[test]
    fn a_word_is_done_once_and_then_repeats_the_prompt() {
        let mut login = Login::new(Settings::default());
        for (typed, word) in [("sms", Word::Sms), ("NEW", Word::New), ("abc", Word::Other)] {
            login.reply(typed.as_bytes());
            assert!(matches!(login.next(), Next::Word(done) if done == word));
            login.done();
            assert_eq!(asked(&login), WORDS);
        }
        login.reply(b"sms");
        assert_eq!(judging(&login), (1, false));
    }

    #[test]
    fn the_wish_for_a_new_phone_is_remembered_until_the_end() {
        let mut login = Login::new(Settings::default());
        login.reply(b"new");
        login.done();
        login.reply(b"123456");
        assert!(login.wants_new());
        assert!(!Login::new(Settings::default()).wants_new());
    }

    #[test]
    fn a_password_with_a_code_is_the_first_answer_and_so_is_one_without() {
        for combined in [&b"a,123456"[..], b"a password", b"?", b"sms"] {
            let mut login = Login::with_first_answer(Settings::default(), combined);
            assert_eq!(judging(&login), (1, false));
            login.judged(refused());
            assert_eq!(asked(&login), AGAIN);
        }
    }

    #[test]
    fn password_and_code_together_again_are_the_same_answer_again() {
        for (again, same) in [(&b"a,123456"[..], true), (b"123456", true), (b"a,234567", false)] {
            let mut login = Login::with_first_answer(Settings::default(), b"a,123456");
            login.judged(refused());
            login.reply(again);
            assert!(matches!(login.next(), Next::Judge { pretend, .. } if pretend == same));
        }
    }

    #[test]
    fn an_empty_answer_is_the_end_at_either_prompt_and_is_not_evaluated() {
        let mut first = Login::new(Settings::default());
        first.reply(b"");
        let mut second = Login::new(Settings::default());
        second.reply(b"123456");
        second.judged(refused());
        second.reply(b"");
        let combined = Login::with_first_answer(Settings::default(), b"");
        for login in [first, second, combined] {
            assert!(matches!(login.next(), Next::Done(End::Unanswered)));
        }
    }

    #[test]
    fn an_answer_or_verdict_out_of_turn_lets_nobody_in() {
        let mut login = Login::new(Settings::default());
        login.judged(refused());
        assert!(is_refused(&login));
        login.reply(b"123456");
        assert!(is_refused(&login));
    }

    #[test]
    fn every_text_fits_a_pam_message() {
        for text in [PROMPT, AGAIN, HELP, WORDS, REFUSED, NOTHING_TYPED, COMBINED] {
            assert!(text.len() < 512 && text.is_ascii() && !text.contains('\n'));
        }
    }
}
