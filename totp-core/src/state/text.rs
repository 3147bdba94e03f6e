//! The text form of a state's three blocks in `state/NAME`.
//!
//! Blocks A and B hold a [`State`], written in turn and flushed; the third one the [`Meter`], written without a flush. Each
//! is 4096 bytes of text that a person can read: lines of words, a SHA-256 over them, and line feeds to the end. The
//! meter's text is usually shorter than a sector, so that a crash leaves either the older or the newer one.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::Write as _;

use sha2::{Digest as _, Sha256};
use thiserror::Error;

use super::{
    MOST_DRIFT, Meter, NextCode, Repeated, Sent, Spent, State, TextCode, Texts, TotpSpent, Uses,
    Visit,
};
use crate::budget::Spending;
use crate::event::{EventQueue, Place, QueuedEvent};
use crate::name::{AuthenticatorName, UserName, unword, word};
use crate::time::{Step, UnixTime};

/// Bytes of one block.
pub const BLOCK: usize = 4096;

/// Why a block can't be used.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum BlockError {
    /// All zero bytes: never written.
    #[error("never written")]
    Blank,
    /// The checksum is missing or another.
    #[error("the checksum does not match")]
    Checksum,
    /// The checksum matches a text that this program doesn't write.
    #[error("line {0} is not of this format")]
    Line(usize),
    /// Another user's.
    #[error("it belongs to another user")]
    OtherUser,
}

/// Writes block A or B.
#[must_use]
pub fn print_state(user: &UserName, state: &State) -> [u8; BLOCK] {
    let mut state = state.clone();
    loop {
        if let Some(block) = sealed(state_lines(user, &state)) {
            return block;
        }
        // Longest names and places: the oldest origin makes room. Without origins everything else fits.
        if state.origins.pop_back().is_none() {
            state.events.forget_oldest();
        }
    }
}

fn state_lines(user: &UserName, state: &State) -> String {
    let mut text = String::with_capacity(BLOCK);
    line(&mut text, &["pam-totp-state", "1"]);
    line(&mut text, &["user", &field(user.as_str())]);
    line(&mut text, &["enrollment", &state.enrollment.to_string()]);
    line(&mut text, &["seq", &state.seq.to_string()]);
    for (name, Spent::Totp(spent)) in &state.spent {
        let used = spent.used.map_or(NONE.to_string(), |time| time.to_string());
        let _ = writeln!(
            text,
            "totp {name} floor {} drift {} lean {} used {used}",
            spent.floor.0, spent.drift, spent.lean
        );
    }
    let once = &state.once;
    for id in &once.used {
        line(&mut text, &["used", &id.to_string()]);
    }
    if let Some(next) = &once.next {
        line(&mut text, &["next", &next.of.to_string(), &next.code.to_string()]);
    }
    uses(&mut text, once.opened);
    visit(&mut text, "login", state.last_login.as_ref());
    for (origin, last) in &state.origins {
        line(&mut text, &["origin", &last.to_string(), &origin.to_string()]);
    }
    events(&mut text, &state.events);
    text
}

fn uses(text: &mut String, uses: Uses) {
    match uses {
        Uses { counted: 0, .. } => {}
        Uses { counted, given_back: 0 } => line(text, &["opened", &counted.to_string()]),
        Uses { counted, given_back } => {
            line(text, &["opened", &counted.to_string(), &given_back.to_string()]);
        }
    }
}

/// Writes the meter.
#[must_use]
pub fn print_meter(user: &UserName, meter: &Meter) -> [u8; BLOCK] {
    let mut meter = meter.clone();
    loop {
        if let Some(block) = sealed(meter_lines(user, &meter)) {
            return block;
        }
        // The longest names and places of 8 events don't fit.
        if !meter.events.forget_oldest() {
            meter.repeated = None; // can't be reached
        }
    }
}

