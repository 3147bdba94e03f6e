//! That people are told by mail: through a real mail server and its `sendmail`, whatever fails meanwhile.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::{FileExt as _, MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::time::Duration;

use nix::fcntl::{Flock, FlockArg};
use nix::sys::signal::Signal;
use pam_totp_tests::{Agent, House, MailServer, Pam, Phone, SOON, eventually, program};
use serde_json::Value;

const OUTBOX: &str = "/var/lib/pam-totp/outbox";

const TO: &str = "[mail]\nfrom = \"pam-totp@web1.example\"\ndefault_to = \"{user}@example.com\"\n\
                  questions = \"security@example.com\"\ntimeout = 5\n";

/// `[mail]` with more in it.
fn mail(more: &str) -> String {
    format!("{TO}{more}\n")
}

fn of(house: &House, event: &str) -> Vec<Value> {
    house.records().into_iter().filter(|record| record["event"] == event).collect()
}

/// What waits, by the numbers of the records.
fn waiting(house: &House) -> Vec<String> {
    let names = fs::read_dir(house.path(OUTBOX)).unwrap().flatten();
    let names = names.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let mut names: Vec<String> = names.filter(|name| !name.starts_with('.')).collect();
    names.sort();
    names
}

fn nothing_waits(house: &House) {
    eventually("the outbox is empty", || waiting(house).is_empty().then_some(()));
}

/// A file of the outbox under its lock, as whoever delivers takes it; what a delivery in between replaced is not it.
fn locked(path: &Path) -> Option<Flock<File>> {
    loop {
        let file = OpenOptions::new().read(true).write(true).open(path).ok()?;
        let file = Flock::lock(file, FlockArg::LockExclusive).unwrap();
        let is_it = |found: fs::Metadata| found.ino() == file.metadata().unwrap().ino();
        if fs::metadata(path).is_ok_and(is_it) {
            return Some(file);
        }
    }
}

/// As if the pause after a failed try were over.
fn pauses_are_over(house: &House) {
    for name in waiting(house) {
        let path = house.path(OUTBOX).join(name);
        let Some(file) = locked(&path) else { continue };
        let text = fs::read_to_string(&path).unwrap();
        let past = |line: &str| match line.starts_with("next ") {
            true => "next 2020-01-01T00:00:00Z\n".to_owned(),
            false => format!("{line}\n"),
        };
        // A time is as long as another: the rest of the file stays where it is.
        file.write_all_at(text.lines().map(past).collect::<String>().as_bytes(), 0).unwrap();
    }
}

