//! `list`: everybody about whom something is decided, and who is required and not enrolled.

use anyhow::Result;

use crate::cli::{self, List};
use crate::site::Site;
use crate::ui::Ui;
use crate::view::Status;
use crate::{people, times, view};

/// Lists.
pub fn run(ui: &Ui, site: &Site, args: &List) -> Result<()> {
    let mut people = people::everybody(site)?;
    if let Some(wanted) = args.status {
        people.retain(|person| person.status == status(wanted));
    }
    ui.document(&people)?;
    if people.is_empty() {
        ui.note("Nobody. totp-admin enroll USER gives somebody a second factor.");
        return Ok(());
    }
    ui.picture(&view::table(&people, site.now(), &times::zone()))
}

fn status(named: cli::Status) -> Status {
    match named {
        cli::Status::Active => Status::Active,
        cli::Status::Pending => Status::Pending,
        cli::Status::UsedUp => Status::UsedUp,
        cli::Status::Disabled => Status::Disabled,
        cli::Status::Missing => Status::Missing,
        cli::Status::Damaged => Status::Damaged,
    }
}
