//! The one definition of the command line. Help, the man pages and the completions are generated from
//! it, so what an option does is said here and nowhere else. Nothing is decided or read here.

use std::path::PathBuf;

use clap::builder::NonEmptyStringValueParser;
use clap::error::{ContextKind, ContextValue};
use clap::{ArgGroup, Args, CommandFactory as _, Parser, Subcommand, ValueEnum, ValueHint};
use totp_core::contact::{Email, Phone};
use totp_core::remembered::Fingerprint;

use crate::times::{Seconds, bypass, within};

/// Administer two-factor logins: enroll people, switch their second factor off, and read the permanent
/// record of who did what.
///
/// People are asked for a code by the PAM module, pam_totp(8); this command decides which code is
/// theirs. It must run as root. Results go to standard output, everything else to standard error.
///
/// Who weakens their own second factor is asked for a code of it. That guards against slips, and against a session that
/// was left open. It is no guard against root, which everybody is who runs this command: root can set the login uid and
/// the environment by which one's own account is told. The log has the login uid, SUDO_UID, the real uid and the terminal,
/// each for itself.
#[derive(Debug, Parser)]
#[command(name = "totp-admin", version, max_term_width = 100, infer_subcommands = false)]
#[command(after_help = EXIT_CODES, after_long_help = EXIT_CODES)]
pub struct Cli {
    /// What holds for every sub-command.
    #[command(flatten)]
    pub global: Global,
    /// What is to be done.
    #[command(subcommand)]
    pub command: Command,
}

/// Reads the command line. What is hidden in the help stays so in errors.
pub fn parse() -> Result<Cli, clap::Error> {
    Cli::try_parse().map_err(without_hidden)
}

fn without_hidden(mut error: clap::Error) -> clap::Error {
    let command = Cli::command();
    let hidden =
        |name: &String| command.find_subcommand(name).is_some_and(clap::Command::is_hide_set);
    if let Some(ContextValue::Strings(names)) = error.get(ContextKind::ValidSubcommand) {
        let shown = names.iter().filter(|name| !hidden(name)).cloned().collect();
        error.insert(ContextKind::ValidSubcommand, ContextValue::Strings(shown));
    }
    if let Some(ContextValue::Strings(names)) = error.get(ContextKind::SuggestedSubcommand) {
        let shown: Vec<String> = names.iter().filter(|name| !hidden(name)).cloned().collect();
        if shown.is_empty() {
            error.remove(ContextKind::SuggestedSubcommand);
        } else {
            error.insert(ContextKind::SuggestedSubcommand, ContextValue::Strings(shown));
        }
    }
    error
}

const EXIT_CODES: &str = "Exit codes: 0 done, 1 refused or failed, 2 wrong usage.";

/// Options of every sub-command.
#[derive(Args, Debug)]
pub struct Global {
    /// Read this configuration instead of /etc/pam-totp/config.toml
    #[arg(long, global = true, value_name = "PATH", value_hint = ValueHint::FilePath)]
    pub config: Option<PathBuf>,
    /// Print one JSON document on standard output, and nothing else there
    #[arg(long, global = true)]
    pub json: bool,
    /// Do not ask "are you sure" (asked on a terminal only)
    #[arg(long, short = 'y', global = true)]
    pub yes: bool,
}

