//! The messages between the PAM module and the daemon: types, encoding, limits. No I/O, no allocation.
//!
//! One packet of a `SOCK_SEQPACKET` socket is one message. Its first byte is the message's type; integers are
//! little-endian; a text is its length, its bytes and a NUL, so that the module can hand pointers into a packet to libpam.
//! An unknown type, a trailing byte, a packet that ends early and a NUL inside a text are errors, and an error ends the
//! conversation. An empty packet reads as the end of the connection: there is none.
//!
//! The daemon speaks first: [`ToModule::Here`], with the versions it understands. The module answers with a
//! [`hello`], which carries all that the decision can need. From then on the daemon says what to do, and the module
//! answers where an answer is due ([`ToDaemon`]).
//!
//! | file | contents |
//! |---|---|
//! | [`limits`] | versions and sizes |
//! | [`sockets`] | where a daemon listens |
//! | [`packet`] | reading and writing the parts of a packet |
//! | [`hello`] | the module's first message |
//! | [`to_module`], [`to_daemon`] | the messages of a conversation |
#![no_std]
#![forbid(unsafe_code)]

pub mod hello;
pub mod limits;
pub mod packet;
pub mod sockets;
pub mod to_daemon;
pub mod to_module;

pub use hello::{Field, Hello, Hook, Outgoing, Words};
pub use packet::Malformed;
pub use to_daemon::ToDaemon;
pub use to_module::{Later, Priority, ReturnCode, Style, ToModule};
