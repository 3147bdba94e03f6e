//! The PAM stack of a service, as far as an enrollment depends on it: whether an account line has this module.
//!
//! Without that line no hook learns that the enrollment was not made: sshd sets credentials in another process than the one in
//! which auth ran, and libpam calls no setcred of a module that said `PAM_IGNORE`. So auth looks, at each login that is to
//! lead to an enrollment.

use std::cell::Cell;
use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use totp_core::log::one_word;
use totp_core::name::UserName;
use totp_store::services;

use super::host::{Host, Priority};

const MODULE: &str = "pam_totp.so";

/// As many files are read at most: a service that includes more, or itself, is not found out about.
const MOST_FILES: u8 = 64;

/// As much of a file is read, in bytes. One that is longer is not found out about.
const MOST_BYTES: u64 = 256 * 1024;

/// Logs that the line is missing. Where the files can't be found or read, nothing is said: that is no proof.
pub(super) fn warn_without_account_line(host: &dyn Host, service: &str, user: &UserName) {
    let directories = services::DIRECTORIES.map(Path::new);
    if let AccountLine::Missing(file) = account_line(&directories, service) {
        let (file, user) = (file.to_string_lossy(), one_word(user.as_str()));
        let line = format!(
            "{} has no `account required {MODULE}`: the enrollment of {user} can't be made; add that line",
            one_word(&file)
        );
        host.log(Priority::Error, &line);
    }
}

/// What the files say.
#[derive(Debug, PartialEq, Eq)]
enum AccountLine {
    There,
    /// Neither in this file nor in one that it includes.
    Missing(PathBuf),
    Unknown,
}

fn account_line(directories: &[&Path], service: &str) -> AccountLine {
    // The program chose the name: it must not choose a path.
    if service.is_empty() || service.starts_with('.') || service.contains('/') {
        return AccountLine::Unknown;
    }
    let files = Files { directories, left: Cell::new(MOST_FILES) };
    let Some((path, text)) = [service, "other"].into_iter().find_map(|name| files.find(name))
    else {
        return AccountLine::Unknown;
    };
    match files.name_the_module(&text) {
        Some(true) => AccountLine::There,
        Some(false) => AccountLine::Missing(path),
        None => AccountLine::Unknown,
    }
}

/// The files of services, of which so many more are read.
struct Files<'a> {
    directories: &'a [&'a Path],
    left: Cell<u8>,
}

impl Files<'_> {
    /// The file of this name in the first directory that has one. One that can't be read ends the search: libpam would read it.
    fn find(&self, name: &str) -> Option<(PathBuf, String)> {
        self.left.set(self.left.get().checked_sub(1)?);
        for path in self.directories.iter().map(|directory| directory.join(name)) {
            match text(&path) {
                Ok(text) => return Some((path, text?)),
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(_) => return None,
            }
        }
        None
    }

    /// Whether an account line of this text, or of a file that it includes, names the module; `None` where that can't be read.
    fn name_the_module(&self, text: &str) -> Option<bool> {
        let joined = text.replace("\\\n", " ");
        for line in joined.lines() {
            let is_there = match read(line) {
                Line::Other => false,
                Line::Module(path) => {
                    Path::new(path).file_name().is_some_and(|name| name == MODULE)
                }
                Line::Includes(name) => self.name_the_module(&self.find(name)?.1)?,
            };
            if is_there {
                return Some(true);
            }
        }
        Some(false)
    }
}

