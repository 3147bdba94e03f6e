//! What came of a change: where the audit log has it, and whether it lasts and was said.

use std::fmt;

use anyhow::Result;
use totp_core::event::EventKind;

use crate::ui::Advice;

/// What is lost where only the confirmation of a change was to be read.
pub const UNSAID: &str = "but that could not be said";

/// A change that was made: the line of the permanent record that has it.
#[derive(Clone, Copy, Debug)]
pub struct Recorded {
    /// Its number.
    pub seq: u64,
    /// What it is called there.
    pub event: EventKind,
    /// Whether the user has, or had, an address to be told at.
    pub has_address: bool,
}

impl Recorded {
    /// What comes of the output after the change: nobody may take it for one that was not made because standard output
    /// is full or closed. `lost` is what was to be read there; `advice` is a sentence.
    pub fn told(self, said: Result<()>, lost: &str, advice: impl Into<String>) -> Result<()> {
        said.map_err(|error| {
            let what = format!("recorded as {}, and done; {lost}: {error:#}", self.seq);
            Advice::new(what, advice).into()
        })
    }
}

/// An error after which the change is in place all the same: only whether it lasts is uncertain.
#[derive(Debug)]
pub struct InPlace {
    pub(super) recorded: Recorded,
    pub(super) why: String,
}

impl fmt::Display for InPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "recorded as {}, and done: {}", self.recorded.seq, self.why)
    }
}

impl std::error::Error for InPlace {}

impl InPlace {
    /// Parts what failed from what is in place although it failed.
    pub fn or_failed<T>(
        result: Result<(Recorded, T)>,
    ) -> Result<(Recorded, Option<T>, Option<Self>)> {
        match result {
            Ok((recorded, made)) => Ok((recorded, Some(made), None)),
            Err(error) => {
                error.downcast::<Self>().map(|in_place| (in_place.recorded, None, Some(in_place)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_place_goes_on_to_be_said() {
        let recorded = Recorded { seq: 7, event: EventKind::Disabled, has_address: true };
        let (same, made, none) = InPlace::or_failed(Ok((recorded, "made"))).unwrap();
        assert!(same.seq == 7 && made == Some("made") && none.is_none());
        let in_place = || InPlace { recorded, why: "the disk".to_owned() };
        let (same, _, some) = InPlace::or_failed::<()>(Err(in_place().into())).unwrap();
        assert_eq!(
            (same.seq, some.unwrap().to_string().as_str()),
            (7, "recorded as 7, and done: the disk")
        );
        assert!(InPlace::or_failed::<()>(Err(anyhow::anyhow!("not done"))).is_err());
    }
}
