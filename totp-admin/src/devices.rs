//! A user's remembered devices, as `remembered list` and `show` say them: those with which the user would not be asked now.

use std::path::Path;

use anyhow::Result;
use totp_core::record::Record;
use totp_core::remembered::Device;
use totp_store::files::Owner;
use totp_store::remembered::Remembered;

use crate::site::Site;

/// The lists of this installation.
pub fn lists(site: &Site) -> Remembered {
    Remembered::new(Path::new(site.config().paths.state_dir.as_str()), Owner::ROOT)
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
