//! The installation this run works on, with its store and permanent record open,
//! and who is meant by a name. Files are opened as the module opens them, so that what this command
//! accepts a login accepts, too.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use totp_core::evaluate::Rules;
use totp_core::name::UserName;
use totp_core::policy::{Config, ConfigError, Disabled};
use totp_core::record::Decision;
use totp_core::store::Found;
use totp_core::time::UnixTime;
use totp_store::accounts::{self, Account};
use totp_store::clock;
use totp_store::config::DEFAULT_PATH;
use totp_store::files::{Directory, Owner, Shared};
use totp_store::installation::Installation;
use totp_store::permanent::PermanentRecord;
use totp_store::store::{ByUid, Expected, FileStore};

use crate::cli::Global;
use crate::ui::{Advice, Ui, printable};

/// Where the configuration is.
pub fn config_path(global: &Global) -> PathBuf {
    global.config.clone().unwrap_or_else(|| DEFAULT_PATH.into())
}

/// The configuration that was named, by its absolute path.
pub fn named(global: &Global) -> Result<Option<PathBuf>> {
    global.config.as_deref().map(absolute).transpose()
}

/// What the configuration would be an installation of: one that is checked before it is installed.
pub fn installation_of(global: &Global, config: &Config) -> Result<Installation> {
    let path = absolute(&config_path(global))?;
    Ok(Installation::of(config.clone(), &path, Owner::ROOT))
}

fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).with_context(|| path.display().to_string())
}

/// What this run works on.
pub struct Site {
    installation: Installation,
    rules: Rules,
    store: FileStore,
    record: PermanentRecord,
}

impl Site {
    /// Reads the configuration, and says where the last good one stands in for it. Nothing else is opened yet.
    pub fn open(ui: &Ui, global: &Global) -> Result<Self> {
        must_be_root()?;
        let installation = Installation::open(named(global)?.as_deref(), Owner::ROOT)?;
        if let Some(warning) = installation.warning() {
            ui.warn(printable(&warning));
        }
        let rules = installation.config().rules().context("[guessing] is out of range")?;
        let (store, record) = (installation.store(), installation.audit_log());
        Ok(Self { installation, rules, store, record })
    }

    /// Everything else that the configuration names.
    pub fn installation(&self) -> &Installation {
        &self.installation
    }

    /// The settings.
    pub fn config(&self) -> &Config {
        self.installation.config()
    }

    /// What evaluating needs of them.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Records and states.
    pub fn store(&self) -> &FileStore {
        &self.store
    }

    /// The permanent record.
    pub fn record(&self) -> &PermanentRecord {
        &self.record
    }

    /// What the clock says.
    pub fn now(&self) -> UnixTime {
        clock::now()
    }

    /// Who is meant by `typed`: see [`Self::find`]. Where an account is enrolled under another name, by its uid, that name is to be
    /// given: a command changes nothing under a name that was not typed.
    pub fn known(&self, typed: &str) -> Result<Whom> {
        let whom = self.find(typed)?;
        self.not_under_another_name(&whom)?;
        Ok(whom)
    }

    /// As [`Self::known`], for a command that changes what is kept.
    pub fn to_change(&self, typed: &str) -> Result<Whom> {
        let whom = self.known(typed)?;
        self.not_anothers(&whom)?;
        Ok(whom)
    }

    /// Refuses where what is kept about `whom` is kept under another name.
    pub fn not_under_another_name(&self, whom: &Whom) -> Result<()> {
        let Some(kept) = self.kept_under(whom)? else { return Ok(()) };
        let account = accounts::account(kept.as_str())?;
        let is_an_alias = account.is_some_and(|account| Some(account.uid) == whom.uid());
        bail!(Advice::new(
            format!("{whom} is enrolled as {kept}, by the same uid"),
            if is_an_alias {
                format!("Give that name: {kept}")
            } else {
                format!("First: totp-admin rename {kept} {whom}")
            },
        ))
    }

    /// Refuses to enroll an account for itself that was renamed, and is enrolled by its former name. An alias of an account
    /// that still exists may have an enrollment of its own.
    pub fn not_renamed(&self, whom: &Whom) -> Result<()> {
        match self.kept_under(whom)? {
            Some(kept) if !is_an_account(&kept)? => self.not_under_another_name(whom),
            _ => Ok(()),
        }
    }

    /// The other name under which the enrollment of an account is kept: the one that a login finds by the uid.
    pub fn kept_under(&self, whom: &Whom) -> Result<Option<UserName>> {
        let Some(uid) = whom.uid() else { return Ok(None) };
        if self.store.expect(&whom.name)?.0 != Expected::Absent {
            return Ok(None);
        }
        Ok(match self.store.by_uid(&whom.name, uid)? {
            ByUid::One(name, _) => Some(name).filter(|name| *name != whom.name),
            ByUid::Nothing | ByUid::Disabled(_) | ByUid::Several(_) => None,
        })
    }

