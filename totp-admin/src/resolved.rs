//! The policy of one service with its names looked up once, to say of many users what a login would do.

use anyhow::Result;
use totp_core::policy::{Config, Policy};
use totp_core::route::{Account, Facts, Route, route};
use totp_core::store::Found;
use totp_store::clock;
use totp_store::coverage::{self, Resolved};

use crate::site::Whom;

/// As [`Policy`], with whom its lists mean.
pub struct ResolvedPolicy {
    /// What is not about names.
    pub policy: Policy,
    exempt: Resolved,
    required: Resolved,
}

impl ResolvedPolicy {
    /// Looks up the names in the policy of `service`.
    pub fn of(config: &Config, service: &str) -> Result<Self> {
        Ok(Self {
            policy: config.policy(service),
            exempt: coverage::exempt(config, service)?,
            required: coverage::required(config, service)?,
        })
    }

    /// What becomes of a login without a remote host about whose user `found` is decided.
    pub fn route(&self, whom: &Whom, found: &Found) -> Result<Route> {
        let account = whom.account.as_ref();
        let facts = Facts {
            user: whom.name.clone(),
            account: account.map(|account| Account { uid: account.uid }),
            exempt: self.exempt.coverage(account)?,
            required: Some(self.required.coverage(account)?),
            rhost: String::new(),
            nullok: false,
            now: clock::now(),
        };
        Ok(route(&self.policy, &facts, found))
    }

    /// Whether a login of the user is asked for a code that there is none of.
    pub fn locks_out(&self, whom: &Whom, found: &Found) -> Result<bool> {
        Ok(matches!(self.route(whom, found)?, Route::Ask { pretext: Some(_) }))
    }
}
