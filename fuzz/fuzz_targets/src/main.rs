//! One program for all targets: libFuzzer calls the one that `PAM_TOTP_FUZZ_TARGET` names.
#![no_main]

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use totp_fuzz::{Target, TARGETS};

static TARGET: OnceLock<Target> = OnceLock::new();

fn named() -> Target {
    let name = std::env::var("PAM_TOTP_FUZZ_TARGET").unwrap_or_default();
    let names = TARGETS.map(|target| target.name).join(" ");
    let found = TARGETS.into_iter().find(|target| target.name == name);
    found.unwrap_or_else(|| panic!("PAM_TOTP_FUZZ_TARGET names none of: {names}"))
}

fuzz_target!(|data: &[u8]| {
    (TARGET.get_or_init(named).check)(data);
});
