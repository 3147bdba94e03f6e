//! The house itself: the real programs run in it, and nothing of it is seen outside. Without the module,
//! with passwords alone.

use std::fs;

use pam_totp_tests::{FirstFactor, House, PASSWORD, Pam, Sshd, Terminal};

/// Takes the module out of every stack.
fn with_passwords_alone() -> House {
    let house = House::build();
    let stack = "auth required pam_unix.so nodelay\naccount required pam_unix.so\nsession required pam_permit.so\n";
    for service in ["sshd", "sudo", "su", "login", "both"] {
        house.stack(service, stack);
    }
    house
}

fn ends_well(terminal: &mut Terminal, text: &str) {
    terminal.expect(text);
    assert!(terminal.wait().success(), "{}", terminal.shown());
}

#[test]
fn the_real_programs_let_people_in_with_their_password() {
    let house = with_passwords_alone();
    let mut sudo = house.terminal_as("alice", "sudo", &["id", "-un"]);
    sudo.expect("[sudo] password for alice: ").type_line(PASSWORD);
    ends_well(&mut sudo, "root\r\n");
    let mut su = house.terminal_as("bob", "su", &["alice", "-c", "id -un"]);
    su.expect("Password: ").type_line(PASSWORD);
    ends_well(&mut su, "alice\r\n");
    let mut login = house.terminal("login", &[]);
    login.expect("login: ").type_line("alice").expect("Password: ").type_line(PASSWORD);
    login.expect("$ ").type_line("id -un; exit");
    ends_well(&mut login, "alice\r\n");
    for first_factor in [FirstFactor::Password, FirstFactor::PublicKey] {
        let sshd = Sshd::start(&house, first_factor);
        let mut ssh = sshd.connect("alice");
        ssh.expect("Password: ").type_line(PASSWORD);
        ends_well(&mut ssh, "in as alice\r\n");
    }
}

#[test]
fn the_application_says_what_libpam_says_and_syslog_is_heard() {
    let house = with_passwords_alone();
    let mut application = house.application();
    assert_eq!(application.login("both", "alice").authenticate([PASSWORD]).code, Pam::Success);
    let wrong = application.login("both", "alice").authenticate(["wrong horse"]);
    assert_eq!((wrong.code, wrong.prompts()), (Pam::AuthErr, vec!["Password: "]));
    let _ = house.syslog().expect("pam_unix(both:auth): authentication failure; logname=");
    assert_eq!(application.finish(), 0);
}

#[test]
fn nothing_of_a_house_is_seen_outside() {
    let outside = || {
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let mounts = mounts.lines().filter(|line| line.contains("pam-totp-house")).count();
        let files = ["/etc/passwd", "/etc/group", "/etc/shadow", "/etc/hosts"].map(fs::read);
        let places = ["/etc/pam.d", "/etc/pam-totp", "/usr/local/sbin"].map(|directory| {
            let mut names: Vec<_> = fs::read_dir(directory)
                .into_iter()
                .flatten()
                .flatten()
                .map(|e| e.file_name())
                .collect();
            names.sort();
            names
        });
        (mounts, files.map(Result::ok), places)
    };
    let before = outside();
    let house = with_passwords_alone();
    let disk = house.disk().to_path_buf();
    assert!(house.run("cat", &["/etc/passwd"]).contains("alice:"));
    assert_eq!(outside(), before);
    drop(house);
    assert_eq!(outside(), before);
    assert!(!disk.exists());
}

#[test]
fn a_small_disk_can_be_filled_and_made_read_only() {
    let house = with_passwords_alone();
    house.mount_small_disk("/var/lib/pam-totp");
    let file = house.path("/var/lib/pam-totp/file");
    assert!(fs::write(&file, vec![1; 32 << 20]).is_err(), "16 MiB hold 32");
    fs::remove_file(&file).unwrap();
    house.run("mount", &["-o", "remount,ro", "/var/lib/pam-totp"]);
    assert!(fs::write(&file, "").is_err());
}
