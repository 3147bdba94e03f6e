//! One private world: a mount namespace with its own accounts, PAM stacks, configuration, state, logs
//! and syslog, beside the machine's real ones, which stay untouched.
//!
//! `furnish.sh` makes it (for `make demo` too); the namespace lives as long as the shell that ran it, and
//! that ends when this process closes its standard input, however the test ends.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, BufRead, BufReader, Read as _};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Output, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid};
use serde_json::Value;
use tempfile::TempDir;

use crate::accounts::{self, Person};
use crate::application::Application;
use crate::built::built;
use crate::syslog::Syslog;
use crate::{Phone, Terminal};

/// Enrollments and states, where the configuration doesn't move them.
pub const STATE: &str = "/var/lib/pam-totp";

/// The permanent record, where the configuration doesn't move it.
const RECORDS: &str = "/var/log/pam-totp/notifications.jsonl";

/// What a house is built with, where the usual isn't wanted.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The accounts, in the order of their uids.
    pub people: Vec<String>,
    /// The line of `/etc/sudoers` for everybody in the group `admins`, which is everybody.
    pub sudoers: String,
    /// `/etc/pam-totp/config.toml`; none by default, which means the defaults.
    pub config: Option<String>,
    /// The module's arguments in every stack.
    pub arguments: String,
    /// Which program decides logins.
    pub decided_by: Decider,
}

/// Which program decides the logins of a house.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decider {
    /// `totpd`.
    Daemon,
    /// `totpd --once`, which the module starts where no daemon answers.
    Once,
}

impl Decider {
    /// The daemon, unless `PAM_TOTP_ONCE=1` asks for the other: so both are tried with the same tests.
    #[must_use]
    pub fn usual() -> Self {
        match std::env::var_os("PAM_TOTP_ONCE") {
            Some(one) if one == "1" => Self::Once,
            _ => Self::Daemon,
        }
    }
}

/// Where the daemon of a house listens for programs of root.
pub const ROOT_SOCKET: &str = "/run/pam-totp/root.sock";

/// Where it listens for all others.
pub const USER_SOCKET: &str = "/run/pam-totp/user.sock";

impl Default for Plan {
    fn default() -> Self {
        Self {
            people: ["alice", "bob", "carol"].map(str::to_string).to_vec(),
            sudoers: "%admins ALL=(ALL:ALL) ALL".to_string(),
            config: None,
            // The pause after a failure is libpam's and has its own test.
            arguments: "nodelay".to_string(),
            decided_by: Decider::usual(),
        }
    }
}

/// A private world. Dropped, it takes everything along.
#[derive(Debug)]
pub struct House {
    keeper: Child,
    /// Closed, it ends the keeper.
    door: Option<ChildStdin>,
    people: Vec<Person>,
    syslog: Syslog,
    security: PathBuf,
    daemon: Option<Child>,
    // Last: removed when no mount needs it any more.
    disk: TempDir,
}

impl House {
    /// A house with alice, bob and carol, and the module in all stacks.
    ///
    /// # Panics
    ///
    /// Without root, or where mount namespaces can't be made.
    #[must_use]
    pub fn build() -> Self {
        Self::from_plan(&Plan::default())
    }

    /// A house in which the module was given `arguments` too.
    ///
    /// # Panics
    ///
    /// As [`Self::build`] does.
    #[must_use]
    pub fn with_arguments(arguments: &str) -> Self {
        let usual = Plan::default();
        Self::from_plan(&Plan { arguments: format!("{} {arguments}", usual.arguments), ..usual })
    }

    /// A house with this `config.toml`.
    ///
    /// # Panics
    ///
    /// As [`Self::build`] does.
    #[must_use]
    pub fn with_config(config: &str) -> Self {
        Self::from_plan(&Plan { config: Some(config.to_string()), ..Plan::default() })
    }

