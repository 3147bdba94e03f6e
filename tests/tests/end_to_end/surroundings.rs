//! What lies around a login and may be missing, full or stuck: the system's log, `/run`, the state directory, inodes,
//! a lock that is held for ever, and the user at the prompt.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::Child;

use nix::libc::{SYS_read, SYS_sendto, c_long};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use pam_totp_tests::{Answer, FirstFactor, House, Outcome, PASSWORD, Pam, Phone, Sshd, eventually};

use crate::{CODE, NEXT};

const STATE: &str = "/var/lib/pam-totp";

fn log_in(house: &House, answers: [&str; 2]) -> Outcome {
    house.application().login("code", "alice").authenticate(answers)
}

/// The code lets in, and not again.
fn lets_in_once(house: &House, phone: &Phone) {
    let code = phone.now();
    let outcome = log_in(house, [&code, &phone.in_steps(1)]);
    assert_eq!(outcome.code, Pam::Success, "{outcome:?}");
    assert_eq!(log_in(house, [&code, &code]).code, Pam::AuthErr);
}

fn enrolled() -> (House, Phone) {
    let house = House::build();
    let phone = house.enroll("alice");
    (house, phone)
}

#[test]
fn without_dev_log_right_gets_in_once_and_wrong_does_not() {
    let (house, phone) = enrolled();
    house.run("umount", &["/dev/log"]);
    house.run("rm", &["/dev/log"]);
    lets_in_once(&house, &phone);
    assert_eq!(log_in(&house, [&phone.wrong(0), &phone.wrong(1)]).code, Pam::AuthErr);
}

/// Whether a process waits in the kernel, in this call and with this descriptor if one is given. What `wchan` says is
/// hidden in containers.
fn waits_in(pid: u32, call: c_long, descriptor: Option<u64>) -> bool {
    let said = fs::read_to_string(format!("/proc/{pid}/syscall")).expect("the kernel says it");
    let mut words = said.split_whitespace();
    // `running`, or the number and its arguments.
    words.next() == Some(call.to_string().as_str())
        && descriptor.is_none_or(|number| words.next() == Some(format!("{number:#x}").as_str()))
}

#[test]
fn behind_a_system_log_that_nobody_reads_a_login_waits_and_holds_no_lock() {
    let (house, phone) = enrolled();
    let stuck = UnixDatagram::bind(house.disk().join("stuck")).unwrap();
    house.run("mount", &["--bind", path_text(&house.disk().join("stuck")), "/dev/log"]);
    let full = UnixDatagram::unbound().unwrap();
    full.set_nonblocking(true).unwrap();
    while full.send_to(b"<7>full", house.disk().join("stuck")).is_ok() {}
    let mut application = house.application();
    let mut login = application.login("code", "alice");
    assert_eq!(login.begin("auth 0").hear().prompt(), Some(CODE));
    let code = phone.now();
    login.answer(&code);
    std::mem::forget(login); // ends with its process
    eventually("the login waits for the log", || {
        waits_in(application.pid(), SYS_sendto, None).then_some(())
    });
    for file in [&format!("{STATE}/state/alice"), "/var/log/pam-totp/notifications.jsonl", STATE] {
        house.run("flock", &["--nonblock", file, "true"]);
    }
    // Read again, everything goes on.
    stuck.set_nonblocking(true).unwrap();
    let mut buffer = [0; 4096];
    eventually("the login goes on", || {
        while stuck.recv(&mut buffer).is_ok() {}
        // For what it is told next: the answer was given.
        waits_in(application.pid(), SYS_read, Some(0)).then_some(())
    });
    house.run("umount", &["/dev/log"]);
    assert_eq!(log_in(&house, [&code, &code]).code, Pam::AuthErr, "it was used");
}

#[test]
fn while_the_disk_can_be_written_run_is_not_needed() {
    let memory = "/run/pam-totp/state";
    for spoil in [format!("rmdir {memory}"), format!("mount -t tmpfs -o ro,mode=700 none {memory}")]
    {
        let (house, phone) = enrolled();
        house.run("sh", &["-c", &spoil]);
        lets_in_once(&house, &phone);
        house.run("totp-admin", &["disable", "alice", "--yes"]);
    }
}

#[test]
fn below_an_unmounted_state_directory_nobody_is_let_in_and_nothing_is_written() {
    for arguments in ["", "nullok"] {
        let house = House::with_arguments(arguments);
        house.run("mount", &["-t", "tmpfs", "-o", "mode=700", "none", STATE]);
        house.run("totp-admin", &["init", "--adopt", "--yes"]);
        let phone = house.enroll("alice");
        house.run("umount", &["--lazy", STATE]);
        // What lies beneath a mount point is an empty directory.
        house.run("sh", &["-c", &format!("rm -r {STATE}/*")]);
        let outcome = log_in(&house, [&phone.now(), &phone.in_steps(1)]);
        assert_eq!(outcome.code, Pam::SystemErr, "{arguments:?} {outcome:?}");
        let line = house.syslog().expect("not mounted?");
        assert!(line.contains("pam_totp("), "{line}");
        for command in
            [&["enroll", "bob", "--no-confirm", "--json"][..], &["disable", "bob", "--yes"]]
        {
            let output = house.attempt("totp-admin", command);
            assert!(!output.status.success(), "{command:?}: {output:?}");
        }
        assert_eq!(fs::read_dir(house.path(STATE)).unwrap().count(), 0);
    }
}

