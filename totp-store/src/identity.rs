//! The identity of an installation: one random word, beside the configuration and in the state directory.
//!
//! A state directory that is not mounted, was emptied, or comes from another machine looks like one in which no user is
//! enrolled. The word tells the difference: where it is missing on one side or the two differ, nothing is decided and
//! nothing is administered. `totp-admin init` makes it (module `init`); nothing else does.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::entropy::{self, EntropyError};
use crate::files::{Demand, Directory, FileError, Mismatch, Owner, Problem, Shared};

/// The name of the file, on either side.
pub const FILE: &str = "installation-id";

/// Hexadecimal digits of a word.
const DIGITS: usize = 32;

/// The word and a newline.
const BYTES: u64 = 33;

const BESIDE_THE_CONFIGURATION: Demand = Demand::unwritable(BYTES);
const IN_THE_STATE_DIRECTORY: Demand = Demand::private(BYTES);

/// The random word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word(String);

impl Word {
    /// A word that no other installation has.
    ///
    /// # Errors
    /// Where the kernel gives no random bytes.
    pub fn fresh() -> Result<Self, EntropyError> {
        let bytes = entropy::bytes::<{ DIGITS / 2 }>()?;
        Ok(Self(bytes.iter().map(|byte| format!("{byte:02x}")).collect()))
    }

    /// Reads the text of a file; `None` where it is anything but 32 lower-case hexadecimal digits and a newline.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let word = text.strip_suffix('\n')?;
        let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        (word.len() == DIGITS && word.bytes().all(is_digit)).then(|| Self(word.to_owned()))
    }

    /// The text of its file.
    pub(crate) fn text(&self) -> String {
        format!("{}\n", self.0)
    }
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The configuration's side of the identity, as it was read with the configuration, and the state directory that must have
/// the same.
#[derive(Clone, Debug)]
pub struct Identity {
    state_dir: PathBuf,
    owner: Owner,
    /// The file beside the configuration.
    beside: PathBuf,
    word: Result<Option<Word>, FileError>,
    /// What makes the identity, for messages.
    init: String,
}

impl Identity {
    /// Reads the configuration's side. `directory` is the one with the configuration's file, `init` the command that makes
    /// the identity of this configuration. What can't be read comes up at the first [`Identity::check`].
    pub(crate) fn read(
        directory: &Result<Directory, FileError>,
        config_path: &Path,
        state_dir: &Path,
        owner: Owner,
        init: String,
    ) -> Self {
        let word = match directory {
            Ok(directory) => word_in(directory, BESIDE_THE_CONFIGURATION),
            Err(error) if error.problem == Problem::NoDirectory => Ok(None),
            Err(error) => Err(error.clone()),
        };
        let beside = config_path.with_file_name(FILE);
        Self { state_dir: state_dir.to_owned(), owner, beside, word, init }
    }

    /// Checks that the open state directory is this installation's.
    ///
    /// # Errors
    /// The word is missing on either side, the two differ, or one can't be read.
    pub fn check(&self, state_dir: &Directory) -> Result<(), FileError> {
        let beside = self.word.clone()?;
        let inside = word_in(state_dir, IN_THE_STATE_DIRECTORY)?;
        let mismatch = match (beside, inside) {
            (Some(beside), Some(inside)) if beside == inside => return Ok(()),
            (Some(_), Some(_)) => Mismatch::Different,
            (Some(_), None) => Mismatch::NotInside,
            (None, Some(_)) => Mismatch::NotBeside,
            (None, None) => Mismatch::Neither,
        };
        Err(self.other_installation(mismatch))
    }

    /// Opens the state directory, and checks it.
    ///
    /// # Errors
    /// As [`Identity::check`], and where it can't be opened or trusted.
    pub fn open_state_dir(&self) -> Result<Directory, FileError> {
        let directory = Directory::open(&self.state_dir, self.owner, Shared::Readable)?;
        self.check(&directory)?;
        Ok(directory)
    }

    /// The command that makes the installation, for messages.
    pub(crate) fn init(&self) -> &str {
        &self.init
    }

    /// The word beside the configuration; `None` where there is none.
    pub(crate) fn beside(&self) -> Result<Option<Word>, FileError> {
        self.word.clone()
    }

    /// What is said where the two sides are not the same.
    pub(crate) fn other_installation(&self, mismatch: Mismatch) -> FileError {
        let (beside, init) = (self.beside.clone(), self.init.clone());
        FileError {
            path: self.state_dir.join(FILE),
            problem: Problem::OtherInstallation { mismatch, beside, init },
        }
    }
}

