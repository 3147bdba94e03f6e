//! Power failures: what has been written since the last flush may be lost, in any part of it.
//!
//! What one, two and three logins write is recorded; then every file that a crash could have left is made and the owner
//! logs in on it: codes whose login had succeeded stay used, and one code or two get the owner in.

use std::collections::HashSet;
use std::fs;

use totp_core::origin::Origin;
use totp_core::state::{parse_meter, parse_state};
use totp_core::store::{Found, StateRead, Store as _};
use totp_core::time::UnixTime;

use super::house::{Done, House, NOW, code, first_state, is_accepted, record, user, wrong};
use crate::store::Expected;

const SECTOR: usize = 512;

/// One login of the sequences.
#[derive(Clone, Copy, Debug)]
enum Login {
    /// With a right code.
    Right,
    /// With a wrong one.
    Wrong,
    /// With a right one, and the process is killed before the flush.
    Killed,
}

/// What a sequence left behind.
struct History {
    /// The file before.
    before: Vec<u8>,
    /// What was done to it.
    done: Vec<Done>,
    /// How much of `done` had been done when a login with this code had succeeded.
    accepted: Vec<(usize, UnixTime)>,
    /// When the next login may be.
    after: UnixTime,
}

fn sequence(house: &House, logins: &[Login]) -> History {
    let before = fs::read(house.state_file()).unwrap();
    let mut history = History { before, done: Vec::new(), accepted: Vec::new(), after: NOW };
    for login in logins {
        let now = history.after.plus(60);
        history.after = now;
        house.disk.forget();
        let typed = if matches!(login, Login::Wrong) { wrong(now) } else { code(now) };
        let start = fs::read(house.state_file()).unwrap();
        let verdict = house.enter(&typed, now);
        let done = house.disk.done();
        if let Login::Killed = login {
            let until = done.iter().position(|done| *done == Done::Flush).unwrap_or(done.len());
            let mut file = start;
            done[..until].iter().for_each(|done| apply(&mut file, done, usize::MAX));
            fs::write(house.state_file(), file).unwrap();
            history.done.extend_from_slice(&done[..until]);
            continue;
        }
        history.done.extend(done);
        if is_accepted(&verdict) {
            history.accepted.push((history.done.len(), now));
        }
    }
    history
}

/// Does the first `length` bytes of a write.
fn apply(file: &mut [u8], done: &Done, length: usize) {
    if let Done::Write { offset, bytes } = done {
        let length = length.min(bytes.len());
        file[*offset..offset + length].copy_from_slice(&bytes[..length]);
    }
}

/// Calls `check` with every file that a crash after `done` could have left, where each unflushed write reached
/// the disk up to a length given by `lengths`.
fn crashes(
    history: &History,
    lengths: &dyn Fn(&[u8]) -> Vec<usize>,
    check: &mut dyn FnMut(&[u8], usize),
) {
    for crashed_after in 0..=history.done.len() {
        let done = &history.done[..crashed_after];
        let flushed = done.iter().rposition(|d| *d == Done::Flush).map_or(0, |at| at + 1);
        let mut base = history.before.clone();
        done[..flushed].iter().for_each(|done| apply(&mut base, done, usize::MAX));
        let unflushed: Vec<&Done> = done[flushed..].iter().collect();
        each_combination(&base, &unflushed, lengths, &mut |file| check(file, crashed_after));
    }
}

fn each_combination(
    file: &[u8],
    writes: &[&Done],
    lengths: &dyn Fn(&[u8]) -> Vec<usize>,
    check: &mut dyn FnMut(&[u8]),
) {
    let Some((first, rest)) = writes.split_first() else { return check(file) };
    let Done::Write { bytes, .. } = first else {
        return each_combination(file, rest, lengths, check);
    };
    for length in lengths(bytes) {
        let mut torn = file.to_vec();
        apply(&mut torn, first, length);
        each_combination(&torn, rest, lengths, check);
    }
}

/// What the store makes of a file. It sees nothing else of it, so that one of each kind is enough.
fn as_read(file: &[u8]) -> String {
    let alice = user("alice");
    let state = |from: usize| parse_state(&alice, &file[from..from + 4096]);
    format!("{:?} {:?} {:?}", state(0), state(4096), parse_meter(&alice, &file[8192..]))
}

