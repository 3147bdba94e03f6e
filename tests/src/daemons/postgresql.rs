//! The real PostgreSQL, whose server runs as a user of its own and asks PAM about the users of its clients.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use super::Running;
use crate::{House, eventually};

/// A server that runs as the house's user `postgres`, for clients of the users alice, bob and carol. Its PAM service is
/// `postgresql`.
#[derive(Debug)]
pub struct PostgreSql<'a> {
    house: &'a House,
    port: u16,
    _running: Running,
}

impl<'a> PostgreSql<'a> {
    /// Starts it, with these options of setpriv(1) for its groups, and makes the users.
    ///
    /// # Panics
    ///
    /// If it takes no clients.
    #[must_use]
    pub fn start(house: &'a House, groups: &str) -> Self {
        let data = format!("/home/{}/data", house.person("postgres").uid);
        let made = as_postgres(house, groups, "initdb")
            .args(["--pgdata", &data, "--username", "admin", "--auth", "trust", "--no-sync"])
            .args(["--locale", "C", "--encoding", "UTF8"])
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let access = "host all admin 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 pam pamservice=postgresql\n";
        fs::write(house.path(format!("{data}/pg_hba.conf")), access).unwrap();
        let (running, port) = Running::at_a_port(house, "postgresql", |port| {
            let mut command = as_postgres(house, groups, "postgres");
            command.args(["-D", &data, "-p", &port.to_string(), "-c", "fsync=off"]);
            command.args(["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="]);
            command
        });
        let server = Self { house, port, _running: running };
        // It listens some time before.
        eventually("the server takes clients", || {
            server.runs("admin", "", "select 1").status.success().then_some(())
        });
        for user in ["alice", "bob", "carol"] {
            let made = server.runs("admin", "", &format!("create role {user} login"));
            assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        }
        server
    }

    /// Whether a client is let in.
    ///
    /// # Panics
    ///
    /// If it is refused for another reason than PAM's answer.
    #[must_use]
    pub fn login(&self, user: &str, password: &str) -> bool {
        let output = self.runs(user, password, "select current_user");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(output.status.success(), said == format!("{user}\n"), "{said}");
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(said.contains("PAM authentication failed for user"), "{said}");
        }
        output.status.success()
    }

    /// Runs a statement as a client does that has this password to give.
    fn runs(&self, user: &str, password: &str, statement: &str) -> Output {
        let mut command = self.house.command_with(&[("PGPASSWORD", password)]);
        command.arg(programs().join("psql"));
        command.args(["-X", "-At", "-h", "127.0.0.1", "-p", &self.port.to_string()]);
        command.args(["-U", user, "-d", "postgres", "-c", statement]).output().unwrap()
    }
}

fn as_postgres(house: &House, groups: &str, program: &str) -> Command {
    let uid = house.person("postgres").uid.to_string();
    let mut command = house.command("setpriv");
    command.args(["--reuid", &uid, "--regid", &uid, groups, "--"]).arg(programs().join(program));
    command
}

/// Where the newest server of the machine has its programs.
fn programs() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").expect("postgresql is needed").flatten();
    let programs = versions.map(|version| version.path().join("bin"));
    programs.filter(|bin| bin.join("postgres").exists()).max().expect("postgresql is needed")
}
