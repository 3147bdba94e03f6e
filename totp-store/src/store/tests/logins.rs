//! Logins on a disk that works.

use std::cell::Cell;
use std::fs;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};

use nix::errno::Errno;
use totp_core::evaluate::{Reason, Rules};
use totp_core::name::UserName;
use totp_core::origin::Origin;
use totp_core::store::{Change, Durability, FaultKind, Found, StateRead, Store as _, View};
use totp_core::text_message::{Message, request};
use totp_core::upkeep::read;

use super::house::{
    Done, House, NOW, Trouble, code, first_state, is_accepted, try_code, user, wrong,
};
use crate::flock::{Held, Place};
use crate::store::Expected;
use crate::store::blocks::SIZE_ON_DISK;

#[test]
fn a_code_is_good_once_also_for_another_process() {
    let house = House::with_alice();
    let (verdict, durability) = house.try_code("alice", &code(NOW), NOW).unwrap();
    assert!(is_accepted(&verdict));
    assert_eq!(durability, Durability::Disk);
    assert_eq!(house.reason(&code(NOW), NOW), Reason::Replay);
    let (verdict, _) = try_code(&house.another_store(), "alice", &code(NOW), NOW).unwrap();
    assert!(!is_accepted(&verdict));
    assert!(is_accepted(&house.enter(&code(NOW.plus(30)), NOW.plus(30))));
}

#[test]
fn an_accepted_login_costs_one_flush_and_a_refused_one_none() {
    let house = House::with_alice();
    for n in 0..5 {
        house.disk.forget();
        assert!(is_accepted(&house.enter(&code(NOW.plus(30 * n)), NOW.plus(30 * n))));
        assert_eq!(house.disk.flushes(), 1);
        house.disk.forget();
        assert!(!is_accepted(&house.enter(&wrong(NOW), NOW.plus(30 * n))));
        assert_eq!(house.disk.flushes(), 0);
    }
}

#[test]
fn the_debit_comes_first_then_the_older_block_then_the_flush_then_the_note() {
    let house = House::with_alice();
    let mut blocks = Vec::new();
    for n in 0..4 {
        house.disk.forget();
        let _ = house.enter(&code(NOW.plus(30 * n)), NOW.plus(30 * n));
        let offsets: Vec<_> = house
            .disk
            .done()
            .into_iter()
            .map(|done| match done {
                Done::Write { offset, .. } => Some(offset),
                Done::Flush => None,
            })
            .collect();
        let [Some(8192), Some(block), None, Some(8192)] = offsets[..] else {
            panic!("{offsets:?}")
        };
        blocks.push(block);
    }
    assert!(blocks == [0, 4096, 0, 4096] || blocks == [4096, 0, 4096, 0], "{blocks:?}");
}

#[test]
fn a_block_that_may_not_be_on_disk_is_written_and_flushed_again_before_the_other_is_overwritten() {
    let house = House::with_alice();
    let _ = house.enter(&code(NOW), NOW);
    // Its writer was killed before it could note that the block is on disk.
    let mut bytes = fs::read(house.state_file()).unwrap();
    let meter = String::from_utf8(bytes[8192..].to_vec()).unwrap();
    assert!(meter.contains("\nnoted 2\n"));
    bytes[8192..].fill(b'\n');
    fs::write(house.state_file(), &bytes).unwrap();
    house.disk.forget();
    // The meter being gone as well, two codes are asked for.
    let later = NOW.plus(90);
    let pair = format!("{} {}", code(NOW.plus(60)), code(later));
    assert!(is_accepted(&house.enter(&pair, later)));
    let blocks: Vec<_> = house.disk.done();
    let Done::Write { offset: again, bytes: rewritten } = &blocks[1] else { panic!("{blocks:?}") };
    assert_eq!(rewritten[..], bytes[*again..again + 4096]);
    assert_eq!(blocks[2], Done::Flush);
    let Done::Write { offset: next, .. } = blocks[3] else { panic!("{blocks:?}") };
    assert_eq!(*again + next, 4096);
}

