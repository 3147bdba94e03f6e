//! Programs that are not root and ask about other users than the one they run as: where `[callers]` allows them, and all others.

use std::fs::{self, Permissions};
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use pam_totp_tests::{
    Answer, Application, Decider, House, Outcome, Pam, Phone, Plan, USER_SOCKET, hello,
};
use totp_wire::{Hook, ToDaemon};

use crate::account_phase::opened;
use crate::chance::{in_full, leave_out, rounds, tell};
use crate::hostile_packets::prompts_with_key;
use crate::{CODE, LAST, NEXT};

/// Where the application says that a login comes from.
const SAID: &str = "192.0.2.1";

/// `web` is a service account, and dave is not enrolled.
fn house_with(config: &str) -> House {
    let people = ["alice", "bob", "carol", "dave", "web"].map(str::to_string).to_vec();
    let config = Some(config.to_owned());
    House::from_plan(&Plan { people, config, decided_by: Decider::Daemon, ..Plan::default() })
}

/// A house in which `web` asks about alice and dave, and about carol by her group.
fn house() -> House {
    let house = house_with("[callers]\nallow = { web = [\"alice\", \"dave\", \"@vpn\"] }\n");
    add_line(&house, "/etc/group", "vpn:x:900:carol");
    house
}

fn add_line(house: &House, file: &str, line: &str) {
    let mut file = fs::OpenOptions::new().append(true).open(house.path(file)).unwrap();
    writeln!(file, "{line}").unwrap();
}

/// A login about `user` in a program that runs as `caller`.
fn asks(house: &House, caller: &str, user: &str, answers: &[&str]) -> Outcome {
    let mut application = house.application_as(caller);
    application.login("code", user).authenticate(answers.iter().copied())
}

/// The same in a program of root.
fn root_asks(house: &House, user: &str, answers: &[&str]) -> Outcome {
    house.application().login("code", user).authenticate(answers.iter().copied())
}

/// The first line that begins so in what is kept of alice's state.
fn kept(house: &House, word: &str) -> Option<String> {
    let bytes = fs::read(house.path("/var/lib/pam-totp/state/alice")).unwrap();
    let text = String::from_utf8_lossy(&bytes).into_owned();
    text.lines().find(|line| line.starts_with(word)).map(str::to_owned)
}

#[test]
fn a_service_asks_about_the_users_of_its_list_and_each_code_is_good_once() {
    let house = house();
    let phones = ["alice", "carol"].map(|name| (name, house.enroll(name)));
    for (user, phone) in phones {
        let code = phone.now();
        let outcome = asks(&house, "web", user, &[&code]);
        assert_eq!((outcome.code, outcome.prompts()), (Pam::Success, vec![CODE]), "{user}");
        assert_eq!(asks(&house, "web", user, &[&code, &code]).code, Pam::AuthErr, "{user}");
        assert_eq!(root_asks(&house, user, &[&code, &code]).code, Pam::AuthErr, "{user}");
    }
}

#[test]
fn a_service_is_refused_all_other_users_as_it_is_a_wrong_code() {
    let house = house();
    let (alice, bob) = (house.enroll("alice"), house.enroll("bob"));
    let wrong = alice.wrong(0);
    let refused = asks(&house, "web", "alice", &[&wrong, &wrong]);
    assert_eq!((refused.code, refused.prompts()), (Pam::AuthErr, vec![CODE, NEXT]));
    assert_eq!(refused.messages(), [LAST]);
    let code = bob.now();
    for user in ["bob", "dave", "mallory", "root", ""] {
        assert_eq!(asks(&house, "web", user, &[&code, &wrong]), refused, "{user:?}");
    }
    assert_eq!(root_asks(&house, "bob", &[&code]).code, Pam::Success, "not spent by the service");
}

