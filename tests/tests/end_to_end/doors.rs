//! The five ways in, each with the same questions: a right code, a wrong one and the next, a replayed
//! one, not enrolled with and without `nullok`; and where a name is typed, an unknown account.
//!
//! Refusals are compared as a whole, from the first prompt to the end of the program, so the strings here
//! are also the snapshots of what people see.

use pam_totp_tests::{FirstFactor, House, PASSWORD, Sshd, Terminal};

use crate::{CODE, LAST, NEXT};

/// A way in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Door {
    SshPassword,
    SshPublicKey,
    Sudo,
    Su,
    Login,
}

/// A door of a house, with the daemon behind it where it needs one.
struct Porch<'a> {
    house: &'a House,
    door: Door,
    sshd: Option<Sshd<'a>>,
}

impl<'a> Porch<'a> {
    fn new(house: &'a House, door: Door) -> Self {
        if door == Door::SshPublicKey {
            only_code(house, "sshd");
        }
        let sshd = match door {
            Door::SshPassword => Some(Sshd::start(house, FirstFactor::Password)),
            Door::SshPublicKey => Some(Sshd::start(house, FirstFactor::PublicKey)),
            _ => None,
        };
        Self { house, door, sshd }
    }

    /// Comes as `user` (over su: as bob, to become `user`) and gives the first factor.
    fn knock(&self, user: &str) -> Terminal {
        let say = ["sh", "-c", "echo in as $(id -un)"];
        let mut terminal = match self.door {
            Door::SshPassword | Door::SshPublicKey => self.sshd.as_ref().unwrap().connect(user),
            Door::Sudo => {
                self.house.terminal_as(user, "sudo", &[&["-u", "carol"], &say[..]].concat())
            }
            Door::Su => self.house.terminal_as("bob", "su", &[user, say[1], say[2]]),
            Door::Login => self.house.terminal("login", &[]),
        };
        if self.door == Door::Login {
            terminal.expect(" login: ").type_line(user);
        }
        if self.door != Door::SshPublicKey {
            terminal.expect(&self.first_prompt(user)).type_line(PASSWORD);
        }
        terminal
    }

    /// Waits until `user` is in.
    fn enter(&self, terminal: &mut Terminal, user: &str) {
        if self.door == Door::Login {
            terminal.expect("$ ").type_line("echo in as $(id -un); exit");
        }
        let user = if self.door == Door::Sudo { "carol" } else { user };
        terminal.expect(&format!("in as {user}\r\n"));
        assert!(terminal.wait().success(), "{}", terminal.shown());
    }

    /// Waits until nobody is let in, and gives everything shown.
    fn refused(&self, mut terminal: Terminal) -> String {
        if self.door == Door::Login {
            // It asks for the next login already.
            terminal.expect("Login incorrect\r\n");
            let shown = terminal.shown();
            return shown[..shown.rfind("Login incorrect\n").unwrap()].to_string();
        }
        assert!(!terminal.wait().success(), "{}", terminal.shown());
        terminal.shown()
    }

    /// What is shown of a login in which `prompts` followed the first factor and `messages` those.
    fn transcript(&self, user: &str, prompts: &[&str], messages: &[&str]) -> String {
        let mut text = String::new();
        if self.door == Door::Login {
            text += &format!("{} login: {user}\n", self.house.run("uname", &["-n"]).trim());
        }
        if self.door != Door::SshPublicKey {
            text += &format!("{}\n", self.first_prompt(user));
        }
        for prompt in prompts {
            text += &format!("{}{prompt}\n", self.before(user));
        }
        for message in messages {
            // OpenSSH's client leaves a line free behind messages.
            let end = if self.sshd.is_some() { "\n\n" } else { "\n" };
            text += &format!("{message}{end}");
        }
        text + &match self.door {
            Door::SshPassword | Door::SshPublicKey => {
                format!("{user}@127.0.0.1: Permission denied (keyboard-interactive).\n")
            }
            Door::Sudo => "sudo: 1 incorrect password attempt\n".to_string(),
            Door::Su => "su: Authentication failure\n".to_string(),
            Door::Login => "\n".to_string(),
        }
    }

    fn first_prompt(&self, user: &str) -> String {
        match self.door {
            Door::Sudo => format!("[sudo] password for {user}: "),
            _ => format!("{}Password: ", self.before(user)),
        }
    }

    /// OpenSSH's client says who is asked.
    fn before(&self, user: &str) -> String {
        match self.door {
            Door::SshPassword | Door::SshPublicKey => format!("({user}@127.0.0.1) "),
            _ => String::new(),
        }
    }

