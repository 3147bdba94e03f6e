//! `kill -9` at random instants of the command and the agent: a record is the old or the new one, what was changed was
//! recorded before, nothing is damaged, whoever is enrolled gets in once a code, whoever isn't gets nowhere, and
//! everybody is told of everything in the end, however often the delivery was killed.

use std::collections::BTreeSet;
use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use pam_totp_tests::{Agent, House, Outcome, Pam, Phone, Plan, program};

use crate::chance::{Chance, rounds, tell};
use crate::misfortune::Misfortune;

const STATE: &str = "/var/lib/pam-totp";

/// What is killed. The second word is who; `bob` stands for the other name of whoever is renamed.
const COMMANDS: [&[&str]; 11] = [
    &["enroll", "alice", "--replace", "--json", "--no-confirm"],
    &["enroll", "alice", "--add", "--name", "tablet", "--json", "--no-confirm"],
    &["disable", "alice", "--reason", "phone stolen", "--yes"],
    &["reset", "alice", "--yes"],
    &["remove", "alice", "--yes"],
    &["rename", "alice", "bob", "--yes"],
    &["recovery-codes", "alice", "--yes"],
    &["bypass-code", "alice", "--yes"],
    &["contact", "alice", "--email", "alice@example.org"],
    &["unlock", "alice"],
    &["repair", "alice", "--yes"],
];

struct Torture {
    house: House,
    chance: Chance,
    killed: usize,
    changed: usize,
    agents_killed: usize,
}

impl Torture {
    fn begin() -> Self {
        let plan = Plan { people: vec!["alice".to_owned()], ..Plan::default() };
        let house = House::from_plan(&plan);
        let sendmail =
            program(&house, "cat >/run/got/part.$$ && mv /run/got/part.$$ /run/got/mail.$$");
        house.run("mkdir", &["/run/got"]);
        house.configure(&format!(
            "[mail]\ndefault_to = \"{{user}}@example.com\"\nsendmail = {sendmail:?}\n"
        ));
        // Who isn't asked gets in here without a prompt.
        house.stack(
            "open",
            "auth required pam_totp.so nodelay\nauth required pam_permit.so\naccount required pam_permit.so\n",
        );
        Self { house, chance: Chance::new(), killed: 0, changed: 0, agents_killed: 0 }
    }

    /// Enrolls alice anew, under her own name alone.
    fn settle(&self) {
        if account_is_called(&self.house, "alice") {
            // By the name that the account has: no command erases what an account of another name logs in with.
            account_is_called(&self.house, "bob");
            self.house.attempt("totp-admin", &["remove", "bob", "--yes"]);
            account_is_called(&self.house, "alice");
        }
        self.house.run("totp-admin", &["enroll", "alice", "--replace", "--json", "--no-confirm"]);
    }

    /// Alice is enrolled, and a command is about to be run; how long the permanent record is.
    fn prepare(&self, arguments: &[&str]) -> (Command, usize) {
        self.settle();
        // Who renames an account renames it in the name service first.
        account_is_called(&self.house, if arguments[0] == "rename" { "bob" } else { "alice" });
        let mut command = self.house.command("totp-admin");
        command.args(arguments).stdout(Stdio::null()).stderr(Stdio::null());
        (command, self.house.records().len())
    }

    /// A command is killed at some instant, and sometimes the agent behind it.
    fn round(&mut self, arguments: &[&str], longest: Duration) {
        let (mut command, before) = self.prepare(arguments);
        let moment = self.chance.moment(longest);
        let mut child = command.spawn().unwrap();
        moment.wait();
        let _ = child.kill();
        let _ = child.wait();
        self.killed += 1;
        if self.chance.once_in(4) {
            let agent = Agent::begin(&self.house);
            self.chance.moment(Duration::from_millis(100)).wait();
            agent.kill();
            self.agents_killed += 1;
        }
        self.is_whole(arguments, before);
    }

