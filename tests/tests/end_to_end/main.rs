//! Everything end to end: the module and the command as built, in houses of their own.
//!
//! One program, so that the tests share the machine's cores. One file per question:
//!
//! | file | what is asked |
//! |---|---|
//! | `doors` | ssh, sudo, su and login: right, wrong, replayed, not enrolled, unknown |
//! | `account_phase` | what comes behind a login: who is asked and shown what, and what is worthless afterwards |
//! | `enrollment_at_login` | the same with ssh, sudo, su and login, as people see it |
//! | `administration` | the command beside logins: disable, replace, unlock, the permanent record |
//! | `attack` | a day of guessing, here and at other modules |
//! | `recovery`, `bypass` | codes that are good once: used, void, expired, and many at once |
//! | `observer` | what a wrong answer asks of the kernel, the same whoever it is |
//! | `policies` | who is asked at all; the arguments on a PAM line |
//! | `prior_vulnerabilities` | what other modules got wrong |
//! | `races` | many at once: one code, many users, a flood |
//! | `broken_dialogues` | that a guess is in the log however its dialogue ends |
//! | `core_dumps` | that nothing of ours leaves a core |
//! | `daemon_killed` | totpd killed at each message and each call on files, stopped, ended, and beside `totpd --once` |
//! | `faults` | records and directories that can't be trusted |
//! | `disks` | full, read-only, limited; a lock that is held |
//! | `by_uid` | accounts that were renamed, aliases, and the index that finds their enrollment |
//! | `callers`, `postgresql` | programs that are not root, and those of services that ask about other users |
//! | `callers_own_su` | what users do to their own `su` beside the logins of others |
//! | `clocks` | servers and phones that are off |
//! | `floods` | thousands of conversations of one caller beside a login of another |
//! | `hosts` | what the program around the module notices: panics, leaks, descriptors |
//! | `hostile_daemons`, `hostile_packets` | what a module makes of a broken daemon, and the daemon of a broken module |
//! | `houses` | that nothing of a test is seen outside of its house |
//! | `installation` | what `make install` puts where |
//! | `later_hooks` | account and setcred behind a refusal, without auth, and without a daemon |
//! | `lockers` | screen lockers, which run as their user: the real i3lock and xscreensaver |
//! | `long_lived` | that hundreds of logins use nothing up in a program, and change nothing about it |
//! | `names` | accounts with odd names |
//! | `notices` | login notices: shown to the user, and in no command's output |
//! | `notifications` | that people are told by mail, whatever fails meanwhile |
//! | `polkit` | polkit's helper where it can write nothing |
//! | `text_messages` | that a text message arrives, and what becomes of one that can't |
//! | `one_password` | password and code in one answer, empty answers, and programs that give the password for the code |
//! | `others_daemons` | the same with the real vsftpd, Dovecot, OpenVPN and Cockpit |
//! | `remembered` | that a remembered key isn't asked for a code, and nothing else is let off |
//! | `seen_by_others` | that no secret is shown where others may read it |
//! | `secrets` | that none is left in the memory of a program once a login is over |
//! | `screens` | the QR code as the terminal shows it |
//! | `written_stacks` | the stacks of README.md and pam_totp(8), as they are written there |
//! | `words` | `sms` and `new` at the prompt, whoever types them |

// A test reports by panicking.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

mod account_phase;
mod administration;
mod attack;
mod broken_dialogues;
mod by_uid;
mod bypass;
mod callers;
mod callers_own_su;
mod chance;
mod clocks;
mod core_dumps;
mod daemon_killed;
mod disks;
mod doors;
mod enrollment_at_login;
mod faults;
mod floods;
mod hostile_daemons;
mod hostile_packets;
mod hosts;
mod houses;
mod identity;
mod installation;
mod killed_commands;
mod kills;
mod last_good;
mod later_hooks;
mod limits;
mod lockers;
mod long_lived;
mod misfortune;
mod name_service;
mod names;
mod names_in_policy;
mod notices;
mod notifications;
mod observer;
mod one_password;
mod others_daemons;
mod policies;
mod polkit;
mod postgresql;
mod prior_vulnerabilities;
mod races;
mod recovery;
mod remembered;
mod screens;
mod secrets;
mod seen_by_others;
mod surroundings;
mod text_messages;
mod words;
mod written_stacks;

/// A program with one password field: password and code in one answer, the password for the module behind.
const ONE_PASSWORD: &str = "auth required pam_totp.so forward_pass nodelay\nauth required pam_unix.so use_first_pass nodelay\n\
                            account required pam_totp.so\naccount required pam_unix.so\nsession required pam_permit.so\n";

/// The reasons of refused answers, in their order.
fn reasons(house: &pam_totp_tests::House) -> Vec<String> {
    let lines = house.syslog().module_lines();
    let reason = |line: &String| Some(line.split_once("reason=")?.1.split(' ').next()?.to_string());
    lines.iter().filter_map(reason).collect()
}

/// How many failure lines of the module there are.
fn failures(house: &pam_totp_tests::House) -> usize {
    let lines = house.syslog().module_lines();
    lines.iter().filter(|line| line.contains(":auth): authentication failure; ")).count()
}

/// Lets the application enroll users at its service, which is none of the real ones.
const ENROLLS: &str = "[service.code]\nenroll_in = [\"code\"]\n";

/// The module's first prompt.
const CODE: &str = "Verification code (? for help): ";

/// What whoever isn't let in is asked then.
const NEXT: &str = "Not accepted. Enter the next code when your authenticator shows it: ";

/// What whoever isn't let in at all reads at the end.
const LAST: &str =
    "Not accepted. If your codes were right, type three in a row at the first prompt.";
