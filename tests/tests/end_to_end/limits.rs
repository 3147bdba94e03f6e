//! What a process may lack: answers of its disk, memory, descriptors, stack, random bytes. Whatever fails and when, a
//! wrong code lets nobody in, a right one once, no record is damaged, and the owner gets in when it is over.
//!
//! Rust ends the process where an allocation fails: the login whose process that is is refused, and no other.

use std::fs;
use std::io::{Read as _, Write as _};
use std::process::{Command, Stdio};

use nix::errno::Errno;
use pam_totp_tests::{FirstFactor, House, PASSWORD, Pam, Phone, Sshd};

use crate::chance::{rounds, tell};
use crate::misfortune::Misfortune;
use crate::{CODE, NEXT};

const RECORD: &str = "/var/lib/pam-totp/users/alice.toml";
const STATE: &str = "/var/lib/pam-totp/state/alice";
const MEMORY: &str = "/run/pam-totp/alice";

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
    fn new() -> Self {
        let house = House::build();
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

    /// Logs in by a process with these variables; a second prompt is answered with the same.
    fn log_in(&self, variables: &[(String, String)], answer: &str) -> End {
        let mut command = self.house.command("pam-application");
        command.envs(variables.iter().cloned());
        end_of(command, answer)
    }

    /// Whatever became of a login with `code`, it lets in once in all; then the owner gets in with what comes next.
    fn is_whole_after(&self, end: End, code: &str, context: &str) {
        let again = self.log_in(&[], code);
        match (end, again) {
            (End::LetIn, End::LetIn) => panic!("{context}: one code twice"),
            (_, End::LetIn) => {
                assert_ne!(self.log_in(&[], code), End::LetIn, "{context}: one code twice");
            }
            (_, End::Refused(7)) => {}
            _ => panic!("{context}: {end:?}, then {again:?}"),
        }
        let next = format!("{} {}", self.phone.in_steps(3), self.phone.in_steps(4));
        assert_eq!(self.log_in(&[], &next), End::LetIn, "{context}: the owner is kept out");
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

/// Lets each of the calls of one kind fail, at most `most` of them evenly spread, in a login with a right and in one with
/// a wrong code.
fn each_call_fails(what: &str, how: &[(&str, &str)], most: usize) -> Tally {
    let bench = Bench::new();
    let misfortune = Misfortune::befalls(&bench.house);
    assert_eq!(bench.log_in(&Misfortune::variables(what, &[]), &bench.phone.now()), End::LetIn);
    let all = misfortune.counted();
    assert!(all > 20, "{all} calls are too few: is the library there?");
    let step = all.div_ceil(most);
    let mut tally = Tally::default();
    // The last one always, which is behind the decision.
    for at in (1..=all).rev().step_by(step) {
        let at_text = at.to_string();
        let more = [&[("MISFORTUNE_AT", at_text.as_str())], how].concat();
        let variables = Misfortune::variables(what, &more);
        let context = format!("{what} {at} of {all} {how:?}");
        bench.restore();
        let wrong = bench.log_in(&variables, &bench.phone.wrong(0));
        assert_ne!(wrong, End::LetIn, "{context}");
        bench.restore();
        let code = bench.phone.now();
        let end = bench.log_in(&variables, &code);
        tally.count(end);
        bench.is_whole_after(end, &code, &context);
    }
    bench.ends_well();
    tell(&format!("{what}, {all} calls, every {step}th, {how:?}: {tally:?}"));
    tally
}

const EIO: &str = "5";
const ENOSPC: &str = "28";

#[test]
fn wherever_the_disk_fails_once_a_code_is_good_once_and_the_owner_gets_in() {
    let most = rounds(12, usize::MAX);
    for errno in [EIO, ENOSPC] {
        assert_eq!(each_call_fails("files", &[("MISFORTUNE_HOW", errno)], most).died, 0);
    }
}

#[test]
fn wherever_the_disk_begins_to_fail_a_code_is_good_once_and_the_owner_gets_in() {
    let how = [("MISFORTUNE_HOW", EIO), ("MISFORTUNE_LASTING", "1")];
    assert_eq!(each_call_fails("files", &how, rounds(20, usize::MAX)).died, 0);
}

#[test]
fn a_login_killed_at_any_call_on_files_uses_no_code_twice_and_keeps_nobody_out() {
    let tally = each_call_fails("files", &[("MISFORTUNE_HOW", "kill")], rounds(20, usize::MAX));
    assert_eq!(tally.let_in, 0);
}

/// New recovery codes of alice's.
fn recovery_codes(house: &House) -> Vec<String> {
    let arguments = ["recovery-codes", "alice", "--count", "16", "--json", "--yes"];
    let document = house.admin_json(&arguments);
    let codes = document["recovery_codes"].as_array().unwrap();
    codes.iter().map(|code| code.as_str().unwrap().to_owned()).collect()
}

#[test]
fn the_event_of_a_login_killed_at_any_call_on_files_is_on_record_once() {
    let bench = Bench::new();
    let misfortune = Misfortune::befalls(&bench.house);
    let mut codes = recovery_codes(&bench.house);
    let unharmed = bench.log_in(&Misfortune::variables("files", &[]), &codes.pop().unwrap());
    assert_eq!(unharmed, End::LetIn);
    let all = misfortune.counted();
    let mut used = 1;
    for at in (1..=all).step_by(all.div_ceil(rounds(30, usize::MAX))) {
        if codes.len() < 2 {
            codes = recovery_codes(&bench.house);
        }
        let (code, another) = (codes.pop().unwrap(), codes.pop().unwrap());
        let at = at.to_string();
        let how = [("MISFORTUNE_HOW", "kill"), ("MISFORTUNE_AT", &at)];
        assert_eq!(bench.log_in(&Misfortune::variables("files", &how), &code), End::Died);
        // Used by it, or by this one.
        let _ = bench.log_in(&[], &code);
        assert_eq!(bench.log_in(&[], &code), End::Refused(Pam::AuthErr as i32), "one code twice");
        // Whoever gets in next records what the state had to tell.
        assert_eq!(bench.log_in(&[], &another), End::LetIn);
        used += 2;
        let events = bench.house.events();
        let on_record = events.iter().filter(|event| *event == "recovery-code-used").count();
        assert_eq!(on_record, used, "killed at {at} of {all}");
    }
    bench.ends_well();
}

#[test]
fn whichever_allocation_fails_a_code_is_good_once_and_nothing_is_damaged() {
    for lasting in [&[][..], &[("MISFORTUNE_LASTING", "1")]] {
        let tally = each_call_fails("memory", lasting, rounds(25, usize::MAX));
        assert!(tally.let_in > 0 && tally.died > 0, "{tally:?}");
    }
}

#[test]
fn without_memory_sshd_refuses_that_login_and_serves_the_next_one() {
    let house = House::build();
    let phone = house.enroll("alice");
    let _misfortune = Misfortune::befalls(&house);
    let code = phone.now();
    // Behind the loading of the module, before anything is decided; and from there on every allocation.
    let more = [("MISFORTUNE_AT", "250"), ("MISFORTUNE_LASTING", "1")];
    let variables = Misfortune::variables("memory", &more);
    let variables: Vec<(&str, &str)> =
        variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let sshd = Sshd::start_with(&house, FirstFactor::Password, &variables);
    for _ in 0..2 {
        let mut terminal = sshd.connect("alice");
        while let Some(prompt) = terminal.expect_or_end(&["Password: ", CODE, NEXT]) {
            terminal.type_line(if prompt == 0 { PASSWORD } else { &code });
        }
        assert!(!terminal.shown().contains("in as alice"));
    }
    drop(sshd);
    let sshd = Sshd::start(&house, FirstFactor::Password);
    let mut terminal = sshd.connect("alice");
    terminal.expect("Password: ").type_line(PASSWORD).expect(CODE).type_line(&phone.in_steps(1));
    terminal.expect("in as alice");
}

/// Sets a limit of a running process, as its caller could have before.
pub(crate) fn limit(pid: u32, what: &str, value: u64) {
    let arguments = ["--pid", &pid.to_string(), &format!("--{what}={value}:{value}")];
    assert!(Command::new("prlimit").args(arguments).status().unwrap().success());
}

#[test]
fn however_few_descriptors_are_free_the_answer_is_right_or_a_refusal() {
    let bench = Bench::new();
    let mut let_in = 0;
    for free in 0..=20 {
        // Before the call, and once the prompt is there.
        for early in [true, false] {
            let attempt = |code: &str| {
                let mut application = bench.house.application();
                drop(application.login("code", "alice")); // once it answers it is itself
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
            let_in += usize::from(end == End::LetIn);
            bench.is_whole_after(end, &code, &format!("{free} free"));
        }
    }
    bench.ends_well();
    assert!(let_in > 0, "with 20 free there is enough");
}

#[test]
fn however_little_address_space_there_is_the_answer_is_right_or_a_refusal() {
    let bench = Bench::new();
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
fn however_small_the_stack_is_the_answer_is_right_or_the_same_for_all() {
    let bench = Bench::new();
    let mut tally = Tally::default();
    for kib in [16, 24, 32, 48, 64, 96, 128, 256, 512] {
        let attempt = |code: &str| {
            let mut command = bench.house.command("prlimit");
            command.args([&format!("--stack={}", kib * 1024), "pam-application"]);
            end_of(command, code)
        };
        bench.restore();
        let wrong = attempt(&bench.phone.wrong(0));
        assert_ne!(wrong, End::LetIn, "{kib} KiB");
        let code = bench.phone.now();
        let end = attempt(&code);
        // Whoever is let in is the only one who can be told from the others.
        assert!(end == wrong || end == End::LetIn, "{kib} KiB: {end:?}, a wrong code {wrong:?}");
        tally.count(end);
        bench.is_whole_after(end, &code, &format!("{kib} KiB"));
    }
    tell(&format!("{tally:?}"));
    assert!(tally.let_in > 0, "half a mebibyte is enough");
}

#[test]
fn without_random_bytes_right_and_wrong_are_refused_alike_and_nothing_is_used_up() {
    let bench = Bench::new();
    let _misfortune = Misfortune::befalls(&bench.house);
    let variables = Misfortune::without_random(Errno::EPERM as i32);
    let code = bench.phone.now();
    // The kernel has a file for those who may not make the call.
    let hidden = bench.house.path("/dev/urandom");
    fs::rename(&hidden, hidden.with_file_name("away")).unwrap();
    let right = bench.log_in(&variables, &code);
    assert_eq!(right, bench.log_in(&variables, &bench.phone.wrong(0)));
    assert_eq!(right, End::Refused(Pam::SystemErr as i32));
    let lines = bench.house.syslog().module_lines();
    assert!(lines.iter().any(|line| line.contains("random")), "{lines:#?}");
    fs::rename(hidden.with_file_name("away"), &hidden).unwrap();
    assert_eq!(bench.log_in(&variables, &code), End::LetIn);
}
