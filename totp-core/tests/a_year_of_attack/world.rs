//! One user of one host in memory: what logins write is what the next one reads. Nothing is decided here.

use totp_core::answer::Answer;
use totp_core::budget::YearlyChance;
use totp_core::contact::Contact;
use totp_core::coverage::Coverage;
use totp_core::dialogue::login::{End, Login, Next, Settings};
use totp_core::evaluate::{Attempt, First, Reason, Refusal, Rules, Verdict, evaluate};
use totp_core::event::Place;
use totp_core::name::{AuthenticatorName, UserName};
use totp_core::origin::Origin;
use totp_core::otp::{Algorithm, Digits, Totp};
use totp_core::policy::Config;
use totp_core::record::{Authenticator, Decision, EnrollmentId, Kind, Record};
use totp_core::route::{Account, Facts, Route, route};
use totp_core::search::{Codebook, Computed};
use totp_core::secret::Secret;
use totp_core::state::text::{parse_meter, parse_state, print_meter, print_state};
use totp_core::state::{Meter, Spent, State, TotpSpent};
use totp_core::store::{Durability, Enrolled, Found, StateRead, View, Writes};
use totp_core::time::{Period, Step, UnixTime};

use crate::Dice;

/// When a year begins.
pub const START: UnixTime = UnixTime(1_763_000_010);
/// The mean year that the promise speaks of, in seconds.
pub const YEAR: u64 = 31_556_952;

/// A user, and the host's clock.
pub struct World {
    pub view: View,
    pub rules: Rules,
    pub now: UnixTime,
    user: UserName,
    place: Place,
}

/// One answer, or two.
pub struct Typed<'a> {
    pub answers: &'a [Answer],
    pub first: Option<&'a First>,
    pub origin: &'a Origin,
}

impl World {
    /// Somebody newly enrolled, with secrets by the dice; everything else as by default.
    pub fn new(digits: Digits, authenticators: u8, hosts: u64, dice: &mut Dice) -> Self {
        let enrollment = EnrollmentId::fresh([1; 8]);
        let user = UserName::new("alice").unwrap();
        let name = |n: u8| AuthenticatorName::new(&format!("phone{n}")).unwrap();
        let spent = (0..authenticators).map(|n| (name(n), Spent::Totp(TotpSpent::default())));
        let state = State::new(enrollment, 1, spent.collect());
        let authenticators = (0..authenticators).map(|n| {
            let secret = Secret::fresh(&std::array::from_fn(|_| dice.roll(256) as u8));
            let totp =
                Totp { secret, algorithm: Algorithm::default(), digits, period: Period::DEFAULT };
            Authenticator { name: name(n), added: START, kind: Kind::Totp(totp) }
        });
        let decision = Decision {
            user: user.clone(),
            uid: Some(1000),
            since: START,
            by: String::from("carol"),
            seq: 1,
            contact: Contact::default(),
        };
        let record = Record::new(decision, enrollment, authenticators.collect());
        let state = StateRead::Good(state);
        let found = Found::Enrolled(Box::new(Enrolled { record, state }));
        let view = View { found, meter: Meter::default(), volatile: None };
        let chance = YearlyChance::new(0.001, hosts).unwrap();
        let rules = Rules { chance, ..Rules::default() };
        Self { view, rules, now: START, user, place: Place::new("sshd", "192.0.2.1") }
    }

    pub fn enrolled(&self) -> &Enrolled {
        match &self.view.found {
            Found::Enrolled(enrolled) => enrolled,
            _ => panic!("not enrolled"),
        }
    }

    pub fn state(&self) -> &State {
        match &self.enrolled().state {
            StateRead::Good(state) => state,
            StateRead::Lost { .. } => panic!("lost"),
        }
    }

    pub fn authenticators(&self) -> usize {
        self.enrolled().record.authenticators.len()
    }

    pub fn totp(&self, n: usize) -> &Totp {
        self.enrolled().record.authenticators[n].kind.totp()
    }

    pub fn digits(&self) -> Digits {
        self.totp(0).digits
    }

