//! What the module makes of a socket that is not the daemon's, and of a daemon that does not keep to the protocol: it grants
//! nothing, its program goes on, and root's programs are served by `totpd --once`.

use std::fs;
use std::io::{BufRead, BufReader, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

use pam_totp_tests::{
    Answer, Application, Decider, Heard, House, Impostor, Login, Module, Pam, Phone, Plan, Visitor,
    packet,
};
use totp_wire::hello::First;
use totp_wire::{Field, Hook, Later, Priority, ReturnCode, ToModule, limits};

use crate::CODE;

const SOCKET: &str = "/run/pam-totp/impostor.sock";

const SUCCESS: ToModule<'_> = ToModule::Done {
    code: ReturnCode::Success,
    later: Later { account: false, setcred: false },
    mark: b"",
};

/// No login takes longer than this, whatever the daemon does.
const DEADLINE: Duration = Duration::from_secs(35);

/// A house without a daemon, whose module looks for it at another socket.
fn house_at(socket: &str) -> (House, Phone) {
    let plan = Plan {
        arguments: format!("nodelay socket={socket}"),
        decided_by: Decider::Once,
        ..Plan::default()
    };
    let house = House::from_plan(&plan);
    let phone = house.enroll("alice");
    (house, phone)
}

/// The same with an impostor at the socket.
fn house() -> (House, Impostor, Phone) {
    let (house, phone) = house_at(SOCKET);
    let impostor = Impostor::listen(&house.path(SOCKET), 16);
    (house, impostor, phone)
}

fn begin(application: &mut Application) -> Login<'_> {
    let mut login = application.login("code", "alice");
    login.begin("auth 0");
    login
}

/// The login goes on with a prompt of the helper's, and without an answer it is refused.
fn is_asked_by_the_helper(login: &mut Login<'_>) {
    let outcome = login.rest([] as [Answer; 0]);
    assert_eq!((outcome.code, outcome.prompts()), (Pam::ConvErr, vec![CODE]), "{outcome:?}");
}

/// The login ends without a prompt.
fn is_denied(login: &mut Login<'_>) {
    let outcome = login.rest([] as [Answer; 0]);
    assert_eq!((outcome.code, outcome.heard.len()), (Pam::SystemErr, 0), "{outcome:?}");
}

/// What stands where a daemon's message should.
fn malformed() -> Vec<Vec<u8>> {
    let ask = packet(&ToModule::Ask { echo: false, text: c"Code: " });
    let success = packet(&SUCCESS);
    let with = |packet: &[u8], at: usize, byte: u8| {
        let mut packet = packet.to_vec();
        packet[at] = byte;
        packet
    };
    let long_text = [&[0x03, 0][..], &8193_u16.to_le_bytes(), &[b'x'; 8193], &[0]].concat();
    let long_mark = [&[0x08, 0, 1][..], &20_481_u16.to_le_bytes(), &[b'x'; 20_481]].concat();
    vec![
        Vec::new(),
        vec![0x42],
        vec![0x83],
        ask[..ask.len() - 1].to_vec(),
        [&ask[..], &[0]].concat(),
        with(&ask, 1, 2),
        with(&ask, 5, 0),
        long_text,
        vec![0x05, 2, 0, 0, 0],
        success[..success.len() - 1].to_vec(),
        [&success[..], &[0]].concat(),
        with(&success, 1, 7),
        with(&success, 2, 4),
        long_mark,
        [&success[..], &[0; 70_000]].concat(),
    ]
}

/// Listens as another user would, takes what comes, and grants whatever it is.
const SQUATTER: &str = r#"
    use Socket;
    $SIG{PIPE} = "IGNORE";
    $| = 1;
    socket(my $s, AF_UNIX, SOCK_SEQPACKET, 0) or die $!;
    bind($s, pack_sockaddr_un($ARGV[0])) or die $!;
    chmod 0666, $ARGV[0];
    listen($s, 8) or die $!;
    print "listens\n";
    for (1 .. 2) {
        accept(my $c, $s) or die $!;
        send($c, "\x01\x01\x00\x01\x00", 0);
        my $hello = "";
        recv($c, $hello, 65536, 0);
        print length($hello // ""), " bytes heard\n";
        send($c, "\x08\x00\x00\x00\x00", 0);
    }
"#;

#[test]
fn a_socket_of_another_user_is_told_nothing_and_believed_nothing() {
    const OPEN: &str = "/run/open";
    let place = format!("{OPEN}/totpd.sock");
    let (house, phone) = house_at(&place);
    fs::create_dir(house.path(OPEN)).unwrap();
    fs::set_permissions(house.path(OPEN), fs::Permissions::from_mode(0o1777)).unwrap();
    let mut squatter =
        house.command_as("bob", "perl").args(["-e", SQUATTER, &place]).spawn().unwrap();
    let mut said = BufReader::new(squatter.stdout.take().unwrap());
    let mut line = String::new();
    said.read_line(&mut line).unwrap();
    assert_eq!(line, "listens\n");
    let outcome = house.application_as("alice").login("code", "alice").authenticate([&phone.now()]);
    assert_eq!((outcome.code, outcome.heard.len()), (Pam::SystemErr, 0), "{outcome:?}");
    let outcome = house.application().login("code", "alice").authenticate([&phone.now()]);
    assert_eq!((outcome.code, outcome.prompts()), (Pam::Success, vec![CODE]));
    let mut rest = String::new();
    said.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "0 bytes heard\n0 bytes heard\n");
    squatter.wait().unwrap();
}

