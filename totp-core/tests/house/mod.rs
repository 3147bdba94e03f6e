//! A user kept in memory, on whom evaluations are tried: what they write is what the next one sees.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)] // shared by several test programs, and tests

use totp_core::answer::Answer;
use totp_core::budget::{Spending, YearlyChance};
use totp_core::contact::Contact;
use totp_core::evaluate::{
    Accepted, Attempt, By, First, Reason, Refusal, Rules, Usual, Verdict, evaluate,
};
use totp_core::event::Place;
use totp_core::name::{AuthenticatorName, UserName};
use totp_core::origin::Origin;
use totp_core::otp::{Algorithm, Digits, Totp};
use totp_core::record::{Authenticator, Decision, EnrollmentId, Kind, Record};
use totp_core::search::Codebook;
use totp_core::secret::Secret;
use totp_core::state::{Meter, Spent, State, TotpSpent};
use totp_core::store::{Change, Durability, Enrolled, Found, StateRead, View, Writes};
use totp_core::time::{Period, UnixTime};

pub const NOW: UnixTime = UnixTime(1_763_000_010);
pub const RULES: Rules = Rules {
    window: 1,
    chance: YearlyChance::DEFAULT,
    usual: Usual { algorithm: Algorithm::Sha1, period: Period::DEFAULT },
};
pub const HOME: Origin = Origin::Net4([192, 0, 2]);
pub const ELSEWHERE: Origin = Origin::Net4([198, 51, 100]);

/// A user, kept in memory: applies what evaluations write.
pub struct House {
    /// What a transaction would see.
    pub view: View,
    /// The clock.
    pub now: UnixTime,
    /// Where the next answer comes from.
    pub origin: Origin,
    /// The same as people are told.
    pub place: Place,
    /// What became of the first answer of a dialogue.
    pub first: Option<First>,
}

pub fn totp(seed: u8, digits: Digits) -> Totp {
    let secret = Secret::fresh(&[seed; Secret::FRESH]);
    Totp { secret, algorithm: Algorithm::Sha1, digits, period: Period::DEFAULT }
}

pub fn name(n: &str) -> AuthenticatorName {
    AuthenticatorName::new(n).unwrap()
}

impl House {
    pub fn with(authenticators: Vec<(&str, Totp)>) -> Self {
        let enrollment = EnrollmentId::fresh([1; 8]);
        let spent = authenticators
            .iter()
            .map(|(n, _)| (name(n), Spent::Totp(TotpSpent::default())))
            .collect();
        let authenticators = authenticators.into_iter().map(|(n, totp)| Authenticator {
            name: name(n),
            added: NOW,
            kind: Kind::Totp(totp),
        });
        let user = UserName::new("alice").unwrap();
        let decision = Decision {
            user,
            uid: Some(1000),
            since: NOW,
            by: String::from("carol"),
            seq: 1,
            contact: Contact::default(),
        };
        let record = Record::new(decision, enrollment, authenticators.collect());
        let state = StateRead::Good(State::new(enrollment, 1, spent));
        let found = Found::Enrolled(Box::new(Enrolled { record, state }));
        let view = View { found, meter: Meter::default(), volatile: None };
        Self { view, now: NOW, origin: HOME, place: Place::new("sshd", "192.0.2.1"), first: None }
    }

    pub fn alice() -> Self {
        Self::with(vec![("phone", totp(1, Digits::Six))])
    }

    pub fn enrolled(&mut self) -> &mut Enrolled {
        match &mut self.view.found {
            Found::Enrolled(enrolled) => enrolled,
            _ => panic!("not enrolled"),
        }
    }

    pub fn state(&mut self) -> &mut State {
        match &mut self.enrolled().state {
            StateRead::Good(state) => state,
            StateRead::Lost { .. } => panic!("lost"),
        }
    }

    pub fn spent(&mut self, n: &str) -> TotpSpent {
        *self.state().spent(&name(n)).unwrap().totp()
    }