    /// A house after `plan`.
    ///
    /// # Panics
    ///
    /// As [`Self::build`] does.
    #[must_use]
    pub fn from_plan(plan: &Plan) -> Self {
        assert!(geteuid().is_root(), "this test needs root: run `sudo make test`");
        accounts::forget_who_logged_in();
        let built = built();
        let disk = tempfile::Builder::new().prefix("pam-totp-house.").tempdir().unwrap();
        let syslog = Syslog::listen(&disk.path().join("log"));
        let security = security_directory();
        let mut keeper = Command::new("setpriv")
            .args([
                "--pdeathsig",
                "KILL",
                "unshare",
                "--mount",
                "--propagation",
                "private",
                "sh",
                "-c",
            ])
            .arg(concat!(include_str!("house/furnish.sh"), "echo ready; exec cat >/dev/null"))
            .arg("furnish")
            .args([disk.path(), &security, &built.module, &built.command])
            .args([&disk.path().join("log"), &built.application, &built.agent, &built.daemon])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("unshare and setpriv (util-linux) are needed");
        let mut said = String::new();
        BufReader::new(keeper.stdout.take().unwrap()).read_line(&mut said).unwrap();
        assert_eq!(said, "ready\n", "a mount namespace could not be made or furnished");
        let door = keeper.stdin.take();
        let mut house =
            Self { keeper, door, people: Vec::new(), syslog, security, daemon: None, disk };
        house.people = accounts::settle(&house.path("/"), &plan.people);
        house.furnish(plan);
        if plan.decided_by == Decider::Daemon {
            house.start_daemon();
        }
        house
    }

    /// Starts `totpd`, and waits until it listens.
    ///
    /// # Panics
    ///
    /// If it does not.
    pub fn start_daemon(&mut self) {
        self.start_daemon_by(&[], &[]);
    }

    /// Starts `totpd` anew, with variables in its environment and by another program such as `strace` and its arguments.
    /// From then on this one decides, whichever was to by the plan.
    ///
    /// # Panics
    ///
    /// If it does not listen.
    pub fn start_daemon_by(&mut self, variables: &[(&str, &str)], by: &[&str]) {
        if self.daemon.is_some() && !self.daemon_has_ended() {
            self.end_daemon(Signal::SIGKILL);
        }
        let mut command = self.command_with(variables);
        command.args(by).args(["totpd", "--socket", ROOT_SOCKET, "--user-socket", USER_SOCKET]);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        self.daemon = Some(command.spawn().expect("nsenter (util-linux) is needed"));
        crate::eventually("totpd listens", || self.daemon_answers().then_some(()));
    }

    /// Whether a connection to the daemon is accepted.
    #[must_use]
    pub fn daemon_answers(&self) -> bool {
        crate::Module::connect(&self.path(ROOT_SOCKET)).is_some_and(|module| module.is_welcome())
    }

    /// The process of `totpd`.
    ///
    /// # Panics
    ///
    /// If it was not started.
    #[must_use]
    pub fn daemon_pid(&self) -> Pid {
        let daemon = self.daemon.as_ref().expect("totpd was started");
        Pid::from_raw(i32::try_from(daemon.id()).expect("a process id"))
    }

    /// Whether `totpd` was started and has ended.
    ///
    /// # Panics
    ///
    /// If it was not started.
    pub fn daemon_has_ended(&mut self) -> bool {
        let daemon = self.daemon.as_mut().expect("totpd was started");
        daemon.try_wait().expect("it can be waited for").is_some()
    }

    /// The processes of `totpd --once` in the house.
    ///
    /// # Panics
    ///
    /// Without `/proc`.
    #[must_use]
    pub fn helpers(&self) -> Vec<Pid> {
        let namespace = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/mnt")).ok();
        let ours = namespace(&self.keeper.id().to_string());
        let entries = fs::read_dir("/proc").unwrap().flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        let is_helper = |pid: &String| {
            let command = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            command == b"totpd\0--once\0" && namespace(pid) == ours
        };
        names.filter(is_helper).filter_map(|pid| pid.parse().ok().map(Pid::from_raw)).collect()
    }

    /// Ends `totpd` with a signal, and waits for its end.
    pub fn end_daemon(&mut self, signal: Signal) {
        let pid = self.daemon_pid();
        kill(pid, signal).expect("totpd runs");
        let _ = self.end_of_daemon();
    }

