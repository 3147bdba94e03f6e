//! Enrollment at login with the real programs, as people see it: the QR code on their screen, scanned from there, and what is
//! asked around it. And where none of it may be seen.

use std::fs;

use pam_totp_tests::{FirstFactor, House, PASSWORD, Phone, Plan, Screen, Sshd, Theme};

use crate::account_phase::{BEGIN, CONFIRM, NOTED, opened, opened_on_trust};
use crate::{CODE, NEXT};

fn secret_of(uri: &str) -> &str {
    let query = uri.strip_prefix("otpauth://totp/").unwrap().split_once('?').unwrap().1;
    query.split('&').find_map(|pair| pair.strip_prefix("secret=")).unwrap()
}

/// The code alone, behind the key that sshd has verified.
fn only_code(house: &House) {
    only_ours(house, "first_factor=publickey");
}

/// No other module asks at sshd.
fn only_ours(house: &House, arguments: &str) {
    house.stack(
        "sshd",
        &format!(
            "auth required pam_totp.so nodelay {arguments}\n\
             account required pam_unix.so\naccount required pam_totp.so nodelay\n\
             session required pam_permit.so\n"
        ),
    );
}

/// What a shell is told so that alice sits at this terminal and runs `program`.
fn as_person(house: &House, name: &str, program: &str) -> String {
    let uid = house.person(name).uid;
    format!("chown {uid} $(tty); setpriv --reuid {uid} --regid {uid} --clear-groups -- {program}")
}

/// Goes through the enrollment on a screen; the phone that has scanned it.
fn enroll_on(screen: &Screen<'_>) -> Phone {
    let _ = screen.expect(BEGIN);
    screen.type_line("");
    let shown = screen.expect(CONFIRM);
    let uri = screen.qr_code(Theme::Dark);
    let phone = Phone::new(secret_of(&uri));
    let key: Vec<&str> = phone
        .secret()
        .as_bytes()
        .chunks(4)
        .map(|group| std::str::from_utf8(group).unwrap())
        .collect();
    assert!(shown.contains(&format!("Or type in this key: {}", key.join(" "))), "{shown}");
    screen.type_line(&phone.now());
    let shown = screen.expect(NOTED);
    assert!(shown.contains("Two-factor login is set up; the clocks agree."), "{shown}");
    assert!(shown.contains("Not shown again: print it"), "{shown}");
    screen.type_line("");
    phone
}

/// Whether this phone logs in from now on.
fn logs_in(house: &House, phone: &Phone) -> bool {
    let outcome = house.application().login("code", "alice").authenticate([&phone.in_steps(1)]);
    outcome.code == pam_totp_tests::Pam::Success
}

#[test]
fn over_ssh_with_a_password() {
    let house = House::build();
    let code = opened(&house, "alice");
    let sshd = Sshd::start(&house, FirstFactor::Password);
    let screen = Screen::open(&house, &sshd.command_line("alice"));
    let _ = screen.expect("Password:");
    screen.type_line(PASSWORD);
    let _ = screen.expect(CODE.trim_end());
    screen.type_line(&code);
    let phone = enroll_on(&screen);
    let _ = screen.expect("in as alice");
    assert!(logs_in(&house, &phone));
}

#[test]
fn over_ssh_with_a_public_key() {
    let house = House::build();
    only_code(&house);
    let code = opened(&house, "alice");
    let sshd = Sshd::start(&house, FirstFactor::PublicKey);
    let screen = Screen::open(&house, &sshd.command_line("alice"));
    let _ = screen.expect(CODE.trim_end());
    screen.type_line(&code);
    let phone = enroll_on(&screen);
    let _ = screen.expect("in as alice");
    assert!(logs_in(&house, &phone));
}

