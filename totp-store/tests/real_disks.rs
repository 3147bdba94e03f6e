//! Logins on real file systems that are read-only or full, mounted in a private mount namespace. Needs root; without it, says so
//! and does nothing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)] // a test
#![allow(clippy::arithmetic_side_effects, clippy::print_stderr)] // of its own numbers, to whoever runs it

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use totp_core::answer::Answer;
use totp_core::contact::Contact;
use totp_core::evaluate::{Attempt, Reason, Rules, Verdict, evaluate};
use totp_core::event::{EventKind, Place};
use totp_core::name::{AuthenticatorName, UserName};
use totp_core::origin::Origin;
use totp_core::otp::{Algorithm, Digits, Totp};
use totp_core::record::{Authenticator, Decision, EnrollmentId, Kind, Record};
use totp_core::search::Codebook;
use totp_core::secret::Secret;
use totp_core::state::{Spent, State, TotpSpent};
use totp_core::store::{Durability, Store as _};
use totp_core::time::{Period, UnixTime};
use totp_store::files::Owner;
use totp_store::permanent::{Entry, PermanentRecord};
use totp_store::store::{Expected, FileStore};
use totp_store::{Wait, clock};

/// Names the directory on which the inner tests mount their disk.
const DISK: &str = "PAM_TOTP_TEST_DISK";

#[test]
fn a_code_is_good_once_on_a_read_only_disk_and_after_it() {
    in_a_namespace("inner_read_only");
}

#[test]
fn somebody_without_a_state_gets_in_on_a_read_only_disk() {
    in_a_namespace("inner_read_only_without_a_state");
}

#[test]
fn a_code_is_good_once_on_a_full_disk_and_after_it() {
    in_a_namespace("inner_full");
}

#[test]
fn a_full_disk_records_nothing_and_leaves_the_permanent_record_whole() {
    in_a_namespace("inner_full_record");
}

/// Runs an inner test again, as a process of its own with a disk of its own.
fn in_a_namespace(inner: &str) {
    if !nix::unistd::Uid::effective().is_root() {
        eprintln!("left out: mounting a disk needs root");
        return;
    }
    let temp = tempfile::TempDir::new().unwrap();
    let script = "mount -t tmpfs -o size=256k,mode=700 none \"$1\" && \
                  PAM_TOTP_TEST_DISK=\"$1\" exec \"$2\" --exact --ignored \"$3\"";
    let status = Command::new("unshare")
        .args(["--mount", "--propagation", "private", "sh", "-c", script, "sh"])
        .args([temp.path(), &std::env::current_exe().unwrap(), Path::new(inner)])
        .status()
        .unwrap();
    assert!(status.success());
}

#[test]
#[ignore = "runs inside the one above"]
fn inner_read_only() {
    let house = House::new();
    let now = clock::now();
    assert_eq!(house.enter(now.minus(60), now.minus(60)), Ok(Durability::Disk));
    house.remount("ro");
    assert_eq!(house.enter(now, now), Ok(Durability::Volatile));
    assert_eq!(house.enter(now, now), Err(Reason::Replay));
    assert!(house.enter(now.minus(60), now).is_err());
    assert_eq!(house.stranger(now), Err(Reason::NotEnrolled));
    assert!(house.run.join("alice").exists());
    house.remount("rw");
    assert_eq!(house.enter(now, now), Err(Reason::Replay));
    assert!(!house.run.join("alice").exists());
    assert_eq!(house.enter(now.plus(30), now.plus(30)), Ok(Durability::Disk));
    assert_eq!(house.stranger(now), Err(Reason::NotEnrolled));
}

#[test]
#[ignore = "runs inside the one above"]
fn inner_read_only_without_a_state() {
    let house = House::new();
    let now = clock::now();
    fs::remove_file(house.disk.join("lib/state/alice")).unwrap();
    house.remount("ro");
    // Begun anew, with floors above now: later, two codes let in.
    assert!(house.enter(now, now).is_err());
    let later = now.plus(1500);
    assert_eq!(house.enter_pair(later), Ok(Durability::Volatile));
    assert!(house.enter_pair(later).is_err());
    house.remount("rw");
    assert!(house.enter_pair(later).is_err());
    assert_eq!(house.enter_pair(later.plus(90)), Ok(Durability::Disk));
    assert!(!house.run.join("alice").exists());
}

#[test]
#[ignore = "runs inside the one above"]
fn inner_full() {
    let house = House::new();
    let now = clock::now();
    let filler = house.disk.join("filler");
    // An ordinary state is overwritten in place and needs no room; one that was lost does.
    fs::remove_file(house.disk.join("lib/state/alice")).unwrap();
    let _ = fs::write(&filler, vec![0; 1024 * 1024]);
    assert!(house.enter(now, now).is_err());
    let later = now.plus(1500);
    assert_eq!(house.enter_pair(later), Ok(Durability::Volatile));
    assert!(house.enter_pair(later).is_err());
    assert_eq!(house.stranger(now), Err(Reason::NotEnrolled));
    fs::remove_file(&filler).unwrap();
    assert!(house.enter_pair(later).is_err());
    assert_eq!(house.enter_pair(later.plus(90)), Ok(Durability::Disk));
    let _ = fs::write(&filler, vec![0; 1024 * 1024]);
    assert_eq!(house.enter_pair(later.plus(180)), Ok(Durability::Disk));
}

