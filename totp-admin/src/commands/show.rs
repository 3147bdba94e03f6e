//! `show`: what is known about one user.

use anyhow::{Result, bail};

use crate::cli::User;
use crate::site::Site;
use crate::ui::{Advice, Ui, bold};
use crate::{people, times, view};

/// Shows.
pub fn run(ui: &Ui, site: &Site, args: &User) -> Result<()> {
    let mut whom = site.find(&args.user)?;
    if let Some(kept) = site.kept_under(&whom)? {
        ui.note(format_args!(
            "{whom} is enrolled as {kept}, by the same uid. Where the account was renamed: totp-admin rename {kept} {whom}"
        ));
        whom = site.find(kept.as_str())?;
    }
    let Some(person) = people::person(site, &whom)? else {
        bail!(Advice::new(
            format!("{whom} is not enrolled, and needs no second factor"),
            format!("{} gives one.", whom.enroll_command()),
        ));
    };
    ui.document(&person)?;
    ui.result(bold(&whom))?;
    for (what, line) in view::lines(&person, site.now(), &times::zone()) {
        ui.result(format_args!("  {what:14} {line}"))?;
    }
    Ok(())
}