/// Comes in over ssh with the password and a recovery code, keeps the phone, and notes the next code; that one.
fn next_code_after(sshd: &Sshd<'_>, code: &str) -> String {
    let mut terminal = sshd.connect("alice");
    terminal.expect("Password: ").type_line(PASSWORD);
    terminal.expect(CODE).type_line(code);
    terminal.expect("Is the phone lost?").type_line("n");
    terminal.expect("pressed Enter: ").type_line("").expect("in as alice");
    assert!(terminal.wait().success());
    let shown = terminal.shown();
    let next = shown.split_once("in place of the used one: ").expect("the next code").1;
    next.get(..19).expect("four groups of four").to_string()
}

#[test]
fn over_ssh_a_rotating_recovery_code_shows_the_next_one() {
    let house = House::with_config("[recovery]\nmode = \"rotating\"\n");
    let document = house.admin_json(&["enroll", "alice", "--json", "--no-confirm"]);
    let first = document["recovery_codes"][0].as_str().unwrap();
    let sshd = Sshd::start(&house, FirstFactor::Password);
    let second = next_code_after(&sshd, first);
    let third = next_code_after(&sshd, &second);
    assert!(first != second && second != third);
    for used in [first, &second] {
        let mut terminal = sshd.connect("alice");
        terminal.expect("Password: ").type_line(PASSWORD);
        terminal.expect(CODE).type_line(used);
        terminal.expect(NEXT).type_line(used).expect("Permission denied");
    }
    assert_ne!(next_code_after(&sshd, &third), third);
    let log = house.syslog().lines().join("\n");
    assert!(![first, &second, &third].iter().any(|code| log.contains(*code)), "{log}");
}

#[test]
fn over_ssh_new_replaces_the_phone_which_works_until_the_other_one_is_confirmed() {
    let house = House::build();
    let old = house.enroll("alice");
    let sshd = Sshd::start(&house, FirstFactor::Password);
    let screen = Screen::open(&house, &sshd.command_line("alice"));
    let _ = screen.expect("Password:");
    screen.type_line(PASSWORD);
    let _ = screen.expect(CODE.trim_end());
    screen.type_line("new");
    let _ = screen.expect("After new, enter a");
    screen.type_line(&old.now());
    let _ = screen.expect("Press Enter to set up the new phone; the one you have works");
    screen.type_line("");
    let _ = screen.expect(CONFIRM);
    let new = Phone::new(secret_of(&screen.qr_code(Theme::Dark)));
    assert!(!logs_in(&house, &new), "not yet");
    assert!(logs_in(&house, &old), "until then");
    screen.type_line(&new.now());
    let _ = screen.expect("in as alice");
    house.syslog().clear();
    assert!(!logs_in(&house, &old));
    let _ = house.syslog().expect("reason=wrong user=alice");
    assert!(logs_in(&house, &new));
}

#[test]
fn over_sudo_su_and_login() {
    let say = "sh -c 'echo in as $(id -un)'";
    let doors = [
        ("alice", format!("sudo -u carol {say}"), "[sudo] password for alice:", "in as carol"),
        ("bob", "su alice -c 'echo in as $(id -un)'".to_string(), "Password:", "in as alice"),
    ];
    for (who, program, password, inside) in doors {
        let house = House::build();
        let code = opened(&house, "alice");
        let screen = Screen::open(&house, &as_person(&house, who, &program));
        let _ = screen.expect(password);
        screen.type_line(PASSWORD);
        let _ = screen.expect(CODE.trim_end());
        screen.type_line(&code);
        let phone = enroll_on(&screen);
        let _ = screen.expect(inside);
        assert!(logs_in(&house, &phone), "{program}");
    }
    let house = House::build();
    let code = opened(&house, "alice");
    let screen = Screen::open(&house, "login");
    let _ = screen.expect(" login:");
    screen.type_line("alice");
    let _ = screen.expect("Password:");
    screen.type_line(PASSWORD);
    let _ = screen.expect(CODE.trim_end());
    screen.type_line(&code);
    let phone = enroll_on(&screen);
    let _ = screen.expect("\n$");
    screen.type_line("echo in as $(id -un)");
    let _ = screen.expect("in as alice");
    assert!(logs_in(&house, &phone));
}

