//! Invariant 7, as far as it can be seen without a clock: whoever it is, the same is asked, said and returned, and from
//! an answer to what comes next the kernel is asked for the same, so many times. Needs strace. What a clock shows is measured by `make observe`.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use pam_totp_tests::{Application, Decider, House, Outcome, Pam, Plan, eventually};

use crate::limits::limit;

const CONFIG: &str = "[policy]\ndisabled = \"denied\"\nenroll_in = [\"code\"]\n[sms]\ncommand = [\"/bin/true\", \"{phone}\"]\n";

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

/// What strace writes of the program that decides: a file for each thread of the daemon, or for each `totpd --once`.
struct Trace {
    directory: PathBuf,
    decided_by: Decider,
}

impl Trace {
    /// Traces the daemon of this house from now on; `totpd --once` is traced with the application that starts it.
    fn begin(house: &mut House, decided_by: Decider) -> Self {
        let directory = house.disk().join("trace");
        fs::create_dir(&directory).unwrap();
        let trace = Self { directory, decided_by };
        if decided_by == Decider::Daemon {
            let arguments = trace.arguments();
            let arguments = arguments.iter().map(String::as_str);
            let strace: Vec<&str> = ["strace"].into_iter().chain(arguments).collect();
            // One heap: glibc looks into /proc now and then, before it makes a further one smaller.
            house.start_daemon_by(&[("MALLOC_ARENA_MAX", "1")], &strace);
        }
        trace
    }

    /// With -D what is started keeps the process id that it is known by.
    fn arguments(&self) -> Vec<String> {
        let files = self.directory.join("calls").to_str().unwrap().to_owned();
        ["-D", "-ff", "-s", "8", "-o"].map(str::to_owned).into_iter().chain([files]).collect()
    }

    fn application(&self, house: &House) -> Application {
        match self.decided_by {
            Decider::Daemon => house.application(),
            Decider::Once => {
                let arguments = self.arguments();
                let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
                house.application_under("strace", &arguments)
            }
        }
    }

    fn files(&self) -> BTreeMap<PathBuf, String> {
        let files = fs::read_dir(&self.directory).unwrap().flatten();
        files.map(|file| (file.path(), fs::read_to_string(file.path()).unwrap())).collect()
    }

    /// What the kernel is asked for in one login, from each answer to what comes next.
    fn of(&self, log_in: impl FnOnce() -> Outcome) -> (Outcome, Vec<Calls>) {
        let before = self.files();
        let outcome = log_in();
        let steps = eventually("the trace of a login", || {
            let new = self.files().into_iter().map(|(path, text)| {
                let seen = before.get(&path).map_or(0, String::len);
                text[seen..].to_owned()
            });
            // The module receives, too, where it starts the program that decides.
            let decides =
                |text: &String| self.decided_by == Decider::Daemon || text.contains("\nexecveat(");
            new.filter(decides).find_map(|text| steps_of(&text))
        });
        (outcome, steps)
    }
}

/// The steps of a conversation, from the first answer to its end; `None` where its end isn't there.
fn steps_of(text: &str) -> Option<Vec<Calls>> {
    let (_, text) = text.split_once("\nrecvfrom(")?;
    let (connection, text) = text.split_once(',')?;
    let (conversation, _) = text.split_once(&format!("\nclose({connection})"))?;
    // What comes first is the hello; whom it is about is looked up before the prompt, which asks the same of the kernel for
    // no two accounts.
    let answer = format!("\nrecvfrom({connection},");
    Some(
        conversation
            .split(&answer)
            .skip(1)
            .map(|step| step.lines().skip(1).filter_map(call).fold(Calls::new(), counted))
            .collect(),
    )
}

fn counted(mut calls: Calls, call: String) -> Calls {
    *calls.entry(call).or_default() += 1;
    calls
}

/// One call: its name, and how many bytes of a state it moved. Not those that talk (there are more lines of the log for
/// some), ask for memory, let threads wait, or list the outbox, which is the same one for all and longer each time.
fn call(line: &str) -> Option<String> {
    let (name, rest) = line.split_once('(')?;
    let (_, result) = rest.rsplit_once(" = ")?;
    let left_out =
        ["brk", "mmap", "munmap", "mremap", "madvise", "mprotect", "sendto", "futex", "getdents64"];
    // A file that strangers share is locked by the name, place by place.
    let name = if name == "flock" || rest.contains("F_OFD_SETLK") { "lock" } else { name };
    // A record is as long as its user's name makes it.
    let whole_blocks =
        result.parse().is_ok_and(|bytes: u64| bytes > 0 && bytes.is_multiple_of(4096));
    let moves = ["pread64", "pwrite64"].contains(&name) && whole_blocks;
    let bytes = if moves { result } else { "" };
    (!left_out.contains(&name)).then(|| format!("{name} {bytes}"))
}

#[test]
fn a_wrong_answer_makes_the_same_system_calls_whoever_it_is() {
    let decided_by = Decider::usual();
    let mut house = house();
    let trace = Trace::begin(&mut house, decided_by);
    let mut application = trace.application(&house);
    let answers: [&[&str]; 6] = [
        &["123456", "234567"],
        &[JUNK, JUNK],
        &["123456 234567", "K7QM-2XVA-9TRC-HW4E"],
        &["123456 234567 345678", "123456"],
        &["?", "sms", "correct horse", "234567"],
        &["new", "123456", "234567"],
    ];
    for answers in answers {
        let mut calls = |user: &str| {
            let mut log_in = || {
                trace.of(|| application.login("code", user).authenticate(answers.iter().copied()))
            };
            // What is opened once stays open.
            let ((first, _), second) = (log_in(), log_in());
            assert_eq!(first, second.0);
            second
        };
        let expected = calls("enrolled");
        assert_eq!(expected.0.code, Pam::AuthErr, "{expected:?}");
        // Behind the last answer; and behind the last words there is nothing to be found out.
        let last = &expected.1[expected.1.len() - 2];
        assert!(last.contains_key("pwrite64 4096"), "{expected:?}");
        assert!(last.contains_key("clock_nanosleep "), "{expected:?}");
        for user in ENROLLED.into_iter().chain(["stranger", "invited", NOBODY]) {
            assert_eq!(calls(user), expected, "{user}: {answers:?}");
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

#[test]
fn nobody_sees_who_is_enrolled() {
    let house = house();
    let mut application = house.application();
    let wrong = ["123456", "junk"];
    let expected = application.login("code", "enrolled").authenticate(wrong);
    assert_eq!(expected.code, Pam::AuthErr);
    for (user, reason) in [
        ("stranger", "not-enrolled"),
        ("damaged", "record-damaged"),
        ("root", "not-enrolled"),
        (NOBODY, "no-account"),
        ("", "no-account"),
        ("../evil/f", "no-account"),
        ("a b", "no-account"),
        ("\u{e9}", "no-account"),
    ] {
        house.syslog().clear();
        assert_eq!(application.login("code", user).authenticate(wrong), expected, "{user:?}");
        // The log alone has it.
        let lines = house.syslog().module_lines();
        let reasons = lines.iter().filter(|line| line.contains(&format!("reason={reason} ")));
        assert_eq!(reasons.count(), 2, "{user:?}: {lines:#?}");
    }
}
