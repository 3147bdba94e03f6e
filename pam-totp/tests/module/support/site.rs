//! An installation in a directory of its own: configuration, records, states, permanent record.

use std::fs;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::PathBuf;

use nix::unistd;
use tempfile::TempDir;
use totp_core::otp::Totp;
use totp_core::record::{self, Entry};
use totp_core::state::{Spent, State, TotpSpent};
use totp_core::time::Step;
use totp_store::clock;
use totp_store::files::Owner;
use totp_store::store::{Expected, FileStore};

/// The secret of RFC 6238's test vectors.
const ALICE: &str = r#"version = 1
status = "enrolled"
user = "alice"
since = "2026-03-02T10:00:00Z"
by = "carol"
seq = 1
enrollment = "0011223344556677"

[[authenticator]]
name = "phone"
kind = "totp"
added = "2026-03-02T10:00:00Z"
secret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
algorithm = "sha1"
digits = 6
period = 30
"#;

/// One installation. Its users have no accounts.
pub struct Site {
    directory: TempDir,
}

impl Site {
    /// Nobody is enrolled. `None` where this process isn't root, whose the files must be.
    pub fn new() -> Option<Self> {
        if !unistd::geteuid().is_root() {
            return None;
        }
        let directory = tempfile::tempdir().expect("a temporary directory");
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).expect("chmod");
        let site = Self { directory };
        for private in
            ["state", "state/users", "state/state", "state/outbox", "state/notices", "run", "log"]
        {
            fs::DirBuilder::new().mode(0o700).create(site.path(private)).expect("mkdir");
        }
        site.configure("");
        Some(site)
    }

    /// A path in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Writes the configuration: `keys`, and where everything is.
    pub fn configure(&self, keys: &str) {
        let root = self.directory.path().display();
        let paths = format!(
            "[paths]\nstate_dir = \"{root}/state\"\nrun_dir = \"{root}/run\"\n\
             log_file = \"{root}/log/notifications.jsonl\"\n"
        );
        let path = self.path("config.toml");
        fs::write(&path, format!("{keys}\n{paths}")).expect("writing the configuration");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("chmod");
    }

    /// The module's line: `auth required pam_totp.so config=... ARGUMENTS`.
    pub fn line(&self, arguments: &str) -> String {
        format!("auth required MODULE config={} {arguments}", self.path("config.toml").display())
    }

    /// Enrolls alice.
    pub fn enroll_alice(&self) {
        let Ok(Entry::Enrolled(record)) = record::parse(ALICE) else { panic!("the record") };
        let name = record.authenticators.first().expect("a phone").name.clone();
        let enrollment = record.enrollment;
        let first = move |_: Option<&State>| {
            let spent = vec![(name.clone(), Spent::Totp(TotpSpent::default()))];
            State::new(enrollment, 0, spent)
        };
        let store = FileStore::new(&self.path("state"), &self.path("run"), Owner::ROOT);
        store.install(record, Expected::Absent, &first).expect("enrolling");
    }
}

/// What alice's phone shows now.
pub fn code() -> String {
    with_totp(|totp, now| totp.code_text(now).to_string())
}

/// A code that is good nowhere near.
pub fn wrong_code() -> String {
    with_totp(|totp, now| {
        let near: Vec<String> = (now.0.saturating_sub(40)..now.0.saturating_add(40))
            .map(|step| totp.code_text(Step(step)).to_string())
            .collect();
        let candidates = (0..1000).map(|n| format!("{n:06}"));
        candidates.into_iter().find(|code| !near.contains(code)).expect("a wrong code")
    })
}

fn with_totp<T>(f: impl Fn(&Totp, Step) -> T) -> T {
    let Ok(Entry::Enrolled(record)) = record::parse(ALICE) else { panic!("the record") };
    let totp = record.authenticators.first().expect("a phone").kind.totp();
    f(totp, totp.step(clock::now()))
}