/// The sub-commands, in the order in which an administrator meets them.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Give a user an authenticator: QR code, key to type in, a current code, recovery codes
    ///
    /// Nothing is switched on before a code of the new key was entered: breaking off changes nothing.
    /// Where standard input is no terminal, the code is read from it, one a line. Then recovery codes are shown, once
    /// (`[recovery]` of the configuration). Somebody who is not here enrolls at the next login: --at-login. Who gives
    /// themselves another authenticator is asked for a current code of the present one, or a recovery code, first.
    Enroll(Enroll),
    /// Switch a user's second factor off: secrets and recovery codes erased, recorded
    ///
    /// The user logs in with the first factor alone from then on, whatever the configuration requires
    /// (unless it says `disabled = "denied"`). For an account that was never enrolled, too. Switching
    /// off one's own second factor needs a current code or a recovery code.
    Disable(Disable),
    /// Switch it off, and have the user enroll again at the next login
    ///
    /// For a new phone: secrets, recovery codes and remembered devices are erased, and an enrollment code is shown
    /// once. Typed in place of the code at the next login, it leads to the QR code of a new authenticator. A further
    /// reset voids the code. One's own second factor needs a current code or a recovery code.
    Reset(Reset),
    /// Issue fresh recovery codes; older ones are void
    ///
    /// Each logs the user in once without the phone. The authenticators stay. One's own need a current code or one of
    /// the recovery codes.
    RecoveryCodes(RecoveryCodes),
    /// Issue a code that is good once, for some hours: the phone is at home
    ///
    /// Authenticators and recovery codes stay; an earlier bypass code is void. One's own needs a current code or a
    /// recovery code.
    BypassCode(BypassCode),
    /// Show or change where a user is told things: mail address and telephone number
    ///
    /// Without options it shows them. Changing one's own needs a current code or a recovery code.
    Contact(Contact),
    /// Carry what is kept about a user over to the account's new name or uid
    ///
    /// After usermod(8): the new account has the uid that was enrolled. Authenticators, used codes and recovery codes
    /// go along. Until then a renamed account logs in with the enrollment of its former name, which is found by the uid.
    /// Commands change that enrollment under neither name before it is renamed.
    /// With --uid the name stays, and the enrollment gets the uid that the account has now: `rename --uid USER`, or
    /// `rename --uid --all` after a directory has changed uids. `rename --uid USER` also gives one to an enrollment from
    /// before there was an account (`enroll --no-account`).
    Rename(Rename),
    /// Make a restored backup harmless
    ///
    /// A backup brings codes back that were used since: every code up to now counts as used, a pair of codes is asked
    /// for until the guess budget has refilled, recovery, bypass and enrollment codes are void, remembered devices forgotten.
    Repair(Repair),
    /// Erase everything kept about a user whose account is gone
    ///
    /// Where everyone needs a second factor and the account still exists, it can't log in afterwards;
    /// `disable` is the command to let somebody in.
    Remove(User),
    /// Show what is known about a user
    Show(User),
    /// List the users
    List(List),
    /// Show the permanent record
    Log(Log),
    /// Say whether a login would accept a code now, and why not
    ///
    /// The code is asked for, or read from standard input, several in a row in one line: arguments can be seen by all users.
    /// It is evaluated as at a login, and paid for from the guess budget as there, whether right or wrong. It is not spent.
    /// That it was done, and what came of it, is recorded (`verified`). Of two or three codes in a row it is said
    /// if they are those of another hour, of a single one never. The JSON has `accepted`, `result` (right, other-time,
    /// not-a-code, or the word that logins have for a refusal: wrong, replay, clock, budget, expired, unavailable), `kind`,
    /// `authenticator`, `ahead` and `waits` in seconds, `codes_required` and `record`.
    Verify(Verify),
    /// Give a user's guess budget back
    ///
    /// After many wrong codes a user is asked for two or three codes instead of one. This is over at
    /// once; codes that were used stay used.
    Unlock(User),
    /// Set an authenticator whose clock is off right again, with two consecutive codes
    ///
    /// The codes are asked for one after the other, or read from standard input, one a line: arguments can be seen by all
    /// users. Looks a day in either direction. A wrong pair is paid for from the guess budget, and recorded (`verified`).
    /// Users can do the same at a login, with three codes in a row.
    Resync(Resync),
    /// Show what a user is shown at logins, and mark it as read
    ///
    /// A login notice is shown at each login, until seven days after a program first took it (30 days for a code already used, a
    /// recovery or bypass code used, disabled and reset) or until --read. That a program took it does not mean that the user saw
    /// it: set an address (contact), so that mail tells a user who does not log in on a terminal. --read needs no code, also for one's own, and is no line of the permanent record, which has each of these events; the system's log says
    /// who did it. The JSON has `user`, `more` (how many had no room), `read`, and in `notices` for each of them `text`, `time`,
    /// `event`, `by`, `from`, `service`, `reason` and `first_shown`; null is unknown.
    Notices(Notices),
    /// List or forget the devices with which users are not asked for some days
    ///
    /// Only where the configuration says so (`[remember]`). For those days a key alone logs in.
    #[command(subcommand)]
    Remembered(Remembered),
    /// Check, edit or show the configuration
    #[command(subcommand)]
    Config(Config),
    /// Show or deliver what people are still to be told
    ///
    /// Mail that could not be delivered waits here, and is tried again by totp-agent with growing pauses.
    #[command(subcommand)]
    Outbox(Outbox),
    /// Make the directories of an installation, and its identity
    ///
    /// The identity is a random word beside the configuration and in the state directory: without it, as where a disk is not
    /// mounted, nobody is let in and nothing is administered. An installation of version 0.1 is adopted, which is recorded.
    /// The index by uid, which finds the enrollment of a renamed account, is made again where it is missing or not right; until
    /// then accounts that are not enrolled by their own name are denied. Where everything is in order nothing is changed.
    Init(Init),
    /// Say whether the installation is in order
    ///
    /// Which configuration is in force, whether the state directory is this installation's, how many users there are, whose
    /// state waits for a disk that can be written, whom the configuration's lists cover, and whether totpd answers. Fails where
    /// something is wrong, such as a user, group or service in the configuration that does not exist.
    Status,
    /// Print a completion script for a shell
    ///
    /// For bash: totp-admin completions bash > /etc/bash_completion.d/totp-admin. There is no --json of it.
    Completions(Completions),
    /// Print the man pages
    #[command(hide = true)]
    Man(Man),
}

