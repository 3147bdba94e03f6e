//! Which PAM services there are: a service is the name of a file that libpam reads, in lower case.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// Where libpam looks for the file of a service, in this order: what an administrator put there, and what packages bring along, on some systems in the
/// third.
pub const DIRECTORIES: [&str; 3] = ["/etc/pam.d", "/usr/lib/pam.d", "/usr/etc/pam.d"];

/// The longest name of a file.
const LONGEST: usize = 255;

/// It can't be found out whether there is a service.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("cannot look for the PAM service {}: {error}; correct access to its directory", .path.display())]
pub struct ServicesError {
    path: PathBuf,
    error: String,
}

/// Whether there is a service of this name.
///
/// # Errors
/// A directory that can't be searched. That is not absence.
pub fn exists(name: &str) -> Result<bool, ServicesError> {
    exists_in(DIRECTORIES, name)
}

fn exists_in<P: AsRef<Path>>(
    directories: impl IntoIterator<Item = P>,
    name: &str,
) -> Result<bool, ServicesError> {
    if name.is_empty() || name.len() > LONGEST || name.contains(['/', '\0']) {
        return Ok(false);
    }
    for directory in directories {
        let path = directory.as_ref().join(name.to_ascii_lowercase());
        match fs::metadata(&path) {
            Ok(found) if found.is_dir() => {} // also what "." and ".." are
            Ok(_) => return Ok(true),
            Err(error)
                if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {}
            Err(error) => return Err(ServicesError { path, error: error.to_string() }),
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn directories() -> (tempfile::TempDir, [PathBuf; 2]) {
        let dir = tempfile::tempdir().unwrap();
        let both = [dir.path().join("etc"), dir.path().join("usr")];
        both.iter().for_each(|one| fs::create_dir(one).unwrap());
        fs::write(both[0].join("sshd"), "").unwrap();
        fs::write(both[1].join("polkit-1"), "").unwrap();
        (dir, both)
    }

    #[test]
    fn a_service_is_a_file_in_either_directory_in_lower_case() {
        let (_dir, both) = directories();
        for (name, exists) in
            [("sshd", true), ("SSHD", true), ("polkit-1", true), ("ssh", false), ("", false)]
        {
            assert_eq!(exists_in(&both, name), Ok(exists), "{name}");
        }
        fs::write(both[0].join("Upper"), "").unwrap();
        assert_eq!(exists_in(&both, "Upper"), Ok(false), "libpam never opens that");
    }

    #[test]
    fn what_is_no_name_of_a_file_is_no_service() {
        let (dir, both) = directories();
        fs::write(dir.path().join("passwd"), "").unwrap();
        fs::create_dir(both[0].join("directory")).unwrap();
        for name in ["../passwd", ".", "..", "directory", "a\0b", &"x".repeat(256)] {
            assert_eq!(exists_in(&both, name), Ok(false), "{name:?}");
        }
    }

    #[test]
    fn directories_that_are_missing_have_no_services() {
        assert_eq!(exists_in(["/nonexistent", "/dev/null"], "sshd"), Ok(false));
    }

    #[test]
    fn a_directory_that_cannot_be_searched_is_no_absence() {
        let (dir, both) = directories();
        symlink("loop", dir.path().join("loop")).unwrap(); // root may search any other
        let error = exists_in([&dir.path().join("loop"), &both[1]], "ssh").unwrap_err();
        assert!(error.to_string().contains("loop/ssh"), "{error}");
    }
}
