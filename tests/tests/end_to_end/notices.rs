//! Login notices: that they reach the user, that they are in no command's output, and that no login depends on them.

use std::fs;
use std::process::Output;

use nix::sys::signal::Signal;
use pam_totp_tests::{
    Decider, FirstFactor, House, Login, Outcome, PASSWORD, Pam, Phone, Plan, Sshd, Terminal,
};

use crate::CODE;

const NOTICES: &str = "/var/lib/pam-totp/notices/";
const HEAD: &str = "pam-totp: ";
const ENROLLED: &str = "pam-totp: second factor switched on by ";

/// A house in which alice was enrolled by root; what she is told of that waits.
fn house() -> (House, Phone) {
    let house = House::build();
    let phone = house.enroll("alice");
    (house, phone)
}

fn file(house: &House, user: &str) -> String {
    fs::read_to_string(house.path(NOTICES).join(user)).unwrap_or_default()
}

/// When a program first took the first notice, as the file has it; `-` for none yet.
fn first_shown(house: &House, user: &str) -> String {
    file(house, user).split(' ').nth(2).unwrap().to_owned()
}

/// Logs in to a shell, leaves it, and gives what was on the screen.
fn at_a_shell(sshd: &Sshd<'_>, user: &str) -> String {
    let mut shell = sshd.shell(user);
    shell.expect("$ ").type_line("echo in as $(id -un); exit");
    shell.expect(&format!("in as {user}\r\n"));
    shell.wait();
    shell.shown()
}

fn heads(shown: &str) -> usize {
    shown.matches(HEAD).count()
}

fn both(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr].concat()).into_owned()
}

#[test]
fn a_login_over_ssh_with_a_terminal_is_told_once_and_in_one_line() {
    let (house, phone) = house();
    house.run("totp-admin", &["contact", "alice", "--email", "alice@example.com", "--json"]);
    let sshd = Sshd::start(&house, FirstFactor::Password);
    let mut shell = sshd.shell("alice");
    shell.expect("assword: ").type_line(PASSWORD).expect(CODE).type_line(&phone.now());
    shell.expect("pam-totp: your mail address").expect("; second factor switched on by ");
    shell.type_line("exit");
    shell.wait();
    assert_eq!(heads(&shell.shown()), 1, "{}", shell.shown());
}

#[test]
fn what_ssh_scp_and_sftp_run_has_no_notice_in_its_output_and_begins_its_seven_days() {
    let (house, _) = house();
    let sshd = Sshd::start(&house, FirstFactor::PublicKeyAlone);
    let options = sshd.options("alice", pam_totp_tests::Client::default());
    fs::write(house.path("/run/batch"), "put /run/batch /tmp/by-sftp\n").unwrap();
    let run = |program: &str, before: &[&str], after: &[&str]| {
        let options = options.iter().map(String::as_str);
        let all: Vec<&str> =
            before.iter().copied().chain(options).chain(after.iter().copied()).collect();
        let output = house.attempt(program, &all);
        assert!(output.status.success(), "{program}: {output:?}");
        assert!(!both(&output).contains(HEAD), "{program}: {}", both(&output));
        output
    };
    assert_eq!(run("ssh", &[], &["127.0.0.1", "id -un"]).stdout, b"alice\n");
    run("sftp", &["-b", "/run/batch"], &["127.0.0.1"]);
    run("scp", &["-O"], &["/run/batch", "127.0.0.1:/tmp/by-scp"]);
    // sshd took it from the module each time, and does not say what became of it.
    assert_ne!(first_shown(&house, "alice"), "-");
    assert_eq!(heads(&at_a_shell(&sshd, "alice")), 1);
}

