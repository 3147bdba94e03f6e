//! Remembered devices over the real sshd: a key that it has verified, and nothing else, isn't asked for a code.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use pam_totp_tests::{FirstFactor, House, PASSWORD, Phone, Sshd};

use crate::CODE;

/// The account phase asks behind a right code.
const REMEMBER: &str = "Remember this device for 30 days? Its key alone logs in then. [y/N]: ";

/// Where the clients' key is, inside.
const KEY: &str = "/run/key";

/// A house whose sshd wants a key and a code, and remembers devices; alice is enrolled. sudo and su are listed as well, where
/// no key is ever verified.
fn house() -> (House, Phone) {
    let house = House::with_config(
        "[remember]\ndays = 30\nservices = [\"sshd\", \"sudo\", \"sudo-i\", \"su\", \"su-l\"]\n",
    );
    let stack = fs::read_to_string(house.path("/etc/pam.d/sshd")).unwrap();
    let lines = stack.lines().filter(|line| !line.starts_with("auth required pam_unix.so"));
    let stack: String = lines.map(|line| format!("{line}\n")).collect();
    house.stack("sshd", &stack.replacen("pam_totp.so", "pam_totp.so first_factor=publickey", 1));
    let phone = house.enroll("alice");
    (house, phone)
}

/// `SHA256:...` of the clients' key.
fn fingerprint(house: &House) -> String {
    let shown = house.run("ssh-keygen", &["-l", "-f", &format!("{KEY}.pub")]);
    shown.split(' ').nth(1).unwrap().to_string()
}

/// Remembers the clients' key for alice as the account phase does, `days_ago`.
fn remember(house: &House, days_ago: i64) {
    remember_key(house, &fingerprint(house), "-", days_ago);
}

fn remember_key(house: &House, fingerprint: &str, network: &str, days_ago: i64) {
    let time = |days: i64| {
        let when = format!("{days} days");
        house.run("date", &["-u", "-d", &when, "+%Y-%m-%dT%H:%M:%SZ"]).trim().to_string()
    };
    let record = fs::read_to_string(house.path("/var/lib/pam-totp/users/alice.toml")).unwrap();
    let enrollment = record.split("enrollment = \"").nth(1).unwrap().split('"').next().unwrap();
    let (added, until) = (time(-days_ago), time(30 - days_ago));
    let list = format!(
        "pam-totp remembered 1\n{fingerprint} added={added} used={added} until={until} network={network} \
         enrollment={enrollment}\n"
    );
    write_list(house, &list);
}

fn write_list(house: &House, list: &str) {
    let path = house.path("/var/lib/pam-totp/remembered/alice");
    fs::write(&path, list).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
}

/// Comes with the key that is there now and is let in without a question.
fn is_not_asked(sshd: &Sshd<'_>) {
    let mut client = sshd.connect("alice");
    assert_eq!(client.expect_one_of(&["in as alice", CODE]), 0, "{}", client.shown());
}

/// Comes with the key that is there now and is asked.
fn is_asked(sshd: &Sshd<'_>) {
    let mut client = sshd.connect("alice");
    assert_eq!(client.expect_one_of(&[CODE, "in as alice"]), 0, "{}", client.shown());
}

fn authorized_keys(house: &House) -> std::path::PathBuf {
    house.path(format!("/home/{}/.ssh/authorized_keys", house.person("alice").uid))
}

/// Another key in the place of the clients', and alice may come in with either.
fn change_keys(house: &House) {
    for file in [KEY, &format!("{KEY}.pub")] {
        fs::rename(house.path(file), house.path(format!("{file}.old"))).unwrap();
    }
    house.run("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-f", KEY]);
    let both = fs::read_to_string(authorized_keys(house)).unwrap()
        + &fs::read_to_string(house.path(format!("{KEY}.pub"))).unwrap();
    fs::write(authorized_keys(house), both).unwrap();
}

#[test]
fn a_remembered_key_is_not_asked_and_another_one_of_the_same_place_is() {
    let (house, phone) = house();
    let sshd = Sshd::start(&house, FirstFactor::PublicKey);
    is_asked(&sshd);
    remember(&house, 1);
    is_not_asked(&sshd);
    let device = fingerprint(&house);
    let _ = house.syslog().expect(&format!("not asked for alice: remembered device {device}"));
    change_keys(&house);
    let mut client = sshd.connect("alice");
    client.expect(CODE).type_line(&phone.now());
    client.expect(REMEMBER).type_line("n").expect("in as alice");
    is_asked(&sshd);
}

/// What comes of `ssh` in a script: whether it was let in.
fn script_is_let_in(sshd: &Sshd<'_>, user: &str, options: &[&str]) -> bool {
    let output = sshd.run_in_script(user, options);
    let (said, complaint) = (output.stdout, String::from_utf8_lossy(&output.stderr).into_owned());
    assert_eq!(
        said == format!("in as {user}\n").as_bytes(),
        output.status.success(),
        "{complaint}"
    );
    assert!(output.status.success() || output.status.code() == Some(255), "{complaint}");
    output.status.success()
}

