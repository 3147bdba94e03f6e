//! Records and directories that can't be trusted: nobody is let in, one line of the log says why, and
//! nothing hangs. Each with `nullok` too, where an error taken for an absence would open the door.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};

use pam_totp_tests::{Answer, House, Outcome, Pam, Phone};

use crate::{CODE, NEXT};

const USERS: &str = "/var/lib/pam-totp/users";
const RECORD: &str = "/var/lib/pam-totp/users/alice.toml";

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// A house in which alice is enrolled, spoilt; and what became of her right code there.
fn log_in(arguments: &str, spoil: impl Fn(&House, &Path)) -> (House, Outcome) {
    let house = House::with_arguments(arguments);
    let phone = house.enroll("alice");
    spoil(&house, &house.path(RECORD));
    house.syslog().clear();
    let outcome = try_in(&house, &phone);
    (house, outcome)
}

fn try_in(house: &House, phone: &Phone) -> Outcome {
    let codes = [phone.now(), phone.in_steps(1)];
    house.application().login("code", "alice").authenticate(codes.iter())
}

/// Exactly one line names what is wrong and where.
fn assert_one_line_about(house: &House, path: &str) {
    let lines = house.syslog().module_lines();
    let about: Vec<&String> = lines.iter().filter(|line| line.contains(path)).collect();
    assert_eq!(about.len(), 1, "lines about {path} in {lines:#?}");
}

/// A record that nobody may trust, whatever it says.
fn record_is_refused(spoil: impl Fn(&House, &Path)) {
    record_denies("record-refused", RECORD, spoil);
}

/// A record that says nothing that can be understood.
fn record_is_damaged(spoil: impl Fn(&House, &Path)) {
    record_denies("record-damaged", RECORD, spoil);
}

/// The prompts of a wrong code, and refused; one line tells what about `subject` is wrong.
fn record_denies(reason: &str, subject: &str, spoil: impl Fn(&House, &Path)) {
    for arguments in ["", "nullok"] {
        let (house, outcome) = log_in(arguments, &spoil);
        assert_eq!(outcome.code, Pam::AuthErr, "{arguments:?}: {outcome:?}");
        assert_eq!(outcome.prompts(), [CODE, NEXT], "{arguments:?}");
        assert_one_line_about(&house, subject);
        let lines = house.syslog().module_lines();
        let failure = lines.iter().filter(|line| line.contains(": authentication failure; "));
        assert_eq!(failure.count(), 1, "{lines:#?}");
        let reason = format!(": reason={reason} user=alice");
        assert!(lines.iter().any(|line| line.contains(&reason)), "{lines:#?}");
    }
}

#[test]
fn trouble_with_the_store_denies_everybody_before_any_prompt() {
    let house = House::with_arguments("nullok");
    let phone = house.enroll("alice");
    fs::rename(house.path(USERS), house.path(USERS).with_file_name("away")).unwrap();
    let mut application = house.application();
    for user in ["alice", "bob"] {
        let outcome = application.login("code", user).authenticate([&phone.now()]);
        assert_eq!((outcome.code, outcome.prompts()), (Pam::SystemErr, vec![]), "{user}");
        let _ = house.syslog().expect(&format!("reason=unavailable user={user}"));
    }
}

/// A directory that can't be trusted: nobody can tell who is enrolled, so nobody is let in.
fn directory_denies(spoil: impl Fn(&House, &Path)) {
    for arguments in ["", "nullok"] {
        let (house, outcome) = log_in(arguments, |house, _| spoil(house, &house.path(USERS)));
        assert_eq!(outcome.code, Pam::SystemErr, "{arguments:?}: {outcome:?}");
        assert_one_line_about(&house, USERS);
    }
}

/// Puts something else in the place of the record, which is kept beside it.
fn in_its_place(record: &Path) -> PathBuf {
    let kept = record.with_file_name("kept");
    fs::rename(record, &kept).unwrap();
    kept
}

#[test]
fn an_unspoilt_record_lets_in() {
    let (_house, outcome) = log_in("", |_, _| ());
    assert_eq!(outcome.code, Pam::Success);
}

#[test]
fn a_record_that_others_may_read_denies() {
    record_is_refused(|_, record| mode(record, 0o644));
}

#[test]
fn a_record_that_its_group_may_write_denies() {
    record_is_refused(|_, record| mode(record, 0o620));
}

#[test]
fn a_record_of_another_owner_denies() {
    record_is_refused(|house, record| {
        let uid = house.person("alice").uid;
        chown(record, Some(uid), Some(uid)).unwrap();
    });
}

#[test]
fn a_record_that_is_a_symbolic_link_denies() {
    record_is_refused(|_, record| {
        in_its_place(record);
        symlink("kept", record).unwrap();
    });
}

#[test]
fn a_record_that_is_a_dangling_symbolic_link_denies() {
    record_is_refused(|_, record| {
        fs::remove_file(record).unwrap();
        symlink("nowhere", record).unwrap();
    });
}

