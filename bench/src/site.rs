//! The same people enrolled with all modules under the same keys: what one machine would have on its
//! disk, several times beside each other, so that there are codes enough without waiting for them.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use data_encoding::{BASE32_NOPAD, HEXLOWER};
use pam_totp_tests::{House, Phone};

use crate::client::Login;
use crate::purse::{Purse, unix_time};
use crate::volume::Volume;

/// Of how many names one file is the other one's, where nobody opens it: ext4 allows 65,000.
const NAMES_A_FILE: usize = 1_000;

/// Whose module answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Module {
    /// The module of this project, with the daemon.
    Ours,
    /// The same where no daemon answers: it starts `totpd --once`.
    Once,
    /// google-authenticator's with `-t -d -w 3`: by time, no code twice, one step to either side.
    Google,
    /// The same with `-r 3 -R 30`: at most three logins in half a minute.
    GoogleLimited,
    /// `pam_oath`.
    Oath,
    /// The module that asks and lets everybody in.
    Empty,
}

impl Module {
    /// All there are.
    const ALL: [Self; 6] =
        [Self::Ours, Self::Once, Self::Google, Self::GoogleLimited, Self::Oath, Self::Empty];

    /// What it is called in tables.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Ours => "pam_totp + totpd",
            Self::Once => "pam_totp + totpd --once",
            Self::Google => "google-authenticator",
            Self::GoogleLimited => "the same, rate limit",
            Self::Oath => "pam_oath",
            Self::Empty => "empty module",
        }
    }

    fn service(self, site: &str) -> String {
        match self {
            Self::Ours => format!("ours-{site}"),
            Self::Once => format!("once-{site}"),
            Self::Google => format!("google-{site}"),
            Self::GoogleLimited => format!("limited-{site}"),
            Self::Oath => format!("oath-{site}"),
            Self::Empty => "empty".to_string(),
        }
    }
}

/// Somebody with a record at a site. A clone has the same codes, for another module.
#[derive(Debug, Clone)]
pub struct Enrolled {
    /// The name of the account.
    pub user: String,
    site: String,
    phone: Phone,
    purse: Purse,
}

/// One login that is to be made, by whichever module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticket {
    site: String,
    user: String,
    /// What is answered, prompt by prompt, with spaces between.
    code: String,
}

impl Enrolled {
    /// A ticket with a right code, waited for where there is none left.
    pub fn draw(&mut self) -> Ticket {
        loop {
            if let Some(code) = self.purse.draw(unix_time()) {
                return Ticket {
                    site: self.site.clone(),
                    user: self.user.clone(),
                    code: code.to_string(),
                };
            }
            // Codes come by the clock; there is nothing to be woken by.
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
    }

    /// A ticket whose code is good for half a minute or more, not for a moment.
    pub fn draw_lasting(&mut self) -> Ticket {
        // Behind the first one, which is of the time before, comes that of now.
        self.draw();
        self.draw()
    }

    /// A ticket with wrong codes for the first prompt and for a second one.
    #[must_use]
    pub fn mistake(&self, nth: u32) -> Ticket {
        let code = format!("{} {}", self.phone.wrong(2 * nth), self.phone.wrong(2 * nth + 1));
        Ticket { site: self.site.clone(), user: self.user.clone(), code }
    }
}

impl Ticket {
    /// The same for another account, which isn't enrolled.
    #[must_use]
    pub fn of(&self, user: &str) -> Self {
        Self { user: user.to_string(), ..self.clone() }
    }

    /// The file of this user that is overwritten for the floor: like a login, it is of another one each time.
    #[must_use]
    pub fn scratch(&self, volume: &Volume) -> PathBuf {
        volume.path(&self.site).join("scratch").join(&self.user)
    }

    /// The login by this module, as words that can be borrowed.
    #[must_use]
    pub fn words(&self, module: Module) -> Words<'_> {
        Words {
            service: module.service(&self.site),
            user: &self.user,
            answers: self.code.split(' ').collect(),
        }
    }
}

/// What a login is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Words<'a> {
    service: String,
    user: &'a str,
    answers: Vec<&'a str>,
}

impl Words<'_> {
    /// The login.
    #[must_use]
    pub fn login(&self) -> Login<'_> {
        Login {
            service: &self.service,
            user: self.user,
            rhost: "192.0.2.7",
            answers: &self.answers,
        }
    }
}

