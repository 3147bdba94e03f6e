//! Has codes evaluated outside a login: by the same rules, under the same lock, and paid for from the same guess budget.

use anyhow::Result;
use totp_core::answer::Answer;
use totp_core::evaluate::{Attempt, First, Reason, Rules};
use totp_core::event::Place;
use totp_core::origin::Origin;
use totp_core::route::{Account, about_somebody_else};
use totp_core::search::Codebook;
use totp_core::store::{Change, FaultKind, Store as _, View};
use totp_store::entropy;

use crate::site::{Site, Whom};

/// What the state calls the service where these codes were entered.
const SERVICE: &str = "totp-admin";

/// What a code can be evaluated for.
pub type Rule<T> = fn(&Rules, &View, &Attempt<'_>) -> Change<T>;

/// Whose codes are evaluated, and where they come from.
pub struct Evaluation<'a> {
    pub site: &'a Site,
    pub whom: &'a Whom,
    /// Which half of the budget pays for single codes.
    pub origin: Origin,
    /// The address of who entered them.
    pub from: &'a str,
}

impl Evaluation<'_> {
    /// What becomes of these answers; committed before it is known.
    pub fn by<T>(&self, rule: Rule<T>, answers: &[Answer], first: Option<&First>) -> Result<T> {
        let (store, rules, now) = (self.site.store(), self.site.rules(), self.site.now());
        let codebook = Codebook::of(&store.look(&self.whom.name)?, answers, rules, now);
        let (place, entropy) = (Place::new(SERVICE, self.from), [random()?, random()?]);
        let account = self.whom.uid().map(|uid| Account { uid });
        let decided = store.transact(&self.whom.name, &|view| {
            let attempt = Attempt {
                answers,
                codebook: &codebook,
                first,
                origin: &self.origin,
                place: &place,
                now,
                entropy,
                // Under the lock: until then the enrollment may have become another account's.
                pretext: about_somebody_else(account.as_ref(), &view.found),
            };
            rule(rules, view, &attempt)
        })?;
        Ok(decided.into_outcome())
    }
}

/// Why no code of this user is accepted, where what is kept is about another account than the one of its name.
pub fn another_accounts(whom: &Whom, reason: Reason) -> Option<String> {
    match reason {
        Reason::NoAccount => Some(format!("{whom} was enrolled for an account that is gone")),
        Reason::Store(FaultKind::RecordRefused) => {
            Some(format!("{whom} was enrolled for another uid than the account has"))
        }
        _ => None,
    }
}

/// 64 random bits.
fn random() -> Result<u64> {
    Ok(u64::from_ne_bytes(entropy::bytes::<8>()?))
}
