//! Enrollments kept under another name than the account's, or for another uid: what is said of them, and `rename`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::{Value, json};

use crate::support::{House, OTHER, SECRET, USER, code, two_codes};

/// A record as it would be for another name and uid.
fn write_record(house: &House, name: &str, text: &str) {
    fs::write(house.file_of(name), text).unwrap();
    fs::set_permissions(house.file_of(name), fs::Permissions::from_mode(0o600)).unwrap();
}

/// The account `daemon`, enrolled by a former name.
fn renamed() -> Option<House> {
    let house = House::new("")?;
    house.enroll(USER);
    let text = fs::read_to_string(house.file_of(USER)).unwrap();
    house.run(&["remove", USER, "--yes"]).done();
    write_record(&house, "formerly", &text.replace("\"daemon\"", "\"formerly\""));
    house.run(&["init"]).done();
    Some(house)
}

/// The account `daemon`, enrolled when it had another uid.
fn with_another_uid() -> Option<House> {
    let house = House::new("")?;
    house.enroll(USER);
    let text = fs::read_to_string(house.file_of(USER)).unwrap();
    write_record(&house, USER, &text.replace("uid = 1\n", "uid = 4242\n"));
    house.run(&["init"]).done();
    Some(house)
}

/// The enrollment of the account `daemon` under the name of the account `bin`: `daemon` was called so before.
fn with_the_name_given_to_another() -> Option<House> {
    let house = House::new("")?;
    house.enroll(USER);
    let text = fs::read_to_string(house.file_of(USER)).unwrap();
    house.run(&["remove", USER, "--yes"]).done();
    write_record(&house, OTHER, &text.replace("\"daemon\"", "\"bin\""));
    house.run(&["init"]).done();
    Some(house)
}

/// The enrollment of an account that was removed.
fn with_an_account_that_is_gone() -> Option<House> {
    let house = with_another_uid()?;
    let text = fs::read_to_string(house.file_of(USER)).unwrap();
    house.run(&["remove", USER, "--yes"]).done();
    write_record(&house, "gone", &text.replace("\"daemon\"", "\"gone\""));
    house.run(&["init"]).done();
    Some(house)
}

/// The account `daemon`, disabled by a former name.
fn disabled_and_renamed(settings: &str) -> Option<House> {
    let house = House::new(settings)?;
    house.run(&["disable", USER, "--yes"]).done();
    let text = fs::read_to_string(house.file_of(USER)).unwrap();
    house.run(&["remove", USER, "--yes"]).done();
    write_record(&house, "formerly", &text.replace("\"daemon\"", "\"formerly\""));
    house.run(&["init"]).done();
    Some(house)
}

/// The index has this enrollment for the uid of `daemon`.
fn is_found_by_its_uid(house: &House, name: &str) -> bool {
    let line = fs::read_to_string(house.path("state/uids/1")).unwrap_or_default();
    line.contains(name)
}

fn listed(house: &House, user: &str) -> Option<Value> {
    let all = house.run(&["list", "--json"]).done().json();
    all.as_array().unwrap().iter().find(|one| one["user"] == user).cloned()
}

#[test]
fn a_renamed_account_is_named_with_the_command_that_renames() {
    let Some(house) = renamed() else { return };
    let one = listed(&house, "formerly").unwrap();
    assert_eq!((&one["uid"], &one["account_uid"]), (&json!(1), &json!(null)));
    assert_eq!(one["renamed_to"], USER);
    let said = house.run(&["list"]).done();
    assert!(said.out.contains("totp-admin rename formerly daemon"), "{}", said.out);
    let shown = house.run(&["show", USER, "--json"]).done();
    assert_eq!(shown.json()["user"], "formerly");
    assert!(house.run(&["show", USER]).done().err.contains("daemon is enrolled as formerly"));
}

#[test]
fn commands_change_nothing_under_a_name_that_was_not_typed() {
    let Some(house) = renamed() else { return };
    let before = fs::read(house.file_of("formerly")).unwrap();
    for arguments in [
        &["disable", USER, "--yes"][..],
        &["reset", USER, "--yes"],
        &["remove", USER, "--yes"],
        &["verify", USER],
        &["contact", USER, "--email", "a@example.com"],
        &["recovery-codes", USER],
        &["rename", "--uid", USER],
        &["enroll", USER, "--no-confirm"],
        &["enroll", USER, "--at-login"],
    ] {
        let said = house.run(arguments);
        said.refused(&["daemon is enrolled as formerly", "totp-admin rename formerly daemon"]);
    }
    assert_eq!(fs::read(house.file_of("formerly")).unwrap(), before);
    assert!(!house.file_of(USER).exists());
}

