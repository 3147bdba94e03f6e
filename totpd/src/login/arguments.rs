//! The arguments on the module's line in `/etc/pam.d`.
//!
//! Parsed whole before anything else happens: an unknown word is refused, because it was meant to
//! change something (`nulok`, `prompts=0`), and guessing what would be wrong in either direction.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

const KNOWN: &str = "config=PATH debug nullok nodelay echo prompt=TEXT prompts=1 \
                     first_factor=publickey try_first_pass use_first_pass forward_pass or-other \
                     socket=PATH once=PATH";

/// What `first_factor=` can name.
const FIRST_FACTORS: &str = "publickey";

/// What an administrator wrote behind `pam_totp.so`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Arguments {
    /// Another configuration; it must exist then.
    pub(crate) config: Option<PathBuf>,
    /// More lines in the log.
    pub(crate) debug: bool,
    /// Who is not enrolled is not asked, for this line.
    pub(crate) nullok: bool,
    /// No delay after a failure.
    pub(crate) nodelay: bool,
    /// What is typed is shown.
    pub(crate) echo: bool,
    /// Another text for the first prompt.
    pub(crate) prompt: Option<String>,
    /// No second prompt (`prompts=1`).
    pub(crate) one_prompt: bool,
    /// The first factor is the public key that sshd has verified (`first_factor=publickey`): required, and success
    /// where no code is asked for.
    pub(crate) key_required: bool,
    /// Where the first answer comes from.
    pub(crate) first_pass: FirstPass,
    /// Password and code come in one answer; the password is left to the modules behind.
    pub(crate) forward_pass: bool,
    /// A login that auth has refused is left to the other modules of the account stack.
    pub(crate) or_other: bool,
}

/// What is done with the password an earlier module was given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum FirstPass {
    /// Nothing.
    #[default]
    Unused,
    /// It is the first answer; if it is not right, there is a prompt (`try_first_pass`).
    Tried,
    /// It is the only answer (`use_first_pass`).
    Only,
}

/// An argument that cannot be meant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ArgumentError {
    /// A word that is none of ours.
    #[error("unknown argument \"{0}\" (known: {KNOWN})")]
    Unknown(String),
    /// A caller of a set-uid program chooses the working directory.
    #[error("argument \"{0}\": the path must begin with /")]
    NotAbsolute(String),
    /// More words than fit into a hello.
    #[error("the arguments are longer than 8 KiB together")]
    TooMany,
    /// A prompt that is no text.
    #[error("argument \"{0}\": the prompt must be UTF-8 and not empty")]
    Prompt(String),
    /// A first factor that is none of ours.
    #[error("argument \"{0}\": not a first factor (known: {FIRST_FACTORS})")]
    FirstFactor(String),
}

impl Arguments {
    /// Reads the words of the line, in their order.
    pub(crate) fn parse(words: &[Vec<u8>]) -> Result<Self, ArgumentError> {
        let mut arguments = Self::default();
        for word in words {
            arguments.take(word)?;
        }
        Ok(arguments)
    }

    /// Without those that a program of the user's own must not choose. `first_factor=publickey` stays: the key that such a
    /// program names is not believed, so the argument refuses and never grants. `nullok` stays, too, and holds for the
    /// account that the program runs as, for no other (`Person::with_nullok`).
    pub(crate) fn of_a_user(self) -> Self {
        Self { config: None, or_other: false, ..self }
    }

    fn take(&mut self, word: &[u8]) -> Result<(), ArgumentError> {
        match word {
            b"debug" => self.debug = true,
            b"nullok" => self.nullok = true,
            b"nodelay" => self.nodelay = true,
            b"echo" => self.echo = true,
            b"prompts=1" => self.one_prompt = true,
            b"try_first_pass" => self.first_pass = self.first_pass.or_stricter(FirstPass::Tried),
            b"use_first_pass" => self.first_pass = self.first_pass.or_stricter(FirstPass::Only),
            b"forward_pass" => self.forward_pass = true,
            b"first_factor=publickey" => self.key_required = true,
            b"or-other" => self.or_other = true,
            _ => self.take_value(word)?,
        }
        Ok(())
    }

