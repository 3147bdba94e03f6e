//! `kill -9` at random instants of logins, of the program that asks or of totpd: the record stays as it was, no code lets in
//! twice, what is used is on record once, and the owner gets in with the next code. `killed_commands` asks the same of the
//! command and the agent.
//!
//! The clock is libfaketime's, so totpd decides; it could not be told to `totpd --once`, which is kept from deciding here.

use std::fs;
use std::io::{BufRead, BufReader, Read as _, Write as _};
use std::process::{Child, ChildStdout, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use pam_totp_tests::{Application, House, Outcome, Pam, Phone, Plan};

use crate::chance::{Chance, Moment, rounds, tell};
use crate::clocks::{NOON, house_with_clock, set_clock, variables};

/// Seconds between rounds: a code for the victim, two for the owner, and one that nobody uses.
const ROUND: i64 = 120;

/// As many as an enrollment may have.
const RECOVERY_CODES: &str = "16";

/// A login in a process of its own that is killed, or stopped, or lives.
struct Victim {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Victim {
    /// Starts a process; it has not begun to log in.
    fn start(house: &House) -> Self {
        let mut command = house.command("pam-application");
        command.stdin(Stdio::piped());
        let mut child = command.spawn().expect("the application can be started");
        let output = BufReader::new(child.stdout.take().unwrap());
        let mut victim = Self { child, output };
        victim.say("start code alice\nitem rhost 192.0.2.1\nitem tty ssh\n");
        victim
    }

    fn say(&mut self, text: &str) {
        self.child.stdin.as_mut().unwrap().write_all(text.as_bytes()).unwrap();
    }

    /// Waits until it is ready, and lets it log in; what it is to answer is there before it asks.
    fn log_in(&mut self, answer: &str) {
        for _ in 0..3 {
            let mut line = String::new();
            self.output.read_line(&mut line).unwrap();
            assert!(line.starts_with("= 0 "), "the application said {line:?}");
        }
        self.say(&format!("auth 0\nsay {answer}\n"));
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.child.id()).unwrap()), signal).unwrap();
    }

    /// Ends it; whether it had been let in.
    fn end(mut self) -> bool {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let mut said = String::new();
        self.output.read_to_string(&mut said).unwrap();
        said.lines().any(|line| line.starts_with("= 0 "))
    }

    /// Waits until its login is over; whether it was let in.
    fn is_let_in(&mut self) -> bool {
        let mut line = String::new();
        while !line.starts_with("= ") {
            line.clear();
            assert_ne!(self.output.read_line(&mut line).unwrap(), 0, "the application ended");
        }
        line.starts_with("= 0 ")
    }

    /// Lets it live until it has logged in.
    fn lives(mut self, answer: &str) -> Duration {
        let start = Instant::now();
        self.log_in(answer);
        assert!(self.is_let_in());
        start.elapsed()
    }
}

/// What was seen, for docs/reliability.md.
#[derive(Debug, Default)]
struct Seen {
    killed: usize,
    daemons_killed: usize,
    stopped: usize,
    let_in_before: usize,
    used_up_unheard: usize,
    still_good: usize,
    recovery_codes: usize,
}

/// Alice's house, its record as it must stay, and the instants.
struct Torture {
    /// Who comes after the victims.
    survivor: Application,
    house: House,
    phone: Phone,
    record: Vec<u8>,
    recovery_codes: Vec<String>,
    longest: Duration,
    chance: Chance,
    seen: Seen,
}

impl Torture {
    fn begin() -> Self {
        let plan = Plan {
            config: Some("[recovery]\ncount = 16\n".to_owned()),
            arguments: "nodelay once=/nonexistent".to_owned(),
            ..Plan::default()
        };
        let house = house_with_clock(&plan, NOON);
        let phone = house.enroll("alice");
        let mut torture = Self {
            survivor: house.application(),
            house,
            phone,
            record: Vec::new(),
            recovery_codes: Vec::new(),
            longest: Duration::MAX,
            chance: Chance::new(),
            seen: Seen::default(),
        };
        torture.issue_recovery_codes();
        // Of three that live the quickest says how long it takes; twice as long, so that some are killed after it.
        for n in 0..3 {
            let clock = NOON - 1000 + n * ROUND;
            set_clock(&torture.house, clock);
            let lived = Victim::start(&torture.house).lives(&torture.phone.at(clock));
            torture.longest = torture.longest.min(lived * 2);
        }
        torture
    }

    fn admin(&self, arguments: &[&str]) -> String {
        let output = self
            .house
            .command_with(&variables())
            .arg("totp-admin")
            .args(arguments)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        said
    }

    fn issue_recovery_codes(&mut self) {
        let said =
            self.admin(&["recovery-codes", "alice", "--count", RECOVERY_CODES, "--json", "--yes"]);
        let document: serde_json::Value = serde_json::from_str(&said).unwrap();
        let codes = document["recovery_codes"].as_array().unwrap();
        self.recovery_codes = codes.iter().map(|code| code.as_str().unwrap().to_owned()).collect();
        self.record = fs::read(self.house.path(RECORD)).unwrap();
    }

    /// Kills totpd, and starts it again.
    fn kill_daemon(&mut self) {
        let pid = self.house.daemon_pid();
        self.house.end_daemon(Signal::SIGKILL);
        // What libfaketime leaves of a killed process keeps the next one of that number from starting.
        let directory = self.house.path("/dev/shm");
        for left in ["faketime_shm", "sem.faketime_sem"] {
            let _ = fs::remove_file(directory.join(format!("{left}_{pid}")));
        }
        self.house.start_daemon_by(&variables(), &[]);
    }

