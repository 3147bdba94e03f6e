//! The real vsftpd, and an FTP client as far as the login goes.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;

use super::Running;
use crate::{House, SOON};

/// A running daemon. Its PAM service is `vsftpd`.
#[derive(Debug)]
pub struct Vsftpd {
    running: Running,
    port: u16,
}

impl Vsftpd {
    /// Starts it.
    ///
    /// # Panics
    ///
    /// If it does not listen.
    #[must_use]
    pub fn start(house: &House) -> Self {
        fs::create_dir(house.path("/run/vsftpd")).unwrap();
        let (running, port) = Running::at_a_port(house, "vsftpd", |port| {
            let settings = format!(
                "listen=YES\nlisten_address=127.0.0.1\nlisten_port={port}\nbackground=NO\nanonymous_enable=NO\n\
                 local_enable=YES\nsecure_chroot_dir=/run/vsftpd\nseccomp_sandbox=NO\ndelay_failed_login=0\n\
                 pam_service_name=vsftpd\nlog_ftp_protocol=YES\nvsftpd_log_file=/var/log/vsftpd.log\n"
            );
            fs::write(house.path("/etc/vsftpd.conf"), settings).unwrap();
            let mut command = house.command("/usr/sbin/vsftpd");
            command.arg("/etc/vsftpd.conf");
            command
        });
        Self { running, port }
    }

    /// Whether a client is let in.
    ///
    /// # Panics
    ///
    /// If the daemon does not answer.
    #[must_use]
    pub fn login(&self, user: &str, password: &str) -> bool {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).expect("vsftpd listens");
        stream.set_read_timeout(Some(SOON)).unwrap();
        let mut lines = BufReader::new(stream.try_clone().unwrap());
        let mut answer = || {
            let mut line = String::new();
            lines.read_line(&mut line).expect("vsftpd answers");
            line
        };
        let say = |text: String| (&stream).write_all(format!("{text}\r\n").as_bytes()).unwrap();
        assert!(answer().starts_with("220 "));
        say(format!("USER {user}"));
        assert!(answer().starts_with("331 "));
        say(format!("PASS {password}"));
        let said = answer();
        assert!(said.starts_with("230 ") || said.starts_with("530 "), "{said}");
        said.starts_with("230 ")
    }

    /// What it has said and logged.
    #[must_use]
    pub fn output(&self, house: &House) -> String {
        let log = fs::read_to_string(house.path("/var/log/vsftpd.log")).unwrap_or_default();
        self.running.output() + &log
    }
}