    fn take_value(&mut self, word: &[u8]) -> Result<(), ArgumentError> {
        if let Some(path) = word.strip_prefix(b"config=") {
            let path = Path::new(OsStr::from_bytes(path));
            if !path.is_absolute() {
                return Err(ArgumentError::NotAbsolute(shown(word)));
            }
            self.config = Some(path.to_owned());
        } else if let Some(text) = word.strip_prefix(b"prompt=") {
            let text = str::from_utf8(text).unwrap_or_default();
            if text.is_empty() {
                return Err(ArgumentError::Prompt(shown(word)));
            }
            self.prompt = Some(text.to_owned());
        } else if word.starts_with(b"first_factor=") {
            return Err(ArgumentError::FirstFactor(shown(word)));
        } else {
            return Err(ArgumentError::Unknown(shown(word)));
        }
        Ok(())
    }
}

impl FirstPass {
    /// Where both are written, the one that never prompts holds, in either order.
    fn or_stricter(self, other: Self) -> Self {
        if self == Self::Only { self } else { other }
    }
}

fn shown(word: &[u8]) -> String {
    word.escape_ascii().to_string()
}

#[cfg(test)]
mod tests {
    use std::ffi::CStr;

    use super::*;

    fn parse(words: &[&CStr]) -> Result<Arguments, ArgumentError> {
        let words: Vec<Vec<u8>> = words.iter().map(|word| word.to_bytes().to_vec()).collect();
        Arguments::parse(&words)
    }

    #[test]
    fn no_arguments_are_the_defaults() {
        assert_eq!(parse(&[]), Ok(Arguments::default()));
    }

    #[test]
    fn a_program_of_a_user_names_no_configuration_and_passes_over_no_refusal() {
        let parsed = parse(&[c"nullok", c"config=/tmp/x", c"or-other", c"echo"]);
        let expected = Arguments { nullok: true, echo: true, ..Arguments::default() };
        assert_eq!(parsed.map(Arguments::of_a_user), Ok(expected));
    }

    #[test]
    fn every_argument_is_known() {
        let words = [
            c"config=/tmp/a b.toml",
            c"debug",
            c"nullok",
            c"nodelay",
            c"echo",
            c"prompt=Code für %u: ",
            c"prompts=1",
            c"first_factor=publickey",
            c"try_first_pass",
            c"forward_pass",
            c"or-other",
        ];
        let expected = Arguments {
            config: Some("/tmp/a b.toml".into()),
            debug: true,
            nullok: true,
            nodelay: true,
            echo: true,
            prompt: Some("Code für %u: ".into()),
            one_prompt: true,
            key_required: true,
            first_pass: FirstPass::Tried,
            forward_pass: true,
            or_other: true,
        };
        assert_eq!(parse(&words), Ok(expected));
    }

    #[test]
    fn use_first_pass_holds_against_try_first_pass_in_either_order() {
        for words in
            [[c"try_first_pass", c"use_first_pass"], [c"use_first_pass", c"try_first_pass"]]
        {
            let parsed = parse(&words).map(|a| a.first_pass);
            assert_eq!(parsed, Ok(FirstPass::Only));
        }
    }

    #[test]
    fn an_unknown_argument_is_refused_and_named() {
        for word in [c"nulok", c"NULLOK", c"prompts=2", c"debug=1", c"", c"try_first_pass "] {
            let error = parse(&[c"debug", word]).expect_err("unknown");
            let name = word.to_str().expect("ASCII");
            assert_eq!(error, ArgumentError::Unknown(name.to_owned()));
        }
        let error = parse(&[c"a\xff\n"]).expect_err("unknown").to_string();
        assert!(
            error.starts_with("unknown argument \"a\\xff\\n\" (known: config=PATH "),
            "{error}"
        );
    }

    #[test]
    fn a_first_factor_other_than_a_public_key_is_refused_and_the_known_ones_are_named() {
        for word in [c"first_factor=", c"first_factor=password", c"first_factor=publickey "] {
            let error = parse(&[word]).expect_err("unknown");
            assert!(matches!(error, ArgumentError::FirstFactor(_)), "{error}");
            assert!(error.to_string().ends_with("not a first factor (known: publickey)"));
        }
    }

    #[test]
    fn a_program_of_a_user_needs_the_key_all_the_same() {
        let parsed = parse(&[c"first_factor=publickey"]).map(Arguments::of_a_user);
        assert!(parsed.is_ok_and(|arguments| arguments.key_required));
    }

    #[test]
    fn a_configuration_relative_to_the_callers_directory_is_refused() {
        for word in [c"config=", c"config=pam.toml", c"config=../x"] {
            assert!(matches!(parse(&[word]), Err(ArgumentError::NotAbsolute(_))));
        }
    }

    #[test]
    fn a_prompt_is_text() {
        for word in [c"prompt=", c"prompt=\xff"] {
            assert!(matches!(parse(&[word]), Err(ArgumentError::Prompt(_))));
        }
    }
}