#[test]
fn a_refused_try_is_debited_to_the_meter_on_disk() {
    let house = House::with_alice();
    let before = fs::read(house.state_file()).unwrap();
    assert_eq!(house.reason(&wrong(NOW), NOW), Reason::Wrong);
    let after = fs::read(house.state_file()).unwrap();
    assert_eq!(before[..8192], after[..8192]);
    assert!(String::from_utf8_lossy(&after[8192..]).contains("unknown 3000721335412 "));
}

#[test]
fn the_state_is_twelve_kibibytes_and_stays_the_same_file() {
    let house = House::with_alice();
    let before = fs::metadata(house.state_file()).unwrap();
    for n in 0..3 {
        let _ = house.enter(&code(NOW.plus(30 * n)), NOW.plus(30 * n));
    }
    let after = fs::metadata(house.state_file()).unwrap();
    assert_eq!((after.len(), after.ino()), (SIZE_ON_DISK, before.ino()));
    assert!(before.blocks() * 512 >= SIZE_ON_DISK, "really written");
}

#[test]
fn who_is_not_enrolled_works_on_a_decoy_and_is_refused() {
    let house = House::empty();
    for name in ["mallory", "../evil/f", ".hidden"] {
        let (verdict, _) = house.try_code(name, "123456", NOW).unwrap();
        assert_eq!(super::house::reason(verdict), Reason::NotEnrolled);
        assert!(matches!(house.store.look(&user(name)), Ok(Found::Absent)));
    }
    let names: Vec<_> = house.store.directories().unwrap().states.names_that(|_| true).unwrap();
    assert!(!names.is_empty() && names.iter().all(|name| name.starts_with(".decoy-")), "{names:?}");
    assert!(house.lib("users/.decoy.toml").exists());
    assert!(house.store.everybody(NOW).unwrap().is_empty());
}

#[test]
fn a_pretended_login_leaves_the_users_own_state_alone() {
    let house = House::with_alice();
    let before = fs::read(house.state_file()).unwrap();
    let answers = [totp_core::answer::Answer::read(code(NOW).as_bytes())];
    let codebook = totp_core::search::Codebook::compute(
        None,
        &[],
        &answers,
        &totp_core::evaluate::Rules::default(),
        NOW,
    );
    let attempt = totp_core::evaluate::Attempt {
        answers: &answers,
        codebook: &codebook,
        first: None,
        origin: &totp_core::origin::Origin::Caller(0),
        place: &totp_core::event::Place::new("su", ""),
        now: NOW,
        entropy: [1, 2],
        pretext: Some(Reason::Store(FaultKind::RecordDamaged)),
    };
    let rules = totp_core::evaluate::Rules::default();
    let verdict = house
        .store
        .pretend(&user("alice"), &|view| totp_core::evaluate::evaluate(&rules, view, &attempt))
        .unwrap()
        .into_outcome();
    assert_eq!(super::house::reason(verdict), Reason::Store(FaultKind::RecordDamaged));
    assert_eq!(fs::read(house.state_file()).unwrap(), before);
}

#[test]
fn one_code_typed_by_many_at_once_is_accepted_once() {
    let house = House::with_alice();
    for round in 0..10 {
        let now = NOW.plus(30 * round);
        let stores: Vec<_> = (0..8).map(|_| house.another_store()).collect();
        let accepted = std::thread::scope(|scope| {
            let tries: Vec<_> = stores
                .iter()
                .map(|store| scope.spawn(move || try_code(store, "alice", &code(now), now)))
                .collect();
            tries
                .into_iter()
                .filter(|_| true)
                .map(|t| t.join().unwrap().unwrap().0)
                .filter(is_accepted)
                .count()
        });
        assert_eq!(accepted, 1, "round {round}");
    }
}

#[test]
fn a_record_that_changes_between_the_look_and_the_lock_is_read_again() {
    let house = House::with_alice();
    let file = house.lib("users/alice.toml");
    let by = |found: &Found| match found {
        Found::Enrolled(enrolled) => enrolled.record.decision.by.clone(),
        other => panic!("{other:?}"),
    };
    let before = by(&house.store.look(&user("alice")).unwrap());
    let text = fs::read_to_string(&file).unwrap();
    // Of the same length, in the same file: by nothing but its text it is another one.
    let other: String = before.chars().rev().map(|c| if c == 'x' { 'y' } else { 'x' }).collect();
    let changed = text.replace(&format!("by = \"{before}\""), &format!("by = \"{other}\""));
    assert_ne!(changed, text);
    fs::write(&file, changed).unwrap();
    let seen = house.store.transact(&user("alice"), &|view: &View| read(by(&view.found)));
    assert_eq!(seen.unwrap().into_outcome(), other);
}

