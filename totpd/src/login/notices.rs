//! Shows login notices, and what an administrator is warned of. Under sshd the session does it: what account says is shown twice
//! where there is a terminal, and what a session says nowhere but on one. Elsewhere account does it.
//!
//! No login depends on it.

use totp_core::name::UserName;
use totp_core::policy::Messages;
use totp_store::files::{FileError, Owner};
use totp_store::installation::Installation;
use totp_store::notices::{Login, Waiting};
use totp_store::{accounts, clock};

use super::arguments::Arguments;
use super::configuration::{self, arguments};
use super::facts::Facts;
use super::host::{Host, Priority, ReturnCode, Style};
use super::mark::Mark;
use super::{Decision, Logins, kept, person};
use crate::request::Request;

/// The session hook. It leaves no mark and fails no login, whatever happens.
pub(crate) fn open_session(host: &mut dyn Host, request: &Request, logins: &Logins) -> Decision {
    let facts = Facts::of(request);
    // A program of a user's own is shown nothing: what it reads out may be another user's screen.
    if request.caller.is_root() && !request.is_silent && facts.is_sshd() {
        // An error is in the log by now.
        if let Ok(arguments) = arguments(host, request)
            && let Err(error) = show_in_session(host, request, &facts, &arguments, logins)
        {
            not_shown(host, &error);
        }
    }
    Decision::unmarked(ReturnCode::Ignore)
}

/// Behind a login that was not challenged: that the second factor was disabled must reach its user.
pub(crate) fn show_unchallenged(
    host: &mut dyn Host,
    request: &Request,
    arguments: &Arguments,
    logins: &Logins,
    mark: &Mark,
) {
    let facts = Facts::of(request);
    if facts.is_sshd() || facts.messages() == Messages::Nowhere {
        return;
    }
    match open(arguments, logins) {
        Ok(site) => of_mark(&site, &facts, mark).show(host),
        Err(error) => not_shown(host, &error),
    }
}

/// What there is to show at a login that auth has let pass.
pub(crate) fn of_mark<'a>(site: &'a Installation, facts: &'a Facts, mark: &'a Mark) -> Notices<'a> {
    Notices { site, facts, user: &mark.user, kept: mark.kept(), uid: mark.uid }
}

fn show_in_session(
    host: &mut dyn Host,
    request: &Request,
    facts: &Facts,
    arguments: &Arguments,
    logins: &Logins,
) -> Result<(), String> {
    let site = open(arguments, logins)?;
    let named = person::named(&request.user).map_err(|error| error.to_string())?;
    let Some((user, uid)) = named else { return Ok(()) };
    let kept = kept::whose(&site.store(), &user, uid).map_err(|fault| fault.to_string())?;
    if let Some(kept) = kept {
        Notices { site: &site, facts, user: &user, kept: &kept, uid }.tell_all(host);
    }
    Ok(())
}

fn open(arguments: &Arguments, logins: &Logins) -> Result<Installation, String> {
    let named = configuration::named(arguments, logins);
    Installation::open(named, Owner::ROOT).map_err(|error| error.to_string())
}

fn not_shown(host: &dyn Host, error: &str) {
    host.log(Priority::Warning, &format!("{error}; login notices are not shown"));
}

/// What one user is shown at one login.
pub(crate) struct Notices<'a> {
    site: &'a Installation,
    facts: &'a Facts,
    /// What the account is called.
    user: &'a UserName,
    /// Under which name its notices are kept.
    kept: &'a UserName,
    uid: Option<u32>,
}

impl Notices<'_> {
    /// Shows them in account, where they reach the user and nothing else.
    pub(crate) fn show(&self, host: &mut dyn Host) {
        if !self.facts.is_sshd() && self.facts.messages() != Messages::Nowhere {
            self.tell_all(host);
        }
    }

    fn tell_all(&self, host: &mut dyn Host) {
        let style = self.facts.style();
        if let Some(warning) = self.site.warning().filter(|_| self.is_an_administrators()) {
            host.tell(style, &format!("pam-totp: {warning}"));
        }
        if let Err(error) = self.tell(host, style) {
            let line = format!("{error}; {} isn't shown what happened", self.kept);
            host.log(Priority::Warning, &line);
        }
    }

    fn tell(&self, host: &mut dyn Host, style: Style) -> Result<(), FileError> {
        let (notices, now) = (self.site.notices()?, clock::now());
        let waiting = notices.look(self.kept, now)?.without_own_of(&self.login(now));
        let Some(line) = waiting.summary(self.kept) else { return Ok(()) };
        // What a program refuses is there at the next login; what it takes is there for some days.
        if host.tell(style, &line) {
            self.note(host, &notices, &waiting);
        }
        Ok(())
    }

    fn note(&self, host: &dyn Host, notices: &totp_store::notices::Notices, shown: &Waiting) {
        if let Err(error) = notices.show(self.kept, shown, clock::now()) {
            let line = format!("{error}; {} is shown the same for longer", self.kept);
            host.log(Priority::Warning, &line);
        }
    }

    fn login(&self, now: totp_core::time::UnixTime) -> Login<'_> {
        let Facts { rhost, service, .. } = self.facts;
        Login { names: [self.user.as_str(), self.kept.as_str()], from: rhost, service, now }
    }

    /// Whether this is a login of root, or of a member of a group that usually may become root.
    fn is_an_administrators(&self) -> bool {
        let Some(uid) = self.uid else { return false };
        uid == 0
            || accounts::account_of(uid)
                .ok()
                .flatten()
                .is_some_and(|account| accounts::is_an_administrator(&account).unwrap_or_default())
    }
}
