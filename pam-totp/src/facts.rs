//! Who asks, and from where: collected once at the beginning of auth, decided upon elsewhere.

use nix::unistd;

use crate::host::Host;
use crate::ssh_auth_info;

/// What the program and the kernel say about this login, as they say it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Facts {
    /// The name of the service, `sshd`.
    pub(crate) service: Vec<u8>,
    /// The other end: an address, a name, or empty.
    pub(crate) rhost: Vec<u8>,
    /// The terminal; `ssh` under sshd.
    pub(crate) tty: Vec<u8>,
    /// Who asks, as the program says.
    pub(crate) ruser: Vec<u8>,
    /// The real uid of the process: under su and sudo, the caller's.
    pub(crate) uid: u32,
    /// The effective uid of the process.
    pub(crate) euid: u32,
    /// The key sshd has verified: its SHA-256 fingerprint.
    pub(crate) key: Option<[u8; 32]>,
}

impl Facts {
    /// Asks the host and the kernel.
    pub(crate) fn collect(host: &dyn Host) -> Self {
        Self {
            service: host.service(),
            rhost: host.rhost(),
            tty: host.tty(),
            ruser: host.ruser(),
            uid: unistd::getuid().as_raw(),
            euid: unistd::geteuid().as_raw(),
            key: host
                .pam_env(c"SSH_AUTH_INFO_0")
                .and_then(|info| ssh_auth_info::verified_key(&info)),
        }
    }
}