/// A user and nothing else.
#[derive(Args, Debug)]
pub struct User {
    /// The user, as the system calls the account
    #[arg(value_name = "USER", value_hint = ValueHint::Username, value_parser = NonEmptyStringValueParser::new())]
    pub user: String,
}

/// `enroll`.
#[derive(Args, Debug)]
pub struct Enroll {
    /// The user, as the system calls the account
    #[arg(value_name = "USER", value_hint = ValueHint::Username, value_parser = NonEmptyStringValueParser::new())]
    pub user: String,

    /// What this authenticator is called, here and in the log [default: phone]
    #[arg(long, value_name = "NAME", help_heading = "Authenticator")]
    pub name: Option<String>,
    /// The kind of authenticator
    #[arg(long, value_enum, default_value_t = Kind::Totp, help_heading = "Authenticator")]
    pub kind: Kind,
    /// Who issued the key, as the app shows it [default: from the configuration, else the host's name]
    #[arg(long, value_name = "TEXT", help_heading = "Authenticator")]
    pub issuer: Option<String>,
    /// How long a code is: 6, 7 or 8 digits [default: from the configuration, else 6]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(6..=8), help_heading = "Authenticator")]
    pub digits: Option<u8>,
    /// How long a code is shown, 15 to 120 seconds [default: from the configuration, else 30]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(15..=120), help_heading = "Authenticator")]
    pub period: Option<u32>,
    /// How codes are computed; many apps know sha1 alone [default: from the configuration, else sha1]
    #[arg(long, value_enum, help_heading = "Authenticator")]
    pub algorithm: Option<Algorithm>,
    /// Take this secret (base32 or an otpauth URI) instead of making one; `-` reads standard input:
    /// its first line is the secret, its second the confirming code
    #[arg(long, value_name = "FILE|-", value_hint = ValueHint::FilePath, help_heading = "Authenticator")]
    pub secret_file: Option<PathBuf>,

