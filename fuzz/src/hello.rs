//! The module's first packet, and what the daemon makes of it. The daemon is a program and no library, so that its
//! part is read in here.

use std::ffi::{CStr, CString};

use totp_wire::hello::First;
use totp_wire::{Field, Hello, Outgoing, limits};

use self::request::{Caller, Request};

#[path = "../../totpd/src/request.rs"]
#[allow(dead_code, unexpected_cfgs)] // read for another crate
mod request;

/// What is read is written again as the same bytes, so that nothing is read in two ways; a byte more or less is no hello; and a
/// program that is not root's is believed nothing but its kernel's word.
pub fn check(data: &[u8]) {
    let hello = match First::decode(data) {
        Ok(First::Hello(hello)) => hello,
        Ok(First::Version(version)) => {
            return assert!(!(limits::LOWEST_VERSION..=limits::HIGHEST_VERSION).contains(&version));
        }
        Err(_) => return,
    };
    assert_eq!(written(&hello), data);
    assert!(First::decode(&data[..data.len() - 1]).is_err());
    assert!(First::decode(&[data, &[0]].concat()).is_err());
    believed(&hello);
}

fn believed(hello: &Hello<'_>) {
    let request = Request::new(hello, 1000);
    assert_eq!(request.caller, Caller::User { uid: 1000 });
    assert!(request.rhost.is_empty() && request.ssh_auth_info.is_none());
    let request = Request::new(hello, 0);
    assert_eq!(request.caller, Caller::Root { real_uid: hello.real_uid });
    // What was left out is neither taken for absent nor for anything that loosens.
    assert_eq!(
        request.rhost.is_empty(),
        matches!(hello.rhost, Field::Absent) || is_empty(hello.rhost)
    );
    assert_eq!(request.words.is_none(), hello.arguments == Field::LeftOut);
    assert_eq!(request.service.is_none(), hello.service == Field::LeftOut);
}

fn is_empty(field: Field<&CStr>) -> bool {
    matches!(field, Field::Present(text) if text.is_empty())
}

/// As a module sends the same; what was left out was too long.
fn written(hello: &Hello<'_>) -> Vec<u8> {
    let long = CString::new(vec![b'x'; limits::PACKET]).unwrap();
    let field = |field| match field {
        Field::Absent => None,
        Field::Present(text) => Some(text),
        Field::LeftOut => Some(long.as_c_str()),
    };
    let arguments: Vec<&CStr> = match hello.arguments {
        Field::Present(words) => words.collect(),
        Field::Absent => panic!("it is never absent"),
        Field::LeftOut => vec![&long],
    };
    let outgoing = Outgoing {
        version: 1,
        hook: hello.hook,
        flags: hello.flags,
        real_uid: hello.real_uid,
        login_uid: hello.login_uid,
        audit_session: hello.audit_session,
        stdout_is_terminal: hello.stdout_is_terminal,
        stderr_is_terminal: hello.stderr_is_terminal,
        user: field(hello.user),
        service: field(hello.service),
        rhost: field(hello.rhost),
        tty: field(hello.tty),
        ruser: field(hello.ruser),
        arguments: arguments.iter().copied(),
        ssh_auth_info: field(hello.ssh_auth_info),
        authtok: field(hello.authtok),
        mark: match hello.mark {
            Field::Absent => None,
            Field::Present(mark) => Some(mark),
            Field::LeftOut => Some(long.as_bytes()),
        },
    };
    let mut buffer = vec![0; limits::PACKET];
    let length = outgoing.encode(&mut buffer).expect("its parts have room in a packet");
    buffer.truncate(length);
    buffer
}
