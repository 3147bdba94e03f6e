//! Who acts, as the permanent record names it.

use std::fs;

use nix::unistd::{Uid, ttyname};

use crate::accounts;

/// Who did something, and from where; `None` is unknown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Actor {
    /// The account's name.
    pub name: Option<String>,
    /// The uid behind sudo, else the real uid.
    pub uid: Option<u32>,
    /// The uid this login session began with (`/proc/self/loginuid`), which su and sudo don't change. Root can set it.
    pub loginuid: Option<u32>,
    /// The real uid of the process.
    pub real_uid: Option<u32>,
    /// What `SUDO_UID` says, in a command of root's. The environment is the caller's.
    pub sudo_uid: Option<u32>,
    /// The terminal.
    pub tty: Option<String>,
    /// The address this login session came from.
    pub from: Option<String>,
}

impl Actor {
    /// Who runs this process. What the environment says comes as parameters, since only the administrator's command, and
    /// never a program that gives rights to its caller, may ask it: `sudo_uid` is `SUDO_UID` (believed where the
    /// real uid is root's), `from` an address.
    #[must_use]
    pub fn of_this_process(
        sudo_uid: Option<&str>,
        tty: Option<String>,
        from: Option<String>,
    ) -> Self {
        let real = Uid::current();
        let behind_sudo = sudo_uid.filter(|_| real.is_root()).and_then(|uid| uid.parse().ok());
        let uid = behind_sudo.unwrap_or(real.as_raw());
        let loginuid = login_uid();
        // A name that can't be looked up leaves the numbers, which are what counts.
        let account = accounts::account_of(loginuid.unwrap_or(uid)).ok().flatten();
        let name = account.map(|account| account.name.as_str().to_owned());
        let (uid, real_uid) = (Some(uid), Some(real.as_raw()));
        Self { name, uid, loginuid, real_uid, sudo_uid: behind_sudo, tty, from }
    }

    /// Whose own account is at stake when this actor changes it: the login uid, else the uid behind sudo, else the real
    /// uid. A root shell without a login behind it is nobody's.
    #[must_use]
    pub fn person(&self) -> Option<u32> {
        self.loginuid.or(self.uid.filter(|&uid| uid != 0))
    }
}

/// The terminal of this process, `/dev/pts/3` say, by its standard descriptors.
#[must_use]
pub fn terminal() -> Option<String> {
    let path = ttyname(std::io::stdin())
        .or_else(|_| ttyname(std::io::stderr()))
        .or_else(|_| ttyname(std::io::stdout()));
    path.ok()?.into_os_string().into_string().ok()
}

/// The uid that this login session began with; `None` where it never was set, as in sshd itself.
#[must_use]
pub fn login_uid() -> Option<u32> {
    parse_login_uid(&fs::read_to_string("/proc/self/loginuid").ok()?)
}

/// What was never set reads as 4294967295, (uid_t) -1.
fn parse_login_uid(text: &str) -> Option<u32> {
    text.trim_end().parse().ok().filter(|&uid| uid != u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_uid_that_was_never_set_is_unknown() {
        assert_eq!(parse_login_uid("4294967295"), None);
        assert_eq!(parse_login_uid("1000\n"), Some(1000));
        assert_eq!(parse_login_uid(""), None);
    }

    #[test]
    fn the_uid_behind_sudo_is_believed_from_root_alone() {
        let actor = Actor::of_this_process(Some("4242"), None, None);
        let expected = if Uid::current().is_root() { 4242 } else { Uid::current().as_raw() };
        assert_eq!(actor.uid, Some(expected));
        assert_eq!(actor.real_uid, Some(Uid::current().as_raw()), "whatever the environment says");
        assert_eq!(actor.sudo_uid, Some(4242).filter(|_| Uid::current().is_root()));
        let actor = Actor::of_this_process(Some("not a number"), None, None);
        assert_eq!(actor.uid, Some(Uid::current().as_raw()));
        assert_eq!(actor.sudo_uid, None);
    }

    #[test]
    fn who_logged_in_counts_whoever_sudo_says_it_is() {
        let actor = Actor { uid: Some(2000), loginuid: Some(1000), ..Actor::default() };
        assert_eq!(actor.person(), Some(1000));
    }

    #[test]
    fn a_root_shell_without_a_login_is_nobodys_own() {
        let actor = |uid, loginuid| Actor { uid, loginuid, ..Actor::default() };
        assert_eq!(actor(Some(0), None).person(), None);
        assert_eq!(actor(Some(0), Some(1000)).person(), Some(1000));
        assert_eq!(actor(Some(1000), None).person(), Some(1000));
        assert_eq!(actor(Some(0), Some(0)).person(), Some(0));
    }
}
