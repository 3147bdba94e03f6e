//! Codes that are good once: made here, shown once, kept as hashes. Nobody can show them again.

use anyhow::Result;
use serde_json::Value;
use totp_core::onetime::OneTimeCode;
use totp_core::policy::RecoveryMode;
use totp_core::record::Recovery;
use totp_store::entropy;

use crate::site::{Site, Whom};
use crate::ui::Ui;

/// So many codes stand in a line: it stays within 80 columns.
const IN_A_LINE: usize = 3;

/// A fresh code.
pub fn fresh() -> Result<OneTimeCode> {
    Ok(OneTimeCode::fresh(&entropy::bytes()?))
}

/// Recovery codes that were made, and are to be shown once the record has them. May be none.
pub struct Issued {
    codes: Vec<OneTimeCode>,
    rotating: bool,
}

impl Issued {
    /// None at all.
    pub fn none() -> Self {
        Self { codes: Vec::new(), rotating: false }
    }

    /// As many as `[recovery]` says, or `count` of them.
    pub fn of(site: &Site, count: Option<usize>) -> Result<Self> {
        let keys = &site.config().recovery;
        let count = match keys.mode {
            RecoveryMode::Codes => count.unwrap_or_else(|| keys.count()),
            RecoveryMode::Rotating | RecoveryMode::Off => keys.count(),
        };
        let codes = (0..count).map(|_| fresh()).collect::<Result<_>>()?;
        Ok(Self { codes, rotating: keys.mode == RecoveryMode::Rotating })
    }

    /// What the record keeps of them.
    pub fn recovery(&self, site: &Site) -> Option<Recovery> {
        (!self.codes.is_empty()).then(|| Recovery {
            rotating: self.rotating,
            issued: site.now(),
            codes: self.codes.iter().map(OneTimeCode::hash).collect(),
        })
    }

    /// As they stand in a document.
    pub fn listed(&self) -> Value {
        self.codes.iter().map(|code| Value::from(code.shown().as_str())).collect()
    }

    /// Shows them to people.
    pub fn say(&self, ui: &Ui, whom: &Whom) -> Result<()> {
        if self.codes.is_empty() {
            return Ok(());
        }
        if self.rotating {
            ui.result(format_args!(
                "Recovery code: logs {whom} in once without the phone, and then shows the next one. Not shown again."
            ))?;
        } else {
            ui.result(format_args!(
                "Recovery codes: each logs {whom} in once without the phone. Not shown again."
            ))?;
        }
        for line in self.codes.chunks(IN_A_LINE) {
            let mut text = zeroize::Zeroizing::new(String::with_capacity(80));
            for code in line {
                text.push_str("  ");
                text.push_str(&code.shown());
            }
            ui.result(text.as_str())?;
        }
        ui.note("  Keep them where the phone is not: on paper, or in a password manager.");
        Ok(())
    }

    /// What is lost where they could not be read, and what to do about it.
    pub fn lost(&self, whom: &Whom) -> Option<(&'static str, String)> {
        (!self.codes.is_empty()).then(|| {
            let again = format!("For others: totp-admin recovery-codes {whom}");
            ("the recovery codes were not shown", again)
        })
    }
}

/// The state's number of codes left as it is said: `1 recovery code`, `4 recovery codes`.
pub fn counted(left: u64) -> String {
    match left {
        0 => "no recovery codes".to_owned(),
        1 => "1 recovery code".to_owned(),
        more => format!("{more} recovery codes"),
    }
}
