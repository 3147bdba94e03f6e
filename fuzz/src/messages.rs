//! The messages of a conversation, in both directions.

use totp_wire::{ToDaemon, ToModule, limits};

/// What the daemon says, as the module reads it: written again it is the same bytes; a byte more or less, and it is none.
pub fn to_module(data: &[u8]) {
    let Ok(message) = ToModule::decode(data) else { return };
    same(data, |buffer| message.encode(buffer).ok());
    assert!(ToModule::decode(&data[..data.len() - 1]).is_err());
    assert!(ToModule::decode(&[data, &[0]].concat()).is_err());
    match message {
        ToModule::Ask { text, .. } | ToModule::Tell { text, .. } | ToModule::Log { text, .. } => {
            assert!(text.to_bytes().len() <= limits::TEXT);
        }
        ToModule::SetAuthtok { text } => assert!(text.to_bytes().len() <= limits::AUTHTOK),
        ToModule::Done { mark, .. } => assert!(mark.len() <= limits::MARK),
        ToModule::Here { .. } | ToModule::Busy | ToModule::FailDelay { .. } => {}
    }
}

/// What the module answers, as the daemon reads it.
pub fn to_daemon(data: &[u8]) {
    let Ok(message) = ToDaemon::decode(data) else { return };
    same(data, |buffer| message.encode(buffer).ok());
    assert!(ToDaemon::decode(&data[..data.len() - 1]).is_err());
    assert!(ToDaemon::decode(&[data, &[0]].concat()).is_err());
    if let ToDaemon::Answer { text, .. } = message {
        assert!(text.to_bytes().len() <= limits::ANSWER);
    }
}

fn same(data: &[u8], encode: impl FnOnce(&mut [u8]) -> Option<usize>) {
    let mut buffer = vec![0; limits::PACKET];
    let length = encode(&mut buffer).expect("what was read has room");
    assert_eq!(&buffer[..length], data);
}
