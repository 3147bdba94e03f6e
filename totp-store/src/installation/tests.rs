//! What an installation opens, what it refuses, and which configuration is in force.

use std::fs;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};

use tempfile::TempDir;
use totp_core::event::EventKind;
use totp_core::name::UserName;
use totp_core::store::{FaultKind, Found, Store as _};
use totp_core::time::UnixTime;

use super::init::{Init, Means};
use super::*;
use crate::Wait;
use crate::permanent::Entry;

/// A file system of its own, as far as an installation goes.
pub(super) struct House {
    temp: TempDir,
    pub(super) places: Places,
}

pub(super) fn owner() -> Owner {
    Owner::this_process()
}

impl House {
    /// The directories that every system has; the configuration names all places.
    pub(super) fn new() -> Self {
        let temp = TempDir::new().unwrap();
        for name in ["etc", "var", "run"] {
            fs::DirBuilder::new().mode(0o755).create(temp.path().join(name)).unwrap();
        }
        let at = |name: &str| temp.path().join(name);
        let places = Places {
            config: at("etc/pam-totp/config.toml"),
            state_dir: at("var/lib"),
            run: at("run/pam-totp"),
        };
        let house = Self { temp, places };
        fs::DirBuilder::new().mode(0o755).create(house.path("etc/pam-totp")).unwrap();
        house.configure("");
        house
    }

    /// The same, made.
    pub(super) fn made() -> Self {
        let house = Self::new();
        assert_eq!(house.init(false).unwrap(), Means::New);
        house
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.temp.path().join(name)
    }

    pub(super) fn configure(&self, settings: &str) {
        let text = format!(
            "{settings}\n[paths]\nstate_dir = {:?}\nlog_file = {:?}\nrun_dir = {:?}\n",
            self.path("var/lib"),
            self.path("var/log/record"),
            self.path("run/pam-totp/state"),
        );
        self.write_config(&text);
    }

    pub(super) fn write_config(&self, text: &str) {
        fs::write(&self.places.config, text).unwrap();
    }

    pub(super) fn init(&self, adopt: bool) -> Result<Means, init::NotMade> {
        let init = Init::prepare(&self.places, None, owner(), adopt)?;
        init.make_directories()?;
        init.give_identity()?;
        Ok(init.means().clone())
    }

    pub(super) fn open(&self) -> Result<Installation, ConfigFault> {
        Installation::open_at(&self.places, None, owner())
    }

    /// A damaged enrollment is no absence either.
    pub(super) fn enroll(&self) {
        self.write("var/lib/users/alice.toml", "damaged");
    }

    pub(super) fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(0o600)).unwrap();
    }
}

pub(super) fn alice() -> UserName {
    UserName::new("alice").unwrap()
}

fn hosts(installation: &Installation) -> u64 {
    installation.config().guessing.hosts.get()
}

#[test]
fn everything_is_opened_where_the_identity_is_in_order() {
    let house = House::made();
    let installation = house.open().unwrap();
    assert_eq!(installation.check_identity(), Ok(()));
    assert_eq!(installation.problems(), []);
    assert!(matches!(installation.store().look(&alice()), Ok(Found::Absent)));
    let entry = Entry::new(UnixTime(7), EventKind::Enrolled);
    installation.audit_log().append(&entry, UnixTime(7), Wait::No).unwrap();
    installation.outbox().unwrap();
    installation.notices().unwrap();
    installation.remembered().read(&alice()).unwrap();
}

#[test]
fn nothing_is_opened_where_the_state_directory_is_another_one() {
    let house = House::made();
    house.write("var/lib/installation-id", "0123456789abcdef0123456789abcdef\n");
    let installation = house.open().unwrap();
    let fault = installation.store().look(&alice()).unwrap_err();
    assert_eq!(fault.kind, FaultKind::Unavailable);
    let entry = Entry::new(UnixTime(7), EventKind::Enrolled);
    let refusals = [
        fault.to_string(),
        installation.check_identity().unwrap_err().to_string(),
        installation.audit_log().append(&entry, UnixTime(7), Wait::No).unwrap_err().to_string(),
        installation.audit_log().read().map(drop).unwrap_err().to_string(),
        installation.outbox().unwrap_err().to_string(),
        installation.notices().unwrap_err().to_string(),
        installation.remembered().read(&alice()).unwrap_err().to_string(),
        installation.problems()[0].to_string(),
    ];
    for refusal in refusals {
        assert!(refusal.contains("not mounted?") && refusal.contains("etc/pam-totp"), "{refusal}");
    }
    assert!(!house.path("var/log/record").exists());
}

#[test]
fn nothing_is_made_by_opening_or_by_a_login() {
    let house = House::new();
    let installation = house.open().unwrap();
    assert!(installation.store().look(&alice()).is_err());
    assert!(installation.outbox().is_err());
    for name in ["var/lib", "var/log", "run/pam-totp"] {
        assert!(!house.path(name).exists(), "{name}");
    }
}

#[test]
fn with_a_configuration_of_its_own_the_remedy_names_it() {
    let house = House::new();
    let path = house.path("etc/other.toml");
    fs::copy(&house.places.config, &path).unwrap();
    let installation = Installation::open_at(&house.places, Some(&path), owner()).unwrap();
    house.init(false).unwrap();
    let error = installation.check_identity().unwrap_err().to_string();
    let remedy = format!("totp-admin init --config {} --adopt", path.display());
    assert!(error.ends_with(&remedy), "{error}");
}

