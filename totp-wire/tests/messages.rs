//! Messages come back as they were sent, and nothing else is a message.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

use std::ffi::{CStr, CString};

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use totp_wire::hello::First;
use totp_wire::{
    Field, Hook, Later, Outgoing, Priority, ReturnCode, Style, ToDaemon, ToModule, limits,
};

fn text(most: usize) -> impl Strategy<Value = CString> {
    vec(1_u8..=255, 0..most).prop_map(|bytes| CString::new(bytes).expect("no NUL"))
}

fn encoded(encode: impl FnOnce(&mut [u8]) -> Result<usize, totp_wire::packet::TooLong>) -> Vec<u8> {
    let mut buffer = vec![0; limits::PACKET];
    let length = encode(&mut buffer).expect("room");
    buffer.truncate(length);
    buffer
}

const CODES: [ReturnCode; 7] = [
    ReturnCode::Success,
    ReturnCode::Ignore,
    ReturnCode::AuthErr,
    ReturnCode::PermDenied,
    ReturnCode::SystemErr,
    ReturnCode::ServiceErr,
    ReturnCode::ConvErr,
];

const PRIORITIES: [Priority; 5] =
    [Priority::Error, Priority::Warning, Priority::Notice, Priority::Info, Priority::Debug];

fn hello<'a>(arguments: &'a [CString], mark: Option<&'a [u8]>) -> Outgoing<'a, Vec<&'a CStr>> {
    Outgoing {
        version: 1,
        hook: Hook::Auth,
        flags: 0x8001,
        real_uid: 1000,
        login_uid: Some(1000),
        audit_session: None,
        stdout_is_terminal: true,
        stderr_is_terminal: false,
        user: Some(c"alice"),
        service: Some(c"sshd"),
        rhost: Some(c"192.0.2.1"),
        tty: Some(c"ssh"),
        ruser: None,
        arguments: arguments.iter().map(CString::as_c_str).collect(),
        ssh_auth_info: None,
        authtok: None,
        mark,
    }
}

fn decoded(packet: &[u8]) -> totp_wire::Hello<'_> {
    match First::decode(packet) {
        Ok(First::Hello(hello)) => hello,
        other => panic!("{other:?}"),
    }
}

proptest! {
    #[test]
    fn a_hello_comes_back(
        arguments in vec(text(60), 0..9),
        mark in option::of(vec(any::<u8>(), 0..300)),
    ) {
        let packet = encoded(|buffer| hello(&arguments, mark.as_deref()).encode(buffer));
        let back = decoded(&packet);
        prop_assert_eq!(back.user, Field::Present(c"alice"));
        prop_assert_eq!(back.ruser, Field::Absent);
        prop_assert_eq!((back.login_uid, back.audit_session), (Some(1000), None));
        let Field::Present(words) = back.arguments else { panic!("present") };
        prop_assert_eq!(words.map(CStr::to_owned).collect::<Vec<_>>(), arguments);
        let mark = mark.as_deref().map_or(Field::Absent, Field::Present);
        prop_assert_eq!(back.mark, mark);
    }

    #[test]
    fn what_the_daemon_says_comes_back(
        line in text(limits::TEXT), echo: bool, account: bool, setcred: bool,
        mark in vec(any::<u8>(), 0..300), microseconds: u32, code in 0_usize..7, priority in 0_usize..5,
    ) {
        let (text, later) = (line.as_c_str(), Later { account, setcred });
        let said = [
            ToModule::FIRST,
            ToModule::Busy,
            ToModule::Ask { echo, text },
            ToModule::Tell { style: Style::Info, text },
            ToModule::Tell { style: Style::Error, text },
            ToModule::Log { priority: PRIORITIES[priority], text },
            ToModule::SetAuthtok { text: c"secret" },
            ToModule::FailDelay { microseconds },
            ToModule::Done { code: CODES[code], later, mark: &mark },
        ];
        for message in said {
            let packet = encoded(|buffer| message.encode(buffer));
            prop_assert_eq!(ToModule::decode(&packet), Ok(message));
        }
    }

    #[test]
    fn what_the_module_answers_comes_back(line in text(limits::ANSWER), set: bool) {
        let text = line.as_c_str();
        let said = [
            ToDaemon::Answer { is_authtok: set, text },
            ToDaemon::NoReply,
            ToDaemon::Shown { taken: set },
            ToDaemon::Set { done: set },
        ];
        for message in said {
            let packet = encoded(|buffer| message.encode(buffer));
            prop_assert_eq!(ToDaemon::decode(&packet), Ok(message));
        }
    }

    #[test]
    fn any_bytes_are_read_without_a_panic_and_what_is_a_message_is_written_the_same(
        packet in vec(any::<u8>(), 0..200)
    ) {
        if let Ok(message) = ToModule::decode(&packet) {
            prop_assert_eq!(encoded(|buffer| message.encode(buffer)), packet.clone());
        }
        if let Ok(message) = ToDaemon::decode(&packet) {
            prop_assert_eq!(encoded(|buffer| message.encode(buffer)), packet.clone());
        }
        let _ = First::decode(&packet);
    }

    #[test]
    fn a_hello_that_is_cut_off_or_goes_on_is_malformed(cut in 0_usize..80, more: u8) {
        let arguments = [c"nullok".to_owned()];
        let mut packet = encoded(|buffer| hello(&arguments, Some(b"mark")).encode(buffer));
        let cut = cut.min(packet.len() - 1);
        prop_assert!(First::decode(&packet[..cut]).is_err());
        packet.push(more);
        prop_assert!(First::decode(&packet).is_err());
    }
}

