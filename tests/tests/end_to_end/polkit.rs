//! polkit's own program that asks for passwords, set-uid root and started by a user, where it may write nothing: newer
//! versions run it as a service whose `/var` and `/run` are read-only.
//!
//! It speaks PAM's conversation by lines. The end of it, what it tells polkitd, is not tried: there is no system bus here.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use pam_totp_tests::{Decider, House, PASSWORD, Pam, Phone, Plan};

use crate::written_stacks::{COMMON_ACCOUNT, COMMON_AUTH, first_steps};
use crate::{CODE, NEXT};

/// Where Debian has it.
const HELPER: &str = "/usr/lib/polkit-1/polkit-agent-helper-1";

/// What it complains of at its end where libpam has refused.
const REFUSED: &str = "pam_authenticate failed";

/// And where libpam has granted: polkitd can't be told.
const GRANTED: &str = "Error getting authority";

/// Runs the helper as the user with this uid, where nothing can be written that a login would write.
const READ_ONLY: &str = r#"
for directory in /var/lib /var/log /run; do mount -o remount,bind,ro "$directory"; done
exec setpriv --reuid "$0" --regid "$0" --clear-groups -- "$@"
"#;

fn house(decided_by: Decider) -> (House, Phone) {
    let house = House::from_plan(&Plan { decided_by, ..Plan::default() });
    house.stack("common-auth", COMMON_AUTH);
    house.stack("common-account", COMMON_ACCOUNT);
    let lines = first_steps().replace("pam_totp.so nullok", "pam_totp.so nodelay nullok");
    house.stack("polkit-1", &lines);
    let phone = house.enroll("alice");
    (house, phone)
}

/// The program, asking for alice, whose agent has started it.
struct Helper {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Helper {
    /// Starts it, and answers its prompt for the password.
    fn behind_the_password(house: &House) -> Self {
        let uid = house.person("alice").uid.to_string();
        let mut command = house.command("unshare");
        command.args(["--mount", "--propagation", "private", "sh", "-ec", READ_ONLY, &uid]);
        command.args([HELPER, "alice"]).stdin(Stdio::piped());
        let mut child = command.spawn().expect("unshare (util-linux) is needed");
        let output = BufReader::new(child.stdout.take().unwrap());
        let mut input = child.stdin.take().unwrap();
        writeln!(input, "cookie").unwrap();
        let mut helper = Self { child, input, output };
        helper.answer("Password: ", PASSWORD);
        helper
    }

    /// Waits for a prompt, and answers it.
    fn answer(&mut self, prompt: &str, answer: &str) {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("polkitd's package is needed");
        assert_eq!(line.trim_end(), format!("PAM_PROMPT_ECHO_OFF {prompt}").trim_end());
        writeln!(self.input, "{answer}").unwrap();
    }

    /// What it complains of at its end. It asks for nothing more.
    fn complaint(mut self) -> String {
        drop(self.input);
        let (mut rest, mut complaint) = (String::new(), String::new());
        self.output.read_to_string(&mut rest).unwrap();
        self.child.stderr.take().unwrap().read_to_string(&mut complaint).unwrap();
        assert!(!self.child.wait().unwrap().success(), "{rest}");
        assert!(!rest.contains("PAM_PROMPT"), "{rest}");
        complaint
    }
}

#[test]
fn a_right_code_is_accepted_once_where_nothing_can_be_written_by_the_program_that_asks() {
    let (house, phone) = house(Decider::Daemon);
    let code = phone.now();
    let mut helper = Helper::behind_the_password(&house);
    helper.answer(CODE, &code);
    let complaint = helper.complaint();
    assert!(complaint.contains(GRANTED) && !complaint.contains(REFUSED), "{complaint}");
    let accepted = "pam_totp(polkit-1:auth): accepted totp for alice from local";
    let _ = house.syslog().expect(accepted);
    let mut helper = Helper::behind_the_password(&house);
    helper.answer(CODE, &code);
    helper.answer(NEXT, &phone.wrong(0));
    let complaint = helper.complaint();
    assert!(complaint.contains(REFUSED), "{complaint}");
    let _ = house.syslog().expect("pam_totp(polkit-1:auth): reason=replay user=alice");
}

#[test]
fn without_the_daemon_it_is_denied_there_and_the_log_says_why() {
    let (house, phone) = house(Decider::Once);
    let code = phone.now();
    let mut helper = Helper::behind_the_password(&house);
    helper.answer(CODE, &code);
    let complaint = helper.complaint();
    assert!(complaint.contains(REFUSED), "{complaint}");
    let why = "/var/lib/pam-totp/state: read-only in this process's own mount namespace";
    let line = house.syslog().expect(why);
    assert!(line.contains("pam_totp(polkit-1:auth)"), "{line}");
    let _ = house.syslog().expect("reason=unavailable user=alice");
    let outcome = house.application().login("both", "alice").authenticate([PASSWORD, &code]);
    assert_eq!(outcome.code, Pam::Success, "the code is still good: {outcome:?}");
}
