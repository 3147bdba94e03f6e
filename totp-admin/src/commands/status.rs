//! `status`: whether the installation is in order. Nothing is changed.

mod daemon;

use anyhow::Result;
use serde::Serialize;
use serde_json::json;
use totp_core::name::UserName;
use totp_core::record::{Decision, Entry};
use totp_core::store::Fault;
use totp_store::config::ConfigFault;
use totp_store::files::Owner;
use totp_store::installation::{InForce, Installation};
use totp_store::{accounts, clock};

use crate::cli::Global;
use crate::coverage;
use crate::site::{config_path, must_be_root, named};
use crate::ui::{Refused, Ui, printable};

/// What was found out. Everything in `problems` is wrong; nothing in `warnings` is.
#[derive(Default)]
struct Findings {
    /// For people: what, and what was found.
    lines: Vec<(&'static str, String)>,
    document: serde_json::Map<String, serde_json::Value>,
    problems: Vec<String>,
    /// What works as it was written, and maybe not as it was meant.
    warnings: Vec<String>,
}

impl Findings {
    fn add(&mut self, key: &'static str, value: serde_json::Value) {
        self.document.insert(key.to_owned(), value);
    }

    fn line(&mut self, what: &'static str, found: impl Into<String>) {
        self.lines.push((what, found.into()));
    }

