//! A house for one test: a configuration with its own directories, and the command run against it. As root,
//! whose files the command wants; nothing of the real installation is read or written.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use assert_cmd::Command;
use serde_json::Value;
use tempfile::TempDir;
use totp_core::otp::{Algorithm, Digits, Totp};
use totp_core::secret::Secret;
use totp_core::time::{Period, UnixTime};

/// The secret of RFC 6238's test vectors, in base32.
pub const SECRET: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

/// The command that was built for this test.
pub const COMMAND: &str = env!("CARGO_BIN_EXE_totp-admin");

/// Tells env(1) to let signals do what they do by default: what a script runs in the background has Ctrl-C ignored.
pub const DEFAULT_SIGNALS: &str = "--default-signal=HUP,INT,QUIT,TERM";

/// An account that every system has, without a shell.
pub const USER: &str = "daemon";
/// Another.
pub const OTHER: &str = "bin";

/// Makes this thread, and all that it starts, as if nobody had logged in: the login uid counts as that of whoever acts,
/// and would be that of the person at the test.
fn forget_who_logged_in() {
    const FILE: &str = "/proc/thread-self/loginuid";
    const NOBODY: &str = "4294967295";
    if fs::read_to_string(FILE).is_ok_and(|uid| uid.trim_end() != NOBODY) {
        fs::write(FILE, NOBODY)
            .expect("the login uid can be unset (else: systemd-run --pty make test)");
    }
}

pub struct House {
    dir: TempDir,
}

impl House {
    /// An installation as `init` makes it, with `settings` in the configuration; `None` without root.
    pub fn new(settings: &str) -> Option<Self> {
        let house = Self::unmade(settings)?;
        house.run(&["init"]).done();
        Some(house)
    }

    /// A configuration, and nothing of what it names.
    pub fn unmade(settings: &str) -> Option<Self> {
        if !nix::unistd::Uid::effective().is_root() {
            return None;
        }
        forget_who_logged_in();
        // Not below TMPDIR: every directory above must be root's alone or sticky.
        let house = Self { dir: tempfile::Builder::new().prefix("totp-admin-").tempdir().unwrap() };
        house.configure(settings);
        Some(house)
    }

    pub fn configure(&self, settings: &str) {
        let paths = format!(
            "[paths]\nstate_dir = {:?}\nlog_file = {:?}\nrun_dir = {:?}\n",
            self.path("state"),
            self.path("log/notifications.jsonl"),
            self.path("run"),
        );
        // No test hands mail to the machine it runs on.
        let mail = format!("[mail]\nsendmail = {:?}\n", self.path("no-sendmail"));
        let mail = if settings.contains("[mail]") { "" } else { &mail };
        fs::write(self.config(), format!("{settings}\n{mail}{paths}")).unwrap();
        fs::set_permissions(self.config(), fs::Permissions::from_mode(0o600)).unwrap();
    }

    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn config(&self) -> PathBuf {
        self.path("config.toml")
    }

    /// The command, without what the environment of the test run would make it say.
    pub fn run(&self, args: &[&str]) -> Output {
        self.run_with(args, "", &[])
    }

