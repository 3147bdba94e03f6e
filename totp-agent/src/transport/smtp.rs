//! A mail server (RFC 5321), by lettre. TLS is required, and certificates are checked; without TLS only this host itself is
//! spoken to, where nothing passes a network.

use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use lettre::Transport as _;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::transport::smtp::{Error, SmtpTransport};
use totp_core::policy::{AbsolutePath, MailKeys};
use totp_store::files::{Demand, Directory, FileError, Owner, Problem, Shared};
use zeroize::Zeroizing;

use super::NotSent;
use crate::mail::Composed;

/// A password's file, in bytes.
const PASSWORD: Demand = Demand::private(4096);

/// A file of certificates, in bytes.
const CERTIFICATES: Demand = Demand::unwritable(1024 * 1024);

/// As the configuration names it.
pub(super) struct Server<'a> {
    pub(super) host: &'a str,
    pub(super) port: Option<u16>,
    pub(super) wrapped: bool,
}

impl Server<'_> {
    /// RFC 6409, RFC 8314.
    fn port(&self) -> u16 {
        self.port.unwrap_or(if self.wrapped { 465 } else { 587 })
    }

    fn is_this_host(&self) -> bool {
        // RFC 6761 section 6.3: the name never is another host.
        self.host.eq_ignore_ascii_case("localhost")
            || self.host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }
}

pub(super) fn send(
    keys: &MailKeys,
    server: &Server<'_>,
    message: &Composed,
    timeout: Duration,
    owner: Owner,
) -> Result<(), NotSent> {
    let transport = transport(keys, server, timeout, owner)?;
    let sent = transport.send_raw(&message.envelope, &message.bytes);
    sent.map(drop).map_err(|error| not_sent(server, &error))
}

fn transport(
    keys: &MailKeys,
    server: &Server<'_>,
    timeout: Duration,
    owner: Owner,
) -> Result<SmtpTransport, NotSent> {
    let down = |what: String| NotSent::Down(what);
    let parameters = parameters(keys, server, owner)?;
    let tls = if server.wrapped {
        Tls::Wrapper(parameters)
    } else if server.is_this_host() {
        Tls::Opportunistic(parameters)
    } else {
        Tls::Required(parameters)
    };
    let mut builder = SmtpTransport::builder_dangerous(server.host) // "dangerous" for its default of no TLS
        .port(server.port())
        .tls(tls)
        .timeout(Some(timeout));
    if let Some(name) = totp_store::host_name() {
        builder = builder.hello_name(ClientId::Domain(name));
    }
    if let (Some(user), Some(file)) = (&keys.user, &keys.password_file) {
        let password = text(file, PASSWORD, owner).map_err(|error| down(error.to_string()))?;
        let password = password.trim_end_matches(['\n', '\r']).to_owned();
        builder = builder.credentials(Credentials::new(user.clone(), password));
    }
    Ok(builder.build())
}

fn parameters(
    keys: &MailKeys,
    server: &Server<'_>,
    owner: Owner,
) -> Result<TlsParameters, NotSent> {
    let mut builder = TlsParameters::builder(server.host.to_owned());
    if let Some(file) = &keys.ca_file {
        let bad = |what: String| NotSent::Down(format!("{file}: {what}"));
        let pem = text(file, CERTIFICATES, owner).map_err(|e| NotSent::Down(e.to_string()))?;
        if !pem.contains("-----BEGIN CERTIFICATE-----") {
            return Err(bad("no certificate (PEM) in it".to_owned()));
        }
        let certificate = Certificate::from_pem(pem.as_bytes()).map_err(|e| bad(e.to_string()))?;
        builder = builder.add_root_certificate(certificate);
    }
    builder.build_rustls().map_err(|error| NotSent::Down(error.to_string()))
}

/// A file of root's.
fn text(path: &AbsolutePath, demand: Demand, owner: Owner) -> Result<Zeroizing<String>, FileError> {
    let path = Path::new(path.as_str());
    let name = path.file_name().and_then(|name| name.to_str());
    let bad = |problem| FileError { path: path.to_owned(), problem };
    let (Some(above), Some(name)) = (path.parent(), name) else {
        return Err(bad(Problem::BadName));
    };
    let directory = Directory::open(above, owner, Shared::Readable)?;
    directory.text(name, demand)?.ok_or_else(|| bad(Problem::NoFile))
}