#[test]
fn it_is_shown_for_seven_days_from_the_first_time_or_until_it_was_read() {
    let (house, _) = house();
    let sshd = Sshd::start(&house, FirstFactor::PublicKeyAlone);
    for _ in 0..2 {
        assert!(at_a_shell(&sshd, "alice").contains(ENROLLED));
    }
    // As it is when that was long ago.
    let (text, first) = (file(&house, "alice"), first_shown(&house, "alice"));
    fs::write(house.path(NOTICES).join("alice"), text.replacen(&first, "2020-01-01T00:00:00Z", 1))
        .unwrap();
    assert_eq!(heads(&at_a_shell(&sshd, "alice")), 0);
    let _bobs = house.enroll("bob");
    assert!(at_a_shell(&sshd, "bob").contains(ENROLLED));
    house.run("totp-admin", &["notices", "bob", "--read"]);
    assert_eq!(heads(&at_a_shell(&sshd, "bob")), 0);
}

#[test]
fn without_the_session_line_nothing_is_shown_over_ssh_and_nothing_used_up() {
    let (house, phone) = house();
    house.stack(
        "sshd",
        "auth required pam_totp.so nodelay\naccount required pam_totp.so\naccount required pam_permit.so\n\
         session required pam_permit.so\n",
    );
    let before = file(&house, "alice");
    let sshd = Sshd::start(&house, FirstFactor::Password);
    let mut shell = sshd.shell("alice");
    shell.expect(CODE).type_line(&phone.now()).expect("$ ");
    shell.type_line("echo in as $(id -un); exit").expect("in as alice\r\n");
    shell.wait();
    assert_eq!((heads(&shell.shown()), file(&house, "alice")), (0, before));
}

/// A program that asks on alice's terminal.
fn with_password_and_code(mut terminal: Terminal, phone: &Phone) -> String {
    terminal.expect("assword").expect(": ").type_line(PASSWORD);
    terminal.expect(CODE).type_line(&phone.now());
    terminal.wait();
    terminal.shown()
}

#[test]
fn su_login_and_sudo_show_it_on_a_terminal() {
    let (house, phone) = house();
    let shown =
        with_password_and_code(house.terminal_as("bob", "su", &["alice", "-c", "id -un"]), &phone);
    assert!(shown.contains(ENROLLED) && shown.ends_with("alice\n"), "{shown}");
    // sudo asks PAM to be silent, by default.
    let sudo = house.terminal_as("alice", "sudo", &["-u", "carol", "id", "-un"]);
    let shown = with_password_and_code(sudo, &phone_later(&house));
    assert!(shown.contains(ENROLLED) && shown.contains("carol\n"), "{shown}");
    house.stack("login", LOGIN);
    let phone = house.enroll("carol");
    let mut login = house.terminal("login", &["carol"]);
    login.expect(CODE).type_line(&phone.now()).expect(ENROLLED).type_line("exit");
}

/// A fresh phone: the first one's code is spent.
fn phone_later(house: &House) -> Phone {
    house.run("totp-admin", &["remove", "alice", "--yes"]);
    house.enroll("alice")
}

const LOGIN: &str = "auth required pam_totp.so nodelay\naccount required pam_totp.so\n\
                     account required pam_permit.so\nsession required pam_permit.so\nsession optional pam_totp.so\n";

/// A house in which no question is asked, so that all that is captured is the command's, or a notice.
fn unasked(services: &[&str]) -> House {
    let house = House::with_config("[policy]\nexempt = [\"alice\", \"bob\"]\n");
    for user in ["alice", "bob"] {
        let _phone = house.enroll(user);
    }
    for service in services {
        house.stack(
            service,
            "auth required pam_totp.so nodelay\nauth required pam_permit.so\n\
             account required pam_totp.so\naccount required pam_permit.so\n\
             session required pam_permit.so\nsession optional pam_totp.so\n",
        );
    }
    house
}

/// What `v=$(COMMAND)` captures on alice's terminal, and all that is on the screen.
fn captured(house: &House, command: &str) -> (String, String) {
    let script = format!("v=$({command}); printf 'captured=[%s]\\n' \"$v\"");
    let mut terminal = house.terminal_as("alice", "sh", &["-c", &script]);
    terminal.wait();
    let shown = terminal.shown();
    let from = shown.find("captured=[").unwrap_or_else(|| panic!("{shown}"));
    let rest = &shown[from + "captured=[".len()..];
    (rest[..rest.rfind(']').unwrap()].to_owned(), shown)
}