fn disable(house: &House, user: &str) -> String {
    let output =
        house.attempt("totp-admin", &["disable", user, "--reason", "phone stolen", "--yes"]);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn the_command_tells_the_user_at_once_through_sendmail_and_it_is_on_record() {
    let house = House::with_config(&mail("copy_to = [\"security@example.com\"]"));
    let server = MailServer::start(&house);
    let said = disable(&house, "bob");
    assert!(said.contains("bob@example.com told."), "{said}");
    let message = server.expect("bob@example.com");
    for part in [
        "\nFrom: pam-totp <pam-totp@web1.example>\n",
        "\nTo: bob@example.com\n",
        "\nSubject: Second factor of bob switched off at ",
        "\nAuto-Submitted: auto-generated\n",
        "phone stolen",
        "Questions: security@example.com",
    ] {
        assert!(message.contains(part), "no {part:?} in\n{message}");
    }
    assert!(server.expect("security@example.com").contains("\nTo: security@example.com\n"));
    let delivered = of(&house, "delivered");
    assert_eq!(delivered.len(), 1);
    assert_eq!(delivered[0]["of"], of(&house, "disabled")[0]["seq"]);
    assert_eq!(delivered[0]["reason"], "to bob@example.com, security@example.com");
    assert!(waiting(&house).is_empty());
    // At the next login in any case.
    let notice = fs::read_to_string(house.path("/var/lib/pam-totp/notices/bob")).unwrap();
    assert!(notice.contains(" disabled "), "{notice}");
    house.run("totp-admin", &["log", "--verify"]);
}

#[test]
fn json_says_who_was_told_and_who_was_not() {
    let house = House::with_config(&mail("sendmail = \"/nonexistent/sendmail\""));
    let document = house.admin_json(&["disable", "bob", "--json"]);
    let told = document["told"].as_array().unwrap();
    assert_eq!(told.len(), 1);
    assert_eq!((&told[0]["to"], &told[0]["delivered"]), (&"bob@example.com".into(), &false.into()));
    assert!(told[0]["error"].as_str().unwrap().contains("/nonexistent/sendmail can't be started"));
    let _server = MailServer::start(&house);
    house.configure(&mail(""));
    let document = house.admin_json(&["disable", "carol", "--json"]);
    assert_eq!(document["told"][0]["delivered"], true);
    house.configure("");
    let told = house.admin_json(&["disable", "alice", "--json"])["told"].clone();
    assert_eq!((&told[0]["to"], &told[0]["error"]), (&Value::Null, &"no address".into()));
}

#[test]
fn a_sendmail_that_fails_hangs_or_is_missing_keeps_nothing_from_being_done_or_told_later() {
    let house = House::build();
    let cases = [
        (
            "alice",
            program(&house, "echo 'queue file write error' >&2; exit 75"),
            "exit status 75: queue file write error",
        ),
        ("bob", program(&house, "sleep 1000"), "did not end within 1 s, and was killed"),
        ("carol", "/nonexistent/sendmail".to_owned(), "can't be started: No such file"),
    ];
    for (user, sendmail, error) in &cases {
        let config = TO.replace("timeout = 5", "timeout = 1");
        house.configure(&format!("{config}sendmail = {sendmail:?}\n"));
        let said = disable(&house, user);
        assert!(said.contains(error), "{said}");
        assert!(said.contains("queued as") && said.contains("totp-admin outbox flush"), "{said}");
        assert_eq!(house.admin_json(&["show", user, "--json"])["status"], "disabled");
    }
    let list = house.admin_json(&["outbox", "list", "--json"]);
    assert_eq!(list.as_array().unwrap().len(), 3);
    for ((user, _, error), row) in cases.iter().zip(list.as_array().unwrap()) {
        assert_eq!((&row["user"], &row["tries"]), (&(*user).into(), &1.into()));
        assert!(row["error"].as_str().unwrap().contains(error), "{row}");
    }
    assert_eq!(of(&house, "undelivered").len(), 3);
    assert!(!house.attempt("totp-admin", &["outbox", "flush"]).status.success());
    assert_eq!(of(&house, "undelivered").len(), 3, "once each");

    let server = MailServer::start(&house);
    house.configure(TO);
    let flushed = house.admin_json(&["outbox", "flush", "--json"]);
    assert_eq!(
        (flushed["delivered"].as_array().unwrap().len(), flushed["left"].as_array().unwrap().len()),
        (3, 0)
    );
    for user in ["alice", "bob", "carol"] {
        assert!(server.expect(&format!("{user}@example.com")).contains(user));
    }
    assert_eq!((of(&house, "delivered").len(), waiting(&house).len()), (3, 0));
}

#[test]
fn a_mail_server_that_was_down_gets_each_message_once_when_it_is_back() {
    let house = House::build();
    let mut server = MailServer::prepare(&house);
    house.configure(&mail(&format!("transport = \"{}\"", server.transport())));
    let said = disable(&house, "bob");
    assert!(said.contains("refused, queued as 1: totp-admin outbox flush"), "{said}");
    let agent = Agent::start(&house);
    pauses_are_over(&house);
    agent.signal(Signal::SIGHUP); // it looks at once
    let tried = || {
        let text = fs::read_to_string(house.path(OUTBOX).join("1")).ok()?;
        text.contains("tries 2").then_some(())
    };
    eventually("the agent tries again", tried);
    server.run();
    pauses_are_over(&house);
    agent.signal(Signal::SIGHUP);
    assert!(server.expect("bob@example.com").contains("phone stolen"));
    nothing_waits(&house);
    // Another look, and another start, send nothing more.
    assert!(agent.stop().success());
    let again = Agent::start(&house);
    disable(&house, "carol");
    let _ = server.expect("carol@example.com");
    assert!(again.stop().success());
    assert_eq!(server.delivered("bob@example.com").len(), 1);
    assert_eq!(house.events(), ["disabled", "undelivered", "delivered", "disabled", "delivered"]);
    house.run("totp-admin", &["log", "--verify"]);
}

#[test]
fn what_a_login_leaves_is_told_by_the_agent() {
    let house = House::with_config(TO);
    let server = MailServer::start(&house);
    let phone = house.enroll("alice");
    let agent = Agent::start(&house);
    house.run("rm", &["/var/lib/pam-totp/state/alice"]);
    let codes = [phone.wrong(0), phone.wrong(1)];
    let mut application = house.application();
    assert_eq!(application.login("code", "alice").authenticate(codes.iter()).code, Pam::AuthErr);
    // It looks every half minute, and when it reads its configuration again.
    agent.signal(Signal::SIGHUP);
    eventually("mail of the agent", || {
        let all = server.delivered("alice@example.com");
        all.iter().any(|message| message.contains("begun anew")).then_some(())
    });
    assert_eq!(of(&house, "state-rebuilt").len(), 1);
}

#[test]
fn an_agent_that_is_killed_at_any_moment_loses_nothing_and_records_each_delivery_once() {
    let house = House::with_config(&mail("sendmail = \"/nonexistent/sendmail\""));
    for _ in 0..4 {
        for user in ["alice", "bob", "carol"] {
            disable(&house, user);
            house.run("totp-admin", &["remove", user, "--yes"]);
        }
    }
    let all = waiting(&house);
    assert_eq!(all.len(), 24);
    // Each takes a while, so that a kill finds one under way; what is named is complete.
    let sendmail = program(
        &house,
        "sleep 0.01; cat >/run/got/part.$$ && mv /run/got/part.$$ /run/got/mail.$$",
    );
    house.run("mkdir", &["/run/got"]);
    house.configure(&mail(&format!("sendmail = {sendmail:?}")));
    pauses_are_over(&house);
    let kills = 12_u64;
    for n in 0..kills {
        let agent = Agent::begin(&house);
        // Not for luck: the moments are what is tried.
        std::thread::sleep(Duration::from_millis(40 + 17 * n));
        agent.kill();
    }
    pauses_are_over(&house);
    let _agent = Agent::start(&house);
    nothing_waits(&house);
    let got = fs::read_dir(house.path("/run/got")).unwrap().flatten();
    let got = got.filter(|file| file.file_name().to_string_lossy().starts_with("mail."));
    let id =
        |text: String| text.lines().find(|l| l.starts_with("Message-ID: ")).unwrap().to_owned();
    let ids: Vec<String> = got.map(|file| id(fs::read_to_string(file.path()).unwrap())).collect();
    let repeated = u64::try_from(ids.len() - all.len()).unwrap();
    assert!(repeated <= kills, "{repeated} repeated");
    let different: std::collections::BTreeSet<&String> = ids.iter().collect();
    assert_eq!(different.len(), all.len());
    let mut delivered: Vec<u64> =
        of(&house, "delivered").iter().map(|record| record["of"].as_u64().unwrap()).collect();
    delivered.sort_unstable();
    let mut expected: Vec<u64> = all.iter().map(|name| name.parse().unwrap()).collect();
    expected.sort_unstable();
    assert_eq!(delivered, expected);
    house.run("totp-admin", &["log", "--verify"]);
}

#[test]
fn a_certificate_is_checked_and_one_that_is_not_trusted_gets_nothing() {
    let house = House::build();
    let server = MailServer::start_with_tls(&house);
    let transport = format!("transport = \"{}\"", server.transport());
    house.configure(&mail(&transport));
    let said = disable(&house, "bob");
    assert!(said.contains("ca_file in [mail]"), "{said}");
    assert!(server.delivered("bob@example.com").is_empty());
    house.configure(&mail(&format!("{transport}\nca_file = {:?}", MailServer::AUTHORITY)));
    house.run("totp-admin", &["outbox", "flush"]);
    // The server takes no mail before STARTTLS.
    assert!(server.expect("bob@example.com").contains("phone stolen"));
    assert_eq!(house.events(), ["disabled", "undelivered", "delivered"]);
}

#[test]
fn a_server_with_tls_from_the_start_and_a_login_takes_mail_with_the_right_password_alone() {
    const PASSWORD_FILE: &str = "/etc/pam-totp/mail-password";
    let house = House::build();
    let server = MailServer::start_with_login(&house);
    let transport =
        format!("transport = \"{}\"\nca_file = {:?}\n", server.transport(), MailServer::AUTHORITY);
    assert!(transport.contains("smtps://"));
    let login = format!("user = {:?}\npassword_file = {PASSWORD_FILE:?}", MailServer::USER);
    let password = |text: &str| {
        fs::write(house.path(PASSWORD_FILE), format!("{text}\n")).unwrap();
        let mode = fs::Permissions::from_mode(0o600);
        fs::set_permissions(house.path(PASSWORD_FILE), mode).unwrap();
    };

    // Without a login, and with a wrong one.
    house.configure(&mail(&transport));
    assert!(disable(&house, "bob").contains("530"), "{:?}", house.records());
    house.configure(&mail(&format!("{transport}{login}")));
    password("battery staple");
    let said = disable(&house, "carol");
    assert!(said.contains("535") && !said.contains("battery"), "{said}");
    for undelivered in of(&house, "undelivered") {
        let reason = undelivered["reason"].as_str().unwrap();
        assert!(reason.contains("530") || reason.contains("535"), "{reason}");
    }
    assert_eq!((of(&house, "undelivered").len(), waiting(&house).len()), (2, 2));
    assert!(server.delivered("bob@example.com").is_empty());

    password(MailServer::PASSWORD);
    house.run("totp-admin", &["outbox", "flush"]);
    for user in ["bob", "carol"] {
        assert!(server.expect(&format!("{user}@example.com")).contains("phone stolen"));
    }
    assert_eq!((of(&house, "delivered").len(), waiting(&house).len()), (2, 0));
}

#[test]
fn a_code_that_was_used_by_somebody_else_is_told_to_the_user_and_who_gets_copies() {
    let house = House::with_config(&mail("copy_to = [\"security@example.com\"]"));
    let server = MailServer::start(&house);
    let phone = house.enroll("alice");
    let agent = Agent::start(&house);
    Phone::wait_for_fresh_code(10);
    let mut application = house.application();
    let code = phone.now();
    let mut login = application.login("code", "alice");
    assert_eq!(login.from("203.0.113.9").authenticate([&code]).code, Pam::Success);
    drop(login);
    let mut login = application.login("code", "alice");
    let answers = [code, phone.in_steps(1)];
    assert_eq!(login.from("198.51.100.7").authenticate(&answers).code, Pam::Success);
    drop(login);
    agent.signal(Signal::SIGHUP);
    let alarm = |to: &str| {
        eventually(&format!("the alarm for {to}"), || {
            let all = server.delivered(to);
            all.into_iter()
                .find(|text| text.contains("\nSubject: Warning: a code of alice was used"))
        })
    };
    let (owner, copy) = (alarm("alice@example.com"), alarm("security@example.com"));
    for message in [&owner, &copy] {
        for part in ["203.0.113.9", "198.51.100.7", "Tell your administrator at once"] {
            assert!(message.contains(part), "no {part:?} in\n{message}");
        }
    }
    assert!(copy.contains("\n\nCopy: this was sent to alice@example.com.\n"), "{copy}");
    assert!(!owner.contains("Copy:"), "{owner}");
    nothing_waits(&house);
    let alarm = of(&house, "code-already-used")[0]["seq"].clone();
    let told: Vec<Value> =
        of(&house, "delivered").into_iter().filter(|line| line["of"] == alarm).collect();
    assert_eq!(told.len(), 1);
    assert_eq!(told[0]["reason"], "to alice@example.com, security@example.com");
    let notice = fs::read_to_string(house.path("/var/lib/pam-totp/notices/alice")).unwrap();
    assert!(notice.contains(" code-already-used "), "{notice}");
}

#[test]
fn a_supervisor_hears_when_the_agent_is_ready_and_when_it_ends() {
    const SOCKET: &str = "/run/notify";
    let house = House::build();
    let socket = UnixDatagram::bind(house.path(SOCKET)).unwrap();
    socket.set_read_timeout(Some(SOON)).unwrap();
    let hear = || {
        let mut bytes = [0; 256];
        let length = socket.recv(&mut bytes).expect("the agent says something");
        String::from_utf8(bytes[..length].to_vec()).unwrap()
    };
    let agent = Agent::begin_with(&house, &[("NOTIFY_SOCKET", SOCKET)]);
    assert!(hear().lines().any(|line| line == "READY=1"));
    agent.signal(Signal::SIGTERM);
    let mut last = hear();
    while last == "WATCHDOG=1" {
        last = hear();
    }
    assert_eq!(last, "STOPPING=1");
    assert!(agent.stop().success());
}

#[test]
fn one_agent_at_a_time_and_a_bad_configuration_ends_it_at_the_start_alone() {
    let house = House::build();
    let agent = Agent::start(&house);
    let second = house.attempt("totp-agent", &[]);
    assert_eq!(second.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&second.stderr).contains("another totp-agent is running"));

    house.configure("[mail]\nfrom = \"nobody\"\n");
    agent.signal(Signal::SIGHUP);
    let _ = house.syslog().expect("the last good configuration is in force");
    house.configure("");
    agent.signal(Signal::SIGHUP);
    let _ = house.syslog().expect("the configuration was read again");
    assert!(agent.stop().success());

    house.configure("[mail]\nfrom = \"nobody\"\n");
    house.run("sh", &["-c", "rm -f /var/lib/pam-totp/last-config/*"]);
    let refused = house.attempt("totp-agent", &[]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(1));
    assert!(said.contains("/etc/pam-totp/config.toml: line 2, column 8"), "{said}");
}
