//! Packets of a module, one after the other, through a real socket to the daemon's own reader. The daemon is a program and no
//! library, so that its reader is read in here. The input: packets, each behind its length in two bytes.

use rustix::net::{
    AddressFamily, SendFlags, Shutdown, SocketFlags, SocketType, send, shutdown, socketpair,
};
use totp_wire::hello::First;
use totp_wire::{ToDaemon, ToModule};

use self::connection::Connection;

#[path = "../../totpd/src/connection.rs"]
#[allow(dead_code, unexpected_cfgs)] // read for another crate
mod connection;

/// More in one go than a socket's buffer takes would wait for a reader.
const MOST_PACKETS: usize = 64;
const MOST_BYTES: usize = 65_536;

/// Each packet is read as itself and no other, in its order; what is no message ends the conversation there; and nothing waits.
pub fn check(data: &[u8]) {
    let packets = packets(data);
    let flags = SocketFlags::CLOEXEC;
    let (ours, theirs) =
        socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None).unwrap();
    for packet in &packets {
        assert_eq!(send(&theirs, packet, SendFlags::NOSIGNAL), Ok(packet.len()));
    }
    shutdown(&theirs, Shutdown::Write).unwrap();
    let mut connection = Connection::new(ours);
    assert!(connection.is_there(), "half closed is not gone");
    connection.send(&ToModule::FIRST).expect("room");
    let mut packets = packets.iter();
    let first = packets.next();
    let read = connection.receive_first(|packet| {
        assert_eq!(Some(packet), first.map(Vec::as_slice));
        First::decode(packet).ok().map(|first| matches!(first, First::Hello(_)))
    });
    let expected = first.and_then(|packet| First::decode(packet).ok());
    assert_eq!(read.ok(), expected.map(|first| matches!(first, First::Hello(_))));
    if read != Ok(true) {
        return;
    }
    for packet in packets {
        connection.send(&ToModule::Ask { echo: false, text: c"Code: " }).expect("room");
        let read = connection.receive_answer(|answer| {
            assert_eq!(Ok(answer), ToDaemon::decode(packet));
            Some(())
        });
        assert_eq!(read.is_ok(), ToDaemon::decode(packet).is_ok());
        if read.is_err() {
            break;
        }
    }
}

fn packets(mut data: &[u8]) -> Vec<Vec<u8>> {
    let (mut packets, mut bytes) = (Vec::new(), 0_usize);
    while let Some((length, rest)) = data.split_first_chunk() {
        let length = usize::from(u16::from_le_bytes(*length)).min(rest.len());
        let (packet, rest) = rest.split_at(length);
        bytes += length;
        if bytes > MOST_BYTES || packets.len() == MOST_PACKETS {
            break;
        }
        packets.push(packet.to_vec());
        data = rest;
    }
    packets
}