    /// The account of another name that has the uid for which something is kept under `whom`'s name, and nothing of its own name:
    /// `whom`'s account was renamed to it, or it was given the uid. Its logins find an enrollment by the uid.
    pub fn other_owner(&self, whom: &Whom) -> Result<Option<Account>> {
        let Some(uid) = self.store.kept_uid(&whom.name)? else { return Ok(None) };
        if whom.uid() == Some(uid) {
            return Ok(None);
        }
        let Some(account) = accounts::account_of(uid)? else { return Ok(None) };
        let has_its_own = self.store.expect(&account.name)?.0 != Expected::Absent;
        Ok(Some(account).filter(|account| account.name != whom.name && !has_its_own))
    }

    /// Refuses to change what belongs to an account of another name now. After the change that account's logins might find
    /// nothing by the uid, and would not be asked for a code.
    pub fn not_anothers(&self, whom: &Whom) -> Result<()> {
        match self.other_owner(whom)? {
            Some(owner) => Err(self.is_anothers(whom, &owner)?.into()),
            None => Ok(()),
        }
    }

    /// That what is kept about `whom` is `owner`'s, and what is to be done first.
    pub fn is_anothers(&self, whom: &Whom, owner: &Account) -> Result<Advice> {
        let (uid, new) = (owner.uid, printable(owner.name.as_str()));
        let rename = format!("totp-admin rename {whom} {new}");
        let advice = match self.store.expect(&whom.name)?.0 {
            Expected::Unusable => format!(
                "A record that cannot be used cannot be renamed: totp-admin remove {whom}; then: totp-admin enroll {new}"
            ),
            Expected::Disabled if !self.switched_off_is_denied() => {
                format!("To disable {new}: {rename}; to erase the marker: totp-admin remove {whom}")
            }
            // After a directory has changed uids, the uid may be a person's who has nothing to do with it.
            _ if whom.account.is_some() => {
                format!("First: {rename}; if {new} is another person: totp-admin enroll {new}")
            }
            _ => {
                format!("First: {rename}; if {new} is another person, then: totp-admin reset {new}")
            }
        };
        let what = format!("what is kept about {whom} is for uid {uid}, which {new} has now");
        Ok(Advice::new(what, advice))
    }

    /// Refuses to enroll a name without an account over what is kept for a uid. The uid would stay, so that no change takes an
    /// account's second factor away, and a login of a name without an account is refused then.
    pub fn not_for_an_account(&self, whom: &Whom) -> Result<()> {
        match self.store.kept_uid(&whom.name)? {
            Some(uid) if whom.account.is_none() => bail!(Advice::new(
                format!("what is kept about {whom} is for an account with uid {uid}"),
                format!("To erase it first: totp-admin remove {whom}"),
            )),
            _ => Ok(()),
        }
    }

    /// Who is meant by `typed`: see [`Self::meant`]. Somebody about whom nothing is known is an error.
    pub fn find(&self, typed: &str) -> Result<Whom> {
        let whom = self.meant(typed)?;
        if whom.account.is_some() || self.keeps_something(&whom.name) {
            return Ok(whom);
        }
        bail!(Advice::new(
            format!("there is no user {}", printable(typed)),
            "Look at the spelling; totp-admin list shows whom something is known about.",
        ))
    }

    /// Who is meant by `typed`: an account by the name the name service gives it; an account that is gone; else
    /// the name of somebody without one. That is folded, and whatever it is then, an account goes by it too: nobody's
    /// own second factor is somebody else's because the name was typed in capitals.
    pub fn meant(&self, typed: &str) -> Result<Whom> {
        if let Some(account) = accounts::account(typed)? {
            return Ok(Whom::of(account));
        }
        let gone = UserName::new(typed).with_context(|| printable(typed))?;
        if self.keeps_something(&gone) {
            return Ok(Whom { name: gone, account: None });
        }
        let name = UserName::without_account(typed).with_context(|| printable(typed))?;
        let account = accounts::account(name.as_str())?;
        Ok(account.map_or(Whom { name, account: None }, Whom::of))
    }

    /// The user under exactly this name, if something is kept there, whatever the name service makes of it.
    pub fn kept_as(&self, typed: &str) -> Result<Option<Whom>> {
        let Ok(name) = UserName::new(typed) else { return Ok(None) };
        if !self.keeps_something(&name) {
            return Ok(None);
        }
        let account = accounts::account(typed)?.filter(|account| account.name == name);
        Ok(Some(Whom { name, account }))
    }

