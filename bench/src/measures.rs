//! What is measured: one file for each of the questions, in the order in which they are asked.

mod calls;
mod durable;
mod memory;
mod object;
mod parallel;
mod users;
mod wrong;

use std::time::Instant;

use pam_totp_bench::site::{Enrolled, Module, Ticket, settle};
use pam_totp_bench::{Client, Process, Programs, SUCCESS, Timing, Volume};
use pam_totp_tests::{Decider, House, Plan};

use crate::report::Report;

/// Accounts, which all are at the beginning of a short `/etc/passwd`: how the name service looks for
/// them is not what is measured.
const PEOPLE: usize = 30;

/// An account that is enrolled nowhere.
const STRANGER: &str = "stranger";

/// Where it is measured.
#[derive(Debug)]
pub(crate) struct Scene {
    pub(crate) house: House,
    pub(crate) programs: Programs,
    /// Where the state is; the first one is the main one.
    pub(crate) volumes: Vec<Volume>,
    pub(crate) people: Vec<String>,
}

impl Scene {
    pub(crate) fn build() -> Self {
        let people: Vec<String> = (0..PEOPLE).map(|nth| format!("person{nth:02}")).collect();
        let everybody = people.iter().cloned().chain([STRANGER.to_string()]).collect();
        let house = House::from_plan(&Plan {
            people: everybody,
            decided_by: Decider::Daemon,
            ..Plan::default()
        });
        let volumes = Volume::mount(&house);
        let programs = Programs::compile(&house);
        Self { house, programs, volumes, people }
    }

    /// The file system whose numbers are to be reached.
    fn main(&self) -> &Volume {
        &self.volumes[0]
    }

    /// Everybody, enrolled at as many sites.
    fn settle(&self, volume: &Volume, name: &str, sites: usize) -> Vec<Enrolled> {
        let site = |nth| settle(&self.house, volume, &format!("{name}{nth}"), &self.people, PEOPLE);
        (0..sites).flat_map(site).collect()
    }

    /// Some, enrolled at one site among so many.
    fn enroll(&self, site: &str, people: &[String], enrolled: usize) -> Vec<Enrolled> {
        settle(&self.house, self.main(), site, people, enrolled)
    }

    fn client(&self) -> Client {
        Client::start(&self.house, &self.programs)
    }
}

/// One question.
type Measure = fn(&Scene, &mut Report);

/// All questions, by name.
const MEASURES: [(&str, Measure); 7] = [
    ("durable", durable::measure),
    ("calls", calls::measure),
    ("wrong", wrong::measure),
    ("users", users::measure),
    ("parallel", parallel::measure),
    ("memory", memory::measure),
    ("object", object::measure),
];

/// What they are called.
pub(crate) fn names() -> [&'static str; 7] {
    MEASURES.map(|(name, _)| name)
}

/// Asks them all, or the one that is called `only`.
pub(crate) fn all(scene: &Scene, only: Option<&str>, report: &mut Report) {
    let wanted = |name: &str| only.is_none_or(|only| only == name);
    for (name, measure) in MEASURES.into_iter().filter(|(name, _)| wanted(name)) {
        let begin = Instant::now();
        measure(scene, report);
        // A house that fails shows its last lines; those of the measures before would only bury them.
        scene.house.syslog().clear();
        eprintln!("{name}: {:.0} s", begin.elapsed().as_secs_f64());
    }
}

/// One client for each of the modules, so that none is in the other's memory.
struct Lane {
    module: Module,
    client: Client,
}

impl Lane {
    fn new(scene: &Scene, module: Module) -> Self {
        Self { module, client: scene.client() }
    }

    /// A login that must be let in.
    fn accepted(&mut self, process: Process, ticket: &Ticket) -> Timing {
        let timing = self.login(process, ticket);
        assert_eq!(timing.code, SUCCESS, "{:?} did not let {ticket:?} in", self.module);
        timing
    }

    /// A login that must not.
    fn refused(&mut self, process: Process, ticket: &Ticket) -> Timing {
        let timing = self.login(process, ticket);
        assert_ne!(timing.code, SUCCESS, "{:?} let {ticket:?} in", self.module);
        timing
    }

    fn login(&mut self, process: Process, ticket: &Ticket) -> Timing {
        self.client.login(process, &ticket.words(self.module).login())
    }
}
