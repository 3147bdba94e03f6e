//! Where the things under test lie: the module and the command as cargo built them, and the small PAM
//! application, compiled here with the machine's C compiler. Nothing is run here but compilers.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The files a house is furnished with.
#[derive(Debug)]
pub(crate) struct Built {
    pub(crate) module: PathBuf,
    pub(crate) command: PathBuf,
    pub(crate) agent: PathBuf,
    pub(crate) daemon: PathBuf,
    pub(crate) application: PathBuf,
}

/// Built once per test process. `PAM_TOTP_MODULE`, `TOTP_ADMIN`, `TOTP_AGENT` and `TOTPD` name others, as `make test` does
/// to try the very files that would be installed; `PAM_TOTP_APPLICATION` too, as `make sanitize` does.
pub(crate) fn built() -> &'static Built {
    static BUILT: OnceLock<Built> = OnceLock::new();
    BUILT.get_or_init(|| {
        let directory = target_directory();
        let named = ["PAM_TOTP_MODULE", "TOTP_ADMIN", "TOTP_AGENT", "TOTPD"].map(env::var_os);
        if named.iter().any(Option::is_none) {
            build_workspace(&directory);
        }
        let [module, command, agent, daemon] = named;
        let or = |named: Option<_>, file| named.map_or_else(|| directory.join(file), PathBuf::from);
        Built {
            // Its profile alone links it as it is installed.
            module: or(module, "../module/libpam_totp.so"),
            command: or(command, "totp-admin"),
            agent: or(agent, "totp-agent"),
            daemon: or(daemon, "totpd"),
            application: env::var_os("PAM_TOTP_APPLICATION")
                .map_or_else(|| compile_application(&directory), PathBuf::from),
        }
    })
}

/// `target/debug` or its like: a test program lies in `deps` below it, any other in itself.
fn target_directory() -> PathBuf {
    let program = env::current_exe().expect("this program has a path");
    let mut directory = program.parent().expect("it lies in a directory");
    if directory.ends_with("deps") {
        directory = directory.parent().expect("which lies in the target directory");
    }
    directory.to_path_buf()
}

fn build_workspace(directory: &Path) {
    let release: &[&str] = if directory.ends_with("release") { &["--release"] } else { &[] };
    let programs = ["--package", "totp-admin", "--package", "totp-agent", "--package", "totpd"];
    cargo_build(directory, &[release, &programs].concat());
    cargo_build(directory, &["--profile", "module", "--package", "pam-totp"]);
}

fn cargo_build(directory: &Path, arguments: &[&str]) {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let target = directory.parent().expect("the profile lies in the target dir");
    let status = Command::new(cargo)
        .args(["build", "--quiet", "--manifest-path"])
        .arg(workspace().join("Cargo.toml"))
        .arg("--target-dir")
        .arg(target)
        .args(arguments)
        .status()
        .expect("cargo can be started");
    assert!(status.success(), "cargo build {arguments:?} failed: {status}");
}

fn compile_application(directory: &Path) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/application/application.c");
    // Compiled under a name of its own and renamed: several test programs may do this at once.
    let program = directory.join("pam-application");
    let fresh = directory.join(format!("pam-application.{}", std::process::id()));
    let status = Command::new("cc")
        .args(["-std=c11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-O1", "-g", "-o"])
        .args([&fresh, &source])
        .arg("-lpam")
        .status()
        .expect("a C compiler (build-essential) is needed");
    assert!(status.success(), "compiling {} failed: is libpam0g-dev there?", source.display());
    std::fs::rename(&fresh, &program).expect("the target directory can be written");
    program
}

/// The directory of the workspace.
pub(crate) fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the workspace")
}
