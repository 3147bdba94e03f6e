//! The real OpenSSH: a daemon of the house on a free loopback port, and clients on terminals.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{PermissionsExt, chown};
use std::process::{Child, Output, Stdio};
use std::time::{Duration, Instant};

use crate::{House, SOON, Terminal};

/// What sshd wants before it lets PAM ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FirstFactor {
    /// PAM asks for the password too: keyboard-interactive alone.
    Password,
    /// `AuthenticationMethods publickey,keyboard-interactive`.
    PublicKey,
    /// A public key alone: PAM is asked for the account, and for nothing before it.
    PublicKeyAlone,
    /// sshd's password method, whose one answer serves every prompt.
    PasswordMethod,
}

impl FirstFactor {
    /// What a client tries for it.
    fn methods(self) -> &'static str {
        match self {
            Self::Password => "keyboard-interactive",
            Self::PublicKey => "publickey,keyboard-interactive",
            Self::PublicKeyAlone => "publickey",
            Self::PasswordMethod => "password",
        }
    }
}

/// A running daemon.
#[derive(Debug)]
pub struct Sshd<'a> {
    house: &'a House,
    child: Child,
    port: u16,
    /// What clients try, in this order.
    methods: &'static str,
}

/// Where a client comes from and what it runs.
#[derive(Debug, Clone, Copy)]
pub struct Client<'a> {
    /// A loopback address, which becomes `rhost`.
    pub from: &'a str,
    /// How often the client answers a refused keyboard-interactive with another one.
    pub tries: u32,
}

impl Default for Client<'_> {
    fn default() -> Self {
        Self { from: "127.0.0.1", tries: 1 }
    }
}

impl<'a> Sshd<'a> {
    /// Starts a daemon and waits until it listens.
    ///
    /// # Panics
    ///
    /// With its log, if it doesn't.
    #[must_use]
    pub fn start(house: &'a House, first_factor: FirstFactor) -> Self {
        Self::start_with(house, first_factor, &[])
    }

    /// The same with variables in the daemon's environment, such as libfaketime's.
    ///
    /// # Panics
    ///
    /// As [`Self::start`] does.
    #[must_use]
    pub fn start_with(
        house: &'a House,
        first_factor: FirstFactor,
        variables: &[(&str, &str)],
    ) -> Self {
        let settings = |port| configuration(port, first_factor);
        Self::start_configured(house, settings, first_factor.methods(), variables)
    }

    /// Starts a daemon with these lines of `sshd_config` as they are, and with nothing else but where it listens and what its
    /// files are. Its clients try `methods`.
    ///
    /// # Panics
    ///
    /// As [`Self::start`] does.
    #[must_use]
    pub fn start_as_written(house: &'a House, lines: &str, methods: &'static str) -> Self {
        Self::start_configured(
            house,
            |port| format!("{}{lines}\n", surroundings(port)),
            methods,
            &[],
        )
    }

    fn start_configured(
        house: &'a House,
        settings: impl Fn(u16) -> String,
        methods: &'static str,
        variables: &[(&str, &str)],
    ) -> Self {
        make_keys(house);
        // Another program may take the port in between; then sshd ends and the next one is tried.
        for _ in 0..5 {
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            fs::write(house.path("/etc/ssh/sshd_config"), settings(port)).unwrap();
            let log = fs::File::create(house.disk().join("sshd.log")).unwrap();
            let child = house
                .command_with(variables)
                .args(["/usr/sbin/sshd", "-D", "-e", "-f", "/etc/ssh/sshd_config"])
                .stdout(Stdio::null())
                .stderr(log)
                .spawn()
                .expect("openssh-server is needed");
            let mut sshd = Self { house, child, port, methods };
            if sshd.listens() {
                return sshd;
            }
        }
        panic!(
            "sshd does not start:\n{}",
            fs::read_to_string(house.disk().join("sshd.log")).unwrap()
        );
    }

    /// `ssh user@127.0.0.1`, on a terminal of its own; once in, it prints `in as USER` and ends.
    #[must_use]
    pub fn connect(&self, user: &str) -> Terminal {
        self.connect_as(user, Client::default())
    }

    /// The same from elsewhere, or with more patience.
    #[must_use]
    pub fn connect_as(&self, user: &str, client: Client<'_>) -> Terminal {
        let arguments = self.arguments(user, client);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        self.house.terminal("ssh", &arguments)
    }

    /// The same in a script: without a terminal, with `options` that count before all others. What would ask for a password or a
    /// code answers nothing.
    ///
    /// # Panics
    ///
    /// Without `setsid`.
    #[must_use]
    pub fn run_in_script(&self, user: &str, options: &[&str]) -> Output {
        let mut command = self
            .house
            .command_with(&[("SSH_ASKPASS", "/bin/false"), ("SSH_ASKPASS_REQUIRE", "force")]);
        command.args(["setsid", "--wait", "ssh"]).args(options.iter().flat_map(|it| ["-o", it]));
        command.args(self.arguments(user, Client::default()));
        command.output().expect("setsid (util-linux) is needed")
    }

