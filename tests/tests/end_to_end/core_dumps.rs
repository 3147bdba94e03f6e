//! Cores: the kernel writes none of a program of ours, whatever ends it while it holds a secret.
//!
//! What is looked at is what the kernel says of the process that has ended (`WCOREDUMP`): that doesn't depend on where cores go
//! (`core_pattern`), which is the whole machine's. The limit of each program is lifted before it starts, and again once it runs: so what
//! keeps a core away in the end is that the process isn't dumpable, as it has to where cores go through a pipe. Where they go to a file, a
//! program that isn't ours shows that there would have been one; where they go through a pipe, that is not shown.

use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, ExitStatus, Stdio};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
use nix::unistd::Pid;
use pam_totp_tests::{Decider, House, Plan, eventually};

use crate::CODE;

/// Becomes the program in `$@`, which may write cores of any size, in a directory that is gone with the house.
const LIFTED: [&str; 4] = [
    "sh",
    "-c",
    "mkdir -p /run/cores && cd /run/cores && ulimit -c unlimited && exec \"$@\"",
    "sh",
];

fn ends(pid: Pid, signal: Signal) {
    kill(pid, signal).expect("it runs");
}

fn pid_of(child: &Child) -> Pid {
    Pid::from_raw(i32::try_from(child.id()).unwrap())
}

/// By this signal, and without a core.
fn left_nothing(house: &House, status: ExitStatus, signal: Signal) {
    assert_eq!(status.signal(), Some(signal as i32), "{status:?}");
    assert!(!status.core_dumped(), "{status:?}");
    let cores = house.path("/run/cores");
    assert_eq!(fs::read_dir(cores).unwrap().count(), 0);
}

/// It has taken the limit away itself; root gives it back.
fn may_dump_again(house: &House, pid: Pid) {
    let limits = fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    let value = line.split_whitespace().nth(4);
    assert_eq!(value, Some("0"), "{line}");
    house.run("prlimit", &["--pid", &pid.to_string(), "--core=unlimited:"]);
}

#[test]
fn a_program_that_is_not_ours_leaves_a_core_here() {
    let pattern = fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap();
    if pattern.starts_with('|') {
        return;
    }
    let house = House::build();
    let mut child = house
        .command(LIFTED[0])
        .args(&LIFTED[1..])
        .args(["cat"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let is_cat = || fs::read(format!("/proc/{}/cmdline", child.id())).unwrap() == b"cat\0";
    eventually("the shell becomes the program", || is_cat().then_some(()));
    ends(pid_of(&child), Signal::SIGABRT);
    let status = child.wait().unwrap();
    assert!(status.core_dumped(), "{status:?}, {pattern}");
}

#[test]
fn the_daemon_leaves_no_core_in_the_middle_of_a_login() {
    let mut house = House::from_plan(&Plan { decided_by: Decider::Daemon, ..Plan::default() });
    let _phone = house.enroll("alice");
    house.start_daemon_by(&[], &LIFTED);
    let mut application = house.application();
    let mut login = application.login("code", "alice");
    assert_eq!(login.begin("auth 0").hear().prompt(), Some(CODE));
    std::mem::forget(login); // ends with its process
    let daemon = house.daemon_pid();
    may_dump_again(&house, daemon);
    ends(daemon, Signal::SIGABRT);
    let status = house.end_of_daemon();
    left_nothing(&house, status, Signal::SIGABRT);
}

#[test]
fn a_helper_leaves_no_core() {
    let house = House::from_plan(&Plan { decided_by: Decider::Once, ..Plan::default() });
    let flags = SockFlag::SOCK_CLOEXEC;
    let (ours, theirs): (OwnedFd, OwnedFd) =
        socketpair(AddressFamily::Unix, SockType::SeqPacket, None, flags).unwrap();
    let mut command = house.command(LIFTED[0]);
    command.args(&LIFTED[1..]).args(["totpd", "--once"]).stdin(Stdio::from(theirs));
    let mut child = command.spawn().unwrap();
    // It has said that it is here, and waits for what is asked.
    let mut ready = [PollFd::new(std::os::fd::AsFd::as_fd(&ours), PollFlags::POLLIN)];
    assert_eq!(poll(&mut ready, PollTimeout::from(20_000_u16)).unwrap(), 1);
    may_dump_again(&house, pid_of(&child));
    ends(pid_of(&child), Signal::SIGABRT);
    left_nothing(&house, child.wait().unwrap(), Signal::SIGABRT);
}

#[test]
fn the_agent_leaves_no_core() {
    let house = House::build();
    let mut command = house.command(LIFTED[0]);
    command.args(&LIFTED[1..]).arg("totp-agent").stdout(Stdio::null()).stderr(Stdio::null());
    house.syslog().clear();
    let mut child = command.spawn().unwrap();
    let _ = house.syslog().expect("totp-agent[");
    may_dump_again(&house, pid_of(&child));
    ends(pid_of(&child), Signal::SIGQUIT);
    left_nothing(&house, child.wait().unwrap(), Signal::SIGQUIT);
}

#[test]
fn the_command_leaves_no_core_while_it_shows_a_secret() {
    let house = House::build();
    let arguments = [&LIFTED[1..], &["totp-admin", "enroll", "bob"]].concat();
    let mut terminal = house.terminal(LIFTED[0], &arguments);
    terminal.expect("Or type this key: ").expect("Code in the app");
    let pid = Pid::from_raw(i32::try_from(terminal.pid()).unwrap());
    may_dump_again(&house, pid);
    ends(pid, Signal::SIGABRT);
    left_nothing(&house, terminal.wait(), Signal::SIGABRT);
}

#[test]
fn a_command_of_a_user_without_rights_still_says_what_is_wrong() {
    let house = House::build();
    let output = house.command_as("alice", "totp-admin").args(["show", "alice"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("root") && !said.contains("core dumps"), "{said}");
}
