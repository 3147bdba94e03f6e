//! A real gateway for text messages: gammu-smsd with a telephone that is a directory. What it has sent lies in files.

use std::fs;
use std::process::{Child, Stdio};

use crate::{House, eventually};

const CONFIG: &str = "\
[gammu]
device = /run/gammu/phone
connection = none
model = dummy
[smsd]
service = files
logfile = /run/gammu/log
loopsleep = 1
commtimeout = 1
checksecurity = 0
checkbattery = 0
checksignal = 0
inboxpath = /run/gammu/inbox/
outboxpath = /run/gammu/outbox/
sentsmspath = /run/gammu/sent/
errorsmspath = /run/gammu/error/
";

/// The gateway of a house.
#[derive(Debug)]
pub struct SmsGateway<'a> {
    house: &'a House,
    daemon: Child,
}

impl<'a> SmsGateway<'a> {
    /// `[sms]` of a configuration that sends through it.
    pub const SETTINGS: &'static str = "[sms]\ncommand = [\"/usr/bin/gammu-smsd-inject\", \"-c\", \"/run/gammu/config\", \
                                        \"TEXT\", \"{phone}\"]\n";

    /// Starts it.
    #[must_use]
    pub fn start(house: &'a House) -> Self {
        for folder in ["inbox", "outbox", "sent", "error", "phone/fs"] {
            house.run("mkdir", &["-p", &format!("/run/gammu/{folder}")]);
        }
        for folder in 1..=5 {
            house.run("mkdir", &["-p", &format!("/run/gammu/phone/sms/{folder}")]);
        }
        fs::write(house.path("/run/gammu/config"), CONFIG).unwrap();
        let mut command = house.command("gammu-smsd");
        command.args(["-c", "/run/gammu/config"]).stdout(Stdio::null()).stderr(Stdio::null());
        Self { house, daemon: command.spawn().expect("gammu-smsd is needed") }
    }

    /// Waits for a message that was sent to a number, and gives its text.
    #[must_use]
    pub fn expect(&self, phone: &str) -> String {
        eventually(&format!("a text message to {phone}"), || {
            let sent = fs::read_dir(self.house.path("/run/gammu/sent")).unwrap().flatten();
            let texts = sent.filter_map(|file| fs::read_to_string(file.path()).ok());
            let mut texts = texts.filter(|text| text.contains(&format!("Number = \"{phone}\"")));
            let text = texts.next()?;
            Some(
                text.lines()
                    .find_map(|line| line.strip_prefix("; ").filter(|l| l.contains("code")))?
                    .to_string(),
            )
        })
    }
}

impl Drop for SmsGateway<'_> {
    fn drop(&mut self) {
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}
