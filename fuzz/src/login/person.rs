//! Anybody: enrolled with up to four authenticators, to be enrolled, switched off or unknown; with any state and meter.

use totp_core::budget::Spending;
use totp_core::contact::Contact;
use totp_core::name::{AuthenticatorName, UserName};
use totp_core::onetime::OneTimeCode;
use totp_core::origin::Origin;
use totp_core::otp::{Algorithm, Digits, Totp};
use totp_core::record::{
    Authenticator, Bypass, Decision, EnrollmentId, Kind, Pending, Record, Recovery, Tombstone,
};
use totp_core::secret::Secret;
use totp_core::state::{Meter, Spent, State, TotpSpent};
use totp_core::store::{Enrolled, Found, Opening, StateRead, View, Volatile, Writes};
use totp_core::time::{Period, Step, UnixTime};

use crate::choices::Choices;

const ENROLLMENT: EnrollmentId = EnrollmentId::fresh([1; 8]);

pub(super) struct Person {
    pub(super) view: View,
    /// Recovery codes, then a bypass code, or an enrollment code, as they are typed.
    pub(super) codes: Vec<String>,
}

impl Person {
    pub(super) fn of(choices: &mut Choices<'_>) -> Self {
        let kind = choices.below(16);
        let user = UserName::new("alice").expect("a name");
        let (since, by, contact) = (UnixTime(1), "carol".to_owned(), Contact::default());
        let decision = Decision { user, uid: Some(1000), since, by, seq: 1, contact };
        let mut codes = Vec::new();
        let found = match kind {
            0 => Found::Absent,
            1 => Found::Disabled(Tombstone { decision, reason: None }),
            2 => {
                let code = one_time(choices, &mut codes);
                let until = UnixTime(1_763_000_000 + choices.below(65_000));
                let pending = Pending { decision, enrollment: ENROLLMENT, code: Some(code), until };
                let state = StateRead::Good(State::new(ENROLLMENT, 1, Vec::new()));
                Found::Pending(Box::new(Opening { pending, state }))
            }
            _ => {
                let record = record(choices, decision, &mut codes);
                let state = StateRead::Lost { seq: 1 };
                Found::Enrolled(Box::new(Enrolled { record, state }))
            }
        };
        Self { view: View { found, meter: Meter::default(), volatile: None }, codes }
    }

    /// A state for the record, some meter, and perhaps a disk that can't be written.
    pub(super) fn settle_in(&mut self, choices: &mut Choices<'_>, now: UnixTime) {
        let meter = &mut self.view.meter;
        match choices.below(8) {
            0 => meter.spending = Spending::singles_used_up(),
            1 => {
                meter.spending = Spending { pairs: u64::MAX, ..Spending::singles_used_up() };
                meter.spending.triples = if choices.yes() { u64::MAX } else { 0 };
            }
            2 => *meter = Meter::unreadable(),
            _ => {}
        }
        let volatile = choices.below(8) == 0;
        self.view.volatile = volatile
            .then(|| Volatile { since: now.minus(choices.below(5000)), first: choices.yes() });
        let Found::Enrolled(enrolled) = &mut self.view.found else { return };
        if choices.below(8) == 0 {
            return; // the state is lost
        }
        let mut state = State::new(ENROLLMENT, 1, Vec::new());
        for one in &enrolled.record.authenticators {
            let drift = choices.one_of(&[0, 0, 0, 1, -1, 20, -20]);
            let floor = one.kind.totp().step(now).moved(choices.between(-30, 3));
            let floor = if choices.yes() { floor } else { Step(0) };
            let spent = TotpSpent { floor, drift, ..TotpSpent::default() };
            state.spent.push((one.name.clone(), Spent::Totp(spent)));
        }
        if choices.yes() {
            state.remember(Origin::Net4([192, 0, 2]), now);
        }
        meter.repeated = choices.yes().then(|| state.repeated());
        enrolled.state = StateRead::Good(state);
    }

    pub(super) fn view_of_nobody(&self) -> View {
        View { found: Found::Absent, meter: self.view.meter.clone(), volatile: self.view.volatile }
    }

    pub(super) fn authenticators(&self) -> &[Authenticator] {
        match &self.view.found {
            Found::Enrolled(enrolled) => &enrolled.record.authenticators,
            _ => &[],
        }
    }

    pub(super) fn record(&self) -> Option<&Record> {
        match &self.view.found {
            Found::Enrolled(enrolled) => Some(&enrolled.record),
            _ => None,
        }
    }

    pub(super) fn state(&self) -> Option<&State> {
        let state = match &self.view.found {
            Found::Enrolled(enrolled) => &enrolled.state,
            Found::Pending(opening) => &opening.state,
            Found::Absent | Found::Disabled(_) => return None,
        };
        match state {
            StateRead::Good(state) => Some(state),
            StateRead::Lost { .. } => None,
        }
    }

