//! A user's remembered devices, as `remembered list` and `show` say them: those with which the user would not be asked now.

use anyhow::Result;
use totp_core::name::UserName;
use totp_core::record::Record;
use totp_core::remembered::Device;
use totp_store::files::Problem;
use totp_store::remembered::{Remembered, RememberedError};
use totp_store::waits;

use crate::site::Site;

/// The lists of this installation.
pub fn lists(site: &Site) -> Remembered {
    site.installation().remembered()
}

/// Forgets all devices of a user. Where there is no directory for them, nobody's is remembered.
pub fn forget_all(site: &Site, user: &UserName) -> Result<()> {
    match lists(site).forget_all(user, waits::CHANGE) {
        Err(RememberedError::File(error)) if error.problem == Problem::NoDirectory => Ok(()),
        result => Ok(result.map(drop)?),
    }
}

/// The devices of a user who is enrolled, each until when it is remembered as the configuration is now.
pub fn remembered(site: &Site, record: &Record) -> Result<Vec<Device>> {
    let Some(seconds) = site.config().remember.anywhere() else { return Ok(Vec::new()) };
    let devices = lists(site).read(&record.decision.user)?;
    let now = site.now();
    let shortened = devices
        .that_hold(record.enrollment, now)
        .map(|device| Device { until: device.until.min(device.added.plus(seconds)), ..*device });
    Ok(shortened.filter(|device| now < device.until).collect())
}