/// What is in a file; `None` where it is no regular file, or too long. Never waited for.
fn text(path: &Path) -> std::io::Result<Option<String>> {
    let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits();
    let file = File::options().read(true).custom_flags(flags.cast_signed()).open(path)?;
    if !file.metadata()?.is_file() {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    let length = file.take(MOST_BYTES.saturating_add(1)).read_to_end(&mut bytes)?;
    let fits = u64::try_from(length).is_ok_and(|length| length <= MOST_BYTES);
    Ok(fits.then(|| String::from_utf8_lossy(&bytes).into_owned()))
}

/// A line, as far as the account phase is concerned.
enum Line<'a> {
    /// It runs this module.
    Module(&'a str),
    /// It stands for the lines of this file.
    Includes(&'a str),
    /// It has nothing to do with the account phase.
    Other,
}

fn read(line: &str) -> Line<'_> {
    let line = line.split('#').next().unwrap_or_default().trim();
    let Some((kind, rest)) = word(line) else { return Line::Other };
    if kind == "@include" {
        return word(rest).map_or(Line::Other, |(name, _)| Line::Includes(name));
    }
    if !kind.trim_start_matches('-').eq_ignore_ascii_case("account") {
        return Line::Other;
    }
    // `[success=1 default=ignore]` has blanks inside.
    let control = if rest.starts_with('[') { rest.split_once(']') } else { word(rest) };
    let Some((control, rest)) = control else { return Line::Other };
    match word(rest.trim_start()) {
        Some((name, _)) if ["include", "substack"].contains(&control) => Line::Includes(name),
        Some((module, _)) => Line::Module(module),
        None => Line::Other,
    }
}

/// The first word, and what is behind it.
fn word(text: &str) -> Option<(&str, &str)> {
    let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    (!word.is_empty()).then(|| (word, rest.trim_start()))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// What is said about `sshd` with these files in two directories.
    fn with(etc: &[(&str, &str)], lib: &[(&str, &str)]) -> AccountLine {
        let directory = tempfile::tempdir().unwrap();
        let [first, second] = ["etc", "lib"].map(|name| directory.path().join(name));
        for (place, files) in [(&first, etc), (&second, lib)] {
            fs::create_dir(place).unwrap();
            for (name, text) in files {
                fs::write(place.join(name), text).unwrap();
            }
        }
        match account_line(&[&first, &second], "sshd") {
            AccountLine::Missing(path) => {
                AccountLine::Missing(path.strip_prefix(directory.path()).unwrap().to_owned())
            }
            other => other,
        }
    }

    fn missing(file: &str) -> AccountLine {
        AccountLine::Missing(PathBuf::from(file))
    }

    const AUTH: &str = "auth required pam_totp.so\n";

    #[test]
    fn an_account_line_of_the_module_is_found_in_every_spelling() {
        for line in [
            "account required pam_totp.so",
            "account\trequired\t/lib/security/pam_totp.so debug",
            "-account [success=1 default=ignore] pam_totp.so",
            "ACCOUNT required \\\n  pam_totp.so",
            "@include common",
            "account include common",
            "account substack common # as well",
        ] {
            let stack = format!("{AUTH}{line}\n");
            let common = ("common", "account required pam_unix.so\naccount required pam_totp.so\n");
            assert_eq!(with(&[("sshd", &stack), common], &[]), AccountLine::There, "{line}");
            assert_eq!(with(&[], &[("sshd", &stack), common]), AccountLine::There, "{line}");
        }
    }

    #[test]
    fn a_stack_without_it_is_named() {
        for line in [
            "",
            "account required pam_unix.so",
            "# account required pam_totp.so",
            "session required pam_totp.so",
            "account required pam_unix.so pam_totp.so",
            "auth include common",
            "account",
            "account [success=1 pam_totp.so",
        ] {
            let stack = format!("{AUTH}{line}\n");
            let common = ("common", "account required pam_totp.so\n");
            assert_eq!(with(&[("sshd", &stack), common], &[]), missing("etc/sshd"), "{line}");
        }
        let other = [("other", AUTH)];
        assert_eq!(with(&other, &[]), missing("etc/other"), "where the service has no file");
        let lib = [("sshd", "account required pam_totp.so\n")];
        assert_eq!(with(&[("sshd", AUTH)], &lib), missing("etc/sshd"), "the first one counts");
    }

    #[test]
    fn a_name_that_is_a_path_is_not_read_and_neither_is_what_is_no_file() {
        let directory = tempfile::tempdir().unwrap();
        let outside = directory.path().join("outside");
        fs::write(&outside, AUTH).unwrap();
        let pam = directory.path().join("pam.d");
        fs::create_dir(&pam).unwrap();
        let of = |service: &str| account_line(&[&pam], service);
        for service in ["/dev/zero", outside.to_str().unwrap(), "../outside", "..", ".", ""] {
            assert_eq!(of(service), AccountLine::Unknown, "{service}");
        }
        std::os::unix::fs::symlink("/dev/zero", pam.join("zero")).unwrap();
        assert_eq!(of("zero"), AccountLine::Unknown);
    }

    #[test]
    fn what_cannot_be_read_is_no_proof() {
        assert_eq!(with(&[], &[]), AccountLine::Unknown);
        let absent = format!("{AUTH}@include absent\n");
        assert_eq!(with(&[("sshd", &absent)], &[]), AccountLine::Unknown);
        let endless = [("sshd", "@include sshd\n@include sshd\n")];
        assert_eq!(with(&endless, &[]), AccountLine::Unknown);
        let long = "#".repeat(300_000);
        assert_eq!(with(&[("sshd", &long)], &[]), AccountLine::Unknown);
    }
}
