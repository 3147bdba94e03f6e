//! The shared object as people get it: what it exports, needs and weighs. What it does behind libpam is tried end to end, in the
//! workspace's `tests`.
#![allow(missing_docs, clippy::expect_used)] // a test crate

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The one that `PAM_TOTP_MODULE` names, or one that is built here: cargo builds no cdylib for the tests of its crate.
fn module() -> &'static Path {
    static MODULE: OnceLock<PathBuf> = OnceLock::new();
    MODULE.get_or_init(|| std::env::var_os("PAM_TOTP_MODULE").map_or_else(build, PathBuf::from))
}

fn build() -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("module");
    let status = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--profile", "module", "--lib"])
        .args(["--manifest-path", concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")])
        .arg("--target-dir")
        .arg(&target)
        .status()
        .expect("cargo");
    assert!(status.success(), "building the module");
    target.join("module/libpam_totp.so")
}

fn output_of(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).arg(module()).output().expect("binutils");
    assert!(output.status.success(), "{program}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

#[test]
fn it_exports_five_hooks_and_nothing_else() {
    let symbols = output_of("nm", &["-D", "--defined-only", "--format=just-symbols"]);
    let symbols: Vec<&str> = symbols.lines().collect();
    let hooks = ["acct_mgmt", "authenticate", "close_session", "open_session", "setcred"];
    assert_eq!(symbols, hooks.map(|hook| format!("pam_sm_{hook}")));
}

#[test]
fn it_needs_libpam_and_libc_alone() {
    let dynamic = output_of("readelf", &["-dW"]);
    let needed: Vec<&str> = dynamic
        .lines()
        .filter(|line| line.contains("(NEEDED)"))
        .filter_map(|line| line.split(['[', ']']).nth(1))
        .collect();
    assert_eq!(needed, ["libpam.so.0", "libc.so.6"]);
    for flag in ["NOW", "NODELETE"] {
        assert!(dynamic.contains(flag), "{flag} in {dynamic}");
    }
    // What runs at load or unload; and a form of relocations that older loaders don't know.
    for tag in ["(INIT", "(FINI", "(RELR)"] {
        assert!(!dynamic.contains(tag), "{tag} in {dynamic}");
    }
}

#[test]
fn it_runs_with_the_c_library_of_debian_9() {
    let versions = output_of("readelf", &["-VW"]);
    let minor = |name: &str| name.strip_prefix("GLIBC_2.")?.split('.').next()?.parse::<u32>().ok();
    let newest = versions.split_whitespace().filter_map(minor).max();
    assert!(newest.is_some_and(|minor| minor <= 25), "GLIBC_2.{newest:?}");
}

/// Its helper is a process of `clone`'s; it is started, and nothing else, in `ffi/once.rs`.
#[test]
fn it_starts_no_thread_or_shell_and_prints_nothing() {
    let symbols = output_of("nm", &["-D", "--undefined-only", "--format=just-symbols"]);
    for name in symbols.lines().map(|symbol| symbol.split('@').next().unwrap_or_default()) {
        let forbidden = [
            "fork",
            "execve",
            "execvp",
            "posix_spawn",
            "posix_spawnp",
            "system",
            "popen",
            "pthread_create",
            "pthread_atfork",
            "signal",
            "sigaltstack",
            "setrlimit",
            "setlocale",
            "getenv",
            "setenv",
            "openlog",
            "closelog",
            "syslog",
            "write",
            "printf",
            "puts",
            "abort",
            "exit",
            "setuid",
            "setresuid",
            "getpwnam_r",
            "getaddrinfo",
        ];
        assert!(!forbidden.contains(&name), "{name}");
    }
}

#[test]
fn it_is_smaller_than_64_kibibytes() {
    let length = fs::metadata(module()).expect("the module").len();
    assert!(length < 64 * 1024, "{length} bytes");
}