    /// A shell on a terminal at the other end: `ssh -tt`.
    #[must_use]
    pub fn shell(&self, user: &str) -> Terminal {
        let mut arguments = self.options(user, Client::default());
        arguments.extend(["-tt", "127.0.0.1"].map(String::from));
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        self.house.terminal("ssh", &arguments)
    }

    /// What a shell is to be told for the same.
    #[must_use]
    pub fn command_line(&self, user: &str) -> String {
        let quoted = self.arguments(user, Client::default());
        let quoted: Vec<String> = quoted.iter().map(|word| format!("'{word}'")).collect();
        format!("ssh {}", quoted.join(" "))
    }

    fn arguments(&self, user: &str, client: Client<'_>) -> Vec<String> {
        let mut arguments = self.options(user, client);
        arguments.extend(["127.0.0.1", "echo in as $(id -un)"].map(String::from));
        arguments
    }

    /// Options that ssh, sftp and scp take.
    #[must_use]
    pub fn options(&self, user: &str, client: Client<'_>) -> Vec<String> {
        let options = [
            format!("PreferredAuthentications={}", self.methods),
            format!("NumberOfPasswordPrompts={}", client.tries),
            format!("Port={}", self.port),
            format!("BindAddress={}", client.from),
            "IdentitiesOnly=yes".to_string(),
            "StrictHostKeyChecking=yes".to_string(),
            "UserKnownHostsFile=/run/known_hosts".to_string(),
            format!("User={user}"),
        ];
        let mut arguments = ["-F", "none", "-i", "/run/key"].map(String::from).to_vec();
        for option in options {
            arguments.extend(["-o".to_string(), option]);
        }
        arguments
    }

    /// Whether no connection is served: the daemon has no processes of a login.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        let pid = self.child.id();
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
        children.unwrap_or_default().trim().is_empty()
    }

    /// The daemon's own log.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.house.disk().join("sshd.log")).unwrap()
    }

    fn listens(&mut self) -> bool {
        let deadline = Instant::now() + SOON;
        while Instant::now() < deadline {
            if self.child.try_wait().unwrap().is_some() {
                return false;
            }
            if TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
                return true;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        false
    }
}

impl Drop for Sshd<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            #[allow(clippy::print_stderr)]
            {
                eprintln!("--- log of sshd:\n{}", self.log());
            }
        }
    }
}

fn configuration(port: u16, first_factor: FirstFactor) -> String {
    let methods = match first_factor {
        FirstFactor::Password => {
            "AuthenticationMethods keyboard-interactive\nPubkeyAuthentication no"
        }
        FirstFactor::PublicKey => "AuthenticationMethods publickey,keyboard-interactive",
        FirstFactor::PublicKeyAlone => "AuthenticationMethods publickey",
        FirstFactor::PasswordMethod => "AuthenticationMethods password\nPasswordAuthentication yes",
    };
    let password =
        if first_factor == FirstFactor::PasswordMethod { "" } else { "PasswordAuthentication no" };
    let surroundings = surroundings(port);
    format!("{surroundings}UsePAM yes\nKbdInteractiveAuthentication yes\n{methods}\n{password}\n")
}

/// What says nothing about who logs in how.
fn surroundings(port: u16) -> String {
    format!(
        "ListenAddress 127.0.0.1\nPort {port}\nHostKey /etc/ssh/host_key\nPidFile none\nUseDNS no\n\
         PrintMotd no\nMaxStartups 1000\nAuthorizedKeysFile .ssh/authorized_keys\nLogLevel DEBUG1\n\
         Subsystem sftp internal-sftp\n"
    )
}

/// One key for the host, and one with which everybody in the house may come in.
fn make_keys(house: &House) {
    if house.path("/run/key").exists() {
        return;
    }
    for key in ["/etc/ssh/host_key", "/run/key"] {
        house.run("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-f", key]);
    }
    let host = fs::read_to_string(house.path("/etc/ssh/host_key.pub")).unwrap();
    fs::write(house.path("/run/known_hosts"), format!("* {host}")).unwrap();
    let public = fs::read(house.path("/run/key.pub")).unwrap();
    for person in house.people() {
        let directory = house.path(format!("/home/{}/.ssh", person.uid));
        let file = directory.join("authorized_keys");
        fs::create_dir(&directory).unwrap();
        fs::write(&file, &public).unwrap();
        for (path, mode) in [(&directory, 0o700), (&file, 0o600)] {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
            chown(path, Some(person.uid), Some(person.uid)).unwrap();
        }
    }
}