    pub fn run_with(&self, args: &[&str], stdin: &str, env: &[(&str, &str)]) -> Output {
        let mut command = Command::new(COMMAND);
        command.env_clear().env("TZ", "UTC").env("LC_ALL", "C.UTF-8").envs(env.iter().copied());
        command.arg("--config").arg(self.config()).args(args).write_stdin(stdin);
        let output = command.output().unwrap();
        Output {
            code: output.status.code().unwrap(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Has a code evaluated.
    pub fn verify(&self, user: &str, code: &str) -> Output {
        self.run_with(&["verify", user], &format!("{code}\n"), &[])
    }

    /// The same as a document: the word for what a login would come to.
    pub fn verified(&self, user: &str, code: &str) -> String {
        let output = self.run_with(&["verify", user, "--json"], &format!("{code}\n"), &[]);
        output.json()["result"].as_str().unwrap().to_owned()
    }

    /// Has a clock set by two codes.
    pub fn resync(&self, user: &str, codes: [&str; 2], more: &[&str]) -> Output {
        let args = [&["resync", user], more].concat();
        self.run_with(&args, &format!("{}\n{}\n", codes[0], codes[1]), &[])
    }

    /// Enrolls with [`SECRET`], unconfirmed.
    pub fn enroll(&self, user: &str) {
        self.enroll_with(user, SECRET, &[]);
    }

    /// Enrolls with `secret`, unconfirmed, and whatever else is said.
    pub fn enroll_with(&self, user: &str, secret: &str, more: &[&str]) {
        let args = [&["enroll", user, "--secret-file", "-", "--no-confirm"], more].concat();
        self.run_with(&args, secret, &[]).done();
    }

    /// The lines of the permanent record.
    pub fn record(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.path("log/notifications.jsonl")).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The events of the permanent record, without those of `verify`, by which many tests look at what has become of a code.
    pub fn events(&self) -> Vec<String> {
        let record = self.record();
        let events = record.iter().map(|line| line["event"].as_str().unwrap().to_owned());
        events.filter(|event| event != "verified").collect()
    }

    /// A user's record file.
    pub fn file_of(&self, user: &str) -> PathBuf {
        self.path(format!("state/users/{user}.toml"))
    }
}

/// What a run left behind.
pub struct Output {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Output {
    #[track_caller]
    pub fn done(self) -> Self {
        assert_eq!(self.code, 0, "out: {}\nerr: {}", self.out, self.err);
        self
    }

    /// Failed with an error that contains every one of `words`, and no result.
    #[track_caller]
    pub fn refused(self, words: &[&str]) -> Self {
        assert_eq!(self.code, 1, "out: {}\nerr: {}", self.out, self.err);
        for word in words {
            assert!(self.err.contains(word), "{word:?} is not in: {}", self.err);
        }
        self
    }

    #[track_caller]
    pub fn wrong_usage(self) -> Self {
        assert_eq!((self.code, self.out.as_str()), (2, ""), "err: {}", self.err);
        assert!(!self.err.is_empty());
        self
    }

    /// Standard output as the one document it must be.
    #[track_caller]
    pub fn json(&self) -> Value {
        assert!(
            self.out.ends_with('\n') && self.out.trim_end().lines().count() == 1,
            "{}",
            self.out
        );
        serde_json::from_str(&self.out).unwrap()
    }
}

/// What the system's clock says.
#[allow(clippy::disallowed_methods)] // a phone has a clock of its own
pub fn now() -> UnixTime {
    UnixTime(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs())
}

/// An app with the usual settings.
pub fn app(secret: &str) -> Totp {
    Totp {
        secret: Secret::from_base32(secret).unwrap(),
        algorithm: Algorithm::Sha1,
        digits: Digits::Six,
        period: Period::DEFAULT,
    }
}

/// The code that an app shows `ahead` seconds from now. Where the step is about to end, waits for the
/// next one: a test must not run across the border.
pub fn code(secret: &str, ahead: i64) -> String {
    while Period::DEFAULT.seconds_left(now()) <= 3 {
        std::thread::sleep(std::time::Duration::from_millis(200));
    }
    let at = UnixTime(now().0.saturating_add_signed(ahead));
    let app = app(secret);
    app.code_text(app.step(at)).as_str().to_owned()
}

/// The code `ahead` seconds from now and the one after it, of the same moment.
pub fn two_codes(secret: &str, ahead: i64) -> (String, String) {
    let first = code(secret, ahead);
    let app = app(secret);
    let around = app.step(UnixTime(now().0.saturating_add_signed(ahead)));
    let place =
        (-1..=1).map(|n| around.moved(n)).find(|step| app.code_text(*step).as_str() == first);
    (first, app.code_text(place.unwrap().moved(1)).as_str().to_owned())
}

/// A code that is none of a day around now.
pub fn wrong_code(secret: &str) -> String {
    let app = app(secret);
    let step = app.step(now());
    let near = app.codes(step.moved(-3000), step.moved(3000));
    let wrong = (0..1_000_000).find(|code| !near.contains(code)).unwrap();
    format!("{wrong:06}")
}
