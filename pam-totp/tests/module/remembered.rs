//! Remembered devices through libpam: who isn't asked, and who is.

use std::fs;
use std::os::unix::fs::DirBuilderExt as _;
use std::process::Command;

use totp_core::name::UserName;
use totp_core::origin::Net;
use totp_core::record::EnrollmentId;
use totp_core::remembered::{Arrival, Terms};
use totp_core::time::{DAY, UnixTime};
use totp_store::clock;
use totp_store::files::Owner;
use totp_store::remembered::Remembered;

use crate::support::site::Site;
use crate::support::{Stack, built};

/// From `ssh-keygen -t ed25519`; the fingerprint from `ssh-keygen -l`.
const KEY: &str = "env=SSH_AUTH_INFO_0=publickey ssh-ed25519 \
                   AAAAC3NzaC1lZDI1NTE5AAAAIK/YLGEcZSiwYudEwnmTZQsafYwXvFRwK3YrMC30jy1h\n";
const FINGERPRINT: &str = "SHA256:Bl3ZYjbXJVh9j8AjdIaQSIasl1xx4iy/bkvPoxp/Y1E";
/// Another one.
const OTHER_KEY: &str = "env=SSH_AUTH_INFO_0=publickey ssh-ed25519 \
                         AAAAC3NzaC1lZDI1NTE5AAAAIBwzeHKfRFtvag5o8PT2LksxUIDE+eO3lAAAAAAAAAAA\n";

const REMEMBERING: &str = "[remember]\ndays = 30\nservices = [\"test\"]";
const ENROLLMENT: &str = "0011223344556677";
const NO_REPLY: &str = "auth = 19\n";

struct House {
    site: Site,
    stack: Stack,
}

/// alice is enrolled, and her device remembered at `added` under `enrollment`; `None` without root.
fn house(keys: &str, enrollment: &str, added: UnixTime) -> Option<House> {
    let site = Site::new()?;
    site.enroll_alice();
    site.configure(keys);
    fs::DirBuilder::new().mode(0o700).create(site.path("state/remembered")).expect("mkdir");
    let arrival = Arrival {
        key: FINGERPRINT.parse().expect("a fingerprint"),
        network: Net::of("192.0.2.1"),
        enrollment: enrollment.parse::<EnrollmentId>().expect("an id"),
        now: added,
    };
    let terms = Terms { seconds: 30 * DAY, same_network: false };
    let alice = UserName::new("alice").expect("a name");
    let lists = Remembered::new(&site.path("state"), Owner::ROOT);
    lists.remember(&alice, &arrival, &terms).expect("remembering");
    let stack = Stack::new(&site.line(""));
    Some(House { site, stack })
}

impl House {
    /// What comes of a login from the usual place with this key, to which nobody answers anything.
    fn login(&self, key: &str) -> String {
        self.stack.run(&["rhost=192.0.2.1", "tty=ssh", key], &["auth"])
    }
}

fn usual() -> Option<House> {
    house(REMEMBERING, ENROLLMENT, clock::now())
}

fn is_asked(shown: &str) -> bool {
    assert_eq!(shown.contains("ask: "), shown.contains(NO_REPLY), "{shown}");
    shown.contains("ask: ")
}

#[test]
fn a_remembered_key_is_not_asked_and_the_log_says_which() {
    let Some(house) = usual() else { return };
    assert_eq!(
        house.login(KEY),
        format!(
            "log 6: pam_totp(test:auth): not asked for alice: remembered device {FINGERPRINT}\n\
             auth = 6\nhost goes on\n" // libpam's own, for a stack in which everybody ignores
        )
    );
}

#[test]
fn another_key_is_asked_and_so_is_the_same_place_without_one() {
    let Some(house) = usual() else { return };
    assert!(is_asked(&house.login(OTHER_KEY)));
    assert!(is_asked(&house.stack.run(&["rhost=192.0.2.1", "tty=ssh"], &["auth"])));
}

#[test]
fn the_environment_of_the_process_names_no_key() {
    let Some(house) = usual() else { return };
    let value = KEY.trim_start_matches("env=SSH_AUTH_INFO_0=");
    let output = Command::new(built().host())
        .args(house.stack.arguments(&["rhost=192.0.2.1"], &["auth"]))
        .env("SSH_AUTH_INFO_0", value)
        .output()
        .expect("the host");
    assert!(is_asked(&String::from_utf8(output.stdout).expect("UTF-8")));
}

#[test]
fn a_service_that_does_not_remember_asks() {
    for keys in ["", "[remember]\ndays = 30", "[remember]\ndays = 0\nservices = [\"test\"]"] {
        let Some(house) = house(keys, ENROLLMENT, clock::now()) else { return };
        assert!(is_asked(&house.login(KEY)), "{keys}");
    }
}

#[test]
fn after_its_days_a_device_is_asked() {
    let long_ago = clock::now().minus(30 * DAY);
    let Some(house) = house(REMEMBERING, ENROLLMENT, long_ago) else { return };
    assert!(is_asked(&house.login(KEY)));
}

#[test]
fn under_another_enrollment_a_device_is_asked() {
    let Some(house) = house(REMEMBERING, "7766554433221100", clock::now()) else { return };
    assert!(is_asked(&house.login(KEY)));
}

#[test]
fn where_the_network_counts_another_one_is_asked() {
    let keys = format!("{REMEMBERING}\nsame_network = true");
    let Some(house) = house(&keys, ENROLLMENT, clock::now()) else { return };
    assert!(!is_asked(&house.login(KEY)));
    assert!(is_asked(&house.stack.run(&["rhost=198.51.100.1", KEY], &["auth"])));
    assert!(is_asked(&house.stack.run(&["rhost=desk.example.com", KEY], &["auth"])));
}

#[test]
fn a_damaged_list_or_none_at_all_asks_and_the_log_says_why() {
    let Some(house) = usual() else { return };
    let list = house.site.path("state/remembered/alice");
    fs::write(&list, "nonsense").expect("writing");
    let shown = house.login(KEY);
    assert!(is_asked(&shown) && shown.contains("remembered/alice: line 1 "), "{shown}");
    fs::remove_file(&list).expect("removing");
    let shown = house.login(KEY);
    assert!(is_asked(&shown) && !shown.contains("nobody is remembered"), "{shown}");
    fs::remove_dir(house.site.path("state/remembered")).expect("removing");
    let shown = house.login(KEY);
    assert!(is_asked(&shown) && shown.contains("nobody is remembered"), "{shown}");
}

#[test]
fn a_device_lets_nobody_in_whose_record_is_damaged() {
    let Some(house) = usual() else { return };
    let record = house.site.path("state/users/alice.toml");
    let text = fs::read_to_string(&record).expect("the record");
    fs::write(&record, text.replace("enrolled", "enrold")).expect("writing");
    assert!(is_asked(&house.login(KEY)));
}

#[test]
fn a_use_is_noted_a_day_later() {
    let yesterday = clock::now().minus(DAY);
    let Some(house) = house(REMEMBERING, ENROLLMENT, yesterday) else { return };
    let list = house.site.path("state/remembered/alice");
    assert!(!is_asked(&house.login(KEY)));
    let text = fs::read_to_string(&list).expect("the list");
    assert!(!text.contains(&format!("used={yesterday}")), "{text}");
}
