//! Invariant 7, as far as it can be seen without a clock: whoever it is, the same is asked, said and returned, and from
//! an answer to what comes next the kernel is asked for the same, so many times. Needs strace. What a clock shows is measured by `make observe`.

use std::collections::BTreeMap;
use std::fs;

use pam_totp_tests::{House, Outcome, Pam, Plan};

use crate::limits::limit;

const CONFIG: &str =
    "[policy]\ndisabled = \"denied\"\n[sms]\ncommand = [\"/bin/true\", \"{phone}\"]\n";

const ENROLLED: [&str; 7] =
    ["enrolled", "guessed", "disabled", "damaged", "several", "bypassed", "codeless"];

/// One name more, and no account.
const NOBODY: &str = "nobodyis";

/// What sshd sends in the place of an answer for whom it refuses.
const JUNK: &str = "\u{8}\n\r\u{7f}INCORRECT";

/// Somebody of each kind that nobody may tell from the others.
fn house() -> House {
    let people = ENROLLED.into_iter().chain(["stranger", "invited"]).map(str::to_string).collect();
    let house = House::from_plan(&Plan { people, config: Some(CONFIG.into()), ..Plan::default() });
    for user in ENROLLED {
        if user == "codeless" {
            house.configure(&format!("{CONFIG}[recovery]\nmode = \"off\"\n"));
        }
        let _phone = house.enroll(user);
    }
    house.configure(CONFIG);
    let _ = house.admin_json(&["bypass-code", "bypassed", "--json"]);
    let _ = house.admin_json(&["disable", "disabled", "--reason", "left", "--yes", "--json"]);
    fs::write(house.path("/var/lib/pam-totp/users/damaged.toml"), "garbage").unwrap();
    let _ = house.admin_json(&["enroll", "invited", "--at-login", "--json"]);
    let add = ["enroll", "several", "--add", "--name", "tablet", "--json", "--no-confirm"];
    let _ = house.admin_json(&add);
    let mut application = house.application();
    for nth in 0..80 {
        let (one, other) = (format!("{:06}", 2 * nth), format!("{:06}", 2 * nth + 1));
        let _ = application.login("code", "guessed").authenticate([&one, &other]);
    }
    house
}

/// How often the kernel is asked for what.
type Calls = BTreeMap<String, usize>;

/// Logs in with wrong answers, twice in one process; of the second time, what the kernel is asked for between one prompt
/// or message and the next.
fn calls(house: &House, user: &str, answers: &[&str]) -> (Outcome, Vec<Calls>) {
    let file = house.disk().join(format!("calls-of-{user}"));
    let mut application =
        house.application_under("strace", &["-s", "8", "-o", file.to_str().unwrap()]);
    let mut log_in = || application.login("code", user).authenticate(answers.iter().copied());
    let (first, outcome) = (log_in(), log_in());
    assert_eq!(first, outcome);
    let seen = outcome.prompts().len();
    assert_eq!(application.finish(), 0);
    let traced = fs::read_to_string(file).unwrap();
    let said: Vec<&str> = traced.split("\nwrite(1, ").collect();
    // Asked, told and returned, of two logins: behind each prompt comes what its answer made the module do.
    let steps = said.iter().skip(1).filter(|step| step.starts_with("\"ask "));
    let steps: Vec<Calls> = steps
        .map(|step| {
            step.lines().skip(1).filter_map(call).fold(Calls::new(), |mut calls, call| {
                *calls.entry(call).or_default() += 1;
                calls
            })
        })
        .collect();
    assert_eq!(steps.len(), 2 * seen, "{traced}");
    (outcome, steps[seen..].to_vec())
}

/// One call: its name, and how many bytes of a state it moved. Not those that write the log, or ask for memory, or list
/// the outbox, which is the same one for all and longer each time; nor what the application does itself.
fn call(line: &str) -> Option<String> {
    let (name, rest) = line.split_once('(')?;
    let (_, result) = rest.rsplit_once(" = ")?;
    let left_out = ["brk", "mmap", "munmap", "mremap", "madvise", "sendto", "getdents64"];
    let ours = !rest.starts_with("0, ") && !left_out.contains(&name);
    // A file that strangers share is locked by the name, place by place.
    let name = if name == "flock" || rest.contains("F_OFD_SETLK") { "lock" } else { name };
    // A record is as long as its user's name makes it.
    let whole_blocks =
        result.parse().is_ok_and(|bytes: u64| bytes > 0 && bytes.is_multiple_of(4096));
    let moves = ["pread64", "pwrite64"].contains(&name) && whole_blocks;
    let bytes = if moves { result } else { "" };
    ours.then(|| format!("{name} {bytes}"))
}

#[test]
fn a_wrong_answer_makes_the_same_system_calls_whoever_it_is() {
    let house = house();
    let answers: [&[&str]; 6] = [
        &["123456", "234567"],
        &[JUNK, JUNK],
        &["123456 234567", "K7QM-2XVA-9TRC-HW4E"],
        &["123456 234567 345678", "123456"],
        &["?", "sms", "correct horse", "234567"],
        &["new", "123456", "234567"],
    ];
    for answers in answers {
        let expected = calls(&house, "enrolled", answers);
        assert_eq!(expected.0.code, Pam::AuthErr, "{expected:?}");
        let last = expected.1.last().unwrap();
        assert!(last.contains_key("pwrite64 4096"), "{last:?}");
        assert!(last.contains_key("clock_nanosleep "), "{last:?}");
        for user in ENROLLED.into_iter().chain(["stranger", "invited", NOBODY]) {
            assert_eq!(calls(&house, user, answers), expected, "{user}: {answers:?}");
        }
    }
}

#[test]
fn however_few_descriptors_are_free_nobody_is_told_from_the_others() {
    let house = house();
    for free in 0..=8 {
        let outcome = |user| {
            let mut application = house.application();
            // Once it answers it is itself; and the connection to syslog stays open from the first line on.
            let _ = application.login("code", NOBODY).authenticate(["123456", "234567"]);
            let pid = application.pid();
            let mut login = application.login("code", user);
            assert!(login.begin("auth 0").hear().prompt().is_some());
            let used = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count();
            // Some of those that are open have high numbers, and don't count.
            limit(pid, "nofile", u64::try_from(used + free - 3).unwrap());
            login.answer("123456");
            login.rest(["234567"])
        };
        let expected = outcome("enrolled");
        for user in ENROLLED.into_iter().chain(["stranger", "invited", NOBODY]) {
            assert_eq!(outcome(user), expected, "{user}, {free} free");
        }
    }
}

#[test]
fn where_run_cannot_be_trusted_nobody_is_told_from_the_others() {
    let house = house();
    house.run("chmod", &["0777", "/run/pam-totp"]);
    let outcome = |user| house.application().login("code", user).authenticate(["123456", "234567"]);
    let expected = outcome("enrolled");
    assert_eq!(expected.code, Pam::SystemErr);
    for user in ENROLLED.into_iter().chain(["stranger", "invited", NOBODY]) {
        assert_eq!(outcome(user), expected, "{user}");
    }
}
