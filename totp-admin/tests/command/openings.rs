//! Enrollments that are opened for the next login: `enroll --at-login` and `reset`; `contact`; `rename`.

use std::fs;

use serde_json::{Value, json};

use crate::support::{House, OTHER, SECRET, USER, code, now};

const AS_USER: (&str, &str) = ("SUDO_UID", "1");

fn status(house: &House, user: &str) -> Value {
    house.run(&["show", user, "--json"]).done().json()
}

fn seconds_left(document: &Value) -> u64 {
    let until: totp_core::time::UnixTime =
        document["pending_until"].as_str().unwrap().parse().unwrap();
    until.since(now())
}

fn result(house: &House, user: &str, code: &str) -> String {
    house.verified(user, code)
}

#[test]
fn somebody_who_is_not_here_gets_an_enrollment_code_for_seven_days() {
    let Some(house) = House::new("") else { return };
    let document = house.run(&["enroll", USER, "--at-login", "--json"]).done().json();
    let code = document["enrollment_code"].as_str().unwrap();
    assert_eq!((code.len(), &document["changed"]), (19, &true.into()));
    assert!((604_790..=604_800).contains(&seconds_left(&document)), "{document}");
    let shown = status(&house, USER);
    assert_eq!(
        (&shown["status"], &shown["pending_until"]),
        (&"pending".into(), &document["pending_until"])
    );
    assert_eq!(shown["recovery_codes_left"], Value::Null);
    assert!(house.run(&["list", "--status", "pending"]).done().out.contains("pending until 20"));
    assert!(!fs::read_to_string(house.file_of(USER)).unwrap().contains(&code.replace('-', "")));
    assert_eq!(result(&house, USER, code), "right");
    assert_eq!(result(&house, USER, "K7QM-2XVA-9TRC-HW4E"), "wrong");
    assert_eq!(house.events(), ["pending"]);
    let again =
        house.run(&["enroll", USER, "--at-login", "--within", "8h", "--json"]).done().json();
    assert!((28_790..=28_800).contains(&seconds_left(&again)), "{again}");
    assert_eq!(result(&house, USER, code), "wrong", "a new code voids the old one");
    let unchanged =
        house.run(&["enroll", USER, "--at-login", "--if-missing", "--json"]).done().json();
    assert_eq!(
        (&unchanged["changed"], &unchanged["enrollment_code"]),
        (&false.into(), &Value::Null)
    );
    assert_eq!(result(&house, USER, again["enrollment_code"].as_str().unwrap()), "right");
}

#[test]
fn without_a_code_whoever_has_the_first_factor_enrolls_which_is_said() {
    let Some(house) = House::new("") else { return };
    let args = ["enroll", USER, "--at-login", "--trust-first-factor"];
    let output = house.run(&args).done();
    assert!(output.err.contains("Whoever has daemon's first factor can enroll"), "{}", output.err);
    let document = house.run(&[&args[..], &["--json"]].concat()).done().json();
    assert_eq!(document["enrollment_code"], Value::Null);
    assert!(!document["pending_until"].is_null());
}

#[test]
fn what_is_over_is_shown_as_such_and_opened_again_where_it_is_missing() {
    let Some(house) = House::new("") else { return };
    house.run(&["enroll", USER, "--at-login"]).done();
    let kept = fs::read_to_string(house.file_of(USER)).unwrap();
    let until = status(&house, USER)["pending_until"].as_str().unwrap().to_owned();
    fs::write(house.file_of(USER), kept.replace(&until, "2020-01-02T03:04:05Z")).unwrap();
    let over = "enrollment over since 2020-01-02 03:04; cannot log in";
    for args in [&["show", USER][..], &["list"]] {
        let said = house.run(args).done().out;
        assert!(said.contains(over), "{said}");
    }
    let shown = status(&house, USER);
    assert_eq!(
        (&shown["status"], &shown["pending_until"]),
        (&"pending".into(), &"2020-01-02T03:04:05Z".into())
    );
    let again = house.run(&["enroll", USER, "--at-login", "--if-missing"]).done();
    assert!(again.out.contains("enrolls at the next login") && !again.out.contains("void"));
    assert!(house.run(&["show", USER]).done().out.contains("enrolls at the next login, until"));
}

