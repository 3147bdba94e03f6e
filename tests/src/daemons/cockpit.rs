//! The real Cockpit, and a browser as far as the login goes: Basic first, then a conversation in headers.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;

use super::Running;
use super::base64::{decode, encode};
use crate::{House, SOON};

/// A running daemon. Its PAM service is `cockpit`.
#[derive(Debug)]
pub struct Cockpit {
    running: Running,
    port: u16,
}

/// What a step of a login came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Conversed {
    /// Logged in.
    In,
    /// Refused.
    Out,
    /// Asked this, in the conversation of this name.
    Asked(String, String),
}

impl Cockpit {
    /// Starts it.
    ///
    /// # Panics
    ///
    /// If it does not listen.
    #[must_use]
    pub fn start(house: &House) -> Self {
        fs::create_dir_all(house.path("/etc/cockpit")).unwrap();
        let (running, port) = Running::at_a_port(house, "cockpit", |port| {
            let mut command = house.command("/usr/lib/cockpit/cockpit-ws");
            command.args(["--no-tls", "--address", "127.0.0.1", "--port", &port.to_string()]);
            command
        });
        Self { running, port }
    }

    /// A first step: name and password.
    #[must_use]
    pub fn login(&self, user: &str, password: &str) -> Conversed {
        self.request(&format!("Basic {}", encode(format!("{user}:{password}").as_bytes())))
    }

    /// A further step: the answer to what was asked.
    #[must_use]
    pub fn answer(&self, conversation: &str, answer: &str) -> Conversed {
        self.request(&format!("X-Conversation {conversation} {}", encode(answer.as_bytes())))
    }

    fn request(&self, authorization: &str) -> Conversed {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("cockpit-ws listens");
        stream.set_read_timeout(Some(SOON)).unwrap();
        let request = format!(
            "GET /cockpit/login HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nX-Authorize: \r\nAuthorization: {authorization}\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut said = Vec::new();
        stream.read_to_end(&mut said).expect("cockpit-ws answers");
        let said = String::from_utf8_lossy(&said).into_owned();
        let wanted =
            said.lines().find_map(|line| line.strip_prefix("WWW-Authenticate: X-Conversation "));
        match (said.split(' ').nth(1), wanted) {
            (Some("200"), _) => Conversed::In,
            (Some("401"), Some(wanted)) => {
                let (id, prompt) = wanted.trim().split_once(' ').expect("a prompt");
                Conversed::Asked(id.to_string(), decode(prompt))
            }
            (Some("401" | "403"), None) => Conversed::Out,
            _ => panic!("{said}"),
        }
    }

    /// What it, and what it starts, has said.
    #[must_use]
    pub fn output(&self) -> String {
        self.running.output()
    }
}