    /// A command of which calls on files fail, or which is killed in the place of one: in each of them, one after the other.
    fn each_call(&mut self, arguments: &[&str], how: &[(&str, &str)], most: usize) {
        let misfortune = Misfortune::befalls(&self.house);
        let (mut command, _) = self.prepare(arguments);
        command.envs(Misfortune::of_a_command(&[]));
        assert!(command.status().unwrap().success(), "{arguments:?}");
        let all = misfortune.counted();
        for at in (1..=all).step_by(all.div_ceil(most)) {
            let (mut command, before) = self.prepare(arguments);
            let at = at.to_string();
            let more = [how, &[("MISFORTUNE_AT", &at)]].concat();
            let status = command.envs(Misfortune::of_a_command(&more)).status().unwrap();
            self.killed += usize::from(status.code().is_none());
            self.is_whole(arguments, before);
        }
    }

    /// Whatever was killed and whenever: everything can be read, and the login does as the record says.
    fn is_whole(&mut self, arguments: &[&str], before: usize) {
        let house = &self.house;
        house.run("totp-admin", &["log", "--verify"]);
        let all = house.admin_json(&["list", "--json"]);
        let who = all.as_array().unwrap().iter().find(|user| {
            ["alice", "bob"].contains(&user["user"].as_str().unwrap())
                && user["status"] != "missing"
        });
        let (name, status) = who.map_or(("alice", "missing"), |user| {
            (user["user"].as_str().unwrap(), user["status"].as_str().unwrap())
        });
        // Lines too many are harmless.
        let found = house.attempt("totp-admin", &["status", "--json"]).stdout;
        let found = String::from_utf8(found).unwrap();
        assert!(!found.contains("not in it"), "{arguments:?}: {found}");
        // What the command had done was on record before.
        let recorded: BTreeSet<String> = house.events().split_off(before).into_iter().collect();
        let needs = match (arguments[0], status, name) {
            ("disable", "disabled", _) => Some("disabled"),
            ("reset", "pending", _) => Some("reset"),
            ("remove", "missing", _) => Some("removed"),
            ("rename", "active", "bob") => Some("renamed"),
            (_, "active", "alice") => None,
            other => panic!("{arguments:?} led to {other:?}"),
        };
        if let Some(event) = needs {
            assert!(recorded.contains(event), "{arguments:?}: {recorded:?}");
            self.changed += 1;
        }
        account_is_called(house, name);
        match status {
            "active" => lets_in_once(house, name),
            "disabled" => {
                let outcome = log_in(house, name, ["", ""]);
                assert_eq!((outcome.code, outcome.prompts().len()), (Pam::Success, 0));
            }
            _ => assert_eq!(log_in(house, name, ["123456", "234567"]).code, Pam::AuthErr),
        }
    }

    /// With nothing killed any more, everybody is told of everything, and what is left over is swept away.
    fn ends_well(&self) -> usize {
        let left = left_over(&self.house);
        for file in &left {
            let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
            fs::File::open(file).unwrap().set_modified(long_ago).unwrap();
        }
        self.house.attempt("totp-admin", &["unlock", "alice"]);
        self.house.run("totp-admin", &["outbox", "flush"]);
        assert_eq!(left_over(&self.house), Vec::<std::path::PathBuf>::new());
        let waiting = self.house.admin_json(&["outbox", "list", "--json"]);
        assert_eq!(waiting, serde_json::json!([]), "something waits still");
        let records = self.house.records();
        let told = ["delivered", "undelivered"];
        let due: Vec<u64> = records
            .iter()
            .filter(|r| !told.contains(&r["event"].as_str().unwrap()))
            .map(|r| r["seq"].as_u64().unwrap())
            .collect();
        let mut delivered: Vec<u64> = records
            .iter()
            .filter(|record| record["event"] == "delivered")
            .map(|record| record["of"].as_u64().unwrap())
            .collect();
        delivered.sort_unstable();
        assert_eq!(delivered, due, "each is delivered, and recorded once");
        let mails = fs::read_dir(self.house.path("/run/got")).unwrap().count();
        assert!(mails >= due.len());
        left.len()
    }
}

