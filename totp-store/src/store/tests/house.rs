//! A throw-away store with alice in it, and a disk that can be told to fail and that remembers what was written.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use nix::errno::Errno;
use tempfile::TempDir;
use totp_core::answer::Answer;
use totp_core::contact::Contact;
use totp_core::evaluate::{Attempt, Reason, Rules, Verdict, evaluate};
use totp_core::event::Place;
use totp_core::name::{AuthenticatorName, UserName};
use totp_core::origin::Origin;
use totp_core::otp::{Algorithm, Digits, Totp};
use totp_core::record::{Authenticator, Decision, EnrollmentId, Entry, Kind, Record, Tombstone};
use totp_core::search::Codebook;
use totp_core::secret::Secret;
use totp_core::state::{Spent, State, TotpSpent};
use totp_core::store::{Durability, Fault, Store as _};
use totp_core::time::{Period, UnixTime};

use crate::files::Owner;
use crate::store::disk::{Disk, RealDisk};
use crate::store::{Expected, FileStore};

pub(super) const NOW: UnixTime = UnixTime(1_763_000_010);

/// Long before everything else: after a restart, all codes are younger.
pub(super) const BOOT: UnixTime = UnixTime(1_762_000_000);

pub(super) fn user(name: &str) -> UserName {
    UserName::new(name).unwrap()
}

pub(super) fn totp() -> Totp {
    Totp {
        secret: Secret::fresh(&[1; Secret::FRESH]),
        algorithm: Algorithm::Sha1,
        digits: Digits::Six,
        period: Period::DEFAULT,
    }
}

/// The code of alice's phone at a time.
pub(super) fn code(at: UnixTime) -> String {
    totp().code_text(totp().step(at)).as_str().to_owned()
}

/// A code that is right nowhere near `at`.
pub(super) fn wrong(at: UnixTime) -> String {
    let step = totp().step(at);
    let near: Vec<String> =
        (-200..200).map(|n| totp().code_text(step.moved(n)).as_str().to_owned()).collect();
    (0..).map(|n| format!("{n:06}")).find(|code| !near.contains(code)).unwrap()
}

pub(super) fn decision(name: &str) -> Decision {
    Decision {
        user: user(name),
        uid: Some(1000),
        since: NOW,
        by: "carol".to_owned(),
        seq: 1,
        contact: Contact::default(),
    }
}

pub(super) fn record(name: &str, enrollment: u8) -> Record {
    let authenticator = Authenticator { name: phone(), added: NOW, kind: Kind::Totp(totp()) };
    let enrollment = EnrollmentId::fresh([enrollment; 8]);
    Record::new(decision(name), enrollment, vec![authenticator])
}

/// What a change to somebody with this record is prepared against.
pub(super) fn expected(name: &str, enrollment: u8) -> Expected {
    Expected::Enrolled(Entry::Enrolled(record(name, enrollment)).version().unwrap())
}

pub(super) fn tombstone(name: &str) -> Tombstone {
    Tombstone { decision: decision(name), reason: None }
}

pub(super) fn phone() -> AuthenticatorName {
    AuthenticatorName::new("phone").unwrap()
}

pub(super) fn first_state(enrollment: u8) -> State {
    let spent = vec![(phone(), Spent::Totp(TotpSpent::default()))];
    State::new(EnrollmentId::fresh([enrollment; 8]), 0, spent)
}

pub(super) struct House {
    temp: TempDir,
    pub(super) store: FileStore,
    pub(super) disk: Arc<TestDisk>,
}

impl House {
    /// Directories, and nobody in them.
    pub(super) fn empty() -> Self {
        let temp = TempDir::new().unwrap();
        for name in ["lib", "lib/users", "lib/state", "lib/uids", "run"] {
            let path = temp.path().join(name);
            fs::create_dir(&path).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
        }
        let disk = Arc::new(TestDisk::default());
        let store = store_at(temp.path(), disk.clone());
        store.make_index().unwrap();
        Self { temp, store, disk }
    }

    pub(super) fn with_alice() -> Self {
        let house = Self::empty();
        house.enroll("alice", 1, Expected::Absent);
        house.disk.forget();
        house
    }

    pub(super) fn enroll(&self, name: &str, enrollment: u8, expected: Expected) {
        let record = record(name, enrollment);
        self.store.install(record, expected, &|_| first_state(enrollment)).unwrap();
    }

    /// Another process's view of the same files.
    pub(super) fn another_store(&self) -> FileStore {
        store_at(self.temp.path(), self.disk.clone())
    }

