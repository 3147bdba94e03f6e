//! Versions and sizes, in bytes. The sizes of a hello add up to less than a packet: one of its fields never displaces another.

/// The lowest version that this code speaks.
pub const LOWEST_VERSION: u16 = 1;

/// The highest version that this code speaks.
pub const HIGHEST_VERSION: u16 = 1;

/// The largest packet.
pub const PACKET: usize = 65_536;

/// The longest user name. The daemon looks no name up that is longer than 256 bytes.
pub const USER: usize = 1_024;

/// The longest service name: that of a file.
pub const SERVICE: usize = 255;

/// The longest name of a remote host.
pub const RHOST: usize = 1_024;

/// The longest name of a terminal.
pub const TTY: usize = 512;

/// The longest name of a remote user.
pub const RUSER: usize = 1_024;

/// All words of the PAM line together, with two bytes of length and a NUL each.
pub const ARGUMENTS: usize = 8_192;

/// The longest `SSH_AUTH_INFO_0`: room for a certificate of 16 KiB, in base64, and the key it came with.
pub const SSH_AUTH_INFO: usize = 28_672;

/// The longest password.
pub const AUTHTOK: usize = 2_048;

/// The largest mark.
pub const MARK: usize = 20_480;

/// The longest answer to a prompt. PAM itself has 512 bytes for it.
pub const ANSWER: usize = 4_096;

/// The longest prompt, message or line of the log.
pub const TEXT: usize = 8_192;
