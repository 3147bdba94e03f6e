//! PostgreSQL, whose server runs as a user of its own and asks PAM about the users of its clients.

use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Output, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use pam_totp_tests::{Decider, House, PASSWORD, Phone, Plan, eventually};

/// Who may be asked about.
const CONFIG: &str = "[callers]\nallow = { postgres = [\"@dbusers\"] }\n";

/// A server on a free loopback port. It ends with this value.
struct Server<'a> {
    house: &'a House,
    programs: PathBuf,
    port: u16,
    child: Child,
}

/// A house with a service account for the server, and with alice and carol in the group that it may ask about.
fn house() -> House {
    let people = ["alice", "bob", "carol", "postgres"].map(str::to_string).to_vec();
    let config = Some(CONFIG.to_owned());
    let house =
        House::from_plan(&Plan { people, config, decided_by: Decider::Daemon, ..Plan::default() });
    let group = fs::read_to_string(house.path("/etc/group")).unwrap();
    fs::write(house.path("/etc/group"), format!("{group}dbusers:x:900:alice,carol\n")).unwrap();
    house
}

/// Where the newest server of the machine has its programs.
fn programs() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").expect("postgresql is needed").flatten();
    let programs = versions.map(|version| version.path().join("bin"));
    programs.filter(|bin| bin.join("postgres").exists()).max().expect("postgresql is needed")
}

impl<'a> Server<'a> {
    /// With these options of setpriv(1) besides.
    fn start(house: &'a House, groups: &str) -> Self {
        let programs = programs();
        let uid = house.person("postgres").uid;
        let data = format!("/home/{uid}/data");
        let as_postgres = |program: &str| {
            let mut command = house.command("setpriv");
            let uid = uid.to_string();
            command.args(["--reuid", &uid, "--regid", &uid, groups, "--"]);
            command.arg(programs.join(program));
            command
        };
        let made = as_postgres("initdb")
            .args(["--pgdata", &data, "--username", "admin", "--auth", "trust", "--no-sync"])
            .args(["--locale", "C", "--encoding", "UTF8"])
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let access = "host all admin 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 pam pamservice=postgresql\n";
        fs::write(house.path(format!("{data}/pg_hba.conf")), access).unwrap();
        // Another program may take the port in between; then the server ends and the next one is tried.
        for _ in 0..5 {
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let log = fs::File::create(house.disk().join("postgresql.log")).unwrap();
            let child = as_postgres("postgres")
                .args(["-D", &data, "-p", &port.to_string()])
                .args(["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="])
                .args(["-c", "fsync=off"])
                .stdout(Stdio::null())
                .stderr(log)
                .spawn()
                .unwrap();
            let mut server = Self { house, programs: programs.clone(), port, child };
            if server.listens() {
                for user in ["alice", "bob", "carol"] {
                    let made = server.runs("admin", "", &format!("create role {user} login"));
                    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
                }
                return server;
            }
        }
        let log = fs::read_to_string(house.disk().join("postgresql.log")).unwrap();
        panic!("the server does not start:\n{log}");
    }

    fn listens(&mut self) -> bool {
        eventually("the server listens or ends", || {
            if self.child.try_wait().unwrap().is_some() {
                return Some(false);
            }
            self.runs("admin", "", "select 1").status.success().then_some(true)
        })
    }

    /// Runs a statement as a client does that has this password to give.
    fn runs(&self, user: &str, password: &str, statement: &str) -> Output {
        let mut command = self.house.command_with(&[("PGPASSWORD", password)]);
        command.arg(self.programs.join("psql"));
        command.args(["-X", "-At", "-h", "127.0.0.1", "-p", &self.port.to_string()]);
        command.args(["-U", user, "-d", "postgres", "-c", statement]).output().unwrap()
    }

    fn lets_in(&self, user: &str, password: &str) -> bool {
        let output = self.runs(user, password, "select current_user");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(output.status.success(), said == format!("{user}\n"), "{said}");
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(said.contains("PAM authentication failed for user"), "{said}");
        }
        output.status.success()
    }
}

impl Drop for Server<'_> {
    fn drop(&mut self) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap());
        let _ = kill(pid, Signal::SIGQUIT);
        let _ = self.child.wait();
    }
}

/// The failure lines of a wrong code typed for this user.
fn failures(house: &House, user: &str) -> usize {
    let uid = house.person("postgres").uid;
    let line = format!(
        "authentication failure; logname= uid={uid} euid={uid} tty= ruser= rhost=127.0.0.1  user={user}"
    );
    house.syslog().module_lines().iter().filter(|said| said.ends_with(&line)).count()
}

fn enroll(house: &House) -> [Phone; 2] {
    ["alice", "bob"].map(|name| house.enroll(name))
}

#[test]
fn a_listed_user_logs_in_with_each_code_once_and_no_other_user_does() {
    let house = house();
    // As pam_totp(8) has it.
    let stack = "auth required pam_totp.so prompts=1 nodelay\naccount required pam_permit.so\n";
    house.stack("postgresql", stack);
    let [alice, bob] = enroll(&house);
    let server = Server::start(&house, "--clear-groups");
    for wrong in 1..=3_u8 {
        assert!(!server.lets_in("alice", &alice.wrong(wrong.into())));
        assert_eq!(failures(&house, "alice"), usize::from(wrong), "each wrong code has its line");
    }
    let code = alice.now();
    assert!(server.lets_in("alice", &code));
    assert!(!server.lets_in("alice", &code), "one code, one login");
    let code = bob.now();
    assert!(!server.lets_in("bob", &code), "not listed");
    assert_eq!(failures(&house, "bob"), 1);
    assert!(!server.lets_in("carol", &code), "listed, and not enrolled");
    assert_eq!(failures(&house, "carol"), 1);
    let outcome = house.application().login("code", "bob").authenticate([&code]);
    assert_eq!(outcome.code, pam_totp_tests::Pam::Success, "not spent by the server");
}

#[test]
fn a_listed_user_logs_in_with_password_and_code_in_one_answer() {
    let house = house();
    let stack = "auth required pam_totp.so forward_pass prompts=1 nodelay\n\
                 auth required pam_unix.so use_first_pass nodelay\n\
                 account required pam_permit.so\n";
    house.stack("postgresql", stack);
    // pam_unix of a program that is not root reads the file itself, where it may.
    house.run("chgrp", &["42", "/etc/shadow"]);
    house.run("chmod", &["640", "/etc/shadow"]);
    let [alice, _] = enroll(&house);
    let server = Server::start(&house, "--groups=42");
    let both = |password: &str, code: &str| format!("{password}{code}");
    assert!(!server.lets_in("alice", &both(PASSWORD, &alice.wrong(0))));
    assert!(!server.lets_in("alice", &both("wrong", &alice.in_steps(-1))));
    let code = alice.now();
    assert!(server.lets_in("alice", &both(PASSWORD, &code)));
    assert!(!server.lets_in("alice", &both(PASSWORD, &code)), "one code, one login");
}