    /// The name of the stack.
    fn service(&self) -> &'static str {
        match self.door {
            Door::SshPassword | Door::SshPublicKey => "sshd",
            Door::Sudo => "sudo",
            Door::Su => "su",
            Door::Login => "login",
        }
    }

    /// The module's log lines of this login, without the prefix every line has.
    fn log(&self) -> Vec<String> {
        let prefix = format!("pam_totp({}:auth): ", self.service());
        let line = |line: &String| line.strip_prefix(&prefix).unwrap_or(line).to_string();
        self.house.syslog().module_lines().iter().map(line).collect()
    }

    /// The failure line, to the letter where log readers want it so.
    fn failure(&self, user: &str) -> String {
        let uid = |name: &str| self.house.person(name).uid;
        let (uid, origin) = match self.door {
            Door::SshPassword | Door::SshPublicKey => (0, "tty=ssh ruser= rhost=127.0.0.1"),
            Door::Sudo => (uid("alice"), "tty=/dev/pts/N ruser=alice rhost="),
            Door::Su => (uid("bob"), "tty=/dev/pts/N ruser=bob rhost="),
            Door::Login => (0, "tty=/dev/pts/N ruser= rhost="),
        };
        format!("authentication failure; logname= uid={uid} euid=0 {origin}  user={user}")
    }

    /// Holds the log of a login against what it should be, terminals without their number.
    fn assert_log(&self, expected: &[String]) {
        let log: Vec<String> =
            self.log().iter().map(|line| without_terminal_number(line)).collect();
        assert_eq!(log, expected);
    }

    /// How an accepted login names its origin.
    fn from(&self) -> &'static str {
        match self.door {
            Door::SshPassword | Door::SshPublicKey => "127.0.0.1",
            _ => "local",
        }
    }
}

/// For public keys: the code alone, behind the key that sshd has verified.
fn only_code(house: &House, service: &str) {
    let stack = std::fs::read_to_string(house.path("/etc/pam.d").join(service)).unwrap();
    let lines = stack.lines().filter(|line| !line.starts_with("auth required pam_unix.so"));
    let stack: String = lines.map(|line| format!("{line}\n")).collect();
    house.stack(service, &stack.replacen("pam_totp.so", "pam_totp.so first_factor=publickey", 1));
}

/// `tty=/dev/pts/7 ` as `tty=/dev/pts/N `.
fn without_terminal_number(line: &str) -> String {
    let Some((before, after)) = line.split_once("tty=/dev/pts/") else { return line.to_string() };
    format!("{before}tty=/dev/pts/N{}", after.trim_start_matches(|c: char| c.is_ascii_digit()))
}

fn accepted(porch: &Porch<'_>, user: &str) -> String {
    format!("accepted totp for {user} from {} authenticator=phone drift=0", porch.from())
}

fn a_right_code_logs_in(door: Door) {
    let house = House::build();
    let phone = house.enroll("alice");
    let porch = Porch::new(&house, door);
    let mut terminal = porch.knock("alice");
    terminal.expect(CODE).type_line(&phone.now());
    porch.enter(&mut terminal, "alice");
    assert!(!terminal.shown().contains(NEXT));
    porch.assert_log(&[accepted(&porch, "alice")]);
}

fn after_a_wrong_code_the_next_one_logs_in(door: Door) {
    let house = House::build();
    let phone = house.enroll("alice");
    let porch = Porch::new(&house, door);
    let mut terminal = porch.knock("alice");
    terminal.expect(CODE).type_line(&phone.wrong(0));
    terminal.expect(NEXT).type_line(&phone.in_steps(1));
    porch.enter(&mut terminal, "alice");
    porch.assert_log(&["reason=wrong user=alice".into(), accepted(&porch, "alice")]);
}

fn two_wrong_codes_are_refused(door: Door) {
    let house = House::build();
    let phone = house.enroll("alice");
    let porch = Porch::new(&house, door);
    let mut terminal = porch.knock("alice");
    terminal.expect(CODE).type_line(&phone.wrong(0));
    terminal.expect(NEXT).type_line(&phone.wrong(1));
    assert_eq!(porch.refused(terminal), porch.transcript("alice", &[CODE, NEXT], &[LAST]));
    let wrong = "reason=wrong user=alice".to_string();
    porch.assert_log(&[wrong.clone(), wrong, porch.failure("alice")]);
}

fn a_replayed_code_is_refused(door: Door) {
    let house = House::build();
    let phone = house.enroll("alice");
    let porch = Porch::new(&house, door);
    let code = phone.now();
    let mut terminal = porch.knock("alice");
    terminal.expect(CODE).type_line(&code);
    porch.enter(&mut terminal, "alice");
    house.syslog().clear();
    let mut terminal = porch.knock("alice");
    terminal.expect(CODE).type_line(&code);
    // Typed once more it costs nothing: some clients answer every prompt alike. It takes as long, though.
    terminal.expect(NEXT).type_line(&code);
    assert_eq!(porch.refused(terminal), porch.transcript("alice", &[CODE, NEXT], &[LAST]));
    let replay = "reason=replay user=alice authenticator=phone".to_string();
    porch.assert_log(&[replay.clone(), replay, porch.failure("alice")]);
}

fn who_is_not_enrolled_is_asked_and_refused(door: Door) {
    let house = House::build();
    let porch = Porch::new(&house, door);
    let mut terminal = porch.knock("alice");
    terminal.expect(CODE).type_line("123456");
    terminal.expect(NEXT).type_line("234567");
    assert_eq!(porch.refused(terminal), porch.transcript("alice", &[CODE, NEXT], &[LAST]));
    let reason = "reason=not-enrolled user=alice".to_string();
    porch.assert_log(&[reason.clone(), reason, porch.failure("alice")]);
}