fn meter_lines(user: &UserName, meter: &Meter) -> String {
    let mut text = String::with_capacity(BLOCK);
    let spending = &meter.spending;
    line(&mut text, &["pam-totp-meter", "1"]);
    line(&mut text, &["user", &field(user.as_str())]);
    line(&mut text, &["noted", &meter.noted.to_string()]);
    let _ = writeln!(
        text,
        "spent known {} unknown {} pairs {} triples {} credited {}",
        spending.known, spending.unknown, spending.pairs, spending.triples, spending.credited.0
    );
    visit(&mut text, "failure", meter.last_failure.as_ref());
    if let Some(told) = meter.told {
        line(&mut text, &["told", &told.to_string()]);
    }
    if let Some(repeated) = &meter.repeated {
        line(&mut text, &["repeated", &repeated.enrollment.to_string()]);
        for (name, step) in &repeated.floors {
            line(&mut text, &["floor", name.as_str(), &step.0.to_string()]);
        }
        for id in &repeated.used {
            line(&mut text, &["used", &id.to_string()]);
        }
        uses(&mut text, repeated.opened);
    }
    for TextCode { enrollment, hash, long, until } in &meter.texts.codes {
        let digits = if *long { "16" } else { "8" };
        let (enrollment, hash) = (enrollment.to_string(), hash.to_string());
        line(&mut text, &["text", &enrollment, &hash, digits, &until.to_string()]);
    }
    for sent in &meter.texts.sent {
        let whose = if sent.known { "known" } else { "unknown" };
        line(&mut text, &["sent", &sent.time.to_string(), whose]);
    }
    events(&mut text, &meter.events);
    text
}

/// Reads block A or B.
///
/// # Errors
/// As [`BlockError`] says.
pub fn parse_state(user: &UserName, block: &[u8]) -> Result<State, BlockError> {
    let mut lines = Lines::open(block, "pam-totp-state", user)?;
    let mut state = State::new(
        lines.must("enrollment", |w| w.one()?.parse().ok())?,
        lines.must("seq", |w| w.number())?,
        Vec::new(),
    );
    while let Some(spent) = lines.may("totp", totp_line)? {
        state.spent.push(spent);
    }
    while let Some(id) = lines.may("used", |w| w.one()?.parse().ok())? {
        state.once.used.push(id);
    }
    state.once.next = lines.may("next", |w| {
        Some(NextCode { of: w.one()?.parse().ok()?, code: w.one()?.parse().ok()? })
    })?;
    state.once.opened = lines.may("opened", Words::uses)?.unwrap_or_default();
    state.last_login = lines.may("login", visit_line)?;
    while let Some(origin) = lines.may("origin", |w| {
        let last = w.one()?.parse().ok()?;
        Some((w.one()?.parse().ok()?, last))
    })? {
        state.origins.push_back(origin);
    }
    state.events = lines.events()?;
    lines.end()?;
    Ok(state)
}

/// Reads the meter.
///
/// # Errors
/// As [`BlockError`] says.
pub fn parse_meter(user: &UserName, block: &[u8]) -> Result<Meter, BlockError> {
    let mut lines = Lines::open(block, "pam-totp-meter", user)?;
    let noted = lines.must("noted", |w| w.number())?;
    let spending = lines.must("spent", |w| {
        Some(Spending {
            known: w.after("known")?.number()?,
            unknown: w.after("unknown")?.number()?,
            pairs: w.after("pairs")?.number()?,
            triples: w.after("triples")?.number()?,
            credited: UnixTime(w.after("credited")?.number()?),
        })
    })?;
    let last_failure = lines.may("failure", visit_line)?;
    let told = lines.may("told", |w| w.one()?.parse().ok())?;
    let mut repeated = lines.may("repeated", |w| {
        Some(Repeated {
            enrollment: w.one()?.parse().ok()?,
            floors: Vec::new(),
            used: Vec::new(),
            opened: Uses::default(),
        })
    })?;
    if let Some(repeated) = &mut repeated {
        while let Some(floor) = lines
            .may("floor", |w| Some((AuthenticatorName::new(w.one()?).ok()?, Step(w.number()?))))?
        {
            repeated.floors.push(floor);
        }
        while let Some(id) = lines.may("used", |w| w.one()?.parse().ok())? {
            repeated.used.push(id);
        }
        repeated.opened = lines.may("opened", Words::uses)?.unwrap_or_default();
    }
    let mut texts = Texts::default();
    while let Some(code) = lines.may("text", text_line)? {
        texts.codes.push(code);
    }
    while let Some(sent) = lines.may("sent", sent_line)? {
        texts.sent.push(sent);
    }
    let events = lines.events()?;
    lines.end()?;
    Ok(Meter { noted, spending, last_failure, told, repeated, events, texts })
}