    /// The code of the first authenticator, `offset` steps from now.
    pub fn code(&mut self, offset: i64) -> String {
        let now = self.now;
        let totp = self.enrolled().record.authenticators[0].kind.totp();
        totp.code_text(totp.step(now).moved(offset)).as_str().into()
    }

    pub fn codes(&mut self, offsets: impl IntoIterator<Item = i64>) -> String {
        offsets.into_iter().map(|offset| self.code(offset)).collect()
    }

    /// A code that is right nowhere near.
    pub fn wrong(&mut self) -> String {
        let near: Vec<String> = (-3000..3000).map(|offset| self.code(offset)).collect();
        (0..).map(|n| format!("{n:06}")).find(|code| !near.contains(code)).unwrap()
    }

    pub fn try_all(&mut self, typed: &[&str]) -> Verdict {
        self.try_by(&|view, attempt| evaluate(&RULES, view, attempt), typed)
    }

    /// Whatever else an attempt is decided by.
    pub fn try_by<T>(
        &mut self,
        decide: &dyn Fn(&View, &Attempt<'_>) -> Change<T>,
        typed: &[&str],
    ) -> T {
        let answers: Vec<Answer> = typed.iter().map(|t| Answer::read(t.as_bytes())).collect();
        self.try_answers(decide, &answers)
    }

    /// A password with a code behind it.
    pub fn enter_combined(&mut self, text: &str) -> Verdict {
        let answers = [Answer::read_combined(text.as_bytes())];
        self.try_answers(&|view, attempt| evaluate(&RULES, view, attempt), &answers)
    }

    fn try_answers<T>(
        &mut self,
        decide: &dyn Fn(&View, &Attempt<'_>) -> Change<T>,
        answers: &[Answer],
    ) -> T {
        let codebook = Codebook::of(&self.view.found, answers, &RULES, self.now);
        let attempt = Attempt {
            answers,
            codebook: &codebook,
            first: self.first.as_ref(),
            origin: &self.origin,
            place: &self.place,
            now: self.now,
            entropy: [7, 8],
            pretext: None,
        };
        let change = decide(&self.view, &attempt);
        let mut written = Writes::default();
        let committed = change.commit(|writes| {
            written = writes.clone();
            Ok::<_, ()>(Durability::Disk)
        });
        if let Some(state) = written.state {
            self.enrolled().state = StateRead::Good(state);
        }
        self.view.meter = written.settle.or(written.debit).unwrap();
        committed.unwrap().into_outcome()
    }

    pub fn enter(&mut self, typed: &str) -> Verdict {
        self.try_all(&[typed])
    }

    pub fn reason(&mut self, typed: &str) -> Reason {
        refused(self.enter(typed)).reason
    }

    pub fn use_up_singles(&mut self) {
        self.view.meter.spending = Spending::singles_used_up();
    }

    pub fn use_up_pairs(&mut self) {
        self.use_up_singles();
        self.view.meter.spending.pairs = u64::MAX;
    }
}

pub fn accepted(verdict: Verdict) -> Accepted {
    match verdict {
        Verdict::Accepted(accepted) => accepted,
        Verdict::Refused(refusal) => panic!("refused: {refusal:?}"),
    }
}

pub fn refused(verdict: Verdict) -> Refusal {
    match verdict {
        Verdict::Refused(refusal) => refusal,
        Verdict::Accepted(accepted) => panic!("accepted: {accepted:?}"),
    }
}

/// What codes of an authenticator that were accepted came to.
pub trait ByCodes {
    fn codes(&self) -> usize;
    fn drift(&self) -> i64;
    fn off(&self) -> Option<i64>;
}

impl ByCodes for Accepted {
    fn codes(&self) -> usize {
        by_codes(self).1
    }

    fn drift(&self) -> i64 {
        by_codes(self).0
    }

    fn off(&self) -> Option<i64> {
        by_codes(self).2
    }
}

fn by_codes(accepted: &Accepted) -> (i64, usize, Option<i64>) {
    match accepted.by() {
        By::Totp { drift, codes, off, .. } => (*drift, *codes, *off),
        other => panic!("{other:?}"),
    }
}
