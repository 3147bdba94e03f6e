//! The values that keys of `config.toml` can have: read by `FromStr` or serde, checked once, at the edge.

use alloc::borrow::ToOwned;
use alloc::string::String;
use core::fmt;
use core::net::IpAddr;
use core::str::FromStr;

use serde::de::{self, Deserializer};
use serde::{Deserialize, Serialize, Serializer};

use crate::budget::YearlyChance;
use crate::otp::Algorithm;
use crate::time::Date;

/// A user's name, or a group's as `@name`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Who {
    /// A user.
    User(String),
    /// Everybody in a group, primary or not.
    Group(String),
}

/// An IP network, such as `10.0.0.0/8`; without a length, one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    base: IpAddr,
    bits: u8,
}

impl Network {
    /// How many bits an address inside may have as it likes.
    #[must_use]
    pub fn free_bits(self) -> u8 {
        self.width().saturating_sub(self.bits)
    }

    /// How many bits are given.
    #[must_use]
    pub fn bits(self) -> u8 {
        self.bits
    }

    /// Whether it is one of IPv4 addresses.
    #[must_use]
    pub fn is_ipv4(self) -> bool {
        self.base.is_ipv4()
    }

    /// Whether no address is ever inside: one of IPv4 addresses, written as those of IPv6, counts as IPv4.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.base.to_canonical() != self.base && self.bits >= 96
    }

    /// The same network, with all free bits of its base 0.
    #[must_use]
    pub fn canonical(self) -> Self {
        let free = u32::from(self.free_bits());
        let base = match self.base {
            IpAddr::V4(base) => {
                let mask = u32::MAX.checked_shl(free).unwrap_or(0);
                IpAddr::V4((base.to_bits() & mask).into())
            }
            IpAddr::V6(base) => {
                let mask = u128::MAX.checked_shl(free).unwrap_or(0);
                IpAddr::V6((base.to_bits() & mask).into())
            }
        };
        Self { base, bits: self.bits }
    }

    fn width(self) -> u8 {
        if self.base.is_ipv4() { 32 } else { 128 }
    }

    /// Whether `address` is inside. An IPv4 address inside an IPv6 one counts as IPv4.
    #[must_use]
    pub fn contains(self, address: IpAddr) -> bool {
        match (self.base, address.to_canonical()) {
            (IpAddr::V4(base), IpAddr::V4(address)) => {
                same_prefix(base.to_bits().into(), address.to_bits().into(), 32, self.bits)
            }
            (IpAddr::V6(base), IpAddr::V6(address)) => {
                same_prefix(base.to_bits(), address.to_bits(), 128, self.bits)
            }
            _ => false,
        }
    }
}

fn same_prefix(a: u128, b: u128, width: u8, bits: u8) -> bool {
    let host = u32::from(width.saturating_sub(bits));
    // All host bits of a /0 of IPv6 would be a shift by the whole width.
    a.checked_shr(host).unwrap_or(0) == b.checked_shr(host).unwrap_or(0)
}

impl FromStr for Network {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const WHAT: &str = "not an IP network such as 10.0.0.0/8 or 2001:db8::/32";
        let (base, bits) = match text.split_once('/') {
            Some((base, bits)) => (base, Some(bits)),
            None => (text, None),
        };
        let base: IpAddr = base.parse().map_err(|_| WHAT)?;
        let width: u8 = if base.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Ok(width), |bits| bits.parse::<u8>().map_err(|_| WHAT))?;
        if bits > width {
            return Err(WHAT);
        }
        Ok(Self { base, bits })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.base, self.bits)
    }
}

impl FromStr for Who {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.strip_prefix('@') {
            Some("") => Err("a group has a name behind the @"),
            Some(group) => Ok(Self::Group(group.to_owned())),
            None if text.is_empty() => Err("a user's name is not empty"),
            None => Ok(Self::User(text.to_owned())),
        }
    }
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(name) => f.write_str(name),
            Self::Group(name) => write!(f, "@{name}"),
        }
    }
}

/// Types that are texts in the file: read by `FromStr`, written by `Display`.
macro_rules! as_text {
    ($($type:ty),*) => {$(
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
            }
        }

        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
    )*};
}

pub(super) use as_text;

as_text!(Network, Who, AbsolutePath, AlgorithmKey, Argument);

/// A whole number from `LEAST` to `MOST`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limited<const LEAST: u64, const MOST: u64>(pub(super) u64);

impl<const LEAST: u64, const MOST: u64> Limited<LEAST, MOST> {
    /// The number.
    #[must_use]
    pub fn get(self) -> u64 {
        self.0
    }
}

impl<'de, const LEAST: u64, const MOST: u64> Deserialize<'de> for Limited<LEAST, MOST> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = i64::deserialize(deserializer)?;
        match u64::try_from(number) {
            Ok(number) if (LEAST..=MOST).contains(&number) => Ok(Self(number)),
            _ => {
                let text = alloc::format!("{number} is not from {LEAST} to {MOST}");
                Err(de::Error::custom(text))
            }
        }
    }
}

impl<const LEAST: u64, const MOST: u64> Serialize for Limited<LEAST, MOST> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(self.0)
    }
}

/// A chance from 0.0001 to 0.01.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Chance(pub(super) f64);

impl<'de> Deserialize<'de> for Chance {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let chance = f64::deserialize(deserializer)?;
        match YearlyChance::new(chance, 1) {
            Some(_) => Ok(Self(chance)),
            None => Err(de::Error::custom("a chance is from 0.0001 to 0.01")),
        }
    }
}

/// A path that begins with `/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AbsolutePath(pub(super) String);

impl AbsolutePath {
    /// The path.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for AbsolutePath {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.starts_with('/') && !text.contains('\0') {
            Ok(Self(text.to_owned()))
        } else {
            Err("a path begins with /")
        }
    }
}

impl fmt::Display for AbsolutePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// `algorithm`, as it stands in the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AlgorithmKey(pub Algorithm);

impl FromStr for AlgorithmKey {
    type Err = crate::otp::ParameterError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

impl fmt::Display for AlgorithmKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A day, written as a TOML date without quotes: `2027-01-31`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DateKey(pub Date);

impl<'de> Deserialize<'de> for DateKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = DateKey;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a day such as 2027-01-31, without quotes")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<DateKey, E> {
                day(text).map(DateKey).ok_or_else(|| E::custom("not a day such as 2027-01-31"))
            }
        }

        fn day(text: &str) -> Option<Date> {
            let mut parts = text.split('-').map(|part| part.parse().ok());
            Date::new(parts.next()??, parts.next()??, parts.next()??)
        }

        // Dates are read under this name; serde has none for them.
        deserializer.deserialize_unit_struct("Date", Visitor)
    }
}

impl Serialize for DateKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (year, month, day) = self.0.parts();
        let field = |number: u64| u8::try_from(number).unwrap_or_default(); // a month, a day
        let year = u16::try_from(year).unwrap_or(9999);
        let date = toml::value::Date { year, month: field(month), day: field(day) };
        toml::value::Datetime { date: Some(date), time: None, offset: None }.serialize(serializer)
    }
}

/// An argument of a command: any text without a null.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Argument(String);

impl Argument {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Argument {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.contains('\0') { Err("a null byte") } else { Ok(Self(text.to_owned())) }
    }
}

impl fmt::Display for Argument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
