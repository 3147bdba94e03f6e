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

    // What no login needs lies together at the end: the kernel maps 64 KiB around each page of code that is touched.
    fs::write(out.join("unlikely.ld"), UNLIKELY)?;
    link_arg(&format!("-Wl,-T,{}", out.join("unlikely.ld").display()));

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

/// By the names of crates, as they stand in the names of functions: how a panic would be drawn with the names of functions and
/// the lines of files, were its text not thrown away (std has it linked in whatever the panic hook does); QR codes.
const UNLIKELY: &str = "\
SECTIONS {
  .text_unlikely : {
    *(.text.*5gimli*)
    *(.text.*9addr2line*)
    *(.text.*11miniz_oxide*)
    *(.text.*14rustc_demangle*)
    *(.text.*12backtrace_rs*)
    *(.text.*6qrcode*)
    *(.text.*7totp_qr*)
    *(.text.unlikely.*)
  }
} INSERT AFTER .text;
";

fn link_arg(argument: &str) {
    println!("cargo::rustc-cdylib-link-arg={argument}");
}