    /// Add one more authenticator to those the user has
    #[arg(long, conflicts_with_all = ["replace", "if_missing"], help_heading = "Who is enrolled already")]
    pub add: bool,
    /// Start over: what the user has is erased once the new authenticator is confirmed; fresh recovery codes
    #[arg(long, conflicts_with = "if_missing", help_heading = "Who is enrolled already")]
    pub replace: bool,
    /// Do nothing if the user is enrolled already; no error
    #[arg(long, help_heading = "Who is enrolled already")]
    pub if_missing: bool,

    /// The user enrolls at the next login; an enrollment code is shown once, to be typed there in place of the code
    #[arg(long, help_heading = "Somebody who is not here", conflicts_with_all = [
        "name", "kind", "issuer", "digits", "period", "algorithm", "secret_file", "add", "replace", "qr", "qr_file",
    ])]
    pub at_login: bool,
    /// Without an enrollment code: whoever has the first factor may enroll
    #[arg(long, requires = "at_login", help_heading = "Somebody who is not here")]
    pub trust_first_factor: bool,
    /// For how long, such as 30m, 8h or 7d; 5 minutes to 90 days [default: 7d]
    #[arg(long, value_name = "TIME", value_parser = within, requires = "at_login", help_heading = "Somebody who is not here")]
    pub within: Option<Seconds>,

    /// Where the user is told by mail
    #[arg(long, value_name = "ADDRESS", value_hint = ValueHint::EmailAddress, help_heading = "Contact")]
    pub email: Option<Email>,
    /// Where the user is sent text messages, in international form such as +420123456789
    #[arg(long, value_name = "NUMBER", help_heading = "Contact")]
    pub phone: Option<Phone>,

    /// Switch it on without a confirming code (for scripts: nobody has proved that the key arrived)
    #[arg(long)]
    pub no_confirm: bool,
    /// Enroll a name that is no account of this system, such as a user of a VPN
    #[arg(long)]
    pub no_account: bool,
    /// How to draw the QR code; auto is utf8 where the locale is UTF-8, else ascii, and nothing where the
    /// secret was brought along
    #[arg(long, value_enum, default_value_t = Qr::Auto, value_name = "STYLE")]
    pub qr: Qr,
    /// Write the QR code to a new file, FILE.png or FILE.svg, that only root can read; erase it after use
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub qr_file: Option<PathBuf>,
}

/// The kinds of authenticators.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Kind {
    /// Codes from the time (RFC 6238)
    Totp,
}

/// The hash functions of RFC 6238.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Algorithm {
    /// HMAC-SHA-1
    Sha1,
    /// HMAC-SHA-256
    Sha256,
    /// HMAC-SHA-512
    Sha512,
}

/// How a QR code is drawn on the terminal.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Qr {
    /// By the locale
    Auto,
    /// Half blocks, two modules a character
    Utf8,
    /// Two characters a module
    Ascii,
    /// Not at all
    None,
}

/// `disable`.
#[derive(Args, Debug)]
pub struct Disable {
    /// The user, as the system calls the account
    #[arg(value_name = "USER", value_hint = ValueHint::Username, value_parser = NonEmptyStringValueParser::new())]
    pub user: String,
    /// Why: recorded, and sent to the user; asked for on a terminal
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
}

/// `reset`.
#[derive(Args, Debug)]
pub struct Reset {
    /// The user, as the system calls the account
    #[arg(value_name = "USER", value_hint = ValueHint::Username, value_parser = NonEmptyStringValueParser::new())]
    pub user: String,
    /// Why: recorded, and sent to the user; asked for on a terminal
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// Without an enrollment code: whoever has the first factor may enroll
    #[arg(long)]
    pub trust_first_factor: bool,
    /// For how long, such as 30m, 8h or 7d; 5 minutes to 90 days [default: 7d]
    #[arg(long, value_name = "TIME", value_parser = within)]
    pub within: Option<Seconds>,
}