#[test]
fn where_the_backlog_is_full_root_is_served_by_the_helper_and_others_are_denied() {
    let (house, phone) = house_at(SOCKET);
    let _never_accepts = Impostor::listen(&house.path(SOCKET), 0);
    let _waits = Module::connect(&house.path(SOCKET)).expect("room for one");
    let begun = Instant::now();
    let (mut roots, mut users) = (house.application(), house.application_as("alice"));
    let mut of_a_user = begin(&mut users);
    let outcome = roots.login("code", "alice").authenticate([&phone.now()]);
    assert_eq!(outcome.code, Pam::Success, "{outcome:?}");
    is_denied(&mut of_a_user);
    assert!(begun.elapsed() < DEADLINE);
}

#[test]
fn a_daemon_that_does_not_say_that_it_is_there_is_given_up() {
    let (house, impostor, _phone) = house();
    let (mut roots, mut users) = (house.application(), house.application_as("alice"));
    let (mut of_root, mut of_a_user) = (begin(&mut roots), begin(&mut users));
    let _silent = [impostor.accept(), impostor.accept()];
    is_asked_by_the_helper(&mut of_root);
    is_denied(&mut of_a_user);
}

#[test]
fn whatever_a_daemon_says_before_it_is_there_counts_for_nothing() {
    let (house, impostor, _phone) = house();
    let (mut roots, mut users) = (house.application(), house.application_as("alice"));
    let ask = packet(&ToModule::Ask { echo: false, text: c"Password: " });
    let here = packet(&ToModule::FIRST);
    let mut all = malformed();
    all.extend([packet(&SUCCESS), ask, packet(&ToModule::Busy)]);
    all.extend([here[..3].to_vec(), [&here[..], &[0]].concat()]);
    for message in all {
        for (application, is_root) in [(&mut roots, true), (&mut users, false)] {
            let mut login = begin(application);
            let visitor = impostor.accept();
            visitor.send(&message);
            if is_root {
                is_asked_by_the_helper(&mut login);
            } else {
                is_denied(&mut login);
            }
            assert_eq!(visitor.hear(), None, "an answer to {message:x?}");
        }
    }
}

#[test]
fn a_daemon_of_other_versions_alone_is_no_daemon() {
    let (house, impostor, _phone) = house();
    let (mut roots, mut users) = (house.application(), house.application_as("alice"));
    for (lowest, highest) in [(2, 3), (0, 0), (3, 1), (u16::MAX, u16::MAX)] {
        for (application, is_root) in [(&mut roots, true), (&mut users, false)] {
            let mut login = begin(application);
            let visitor = impostor.accept();
            visitor.say(&ToModule::Here { lowest, highest });
            if is_root {
                is_asked_by_the_helper(&mut login);
            } else {
                is_denied(&mut login);
            }
            assert_eq!(visitor.hear(), None, "{lowest} to {highest}");
        }
    }
}

#[test]
fn of_several_versions_the_highest_common_one_is_spoken() {
    let (house, impostor, _phone) = house();
    let mut application = house.application();
    let mut login = begin(&mut application);
    let visitor = impostor.accept();
    visitor.say(&ToModule::Here { lowest: 0, highest: 7 });
    let hello = visitor.hear().expect("a hello");
    assert!(matches!(First::decode(&hello), Ok(First::Hello(hello)) if hello.hook == Hook::Auth));
    // The daemon's answer to a version that it does not speak after all.
    visitor.say(&ToModule::FIRST);
    is_asked_by_the_helper(&mut login);
}

#[test]
fn a_daemon_that_breaks_off_before_an_answer_is_tried_once_more() {
    let (house, impostor, _phone) = house();
    let (mut roots, mut users) = (house.application(), house.application_as("alice"));
    for (application, is_root) in [(&mut roots, true), (&mut users, false)] {
        let mut login = begin(application);
        for _ in 0..2 {
            drop(impostor.accept().welcome());
        }
        if is_root {
            is_asked_by_the_helper(&mut login);
        } else {
            is_denied(&mut login);
        }
        assert!(!impostor.is_visited(0), "a third time");
    }
}

#[test]
fn a_message_that_is_none_ends_the_conversation_and_grants_nothing() {
    let (house, impostor, _phone) = house();
    let mut application = house.application();
    for message in malformed() {
        let mut login = begin(&mut application);
        for _ in 0..2 {
            let visitor = impostor.accept();
            let _hello = visitor.welcome();
            visitor.send(&message);
            assert_eq!(visitor.hear(), None, "an answer to {message:x?}");
        }
        is_asked_by_the_helper(&mut login);
    }
}

