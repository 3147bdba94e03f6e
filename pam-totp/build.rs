//! How the module is linked: small, and safe to load into any program.
//!
//! Arguments go to the cdylib alone (`rustc-cdylib-link-arg`), never to the unit tests.

use std::{env, error};

/// What is started where no daemon answers, unless the build says otherwise.
const ONCE: &str = "/usr/local/sbin/totpd";

fn main() -> Result<(), Box<dyn error::Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=PAM_TOTP_ONCE");
    let once = env::var("PAM_TOTP_ONCE").unwrap_or_else(|_| ONCE.to_owned());
    if !once.starts_with('/') || once.contains(['\0', '\n']) {
        return Err(format!("PAM_TOTP_ONCE={once:?}: the path must begin with /").into());
    }
    println!("cargo::rustc-env=PAM_TOTP_ONCE={once}");

    // `cargo test` and the like build it with the standard library.
    if env::var("PROFILE").as_deref() != Ok("release") {
        return Ok(());
    }
    // Nothing that runs at start or end.
    link_arg("-nostartfiles");
    // Never unmapped by dlclose: libpam calls into it when a handle ends, and loading it anew costs each login 40 µs.
    link_arg("-Wl,-z,nodelete");
    // Everything resolved at load time, and read-only from then on.
    link_arg("-Wl,-z,relro,-z,now");
    // A symbol that is missing is an error of this build: that is how a panic that can be reached is found.
    link_arg("-Wl,-z,defs");
    link_arg("-Wl,-z,noexecstack");
    link_arg("-lpam");
    link_arg("-lc");
    Ok(())
}

fn link_arg(argument: &str) {
    println!("cargo::rustc-cdylib-link-arg={argument}");
}