/// Stands where there is nothing to say.
const NONE: &str = "-";

fn line(text: &mut String, words: &[&str]) {
    for (at, word) in words.iter().enumerate() {
        if at > 0 {
            text.push(' ');
        }
        text.push_str(word);
    }
    text.push('\n');
}

/// A text as one word that is never empty.
fn field(text: &str) -> String {
    match text {
        "" => NONE.to_string(),
        "-" => "%2D".to_string(),
        _ => word(text, usize::MAX),
    }
}

/// What [`field`] wrote. Nothing else is read: it could be longer once it is written, and a block has so much room.
fn unfield(word: &str) -> Option<String> {
    let text = if word == NONE { String::new() } else { unword(word)? };
    (field(&text) == word).then_some(text)
}

fn visit(text: &mut String, key: &str, visit: Option<&Visit>) {
    if let Some(Visit { time, place }) = visit {
        line(text, &[key, &time.to_string(), &field(&place.service), &field(&place.from)]);
    }
}

fn events(text: &mut String, events: &EventQueue) {
    for event in events.iter() {
        let _ = writeln!(
            text,
            "event {:016x} {} {} {} {} {}",
            event.id,
            event.time,
            event.kind,
            field(&event.place.service),
            field(&event.place.from),
            field(&event.detail)
        );
    }
    if events.lost() > 0 {
        line(text, &["lost", &events.lost().to_string()]);
    }
}

/// Adds checksum and padding. `None` where it doesn't fit a block.
fn sealed(mut text: String) -> Option<[u8; BLOCK]> {
    let digest = crate::encoding::HEXLOWER.encode(&Sha256::digest(&text));
    line(&mut text, &["sha256", &digest]);
    let mut block = [b'\n'; BLOCK];
    block.get_mut(..text.len())?.copy_from_slice(text.as_bytes());
    Some(block)
}

/// The text of a block in front of its checksum, once that matches and nothing but line feeds follows.
fn unsealed(block: &[u8]) -> Result<&str, BlockError> {
    let written = without_end(block, b'\n');
    if written.first().is_none_or(|byte| *byte == 0) && without_end(block, 0).is_empty() {
        return Err(BlockError::Blank);
    }
    let start =
        written.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at.saturating_add(1));
    let (content, seal) = written.split_at_checked(start).ok_or(BlockError::Checksum)?;
    let digest = crate::encoding::HEXLOWER.encode(&Sha256::digest(content));
    if seal.strip_prefix(b"sha256 ") != Some(digest.as_bytes()) || block.len() != BLOCK {
        return Err(BlockError::Checksum);
    }
    core::str::from_utf8(content).map_err(|_| BlockError::Line(1))
}

/// Without those bytes at the end that are `filler`. Most of a block is that, so it is compared by the piece.
fn without_end(block: &[u8], filler: u8) -> &[u8] {
    let piece = [filler; 64];
    let mut rest = block;
    while let Some(shorter) = rest.strip_suffix(&piece) {
        rest = shorter;
    }
    let used = rest.iter().rposition(|byte| *byte != filler).map_or(0, |at| at.saturating_add(1));
    rest.get(..used).unwrap_or_default()
}

/// What stands before and after the first `at`, which is ASCII.
fn cut(text: &str, at: u8) -> Option<(&str, &str)> {
    let before = text.bytes().position(|byte| byte == at)?;
    Some((text.get(..before)?, text.get(before.saturating_add(1)..)?))
}

/// The words of one line, taken from the front.
struct Words<'a>(&'a str);

impl<'a> Words<'a> {
    fn one(&mut self) -> Option<&'a str> {
        let (first, rest) = cut(self.0, b' ').unwrap_or((self.0, ""));
        self.0 = rest;
        (!first.is_empty()).then_some(first)
    }

    fn after(&mut self, key: &str) -> Option<&mut Self> {
        (self.one()? == key).then_some(self)
    }

    /// A number as it is printed: no sign, no leading zeros.
    fn number(&mut self) -> Option<u64> {
        let text = self.one()?;
        let printed = text == "0" || !text.starts_with(['0', '+']);
        text.parse().ok().filter(|_| printed)
    }

    fn small(&mut self) -> Option<u8> {
        self.number()?.try_into().ok()
    }

    fn uses(&mut self) -> Option<Uses> {
        let counted = self.small()?;
        let given_back = if self.0.is_empty() { 0 } else { self.small()? };
        Some(Uses { counted, given_back })
    }

    fn signed(&mut self, most: i64) -> Option<i64> {
        let text = self.one()?;
        let number: i64 = text.parse().ok()?;
        (number.checked_abs()? <= most && number.to_string() == text).then_some(number)
    }
}

