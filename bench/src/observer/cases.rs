//! Who is tried: somebody of each kind that must look like all the others.

use std::fs;

use pam_totp_bench::{Client, Login, Process, SUCCESS};
use pam_totp_tests::House;

/// As every house here is configured.
pub(crate) const CONFIG: &str = "[policy]\ndisabled = \"denied\"\nenroll_in = [\"observed\"]\n\
     [sms]\ncommand = [\"/bin/true\", \"{phone}\"]\n";

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Case {
    /// With one authenticator, logged in once.
    Enrolled,
    /// An account that isn't enrolled.
    NotEnrolled,
    /// A name that is no account.
    NoAccount,
    /// Enrolled, and the guess budget for single codes is used up.
    UsedUp,
    /// Enrolled, and never logged in.
    Fresh,
    /// Enrolled, and logged in from two addresses.
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
    pub(crate) const FURTHER: [Self; 9] = [
        Self::Enrolled,
        Self::Fresh,
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
            Self::Fresh => "never logged in",
            Self::History => "logged in from two places",
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
            Self::Fresh => "freshxxx",
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
        if self.has_record() {
            if self == Self::NoRecovery {
                house.configure(&format!("{CONFIG}[recovery]\nmode = \"off\"\n"));
            }
            let phone = house.enroll(user);
            house.configure(CONFIG);
            for (nth, address) in self.logged_in_from().iter().enumerate() {
                let code = phone.in_steps(i64::try_from(nth).unwrap());
                let login = Login { service, user, rhost: address, answers: &[&code] };
                assert_eq!(client.login(Process::Same, &login).code, SUCCESS);
            }
        }
        match self {
            Self::UsedUp => use_up(house, client, service, user),
            Self::Disabled => admin(&["disable", user, "--reason", "left", "--yes", "--json"]),
            Self::Damaged => {
                let record = format!("/var/lib/pam-totp/users/{user}.toml");
                fs::write(house.path(record), "garbage").unwrap();
            }
            Self::Open => admin(&["enroll", user, "--at-login", "--json"]),
            Self::Four => {
                for name in ["tablet", "token", "spare"] {
                    admin(&["enroll", user, "--add", "--name", name, "--json", "--no-confirm"]);
                }
            }
            Self::Bypass => admin(&["bypass-code", user, "--json"]),
            _ => {}
        }
    }

    /// Whether it begins with an ordinary enrollment.
    fn has_record(self) -> bool {
        !matches!(self, Self::NotEnrolled | Self::NoAccount | Self::Open)
    }

    fn logged_in_from(self) -> &'static [&'static str] {
        match self {
            Self::Fresh => &[],
            Self::History => &["203.0.113.1", "198.51.100.1"],
            _ => &["203.0.113.1"],
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
