//! Loading the configuration. What its keys mean is totp-core's business; here it is found, trusted and read.

use std::path::{Path, PathBuf};

use thiserror::Error;
use totp_core::policy::{AbsolutePath, Config};

use crate::files::{Demand, Directory, FileError, Owner, Problem, Shared};
use crate::permanent::PermanentRecord;

/// Where the configuration is if nobody names another one.
pub const DEFAULT_PATH: &str = "/etc/pam-totp/config.toml";

/// A configuration is never larger than this, in bytes.
const MOST_BYTES: u64 = 256 * 1024;

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
    match named {
        Some(path) => {
            let text = text(path, owner)?;
            let text = text.ok_or_else(|| FileError::new(path, Problem::NoFile))?;
            parse(path, &text)
        }
        None => default_at(Path::new(DEFAULT_PATH), owner),
    }
}

fn default_at(path: &Path, owner: Owner) -> Result<Config, ConfigFault> {
    match text(path, owner) {
        Ok(Some(text)) => parse(path, &text),
        Ok(None) => Ok(Config::default()),
        // No directory for it either.
        Err(error) if error.problem == Problem::NoDirectory => Ok(Config::default()),
        Err(error) => Err(error.into()),
    }
}

/// The text of a configuration; `None` where it is proven absent.
///
/// # Errors
/// Where it, or a directory on the way, is somebody else's or writable by others.
pub fn text(path: &Path, owner: Owner) -> Result<Option<String>, FileError> {
    let name = path.file_name().and_then(|name| name.to_str());
    let (Some(above), Some(name)) = (path.parent(), name) else {
        return Err(FileError::new(path, Problem::BadName));
    };
    let directory = Directory::open(above, owner, Shared::Readable)?;
    let text = directory.text(name, Demand::unwritable(MOST_BYTES))?;
    Ok(text.map(|text| text.as_str().to_owned()))
}

/// What keeps a login from using the directories and the permanent record that a configuration names; each would end
/// every login as a failure of the system. Nothing is made.
#[must_use]
pub fn problems(config: &Config, owner: Owner) -> Vec<FileError> {
    let at = |path: &AbsolutePath| PathBuf::from(path.as_str());
    let paths = &config.paths;
    let mut problems = Vec::new();
    match Directory::open(&at(&paths.state_dir), owner, Shared::Readable) {
        Ok(state_dir) => {
            let inner = |name| state_dir.inner(name, Shared::Nobody).err();
            problems.extend(["users", "state"].into_iter().filter_map(inner));
        }
        Err(error) => problems.push(error),
    }
    problems.extend(PermanentRecord::new(&at(&paths.log_file), owner).problem());
    problems.extend(problem_of_run_dir(&at(&paths.run_dir), owner));
    problems
}

/// It comes into being when it is needed; the one above must be there.
fn problem_of_run_dir(path: &Path, owner: Owner) -> Option<FileError> {
    match (Directory::open(path, owner, Shared::Nobody).err()?, path.parent()) {
        (FileError { problem: Problem::NoDirectory, .. }, Some(above)) => {
            Directory::open(above, owner, Shared::Readable).err()
        }
        (error, _) => Some(error),
    }
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
        assert_eq!(default_at(&path, owner), Ok(Config::default()));
        assert_eq!(default_at(&temp.path().join("no/config.toml"), owner), Ok(Config::default()));
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
    fn a_directory_that_a_login_could_not_use_is_named() {
        let temp = TempDir::new().unwrap();
        let at = |name: &str| temp.path().join(name);
        let text = format!(
            "[paths]\nstate_dir = {:?}\nlog_file = {:?}\nrun_dir = {:?}\n",
            at("state"),
            at("log/record.jsonl"),
            at("run/here")
        );
        let config = Config::parse(&text).unwrap();
        let found = || -> Vec<PathBuf> {
            problems(&config, Owner::this_process()).into_iter().map(|e| e.path).collect()
        };
        assert_eq!(found(), [at("state"), at("log"), at("run")]);
        let make = |name: &str, mode| {
            fs::create_dir(at(name)).unwrap();
            fs::set_permissions(at(name), fs::Permissions::from_mode(mode)).unwrap();
        };
        make("state", 0o700);
        make("log", 0o700);
        make("run", 0o700);
        assert_eq!(found(), [at("state/users"), at("state/state")]);
        make("state/users", 0o755);
        make("state/state", 0o700);
        assert_eq!(found(), [at("state/users")]);
        fs::write(at("log/record.jsonl"), "").unwrap();
        fs::set_permissions(at("log/record.jsonl"), fs::Permissions::from_mode(0o644)).unwrap();
        fs::set_permissions(at("state/users"), fs::Permissions::from_mode(0o700)).unwrap();
        assert_eq!(found(), [at("log/record.jsonl")]);
    }

    #[test]
    fn what_is_not_a_file_is_no_absence() {
        let (_temp, path) = with("", 0o600);
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert!(default_at(&path, Owner::this_process()).is_err());
    }
}