fn with_nullok_who_is_not_enrolled_is_not_asked(door: Door) {
    let house = House::with_arguments("nullok");
    let porch = Porch::new(&house, door);
    let mut terminal = porch.knock("alice");
    porch.enter(&mut terminal, "alice");
    assert!(!terminal.shown().contains(CODE));
    porch.assert_log(&["not asked for alice: not required".to_string()]);
}

fn with_nullok_who_is_enrolled_is_asked(door: Door) {
    let house = House::with_arguments("nullok");
    let phone = house.enroll("alice");
    let porch = Porch::new(&house, door);
    let mut terminal = porch.knock("alice");
    terminal.expect(CODE).type_line(&phone.now());
    porch.enter(&mut terminal, "alice");
    porch.assert_log(&[accepted(&porch, "alice")]);
}

fn who_was_disabled_is_not_asked(door: Door) {
    let house = House::build();
    let _phone = house.enroll("alice");
    let _ = house.admin_json(&["disable", "alice", "--json"]);
    house.syslog().clear();
    let porch = Porch::new(&house, door);
    let mut terminal = porch.knock("alice");
    porch.enter(&mut terminal, "alice");
    assert!(!terminal.shown().contains(CODE));
    porch.assert_log(&["not asked for alice: disabled".to_string()]);
}

fn an_unknown_account_sees_what_a_wrong_code_sees(door: Door) {
    let house = House::build();
    let porch = Porch::new(&house, door);
    let mut terminal = porch.knock("mallory");
    terminal.expect(CODE).type_line("123456");
    terminal.expect(NEXT).type_line("234567");
    assert_eq!(porch.refused(terminal), porch.transcript("mallory", &[CODE, NEXT], &[LAST]));
    let reason = "reason=no-account user=mallory".to_string();
    porch.assert_log(&[reason.clone(), reason, porch.failure("mallory")]);
}

/// sshd hands on junk of the same length for people who may not log in: a word must look the same then.
fn a_single_character_gets_help_whoever_types_it(door: Door) {
    let house = House::build();
    let _phone = house.enroll("alice");
    let porch = Porch::new(&house, door);
    for user in ["alice", "bob", "mallory"] {
        for word in ["?", "x", "5"] {
            let mut terminal = porch.knock(user);
            terminal.expect(CODE).type_line(word);
            terminal.expect("Type one of: the digits that your authenticator shows now");
            terminal.expect("Verification code: ").type_line("123456");
            terminal.expect(NEXT).type_line("234567");
            porch.refused(terminal);
        }
    }
}

fn a_wrong_password_is_not_helped_by_a_right_code(door: Door) {
    let house = House::build();
    let phone = house.enroll("alice");
    let porch = Porch::new(&house, door);
    let mut terminal = match door {
        Door::Login => {
            let mut terminal = house.terminal("login", &[]);
            terminal.expect(" login: ").type_line("alice");
            terminal
        }
        Door::Su => house.terminal_as("bob", "su", &["alice"]),
        Door::Sudo => house.terminal_as("alice", "sudo", &["true"]),
        _ => porch.sshd.as_ref().unwrap().connect("alice"),
    };
    terminal.expect(&porch.first_prompt("alice")).type_line("wrong horse");
    terminal.expect(CODE).type_line(&phone.now());
    porch.refused(terminal);
}

/// One test per door and question.
macro_rules! ask {
    ($module:ident, $door:expr, $($question:ident)*) => {
        mod $module {
            use super::Door;

            $(
                #[test]
                fn $question() {
                    super::$question($door);
                }
            )*
        }
    };
}

macro_rules! ask_all {
    ($module:ident, $door:expr $(, $further:ident)*) => {
        ask! { $module, $door,
            a_right_code_logs_in
            after_a_wrong_code_the_next_one_logs_in
            two_wrong_codes_are_refused
            a_replayed_code_is_refused
            who_is_not_enrolled_is_asked_and_refused
            with_nullok_who_is_not_enrolled_is_not_asked
            with_nullok_who_is_enrolled_is_asked
            who_was_disabled_is_not_asked
            $($further)*
        }
    };
}

ask_all! { ssh_with_password, Door::SshPassword,
    an_unknown_account_sees_what_a_wrong_code_sees,
    a_single_character_gets_help_whoever_types_it,
    a_wrong_password_is_not_helped_by_a_right_code
}
ask_all! { ssh_with_public_key, Door::SshPublicKey }
ask_all! { sudo, Door::Sudo, a_wrong_password_is_not_helped_by_a_right_code }
ask_all! { su, Door::Su, a_wrong_password_is_not_helped_by_a_right_code }
ask_all! { login, Door::Login,
    an_unknown_account_sees_what_a_wrong_code_sees,
    a_wrong_password_is_not_helped_by_a_right_code
}
