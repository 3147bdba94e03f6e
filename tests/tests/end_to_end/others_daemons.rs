//! The real vsftpd, Dovecot, OpenVPN and Cockpit: a right code logs in, each try is evaluated once and is one line, and nothing
//! that is typed is in what they write. Their PAM lines are those of the guide.

use pam_totp_tests::{
    Cockpit, Conversed, Dovecot, House, OpenVpn, PASSWORD, Phone, Vsftpd, base64, guide,
};
use serde_json::Value;

use crate::chance::leave_out;
use crate::written_stacks::{COMMON_ACCOUNT, COMMON_AUTH, first_steps};
use crate::{CODE, NEXT, ONE_PASSWORD, failures, reasons};

/// One try, with what comes of it: whether it logs in, and why not. It is evaluated once and is one line, without a secret.
fn is_one_line(
    house: &House,
    document: &Value,
    reason: Option<&str>,
    login: impl FnOnce() -> bool,
) {
    house.syslog().clear();
    assert_eq!(login(), reason.is_none(), "{reason:?}");
    assert_eq!(reasons(house), reason.into_iter().collect::<Vec<_>>());
    assert_eq!(failures(house), usize::from(reason.is_some()), "{reason:?}");
    keeps_secrets(document, &house.syslog().lines().join("\n"));
}

/// Password and code at a program with one field: wrong, without a code, right, again, a recovery code, and parted by a comma.
/// The codes from the step `first` to that of one are new.
fn one_field(house: &House, document: &Value, first: i64, login: &dyn Fn(&str) -> bool) {
    let phone = phone(document);
    let recovery = document["recovery_codes"][0].as_str().unwrap();
    let right = format!("{PASSWORD}{}", phone.in_steps(first));
    for (text, reason) in [
        (format!("{PASSWORD}{}", phone.wrong(0)), Some("wrong")),
        (PASSWORD.to_string(), Some("wrong")),
        (right.clone(), None),
        (right, Some("replay")),
        (format!("{PASSWORD},{recovery}"), None),
    ] {
        is_one_line(house, document, reason, || login(&text));
    }
    if first < 1 {
        let text = format!("{PASSWORD},{}", phone.in_steps(1));
        is_one_line(house, document, None, || login(&text));
    }
}

/// Nothing that logs in is in this text, as it is typed or as base 64.
fn keeps_secrets(document: &Value, text: &str) {
    let phone = phone(document);
    let codes = (-3..4).map(|steps| phone.in_steps(steps)).collect::<Vec<_>>();
    let recovery = document["recovery_codes"].as_array().unwrap().iter();
    let recovery = recovery.map(|code| code.as_str().unwrap().to_string());
    let secrets = codes.into_iter().chain(recovery);
    for secret in secrets.chain([PASSWORD.to_string(), phone.secret().to_string()]) {
        for typed in [&secret, &secret.replace('-', "")] {
            assert!(!text.contains(typed), "a secret is in {text}");
            let mut traces = base64::traces(typed).into_iter();
            assert!(!traces.any(|trace| text.contains(&trace)), "a secret is in {text}");
        }
    }
}

fn phone(document: &Value) -> Phone {
    Phone::new(document["secret"].as_str().unwrap())
}

/// The guide's lines for programs with one field.
fn one_field_lines(house: &House) -> String {
    with_common_files(house, &guide().block("## Services that take one password", "pam_totp.so"))
}

/// Lines that include Debian's files, without a pause after a refusal.
fn with_common_files(house: &House, lines: &str) -> String {
    house.stack("common-auth", COMMON_AUTH);
    house.stack("common-account", COMMON_ACCOUNT);
    assert!(lines.contains("pam_totp.so nullok"), "{lines}");
    lines.replace("pam_totp.so nullok", "pam_totp.so nodelay nullok")
        + "session required pam_permit.so\n"
}

fn enrolled(house: &House) -> Value {
    house.admin_json(&["enroll", "alice", "--json", "--no-confirm"])
}

