//! Who is asked at all, as the configuration says, and the arguments on a PAM line.

use std::fs;

use pam_totp_tests::{FirstFactor, House, PASSWORD, Pam, Sshd};

use crate::{CODE, NEXT};

/// Whether a login of `user` over `service` from `from` is asked for a code; without a code it must fail
/// then, and in the stack `both` it must succeed otherwise.
fn is_asked(house: &House, user: &str, from: &str) -> bool {
    let mut application = house.application();
    let mut login = application.login("both", user);
    let outcome = login.from(from).authenticate([PASSWORD]);
    let asked = outcome.prompts().contains(&CODE);
    assert_eq!(outcome.code == Pam::Success, !asked, "{outcome:?}");
    asked
}

const HOME: &str = "192.0.2.1";

#[test]
fn by_default_everyone_is_asked() {
    let house = House::build();
    let _phone = house.enroll("alice");
    assert!(is_asked(&house, "alice", HOME));
    assert!(is_asked(&house, "bob", HOME));
}

#[test]
fn who_need_not_is_asked_only_if_enrolled() {
    let house = House::with_config("[policy]\nrequire = \"enrolled\"\n");
    let _phone = house.enroll("alice");
    assert!(is_asked(&house, "alice", HOME));
    assert!(!is_asked(&house, "bob", HOME));
}

#[test]
fn groups_and_names_can_be_required_and_exempt() {
    let house =
        House::with_config("[policy]\nrequire = [\"@staff\", \"carol\"]\nexempt = [\"@robots\"]\n");
    let group = house.path("/etc/group");
    let text = fs::read_to_string(&group).unwrap();
    fs::write(&group, format!("{text}staff:x:900:alice,carol\nrobots:x:901:carol\n")).unwrap();
    assert!(is_asked(&house, "alice", HOME));
    assert!(!is_asked(&house, "bob", HOME), "neither required nor enrolled");
    assert!(!is_asked(&house, "carol", HOME), "exempt wins");
    let _phone = house.enroll("bob");
    assert!(is_asked(&house, "bob", HOME), "enrolled");
}

#[test]
fn a_group_nobody_knows_is_an_error_and_no_exemption() {
    let house = House::with_config("[policy]\nexempt = [\"@nosuchgroup\"]\n");
    assert!(is_asked(&house, "alice", HOME));
}

#[test]
fn networks_are_literal_addresses_alone() {
    let house =
        House::with_config("[policy]\nexempt_networks = [\"10.0.0.0/8\", \"2001:db8::/32\"]\n");
    for inside in ["10.1.2.3", "2001:db8::7", "::ffff:10.1.2.3"] {
        assert!(!is_asked(&house, "alice", inside), "{inside}");
    }
    for outside in
        ["11.1.2.3", "2001:db9::7", "", "localhost", "10.1.2.3.example.com", "ten", "10.1"]
    {
        assert!(is_asked(&house, "alice", outside), "{outside}");
    }
}

#[test]
fn a_service_can_have_a_policy_of_its_own() {
    let house = House::with_config(
        "[policy]\nrequire = \"enrolled\"\n[service.both]\nrequire = \"everyone\"\n",
    );
    assert!(is_asked(&house, "bob", HOME));
    let house = House::with_config("[service.other]\nrequire = \"enrolled\"\n");
    assert!(is_asked(&house, "bob", HOME));
}

#[test]
fn disabled_can_mean_denied() {
    let house = House::with_config("[policy]\ndisabled = \"denied\"\n");
    let _phone = house.enroll("alice");
    let _ = house.admin_json(&["disable", "alice", "--json"]);
    assert!(is_asked(&house, "alice", HOME));
}

#[test]
fn a_configuration_and_its_paths_can_lie_elsewhere() {
    let house = House::with_arguments("config=/run/other/config.toml");
    house.run("install", &["-d", "-m", "755", "/run/other"]);
    let paths = "[paths]\nstate_dir = \"/run/other/state\"\nlog_file = \"/run/other/log/log.jsonl\"\nrun_dir = \"/run/other/run\"\n";
    fs::write(house.path("/run/other/config.toml"), paths).unwrap();
    house.run("totp-admin", &["init", "--config", "/run/other/config.toml"]);
    let arguments =
        ["--config", "/run/other/config.toml", "enroll", "alice", "--json", "--no-confirm"];
    let document = house.admin_json(&arguments);
    let phone = pam_totp_tests::Phone::new(document["secret"].as_str().unwrap());
    let outcome = house.application().login("code", "alice").authenticate([&phone.now()]);
    assert_eq!(outcome.code, Pam::Success, "{outcome:?}");
    assert!(house.path("/run/other/state/users/alice.toml").exists());
    assert!(house.path("/run/other/log/log.jsonl").exists());
    assert_eq!(fs::read_dir(house.path("/var/lib/pam-totp/users")).unwrap().count(), 0);
}

#[test]
fn the_word_that_lists_the_ways_costs_nothing_and_is_answered_alike_for_everyone() {
    let house = House::build();
    let phone = house.enroll("alice");
    let mut application = house.application();
    let listed = application.login("code", "alice").authenticate(["?", "?", &phone.now()]);
    assert_eq!(listed.code, Pam::Success, "{listed:?}");
    let help = listed.prompts()[1];
    assert!(help.ends_with(": ") && help != CODE, "{help}");
    assert_eq!(listed.prompts(), [CODE, help, help]);
    for user in ["alice", "bob", "mallory"] {
        let wrong = ["?", "123456", "234567"];
        let outcome = application.login("code", user).authenticate(wrong);
        assert_eq!(outcome.prompts(), [CODE, help, NEXT], "{user}");
        // Three times at most; then it is a wrong answer.
        let outcome = application.login("code", user).authenticate(["?"; 5]);
        assert_eq!(outcome.prompts(), [CODE, help, help, help, NEXT], "{user}");
    }
}

