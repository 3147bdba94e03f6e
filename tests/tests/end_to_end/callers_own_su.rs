//! What a user does to their own `su`, which stays theirs to stop, freeze, slow down and limit while it asks for another
//! user's code: it delays no other login and no administration, over the daemon, over `totpd --once`, and where `su` was
//! stopped for longer than it waits for the daemon.
//!
//! Not tried here: tracing it. A program that its own user traces is not set-uid any more, so there is nothing to delay.
//!
//! These are the only tests that measure time (but for the flood in `callers`, where all is tried), because what is promised is a
//! time: two seconds. Half a second is added for the programs that are started meanwhile, and on a machine with more to do than it
//! has processors ten seconds pass.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::Stdio;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use pam_totp_tests::{
    Application, Decider, Freezer, House, PASSWORD, Pam, Phone, Plan, Terminal, Tracer, eventually,
};

use crate::chance::{Chance, leave_out, rounds, tell};
use crate::{CODE, NEXT};

const STATE: &str = "/var/lib/pam-totp/state/carol";

/// A house in which bob becomes alice, carol logs in, and one account after the other is disabled.
struct Scene {
    carols: Application,
    house: House,
    alice: Phone,
    carol: Phone,
    /// Carol's state, in which her codes are new.
    state: Vec<u8>,
    disabled: usize,
    longest: Duration,
}

/// How many accounts there are to be disabled.
const MORE: usize = 80;

impl Scene {
    fn decided_by(decided_by: Decider) -> Self {
        let mut people: Vec<String> = ["alice", "bob", "carol"].map(str::to_string).to_vec();
        people.extend((0..MORE).map(|n| format!("user{n}")));
        let house = House::from_plan(&Plan { people, decided_by, ..Plan::default() });
        let (alice, carol) = (house.enroll("alice"), house.enroll("carol"));
        let mut carols = house.application();
        let earlier = carols.login("code", "carol").authenticate([&carol.in_steps(-1)]);
        assert_eq!(earlier.code, Pam::Success);
        let state = fs::read(house.path(STATE)).unwrap();
        Self { carols, house, alice, carol, state, disabled: 0, longest: Duration::ZERO }
    }

    /// Carol logs in, and an administrator disables an account; neither waits.
    fn others_do_not_wait(&mut self, context: &str) {
        fs::write(self.house.path(STATE), &self.state).unwrap();
        let code = self.carol.now();
        let begun = Instant::now();
        let outcome = self.carols.login("code", "carol").authenticate([&code, &code]);
        self.in_time(begun, &format!("{context}: a login"));
        assert_eq!(outcome.code, Pam::Success, "{context}: {outcome:?}");
        let user = format!("user{}", self.disabled);
        self.disabled += 1;
        self.disables(&user, context);
    }

    fn disables(&mut self, user: &str, context: &str) {
        let begun = Instant::now();
        self.house.run("totp-admin", &["disable", user, "--reason", "left", "--yes"]);
        self.in_time(begun, &format!("{context}: disable {user}"));
    }

    fn in_time(&mut self, begun: Instant, what: &str) {
        let (took, most) = (begun.elapsed(), most());
        self.longest = self.longest.max(took);
        assert!(took < most, "{what} took {took:?}, and {most:?} at the most are right");
    }

    /// Bob's own `su` to alice, at the question for her password.
    fn su(&self, before: &str) -> Su {
        let script = format!("{before} exec su alice -c 'echo in as alice'");
        let mut terminal = self.house.terminal_as("bob", "sh", &["-c", &script]);
        terminal.expect("Password: ");
        Su { pid: Pid::from_raw(i32::try_from(terminal.pid()).unwrap()), terminal }
    }

    /// The whole of it: alice herself, whose code is asked for meanwhile, is disabled.
    fn ends(mut self) {
        self.disables("alice", "at the end");
        self.house.run("totp-admin", &["log", "--verify"]);
        tell(&format!("the longest wait: {:?}", self.longest));
    }
}

/// How long others may take.
fn most() -> Duration {
    let load = fs::read_to_string("/proc/loadavg").unwrap();
    let load: f64 = load.split(' ').next().unwrap().parse().unwrap();
    let processors = std::thread::available_parallelism().unwrap().get();
    if load > processors as f64 { Duration::from_secs(10) } else { Duration::from_millis(2500) }
}

struct Su {
    terminal: Terminal,
    pid: Pid,
}