#[test]
fn the_record_has_the_terms_of_an_opening_behind_its_reason() {
    let Some(house) = House::new("") else { return };
    let first = house.run(&["enroll", USER, "--at-login", "--json"]).done().json();
    let coded = house.run(&["reset", USER, "--reason", "new phone", "--json"]).done().json();
    let alone = ["reset", USER, "--trust-first-factor", "--json"];
    let alone = house.run(&alone).done().json();
    let until = |document: &Value| document["pending_until"].as_str().unwrap().to_owned();
    let reasons: Vec<String> =
        house.record().iter().map(|line| line["reason"].as_str().unwrap().to_owned()).collect();
    assert_eq!(
        reasons,
        [
            format!("with an enrollment code, until {}", until(&first)),
            format!("new phone; with an enrollment code, until {}", until(&coded)),
            format!("on the first factor alone, until {}", until(&alone)),
        ]
    );
    let terms: Vec<Value> = house.record().iter().map(|line| line["terms"].clone()).collect();
    let of = |code: bool, document| json!({"enrollment_code": code, "until": until(document)});
    assert_eq!(terms, [of(true, &first), of(true, &coded), of(false, &alone)], "for programs");
}

#[test]
fn who_is_enrolled_is_sent_to_reset_and_who_was_switched_off_enrolls() {
    let Some(house) = House::new("") else { return };
    house.enroll(USER);
    house
        .run(&["enroll", USER, "--at-login"])
        .refused(&["enrolled already", "totp-admin reset daemon"]);
    house.run(&["enroll", "nobody-we-know", "--at-login"]).refused(&["no account nobody-we-know"]);
    house.run(&["disable", USER]).done();
    house.run(&["enroll", USER, "--at-login"]).done();
    // Somebody who comes by enrolls all the same.
    house.enroll(USER);
    assert_eq!(status(&house, USER)["status"], "active");
    assert_eq!(house.events(), ["enrolled", "disabled", "pending", "enrolled"]);
}

#[test]
fn reset_erases_everything_and_opens_an_enrollment() {
    let Some(house) = House::new("") else { return };
    house.enroll_with(USER, SECRET, &["--email", "d@example.com", "--phone", "+420 123 456 789"]);
    let document = house.run(&["reset", USER, "--reason", "new phone", "--json"]).done().json();
    let code = document["enrollment_code"].as_str().unwrap();
    assert_eq!(document["changed"], true);
    let record = fs::read_to_string(house.file_of(USER)).unwrap();
    assert!(!record.contains(SECRET) && !record.contains("recovery"), "{record}");
    let shown = status(&house, USER);
    assert_eq!(shown["status"], "pending");
    assert_eq!(shown["contact"], json!({"email": "d@example.com", "phone": "+420123456789"}));
    let recorded = house.record().into_iter().find(|line| line["event"] == "reset").unwrap();
    assert_eq!(&recorded["seq"], &document["record"]);
    assert_eq!(result(&house, USER, code), "right");
    let said = house.run(&["reset", USER]).done();
    assert!(
        said.out.contains("Enrollment code: ") && said.err.contains("Tell daemon"),
        "{}",
        said.out
    );
    assert_eq!(result(&house, USER, code), "wrong");
}

#[test]
fn reset_is_for_who_is_known_and_for_records_that_are_damaged() {
    let Some(house) = House::new("") else { return };
    house
        .run(&["reset", USER])
        .refused(&["nothing to reset", "totp-admin enroll daemon --at-login"]);
    house.run(&["reset", "no-such-user"]).refused(&["there is no user"]);
    house.enroll(USER);
    fs::write(house.file_of(USER), "nonsense").unwrap();
    let output = house.run(&["reset", USER]).done();
    assert!(output.err.contains("daemon's record is damaged"), "{}", output.err);
    assert_eq!(status(&house, USER)["status"], "pending");
    let long = "x".repeat(501);
    house.run(&["reset", USER, "--reason", &long]).wrong_usage();
}

