//! Decisions: the dialogue of a login and its evaluation, on any record and state, with any answers, at any time. Nothing is
//! parsed; what is asserted is what the whole is for.
//!
//! - Nobody is accepted without a code that is valid by a second computation: totp-rs's own codes of every step in the
//!   documented window above the floor, or a code that is good once and was not used.
//! - What was accepted is spent: the same answer is refused then, floors only rise, codes are gone.
//! - A wrong code is debited before anything else is known; nothing else loses a debit.
//! - Three right codes in a row let the owner in, whatever was guessed before.

mod person;
mod proof;

use totp_core::answer::Answer;
use totp_core::budget::{Spending, YearlyChance};
use totp_core::dialogue::login::{End, Login, Next, Settings};
use totp_core::evaluate::{Attempt, By, First, Reason, Rules, Usual, Verdict, evaluate};
use totp_core::event::Place;
use totp_core::origin::Origin;
use totp_core::search::{Codebook, Computed};
use totp_core::store::{Durability, Found, StateRead, View, Writes};
use totp_core::time::{Period, UnixTime};

use self::person::Person;
use self::proof::Proof;
use crate::choices::Choices;

/// Lets somebody log in, up to three times.
pub fn check(data: &[u8]) {
    let mut choices = Choices::new(data);
    let mut visit = Visitor {
        rules: rules(&mut choices),
        now: UnixTime(1_763_000_000 + choices.below(60_000)),
        person: Person::of(&mut choices),
        proof: Proof::default(),
        last_right: None,
    };
    visit.person.settle_in(&mut choices, visit.now);
    visit.proof = Proof::of(&visit.person, &visit.rules, visit.now);
    for _ in 0..3 {
        visit.dialogue(&mut choices);
        if choices.are_over() {
            return;
        }
        visit.now = UnixTime(visit.now.0 + choices.below(4000) - 1000.min(choices.below(1000)));
    }
}

fn rules(choices: &mut Choices<'_>) -> Rules {
    let hosts = choices.one_of(&[1, 1, 1, 1000]);
    Rules {
        window: choices.one_of(&[1, 1, 1, 0, 2, 10]),
        chance: YearlyChance::new(0.001, hosts).expect("in range"),
        // Long steps: three codes are searched within a day, for four authenticators whoever it is.
        usual: Usual { period: Period::new(120).expect("in range"), ..Usual::default() },
    }
}

struct Visitor {
    rules: Rules,
    now: UnixTime,
    person: Person,
    proof: Proof,
    last_right: Option<String>,
}

impl Visitor {
    fn dialogue(&mut self, choices: &mut Choices<'_>) {
        let second_chance = !choices.yes();
        let origin = choices.one_of(&[[192, 0, 2], [198, 51, 100]]);
        let origin = Origin::Net4(origin);
        let mut login = Login::new(Settings { second_chance, ..Settings::default() });
        let mut typed: Vec<String> = Vec::new();
        let mut accepted = None;
        for _ in 0..16 {
            match login.next() {
                Next::Ask(_) => {
                    let text = self.person.answer(choices, self.now, self.last_right.as_deref());
                    login.reply(text.as_bytes());
                    if matches!(login.next(), Next::Judge { .. }) {
                        typed.push(text);
                    }
                }
                Next::Word(_) => login.done(),
                Next::Judge { answers, first, pretend } => {
                    let loses = choices.yes();
                    let verdict = if pretend {
                        self.pretend(answers, first, &origin)
                    } else {
                        self.judge(answers, first, &origin, &typed, loses)
                    };
                    accepted = matches!(verdict, Verdict::Accepted(_)).then(|| typed.clone());
                    login.judged(verdict);
                }
                Next::Done(End::Accepted(_)) => {
                    return self.is_spent(&accepted.expect("accepted by a verdict"), &origin);
                }
                Next::Done(End::Refused | End::Unanswered) => return assert!(accepted.is_none()),
            }
        }
        panic!("a dialogue has an end");
    }

