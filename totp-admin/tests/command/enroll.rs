//! `enroll`, as scripts use it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use crate::support::{House, OTHER, SECRET, USER, code, two_codes, wrong_code};

const SECOND: &str = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP";

#[test]
fn the_document_has_the_secret_and_every_key_of_the_contract() {
    let Some(house) = House::new("[totp]\nissuer = \"web1\"") else { return };
    let document = house.run(&["enroll", USER, "--json", "--no-confirm"]).done().json();
    let secret = document["secret"].as_str().unwrap();
    assert_eq!(secret.len(), 32, "160 bits");
    assert_eq!(document["uri"], format!("otpauth://totp/web1:{USER}?secret={secret}&issuer=web1"));
    assert_eq!(document["user"], USER);
    assert_eq!(document["authenticator"], "phone");
    assert_eq!(document["kind"], "totp");
    assert_eq!(document["recovery_codes"].as_array().unwrap().len(), 5);
    assert_eq!(document["changed"], true);
    assert_eq!(document["record"], 1);
    assert!(fs::read_to_string(house.file_of(USER)).unwrap().contains(secret));
    assert!(house.verify(USER, &code(secret, 0)).code == 0);
}

#[test]
fn a_current_code_from_standard_input_switches_it_on() {
    let Some(house) = House::new("") else { return };
    let used = code(SECRET, 0);
    let input = format!("{SECRET}\n{used}\n");
    let output = house.run_with(&["enroll", USER, "--secret-file", "-"], &input, &[]).done();
    assert!(output.out.contains("the clocks agree"), "{}", output.out);
    assert!(!output.out.contains(SECRET) && !output.err.contains(SECRET));
    // The confirming code is spent.
    assert_eq!(house.verify(USER, &used).code, 1);
    assert_eq!(house.events(), ["enrolled"]);
}

#[test]
fn without_a_right_code_nothing_is_changed() {
    let Some(house) = House::new("") else { return };
    let wrong = wrong_code(SECRET);
    for codes in [String::new(), format!("{wrong}\n"), format!("12345\n{wrong}\nhello\n")] {
        let input = format!("{SECRET}\n{codes}");
        let args = ["enroll", USER, "--secret-file", "-"];
        let output = house.run_with(&args, &input, &[]).refused(&["no right code", "as before"]);
        assert_eq!(output.out, "");
    }
    assert!(!house.file_of(USER).exists());
    assert_eq!(house.events(), Vec::<String>::new());
}

#[test]
fn a_code_that_is_right_for_another_hour_is_diagnosed() {
    let Some(house) = House::new("") else { return };
    let input = format!("{SECRET}\n{}\n", code(SECRET, 3600));
    let args = ["enroll", USER, "--secret-file", "-"];
    house.run_with(&args, &input, &[]).refused(&[
        "Right for ",
        "this machine says ",
        "Nothing is switched on yet",
    ]);
}

#[test]
fn two_codes_of_a_phone_that_is_minutes_off_teach_its_drift() {
    let Some(house) = House::new("") else { return };
    let (first, second) = two_codes(SECRET, 240);
    let input = format!("{SECRET}\n{first}\n{second}\n");
    let output = house.run_with(&["enroll", USER, "--secret-file", "-"], &input, &[]).done();
    assert!(output.out.contains("ahead of this machine's"), "{}", output.out);
    let shown = house.run(&["show", USER, "--json"]).done().json();
    assert!(shown["authenticators"][0]["drift"].as_i64().unwrap() >= 8, "{shown}");
}

#[test]
fn who_is_enrolled_is_refused_without_add_or_replace() {
    let Some(house) = House::new("") else { return };
    house.enroll(USER);
    let before = fs::read(house.file_of(USER)).unwrap();
    house.run(&["enroll", USER, "--no-confirm"]).refused(&[
        "enrolled already (phone)",
        "--add",
        "--replace",
    ]);
    let document =
        house.run(&["enroll", USER, "--no-confirm", "--if-missing", "--json"]).done().json();
    assert_eq!(
        (&document["changed"], &document["secret"]),
        (&false.into(), &serde_json::Value::Null)
    );
    assert_eq!(fs::read(house.file_of(USER)).unwrap(), before);
    assert_eq!(house.events(), ["enrolled"]);
}

