//! On which machine it was measured.

use std::fs;
use std::path::Path;
use std::process::Command;

/// The packages of the other modules.
const PEERS: [&str; 2] = ["libpam-google-authenticator", "libpam-oath"];

/// Date, processors, kernel, and where the state lies. Without a full stop, for more to be said.
pub(crate) fn describe(disk: &Path) -> String {
    let date = said("date", &["-u", "+%Y-%m-%d %H:%M UTC"]);
    let system = said("sh", &["-c", ". /etc/os-release && echo \"$PRETTY_NAME\""]);
    let kernel = said("uname", &["-sr"]);
    let mount =
        |column| said("findmnt", &["-n", "-o", column, "--target", disk.to_str().expect("UTF-8")]);
    let (kind, device) = (mount("FSTYPE"), mount("SOURCE"));
    assert!(kind != "tmpfs", "{} is in memory: set TMPDIR to a folder on a disk", disk.display());
    format!(
        "Measured {date} on {}, {system}, {kernel}; the state on {kind} ({}); beside {}",
        processors(),
        disk_of(&device),
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

/// What a command printed, or nothing where there is none such.
fn said(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    output.map_or_else(|_| String::new(), |o| String::from_utf8_lossy(&o.stdout).trim().to_string())
}