#[test]
fn a_service_whose_list_names_nothing_that_exists_is_allowed_no_user_and_the_log_names_it() {
    let allow = "{ nosuchservice = [\"alice\"], web = [\"mallory\", \"@nosuchgroup\"] }";
    let house = house_with(&format!("[callers]\nallow = {allow}\n"));
    let phone = house.enroll("alice");
    for user in ["alice", "mallory"] {
        let code = phone.now();
        assert_eq!(asks(&house, "web", user, &[&code, &code]).code, Pam::AuthErr, "{user}");
    }
    for words in [
        "[callers] allow names the caller \"nosuchservice\", which does not exist: it allows no program",
        "[callers] allow of web names the user \"mallory\", which does not exist: it allows no user",
        "[callers] allow of web names the group \"nosuchgroup\", which does not exist: it allows no user",
    ] {
        let _ = house.syslog().expect(words);
    }
    add_line(&house, "/etc/group", "nosuchgroup:x:901:alice");
    assert_eq!(asks(&house, "web", "alice", &[&phone.now()]).code, Pam::Success, "now it exists");
}

#[test]
fn two_names_of_one_uid_are_one_service_with_both_lists() {
    let house = house_with("[callers]\nallow = { web = [\"alice\"], www = [\"carol\"] }\n");
    let uid = house.person("web").uid;
    add_line(&house, "/etc/passwd", &format!("www:x:{uid}:{uid}::/home/{uid}:/bin/sh"));
    for user in ["alice", "carol"] {
        let phone = house.enroll(user);
        assert_eq!(asks(&house, "web", user, &[&phone.now()]).code, Pam::Success, "{user}");
    }
}

#[test]
fn a_service_asks_about_its_own_account_as_about_any_other() {
    for (list, code) in [("\"alice\"", Pam::AuthErr), ("\"web\"", Pam::Success)] {
        let house = house_with(&format!("[callers]\nallow = {{ web = [{list}] }}\n"));
        let phone = house.enroll("web");
        let typed = phone.now();
        assert_eq!(asks(&house, "web", "web", &[&typed, &typed]).code, code, "{list}");
        let line =
            if code == Pam::Success { format!("from {SAID} ") } else { format!("rhost={SAID} ") };
        let _ = house.syslog().expect(&line);
        // Its client names that user, who is to be challenged as all others are.
        let stack = "auth required pam_totp.so nodelay nullok\naccount required pam_permit.so\n";
        house.stack("code", stack);
        house.run("totp-admin", &["remove", "web", "--yes"]);
        assert_eq!(asks(&house, "web", "web", &[&typed, &typed]).code, Pam::AuthErr, "{list}");
    }
}

#[test]
fn the_log_has_the_place_that_a_service_names_and_the_service() {
    let house = house();
    let (phone, uid) = (house.enroll("alice"), house.person("web").uid);
    let wrong = phone.wrong(0);
    for user in ["alice", "bob"] {
        let _ = asks(&house, "web", user, &[&wrong, &wrong]);
        let line = house.syslog().expect(&format!("  user={user}"));
        let expected = format!(
            "pam_totp(code:auth): authentication failure; logname= uid={uid} euid={uid} tty=ssh ruser= rhost={SAID}  \
             user={user}"
        );
        assert!(line.starts_with("totpd[") && line.ends_with(&expected), "{line}");
    }
    assert_eq!(asks(&house, "web", "alice", &[&phone.now()]).code, Pam::Success);
    let line = house.syslog().expect("accepted totp for alice");
    assert!(line.contains(&format!(" from {SAID} ")) && line.ends_with(" caller=web"), "{line}");
    let shown = house.admin_json(&["show", "alice", "--json"]);
    assert_eq!(shown["last_login"]["from"], format!("{SAID} (says web)"), "{shown}");
}

