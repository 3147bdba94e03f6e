//! The post of an installation, with a program in the place of `sendmail`: who is sent to, how often, and what is on record.

// A test reports by panicking.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use tempfile::TempDir;
use totp_agent::post::{Post, Report, TEXT_TRIES, Texted, When};
use totp_core::event::EventKind;
use totp_core::time::UnixTime;
use totp_store::Wait;
use totp_store::files::Owner;
use totp_store::installation::init::Init;
use totp_store::installation::{Installation, Places};
use totp_store::outbox::Message;
use totp_store::permanent::Entry;

const NOW: UnixTime = UnixTime(1_773_307_200);

struct House {
    temp: TempDir,
}

impl House {
    fn new() -> Self {
        let house = Self { temp: TempDir::new().unwrap() };
        fs::set_permissions(house.path(""), fs::Permissions::from_mode(0o700)).unwrap();
        house
    }

    fn path(&self, name: &str) -> PathBuf {
        self.temp.path().join(name)
    }

    /// With a `sendmail` that keeps a list of whom it was called for, and refuses whom `refused` names.
    fn post(&self, refused: &str) -> Post {
        self.post_with(refused, true)
    }

    /// The same with or without an address for bob. What it was given to send lies in a file named by the recipient.
    fn post_with(&self, refused: &str, default_to: bool) -> Post {
        let program = self.path("sendmail");
        let sent = self.path("sent");
        let script = format!(
            "#!/bin/sh\ncase $5 in {refused}) echo unknown >&2; exit 67;; esac\necho \"$5\" >>{}\ncat >{}/\"$5\"\n",
            sent.display(),
            self.temp.path().display()
        );
        fs::write(&program, script).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let phone = self.path("phone");
        let default_to = if default_to { "default_to = \"{user}@example.com\"\n" } else { "" };
        let text = format!(
            "[sms]\ncommand = [{phone:?}]\n[mail]\n{default_to}copy_to = [\"copy@example.com\"]\nsendmail = {program:?}\n\
             [paths]\nstate_dir = {:?}\nlog_file = {:?}\nrun_dir = {:?}\n",
            self.path("state"),
            self.path("log/record.jsonl"),
            self.path("run")
        );
        fs::write(self.path("config.toml"), text).unwrap();
        let (config, owner) = (self.path("config.toml"), Owner::this_process());
        let places = Places { state_dir: self.path("none"), ..Places::default() };
        let init = Init::prepare(&places, Some(&config), owner, false).unwrap();
        init.make_directories().unwrap();
        init.give_identity().unwrap();
        let installation = Installation::open_at(&places, Some(&config), owner).unwrap();
        Post::open(&installation, "test").unwrap()
    }

    /// Something happens to bob, and is enqueued.
    fn happens(post: &Post) {
        drop(post.hold(Wait::No).unwrap());
        let entry = Entry { user: Some("bob".to_owned()), ..Entry::new(NOW, EventKind::Disabled) };
        post.record().append(&entry, NOW, Wait::No).unwrap();
        post.enqueue().unwrap();
    }

