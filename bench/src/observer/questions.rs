//! What is answered at the prompts, by whom, and how often.

use crate::cases::Case;

/// One comparison to be made.
pub(crate) struct Question {
    pub(crate) title: &'static str,
    pub(crate) cases: &'static [Case],
    /// The module's arguments.
    pub(crate) arguments: &'static str,
    pub(crate) answers: &'static [Typed],
    /// What ends each step that is timed.
    pub(crate) steps: &'static [&'static str],
    pub(crate) tries: usize,
}

/// One answer.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Typed {
    /// So many digits, others in every round.
    Digits(usize),
    /// Always the same.
    Text(&'static str),
    /// A recovery code's shape, another one in every round.
    Recovery,
}

/// What sshd sends in the place of an answer by somebody whom it doesn't let in anyway (`auth-pam.c`).
const JUNK: &str = "\u{8}\n\r\u{7f}INCORRECT";

const ONCE: &str = "prompts=1";
const REFUSED: &[&str] = &["first prompt", "refusal"];
const AGAIN: &[&str] = &["first prompt", "second prompt", "refusal"];
const WORD: &[&str] = &["first prompt", "prompt behind the word", "refusal"];

/// What is measured at the same time: lanes that take about as long as each other.
pub(crate) fn lanes(tries: usize) -> [Vec<Question>; 4] {
    let promised = |title, arguments, answers, steps, tries| Question {
        title,
        cases: &Case::PROMISED,
        arguments,
        answers,
        steps,
        tries,
    };
    let further = Question {
        cases: &Case::FURTHER,
        ..promised("A wrong code, further cases", ONCE, &[Typed::Digits(6)], REFUSED, tries)
    };
    let once = |title, answers, share| promised(title, ONCE, answers, REFUSED, tries / share);
    let word = |title, answers| promised(title, ONCE, answers, WORD, tries / 10);
    let twice = |title, answers, share| promised(title, "", answers, AGAIN, tries / share);
    // Whatever is as long as three codes takes as long to compute: a day of steps.
    const LONG: usize = 20;
    [
        vec![twice("A wrong code, twice", &[Typed::Digits(6), Typed::Digits(6)], 1)],
        vec![
            once("sshd's junk", &[Typed::Text(JUNK)], 1),
            twice("sshd's junk, twice", &[Typed::Text(JUNK), Typed::Text(JUNK)], LONG),
            once("Three codes", &[Typed::Digits(18)], LONG),
        ],
        vec![further],
        vec![
            once("Two codes", &[Typed::Digits(12)], 5),
            once("The shape of a recovery code", &[Typed::Recovery], LONG),
            word("`?`, then a wrong code", &[Typed::Text("?"), Typed::Digits(6)]),
            word("`sms`, then a wrong code", &[Typed::Text("sms"), Typed::Digits(6)]),
            word("`new`, then a wrong code", &[Typed::Text("new"), Typed::Digits(6)]),
        ],
    ]
}
