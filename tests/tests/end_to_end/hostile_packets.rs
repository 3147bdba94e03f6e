//! What the daemon makes of a module that does not keep to the protocol, of callers that take all they can get, and of programs
//! of a user's own: it grants nothing that it should not, and serves all others meanwhile.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};

use pam_totp_tests::{
    Answer, Decider, House, Module, Outcome, Pam, Plan, ROOT_SOCKET, USER_SOCKET, eventually, hello,
};
use totp_wire::{Hook, Outgoing, ToDaemon, ToModule, limits};

use crate::account_phase::{opened, opened_on_trust};
use crate::{CODE, LAST, NEXT};

/// Conversations that one caller may have at once.
const SHARE: usize = 64;

fn house() -> House {
    house_with(crate::ENROLLS)
}

fn house_with(config: &str) -> House {
    let config = Some(config.to_owned());
    House::from_plan(&Plan { config, decided_by: Decider::Daemon, ..Plan::default() })
}

/// A connection that the daemon has greeted.
fn connect(house: &House, socket: &str) -> Module {
    let module = Module::connect(&house.path(socket)).expect("totpd listens");
    assert!(module.is_welcome());
    module
}

/// A conversation about alice that has come to the first prompt.
fn at_the_prompt(house: &House) -> Module {
    let module = connect(house, ROOT_SOCKET);
    assert!(module.send(&hello(Hook::Auth, "alice")));
    let packet = module.receive().expect("a prompt");
    assert!(matches!(ToModule::decode(&packet), Ok(ToModule::Ask { .. })), "{packet:x?}");
    module
}

fn replaced(packet: &[u8], at: usize, by: &[u8]) -> Vec<u8> {
    let mut packet = packet.to_vec();
    packet[at..at + by.len()].copy_from_slice(by);
    packet
}

/// Hellos that are none. In a whole one the hook is byte 3, `stdout_is_terminal` 22, the user's name begins at 24 with whether
/// it is there, its length at 25, and its text at 27.
fn malformed_hellos(hook: Hook) -> Vec<Vec<u8>> {
    let whole = hello(hook, "alice");
    assert_eq!(&whole[24..33], b"\x01\x05\x00alice\0");
    let long_name = [&1025_u16.to_le_bytes()[..], &[b'a'; 1025], b"\0"].concat();
    let mut all: Vec<Vec<u8>> = (0..whole.len()).map(|end| whole[..end].to_vec()).collect();
    all.extend([
        replaced(&whole, 0, &[0x01]),
        replaced(&whole, 0, &[0x82]),
        replaced(&whole, 3, &[0]),
        replaced(&whole, 3, &[5]),
        replaced(&whole, 13, &[1]),
        replaced(&whole, 22, &[2]),
        replaced(&whole, 24, &[3]),
        replaced(&whole, 28, &[0]),
        replaced(&whole, 32, b"x"),
        [&whole[..25], &long_name, &whole[33..]].concat(),
        [&whole[..], &[0]].concat(),
        [&whole[..], &[0; limits::PACKET + 1]].concat(),
    ]);
    all
}

#[test]
fn a_hello_that_is_none_ends_the_connection_and_no_other() {
    let house = house();
    let phone = house.enroll("alice");
    let other = at_the_prompt(&house);
    for socket in [ROOT_SOCKET, USER_SOCKET] {
        let of_session = malformed_hellos(Hook::Session);
        for packet in malformed_hellos(Hook::Auth).into_iter().chain(of_session) {
            let module = connect(&house, socket);
            assert!(module.send(&packet));
            assert!(module.is_over(), "an answer to {packet:x?}");
        }
    }
    let (is_authtok, code) = (false, std::ffi::CString::new(phone.now()).unwrap());
    assert!(other.answer(&ToDaemon::Answer { is_authtok, text: &code }));
    assert_eq!(done(&other), Some(0));
}

