//! Wrong codes: of somebody enrolled, and of somebody who isn't.

use pam_totp_bench::site::Module;
use pam_totp_bench::statistics::ratios;
use pam_totp_bench::{Process, Timing, interleaved};

use super::{Lane, STRANGER, Scene};
use crate::report::{Report, Wanted, times};

const SITES: usize = 4;

const MODULES: [Module; 4] = [Module::Ours, Module::Google, Module::GoogleLimited, Module::Oath];

/// Wrong codes of each: below every module's limit.
const EACH: u32 = 2;

pub(crate) fn measure(scene: &Scene, report: &mut Report) {
    let enrolled = scene.settle(scene.main(), "wrong", SITES);
    let tickets = (0..EACH).flat_map(|nth| enrolled.iter().map(move |one| one.mistake(nth)));
    let mut lanes: Vec<Lane> = MODULES.map(|module| Lane::new(scene, module)).into();
    let modules = lanes.len();
    let mut wholes = vec![Vec::new(); 2 * modules];
    let verdicts = interleaved(tickets, 2 * modules, |kind, ticket| {
        let ticket = if kind < modules { ticket.clone() } else { ticket.of(STRANGER) };
        let Timing { whole, steps, .. } = lanes[kind % modules].refused(Process::Same, &ticket);
        #[allow(clippy::cast_precision_loss)] // nanoseconds of less than a month
        wholes[kind].push(whole as f64);
        *steps.last().expect("at least its end")
    });
    let (known, stranger) = verdicts.split_at(modules);
    for (module, title) in [(1, "google-authenticator"), (3, "pam_oath")] {
        let what = format!("wrong code, {title} : ours, from the last answer to the refusal");
        report.claim_ratio(what, &ratios(&known[module], &known[0]), Wanted::Nothing);
    }
    let mut head = vec!["p50 / p90, µs"];
    head.extend(MODULES.map(Module::title));
    let table = report.table(
        "Refusals, in one process. Ours asks a second time, the others don't; the whole has both.",
        &head,
    );
    let cells = |samples: &[Vec<f64>]| samples.iter().map(|s| times(s)).collect::<Vec<_>>();
    table.line("wrong code, from the last answer to the refusal", cells(known));
    table.line("the same, not enrolled", cells(stranger));
    table.line("wrong code, the whole login", cells(&wholes[..modules]));
    table.line("the same, not enrolled", cells(&wholes[modules..]));
}