    /// A record that can't be read is something, too, and its fault is the command's to tell.
    fn keeps_something(&self, name: &UserName) -> bool {
        !matches!(self.store.inspect(name).map(|found| found.found), Ok(Found::Absent))
    }

    /// Who is to be enrolled: an account, or, where `no_account` says so, a name that is none.
    pub fn to_enroll(&self, typed: &str, no_account: bool) -> Result<Whom> {
        if !no_account {
            let advice = "Look at the spelling; --no-account enrolls a name that is no account of this system.";
            let none = || Advice::new(format!("there is no account {}", printable(typed)), advice);
            return Ok(accounts::account(typed)?.map(Whom::of).ok_or_else(none)?);
        }
        let name = UserName::without_account(typed).with_context(|| printable(typed))?;
        for one in [typed, name.as_str()] {
            if let Some(account) = accounts::account(one)? {
                bail!(Advice::new(
                    format!("{} is an account of this system", account.name),
                    "Leave --no-account out.",
                ));
            }
        }
        Ok(Whom { name, account: None })
    }

    /// Whether being switched off keeps somebody out, at any service.
    pub fn switched_off_is_denied(&self) -> bool {
        let services = self.config().service.keys().map(String::as_str);
        std::iter::once("")
            .chain(services)
            .any(|service| self.config().policy(service).disabled == Disabled::Denied)
    }
}

/// Whether there is an account that the name service calls so.
fn is_an_account(name: &UserName) -> Result<bool> {
    Ok(accounts::account(name.as_str())?.is_some_and(|account| account.name == *name))
}

/// A user.
#[derive(Clone, Debug)]
pub struct Whom {
    /// The name under which everything is kept.
    pub name: UserName,
    /// The account; none where there is none, or none any more.
    pub account: Option<Account>,
}

impl Whom {
    pub fn of(account: Account) -> Self {
        Self { name: account.name.clone(), account: Some(account) }
    }

    /// What enrolls them, for advice.
    pub fn enroll_command(&self) -> String {
        let option = if self.account.is_some() { "" } else { " --no-account" };
        format!("totp-admin enroll {self}{option}")
    }

    /// Whether `decision` is about another account that had this name before.
    pub fn took_the_name_over(&self, decision: &Decision) -> bool {
        matches!((decision.uid, self.uid()), (Some(then), Some(now)) if then != now)
    }

    /// The account's uid.
    pub fn uid(&self) -> Option<u32> {
        self.account.as_ref().map(|account| account.uid)
    }
}

impl std::fmt::Display for Whom {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&printable(self.name.as_str()))
    }
}

/// A text that is a valid configuration.
pub struct Settings {
    /// As it stands in the file.
    pub text: String,
    /// What it says.
    pub config: Config,
}

impl Settings {
    /// Checks a text.
    pub fn parse(text: String) -> Result<Self, ConfigError> {
        let config = Config::parse(&text)?;
        Ok(Self { text, config })
    }
}

/// The configuration's file.
pub struct ConfigFile {
    /// Where it is.
    pub path: PathBuf,
    /// What stands in it; `None` where it is proven absent.
    pub text: Option<String>,
    directory: Directory,
    name: String,
}

impl ConfigFile {
    /// Opens it as the module does: root's, and not writable by others.
    pub fn open(path: &Path) -> Result<Self> {
        let path = absolute(path)?;
        let parts = path.parent().zip(path.file_name().and_then(|name| name.to_str()));
        let (above, name) = parts.with_context(|| format!("{}: not a file", path.display()))?;
        let directory = Directory::open(above, Owner::ROOT, Shared::Readable)?;
        let text = totp_store::config::text(&path, Owner::ROOT)?;
        Ok(Self { name: name.to_owned(), text, directory, path: path.clone() })
    }

    /// Puts `text` in the place of the file, in one step; who could read it still can.
    pub fn replace(&self, text: &str) -> Result<()> {
        use std::os::unix::fs::PermissionsExt as _;
        let before = std::fs::metadata(&self.path).ok().filter(|_| self.text.is_some());
        let mode = before.map_or(0o600, |found| found.permissions().mode() & 0o644);
        Ok(self.directory.replace_with_mode(&self.name, text.as_bytes(), mode)?)
    }
}

/// Records and states are root's alone.
pub fn must_be_root() -> Result<()> {
    if nix::unistd::Uid::effective().is_root() {
        return Ok(());
    }
    bail!(Advice::new("only root can administer second factors", "Run it with sudo."))
}
