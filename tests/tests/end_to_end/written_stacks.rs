//! The stacks of README.md and pam_totp(8) for ssh, taken out of these pages as they are written, over the real sshd.
//!
//! What stands around them is Debian 12's own: `@include common-auth` ends at a wrong password.

use pam_totp_tests::{House, PASSWORD, Pam, Phone, Sshd, Terminal, guide, manual, readme};

use crate::{CODE, LAST, NEXT};

/// Debian's, as pam-auth-update writes it where only pam_unix is switched on.
pub(crate) const COMMON_AUTH: &str = "\
auth [success=1 default=ignore] pam_unix.so nullok
auth requisite pam_deny.so
auth required pam_permit.so
";

/// Likewise.
pub(crate) const COMMON_ACCOUNT: &str = "\
account [success=1 new_authtok_reqd=done default=ignore] pam_unix.so
account requisite pam_deny.so
account required pam_permit.so
";

const FIRST_STEPS: &str = "## Switch it on without locking yourself out";
const KEYS: &str = "## ssh with public keys";
const KEY_CODE: &str = "### Key and code";
const KEY_PASSWORD_CODE: &str = "### Key, password and code";
const NOT_TOLD: &str = "## A wrong password that isn't told";

/// A house with this block of the README as sshd's stack. alice is enrolled.
fn house(heading: &str) -> (House, Phone) {
    let house = House::build();
    let stack = match heading {
        FIRST_STEPS => first_steps(),
        heading => readme().block(heading, "pam_totp.so"),
    };
    set_up(&house, &stack);
    let phone = house.enroll("alice");
    (house, phone)
}

/// The lines of the first steps, of which those for sudo are for ssh as well.
pub(crate) fn first_steps() -> String {
    let readme = readme();
    readme.block(FIRST_STEPS, "account required pam_totp.so")
        + &readme.block(FIRST_STEPS, "session optional pam_totp.so")
}

fn set_up(house: &House, stack: &str) {
    house.stack("common-auth", COMMON_AUTH);
    house.stack("common-account", COMMON_ACCOUNT);
    house.stack("sshd", &format!("{stack}session required pam_permit.so\n"));
}

/// sshd as the README has it for public keys. Its clients have a key.
fn sshd_with_keys(house: &House) -> Sshd<'_> {
    let lines = readme().block(KEYS, "UsePAM");
    Sshd::start_as_written(house, &lines, "publickey,keyboard-interactive")
}

/// The same, with a `Match` block that forgets the key. Its clients show none.
fn sshd_that_forgets_the_key(house: &House) -> Sshd<'_> {
    let lines = readme().block(KEYS, "UsePAM");
    let lines = format!("{lines}Match User *\nAuthenticationMethods keyboard-interactive\n");
    Sshd::start_as_written(house, &lines, "keyboard-interactive")
}

fn sshd_with_passwords(house: &House) -> Sshd<'_> {
    let lines = readme().block(FIRST_STEPS, "UsePAM");
    Sshd::start_as_written(house, &lines, "keyboard-interactive")
}

fn is_in(mut client: Terminal, user: &str) {
    client.expect(&format!("in as {user}\r\n"));
    assert!(client.wait().success(), "{}", client.shown());
}

/// Waits for the end of a client that isn't let in, and gives what it was shown.
fn is_refused(mut client: Terminal) -> String {
    assert!(!client.wait().success(), "{}", client.shown());
    assert!(client.shown().contains("Permission denied"), "{}", client.shown());
    client.shown()
}

#[test]
fn the_manual_has_the_stacks_that_the_readme_has() {
    let (readme, manual) = (readme(), manual("pam_totp.8"));
    for (heading, section) in [
        (FIRST_STEPS, ".SS Password and code over ssh"),
        (KEY_CODE, ".SS Public key and code"),
        (KEY_PASSWORD_CODE, ".SS Public key, password and code"),
    ] {
        let account = "account required pam_totp.so";
        assert_eq!(manual.block(section, account), readme.block(heading, account));
    }
    for (heading, section) in
        [(FIRST_STEPS, ".SS Password and code over ssh"), (KEYS, ".SS Public key and code")]
    {
        assert_eq!(manual.block(section, "UsePAM"), readme.block(heading, "UsePAM"));
    }
    let session = "session optional pam_totp.so";
    let section = ".SS Password and code over ssh";
    assert_eq!(manual.block(section, session), readme.block(FIRST_STEPS, session));
    for heading in [KEY_CODE, KEY_PASSWORD_CODE, NOT_TOLD] {
        assert!(readme.block(heading, session).contains("pam_totp.so"));
    }
    let asks_always =
        manual.block(".SS Password and code over ssh", "auth    required pam_unix.so");
    assert!(readme.block(NOT_TOLD, "pam_totp.so").starts_with(&asks_always));
}

