//! A real mail server for a house: OpenSMTPD on a free port of loopback, with its own `sendmail`. What it delivers
//! lies in files, to be read. Where TLS is tried it is aiosmtpd: OpenSMTPD's, as Debian 12 has it, fails with OpenSSL 3.

use std::fs;
use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::{House, eventually};

/// Where delivered mail lies, a file each.
const BOXES: &str = "/run/mail";

/// A server on a port of loopback with TLS from the start, for one user with one password, which keeps what it gets.
const SERVER_WITH_LOGIN: &str = r#"
import signal, ssl, sys
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Mailbox
from aiosmtpd.smtp import AuthResult
port, user, password, box = sys.argv[1:]
def check(server, session, envelope, mechanism, data):
    good = (data.login, data.password) == (user.encode(), password.encode())
    return AuthResult(success=good, handled=False)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("/run/tls/server.pem", "/run/tls/server.key")
server = Controller(Mailbox(box), hostname="127.0.0.1", port=int(port), ssl_context=context,
                    authenticator=check, auth_required=True, auth_require_tls=False)
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
server.start()
signal.sigwait([signal.SIGTERM])
server.stop()
"#;

/// What it speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Plain,
    StartTls,
    /// TLS from the start, and a login.
    Wrapped,
}

/// A mail server of a house.
#[derive(Debug)]
pub struct MailServer<'a> {
    house: &'a House,
    port: u16,
    kind: Kind,
    running: Option<Child>,
}

impl<'a> MailServer<'a> {
    /// One that is not started yet.
    #[must_use]
    pub fn prepare(house: &'a House) -> Self {
        house.run("mount", &["-t", "tmpfs", "-o", "mode=755", "house", "/var/spool"]);
        house.run("install", &["-d", "-m", "711", "/var/spool/smtpd"]);
        house.run("install", &["-d", "-m", "777", BOXES]);
        house.run("install", &["-d", "-m", "755", "/var/lib/opensmtpd/empty"]);
        // Its accounts are this machine's: the program's own set-group-id bit is for one of them.
        for file in ["/etc/passwd", "/etc/group"] {
            let all = fs::read_to_string(file).unwrap();
            let lines = all.lines().filter(|line| line.starts_with("opensmtp"));
            let lines: String = lines.map(|line| format!("{line}\n")).collect();
            assert!(!lines.is_empty(), "opensmtpd is needed");
            let mut file = fs::OpenOptions::new().append(true).open(house.path(file)).unwrap();
            file.write_all(lines.as_bytes()).unwrap();
        }
        // A message is complete once it has its name.
        let script = "#!/bin/sh\ncat >\"$1.$$.part\" && mv \"$1.$$.part\" \"$1.$$.mail\"\n";
        write(house, "/run/deliver", script, 0o755);
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        Self { house, port, kind: Kind::Plain, running: None }
    }

    /// One that is running.
    #[must_use]
    pub fn start(house: &'a House) -> Self {
        let mut server = Self::prepare(house);
        server.run();
        server
    }

    /// One that offers STARTTLS, with a certificate for 127.0.0.1 whose authority is in [`Self::AUTHORITY`].
    #[must_use]
    pub fn start_with_tls(house: &'a House) -> Self {
        Self::start_kind(house, Kind::StartTls)
    }

    /// One that speaks TLS from the start, with the same certificate, and takes mail from [`Self::USER`] with
    /// [`Self::PASSWORD`] alone.
    #[must_use]
    pub fn start_with_login(house: &'a House) -> Self {
        Self::start_kind(house, Kind::Wrapped)
    }

    fn start_kind(house: &'a House, kind: Kind) -> Self {
        let mut server = Self::prepare(house);
        make_certificates(house);
        server.kind = kind;
        server.run();
        server
    }

    /// Who may send.
    pub const USER: &'static str = "web1";

    /// And with what.
    pub const PASSWORD: &'static str = "correct horse";

    /// The certificate of the authority, in the house.
    pub const AUTHORITY: &'static str = "/run/tls/authority.pem";

    /// The transport that reaches it over the network, as the configuration writes it.
    #[must_use]
    pub fn transport(&self) -> String {
        let scheme = if self.kind == Kind::Wrapped { "smtps" } else { "smtp" };
        format!("{scheme}://127.0.0.1:{}", self.port)
    }

    /// Starts it, or starts it again.
    pub fn run(&mut self) {
        let mut command = match self.kind {
            Kind::Plain => self.opensmtpd(),
            Kind::StartTls => self.aiosmtpd(),
            Kind::Wrapped => self.aiosmtpd_with_login(),
        };
        let log = fs::File::create(self.house.path("/run/smtpd.log")).unwrap();
        command.stdout(Stdio::null()).stderr(log);
        let mut child = command.spawn().expect("opensmtpd is needed");
        let said = || fs::read_to_string(self.house.path("/run/smtpd.log")).unwrap_or_default();
        eventually("the mail server listens", || {
            let ended = child.try_wait().unwrap();
            assert!(ended.is_none(), "the mail server ended: {}", said());
            TcpStream::connect(("127.0.0.1", self.port)).ok()
        });
        self.running = Some(child);
    }