fn not_sent(server: &Server<'_>, error: &Error) -> NotSent {
    let place = format!("{} port {}", server.host, server.port());
    let mut why = error.to_string();
    // What lies beneath says what happened; the library's own words say where in it.
    let mut cause = std::error::Error::source(error);
    while let Some(deeper) = cause {
        let text = deeper.to_string();
        if !why.contains(&text) {
            why = format!("{why}: {text}");
        }
        cause = deeper.source();
    }
    let why = why.replace(['\r', '\n'], " ");
    if error.status().is_some() {
        return NotSent::Refused(format!("{place} says: {why}"));
    }
    let advice = if error.is_tls() || why.contains("certificate") {
        "; a certificate of your own goes to ca_file in [mail]"
    } else {
        ""
    };
    NotSent::Down(format!("{place}: {why}{advice}"))
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader, Write as _};
    use std::net::TcpListener;

    use totp_core::policy::Config;

    use super::*;
    use crate::mail::tests::composed;

    fn keys(text: &str) -> MailKeys {
        Config::parse(&format!("[mail]\n{text}")).unwrap().mail
    }

    fn sent(keys: &MailKeys, host: &str, port: u16) -> Result<(), NotSent> {
        let server = Server { host, port: Some(port), wrapped: false };
        let message = composed("Off", "body\n");
        send(keys, &server, &message, Duration::from_secs(5), Owner::this_process())
    }

    /// A server for one dialogue, which says `answer` to MAIL.
    fn server(answer: &'static str) -> (u16, std::thread::JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let thread = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let lines = BufReader::new(stream.try_clone().unwrap()).lines();
            stream.write_all(b"220 here\r\n").unwrap();
            for line in lines.map_while(Result::ok) {
                let said = match line.get(..4) {
                    Some("EHLO") => "250 here\r\n",
                    Some("MAIL") => answer,
                    _ => "250 ok\r\n",
                };
                stream.write_all(said.as_bytes()).unwrap();
            }
        });
        (port, thread)
    }

    #[test]
    fn a_refusal_is_told_in_the_servers_words() {
        let (port, thread) = server("550 5.1.1 no such sender\r\n");
        let error = sent(&keys(""), "127.0.0.1", port).unwrap_err();
        assert!(matches!(&error, NotSent::Refused(_)), "{error}");
        assert!(error.to_string().contains("no such sender"), "{error}");
        thread.join().unwrap();
    }

    #[test]
    fn nobody_there_is_told_with_host_and_port() {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let error = sent(&keys(""), "127.0.0.1", port).unwrap_err();
        assert!(matches!(&error, NotSent::Down(_)), "{error}");
        let said = error.to_string();
        assert!(
            said.contains(&format!("127.0.0.1 port {port}")) && said.contains("refused"),
            "{said}"
        );
    }

    #[test]
    fn another_host_is_not_spoken_to_without_tls() {
        let here = |host| Server { host, port: None, wrapped: false }.is_this_host();
        assert!(here("127.0.0.1") && here("::1") && here("localhost") && here("127.8.8.8"));
        assert!(!here("mail.example.com") && !here("10.0.0.1") && !here("localhost.example.com"));
    }

    #[test]
    fn a_password_others_can_read_is_not_used() {
        use std::os::unix::fs::PermissionsExt as _;
        let temp = tempfile::tempdir().unwrap();
        let file = temp.path().join("password");
        std::fs::write(&file, "secret\n").unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
        let keys = keys(&format!("user = \"u\"\npassword_file = {file:?}"));
        let error = sent(&keys, "127.0.0.1", 1).unwrap_err().to_string();
        assert!(error.contains("chmod 600"), "{error}");
    }

    #[test]
    fn a_file_without_certificates_is_named() {
        let temp = tempfile::tempdir().unwrap();
        let file = temp.path().join("ca.pem");
        std::fs::write(&file, "nothing").unwrap();
        let keys = keys(&format!("ca_file = {file:?}"));
        let error = sent(&keys, "127.0.0.1", 1).unwrap_err().to_string();
        assert!(error.contains("ca.pem: no certificate"), "{error}");
    }
}