#[test]
fn ones_own_is_reset_with_a_code_and_opened_anew_with_the_enrollment_code() {
    let Some(house) = House::new("") else { return };
    house.enroll(USER);
    house
        .run_with(&["reset", USER], "", &[AS_USER])
        .refused(&["a current code or a recovery code"]);
    let right = format!("{}\n", code(SECRET, 0));
    let document = house.run_with(&["reset", USER, "--json"], &right, &[AS_USER]).done().json();
    let code = format!("{}\n", document["enrollment_code"].as_str().unwrap());
    let ways: [&[&str]; 5] = [
        &["reset", USER],
        &["disable", USER],
        &["remove", USER],
        &["enroll", USER, "--at-login", "--trust-first-factor"],
        &["enroll", USER, "--no-confirm"],
    ];
    for args in ways {
        house.run_with(args, "", &[AS_USER]).refused(&["needs the enrollment code"]);
        house
            .run_with(args, "K7QM-2XVA-9TRC-HW4E\n", &[AS_USER])
            .refused(&["not accepted (wrong)"]);
    }
    house.run_with(&["enroll", USER, "--no-confirm"], &code, &[AS_USER]).done();
    assert_eq!(house.events(), ["enrolled", "reset", "enrolled"]);
}

#[test]
fn who_is_kept_out_opens_no_enrollment_for_themselves() {
    let Some(house) = House::new("[policy]\ndisabled = \"denied\"") else { return };
    house.run(&["disable", USER]).done();
    for args in [&["reset", USER][..], &["enroll", USER, "--at-login"]] {
        house.run_with(args, "", &[AS_USER]).refused(&["your own", "for another administrator"]);
    }
}

#[test]
fn contact_is_shown_changed_and_forgotten() {
    let Some(house) = House::new("") else { return };
    house
        .run(&["contact", USER, "--email", "a@example.com"])
        .refused(&["not enrolled", "takes --email"]);
    house.enroll(USER);
    let none = house.run(&["contact", USER, "--json"]).done().json();
    assert_eq!(none["contact"], json!({"email": null, "phone": null}));
    assert_eq!(none["changed"], false);
    let set =
        ["contact", USER, "--email", "a@example.com", "--phone", "+420 123 456 789", "--json"];
    let document = house.run(&set).done().json();
    assert_eq!(document["contact"], json!({"email": "a@example.com", "phone": "+420123456789"}));
    assert_eq!((&document["changed"], &document["record"]), (&true.into(), &2.into()));
    assert_eq!(house.run(&set).done().json()["changed"], false, "twice is no change");
    let next = house.run(&["contact", USER, "--no-phone", "--email", "b@example.com", "--json"]);
    let next = next.done().json();
    let to: Vec<_> = next["told"].as_array().unwrap().iter().map(|one| one["to"].clone()).collect();
    assert_eq!(to, ["a@example.com", "b@example.com"], "whoever was told before, too");
    assert_eq!(status(&house, USER)["contact"], json!({"email": "b@example.com", "phone": null}));
    let record = house.record().into_iter().find(|line| line["seq"] == next["record"]).unwrap();
    assert_eq!(record["event"], "contact-changed");
    let reason = "mail: b@example.com, was a@example.com; telephone: unknown, was …789";
    assert_eq!(record["reason"], reason);
    for bad in [
        &["contact", USER, "--email", "alice"][..],
        &["contact", USER, "--email", "a@example.com\nBcc: x@example.com"],
        &["contact", USER, "--phone", "0123456789"],
        &["contact", USER, "--phone", "+42"],
        &["contact", USER, "--email", "a@example.com", "--no-email"],
    ] {
        house.run(bad).wrong_usage();
    }
    // Switched off, one is told all the same.
    house.run(&["disable", USER]).done();
    assert_eq!(status(&house, USER)["contact"]["email"], "b@example.com");
    house.run(&["contact", USER, "--email", "c@example.com"]).done();
    house.run(&["enroll", USER, "--no-confirm"]).done();
    assert_eq!(status(&house, USER)["contact"]["email"], "c@example.com");
}

