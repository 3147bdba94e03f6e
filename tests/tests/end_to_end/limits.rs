//! What totpd may lack: answers of its disk, memory, random bytes. Whatever fails and when, a wrong code lets nobody in, a
//! right one once, no record is damaged, and the owner gets in when it is over. And what its caller may lack or may have
//! ignored, which is nothing to totpd.
//!
//! What fails is preloaded into the daemon, so these tests start one: the environment of `totpd --once` is empty. Rust ends
//! the process where an allocation fails; where the daemon ends before an answer was sent, `totpd --once` decides.

use std::fs;
use std::io::{Read as _, Write as _};
use std::process::{Command, Stdio};

use nix::errno::Errno;
use pam_totp_tests::{Application, Decider, House, Pam, Phone, Plan};

use crate::chance::{rounds, tell};
use crate::misfortune::{Blow, Misfortune};
use crate::{CODE, NEXT};

const RECORD: &str = "/var/lib/pam-totp/users/alice.toml";
const STATE: &str = "/var/lib/pam-totp/state/alice";
const MEMORY: &str = "/run/pam-totp/state/alice";

/// What became of a login in a process of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    LetIn,
    /// With a code of libpam's.
    Refused(i32),
    /// The process ended without an answer.
    Died,
}

/// Alice's house, and her files as they were.
struct Bench {
    house: House,
    phone: Phone,
    record: Vec<u8>,
    state: Vec<u8>,
}

impl Bench {
    fn new(decided_by: Decider) -> Self {
        let house = House::from_plan(&Plan { decided_by, ..Plan::default() });
        let phone = house.enroll("alice");
        let mut application = house.application();
        let earlier = application.login("code", "alice").authenticate([&phone.in_steps(-1)]);
        assert_eq!(earlier.code, Pam::Success);
        drop(application);
        let [record, state] = [RECORD, STATE].map(|file| fs::read(house.path(file)).unwrap());
        Self { house, phone, record, state }
    }

    /// Her state as it was, so that the same codes are new again.
    fn restore(&self) {
        fs::write(self.house.path(STATE), &self.state).unwrap();
        let _ = fs::remove_file(self.house.path(MEMORY));
    }

    /// Logs in by a process of its own; a second prompt is answered with the same.
    fn log_in(&self, answer: &str) -> End {
        end_of(self.house.command("pam-application"), answer)
    }

    /// Whatever became of a login with `code`, it lets in once in all; then the owner gets in with what comes next.
    fn is_whole_after(&self, end: End, code: &str, context: &str) {
        let again = self.log_in(code);
        match (end, again) {
            (End::LetIn, End::LetIn) => panic!("{context}: one code twice"),
            (_, End::LetIn) => {
                assert_ne!(self.log_in(code), End::LetIn, "{context}: one code twice");
            }
            (_, End::Refused(7)) => {}
            _ => panic!("{context}: {end:?}, then {again:?}"),
        }
        assert_eq!(
            self.log_in(&self.phone.pair_in_steps(3)),
            End::LetIn,
            "{context}: the owner is kept out"
        );
        assert_eq!(fs::read(self.house.path(RECORD)).unwrap(), self.record, "{context}");
    }

    /// Everything that was done in the house together.
    fn ends_well(&self) {
        self.house.run("totp-admin", &["log", "--verify"]);
        let _ = self.house.admin_json(&["show", "alice", "--json"]);
    }
}

