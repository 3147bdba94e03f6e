//! One login with a right code, after which it is on stable storage that the code is spent, in each of
//! the three kinds of process, on each of the file systems; beside it the floor.

use pam_totp_bench::site::{Module, Ticket};
use pam_totp_bench::statistics::{ratios, sums};
use pam_totp_bench::{Process, Volume, interleaved};

use super::{Lane, Scene};
use crate::report::{Report, Wanted, times};

/// Times everybody, so that three codes each are enough for all rounds.
const SITES: usize = 12;

const KINDS: [(Process, usize, &str); 3] = [
    (Process::Same, 480, "in one process"),
    (Process::Forked, 300, "in a fork without modules, as sshd"),
    (Process::Started, 300, "in a program of its own, as su"),
];

pub(crate) fn measure(scene: &Scene, report: &mut Report) {
    for (nth, volume) in scene.volumes.iter().enumerate() {
        measure_on(scene, volume, &format!("durable{nth}-"), report);
    }
}

fn measure_on(scene: &Scene, volume: &Volume, sites: &str, report: &mut Report) {
    let kind = volume.kind();
    let mut enrolled = scene.settle(volume, sites, SITES);
    let people = enrolled.len();
    let mut drawn = 0;
    let mut lines = Vec::new();
    for (process, rounds, name) in KINDS {
        let mut next = || {
            drawn += 1;
            enrolled[(drawn - 1) % people].draw()
        };
        let samples = logins(scene, volume, process, rounds, &mut next);
        claims(report, &format!("{name}, on {kind}"), &samples);
        lines.push((format!("right code, {name}"), samples));
    }
    let mut head = vec!["p50 / p99, µs"];
    head.extend(Module::REAL.map(Module::title));
    head.extend([Module::Empty.title(), "overwrite + fdatasync"]);
    let title = format!("Whole logins on {kind}, from `pam_start` to the end of `pam_end`:");
    let table = report.table(&title, &head);
    for (name, samples) in lines {
        table.line(name, samples.iter().map(|sample| times(sample)));
    }
}

/// The modules in the order of [`Module::REAL`], the empty one, the flush.
fn logins(
    scene: &Scene,
    volume: &Volume,
    process: Process,
    rounds: usize,
    next: &mut dyn FnMut() -> Ticket,
) -> Vec<Vec<f64>> {
    let modules = Module::REAL.into_iter().chain([Module::Empty]);
    let mut lanes: Vec<Lane> = modules.map(|module| Lane::new(scene, module)).collect();
    let mut flusher = scene.client();
    let tickets = std::iter::repeat_with(next).take(rounds);
    interleaved(tickets, lanes.len() + 1, |kind, ticket| match lanes.get_mut(kind) {
        Some(lane) => lane.accepted(process, ticket).whole,
        None => flusher.overwrite(&ticket.scratch(volume)),
    })
}

fn claims(report: &mut Report, name: &str, samples: &[Vec<f64>]) {
    let [ours, google, limited, oath, empty, flush] = samples else {
        unreachable!("one for each module and the flush")
    };
    let floor = sums(empty, flush);
    report.claim_ratio(
        format!("durable login {name} : empty module + overwrite and fdatasync"),
        &ratios(ours, &floor),
        Wanted::AtMost(1.5),
    );
    for (peer, wanted, title) in [
        (google, Wanted::AtLeast(2.0), "google-authenticator"),
        (limited, Wanted::Nothing, "google-authenticator with rate limit"),
        (oath, Wanted::Nothing, "pam_oath"),
    ] {
        report.claim_ratio(format!("{title} : ours, {name}"), &ratios(peer, ours), wanted);
    }
    // How many times as fast as it anything could be that flushes at all.
    report.claim_ratio(
        format!("google-authenticator : empty module + overwrite and fdatasync, {name}"),
        &ratios(google, &floor),
        Wanted::Nothing,
    );
}