    /// Gives it for the document.
    fn problem(&mut self, problem: impl ToString) -> String {
        let problem = problem.to_string();
        if !self.problems.contains(&problem) {
            self.problems.push(problem.clone());
        }
        problem
    }
}

/// How many users there are of each kind.
#[derive(Default, Serialize)]
struct Users {
    enrolled: usize,
    pending: usize,
    disabled: usize,
    damaged: usize,
}

/// Says what there is; fails where something is wrong.
pub fn run(ui: &Ui, global: &Global) -> Result<()> {
    must_be_root()?;
    let opened = Installation::open(named(global)?.as_deref(), Owner::ROOT);
    let mut findings = Findings::default();
    configuration(&mut findings, global, &opened);
    if let Ok(installation) = &opened {
        identity(&mut findings, installation);
        paths(&mut findings, installation);
        names(&mut findings, installation);
        users(&mut findings, installation);
        index(&mut findings, installation);
        in_memory(&mut findings, installation);
    }
    daemon(&mut findings);
    say(ui, findings)
}

fn say(ui: &Ui, mut findings: Findings) -> Result<()> {
    let ok = findings.problems.is_empty();
    findings.add("ok", json!(ok));
    findings.add("problems", json!(findings.problems));
    findings.add("warnings", json!(findings.warnings));
    ui.document(&findings.document)?;
    for (what, found) in &findings.lines {
        ui.result(format_args!("{what:14} {}", printable(found)))?;
    }
    for problem in findings.problems.iter().chain(&findings.warnings) {
        ui.warn(printable(problem));
    }
    if ok { ui.done("The installation is in order") } else { Err(Refused.into()) }
}

fn configuration(
    findings: &mut Findings,
    global: &Global,
    opened: &Result<Installation, ConfigFault>,
) {
    let path = opened.as_ref().map_or_else(|_| config_path(global), |one| one.config_path().into());
    let shown = path.display();
    let (in_force, line, problem) = match opened {
        Ok(installation) => match installation.in_force() {
            InForce::File => ("file", shown.to_string(), None),
            InForce::Defaults => ("defaults", format!("{shown} is absent: defaults"), None),
            InForce::LastGood(_) => {
                ("last-good", format!("the last good {shown}"), installation.warning())
            }
        },
        Err(fault) => ("none", format!("{shown} can't be used"), Some(fault.to_string())),
    };
    let problem = problem.map(|problem| findings.problem(problem));
    findings.add("config", json!({"path": path, "in_force": in_force, "problem": problem}));
    findings.line("Configuration", line);
}

fn identity(findings: &mut Findings, installation: &Installation) {
    let problem = installation.check_identity().err().map(|error| findings.problem(error));
    findings
        .line("Identity", if problem.is_none() { "in order" } else { "not this installation's" });
    findings.add("identity", json!({"ok": problem.is_none(), "problem": problem}));
}

fn paths(findings: &mut Findings, installation: &Installation) {
    for problem in installation.problems() {
        findings.problem(problem);
    }
    let paths = &installation.config().paths;
    for (key, what, path) in
        [("state_dir", "State", &paths.state_dir), ("log_file", "Audit log", &paths.log_file)]
    {
        findings.add(key, json!(path.as_str()));
        findings.line(what, path.as_str());
    }
}

fn names(findings: &mut Findings, installation: &Installation) {
    let report = coverage::report(installation.config());
    for wrong in &report.wrong {
        findings.problem(format!("{}: {wrong}", installation.config_path().display()));
    }
    report.lines().for_each(|line| findings.line("Policy", line));
    findings.add("lists", json!(report.lists));
    findings.add("callers", json!(report.callers));
    findings.warnings = report.consequences;
}

fn users(findings: &mut Findings, installation: &Installation) {
    let Some(users) = counted(findings, installation) else {
        findings.line("Users", "unknown");
        return findings.add("users", serde_json::Value::Null);
    };
    let Users { enrolled, pending, disabled, .. } = users;
    findings.line(
        "Users",
        format!("{enrolled} enrolled, {pending} still to enroll, {disabled} disabled"),
    );
    findings.add("users", json!(users));
}

fn counted(findings: &mut Findings, installation: &Installation) -> Option<Users> {
    let everybody = installation.store().everybody(clock::now());
    let everybody = everybody.map_err(|fault| findings.problem(fault)).ok()?;
    let mut users = Users::default();
    for (_, entry) in everybody {
        if let Ok(entry) = &entry {
            without_uid(findings, entry);
        }
        let count = match entry {
            Ok(Entry::Enrolled(_)) => &mut users.enrolled,
            Ok(Entry::Pending(_)) => &mut users.pending,
            Ok(Entry::Disabled(_)) => &mut users.disabled,
            Err(fault) => {
                findings.problem(fault);
                &mut users.damaged
            }
        };
        *count = count.saturating_add(1);
    }
    Some(users)
}

/// Names what was decided before there was an account of the name. It holds for whoever has the name.
fn without_uid(findings: &mut Findings, entry: &Entry) {
    let Decision { user, uid: None, .. } = entry.decision() else { return };
    match accounts::account(user.as_str()) {
        Ok(Some(account)) if account.name == *user => findings.warnings.push(format!(
            "what is decided about {user} is from before there was an account, which has uid {} now: totp-admin show {user}",
            account.uid
        )),
        Ok(_) => {}
        Err(error) => {
            findings.problem(error);
        }
    }
}

/// Whether each enrollment is found by its uid, and the uids that several have.
fn index(findings: &mut Findings, installation: &Installation) {
    let state = match installation.store().index_state() {
        Ok(state) => state,
        // Said with the users.
        Err(_) => return findings.add("index", serde_json::Value::Null),
    };
    for fault in &state.faults {
        findings.problem(fault);
    }
    let mut differs = |what: &str, names: &[(u32, UserName)]| {
        for (uid, name) in names {
            findings.problem(format!("index by uid: {name} (uid {uid}) {what}; totp-admin init"));
        }
    };
    differs(
        "is enrolled and not in it, so that the account is not found by its uid",
        &state.unlisted,
    );
    differs("is in it and not enrolled", &state.stale);
    let shared: Vec<String> = state
        .shared
        .iter()
        .map(|(uid, names)| {
            let names = names.iter().map(ToString::to_string).collect::<Vec<_>>();
            format!("{uid}: {}", names.join(", "))
        })
        .collect();
    findings.line("Index by uid", if state.is_in_order() { "in order" } else { "not in order" });
    if !shared.is_empty() {
        findings.line("Shared uids", shared.join("; "));
    }
    let shared: Vec<_> = state
        .shared
        .iter()
        .map(|(uid, names)| {
            json!({"uid": uid, "users": names.iter().map(UserName::as_str).collect::<Vec<_>>()})
        })
        .collect();
    findings.add("index", json!({"ok": state.is_in_order(), "shared_uids": shared}));
}

/// Without a daemon root's programs are served by `totpd --once`: that is a way to run an installation. A socket where no
/// daemon answers is not.
fn daemon(findings: &mut Findings) {
    let answer = daemon::look();
    let answers = answer == daemon::Answer::Here;
    let line = match &answer {
        daemon::Answer::Here => "answers",
        daemon::Answer::None => {
            "not running: totpd --once decides for programs of root, all others are denied"
        }
        daemon::Answer::Silent(_) => "does not answer",
    };
    findings.line("Daemon", line);
    let problem = match answer {
        daemon::Answer::Silent(problem) => Some(findings.problem(problem)),
        daemon::Answer::Here | daemon::Answer::None => None,
    };
    findings.add("totpd", json!({"answers": answers, "problem": problem}));
}

fn in_memory(findings: &mut Findings, installation: &Installation) {
    let waiting: Result<Vec<String>, Fault> = installation.store().users_in_memory();
    let waiting = waiting.unwrap_or_else(|fault| {
        findings.problem(fault);
        Vec::new()
    });
    if !waiting.is_empty() {
        let run_dir = &installation.config().paths.run_dir;
        findings.problem(format!(
            "{}: states of {} wait for a disk that can be written; make room or repair the disk, and each \
             moves back at its user's next login",
            run_dir.as_str(),
            waiting.join(", ")
        ));
        findings.line("In memory", waiting.join(", "));
    }
    findings.add("in_memory", json!(waiting));
}