#[test]
fn add_keeps_what_there_is_and_what_it_has_spent() {
    let Some(house) = House::new("") else { return };
    let used = code(SECRET, 0);
    let input = format!("{SECRET}\n{used}\n");
    house.run_with(&["enroll", USER, "--secret-file", "-"], &input, &[]).done();
    let add = |secret: &str, more: &[&str]| {
        let args =
            [&["enroll", USER, "--secret-file", "-", "--no-confirm", "--add"], more].concat();
        house.run_with(&args, secret, &[])
    };
    add(SECOND, &[]).refused(&["called phone already", "--name"]);
    add(SECRET, &["--name", "tablet"]).refused(&["has this secret already"]);
    house.enroll_with(USER, SECOND, &["--add", "--name", "tablet"]);
    assert_eq!(house.events(), ["enrolled", "authenticator-added"]);
    let shown = house.run(&["show", USER, "--json"]).done().json();
    let names: Vec<&str> = shown["authenticators"]
        .as_array()
        .unwrap()
        .iter()
        .map(|a| a["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["phone", "tablet"]);
    assert_eq!(house.verify(USER, &used).code, 1, "spent before");
    assert_eq!(house.verify(USER, &code(SECOND, 0)).code, 0);
}

#[test]
fn a_user_has_four_authenticators_at_most() {
    let Some(house) = House::new("") else { return };
    house.enroll(USER);
    for name in ["b", "c", "d"] {
        house.run(&["enroll", USER, "--no-confirm", "--add", "--name", name]).done();
    }
    house
        .run(&["enroll", USER, "--no-confirm", "--add", "--name", "e"])
        .refused(&["cannot have more"]);
}

#[test]
fn replace_starts_over_and_a_secret_that_stays_keeps_what_it_has_spent() {
    let Some(house) = House::new("") else { return };
    let used = code(SECRET, 0);
    let input = format!("{SECRET}\n{used}\n");
    house.run_with(&["enroll", USER, "--secret-file", "-"], &input, &[]).done();
    let args =
        ["enroll", USER, "--secret-file", "-", "--no-confirm", "--replace", "--name", "tablet"];
    house.run_with(&args, SECRET, &[]).done();
    assert_eq!(house.verify(USER, &used).code, 1);
    house.enroll_with(USER, SECOND, &["--replace"]);
    assert!(!fs::read_to_string(house.file_of(USER)).unwrap().contains(SECRET));
    assert_eq!(house.verify(USER, &code(SECOND, 0)).code, 0);
}

#[test]
fn every_enrollment_has_an_id_of_its_own() {
    let Some(house) = House::new("") else { return };
    let mut seen = Vec::new();
    for more in [&[][..], &["--replace"], &["--add", "--name", "tablet"]] {
        house.run(&[&["enroll", USER, "--no-confirm"], more].concat()).done();
        let record = fs::read_to_string(house.file_of(USER)).unwrap();
        let id = record.lines().find(|line| line.starts_with("enrollment = ")).unwrap().to_owned();
        assert!(!seen.contains(&id), "{more:?}: {id}");
        seen.push(id);
    }
}

#[test]
fn an_otpauth_address_brings_its_own_parameters() {
    let Some(house) = House::new("") else { return };
    let file = house.path("secret");
    let uri = format!("otpauth://totp/ACME:x?secret={SECRET}&digits=8&period=60&algorithm=SHA256");
    fs::write(&file, format!("{uri}\n")).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let path = file.to_str().unwrap();
    let args = ["enroll", USER, "--secret-file", path, "--no-confirm"];
    house.run(&[&args[..], &["--digits", "6"]].concat()).wrong_usage();
    house.run(&args).done();
    let shown = house.run(&["show", USER, "--json"]).done().json();
    let device = &shown["authenticators"][0];
    assert_eq!((&device["digits"], &device["period"]), (&8.into(), &60.into()));
    assert_eq!(device["algorithm"], "sha256");
}

#[test]
fn a_secret_that_is_none_is_refused_without_being_repeated() {
    let Some(house) = House::new("") else { return };
    let missing = house.path("missing");
    house
        .run(&["enroll", USER, "--secret-file", missing.to_str().unwrap(), "--no-confirm"])
        .refused(&["cannot read", "missing"]);
    for (secret, word) in
        [("NOT-A-SECRET-0189", "base32"), ("JBSW", "shorter"), ("", "ended"), ("\n", "empty")]
    {
        let args = ["enroll", USER, "--secret-file", "-", "--no-confirm"];
        let output = house.run_with(&args, secret, &[]).refused(&[word]);
        assert!(secret.len() < 5 || !output.err.contains(secret.trim()), "{}", output.err);
    }
}

#[test]
fn digits_period_and_algorithm_come_from_options_else_from_the_configuration() {
    let Some(house) = House::new("[totp]\ndigits = 8\nperiod = 60") else { return };
    house.run(&["enroll", USER, "--no-confirm"]).done();
    house
        .run(&[
            "enroll",
            OTHER,
            "--no-confirm",
            "--digits",
            "7",
            "--period",
            "45",
            "--algorithm",
            "sha512",
        ])
        .done();
    let of = |user| house.run(&["show", user, "--json"]).done().json()["authenticators"][0].clone();
    let (one, other) = (of(USER), of(OTHER));
    assert_eq!(
        (&one["digits"], &one["period"], one["algorithm"].as_str()),
        (&8.into(), &60.into(), Some("sha1"))
    );
    assert_eq!(
        (&other["digits"], &other["period"], other["algorithm"].as_str()),
        (&7.into(), &45.into(), Some("sha512"))
    );
}

#[test]
fn a_name_without_an_account_is_enrolled_only_where_that_is_meant() {
    let Some(house) = House::new("") else { return };
    house.run(&["enroll", "Vpn/User", "--no-confirm"]).refused(&["no account", "--no-account"]);
    house
        .run(&["enroll", USER, "--no-confirm", "--no-account"])
        .refused(&["is an account", "--no-account"]);
    house.run(&["enroll", "Vpn/User", "--no-confirm", "--no-account"]).done();
    assert!(house.path("state/users/vpn%2Fuser.toml").exists());
    assert_eq!(house.run(&["show", "VPN/User", "--json"]).done().json()["user"], "vpn/user");
}

#[test]
fn a_picture_is_kept_when_it_is_done_and_gone_when_it_is_not() {
    let Some(house) = House::new("") else { return };
    let file = house.path("code.png");
    let path = file.to_str().unwrap();
    house.run_with(&["enroll", USER, "--qr-file", path], "000\n", &[]).refused(&["no right code"]);
    assert!(!file.exists());
    house.run(&["enroll", USER, "--qr-file", path, "--no-confirm", "--json"]).done();
    assert!(fs::read(&file).unwrap().starts_with(b"\x89PNG"));
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    house
        .run(&["enroll", OTHER, "--qr-file", path, "--no-confirm"])
        .refused(&["code.png", "does not exist yet"]);
    assert!(!house.file_of(OTHER).exists());
}

#[test]
fn the_locale_decides_how_the_code_is_drawn_and_a_pipe_gets_no_colours() {
    let Some(house) = House::new("") else { return };
    let draw = |locale, more: &[&str]| {
        let args = [&["enroll", USER, "--no-confirm", "--replace"], more].concat();
        house.run_with(&args, "", &[("LC_ALL", locale), ("TERM", "xterm")]).done().out
    };
    let (utf8, ascii, none) =
        (draw("C.UTF-8", &[]), draw("C", &[]), draw("C.UTF-8", &["--qr", "none"]));
    assert!(utf8.contains('▀') && utf8.contains("Or type this key: "));
    assert!(ascii.is_ascii() && ascii.contains("##"));
    assert!(!none.contains('▀') && none.contains("type this key: "));
    assert!([utf8, ascii, none].iter().all(|out| !out.contains('\x1b')));
}

#[test]
fn a_missing_directory_is_named_and_never_made() {
    let Some(house) = House::new("") else { return };
    fs::remove_dir(house.path("state/users")).unwrap();
    house.run(&["enroll", USER, "--no-confirm"]).refused(&["state/users", "no such directory"]);
    assert!(!house.path("state/users").exists());
    assert_eq!(house.events(), Vec::<String>::new());
}

#[test]
fn a_used_code_of_a_secret_that_comes_back_is_not_good_again() {
    let Some(house) = House::new("") else { return };
    let used = code(SECRET, 0);
    let args = ["enroll", USER, "--secret-file", "-"];
    house.run_with(&args, &format!("{SECRET}\n{used}\n"), &[]).done();
    house.run(&["disable", USER]).done();
    let output = house.run_with(&[&args[..], &["--no-confirm"]].concat(), SECRET, &[]).done();
    assert!(output.out.contains("the first is accepted in "), "{}", output.out);
    for soon in [used, code(SECRET, 0), code(SECRET, 30)] {
        assert_eq!(house.verify(USER, &soon).code, 1);
    }
}

#[test]
fn a_secret_that_is_brought_along_for_somebody_new_is_good_at_once() {
    let Some(house) = House::new("") else { return };
    let args = ["enroll", USER, "--secret-file", "-", "--no-confirm"];
    let output = house.run_with(&args, SECRET, &[]).done();
    assert!(!output.out.contains("the first is accepted in "), "{}", output.out);
    house.verify(USER, &code(SECRET, 0)).done();
}

#[test]
fn a_secret_that_was_brought_along_is_shown_only_where_that_is_asked_for() {
    let Some(house) = House::new("") else { return };
    let args = ["enroll", USER, "--secret-file", "-", "--no-confirm", "--replace"];
    let shown = |more: &[&str]| {
        let output = house.run_with(&[&args[..], more].concat(), SECRET, &[]).done();
        (output.out + &output.err).contains("type this key")
    };
    let file = house.path("code.png");
    assert!(!shown(&[]));
    assert!(!shown(&["--qr", "none"]));
    assert!(!shown(&["--qr-file", file.to_str().unwrap()]) && file.exists());
    assert!(shown(&["--qr", "utf8"]) && shown(&["--qr", "ascii"]));
    let output = house.run_with(&args[..4], &format!("{SECRET}\nascii\n"), &[]);
    assert!(!output.out.contains("type this key"), "{}", output.out);
}