/// One login by this process, whatever becomes of it.
fn end_of(mut command: Command, answer: &str) -> End {
    let mut child = command.stdin(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    // All at once; where it ends before it has read it, that is an answer too.
    let input = format!(
        "start code alice\nitem rhost 192.0.2.1\nitem tty ssh\nauth 0\nsay {0}\nsay {0}\n",
        answer.replace(' ', "%20")
    );
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let mut said = String::new();
    child.stdout.take().unwrap().read_to_string(&mut said).unwrap();
    child.wait().unwrap();
    let results: Vec<&str> = said.lines().filter_map(|line| line.strip_prefix("= ")).collect();
    match results.get(3).and_then(|result| result.split(' ').next()) {
        None => End::Died,
        Some("0") => End::LetIn,
        Some(code) => End::Refused(code.parse().unwrap()),
    }
}

/// How a sequence of logins ended, for docs/reliability.md.
#[derive(Debug, Default)]
struct Tally {
    let_in: usize,
    refused: usize,
    died: usize,
}

impl Tally {
    fn count(&mut self, end: End) {
        *match end {
            End::LetIn => &mut self.let_in,
            End::Refused(_) => &mut self.refused,
            End::Died => &mut self.died,
        } += 1;
    }
}

/// A daemon of which calls of one kind fail.
struct Struck {
    bench: Bench,
    misfortune: Misfortune,
    what: &'static str,
    /// How often the daemon ended of it.
    ended: usize,
}

impl Struck {
    fn new(what: &'static str) -> Self {
        let bench = Bench::new(Decider::usual());
        let misfortune = Misfortune::befalls(&bench.house);
        let mut struck = Self { bench, misfortune, what, ended: 0 };
        struck.start_daemon();
        struck
    }

    fn start_daemon(&mut self) {
        self.bench.house.start_daemon_by(&Misfortune::of_a_daemon(self.what), &[]);
    }

    /// How many calls a login with this code makes that can fail.
    fn calls_of(&mut self, code: &str) -> usize {
        self.misfortune.strike(0, Blow::None);
        assert_eq!(self.bench.log_in(code), End::LetIn);
        let all = self.misfortune.relent();
        assert!(all > 20, "{all} calls are too few: is the library there?");
        all
    }

    /// A login of which this call is struck. Afterwards there is a daemon again.
    fn log_in(&mut self, at: usize, blow: Blow, code: &str) -> End {
        self.misfortune.strike(at, blow);
        let end = self.bench.log_in(code);
        self.misfortune.relent();
        if !self.bench.house.daemon_answers() {
            self.ended += 1;
            self.start_daemon();
        }
        end
    }
}

/// Lets each of the calls of one kind fail, at most `most` of them evenly spread, in a login with a right and in one with
/// a wrong code. The program that asks lives on in any case; the dead are daemons.
fn each_call_fails(what: &'static str, blow: Blow, most: usize) -> Tally {
    let mut struck = Struck::new(what);
    let code = struck.bench.phone.now();
    let all = struck.calls_of(&code);
    let step = all.div_ceil(most);
    let mut tally = Tally::default();
    // The last one always, which is behind the decision.
    for at in (1..=all).rev().step_by(step) {
        let context = format!("{what} {at} of {all} {blow:?}");
        struck.bench.restore();
        let wrong = struck.log_in(at, blow, &struck.bench.phone.wrong(0));
        assert!(matches!(wrong, End::Refused(_)), "{context}: {wrong:?}");
        struck.bench.restore();
        let code = struck.bench.phone.now();
        let end = struck.log_in(at, blow, &code);
        assert_ne!(end, End::Died, "{context}: the program that asks");
        tally.count(end);
        struck.bench.is_whole_after(end, &code, &context);
    }
    struck.bench.ends_well();
    tally.died = struck.ended;
    tell(&format!("{what}, {all} calls, every {step}th, {blow:?}: {tally:?}"));
    tally
}

#[test]
fn wherever_the_disk_fails_once_a_code_is_good_once_and_the_owner_gets_in() {
    let most = rounds(12, usize::MAX);
    for errno in [Errno::EIO, Errno::ENOSPC] {
        assert_eq!(each_call_fails("files", Blow::Once(errno as i32), most).died, 0);
    }
}

#[test]
fn wherever_the_disk_begins_to_fail_a_code_is_good_once_and_the_owner_gets_in() {
    let blow = Blow::Lasting(Errno::EIO as i32);
    assert_eq!(each_call_fails("files", blow, rounds(20, usize::MAX)).died, 0);
}

#[test]
fn a_daemon_killed_at_any_call_on_files_uses_no_code_twice_and_keeps_nobody_out() {
    let tally = each_call_fails("files", Blow::Kill, rounds(20, usize::MAX));
    // Before the answer was sent another one decides, and behind it none.
    assert!(tally.let_in > 0 && tally.refused > 0, "{tally:?}");
    assert!(tally.died >= 2 * tally.refused, "{tally:?}");
}

/// New recovery codes of alice's.
fn recovery_codes(house: &House) -> Vec<String> {
    let arguments = ["recovery-codes", "alice", "--count", "16", "--json", "--yes"];
    let document = house.admin_json(&arguments);
    let codes = document["recovery_codes"].as_array().unwrap();
    codes.iter().map(|code| code.as_str().unwrap().to_owned()).collect()
}

#[test]
fn the_event_of_a_login_whose_daemon_is_killed_at_any_call_on_files_is_on_record_once() {
    let mut struck = Struck::new("files");
    let mut codes = recovery_codes(&struck.bench.house);
    let all = struck.calls_of(&codes.pop().unwrap());
    let mut used = 1;
    for at in (1..=all).step_by(all.div_ceil(rounds(30, usize::MAX))) {
        if codes.len() < 2 {
            codes = recovery_codes(&struck.bench.house);
        }
        let (code, another) = (codes.pop().unwrap(), codes.pop().unwrap());
        let end = struck.log_in(at, Blow::Kill, &code);
        let bench = &struck.bench;
        // Used by it, or by this one.
        assert!(!(bench.log_in(&code) == End::LetIn && end == End::LetIn), "one code twice");
        assert_eq!(bench.log_in(&code), End::Refused(Pam::AuthErr as i32), "one code twice");
        // Whoever gets in next records what the state had to tell.
        assert_eq!(bench.log_in(&another), End::LetIn);
        used += 2;
        let events = bench.house.events();
        let on_record = events.iter().filter(|event| *event == "recovery-code-used").count();
        assert_eq!(on_record, used, "killed at {at} of {all}");
    }
    assert!(struck.ended > 0);
    struck.bench.ends_well();
}

#[test]
fn whichever_allocation_fails_a_code_is_good_once_and_nothing_is_damaged() {
    for blow in [Blow::Once, Blow::Lasting] {
        let tally = each_call_fails("memory", blow(Errno::ENOMEM as i32), rounds(25, usize::MAX));
        assert!(tally.let_in > 0 && tally.died > 0, "{tally:?}");
    }
}

/// Sets a limit of a running process, as its caller could have before.
pub(crate) fn limit(pid: u32, what: &str, value: u64) {
    let arguments = ["--pid", &pid.to_string(), &format!("--{what}={value}:{value}")];
    assert!(Command::new("prlimit").args(arguments).status().unwrap().success());
}

/// What a caller can do to its process before the module is asked, and that is nothing to totpd. `ulimit -X` is a limit that
/// can be raised again.
const CALLERS: [&str; 9] = [
    "ulimit -X -f 0; trap '' XFSZ",
    "ulimit -X -v 16384",
    "ulimit -X -n 16",
    "ulimit -X -s 64",
    "ulimit -X -t 5",
    "trap '' CHLD",
    "trap '' HUP INT QUIT PIPE ALRM TERM USR1 USR2 TSTP TTIN TTOU",
    "umask 0777; cd /proc/self",
    "export LC_ALL=xx LANG=tr_TR.UTF-8 TZ=/nonexistent RUST_BACKTRACE=full",
];

/// Root lowers its limits for good, and raises them again, unless it is a container's without `CAP_SYS_RESOURCE`: there
/// `totpd --once` stays below them, and denies, so the present limit alone is lowered.
pub(crate) fn lowered(setting: &str, decided_by: Decider) -> String {
    const SYS_RESOURCE: u64 = 1 << 24;
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:")).unwrap();
    let may_raise = u64::from_str_radix(effective.trim(), 16).unwrap() & SYS_RESOURCE != 0;
    let how = if may_raise || decided_by == Decider::Daemon { "-HS" } else { "-S" };
    setting.replace("-X", how)
}

fn application_after(house: &House, setting: &str, decided_by: Decider) -> Application {
    let setting = lowered(setting, decided_by);
    house.application_under("sh", &["-c", &format!("{setting}; exec \"$0\"")])
}

#[test]
fn whatever_a_caller_limits_or_ignores_a_right_code_logs_in_once_and_a_wrong_one_does_not() {
    for decided_by in [Decider::Daemon, Decider::Once] {
        let bench = Bench::new(decided_by);
        for setting in CALLERS {
            bench.restore();
            let mut application = application_after(&bench.house, setting, decided_by);
            let mut log_in =
                |answers: [&String; 2]| application.login("code", "alice").authenticate(answers);
            let wrong = log_in([&bench.phone.wrong(0), &bench.phone.wrong(1)]);
            assert_eq!(
                (wrong.code, wrong.prompts()),
                (Pam::AuthErr, vec![CODE, NEXT]),
                "{decided_by:?}, {setting}: {wrong:?}"
            );
            let code = bench.phone.now();
            let right = log_in([&code, &code]);
            assert_eq!(right.code, Pam::Success, "{decided_by:?}, {setting}: {right:?}");
            let again = log_in([&code, &code]);
            assert_eq!(again.code, Pam::AuthErr, "{decided_by:?}, {setting}: {again:?}");
        }
        bench.ends_well();
    }
}

#[test]
fn however_few_descriptors_are_free_the_answer_is_right_or_a_refusal() {
    let bench = Bench::new(Decider::usual());
    let mut let_in = 0;
    for free in 0..=20 {
        // Before the call, and once the prompt is there.
        for early in [true, false] {
            let attempt = |code: &str| {
                let mut application = bench.house.application();
                application.log("keeps its connection to syslog, so that what it is told is seen"); // and is itself
                let pid = application.pid();
                let used = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count();
                let limited = || limit(pid, "nofile", u64::try_from(used + free).unwrap());
                let mut login = application.login("code", "alice");
                if early {
                    limited();
                    return login.authenticate([code, code]).code;
                }
                assert_eq!(login.begin("auth 0").hear().prompt(), Some(CODE));
                limited();
                login.answer(code);
                login.rest([code]).code
            };
            bench.restore();
            assert_ne!(attempt(&bench.phone.wrong(0)), Pam::Success, "{free} free");
            let code = bench.phone.now();
            let end = match attempt(&code) {
                Pam::Success => End::LetIn,
                other => End::Refused(other as i32),
            };
            // Behind the prompt the daemon is there already.
            if !early && Decider::usual() == Decider::Daemon {
                let log = bench.house.syslog().lines();
                // With none at all libpam refuses by itself, where the kernel has audit: it can't open its socket.
                let by_libpam =
                    free == 0 && log.iter().any(|line| line.contains("audit_open() failed"));
                assert!(end == End::LetIn || by_libpam, "{free} free: {log:#?}");
            }
            let_in += usize::from(end == End::LetIn);
            bench.is_whole_after(end, &code, &format!("{free} free"));
        }
    }
    bench.ends_well();
    assert!(let_in > 0, "with 20 free there is enough");
}

#[test]
fn however_little_address_space_there_is_the_answer_is_right_or_a_refusal() {
    let bench = Bench::new(Decider::usual());
    let mut tally = Tally::default();
    // The application alone takes about 4 MiB: with half of it it ends, with twice as much there is enough.
    for kib in (2048..=8192).step_by(rounds(512, 32)) {
        let attempt = |code: &str| {
            let mut command = bench.house.command("prlimit");
            command.args([&format!("--as={}", kib * 1024), "pam-application"]);
            end_of(command, code)
        };
        bench.restore();
        assert_ne!(attempt(&bench.phone.wrong(0)), End::LetIn, "{kib} KiB");
        let code = bench.phone.now();
        let end = attempt(&code);
        tally.count(end);
        bench.is_whole_after(end, &code, &format!("{kib} KiB"));
    }
    tell(&format!("{tally:?}"));
    bench.ends_well();
    assert!(tally.let_in > 0 && tally.died + tally.refused > 0, "{tally:?}");
}

#[test]
fn however_small_the_stack_is_the_answer_is_right_or_a_refusal() {
    let bench = Bench::new(Decider::usual());
    let mut tally = Tally::default();
    for kib in [16, 24, 32, 48, 64, 96, 128, 256, 512] {
        let attempt = |code: &str| {
            let mut command = bench.house.command("sh");
            let limit = lowered(&format!("ulimit -X -s {kib}"), Decider::usual());
            command.args(["-c", &format!("{limit}; exec pam-application")]);
            end_of(command, code)
        };
        bench.restore();
        let wrong = attempt(&bench.phone.wrong(0));
        assert_ne!(wrong, End::LetIn, "{kib} KiB");
        let code = bench.phone.now();
        let end = attempt(&code);
        // Below it libpam and the program itself have too little, now and then: a part of the stack is random.
        if kib >= 64 {
            assert_eq!((wrong, end), (End::Refused(Pam::AuthErr as i32), End::LetIn), "{kib} KiB");
        }
        tally.count(end);
        bench.is_whole_after(end, &code, &format!("{kib} KiB"));
    }
    tell(&format!("{tally:?}"));
}

#[test]
fn without_random_bytes_right_and_wrong_are_refused_alike_and_nothing_is_used_up() {
    let mut bench = Bench::new(Decider::usual());
    let _misfortune = Misfortune::befalls(&bench.house);
    let errno = (Errno::EPERM as i32).to_string();
    bench.house.start_daemon_by(&Misfortune::without_random(&errno), &[]);
    let code = bench.phone.now();
    // The kernel has a file for those who may not make the call.
    let hidden = bench.house.path("/dev/urandom");
    fs::rename(&hidden, hidden.with_file_name("away")).unwrap();
    let right = bench.log_in(&code);
    assert_eq!(right, bench.log_in(&bench.phone.wrong(0)));
    assert_eq!(right, End::Refused(Pam::SystemErr as i32));
    let lines = bench.house.syslog().module_lines();
    assert!(lines.iter().any(|line| line.contains("random")), "{lines:#?}");
    fs::rename(hidden.with_file_name("away"), &hidden).unwrap();
    assert_eq!(bench.log_in(&code), End::LetIn);
}