#[test]
fn spaces_and_hyphens_in_a_code_are_ignored() {
    let house = House::build();
    let phone = house.enroll("alice");
    let mut application = house.application();
    let code = phone.now();
    let spaced = format!(" {} {}", &code[..3], &code[3..]);
    assert_eq!(application.login("code", "alice").authenticate([&spaced]).code, Pam::Success);
    let code = phone.in_steps(1);
    let hyphened = format!("{}-{}", &code[..3], &code[3..]);
    assert_eq!(application.login("code", "alice").authenticate([&hyphened]).code, Pam::Success);
}

#[test]
fn prompts_1_switches_the_second_prompt_off() {
    let house = House::with_arguments("prompts=1");
    let _phone = house.enroll("alice");
    for user in ["alice", "bob", "mallory"] {
        let outcome = house.application().login("code", user).authenticate(["123456", "234567"]);
        assert_eq!((outcome.code, outcome.prompts()), (Pam::AuthErr, vec![CODE]), "{user}");
    }
}

#[test]
fn the_prompt_can_have_another_text_and_show_what_is_typed() {
    let house = House::with_arguments("echo [prompt=Code of your token: ]");
    let outcome = house.application().login("code", "alice").authenticate(["123456", "234567"]);
    assert_eq!(outcome.prompts(), ["Code of your token: ", NEXT]);
    let echoed = |heard: &pam_totp_tests::Heard| {
        matches!(heard, pam_totp_tests::Heard::Ask { echo: true, .. })
    };
    assert!(
        outcome.heard.iter().filter(|heard| heard.prompt().is_some()).all(echoed),
        "{outcome:?}"
    );
}

/// Password and code in one answer, for clients that have one field alone.
fn combined(house: &House) {
    house.stack(
        "sshd",
        "auth required pam_totp.so nodelay forward_pass\nauth required pam_unix.so nodelay use_first_pass\n\
         account required pam_unix.so\nsession required pam_permit.so\n",
    );
}

#[test]
fn with_forward_pass_sshds_password_method_takes_password_and_code_in_one() {
    let house = House::build();
    let phone = house.enroll("alice");
    combined(&house);
    let sshd = Sshd::start(&house, FirstFactor::PasswordMethod);
    for (answer, let_in) in [
        (format!("{PASSWORD}{}", phone.wrong(0)), false),
        (PASSWORD.to_string(), false),
        (phone.now(), false),
        (format!("{PASSWORD}{}", phone.in_steps(1)), true),
        (format!("{PASSWORD}{}", phone.in_steps(1)), false),
    ] {
        let mut terminal = sshd.connect("alice");
        terminal.expect("alice@127.0.0.1's password: ").type_line(&answer);
        let which = terminal.expect_one_of(&["in as alice", "Permission denied"]);
        assert_eq!(which == 0, let_in, "{answer:?}\n{}", terminal.shown());
    }
}

#[test]
fn with_forward_pass_a_comma_may_part_password_and_code() {
    let house = House::build();
    let phone = house.enroll("alice");
    combined(&house);
    let answer = format!("{PASSWORD},{}", phone.now());
    let outcome = house.application().login("sshd", "alice").authenticate([&answer]);
    assert_eq!(outcome.code, Pam::Success, "{outcome:?}");
}

#[test]
fn with_use_first_pass_nothing_is_asked_behind_a_module_that_did() {
    let house = House::build();
    let phone = house.enroll("alice");
    let rest = "account required pam_permit.so\n";
    // What pam_unix was given is the code here, and is no password; optional, so that the code decides.
    house.stack("first", &format!("auth optional pam_unix.so nodelay\nauth required pam_totp.so nodelay use_first_pass\n{rest}"));
    house.stack("tried", &format!("auth optional pam_unix.so nodelay\nauth required pam_totp.so nodelay try_first_pass\n{rest}"));
    let mut application = house.application();
    let wrong = application.login("first", "alice").authenticate([&phone.wrong(0)]);
    assert_eq!((wrong.code, wrong.prompts()), (Pam::AuthErr, vec!["Password: "]));
    let right = application.login("first", "alice").authenticate([&phone.now()]);
    assert_eq!((right.code, right.prompts()), (Pam::Success, vec!["Password: "]));
    let tried =
        application.login("tried", "alice").authenticate([&phone.wrong(0), &phone.in_steps(1)]);
    assert_eq!(tried.code, Pam::Success, "{tried:?}");
    assert_eq!(tried.prompts().len(), 2);
}

#[test]
fn whoever_is_exempt_is_exempt_whatever_has_become_of_the_store() {
    let house = House::with_config("[policy]\nexempt = [\"bob\"]\n");
    let users = house.path("/var/lib/pam-totp/users");
    fs::rename(&users, users.with_file_name("away")).unwrap();
    assert!(!is_asked(&house, "bob", HOME));
    let _ = house.syslog().expect("not asked for bob: exempt");
}
