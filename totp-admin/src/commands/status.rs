//! `status`: whether the installation is in order. Nothing is changed.

use anyhow::Result;
use serde::Serialize;
use serde_json::json;
use totp_core::record::Entry;
use totp_core::store::Fault;
use totp_store::clock;
use totp_store::config::ConfigFault;
use totp_store::files::Owner;
use totp_store::installation::{InForce, Installation};

use crate::cli::Global;
use crate::site::{config_path, must_be_root, named};
use crate::ui::{Refused, Ui, printable};

/// What was found out. Everything in `problems` is wrong.
#[derive(Default)]
struct Findings {
    /// For people: what, and what was found.
    lines: Vec<(&'static str, String)>,
    document: serde_json::Map<String, serde_json::Value>,
    problems: Vec<String>,
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
        users(&mut findings, installation);
        in_memory(&mut findings, installation);
        // JOINT: whether totpd answers on its sockets is asked here, with a line, a key `totpd` and a problem of its own.
    }
    say(ui, findings)
}

fn say(ui: &Ui, mut findings: Findings) -> Result<()> {
    let ok = findings.problems.is_empty();
    findings.add("ok", json!(ok));
    findings.add("problems", json!(findings.problems));
    ui.document(&findings.document)?;
    for (what, found) in &findings.lines {
        ui.result(format_args!("{what:14} {}", printable(found)))?;
    }
    for problem in &findings.problems {
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
