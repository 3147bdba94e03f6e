//! Text messages: through a real gateway, and through programs that fail and hang. One is
//! asked for at a real login; the others are left by hand.

use std::fs;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;

use pam_totp_tests::{Agent, FirstFactor, House, PASSWORD, SmsGateway, Sshd, eventually, program};

use crate::CODE;

const OUTBOX: &str = "/var/lib/pam-totp/outbox";
const PHONE: &str = "+420123456789";

/// Leaves a message as a login does.
fn leave(house: &House, name: &str, until: &str) {
    let text = format!(
        "pam-totp-text 1\nuntil {until}\nuser bob\nphone {PHONE}\ntext your%20code%20is%20123456\n"
    );
    let part = house.path(OUTBOX).join(format!(".new-{name}"));
    fs::write(&part, text).unwrap();
    fs::set_permissions(&part, fs::Permissions::from_mode(0o600)).unwrap();
    fs::rename(part, house.path(OUTBOX).join(name)).unwrap();
}

const LATER: &str = "2099-01-01T00:00:00Z";

fn gone(house: &House, name: &str) {
    let path = house.path(OUTBOX).join(name);
    eventually("the message is taken away", || (!path.exists()).then_some(()));
}

fn outcomes(house: &House) -> Vec<(String, String)> {
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    house.records().iter().map(|line| (text(&line["event"]), text(&line["reason"]))).collect()
}

#[test]
fn a_message_is_sent_through_the_gateway_within_seconds_and_its_code_is_nowhere_in_the_logs() {
    let house = House::with_config(SmsGateway::SETTINGS);
    let gateway = SmsGateway::start(&house);
    let _agent = Agent::start(&house);
    leave(&house, "text-0000000000000001", LATER);
    gone(&house, "text-0000000000000001");
    assert!(gateway.expect(PHONE).contains("your code is 123456"));
    let delivered = eventually("the outcome on record", || outcomes(&house).pop());
    assert_eq!(delivered, ("delivered".to_owned(), "text message to …789".to_owned()));
    let said = house.syslog().lines().join("\n");
    assert!(!said.contains("123456") && !said.contains(PHONE), "{said}");
}

/// Every file of the outbox, and what it says.
fn outbox(house: &House) -> Vec<(String, String)> {
    let all = fs::read_dir(house.path(OUTBOX)).unwrap().flatten();
    let text = |path| String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned();
    all.map(|file| (file.file_name().to_string_lossy().into_owned(), text(file.path()))).collect()
}

#[test]
fn who_types_sms_at_ssh_gets_a_code_through_the_gateway_and_logs_in_with_it() {
    let house = House::with_config(SmsGateway::SETTINGS);
    let gateway = SmsGateway::start(&house);
    house.run("totp-admin", &["enroll", "alice", "--phone", PHONE, "--json", "--no-confirm"]);
    let sshd = Sshd::start(&house, FirstFactor::Password);
    let mut terminal = sshd.connect("alice");
    terminal.expect("Password: ").type_line(PASSWORD);
    terminal.expect(CODE).type_line("sms");
    terminal.expect("Verification code: ");
    let mut waiting = outbox(&house);
    waiting.retain(|(name, _)| name.starts_with("text-"));
    assert_eq!(waiting.len(), 1, "{waiting:?}");
    // What lies on the disk is still read here once its name is gone.
    let file = fs::File::open(house.path(OUTBOX).join(&waiting[0].0)).unwrap();
    let _agent = Agent::start(&house);
    let text = gateway.expect(PHONE);
    let said = text.split(" is your").next().unwrap();
    let code: String = said.chars().filter(char::is_ascii_digit).collect();
    assert_eq!(code.len(), 8, "{text}");
    terminal.type_line(&code);
    terminal.expect("in as alice");
    assert!(terminal.wait().success());
    let _ = house.syslog().expect("accepted text-message for alice");
    eventually("the outcome on record", || {
        let delivered = ("delivered".to_owned(), "text message to …789".to_owned());
        outcomes(&house).contains(&delivered).then_some(())
    });
    gone(&house, &waiting[0].0);
    let mut overwritten = String::new();
    let _ = (&file).read_to_string(&mut overwritten).unwrap();
    assert_eq!(overwritten.trim(), "");
    let left = outbox(&house);
    assert!(!left.iter().any(|(name, _)| name.starts_with("text-")), "{left:?}");
    let halves = format!("{}%20{}", &code[..4], &code[4..]);
    let state = fs::read_to_string(house.path("/var/lib/pam-totp/state/alice")).unwrap();
    assert!(waiting[0].1.contains(&halves), "{waiting:?}");
    let mut places = vec![state, house.syslog().lines().join("\n"), format!("{left:?}")];
    places.extend(house.records().iter().map(ToString::to_string));
    for place in places {
        assert!(!place.contains(&code) && !place.contains(&halves), "{place}");
    }
}

#[test]
fn a_program_that_hangs_is_killed_and_holds_up_no_other_message() {
    let house = House::build();
    // The first one hangs, and leaves a mark that it has begun.
    let sender = program(
        &house,
        "if mkdir /run/hanging 2>/dev/null; then echo 123456 >&2; exec sleep 1000; fi; touch /run/sent",
    );
    house.configure(&format!("[sms]\ncommand = [{sender:?}, \"{{phone}}\"]\ntimeout = 5\n"));
    let _agent = Agent::start(&house);
    leave(&house, "text-0000000000000001", LATER);
    eventually("the first is under way", || house.path("/run/hanging").exists().then_some(()));
    leave(&house, "text-0000000000000002", LATER);
    gone(&house, "text-0000000000000002");
    let first = house.path(OUTBOX).join("text-0000000000000001");
    assert!(first.exists(), "it waited for the one that hangs");
    let _ = house.syslog().expect("did not end within 5 s, and was killed");
    // Whether it sent anything nobody knows: it is never sent twice.
    gone(&house, "text-0000000000000001");
    eventually("both outcomes on record", || (house.events().len() == 2).then_some(()));
    assert_eq!(house.events(), ["delivered", "undelivered"]);
    assert!(!house.syslog().lines().join("\n").contains("123456"));
}

#[test]
fn a_message_whose_time_is_over_is_thrown_away_and_a_decoy_is_only_taken_away() {
    let house = House::with_config("[sms]\ncommand = [\"/bin/false\"]\n");
    leave(&house, "decoy-0000000000000003", LATER);
    let _agent = Agent::start(&house);
    leave(&house, "text-0000000000000001", "2020-01-01T00:00:00Z");
    gone(&house, "text-0000000000000001");
    gone(&house, "decoy-0000000000000003");
    let outcome = eventually("the outcome on record", || outcomes(&house).pop());
    assert_eq!(outcome.0, "undelivered");
    assert!(outcome.1.contains("its time was over"), "{}", outcome.1);
    assert_eq!(house.events().len(), 1);
}
