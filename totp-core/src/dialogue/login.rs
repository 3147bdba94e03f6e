//! The dialogue of a login: a first prompt, a second chance for everyone, and the end.
//!
//! ```text
//!            ?, three times at most
//!              ┌──┐
//!   ask first ─┴──┴─► judge ──accepted──────────────────► done
//!                       └─refused─► ask again ─► judge ──┘
//!                                       └─ same answer ─► judge, pretending
//! ```

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use zeroize::Zeroizing;

use crate::answer::Answer;
use crate::budget::Debit;
use crate::evaluate::{Accepted, Refusal, Verdict};

/// The first prompt, where the PAM line has no `prompt=`.
pub const PROMPT: &str = "Verification code (? for help): ";

/// The second prompt: the same for everyone whom the first answer did not let in.
pub const AGAIN: &str = "Not accepted. Enter the next code when your authenticator shows it: ";

/// What stands in front of the prompt after `?`. In the prompt, because some services show nothing else.
pub const HELP: &str = "Type the digits that your authenticator shows now. They change twice a minute \
    or so, and each is good once. If that is refused although it is right, type three codes in a row, \
    as they appear. Verification code: ";

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
    /// Evaluate all answers so far and hand the verdict to [`Login::judged`].
    Judge {
        /// The answers, the one to be evaluated last.
        answers: &'a [Answer],
        /// What the first evaluation was debited with, where this is the second.
        first: Option<Debit>,
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
    first_debit: Option<Debit>,
    words: u8,
    help: bool,
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
            first_debit: None,
            words: 0,
            help: false,
        }
    }

    /// A dialogue whose first answer came with the password. Where it is no code at all, the first prompt is asked
    /// as usual (unless nobody is to be asked).
    #[must_use]
    pub fn with_first_answer(settings: Settings, typed: &[u8]) -> Self {
        let mut login = Self::new(settings);
        if matches!(Answer::read(typed), Answer::Codes(_)) {
            login.stage = Stage::AskFirst;
            login.reply(typed);
        }
        login
    }

    /// What to do next. The same until it has been done.
    pub fn next(&self) -> Next<'_> {
        match &self.stage {
            Stage::AskFirst if self.help => Next::Ask(HELP.to_string()),
            Stage::AskFirst => Next::Ask(self.settings.prompt.clone()),
            Stage::AskAgain if self.help => Next::Ask(HELP.to_string()),
            Stage::AskAgain => Next::Ask(AGAIN.to_string()),
            Stage::JudgeFirst => {
                Next::Judge { answers: &self.answers, first: None, pretend: false }
            }
            Stage::JudgeAgain { pretend } => {
                Next::Judge { answers: &self.answers, first: self.first_debit, pretend: *pretend }
            }
            Stage::Done(end) => Next::Done(end.clone()),
        }
    }

    /// The answer to what [`Next::Ask`] asked.
    pub fn reply(&mut self, typed: &[u8]) {
        let answer = Answer::read(typed);
        self.help = matches!(answer, Answer::Help) && self.words < MOST_WORDS;
        if self.help {
            self.words = self.words.saturating_add(1);
            return;
        }
        match self.stage {
            Stage::AskFirst => {
                self.first_typed = Zeroizing::new(typed.trim_ascii().to_vec());
                self.stage = Stage::JudgeFirst;
            }
            // Clients that answer every prompt alike would pay twice for one guess.
            Stage::AskAgain => {
                let pretend = *self.first_typed == typed.trim_ascii();
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
            (Stage::JudgeFirst, Verdict::Refused(Refusal { debit, .. }))
                if self.settings.second_chance =>
            {
                self.first_debit = Some(debit);
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
        if matches!(Answer::read(codes), Answer::Codes(_)) {
            return (password, codes);
        }
    }
    let at = typed.len().checked_sub(usize::from(digits));
    at.and_then(|at| typed.split_at_checked(at)).unwrap_or((typed, &[]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::budget::Standing;
    use crate::evaluate::Reason;

    fn refused() -> Verdict {
        let debit = Debit::none(Standing::Unknown);
        Verdict::Refused(Refusal { reason: Reason::Wrong, authenticator: None, debit })
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
    fn a_code_that_came_with_the_password_is_the_first_answer() {
        let mut login = Login::with_first_answer(Settings::default(), b"123456");
        assert_eq!(judging(&login), (1, false));
        login.judged(refused());
        assert_eq!(asked(&login), AGAIN);
    }

    #[test]
    fn a_password_without_a_code_is_no_answer() {
        assert_eq!(asked(&Login::with_first_answer(Settings::default(), b"secret")), PROMPT);
        let never = Settings { never_ask: true, second_chance: false, ..Settings::default() };
        assert!(is_refused(&Login::with_first_answer(never.clone(), b"secret")));
        assert_eq!(judging(&Login::with_first_answer(never, b"123456")), (1, false));
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
        for text in [PROMPT, AGAIN, HELP, REFUSED, COMBINED] {
            assert!(text.len() < 512 && text.is_ascii() && !text.contains('\n'));
        }
    }
}