#[test]
fn the_place_that_a_service_names_is_never_one_of_the_owners_and_never_becomes_one() {
    let house = house();
    let phone = house.enroll("alice");
    assert_eq!(asks(&house, "web", "alice", &[&phone.in_steps(-1)]).code, Pam::Success);
    assert_eq!(kept(&house, "origin "), None, "it is not learned");
    assert_eq!(root_asks(&house, "alice", &[&phone.now()]).code, Pam::Success);
    assert!(kept(&house, "origin ").is_some_and(|line| line.ends_with(" net:192.0.2.0/24")));
    let spent = |house: &House| {
        let line = kept(house, "spent ").unwrap();
        let words: Vec<&str> = line.split(' ').collect();
        [words[2], words[4]].map(|number| number.parse::<u64>().unwrap())
    };
    let [known, unknown] = spent(&house);
    let wrong = phone.wrong(0);
    let _ = asks(&house, "web", "alice", &[&wrong, &wrong]);
    let [known_then, unknown_then] = spent(&house);
    assert_eq!(known_then, known, "what the owner has at home is left alone");
    assert!(unknown_then > unknown, "strangers have paid");
}

#[test]
fn the_place_that_a_service_names_exempts_no_user() {
    let networks = "[policy]\nexempt_networks = [\"192.0.2.0/24\"]\n";
    let house = house_with(&format!("{networks}[callers]\nallow = {{ web = [\"alice\"] }}\n"));
    let phone = house.enroll("alice");
    assert_eq!(root_asks(&house, "alice", &[]).prompts(), [""; 0]);
    let outcome = asks(&house, "web", "alice", &[&phone.now()]);
    assert_eq!((outcome.code, outcome.prompts()), (Pam::Success, vec![CODE]));
}

#[test]
fn a_service_loosens_nothing_by_its_arguments() {
    let house = house();
    fs::write(house.path("/etc/pam-totp/loose.toml"), "[policy]\nexempt = [\"dave\"]\n").unwrap();
    for arguments in ["nullok", "config=/etc/pam-totp/loose.toml"] {
        let line = format!("auth required pam_totp.so nodelay {arguments}\n");
        house.stack("loose", &format!("{line}auth required pam_permit.so\n"));
        let mut application = house.application_as("web");
        let outcome = application.login("loose", "dave").authenticate(["123456", "234567"]);
        assert_eq!((outcome.code, outcome.prompts()), (Pam::AuthErr, vec![CODE, NEXT]));
        let outcome = house.application().login("loose", "dave").authenticate([""; 0]);
        assert_eq!(outcome.code, Pam::Success, "root's program is not challenged");
    }
}

#[test]
fn a_service_brings_no_key_that_is_remembered() {
    let key = format!("publickey ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI{}", "A".repeat(43));
    let remember = "[remember]\ndays = 30\nservices = [\"code\"]\n";
    let house = house_with(&format!("{remember}[callers]\nallow = {{ web = [\"alice\"] }}\n"));
    let phone = house.enroll("alice");
    let prompts = |application, answers: &[&str]| prompts_with_key(application, &key, answers);
    assert_eq!(prompts(house.application(), &[&phone.now()]), 1);
    assert_eq!(prompts(house.application(), &[]), 0, "it is remembered");
    assert_eq!(prompts(house.application_as("web"), &[]), 1);
}

#[test]
fn a_service_does_not_take_an_enrollment_code() {
    let house =
        house_with(&format!("{}[callers]\nallow = {{ web = [\"dave\"] }}\n", crate::ENROLLS));
    let code = opened(&house, "dave");
    let outcome = asks(&house, "web", "dave", &[&code, &code]);
    assert_eq!((outcome.code, outcome.prompts()), (Pam::AuthErr, vec![CODE, NEXT]));
    assert_eq!(root_asks(&house, "dave", &[&code]).code, Pam::Success, "it is not used up");
}

