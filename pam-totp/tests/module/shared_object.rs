//! The shared object as people get it: what it exports, needs and weighs.

use std::fs;
use std::process::Command;

fn output_of(program: &str, arguments: &[&str]) -> String {
    let module = crate::support::release_module();
    let output = Command::new(program).args(arguments).arg(module).output().expect("binutils");
    assert!(output.status.success(), "{program}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

#[test]
fn it_exports_three_hooks_and_nothing_else() {
    let symbols = output_of("nm", &["-D", "--defined-only", "--format=just-symbols"]);
    let symbols: Vec<&str> = symbols.lines().collect();
    assert_eq!(symbols, ["pam_sm_acct_mgmt", "pam_sm_authenticate", "pam_sm_setcred"]);
}

#[test]
fn it_needs_libpam_libc_and_the_loader_alone() {
    let dynamic = output_of("readelf", &["-dW"]);
    let needed: Vec<&str> = dynamic
        .lines()
        .filter(|line| line.contains("(NEEDED)"))
        .filter_map(|line| line.split(['[', ']']).nth(1))
        // Already there, or nothing would be loaded at all; it provides thread-local storage.
        .filter(|library| !library.starts_with("ld-linux"))
        .collect();
    assert_eq!(needed, ["libpam.so.0", "libc.so.6"]);
    for flag in ["NOW", "NODELETE", "(RELR)"] {
        assert!(dynamic.contains(flag), "{flag} in {dynamic}");
    }
}

#[test]
fn it_starts_no_process_or_thread_and_handles_no_signal() {
    let symbols = output_of("nm", &["-D", "--undefined-only", "--format=just-symbols"]);
    for name in symbols.lines().map(|symbol| symbol.split('@').next().unwrap_or_default()) {
        let forbidden = [
            "fork",
            "vfork",
            "clone",
            "execve",
            "execvp",
            "posix_spawn",
            "posix_spawnp",
            "system",
            "popen",
            "pthread_create",
            "signal",
            "sigaction",
            "sigaltstack",
            "umask",
            "setlocale",
            "openlog",
            "closelog",
            "syslog",
            "printf",
            "puts",
            "exit",
            "_exit",
            "setenv",
            "socket",
        ];
        assert!(!forbidden.contains(&name), "{name}");
    }
}

#[test]
fn it_is_smaller_than_a_mebibyte() {
    let length = fs::metadata(crate::support::release_module()).expect("the module").len();
    assert!(length < 1024 * 1024, "{length} bytes");
}
