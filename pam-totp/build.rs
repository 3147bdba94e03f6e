//! How the module is linked: everything that makes loading it into every login cheap and safe.
//!
//! Arguments go to the cdylib alone (`rustc-cdylib-link-arg`), never to the unit tests.

use std::path::PathBuf;
use std::{env, error, fs};

fn main() -> Result<(), Box<dyn error::Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("OUT_DIR is not set; build with cargo")?);

    // The unwinder inside: `-lgcc_s`, which rustc asks for, finds this script before the shared
    // library. Loading libgcc_s.so.1 costs a login more than all the rest of the module.
    fs::write(out.join("libgcc_s.so"), "INPUT(-lgcc_eh -lgcc)\n")?;
    link_arg(&format!("-L{}", out.display()));

    // Relative relocations packed (DT_RELR): binutils 2.38, glibc 2.36.
    link_arg("-Wl,-z,pack-relative-relocs");
    // Never unmapped by dlclose: the panic hook and thread-local values point into it.
    link_arg("-Wl,-z,nodelete");
    // Everything resolved at load time, and read-only from then on.
    link_arg("-Wl,-z,relro,-z,now");
    // A symbol that is missing is an error of this build, not of somebody's login.
    link_arg("-Wl,-z,defs");
    Ok(())
}

fn link_arg(argument: &str) {
    println!("cargo::rustc-cdylib-link-arg={argument}");
}
