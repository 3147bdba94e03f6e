//! Exempt networks that cover more, or less, than they look like.

use totp_core::policy::{Network, Section};

/// Fewer given bits than these are very many addresses.
const FEWEST_BITS_IPV4: u8 = 8;
const FEWEST_BITS_IPV6: u8 = 16;

/// A sentence for a network that may not be what was meant.
pub fn remark(section: &Section, network: Network) -> Option<String> {
    let place = format!("{section} exempt_networks: {network}");
    if network.is_empty() {
        return Some(format!("{place} covers no address: write IPv4 networks as such."));
    }
    let canonical = network.canonical();
    let means =
        if canonical == network { String::new() } else { format!(" means {canonical} and") };
    let (family, fewest) =
        if network.is_ipv4() { ("IPv4", FEWEST_BITS_IPV4) } else { ("IPv6", FEWEST_BITS_IPV6) };
    let covers = match network.bits() {
        0 => format!("every {family} address"),
        bits if bits < fewest || canonical != network => {
            format!("{} addresses", power_of_two(network.free_bits()))
        }
        _ => return None,
    };
    Some(format!(
        "{place}{means} covers {covers}: a login from any of them needs no second factor."
    ))
}

/// `16,777,216`; in full where a reader can compare it.
fn power_of_two(exponent: u8) -> String {
    if exponent > 40 {
        return format!("2^{exponent}");
    }
    let digits = 1u64.checked_shl(exponent.into()).unwrap_or(u64::MAX).to_string();
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && digits.len().saturating_sub(index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(network: &str) -> Option<String> {
        let remark = remark(&Section::Policy, network.parse().unwrap())?;
        Some(remark.strip_prefix("[policy] exempt_networks: ").unwrap().to_owned())
    }

    #[test]
    fn a_network_of_everything_or_very_much_is_named() {
        let end = ": a login from any of them needs no second factor.";
        for (network, covers) in [
            ("0.0.0.0/0", "0.0.0.0/0 covers every IPv4 address"),
            ("::/0", "::/0 covers every IPv6 address"),
            ("10.0.0.0/7", "10.0.0.0/7 covers 33,554,432 addresses"),
            ("2000::/3", "2000::/3 covers 2^125 addresses"),
            ("10.0.0.5/8", "10.0.0.5/8 means 10.0.0.0/8 and covers 16,777,216 addresses"),
            ("10.0.0.5/0", "10.0.0.5/0 means 0.0.0.0/0 and covers every IPv4 address"),
        ] {
            assert_eq!(said(network), Some(format!("{covers}{end}")));
        }
    }

    #[test]
    fn a_network_that_is_what_it_looks_like_is_not_named() {
        for network in ["10.0.0.0/8", "192.0.2.7", "2001::/16", "2001:db8::/32", "::1"] {
            assert_eq!(said(network), None);
        }
    }

    #[test]
    fn a_network_that_covers_nothing_is_named() {
        let said = said("::ffff:10.0.0.0/104").unwrap();
        assert!(said.ends_with("covers no address: write IPv4 networks as such."), "{said}");
    }
}
