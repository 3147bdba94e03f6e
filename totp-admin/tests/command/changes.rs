//! `disable`, `remove`, `unlock` and `resync`; one's own second factor; and what is recorded when a change fails.

use std::fs;

use crate::support::{House, OTHER, SECRET, USER, code, two_codes, wrong_code};

/// daemon's uid: who sudo says is acting.
const AS_USER: (&str, &str) = ("SUDO_UID", "1");

#[test]
fn disable_erases_the_secret_records_who_and_why_and_is_done_once() {
    let Some(house) = House::new("") else { return };
    house.enroll(USER);
    let output = house.run(&["disable", USER, "--reason", "phone stolen, called 03:10"]).done();
    assert!(output.err.contains("with the first factor alone"), "{}", output.err);
    assert!(
        output.out.contains("Off; secrets and recovery codes erased. Record 2, by root."),
        "{}",
        output.out
    );
    assert!(!fs::read_to_string(house.file_of(USER)).unwrap().contains(SECRET));
    let record = &house.record()[1];
    assert_eq!((record["event"].as_str(), record["user"].as_str()), (Some("disabled"), Some(USER)));
    assert_eq!(record["reason"], "phone stolen, called 03:10");
    assert_eq!(record["actor"]["uid"], 0);
    let again = house.run(&["disable", USER, "--json"]).done().json();
    assert_eq!(again["changed"], false);
    assert_eq!(house.events(), ["enrolled", "disabled"]);
}

#[test]
fn disable_says_so_where_the_configuration_lets_nobody_in_without_a_second_factor() {
    let Some(house) = House::new("[policy]\ndisabled = \"denied\"") else { return };
    house.enroll(USER);
    assert!(house.run(&["disable", USER]).done().err.contains("cannot log in"));
}

#[test]
fn an_account_that_was_never_enrolled_can_be_let_in_and_a_name_nobody_knows_cannot() {
    let Some(house) = House::new("") else { return };
    assert_eq!(house.run(&["disable", USER, "--json"]).done().json()["changed"], true);
    assert_eq!(house.run(&["show", USER, "--json"]).done().json()["status"], "disabled");
    for command in ["disable", "show", "verify", "unlock"] {
        house.run(&[command, "no-such-user", "--yes"]).refused(&["there is no user no-such-user"]);
    }
    assert_eq!(house.events(), ["disabled"]);
}

#[test]
fn remove_leaves_nothing_and_is_done_once() {
    let Some(house) = House::new("") else { return };
    house.enroll(USER);
    let devices = house.path(format!("state/remembered/{USER}"));
    fs::write(&devices, "").unwrap();
    let output = house.run(&["remove", USER]).done();
    assert!(!devices.exists());
    assert!(output.err.contains("still exists; it cannot log in then"), "{}", output.err);
    assert!(!house.file_of(USER).exists() && !house.path(format!("state/state/{USER}")).exists());
    assert_eq!(house.run(&["remove", USER, "--json"]).done().json()["changed"], false);
    assert_eq!(house.events(), ["enrolled", "removed"]);
}

#[test]
fn ones_own_second_factor_is_weakened_with_a_current_code_alone() {
    let Some(house) = House::new("") else { return };
    house.enroll(USER);
    let weaken: [&[&str]; 4] = [
        &["disable", USER],
        &["remove", USER],
        &["enroll", USER, "--replace", "--no-confirm"],
        &["enroll", USER, "--add", "--name", "mine", "--no-confirm"],
    ];
    for args in weaken {
        house
            .run_with(args, "", &[AS_USER])
            .refused(&["no code was entered", "Another administrator"]);
        let wrong = format!("{}\n", wrong_code(SECRET));
        house.run_with(args, &wrong, &[AS_USER]).refused(&["not accepted (wrong)"]);
    }
    assert_eq!(house.events(), ["enrolled"]);
    assert_eq!(house.run(&["show", USER, "--json"]).done().json()["status"], "active");
    // It is spent like any other.
    let right = format!("{}\n", code(SECRET, 0));
    house
        .run_with(&["enroll", USER, "--add", "--name", "mine", "--no-confirm"], &right, &[AS_USER])
        .done();
    house.run_with(&["disable", USER], &right, &[AS_USER]).refused(&["used or void"]);
    let next = format!("{}\n", code(SECRET, 30));
    house.run_with(&["disable", USER], &next, &[AS_USER]).done();
    let record = &house.record()[2];
    assert_eq!(
        (record["actor"]["name"].as_str(), record["actor"]["uid"].as_u64()),
        (Some(USER), Some(1))
    );
}

