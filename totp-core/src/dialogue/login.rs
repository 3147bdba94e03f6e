//! The dialogue of a login: a first prompt, a second chance for everyone, and the end.
//!
//! ```text
//!            ?, or a word: three times at most
//!              ┌──┐
//!   ask first ─┴──┴─► judge ──accepted──────────────────► done
//!                       └─refused─► ask again ─► judge ──┘
//!                                       └─ same answer ─► judge, pretending
//! ```

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

/// The prompt for password and code in one answer (`forward_pass`).
pub const COMBINED: &str = "Password and verification code, together: ";

/// How often a word is answered by its prompt again.
const MOST_WORDS: u8 = 3;

/// How a login is asked.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The first prompt.
    pub prompt: String,
    /// Whether there is a second chance (not with `prompts=1` or `use_first_pass`).
    pub second_chance: bool,
    /// Whether the first answer was given already (with the password); without one nobody is asked.
    pub never_ask: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self { prompt: PROMPT.to_string(), second_chance: true, never_ask: false }
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
}

/// One login's dialogue.
pub struct Login {
    settings: Settings,
    stage: Stage,
    answers: Vec<Answer>,
    first_typed: Zeroizing<Vec<u8>>,
    /// The first answer with the password in front, where it came with that.
    came_as: Option<Zeroizing<Vec<u8>>>,
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
        let stage = if settings.never_ask { Stage::Done(End::Refused) } else { Stage::AskFirst };
        Self {
            settings,
            stage,
            answers: Vec::with_capacity(2),
            first_typed: Zeroizing::new(Vec::new()),
            came_as: None,
            first: None,
            words: 0,
            shown: Shown::Prompt,
            wants_new: false,
        }
    }

    /// A dialogue whose first answer came with the password: `codes`, out of `combined`. Where it is no code at all, the first
    /// prompt is asked as usual (unless nobody is to be asked).
    #[must_use]
    pub fn with_first_answer(settings: Settings, combined: &[u8], codes: &[u8]) -> Self {
        let mut login = Self::new(settings);
        if Answer::read(codes).is_code() {
            login.stage = Stage::AskFirst;
            login.reply(codes);
            login.came_as = Some(Zeroizing::new(combined.trim_ascii().to_vec()));
        }
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
        match self.stage {
            Stage::AskFirst => {
                self.first_typed = Zeroizing::new(typed.trim_ascii().to_vec());
                self.stage = Stage::JudgeFirst;
            }
            // Clients that answer every prompt alike would pay twice for one guess.
            Stage::AskAgain => {
                let typed = typed.trim_ascii();
                let pretend = *self.first_typed == typed
                    || self.came_as.as_ref().is_some_and(|combined| **combined == typed);
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

/// Parts a password and a code typed in one answer: after the last comma if codes follow it, else before the last
/// `digits` characters, whoever it is. What is too short is all password.
#[must_use]
pub fn split_combined(typed: &[u8], digits: u8) -> (&[u8], &[u8]) {
    if let Some(comma) = typed.iter().rposition(|byte| *byte == b',') {
        let (password, rest) = typed.split_at_checked(comma).unwrap_or((typed, &[]));
        let codes = rest.get(1..).unwrap_or_default();
        if Answer::read(codes).is_code() {
            return (password, codes);
        }
    }
    let at = typed.len().checked_sub(usize::from(digits));
    at.and_then(|at| typed.split_at_checked(at)).unwrap_or((typed, &[]))
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
    fn a_code_that_came_with_the_password_is_the_first_answer() {
        let mut login = Login::with_first_answer(Settings::default(), b"a,123456", b"123456");
        assert_eq!(judging(&login), (1, false));
        login.judged(refused());
        assert_eq!(asked(&login), AGAIN);
    }

    #[test]
    fn password_and_code_together_again_are_the_same_answer_again() {
        for (again, same) in [(&b"a,123456"[..], true), (b"123456", true), (b"a,234567", false)] {
            let mut login = Login::with_first_answer(Settings::default(), b"a,123456", b"123456");
            login.judged(refused());
            login.reply(again);
            assert!(matches!(login.next(), Next::Judge { pretend, .. } if pretend == same));
        }
    }

    #[test]
    fn a_password_without_a_code_is_no_answer() {
        let login = Login::with_first_answer(Settings::default(), b"a,secret", b"secret");
        assert_eq!(asked(&login), PROMPT);
        let never = Settings { never_ask: true, second_chance: false, ..Settings::default() };
        assert!(is_refused(&Login::with_first_answer(never.clone(), b"secret", b"secret")));
        assert_eq!(judging(&Login::with_first_answer(never, b"123456", b"123456")), (1, false));
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
    fn password_and_code_are_parted() {
        let cases: [(&[u8], &[u8], &[u8]); 8] = [
            (b"secret123456", b"secret", b"123456"),
            (b"secret,123456", b"secret", b"123456"),
            (b"a,b,123456 654321", b"a,b", b"123456 654321"),
            (b"secret,12345678", b"secret", b"12345678"),
            (b"se,cret123456", b"se,cret", b"123456"),
            (b"123456", b"", b"123456"),
            (b"12345", b"12345", b""),
            (b"secret,", b"s", b"ecret,"),
        ];
        for (typed, password, code) in cases {
            assert_eq!(split_combined(typed, 6), (password, code));
        }
    }

    #[test]
    fn every_text_fits_a_pam_message() {
        for text in [PROMPT, AGAIN, HELP, WORDS, REFUSED, COMBINED] {
            assert!(text.len() < 512 && text.is_ascii() && !text.contains('\n'));
        }
    }
}