#[test]
fn a_set_uid_program_is_the_user_that_it_runs_as_and_not_the_user_who_runs_it() {
    let house = house();
    let phone = house.enroll("alice");
    let code = phone.now();
    let program = house.path("/usr/local/bin/web-application");
    fs::copy(house.path("/usr/local/bin/pam-application"), &program).unwrap();
    chown(&program, Some(house.person("web").uid), None).unwrap();
    fs::set_permissions(&program, Permissions::from_mode(0o4755)).unwrap();
    let mut plain = house.application_as("bob");
    assert_eq!(plain.login("code", "alice").authenticate([&code, &code]).code, Pam::AuthErr);
    let mut set_uid = house.application_of("bob", "/usr/local/bin/web-application", &[]);
    assert_eq!(set_uid.login("code", "alice").authenticate([&code]).code, Pam::Success);
}

/// Whether bob can make a user namespace here.
fn bob_has_namespaces(house: &House) -> bool {
    let output = house.command_as("bob", "unshare").args(["-U", "true"]).output().unwrap();
    if !output.status.success() {
        leave_out("user namespaces", "none can be made here");
    }
    output.status.success()
}

/// Speaks the protocol with a uid of its own: says hello, answers the first so many prompts with what it is given, and leaves when
/// it has heard what comes of them.
const BREAKS_OFF: &str = r#"
    use Socket;
    my ($path, $hello, $answer, $prompts) = @ARGV;
    socket(my $s, AF_UNIX, SOCK_SEQPACKET, 0) or die $!;
    connect($s, pack_sockaddr_un($path)) or die $!;
    recv($s, my $first, 65536, 0);
    send($s, pack("H*", $hello), 0);
    for (1 .. $prompts) {
        recv($s, my $ask, 65536, 0);
        send($s, pack("H*", $answer), 0);
    }
    recv($s, my $next, 65536, 0);
    print length($next) > 0 ? "heard\n" : "closed\n";
"#;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn answer(code: &str) -> Vec<u8> {
    let text = std::ffi::CString::new(code).unwrap();
    let mut buffer = vec![0; 4096];
    let answer = ToDaemon::Answer { is_authtok: false, text: &text };
    let length = answer.encode(&mut buffer).unwrap();
    buffer.truncate(length);
    buffer
}

#[test]
fn a_program_that_breaks_off_behind_a_wrong_code_leaves_the_failure_line() {
    let house = house();
    let phone = house.enroll("alice");
    let [hello, answer] = [hello(Hook::Auth, "alice"), answer(&phone.wrong(0))].map(|b| hex(&b));
    for (caller, rhost) in [("alice", ""), ("web", SAID), ("bob", "")] {
        for prompts in ["1", "2"] {
            house.syslog().clear();
            let arguments = ["-e", BREAKS_OFF, USER_SOCKET, &hello, &answer, prompts];
            let output = house.command_as(caller, "perl").args(arguments).output().unwrap();
            assert_eq!(String::from_utf8_lossy(&output.stdout), "heard\n", "{caller} {prompts}");
            let line = house.syslog().expect("authentication failure");
            let uid = house.person(caller).uid;
            assert!(line.contains(&format!(" uid={uid} euid={uid} ")), "{line}");
            assert!(line.ends_with(&format!(" rhost={rhost}  user=alice")), "{line}");
        }
    }
}

/// Root in a namespace of bob's own is bob. The module does not take a daemon for root's there, since root has no number inside.
#[test]
fn a_program_in_a_user_namespace_of_its_own_is_who_it_is_outside() {
    let house = house();
    if !bob_has_namespaces(&house) {
        return;
    }
    let (phone, uid) = (house.enroll("alice"), house.person("bob").uid);
    let code = phone.now();
    for mapping in [&["-U"][..], &["-U", "-r"]] {
        for user in ["alice", "root", "bob"] {
            let arguments = [mapping, &["pam-application"]].concat();
            let mut application = house.application_of("bob", "unshare", &arguments);
            let outcome = application.login("code", user).authenticate([&code, &code]);
            assert_eq!(outcome.code, Pam::SystemErr, "{mapping:?} {user}: {outcome:?}");
            // A program that asks no questions.
            house.syslog().clear();
            let [hello, answer] = [hello(Hook::Auth, user), answer(&code)].map(|b| hex(&b));
            let perl = ["perl", "-e", BREAKS_OFF, USER_SOCKET, &hello, &answer, "2"];
            let mut command = house.command_as("bob", "unshare");
            let output = command.args([mapping, &perl].concat()).output().unwrap();
            assert_eq!(String::from_utf8_lossy(&output.stdout), "heard\n");
            let line = house.syslog().expect("authentication failure");
            assert!(line.contains(&format!(" uid={uid} euid={uid} ")), "{line}");
        }
    }
    assert_eq!(root_asks(&house, "alice", &[&code]).code, Pam::Success, "it was not spent");
}

