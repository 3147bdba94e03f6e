//! The real vsftpd, Dovecot, OpenVPN and Cockpit: a right code logs in, each try is evaluated once and is one line, and nothing
//! that is typed is in what they write.

use pam_totp_tests::{Cockpit, Conversed, Dovecot, House, OpenVpn, PASSWORD, Phone, Vsftpd};

use crate::{CODE, NEXT, ONE_PASSWORD, failures, reasons};

/// Password and code at a program with one field: right, again, wrong, parted by a comma, without a code, and a recovery code.
fn one_field(house: &House, document: &serde_json::Value, login: &dyn Fn(&str) -> bool) {
    let phone = Phone::new(document["secret"].as_str().unwrap());
    let recovery = document["recovery_codes"][0].as_str().unwrap();
    let right = format!("{PASSWORD}{}", phone.now());
    for (text, is_in, reason) in [
        (right.clone(), true, None),
        (right, false, Some("replay")),
        (format!("{PASSWORD}{}", phone.wrong(0)), false, Some("wrong")),
        (format!("{PASSWORD},{}", phone.in_steps(1)), true, None),
        (PASSWORD.to_string(), false, Some("wrong")),
        (format!("{PASSWORD},{recovery}"), true, None),
    ] {
        house.syslog().clear();
        assert_eq!(login(&text), is_in, "{text}");
        assert_eq!(reasons(house), reason.into_iter().collect::<Vec<_>>(), "{text}");
        assert_eq!(failures(house), usize::from(!is_in), "{text}");
        keeps_secrets(document, &house.syslog().lines().join("\n"));
    }
}

/// Nothing that logs in is in this text.
fn keeps_secrets(document: &serde_json::Value, text: &str) {
    let phone = Phone::new(document["secret"].as_str().unwrap());
    let codes = (-3..4).map(|steps| phone.in_steps(steps)).collect::<Vec<_>>();
    let recovery = document["recovery_codes"].as_array().unwrap().iter();
    let recovery = recovery.map(|code| code.as_str().unwrap().to_string());
    let secrets = codes.into_iter().chain(recovery);
    for secret in secrets.chain([PASSWORD.to_string(), phone.secret().to_string()]) {
        assert!(!text.contains(&secret), "a secret is in {text}");
        assert!(!text.contains(&secret.replace('-', "")), "a secret is in {text}");
    }
}

fn enrolled(house: &House) -> serde_json::Value {
    house.admin_json(&["enroll", "alice", "--json", "--no-confirm"])
}

#[test]
fn vsftpd_takes_password_and_code_in_one_and_leaves_one_line_a_try() {
    let house = House::build();
    let document = enrolled(&house);
    house.stack("vsftpd", ONE_PASSWORD);
    let vsftpd = Vsftpd::start(&house);
    one_field(&house, &document, &|text| vsftpd.login("alice", text));
    keeps_secrets(&document, &vsftpd.output(&house));
}

#[test]
fn vsftpd_that_gives_the_password_for_the_code_is_named() {
    let house = House::build();
    let _ = enrolled(&house);
    house.stack(
        "vsftpd",
        &ONE_PASSWORD.lines().skip(2).fold(
            "auth required pam_unix.so nodelay\nauth required pam_totp.so nodelay\n".to_string(),
            |stack, line| stack + line + "\n",
        ),
    );
    let vsftpd = Vsftpd::start(&house);
    assert!(!vsftpd.login("alice", PASSWORD));
    assert_eq!((reasons(&house), failures(&house)), (vec!["password-typed".to_string()], 1));
    let _ = house.syslog().expect("vsftpd gave the account's password where a code of alice was");
}

#[test]
fn dovecot_takes_password_and_code_in_one_and_leaves_one_line_a_try() {
    let house = House::build();
    let document = enrolled(&house);
    house.stack("dovecot", ONE_PASSWORD);
    let dovecot = Dovecot::start(&house);
    one_field(&house, &document, &|text| dovecot.login("alice", text));
    keeps_secrets(&document, &dovecot.output());
}

/// Password, then code.
const APART: &str = "auth required pam_unix.so nodelay\nauth required pam_totp.so nodelay\n\
                     account required pam_unix.so\naccount required pam_totp.so\nsession required pam_permit.so\n";

#[test]
fn openvpn_takes_a_static_challenge_and_password_and_code_in_one() {
    let house = House::build();
    let document = enrolled(&house);
    let phone = Phone::new(document["secret"].as_str().unwrap());
    // The plugin knows no second prompt.
    house.stack("openvpn", &APART.replace("pam_totp.so nodelay", "pam_totp.so nodelay prompts=1"));
    let vpn = OpenVpn::start(&house);
    let code = phone.now();
    for (code, is_in, reason) in [
        (code.clone(), true, None),
        (code, false, Some("replay")),
        (phone.wrong(0), false, Some("wrong")),
    ] {
        house.syslog().clear();
        assert_eq!(vpn.login_challenged("alice", PASSWORD, &code), is_in, "{code}");
        assert_eq!(reasons(&house), reason.into_iter().collect::<Vec<_>>(), "{code}");
        assert_eq!(failures(&house), usize::from(!is_in), "{code}");
    }
    house.stack("openvpn", ONE_PASSWORD);
    one_field_but_for_the_first(&house, &document, &|text| vpn.login("alice", text));
    keeps_secrets(&document, &vpn.output());
}

/// As [`one_field`], where the code of now is used already.
fn one_field_but_for_the_first(
    house: &House,
    document: &serde_json::Value,
    login: &dyn Fn(&str) -> bool,
) {
    let phone = Phone::new(document["secret"].as_str().unwrap());
    let right = format!("{PASSWORD}{}", phone.in_steps(1));
    for (text, is_in, reason) in [(right.clone(), true, None), (right, false, Some("replay"))] {
        house.syslog().clear();
        assert_eq!(login(&text), is_in, "{text}");
        assert_eq!(reasons(house), reason.into_iter().collect::<Vec<_>>(), "{text}");
        assert_eq!(failures(house), usize::from(!is_in), "{text}");
    }
}

#[test]
fn cockpit_asks_for_the_code_in_its_conversation_and_writes_nothing_that_logs_in() {
    let house = House::build();
    let document = enrolled(&house);
    let phone = Phone::new(document["secret"].as_str().unwrap());
    house.stack("cockpit", APART);
    let cockpit = Cockpit::start(&house);
    let begin = || match cockpit.login("alice", PASSWORD) {
        Conversed::Asked(conversation, prompt) => (conversation, prompt),
        other => panic!("{other:?}"),
    };
    let (conversation, _) = begin();
    assert_eq!(cockpit.answer(&conversation, &phone.now()), Conversed::In);
    let (conversation, first) = begin();
    let Conversed::Asked(_, second) = cockpit.answer(&conversation, &phone.now()) else {
        panic!("asked again")
    };
    assert_ne!(first, second, "{CODE} and {NEXT}");
    assert_eq!(cockpit.answer(&conversation, &phone.wrong(0)), Conversed::Out);
    assert_eq!((reasons(&house), failures(&house)), (vec!["replay".into(), "wrong".into()], 1));
    let (conversation, _) = begin();
    assert_eq!(cockpit.answer(&conversation, &phone.in_steps(1)), Conversed::In);
    keeps_secrets(&document, &cockpit.output());
    keeps_secrets(&document, &house.syslog().lines().join("\n"));
}
