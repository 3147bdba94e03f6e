//! How often a durable login asks the kernel for something: the same count on every machine.

use std::fs;

use pam_totp_bench::site::{Enrolled, Module, Ticket};
use pam_totp_bench::{Client, Process};

use super::{Lane, Scene};
use crate::report::Report;

const MODULES: [Module; 4] = [Module::Ours, Module::Google, Module::Oath, Module::Empty];

/// A line of the table, and which calls are counted in it.
const LINES: [(&str, &[&str]); 5] = [
    ("all", &[""]),
    ("files opened", &["open"]),
    ("parts of objects mapped", &["mmap(", "munmap(", "mprotect("]),
    ("written to files or syslog", &["write", "pwrite", "send", "ftruncate"]),
    ("flushed", &["fsync(", "fdatasync(", "sync"]),
];

pub(crate) fn measure(scene: &Scene, report: &mut Report) {
    let mut enrolled = scene.enroll("calls", &scene.people[..2], 2);
    let tickets: Vec<Ticket> = enrolled.iter_mut().map(Enrolled::draw_lasting).collect();
    let calls = MODULES.map(|module| {
        let file = scene.house.disk().join(format!("calls-{module:?}"));
        let strace = ["strace", "-o", file.to_str().expect("UTF-8")];
        let client = Client::start_under(&scene.house, &scene.programs, &strace);
        let mut lane = Lane { module, client };
        // The first one loads what stays loaded. When the flush is over, both logins have been written down.
        for ticket in &tickets {
            lane.accepted(Process::Same, ticket);
        }
        lane.client.overwrite(&scene.main().scratch(0));
        second_login(&fs::read_to_string(file).expect("strace has written it"))
    });
    let mut head = vec!["system calls"];
    head.extend(MODULES.map(Module::title));
    let table = report
        .table("System calls of the program in which one durable login is made that is not its first; those of `totpd` are not among them:", &head);
    for (name, starts) in LINES {
        table.line(name, calls.each_ref().map(|calls| count(calls, starts).to_string()));
    }
}

/// What was called from the beginning of the second login to the answer about it.
fn second_login(trace: &str) -> Vec<String> {
    let answered = |line: &str| line.starts_with("write(1, ");
    let part = trace.lines().skip_while(|line| !answered(line)).skip(1);
    let part = part.take_while(|line| !answered(line));
    // Before it, the client was told what to do, and has looked the account up.
    part.skip_while(|line| !line.starts_with("getppid(")).skip(1).map(str::to_string).collect()
}

fn count(calls: &[String], starts: &[&str]) -> usize {
    calls.iter().filter(|call| starts.iter().any(|start| call.starts_with(start))).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_counted_from_the_second_login_on_to_its_answer() {
        let trace = "getppid()\nopenat(1)\nwrite(1, \"0 5\")\nread(0, \"login\")\nopenat(9)\ngetppid()\n\
                     openat(2)\nfdatasync(3)\nwrite(1, \"0 6\")\nread(0, ";
        let calls = second_login(trace);
        assert_eq!(calls, ["openat(2)", "fdatasync(3)"]);
        assert_eq!(count(&calls, &["open"]), 1);
        assert_eq!(count(&calls, &[""]), 2);
    }
}
