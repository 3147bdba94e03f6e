//! `totpd` killed at each message and at each call on files, stopped, ended in order, and beside `totpd --once`: no login
//! is granted without a commit, no code is good twice, a login whose answer was not sent yet goes on, and the next one works.
//!
//! A login that hangs fails its test by the deadline of the harness ([`SOON`]), which is shorter than the 35 seconds that a
//! login may take.
//!
//! [`SOON`]: pam_totp_tests::SOON

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};

use nix::libc;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use pam_totp_tests::{
    Application, Decider, Heard, House, Module, Pam, Phone, Plan, ROOT_SOCKET, Tracer, eventually,
};

use crate::CODE;
use crate::chance::{rounds, tell};

const RECORD: &str = "/var/lib/pam-totp/users/alice.toml";
const STATE: &str = "/var/lib/pam-totp/state/alice";
const MEMORY: &str = "/run/pam-totp/state/alice";

/// Where no daemon listens: the module starts `totpd --once`.
const NO_SOCKET: &str = "socket=/run/no-such-socket";

/// A house with a daemon, whichever the other tests use.
fn house() -> House {
    let house = House::from_plan(&Plan { decided_by: Decider::Daemon, ..Plan::default() });
    house.stack("once", &format!("auth required pam_totp.so nodelay {NO_SOCKET}\n"));
    house
}

/// Alice's house, and her files as they were.
struct Bench {
    /// Logs in behind the daemon that was killed.
    survivor: Application,
    house: House,
    phone: Phone,
    recovery_code: String,
    record: Vec<u8>,
    state: Vec<u8>,
}

/// What became of the daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Lives,
    DiedBeforeAnAnswer,
    DiedAfterAnAnswer,
}

impl Bench {
    fn new() -> Self {
        let house = house();
        let document = house.admin_json(&["enroll", "alice", "--json", "--no-confirm"]);
        let phone = Phone::new(document["secret"].as_str().unwrap());
        let recovery_code = document["recovery_codes"][0].as_str().unwrap().to_owned();
        let mut survivor = house.application();
        let earlier = survivor.login("code", "alice").authenticate([&phone.in_steps(-1)]);
        assert_eq!(earlier.code, Pam::Success);
        let [record, state] = [RECORD, STATE].map(|file| fs::read(house.path(file)).unwrap());
        Self { survivor, house, phone, recovery_code, record, state }
    }

    /// Her state as it was, so that the same codes are new again.
    fn restore(&self) {
        fs::write(self.house.path(STATE), &self.state).unwrap();
        let _ = fs::remove_file(self.house.path(MEMORY));
    }

    /// One login with this answer to every prompt, by a daemon that is killed when one of its threads is about to make
    /// this call for the `nth` time.
    fn log_in_and_kill(&mut self, call: &str, nth: usize, answer: &str) -> (Pam, Fate) {
        self.restore();
        self.house.start_daemon();
        let pid = self.house.daemon_pid();
        let mut application = self.house.application();
        let mut login = application.login("code", "alice");
        let tracer = Tracer::of_all_threads(pid, call, Signal::SIGKILL, nth);
        login.begin("auth 0");
        let mut sent = false;
        let end = loop {
            match login.hear() {
                Heard::Ask { .. } => {
                    sent |= waits_for_an_answer(&mut self.house);
                    login.answer(answer);
                }
                Heard::Returned(code) => break code,
                Heard::Tell { .. } | Heard::Delay(_) => {}
            }
        };
        drop(tracer);
        let fate = match (self.house.daemon_answers(), sent) {
            (true, _) => Fate::Lives,
            (false, false) => Fate::DiedBeforeAnAnswer,
            (false, true) => Fate::DiedAfterAnAnswer,
        };
        (end, fate)
    }

    /// A login of the next process, by a daemon that was started again.
    fn log_in(&mut self, answer: &str) -> Pam {
        self.survivor.login("code", "alice").authenticate([answer, answer]).code
    }