    pub(super) fn state_is_lost(&self) -> bool {
        self.record().is_some() && self.state().is_none()
    }

    pub(super) fn is_pending(&self) -> bool {
        matches!(self.view.found, Found::Pending(_))
    }

    /// What a store does with what was decided. A meter that is lost behind the flush is the older one.
    pub(super) fn write(&mut self, writes: &Writes, loses_the_settled_meter: bool) {
        if let Some(state) = &writes.state {
            match &mut self.view.found {
                Found::Enrolled(enrolled) => enrolled.state = StateRead::Good(state.clone()),
                Found::Pending(opening) => opening.state = StateRead::Good(state.clone()),
                Found::Absent | Found::Disabled(_) => panic!("a state of nobody"),
            }
        }
        let settled = writes.settle.as_ref().filter(|_| !loses_the_settled_meter);
        if let Some(meter) = settled.or(writes.debit.as_ref()) {
            self.view.meter = meter.clone();
        }
    }

    /// Something to type.
    pub(super) fn answer(
        &self,
        choices: &mut Choices<'_>,
        now: UnixTime,
        last_right: Option<&str>,
    ) -> String {
        let codes = |choices: &mut Choices<'_>, count: i64, from: i64, to: i64| {
            let all = self.authenticators();
            let Some(one) = all.get(usize::from(choices.byte()) % all.len().max(1)) else {
                return "123456".repeat(usize::try_from(count).unwrap());
            };
            let totp = one.kind.totp();
            let first = totp.step(now).moved(choices.between(from, to));
            (0..count).map(|n| totp.code_text(first.moved(n)).to_string()).collect()
        };
        match choices.below(24) {
            0..=7 => codes(choices, 1, -3, 3),
            8..=10 => codes(choices, 2, -23, 23),
            11 => codes(choices, 3, -23, 21),
            12 => codes(choices, 3, -3000, 3000),
            13 => codes(choices, 1, -3, 3) + &codes(choices, 1, -3, 3),
            14..=16 if !self.codes.is_empty() => {
                self.codes[usize::from(choices.byte()) % self.codes.len()].clone()
            }
            17 => last_right.unwrap_or("000000").to_owned(),
            18 => choices.one_of(&["?", "sms", "new", "abc", ""]).to_owned(),
            19 => choices.text(40),
            20 => format!("{:08}", choices.number() % 100_000_000),
            _ => format!("{:06}", choices.number() % 1_000_000),
        }
    }
}

fn record(choices: &mut Choices<'_>, decision: Decision, codes: &mut Vec<String>) -> Record {
    let count = choices.one_of(&[1, 1, 2, 4]);
    let authenticators = (0..count).map(|at: u8| Authenticator {
        name: AuthenticatorName::new(&format!("phone{at}")).expect("a name"),
        added: UnixTime(1),
        kind: Kind::Totp(totp(choices, at)),
    });
    let authenticators = authenticators.collect();
    let mut record = Record::new(decision, ENROLLMENT, authenticators);
    let rotating = choices.yes();
    let count = if rotating { 1 } else { choices.below(4) };
    let hashes: Vec<_> = (0..count).map(|_| one_time(choices, codes)).collect();
    if !hashes.is_empty() {
        record.recovery = Some(Recovery { rotating, issued: UnixTime(1), codes: hashes });
    }
    if choices.yes() {
        let until = UnixTime(1_763_000_000 + choices.below(65_000));
        record.bypass = Some(Bypass { code: one_time(choices, codes), until });
    }
    record
}

fn totp(choices: &mut Choices<'_>, at: u8) -> Totp {
    let length = choices.one_of(&[20, 10, 32, 64, 128]);
    let mut secret = vec![choices.byte(); length];
    secret[0] = at; // no two of one user are the same
    Totp {
        secret: Secret::new(secret).expect("a length in range"),
        algorithm: choices.one_of(&[Algorithm::Sha1, Algorithm::Sha256, Algorithm::Sha512]),
        digits: choices.one_of(&Digits::ALL),
        period: Period::new(choices.one_of(&[120, 120, 60, 30, 37, 15])).expect("in range"),
    }
}

fn one_time(choices: &mut Choices<'_>, codes: &mut Vec<String>) -> totp_core::onetime::CodeHash {
    let mut entropy = choices.bytes::<16>();
    entropy[0] = u8::try_from(codes.len()).expect("a few"); // no two are the same
    let code = OneTimeCode::fresh(&entropy);
    codes.push(code.shown().to_string());
    code.hash()
}
