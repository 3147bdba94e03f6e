//! The command broken off: standard output full or closed, Ctrl-C and SIGTERM.

use std::fs::{self, File, OpenOptions};
use std::io::Read as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::support::{COMMAND, DEFAULT_SIGNALS, House, OTHER, USER};
use crate::terminal::at;

/// The command, with signals as a shell at a terminal leaves them: what runs in the background has Ctrl-C ignored.
fn command(house: &House, args: &[&str], stdout: Stdio) -> Command {
    let mut command = Command::new("/usr/bin/env");
    command.env_clear().env("TZ", "UTC").env("LC_ALL", "C.UTF-8");
    command.args([DEFAULT_SIGNALS, COMMAND, "--config"]).arg(house.config()).args(args);
    command.stdin(Stdio::null()).stdout(stdout).stderr(Stdio::piped());
    command
}

fn full() -> Stdio {
    OpenOptions::new().write(true).open("/dev/full").unwrap().into()
}

/// The writing end of a pipe that nobody reads.
fn closed() -> Stdio {
    std::io::pipe().unwrap().1.into()
}

fn send(child: &Child, signal: Signal) {
    kill(Pid::from_raw(child.id().try_into().unwrap()), signal).unwrap();
}

fn wait_for(what: impl Fn() -> bool) {
    for _ in 0..1000 {
        if what() {
            return;
        }
        sleep(Duration::from_millis(10));
    }
    panic!("waited in vain");
}

#[test]
fn a_change_that_could_not_be_said_is_told_as_one_that_was_made() {
    let Some(house) = House::new("") else { return };
    let changes: [(&[&str], &str); 10] = [
        (&["enroll", USER, "--json", "--no-confirm"], "the key was not shown: "),
        (&["recovery-codes", USER], "the recovery codes were not shown: "),
        (&["recovery-codes", USER, "--json"], "For others: totp-admin recovery-codes daemon"),
        (&["bypass-code", USER], "the bypass code was not shown: "),
        (&["reset", USER], "the enrollment code was not shown: "),
        (&["reset", USER, "--json"], "For another one: totp-admin reset daemon"),
        (&["enroll", USER, "--at-login", "--trust-first-factor"], "but that could not be said: "),
        (
            &["enroll", USER, "--json", "--no-confirm", "--replace"],
            "totp-admin enroll daemon --replace",
        ),
        (&["disable", USER], "but that could not be said: "),
        (&["remove", USER], "but that could not be said: "),
    ];
    let mut seq = 0;
    for stdout in [full, closed] {
        for (args, words) in changes {
            seq += 1;
            let output = command(&house, args, stdout()).output().unwrap();
            let err = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(1), "{err}");
            assert!(err.contains(&format!("recorded as {seq}, and done; ")), "{err}");
            assert!(err.contains(words), "{err}");
        }
    }
    assert!(!house.events().contains(&"not-done".to_owned()));
}

#[test]
fn a_key_that_could_not_be_shown_is_not_switched_on() {
    let Some(house) = House::new("") else { return };
    for stdout in [full, closed] {
        let args = ["enroll", USER, "--no-confirm", "--qr", "none"];
        let output = command(&house, &args, stdout()).output().unwrap();
        let err = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{err}");
        assert!(err.contains("nothing was changed"), "{err}");
    }
    assert!(!house.file_of(USER).exists());
    assert_eq!(house.events(), Vec::<String>::new());
}

#[test]
fn a_picture_is_gone_after_ctrl_c() {
    let Some(house) = House::new("") else { return };
    let file = house.path("code.png");
    let args = format!("enroll {USER} --qr-file {}", file.display());
    let mut terminal = at(&house, 24, 80, &args, "");
    terminal.exp_string("Code in the app").unwrap();
    assert!(file.exists());
    terminal.send_control('c').unwrap();
    terminal.exp_eof().unwrap();
    assert!(!file.exists() && !house.file_of(USER).exists());
}

#[test]
fn a_picture_is_gone_after_a_signal_which_is_what_ends_the_command() {
    let Some(house) = House::new("") else { return };
    let file = house.path("code.svg");
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        let args = ["enroll", USER, "--qr-file", file.to_str().unwrap()];
        let mut child =
            command(&house, &args, Stdio::null()).stdin(Stdio::piped()).spawn().unwrap();
        let _question = child.stdin.take();
        wait_for(|| file.exists());
        send(&child, signal);
        // A shell sees 128 and the number: 130 for Ctrl-C.
        assert_eq!(child.wait().unwrap().signal(), Some(signal as i32));
        assert!(!file.exists(), "{signal}");
    }
}

