//! `outbox`, and who is told of a change when somebody else has the outbox or the command is killed.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::json;

use totp_core::time::UnixTime;
use totp_store::files::Owner;
use totp_store::outbox::{Message, Outbox};

use crate::support::{House, OTHER, SECRET, USER, code};

/// A process that has the outbox and is not stopped.
struct Busy(Child);

impl Busy {
    fn with(directory: &Path) -> Self {
        let flock = |how: &[&str]| {
            let mut command = Command::new("flock");
            command.args(how).arg(directory).stdin(Stdio::null());
            command
        };
        let child = flock(&["--no-fork"]).args(["sleep", "600"]).spawn().unwrap();
        while flock(&["--nonblock"]).arg("true").status().unwrap().success() {
            std::thread::sleep(Duration::from_millis(5));
        }
        Self(child)
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn told_of_last_mail(house: &House) -> Vec<String> {
    let last = house.record().iter().map(|line| line["seq"].as_u64().unwrap()).max().unwrap();
    let mail = fs::read_to_string(house.path(format!("state/outbox/{last}"))).unwrap();
    mail.lines().filter_map(|line| line.strip_prefix("to ")).map(str::to_owned).collect()
}

/// A house whose user is enrolled and told, and where nothing waits.
fn house_with_an_address() -> Option<House> {
    let house = House::new("[mail]\nsendmail = \"/bin/true\"")?;
    house.enroll_with(USER, SECRET, &["--email", "old@example.com"]);
    house.run(&["outbox", "flush"]).done();
    house.configure("[mail]\nsendmail = \"/nonexistent/sendmail\"");
    Some(house)
}

#[test]
fn a_held_outbox_is_an_error_and_not_an_unknown_address() {
    let Some(house) = house_with_an_address() else { return };
    let busy = Busy::with(&house.path("state/outbox"));
    let disabled = house.run(&["disable", USER, "--reason", "phone stolen"]).done();
    assert!(disabled.err.contains("not enqueued yet: the outbox "), "{}", disabled.err);
    assert!(!disabled.err.contains("no address"), "{}", disabled.err);
    for what in ["list", "flush"] {
        let outbox = house.run(&["outbox", what]);
        assert!(!outbox.err.contains("othing waits"), "{}", outbox.err);
        outbox.refused(&["not enqueued yet", "fuser -v"]);
    }
    drop(busy);
    let rows = house.run(&["outbox", "list", "--json"]).done().json();
    assert_eq!(rows[0]["to"], json!(["old@example.com"]));
}

#[test]
fn a_changed_address_is_told_at_the_old_one_though_the_outbox_was_held() {
    let Some(house) = house_with_an_address() else { return };
    let busy = Busy::with(&house.path("state/outbox"));
    house.run(&["contact", USER, "--email", "new@example.com"]).done();
    drop(busy);
    // As the agent does it later, when the record of the user has the new one alone.
    house.run(&["outbox", "list"]).done();
    assert_eq!(told_of_last_mail(&house), ["old@example.com", "new@example.com"]);
}

#[test]
fn what_was_recorded_before_a_change_of_address_is_told_at_the_old_one() {
    let Some(house) = house_with_an_address() else { return };
    let busy = Busy::with(&house.path("state/outbox"));
    house.run(&["recovery-codes", USER]).done();
    let issued = house.record().last().unwrap()["seq"].as_u64().unwrap();
    drop(busy);
    house.run(&["contact", USER, "--email", "new@example.com"]).done();
    let mail = fs::read_to_string(house.path(format!("state/outbox/{issued}"))).unwrap();
    assert!(mail.contains("\nto old@example.com\n"), "{mail}");
}

#[test]
fn who_has_no_address_is_said_not_to_be_told_though_somebody_gets_copies() {
    let mail = "[mail]\nsendmail = \"/bin/true\"\ncopy_to = [\"security@example.com\"]";
    let Some(house) = House::new(mail) else { return };
    house.enroll(USER);
    let said = house.run(&["recovery-codes", USER]).done().err;
    assert!(said.contains("security@example.com told."), "{said}");
    let not = "! daemon was not told by mail: no address (totp-admin contact daemon --email ADDRESS)\n  \
               daemon is told at the next login: record ";
    assert!(said.contains(not), "{said}");
    let told = house.run(&["bypass-code", USER, "--json"]).done().json()["told"].clone();
    assert_eq!(
        (&told[0]["to"], &told[0]["delivered"]),
        (&"security@example.com".into(), &true.into())
    );
    let seq = &told[0]["record"];
    assert_eq!(
        told[1],
        json!({"to": null, "delivered": false, "error": "no address", "record": seq})
    );
    // An address is one's own also where it gets copies, before or after the change.
    house.enroll_with(OTHER, SECRET, &["--email", "security@example.com"]);
    for args in [&["recovery-codes", OTHER][..], &["contact", OTHER, "--no-email"]] {
        let said = house.run(args).done().err;
        assert!(said.contains("told.") && !said.contains("no address"), "{said}");
    }
    // Removed: what was to be shown at the next login is gone, too.
    let said = house.run(&["remove", USER]).done().err;
    assert!(said.contains("! daemon was not told by mail: no address\n"), "{said}");
    assert!(!said.contains("next login"), "{said}");
}

#[test]
fn whoever_forgets_a_device_tells_its_user() {
    let mail = "[mail]\nsendmail = \"/bin/true\"\n[remember]\ndays = 30";
    let Some(house) = House::new(mail) else { return };
    house.enroll_with(USER, SECRET, &["--email", "d@example.com"]);
    fs::write(house.path(format!("state/remembered/{USER}")), "nonsense\n").unwrap();
    let forget = ["remembered", "forget", USER, "--all"];
    let said = house.run(&forget).done().err;
    assert!(said.contains("d@example.com told."), "{said}");
    fs::write(house.path(format!("state/remembered/{USER}")), "nonsense\n").unwrap();
    let told = house.run(&[&forget[..], &["--json"]].concat()).done().json()["told"].clone();
    assert_eq!(
        (told[0]["to"].as_str(), told[0]["delivered"].as_bool()),
        (Some("d@example.com"), Some(true))
    );
}

#[test]
fn that_a_recovery_code_proved_whose_account_it_is_is_told_with_the_change() {
    let Some(house) = House::new("[mail]\nsendmail = \"/bin/true\"") else { return };
    let args = [
        "enroll",
        USER,
        "--secret-file",
        "-",
        "--no-confirm",
        "--json",
        "--email",
        "d@example.com",
    ];
    let document = house.run_with(&args, SECRET, &[]).done().json();
    let own = format!("{}\n", document["recovery_codes"][0].as_str().unwrap());
    let as_user = ("SUDO_UID", "1");
    let told = house.run_with(&["recovery-codes", USER, "--json"], &own, &[as_user]).done().json();
    let told: Vec<u64> = told["told"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["record"].as_u64().unwrap())
        .collect();
    let events: Vec<&str> = ["recovery-code-used", "recovery-codes-issued"].to_vec();
    let record = house.record();
    let of = |seq: &u64| record.iter().find(|line| line["seq"] == *seq).unwrap()["event"].clone();
    assert_eq!(told.iter().map(of).collect::<Vec<_>>(), events);
    assert_eq!(house.run(&["outbox", "list", "--json"]).done().json(), json!([]));
    // A code of the app leaves no event.
    house.run_with(&["bypass-code", USER], &format!("{}\n", code(SECRET, 0)), &[as_user]).done();
}

#[test]
fn a_text_message_that_is_too_late_is_counted_as_thrown_away() {
    let Some(house) = House::new("[sms]\ncommand = [\"/bin/true\", \"{phone}\"]") else { return };
    let put = |until| {
        let outbox = Outbox::open(&house.path("state"), Owner::ROOT).unwrap();
        let (phone, text) = ("+420123456789".parse().unwrap(), "123456".to_owned().into());
        outbox.put_message(&Message::new(USER.to_owned(), phone, text, until)).unwrap();
    };
    put(UnixTime(u64::from(u32::MAX)));
    let sent = house.run(&["outbox", "flush", "--json"]).done().json();
    assert_eq!((sent["delivered"].as_array().unwrap().len(), &sent["dropped"]), (1, &json!([])));
    put(UnixTime(1));
    let late = house.run(&["outbox", "flush", "--json"]);
    assert_eq!(late.code, 1, "{}", late.err);
    let late = late.json();
    assert_eq!((&late["delivered"], &late["left"]), (&json!([]), &json!([])));
    assert_eq!(late["dropped"][0]["error"], "its time was over");
    put(UnixTime(1));
    house.run(&["outbox", "flush"]).refused(&["0 delivered, 1 thrown away"]);
}

#[test]
fn a_text_message_that_another_program_sends_is_neither_delivered_nor_left() {
    let Some(house) = House::new("[sms]\ncommand = [\"/bin/true\", \"{phone}\"]") else { return };
    let outbox = Outbox::open(&house.path("state"), Owner::ROOT).unwrap();
    let (phone, text) = ("+420123456789".parse().unwrap(), "123456".to_owned().into());
    let until = UnixTime(u64::from(u32::MAX));
    outbox.put_message(&Message::new(USER.to_owned(), phone, text, until)).unwrap();
    let names = fs::read_dir(house.path("state/outbox")).unwrap().flatten();
    let mut paths = names.map(|entry| entry.path());
    let file = paths.find(|path| path.display().to_string().contains("/text-")).unwrap();
    let _held = Busy::with(&file);
    let flushed = house.run(&["outbox", "flush", "--json"]).done().json();
    assert_eq!(flushed, json!({"delivered": [], "left": [], "dropped": []}));
    assert!(!house.run(&["outbox", "flush"]).done().out.contains("nothing waits"));
    assert!(file.exists());
}