#[test]
fn ones_own_contact_is_changed_with_a_code_and_shown_without() {
    let Some(house) = House::new("") else { return };
    house.enroll(USER);
    let mine = ["contact", USER, "--phone", "+420123456789"];
    house.run_with(&mine, "", &[AS_USER]).refused(&["no code was entered"]);
    house.run_with(&["contact", USER], "", &[AS_USER]).done();
    house.run_with(&mine, &format!("{}\n", code(SECRET, 0)), &[AS_USER]).done();
    assert_eq!(status(&house, USER)["contact"]["phone"], "+420123456789");
    house.run(&["disable", USER]).done();
    let other = ["contact", USER, "--no-phone"];
    house.run_with(&other, "", &[AS_USER]).refused(&["no second factor to prove"]);
}

#[test]
fn a_name_without_an_account_is_renamed_with_all_it_has() {
    let Some(house) = House::new("") else { return };
    house
        .run_with(
            &["enroll", "vpn1", "--no-account", "--secret-file", "-", "--no-confirm"],
            SECRET,
            &[],
        )
        .done();
    let codes = house.run(&["recovery-codes", "vpn1", "--json"]).done().json();
    let recovery = codes["recovery_codes"][0].as_str().unwrap();
    for dir in ["notices", "remembered"] {
        fs::write(house.path(format!("state/{dir}/vpn1")), "kept\n").unwrap();
    }
    let document = house.run(&["rename", "vpn1", "Vpn2", "--json"]).done().json();
    assert_eq!((&document["user"], &document["formerly"]), (&"vpn2".into(), &"vpn1".into()));
    assert_eq!(document["changed"], true);
    assert_eq!(result(&house, "vpn2", &code(SECRET, 0)), "right");
    assert_eq!(result(&house, "vpn2", recovery), "right");
    for gone in ["users/vpn1.toml", "state/vpn1", "notices/vpn1", "remembered/vpn1"] {
        assert!(!house.path(format!("state/{gone}")).exists(), "{gone}");
    }
    assert!(house.path("state/remembered/vpn2").exists());
    let record = house.record();
    let last = record.iter().rfind(|line| line["event"] == "renamed").unwrap();
    assert_eq!((&last["user"], &last["reason"]), (&"vpn2".into(), &"formerly vpn1".into()));
    house.run(&["rename", "vpn1", "vpn2"]).refused(&["nothing is kept about vpn1"]);
    // What is written next no longer knows the name before.
    house.run(&["contact", "vpn2", "--email", "v@example.com"]).done();
    assert!(!fs::read_to_string(house.file_of("vpn2")).unwrap().contains("formerly"));
}

#[test]
fn an_account_is_renamed_by_its_uid_alone() {
    let Some(house) = House::new("") else { return };
    house.enroll(USER);
    house.run(&["rename", USER, OTHER]).refused(&["enrolled for uid 1, the account bin has uid 2"]);
    house.run(&["rename", USER, "no-such-user"]).refused(&["no account no-such-user"]);
    house.run(&["rename", USER, USER]).refused(&["the name it has already"]);
    house.run(&["rename", OTHER, USER]).refused(&["nothing is kept about bin"]);
    assert_eq!(house.events(), ["enrolled"]);
    // As after usermod: the record is that of a name that is gone, and of the uid of one that is there.
    let text = fs::read_to_string(house.file_of(USER)).unwrap();
    house.run(&["remove", USER]).done();
    fs::write(house.file_of("oldname"), text.replace("\"daemon\"", "\"oldname\"")).unwrap();
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(house.file_of("oldname"), fs::Permissions::from_mode(0o600)).unwrap();
    // Whose own it is takes nobody's code along.
    house.run_with(&["rename", "oldname", USER], "", &[AS_USER]).done();
    assert_eq!(status(&house, USER)["status"], "active");
    house.run(&["rename", USER, USER]).refused(&["already"]);
}

#[test]
fn nobody_is_renamed_onto_what_is_kept_about_another() {
    let Some(house) = House::new("") else { return };
    for name in ["vpn1", "vpn2"] {
        house.run(&["enroll", name, "--no-account", "--no-confirm"]).done();
    }
    let before = fs::read(house.file_of("vpn2")).unwrap();
    house.run(&["rename", "vpn1", "vpn2"]).refused(&["something is kept about vpn2 already"]);
    assert_eq!(fs::read(house.file_of("vpn2")).unwrap(), before);
    house.run(&["rename", "vpn1", USER]).refused(&["daemon is an account of this system"]);
}
