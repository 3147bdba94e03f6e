//! Programs whose calls fail one after the other: a library of the tests' own in front of libc (`misfortune/misfortune.c`).

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use pam_totp_tests::House;

/// Where the library, its report and what it is told lie, inside every house.
const LIBRARY: &str = "/usr/local/bin/misfortune.so";
const REPORT: &str = "/run/misfortune";
const CONTROL: &str = "/run/misfortune.control";

/// The library, compiled and put into a house.
#[derive(Debug)]
pub struct Misfortune {
    report: PathBuf,
    control: File,
}

/// What goes wrong in a daemon, from the moment at which it is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blow {
    /// Nothing: the calls are counted.
    None,
    /// One call fails, with this errno.
    Once(i32),
    /// It and all later ones.
    Lasting(i32),
    /// The process is killed in the place of the call.
    Kill,
}

impl Misfortune {
    /// Puts it into a house.
    pub fn befalls(house: &House) -> Self {
        let source =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/end_to_end/misfortune/misfortune.c");
        let status = Command::new("cc")
            .args(["-shared", "-fPIC", "-std=c11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror"])
            .args(["-O1", "-o"])
            .args([&house.path(LIBRARY), &source])
            .status()
            .expect("a C compiler (build-essential) is needed");
        assert!(status.success(), "compiling {} failed", source.display());
        fs::write(house.path(CONTROL), [0; 48]).unwrap();
        let control = File::options().read(true).write(true).open(house.path(CONTROL)).unwrap();
        Self { report: house.path(REPORT), control }
    }

    /// The variables of a command of which a call on files fails as these say.
    pub fn of_a_command(more: &[(&str, &str)]) -> Vec<(String, String)> {
        let usual =
            [("LD_PRELOAD", LIBRARY), ("MISFORTUNE", "files"), ("MISFORTUNE_REPORT", REPORT)];
        let all = usual.iter().chain(more);
        all.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    /// The variables of a daemon of which `what` goes wrong when it is told so: `files` or `memory`.
    pub fn of_a_daemon(what: &str) -> [(&str, &str); 3] {
        [("LD_PRELOAD", LIBRARY), ("MISFORTUNE", what), ("MISFORTUNE_CONTROL", CONTROL)]
    }

    /// The variables of a program that gets no random bytes.
    pub fn without_random(errno: &str) -> [(&str, &str); 2] {
        [("LD_PRELOAD", LIBRARY), ("MISFORTUNE_RANDOM", errno)]
    }

    /// How many calls the last command made that could have failed.
    pub fn counted(&self) -> usize {
        let text = fs::read_to_string(&self.report).expect("the library is there");
        text.trim().parse().expect("a number")
    }

    /// From now on the daemon's calls are counted, and the one of this number is struck.
    pub fn strike(&self, at: usize, blow: Blow) {
        let (how, killing, lasting) = match blow {
            Blow::None => (0, 0, 0),
            Blow::Once(errno) => (errno, 0, 0),
            Blow::Lasting(errno) => (errno, 0, 1),
            Blow::Kill => (0, 1, 0),
        };
        let at = i64::try_from(at).unwrap();
        self.tell([1, at, i64::from(how), killing, lasting, 0]);
    }

    /// From now on nothing fails; gives how many calls were counted.
    pub fn relent(&self) -> usize {
        let mut counted = [0; 8];
        self.control.read_exact_at(&mut counted, 40).unwrap();
        self.tell([0; 6]);
        usize::try_from(i64::from_ne_bytes(counted)).unwrap()
    }

    fn tell(&self, control: [i64; 6]) {
        let bytes: Vec<u8> = control.iter().flat_map(|number| number.to_ne_bytes()).collect();
        self.control.write_all_at(&bytes, 0).unwrap();
    }
}