/// The word in the state directory; `None` where there is none.
pub(crate) fn word_inside(state_dir: &Directory) -> Result<Option<Word>, FileError> {
    word_in(state_dir, IN_THE_STATE_DIRECTORY)
}

fn word_in(directory: &Directory, demand: Demand) -> Result<Option<Word>, FileError> {
    let Some(text) = directory.text(FILE, demand)? else { return Ok(None) };
    let word = Word::parse(&text);
    word.map(Some).ok_or_else(|| FileError::new(&directory.path().join(FILE), Problem::NoWord))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use tempfile::TempDir;

    use super::*;

    const WORD: &str = "0123456789abcdef0123456789abcdef\n";

    /// A configuration's directory and a state directory, each with such a word.
    fn check(beside: Option<&str>, inside: Option<&str>) -> (TempDir, Result<(), FileError>) {
        let temp = TempDir::new().unwrap();
        for (name, word, mode) in [("etc", beside, 0o644), ("lib", inside, 0o600)] {
            let directory = temp.path().join(name);
            fs::create_dir(&directory).unwrap();
            fs::set_permissions(&directory, fs::Permissions::from_mode(0o700)).unwrap();
            if let Some(word) = word {
                fs::write(directory.join(FILE), word).unwrap();
                let mode = fs::Permissions::from_mode(mode);
                fs::set_permissions(directory.join(FILE), mode).unwrap();
            }
        }
        let checked = identity(&temp).open_state_dir().map(drop);
        (temp, checked)
    }

    fn identity(temp: &TempDir) -> Identity {
        let owner = Owner::this_process();
        let directory = Directory::open(&temp.path().join("etc"), owner, Shared::Readable);
        let config = temp.path().join("etc/config.toml");
        let init = "totp-admin init".to_owned();
        Identity::read(&directory, &config, &temp.path().join("lib"), owner, init)
    }

    #[test]
    fn a_word_is_32_lower_case_digits_and_a_newline() {
        let fresh = Word::fresh().unwrap();
        assert_eq!(Word::parse(&fresh.text()), Some(fresh.clone()));
        assert_ne!(Word::fresh().unwrap(), fresh);
        for text in ["", "\n", &WORD[..32], &WORD.to_uppercase(), &format!("0{WORD}"), &WORD[1..]] {
            assert_eq!(Word::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn the_same_word_on_both_sides_is_this_installation() {
        assert_eq!(check(Some(WORD), Some(WORD)).1, Ok(()));
    }

    #[test]
    fn a_word_that_is_missing_or_another_one_is_refused_with_both_paths_and_the_remedies() {
        let other = WORD.replace('0', "1");
        for (beside, inside) in
            [(None, None), (Some(WORD), None), (None, Some(WORD)), (Some(WORD), Some(&*other))]
        {
            let (temp, checked) = check(beside, inside);
            let error = checked.unwrap_err().to_string();
            let path = |name: &str| temp.path().join(name).display().to_string();
            for part in [
                &path("lib/installation-id"),
                &path("etc/installation-id"),
                "not mounted?",
                "totp-admin init",
            ] {
                assert!(error.contains(part), "{part}: {error}");
            }
            // Where one side has a word, plain init refuses: it is not what is offered.
            let one_side = beside.is_some() || inside.is_some();
            assert_eq!(error.ends_with("totp-admin init --adopt"), one_side, "{error}");
        }
    }

    #[test]
    fn a_state_directory_that_is_missing_is_no_installation() {
        let (temp, _) = check(Some(WORD), Some(WORD));
        fs::rename(temp.path().join("lib"), temp.path().join("elsewhere")).unwrap();
        assert!(identity(&temp).open_state_dir().is_err());
    }

    #[test]
    fn a_file_that_is_no_word_or_not_trusted_is_refused_and_named() {
        let (_temp, checked) = check(Some(WORD), Some("0123\n"));
        let error = checked.unwrap_err().to_string();
        assert!(error.contains("lib/installation-id: ") && error.contains("--adopt"), "{error}");
        for side in ["lib", "etc"] {
            let (temp, _) = check(Some(WORD), Some(WORD));
            let path = temp.path().join(side).join(FILE);
            fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
            let error = identity(&temp).open_state_dir().unwrap_err();
            assert_eq!(error.path, path);
        }
    }
}