impl Su {
    /// Gives the password, and this at each prompt for a code, until the end. `true`: it became alice.
    fn ends_with(mut self, code: &str) -> bool {
        while let Some(prompt) = self.terminal.expect_or_end(&["Password: ", CODE, NEXT]) {
            self.terminal.type_line(if prompt == 0 { PASSWORD } else { code });
        }
        self.terminal.wait();
        self.terminal.shown().contains("in as alice")
    }

    /// Goes on to its end with wrong codes, or stops when it is about to make this call for the `nth` time. `true`: it has
    /// stopped.
    fn stops_at(&mut self, call: &str, nth: usize, code: &str) -> bool {
        let tracer = Tracer::of_one_thread(self.pid, call, Signal::SIGSTOP, nth);
        self.terminal.type_line(PASSWORD);
        eventually("su stops or ends", || {
            if tracer.has_stopped() {
                return Some(true);
            }
            if self.terminal.look_for(&[CODE, NEXT]).is_some() {
                self.terminal.type_line(code);
            }
            self.terminal.has_ended().then_some(false)
        })
    }
}

/// Bob stops his `su` before each of the calls by which it speaks to what decides, and lets all of them go on when neither
/// side waits for the other any more.
fn stopped_at_every_call(decided_by: Decider, calls: &[&str]) {
    let mut scene = Scene::decided_by(decided_by);
    let wrong = scene.alice.wrong(0);
    let mut stopped = Vec::new();
    let mut last = Instant::now();
    for call in calls {
        for nth in 1.. {
            let mut su = scene.su("");
            if !su.stops_at(call, nth, &wrong) {
                assert!(nth > 1, "it makes no {call}");
                break;
            }
            last = Instant::now();
            scene.others_do_not_wait(&format!("su stopped at {call} {nth}"));
            stopped.push(su);
        }
    }
    // The daemon has given up those that had said nothing yet (5 s), and they would give up the daemon (3 s).
    std::thread::sleep(Duration::from_secs(6).saturating_sub(last.elapsed()));
    scene.others_do_not_wait("after both deadlines");
    for su in &stopped {
        kill(su.pid, Signal::SIGCONT).unwrap();
    }
    scene.others_do_not_wait("when all go on");
    for su in stopped {
        assert!(!su.ends_with(&wrong));
    }
    scene.ends();
}

#[test]
fn a_su_stopped_at_any_call_delays_nothing_while_the_daemon_is_there() {
    stopped_at_every_call(Decider::Daemon, &["connect", "recvfrom", "sendto"]);
}

#[test]
fn a_su_stopped_at_any_call_delays_nothing_while_the_daemon_is_absent() {
    stopped_at_every_call(Decider::Once, &["clone", "wait4", "recvfrom", "sendto"]);
}

#[test]
fn a_su_frozen_at_any_moment_delays_nothing_and_its_helper_is_in_no_group_of_its() {
    for decided_by in [Decider::Daemon, Decider::Once] {
        let mut scene = Scene::decided_by(decided_by);
        let wrong = scene.alice.wrong(0);
        let mut chance = Chance::new();
        for round in 0..rounds(6, 60) {
            let mut su = scene.su("");
            let Some(freezer) = Freezer::around(su.pid) else {
                leave_out("a frozen su", "no cgroup can be made here");
                return;
            };
            su.terminal.type_line(PASSWORD).expect(CODE);
            let helpers = scene.house.helpers();
            assert_eq!(helpers.len(), usize::from(decided_by == Decider::Once));
            assert!(freezer.holds(su.pid) && !helpers.iter().any(|helper| freezer.holds(*helper)));
            su.terminal.type_line(&wrong);
            let moment = chance.moment(Duration::from_millis(30));
            moment.wait();
            freezer.freeze();
            scene.others_do_not_wait(&format!("frozen {round}, {moment:?}"));
            freezer.thaw();
            assert!(!su.ends_with(&wrong));
        }
        scene.ends();
    }
}

/// What a user can do to a program before it is started.
const BEFORE: [(&str, &str); 8] = [
    ("no file size", "ulimit -f 0;"),
    ("no file size, and no signal of it", "trap '' XFSZ; ulimit -f 0;"),
    ("little memory", "ulimit -v 40000;"),
    ("few descriptors", "ulimit -n 12;"),
    ("no signal of children", "trap '' CHLD;"),
    ("nearly no time", "ulimit -t 1;"),
    ("the lowest priority", "renice -n 19 $$ >/dev/null; chrt --idle --pid 0 $$;"),
    ("one processor", "taskset --pid --cpu-list 0 $$ >/dev/null;"),
];