#[test]
fn whoever_cannot_read_half_blocks_answers_ascii() {
    let house = House::build();
    let code = opened(&house, "alice");
    let sshd = Sshd::start(&house, FirstFactor::Password);
    let screen =
        Screen::open_sized(&house, (100, 50), &format!("LC_ALL=C {}", sshd.command_line("alice")));
    let _ = screen.expect("Password:");
    screen.type_line(PASSWORD);
    let _ = screen.expect(CODE.trim_end());
    screen.type_line(&code);
    let _ = screen.expect(BEGIN);
    screen.type_line("");
    // A client without UTF-8 writes the bytes out.
    let _ = screen.expect("\\342\\226");
    screen.type_line("ascii");
    let _ = screen.expect("Scan this with your authenticator app:");
    let shown = screen.expect("####");
    assert!(shown.contains(CONFIRM), "{shown}");
    let phone = Phone::new(secret_of(&screen.qr_code(Theme::Dark)));
    screen.type_line(&phone.now());
    let _ = screen.expect(NOTED);
    screen.type_line("");
    let _ = screen.expect("in as alice");
    assert!(logs_in(&house, &phone));
}

#[test]
fn sshds_password_method_is_refused_and_the_log_names_the_remedy() {
    let house = House::build();
    // Its one answer goes to every prompt of auth; here to ours.
    only_ours(&house, "");
    let code = opened(&house, "alice");
    let sshd = Sshd::start(&house, FirstFactor::PasswordMethod);
    let mut terminal = sshd.connect("alice");
    terminal.expect("password: ").type_line(&code);
    assert!(!terminal.wait().success());
    let shown = terminal.shown();
    assert!(
        !shown.contains("key") && !shown.contains('\u{2580}') && !shown.contains("in as"),
        "{shown}"
    );
    let log = house.syslog().module_lines().join("\n");
    assert!(log.contains("accepted enrollment-code for alice"), "{log}");
    assert!(log.contains("for sshd: KbdInteractiveAuthentication yes"), "{log}");
    assert_eq!(house.events(), ["pending"]);
}

#[test]
fn a_wrong_password_shows_nothing_in_any_order_of_the_stack() {
    for (control, ours_first) in
        [("required", false), ("requisite", false), ("required", true), ("requisite", true)]
    {
        let sudoers = "Defaults passwd_tries=3\n%admins ALL=(ALL:ALL) ALL".to_string();
        let house = House::from_plan(&Plan { sudoers, ..Plan::default() });
        opened_on_trust(&house, "alice");
        let (unix, ours) = ("pam_unix.so nodelay", "pam_totp.so nodelay");
        let (first, second) = if ours_first { (ours, unix) } else { (unix, ours) };
        house.stack(
            "sudo",
            &format!(
                "auth {control} {first}\nauth {control} {second}\naccount required pam_unix.so\n\
                 account required pam_totp.so\nsession required pam_permit.so\n"
            ),
        );
        // Sudo asks again in the same handle.
        let mut terminal = house.terminal_as("alice", "sudo", &["-u", "carol", "id", "-un"]);
        terminal.expect("password for alice: ").type_line("wrong horse");
        terminal.expect("password for alice: ").type_line("wrong again");
        terminal.expect("password for alice: ");
        let shown = terminal.shown();
        assert!(!shown.contains("Two-factor") && !shown.contains("key"), "{shown}");
        assert_eq!(house.events(), ["pending"]);
        terminal.type_line(PASSWORD).expect(BEGIN).type_line("");
        terminal.expect("Or type in this key: ");
    }
}

