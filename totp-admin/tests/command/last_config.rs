//! The last good configuration: the copies lie in the default state directory, so these tests have a `/var/lib` of their own.

use std::process::Command;

use crate::support::{COMMAND, House, Output};

/// A script that runs in a mount namespace of its own, with the command as `$admin` and the configuration as `$config`.
/// `None` where there can't be such a namespace.
fn alone(house: &House, script: &str) -> Option<Output> {
    let run = |script: &str| {
        let output = Command::new("unshare")
            .args(["--mount", "sh", "-euc"])
            .arg(format!("mount -t tmpfs -o mode=755 tmpfs /var/lib\n{script}"))
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("admin", COMMAND)
            .env("config", house.config())
            .output()
            .unwrap();
        Output {
            code: output.status.code().unwrap(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    };
    (run("").code == 0).then(|| run(script))
}

const SPOILT: &str = "mkdir -m 700 /var/lib/pam-totp
    $admin --config $config init >/dev/null
    $admin --config $config list >/dev/null 2>&1
    echo nonsense >>$config\n";

#[test]
fn commands_go_on_with_the_last_good_configuration_and_say_so() {
    let Some(house) = House::new("[guessing]\nhosts = 3") else { return };
    let script =
        format!("{SPOILT} ls /var/lib/pam-totp/last-config; $admin --config $config config show");
    let Some(output) = alone(&house, &script) else { return };
    let output = output.done();
    assert!(output.out.contains("hosts = 3"), "{}", output.out);
    assert!(output.out.contains("%2Fconfig.toml"), "{}", output.out);
    assert_eq!(output.err.lines().count(), 1, "{}", output.err);
    for part in ["config.toml: line ", "the last good configuration is in force"] {
        assert!(output.err.contains(part), "{}", output.err);
    }
}

#[test]
fn status_calls_that_wrong() {
    let Some(house) = House::new("") else { return };
    let script = format!("{SPOILT} $admin --config $config status --json");
    let Some(output) = alone(&house, &script) else { return };
    let output = output.refused(&["the last good configuration is in force"]);
    assert_eq!(output.json()["config"]["in_force"], "last-good");
}

#[test]
fn checking_editing_and_making_never_use_it() {
    let Some(house) = House::new("") else { return };
    for command in ["config check", "init", "VISUAL"] {
        let command = match command {
            "VISUAL" => "VISUAL=true $admin --config $config config edit".to_owned(),
            other => format!("$admin --config $config {other}"),
        };
        house.configure("");
        let Some(output) = alone(&house, &format!("{SPOILT} {command}")) else { return };
        assert_eq!(output.code, 1, "{command}: {}{}", output.out, output.err);
        assert!(!output.err.contains("last good"), "{command}: {}", output.err);
        assert!(format!("{}{}", output.out, output.err).contains("line "), "{command}");
    }
}

#[test]
fn without_the_directory_no_copy_is_kept() {
    let Some(house) = House::new("") else { return };
    let script = "$admin --config $config list
        echo nonsense >>$config
        $admin --config $config list";
    let Some(output) = alone(&house, script) else { return };
    output.refused(&["config.toml: line ", "config check"]);
}