#[test]
fn a_su_with_limits_delays_nothing_and_its_helper_has_none_of_them() {
    for decided_by in [Decider::Daemon, Decider::Once] {
        let mut scene = Scene::decided_by(decided_by);
        let wrong = scene.alice.wrong(0);
        let ordinary = (decided_by == Decider::Once).then(|| {
            let mut su = scene.su("");
            su.terminal.type_line(PASSWORD).expect(CODE);
            attributes(helper(&scene.house))
        });
        for (what, before) in BEFORE {
            // Where limits can't be raised, in a container, those that could be are what is tried.
            let soft = before.replace("ulimit", "ulimit -S");
            let mut su = scene.su(if may_raise_limits() { before } else { &soft });
            su.terminal.type_line(PASSWORD).expect(CODE);
            if let Some(ordinary) = &ordinary {
                assert_eq!(&attributes(helper(&scene.house)), ordinary, "{what}");
            }
            su.terminal.type_line(&wrong);
            scene.others_do_not_wait(what);
            assert!(!su.ends_with(&wrong), "{what}");
        }
        scene.ends();
    }
}

/// Whether root may raise hard limits here (`CAP_SYS_RESOURCE`).
fn may_raise_limits() -> bool {
    const SYS_RESOURCE: u32 = 24;
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:")).unwrap();
    u64::from_str_radix(effective.trim(), 16).unwrap() >> SYS_RESOURCE & 1 == 1
}

/// The one helper, once earlier ones have ended.
fn helper(house: &House) -> Pid {
    eventually("there is one helper", || match house.helpers()[..] {
        [helper] => Some(helper),
        _ => None,
    })
}

/// Everything of a process that a caller could have changed before it.
fn attributes(process: Pid) -> String {
    let read = |file: &str| fs::read_to_string(format!("/proc/{process}/{file}")).unwrap();
    let stat = read("stat");
    let stat: Vec<&str> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
    // priority, nice, real-time priority, policy (proc(5), fields 18, 19, 40, 41)
    let mut attributes = format!("{:?}\n", [stat[15], stat[16], stat[37], stat[38]]);
    let of_interest = ["Uid:", "Gid:", "Groups:", "SigBlk:", "SigIgn:", "Umask:", "Cpus_allowed:"];
    for line in read("status").lines().filter(|l| of_interest.iter().any(|of| l.starts_with(of))) {
        writeln!(attributes, "{line}").unwrap();
    }
    let limits = read("limits");
    let limits = limits
        .lines()
        .map(|line| if may_raise_limits() { line } else { line.get(..47).unwrap_or(line) });
    limits.for_each(|line| writeln!(attributes, "{line}").unwrap());
    attributes + &read("oom_score_adj")
}

/// Many locks on many files, since the kernel walks all those of one file for each new one.
const LOCKS: &str = "
import fcntl, struct, tempfile
files = [tempfile.TemporaryFile(dir='/home/'+str(__import__('os').getuid())) for _ in range(500)]
for file in files:
    for n in range(1000):
        lock = struct.pack('hhqqi4x', fcntl.F_WRLCK, 0, 2 * n, 1, 0)
        fcntl.fcntl(file, fcntl.F_OFD_SETLK, lock)
print('locked', flush=True)
input()
";

#[test]
fn half_a_million_locks_of_one_process_delay_nothing() {
    for decided_by in [Decider::Daemon, Decider::Once] {
        let mut scene = Scene::decided_by(decided_by);
        let mut command = scene.house.command_as("bob", "python3");
        let mut locker =
            command.args(["-c", LOCKS]).stdin(Stdio::piped()).spawn().expect("python3 is needed");
        let mut said = String::new();
        BufReader::new(locker.stdout.take().unwrap()).read_line(&mut said).unwrap();
        assert_eq!(said, "locked\n");
        scene.others_do_not_wait("beside the locks");
        // And where a lock is waited for, until those who hold it are looked for.
        let state = "/var/lib/pam-totp/state/carol";
        let script = "echo locked; sleep 4";
        let mut holder = scene.house.command("flock");
        let mut holder = holder.args([state, "sh", "-c", script]).spawn().unwrap();
        let mut said = String::new();
        BufReader::new(holder.stdout.take().unwrap()).read_line(&mut said).unwrap();
        fs::write(scene.house.path(STATE), &scene.state).unwrap();
        let code = scene.carol.now();
        let begun = Instant::now();
        let outcome = scene.carols.login("code", "carol").authenticate([&code, &code]);
        assert_eq!(outcome.code, Pam::Success, "{outcome:?}");
        holder.wait().unwrap();
        scene.in_time(begun + Duration::from_secs(4), "a login behind a lock of four seconds");
        locker.kill().unwrap();
        locker.wait().unwrap();
        scene.ends();
    }
}