#[test]
fn another_administrator_needs_no_code_of_the_user() {
    let Some(house) = House::new("") else { return };
    house.enroll(OTHER);
    house.run_with(&["disable", OTHER], "", &[AS_USER]).done();
}

#[test]
fn who_has_no_second_factor_cannot_switch_their_own_off() {
    let Some(house) = House::new("") else { return };
    house.run_with(&["disable", USER], "", &[AS_USER]).refused(&["your own account"]);
    assert_eq!(house.events(), Vec::<String>::new());
}

#[test]
fn nothing_is_changed_that_cannot_be_recorded() {
    let Some(house) = House::new("") else { return };
    house.enroll(USER);
    fs::rename(house.path("log"), house.path("away")).unwrap();
    for args in [&["disable", USER][..], &["remove", USER], &["enroll", OTHER, "--no-confirm"]] {
        house.run(args).refused(&["nothing was changed", "/log: ", "no such directory"]);
    }
    assert!(fs::read_to_string(house.file_of(USER)).unwrap().contains(SECRET));
    assert!(!house.file_of(OTHER).exists());
}

#[test]
fn a_recorded_change_that_fails_is_recorded_as_not_done() {
    let Some(house) = House::new("") else { return };
    house.enroll(USER);
    // A directory in the place of the state can't be removed as a file.
    let state = house.path(format!("state/state/{USER}"));
    fs::remove_file(&state).unwrap();
    fs::create_dir(&state).unwrap();
    house
        .run(&["enroll", USER, "--replace", "--no-confirm"])
        .refused(&["recorded as 2, and as not done in 3"]);
    let record = house.record();
    assert_eq!(
        (record[2]["event"].as_str(), record[2]["of"].as_u64()),
        (Some("not-done"), Some(2))
    );
    assert!(record[2]["reason"].as_str().unwrap().contains("state"), "{}", record[2]);
    assert!(fs::read_to_string(house.file_of(USER)).unwrap().contains(SECRET));
}

#[test]
fn unlock_gives_back_what_guesses_used_up_once() {
    let Some(house) = House::new("") else { return };
    house.enroll(USER);
    assert_eq!(house.run(&["unlock", USER, "--json"]).done().json()["changed"], false);
    let wrong = format!("{}\n", wrong_code(SECRET));
    house.run_with(&["disable", USER], &wrong, &[AS_USER]).refused(&["wrong"]);
    assert_eq!(house.run(&["unlock", USER, "--json"]).done().json()["changed"], true);
    assert_eq!(house.run(&["unlock", USER, "--json"]).done().json()["changed"], false);
    assert_eq!(house.events(), ["enrolled", "unlocked"]);
    house.run(&["unlock", OTHER]).refused(&["is not enrolled"]);
}

/// Guesses at the user's own code until one code is not enough any more.
fn use_the_budget_up(house: &House) {
    let wrong = format!("{}\n", wrong_code(SECRET));
    for _ in 0..100 {
        house.run_with(&["disable", USER], &wrong, &[AS_USER]).refused(&["not accepted"]);
        if house.run(&["show", USER, "--json"]).json()["codes_required"] != 1 {
            return;
        }
    }
    panic!("a hundred guesses used nothing up");
}