    fn sent(&self) -> Vec<String> {
        let text = fs::read_to_string(self.path("sent")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    fn record(&self) -> String {
        fs::read_to_string(self.path("log/record.jsonl")).unwrap()
    }
}

fn deliver(post: &Post) -> Report {
    post.deliver("1", When::Now).unwrap().unwrap()
}

#[test]
fn who_has_been_told_is_not_told_again_while_another_address_is_refused() {
    let house = House::new();
    let post = house.post("bob@*");
    House::happens(&post);
    for tries in 1..=3 {
        let report = deliver(&post);
        assert_eq!(report.served.len(), usize::from(tries == 1));
        assert_eq!(report.failed[0].0.as_str(), "bob@example.com");
        assert!(report.failed[0].1.contains("exit status 67: unknown"), "{:?}", report.failed);
    }
    assert_eq!(house.sent(), ["copy@example.com"]);
    assert_eq!(house.record().matches("\"undelivered\"").count(), 1);
    let report = deliver(&house.post("nobody"));
    assert_eq!((report.served.len(), report.next), (1, None));
    assert_eq!(house.sent(), ["copy@example.com", "bob@example.com"]);
    assert_eq!(house.record().matches("\"delivered\"").count(), 1);
    assert!(post.deliver("1", When::Now).unwrap().is_none());
}

#[test]
fn a_copy_says_whether_the_user_was_told() {
    for (refused, default_to, line) in [
        ("nobody", true, "Copy: this was sent to bob@example.com."),
        ("bob@*", true, "Copy: this could not be delivered to bob@example.com so far."),
        ("nobody", false, "Copy: bob has no address."),
    ] {
        let house = House::new();
        let post = house.post_with(refused, default_to);
        House::happens(&post);
        deliver(&post);
        let body = |of: &str| {
            let text = fs::read_to_string(house.path(&format!("{of}@example.com"))).unwrap();
            text.split_once("\n\n").unwrap().1.to_owned()
        };
        assert_eq!(body("copy").lines().next(), Some(line));
        if default_to && refused == "nobody" {
            assert_eq!(body("copy"), format!("{line}\n\n{}", body("bob")));
        }
    }
}

#[test]
fn before_its_time_nothing_is_tried_unless_somebody_wants_it() {
    let house = House::new();
    let post = house.post("*");
    House::happens(&post);
    assert!(post.deliver("1", When::Due).unwrap().is_some());
    assert!(post.deliver("1", When::Due).unwrap().is_none());
    assert!(post.deliver("1", When::Now).unwrap().is_some());
}

#[test]
fn a_delivery_that_was_written_down_but_not_recorded_is_finished_without_sending() {
    let house = House::new();
    let post = house.post("nobody");
    House::happens(&post);
    let file = house.path("state/outbox/1");
    let text = fs::read_to_string(&file).unwrap().replace("\nto ", "\nserved ");
    let handed_over = text.replacen("\nserved ", "\ndelivered 2026-03-12T09:20:05Z\nserved ", 1);
    // As left by a process that was killed before the record had it, and after.
    for _ in 0..2 {
        fs::write(&file, &handed_over).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        assert!(deliver(&post).served.is_empty());
        assert!(!file.exists());
        assert_eq!(house.record().matches("\"event\":\"delivered\"").count(), 1);
    }
    assert!(house.sent().is_empty());
}

#[test]
fn one_delivers_at_a_time() {
    let house = House::new();
    let (one, other) = (house.post("nobody"), house.post("nobody"));
    House::happens(&one);
    let claimed = one.outbox().claim_mail("1").unwrap().unwrap();
    assert!(other.deliver("1", When::Now).unwrap().is_none());
    drop(claimed);
    assert_eq!(deliver(&other).served.len(), 2);
}

#[test]
fn who_was_told_and_could_not_be_written_down_is_not_told_again() {
    let house = House::new();
    let post = house.post("nobody");
    House::happens(&post);
    let file = house.path("state/outbox/1");
    let before = fs::read(&file).unwrap();
    // What is handed over can't be written down: a directory has the file's place.
    let script = format!(
        "#!/bin/sh\necho \"$5\" >>{0}\nrm {1} && mkdir {1}\n",
        house.path("sent").display(),
        file.display()
    );
    let sendmail = fs::read(house.path("sendmail")).unwrap();
    fs::write(house.path("sendmail"), script).unwrap();
    assert!(post.deliver("1", When::Now).is_err());
    assert_eq!(house.sent().len(), 1);
    fs::write(house.path("sendmail"), sendmail).unwrap();
    fs::remove_dir(&file).unwrap();
    fs::write(&file, before).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(deliver(&post).next, None);
    assert_eq!(house.sent(), ["bob@example.com", "copy@example.com"]);
}

#[test]
fn what_cannot_be_enqueued_is_an_error() {
    let house = House::new();
    let (one, other) = (house.post("nobody"), house.post("nobody"));
    let _held = one.hold(Wait::No).unwrap();
    let error = other.enqueue().unwrap_err().to_string();
    assert!(error.contains("another program has held its lock too long"), "{error}");
}

/// Puts a message into the outbox, and gives its file's name. What sends it does what `script` says and keeps count.
fn text_message(house: &House, post: &Post, script: &str) -> String {
    let text = format!("#!/bin/sh\necho >>{}\n{script}\n", house.path("texts").display());
    fs::write(house.path("phone"), text).unwrap();
    fs::set_permissions(house.path("phone"), fs::Permissions::from_mode(0o755)).unwrap();
    let (phone, until) = ("+420123456789".parse().unwrap(), UnixTime(u32::MAX.into()));
    let message = Message::new("bob".to_owned(), phone, "123456".to_owned().into(), until);
    post.outbox().put_message(&message).unwrap();
    post.outbox().message_names().unwrap().remove(0)
}

fn texts(house: &House) -> usize {
    fs::read_to_string(house.path("texts")).unwrap_or_default().lines().count()
}

#[test]
fn a_text_message_that_may_be_on_its_way_is_not_sent_again() {
    let house = House::new();
    let post = house.post("nobody");
    let name = text_message(&house, &post, "exit 0");
    let file = house.path("state/outbox").join(&name);
    let claimed = post.outbox().claim_message(&name).unwrap();
    drop(claimed);
    let mut waiting = fs::read_to_string(&file).unwrap();
    assert_eq!(post.text(&name).unwrap(), Texted::Sent);
    assert_eq!(post.text(&name).unwrap(), Texted::NotOurs);
    // As left by an agent that was killed while it sent, or could neither overwrite nor remove it.
    waiting = waiting.replace("\ntries 0 0\n", "\ntries 1 0\n");
    fs::write(&file, &waiting).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    assert!(matches!(post.text(&name).unwrap(), Texted::GivenUp(_)));
    assert!(!file.exists());
    assert_eq!(texts(&house), 1);
}

#[test]
fn a_text_message_is_tried_some_times_whoever_tries() {
    let house = House::new();
    let name = text_message(&house, &house.post("nobody"), "exit 1");
    for _ in 1..TEXT_TRIES {
        // Each time another process.
        assert!(matches!(house.post("nobody").text(&name).unwrap(), Texted::Failed(_)));
    }
    assert!(matches!(house.post("nobody").text(&name).unwrap(), Texted::GivenUp(_)));
    assert_eq!(texts(&house), usize::try_from(TEXT_TRIES).unwrap());
    assert_eq!(house.record().matches("\"undelivered\"").count(), 1);
}