/// `recovery-codes`.
#[derive(Args, Debug)]
pub struct RecoveryCodes {
    /// The user, as the system calls the account
    #[arg(value_name = "USER", value_hint = ValueHint::Username, value_parser = NonEmptyStringValueParser::new())]
    pub user: String,
    /// How many, 1 to 16 [default: from the configuration, else 5]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=16))]
    pub count: Option<u8>,
}

/// `bypass-code`.
#[derive(Args, Debug)]
pub struct BypassCode {
    /// The user, as the system calls the account
    #[arg(value_name = "USER", value_hint = ValueHint::Username, value_parser = NonEmptyStringValueParser::new())]
    pub user: String,
    /// For how long, such as 30m, 8h or 2d; 1 minute to 7 days
    #[arg(long = "for", value_name = "TIME", value_parser = bypass, default_value = "8h")]
    pub lasting: Seconds,
}

/// `contact`.
#[derive(Args, Debug)]
pub struct Contact {
    /// The user, as the system calls the account
    #[arg(value_name = "USER", value_hint = ValueHint::Username, value_parser = NonEmptyStringValueParser::new())]
    pub user: String,
    /// Where the user is told by mail from now on
    #[arg(long, value_name = "ADDRESS", value_hint = ValueHint::EmailAddress)]
    pub email: Option<Email>,
    /// Forget the mail address
    #[arg(long, conflicts_with = "email")]
    pub no_email: bool,
    /// Where the user is sent text messages from now on, in international form such as +420123456789
    #[arg(long, value_name = "NUMBER")]
    pub phone: Option<Phone>,
    /// Forget the telephone number
    #[arg(long, conflicts_with = "phone")]
    pub no_phone: bool,
}

/// `rename`.
#[derive(Args, Debug)]
pub struct Rename {
    /// What the account was called: the name that the enrollment is kept under
    #[arg(value_name = "OLD", required_unless_present = "all", conflicts_with = "all", value_parser = NonEmptyStringValueParser::new())]
    pub old: Option<String>,
    /// What it is called now
    #[arg(value_name = "NEW", required_unless_present = "uid", conflicts_with = "uid", value_hint = ValueHint::Username, value_parser = NonEmptyStringValueParser::new())]
    pub new: Option<String>,
    /// The account OLD keeps its name and has another uid now: the same person, new uid
    #[arg(long)]
    pub uid: bool,
    /// Every enrollment whose account has another uid now
    #[arg(long, requires = "uid")]
    pub all: bool,
    /// Say which uids would be changed, and change nothing
    #[arg(long, requires = "all", conflicts_with = "old")]
    pub dry_run: bool,
}

/// `repair`.
#[derive(Args, Debug)]
#[command(group(ArgGroup::new("whom").required(true).args(["user", "all"])))]
pub struct Repair {
    /// The user, as the system calls the account
    #[arg(value_name = "USER", value_hint = ValueHint::Username, value_parser = NonEmptyStringValueParser::new())]
    pub user: Option<String>,
    /// Everybody who is enrolled or still to enroll
    #[arg(long)]
    pub all: bool,
}

/// `list`.
#[derive(Args, Debug)]
pub struct List {
    /// Only users with this status
    #[arg(long, value_enum, value_name = "STATUS")]
    pub status: Option<Status>,
}

/// What a user can be.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Status {
    /// Is asked for a code
    Active,
    /// Is to enroll at the next login
    Pending,
    /// Is to enroll, and the enrollment code has granted all its logins: can't log in
    UsedUp,
    /// Switched off by an administrator
    Disabled,
    /// Required to have a second factor and without one: can't log in
    Missing,
    /// Has a record that can't be trusted or read: can't log in
    Damaged,
}

/// `log`.
#[derive(Args, Debug)]
pub struct Log {
    /// Only what concerns this user
    #[arg(long, value_name = "USER", value_hint = ValueHint::Username, value_parser = NonEmptyStringValueParser::new())]
    pub user: Option<String>,
    /// Only what happened since then: a time (RFC 3339), a date, or a span such as 2d or "2 days ago"
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Go on, showing records as they are written
    #[arg(long, conflicts_with = "verify")]
    pub follow: bool,
    /// Check that no line was changed, removed or moved, and that the end is there as far as users' records tell
    #[arg(long, conflicts_with_all = ["user", "since"])]
    pub verify: bool,
}

