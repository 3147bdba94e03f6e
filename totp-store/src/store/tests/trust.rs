//! Files and directories that are not what they must be: denied, never taken for absence.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use nix::sys::stat::Mode;
use totp_core::store::{Fault, FaultKind, Found, Store as _};

use super::house::{House, NOW, code, is_accepted, user};

/// Does something to a path that a store must not put up with.
type Spoil = fn(&Path);

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// What a look and a login say; both must say the same.
fn fault(house: &House) -> Fault {
    let looked = house.store.look(&user("alice")).unwrap_err();
    let tried = house.try_code("alice", &code(NOW), NOW).unwrap_err();
    assert_eq!(looked, tried);
    tried
}

#[test]
fn a_record_that_is_not_a_trusted_file_is_refused() {
    let spoil: [(&str, Spoil); 6] = [
        ("others have access", |path| chmod(path, 0o640)),
        ("symbolic link", |path| {
            fs::rename(path, path.with_extension("real")).unwrap();
            symlink(path.with_extension("real"), path).unwrap();
        }),
        ("hard links", |path| fs::hard_link(path, path.with_extension("second")).unwrap()),
        ("a FIFO", |path| {
            fs::remove_file(path).unwrap();
            nix::unistd::mkfifo(path, Mode::S_IRUSR | Mode::S_IWUSR).unwrap();
        }),
        ("a directory", |path| {
            fs::remove_file(path).unwrap();
            fs::create_dir(path).unwrap();
        }),
        ("symbolic link", |path| {
            fs::remove_file(path).unwrap();
            symlink("/nonexistent", path).unwrap();
        }),
    ];
    for (text, spoil) in spoil {
        let house = House::with_alice();
        spoil(&house.lib("users/alice.toml"));
        let fault = fault(&house);
        assert_eq!(fault.kind, FaultKind::RecordRefused, "{text}");
        assert!(fault.detail.contains(text) && fault.detail.contains("alice.toml"), "{fault}");
    }
}

#[test]
fn a_record_whose_text_is_no_record_is_damaged() {
    for content in [b"".as_slice(), b"\xff\xfe", &[b'#'; 20_000], b"version = 2\n", b"noise = 1\n"]
    {
        let house = House::with_alice();
        fs::write(house.lib("users/alice.toml"), content).unwrap();
        assert_eq!(fault(&house).kind, FaultKind::RecordDamaged);
    }
}

#[test]
fn another_users_record_is_refused() {
    let house = House::with_alice();
    fs::copy(house.lib("users/alice.toml"), house.lib("users/bob.toml")).unwrap();
    let fault = house.store.look(&user("bob")).unwrap_err();
    assert_eq!(fault.kind, FaultKind::RecordRefused);
    assert!(fault.detail.contains("it is the record of alice, not of bob"), "{fault}");
}

#[test]
fn directories_that_are_missing_or_shared_are_nobodys_absence() {
    for name in ["", "users", "state"] {
        let spoil: [Spoil; 3] = [
            |path| chmod(path, 0o777),
            |path| fs::rename(path, path.with_extension("away")).unwrap(),
            |path| {
                fs::rename(path, path.with_extension("away")).unwrap();
                symlink(path.with_extension("away"), path).unwrap();
            },
        ];
        for spoil in spoil {
            let house = House::with_alice();
            let path = house.lib(name);
            let path = Path::new(path.to_str().unwrap().trim_end_matches('/'));
            spoil(path);
            let store = house.another_store();
            for name in ["alice", "nobody"] {
                let fault = store.look(&user(name)).unwrap_err();
                assert_eq!(fault.kind, FaultKind::Unavailable);
                assert!(fault.detail.contains(path.to_str().unwrap()), "{fault}");
            }
            assert!(!path.join("users").exists() || name.is_empty());
        }
    }
}

#[test]
fn a_state_that_is_not_a_trusted_file_denies_its_user_alone() {
    let house = House::with_alice();
    chmod(&house.state_file(), 0o604);
    // A login is asked all the same, and finds out after the prompts; an administrator sees it at once.
    assert!(matches!(house.store.look(&user("alice")), Ok(Found::Enrolled(_))));
    let tried = house.try_code("alice", &code(NOW), NOW).unwrap_err();
    assert_eq!(tried.kind, FaultKind::StateDamaged);
    assert_eq!(house.store.inspect(&user("alice")).unwrap_err(), tried);
    assert!(matches!(house.store.look(&user("bob")), Ok(Found::Absent)));
    chmod(&house.state_file(), 0o600);
    assert!(is_accepted(&house.enter(&code(NOW), NOW)));
}

#[test]
fn who_is_enrolled_does_not_show_while_no_state_can_be_looked_at() {
    let mut house = House::with_alice();
    chmod(&house.run(""), 0o777);
    house.store = house.another_store();
    for name in ["alice", "bob"] {
        assert!(house.store.look(&user(name)).is_ok(), "{name}");
        let fault = house.try_code(name, &code(NOW), NOW).unwrap_err();
        assert_eq!(fault.kind, FaultKind::Unavailable, "{name}");
    }
    assert!(house.store.inspect(&user("alice")).is_err());
}

#[test]
fn hostile_names_are_files_of_their_own() {
    use super::house::{first_state, record};
    use crate::store::Expected;
    let long = "x".repeat(255);
    let names =
        ["../evil/f", "..", "a\\b", "50%", ".hidden", "two words", "\u{e9}l\u{e8}ve", &long];
    let house = House::empty();
    for (n, name) in names.iter().enumerate() {
        let n = u8::try_from(n).unwrap();
        house.store.install(record(name, n), Expected::Absent, &|_| first_state(n)).unwrap();
    }
    for name in names {
        assert!(is_accepted(&house.try_code(name, &code(NOW), NOW).unwrap().0), "{name}");
    }
    assert_eq!(house.store.everybody(NOW).unwrap().len(), names.len());
    // Nothing above, nothing beside.
    assert_eq!(fs::read_dir(house.lib("")).unwrap().count(), 3);
}