    /// Waits for the end of `totpd`, which another one has seen to.
    ///
    /// # Panics
    ///
    /// If it was not started, or does not end.
    pub fn end_of_daemon(&mut self) -> ExitStatus {
        let mut daemon = self.daemon.take().expect("totpd was started");
        crate::eventually("totpd ends", || daemon.try_wait().expect("it can be waited for"))
    }

    /// The path by which a file of the house is reached from outside.
    #[must_use]
    pub fn path(&self, inside: impl AsRef<Path>) -> PathBuf {
        let inside = inside.as_ref();
        let below_root = inside.strip_prefix("/").expect("paths in the house are absolute");
        PathBuf::from(format!("/proc/{}/root", self.keeper.id())).join(below_root)
    }

    /// A directory of the house on the machine's own disk, outside the namespace.
    #[must_use]
    pub fn disk(&self) -> &Path {
        self.disk.path()
    }

    /// The account of that name.
    #[must_use]
    pub fn person(&self, name: &str) -> &Person {
        self.people.iter().find(|p| p.name == name).expect("the plan names this person")
    }

    /// Everybody.
    pub(crate) fn people(&self) -> &[Person] {
        &self.people
    }

    /// What programs of the house sent to syslog.
    #[must_use]
    pub fn syslog(&self) -> &Syslog {
        &self.syslog
    }

    /// The directory of PAM modules, inside.
    #[must_use]
    pub fn security(&self) -> &Path {
        &self.security
    }

    /// A command to run as root in the house, with a clean environment and no terminal.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--mount", "--target", &self.keeper.id().to_string(), "--wd=/"]);
        // Nobody who works in the house survives the test that sent him in.
        command.args(["setpriv", "--pdeathsig", "TERM", "--"]).arg(program);
        clean_environment(&mut command);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Sends in a program, which is still to be named as the first argument, with variables for it alone: what is preloaded
    /// is preloaded to nothing that runs outside of the house.
    #[must_use]
    pub fn command_with(&self, variables: &[(&str, &str)]) -> Command {
        let mut command = self.command("env");
        command.args(variables.iter().map(|(name, value)| format!("{name}={value}")));
        command
    }

    /// The same as the user `name`, with that uid alone.
    #[must_use]
    pub fn command_as(&self, name: &str, program: &str) -> Command {
        let uid = self.person(name).uid.to_string();
        let mut command = self.command("setpriv");
        command.args(["--reuid", &uid, "--regid", &uid, "--clear-groups", "--", program]);
        command
    }

    /// Runs a command to its end.
    ///
    /// # Panics
    ///
    /// With what it said, if it fails.
    pub fn run(&self, program: &str, arguments: &[&str]) -> String {
        let output = self.attempt(program, arguments);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{program} {arguments:?} failed:\n{text}{complaint}");
        text
    }

    /// Runs a command to its end, whichever that is.
    pub fn attempt(&self, program: &str, arguments: &[&str]) -> Output {
        self.command(program).args(arguments).output().expect("nsenter (util-linux) is needed")
    }

    /// Puts root at a terminal of the house, with `program` running on it.
    #[must_use]
    pub fn terminal(&self, program: &str, arguments: &[&str]) -> Terminal {
        let mut command = self.on_terminal();
        command.arg(program).args(arguments);
        Terminal::start(command)
    }

