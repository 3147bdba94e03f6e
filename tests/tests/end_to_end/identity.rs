//! The state directory is this installation's, or nothing is decided and nothing administered: unmounted, emptied and made anew, of
//! another installation. An installation of version 0.1 is adopted.

use std::fs;
use std::os::unix::fs::DirBuilderExt as _;
use std::process::Output;

use pam_totp_tests::{Agent, Decider, House, Pam, Phone, Plan, STATE};

const BOTH: [Decider; 2] = [Decider::Daemon, Decider::Once];

/// A house that asks nobody who is not enrolled: the dangerous one.
fn house(decided_by: Decider) -> House {
    House::from_plan(&Plan {
        arguments: "nodelay nullok".to_owned(),
        decided_by,
        ..Plan::default()
    })
}

fn enrolled(decided_by: Decider) -> (House, Phone) {
    let house = house(decided_by);
    let phone = house.enroll("alice");
    (house, phone)
}

fn refuses(output: &Output) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("not mounted?"), "{output:?}");
}

/// Every program refuses and says so, and nothing is written.
fn all_refuse(house: &House, phone: &Phone) {
    let before = entries(house);
    for user in ["alice", "bob"] {
        let code = phone.now();
        let outcome = house.application().login("code", user).authenticate([&code, &code]);
        assert_eq!(outcome.code, Pam::SystemErr, "{user}: {outcome:?}");
    }
    let line = house.syslog().expect("not mounted?");
    assert!(line.contains("pam_totp("), "{line}");
    for command in [
        &["enroll", "bob", "--no-confirm", "--json"][..],
        &["disable", "alice", "--yes"],
        &["list"],
        &["show", "alice"],
        &["init"],
    ] {
        refuses(&house.attempt("totp-admin", command));
    }
    refuses(&house.attempt("totp-agent", &[]));
    assert_eq!(entries(house), before, "something was made");
}

fn entries(house: &House) -> Vec<String> {
    let output = house.run("find", &[STATE, "/var/log/pam-totp"]);
    output.lines().map(str::to_owned).collect()
}

#[test]
fn below_a_disk_that_is_not_mounted_every_program_refuses() {
    for decider in BOTH {
        let house = house(decider);
        house.run("mount", &["-t", "tmpfs", "-o", "mode=700", "none", STATE]);
        house.run("totp-admin", &["init", "--adopt", "--yes"]);
        let phone = house.enroll("alice");
        house.run("umount", &["--lazy", STATE]);
        all_refuse(&house, &phone);
    }
}

#[test]
fn in_a_state_directory_that_was_emptied_and_made_anew_every_program_refuses() {
    for decider in BOTH {
        let (house, phone) = enrolled(decider);
        house.run("sh", &["-c", &format!("rm -r {STATE}/*")]);
        for name in ["users", "state", "uids", "outbox", "notices", "remembered"] {
            fs::DirBuilder::new().mode(0o700).create(house.path(STATE).join(name)).unwrap();
        }
        all_refuse(&house, &phone);
    }
}

#[test]
fn in_the_state_directory_of_another_installation_every_program_refuses() {
    for decider in BOTH {
        let (house, phone) = enrolled(decider);
        let word = "0123456789abcdef0123456789abcdef\n";
        fs::write(house.path(STATE).join("installation-id"), word).unwrap();
        all_refuse(&house, &phone);
    }
}

#[test]
fn what_was_refused_is_served_again_once_the_disk_is_back() {
    let (house, phone) = enrolled(Decider::usual());
    house.run("mount", &["-t", "tmpfs", "-o", "mode=700", "none", STATE]);
    all_refuse(&house, &phone);
    house.run("umount", &[STATE]);
    let outcome = house.application().login("code", "alice").authenticate([&phone.now()]);
    assert_eq!(outcome.code, Pam::Success, "{outcome:?}");
}

#[test]
fn an_installation_of_version_0_1_is_adopted_and_a_used_code_stays_used() {
    let (house, phone) = enrolled(Decider::usual());
    let used = phone.now();
    let outcome = house.application().login("code", "alice").authenticate([&used]);
    assert_eq!(outcome.code, Pam::Success, "{outcome:?}");
    // Version 0.1 had neither the words nor copies of its configuration.
    house.run("rm", &["-r", &format!("{STATE}/installation-id"), &format!("{STATE}/last-config")]);
    house.run("rm", &["/etc/pam-totp/installation-id"]);
    house.run("totp-admin", &["init"]);
    assert!(house.events().contains(&"installation-adopted".to_owned()), "{:?}", house.events());
    let outcome = house.application().login("code", "alice").authenticate([&used, &used]);
    assert_eq!(outcome.code, Pam::AuthErr, "{outcome:?}");
    let outcome = house.application().login("code", "alice").authenticate([&phone.in_steps(1)]);
    assert_eq!(outcome.code, Pam::Success, "{outcome:?}");
    house.run("totp-admin", &["log", "--verify"]);
    assert_eq!(house.admin_json(&["status", "--json"])["ok"], true);
}

#[test]
fn status_says_what_is_wrong_and_whether_the_daemon_answers() {
    let (house, _) = enrolled(Decider::Daemon);
    let status = house.admin_json(&["status", "--json"]);
    assert_eq!((&status["ok"], &status["totpd"]["answers"]), (&true.into(), &true.into()));
    fs::remove_file(house.path(STATE).join("installation-id")).unwrap();
    let output = house.attempt("totp-admin", &["status"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        String::from_utf8_lossy(&output.stdout).contains("not mounted?")
            || String::from_utf8_lossy(&output.stderr).contains("not mounted?"),
        "{output:?}"
    );
}

#[test]
fn the_agent_of_an_installation_in_order_starts() {
    let (house, _) = enrolled(Decider::usual());
    assert!(Agent::start(&house).stop().success());
}
