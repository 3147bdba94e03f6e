//! On which machine it was measured.

use std::fs;

use pam_totp_bench::{Volume, said};

/// The packages of the other modules.
const PEERS: [&str; 2] = ["libpam-google-authenticator", "libpam-oath"];

/// Date, processors, kernel, and where the state lies, the main place first. Without a full stop, for more to be said.
pub(crate) fn describe(volumes: &[Volume]) -> String {
    let date = said("date", &["-u", "+%Y-%m-%d %H:%M UTC"]);
    let system = said("sh", &["-c", ". /etc/os-release && echo \"$PRETTY_NAME\""]);
    let kernel = said("uname", &["-sr"]);
    format!(
        "Measured {date} on {}, {system}, {kernel}; the state on {}; beside {}",
        processors(),
        volumes.iter().map(place).collect::<Vec<_>>().join(" and, where it says so, on "),
        PEERS.map(version).join(" and ")
    )
}

/// How many processes ran or wanted to, in the last minute.
pub(crate) fn load() -> String {
    let text = fs::read_to_string("/proc/loadavg").expect("Linux");
    text.split(' ').next().expect("one word").to_string()
}

fn processors() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").expect("Linux");
    let models: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map(|(_, name)| name)
        .collect();
    let virtual_machine =
        text.lines().any(|line| line.starts_with("flags") && line.contains(" hypervisor"));
    let kind = if virtual_machine { ", a virtual machine" } else { "" };
    format!("{} × {}{kind}", models.len(), models.first().unwrap_or(&"processor"))
}

fn place(volume: &Volume) -> String {
    let own = if volume.is_own() { "" } else { "in a file on " };
    format!("{} ({own}{})", volume.kind(), disk_of(volume.device()))
}

/// `/dev/sda1` with the model of the disk, where it says one.
fn disk_of(device: &str) -> String {
    let column = |name| said("lsblk", &["-n", "-d", "-o", name, device]);
    let (model, turning) = (column("MODEL"), column("ROTA"));
    let kind =
        if turning == "1" { "turning, or a virtual disk that says so" } else { "solid state" };
    if model.is_empty() { format!("{device}, {kind}") } else { format!("{model}, {kind}") }
}

fn version(package: &str) -> String {
    format!("{package} {}", said("dpkg-query", &["-W", "-f", "${Version}", package]))
}
