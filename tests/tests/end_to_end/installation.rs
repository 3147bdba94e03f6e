//! `make install` into an empty root: what lies where, whose it is and who may read it.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use pam_totp_tests::House;

fn tree(directory: &Path, below: &Path, found: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(directory).unwrap().flatten() {
        let metadata = entry.metadata().unwrap();
        let place = entry.path().strip_prefix(below).unwrap().display().to_string();
        assert_eq!((metadata.uid(), metadata.gid()), (0, 0), "{place}");
        if metadata.is_dir() {
            tree(&entry.path(), below, found);
        }
        found.insert(place, format!("{:o}", metadata.mode() & 0o7777));
    }
}

fn make(house: &House, root: &str, goal: &str) {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().display().to_string();
    let destination = format!("DESTDIR={root}");
    let arguments =
        ["--silent", "-C", &workspace, goal, &destination, "TARGET=/run/target", "PREFIX=/usr"];
    house.run("make", &arguments);
}

#[test]
fn make_install_puts_everything_where_it_belongs_and_uninstall_keeps_what_was_recorded() {
    let house = House::build();
    let module = house.security().join("pam_totp.so");
    house.run("mkdir", &["-p", "/run/target/release", "/run/target/module"]);
    house.run("ln", &["-s", &module.display().to_string(), "/run/target/module/libpam_totp.so"]);
    for program in ["totp-admin", "totp-agent", "totpd"] {
        let built = format!("/run/target/release/{program}");
        house.run("ln", &["-s", &format!("/usr/local/sbin/{program}"), &built]);
    }
    make(&house, "/var/lib/root", "install");

    let root = house.path("/var/lib/root");
    let mut found = BTreeMap::new();
    tree(&root, &root, &mut found);
    let module = module.strip_prefix("/").unwrap().display().to_string();
    for (place, mode) in [
        (module.as_str(), "644"),
        ("usr/sbin/totp-admin", "755"),
        ("usr/sbin/totp-agent", "755"),
        ("usr/sbin/totpd", "755"),
        ("usr/lib/systemd/system/totp-agent.service", "644"),
        ("usr/lib/systemd/system/totpd.service", "644"),
        ("usr/lib/systemd/system/totpd.socket", "644"),
        ("usr/lib/systemd/system/totpd-user.socket", "644"),
        ("usr/lib/systemd/system/totpd-mounts.target", "644"),
        ("usr/share/man/man8/totpd.8", "644"),
        ("usr/share/man/man8/totp-admin-enroll.8", "644"),
        ("usr/share/man/man8/pam_totp.8", "644"),
        ("usr/share/man/man5/pam-totp-config.5", "644"),
    ] {
        assert_eq!(found.get(place).map(String::as_str), Some(mode), "{place} in {found:#?}");
    }

    // What holds enrollments is made where it is used, by `totp-admin init`, and never by copying files.
    assert!(!root.join("var/lib/pam-totp").exists() && !root.join("etc/pam-totp").exists());
    fs::create_dir_all(root.join("var/lib/pam-totp/users")).unwrap();
    fs::write(root.join("var/lib/pam-totp/users/alice.toml"), "").unwrap();
    make(&house, "/var/lib/root", "install");
    make(&house, "/var/lib/root", "uninstall");
    assert!(!root.join(&module).exists());
    assert!(!root.join("usr/sbin/totp-admin").exists());
    assert!(!root.join("usr/sbin/totp-agent").exists());
    assert!(!root.join("usr/sbin/totpd").exists());
    assert!(!root.join("usr/lib/systemd/system/totpd.socket").exists());
    assert!(!root.join("usr/lib/systemd/system/totp-agent.service").exists());
    assert!(!root.join("usr/share/man/man8/pam_totp.8").exists());
    assert!(root.join("var/lib/pam-totp/users/alice.toml").exists());
}
