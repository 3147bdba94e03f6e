//! A dialogue in which an answer was refused, and which then ends in any way but a grant: one line that log readers count, written
//! by the module, or by totpd where the module is gone.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use pam_totp_tests::{
    Answer, Decider, FirstFactor, House, PASSWORD, Pam, Phone, Plan, Sshd, eventually,
};

use crate::{CODE, NEXT};

const FAILURE: &str = "authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=";

fn houses() -> impl Iterator<Item = (House, Phone)> {
    [Decider::Daemon, Decider::Once].into_iter().map(|decided_by| {
        let house = House::from_plan(&Plan { decided_by, ..Plan::default() });
        let phone = house.enroll("alice");
        (house, phone)
    })
}

/// The failure lines of the module up to now, whoever has written them.
fn failures(house: &House) -> Vec<String> {
    let lines = house.syslog().lines();
    lines.into_iter().filter(|line| line.contains("pam_totp(") && line.contains(FAILURE)).collect()
}

#[test]
fn a_program_that_answers_once_and_no_more_leaves_the_failure_line_and_once() {
    for (house, phone) in houses() {
        for silence in [Answer::Refuse, Answer::NoReply, Answer::NoArray] {
            house.syslog().clear();
            let wrong = Answer::from(&phone.wrong(0));
            let mut application = house.application();
            let outcome = application.login("code", "alice").authenticate([wrong, silence]);
            assert_eq!(outcome.code, Pam::ConvErr, "{outcome:?}");
            let lines = failures(&house);
            assert_eq!(lines.len(), 1, "{lines:?}");
            assert!(lines[0].contains("pam_totp(code:auth): ") && lines[0].ends_with("user=alice"));
        }
    }
}

#[test]
fn a_prompt_that_nobody_has_answered_is_no_failure() {
    for (house, _) in houses() {
        let mut application = house.application();
        let outcome = application.login("code", "alice").authenticate([Answer::Refuse]);
        assert_eq!(outcome.code, Pam::ConvErr);
        let _ = house.syslog().expect("reason=no-reply user=alice");
        assert_eq!(failures(&house), [""; 0]);
    }
}

#[test]
fn a_program_that_is_killed_at_the_second_prompt_leaves_the_failure_line_and_once() {
    for (house, phone) in houses() {
        let mut application = house.application();
        let pid = Pid::from_raw(i32::try_from(application.pid()).unwrap());
        let mut login = application.login("code", "alice");
        assert_eq!(login.begin("auth 0").hear().prompt(), Some(CODE));
        login.answer(&phone.wrong(0));
        assert_eq!(login.hear().prompt(), Some(NEXT));
        std::mem::forget(login);
        kill(pid, Signal::SIGKILL).unwrap();
        let line = house.syslog().expect(FAILURE);
        assert!(line.starts_with("totpd[") && line.contains("]: pam_totp(code:auth): "), "{line}");
        assert!(line.ends_with("rhost=192.0.2.1  user=alice"), "{line}");
        assert_eq!(failures(&house).len(), 1);
    }
}

#[test]
fn an_ssh_client_that_is_killed_at_the_second_prompt_leaves_the_failure_line_and_once() {
    for (house, phone) in houses() {
        let sshd = Sshd::start(&house, FirstFactor::Password);
        let mut terminal = sshd.connect("alice");
        terminal.expect("Password: ").type_line(PASSWORD);
        terminal.expect(CODE).type_line(&phone.wrong(0)).expect(NEXT);
        // With its client.
        drop(terminal);
        let line = house.syslog().expect(FAILURE);
        assert!(
            line.contains("pam_totp(sshd:auth): ") && line.contains("rhost=127.0.0.1"),
            "{line}"
        );
        // Whatever else of this login is still to be written is there once its processes are gone.
        eventually("the login is over", || sshd.is_idle().then_some(()));
        assert_eq!(failures(&house).len(), 1);
    }
}

#[test]
fn a_fault_at_the_second_answer_leaves_the_failure_line_and_once() {
    let house = House::from_plan(&Plan { decided_by: Decider::Daemon, ..Plan::default() });
    let phone = house.enroll("alice");
    let mut application = house.application();
    let mut login = application.login("code", "alice");
    assert_eq!(login.begin("auth 0").hear().prompt(), Some(CODE));
    login.answer(&phone.wrong(0));
    assert_eq!(login.hear().prompt(), Some(NEXT));
    // Too little for any login.
    let pid = house.daemon_pid().to_string();
    house.run("prlimit", &["--pid", &pid, "--stack=65536:"]);
    login.answer(&phone.wrong(1));
    let outcome = login.rest([] as [&str; 0]);
    assert_eq!(outcome.code, Pam::SystemErr, "{outcome:?}");
    assert_eq!(failures(&house).len(), 1);
}

#[test]
fn a_right_code_at_the_second_prompt_leaves_none() {
    let (house, phone) = houses().next().unwrap();
    let mut application = house.application();
    let outcome = application.login("code", "alice").authenticate([&phone.wrong(0), &phone.now()]);
    assert_eq!(outcome.code, Pam::Success);
    assert_eq!(failures(&house), [""; 0]);
}
