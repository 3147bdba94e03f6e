//! Random bytes from the kernel, and nothing in their place: where there are none, the caller fails.

use thiserror::Error;
use zeroize::Zeroizing;

/// The kernel gave no random bytes.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("getrandom gave no random bytes: {0}")]
pub struct EntropyError(getrandom::Error);

/// `N` bytes fit for secrets (getrandom(2)).
///
/// # Errors
/// Where the system call is refused, as by a seccomp filter.
pub fn bytes<const N: usize>() -> Result<[u8; N], EntropyError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(EntropyError)?;
    Ok(bytes)
}

/// The same for a secret: wiped when dropped, without a copy of it elsewhere.
///
/// # Errors
/// As [`bytes`].
pub fn secret<const N: usize>() -> Result<Zeroizing<[u8; N]>, EntropyError> {
    let mut bytes = Zeroizing::new([0; N]);
    getrandom::fill(&mut *bytes).map_err(EntropyError)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_draws_differ() {
        assert_ne!(bytes::<20>().unwrap(), bytes::<20>().unwrap());
    }
}