#[test]
fn without_free_inodes_logins_go_on_and_what_needs_a_file_is_refused() {
    let house = House::build();
    house.run("mount", &["-t", "tmpfs", "-o", "mode=700,nr_inodes=44", "none", STATE]);
    house.run("totp-admin", &["init", "--adopt", "--yes"]);
    let phone = house.enroll("alice");
    let fill = |n: u32| fs::write(house.path(STATE).join(format!("fill{n}")), "");
    assert!((0..100).any(|n| fill(n).is_err()), "the inodes don't run out");
    let record = fs::read(house.path(STATE).join("users/alice.toml")).unwrap();
    lets_in_once(&house, &phone);
    let output = house.attempt("totp-admin", &["enroll", "bob", "--no-confirm", "--json"]);
    assert!(!output.status.success());
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(complaint.contains("as not done in 4") && complaint.contains("full"), "{complaint}");
    assert!(!house.attempt("totp-admin", &["disable", "alice", "--yes"]).status.success());
    assert_eq!(fs::read(house.path(STATE).join("users/alice.toml")).unwrap(), record);
    assert_eq!(house.admin_json(&["show", "alice", "--json"])["status"], "active");
    house.run("totp-admin", &["log", "--verify"]);
    house.run("sh", &["-c", &format!("rm {STATE}/fill*")]);
    house.run("totp-admin", &["disable", "alice", "--yes"]);
}

/// A process that takes the lock of alice's state; killed with the test.
struct Holder(Child);

impl Holder {
    fn begin(house: &House, arguments: &[&str]) -> Self {
        let mut child = house.command("flock").args(arguments).spawn().unwrap();
        let mut said = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut said).unwrap();
        assert_eq!(said, "locked\n");
        Self(child)
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.0.id()).unwrap())
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

const ALICE: &str = "/var/lib/pam-totp/state/alice";

#[test]
#[ignore = "takes the half minute after which it is given up: make torture"]
fn a_lock_that_children_of_its_holder_keep_denies_after_half_a_minute_and_uses_no_code() {
    let (house, phone) = enrolled();
    // The one who took it is ended, and what it started keeps it.
    let script = "echo locked; exec sleep 600";
    let mut holder = Holder::begin(&house, &[ALICE, "sh", "-c", script]);
    kill(holder.pid(), Signal::SIGKILL).unwrap();
    let _ = holder.0.wait();
    let code = phone.now();
    assert_eq!(log_in(&house, [&code, &code]).code, Pam::SystemErr);
    assert!(house.syslog().expect(ALICE).contains("pam_totp("));
    house.run("fuser", &["-k", ALICE]);
    lets_in_once(&house, &phone);
}

#[test]
fn a_login_ended_at_the_prompt_uses_no_code_and_leaves_no_lock() {
    let (house, phone) = enrolled();
    let code = phone.now();
    for signal in [Signal::SIGTERM, Signal::SIGHUP, Signal::SIGKILL] {
        let mut application = house.application();
        let pid = Pid::from_raw(i32::try_from(application.pid()).unwrap());
        let mut login = application.login("code", "alice");
        assert_eq!(login.begin("auth 0").hear().prompt(), Some(CODE));
        // Whoever sees a prompt holds no lock.
        house.run("flock", &["--nonblock", ALICE, "true"]);
        kill(pid, signal).unwrap();
        std::mem::forget(login);
    }
    let mut application = house.application();
    let refused = application.login("code", "alice").authenticate([Answer::Refuse]);
    assert_eq!(refused.code, Pam::ConvErr, "{refused:?}");
    assert_eq!(log_in(&house, [&code, NEXT]).code, Pam::Success);
}

#[test]
fn a_client_that_goes_away_at_the_prompt_uses_no_code_and_leaves_no_process() {
    let (house, phone) = enrolled();
    let sshd = Sshd::start(&house, FirstFactor::Password);
    let mut terminal = sshd.connect("alice");
    terminal.expect("Password: ").type_line(PASSWORD).expect(CODE);
    drop(terminal);
    eventually("sshd ends the login", || {
        let log = sshd.log();
        (log.contains("Connection closed by") || log.contains("Connection reset by")).then_some(())
    });
    house.run("flock", &["--nonblock", ALICE, "true"]);
    let mut terminal = sshd.connect("alice");
    terminal.expect("Password: ").type_line(PASSWORD).expect(CODE).type_line(&phone.now());
    terminal.expect("in as alice");
}

fn path_text(path: &Path) -> &str {
    path.to_str().unwrap()
}