/// Enrolls `people` at a new site, and as many names more as make `enrolled`.
///
/// # Panics
///
/// If the disk can't be written.
#[must_use]
pub fn settle(
    house: &House,
    volume: &Volume,
    site: &str,
    people: &[String],
    enrolled: usize,
) -> Vec<Enrolled> {
    // As those who log in see it, and from outside.
    let inside = volume.path(site);
    let directory = house.path(&inside);
    make_directories(&directory);
    let config = inside.join("ours/config.toml");
    write(&house.path(&config), &settings(&inside.join("ours"), &format!("/run/{site}")));
    let config = config.to_str().unwrap();
    house.run("totp-admin", &["--config", config, "init"]);
    let mut oath = String::new();
    let mut settled = Vec::new();
    for user in people {
        let arguments = ["--config", config, "enroll", user, "--json", "--no-confirm"];
        let document = house.admin_json(&arguments);
        let phone = Phone::new(document["secret"].as_str().expect("enroll --json gives it"));
        write(&directory.join("google").join(user), &google_file(&phone, ""));
        let limit = "\" RATE_LIMIT 3 30\n";
        write(&directory.join("limited").join(user), &google_file(&phone, limit));
        write(&directory.join("scratch").join(user), &"#".repeat(512));
        oath.push_str(&oath_line(user, phone.secret()));
        settled.push(Enrolled {
            user: user.clone(),
            site: site.to_string(),
            purse: Purse::of(&phone),
            phone,
        });
    }
    for nth in people.len()..enrolled {
        oath.push_str(&oath_line(&filler(nth), "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"));
    }
    write(&directory.join("oath/users"), &oath);
    fill(&directory.join("ours/state"), people.len()..enrolled);
    copy_for_once(house, site, &inside);
    // What was written for the first time must not be left for a login to bring to the disk.
    house.run("sync", &["--file-system", inside.to_str().unwrap()]);
    make_stacks(house, site, &inside);
    settled
}

fn make_directories(directory: &Path) {
    let mut make = fs::DirBuilder::new();
    make.mode(0o700).recursive(true);
    for name in ["ours", "google", "limited", "oath", "scratch"] {
        make.create(directory.join(name)).unwrap();
    }
}

/// A configuration with the state below `directory`.
fn settings(directory: &Path, run: &str) -> String {
    format!(
        "[paths]\nstate_dir = \"{0}/state\"\nlog_file = \"{0}/log/notifications.jsonl\"\nrun_dir = \"{run}\"\n",
        directory.display()
    )
}

/// The same enrollments once more, so that a code that the daemon has seen is not spent for `totpd --once`.
fn copy_for_once(house: &House, site: &str, directory: &Path) {
    let [ours, once] = ["ours", "once"].map(|name| directory.join(name));
    house.run("cp", &["-a", ours.to_str().unwrap(), once.to_str().unwrap()]);
    let config = once.join("config.toml");
    fs::write(house.path(&config), settings(&once, &format!("/run/once-{site}"))).unwrap();
    house.run("totp-admin", &["--config", config.to_str().unwrap(), "init"]);
}

/// Every stack has `pam_permit` in its account part, as every real one has another module there: google-authenticator and
/// pam_oath have no account hook, and ours ignores a login behind which nothing is left to do.
fn make_stacks(house: &House, site: &str, directory: &Path) {
    let directory = directory.display();
    let google = "pam_google_authenticator.so user=root";
    let arguments = |module| match module {
        Module::Ours => format!("pam_totp.so config={directory}/ours/config.toml"),
        Module::Once => {
            format!("pam_totp.so config={directory}/once/config.toml socket=/run/no-such-socket")
        }
        Module::Google => format!("{google} secret={directory}/google/${{USER}}"),
        Module::GoogleLimited => format!("{google} secret={directory}/limited/${{USER}}"),
        Module::Oath => format!("pam_oath.so usersfile={directory}/oath/users window=1 digits=6"),
        Module::Empty => format!("{}/pam_empty.so", house.disk().display()),
    };
    for module in Module::ALL {
        let line = arguments(module);
        let mut stack = format!("auth required {line}\naccount required pam_permit.so\n");
        if matches!(module, Module::Ours | Module::Once | Module::Empty) {
            writeln!(stack, "account required {line}").unwrap();
        }
        house.stack(&module.service(site), &stack);
    }
}

/// What `google-authenticator` writes, in its order, with five emergency codes.
fn google_file(phone: &Phone, limit: &str) -> String {
    let mut text = phone.secret().to_string() + "\n" + limit;
    text.push_str("\" WINDOW_SIZE 3\n\" DISALLOW_REUSE\n\" TOTP_AUTH\n");
    for code in 0..5 {
        writeln!(text, "{}", 31_415_926 + code * 1_234_567).unwrap();
    }
    text
}

fn oath_line(user: &str, secret: &str) -> String {
    let key = BASE32_NOPAD.decode(secret.as_bytes()).expect("a key in base32");
    format!("HOTP/T30/6\t{user}\t-\t{}\n", HEXLOWER.encode(&key))
}

fn filler(nth: usize) -> String {
    format!("user{nth:06}")
}

/// Names in the directories of records and states, for people who don't log in. A login opens files by
/// name and never lists a directory, so what is behind the other names can be the same file for many.
fn fill(state: &Path, further: std::ops::Range<usize>) {
    for (directory, ending, length) in [("users", ".toml", 400), ("state", "", 12_288)] {
        let mut original = PathBuf::new();
        for nth in further.clone() {
            let file = state.join(directory).join(filler(nth) + ending);
            if (nth - further.start).is_multiple_of(NAMES_A_FILE) {
                write(&file, &"#".repeat(length));
                original = file;
            } else {
                fs::hard_link(&original, file).unwrap();
            }
        }
    }
}

fn write(file: &Path, text: &str) {
    let mut options = fs::OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(0o600).open(file).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}