#[test]
fn what_a_shell_captures_of_su_doas_and_sudo_is_what_the_command_said() {
    let house = unasked(&["su", "doas", "sudo"]);
    fs::write(house.path("/etc/doas.conf"), "permit alice as bob\n").unwrap();
    for command in ["su bob -c 'id -un'", "doas -u bob id -un", "sudo -k -S -u bob id -un"] {
        let before = [file(&house, "alice"), file(&house, "bob")];
        let (captured_too, shown) = captured(&house, &format!("{command} 2>&1"));
        assert_eq!(captured_too, "bob", "{command}: {shown}");
        assert_eq!(heads(&shown), 0, "{command}: {shown}");
        assert_eq!([file(&house, "alice"), file(&house, "bob")], before, "nothing is used up");
        let (captured, shown) = captured(&house, command);
        assert_eq!(captured, "bob", "{command}: {shown}");
        assert!(shown.contains(ENROLLED), "on standard error: {command}: {shown}");
        // As new for the next program.
        for user in ["alice", "bob"] {
            house.run("totp-admin", &["notices", user, "--read"]);
            house.run("totp-admin", &["remove", user, "--yes"]);
            let _phone = house.enroll(user);
        }
    }
}

#[test]
fn sudo_without_a_terminal_writes_no_notice_where_its_command_writes() {
    let (house, phone) = house();
    let script = format!(
        "printf '%s\\n%s\\n' '{PASSWORD}' {} | setsid -w sudo -k -S id -u | cat",
        phone.now()
    );
    let before = file(&house, "alice");
    let output = house.command_as("alice", "sh").args(["-c", &script]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "0\n", "{output:?}");
    assert_eq!((heads(&both(&output)), file(&house, "alice")), (0, before));
}

#[test]
fn the_second_factor_that_was_switched_off_is_told_where_no_code_is_asked_for() {
    let (house, _) = house();
    house.run("totp-admin", &["disable", "alice", "--yes"]);
    let mut terminal = house.terminal_as("bob", "su", &["alice", "-c", "id -un"]);
    terminal.expect("assword: ").type_line(PASSWORD);
    terminal.expect("pam-totp: second factor switched off by ").expect("alice\r\n");
}

/// A session of alice's, in a process that has not run auth.
fn session(house: &House) -> Outcome {
    house.application().login("code", "alice").open_session()
}

/// The messages of a session behind a login with this code from there.
fn told(login: &mut Login<'_>, from: &str, code: &str) -> Vec<String> {
    login.from(from);
    assert_eq!(login.authenticate([code]).code, Pam::Success);
    assert_eq!(login.account().messages().iter().filter(|line| line.contains(HEAD)).count(), 0);
    let session = login.open_session();
    assert_eq!(session.code, Pam::Success);
    session.messages().iter().map(ToString::to_string).collect()
}

#[test]
fn what_the_user_has_just_done_is_not_told_and_what_a_thief_did_is() {
    let (house, phone) = house();
    let codes = house.admin_json(&["recovery-codes", "alice", "--json"]);
    let code = codes["recovery_codes"][0].as_str().unwrap().to_owned();
    house.run("totp-admin", &["notices", "alice", "--read"]);
    let mut application = house.application();
    let mut login = application.login("code", "alice");
    assert_eq!(told(&mut login, "198.51.100.9", &code), [""; 0], "the login's own doing");
    drop(login);
    assert!(file(&house, "alice").contains(" - "), "it was not shown: {}", file(&house, "alice"));
    let lines = told(&mut application.login("code", "alice"), "192.0.2.1", &phone.now());
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(
        lines[0].starts_with("pam-totp: recovery code used from 198.51.100.9 at code, "),
        "{lines:?}"
    );
}