#[test]
fn an_enrollment_that_another_account_has_now_is_not_changed_under_its_former_name() {
    let Some(house) = renamed() else { return };
    let before = fs::read(house.file_of("formerly")).unwrap();
    for arguments in [
        &["disable", "formerly", "--yes"][..],
        &["reset", "formerly", "--yes"],
        &["remove", "formerly", "--yes"],
        &["recovery-codes", "formerly"],
        &["bypass-code", "formerly"],
        &["unlock", "formerly"],
        &["resync", "formerly"],
        &["contact", "formerly", "--email", "a@example.com"],
        &["rename", "--uid", "formerly"],
        &["enroll", "formerly", "--no-account", "--replace", "--no-confirm"],
        &["enroll", "formerly", "--no-account", "--add", "--no-confirm"],
        &["enroll", "formerly", "--no-account", "--at-login"],
    ] {
        let said = house.run(arguments);
        said.refused(&["uid 1, which daemon has now", "totp-admin rename formerly daemon"]);
    }
    assert_eq!(fs::read(house.file_of("formerly")).unwrap(), before);
    assert!(is_found_by_its_uid(&house, "formerly"));
    house.run(&["rename", "formerly", USER]).done();
    house.run(&["disable", USER, "--yes"]).done();
}

#[test]
fn an_enrollment_of_a_name_that_was_given_to_another_is_the_renamed_accounts() {
    let Some(house) = with_the_name_given_to_another() else { return };
    let before = fs::read(house.file_of(OTHER)).unwrap();
    for arguments in [
        &["remove", OTHER, "--yes"][..],
        &["disable", OTHER, "--yes"],
        &["reset", OTHER, "--yes"],
        &["enroll", OTHER, "--replace", "--no-confirm"],
        &["enroll", OTHER, "--no-confirm"],
        &["rename", "--uid", OTHER, "--yes"],
        &["rename", "--uid", "--all", "--yes"],
    ] {
        let said = house.run(arguments);
        said.refused(&["uid 1, which daemon has now", "totp-admin rename bin daemon"]);
    }
    assert_eq!(fs::read(house.file_of(OTHER)).unwrap(), before);
    let problem = listed(&house, OTHER).unwrap()["problem"].as_str().unwrap().to_owned();
    assert!(problem.contains("totp-admin rename bin daemon"), "{problem}");
    assert!(!problem.contains("remove") && !problem.contains("--uid"), "{problem}");
    house.run(&["rename", OTHER, USER]).done();
    house.run(&["enroll", OTHER, "--no-confirm"]).done();
}

#[test]
fn a_uid_that_another_person_has_now_is_free_for_rename_uid_once_that_person_is_enrolled() {
    let Some(house) = with_the_name_given_to_another() else { return };
    let said = house.run(&["rename", "--uid", OTHER, "--yes"]);
    said.refused(&["if daemon is another person: totp-admin enroll daemon"]);
    house.run(&["enroll", USER, "--no-confirm"]).done();
    house.run(&["rename", "--uid", OTHER, "--yes"]).done();
    assert_eq!(listed(&house, OTHER).unwrap()["status"], "active");
    assert_eq!(listed(&house, USER).unwrap()["status"], "active");
}

#[test]
fn all_uids_are_changed_except_of_what_another_account_has_now_which_is_named() {
    let Some(house) = with_the_name_given_to_another() else { return };
    house.enroll("games");
    let text = fs::read_to_string(house.file_of("games")).unwrap();
    write_record(&house, "games", &text.replace("uid = 5\n", "uid = 4242\n"));
    house.run(&["init"]).done();
    let said = house.run(&["rename", "--uid", "--all", "--yes", "--json"]);
    let said = said.refused(&["bin is left out", "totp-admin rename bin daemon"]).json();
    let changed = |user| {
        said.as_array().unwrap().iter().find(|one| one["user"] == user).unwrap()["changed"].clone()
    };
    assert_eq!((changed(OTHER), changed("games")), (json!(false), json!(true)));
}

#[test]
fn what_an_account_left_under_its_former_name_can_be_removed_once_it_has_its_own() {
    let Some(house) = renamed() else { return };
    fs::copy(house.file_of("formerly"), house.path("old")).unwrap();
    house.run(&["rename", "formerly", USER]).done();
    write_record(&house, "formerly", &fs::read_to_string(house.path("old")).unwrap());
    house.run(&["remove", "formerly", "--yes"]).done();
    assert!(house.file_of(USER).exists());
}