#[test]
fn no_page_lets_pam_permit_stand_in_for_a_factor() {
    let line = "auth required pam_permit.so";
    for page in
        ["README.md", "docs/man/pam_totp.8", "docs/man/totpd.8", "docs/remembered-devices.md"]
    {
        let path = format!("{}/../{page}", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(path).unwrap();
        let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(!words.contains(line), "{page}");
    }
}

#[test]
fn where_users_log_in_with_passwords_a_key_alone_does_not_log_in() {
    let house = House::build();
    set_up(&house, &first_steps());
    let _phone = house.enroll("alice");
    let lines = readme().block(FIRST_STEPS, "UsePAM");
    let sshd = Sshd::start_as_written(&house, &lines, "publickey");
    is_refused(sshd.connect("alice"));
}

#[test]
fn a_key_and_a_right_code_log_in() {
    let (house, phone) = house(KEY_CODE);
    let sshd = sshd_with_keys(&house);
    let mut client = sshd.connect("alice");
    client.expect(CODE).type_line(&phone.now());
    is_in(client, "alice");
}

#[test]
fn a_key_alone_does_not_log_in() {
    let (house, phone) = house(KEY_CODE);
    let sshd = sshd_with_keys(&house);
    let mut client = sshd.connect("alice");
    client.expect(CODE).type_line(&phone.wrong(0));
    client.expect(NEXT).type_line(&phone.wrong(1));
    client.expect(LAST);
    is_refused(client);
}

/// With anything in the stack that stands in for the key, bob logged in with nothing at all.
#[test]
fn where_sshd_forgets_the_key_neither_nothing_nor_a_code_logs_in_and_all_users_see_the_same() {
    let (house, phone) = house(KEY_CODE);
    let _ = house.enroll("carol");
    let _ = house.admin_json(&["disable", "carol", "--json"]);
    let sshd = sshd_that_forgets_the_key(&house);
    let refused = |user: &str| is_refused(sshd.connect(user)).replace(user, "USER");
    let alices = refused("alice");
    assert!(!alices.contains(CODE), "{alices}");
    for other in ["bob", "carol", "mallory"] {
        assert_eq!(refused(other), alices);
    }
    let line = house.syslog().expect("first_factor=publickey: sshd names no verified public key");
    assert!(line.contains("AuthenticationMethods publickey,keyboard-interactive"), "{line}");
    let _ = house.syslog().expect("reason=first-factor user=alice");
    // The code was not asked for, and is still good.
    drop(sshd);
    let sshd = sshd_with_keys(&house);
    let mut client = sshd.connect("alice");
    client.expect(CODE).type_line(&phone.now());
    is_in(client, "alice");
}

#[test]
fn the_key_logs_in_users_who_are_not_enrolled_and_disabled_ones() {
    for heading in [KEY_CODE, KEY_PASSWORD_CODE] {
        let (house, _phone) = house(heading);
        let _ = house.admin_json(&["disable", "alice", "--json"]);
        let sshd = sshd_with_keys(&house);
        for user in ["alice", "bob"] {
            let mut client = sshd.connect(user);
            if heading == KEY_PASSWORD_CODE {
                client.expect("Password: ").type_line(PASSWORD);
            }
            is_in(client, user);
        }
    }
}

#[test]
fn a_key_a_password_and_a_code_log_in() {
    let (house, phone) = house(KEY_PASSWORD_CODE);
    let sshd = sshd_with_keys(&house);
    let mut client = sshd.connect("alice");
    client.expect("Password: ").type_line(PASSWORD).expect(CODE).type_line(&phone.now());
    is_in(client, "alice");
}

#[test]
fn of_key_password_and_code_none_can_be_left_out() {
    let (house, phone) = house(KEY_PASSWORD_CODE);
    let sshd = sshd_with_keys(&house);
    let mut client = sshd.connect("alice");
    client.expect("Password: ").type_line("wrong horse");
    is_refused(client);
    let mut client = sshd.connect("alice");
    client.expect("Password: ").type_line(PASSWORD).expect(CODE).type_line(&phone.wrong(0));
    client.expect(NEXT).type_line(&phone.wrong(1));
    is_refused(client);
    drop(sshd);
    let sshd = sshd_that_forgets_the_key(&house);
    for user in ["alice", "bob"] {
        let mut client = sshd.connect(user);
        client.expect("Password: ").type_line(PASSWORD);
        assert!(!is_refused(client).contains(CODE));
    }
}

/// What is promised of no stack that ends at a wrong password.
#[test]
fn behind_common_auth_a_wrong_password_is_asked_for_no_code() {
    let (house, phone) = house(FIRST_STEPS);
    let sshd = sshd_with_passwords(&house);
    let mut client = sshd.connect("alice");
    client.expect("Password: ").type_line("wrong horse");
    assert!(!is_refused(client).contains(CODE));
    let mut client = sshd.connect("alice");
    client.expect("Password: ").type_line(PASSWORD).expect(CODE).type_line(&phone.now());
    is_in(client, "alice");
}

/// What `password` and two wrong codes behind it are shown.
fn behind(sshd: &Sshd<'_>, user: &str, password: &str, phone: &Phone) -> String {
    let mut client = sshd.connect(user);
    client.expect("Password: ").type_line(password).expect(CODE).type_line(&phone.wrong(0));
    client.expect(NEXT).type_line(&phone.wrong(1));
    is_refused(client)
}

#[test]
fn where_the_readme_says_so_a_wrong_password_is_asked_for_a_code_exactly_as_a_right_one() {
    let (house, phone) = house(NOT_TOLD);
    let sshd = sshd_with_passwords(&house);
    let right = behind(&sshd, "alice", PASSWORD, &phone);
    assert_eq!(behind(&sshd, "alice", "wrong horse", &phone), right);
    for user in ["bob", "mallory"] {
        assert_eq!(behind(&sshd, user, PASSWORD, &phone).replace(user, "alice"), right);
    }
    // A right code behind a wrong password logs nobody in.
    let mut client = sshd.connect("alice");
    client.expect("Password: ").type_line("wrong horse").expect(CODE).type_line(&phone.now());
    is_refused(client);
    let mut client = sshd.connect("alice");
    client.expect("Password: ").type_line(PASSWORD).expect(CODE).type_line(&phone.in_steps(1));
    is_in(client, "alice");
}

#[test]
fn where_the_guide_has_one_field_both_of_sshds_methods_take_password_and_code_in_it() {
    let house = House::build();
    set_up(&house, &guide().block("## Services that take one password", "pam_totp.so"));
    let phone = house.enroll("alice");
    let lines = "UsePAM yes\nKbdInteractiveAuthentication yes\nPasswordAuthentication yes\n";
    for (method, steps) in [("password", 0), ("keyboard-interactive", 1)] {
        let sshd = Sshd::start_as_written(&house, lines, method);
        let connect = |answer: &str| {
            let mut client = sshd.connect("alice");
            client.expect("assword").expect(": ").type_line(answer);
            client
        };
        let right = format!("{PASSWORD}{}", phone.in_steps(steps));
        is_in(connect(&right), "alice");
        // Where there is another prompt, it is left at the end of the terminal.
        let mut again = connect(&right);
        let _ = house.syslog().expect("reason=replay");
        assert_ne!(again.expect_or_end(&["in as alice", "Permission denied", ": "]), Some(0));
        house.syslog().clear();
    }
}

#[test]
fn a_code_above_common_auth_is_asked_for_before_any_password() {
    let (house, phone) = house(FIRST_STEPS);
    let written = first_steps();
    let (first, second) = ("@include common-auth", "auth    required pam_totp.so nullok");
    let turned = written.replace(&format!("{first}\n{second}"), &format!("{second}\n{first}"));
    assert_ne!(turned, written);
    set_up(&house, &turned);
    let sshd = sshd_with_passwords(&house);
    let mut client = sshd.connect("alice");
    client.expect(CODE).type_line(&phone.now()).expect("Password: ").type_line(PASSWORD);
    is_in(client, "alice");
    let refused = |password: &str| {
        let mut client = sshd.connect("alice");
        client.expect(CODE).type_line(&phone.wrong(0));
        client.expect(NEXT).type_line(&phone.wrong(1));
        client.expect(LAST).expect("Password: ").type_line(password);
        is_refused(client)
    };
    assert_eq!(refused(PASSWORD), refused("wrong horse"));
}

/// From `ssh-keygen -t ed25519`.
const INFO: &str =
    "publickey ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIK/YLGEcZSiwYudEwnmTZQsafYwXvFRwK3YrMC30jy1h\n";

/// What libpam says of bob, who is not enrolled, where PAM's environment has this.
fn with_information(house: &House, information: &str) -> Pam {
    let mut application = house.application_with(&[("SSH_AUTH_INFO_0", INFO)]);
    let mut login = application.login("key", "bob");
    let outcome = login.variable("SSH_AUTH_INFO_0", information).authenticate([""; 0]);
    assert!(outcome.prompts().is_empty(), "{outcome:?}");
    outcome.code
}

#[test]
fn a_key_counts_in_pams_environment_alone_and_one_that_was_left_out_does_not() {
    let house = House::build();
    let ours = "auth required pam_totp.so nodelay nullok first_factor=publickey\n";
    house.stack("key", &format!("{ours}account required pam_permit.so\n"));
    assert_eq!(with_information(&house, INFO), Pam::Success);
    for information in ["", "password\n", &format!("{INFO}{}", "x".repeat(60_000))] {
        assert_eq!(with_information(&house, information), Pam::AuthErr, "{information}");
    }
}