    /// Puts the user `name` at a terminal of the house.
    #[must_use]
    pub fn terminal_as(&self, name: &str, program: &str, arguments: &[&str]) -> Terminal {
        let uid = self.person(name).uid.to_string();
        let mut command = self.on_terminal();
        // The terminal belongs to who sits at it.
        command.args(["sh", "-c", r#"chown "$0" "$(tty)" && exec setpriv --reuid "$0" --regid "$0" --clear-groups -- "$@""#]);
        command.arg(&uid).arg(program).args(arguments);
        Terminal::start(command)
    }

    fn on_terminal(&self) -> Command {
        let mut command = Command::new("setsid");
        command.args(["--ctty", "nsenter", "--mount", "--target", &self.keeper.id().to_string()]);
        command.arg("--wd=/");
        clean_environment(&mut command);
        command
    }

    /// The small PAM application, started as root in the house.
    #[must_use]
    pub fn application(&self) -> Application {
        Application::start(self.command("pam-application"))
    }

    /// The same, started as the user `name`.
    #[must_use]
    pub fn application_as(&self, name: &str) -> Application {
        Application::start(self.command_as(name, "pam-application"))
    }

    /// The same, started as the user `name` by another program or in its place.
    #[must_use]
    pub fn application_of(&self, name: &str, program: &str, arguments: &[&str]) -> Application {
        let mut command = self.command_as(name, program);
        command.args(arguments);
        Application::start(command)
    }

    /// The same with variables in its environment.
    #[must_use]
    pub fn application_with(&self, variables: &[(&str, &str)]) -> Application {
        let mut command = self.command_with(variables);
        command.arg("pam-application");
        Application::start(command)
    }

    /// The same, started by another program such as valgrind.
    #[must_use]
    pub fn application_under(&self, program: &str, arguments: &[&str]) -> Application {
        let mut command = self.command(program);
        command.args(arguments).arg("/usr/local/bin/pam-application");
        Application::start(command)
    }

    /// Puts another module in the place of `pam_totp.so`.
    pub fn use_module(&self, file: &Path) {
        let place = self.security.join("pam_totp.so");
        self.run("mount", &["--bind", path_text(file), path_text(&place)]);
    }

    /// Mounts a new, empty disk of 16 MiB, so that it can be filled and made read-only.
    pub fn mount_small_disk(&self, directory: &str) {
        self.mount_image(directory, 16 << 20, &["-m", "0"], "off");
    }

    /// Mounts such a disk in the place of the state directory, and makes it the installation's.
    pub fn mount_small_state(&self) {
        self.mount_small_disk(STATE);
        self.run("totp-admin", &["init", "--adopt", "--yes"]);
    }

    /// Mounts a new, empty disk of so many bytes with an ext4 as mkfs.ext4 makes it, whatever the machine's own is. What
    /// is flushed goes on to the machine's disk, and isn't kept in memory twice.
    pub fn mount_disk(&self, directory: &str, bytes: u64) {
        self.mount_image(directory, bytes, &[], "on");
    }

    fn mount_image(&self, directory: &str, bytes: u64, options: &[&str], direct: &str) {
        let image = self.disk.path().join("image");
        // All of it written: a hole would be filled by whoever comes first, at his cost.
        let written = fs::File::create_new(&image).and_then(|mut file| {
            io::copy(&mut io::repeat(0).take(bytes), &mut file)?;
            file.sync_all()
        });
        written.expect("room on the machine's disk");
        let whole = ["-q", "-F", "-E", "nodiscard,lazy_itable_init=0,lazy_journal_init=0"];
        self.run("mkfs.ext4", &[&whole, options, &[path_text(&image)]].concat());
        let device =
            losetup(&["--find", "--show", &format!("--direct-io={direct}"), path_text(&image)]);
        let inside = device.replacen("/dev/", "/dev/machine/", 1);
        let mounted = self.attempt("mount", &[&inside, directory]);
        // Both are gone with the last mount, which is gone with the house.
        losetup(&["--detach", &device]);
        fs::remove_file(&image).unwrap();
        assert!(mounted.status.success(), "{}", String::from_utf8_lossy(&mounted.stderr));
    }

    /// Enrolls `name` with a new secret, switched on without a code, and gives the phone that holds it.
    #[must_use]
    pub fn enroll(&self, name: &str) -> Phone {
        let document = self.admin_json(&["enroll", name, "--json", "--no-confirm"]);
        Phone::new(document["secret"].as_str().expect("enroll --json gives the secret"))
    }

    /// Runs `totp-admin` and reads the one JSON document it prints.
    ///
    /// # Panics
    ///
    /// With what it said, if it fails or prints anything else.
    #[must_use]
    pub fn admin_json(&self, arguments: &[&str]) -> Value {
        let text = self.run("totp-admin", arguments);
        serde_json::from_str(&text)
            .unwrap_or_else(|e| panic!("{arguments:?} printed {text:?}: {e}"))
    }

    /// The permanent record, line by line.
    ///
    /// # Panics
    ///
    /// If a line is not one JSON object.
    #[must_use]
    pub fn records(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.path(RECORDS)).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).expect("a JSON object")).collect()
    }

    /// The names of the events in the permanent record.
    #[must_use]
    pub fn events(&self) -> Vec<String> {
        let event = |record: &Value| record["event"].as_str().unwrap_or_default().to_string();
        self.records().iter().map(event).collect()
    }

    /// Writes `/etc/pam.d/SERVICE`.
    pub fn stack(&self, service: &str, lines: &str) {
        fs::write(self.path("/etc/pam.d").join(service), lines).unwrap();
    }

    /// Writes `/etc/pam-totp/config.toml`.
    pub fn configure(&self, text: &str) {
        fs::write(self.path("/etc/pam-totp/config.toml"), text).unwrap();
    }

    /// Stacks for all services of the plan: password, then code. `code` is the code alone, with
    /// `password` in front of it the application gets both.
    fn furnish(&self, plan: &Plan) {
        let module = format!("pam_totp.so {}", plan.arguments);
        let rest = format!(
            "account required pam_unix.so\naccount required {module}\n\
             session required pam_permit.so\nsession optional {module}\n\
             password required pam_deny.so\n"
        );
        let both = format!("auth required pam_unix.so nodelay\nauth required {module}\n{rest}");
        for service in ["sshd", "sudo", "su", "su-l", "login", "both"] {
            self.stack(service, &both);
        }
        self.stack("code", &format!("auth required {module}\n{rest}"));
        self.stack("other", "auth required pam_deny.so\naccount required pam_deny.so\n");
        let sudoers = format!(
            "Defaults !lecture, timestamp_timeout=0, passwd_tries=1\nroot ALL=(ALL:ALL) ALL\n{}\n",
            plan.sudoers
        );
        fs::write(self.path("/etc/sudoers"), sudoers).unwrap();
        fs::set_permissions(self.path("/etc/sudoers"), fs::Permissions::from_mode(0o440)).unwrap();
        if let Some(config) = &plan.config {
            self.configure(config);
        }
    }
}