/// Gives the one account a name; whether it had another.
fn account_is_called(house: &House, name: &str) -> bool {
    let passwd = house.path("/etc/passwd");
    let text = fs::read_to_string(&passwd).unwrap();
    let other = if name == "alice" { "bob" } else { "alice" };
    let renamed = text.replace(&format!("{other}:x:"), &format!("{name}:x:"));
    fs::write(&passwd, &renamed).unwrap();
    renamed != text
}

fn log_in(house: &House, name: &str, answers: [&str; 2]) -> Outcome {
    house.application().login("open", name).authenticate(answers)
}

/// The code of the authenticator in the record lets in, and not again.
fn lets_in_once(house: &House, name: &str) {
    let record = fs::read_to_string(house.path(STATE).join(format!("users/{name}.toml")))
        .or_else(|_| fs::read_to_string(house.path(STATE).join("users/alice.toml")))
        .unwrap();
    let line = record.lines().find_map(|line| line.strip_prefix("secret = \"")).unwrap();
    let phone = Phone::new(line.trim_end_matches('"'));
    // Two in one answer: of a state that was repaired the codes of the next seconds count as used.
    let code = format!("{} {}", phone.in_steps(3), phone.in_steps(4));
    let outcome = log_in(house, name, [&code, &phone.in_steps(5)]);
    assert_eq!(outcome.code, Pam::Success, "{outcome:?}");
    assert!(!outcome.prompts().is_empty());
    assert_eq!(log_in(house, name, [&code, &code]).code, Pam::AuthErr);
}

/// What broken-off replacements left in any directory.
fn left_over(house: &House) -> Vec<std::path::PathBuf> {
    let directories = ["users", "state", "uids", "outbox", "notices", "remembered"];
    let directories = directories.map(|name| house.path(STATE).join(name));
    let entries = directories.iter().flat_map(|path| fs::read_dir(path).unwrap().flatten());
    let mut left: Vec<_> = entries.map(|entry| entry.path()).collect();
    left.retain(|path| path.file_name().unwrap().to_string_lossy().starts_with(".new-"));
    left
}

#[test]
fn commands_and_deliveries_killed_at_random_instants_damage_nothing_and_silence_nobody() {
    let mut torture = Torture::begin();
    // How long each lasts, a little more than that.
    let mut longest = Vec::new();
    for arguments in COMMANDS {
        let (mut command, _) = torture.prepare(arguments);
        let start = Instant::now();
        assert!(command.status().unwrap().success(), "{arguments:?}");
        longest.push(start.elapsed() * 5 / 4);
    }
    let all = rounds(3, 100);
    for _ in 0..all {
        for (arguments, longest) in COMMANDS.iter().zip(&longest) {
            torture.round(arguments, *longest);
        }
    }
    let left = torture.ends_well();
    let Torture { killed, changed, agents_killed, .. } = torture;
    tell(&format!(
        "{killed} commands killed ({changed} had changed the record), {agents_killed} agents; {left} files left over"
    ));
    assert!(changed > 0);
}

#[test]
fn commands_killed_at_any_call_on_files_damage_nothing_and_silence_nobody() {
    let mut torture = Torture::begin();
    for arguments in COMMANDS {
        torture.each_call(arguments, &[("MISFORTUNE_HOW", "kill")], rounds(3, usize::MAX));
    }
    let left = torture.ends_well();
    let Torture { killed, changed, .. } = torture;
    tell(&format!("{killed} killed ({changed} had changed the record); {left} files left over"));
    assert!(changed > 0);
}

#[test]
fn commands_whose_disk_fails_at_any_call_damage_nothing() {
    let mut torture = Torture::begin();
    for arguments in COMMANDS {
        // EIO, once.
        torture.each_call(arguments, &[("MISFORTUNE_HOW", "5")], rounds(3, usize::MAX));
    }
    let changed = torture.changed;
    tell(&format!("{changed} had changed the record"));
    assert_eq!(torture.killed, 0, "a command crashed");
}