#[test]
#[ignore = "runs inside the one above"]
fn inner_full_record() {
    let disk = PathBuf::from(std::env::var_os(DISK).unwrap());
    let record = PermanentRecord::new(&disk.join("notifications.jsonl"), Owner::ROOT);
    let now = clock::now();
    let mut entry = Entry::new(now, EventKind::Disabled);
    entry.reason = Some("x".repeat(1000));
    let filler = disk.join("filler");
    let mut recorded = 0;
    let _ = fs::write(&filler, vec![0; 180 * 1024]);
    let error = loop {
        match record.append(&entry, now, Wait::No) {
            Ok(_) => recorded += 1,
            Err(error) => break error.to_string(),
        }
        assert!(recorded < 1000, "the disk doesn't fill up");
    };
    assert!(error.contains("No space left"), "{error}");
    let verified = record.verify(&[]).unwrap();
    assert_eq!((verified.lines, verified.incomplete), (recorded, false));
    fs::remove_file(filler).unwrap();
    assert_eq!(record.append(&entry, now, Wait::No).unwrap().seq, recorded + 1);
    assert!(record.verify(&[]).unwrap().findings.is_empty());
}

/// Alice's files on a disk that can be remounted; memory is elsewhere.
struct House {
    disk: PathBuf,
    run: PathBuf,
    _temp: tempfile::TempDir,
}

impl House {
    fn new() -> Self {
        let disk = PathBuf::from(std::env::var_os(DISK).unwrap());
        let temp = tempfile::TempDir::new().unwrap();
        let run = temp.path().join("run");
        for path in [&disk.join("lib"), &disk.join("lib/users"), &disk.join("lib/state"), &run] {
            fs::create_dir(path).unwrap();
            fs::set_permissions(path, fs::Permissions::from_mode(0o700)).unwrap();
        }
        let house = Self { disk, run, _temp: temp };
        house.enroll();
        house
    }

    fn store(&self) -> FileStore {
        FileStore::new(&self.disk.join("lib"), &self.run, Owner::ROOT)
    }

    fn enroll(&self) {
        let name = AuthenticatorName::new("phone").unwrap();
        let enrollment = EnrollmentId::fresh([1; 8]);
        let decision = Decision {
            user: UserName::new("alice").unwrap(),
            uid: None,
            since: UnixTime(0),
            by: "root".to_owned(),
            seq: 1,
            contact: Contact::default(),
        };
        let kind = Kind::Totp(totp());
        let authenticators = vec![Authenticator { name: name.clone(), added: UnixTime(0), kind }];
        let record = Record::new(decision, enrollment, authenticators);
        let spent = vec![(name, Spent::Totp(TotpSpent::default()))];
        let first = State::new(enrollment, 0, spent);
        self.store().install(record, Expected::Absent, &|_| first.clone()).unwrap();
    }

    fn remount(&self, how: &str) {
        let how = format!("remount,{how}");
        assert!(
            Command::new("mount").args(["-o", &how]).arg(&self.disk).status().unwrap().success()
        );
    }

    /// Alice types the code of a time.
    fn enter(&self, code_of: UnixTime, now: UnixTime) -> Result<Durability, Reason> {
        self.type_in("alice", &code(code_of), now)
    }

    fn enter_pair(&self, now: UnixTime) -> Result<Durability, Reason> {
        self.type_in("alice", &format!("{} {}", code(now.minus(30)), code(now)), now)
    }

    fn stranger(&self, now: UnixTime) -> Result<Durability, Reason> {
        self.type_in("mallory", "123456", now)
    }

    fn type_in(&self, name: &str, typed: &str, now: UnixTime) -> Result<Durability, Reason> {
        let answers = [Answer::read(typed.as_bytes())];
        let codebook = Codebook::compute(None, &[], &answers, &Rules::default(), now);
        let attempt = Attempt {
            answers: &answers,
            codebook: &codebook,
            first: None,
            origin: &Origin::Caller(0),
            place: &Place::new("su", ""),
            now,
            entropy: [1, 2],
            pretext: None,
        };
        let store = self.store();
        let user = UserName::new(name).unwrap();
        let _ = store.look(&user).unwrap();
        let committed = store
            .transact(&user, &|view| evaluate(&Rules::default(), view, &attempt))
            .unwrap_or_else(|fault| panic!("{fault}"));
        let durability = committed.durability();
        match committed.into_outcome() {
            Verdict::Accepted(_) => Ok(durability),
            Verdict::Refused(refusal) => Err(refusal.reason),
        }
    }
}

fn totp() -> Totp {
    Totp {
        secret: Secret::fresh(&[1; Secret::FRESH]),
        algorithm: Algorithm::Sha1,
        digits: Digits::Six,
        period: Period::DEFAULT,
    }
}

fn code(at: UnixTime) -> String {
    totp().code_text(totp().step(at)).as_str().to_owned()
}