#[test]
fn after_many_guesses_more_codes_are_asked_for_until_it_is_unlocked() {
    let Some(house) = House::new("") else { return };
    house.enroll(USER);
    use_the_budget_up(&house);
    assert_eq!(house.run(&["show", USER, "--json"]).json()["codes_required"], 2);
    assert!(house.run(&["list"]).done().out.contains("asked for 2 codes"));
    assert_eq!(house.verified(USER, &code(SECRET, 0)), "budget", "right or wrong is not told");
    assert_eq!(house.verified(USER, &wrong_code(SECRET)), "budget");
    let (first, second) = two_codes(SECRET, 0);
    assert_eq!(house.verify(USER, &format!("{first} {second}")).code, 0);
    let right = format!("{}\n", code(SECRET, 0));
    house.run_with(&["disable", USER], &right, &[AS_USER]).refused(&["two or three in a row"]);
    house.run(&["unlock", USER]).done();
    assert_eq!(house.run(&["show", USER, "--json"]).json()["codes_required"], 1);
    assert_eq!(house.events(), ["enrolled", "more-codes-required", "unlocked"]);
}

#[test]
fn what_a_login_left_in_the_state_is_recorded_once_by_the_command() {
    let Some(house) = House::new("") else { return };
    house.enroll(USER);
    use_the_budget_up(&house);
    assert_eq!(house.events(), ["enrolled"]);
    let shown = house.run(&["log"]).done().out;
    assert!(shown.contains("more-codes-required daemon"), "{shown}");
    house.run(&["log"]).done();
    house.run(&["disable", USER]).done();
    assert_eq!(house.events(), ["enrolled", "more-codes-required", "disabled"]);
}

#[test]
fn a_wrong_pair_for_resync_is_recorded_like_a_wrong_code_for_verify() {
    let Some(house) = House::new("") else { return };
    house.enroll(USER);
    let wrong = wrong_code(SECRET);
    house.resync(USER, [&wrong, &wrong], &[]).refused(&["not two consecutive"]);
    let last = house.record().pop().unwrap();
    assert_eq!(
        (&last["event"], &last["user"], &last["outcome"]),
        (&"verified".into(), &USER.into(), &"wrong".into())
    );
}

#[test]
fn resync_learns_the_drift_from_two_codes_in_their_order() {
    let Some(house) = House::new("") else { return };
    house.enroll(USER);
    let (first, second) = two_codes(SECRET, -300);
    house.resync(USER, [&second, &first], &[]).refused(&["not two consecutive"]);
    assert_eq!(house.events(), ["enrolled"], "no resynchronisation is recorded");
    let done = house.resync(USER, [&first, &second], &["--json"]).done().json();
    assert_eq!((done["changed"].as_bool(), done["learned"].as_bool()), (Some(true), Some(true)));
    assert!((-300..=-240).contains(&done["ahead"].as_i64().unwrap()), "{done}");
    house.resync(USER, [&first, &second], &[]).refused(&["unused"]);
    assert_eq!(house.verify(USER, &code(SECRET, -240)).code, 0);
}

#[test]
fn ones_own_account_is_ones_own_however_the_name_is_typed() {
    let Some(house) = House::new("") else { return };
    house.enroll(USER);
    let capitals = USER.to_ascii_uppercase();
    for command in ["disable", "remove"] {
        house.run_with(&[command, &capitals], "", &[AS_USER]).refused(&["no code was entered"]);
    }
    for more in ["--replace", "--add", "--if-missing"] {
        let args = ["enroll", &capitals, "--no-account", "--no-confirm", more];
        house.run_with(&args, "", &[AS_USER]).refused(&["daemon is an account of this system"]);
    }
    assert_eq!(house.run(&["show", &capitals, "--json"]).done().json()["status"], "active");
    assert_eq!(house.events(), ["enrolled"]);
    // Somebody else's is what it is under its own name, too: a warning about the account that still exists.
    let output = house.run(&["remove", &capitals]).done();
    assert!(output.err.contains("The account daemon still exists"), "{}", output.err);
}