#[test]
fn a_disabled_marker_of_a_former_name_may_be_erased_and_is_not_replaced() {
    let Some(house) = disabled_and_renamed("") else { return };
    let said = house.run(&["reset", "formerly", "--yes"]);
    said.refused(&["totp-admin rename formerly daemon", "totp-admin remove formerly"]);
    house.run(&["remove", "formerly", "--yes"]).done();
}

#[test]
fn a_disabled_marker_that_denies_the_renamed_account_is_not_erased_under_the_former_name() {
    let Some(house) = disabled_and_renamed("[policy]\ndisabled = \"denied\"\n") else { return };
    let said = house.run(&["remove", "formerly", "--yes"]);
    said.refused(&["uid 1, which daemon has now", "totp-admin rename formerly daemon"]);
    for arguments in [&["enroll", USER, "--no-confirm"][..], &["enroll", USER, "--at-login"]] {
        let said = house.run_with(arguments, "", &[("SUDO_UID", "1")]);
        said.refused(&["your own account, and kept out"]);
    }
    house.run(&["rename", "formerly", USER]).done();
    house.run(&["remove", USER, "--yes"]).done();
}

#[test]
fn a_damaged_record_that_another_account_has_now_is_erased_alone_and_that_account_is_named() {
    let Some(house) = renamed() else { return };
    write_record(&house, "formerly", "uid = 1\nnonsense\n");
    for arguments in [&["reset", "formerly", "--yes"][..], &["disable", "formerly", "--yes"]] {
        house.run(arguments).refused(&["totp-admin remove formerly", "totp-admin enroll daemon"]);
    }
    let said = house.run(&["remove", "formerly", "--yes"]).done();
    assert!(said.err.contains("The account daemon is enrolled by it"), "{}", said.err);
    house.run(&["enroll", USER, "--no-confirm"]).done();
}

#[test]
fn a_new_decision_about_an_account_that_is_gone_keeps_its_uid() {
    let Some(house) = with_an_account_that_is_gone() else { return };
    let uid = |house: &House| listed(house, "gone").unwrap()["uid"].clone();
    house.run(&["reset", "gone", "--yes"]).done();
    assert_eq!(uid(&house), json!(4242));
    assert!(house.path("state/uids/4242").exists());
    house.run(&["disable", "gone", "--yes"]).done();
    assert_eq!(uid(&house), json!(4242));
    let enroll = ["enroll", "gone", "--no-account", "--no-confirm"];
    house.run(&enroll).refused(&["an account with uid 4242", "totp-admin remove gone"]);
    house.run(&["remove", "gone", "--yes"]).done();
    house.run(&enroll).done();
}

#[test]
fn a_rename_the_wrong_way_round_is_said() {
    let Some(house) = renamed() else { return };
    let advice =
        "kept about formerly; where that was the former name: totp-admin rename formerly daemon";
    house.run(&["rename", USER, "formerly"]).refused(&["nothing is kept about daemon", advice]);
    house.run(&["rename", "formerly", USER]).done();
    assert!(listed(&house, "formerly").is_none());
    house.run(&["status"]).done();
}

#[test]
fn an_account_with_another_uid_keeps_its_enrollment_by_rename_uid() {
    let Some(house) = with_another_uid() else { return };
    let one = listed(&house, USER).unwrap();
    assert_eq!((&one["status"], &one["uid"]), (&json!("damaged"), &json!(4242)));
    assert!(one["problem"].as_str().unwrap().contains("totp-admin rename --uid daemon"));
    let done = house.run(&["rename", "--uid", USER, "--json"]).done().json();
    assert_eq!((&done["uid_before"], &done["uid"]), (&json!(4242), &json!(1)));
    assert_eq!(listed(&house, USER).unwrap()["status"], "active");
    let last = house.record().pop().unwrap();
    assert_eq!(last["event"], "uid-changed");
    assert_eq!(
        (&last["user"], &last["reason"]),
        (&json!(USER), &json!("formerly uid 4242, now 1"))
    );
    house.run(&["status"]).done();
    let again = house.run(&["rename", "--uid", USER, "--json"]).done().json();
    assert_eq!(again["changed"], false);
}

