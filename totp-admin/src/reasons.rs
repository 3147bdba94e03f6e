//! Why something is done, as whoever administrates says it: recorded, and told to the user.

use anyhow::{Result, bail};

use crate::change::LONGEST_REASON;
use crate::site::Whom;
use crate::ui::{Ui, Usage};

/// What was given, else what is typed at a terminal; `None` where that is nothing.
pub fn reason(ui: &Ui, whom: &Whom, given: Option<&str>) -> Result<Option<String>> {
    let reason = match given {
        Some(reason) => reason.to_owned(),
        None if ui.interactive() => {
            let typed = ui.ask(format_args!("Reason (recorded, sent to {whom}):"))?;
            typed.map(|line| line.as_str().to_owned()).unwrap_or_default()
        }
        None => String::new(),
    };
    let reason = reason.trim();
    fits(reason)?;
    Ok((!reason.is_empty()).then(|| reason.to_owned()))
}

/// Whether it has room in a record.
pub fn fits(reason: &str) -> Result<()> {
    if reason.trim().len() > LONGEST_REASON {
        bail!(Usage(format!("the reason is longer than {LONGEST_REASON} bytes")));
    }
    Ok(())
}