/// After the crash: a whole block is left, nothing that had let somebody in lets in again, and the owner gets in.
fn survives(house: &House, history: &History, file: &[u8], crashed_after: usize, context: &str) {
    fs::write(house.state_file(), file).unwrap();
    let found = house.store.look(&user("alice")).unwrap();
    let Found::Enrolled(found) = found else { panic!("{context}: {found:?}") };
    assert!(matches!(found.state, StateRead::Good(_)), "{context}: both blocks are lost");
    for (_, used) in history.accepted.iter().filter(|(at, _)| *at <= crashed_after) {
        assert!(!is_accepted(&house.enter(&code(*used), *used)), "{context}: used at {}", used.0);
        fs::write(house.state_file(), file).unwrap();
    }
    // The owner: one code, and where the meter is lost, two.
    let now = history.after.plus(120);
    if is_accepted(&house.enter(&code(now), now)) {
        return;
    }
    let now = now.plus(120);
    let pair = format!("{} {}", code(now.minus(30)), code(now));
    assert!(is_accepted(&house.enter(&pair, now)), "{context}: kept out");
}

fn all_sequences() -> Vec<Vec<Login>> {
    let kinds = [Login::Right, Login::Wrong, Login::Killed];
    let mut all: Vec<Vec<Login>> = vec![Vec::new()];
    let mut longest = all.clone();
    for _ in 0..3 {
        longest = longest
            .iter()
            .flat_map(|s| kinds.map(|kind| [s.as_slice(), &[kind]].concat()))
            .collect();
        all.extend(longest.clone());
    }
    all
}

/// A house whose last login has been flushed, noted, and reached the disk; with blocks of several sectors.
fn settled() -> House {
    let house = House::empty();
    let mut state = first_state(1);
    for n in 0..8 {
        state.remember(Origin::Host(format!("{n}.{}.example.com", "x".repeat(50))), NOW);
    }
    house.store.install(record("alice", 1), Expected::Absent, &|_| state.clone()).unwrap();
    assert!(is_accepted(&house.enter(&code(NOW), NOW)));
    house
}

#[test]
fn every_byte_prefix_of_each_write_alone_may_be_lost() {
    for logins in [vec![Login::Right], vec![Login::Wrong], vec![Login::Killed, Login::Right]] {
        let house = settled();
        let history = sequence(&house, &logins);
        let mut seen = HashSet::new();
        let used = |bytes: &[u8]| bytes.iter().rposition(|b| *b != b'\n').map_or(0, |at| at + 1);
        for (index, done) in history.done.iter().enumerate() {
            let Done::Write { bytes, .. } = done else { continue };
            let flushed = history.done[..index]
                .iter()
                .rposition(|d| *d == Done::Flush)
                .map_or(0, |at| at + 1);
            // The writes before it since the flush are all there, or none of them.
            for others in [0, usize::MAX] {
                let mut base = history.before.clone();
                history.done[..flushed].iter().for_each(|d| apply(&mut base, d, usize::MAX));
                history.done[flushed..index].iter().for_each(|d| apply(&mut base, d, others));
                for length in 0..=used(bytes) + 1 {
                    let mut file = base.clone();
                    apply(&mut file, done, length);
                    if !seen.insert((index, as_read(&file))) {
                        continue;
                    }
                    survives(
                        &house,
                        &history,
                        &file,
                        index,
                        &format!("{logins:?} {index} {length}"),
                    );
                }
            }
        }
    }
}

#[test]
fn every_combination_of_sector_prefixes_may_be_lost() {
    let sectors = |bytes: &[u8]| {
        let used = bytes.iter().rposition(|b| *b != b'\n').map_or(0, |at| at + 1);
        let mut lengths: Vec<usize> = (0..=used).step_by(SECTOR).collect();
        lengths.push(bytes.len());
        lengths
    };
    for logins in all_sequences() {
        let house = settled();
        let history = sequence(&house, &logins);
        let mut seen = HashSet::new();
        crashes(&history, &sectors, &mut |file, crashed_after| {
            if !seen.insert((crashed_after, as_read(file))) {
                return;
            }
            survives(&house, &history, file, crashed_after, &format!("{logins:?} {crashed_after}"));
        });
    }
}
