//! Where a login comes from, as the guess budget tells the owner's usual places from everywhere else.

use alloc::string::{String, ToString as _};
use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::str::FromStr;

use crate::encoding::HEXLOWER;

use crate::event::Place;
use crate::name::{unword, word};

/// Addresses that count as one place: the 24 bits of an IPv4 network, the 64 of an IPv6 one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Net {
    /// 24 bits.
    V4([u8; 3]),
    /// 64 bits.
    V6([u16; 4]),
}

impl Net {
    /// The network of a remote host that is a literal address.
    #[must_use]
    pub fn of(rhost: &str) -> Option<Self> {
        address(rhost).map(Self::around)
    }

    fn around(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => {
                let [a, b, c, _] = address.octets();
                Self::V4([a, b, c])
            }
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                Self::V6([a, b, c, d])
            }
        }
    }
}

impl fmt::Display for Net {
    /// `192.0.2.0/24`, `2001:db8::/64`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::V4([a, b, c]) => write!(f, "{}/24", Ipv4Addr::new(*a, *b, *c, 0)),
            Self::V6([a, b, c, d]) => {
                write!(f, "{}/64", Ipv6Addr::new(*a, *b, *c, *d, 0, 0, 0, 0))
            }
        }
    }
}

impl FromStr for Net {
    type Err = NotAnOrigin;

    fn from_str(text: &str) -> Result<Self, NotAnOrigin> {
        let (base, bits) = text.split_once('/').ok_or(NotAnOrigin)?;
        let net = match (base.parse().map_err(|_| NotAnOrigin)?, bits) {
            (base @ IpAddr::V4(_), "24") | (base @ IpAddr::V6(_), "64") => Self::around(base),
            _ => return Err(NotAnOrigin),
        };
        if net.to_string() == text { Ok(net) } else { Err(NotAnOrigin) }
    }
}

/// The most telling thing known about where a login comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The SSH public key that sshd has just verified: SHA-256 of its wire form (RFC 4253 section 6.6).
    Key([u8; 32]),
    /// An IPv4 network of 24 bits.
    Net4([u8; 3]),
    /// An IPv6 network of 64 bits.
    Net6([u16; 4]),
    /// A remote host that the service calls by a name.
    Host(String),
    /// Nobody remote: the real uid of the process that asks.
    Caller(u32),
    /// Not known, or on the word alone of a program that is not root: never one of the owner's usual places, and never learned.
    Unknown,
}

impl Origin {
    /// Picks the most telling of what is known: the key, else the remote host, else the caller.
    #[must_use]
    pub fn new(ssh_key: Option<[u8; 32]>, rhost: &str, caller: u32) -> Self {
        match ssh_key {
            Some(fingerprint) => Self::Key(fingerprint),
            None if rhost.is_empty() => Self::Caller(caller),
            None => match Net::of(rhost) {
                Some(net) => Self::from(net),
                None => Self::Host(Place::new("", rhost).from),
            },
        }
    }
}

impl From<Net> for Origin {
    fn from(net: Net) -> Self {
        match net {
            Net::V4(net) => Self::Net4(net),
            Net::V6(net) => Self::Net6(net),
        }
    }
}

/// A literal address; an IPv4 address inside an IPv6 one (RFC 4291 section 2.5.5.2) counts as IPv4, and a zone
/// (`fe80::1%eth0`) is left out.
#[must_use]
pub fn address(rhost: &str) -> Option<IpAddr> {
    let literal = rhost.split('%').next().unwrap_or(rhost);
    literal.parse::<IpAddr>().ok().map(|address| address.to_canonical())
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(fingerprint) => write!(f, "key:{}", HEXLOWER.encode(fingerprint)),
            Self::Net4(net) => write!(f, "net:{}", Net::V4(*net)),
            Self::Net6(net) => write!(f, "net:{}", Net::V6(*net)),
            Self::Host(name) => write!(f, "host:{}", word(name, 256)),
            Self::Caller(uid) => write!(f, "uid:{uid}"),
            // Never kept, so that nothing reads it.
            Self::Unknown => f.write_str("unknown"),
        }
    }
}

/// A text that `Display` of an origin never writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAnOrigin;

impl FromStr for Origin {
    type Err = NotAnOrigin;

    fn from_str(text: &str) -> Result<Self, NotAnOrigin> {
        let (kind, rest) = text.split_once(':').ok_or(NotAnOrigin)?;
        match kind {
            "key" => HEXLOWER
                .decode(rest.as_bytes())
                .ok()
                .and_then(|bytes| bytes.try_into().ok())
                .map(Self::Key),
            "net" => rest.parse::<Net>().ok().map(Self::from),
            "host" => unword(rest).filter(|name| !name.is_empty()).map(Self::Host),
            "uid" => rest.parse().ok().map(Self::Caller),
            _ => None,
        }
        // Nothing else is read than is written.
        .filter(|origin| origin.to_string() == text)
        .ok_or(NotAnOrigin)
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn addresses_of_one_network_are_one_origin() {
        assert_eq!(Origin::new(None, "192.0.2.7", 0), Origin::new(None, "192.0.2.200", 5));
        assert_eq!(Origin::new(None, "::ffff:192.0.2.7", 0), Origin::new(None, "192.0.2.200", 0));
        assert_eq!(Origin::new(None, "2001:db8::1", 0), Origin::new(None, "2001:db8::ffff:2", 0));
        assert_ne!(Origin::new(None, "192.0.2.7", 0), Origin::new(None, "192.0.3.7", 0));
        assert_eq!(Origin::new(None, "fe80::1%eth0", 0).to_string(), "net:fe80::/64");
    }

    #[test]
    fn a_verified_key_says_more_than_an_address_and_that_more_than_a_caller() {
        assert_eq!(Origin::new(Some([1; 32]), "192.0.2.7", 0), Origin::Key([1; 32]));
        assert_eq!(Origin::new(None, "", 1000), Origin::Caller(1000));
        assert_eq!(Origin::new(None, "desk.example.com", 0).to_string(), "host:desk.example.com");
    }

    #[test]
    fn every_origin_reads_back() {
        for origin in [
            Origin::Key([0xab; 32]),
            Origin::Net4([192, 0, 2]),
            Origin::Net6([0x2001, 0xdb8, 0, 1]),
            Origin::Host("a b\u{e9}".into()),
            Origin::Caller(1000),
        ] {
            assert_eq!(origin.to_string().parse(), Ok(origin));
        }
        for text in ["", "net:192.0.2.0/16", "uid:x", "key:00", "host:", "moon:1", "unknown"] {
            assert_eq!(text.parse::<Origin>(), Err(NotAnOrigin), "{text}");
        }
    }
}
