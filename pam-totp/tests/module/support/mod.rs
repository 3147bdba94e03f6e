//! Builds the module, a host program in C, and stacks in a directory of their own.

pub mod site;

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use tempfile::TempDir;

/// The files every test of this crate shares, built once.
pub struct Built {
    directory: TempDir,
}

/// Builds what is missing.
pub fn built() -> &'static Built {
    static BUILT: OnceLock<Built> = OnceLock::new();
    BUILT.get_or_init(|| {
        let directory = tempfile::tempdir().expect("a temporary directory");
        cc(&["-rdynamic"], "host.c", &directory.path().join("host"), &["-lpam"]);
        cc(&["-shared", "-fPIC"], "probe.c", &directory.path().join("probe.so"), &["-lpam"]);
        let module = cargo_module("debug", &["--features", "test-panic"]);
        // Under its real name: libpam begins every line of the log with it.
        fs::copy(module, directory.path().join("pam_totp.so")).expect("copying the module");
        Built { directory }
    })
}

impl Built {
    /// The module in a debug build that panics on request, as `pam_totp.so`.
    pub fn module(&self) -> PathBuf {
        self.directory.path().join("pam_totp.so")
    }

    /// A module that shows what ours left behind.
    pub fn probe(&self) -> PathBuf {
        self.directory.path().join("probe.so")
    }

    /// The program in C that logs in.
    pub fn host(&self) -> PathBuf {
        self.directory.path().join("host")
    }
}

/// The module as people get it: the one that `PAM_TOTP_MODULE` names, or one that is built as `scripts/build-release` does.
pub fn release_module() -> PathBuf {
    static MODULE: OnceLock<PathBuf> = OnceLock::new();
    let named = || std::env::var_os("PAM_TOTP_MODULE").map(PathBuf::from);
    MODULE
        .get_or_init(|| named().unwrap_or_else(|| cargo_module("release", &["--release"])))
        .clone()
}

/// Cargo does not build a cdylib for the tests of its crate, so they do, where it is built anyway.
fn cargo_module(profile: &str, arguments: &[&str]) -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("module");
    let mut cargo = Command::new(env!("CARGO"));
    if profile == "release" {
        cargo.env("CARGO_ENCODED_RUSTFLAGS", "--cfg=sha2_backend_soft=\"compact\"");
    }
    let status = cargo
        .args(["build", "--quiet", "--lib"])
        .args(["--manifest-path", concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")])
        .arg("--target-dir")
        .arg(&target)
        .args(arguments)
        .status()
        .expect("cargo");
    assert!(status.success(), "building the module");
    target.join(profile).join("libpam_totp.so")
}

fn cc(before: &[&str], source: &str, out: &Path, after: &[&str]) {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/module/support").join(source);
    let status = Command::new("cc")
        .args(["-Wall", "-Wextra", "-O1", "-o"])
        .arg(out)
        .args(before)
        .arg(source)
        .args(after)
        .status()
        .expect("cc (apt-get install gcc libc6-dev libpam0g-dev)");
    assert!(status.success(), "compiling {}", out.display());
}

/// One service, `test`, in a configuration directory of its own.
pub struct Stack {
    directory: TempDir,
}

impl Stack {
    /// The lines of `/etc/pam.d/test`; `MODULE` and `PROBE` stand for the files.
    pub fn new(lines: &str) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let lines = lines
            .replace("MODULE", built().module().to_str().expect("a path in UTF-8"))
            .replace("PROBE", built().probe().to_str().expect("a path in UTF-8"));
        fs::write(directory.path().join("test"), lines + "\n").expect("writing the stack");
        // Without one, libpam logs that it is missing.
        fs::write(directory.path().join("other"), "auth required pam_deny.so\n").expect("writing");
        Self { directory }
    }

    /// Runs the host; what it and the module wrote to the terminal comes back as one text.
    pub fn run(&self, options: &[&str], steps: &[&str]) -> String {
        let output = Command::new(built().host())
            .args(self.arguments(options, steps))
            .output()
            .expect("the host");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(errors, "", "something was printed, or the host did not understand");
        let shown = String::from_utf8(output.stdout).expect("UTF-8");
        assert!(shown.ends_with("host goes on\n"), "the host did not go on: {shown}");
        shown
    }

    /// What the host is called with.
    pub fn arguments(&self, options: &[&str], steps: &[&str]) -> Vec<OsString> {
        let mut all: Vec<OsString> = vec![self.directory.path().into()];
        let words = ["test", "alice"].iter().chain(options).chain(&["--"]).chain(steps);
        all.extend(words.map(OsString::from));
        all
    }
}