/// The code of the decision, behind lines of the log and the like; `None` where the connection ends without one.
fn done(module: &Module) -> Option<u8> {
    loop {
        let packet = module.receive()?;
        match ToModule::decode(&packet) {
            Ok(ToModule::Done { .. }) => return Some(packet[1]),
            Ok(ToModule::Log { .. } | ToModule::FailDelay { .. }) => {}
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn an_answer_that_is_none_ends_the_conversation_and_spends_nothing() {
    let house = house();
    let phone = house.enroll("alice");
    let code = phone.now();
    let answer = [&[0x82, 0, 6, 0][..], code.as_bytes(), &[0]].concat();
    let long = [&[0x82, 0][..], &4097_u16.to_le_bytes(), &[b'1'; 4097], &[0]].concat();
    let mut all: Vec<Vec<u8>> = (0..answer.len()).map(|end| answer[..end].to_vec()).collect();
    all.extend([
        replaced(&answer, 0, &[0x86]),
        replaced(&answer, 0, &[0x03]),
        replaced(&answer, 1, &[2]),
        replaced(&answer, 2, &[7]),
        replaced(&answer, 2, &[5]),
        replaced(&answer, 5, &[0]),
        replaced(&answer, 10, b"0"),
        [&answer[..], &[0]].concat(),
        [&answer[..], &[0; limits::PACKET]].concat(),
        long,
        // Messages, but of other moments.
        vec![0x84, 1],
        vec![0x85, 1],
        hello(Hook::Auth, "alice"),
    ]);
    for packet in all {
        let module = at_the_prompt(&house);
        assert!(module.send(&packet));
        assert!(module.is_over(), "an answer to {packet:x?}");
    }
    let outcome = house.application().login("code", "alice").authenticate([&code]);
    assert_eq!(outcome.code, Pam::Success, "{outcome:?}");
}

#[test]
fn a_hello_of_another_version_is_answered_with_those_that_are_spoken() {
    let house = house();
    let whole = hello(Hook::Auth, "alice");
    for socket in [ROOT_SOCKET, USER_SOCKET] {
        for version in [0_u16, 2, u16::MAX] {
            let module = connect(&house, socket);
            assert!(module.send(&replaced(&whole, 1, &version.to_le_bytes())));
            assert!(module.is_welcome(), "version {version}");
            assert!(module.is_over());
        }
    }
}

#[test]
fn a_module_that_leaves_behind_its_answer_has_none_evaluated() {
    let house = house();
    let phone = house.enroll("alice");
    let code = std::ffi::CString::new(phone.now()).unwrap();
    let paused = at_the_prompt(&house);
    // It is answered once the daemon runs again: by then the module is gone.
    nix::sys::signal::kill(house.daemon_pid(), nix::sys::signal::Signal::SIGSTOP).unwrap();
    paused.answer(&ToDaemon::Answer { is_authtok: false, text: &code });
    drop(paused);
    nix::sys::signal::kill(house.daemon_pid(), nix::sys::signal::Signal::SIGCONT).unwrap();
    let outcome = house.application().login("code", "alice").authenticate([&phone.now()]);
    assert_eq!(outcome.code, Pam::Success, "{outcome:?}");
}

/// What sshd says of a certificate of so many bytes; they name no key.
fn certificate(bytes: usize) -> String {
    format!("publickey ssh-ed25519-cert-v01@openssh.com {}", "A".repeat(bytes.div_ceil(3) * 4))
}

#[test]
fn a_certificate_of_16_kib_keeps_no_user_out() {
    let house = house();
    let phone = house.enroll("alice");
    let mut application = house.application();
    let mut login = application.login("code", "alice");
    login.variable("SSH_AUTH_INFO_0", &certificate(16 * 1024));
    assert_eq!(login.authenticate([&phone.now()]).code, Pam::Success);
}

#[test]
fn ssh_information_that_is_too_long_to_be_sent_lets_a_user_in_with_a_code_and_with_nothing_else() {
    const REMEMBER: &str = "Remember this device for 30 days? Its key alone logs in then. [y/N]: ";
    // Of 32 bytes that are zero.
    let key = format!("publickey ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI{}", "A".repeat(43));
    let house = house_with("[remember]\ndays = 30\nservices = [\"code\"]\n");
    let phone = house.enroll("alice");
    let mut application = house.application();
    let mut login = application.login("code", "alice");
    login.variable("SSH_AUTH_INFO_0", &key);
    assert_eq!(login.authenticate([&phone.now()]).code, Pam::Success);
    assert_eq!(login.call("acct 0", ["y"]).prompts(), [REMEMBER]);
    drop(login);
    let mut log_in = |information: &str, answers: &[&str]| -> Outcome {
        let mut login = application.login("code", "alice");
        login.variable("SSH_AUTH_INFO_0", information);
        login.authenticate(answers.iter().copied())
    };
    assert_eq!(log_in(&key, &[]).prompts(), [] as [&str; 0], "it is remembered");
    let too_long = format!("{key}\n{}", certificate(limits::SSH_AUTH_INFO));
    let outcome = log_in(&too_long, &[&phone.in_steps(1)]);
    assert_eq!((outcome.code, outcome.prompts()), (Pam::Success, vec![CODE]));
}

#[test]
fn callers_that_connect_and_say_nothing_hold_up_no_login() {
    let house = house();
    let phone = house.enroll("alice");
    let _silent: Vec<Module> = (0..300).map(|_| connect(&house, ROOT_SOCKET)).collect();
    let _silent_too: Vec<Module> = (0..300).map(|_| connect(&house, USER_SOCKET)).collect();
    // By the daemon itself.
    let _served = at_the_prompt(&house);
    let outcome = house.application().login("code", "alice").authenticate([&phone.now()]);
    assert_eq!(outcome.code, Pam::Success, "{outcome:?}");
    assert_eq!(own(&house, "carol", "carol", &[]).prompts(), [CODE]);
}

#[test]
fn one_address_uses_up_its_own_share_alone_and_its_logins_go_to_the_helper() {
    let house = house();
    let phone = house.enroll("alice");
    let from_one = hello(Hook::Auth, "mallory");
    let at = from_one.windows(9).position(|part| part == b"192.0.2.1").unwrap();
    let from_another = replaced(&from_one, at, b"192.0.2.2");
    let say = |packet: &[u8]| {
        let module = connect(&house, ROOT_SOCKET);
        assert!(module.send(packet));
        let heard = module.receive().expect("an answer");
        (module, heard)
    };
    let busy = |heard: &[u8]| ToModule::decode(heard) == Ok(ToModule::Busy);
    let held: Vec<_> = (0..SHARE).map(|_| say(&from_one)).collect();
    assert!(!held.iter().any(|(_, heard)| busy(heard)));
    let (over, heard) = say(&from_one);
    assert!(busy(&heard) && over.is_over());
    let (_other, heard) = say(&from_another);
    assert!(!busy(&heard));
    let outcome = house.application().login("code", "alice").authenticate([&phone.now()]);
    assert_eq!(outcome.code, Pam::Success, "{outcome:?}");
    drop(held);
    eventually("the share is free again", || (!busy(&say(&from_one).1)).then_some(()));
}

/// Opens many connections with a uid of its own, greets the daemon on each with what it is given in hexadecimal digits, says how
/// many were welcome and how many not, and holds them until its standard input ends.
const GREEDY: &str = r#"
    use Socket;
    $SIG{PIPE} = "IGNORE";
    $| = 1;
    my ($path, $hello, $count) = @ARGV;
    my (@all, %said);
    for (1 .. $count) {
        socket(my $s, AF_UNIX, SOCK_SEQPACKET, 0) or die $!;
        connect($s, pack_sockaddr_un($path)) or die $!;
        defined recv($s, my $first, 65536, 0) or die $!;
        $said{ord $first}++;
        send($s, pack("H*", $hello), 0);
        push @all, $s;
    }
    printf "%d welcome, %d busy\n", $said{1} // 0, $said{2} // 0;
    <STDIN>;
"#;

/// Has bob hold connections; the line says how that went.
fn greedy(house: &House, count: usize) -> (Child, String) {
    let hello: String = hello(Hook::Auth, "bob").iter().map(|byte| format!("{byte:02x}")).collect();
    let mut command = house.command_as("bob", "perl");
    command.args(["-e", GREEDY, USER_SOCKET, &hello, &count.to_string()]).stdin(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    (child, line)
}

/// A login in a program that runs with the user's own uid.
fn own(house: &House, caller: &str, user: &str, answers: &[&str]) -> Outcome {
    let mut application = house.application_as(caller);
    application.login("code", user).authenticate(answers.iter().copied())
}

#[test]
fn a_user_who_opens_200_connections_uses_up_the_own_share_alone() {
    let house = house();
    let phones = ["alice", "bob", "carol"].map(|name| house.enroll(name));
    let [alice, bob, carol] = phones.map(|phone| phone.now());
    let (mut child, line) = greedy(&house, 200);
    assert_eq!(line, format!("{SHARE} welcome, {} busy\n", 200 - SHARE));
    let outcome = house.application().login("code", "alice").authenticate([&alice]);
    assert_eq!(outcome.code, Pam::Success, "root's program: {outcome:?}");
    let outcome = own(&house, "carol", "carol", &[&carol]);
    assert_eq!(outcome.code, Pam::Success, "another user's: {outcome:?}");
    let outcome = own(&house, "bob", "bob", &[&bob]);
    assert_eq!((outcome.code, outcome.heard.len()), (Pam::SystemErr, 0), "{outcome:?}");
    drop(child.stdin.take());
    child.wait().unwrap();
    eventually("bob's share is free again", || {
        (!own(&house, "bob", "bob", &[]).prompts().is_empty()).then_some(())
    });
    let outcome = own(&house, "bob", "bob", &[&bob]);
    assert_eq!(outcome.code, Pam::Success, "the own code was not spent: {outcome:?}");
}

#[test]
fn a_users_own_program_is_asked_and_granted_like_any_other() {
    let house = house();
    let phone = house.enroll("alice");
    let code = phone.now();
    let wrong = [phone.wrong(0), phone.wrong(1)];
    let outcome = own(&house, "alice", "alice", &[&wrong[0], &wrong[1]]);
    assert_eq!((outcome.code, outcome.prompts()), (Pam::AuthErr, vec![CODE, NEXT]));
    let outcome = own(&house, "alice", "alice", &[&code]);
    assert_eq!((outcome.code, outcome.prompts()), (Pam::Success, vec![CODE]));
    let again = house.application().login("code", "alice").authenticate([&code]);
    assert_eq!(again.code, Pam::ConvErr, "one code, one login: {again:?}");
}

#[test]
fn a_users_own_program_learns_nothing_of_another_account_and_is_never_granted_it() {
    let house = house();
    let phone = house.enroll("alice");
    let code = phone.now();
    let wrong = phone.wrong(0);
    let strange = own(&house, "bob", "alice", &[&code, &wrong]);
    assert_eq!((strange.code, strange.prompts()), (Pam::AuthErr, vec![CODE, NEXT]));
    assert_eq!(strange.messages(), [LAST]);
    for user in ["alice", "carol", "mallory", "root", ""] {
        assert_eq!(own(&house, "bob", user, &[&wrong, &wrong]), strange, "{user:?}");
    }
    let outcome = house.application().login("code", "alice").authenticate([&code]);
    assert_eq!(outcome.code, Pam::Success, "not spent by the stranger: {outcome:?}");
}

#[test]
fn totpd_itself_writes_the_failure_of_a_users_own_program_to_the_log() {
    let house = house();
    let (phone, uid) = (house.enroll("alice"), house.person("alice").uid);
    let wrong = phone.wrong(0);
    let _ = own(&house, "alice", "alice", &[&wrong, &wrong]);
    let line = house.syslog().expect("authentication failure");
    let expected = format!(
        "pam_totp(code:auth): authentication failure; logname= uid={uid} euid={uid} tty=ssh ruser= rhost=  user=alice"
    );
    assert!(line.starts_with("totpd[") && line.ends_with(&expected), "{line}");
    let of_the_program = |line: &String| line.starts_with("pam-application");
    assert!(!house.syslog().lines().iter().any(of_the_program));
}

#[test]
fn a_users_own_program_forges_no_line_of_the_log() {
    let house = house();
    let forged = "x rhost=198.51.100.9\nsshd[1]: pam_totp(sshd:auth): accepted user=root";
    let mut application = house.application_as("bob");
    let mut login = application.login("code", forged);
    login.item("ruser", forged).item("tty", forged);
    assert_eq!(login.authenticate(["123456", "234567"]).code, Pam::AuthErr);
    drop(login);
    let _ = house.syslog().expect("authentication failure");
    for line in house.syslog().lines() {
        assert!(line.starts_with("totpd["), "{line}");
        assert!(!line.contains(" rhost=198") && !line.contains("accepted user"), "{line}");
    }
}

/// Whether the program of this user, or root's, is challenged in a stack that grants where it is not.
fn is_challenged(house: &House, caller: Option<&str>, arguments: &str) -> bool {
    house.stack(
        "loose",
        &format!("auth required pam_totp.so nodelay {arguments}\nauth required pam_permit.so\n"),
    );
    let mut application =
        caller.map_or_else(|| house.application(), |caller| house.application_as(caller));
    let outcome = application.login("loose", "carol").authenticate(["123456", "234567"]);
    let challenged = outcome.prompts() == [CODE, NEXT];
    assert_eq!(outcome.code, if challenged { Pam::AuthErr } else { Pam::Success }, "{outcome:?}");
    challenged
}

#[test]
fn a_users_own_program_names_no_configuration() {
    let house = house();
    fs::write(house.path("/etc/pam-totp/loose.toml"), "[policy]\nexempt = [\"carol\"]\n").unwrap();
    let arguments = "config=/etc/pam-totp/loose.toml";
    assert!(!is_challenged(&house, None, arguments));
    assert!(is_challenged(&house, Some("carol"), arguments));
}

#[test]
fn nullok_of_a_users_own_program_holds_for_the_own_account_alone() {
    let house = house();
    assert!(!is_challenged(&house, None, "nullok"));
    assert!(!is_challenged(&house, Some("carol"), "nullok"));
    assert!(is_challenged(&house, Some("bob"), "nullok"));
}

#[test]
fn with_nullok_as_many_files_are_opened_for_another_account_whether_it_is_enrolled_or_not() {
    let mut house = house();
    let _phone = house.enroll("alice");
    house.stack("loose", "auth required pam_totp.so nodelay nullok\n");
    let trace = house.disk().join("trace");
    let options = ["strace", "-D", "-f", "-e", "trace=openat2", "-o"];
    house.start_daemon_by(&[], &[&options[..], &[trace.to_str().unwrap()]].concat());
    let mut application = house.application_as("bob");
    // Up to the last file that is looked for before the prompt.
    let mut opened = |user: &str| -> usize {
        let before = fs::read_to_string(&trace).unwrap().len();
        let outcome = application.login("loose", user).authenticate([""; 0]);
        assert_eq!(outcome.prompts(), [CODE]);
        eventually("the index by uid is looked into", || {
            let text = fs::read_to_string(&trace).unwrap();
            let at = text[before..].find("\".complete\"")?;
            Some(text[before..before + at].lines().count())
        })
    };
    assert_eq!(opened("alice"), opened("carol"));
}

#[test]
fn a_users_own_program_comes_from_nowhere_whatever_it_says() {
    let house = house_with("[policy]\nexempt_networks = [\"192.0.2.0/24\"]\n");
    assert!(!is_challenged(&house, None, ""));
    assert!(is_challenged(&house, Some("carol"), ""));
}

/// How many prompts a login of alice's with this key has. One that is granted has the key remembered.
pub(crate) fn prompts_with_key(
    mut application: pam_totp_tests::Application,
    key: &str,
    answers: &[&str],
) -> usize {
    let mut login = application.login("code", "alice");
    login.variable("SSH_AUTH_INFO_0", key);
    let outcome = login.authenticate(answers.iter().copied());
    if outcome.code == Pam::Success {
        login.call("acct 0", ["y"]);
    }
    outcome.prompts().len()
}

#[test]
fn a_users_own_program_brings_no_key_that_is_remembered() {
    let key = format!("publickey ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI{}", "A".repeat(43));
    let house = house_with("[remember]\ndays = 30\nservices = [\"code\"]\n");
    let phone = house.enroll("alice");
    let prompts = |application, answers: &[&str]| prompts_with_key(application, &key, answers);
    assert_eq!(prompts(house.application(), &[&phone.now()]), 1);
    assert_eq!(prompts(house.application(), &[]), 0, "it is remembered");
    assert_eq!(prompts(house.application_as("alice"), &[]), 1);
}

/// The enrollment that is open for carol was neither made nor used up.
fn still_enrolls(house: &House, answers: &[&str]) {
    let mut application = house.application();
    let mut login = application.login("code", "carol");
    let _ = login.authenticate(answers.iter().copied());
    let outcome = login.call("acct 0", [] as [Answer; 0]);
    let begins = |prompt: &&str| prompt.starts_with(crate::account_phase::BEGIN);
    let said = [outcome.prompts(), outcome.messages()].concat();
    assert!(said.iter().any(begins), "{outcome:?}");
}

#[test]
fn a_users_own_program_enrolls_no_user_whom_the_first_factor_would() {
    let house = house();
    opened_on_trust(&house, "carol");
    let outcome = own(&house, "carol", "carol", &["123456", "234567"]);
    assert_eq!((outcome.code, outcome.prompts()), (Pam::AuthErr, vec![CODE, NEXT]));
    still_enrolls(&house, &[]);
}

#[test]
fn a_users_own_program_does_not_take_an_enrollment_code() {
    let house = house();
    let code = opened(&house, "carol");
    let outcome = own(&house, "carol", "carol", &[&code, &code]);
    assert_eq!((outcome.code, outcome.prompts()), (Pam::AuthErr, vec![CODE, NEXT]));
    still_enrolls(&house, &[&code]);
}

/// Sends one packet with a uid of its own, and prints the answer in hexadecimal digits.
const ONE: &str = r#"
    use Socket;
    socket(my $s, AF_UNIX, SOCK_SEQPACKET, 0) or die $!;
    connect($s, pack_sockaddr_un($ARGV[0])) or die $!;
    recv($s, my $first, 65536, 0);
    send($s, pack("H*", $ARGV[1]), 0);
    recv($s, my $answer, 65536, 0);
    print unpack("H*", $answer), "\n";
"#;

#[test]
fn a_mark_of_a_users_own_making_is_not_believed() {
    let house = house();
    let uid = house.person("bob").uid;
    let uptime = fs::read_to_string("/proc/uptime").unwrap();
    let awake = uptime.split('.').next().unwrap();
    let outcome = r#"{"may-enroll":3}"#;
    let mark = format!(
        r#"{{"form":1,"user":"bob","uid":{uid},"made":1,"awake":{awake},"outcome":{outcome}}}"#
    );
    let length = u16::try_from(mark.len()).unwrap().to_le_bytes();
    let without = hello(Hook::Account, "bob");
    let packet = [&without[..without.len() - 1], &[1], &length, mark.as_bytes()].concat();
    let root = connect(&house, ROOT_SOCKET);
    assert!(root.send(&packet));
    let asked = root.receive().expect("an answer");
    assert_ne!(asked[0], 0x08, "a program of root's is believed: {asked:x?}");
    let hex: String = packet.iter().map(|byte| format!("{byte:02x}")).collect();
    let output =
        house.command_as("bob", "perl").args(["-e", ONE, USER_SOCKET, &hex]).output().unwrap();
    // Done: to be passed over, and no mark.
    assert_eq!(String::from_utf8_lossy(&output.stdout), "0801000000\n");
}

#[test]
fn a_line_of_the_log_that_has_no_room_in_a_message_is_cut() {
    let house = house();
    let word = std::ffi::CString::new(vec![0xff; 4000]).unwrap();
    let hello = Outgoing {
        version: limits::HIGHEST_VERSION,
        hook: Hook::Auth,
        flags: 0,
        real_uid: 0,
        login_uid: None,
        audit_session: None,
        stdout_is_terminal: false,
        stderr_is_terminal: false,
        user: Some(c"alice"),
        service: Some(c"code"),
        rhost: None,
        tty: None,
        ruser: None,
        arguments: [c"nodelay", &word],
        ssh_auth_info: None,
        authtok: None,
        mark: None,
    };
    let mut packet = vec![0; limits::PACKET];
    let length = hello.encode(&mut packet).unwrap();
    let module = connect(&house, ROOT_SOCKET);
    assert!(module.send(&packet[..length]));
    let line = module.receive().expect("why the login is denied");
    assert!(matches!(ToModule::decode(&line), Ok(ToModule::Log { .. })));
    assert_eq!(done(&module), Some(5), "PAM_SERVICE_ERR");
}