#[test]
fn an_account_is_ones_own_also_by_the_uid_that_it_was_enrolled_with() {
    let Some(house) = with_another_uid() else { return };
    let before = fs::read(house.file_of(USER)).unwrap();
    for command in ["disable", "reset", "remove"] {
        let said = house.run_with(&[command, USER, "--yes"], "", &[("SUDO_UID", "4242")]);
        said.refused(&["daemon is your own account"]);
    }
    assert_eq!(fs::read(house.file_of(USER)).unwrap(), before);
    house.run_with(&["disable", USER, "--yes"], "", &[("SUDO_UID", "4243")]).done();
}

#[test]
fn no_code_is_right_for_another_account_than_it_was_enrolled_for() {
    for (house, user, word) in [
        (with_another_uid(), USER, "record-refused"),
        (with_an_account_that_is_gone(), "gone", "no-account"),
    ] {
        let Some(house) = house else { return };
        assert_eq!(house.verified(user, &code(SECRET, 0)), word);
        let said = house.verify(user, &code(SECRET, 0)).refused(&[]);
        assert!(said.out.contains(&format!("totp-admin show {user}")), "{}", said.out);
        let (first, second) = two_codes(SECRET, 0);
        house.resync(user, [&first, &second], &[]).refused(&["was enrolled for", "show"]);
        let state = house.run(&["show", user, "--json"]).done().json();
        assert!(state["authenticators"][0]["last_used"].is_null(), "{state}");
    }
}

#[test]
fn the_code_of_another_account_is_no_proof_of_ones_own() {
    let Some(house) = with_another_uid() else { return };
    for uid in ["1", "4242"] {
        let code = format!("{}\n", code(SECRET, 0));
        let said = house.run_with(&["disable", USER, "--yes"], &code, &[("SUDO_UID", uid)]);
        said.refused(&["another uid than the account has", "nothing was changed"]);
    }
    assert!(fs::read_to_string(house.file_of(USER)).unwrap().contains("secret"));
}

#[test]
fn nobody_ends_their_own_denial_by_the_uid_of_before() {
    let Some(house) = House::new("[policy]\ndisabled = \"denied\"\n") else { return };
    house.run(&["disable", USER, "--yes"]).done();
    let text = fs::read_to_string(house.file_of(USER)).unwrap();
    write_record(&house, USER, &text.replace("uid = 1\n", "uid = 4242\n"));
    for command in ["reset", "remove"] {
        let said = house.run_with(&[command, USER, "--yes"], "", &[("SUDO_UID", "4242")]);
        said.refused(&["your own account, and kept out"]);
    }
}

#[test]
fn an_enrollment_from_before_the_account_is_named_and_gets_its_uid_by_rename_uid() {
    let Some(house) = with_another_uid() else { return };
    let text = fs::read_to_string(house.file_of(USER)).unwrap();
    write_record(&house, USER, &text.replace("uid = 4242\n", ""));
    house.run(&["init"]).done();
    let one = listed(&house, USER).unwrap();
    assert_eq!((&one["status"], &one["uid"]), (&json!("active"), &json!(null)));
    assert!(one["problem"].as_str().unwrap().contains("totp-admin rename --uid daemon"), "{one}");
    let status = house.run(&["status", "--json"]).done().json();
    let warning = status["warnings"][0].as_str().unwrap();
    assert!(warning.contains("about daemon is from before there was an account"), "{warning}");
    let done = house.run(&["rename", "--uid", USER, "--json"]).done().json();
    assert_eq!((&done["uid_before"], &done["uid"]), (&json!(null), &json!(1)));
    assert!(is_found_by_its_uid(&house, USER));
    assert_eq!(house.record().pop().unwrap()["reason"], "formerly no uid, now 1");
    assert_eq!(house.run(&["status", "--json"]).done().json()["warnings"], json!([]));
}

#[test]
fn all_uids_of_a_directory_are_changed_and_a_dry_run_changes_none() {
    let Some(house) = with_another_uid() else { return };
    house.run(&["enroll", OTHER, "--no-confirm"]).done();
    let before = fs::read(house.file_of(USER)).unwrap();
    let dry = house.run(&["rename", "--uid", "--all", "--dry-run", "--json"]).done().json();
    let expected =
        json!([{"user": USER, "changed": false, "record": null, "uid_before": 4242, "uid": 1}]);
    assert_eq!(dry, expected);
    let said = house.run(&["rename", "--uid", "--all", "--dry-run"]).done();
    assert!(said.out.contains("daemon: uid 4242, now 1"), "{}", said.out);
    assert_eq!(fs::read(house.file_of(USER)).unwrap(), before);
    let done = house.run(&["rename", "--uid", "--all", "--yes", "--json"]).done().json();
    assert_eq!((&done[0]["user"], &done[0]["changed"]), (&json!(USER), &json!(true)));
    assert_eq!(done.as_array().unwrap().len(), 1);
    assert_eq!(house.record().pop().unwrap()["event"], "uid-changed");
    assert_eq!(house.run(&["rename", "--uid", "--all", "--json"]).done().json(), json!([]));
}

