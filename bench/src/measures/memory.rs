//! What the first login adds to the memory of its process, until before `pam_end`.

use pam_totp_bench::site::{Enrolled, Module, Ticket};
use pam_totp_bench::statistics::median;
use pam_totp_bench::{SUCCESS, Weight};

use super::Scene;
use crate::report::{Report, Wanted, grouped};

const TRIES: usize = 5;

const MODULES: [Module; 4] = [Module::Ours, Module::Google, Module::Oath, Module::Empty];

pub(crate) fn measure(scene: &Scene, report: &mut Report) {
    let people = &scene.people[..TRIES];
    let mut enrolled = scene.enroll("memory", people, people.len());
    let tickets: Vec<Ticket> = enrolled.iter_mut().map(Enrolled::draw_lasting).collect();
    let weights = MODULES.map(|module| {
        let weigh = |ticket: &Ticket| -> Weight {
            // A new process each, to which no module was ever loaded.
            let weight = scene.client().weigh(&ticket.words(module).login());
            assert_eq!(weight.code, SUCCESS, "{module:?} did not let {ticket:?} in");
            weight
        };
        tickets.iter().map(weigh).collect::<Vec<_>>()
    });
    #[allow(clippy::cast_precision_loss)]
    let middle = |weights: &[Weight], which: fn(&Weight) -> i64| {
        median(&weights.iter().map(|weight| which(weight) as f64).collect::<Vec<_>>())
    };
    let resident = weights.each_ref().map(|weights| middle(weights, |weight| weight.resident));
    let written = weights.each_ref().map(|weights| middle(weights, |weight| weight.written));
    let [ours, .., empty] = resident;
    report.claim(
        "resident memory that the module adds to its process, above the empty one",
        ours - empty,
        " KiB",
        Wanted::AtMost(64.0),
    );
    let mut head = vec!["KiB"];
    head.extend(MODULES.map(Module::title));
    let table =
        report.table("Memory that the first login of a process adds, libpam included:", &head);
    table.line("resident", resident.map(grouped));
    table.line("of that, written to, and so shared with nobody", written.map(grouped));
}
