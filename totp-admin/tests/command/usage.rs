//! The command line itself: help, completions, man pages, and what is wrong usage.

use crate::support::House;

#[test]
fn help_and_version_go_to_standard_output() {
    let Some(house) = House::new("") else { return };
    for args in [&["--help"][..], &["-h"], &["enroll", "--help"], &["config", "edit", "--help"]] {
        let output = house.run(args).done();
        assert!(output.out.contains("Usage: totp-admin"), "{args:?}: {}", output.out);
        assert_eq!(output.err, "");
    }
    assert!(house.run(&["--version"]).done().out.starts_with("totp-admin 0."));
}

#[test]
fn the_short_help_is_one_screen() {
    let Some(house) = House::new("") else { return };
    let help = house.run(&["-h"]).done().out;
    assert!(help.lines().count() <= 39, "{help}");
    insta::assert_snapshot!(help);
}

#[test]
fn wrong_usage_is_exit_code_two_and_no_result() {
    let Some(house) = House::new("") else { return };
    for args in [
        &[][..],
        &["enrol", "daemon"],
        &["enroll"],
        &["enroll", "daemon", "--digits", "5"],
        &["enroll", "daemon", "--add", "--replace"],
        &["enroll", "daemon", "--json"],
        &["enroll", "daemon", "--qr-file", "/tmp/code.jpg"],
        &["enroll", "daemon", "--name", "my phone", "--no-confirm"],
        &["list", "--status", "asleep"],
        &["log", "--since", "yesterday"],
        &["log", "--verify", "--follow"],
        &["verify", "daemon", "1", "2", "3", "4"],
        &["config"],
        &["show", ""],
        &["completions", "bash", "--json"],
        &["man", "--json"],
    ] {
        house.run(args).wrong_usage();
    }
    assert_eq!(house.record().len(), 0);
}

#[test]
fn completions_need_no_configuration() {
    let Some(house) = House::unmade("this is no configuration") else { return };
    let script = house.run(&["completions", "bash"]).done().out;
    assert!(script.contains("--secret-file"));
    house.run(&["completions", "tcsh"]).wrong_usage();
}

#[test]
fn man_pages_are_written_where_they_are_wanted() {
    let Some(house) = House::new("") else { return };
    let dir = house.path("man");
    house.run(&["man", "--dir", dir.to_str().unwrap()]).refused(&["man", "No such file"]);
    std::fs::create_dir(&dir).unwrap();
    house.run(&["man", "--dir", dir.to_str().unwrap()]).done();
    let page = std::fs::read_to_string(dir.join("totp-admin-enroll.8")).unwrap();
    assert!(page.contains(".SH SYNOPSIS"));
    assert_eq!(
        house.run(&["man"]).done().out,
        std::fs::read_to_string(dir.join("totp-admin.8")).unwrap()
    );
}
