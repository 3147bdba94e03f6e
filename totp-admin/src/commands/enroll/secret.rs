//! The secret of a new authenticator: brought along in a file or on standard input, or made here.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use anyhow::{Context as _, Result, anyhow, bail};
use totp_core::otp::{Algorithm, Digits, Totp};
use totp_core::otpauth;
use totp_core::secret::Secret;
use totp_core::time::Period;
use zeroize::Zeroizing;

use crate::cli;
use crate::ui::{Advice, Ui, Usage};

/// The longest first line, in bytes.
const MOST: u64 = 8192;

/// What the codes of a new authenticator are like, where an otpauth address says nothing else.
#[derive(Clone, Copy, Debug)]
pub struct Parameters {
    /// Digits of a code.
    pub digits: Digits,
    /// Seconds of a code.
    pub period: Period,
    /// The hash.
    pub algorithm: Algorithm,
}

impl Parameters {
    /// The configuration's, with what the options say instead.
    pub fn new(args: &cli::Enroll, configured: Self) -> Result<Self> {
        // Both were checked when the command line was read.
        let digits = args.digits.map(|n| Digits::new(n.into()).ok_or_else(|| anyhow!("--digits")));
        let period = args.period.map(|n| Period::new(n.into()).ok_or_else(|| anyhow!("--period")));
        Ok(Self {
            digits: digits.transpose()?.unwrap_or(configured.digits),
            period: period.transpose()?.unwrap_or(configured.period),
            algorithm: args.algorithm.map_or(configured.algorithm, algorithm),
        })
    }

    /// An authenticator of these with `secret`.
    pub fn with(self, secret: Secret) -> Totp {
        Totp { secret, algorithm: self.algorithm, digits: self.digits, period: self.period }
    }
}

fn algorithm(named: cli::Algorithm) -> Algorithm {
    match named {
        cli::Algorithm::Sha1 => Algorithm::Sha1,
        cli::Algorithm::Sha256 => Algorithm::Sha256,
        cli::Algorithm::Sha512 => Algorithm::Sha512,
    }
}

/// Reads the secret from `path`, or from the first line of standard input where that is `-`.
pub fn read(ui: &Ui, args: &cli::Enroll, path: &Path, parameters: Parameters) -> Result<Totp> {
    let (line, origin) = if path == Path::new("-") {
        let line = ui.ask("Secret (base32 or an otpauth address):")?;
        (
            line.ok_or_else(|| anyhow!("standard input ended before a secret"))?,
            "standard input".to_owned(),
        )
    } else {
        (first_line(ui, path)?, path.display().to_string())
    };
    parse(&line, args, parameters).with_context(|| origin)
}

fn first_line(ui: &Ui, path: &Path) -> Result<Zeroizing<String>> {
    let failed = |error: io::Error| {
        Advice::new(
            format!("cannot read {}: {error}", path.display()),
            "Name a file whose first line is the secret, or - for standard input.",
        )
    };
    let file = File::open(path).map_err(failed)?;
    if file.metadata().is_ok_and(|meta| meta.is_file() && meta.mode() & 0o077 != 0) {
        ui.warn(format_args!(
            "others than root have access to {}: chmod 600, or erase it",
            path.display()
        ));
    }
    let mut line = Zeroizing::new(String::new());
    BufReader::new(file.take(MOST)).read_line(&mut line).map_err(failed)?;
    Ok(line)
}

fn parse(line: &str, args: &cli::Enroll, parameters: Parameters) -> Result<Totp> {
    let line = line.trim();
    if line.is_empty() {
        bail!("the first line is empty; it must be the secret");
    }
    if !line.starts_with("otpauth:") {
        return Ok(parameters.with(Secret::from_base32(line)?));
    }
    let totp = otpauth::read(line)?;
    let said_otherwise = [
        ("--digits", args.digits.is_some() && totp.digits != parameters.digits),
        ("--period", args.period.is_some() && totp.period != parameters.period),
        ("--algorithm", args.algorithm.is_some() && totp.algorithm != parameters.algorithm),
    ];
    if let Some((option, _)) = said_otherwise.iter().find(|(_, otherwise)| *otherwise) {
        bail!(Usage(format!("{option} is not what the otpauth address says; leave it out")));
    }
    Ok(totp)
}
