//! The sub-commands, one file each. A command reads what it needs, lets `totp-core` decide, and says what
//! came of it; none calls another.

mod bypass_code;
mod completions;
mod config;
mod contact;
mod disable;
mod enroll;
mod init;
mod list;
mod log;
mod man;
mod notices;
mod outbox;
mod recovery_codes;
mod remembered;
mod remove;
mod rename;
mod repair;
mod reset;
mod resync;
mod show;
mod status;
mod unlock;
mod verify;

use anyhow::{Result, bail};
use totp_core::state::Meter;
use totp_core::store::{Enrolled, Found};
use totp_core::upkeep::NotChanged;

use crate::cli::{Cli, Command};
use crate::site::{Site, Whom};
use crate::ui::{Advice, Ui, Usage};

/// Does what the command line says.
pub fn run(cli: Cli) -> Result<()> {
    let ui = Ui::new(&cli.global);
    let site = || Site::open(&ui, &cli.global);
    match cli.command {
        Command::Enroll(args) => enroll::run(&ui, site, &args),
        Command::Disable(args) => disable::run(&ui, &site()?, &args),
        Command::Reset(args) => reset::run(&ui, &site()?, &args),
        Command::RecoveryCodes(args) => recovery_codes::run(&ui, &site()?, &args),
        Command::BypassCode(args) => bypass_code::run(&ui, &site()?, &args),
        Command::Contact(args) => contact::run(&ui, &site()?, &args),
        Command::Rename(args) => rename::run(&ui, &site()?, &args),
        Command::Repair(args) => repair::run(&ui, &site()?, &args),
        Command::Remove(args) => remove::run(&ui, &site()?, &args),
        Command::Show(args) => show::run(&ui, &site()?, &args),
        Command::List(args) => list::run(&ui, &site()?, &args),
        Command::Log(args) => log::run(&ui, &site()?, &args),
        Command::Verify(args) => verify::run(&ui, &site()?, &args),
        Command::Unlock(args) => unlock::run(&ui, &site()?, &args),
        Command::Resync(args) => resync::run(&ui, &site()?, &args),
        Command::Notices(args) => notices::run(&ui, &site()?, &args),
        Command::Remembered(command) => remembered::run(&ui, &site()?, &command),
        Command::Config(what) => config::run(&ui, &cli.global, &what),
        Command::Outbox(what) => outbox::run(&ui, &site()?, &what),
        Command::Init(args) => init::run(&ui, &cli.global, &args),
        Command::Status => status::run(&ui, &cli.global),
        Command::Completions(args) => completions::run(&ui, &args),
        Command::Man(args) => man::run(&ui, &args),
    }
}

/// What an enrolled user has, for commands that need one.
fn enrolled(site: &Site, whom: &Whom) -> Result<(Box<Enrolled>, Meter)> {
    let inspected = site.store().inspect(&whom.name)?;
    match inspected.found {
        Found::Enrolled(enrolled) => Ok((enrolled, inspected.meter)),
        Found::Pending(_) => bail!(Advice::new(
            format!("{whom} is still to enroll, at the next login"),
            format!("totp-admin show {whom} says until when; totp-admin reset {whom} begins anew."),
        )),
        Found::Disabled(_) => bail!(switched_off(whom)),
        Found::Absent => bail!(not_enrolled(whom)),
    }
}

/// Why no code of this user is evaluated: there is none.
fn not_to_be_evaluated(whom: &Whom, found: &Found) -> Option<Advice> {
    match found {
        Found::Enrolled(_) | Found::Pending(_) => None,
        Found::Disabled(_) => Some(switched_off(whom)),
        Found::Absent => Some(not_enrolled(whom)),
    }
}

fn switched_off(whom: &Whom) -> Advice {
    Advice::new(
        format!("{whom}'s second factor is switched off"),
        format!(
            "totp-admin show {whom} says by whom; {} or totp-admin reset {whom} gives a new one.",
            whom.enroll_command()
        ),
    )
}

fn not_enrolled(whom: &Whom) -> Advice {
    Advice::new(
        format!("{whom} is not enrolled"),
        format!("{} gives a second factor.", whom.enroll_command()),
    )
}

/// A code that is still good would stand in ps(1) and in sudo's log. It is not repeated.
fn codes_are_no_arguments(given: &[String]) -> Result<()> {
    if given.is_empty() {
        return Ok(());
    }
    bail!(Usage(
        "a code can't be given as an argument, which other users see in ps and sudo's log keeps: leave it out, and type it \
         when asked, or give it on standard input"
            .to_owned()
    ))
}

fn not_changed(whom: &Whom, why: NotChanged) -> Advice {
    let advice = "Look again (totp-admin show), and repeat it.";
    match why {
        NotChanged::NotEnrolled | NotChanged::OtherEnrollment => {
            Advice::new(format!("{whom} was changed by somebody else in the meantime"), advice)
        }
        NotChanged::InMemory => Advice::new(
            format!("the disk with {whom}'s state can't be written"),
            "Make room or repair it first.",
        ),
        NotChanged::StateLost | NotChanged::NothingDue => {
            Advice::new(format!("{whom}'s codes or state are not what they were"), advice)
        }
    }
}