#[test]
fn the_last_good_configuration_stands_in_for_one_that_cannot_be_used() {
    let house = House::made();
    house.configure("[guessing]\nhosts = 3");
    let installation = house.open().unwrap();
    assert_eq!((hosts(&installation), installation.in_force()), (3, &InForce::File));
    assert_eq!(installation.warning(), None);
    let text = fs::read_to_string(&house.places.config).unwrap();
    let cases: [(&str, &dyn Fn()); 3] = [
        ("line 1, column 9", &|| house.write_config("nonsense")),
        ("chmod 644", &|| {
            house.write_config(&text);
            let mode = fs::Permissions::from_mode(0o666);
            fs::set_permissions(&house.places.config, mode).unwrap();
        }),
        ("no such file; put it back (an empty file", &|| {
            fs::remove_file(&house.places.config).unwrap();
        }),
    ];
    for (why, spoil) in cases {
        spoil();
        let installation = house.open().unwrap();
        assert_eq!(hosts(&installation), 3, "{why}");
        let warning = installation.warning().unwrap();
        assert!(warning.contains(why), "{why}: {warning}");
        assert!(warning.ends_with("the last good configuration is in force"), "{warning}");
        assert_eq!(installation.check_identity(), Ok(()));
    }
}

#[test]
fn a_named_configuration_has_a_copy_of_its_own() {
    let house = House::made();
    let path = house.path("etc/pam-totp/other.toml");
    fs::write(&path, "[guessing]\nhosts = 5\n").unwrap();
    let open = || Installation::open_at(&house.places, Some(&path), owner());
    open().unwrap();
    house.open().unwrap();
    fs::remove_file(&path).unwrap();
    assert_eq!(hosts(&open().unwrap()), 5);
    assert_eq!(hosts(&house.open().unwrap()), 1);
}

#[test]
fn without_a_copy_the_fault_stays_the_fault() {
    let house = House::new();
    house.open().unwrap(); // no directory for a copy
    house.write_config("nonsense");
    let fault = house.open().unwrap_err().to_string();
    assert!(fault.contains("line 1") && fault.contains("config check"), "{fault}");
    let house = House::made();
    house.open().unwrap();
    let copies = fs::read_dir(house.path("var/lib/last-config")).unwrap();
    for copy in copies {
        fs::write(copy.unwrap().path(), "nonsense too").unwrap();
    }
    house.write_config("nonsense");
    assert!(house.open().is_err());
}

#[test]
fn a_default_configuration_that_never_was_there_stands_for_the_defaults() {
    let house = House::made();
    fs::remove_dir_all(house.path("var/lib/last-config")).unwrap();
    fs::DirBuilder::new().mode(0o700).create(house.path("var/lib/last-config")).unwrap();
    fs::remove_file(&house.places.config).unwrap();
    for _ in 0..2 {
        assert_eq!(house.open().unwrap().in_force(), &InForce::Defaults);
    }
    house.write_config("nonsense");
    let installation = house.open().unwrap();
    assert_eq!(installation.config(), &Config::default());
    assert!(installation.warning().is_some());
}

#[test]
fn a_configuration_that_was_there_is_not_replaced_by_the_defaults() {
    let house = House::made();
    house.configure("[guessing]\nhosts = 3");
    house.open().unwrap();
    fs::remove_file(&house.places.config).unwrap();
    for _ in 0..2 {
        assert_eq!(hosts(&house.open().unwrap()), 3);
    }
}

#[test]
fn what_another_process_loaded_in_between_is_not_what_loaded_last() {
    let house = House::made();
    let first = fs::read_to_string(&house.places.config).unwrap();
    house.open().unwrap();
    let copies = fs::read_dir(house.path("var/lib/last-config")).unwrap();
    let copy = copies.map(|copy| copy.unwrap().path()).next().unwrap();
    // As another process replaces it.
    house.write("var/lib/new", "[guessing]\nhosts = 7\n");
    fs::rename(house.path("var/lib/new"), &copy).unwrap();
    house.open().unwrap();
    assert_eq!(fs::read_to_string(&copy).unwrap(), first);
}

#[test]
fn a_copy_that_cannot_be_kept_stops_nothing() {
    let house = House::made();
    fs::remove_dir_all(house.path("var/lib/last-config")).unwrap();
    house.write("var/lib/last-config", "in its place");
    assert_eq!(house.open().unwrap().in_force(), &InForce::File);
}

#[test]
fn a_copy_that_others_could_have_made_is_not_used() {
    let house = House::made();
    house.open().unwrap();
    let directory = house.path("var/lib/last-config");
    fs::set_permissions(&directory, fs::Permissions::from_mode(0o770)).unwrap();
    house.write_config("nonsense");
    assert!(house.open().is_err());
}

#[test]
fn a_directory_that_a_login_could_not_use_is_named() {
    let house = House::new();
    let found = || -> Vec<PathBuf> {
        house.open().unwrap().problems().into_iter().map(|error| error.path).collect()
    };
    fs::remove_dir(house.path("run")).unwrap();
    assert_eq!(found(), ["var/lib", "var/log", "run"].map(|name| house.path(name)));
    fs::DirBuilder::new().mode(0o755).create(house.path("run")).unwrap();
    assert_eq!(found(), ["var/lib", "var/log"].map(|name| house.path(name)));
    house.init(false).unwrap();
    assert_eq!(found(), [] as [PathBuf; 0]);
    let chmod = |name: &str, mode| {
        fs::set_permissions(house.path(name), fs::Permissions::from_mode(mode)).unwrap();
    };
    chmod("var/lib/users", 0o755);
    house.write("var/log/record", "");
    chmod("var/log/record", 0o644);
    fs::remove_file(house.path("etc/pam-totp/installation-id")).unwrap();
    assert_eq!(
        found(),
        ["var/lib/installation-id", "var/lib/users", "var/log/record"].map(|name| house.path(name))
    );
}