/// `verify`.
#[derive(Args, Debug)]
pub struct Verify {
    /// The user, as the system calls the account
    #[arg(value_name = "USER", value_hint = ValueHint::Username, value_parser = NonEmptyStringValueParser::new())]
    pub user: String,
    /// Refused, with words that do not repeat it.
    #[arg(value_name = "CODE", num_args = 0.., hide = true)]
    pub code: Vec<String>,
}

/// `resync`.
#[derive(Args, Debug)]
pub struct Resync {
    /// The user, as the system calls the account
    #[arg(value_name = "USER", value_hint = ValueHint::Username, value_parser = NonEmptyStringValueParser::new())]
    pub user: String,
    /// Refused, with words that do not repeat it.
    #[arg(value_name = "CODE", num_args = 0.., hide = true)]
    pub code: Vec<String>,
}

/// `notices`.
#[derive(Args, Debug)]
pub struct Notices {
    /// The user, as the system calls the account
    #[arg(value_name = "USER", value_hint = ValueHint::Username, value_parser = NonEmptyStringValueParser::new())]
    pub user: String,
    /// Show them at no further login
    #[arg(long)]
    pub read: bool,
}

/// `remembered`.
#[derive(Debug, Subcommand)]
pub enum Remembered {
    /// Show which devices are remembered, and until when
    ///
    /// A device is an SSH key; its fingerprint is what ssh-keygen -l shows.
    List(RememberedList),
    /// Forget a device, or all devices of a user; recorded
    ///
    /// The user is asked at the next login from there. Sessions that are open stay open.
    Forget(RememberedForget),
}

/// `remembered list`.
#[derive(Args, Debug)]
#[command(group(ArgGroup::new("whose").required(true).args(["user", "all"])))]
pub struct RememberedList {
    /// The user, as the system calls the account
    #[arg(value_name = "USER", value_hint = ValueHint::Username, value_parser = NonEmptyStringValueParser::new())]
    pub user: Option<String>,
    /// Of everybody
    #[arg(long)]
    pub all: bool,
}

/// `remembered forget`.
#[derive(Args, Debug)]
#[command(group(ArgGroup::new("which").required(true).args(["key", "all"])))]
pub struct RememberedForget {
    /// The user, as the system calls the account
    #[arg(value_name = "USER", value_hint = ValueHint::Username, value_parser = NonEmptyStringValueParser::new())]
    pub user: String,
    /// The device, as `remembered list` shows it
    #[arg(value_name = "FINGERPRINT")]
    pub key: Option<Fingerprint>,
    /// All devices of the user
    #[arg(long)]
    pub all: bool,
}

/// `config`.
#[derive(Debug, Subcommand)]
pub enum Config {
    /// Say whether a configuration is valid, and where it is not
    ///
    /// Warns of directories that are not there or that a login would not trust, and of users, groups and services that do not
    /// exist. Says whom each list of users covers now.
    Check(ConfigCheck),
    /// Edit the configuration; it is checked before it is installed
    ///
    /// Works on a copy, in the editor that VISUAL or EDITOR names. Says who could no longer log in, and
    /// which directories no login could use, and asks before installing that.
    Edit,
    /// Show every setting in effect
    Show,
}

/// `config check`.
#[derive(Args, Debug)]
pub struct ConfigCheck {
    /// The file [default: the configuration in use]
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub file: Option<PathBuf>,
}

/// `outbox`.
#[derive(Debug, Subcommand)]
pub enum Outbox {
    /// List what waits, to whom, and why it was not delivered
    List,
    /// Deliver everything now
    ///
    /// Fails where something is left, or was thrown away because its time was over.
    Flush,
}