#[test]
fn a_remembered_key_logs_in_from_a_script_and_under_batch_mode_no_client_asks_for_it() {
    let (house, _) = house();
    let sshd = Sshd::start(&house, FirstFactor::PublicKey);
    // Nothing hangs, and an answer of nothing is not a guess.
    assert!(!script_is_let_in(&sshd, "alice", &[]));
    let _ = house.syslog().expect("pam_totp(sshd:auth): reason=");
    remember(&house, 1);
    assert!(script_is_let_in(&sshd, "alice", &[]));
    house.syslog().clear();
    // The client leaves keyboard-interactive out, whatever else it is told: sshd asks PAM for nothing.
    for options in [
        &["BatchMode=yes"][..],
        &["BatchMode=yes", "KbdInteractiveAuthentication=yes"],
        &["KbdInteractiveAuthentication=no"],
    ] {
        assert!(!script_is_let_in(&sshd, "alice", options), "{options:?}");
        assert_eq!(house.syslog().module_lines(), [""; 0], "{options:?}");
    }
    // As Ansible has it behind what its settings say: the first value counts.
    let first = ["KbdInteractiveAuthentication=yes", "KbdInteractiveAuthentication=no"];
    assert!(script_is_let_in(&sshd, "alice", &first));
}

#[test]
fn under_batch_mode_an_exempt_network_does_not_log_in_and_a_match_block_for_a_service_account_does()
{
    let (house, _) = house();
    house.configure("[policy]\nexempt_networks = [\"127.0.0.0/8\"]\n");
    let lines = "UsePAM yes\nKbdInteractiveAuthentication yes\nAuthenticationMethods publickey,keyboard-interactive\n\
                 Match User carol\nAuthenticationMethods publickey\n";
    let sshd = Sshd::start_as_written(&house, lines, "publickey,keyboard-interactive");
    assert!(script_is_let_in(&sshd, "alice", &[]));
    assert!(!script_is_let_in(&sshd, "alice", &["BatchMode=yes"]));
    assert!(script_is_let_in(&sshd, "carol", &["BatchMode=yes"]));
}

#[test]
fn who_says_yes_behind_a_right_code_is_not_asked_with_that_key_any_more() {
    let (house, phone) = house();
    let sshd = Sshd::start(&house, FirstFactor::PublicKey);
    let mut client = sshd.connect("alice");
    client.expect(CODE).type_line(&phone.now());
    client.expect(REMEMBER).type_line("y").expect("in as alice");
    is_not_asked(&sshd);
    let listed = house.admin_json(&["remembered", "list", "alice", "--json"]);
    assert_eq!(listed[0]["fingerprint"], fingerprint(&house).as_str());
    change_keys(&house);
    is_asked(&sshd);
}

#[test]
fn after_its_days_a_device_is_asked() {
    let (house, _) = house();
    let sshd = Sshd::start(&house, FirstFactor::PublicKey);
    remember(&house, 29);
    is_not_asked(&sshd);
    remember(&house, 30);
    is_asked(&sshd);
}

#[test]
fn who_was_switched_off_or_enrolls_anew_is_asked_again() {
    let (house, _) = house();
    let sshd = Sshd::start(&house, FirstFactor::PublicKey);
    remember(&house, 1);
    is_not_asked(&sshd);
    let _ = house.admin_json(&["enroll", "alice", "--replace", "--json", "--no-confirm"]);
    is_asked(&sshd);
    remember(&house, 1);
    is_not_asked(&sshd);
    let _ = house.admin_json(&["disable", "alice", "--json"]);
    let _ = house.enroll("alice");
    is_asked(&sshd);
}

#[test]
fn a_forgotten_device_is_asked_and_that_is_on_record() {
    let (house, _) = house();
    let sshd = Sshd::start(&house, FirstFactor::PublicKey);
    remember(&house, 1);
    let device = fingerprint(&house);
    let listed = house.admin_json(&["remembered", "list", "alice", "--json"]);
    assert_eq!(listed[0]["fingerprint"], device.as_str());
    let told = house.admin_json(&["remembered", "forget", "alice", &device, "--json"]);
    assert_eq!(told["changed"], true);
    is_asked(&sshd);
    assert!(house.events().contains(&"device-forgotten".to_string()));
}

#[test]
fn a_certificate_of_a_remembered_key_is_not_asked() {
    let (house, _) = house();
    let sshd = Sshd::start(&house, FirstFactor::PublicKey);
    remember(&house, 1);
    house.run("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-f", "/run/ca"]);
    let authority = fs::read_to_string(house.path("/run/ca.pub")).unwrap();
    fs::write(authorized_keys(&house), format!("cert-authority {authority}")).unwrap();
    // Signed anew, it is another certificate of the same key.
    for serial in ["1", "2"] {
        let sign = ["-q", "-s", "/run/ca", "-I", "alice", "-n", "alice", "-z", serial];
        house.run("ssh-keygen", &[&sign[..], &[&format!("{KEY}.pub")]].concat());
        is_not_asked(&sshd);
    }
    assert!(sshd.log().contains("ED25519-CERT"), "{}", sshd.log());
}