#[test]
fn nobody_else_has_the_lock_while_it_is_decided() {
    let house = House::with_alice();
    let other = fs::File::open(house.state_file()).unwrap();
    let free = |_: &View| read(Held::take(&other).unwrap().is_some());
    assert!(!house.store.transact(&user("alice"), &free).unwrap().into_outcome());
    assert!(Held::take(&other).unwrap().is_some(), "given up afterwards");
}

/// What a word asks for that nobody gets anything for.
fn word(view: &View) -> Change<Option<Message>> {
    assert!(matches!(view.found, Found::Absent));
    request(&Rules::default(), None, view, &Origin::Caller(0), &[7; 16], NOW)
}

#[test]
fn what_is_pretended_for_an_owner_holds_the_lock_that_a_code_of_theirs_waits_for() {
    let house = House::with_alice();
    let _ = house.enter(&wrong(NOW), NOW);
    let before = fs::read(house.state_file()).unwrap();
    let other = fs::File::open(house.state_file()).unwrap();
    let free = Cell::new(true);
    let decide = |view: &View| {
        free.set(Held::take(&other).unwrap().is_some());
        word(view)
    };
    house.disk.forget();
    assert!(house.store.pretend(&user("alice"), &decide).unwrap().into_outcome().is_none());
    assert!(!free.get());
    assert!(Held::take(&other).unwrap().is_some(), "given up afterwards");
    // As much as a wrong code writes, and nothing new.
    assert!(matches!(&house.disk.done()[..], [Done::Write { bytes, .. }] if bytes.len() == 4096));
    assert_eq!(fs::read(house.state_file()).unwrap(), before);
}

#[test]
fn what_is_pretended_for_an_owner_while_the_disk_fails_leaves_memory_alone() {
    let house = House::with_alice();
    house.disk.fail(Trouble::Writes(Errno::EROFS));
    assert!(is_accepted(&house.enter(&code(NOW), NOW)));
    let before = fs::read(house.run("alice")).unwrap();
    let _ = house.store.pretend(&user("alice"), &word).unwrap();
    house.disk.heal();
    let _ = house.store.pretend(&user("alice"), &word).unwrap();
    assert_eq!(fs::read(house.run("alice")).unwrap(), before);
    assert_eq!(house.reason(&code(NOW), NOW), Reason::Replay);
}

#[test]
fn a_stranger_waits_for_logins_of_the_same_name_and_for_no_other_stranger() {
    let house = House::empty();
    let bob = user("bob");
    let decoy = crate::store::decoy::of(&bob);
    let _ = house.try_code("bob", &code(NOW), NOW).unwrap(); // makes it
    let neighbour = (0..).map(|n| user(&format!("stranger-{n}")));
    let neighbour = neighbour.into_iter().find(|n| crate::store::decoy::of(n) == decoy).unwrap();
    let file = house.lib("state").join(decoy.as_str());
    let other = fs::OpenOptions::new().write(true).open(file).unwrap();
    let key = house.store.directories().unwrap().records.places_key();
    let free = |name: &UserName| Place::try_lock(&other, name.number(&key)).is_some();
    let seen = house.store.transact(&bob, &|_: &View| read(free(&bob))).unwrap();
    assert!(!seen.into_outcome());
    let seen = house.store.transact(&bob, &|_: &View| read(free(&neighbour))).unwrap();
    assert!(seen.into_outcome());
    assert!(free(&bob), "given up afterwards");
}

#[test]
fn strangers_at_once_do_not_disturb_each_other() {
    let house = House::empty();
    std::thread::scope(|scope| {
        for n in 0..8 {
            let store = house.another_store();
            scope.spawn(move || {
                for m in 0..5 {
                    let name = format!("stranger-{n}-{m}");
                    let (verdict, _) = try_code(&store, &name, "000000", NOW).unwrap();
                    assert!(!is_accepted(&verdict));
                }
            });
        }
    });
}