#[test]
fn where_nobody_was_asked_before_nobody_is_shown_anything() {
    let house = House::from_plan(&Plan {
        sudoers: "%admins ALL=(ALL:ALL) NOPASSWD: ALL".to_string(),
        ..Plan::default()
    });
    opened_on_trust(&house, "alice");
    // As it is after an administrator has done something that alice is to be told of.
    let notice = house.path("/var/lib/pam-totp/notices/alice");
    let mut terminal =
        house.terminal_as("alice", "sudo", &["-n", "sh", "-c", "echo in as $(id -un)"]);
    assert!(terminal.wait().success());
    assert_eq!(terminal.shown(), "in as root\n");
    house.stack(
        "su",
        "auth sufficient pam_rootok.so\nauth required pam_unix.so\nauth required pam_totp.so\n\
         account required pam_unix.so\naccount required pam_totp.so\nsession required pam_permit.so\n",
    );
    let mut terminal = house.terminal("su", &["alice", "-c", "echo in as $(id -un)"]);
    assert!(terminal.wait().success());
    assert_eq!(terminal.shown(), "in as alice\n");
    let sshd = Sshd::start(&house, FirstFactor::PublicKeyAlone);
    let mut terminal = sshd.connect("alice");
    assert!(terminal.wait().success());
    assert_eq!(terminal.shown(), "in as alice\n");
    assert_eq!(house.events(), ["pending"]);
    let kept = fs::read_to_string(notice).unwrap_or_default();
    assert!(kept.is_empty() || kept.contains(" pending "), "{kept}");
}

#[test]
fn a_device_is_remembered_by_its_key_and_comes_in_with_that_alone() {
    let house = House::with_config("[remember]\ndays = 30\n");
    only_code(&house);
    let phone = house.enroll("alice");
    let sshd = Sshd::start(&house, FirstFactor::PublicKey);
    let mut first = sshd.connect("alice");
    first.expect(CODE).type_line(&phone.now());
    first
        .expect("Remember this device for 30 days? Its key alone logs in then. [y/N]: ")
        .type_line("y");
    first.expect("in as alice");
    assert!(first.wait().success());
    assert_eq!(house.events().last().map(String::as_str), Some("device-remembered"));
    let mut second = sshd.connect("alice");
    second.expect("in as alice");
    assert!(second.wait().success());
    assert!(!second.shown().contains(CODE), "{}", second.shown());
    // At another service the key counts for nothing, and nobody is asked about it.
    let mut sudo =
        house.terminal_as("alice", "sudo", &["-u", "carol", "sh", "-c", "echo in as carol"]);
    sudo.expect("password for alice: ").type_line(PASSWORD);
    sudo.expect(CODE).type_line(&phone.in_steps(1));
    sudo.expect("in as carol");
    assert!(!sudo.shown().contains("Remember"), "{}", sudo.shown());
}

#[test]
fn where_the_account_line_is_missing_su_and_login_refuse_an_enrollment_code() {
    let without = "auth required pam_unix.so\nauth required pam_totp.so nodelay\n\
                   account required pam_unix.so\nsession required pam_permit.so\n";
    let house = House::build();
    house.stack("su", without);
    house.stack("login", without);
    let code = opened(&house, "alice");
    let mut su = house.terminal_as("bob", "su", &["alice", "-c", "echo in as $(id -un)"]);
    su.expect("Password: ").type_line(PASSWORD);
    su.expect(CODE).type_line(&code).expect("Permission denied");
    assert!(!su.wait().success() && !su.shown().contains("in as"), "{}", su.shown());
    let mut login = house.terminal("login", &[]);
    login.expect("login: ").type_line("alice");
    login.expect("Password: ").type_line(PASSWORD);
    login.expect(CODE).type_line(&code).expect("Permission denied");
    assert!(!login.wait().success() && !login.shown().contains("$ "), "{}", login.shown());
    let log = house.syslog().module_lines().join("\n");
    assert_eq!(
        log.matches("the PAM stack needs: account required pam_totp.so").count(),
        2,
        "{log}"
    );
}