fn text_line(w: &mut Words<'_>) -> Option<TextCode> {
    Some(TextCode {
        enrollment: w.one()?.parse().ok()?,
        hash: w.one()?.parse().ok()?,
        long: match w.one()? {
            "8" => false,
            "16" => true,
            _ => return None,
        },
        until: w.one()?.parse().ok()?,
    })
}

fn sent_line(w: &mut Words<'_>) -> Option<Sent> {
    let time = w.one()?.parse().ok()?;
    let known = match w.one()? {
        "known" => true,
        "unknown" => false,
        _ => return None,
    };
    Some(Sent { time, known })
}

fn totp_line(w: &mut Words<'_>) -> Option<(AuthenticatorName, Spent)> {
    let name = AuthenticatorName::new(w.one()?).ok()?;
    let spent = TotpSpent {
        floor: Step(w.after("floor")?.number()?),
        drift: w.after("drift")?.signed(MOST_DRIFT)?,
        lean: w.after("lean")?.signed(1)?,
        used: match w.after("used")?.one()? {
            NONE => None,
            time => Some(time.parse().ok()?),
        },
    };
    Some((name, Spent::Totp(spent)))
}

fn visit_line(w: &mut Words<'_>) -> Option<Visit> {
    Some(Visit { time: w.one()?.parse().ok()?, place: place(w)? })
}

fn place(w: &mut Words<'_>) -> Option<Place> {
    Some(Place { service: unfield(w.one()?)?, from: unfield(w.one()?)? })
}

/// The lines of a block, taken from the front, each by the key it begins with.
struct Lines<'a> {
    rest: &'a str,
    at: usize,
}

impl<'a> Lines<'a> {
    fn open(block: &'a [u8], kind: &str, user: &UserName) -> Result<Self, BlockError> {
        let mut lines = Self { rest: unsealed(block)?, at: 1 };
        lines.must(kind, |w| (w.one()? == "1").then_some(()))?;
        let name = lines.must("user", |w| unfield(w.one()?))?;
        if name == user.as_str() { Ok(lines) } else { Err(BlockError::OtherUser) }
    }

