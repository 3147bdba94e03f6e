//! What an enrollment puts in the place of what was there, at a login or by an administrator: the new record, and the first
//! state of it.
//!
//! Somebody who enrolls for the first time begins with nothing. Whoever replaces a phone by a code of it keeps everything
//! else: other authenticators with what they have spent, recovery codes with which of them are used. Whoever does it by a
//! recovery code has lost the phone, or has had it stolen: nothing of before is good any more.

use alloc::vec::Vec;

use crate::evaluate::Rules;
use crate::floors::begun_anew;
use crate::name::AuthenticatorName;
use crate::otp::Totp;
use crate::record::{Authenticator, Decision, EnrollmentId, Kind, Record};
use crate::state::{Spent, State, TotpSpent};
use crate::time::UnixTime;

/// Whose place a new authenticator takes.
#[derive(Clone, Copy, Debug)]
pub enum Instead<'a> {
    /// Nobody's: there is none.
    OfNothing,
    /// None's: it is added.
    Beside(&'a Record),
    /// This one's; all else stays.
    Of(&'a Record, &'a AuthenticatorName),
    /// All of them, and everything else.
    OfAll(&'a Record),
}

/// A prepared enrollment.
#[derive(Debug)]
pub struct Successor {
    /// The new record. Recovery codes, where fresh ones are due, come later.
    pub record: Record,
    /// What logins begin with.
    pub beginning: Beginning,
}

/// What the first state of a new record is made of.
#[derive(Debug)]
pub struct Beginning {
    enrollment: EnrollmentId,
    fresh: (AuthenticatorName, TotpSpent),
    /// Authenticators that stay, and what stands for their state and that of codes where it is lost.
    kept: Option<(Vec<AuthenticatorName>, State)>,
    /// Whether places from where the user logged in stay known.
    same_places: bool,
    /// The authenticator that had the same secret: what that has spent stays spent.
    same_secret: Option<AuthenticatorName>,
}

impl Successor {
    /// The record in which `totp`, confirmed and with `spent` already used up, takes the place of what was there. `name` is
    /// what a first one is called.
    #[must_use]
    pub fn new(
        decision: Decision,
        enrollment: EnrollmentId,
        instead: Instead<'_>,
        (name, totp, spent): (AuthenticatorName, Totp, TotpSpent),
        rules: &Rules,
        now: UnixTime,
    ) -> Self {
        let mut record = Record::new(decision, enrollment, Vec::new());
        let (before, name, replaced) = match instead {
            Instead::OfNothing => (None, name, None),
            Instead::OfAll(before) | Instead::Beside(before) => (Some(before), name, None),
            Instead::Of(before, replaced) => (Some(before), replaced.clone(), Some(replaced)),
        };
        let same = |one: &&Authenticator| one.kind.totp().secret.same_as(&totp.secret);
        let same_secret = before.and_then(|before| before.authenticators.iter().find(same));
        let same_secret = same_secret.map(|one| one.name.clone());
        let same_places = !matches!(instead, Instead::OfAll(_));
        let mut kept = None;
        if let Some(before) = before.filter(|_| same_places) {
            let others = before.authenticators.iter().filter(|one| replaced != Some(&one.name));
            record.authenticators = others.map(Authenticator::duplicate).collect();
            record.recovery.clone_from(&before.recovery);
            record.bypass = before.bypass;
            let names = record.authenticators.iter().map(|one| one.name.clone()).collect();
            let void = begun_anew(rules, &record, 0, now);
            kept = Some((names, void));
        }
        let fresh = Authenticator { name: name.clone(), added: now, kind: Kind::Totp(totp) };
        record.authenticators.push(fresh);
        let fresh = (name, spent);
        let beginning = Beginning { enrollment, fresh, kept, same_places, same_secret };
        Self { record, beginning }
    }
}

impl Beginning {
    /// The first state, made out of the present one; `None` where that is lost: what was kept is void then up to now, as
    /// after any loss.
    #[must_use]
    pub fn state(&self, old: Option<&State>) -> State {
        let mut first = State::new(self.enrollment, 0, Vec::new());
        if let Some(old) = old {
            first.last_login.clone_from(&old.last_login);
            first.events = old.events.clone();
            // The phone may have been stolen: no place counts as the owner's.
            if self.same_places {
                first.origins = old.origins.clone();
            }
        }
        if let Some((names, void)) = &self.kept {
            let before = old.unwrap_or(void);
            let kept = before.spent.iter().filter(|(name, _)| names.contains(name));
            first.spent = kept.cloned().collect();
            first.once = before.once.clone();
        }
        let (name, spent) = &self.fresh;
        let same = self.same_secret.as_ref().and_then(|name| old?.spent(name));
        let floor = same.map_or(spent.floor, |before| spent.floor.max(before.totp().floor));
        first.spent.push((name.clone(), Spent::Totp(TotpSpent { floor, ..*spent })));
        first
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::String;
    use alloc::vec;

    use super::*;
    use crate::contact::Contact;
    use crate::event::Place;
    use crate::name::UserName;
    use crate::onetime::OneTimeCode;
    use crate::origin::Origin;
    use crate::otp::{Algorithm, Digits};
    use crate::record::{Bypass, Recovery};
    use crate::secret::Secret;
    use crate::state::Visit;
    use crate::time::{Period, Step};

    const NOW: UnixTime = UnixTime(1_763_000_010);

    fn totp(n: u8) -> Totp {
        Totp {
            secret: Secret::fresh(&[n; Secret::FRESH]),
            algorithm: Algorithm::Sha1,
            digits: Digits::Six,
            period: Period::DEFAULT,
        }
    }

    fn name(text: &str) -> AuthenticatorName {
        AuthenticatorName::new(text).unwrap()
    }

    fn decision() -> Decision {
        Decision {
            user: UserName::new("alice").unwrap(),
            uid: Some(1001),
            since: NOW,
            by: String::from("alice"),
            seq: 7,
            contact: Contact::default(),
        }
    }

    /// A phone, a token, two recovery codes and a bypass code.
    fn before() -> Record {
        let one =
            |text, n| Authenticator { name: name(text), added: NOW, kind: Kind::Totp(totp(n)) };
        let code = |n| OneTimeCode::fresh(&[n; 16]).hash();
        let mut record = Record::new(
            decision(),
            EnrollmentId::fresh([1; 8]),
            vec![one("phone", 1), one("token", 2)],
        );
        record.recovery =
            Some(Recovery { rotating: false, issued: NOW, codes: vec![code(11), code(12)] });
        record.bypass = Some(Bypass { code: code(13), until: NOW.plus(60) });
        record
    }

    fn spent(floor: u64) -> TotpSpent {
        TotpSpent { floor: Step(floor), ..TotpSpent::default() }
    }

    fn old() -> State {
        let both =
            vec![(name("phone"), Spent::Totp(spent(5))), (name("token"), Spent::Totp(spent(6)))];
        let mut state = State::new(EnrollmentId::fresh([1; 8]), 3, both);
        state.last_login = Some(Visit { time: NOW, place: Place::new("sshd", "192.0.2.1") });
        state.remember(Origin::Caller(7), NOW);
        let used = before().recovery.unwrap().codes[0].id();
        state.once.spend(used, &[]);
        state
    }

    fn successor(instead: Instead<'_>) -> Successor {
        let fresh = (name("phone"), totp(9), spent(99));
        let (id, rules) = (EnrollmentId::fresh([2; 8]), Rules::default());
        Successor::new(decision(), id, instead, fresh, &rules, NOW)
    }

    fn floors(state: &State) -> Vec<(&str, u64)> {
        state.spent.iter().map(|(name, spent)| (name.as_str(), spent.totp().floor.0)).collect()
    }

    #[test]
    fn a_first_enrollment_begins_with_what_confirmed_it_spent() {
        let new = successor(Instead::OfNothing);
        assert_eq!(new.record.authenticators.len(), 1);
        assert!(new.record.recovery.is_none());
        let state = new.beginning.state(None);
        assert_eq!(floors(&state), [("phone", 99)]);
        assert_eq!(state.enrollment, new.record.enrollment);
    }

    #[test]
    fn a_replaced_phone_leaves_all_else_as_it_was() {
        let (before, token) = (before(), name("token"));
        let new = successor(Instead::Of(&before, &token));
        assert_eq!(new.record.authenticators.len(), 2);
        let fresh = new.record.authenticator(&token).unwrap().kind.totp();
        assert!(fresh.secret.same_as(&totp(9).secret));
        assert_eq!((&new.record.recovery, new.record.bypass), (&before.recovery, before.bypass));
        let state = new.beginning.state(Some(&old()));
        assert_eq!(floors(&state), [("phone", 5), ("token", 99)]);
        assert_eq!(state.once, old().once);
        assert!(state.knows(&Origin::Caller(7), NOW));
        assert_eq!(state.last_login, old().last_login);
    }

    #[test]
    fn one_more_authenticator_leaves_all_that_was_there_as_it_was() {
        let before = before();
        let fresh = (name("tablet"), totp(9), spent(99));
        let (id, rules) = (EnrollmentId::fresh([2; 8]), Rules::default());
        let new = Successor::new(decision(), id, Instead::Beside(&before), fresh, &rules, NOW);
        let names: Vec<&str> =
            new.record.authenticators.iter().map(|one| one.name.as_str()).collect();
        assert_eq!(names, ["phone", "token", "tablet"]);
        assert_eq!((&new.record.recovery, new.record.bypass), (&before.recovery, before.bypass));
        let state = new.beginning.state(Some(&old()));
        assert_eq!(floors(&state), [("phone", 5), ("token", 6), ("tablet", 99)]);
        assert_eq!(state.once, old().once);
        assert!(state.knows(&Origin::Caller(7), NOW));
        for code in &before.recovery.unwrap().codes {
            assert!(new.beginning.state(None).once.is_used(code.id()), "of a lost state");
        }
    }

    #[test]
    fn a_secret_that_was_there_before_keeps_what_it_has_spent() {
        let before = before();
        let (id, rules) = (EnrollmentId::fresh([2; 8]), Rules::default());
        for floor in [1, 99] {
            let fresh = (name("phone"), totp(2), spent(floor));
            let new = Successor::new(decision(), id, Instead::OfAll(&before), fresh, &rules, NOW);
            assert_eq!(floors(&new.beginning.state(Some(&old()))), [("phone", floor.max(6))]);
        }
    }

    #[test]
    fn where_the_state_is_lost_what_is_kept_is_void_up_to_now() {
        let (before, token) = (before(), name("token"));
        let new = successor(Instead::Of(&before, &token));
        let state = new.beginning.state(None);
        let above = totp(1).step(NOW).0;
        assert!(matches!(floors(&state)[..], [("phone", f), ("token", 99)] if f > above));
        for code in &before.recovery.unwrap().codes {
            assert!(state.once.is_used(code.id()));
        }
        assert!(state.once.is_used(before.bypass.unwrap().code.id()));
    }

    #[test]
    fn whoever_lost_the_phone_starts_over() {
        let before = before();
        let new = successor(Instead::OfAll(&before));
        assert_eq!(new.record.authenticators.len(), 1);
        assert!(new.record.recovery.is_none() && new.record.bypass.is_none());
        let state = new.beginning.state(Some(&old()));
        assert_eq!(floors(&state), [("phone", 99)]);
        assert!(!state.knows(&Origin::Caller(7), NOW), "the thief's place, maybe");
        assert!(state.once.used.is_empty());
        assert_eq!(state.last_login, old().last_login);
    }
}