/// `init`.
#[derive(Args, Debug)]
pub struct Init {
    /// Give the state directory a new identity: it is the right one, whatever is missing or differs; recorded
    ///
    /// A state directory that is adopted although it is not the right one forgets who is enrolled and which codes were used.
    #[arg(long)]
    pub adopt: bool,
}

/// `completions`.
#[derive(Args, Debug)]
pub struct Completions {
    /// The shell
    #[arg(value_enum, value_name = "SHELL")]
    pub shell: clap_complete::Shell,
}

/// `man`.
#[derive(Args, Debug)]
pub struct Man {
    /// Write a page for the command and one for every sub-command into this directory
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub dir: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn global_options_work_before_and_after_the_sub_command() {
        for line in [["totp-admin", "--json", "list"], ["totp-admin", "list", "--json"]] {
            assert!(Cli::try_parse_from(line).unwrap().global.json);
        }
    }

    #[test]
    fn what_is_hidden_is_not_named_in_errors() {
        for line in [&["totp-admin"][..], &["totp-admin", "mann"], &["totp-admin", "ma"]] {
            let error = without_hidden(Cli::try_parse_from(line).unwrap_err()).to_string();
            assert!(!error.contains("man,") && !error.contains("'man'"), "{error}");
        }
    }

    #[test]
    fn where_somebody_or_everybody_is_wanted_both_are_named() {
        for (line, names) in [
            (&["totp-admin", "repair"][..], "<USER|--all>"),
            (&["totp-admin", "remembered", "list"], "<USER|--all>"),
            (&["totp-admin", "remembered", "forget", "alice"], "<FINGERPRINT|--all>"),
        ] {
            let error = Cli::try_parse_from(line).unwrap_err().to_string();
            assert!(error.contains(names), "{error}");
        }
    }

    #[test]
    fn wrong_usage_is_exit_code_two() {
        for line in [
            &["totp-admin"][..],
            &["totp-admin", "enrol", "alice"],
            &["totp-admin", "enroll"],
            &["totp-admin", "enroll", ""],
            &["totp-admin", "log", "--user", ""],
            &["totp-admin", "enroll", "alice", "--add", "--replace"],
            &["totp-admin", "enroll", "alice", "--digits", "5"],
            &["totp-admin", "enroll", "alice", "--period", "10"],
            &["totp-admin", "enroll", "alice", "--kind", "hotp"],
            &["totp-admin", "log", "--verify", "--follow"],
            &["totp-admin", "remembered", "list"],
            &["totp-admin", "remembered", "list", "alice", "--all"],
            &["totp-admin", "remembered", "forget", "alice"],
            &["totp-admin", "remembered", "forget", "alice", "SHA256:AAAA"],
            &["totp-admin", "enroll", "alice", "--at-login", "--replace"],
            &["totp-admin", "enroll", "alice", "--at-login", "--kind", "totp"],
            &["totp-admin", "enroll", "alice", "--trust-first-factor"],
            &["totp-admin", "enroll", "alice", "--within", "7d"],
            &["totp-admin", "enroll", "alice", "--email", "alice@example.com\nBcc: x@y.z"],
            &["totp-admin", "enroll", "alice", "--phone", "0123456789"],
            &["totp-admin", "reset", "alice", "--within", "4m"],
            &["totp-admin", "reset", "alice", "--within", "91d"],
            &["totp-admin", "recovery-codes", "alice", "--count", "17"],
            &["totp-admin", "bypass-code", "alice", "--for", "30s"],
            &["totp-admin", "bypass-code", "alice", "--for", "8d"],
            &["totp-admin", "contact", "alice", "--email", "alice@example.com", "--no-email"],
            &["totp-admin", "rename", "alice"],
            &["totp-admin", "repair"],
            &["totp-admin", "repair", "alice", "--all"],
        ] {
            assert_eq!(Cli::try_parse_from(line).unwrap_err().exit_code(), 2, "{line:?}");
        }
    }
}