#[test]
fn a_record_with_a_second_name_denies() {
    record_is_refused(|_, record| fs::hard_link(record, record.with_file_name("second")).unwrap());
}

#[test]
fn a_record_that_is_a_fifo_denies_without_a_hang() {
    record_is_refused(|house, record| {
        in_its_place(record);
        house.run("mkfifo", &["-m", "600", RECORD]);
    });
}

#[test]
fn a_record_that_is_a_directory_denies() {
    record_is_refused(|_, record| {
        in_its_place(record);
        fs::create_dir(record).unwrap();
        mode(record, 0o600);
    });
}

#[test]
fn a_record_that_is_a_device_denies() {
    record_is_refused(|house, record| {
        in_its_place(record);
        house.run("mknod", &["-m", "600", RECORD, "c", "1", "5"]);
    });
}

#[test]
fn an_empty_record_denies() {
    record_is_damaged(|_, record| fs::write(record, "").unwrap());
}

#[test]
fn a_huge_record_denies() {
    record_is_damaged(|_, record| {
        let file = fs::OpenOptions::new().write(true).open(record).unwrap();
        file.set_len(1 << 40).unwrap();
    });
}

#[test]
fn a_record_that_is_not_utf8_denies() {
    record_is_damaged(|_, record| {
        let mut bytes = fs::read(record).unwrap();
        bytes.extend_from_slice(b"# \xff\xfe\n");
        fs::write(record, bytes).unwrap();
    });
}

#[test]
fn a_record_cut_off_in_the_middle_denies() {
    record_is_damaged(|_, record| {
        let bytes = fs::read(record).unwrap();
        fs::write(record, &bytes[..bytes.len() / 2]).unwrap();
    });
}

#[test]
fn a_record_with_an_unknown_key_denies() {
    record_is_damaged(|_, record| {
        let text = fs::read_to_string(record).unwrap();
        fs::write(record, format!("surprise = true\n{text}")).unwrap();
    });
}

#[test]
fn a_record_of_an_unknown_version_denies() {
    record_is_damaged(|_, record| {
        let text = fs::read_to_string(record).unwrap();
        let newer = text.replacen("version = 1", "version = 2", 1);
        assert_ne!(newer, text, "the record begins with its version:\n{text}");
        fs::write(record, newer).unwrap();
    });
}

#[test]
fn a_record_of_another_user_denies() {
    record_is_refused(|house, record| {
        let _ = house.enroll("bob");
        fs::rename(house.path(USERS).join("bob.toml"), record).unwrap();
    });
}

#[test]
fn a_record_of_a_recycled_name_is_refused_until_an_administrator_decides() {
    record_denies("record-refused", "about the account with uid 20000", |house, _| {
        let passwd = house.path("/etc/passwd");
        let text = fs::read_to_string(&passwd).unwrap();
        fs::write(&passwd, text.replace("alice:x:20000:", "alice:x:29999:")).unwrap();
    });
}

#[test]
fn a_record_spoilt_while_the_prompt_is_open_denies_like_a_wrong_code() {
    let house = House::build();
    let phone = house.enroll("alice");
    let mut application = house.application();
    let mut login = application.login("code", "alice");
    assert_eq!(login.begin("auth 0").hear().prompt(), Some(CODE));
    mode(&house.path(RECORD), 0o644);
    login.answer(Answer::from(&phone.now()));
    let outcome = login.rest([&phone.in_steps(1)]);
    assert_eq!((outcome.code, outcome.prompts()), (Pam::AuthErr, vec![NEXT]), "{outcome:?}");
    assert_one_line_about(&house, RECORD);
}

#[test]
fn no_fault_of_a_record_shows_its_secret_in_the_log() {
    let (house, _) = log_in("debug", |_, record| {
        let text = fs::read_to_string(record).unwrap();
        fs::write(record, text.replace("secret = ", "sceret = ")).unwrap();
    });
    let record = fs::read_to_string(house.path(RECORD)).unwrap();
    let line =
        record.lines().find(|line| line.contains("sceret = ")).expect("the record has a secret");
    let secret = line.split('"').nth(1).expect("the secret is quoted");
    for line in house.syslog().lines() {
        assert!(!line.contains(secret), "{line}");
    }
}

#[test]
fn a_missing_users_directory_denies() {
    directory_denies(|_, users| fs::rename(users, users.with_file_name("away")).unwrap());
}

#[test]
fn a_users_directory_of_another_owner_denies() {
    directory_denies(|house, users| chown(users, Some(house.person("bob").uid), None).unwrap());
}

#[test]
fn a_users_directory_that_others_may_write_denies() {
    directory_denies(|_, users| mode(users, 0o777));
}

#[test]
fn a_users_directory_that_its_group_may_write_denies() {
    directory_denies(|_, users| mode(users, 0o770));
}

#[test]
fn a_users_directory_behind_a_symbolic_link_denies() {
    directory_denies(|_, users| {
        fs::rename(users, users.with_file_name("away")).unwrap();
        symlink("away", users).unwrap();
    });
}