    fn try_again(&mut self, answers: [&String; 2]) -> Outcome {
        self.survivor.login("code", "alice").authenticate(answers)
    }

    /// One login that is killed at some instant, and what comes after it. `codes` begin at the victim's own.
    fn round(&mut self, victim: Victim, clock: i64, codes: &[String]) {
        set_clock(&self.house, clock);
        let recovery = self.chance.once_in(10).then(|| {
            if self.recovery_codes.is_empty() {
                self.issue_recovery_codes();
            }
            self.seen.recovery_codes += 1;
            self.recovery_codes.pop().unwrap()
        });
        let code = recovery.as_ref().unwrap_or(&codes[0]);
        let (of_daemon, stop) = (self.chance.once_in(2), self.chance.once_in(8));
        let moment: Moment = self.chance.moment(self.longest);
        let mut victim = victim;
        victim.log_in(code);
        moment.wait();
        let victim = if of_daemon {
            self.kill_daemon();
            Ok(victim.is_let_in())
        } else {
            victim.signal(if stop { Signal::SIGSTOP } else { Signal::SIGKILL });
            if stop { Err(victim) } else { Ok(victim.end()) }
        };
        // The same code once more, and once more: it lets in once, by whomever.
        let again = self.try_again([code, code]).code;
        let twice = self.try_again([code, code]).code;
        assert_eq!(twice, Pam::AuthErr, "one code twice");
        *match (of_daemon, stop) {
            (true, _) => &mut self.seen.daemons_killed,
            (false, true) => &mut self.seen.stopped,
            (false, false) => &mut self.seen.killed,
        } += 1;
        let let_in = victim.unwrap_or_else(Victim::end);
        match (let_in, again) {
            (true, Pam::AuthErr) => self.seen.let_in_before += 1,
            (false, Pam::AuthErr) => self.seen.used_up_unheard += 1,
            (false, Pam::Success) => self.seen.still_good += 1,
            other => panic!("the victim and who came after it: {other:?}"),
        }
        // The owner, with the next code; where the budget is used up, with the one after it.
        set_clock(&self.house, clock + 30);
        let owner = self.try_again([&codes[1], &codes[2]]);
        assert_eq!(owner.code, Pam::Success, "{owner:?}");
    }

    /// Nothing is damaged, nothing left behind, and what was used is on record once.
    fn all_is_whole(&self) {
        assert_eq!(fs::read(self.house.path(RECORD)).unwrap(), self.record);
        self.admin(&["log", "--verify"]);
        let used = self.house.events().iter().filter(|e| *e == "recovery-code-used").count();
        assert_eq!(used, self.seen.recovery_codes);
        assert_eq!(names(&self.house, "/var/lib/pam-totp/users"), ["alice.toml"]);
        assert_eq!(names(&self.house, "/var/lib/pam-totp/state"), ["alice"]);
        assert_eq!(names(&self.house, "/run/pam-totp/state"), [""; 0]);
        let strange =
            self.house.events().into_iter().find(|event| !EXPECTED.contains(&event.as_str()));
        assert_eq!(strange, None);
    }
}

const RECORD: &str = "/var/lib/pam-totp/users/alice.toml";

/// No `state-rebuilt` or `state-volatile` among them.
const EXPECTED: [&str; 5] =
    ["enrolled", "recovery-codes-issued", "recovery-code-used", "unlocked", "more-codes-required"];

/// What lies in a directory of the house, decoys left out; what a replacement left behind is not.
fn names(house: &House, directory: &str) -> Vec<String> {
    let entries = fs::read_dir(house.path(directory)).unwrap().flatten();
    let mut names: Vec<String> =
        entries.map(|entry| entry.file_name().into_string().unwrap()).collect();
    names.retain(|name| !name.starts_with(".decoy"));
    names.sort();
    names
}

/// So many logins of one alice, one after the other.
fn one_after_the_other(all: usize) {
    let mut torture = Torture::begin();
    let mut next = Victim::start(&torture.house);
    let mut codes = Vec::new();
    for round in 0..all {
        let clock = NOON + i64::try_from(round).unwrap() * ROUND;
        if round % 100 == 0 {
            codes = torture.phone.codes(clock, 500);
            torture.admin(&["unlock", "alice"]);
        }
        let victim = std::mem::replace(&mut next, Victim::start(&torture.house));
        let from = round % 100 * 4;
        torture.round(victim, clock, &codes[from..from + 3]);
        if round % 100 == 99 {
            torture.all_is_whole();
        }
    }
    torture.all_is_whole();
    tell(&format!("{all} logins, each over within {:?}: {:?}", torture.longest, torture.seen));
    let Seen { let_in_before, used_up_unheard, still_good, .. } = torture.seen;
    assert!(let_in_before + used_up_unheard > 0 && still_good > 0, "{:?}", torture.seen);
}

#[test]
fn logins_killed_at_random_instants_lose_nothing_and_keep_nobody_out() {
    // In full, in four houses at once.
    std::thread::scope(|scope| {
        for _ in 0..rounds(1, 4) {
            scope.spawn(|| one_after_the_other(rounds(250, 2500)));
        }
    });
}