    fn opensmtpd(&self) -> Command {
        let config = format!(
            "table people {{ \"@\" = nobody }}\nlisten on socket\nlisten on 127.0.0.1 port {}\n\
             action \"all\" mda \"/run/deliver {BOXES}/%{{rcpt}}\" virtual <people>\nmatch from any for any action \"all\"\n",
            self.port
        );
        write(self.house, "/run/smtpd.conf", &config, 0o600);
        let mut command = self.house.command("/usr/sbin/smtpd");
        command.args(["-d", "-f", "/run/smtpd.conf"]);
        command
    }

    fn aiosmtpd(&self) -> Command {
        let mut command = self.house.command("python3");
        command.args([
            "-m",
            "aiosmtpd",
            "--nosetuid",
            "--listen",
            &format!("127.0.0.1:{}", self.port),
        ]);
        command.args(["--tlscert", "/run/tls/server.pem", "--tlskey", "/run/tls/server.key"]);
        command.args(["--class", "aiosmtpd.handlers.Mailbox", &format!("{BOXES}/tls")]);
        command
    }

    /// Its own program knows no logins.
    fn aiosmtpd_with_login(&self) -> Command {
        write(self.house, "/run/smtpd.py", SERVER_WITH_LOGIN, 0o644);
        let mut command = self.house.command("python3");
        command.arg("/run/smtpd.py").arg(self.port.to_string());
        command.args([Self::USER, Self::PASSWORD, &format!("{BOXES}/tls")]);
        command
    }

    /// Ends it; what it has not delivered it delivers after the next start.
    pub fn stop(&mut self) {
        if let Some(mut child) = self.running.take() {
            let _ = kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), Signal::SIGTERM);
            let _ = child.wait();
        }
    }

    /// All messages delivered to an address until now.
    #[must_use]
    pub fn delivered(&self, to: &str) -> Vec<String> {
        if self.kind != Kind::Plain {
            let all = fs::read_dir(self.house.path(BOXES).join("tls/new")).into_iter().flatten();
            let all = all.flatten().filter_map(|file| fs::read_to_string(file.path()).ok());
            return all.filter(|text| text.contains(&format!("\nX-RcptTo: {to}\n"))).collect();
        }
        let entries = fs::read_dir(self.house.path(BOXES)).unwrap().flatten();
        let of = |name: &str| name.starts_with(&format!("{to}.")) && name.ends_with(".mail");
        let files = entries.filter(|entry| of(&entry.file_name().to_string_lossy()));
        files.map(|file| fs::read_to_string(file.path()).unwrap()).collect()
    }

    /// Waits for the first message to an address.
    #[must_use]
    pub fn expect(&self, to: &str) -> String {
        eventually(&format!("mail to {to}"), || self.delivered(to).pop())
    }
}

impl Drop for MailServer<'_> {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A program in the house's `/run` that stands in for `sendmail`, and its path.
#[must_use]
pub fn program(house: &House, script: &str) -> String {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let path = format!("/run/program-{}", NUMBER.fetch_add(1, Ordering::SeqCst));
    write(house, &path, &format!("#!/bin/sh\n{script}\n"), 0o755);
    path
}

fn write(house: &House, path: &str, text: &str, mode: u32) {
    fs::write(house.path(path), text).unwrap();
    fs::set_permissions(house.path(path), fs::Permissions::from_mode(mode)).unwrap();
}

fn make_certificates(house: &House) {
    house.run("install", &["-d", "-m", "755", "/run/tls"]);
    let key = ["-newkey", "rsa:2048", "-nodes", "-days", "2"];
    let made = |more: &[&str]| house.run("openssl", &[&["req", "-x509"], &key[..], more].concat());
    made(&[
        "-keyout",
        "/run/tls/authority.key",
        "-out",
        MailServer::AUTHORITY,
        "-subj",
        "/CN=authority",
    ]);
    made(&[
        "-CA",
        MailServer::AUTHORITY,
        "-CAkey",
        "/run/tls/authority.key",
        "-keyout",
        "/run/tls/server.key",
        "-out",
        "/run/tls/server.pem",
        "-subj",
        "/CN=here",
        "-addext",
        "subjectAltName=IP:127.0.0.1",
        "-addext",
        "basicConstraints=critical,CA:FALSE",
    ]);
    fs::set_permissions(house.path("/run/tls/server.key"), fs::Permissions::from_mode(0o600))
        .unwrap();
}