    /// The same answer again, on a decoy.
    fn pretend(&self, answers: &[Answer], first: Option<&First>, origin: &Origin) -> Verdict {
        let nobody = View { found: Found::Absent, ..self.person.view_of_nobody() };
        let (verdict, _) = self.evaluated(&nobody, answers, first, origin);
        assert!(matches!(verdict, Verdict::Refused(_)), "a decoy lets nobody in");
        verdict
    }

    fn judge(
        &mut self,
        answers: &[Answer],
        first: Option<&First>,
        origin: &Origin,
        typed: &[String],
        loses_the_settled_meter: bool,
    ) -> Verdict {
        let before = self.person.view.meter.spending.refilled(self.rules.chance, self.now);
        let (verdict, writes) = self.evaluated(&self.person.view, answers, first, origin);
        let debited = writes.debit.as_ref().expect("written first, whatever comes of it").spending;
        match &verdict {
            Verdict::Accepted(accepted) => {
                assert!(writes.state.is_some() && writes.settle.is_some());
                self.proof.is_valid(&self.person, accepted.by(), typed, self.now, &self.rules);
                if let By::Totp { codes: 1, .. } = accepted.by() {
                    assert_ne!(debited, before, "the debit is part of an acceptance");
                }
            }
            Verdict::Refused(refusal) => {
                let lost = self.person.state_is_lost();
                assert!(writes.state.is_none() || lost, "a refusal changes nothing else");
                if !lost {
                    assert_eq!(debited, before.with(&refusal.debit));
                }
                let wrong =
                    refusal.reason == Reason::Wrong && self.proof.is_one_code(&self.person, typed);
                assert!(!wrong || !refusal.debit.total().is_free(), "a guess costs nothing");
                let owner = self.proof.is_the_owner(&self.person, typed, self.now);
                assert!(!owner, "three right codes are refused: {refusal:?}");
            }
        }
        self.is_at_least(debited, before);
        self.person.write(&writes, loses_the_settled_meter);
        self.proof.floors_only_rise(&self.person);
        verdict
    }

    fn is_at_least(&self, debited: Spending, before: Spending) {
        let parts = |s: Spending| [s.known, s.unknown, s.pairs, s.triples];
        for (after, before) in parts(debited).into_iter().zip(parts(before)) {
            assert!(after >= before, "a debit was lost");
        }
    }

    /// What let somebody in does so no second time, wherever it is typed.
    fn is_spent(&mut self, typed: &[String], origin: &Origin) {
        let last = typed.last().expect("an answer");
        self.last_right = Some(last.clone());
        if self.person.is_pending() {
            return; // an enrollment code is good three times
        }
        let answers = [Answer::read(last.as_bytes())];
        let (verdict, _) = self.evaluated(&self.person.view, &answers, None, origin);
        assert!(matches!(verdict, Verdict::Refused(_)), "{last:?} let somebody in twice");
    }

    fn evaluated(
        &self,
        view: &View,
        answers: &[Answer],
        first: Option<&First>,
        origin: &Origin,
    ) -> (Verdict, Writes) {
        let (enrollment, computed) = match &view.found {
            Found::Enrolled(enrolled) => {
                let all = enrolled.record.authenticators.iter();
                let all = all.map(|one| {
                    let drift = match &enrolled.state {
                        StateRead::Good(state) => state.spent(&one.name).map(|s| s.totp().drift),
                        StateRead::Lost { .. } => None,
                    };
                    Computed { totp: one.kind.totp(), drift: drift.unwrap_or(0) }
                });
                (Some(enrolled.record.enrollment), all.collect())
            }
            _ => (None, Vec::new()),
        };
        let codebook = Codebook::compute(enrollment, &computed, answers, &self.rules, self.now);
        let place = Place::new("sshd", "192.0.2.1");
        let (now, entropy, pretext) = (self.now, [7, 8], None);
        let attempt = Attempt {
            answers,
            codebook: &codebook,
            first,
            origin,
            place: &place,
            now,
            entropy,
            pretext,
        };
        let change = evaluate(&self.rules, view, &attempt);
        let mut written = Writes::default();
        let committed = change.commit(|writes| {
            written = writes.clone();
            Ok::<_, ()>(Durability::Disk)
        });
        (committed.expect("written").into_outcome(), written)
    }
}