    /// What the first authenticator shows at `step`.
    pub fn code(&self, step: Step) -> String {
        self.totp(0).code_text(step).as_str().to_string()
    }

    /// The codes that evaluating these answers needs now.
    pub fn codebook(&self, answers: &[Answer]) -> Codebook {
        let enrolled = self.enrolled();
        let state = self.state();
        fn one<'a>(state: &State, a: &'a Authenticator) -> Computed<'a> {
            let drift = state.spent(&a.name).unwrap().totp().drift;
            Computed { totp: a.kind.totp(), drift }
        }
        let computed: Vec<_> =
            enrolled.record.authenticators.iter().map(|a| one(state, a)).collect();
        Codebook::compute(
            Some(enrolled.record.enrollment),
            &computed,
            answers,
            &self.rules,
            self.now,
        )
    }

    /// The evaluation itself, with nothing kept of what it writes.
    pub fn would_be(&self, typed: &Typed<'_>, codebook: &Codebook) -> (Verdict, Writes) {
        let attempt = Attempt {
            answers: typed.answers,
            codebook,
            first: typed.first,
            origin: typed.origin,
            place: &self.place,
            now: self.now,
            entropy: [7, 8],
            pretext: None,
        };
        let mut written = Writes::default();
        let committed = evaluate(&self.rules, &self.view, &attempt).commit(|writes| {
            written = writes.clone();
            Ok::<_, ()>(Durability::Disk)
        });
        (committed.unwrap().into_outcome(), written)
    }

    /// One evaluation, committed.
    pub fn evaluate(&mut self, typed: &Typed<'_>, codebook: &Codebook) -> Verdict {
        let (verdict, written) = self.would_be(typed, codebook);
        if let (Some(state), Found::Enrolled(enrolled)) = (written.state, &mut self.view.found) {
            enrolled.state = StateRead::Good(state);
        }
        self.view.meter = written.settle.or(written.debit).unwrap();
        // What is told goes to the permanent record with the owner's next login.
        self.view.meter.events = totp_core::event::EventQueue::default();
        verdict
    }

    /// What is written is what the next login reads, as text on disk.
    pub fn through_the_disk(&mut self) {
        let meter = parse_meter(&self.user, &print_meter(&self.user, &self.view.meter)).unwrap();
        let state = parse_state(&self.user, &print_state(&self.user, self.state())).unwrap();
        assert_eq!((&state, &meter), (self.state(), &self.view.meter));
        self.view.meter = meter;
    }

    /// A whole login from `origin`: routed, asked, and judged. `type_in` is shown each prompt and answers, or goes away;
    /// `seen` is shown each refusal, which nobody outside is. Between prompts the world is anybody's.
    pub fn log_in(
        &mut self,
        origin: &Origin,
        mut type_in: impl FnMut(&mut Self, &str) -> Option<String>,
        mut seen: impl FnMut(&Refusal),
    ) -> End {
        let facts = Facts {
            user: self.user.clone(),
            account: Some(Account { uid: 1000 }),
            exempt: Coverage::default(),
            required: None,
            rhost: String::from("192.0.2.1"),
            nullok: false,
            now: self.now,
        };
        let policy = Config::default().policy("sshd");
        assert_eq!(route(&policy, &facts, &self.view.found), Route::Ask { pretext: None });
        let mut login = Login::new(Settings::default());
        loop {
            match login.next() {
                Next::Ask(prompt) => match type_in(self, &prompt) {
                    Some(answer) => login.reply(answer.as_bytes()),
                    None => return End::Refused,
                },
                Next::Judge { answers, first, pretend } => {
                    let verdict = if pretend {
                        Verdict::Refused(Refusal::free(Reason::Wrong))
                    } else {
                        let codebook = self.codebook(answers);
                        self.evaluate(&Typed { answers, first, origin }, &codebook)
                    };
                    if let Verdict::Refused(refusal) = &verdict {
                        seen(refusal);
                    }
                    login.judged(verdict);
                }
                Next::Word(_) => login.done(),
                Next::Done(end) => return end,
            }
        }
    }
}