#[test]
fn removing_what_nobody_knows_is_no_error_and_no_record() {
    let Some(house) = House::new("") else { return };
    let output = house.run(&["remove", "no-such-user", "--json"]).done().json();
    assert_eq!((&output["changed"], &output["record"]), (&false.into(), &serde_json::Value::Null));
    let output = house.run(&["remove", "no-such-user"]).done();
    assert!(output.out.contains("Nothing is kept about no-such-user."), "{}", output.out);
    assert_eq!(house.events(), Vec::<String>::new());
}

#[test]
fn who_is_kept_out_does_not_let_themselves_in_again() {
    let Some(house) = House::new("[policy]\ndisabled = \"denied\"") else { return };
    house.run(&["disable", USER]).done();
    for args in [&["remove", USER][..], &["enroll", USER, "--no-confirm"]] {
        house.run_with(args, "", &[AS_USER]).refused(&["your own", "for another administrator"]);
    }
    house.run(&["remove", USER]).done();
    house.configure("");
    house.run(&["disable", USER]).done();
    house.run_with(&["remove", USER], "", &[AS_USER]).done();
}

#[test]
fn what_was_decided_about_another_account_of_the_name_is_not_done_already() {
    let Some(house) = House::new("") else { return };
    let recycle = || {
        let text = fs::read_to_string(house.file_of(USER)).unwrap();
        assert!(text.contains("\nuid = 1\n"), "{text}");
        fs::write(house.file_of(USER), text.replace("\nuid = 1\n", "\nuid = 4711\n")).unwrap();
    };
    house.run(&["disable", USER]).done();
    recycle();
    assert_eq!(house.run(&["disable", USER, "--json"]).done().json()["changed"], true);
    assert_eq!(house.run(&["disable", USER, "--json"]).done().json()["changed"], false);
    house.enroll(USER);
    recycle();
    house
        .run(&["enroll", USER, "--if-missing", "--no-confirm"])
        .refused(&["enrolled for another uid", "--replace"]);
}

#[test]
fn a_damaged_record_is_switched_off_and_said_to_be_damaged() {
    let Some(house) = House::new("") else { return };
    house.enroll(USER);
    fs::write(house.file_of(USER), "nonsense").unwrap();
    let output = house.run(&["disable", USER]).done();
    assert!(output.err.contains("daemon's record is damaged: "), "{}", output.err);
    assert!(output.out.contains("Off; secrets and recovery codes erased."), "{}", output.out);
}

#[test]
fn a_code_is_not_spent_on_arguments_that_are_wrong() {
    let Some(house) = House::new("") else { return };
    house.enroll_with(USER, SECRET, &[]);
    let right = format!("{}\n", code(SECRET, 0));
    let reason = "x".repeat(501);
    house.run_with(&["disable", USER, "--reason", &reason], &right, &[AS_USER]).wrong_usage();
    let taken = house.config().with_extension("png");
    fs::write(&taken, "").unwrap();
    let replace = ["enroll", USER, "--replace", "--no-confirm"];
    for (more, word) in [
        (["--qr-file", taken.to_str().unwrap()], "does not exist yet"),
        (["--qr-file", "/nonexistent/x.png"], "in a directory that exists"),
        (["--secret-file", "/nonexistent"], "cannot read"),
    ] {
        let output = house.run_with(&[&replace[..], &more].concat(), &right, &[AS_USER]);
        output.refused(&[word]);
    }
    house.run_with(&["disable", USER], &right, &[AS_USER]).done();
}

#[test]
fn the_way_back_that_is_named_is_one_that_works() {
    let Some(house) = House::new("") else { return };
    house.run(&["enroll", "vpn", "--no-account", "--no-confirm"]).done();
    for (user, command, more) in
        [(USER, "enroll daemon\n", ""), ("vpn", "reset vpn ", " --no-account")]
    {
        let said = house.run(&["disable", user]).done().err;
        assert!(said.contains(&format!("New phone: totp-admin {command}")), "{said}");
        house.run(&["unlock", user]).refused(&[&format!("totp-admin enroll {user}{more} or ")]);
        house.run(&["reset", user]).done();
    }
}
