//! Many processes at once, each with users of its own: logins in a second.

use std::path::Path;
use std::sync::Barrier;
use std::time::Instant;

use pam_totp_bench::site::{Enrolled, Module, Ticket};
use pam_totp_bench::statistics::{median, ratios};
use pam_totp_bench::{Client, Process, SUCCESS, Task};

use super::Scene;
use crate::report::{Report, Wanted, grouped};

const SITES: usize = 10;
const ROUNDS: usize = 5;

/// Processes, and how many logins each makes in a round.
const LEVELS: [(usize, usize); 3] = [(1, 24), (2, 16), (8, 12)];

const CONTESTANTS: [Module; 4] = [Module::Ours, Module::Google, Module::Oath, Module::Empty];

pub(crate) fn measure(scene: &Scene, report: &mut Report) {
    let mut enrolled = scene.settle(scene.main(), "parallel", SITES);
    let mut drawn = 0;
    let titles = [
        Module::Ours.title(),
        Module::Google.title(),
        Module::Oath.title(),
        "empty module + overwrite and fdatasync",
    ];
    let mut head = vec!["logins a second"];
    head.extend(titles);
    let mut lines = Vec::new();
    for (processes, each) in LEVELS {
        let mut clients: Vec<Client> = (0..processes).map(|_| scene.client()).collect();
        let mut speeds = vec![Vec::new(); CONTESTANTS.len()];
        let mut refused = vec![0; CONTESTANTS.len()];
        for round in 0..ROUNDS {
            let tickets = deal(&mut enrolled, &mut drawn, processes, each);
            for turn in 0..CONTESTANTS.len() {
                let kind = (round + turn) % CONTESTANTS.len();
                let race = race(scene, &mut clients, CONTESTANTS[kind], &tickets);
                speeds[kind].push(race.speed);
                refused[kind] += race.refused;
            }
        }
        assert_eq!(refused[0], 0, "everybody has a right code and must be let in");
        let what = format!("{processes} at once: logins a second, ours : google-authenticator");
        report.claim_ratio(what, &ratios(&speeds[0], &speeds[1]), Wanted::Nothing);
        let all = processes * each * ROUNDS;
        let cells = speeds.iter().zip(&refused).map(|(speed, refused)| cell(speed, *refused, all));
        lines.push((format!("{processes} at once"), cells.collect::<Vec<_>>()));
    }
    let table = report.table(
        "Right codes of different users in processes that run at once (median of the rounds, and how many of \
         the right codes were refused):",
        &head,
    );
    for (name, cells) in lines {
        table.line(name, cells);
    }
}

fn cell(speeds: &[f64], refused: usize, all: usize) -> String {
    let speed = grouped(median(speeds));
    if refused == 0 { speed } else { format!("{speed}, {refused} of {all} refused") }
}

/// Tickets for each of the processes; those that are used at the same time are of the same site, whose
/// users file is one.
fn deal(
    enrolled: &mut [Enrolled],
    drawn: &mut usize,
    processes: usize,
    each: usize,
) -> Vec<Vec<Ticket>> {
    let mut hands = vec![Vec::with_capacity(each); processes];
    for _ in 0..each {
        for hand in &mut hands {
            let next = *drawn % enrolled.len();
            hand.push(enrolled[next].draw());
            *drawn += 1;
        }
    }
    hands
}

struct Race {
    /// Logins a second, of all processes together.
    speed: f64,
    refused: usize,
}

fn race(scene: &Scene, clients: &mut [Client], module: Module, hands: &[Vec<Ticket>]) -> Race {
    let barrier = Barrier::new(clients.len() + 1);
    let logins: usize = hands.iter().map(Vec::len).sum();
    std::thread::scope(|scope| {
        let runners = clients.iter_mut().zip(hands).enumerate();
        let runners: Vec<_> = runners
            .map(|(nth, (client, hand))| {
                let barrier = &barrier;
                let scratch = scene.main().scratch(nth);
                scope.spawn(move || run(client, module, hand, &scratch, barrier))
            })
            .collect();
        barrier.wait();
        let begin = Instant::now();
        let refused = runners.into_iter().map(|runner| runner.join().unwrap()).sum();
        #[allow(clippy::cast_precision_loss)]
        let speed = logins as f64 / begin.elapsed().as_secs_f64();
        Race { speed, refused }
    })
}

/// How many of the hand were refused.
fn run(
    client: &mut Client,
    module: Module,
    hand: &[Ticket],
    scratch: &Path,
    barrier: &Barrier,
) -> usize {
    let words: Vec<_> = hand.iter().map(|ticket| ticket.words(module)).collect();
    let mut tasks = Vec::new();
    for words in &words {
        tasks.push(Task::Login(Process::Same, words.login()));
        if module == Module::Empty {
            tasks.push(Task::Overwrite(scratch));
        }
    }
    barrier.wait();
    client.all(&tasks).iter().filter(|timing| timing.code != SUCCESS).count()
}