#[test]
fn the_first_packet_is_the_same_in_every_version() {
    assert_eq!(encoded(|buffer| ToModule::FIRST.encode(buffer)), [1, 1, 0, 1, 0]);
}

#[test]
fn a_hello_of_another_version_says_which_whatever_follows() {
    assert_eq!(First::decode(&[0x81, 7, 0, 99, 98]), Ok(First::Version(7)));
    assert_eq!(First::decode(&[0x81, 0, 0]), Ok(First::Version(0)));
    assert!(First::decode(&[0x81, 1, 0]).is_err());
}

#[test]
fn what_is_too_long_is_left_out_by_name_and_the_rest_is_there() {
    let long = CString::new(vec![b'x'; limits::SSH_AUTH_INFO + 1]).unwrap();
    let arguments = vec![c"debug".to_owned(); 2000];
    let mark = vec![0; limits::MARK + 1];
    let mut sent = hello(&arguments, Some(&mark));
    sent.ssh_auth_info = Some(&long);
    sent.user = Some(&long);
    let packet = encoded(|buffer| sent.encode(buffer));
    let back = decoded(&packet);
    assert_eq!(back.ssh_auth_info, Field::LeftOut);
    assert_eq!(back.user, Field::LeftOut);
    assert_eq!(back.arguments, Field::LeftOut);
    assert_eq!(back.mark, Field::LeftOut);
    assert_eq!(back.rhost, Field::Present(c"192.0.2.1"));
}

#[test]
fn the_largest_hello_is_a_packet() {
    let of = |length| CString::new(vec![b'x'; length]).unwrap();
    let [user, service, rhost, tty, ruser, info, authtok] = [
        limits::USER,
        limits::SERVICE,
        limits::RHOST,
        limits::TTY,
        limits::RUSER,
        limits::SSH_AUTH_INFO,
        limits::AUTHTOK,
    ]
    .map(of);
    let arguments = vec![of(limits::ARGUMENTS - 3)];
    let mark = vec![0; limits::MARK];
    let sent = Outgoing {
        user: Some(&user),
        service: Some(&service),
        rhost: Some(&rhost),
        tty: Some(&tty),
        ruser: Some(&ruser),
        ssh_auth_info: Some(&info),
        authtok: Some(&authtok),
        ..hello(&arguments, Some(&mark))
    };
    let packet = encoded(|buffer| sent.encode(buffer));
    assert_eq!(decoded(&packet).mark, Field::Present(&mark[..]));
    assert!(matches!(decoded(&packet).arguments, Field::Present(_)));
}

#[test]
fn each_hook_comes_back_and_no_other_number_is_a_hook() {
    let arguments = [];
    for hook in [Hook::Auth, Hook::Account, Hook::Setcred, Hook::Session] {
        let sent = Outgoing { hook, ..hello(&arguments, None) };
        let mut packet = encoded(|buffer| sent.encode(buffer));
        assert_eq!(decoded(&packet).hook, hook);
        for number in [0, 5, 255] {
            packet[3] = number;
            assert!(First::decode(&packet).is_err(), "{number}");
        }
    }
}

#[test]
fn a_line_is_meant_in_one_of_two_ways() {
    let mut packet =
        encoded(|buffer| ToModule::Tell { style: Style::Error, text: c"abc" }.encode(buffer));
    packet[1] = 2;
    assert!(ToModule::decode(&packet).is_err());
}

#[test]
fn a_nul_inside_a_text_is_malformed() {
    let packet =
        encoded(|buffer| ToModule::Tell { style: Style::Info, text: c"abc" }.encode(buffer));
    let mut broken = packet.clone();
    broken[5] = 0;
    assert!(ToModule::decode(&packet).is_ok() && ToModule::decode(&broken).is_err());
}

#[test]
fn an_answer_that_is_too_long_is_not_sent() {
    let long = CString::new(vec![b'1'; limits::ANSWER + 1]).unwrap();
    let mut buffer = vec![0; limits::PACKET];
    assert!(ToDaemon::Answer { is_authtok: false, text: &long }.encode(&mut buffer).is_err());
}
