//! Where they race: processes that wait at a gate with one answer each, and are let go together. A process is reused for
//! every round; a round has a PAM handle of its own in each.

use std::fs::{self, File};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use nix::fcntl::{Flock, FlockArg};
use pam_totp_tests::{Application, Heard, House, Login, Pam, SOON};

/// As many as ever race.
pub const MOST: usize = 32;

/// How many race at once.
pub const SIZES: [usize; 3] = [2, 8, MOST];

const GATE: &str = "/var/lib/race-gate";

/// Processes at a gate.
pub struct Arena<'a> {
    house: &'a House,
    applications: Vec<Application>,
    gate: PathBuf,
}

impl<'a> Arena<'a> {
    pub fn in_house(house: &'a House) -> Self {
        let gate = house.path(GATE);
        fs::write(&gate, "").unwrap();
        let application = |_| {
            let mut application = house.application();
            application.wait_at(GATE);
            application
        };
        Self { house, applications: (0..MOST).map(application).collect(), gate }
    }

    pub fn house(&self) -> &House {
        self.house
    }

    /// How many of `size` are let in that give the same answer to the first prompt of `service`, and none to a second.
    pub fn let_in(&mut self, service: &str, user: &str, answer: &str, size: usize) -> usize {
        let each: Vec<(&str, &str)> = vec![(user, answer); size];
        self.race(service, &each).iter().filter(|result| **result == Pam::Success).count()
    }

    /// What becomes of these, each with a user and an answer.
    pub fn race(&mut self, service: &str, each: &[(&str, &str)]) -> Vec<Pam> {
        let applications = self.applications.iter_mut();
        let mut logins: Vec<Login<'_>> =
            applications.zip(each).map(|(it, (user, _))| it.login(service, user)).collect();
        let shut = Gate::shut(&self.gate);
        for login in &mut logins {
            login.begin("auth 0");
        }
        shut.open_for(each.len());
        for login in &mut logins {
            while !matches!(login.hear(), Heard::Ask { .. }) {}
        }
        let shut = Gate::shut(&self.gate);
        for (login, (_, answer)) in logins.iter_mut().zip(each) {
            login.answer(*answer);
        }
        shut.open_for(each.len());
        logins.iter_mut().map(|login| login.rest([] as [&str; 0]).code).collect()
    }
}

/// A gate that is shut.
struct Gate {
    held: Flock<File>,
    waiting: String,
}

impl Gate {
    fn shut(path: &PathBuf) -> Self {
        let file = File::open(path).unwrap();
        let waiting = format!(":{} ", file.metadata().unwrap().ino());
        let held = Flock::lock(file, FlockArg::LockExclusive).unwrap();
        Self { held, waiting }
    }

    /// Opens once so many wait at it.
    fn open_for(self, count: usize) {
        let deadline = Instant::now() + SOON;
        let waits = |line: &&str| line.contains("-> FLOCK") && line.contains(&self.waiting);
        while fs::read_to_string("/proc/locks").unwrap().lines().filter(waits).count() < count {
            assert!(Instant::now() < deadline, "not all came to the gate");
            std::thread::sleep(Duration::from_micros(200));
        }
        drop(self.held);
    }
}

/// A user's state as it was at some moment. Putting it back, with nobody at work, makes every code good again that was
/// good then, without an administrator's command for each.
pub struct Snapshot {
    on_disk: PathBuf,
    bytes: Vec<u8>,
    in_memory: PathBuf,
}

impl Snapshot {
    pub fn of(house: &House, user: &str) -> Self {
        let on_disk = house.path("/var/lib/pam-totp/state").join(user);
        let bytes = fs::read(&on_disk).unwrap();
        Self { on_disk, bytes, in_memory: house.path("/run/pam-totp/state").join(user) }
    }

    pub fn put_back(&self) {
        // In place, as logins write it.
        let file = File::options().write(true).open(&self.on_disk).unwrap();
        file.write_all_at(&self.bytes, 0).unwrap();
    }

    /// The same while the disk can't be written, and is as it was.
    pub fn forget_memory(&self) {
        let _ = fs::remove_file(&self.in_memory); // before the first race there is none
    }
}