#[test]
fn a_lost_state_is_begun_anew_and_two_codes_let_in() {
    let house = House::with_alice();
    assert!(is_accepted(&house.enter(&code(NOW), NOW)));
    for damage in [0, 1] {
        if damage == 0 {
            fs::remove_file(house.state_file()).unwrap();
        } else {
            let mut bytes = fs::read(house.state_file()).unwrap();
            bytes[..8192].fill(b'x');
            fs::write(house.state_file(), bytes).unwrap();
        }
        let found = house.store.look(&user("alice")).unwrap();
        let Found::Enrolled(enrolled) = found else { panic!("{found:?}") };
        assert!(matches!(enrolled.state, StateRead::Lost { .. }));
        let now = NOW.plus(1000 + 2000 * damage);
        // One code is not enough, and the used ones stay used.
        assert!(!is_accepted(&house.enter(&code(now), now)));
        let later = now.plus(1500);
        let used = format!("{} {}", code(NOW.minus(30)), code(NOW));
        assert!(!is_accepted(&house.enter(&used, later)));
        let pair = format!("{} {}", code(later.minus(30)), code(later));
        assert!(is_accepted(&house.enter(&pair, later)), "{damage}");
        assert_eq!(fs::metadata(house.state_file()).unwrap().len(), SIZE_ON_DISK);
    }
}

#[test]
fn an_unreadable_meter_asks_for_more_codes_and_keeps_nobody_out() {
    let house = House::with_alice();
    let file = fs::File::options().write(true).open(house.state_file()).unwrap();
    file.write_all_at(b"junk", SIZE_ON_DISK - 4096).unwrap();
    assert_eq!(house.reason(&code(NOW), NOW), Reason::Budget);
    let pair = code(NOW.minus(30)) + &code(NOW);
    assert!(is_accepted(&house.enter(&pair, NOW)));
}

#[test]
fn a_block_that_cannot_be_read_counts_as_damaged_and_lets_no_code_in_twice() {
    for logins in 1..=2 {
        for bad in [0, 4096, 8192] {
            let house = House::with_alice();
            for n in 0..logins {
                assert!(is_accepted(&house.enter(&code(NOW.plus(30 * n)), NOW.plus(30 * n))));
            }
            let last = NOW.plus(30 * (logins - 1));
            house.disk.fail(Trouble::Reads(bad, Errno::EIO));
            let used = format!("{} {}", code(last.minus(30)), code(last));
            for used in [code(last), used] {
                assert!(!is_accepted(&house.enter(&used, last)), "{logins} {bad}");
            }
            let later = last.plus(90);
            let pair = format!("{} {}", code(later.minus(30)), code(later));
            assert!(is_accepted(&house.enter(&pair, later)), "{logins} {bad}");
        }
    }
}

#[test]
fn a_state_that_ends_early_is_completed() {
    for length in [0, 100, 4096, 5000, 8192, 9000] {
        let house = House::with_alice();
        fs::File::options().write(true).open(house.state_file()).unwrap().set_len(length).unwrap();
        let later = NOW.plus(1500);
        let pair = format!("{} {}", code(later.minus(30)), code(later));
        let _ = house.enter("000000", NOW);
        assert!(is_accepted(&house.enter(&pair, later)), "{length}");
        assert_eq!(fs::metadata(house.state_file()).unwrap().len(), SIZE_ON_DISK);
    }
}

#[test]
fn who_is_enrolled_while_a_stranger_of_that_name_waits_is_found() {
    let house = House::with_alice();
    // Enrolled, and the state is gone: the decoy is locked first, and then let go.
    fs::remove_file(house.state_file()).unwrap();
    let _ = house.enter("000000", NOW);
    assert!(house.state_file().exists());
    let (_, meter) = (first_state(1), house.store.inspect(&user("alice")).unwrap().meter);
    assert!(meter.spending.known > 0);
    house.enroll("bob", 2, Expected::Absent);
    assert!(is_accepted(&house.try_code("bob", &code(NOW), NOW).unwrap().0));
}
