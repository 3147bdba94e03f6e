//! One login with a right code, which is spent on stable storage before it succeeds, in each of the three kinds of
//! process and on each of the file systems; beside it the floor.

use pam_totp_bench::site::{Module, Ticket};
use pam_totp_bench::statistics::{median, ratios, sums};
use pam_totp_bench::{Process, Volume, interleaved};

use super::{Lane, Scene};
use crate::report::{Report, Wanted, times};

/// Times all people, so that three codes each are enough for all rounds.
const SITES: usize = 12;

/// The bars of one kind of process.
struct Kind {
    process: Process,
    rounds: usize,
    name: &'static str,
    /// A login, as a multiple of the floor.
    most: f64,
}

const KINDS: [Kind; 3] = [
    Kind {
        process: Process::Forked,
        rounds: 300,
        name: "in a fork without modules, as sshd",
        most: 1.9,
    },
    Kind {
        process: Process::Started,
        rounds: 300,
        name: "in a program of its own, as su",
        most: 1.35,
    },
    Kind { process: Process::Same, rounds: 480, name: "in one process", most: 2.0 },
];

/// Microseconds that `totpd --once` may take more than the daemon.
const ONCE_ABOVE: f64 = 1_500.0;

const MODULES: [Module; 5] =
    [Module::Ours, Module::Once, Module::Google, Module::Oath, Module::Empty];

pub(crate) fn measure(scene: &Scene, report: &mut Report) {
    for (nth, volume) in scene.volumes.iter().enumerate() {
        measure_on(scene, volume, &format!("durable{nth}-"), report);
    }
}

fn measure_on(scene: &Scene, volume: &Volume, sites: &str, report: &mut Report) {
    let mut enrolled = scene.settle(volume, sites, SITES);
    let people = enrolled.len();
    let mut drawn = 0;
    let mut lines = Vec::new();
    for kind in KINDS {
        let mut next = || {
            drawn += 1;
            enrolled[(drawn - 1) % people].draw()
        };
        let samples = Samples::take(scene, volume, &kind, &mut next);
        samples.claim(report, &kind, volume.kind());
        lines.push((kind.name, samples));
    }
    let title = format!(
        "Whole logins on {}, from `pam_start` to the end of `pam_end`: median / 90th percentile in µs; the median ratio to the \
         floor; the median ratio of google-authenticator to it:",
        volume.kind()
    );
    let mut head = vec!["right code"];
    head.extend(MODULES.map(Module::title));
    head.push("overwrite + fdatasync");
    let table = report.table(&title, &head);
    for (name, samples) in &lines {
        let floor = samples.floor();
        table.line(*name, samples.all.iter().map(|sample| times(sample)));
        let with_code = &samples.all[..MODULES.len() - 1];
        let row = |cell: &dyn Fn(&[f64]) -> f64| -> Vec<String> {
            let cells = with_code.iter().map(|sample| format!("{:.2}", cell(sample)));
            cells.chain([String::new(), String::new()]).collect()
        };
        table.line("× floor", row(&|sample| median(&ratios(sample, &floor))));
        let google = samples.of(Module::Google);
        table.line("google-authenticator : it", row(&|sample| median(&ratios(google, sample))));
    }
}

/// What each round took: the modules in the order of [`MODULES`], and the flush.
struct Samples {
    all: Vec<Vec<f64>>,
}

impl Samples {
    fn take(scene: &Scene, volume: &Volume, kind: &Kind, next: &mut dyn FnMut() -> Ticket) -> Self {
        let mut lanes: Vec<Lane> = MODULES.map(|module| Lane::new(scene, module)).into();
        let mut flusher = scene.client();
        let tickets = std::iter::repeat_with(next).take(kind.rounds);
        let all = interleaved(tickets, lanes.len() + 1, |nth, ticket| match lanes.get_mut(nth) {
            Some(lane) => lane.accepted(kind.process, ticket).whole,
            None => flusher.overwrite(&ticket.scratch(volume)),
        });
        Self { all }
    }

    fn of(&self, module: Module) -> &[f64] {
        let nth = MODULES.iter().position(|one| *one == module).expect("it was measured");
        &self.all[nth]
    }

    /// The empty module and the flush, together.
    fn floor(&self) -> Vec<f64> {
        sums(self.of(Module::Empty), &self.all[MODULES.len()])
    }

    fn claim(&self, report: &mut Report, kind: &Kind, file_system: &str) {
        let place = format!("{}, on {file_system}", kind.name);
        let ours = self.of(Module::Ours);
        report.claim_ratio(
            format!("durable login {place} : empty module + overwrite and fdatasync"),
            &ratios(ours, &self.floor()),
            Wanted::AtMost(kind.most),
        );
        for peer in [Module::Google, Module::Oath] {
            report.claim_ratio(
                format!("{} : ours, {place}", peer.title()),
                &ratios(self.of(peer), ours),
                Wanted::AtLeast(1.0),
            );
        }
        let above: Vec<f64> =
            self.of(Module::Once).iter().zip(ours).map(|(once, ours)| once - ours).collect();
        report.claim(
            format!("`totpd --once` above the daemon, {place}"),
            median(&above) / 1_000.0,
            " µs",
            Wanted::AtMost(ONCE_ABOVE),
        );
    }
}
