//! The memory of a process, from the outside: what can be found in it.

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;

/// Something to look for.
#[derive(Debug, Clone)]
pub struct Needle {
    /// What it is, for whoever reads that it was found.
    pub what: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

impl Needle {
    /// These bytes, by this name.
    #[must_use]
    pub fn new(what: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        Self { what: what.into(), bytes: bytes.into() }
    }
}

/// What a process could write to, as it was at one moment: heap, stack, libraries' data, whatever is mapped.
#[derive(Debug)]
pub struct Memory(Vec<Region>);

#[derive(Debug)]
struct Region {
    /// As `/proc/PID/maps` calls it.
    name: String,
    start: u64,
    bytes: Vec<u8>,
}

impl Memory {
    /// The memory of a process that does nothing at the moment.
    ///
    /// # Panics
    ///
    /// If it can't be read.
    #[must_use]
    pub fn of(pid: u32) -> Self {
        let maps = fs::read_to_string(format!("/proc/{pid}/maps")).expect("a process");
        let memory = File::open(format!("/proc/{pid}/mem")).expect("root may");
        let region = |line: &str| {
            let mut words = line.split_ascii_whitespace();
            let (range, rights) = (words.next()?, words.next()?);
            let (start, end) = range.split_once('-')?;
            let [start, end] = [start, end].map(|at| u64::from_str_radix(at, 16).unwrap());
            let name = words.nth(3).unwrap_or("anonymous").to_string();
            if !rights.starts_with("rw") || name == "[vvar]" {
                return None;
            }
            let mut bytes = vec![0; usize::try_from(end - start).unwrap()];
            memory.read_exact_at(&mut bytes, start).ok()?;
            Some(Region { name, start, bytes })
        };
        Self(maps.lines().filter_map(region).collect())
    }

    /// A core file, whole.
    ///
    /// # Panics
    ///
    /// If it can't be read.
    #[must_use]
    pub fn of_core(path: &std::path::Path) -> Self {
        let bytes = fs::read(path).expect("a core file");
        Self(vec![Region { name: "core".to_string(), start: 0, bytes }])
    }

    /// How many bytes there are.
    #[must_use]
    pub fn size(&self) -> usize {
        self.0.iter().map(|region| region.bytes.len()).sum()
    }

    /// Which needles are there, with the places.
    #[must_use]
    pub fn finds(&self, needles: &[Needle]) -> Vec<String> {
        let mut found = Vec::new();
        for region in &self.0 {
            for needle in needles {
                let Some((first, rest)) = needle.bytes.split_first() else { continue };
                let mut at = 0;
                while let Some(next) = region.bytes[at..].iter().position(|byte| byte == first) {
                    at += next + 1;
                    if region.bytes[at..].starts_with(rest) {
                        found.push(region.place(needle, at - 1));
                    }
                }
            }
        }
        found
    }
}

impl Region {
    fn place(&self, needle: &Needle, at: usize) -> String {
        let around = at.saturating_sub(48)..(at + needle.bytes.len() + 32).min(self.bytes.len());
        let seen = self.bytes[around].escape_ascii();
        let address = self.start + at as u64;
        format!("{} in {} at {address:#x}: {seen}", needle.what, self.name)
    }
}