#[test]
fn a_secret_leaves_a_trace_in_base_64_wherever_it_stands() {
    let traces = base64::traces("492039");
    assert!(traces.iter().all(|trace| trace.len() >= 7), "{traces:?}");
    for before in ["", "x", "xy", "alice:", "correct horse"] {
        for behind in ["", "x", ", and more"] {
            let text = format!("{before}492039{behind}");
            let encoded = base64::encode(text.as_bytes());
            assert_eq!(base64::decode(&encoded), text);
            assert!(traces.iter().any(|trace| encoded.contains(trace)), "{encoded}");
        }
    }
    assert_eq!(base64::encode(b"alice:pw"), "YWxpY2U6cHc=");
}

#[test]
fn vsftpd_takes_password_and_code_in_one_and_leaves_one_line_a_try() {
    let house = House::build();
    let document = enrolled(&house);
    house.stack("vsftpd", &one_field_lines(&house));
    let vsftpd = Vsftpd::start(&house);
    one_field(&house, &document, 0, &|text| vsftpd.login("alice", text));
    keeps_secrets(&document, &vsftpd.output(&house));
}

#[test]
fn vsftpd_that_gives_the_password_for_the_code_is_named() {
    let house = House::build();
    let document = enrolled(&house);
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
    keeps_secrets(&document, &(vsftpd.output(&house) + &house.syslog().lines().join("\n")));
}

#[test]
fn dovecot_takes_password_and_code_in_one_and_leaves_one_line_a_try() {
    let house = House::build();
    let document = enrolled(&house);
    house.stack("dovecot", &one_field_lines(&house));
    let dovecot = Dovecot::start(&house);
    one_field(&house, &document, 0, &|text| dovecot.login("alice", text));
    keeps_secrets(&document, &dovecot.output());
}

const VPN: &str = "## OpenVPN";

#[test]
fn openvpn_takes_a_static_challenge_and_password_and_code_in_one() {
    if !OpenVpn::has_device() {
        return leave_out("OpenVPN", "there is no /dev/net/tun here");
    }
    let house = House::build();
    let document = enrolled(&house);
    let phone = phone(&document);
    house.stack("openvpn", &with_common_files(&house, &guide().block(VPN, "pam_totp.so")));
    let vpn = OpenVpn::start(&house, &guide().block(VPN, "plugin "));
    let code = phone.now();
    for (code, reason) in
        [(code.clone(), None), (code, Some("replay")), (phone.wrong(0), Some("wrong"))]
    {
        is_one_line(&house, &document, reason, || vpn.login_challenged("alice", PASSWORD, &code));
    }
    house.stack("openvpn", &one_field_lines(&house));
    one_field(&house, &document, 1, &|text| vpn.login("alice", text));
    keeps_secrets(&document, &vpn.output());
}

#[test]
fn cockpit_asks_for_the_code_in_its_conversation_and_writes_nothing_that_logs_in() {
    let house = House::build();
    let document = enrolled(&house);
    let phone = phone(&document);
    house.stack("cockpit", &with_common_files(&house, &first_steps()));
    let cockpit = Cockpit::start(&house);
    let begin = || match cockpit.login("alice", PASSWORD) {
        Conversed::Asked(conversation, prompt) => {
            assert_eq!(prompt, CODE);
            conversation
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(cockpit.answer(&begin(), &phone.now()), Conversed::In);
    let conversation = begin();
    let again = cockpit.answer(&conversation, &phone.now());
    assert_eq!(again, Conversed::Asked(conversation.clone(), NEXT.to_string()));
    assert_eq!(cockpit.answer(&conversation, &phone.wrong(0)), Conversed::Out);
    assert_eq!((reasons(&house), failures(&house)), (vec!["replay".into(), "wrong".into()], 1));
    assert_eq!(cockpit.answer(&begin(), &phone.in_steps(1)), Conversed::In);
    keeps_secrets(&document, &cockpit.output());
    keeps_secrets(&document, &house.syslog().lines().join("\n"));
}
