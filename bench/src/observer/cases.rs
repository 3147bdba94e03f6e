//! Who is tried: somebody of each kind that must look like all the others.

use std::fs;

use pam_totp_bench::{Client, Login, Process, SUCCESS};
use pam_totp_tests::House;

/// As every house here is configured.
pub(crate) const CONFIG: &str =
    "[policy]\ndisabled = \"denied\"\n[sms]\ncommand = [\"/bin/true\", \"{phone}\"]\n";

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Case {
    /// With one authenticator, never logged in.
    Enrolled,
    /// An account that isn't enrolled.
    NotEnrolled,
    /// A name that is no account.
    NoAccount,
    /// Enrolled, and the guess budget for single codes is used up.
    UsedUp,
    /// Enrolled, and was logged in from several addresses.
    History,
    /// Switched off, where policy denies that.
    Disabled,
    /// The record is damaged.
    Damaged,
    /// May enroll with a code that was handed out.
    Open,
    /// Enrolled, with four authenticators.
    Four,
    /// Enrolled, without recovery codes.
    NoRecovery,
    /// Enrolled, with a bypass code that isn't used yet.
    Bypass,
}

impl Case {
    /// Those that the promise names.
    pub(crate) const PROMISED: [Self; 4] =
        [Self::Enrolled, Self::NotEnrolled, Self::NoAccount, Self::UsedUp];

    /// All others, beside the first of those.
    pub(crate) const FURTHER: [Self; 8] = [
        Self::Enrolled,
        Self::History,
        Self::Disabled,
        Self::Damaged,
        Self::Open,
        Self::Four,
        Self::NoRecovery,
        Self::Bypass,
    ];

    /// What it is called in tables.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Enrolled => "enrolled",
            Self::NotEnrolled => "not enrolled",
            Self::NoAccount => "no account",
            Self::UsedUp => "budget used up",
            Self::History => "enrolled, with a history",
            Self::Disabled => "disabled, policy denies",
            Self::Damaged => "damaged record",
            Self::Open => "open enrollment",
            Self::Four => "four authenticators",
            Self::NoRecovery => "no recovery codes",
            Self::Bypass => "bypass code issued",
        }
    }

    /// The name, as long as all the others.
    pub(crate) fn user(self) -> &'static str {
        match self {
            Self::Enrolled => "enrolled",
            Self::NotEnrolled => "bystande",
            Self::NoAccount => "nobodyis",
            Self::UsedUp => "usedupxx",
            Self::History => "historyx",
            Self::Disabled => "disabled",
            Self::Damaged => "damagedx",
            Self::Open => "openxxxx",
            Self::Four => "fourauth",
            Self::NoRecovery => "norecove",
            Self::Bypass => "bypassxx",
        }
    }

    pub(crate) fn has_account(self) -> bool {
        self != Self::NoAccount
    }

    /// Makes this case of the account.
    pub(crate) fn settle(self, house: &House, client: &mut Client, service: &str) {
        let user = self.user();
        let admin = |arguments: &[&str]| drop(house.admin_json(arguments));
        match self {
            Self::NotEnrolled | Self::NoAccount => {}
            Self::Enrolled => drop(house.enroll(user)),
            Self::UsedUp => {
                drop(house.enroll(user));
                use_up(house, client, service, user);
            }
            Self::History => {
                let phone = house.enroll(user);
                for (address, step) in [("203.0.113.1", 0), ("198.51.100.1", 1)] {
                    let code = phone.in_steps(step);
                    let login = Login { service, user, rhost: address, answers: &[&code] };
                    assert_eq!(client.login(Process::Same, &login).code, SUCCESS);
                }
            }
            Self::Disabled => {
                drop(house.enroll(user));
                admin(&["disable", user, "--reason", "left", "--yes", "--json"]);
            }
            Self::Damaged => {
                drop(house.enroll(user));
                let record = format!("/var/lib/pam-totp/users/{user}.toml");
                fs::write(house.path(record), "garbage").unwrap();
            }
            Self::Open => admin(&["enroll", user, "--at-login", "--json"]),
            Self::Four => {
                drop(house.enroll(user));
                for name in ["tablet", "token", "spare"] {
                    admin(&["enroll", user, "--add", "--name", name, "--json", "--no-confirm"]);
                }
            }
            Self::NoRecovery => {
                house.configure(&format!("{CONFIG}[recovery]\nmode = \"off\"\n"));
                drop(house.enroll(user));
                house.configure(CONFIG);
            }
            Self::Bypass => {
                drop(house.enroll(user));
                admin(&["bypass-code", user, "--json"]);
            }
        }
    }
}

/// Wrong codes until single ones aren't evaluated any more.
fn use_up(house: &House, client: &mut Client, service: &str, user: &str) {
    for nth in 0..100 {
        let codes = [format!("{:06}", 7 * nth + 1), format!("{:06}", 7 * nth + 2)];
        let answers = [codes[0].as_str(), codes[1].as_str()];
        let login = Login { service, user, rhost: super::trials::RHOST, answers: &answers };
        let _ = client.login(Process::Same, &login);
    }
    let shown = house.admin_json(&["show", user, "--json"]);
    assert!(shown["codes_required"].as_u64() > Some(1), "{shown}");
}