    pub(super) fn lib(&self, name: &str) -> PathBuf {
        self.temp.path().join("lib").join(name)
    }

    pub(super) fn run(&self, name: &str) -> PathBuf {
        self.temp.path().join("run").join(name)
    }

    pub(super) fn state_file(&self) -> PathBuf {
        self.lib("state/alice")
    }

    pub(super) fn enter(&self, typed: &str, now: UnixTime) -> Verdict {
        self.try_code("alice", typed, now).unwrap().0
    }

    pub(super) fn reason(&self, typed: &str, now: UnixTime) -> Reason {
        reason(self.enter(typed, now))
    }

    pub(super) fn try_code(
        &self,
        name: &str,
        typed: &str,
        now: UnixTime,
    ) -> Result<(Verdict, Durability), Fault> {
        try_code(&self.store, name, typed, now)
    }
}

fn store_at(path: &Path, disk: Arc<TestDisk>) -> FileStore {
    let mut store = FileStore::new(&path.join("lib"), &path.join("run"), Owner::this_process());
    store.disk = disk;
    store.started = || Some(BOOT);
    store
}

pub(super) fn try_code(
    store: &FileStore,
    name: &str,
    typed: &str,
    now: UnixTime,
) -> Result<(Verdict, Durability), Fault> {
    let answers = [Answer::read(typed.as_bytes())];
    let codebook = Codebook::compute(None, &[], &answers, &Rules::default(), now);
    let place = Place::new("sshd", "192.0.2.1");
    let attempt = Attempt {
        answers: &answers,
        codebook: &codebook,
        first: None,
        origin: &Origin::Net4([192, 0, 2]),
        place: &place,
        now,
        entropy: [now.0, now.0 + 1],
        pretext: None,
    };
    let committed =
        store.transact(&user(name), &|view| evaluate(&Rules::default(), view, &attempt))?;
    let durability = committed.durability();
    Ok((committed.into_outcome(), durability))
}

pub(super) fn is_accepted(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Accepted(_))
}

pub(super) fn reason(verdict: Verdict) -> Reason {
    match verdict {
        Verdict::Refused(refusal) => refusal.reason,
        Verdict::Accepted(accepted) => panic!("accepted: {accepted:?}"),
    }
}

/// What happened to a file, in order.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Done {
    Write { offset: usize, bytes: Vec<u8> },
    Flush,
}

/// What is to go wrong from now on.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) enum Trouble {
    #[default]
    None,
    /// No write is taken.
    Writes(Errno),
    /// Writes seem to be taken, flushes fail.
    Flushes(Errno),
    /// Nothing can be read in the 4 KiB at this offset.
    Reads(u64, Errno),
}

/// The real disk, watched.
#[derive(Debug, Default)]
pub(super) struct TestDisk {
    done: Mutex<Vec<Done>>,
    trouble: Mutex<Trouble>,
}

impl TestDisk {
    pub(super) fn fail(&self, trouble: Trouble) {
        *self.trouble.lock().unwrap() = trouble;
    }

    pub(super) fn heal(&self) {
        self.fail(Trouble::None);
    }

    pub(super) fn forget(&self) {
        self.done.lock().unwrap().clear();
    }

    pub(super) fn done(&self) -> Vec<Done> {
        self.done.lock().unwrap().clone()
    }

    pub(super) fn flushes(&self) -> usize {
        self.done().iter().filter(|done| **done == Done::Flush).count()
    }
}

impl Disk for TestDisk {
    fn read(&self, file: &File, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        if let Trouble::Reads(bad, errno) = *self.trouble.lock().unwrap() {
            let end = offset + u64::try_from(bytes.len()).unwrap();
            if offset < bad + 4096 && bad < end {
                return Err(errno.into());
            }
        }
        RealDisk.read(file, bytes, offset)
    }

    fn write(&self, file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
        if let Trouble::Writes(errno) = *self.trouble.lock().unwrap() {
            return Err(errno.into());
        }
        let done = Done::Write { offset: usize::try_from(offset).unwrap(), bytes: bytes.to_vec() };
        self.done.lock().unwrap().push(done);
        RealDisk.write(file, bytes, offset)
    }

    fn flush(&self, file: &File) -> io::Result<()> {
        if let Trouble::Flushes(errno) = *self.trouble.lock().unwrap() {
            return Err(errno.into());
        }
        self.done.lock().unwrap().push(Done::Flush);
        RealDisk.flush(file)
    }
}