/// Another administrator's lock keeps the change waiting that is on record already.
#[test]
fn a_change_that_is_recorded_is_made_before_ctrl_c_ends_the_command() {
    let Some(house) = House::new("") else { return };
    let users = File::open(house.path("state/users")).unwrap();
    for (args, seq) in
        [(&["enroll", OTHER, "--json", "--no-confirm"][..], 1), (&["disable", OTHER], 2)]
    {
        users.lock().unwrap();
        let mut child = command(&house, args, Stdio::piped()).spawn().unwrap();
        wait_for(|| house.record().len() == seq);
        send(&child, Signal::SIGINT);
        sleep(Duration::from_millis(100));
        users.unlock().unwrap();
        let mut out = String::new();
        child.stdout.take().unwrap().read_to_string(&mut out).unwrap();
        let _ = child.wait().unwrap();
        let record = fs::read_to_string(house.file_of(OTHER)).unwrap();
        assert!(record.contains(&format!("\nseq = {seq}\n")), "{record}");
        assert_eq!(house.record().len(), seq, "made, and not recorded as not done");
        if seq == 1 {
            let document: serde_json::Value = serde_json::from_str(&out).unwrap();
            assert!(record.contains(document["secret"].as_str().unwrap()));
        }
    }
}

/// It waits for the lock of all administration, with that of the outbox held.
#[test]
fn ctrl_z_stops_the_command_only_after_it_has_released_its_locks() {
    let Some(house) = House::new("") else { return };
    house.enroll(USER);
    let users = File::open(house.path("state/users")).unwrap();
    users.lock().unwrap();
    let mut command = command(&house, &["disable", USER], Stdio::null());
    let mut child = command.process_group(0).spawn().unwrap(); // in an orphaned one, nothing stops
    wait_for(|| house.record().len() == 2);
    send(&child, Signal::SIGTSTP);
    let status = format!("/proc/{}/status", child.id());
    wait_for(|| {
        let status = fs::read_to_string(&status).unwrap();
        status.lines().any(|line| line == "ShdPnd:\t0000000000080000")
    });
    users.unlock().unwrap();
    let pid = Pid::from_raw(child.id().try_into().unwrap());
    let stopped = waitpid(pid, Some(WaitPidFlag::WUNTRACED)).unwrap();
    assert_eq!(stopped, WaitStatus::Stopped(pid, Signal::SIGTSTP));
    for lock in ["state/users", "state/outbox"] {
        File::open(house.path(lock)).unwrap().try_lock().unwrap();
    }
    assert!(fs::read_to_string(house.file_of(USER)).unwrap().contains("disabled"));
    send(&child, Signal::SIGCONT);
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_code_that_nobody_else_has_is_out_before_ctrl_c_ends_the_command() {
    let Some(house) = House::new("") else { return };
    house.enroll(USER);
    let users = File::open(house.path("state/users")).unwrap();
    let issuing = [
        &["bypass-code", USER][..],
        &["recovery-codes", USER],
        &["enroll", USER, "--replace", "--no-confirm"],
        &["reset", USER],
    ];
    for (before, args) in issuing.into_iter().enumerate() {
        users.lock().unwrap();
        let mut child = command(&house, args, Stdio::piped()).spawn().unwrap();
        wait_for(|| house.record().len() == before + 2);
        send(&child, Signal::SIGINT);
        // Until the command has taken it.
        let status = format!("/proc/{}/status", child.id());
        wait_for(|| {
            let status = fs::read_to_string(&status).unwrap();
            status.lines().any(|line| line == "ShdPnd:\t0000000000000000")
        });
        users.unlock().unwrap();
        let mut out = String::new();
        child.stdout.take().unwrap().read_to_string(&mut out).unwrap();
        assert_eq!(child.wait().unwrap().signal(), Some(Signal::SIGINT as i32));
        let shown = out.split_whitespace().filter(|word| word.len() == 19).count();
        assert!(shown > 0, "{args:?}: {out}");
    }
}
