//! What the program around the module notices of it: nothing. Panics, leaks, descriptors, the shape of
//! the process; and that the environment of a caller decides nothing.

use std::collections::BTreeMap;
use std::fs;

use pam_totp_tests::{Answer, Heard, House, PASSWORD, Pam};

use crate::{CODE, NEXT};

#[test]
fn valgrind_finds_no_error_and_nothing_lost() {
    let house = House::build();
    let phone = house.enroll("alice");
    let log = house.path("/run/valgrind.log");
    let mut application = house.application_under(
        "valgrind",
        &[
            "--quiet",
            "--error-exitcode=99",
            "--leak-check=full",
            "--errors-for-leak-kinds=definite,indirect,possible",
            "--track-fds=yes",
            "--log-file=/run/valgrind.log",
        ],
    );
    let code = phone.now();
    let right = application.login("code", "alice").authenticate([&code]);
    assert_eq!(right.code, Pam::Success, "{right:?}");
    let replayed = application.login("code", "alice").authenticate([&code, &code]);
    assert_eq!(replayed.code, Pam::AuthErr);
    let wrong =
        application.login("both", "alice").authenticate([PASSWORD, &phone.wrong(0), "?", "xx"]);
    assert_eq!(wrong.code, Pam::AuthErr);
    let unknown = application.login("code", "mallory").authenticate(["123456", "234567"]);
    assert_eq!(unknown.code, Pam::AuthErr);
    for silence in [Answer::NoReply, Answer::NoArray, Answer::Refuse] {
        let outcome = application.login("code", "alice").authenticate([silence]);
        assert_eq!(outcome.code, Pam::ConvErr, "{outcome:?}");
    }
    {
        let mut login = application.login("code", "alice");
        assert_eq!(login.authenticate([&phone.in_steps(1)]).code, Pam::Success);
        let _ = login.set_credentials();
        let _ = login.account();
    }
    let verdict = application.finish();
    assert_eq!(verdict, 0, "{}", fs::read_to_string(log).unwrap());
}

/// What a module could leave behind in a process, except for memory.
pub(crate) fn shape(pid: u32) -> BTreeMap<String, String> {
    let process = format!("/proc/{pid}");
    let mut shape = BTreeMap::new();
    let status = fs::read_to_string(format!("{process}/status")).unwrap();
    for key in
        ["Umask", "Uid", "Gid", "Groups", "Threads", "SigBlk", "SigIgn", "SigCgt", "NoNewPrivs"]
    {
        let line = status.lines().find(|line| line.starts_with(key)).unwrap();
        shape.insert(key.to_string(), line.to_string());
    }
    for descriptor in fs::read_dir(format!("{process}/fd")).unwrap().flatten() {
        let target = fs::read_link(descriptor.path()).unwrap();
        shape.insert(
            format!("fd {}", descriptor.file_name().display()),
            target.display().to_string(),
        );
    }
    for file in ["limits", "environ", "comm"] {
        shape.insert(file.to_string(), fs::read_to_string(format!("{process}/{file}")).unwrap());
    }
    for link in ["cwd", "root"] {
        let target = fs::read_link(format!("{process}/{link}")).unwrap();
        shape.insert(link.to_string(), target.display().to_string());
    }
    let children = format!("{process}/task/{pid}/children");
    shape.insert("children".to_string(), fs::read_to_string(children).unwrap_or_default());
    shape
}

#[test]
fn a_login_leaves_the_process_as_it_was() {
    let house = House::build();
    let phone = house.enroll("alice");
    let mut application = house.application();
    let pid = application.pid();
    let mut login = application.login("both", "bob");
    // The password's prompt: ours has not run yet.
    assert!(login.begin("auth 0").hear().prompt().is_some());
    let at_first = shape(pid);
    login.answer(PASSWORD);
    // libpam and libc open what they keep open (the connection to syslog) at the first failure.
    let outcome = login.rest(["123456", "234567"]);
    drop(login);
    assert_eq!(outcome.code, Pam::AuthErr);
    let before = shape(application.pid());
    for (what, was) in at_first.iter().filter(|(what, _)| !what.starts_with("fd ")) {
        assert_eq!(before.get(what), Some(was), "{what}");
    }
    let code = phone.now();
    assert_eq!(application.login("code", "alice").authenticate([&code]).code, Pam::Success);
    assert_eq!(application.login("code", "alice").authenticate([&code, &code]).code, Pam::AuthErr);
    assert_eq!(
        application.login("code", "alice").authenticate([Answer::NoArray]).code,
        Pam::ConvErr
    );
    assert_eq!(shape(application.pid()), before);
    assert_eq!(application.complaints(), "");
}

#[test]
fn a_thread_of_the_program_that_ends_inside_the_conversation_leaves_the_program_running() {
    let house = House::build();
    let _phone = house.enroll("alice");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/end_to_end/ending_thread/thread.c");
    let program = house.disk().join("thread");
    let built = std::process::Command::new("cc")
        .args(["-std=c11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-o"])
        .arg(&program)
        .args([source, "-lpam", "-lpthread"])
        .status();
    assert!(built.expect("a C compiler (build-essential) is needed").success());
    let said = house.run(program.to_str().expect("the harness names it"), &["code"]);
    assert_eq!(said, "thread ended with 7, and the program goes on\n");
}