#[test]
fn a_users_directory_that_is_a_file_denies() {
    directory_denies(|_, users| {
        fs::rename(users, users.with_file_name("away")).unwrap();
        fs::write(users, "").unwrap();
        mode(users, 0o700);
    });
}

/// A state that is lost is begun anew: nothing used before becomes good again, the owner gets in with two
/// codes that are still to come, and it is told.
fn state_is_begun_anew(spoil: impl Fn(&Path)) {
    let house = House::build();
    let phone = house.enroll("alice");
    let mut application = house.application();
    let used = phone.now();
    assert_eq!(application.login("code", "alice").authenticate([&used]).code, Pam::Success);
    spoil(&house.path("/var/lib/pam-totp/state/alice"));
    let replayed = application.login("code", "alice").authenticate([&used, &used]);
    assert_eq!(replayed.code, Pam::AuthErr, "{replayed:?}");
    let pair = [phone.in_steps(3), phone.in_steps(4)];
    let outcome = application.login("code", "alice").authenticate(pair.iter());
    assert_eq!(outcome.code, Pam::Success, "{outcome:?}");
    let again = application.login("code", "alice").authenticate(pair.iter());
    assert_eq!(again.code, Pam::AuthErr, "{again:?}");
    assert_eq!(house.events().iter().filter(|event| *event == "state-rebuilt").count(), 1);
}

#[test]
fn a_lost_state_is_begun_anew() {
    state_is_begun_anew(|state| fs::remove_file(state).unwrap());
}

#[test]
fn an_empty_state_is_begun_anew() {
    state_is_begun_anew(|state| fs::write(state, "").unwrap());
}

#[test]
fn a_state_of_junk_is_begun_anew() {
    state_is_begun_anew(|state| fs::write(state, vec![0xa5; 3 * 4096]).unwrap());
}

#[test]
fn a_state_that_is_a_fifo_or_a_link_denies_without_a_hang() {
    for replacement in ["mkfifo -m 600", "ln -s ../users/alice.toml", "mkdir -m 600"] {
        let house = House::with_arguments("nullok");
        let phone = house.enroll("alice");
        let state = "/var/lib/pam-totp/state/alice";
        house.run("sh", &["-c", &format!("rm {state} && {replacement} {state}")]);
        let outcome = try_in(&house, &phone);
        assert_ne!(outcome.code, Pam::Success, "{replacement}: {outcome:?}");
        assert_one_line_about(&house, state);
    }
}

/// Whatever is wrong with the settings, where there is no copy of the last good ones logins are denied, and the log names the
/// place.
fn settings_deny(arguments: &str, place: &str, spoil: impl Fn(&House)) {
    let (house, outcome) = log_in(arguments, |house, _| {
        spoil(house);
        house.run("sh", &["-c", "rm -f /var/lib/pam-totp/last-config/*"]);
    });
    assert_eq!(outcome.code, Pam::ServiceErr, "{outcome:?}");
    assert_eq!(outcome.prompts(), [] as [&str; 0]);
    assert_one_line_about(&house, place);
}

#[test]
fn an_unknown_key_in_the_configuration_denies() {
    settings_deny("", "/etc/pam-totp/config.toml", |house| {
        house.configure("[policy]\nrequire = \"enrolled\"\nsurprise = true\n");
    });
}

#[test]
fn a_configuration_that_others_may_write_denies() {
    settings_deny("nullok", "/etc/pam-totp/config.toml", |house| {
        house.configure("");
        mode(&house.path("/etc/pam-totp/config.toml"), 0o666);
    });
}

#[test]
fn a_configuration_of_another_owner_denies() {
    settings_deny("nullok", "/etc/pam-totp/config.toml", |house| {
        house.configure("");
        let uid = house.person("bob").uid;
        chown(house.path("/etc/pam-totp/config.toml"), Some(uid), None).unwrap();
    });
}

#[test]
fn an_absent_configuration_denies_where_an_argument_names_it() {
    settings_deny("nullok config=/etc/pam-totp/other.toml", "/etc/pam-totp/other.toml", |_| ());
}

#[test]
fn an_unknown_argument_denies_and_is_named_with_the_remedy() {
    settings_deny("nullok surprise", "surprise", |_| ());
    let house = House::with_arguments("surprise");
    assert_eq!(
        house.application().login("code", "alice").authenticate(["1"]).code,
        Pam::ServiceErr
    );
    let line = house.syslog().expect("unknown argument \"surprise\" (known: ");
    assert!(line.ends_with("correct the line of pam_totp.so in /etc/pam.d/code"), "{line}");
}

#[test]
fn a_name_service_that_fails_denies() {
    for arguments in ["", "nullok"] {
        let (house, outcome) = log_in(arguments, |house, _| {
            let passwd = house.path("/etc/passwd");
            fs::rename(&passwd, passwd.with_file_name("away")).unwrap();
            fs::create_dir(&passwd).unwrap();
        });
        assert!(matches!(outcome.code, Pam::SystemErr | Pam::AuthErr), "{outcome:?}");
        assert!(!house.syslog().module_lines().is_empty());
    }
}
