//! Loading the configuration. What its keys mean is totp-core's business; here it is found, trusted and read.

use std::path::{Path, PathBuf};

use thiserror::Error;
use totp_core::policy::Config;

use crate::files::{Demand, Directory, FileError, Owner, Problem, Shared};

/// Where the configuration is if nobody names another one.
pub const DEFAULT_PATH: &str = "/etc/pam-totp/config.toml";

/// A configuration is never larger than this, in bytes.
pub(crate) const MOST_BYTES: u64 = 256 * 1024;

/// Why there is no configuration to work with.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ConfigFault {
    /// The file can't be trusted or read, or was named and is not there.
    #[error(transparent)]
    File(#[from] FileError),
    /// What it says can't be used. Says where, and never repeats the line.
    #[error("{}: {error}; check it with: totp-admin config check", .path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong in it.
        error: totp_core::policy::ConfigError,
    },
}

/// Loads the configuration. `named` is the path somebody asked for: an absent file is an error then, and means the
/// defaults otherwise.
///
/// # Errors
/// Nothing is guessed: a file that can't be used is not replaced by the defaults.
pub fn load(named: Option<&Path>, owner: Owner) -> Result<Config, ConfigFault> {
    let path = named.unwrap_or(Path::new(DEFAULT_PATH));
    let loaded = load_in(&directory_of(path, owner), path, named.is_some())?;
    Ok(loaded.map(|(_, config)| config).unwrap_or_default())
}

/// The text and what it says; `None` where a file that need not be there is absent, which stands for the defaults.
/// `directory` is the one it is in.
pub(crate) fn load_in(
    directory: &Result<Directory, FileError>,
    path: &Path,
    must_be_there: bool,
) -> Result<Option<(String, Config)>, ConfigFault> {
    let absent = || FileError::new(path, Problem::NoFile);
    let text = match directory {
        Ok(directory) => text_in(directory, path)?,
        // No directory for it either.
        Err(error) if error.problem == Problem::NoDirectory && !must_be_there => None,
        Err(error) => return Err(error.clone().into()),
    };
    match text {
        Some(text) => {
            let config = parse(path, &text)?;
            Ok(Some((text, config)))
        }
        None if must_be_there => Err(absent().into()),
        None => Ok(None),
    }
}

/// The directory that a configuration's file is in.
pub(crate) fn directory_of(path: &Path, owner: Owner) -> Result<Directory, FileError> {
    let above = path.parent().ok_or_else(|| FileError::new(path, Problem::BadName))?;
    Directory::open(above, owner, Shared::Readable)
}

/// The text of a configuration; `None` where it is proven absent.
///
/// # Errors
/// Where it, or a directory on the way, is somebody else's or writable by others.
pub fn text(path: &Path, owner: Owner) -> Result<Option<String>, FileError> {
    text_in(&directory_of(path, owner)?, path)
}

fn text_in(directory: &Directory, path: &Path) -> Result<Option<String>, FileError> {
    let name = path.file_name().and_then(|name| name.to_str());
    let name = name.ok_or_else(|| FileError::new(path, Problem::BadName))?;
    let text = directory.text(name, Demand::unwritable(MOST_BYTES))?;
    Ok(text.map(|text| text.as_str().to_owned()))
}

fn parse(path: &Path, text: &str) -> Result<Config, ConfigFault> {
    Config::parse(text).map_err(|error| ConfigFault::Content { path: path.to_owned(), error })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use tempfile::TempDir;

    use super::*;

    fn with(text: &str, mode: u32) -> (TempDir, PathBuf) {
        let temp = TempDir::new().unwrap();
        let path = temp.path().join("config.toml");
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        (temp, path)
    }

    fn load_named(path: &Path) -> Result<Config, ConfigFault> {
        load(Some(path), Owner::this_process())
    }

    #[test]
    fn a_configuration_is_loaded_if_it_is_writable_by_its_owner_alone() {
        for mode in [0o600, 0o644] {
            let (_temp, path) = with("[guessing]\nhosts = 2\n", mode);
            assert_eq!(load_named(&path).unwrap().guessing.hosts.get(), 2);
        }
        let (_temp, path) = with("", 0o664);
        let error = load_named(&path).unwrap_err().to_string();
        assert!(error.ends_with(&format!("chmod 644 {}", path.display())), "{error}");
    }

    #[test]
    fn an_absent_file_means_the_defaults_unless_it_was_named() {
        let (temp, path) = with("", 0o600);
        fs::remove_file(&path).unwrap();
        let owner = Owner::this_process();
        for path in [&path, &temp.path().join("no/config.toml")] {
            assert_eq!(load_in(&directory_of(path, owner), path, false), Ok(None));
        }
        let error = load_named(&path).unwrap_err().to_string();
        assert_eq!(error, format!("{}: no such file", path.display()));
    }

    #[test]
    fn a_path_beneath_the_root_directory_is_named_as_it_was() {
        let error = load(Some(Path::new("/nonexistent")), Owner::ROOT).unwrap_err();
        assert_eq!(error.to_string(), "/nonexistent: no such file");
        assert!(std::error::Error::source(&error).is_none(), "it would be said twice");
    }

    #[test]
    fn a_mistake_is_told_with_its_place_and_without_its_line() {
        let (_temp, path) = with("[policy]\nrequired = \"hunter2\"\n", 0o600);
        let error = load_named(&path).unwrap_err().to_string();
        assert!(error.starts_with(&format!("{}: line 2, column 1: ", path.display())), "{error}");
        assert!(!error.contains("hunter2"));
    }

    #[test]
    fn what_is_not_a_file_is_no_absence() {
        let (_temp, path) = with("", 0o600);
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        let directory = directory_of(&path, Owner::this_process());
        assert!(load_in(&directory, &path, false).is_err());
    }
}