/// Begins a login, has an answer sent to an impostor, and gives its connection.
fn answered<'a>(
    application: &'a mut Application,
    impostor: &Impostor,
    answer: &str,
) -> (Login<'a>, Visitor) {
    let mut login = begin(application);
    let visitor = impostor.accept();
    let _hello = visitor.welcome();
    visitor.say(&ToModule::Ask { echo: false, text: c"Code: " });
    assert_eq!(login.hear(), Heard::Ask { echo: false, text: "Code: ".to_owned() });
    login.answer(answer);
    let heard = visitor.hear().expect("an answer");
    assert!(heard.windows(answer.len()).any(|part| part == answer.as_bytes()));
    (login, visitor)
}

#[test]
fn after_an_answer_nothing_but_a_decision_is_taken_and_nothing_is_begun_again() {
    let (house, impostor, _phone) = house();
    let mut application = house.application();
    let mut all = malformed();
    all.extend([packet(&ToModule::Busy), packet(&ToModule::FIRST)]);
    for message in all {
        let (mut login, visitor) = answered(&mut application, &impostor, "123456");
        visitor.send(&message);
        is_denied(&mut login);
        assert_eq!(visitor.hear(), None);
        assert!(!impostor.is_visited(0), "begun again after {message:x?}");
    }
    let (mut login, visitor) = answered(&mut application, &impostor, "123456");
    drop(visitor);
    is_denied(&mut login);
    let _ = house.syslog().expect("the conversation with totpd ended early; login denied");
}

#[test]
fn an_answer_that_could_not_be_sent_is_the_first_one_that_the_helper_gets() {
    let (house, impostor, phone) = house();
    let mut application = house.application();
    let mut login = begin(&mut application);
    let visitor = impostor.accept();
    let _hello = visitor.welcome();
    visitor.say(&ToModule::Ask { echo: false, text: c"Code: " });
    assert!(login.hear().prompt().is_some());
    drop((visitor, impostor));
    login.answer(&phone.now());
    let outcome = login.rest([] as [Answer; 0]);
    assert_eq!((outcome.code, outcome.prompts()), (Pam::Success, vec![]), "{outcome:?}");
}

#[test]
fn a_flood_of_prompts_is_answered_one_by_one() {
    const FLOOD: usize = 500;
    let (house, impostor, _phone) = house();
    let mut application = house.application();
    let mut login = begin(&mut application);
    let visitor = impostor.accept();
    let _hello = visitor.welcome();
    let sender = std::thread::spawn(move || {
        for _ in 0..FLOOD {
            assert!(visitor.say(&ToModule::Ask { echo: true, text: c"More: " }));
            assert_eq!(visitor.hear(), Some(vec![0x83]), "no reply");
        }
        let refused =
            ToModule::Done { code: ReturnCode::AuthErr, later: Later::default(), mark: b"" };
        assert!(visitor.say(&refused));
    });
    let outcome = login.rest([] as [Answer; 0]);
    sender.join().unwrap();
    assert_eq!((outcome.code, outcome.prompts().len()), (Pam::AuthErr, FLOOD));
}

#[test]
fn a_line_of_the_log_is_no_format() {
    let (house, impostor, _phone) = house();
    let mut application = house.application();
    let mut login = begin(&mut application);
    let visitor = impostor.accept();
    let _hello = visitor.welcome();
    visitor.say(&ToModule::Log { priority: Priority::Notice, text: c"100%s%n%999999d of it" });
    visitor.say(&SUCCESS);
    assert_eq!(login.rest([] as [Answer; 0]).code, Pam::Success);
    let _ = house.syslog().expect("pam_totp(code:auth): 100%s%n%999999d of it");
}

#[test]
fn the_largest_mark_is_kept_and_brought_back_as_it_is() {
    let (house, impostor, _phone) = house();
    let mark: Vec<u8> = (0..limits::MARK).map(|n| u8::try_from(n % 251).unwrap()).collect();
    let mut application = house.application();
    let mut login = begin(&mut application);
    let visitor = impostor.accept();
    let _hello = visitor.welcome();
    let later = Later { account: true, setcred: false };
    visitor.say(&ToModule::Done { code: ReturnCode::Success, later, mark: &mark });
    assert_eq!(login.rest([] as [Answer; 0]).code, Pam::Success);
    login.begin("acct 0");
    let visitor = impostor.accept();
    let hello = visitor.welcome();
    let Ok(First::Hello(hello)) = First::decode(&hello) else { panic!("{hello:x?}") };
    assert!(hello.hook == Hook::Account && hello.mark == Field::Present(&mark[..]));
    visitor.say(&SUCCESS);
    assert_eq!(login.rest([] as [Answer; 0]).code, Pam::Success);
}