    /// Whatever became of a login with `code`, it is good once in all; then the owner logs in with the next ones.
    fn is_whole_after(&mut self, end: Pam, code: &str, context: &str) {
        self.house.start_daemon();
        let again = self.log_in(code);
        assert!(
            matches!((end, again), (Pam::Success, Pam::AuthErr) | (_, Pam::Success | Pam::AuthErr)),
            "{context}: {end:?}, then {again:?}"
        );
        assert_ne!((end, again), (Pam::Success, Pam::Success), "{context}: one code twice");
        assert_eq!(self.log_in(code), Pam::AuthErr, "{context}: one code twice");
        let next = format!("{} {}", self.phone.in_steps(3), self.phone.in_steps(4));
        assert_eq!(self.log_in(&next), Pam::Success, "{context}: the owner is kept out");
    }

    /// Kills at each call of this name, or at every so many of them, until a login is over before there are so many. How often
    /// a daemon died before an answer, and after one.
    fn killed_at(&mut self, call: &str, every: usize, right: fn(&Self) -> String) -> [usize; 2] {
        let mut died = [0; 2];
        for nth in (1..).step_by(every) {
            let context = format!("killed at {call} {nth}");
            let wrong = self.phone.wrong(0);
            let (end, fate) = self.log_in_and_kill(call, nth, &wrong);
            let expected =
                if fate == Fate::DiedAfterAnAnswer { Pam::SystemErr } else { Pam::AuthErr };
            assert_eq!(end, expected, "{context}, wrong code, {fate:?}");
            let wrong_lives = fate == Fate::Lives;
            let code = right(self);
            let (end, fate) = self.log_in_and_kill(call, nth, &code);
            let expected =
                if fate == Fate::DiedAfterAnAnswer { Pam::SystemErr } else { Pam::Success };
            assert_eq!(end, expected, "{context}, right code, {fate:?}");
            self.is_whole_after(end, &code, &context);
            match fate {
                Fate::DiedBeforeAnAnswer => died[0] += 1,
                Fate::DiedAfterAnAnswer => died[1] += 1,
                Fate::Lives if wrong_lives => break,
                Fate::Lives => {}
            }
        }
        tell(&format!("{call}: died before and after an answer {died:?}"));
        died
    }

    /// Everything that was done in the house together.
    fn ends_well(&self) {
        assert_eq!(fs::read(self.house.path(RECORD)).unwrap(), self.record);
        self.house.run("totp-admin", &["log", "--verify"]);
        let _ = self.house.admin_json(&["show", "alice", "--json"]);
    }
}

/// Waits until the daemon waits for what is typed at a prompt that it has sent, or has died. `true`: it waits.
fn waits_for_an_answer(house: &mut House) -> bool {
    eventually("totpd waits for an answer", || {
        if house.daemon_has_ended() {
            return Some(false);
        }
        let mut threads = threads(house.daemon_pid()).into_iter();
        threads.any(|thread| waits_in(&thread, libc::SYS_recvfrom)).then_some(true)
    })
}

/// The threads that serve logins: the first one waits for signals.
fn threads(process: Pid) -> Vec<String> {
    let entries = fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
    let others = entries.filter(|entry| entry.file_name() != *process.to_string());
    others.map(|entry| entry.path().display().to_string()).collect()
}

/// Whether a thread sleeps in this call: it is not merely about to make it.
fn waits_in(thread: &str, call: libc::c_long) -> bool {
    let said = fs::read_to_string(format!("{thread}/syscall")).unwrap_or_default();
    // In this order: what sleeps now, and made the call before, sleeps in it.
    said.split(' ').next() == Some(call.to_string().as_str()) && state(thread) == Some('S')
}