#[test]
fn no_descriptor_survives_into_a_program_that_is_started_during_a_login() {
    let house = House::build();
    let _phone = house.enroll("alice");
    let mut application = house.application();
    // Once it has answered it is itself, and no longer the programs that start it.
    drop(application.login("code", "alice"));
    let before = shape(application.pid());
    let pid = application.pid();
    let mut login = application.login("code", "alice");
    assert_eq!(login.begin("auth 0").hear().prompt(), Some(CODE));
    for entry in fs::read_dir(format!("/proc/{pid}/fdinfo")).unwrap().flatten() {
        let number = entry.file_name().display().to_string();
        let info = fs::read_to_string(entry.path()).unwrap();
        let flags = info.lines().find_map(|line| line.strip_prefix("flags:")).unwrap().trim();
        let closes_on_exec = u32::from_str_radix(flags, 8).unwrap() & 0o2_000_000 != 0;
        let known = before.contains_key(&format!("fd {number}"));
        assert!(known || closes_on_exec, "descriptor {number}:\n{info}");
    }
    login.answer(Answer::Refuse);
    let _ = login.rest([] as [&str; 0]);
}

#[test]
fn no_variable_of_the_environment_turns_a_refusal_into_an_acceptance() {
    let house = House::build();
    let phone = house.enroll("alice");
    fs::write(house.path("/run/open.toml"), "[policy]\nexempt = [\"alice\"]\n").unwrap();
    let variables = [
        ("PAM_TOTP_CONFIG", "/run/open.toml"),
        ("TOTP_CONFIG", "/run/open.toml"),
        ("XDG_CONFIG_HOME", "/run"),
        ("HOME", "/run"),
        ("TMPDIR", "/nonexistent"),
        ("TZ", "/nonexistent"),
        ("LANG", "tr_TR.UTF-8"),
        ("LC_ALL", "xx"),
        ("RUST_BACKTRACE", "full"),
        ("RUST_LOG", "trace"),
        ("FAKETIME", "2001-01-01 00:00:00"),
    ];
    let mut application = house.application_with(&variables);
    let outcome = application.login("code", "alice").authenticate(["123456", "123456"]);
    assert_eq!((outcome.code, outcome.prompts()), (Pam::AuthErr, vec![CODE, NEXT]));
    assert_eq!(application.login("code", "alice").authenticate([&phone.now()]).code, Pam::Success);
    assert_eq!(application.complaints(), "");
}

#[test]
fn pam_silent_and_disallow_null_authtok_change_nothing() {
    const SILENT: u32 = 0x8000;
    const DISALLOW_NULL_AUTHTOK: u32 = 0x0001;
    let house = House::build();
    let phone = house.enroll("alice");
    let mut application = house.application();
    let call = format!("auth {}", SILENT | DISALLOW_NULL_AUTHTOK);
    let outcome = application.login("code", "alice").call(&call, [&phone.now()]);
    assert_eq!((outcome.code, outcome.prompts()), (Pam::Success, vec![CODE]));
    let outcome = application.login("code", "bob").call(&call, ["123456", "234567"]);
    assert_eq!((outcome.code, outcome.prompts()), (Pam::AuthErr, vec![CODE, NEXT]));
}

#[test]
fn a_failure_is_delayed_by_libpam_unless_nodelay_says_otherwise() {
    let house = House::build();
    house.stack("slow", "auth required pam_totp.so\naccount required pam_permit.so\n");
    let mut application = house.application();
    let delayed = |heard: &Heard| matches!(heard, Heard::Delay(time) if time.as_micros() > 100_000);
    let outcome = application.login("slow", "alice").authenticate(["123456", "234567"]);
    assert!(outcome.heard.iter().any(delayed), "{outcome:?}");
    let outcome = application.login("code", "alice").authenticate(["123456", "234567"]);
    assert!(!outcome.heard.iter().any(delayed), "{outcome:?}");
}

#[test]
fn behind_an_ordinary_login_the_account_hook_asks_nothing_and_decides_nothing() {
    let house = House::build();
    let phone = house.enroll("alice");
    let mut application = house.application();
    let mut login = application.login("both", "alice");
    assert_eq!(login.authenticate([PASSWORD, &phone.now()]).code, Pam::Success);
    let account = login.account();
    assert_eq!((account.code, account.prompts()), (Pam::Success, vec![]));
    assert_eq!(login.set_credentials().code, Pam::Success);
}

#[test]
fn no_reply_of_any_kind_is_a_conversation_error() {
    let house = House::build();
    let _phone = house.enroll("alice");
    let mut application = house.application();
    for silence in [Answer::NoReply, Answer::NoArray, Answer::Refuse] {
        house.syslog().clear();
        let outcome = application.login("code", "alice").authenticate([silence.clone()]);
        assert_eq!((outcome.code, outcome.prompts()), (Pam::ConvErr, vec![CODE]), "{silence:?}");
        let _ = house.syslog().expect("reason=no-reply user=alice");
    }
}
