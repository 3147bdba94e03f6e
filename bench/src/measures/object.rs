//! The shared objects themselves: their size and what they export.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::Scene;
use crate::report::{Report, Wanted, grouped};

/// The six functions that libpam looks for (pam(3)).
const HOOKS: [&str; 6] = [
    "pam_sm_acct_mgmt",
    "pam_sm_authenticate",
    "pam_sm_chauthtok",
    "pam_sm_close_session",
    "pam_sm_open_session",
    "pam_sm_setcred",
];

pub(crate) fn measure(scene: &Scene, report: &mut Report) {
    let names = ["pam_totp", "pam_google_authenticator", "pam_oath"];
    let objects = names.map(|name| scene.house.security().join(name).with_extension("so"));
    // The house has the module under test; the machine has it not, or another one.
    let objects = objects.map(|file| scene.house.path(&file));
    #[allow(clippy::cast_precision_loss)]
    let sizes = objects.each_ref().map(|file| fs::metadata(file).expect("installed").len() as f64);
    let exports = objects.each_ref().map(|file| exports(file));
    let foreign = exports
        .each_ref()
        .map(|names| names.iter().filter(|name| !HOOKS.contains(&name.as_str())).count());
    let [ours, ..] = sizes;
    report.claim("the shared object", ours, " bytes", Wanted::AtMost(65_536.0));
    #[allow(clippy::cast_precision_loss)]
    let others = foreign[0] as f64;
    report.claim("what it exports besides `pam_sm_*`", others, " names", Wanted::AtMost(0.0));
    let head = ["", "pam_totp", "google-authenticator", "pam_oath"];
    let table = report.table("The shared objects, without the libraries they load:", &head);
    table.line("bytes", sizes.map(grouped));
    table.line(
        "exported `pam_sm_*`",
        [0, 1, 2].map(|nth| (exports[nth].len() - foreign[nth]).to_string()),
    );
    table.line("other exports", foreign.map(|count| count.to_string()));
}

fn exports(file: &Path) -> Vec<String> {
    let output = Command::new("nm")
        .args(["-D", "--defined-only", "--format=just-symbols", "--without-symbol-versions"])
        .arg(file)
        .output()
        .expect("nm (binutils) is needed");
    assert!(output.status.success(), "nm: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("names of C").lines().map(str::to_string).collect()
}
