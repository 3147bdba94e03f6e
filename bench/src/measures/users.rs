//! Whether a login takes longer where more users are enrolled.

use pam_totp_bench::site::{Enrolled, Module, Ticket};
use pam_totp_bench::statistics::ratios;
use pam_totp_bench::{Process, interleaved};

use super::{Lane, Scene};
use crate::report::{Report, Wanted, times};

/// Codes of each: all there are at once.
const EACH: usize = 3;

const MODULES: [Module; 2] = [Module::Ours, Module::Oath];

pub(crate) fn measure(scene: &Scene, report: &mut Report) {
    // With one user a site there have to be as many sites.
    let alone = |(nth, user): (usize, &String)| {
        scene.enroll(&format!("alone{nth}"), std::slice::from_ref(user), 1)
    };
    let sizes: Vec<Vec<Enrolled>> = vec![
        scene.people.iter().enumerate().flat_map(alone).collect(),
        scene.enroll("thousand", &scene.people, 1_000),
        scene.enroll("many", &scene.people, 100_000),
    ];
    // What was written just now isn't to be flushed by the logins.
    assert!(std::process::Command::new("sync").status().is_ok_and(|status| status.success()));
    // One module behind the other: what pam_oath writes with 100,000 users would be in the way.
    let [ours, oath] = MODULES.map(|module| logins(scene, module, sizes.clone()));
    report.claim_ratio(
        "100,000 enrolled users : 1, ours",
        &ratios(&ours[2], &ours[0]),
        Wanted::AtMost(1.1),
    );
    report.claim_ratio(
        "100,000 enrolled users : 1, pam_oath",
        &ratios(&oath[2], &oath[0]),
        Wanted::Nothing,
    );
    let head = ["p50 / p90, µs", "1 enrolled", "1,000", "100,000"];
    let table =
        report.table("Durable logins in one process, by the number of enrolled users:", &head);
    for (module, samples) in MODULES.iter().zip([&ours, &oath]) {
        table.line(module.title(), samples.iter().map(|sample| times(sample)));
    }
}

fn logins(scene: &Scene, module: Module, mut sizes: Vec<Vec<Enrolled>>) -> Vec<Vec<f64>> {
    let (count, people) = (sizes.len(), scene.people.len());
    let mut draw = |nth: usize| -> Vec<Ticket> {
        sizes.iter_mut().map(|enrolled| enrolled[nth % people].draw()).collect()
    };
    let rounds = (0..EACH * people).map(&mut draw);
    let mut lane = Lane::new(scene, module);
    interleaved(rounds, count, |size, tickets| lane.accepted(Process::Same, &tickets[size]).whole)
}
