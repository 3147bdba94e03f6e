//! Requests for text messages: `sms` at the prompt, from anywhere, at any time, as often as somebody likes.

use std::collections::BTreeSet;

use totp_core::contact::Contact;
use totp_core::evaluate::Rules;
use totp_core::name::{AuthenticatorName, UserName};
use totp_core::onetime::OneTimeCode;
use totp_core::origin::Origin;
use totp_core::otp::{Algorithm, Digits, Totp};
use totp_core::record::{Authenticator, Decision, EnrollmentId, Kind, Record};
use totp_core::secret::Secret;
use totp_core::state::{MOST_TEXT_CODES, Meter, State, parse_meter, print_meter};
use totp_core::store::{Durability, Enrolled, Found, StateRead, View};
use totp_core::text_message::{GOOD_FOR, Limits, Message, body, request};
use totp_core::time::{Period, UnixTime};

use crate::choices::Choices;

const HOME: Origin = Origin::Net4([192, 0, 2]);
const ELSEWHERE: Origin = Origin::Net4([198, 51, 100]);
const ENROLLMENT: EnrollmentId = EnrollmentId::fresh([1; 8]);

/// As many are sent as the limits say, strangers get half at most, no more codes are good at once than three, and the meter
/// that has them reads back.
pub fn check(data: &[u8]) {
    let mut choices = Choices::new(data);
    let limits = Limits {
        per_hour: 2 + usize::from(choices.byte() % 9),
        per_day: 2 + usize::from(choices.byte() % 19),
    };
    let has_number = choices.below(8) > 0;
    let mut view = view(has_number);
    let mut now = UnixTime(1_763_000_000);
    let mut sent: Vec<(UnixTime, bool)> = Vec::new();
    let mut codes = BTreeSet::new();
    for _ in 0..64 {
        if choices.are_over() {
            return;
        }
        now = now.plus(choices.below(8000));
        let known = choices.yes();
        let origin = if known { HOME } else { ELSEWHERE };
        let mut entropy = [0; 16];
        entropy[..8].copy_from_slice(&choices.number().to_le_bytes());
        let change = request(&Rules::default(), Some(limits), &view, &origin, &entropy, now);
        let committed = change.commit(|writes| {
            view.meter = writes.debit.clone().expect("the same is written for everybody");
            assert!(writes.state.is_none());
            Ok::<_, ()>(Durability::Disk)
        });
        let message = committed.expect("written").into_outcome();
        reads_back(&view.meter);
        let Some(message) = message else { continue };
        assert!(has_number, "a message to nobody");
        says_the_code(&message, now);
        sent.push((now, known));
        codes.insert(message.code.to_string());
        let since = |seconds| sent.iter().filter(move |(time, _)| now.since(*time) < seconds);
        assert!(since(3600).count() <= limits.per_hour && since(86_400).count() <= limits.per_day);
        let strangers = |seconds| since(seconds).filter(|(_, known)| !known).count();
        assert!(strangers(3600) <= limits.per_hour.div_ceil(2));
        assert!(strangers(86_400) <= limits.per_day.div_ceil(2));
    }
}

fn says_the_code(message: &Message, now: UnixTime) {
    assert!(matches!(message.code.len(), 8 | 16));
    assert!(message.code.bytes().all(|byte| byte.is_ascii_digit()));
    assert_eq!(message.until, now.plus(GOOD_FOR));
    assert!(OneTimeCode::read(message.code.as_bytes()).is_none(), "taken for another kind of code");
    let text = body(&message.code, "web1\r\nBcc: \u{202e}\u{0}");
    assert!(text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' '));
    assert!(text.replace(' ', "").starts_with(message.code.as_str()));
}

fn reads_back(meter: &Meter) {
    assert!(meter.texts.codes.len() <= MOST_TEXT_CODES);
    let alice = UserName::new("alice").expect("a name");
    assert_eq!(parse_meter(&alice, &print_meter(&alice, meter)).as_ref(), Ok(meter));
}

fn view(has_number: bool) -> View {
    let phone = has_number.then(|| "+420123456789".parse().expect("a number"));
    let decision = Decision {
        user: UserName::new("alice").expect("a name"),
        uid: Some(1000),
        since: UnixTime(1),
        by: "carol".to_owned(),
        seq: 1,
        contact: Contact { email: None, phone },
    };
    let authenticator = Authenticator {
        name: AuthenticatorName::new("phone").expect("a name"),
        added: UnixTime(1),
        kind: Kind::Totp(Totp {
            secret: Secret::fresh(&[7; Secret::FRESH]),
            algorithm: Algorithm::Sha1,
            digits: Digits::Six,
            period: Period::DEFAULT,
        }),
    };
    let record = Record::new(decision, ENROLLMENT, vec![authenticator]);
    let mut state = State::new(ENROLLMENT, 1, Vec::new());
    state.remember(HOME, UnixTime(1_763_000_000));
    let found = Found::Enrolled(Box::new(Enrolled { record, state: StateRead::Good(state) }));
    View { found, meter: Meter::default(), volatile: None }
}