#[test]
fn pamtester_of_a_user_is_granted_the_own_account_once_and_no_other() {
    let house = house();
    let phones = ["alice", "bob"].map(|name| house.enroll(name));
    let [alice, bob] = phones.map(|phone| phone.now());
    let tries = |user: &str, code: &str| {
        let mut command = house.command_as("bob", "pamtester");
        let mut child = command
            .args(["code", user, "authenticate"])
            .stdin(Stdio::piped())
            .spawn()
            .expect("pamtester is needed");
        let mut input = child.stdin.take().unwrap();
        // It ends when it has read what it needs.
        let _ = writeln!(input, "{code}\n{code}");
        drop(input);
        child.wait_with_output().unwrap().status.success()
    };
    assert!(!tries("alice", &alice));
    assert!(tries("bob", &bob));
    assert!(!tries("bob", &bob), "one code, one login");
    assert_eq!(root_asks(&house, "alice", &[&alice]).code, Pam::Success, "it was not spent");
}

/// Connects and says nothing, so many times, says so, and holds the connections until its standard input ends.
const IDLE: &str = r#"
    use Socket;
    $| = 1;
    my ($path, $count) = @ARGV;
    my @all;
    for (1 .. $count) {
        socket(my $s, AF_UNIX, SOCK_SEQPACKET, 0) or die $!;
        connect($s, pack_sockaddr_un($path)) or die $!;
        push @all, $s;
    }
    print "held\n";
    <STDIN>;
"#;

/// Connects and leaves without end, in so many processes, which end with standard input.
const LOOPS: &str = r#"
    use Socket;
    $| = 1;
    my ($path, $processes) = @ARGV;
    my @children;
    for (1 .. $processes) {
        my $child = fork();
        if (!$child) {
            close(STDIN);
            while (getppid() != 1) {
                socket(my $s, AF_UNIX, SOCK_SEQPACKET, 0) or die $!;
                connect($s, pack_sockaddr_un($path)) or die $!;
            }
            exit;
        }
        push @children, $child;
    }
    print "held\n";
    <STDIN>;
    kill "KILL", @children;
"#;

fn starts(house: &House, script: &str, count: &str) -> Child {
    // Other tests measure times beside this one.
    let nice = rounds(19, 0).to_string();
    let mut command = house.command_as("bob", "nice");
    command.args(["-n", &nice, "perl", "-e", script, USER_SOCKET, count]).stdin(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "held\n");
    child
}

/// Unlocks as a screen locker does, but without its deadline: however busy the machine is, what is told is what the daemon says.
const UNLOCKS: &str = r#"
    use Socket;
    my ($path, $hello, $answer) = @ARGV;
    socket(my $s, AF_UNIX, SOCK_SEQPACKET, 0) or die $!;
    connect($s, pack_sockaddr_un($path)) or die $!;
    my @heard;
    recv($s, $heard[0], 65536, 0);
    send($s, pack("H*", $hello), 0);
    recv($s, $heard[1], 65536, 0);
    send($s, pack("H*", $answer), 0);
    recv($s, $heard[2], 65536, 0);
    print unpack("H*", join("", map { substr($_, 0, 1) } @heard) . substr($heard[2], 1, 1)), "\n";
"#;

/// A user who logs in again and again: their state is put back before each time, in which the code is new.
struct Again<'a> {
    house: &'a House,
    user: &'a str,
    phone: Phone,
    state: Vec<u8>,
    waits: Vec<Duration>,
}

