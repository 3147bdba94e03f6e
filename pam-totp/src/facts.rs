//! Where a login comes from: collected once at the beginning of auth, decided upon elsewhere.

use nix::unistd;
use totp_core::event::Place;
use totp_core::origin::Origin;
use totp_core::remembered::Fingerprint;

use crate::host::Host;
use crate::ssh_auth_info;

/// What the program and the kernel say about this login, as they say it. What is not UTF-8 has U+FFFD in
/// its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Facts {
    /// The name of the service, `sshd`.
    pub(crate) service: String,
    /// The other end: an address, a name, or empty.
    pub(crate) rhost: String,
    /// The terminal; `ssh` under sshd.
    pub(crate) tty: String,
    /// Who asks, as the program says.
    pub(crate) ruser: String,
    /// The real uid of the process: under su and sudo, the caller's.
    pub(crate) uid: u32,
    /// The effective uid of the process.
    pub(crate) euid: u32,
    /// The key sshd has verified, out of PAM's environment.
    pub(crate) key: Option<Fingerprint>,
}

impl Facts {
    /// Asks the host and the kernel.
    pub(crate) fn collect(host: &dyn Host) -> Self {
        let info = host.pam_env(c"SSH_AUTH_INFO_0");
        Self {
            service: text(&host.service()),
            rhost: text(&host.rhost()),
            tty: text(&host.tty()),
            ruser: text(&host.ruser()),
            uid: unistd::getuid().as_raw(),
            euid: unistd::geteuid().as_raw(),
            key: info.and_then(|info| ssh_auth_info::verified_key(&info)),
        }
    }

    /// As the guess budget tells places apart.
    pub(crate) fn origin(&self) -> Origin {
        Origin::new(self.key.map(|key| key.0), &self.rhost, self.uid)
    }

    /// As people are told.
    pub(crate) fn place(&self) -> Place {
        Place::new(&self.service, &self.rhost)
    }
}

/// Lossy, so that one odd byte keeps nobody out and nothing is left out of the log.
pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::script::Script;

    #[test]
    fn an_address_or_the_caller_is_the_origin() {
        let facts = Facts::collect(&Script::sshd(&[]));
        assert_eq!(facts.origin(), Origin::new(None, "192.0.2.99", 0));
        let local = Facts { rhost: String::new(), uid: 1001, ..facts };
        assert_eq!(local.origin(), Origin::Caller(1001));
    }

    #[test]
    fn what_is_not_utf_8_is_still_text() {
        assert_eq!(text(b"a\xffb"), "a\u{fffd}b");
    }
}