/// What a thread does (proc(5), field 3 of `stat`).
fn state(thread: &str) -> Option<char> {
    let stat = fs::read_to_string(format!("{thread}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}

#[test]
fn killed_at_any_message_a_login_goes_on_before_an_answer_and_is_denied_after_one() {
    let mut bench = Bench::new();
    let code = |bench: &Bench| bench.phone.now();
    // About to read the hello, and the answer: neither has been read.
    assert_eq!(bench.killed_at("recvfrom", 1, code), [2, 0]);
    // About to send `here`, and the prompt; then the line of the log, and the decision.
    assert_eq!(bench.killed_at("sendto", 1, code), [2, 2]);
    bench.ends_well();
}

#[test]
fn killed_at_any_call_on_files_nothing_is_granted_without_a_commit_and_no_code_is_good_twice() {
    let mut bench = Bench::new();
    // Which is recorded in the audit log, too.
    let code = |bench: &Bench| bench.recovery_code.clone();
    let mut died = 0;
    for call in ["flock", "pwrite64", "fdatasync", "ftruncate"] {
        died += bench.killed_at(call, rounds(2, 1), code)[1];
    }
    // Before the prompt and behind it.
    for call in ["openat", "openat2"] {
        died += bench.killed_at(call, rounds(6, 1), code)[1];
    }
    assert!(died > 10, "{died} times");
    bench.ends_well();
}

#[test]
fn while_the_daemon_is_stopped_programs_of_root_log_in_by_a_helper_and_it_does_nothing_for_them_later()
 {
    let mut house = house();
    let phone = house.enroll("alice");
    let daemon = house.daemon_pid();
    let at_rest = sockets(daemon);
    // At the prompt of the daemon, and gone with an answer sent.
    let mut gone = house.application();
    let mut login = gone.login("code", "alice");
    assert_eq!(login.begin("auth 0").hear().prompt(), Some(CODE));
    assert!(waits_for_an_answer(&mut house));
    kill(daemon, Signal::SIGSTOP).unwrap();
    eventually("all threads have stopped", || {
        threads(daemon).iter().all(|thread| state(thread) == Some('T')).then_some(())
    });
    login.answer(&phone.in_steps(1));
    std::mem::forget(login);
    eventually("the answer is sent", || {
        waits_in(&format!("/proc/{}", gone.pid()), libc::SYS_poll).then_some(())
    });
    kill(Pid::from_raw(i32::try_from(gone.pid()).unwrap()), Signal::SIGKILL).unwrap();
    // Its backlog takes connections as before.
    let outcome = house.application().login("code", "alice").authenticate([&phone.now()]);
    assert_eq!(outcome.code, Pam::Success, "{outcome:?}");
    let state = fs::read(house.path(STATE)).unwrap();
    let lines = house.syslog().lines();
    kill(daemon, Signal::SIGCONT).unwrap();
    assert!(house.daemon_answers());
    eventually("all conversations are over", || (sockets(daemon) <= at_rest).then_some(()));
    assert!(!house.daemon_has_ended());
    assert_eq!(fs::read(house.path(STATE)).unwrap(), state, "something was evaluated");
    assert_eq!(house.syslog().lines(), lines, "something was said");
    let code = phone.in_steps(1);
    assert_eq!(house.application().login("code", "alice").authenticate([&code]).code, Pam::Success);
}

/// How many sockets a process has.
fn sockets(process: Pid) -> usize {
    let entries = fs::read_dir(format!("/proc/{process}/fd")).into_iter().flatten().flatten();
    let links = entries.filter_map(|entry| fs::read_link(entry.path()).ok());
    links.filter(|link| link.to_string_lossy().starts_with("socket:")).count()
}

#[test]
fn of_a_daemon_and_a_helper_with_one_code_at_once_one_grants_it() {
    let mut bench = Bench::new();
    let (mut one, mut two) = (bench.house.application(), bench.house.application());
    for round in 0..rounds(200, 2000) {
        bench.restore();
        let code = bench.phone.now();
        let services = if round % 2 == 0 { ["code", "once"] } else { ["once", "code"] };
        let mut logins = [one.login(services[0], "alice"), two.login(services[1], "alice")];
        for login in &mut logins {
            assert_eq!(login.begin("auth 0").hear().prompt(), Some(CODE));
        }
        for login in &mut logins {
            login.answer(&code);
        }
        let ends = logins.each_mut().map(|login| login.rest([&code]).code);
        let granted = ends.iter().filter(|end| **end == Pam::Success).count();
        let refused = ends.iter().filter(|end| **end == Pam::AuthErr).count();
        assert_eq!((granted, refused), (1, 1), "round {round}: {ends:?}");
    }
    assert_eq!(
        bench.log_in(&format!("{} {}", bench.phone.in_steps(3), bench.phone.in_steps(4))),
        Pam::Success
    );
    bench.ends_well();
}

/// A process of the house that holds the lock of alice's state until it is told to end.
struct Holder(Child);

impl Holder {
    fn begin(house: &House) -> Self {
        let mut command: Command = house.command("flock");
        command.args([STATE, "sh", "-c", "echo locked; read line"]).stdin(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut said = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut said).unwrap();
        assert_eq!(said, "locked\n");
        Self(child)
    }

    fn end(mut self) {
        self.0.stdin.take().unwrap().write_all(b"end\n").unwrap();
        assert!(self.0.wait().unwrap().success());
    }
}

#[test]
fn a_daemon_that_is_ended_finishes_the_answers_that_have_arrived_and_leaves_the_others_to_a_helper()
{
    let mut house = house();
    let (alice, bob) = (house.enroll("alice"), house.enroll("bob"));
    let mut applications = [house.application(), house.application()];
    let [first, second] = &mut applications;
    let mut arrived = first.login("code", "alice");
    assert_eq!(arrived.begin("auth 0").hear().prompt(), Some(CODE));
    let mut at_the_prompt = second.login("code", "bob");
    assert_eq!(at_the_prompt.begin("auth 0").hear().prompt(), Some(CODE));
    let idle = Module::connect(&house.path(ROOT_SOCKET)).unwrap();
    assert!(idle.is_welcome());
    let holder = Holder::begin(&house);
    arrived.answer(&alice.now());
    let daemon = house.daemon_pid();
    eventually("the answer is evaluated", || {
        // Which it is while its thread waits for the lock, in short sleeps.
        let naps = [libc::SYS_clock_nanosleep, libc::SYS_nanosleep];
        let mut threads = threads(daemon).into_iter();
        threads.any(|thread| naps.iter().any(|call| waits_in(&thread, *call))).then_some(())
    });
    kill(daemon, Signal::SIGTERM).unwrap();
    // A module that has said nothing yet is let go: from here on no answer is read that has not arrived.
    assert_eq!(idle.receive(), None);
    holder.end();
    let outcome = arrived.rest([] as [&str; 0]);
    assert_eq!(outcome.code, Pam::Success, "{outcome:?}");
    assert!(house.end_of_daemon().success());
    at_the_prompt.answer(&bob.now());
    let outcome = at_the_prompt.rest([] as [&str; 0]);
    assert_eq!((outcome.code, outcome.prompts().len()), (Pam::Success, 0), "asked again");
}

#[test]
fn a_second_daemon_on_one_state_directory_refuses_to_start_and_says_why() {
    let mut house = house();
    let id = house.path("/var/lib/pam-totp/installation-id");
    if !id.exists() {
        fs::write(id, "").unwrap();
        house.start_daemon();
    }
    let second = house.attempt("timeout", &["20", "totpd", "--socket", "/run/second.sock"]);
    assert_eq!(second.status.code(), Some(1), "{second:?}");
    let _ = house.syslog().expect("another totpd decides for /var/lib/pam-totp");
    // The first one goes on.
    assert!(house.daemon_answers());
}
