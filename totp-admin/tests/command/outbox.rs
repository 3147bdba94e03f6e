//! `outbox`, and who is told of a change when somebody else has the outbox or the command is killed.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::json;

use crate::support::{House, SECRET, USER};

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
