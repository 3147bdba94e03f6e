//! Thousands of conversations of one caller, all of them open at once: a login of another one beside them goes on, over the
//! daemon where the caller has a share of its own, else by `totpd --once`; and nothing is left of them.

use std::fs;
use std::sync::Mutex;

use nix::unistd::Pid;
use pam_totp_tests::{
    Decider, House, Module, Outcome, Pam, Phone, Plan, ROOT_SOCKET, eventually, hello_from,
};
use totp_wire::{Hook, ToModule};

use crate::CODE;
use crate::chance::rounds;

/// The address of the flood.
const FLOODED: &str = "203.0.113.9";

/// The uid of the user who runs so many `su`.
const CALLER: u32 = 20_001;

struct Flood {
    house: House,
    phone: Phone,
    step: i64,
    /// Threads and descriptors of the daemon at rest.
    at_rest: [usize; 2],
}

/// The descriptors of the test are so many that one flood at a time is enough.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

impl Flood {
    fn new() -> Self {
        let house = House::from_plan(&Plan { decided_by: Decider::Daemon, ..Plan::default() });
        let phone = house.enroll("alice");
        // As many descriptors as there may be: the unit of the service has 65,536, and the test itself takes two thousand.
        for process in [house.daemon_pid(), Pid::this()] {
            let [pid, most] = [process.to_string(), most_descriptors(process)];
            house.run("prlimit", &["--pid", &pid, &format!("--nofile={most}:{most}")]);
        }
        let at_rest = size(house.daemon_pid());
        Self { house, phone, step: -1, at_rest }
    }

    fn connect(&self) -> Module {
        let module = Module::connect(&self.house.path(ROOT_SOCKET)).expect("its backlog has room");
        assert!(module.is_welcome());
        module
    }

    /// Conversations up to the prompt; those over the share are told so and let go.
    fn conversations(&self, real_uid: u32, rhost: &str) -> Vec<Module> {
        let hello = hello_from(Hook::Auth, "bob", real_uid, rhost);
        let mut asked = Vec::new();
        let mut busy = 0;
        for _ in 0..rounds(2000, 10_000) {
            let module = self.connect();
            assert!(module.send(&hello));
            match ToModule::decode(&module.receive().expect("an answer")) {
                Ok(ToModule::Ask { .. }) => asked.push(module),
                Ok(ToModule::Busy) => busy += 1,
                other => panic!("{other:?}"),
            }
        }
        assert!(asked.len() <= 64 && busy > 0, "{} are asked", asked.len());
        asked
    }

    fn log_in_from(&mut self, rhost: &str) -> Outcome {
        let code = self.phone.in_steps(self.step);
        self.step += 1;
        self.house.application().login("code", "alice").from(rhost).authenticate([&code])
    }

    /// As soon as all of it is gone, the daemon is as it was.
    fn leaves_nothing(self) {
        let daemon = self.house.daemon_pid();
        eventually("the daemon is as it was", || {
            let now = size(daemon);
            // Of each socket a few threads go on waiting.
            (now[0] <= self.at_rest[0] + 16 && now[1] <= self.at_rest[1]).then_some(())
        });
        eventually("no helper is left", || self.house.helpers().is_empty().then_some(()));
        assert!(self.house.daemon_answers());
    }
}

/// How far a process may raise its limit of descriptors.
fn most_descriptors(process: Pid) -> String {
    let limits = fs::read_to_string(format!("/proc/{process}/limits")).unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    line.split_whitespace().nth(4).unwrap().to_string()
}

/// How many threads and descriptors a process has.
fn size(process: Pid) -> [usize; 2] {
    ["task", "fd"].map(|kind| fs::read_dir(format!("/proc/{process}/{kind}")).unwrap().count())
}

#[test]
fn two_thousand_su_of_one_user_stand_beside_a_login_over_the_daemon() {
    let _alone = ONE_AT_A_TIME.lock();
    let mut flood = Flood::new();
    let conversations = flood.conversations(CALLER, "");
    flood.house.syslog().clear();
    let helpers = flood.house.helpers().len();
    let outcome = flood.log_in_from("198.51.100.7");
    assert_eq!((outcome.code, helpers), (Pam::Success, 0), "{outcome:?}");
    drop(conversations);
    flood.leaves_nothing();
}

#[test]
fn two_thousand_ssh_connections_of_one_address_stand_beside_logins_from_there_and_elsewhere() {
    let _alone = ONE_AT_A_TIME.lock();
    let mut flood = Flood::new();
    let conversations = flood.conversations(0, FLOODED);
    // Another address has a share of its own; from the same one, a helper serves.
    for rhost in ["198.51.100.7", FLOODED] {
        let outcome = flood.log_in_from(rhost);
        assert_eq!(outcome.code, Pam::Success, "{rhost}: {outcome:?}");
    }
    drop(conversations);
    flood.leaves_nothing();
}

#[test]
fn two_thousand_connections_that_say_nothing_stand_beside_a_login() {
    let _alone = ONE_AT_A_TIME.lock();
    let mut flood = Flood::new();
    let silent: Vec<Module> = (0..2000).map(|_| flood.connect()).collect();
    let outcome = flood.log_in_from("198.51.100.7");
    assert_eq!(outcome.code, Pam::Success, "{outcome:?}");
    drop(silent);
    flood.leaves_nothing();
}

#[test]
fn programs_over_the_share_of_their_address_are_asked_by_helpers_which_end_with_them() {
    let _alone = ONE_AT_A_TIME.lock();
    let flood = Flood::new();
    let conversations = flood.conversations(0, FLOODED);
    let mut applications: Vec<_> = (0..8).map(|_| flood.house.application()).collect();
    for application in &mut applications {
        let mut login = application.login("code", "alice");
        login.from(FLOODED);
        assert_eq!(login.begin("auth 0").hear().prompt(), Some(CODE));
        std::mem::forget(login); // ends with its process
    }
    assert_eq!(flood.house.helpers().len(), applications.len());
    for application in applications {
        nix::sys::signal::kill(
            Pid::from_raw(i32::try_from(application.pid()).unwrap()),
            nix::sys::signal::Signal::SIGKILL,
        )
        .unwrap();
    }
    drop(conversations);
    flood.leaves_nothing();
}