    /// The next line if it begins with `key`, else nothing is taken.
    fn may<T>(
        &mut self,
        key: &str,
        read: impl FnOnce(&mut Words<'a>) -> Option<T>,
    ) -> Result<Option<T>, BlockError> {
        let Some((line, rest)) = cut(self.rest, b'\n') else { return Ok(None) };
        let mut words = Words(line);
        if words.one() != Some(key) {
            return Ok(None);
        }
        let value = read(&mut words).filter(|_| words.0.is_empty());
        let value = value.ok_or(BlockError::Line(self.at))?;
        self.rest = rest;
        self.at = self.at.saturating_add(1);
        Ok(Some(value))
    }

    fn must<T>(
        &mut self,
        key: &str,
        read: impl FnOnce(&mut Words<'a>) -> Option<T>,
    ) -> Result<T, BlockError> {
        let at = self.at;
        self.may(key, read)?.ok_or(BlockError::Line(at))
    }

    fn events(&mut self) -> Result<EventQueue, BlockError> {
        let mut queue = EventQueue::default();
        while let Some(event) = self.may("event", |w| {
            Some(QueuedEvent {
                id: w
                    .one()
                    .filter(|id| id.len() == 16 && !id.starts_with('+'))
                    .and_then(|id| u64::from_str_radix(id, 16).ok())?,
                time: w.one()?.parse().ok()?,
                kind: w.one()?.parse().ok()?,
                place: place(w)?,
                detail: unfield(w.one()?)?,
            })
        })? {
            queue.push(event);
        }
        if let Some(lost) = self.may("lost", Words::number)? {
            queue.set_lost(lost);
        }
        Ok(queue)
    }

    fn end(&self) -> Result<(), BlockError> {
        if self.rest.is_empty() { Ok(()) } else { Err(BlockError::Line(self.at)) }
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::vec;

    use proptest::prelude::*;

    use super::*;
    use crate::event::EventKind;
    use crate::onetime::CodeHash;
    use crate::origin::Origin;
    use crate::record::EnrollmentId;
    use crate::state::Once;

    fn user() -> UserName {
        UserName::new("al ice").unwrap()
    }

    fn code(n: u8) -> CodeHash {
        CodeHash::of(&[n])
    }

    fn full_state() -> State {
        let name = |n: &str| AuthenticatorName::new(n).unwrap();
        let spent =
            TotpSpent { floor: Step(58_712_345), drift: -20, lean: 1, used: Some(UnixTime(9)) };
        let mut state = State::new(
            EnrollmentId::fresh([7; 8]),
            42,
            vec![
                (name("phone"), Spent::Totp(spent)),
                (name("token"), Spent::Totp(TotpSpent::default())),
            ],
        );
        state.last_login =
            Some(Visit { time: UnixTime(1_763_000_000), place: Place::new("sshd", "") });
        state.remember(Origin::Caller(0), UnixTime(5));
        state.remember(Origin::Net4([192, 0, 2]), UnixTime(6));
        state.events.push(event(1));
        state.once = Once {
            used: vec![code(1).id()],
            next: Some(NextCode { of: code(1).id(), code: code(2) }),
            opened: Uses { counted: 1, given_back: 0 },
        };
        state
    }

    fn event(id: u64) -> QueuedEvent {
        let place = Place::new("s-d", "- x");
        QueuedEvent {
            id,
            time: UnixTime(77),
            kind: EventKind::StateVolatile,
            place,
            detail: "a b".into(),
        }
    }

    fn full_meter() -> Meter {
        let mut meter = Meter {
            noted: 41,
            spending: Spending {
                known: 1,
                unknown: 2,
                pairs: 3,
                triples: u64::MAX,
                credited: UnixTime(1_763_000_001),
            },
            last_failure: Some(Visit { time: UnixTime(8), place: Place::new("sudo", "::1") }),
            told: Some(UnixTime(10)),
            repeated: Some(Repeated {
                enrollment: EnrollmentId::fresh([9; 8]),
                floors: vec![(AuthenticatorName::new("phone").unwrap(), Step(5))],
                used: vec![code(1).id(), code(2).id()],
                opened: Uses { counted: 2, given_back: 1 },
            }),
            events: EventQueue::default(),
            texts: Texts {
                codes: vec![TextCode {
                    enrollment: EnrollmentId::fresh([9; 8]),
                    hash: code(3),
                    long: true,
                    until: UnixTime(600),
                }],
                sent: vec![
                    Sent { time: UnixTime(5), known: true },
                    Sent { time: UnixTime(6), known: false },
                ],
            },
        };
        (0..9).for_each(|id| meter.events.push(event(id)));
        meter
    }

    #[test]
    fn a_state_is_text_that_a_person_can_read() {
        let block = print_state(&user(), &full_state());
        let text = core::str::from_utf8(&block).unwrap().trim_end();
        let (content, seal) = text.rsplit_once('\n').unwrap();
        assert_eq!(
            content,
            "pam-totp-state 1\n\
             user al%20ice\n\
             enrollment 0707070707070707\n\
             seq 42\n\
             totp phone floor 58712345 drift -20 lean 1 used 1970-01-01T00:00:09Z\n\
             totp token floor 0 drift 0 lean 0 used -\n\
             used 8a2b3fa14cf0b8cf\n\
             next 8a2b3fa14cf0b8cf 693762a663a490e122cf9090790ee6dc241cf8a7ec5bca360ef1d1176bc03946\n\
             opened 1\n\
             login 2025-11-13T02:13:20Z sshd -\n\
             origin 1970-01-01T00:00:06Z net:192.0.2.0/24\n\
             origin 1970-01-01T00:00:05Z uid:0\n\
             event 0000000000000001 1970-01-01T00:01:17Z state-volatile s-d -%20x a%20b"
        );
        assert!(seal.starts_with("sha256 ") && seal.len() == 7 + 64);
    }

    #[test]
    fn a_number_is_read_as_it_is_printed_and_in_no_other_way() {
        let text = state_lines(&user(), &full_state());
        assert!(parse_state(&user(), &sealed(text.clone()).unwrap()).is_ok());
        for other in ["seq 042", "seq +42", "seq 42a", "seq -42", "seq 99999999999999999999"] {
            let block = sealed(text.replace("seq 42", other)).unwrap();
            assert_eq!(parse_state(&user(), &block), Err(BlockError::Line(4)), "{other}");
        }
    }

    #[test]
    fn states_and_meters_read_back() {
        assert_eq!(parse_state(&user(), &print_state(&user(), &full_state())), Ok(full_state()));
        assert_eq!(parse_meter(&user(), &print_meter(&user(), &full_meter())), Ok(full_meter()));
        let empty = Meter::default();
        assert_eq!(parse_meter(&user(), &print_meter(&user(), &empty)), Ok(empty));
    }

    #[test]
    fn a_block_of_another_user_or_kind_is_refused() {
        let block = print_state(&user(), &full_state());
        let bob = UserName::new("bob").unwrap();
        assert_eq!(parse_state(&bob, &block), Err(BlockError::OtherUser));
        assert_eq!(parse_meter(&user(), &block), Err(BlockError::Line(1)));
        assert_eq!(parse_state(&user(), &[0; BLOCK]), Err(BlockError::Blank));
    }

    #[test]
    fn every_lost_ending_of_a_block_is_noticed() {
        let old = print_state(&user(), &State { seq: 1, ..full_state() });
        let new = print_state(&user(), &full_state());
        let used = new.iter().rposition(|b| *b != b'\n').unwrap() + 1;
        for at in 0..used {
            let mut torn = old;
            torn[..at].copy_from_slice(&new[..at]);
            match parse_state(&user(), &torn) {
                Ok(state) => assert_eq!(state.seq, if torn == old { 1 } else { 42 }),
                Err(error) => assert_eq!(error, BlockError::Checksum),
            }
        }
    }

    #[test]
    fn a_usual_meter_fits_one_sector() {
        let (events, texts) = (EventQueue::default(), Texts::default());
        let meter = Meter { events, texts, ..full_meter() };
        let block = print_meter(&user(), &meter);
        assert!(block[512..].iter().all(|b| *b == b'\n'));
    }

    #[test]
    fn the_longest_of_everything_fits() {
        let user = UserName::new(&"\u{e9}".repeat(128)).unwrap();
        let long = |n: usize| AuthenticatorName::new(&format!("{n}{}", "x".repeat(31))).unwrap();
        let mut state = State::new(
            EnrollmentId::fresh([255; 8]),
            u64::MAX,
            (0..4).map(|n| (long(n), Spent::Totp(TotpSpent::default()))).collect(),
        );
        let place = Place::new(&" ".repeat(99), &" ".repeat(99));
        state.last_login = Some(Visit { time: UnixTime::MAX, place: place.clone() });
        let mut meter = Meter {
            last_failure: state.last_login.clone(),
            repeated: Some(Repeated {
                enrollment: state.enrollment,
                floors: (0..4).map(|n| (long(n), Step(u64::MAX))).collect(),
                used: state.once.used.clone(),
                opened: Uses { counted: 12, given_back: 9 },
            }),
            texts: full_meter().texts,
            ..full_meter()
        };
        for id in 0..20 {
            let kind = EventKind::MoreCodesRequired;
            let detail = crate::event::detail(&"d".repeat(500));
            let place = place.clone();
            let event = QueuedEvent { id, time: UnixTime::MAX, kind, place, detail };
            state.events.push(event.clone());
            meter.events.push(event);
            state.remember(Origin::Host(format!("{id:02}{}", "y".repeat(62))), UnixTime(id));
        }
        let read = parse_state(&user, &print_state(&user, &state)).unwrap();
        assert_eq!(read.events, state.events);
        assert!(!read.origins.is_empty());
        assert_eq!(parse_meter(&user, &print_meter(&user, &meter)), Ok(meter));
    }

    proptest! {
        #[test]
        fn any_bytes_are_parsed_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..5000)) {
            let _ = parse_state(&user(), &bytes);
            let _ = parse_meter(&user(), &bytes);
        }

        #[test]
        fn any_changed_byte_is_noticed(at in 0usize..BLOCK, to in any::<u8>()) {
            let mut block = print_state(&user(), &full_state());
            prop_assume!(block[at] != to);
            block[at] = to;
            prop_assert!(parse_state(&user(), &block).is_err());
        }
    }
}
