//! The real Dovecot, as far as its authentication goes: `passdb pam`, asked by `doveadm auth test`.

use std::fs;

use super::{Running, add_account};
use crate::{House, eventually};

/// A running daemon. Its PAM service is `dovecot`.
#[derive(Debug)]
pub struct Dovecot<'a> {
    house: &'a House,
    running: Running,
}

impl<'a> Dovecot<'a> {
    /// Starts it.
    ///
    /// # Panics
    ///
    /// If it does not listen.
    #[must_use]
    pub fn start(house: &'a House) -> Self {
        add_account(house, "dovecot", 301);
        add_account(house, "dovenull", 302);
        fs::create_dir_all(house.path("/etc/dovecot")).unwrap();
        let settings = "base_dir = /run/dovecot\nstate_dir = /run/dovecot-state\nprotocols =\nlisten = 127.0.0.1\nssl = no\n\
             log_path = /var/log/dovecot.log\nauth_verbose = yes\nauth_debug = yes\nauth_failure_delay = 0\n\
             disable_plaintext_auth = no\n\
             passdb {\n driver = pam\n args = failure_show_msg=yes dovecot\n}\nuserdb {\n driver = passwd\n}\n";
        fs::write(house.path("/etc/dovecot/dovecot.conf"), settings).unwrap();
        let mut command = house.command("/usr/sbin/dovecot");
        command.args(["-F", "-c", "/etc/dovecot/dovecot.conf"]);
        let mut running = Running::start(house, "dovecot", command);
        eventually("dovecot listens", || {
            assert!(!running.has_ended(), "dovecot has ended: {}", running.output());
            house.path("/run/dovecot/auth-client").exists().then_some(())
        });
        Self { house, running }
    }

    /// Whether a client is let in.
    #[must_use]
    pub fn login(&self, user: &str, password: &str) -> bool {
        let output =
            self.house.attempt("doveadm", &["auth", "test", "-x", "service=imap", user, password]);
        output.status.success()
    }

    /// What it has said and logged.
    #[must_use]
    pub fn output(&self) -> String {
        let log = fs::read_to_string(self.house.path("/var/log/dovecot.log")).unwrap_or_default();
        self.running.output() + &log
    }
}