impl Drop for House {
    fn drop(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            let _ = daemon.kill();
            let _ = daemon.wait();
        }
        drop(self.door.take());
        if std::thread::panicking() {
            eprintln_lines("syslog of the house", &self.syslog.lines());
        }
        let _ = self.keeper.wait();
    }
}

/// What the failing test is shown beside its own message.
#[allow(clippy::print_stderr)]
fn eprintln_lines(title: &str, lines: &[String]) {
    eprintln!("--- {title}:");
    // The end of it: a flood would bury the message.
    for line in lines.iter().rev().take(40).rev() {
        eprintln!("    {line}");
    }
}

/// Loop devices are the machine's, not the house's.
fn losetup(arguments: &[&str]) -> String {
    let output =
        Command::new("losetup").args(arguments).output().expect("mount (Debian) is needed");
    assert!(output.status.success(), "losetup: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_string()
}

fn path_text(path: &Path) -> &str {
    path.to_str().expect("the harness names its files in UTF-8")
}

fn clean_environment(command: &mut Command) {
    command.env_clear();
    command.env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    command.env("HOME", "/root").env("TERM", "xterm-256color").env("LANG", "C.UTF-8");
}

/// Where this machine's PAM modules lie: a directory named after the architecture.
fn security_directory() -> PathBuf {
    let libraries = ["/usr/lib", "/lib"].iter().filter_map(|d| fs::read_dir(d).ok()).flatten();
    let candidates = libraries.flatten().map(|entry| entry.path().join("security"));
    let mut candidates = candidates.chain([PathBuf::from("/usr/lib64/security")]);
    candidates.find(|d| d.join("pam_unix.so").exists()).expect("libpam-modules is needed")
}
