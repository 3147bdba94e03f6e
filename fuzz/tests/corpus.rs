//! The short run: every seed of every target, and changes of them as a fuzzer makes them, always the same ones.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

use std::fs;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestError, TestRunner};
use totp_fuzz::{TARGETS, Target};

fn corpus(target: &Target) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target.name);
    let entries = fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.into_iter().map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

/// One change of an input.
#[derive(Clone, Debug)]
enum Change {
    Put(usize, u8),
    Insert(usize, Vec<u8>),
    Remove(usize, usize),
    Repeat(usize, usize),
    /// The end of another seed behind the beginning of this one.
    Splice(usize, usize, usize),
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let (at, length) = (0..4096_usize, 1..64_usize);
    let piece = prop_oneof![
        prop::collection::vec(any::<u8>(), 1..5),
        prop::sample::select(vec![
            "-",
            "%",
            "\n",
            "\"",
            "=",
            "0",
            "18446744073709551615",
            "\u{85}"
        ])
        .prop_map(|text| text.as_bytes().to_vec()),
    ];
    let change = prop_oneof![
        (at.clone(), any::<u8>()).prop_map(|(at, byte)| Change::Put(at, byte)),
        (at.clone(), piece).prop_map(|(at, bytes)| Change::Insert(at, bytes)),
        (at.clone(), length.clone()).prop_map(|(at, length)| Change::Remove(at, length)),
        (at.clone(), length).prop_map(|(at, length)| Change::Repeat(at, length)),
        (any::<usize>(), at.clone(), at).prop_map(|(other, at, to)| Change::Splice(other, at, to)),
    ];
    prop::collection::vec(change, 1..6)
}

fn changed(seed: &[u8], changes: &[Change], all: &[(PathBuf, Vec<u8>)]) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for change in changes {
        let inside = |at: usize| at % (bytes.len() + 1);
        match change {
            Change::Put(at, byte) => {
                let at = inside(*at);
                bytes.splice(at..(at + 1).min(bytes.len()), [*byte]);
            }
            Change::Insert(at, piece) => {
                let at = inside(*at);
                bytes.splice(at..at, piece.iter().copied());
            }
            Change::Remove(at, length) => {
                let at = inside(*at);
                bytes.drain(at..(at + length).min(bytes.len()));
            }
            Change::Repeat(at, length) => {
                let at = inside(*at);
                let piece = bytes[at..(at + length).min(bytes.len())].to_vec();
                bytes.splice(at..at, piece);
            }
            Change::Splice(other, at, to) => {
                bytes.truncate(inside(*at));
                let (_, other) = &all[other % all.len()];
                bytes.extend_from_slice(&other[to % (other.len() + 1)..]);
            }
        }
    }
    bytes
}

/// Changed seeds of a target: so many, and `PAM_TOTP_FUZZ` times as many.
fn cases(usually: u32) -> u32 {
    let times = std::env::var("PAM_TOTP_FUZZ").ok().and_then(|text| text.parse().ok());
    usually.saturating_mul(times.unwrap_or(1))
}

/// A target over its corpus, and over changes of it.
fn holds(name: &str, usually: u32) {
    let target = TARGETS.iter().find(|target| target.name == name).expect("a target");
    let seeds = corpus(target);
    for (path, bytes) in &seeds {
        let checked = catch_unwind(|| (target.check)(bytes));
        assert!(checked.is_ok(), "{}: the message stands above", path.display());
    }
    let config = Config {
        cases: cases(usually),
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(1),
        ..Config::default()
    };
    let input = (0..seeds.len(), changes());
    let done = TestRunner::new(config).run(&input, |(seed, changes)| {
        (target.check)(&changed(&seeds[seed].1, &changes, &seeds));
        Ok(())
    });
    if let Err(TestError::Fail(why, (seed, changes))) = &done {
        let input = changed(&seeds[*seed].1, changes, &seeds);
        panic!("{why}\nfound with: {}", input.escape_ascii());
    }
    done.unwrap();
}

macro_rules! targets {
    ($($test:ident: $name:literal, $cases:literal;)*) => {
        $(
            #[test]
            fn $test() {
                holds($name, $cases);
            }
        )*

        #[test]
        fn every_target_is_tried_here() {
            let tried = [$($name),*];
            assert_eq!(TARGETS.map(|target| target.name), tried);
        }
    };
}

targets! {
    answers_are_read_as_they_are_typed: "answer", 2000;
    arguments_are_known_or_refused: "arguments", 2000;
    a_configuration_reads_back: "configuration", 1000;
    packets_are_read_in_their_order: "conversation", 500;
    a_hello_reads_back: "hello", 2000;
    nobody_gets_in_without_a_valid_code: "login", 400;
    names_lead_nowhere_else: "names", 2000;
    notices_are_printable: "notice", 300;
    an_otpauth_address_reads_back: "otpauth", 1000;
    the_outbox_reads_back: "outbox", 2000;
    the_permanent_record_holds: "permanent", 300;
    a_record_reads_back: "record", 2000;
    remembered_devices_read_back: "remembered", 2000;
    a_verified_key_has_one_fingerprint: "ssh_auth_info", 2000;
    a_state_reads_back: "state", 2000;
    a_value_adds_nothing_to_a_template: "template", 500;
    text_messages_are_limited_and_good_once: "text_message", 300;
    answers_of_a_module_read_back: "to_daemon", 2000;
    messages_of_the_daemon_read_back: "to_module", 2000;
}