#[test]
fn a_session_that_is_to_be_silent_shows_nothing_and_uses_nothing_up() {
    let (house, phone) = house();
    let mut application = house.application();
    let mut login = application.login("code", "alice");
    assert_eq!(login.authenticate([&phone.now()]).code, Pam::Success);
    let before = file(&house, "alice");
    let silent = login.call("open 32768", [] as [&str; 0]);
    assert_eq!((silent.code, silent.messages()), (Pam::Success, vec![]));
    assert_eq!(file(&house, "alice"), before);
    assert_eq!(login.open_session().messages().len(), 1);
    assert_eq!(login.call("close 0", [] as [&str; 0]).heard, []);
}

#[test]
fn a_session_elsewhere_than_under_sshd_asks_no_daemon() {
    let (house, _) = house();
    house.stack(
        "code",
        "session required pam_permit.so\nsession optional pam_totp.so socket=/run/none once=/nonexistent\n",
    );
    let mut application = house.application();
    let mut login = application.login("code", "alice");
    login.item("tty", "/dev/pts/1");
    assert_eq!((login.open_session().code, house.syslog().module_lines()), (Pam::Success, vec![]));
}

#[test]
fn no_session_fails_for_want_of_a_daemon_or_a_configuration() {
    let (mut house, _) = house();
    if Decider::usual() == Decider::Daemon {
        house.end_daemon(Signal::SIGKILL);
    }
    let outcome = session(&house);
    assert_eq!((outcome.code, outcome.messages().len()), (Pam::Success, 1), "by totpd --once");
    // As `required`, too: its answer is to be passed over.
    for line in [
        "optional pam_totp.so socket=/run/none once=/nonexistent",
        "required pam_totp.so socket=/run/none once=/nonexistent",
        "required pam_totp.so config=/etc/pam-totp/none.toml",
        "required pam_totp.so surprise",
    ] {
        house.stack("code", &format!("session required pam_permit.so\nsession {line}\n"));
        let outcome = session(&house);
        assert_eq!((outcome.code, outcome.messages()), (Pam::Success, vec![]), "{line}");
    }
    let log = house.syslog().module_lines().join("\n");
    assert!(log.contains("pam_totp(code:session): "), "{log}");
    assert!(log.matches("login notices are not shown").count() >= 3, "{log}");
    assert!(!log.contains("denied"), "{log}");
}

#[test]
fn a_session_grants_nothing_to_a_login_that_is_refused() {
    let (house, _) = house();
    house.stack("code", "auth required pam_deny.so\nsession required pam_totp.so\n");
    let mut application = house.application();
    let mut login = application.login("code", "alice");
    let outcome = login.open_session();
    // Every module has said PAM_IGNORE, which libpam refuses.
    assert_eq!((outcome.code, outcome.messages().len()), (Pam::PermDenied, 1));
    assert_eq!(login.authenticate([] as [&str; 0]).code, Pam::AuthErr);
}

#[test]
fn a_users_own_program_is_shown_no_notice() {
    let house = House::from_plan(&Plan { decided_by: Decider::Daemon, ..Plan::default() });
    let _phone = house.enroll("alice");
    let before = file(&house, "alice");
    for caller in ["alice", "bob"] {
        let mut application = house.application_as(caller);
        let outcome = application.login("code", "alice").open_session();
        assert_eq!((outcome.code, outcome.messages()), (Pam::Success, vec![]), "{caller}");
    }
    assert_eq!(file(&house, "alice"), before);
}

#[test]
fn a_name_that_is_another_accounts_now_is_told_nothing_and_a_renamed_account_is() {
    let (house, _) = house();
    let passwd = fs::read_to_string(house.path("/etc/passwd")).unwrap();
    let messages = |user: &str| {
        let mut application = house.application();
        let outcome = application.login("code", user).open_session();
        outcome.messages().len()
    };
    fs::write(house.path("/etc/passwd"), passwd.replace("alice:", "alicia:")).unwrap();
    assert_eq!(messages("alicia"), 1, "by the uid");
    let uid = house.person("alice").uid;
    fs::write(house.path("/etc/passwd"), passwd.replace(&format!(":{uid}:"), ":4711:")).unwrap();
    assert_eq!(messages("alice"), 0);
}