impl<'a> Again<'a> {
    fn new(house: &'a House, user: &'a str) -> Self {
        let phone = house.enroll(user);
        assert_eq!(root_asks(house, user, &[&phone.in_steps(-1)]).code, Pam::Success);
        let state = fs::read(Self::path(house, user)).unwrap();
        Self { house, user, phone, state, waits: Vec::new() }
    }

    fn path(house: &House, user: &str) -> PathBuf {
        house.path(format!("/var/lib/pam-totp/state/{user}"))
    }

    /// Has `log_in` log in with a code that is new.
    fn again(&mut self, log_in: impl FnOnce(&House, &str)) {
        fs::write(Self::path(self.house, self.user), &self.state).unwrap();
        let code = self.phone.now();
        let begun = Instant::now();
        log_in(self.house, &code);
        self.waits.push(begun.elapsed());
    }

    /// Tells how long it took. Half of them take less than a second; a machine that runs other tests meanwhile promises nothing.
    fn ends_in_time(mut self, what: &str) {
        self.waits.sort_unstable();
        let (median, longest) = (self.waits[self.waits.len() / 2], self.waits.last().unwrap());
        tell(&format!("{what}: the median is {median:?}, the longest {longest:?}"));
        assert!(!in_full() || median < Duration::from_secs(1), "{what}: {median:?}");
    }
}

#[test]
fn a_users_thousand_connections_and_twenty_loops_keep_no_other_user_and_no_program_of_root_out() {
    let house = house();
    let (mut carol, mut alice) = (Again::new(&house, "carol"), Again::new(&house, "alice"));
    let mut application = house.application();
    // No program has more files open than the usual limit, 1,024, leaves room for.
    let floods = [(IDLE, "500"), (IDLE, "500"), (LOOPS, "20")];
    let mut floods = floods.map(|(script, count)| starts(&house, script, count));
    let carols = hex(&hello(Hook::Auth, "carol"));
    for _ in 0..rounds(100, 1000) {
        carol.again(|house, code| {
            let answer = hex(&answer(code));
            let arguments = ["-e", UNLOCKS, USER_SOCKET, &carols, &answer];
            let output = house.command_as("carol", "perl").args(arguments).output().unwrap();
            // Here, a prompt, and the decision: PAM_SUCCESS. Never busy.
            assert_eq!(String::from_utf8_lossy(&output.stdout), "01030800\n");
        });
        alice.again(|_, code| {
            let outcome = application.login("code", "alice").authenticate([code, code]);
            assert_eq!(outcome.code, Pam::Success, "{outcome:?}");
        });
    }
    for flood in &mut floods {
        drop(flood.stdin.take());
        flood.wait().unwrap();
    }
    carol.ends_in_time("an unlock");
    alice.ends_in_time("a login of root's program");
}

#[test]
fn a_service_is_not_used_up_by_one_of_its_clients() {
    let house = house();
    let phone = house.enroll("alice");
    // From then on the service is known as one.
    assert_eq!(asks(&house, "web", "alice", &["", ""]).code, Pam::AuthErr);
    let from = |rhost: &str, answers: &[Answer]| {
        let mut application = house.application_as("web");
        let mut login = application.login("code", "alice");
        login.from(rhost).authenticate(answers.to_vec())
    };
    let mut held: Vec<Application> = (0..64).map(|_| house.application_as("web")).collect();
    for application in &mut held {
        let mut login = application.login("code", "alice");
        login.from("203.0.113.9").begin("auth 0");
        assert_eq!(login.hear().prompt(), Some(CODE));
        std::mem::forget(login); // ends with its process
    }
    let over = from("203.0.113.9", &[]);
    assert_eq!((over.code, over.heard.len()), (Pam::SystemErr, 0), "{over:?}");
    let other = from("203.0.113.10", &[Answer::from(&phone.now())]);
    assert_eq!(other.code, Pam::Success, "{other:?}");
}