#[test]
fn a_damaged_list_asks_and_a_directory_that_is_missing_does() {
    let (house, _) = house();
    let sshd = Sshd::start(&house, FirstFactor::PublicKey);
    remember(&house, 1);
    let list = house.path("/var/lib/pam-totp/remembered/alice");
    let text = fs::read_to_string(&list).unwrap();
    write_list(&house, text.trim_end());
    is_asked(&sshd);
    let _ = house.syslog().expect("nobody is remembered");
    write_list(&house, &text);
    fs::set_permissions(&list, fs::Permissions::from_mode(0o666)).unwrap();
    is_asked(&sshd);
    fs::set_permissions(&list, fs::Permissions::from_mode(0o600)).unwrap();
    is_not_asked(&sshd);
    fs::remove_dir_all(house.path("/var/lib/pam-totp/remembered")).unwrap();
    is_asked(&sshd);
}

#[test]
fn sudo_and_su_ask_whatever_their_callers_environment_says() {
    let (house, _) = house();
    let sshd = Sshd::start(&house, FirstFactor::PublicKey);
    remember(&house, 1);
    is_not_asked(&sshd);
    let public = fs::read_to_string(house.path(format!("{KEY}.pub"))).unwrap();
    let key = public.split(' ').take(2).collect::<Vec<_>>().join(" ");
    let info = format!("SSH_AUTH_INFO_0=publickey {key}\n");
    let mut sudo = house.terminal_as("alice", "env", &[&info, "sudo", "-u", "carol", "id"]);
    sudo.expect("password for alice: ").type_line(PASSWORD).expect(CODE);
    let mut su = house.terminal_as("bob", "env", &[&info, "su", "alice", "-c", "id"]);
    su.expect("Password: ").type_line(PASSWORD).expect(CODE);
}

/// From `ssh-keygen -t ed25519`; the fingerprint from `ssh-keygen -l`.
const INFO: &str =
    "publickey ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIK/YLGEcZSiwYudEwnmTZQsafYwXvFRwK3YrMC30jy1h\n";
const FINGERPRINT: &str = "SHA256:Bl3ZYjbXJVh9j8AjdIaQSIasl1xx4iy/bkvPoxp/Y1E";

/// A house whose service `code` remembers, as these keys have it; alice comes from 192.0.2.1 with a key of hers that is
/// remembered since a day ago.
fn remembering(keys: &str) -> House {
    let house = House::with_config(keys);
    let _phone = house.enroll("alice");
    remember_key(&house, FINGERPRINT, "192.0.2.0/24", 1);
    house
}

const BY_CODE: &str = "[remember]\ndays = 30\nservices = [\"code\"]\n";

/// Whether libpam with sshd's information about a verified key asks.
fn asks(house: &House, from: &str) -> bool {
    let mut application = house.application();
    let mut login = application.login("code", "alice");
    let outcome = login.from(from).variable("SSH_AUTH_INFO_0", INFO).authenticate([""; 0]);
    !outcome.prompts().is_empty()
}

#[test]
fn the_environment_of_the_process_names_no_key() {
    let house = remembering(BY_CODE);
    assert!(!asks(&house, "192.0.2.1"));
    let mut application = house.application_with(&[("SSH_AUTH_INFO_0", INFO)]);
    assert_eq!(application.login("code", "alice").authenticate([""; 0]).prompts(), [CODE]);
}

#[test]
fn a_service_that_does_not_remember_asks() {
    for keys in ["", "[remember]\ndays = 30\n", "[remember]\ndays = 0\nservices = [\"code\"]\n"] {
        assert!(asks(&remembering(keys), "192.0.2.1"), "{keys}");
    }
}

#[test]
fn where_the_network_counts_another_one_is_asked() {
    let house = remembering(&format!("{BY_CODE}same_network = true\n"));
    assert!(!asks(&house, "192.0.2.1"));
    assert!(asks(&house, "198.51.100.1"));
    assert!(asks(&house, "desk.example.com"));
}

#[test]
fn a_device_lets_nobody_in_whose_record_is_damaged() {
    let house = remembering(BY_CODE);
    let record = house.path("/var/lib/pam-totp/users/alice.toml");
    let text = fs::read_to_string(&record).unwrap();
    fs::write(&record, text.replace("enrolled", "enrold")).unwrap();
    assert!(asks(&house, "192.0.2.1"));
}

#[test]
fn a_use_is_noted_a_day_later() {
    let house = remembering(BY_CODE);
    let list = house.path("/var/lib/pam-totp/remembered/alice");
    let used =
        |text: &str| text.split("used=").nth(1).unwrap().split(' ').next().unwrap().to_owned();
    let before = used(&fs::read_to_string(&list).unwrap());
    assert!(!asks(&house, "192.0.2.1"));
    assert_ne!(used(&fs::read_to_string(&list).unwrap()), before);
}