#[test]
fn enrollments_that_would_share_a_uid_are_named() {
    let Some(house) = with_another_uid() else { return };
    let text = fs::read_to_string(house.file_of(USER)).unwrap();
    let text = text.replace("\"daemon\"", "\"formerly\"").replace("uid = 4242", "uid = 1");
    write_record(&house, "formerly", &text);
    house.run(&["init"]).done();
    let said = house.run(&["rename", "--uid", "--all", "--dry-run"]).done();
    assert!(
        said.err.contains("uid 1 has several enrollments then: daemon, formerly"),
        "{}",
        said.err
    );
    let said = house.run(&["rename", "--uid", USER, "--yes"]).done();
    assert!(said.err.contains("Enrolled with uid 1 as well: formerly"), "{}", said.err);
    let status = house.run(&["status", "--json"]).done().json();
    assert_eq!(status["index"]["shared_uids"], json!([{"uid": 1, "users": [USER, "formerly"]}]));
}

#[test]
fn an_index_that_differs_is_wrong_and_init_makes_it_again() {
    let Some(house) = House::new("") else { return };
    house.enroll(USER);
    fs::remove_file(house.path("state/uids/1")).unwrap();
    let status =
        house.run(&["status", "--json"]).refused(&["daemon (uid 1) is enrolled and not in it"]);
    assert_eq!(status.json()["index"]["ok"], false);
    let made = house.run(&["init", "--json"]).done().json();
    assert_eq!((&made["changed"], &made["index_files"]), (&json!(true), &json!(1)));
    house.run(&["status"]).done();
    fs::remove_dir_all(house.path("state/uids")).unwrap();
    house.run(&["status"]).refused(&["state/uids", "init --config"]);
    house.run(&["enroll", OTHER, "--no-confirm"]).refused(&["init --config"]);
    house.run(&["init"]).done();
    house.run(&["status"]).done();
}

#[test]
fn an_installation_from_before_the_index_gets_it_by_init() {
    let Some(house) = House::new("") else { return };
    house.enroll(USER);
    fs::remove_dir_all(house.path("state/uids")).unwrap();
    let made = house.run(&["init", "--json"]).done().json();
    assert_eq!((&made["identity"], &made["index_files"]), (&json!("kept"), &json!(2)));
    assert_eq!(made["made"], json!([house.path("state/uids")]));
    house.run(&["status"]).done();
}

#[test]
fn an_enrollment_whose_uid_nothing_tells_keeps_the_index_from_being_made() {
    let Some(house) = House::new("") else { return };
    write_record(&house, "unknown", "nonsense");
    fs::remove_dir_all(house.path("state/uids")).unwrap();
    house.run(&["init"]).refused(&["unknown.toml", "totp-admin remove unknown"]);
    house.run(&["remove", "unknown", "--yes"]).done();
    house.run(&["init"]).done();
    house.run(&["status"]).done();
}

#[test]
fn an_alias_of_an_account_that_is_there_may_be_enrolled_for_itself() {
    let Some(house) = House::new("") else { return };
    house.enroll(USER);
    let text = fs::read_to_string(house.file_of(USER)).unwrap();
    // Of two names of one uid the account that is looked up by it is the first.
    house.run(&["remove", USER, "--yes"]).done();
    write_record(&house, OTHER, &text.replace("\"daemon\"", "\"bin\""));
    house.run(&["init"]).done();
    house.run(&["enroll", USER, "--no-confirm"]).done();
}

#[test]
fn what_makes_no_sense_is_wrong_usage() {
    let Some(house) = House::new("") else { return };
    for arguments in [
        &["rename", "one"][..],
        &["rename", "--uid"],
        &["rename", "--uid", "one", "two"],
        &["rename", "--all"],
        &["rename", "--uid", "--all", "one"],
        &["rename", "one", "two", "--dry-run"],
        &["rename", "--uid", "one", "--dry-run"],
    ] {
        house.run(arguments).wrong_usage();
    }
}
