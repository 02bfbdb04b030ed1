//! IPv4 addresses inside IPv6 addresses.

use std::net::{Ipv4Addr, Ipv6Addr};

/// Returns the IPv4 addresses that a packet to `address` may reach, by every scheme that embeds one.
pub(super) fn embedded_ipv4(address: Ipv6Addr) -> impl Iterator<Item = Ipv4Addr> {
    let bits = address.to_bits();
    let at = |end: u32| Ipv4Addr::from_bits(low_32(bits >> end));
    let found = match address.segments() {
        // Compatible, mapped (RFC 4291) and translated (RFC 2765) addresses, NAT64 with the well-known prefix (RFC
        // 6052).
        [0, 0, 0, 0, 0, 0 | 0xFFFF, ..] | [0, 0, 0, 0, 0xFFFF, 0, ..] | [0x64, 0xFF9B, 0, 0, 0, 0, ..] => {
            vec![at(0)]
        }
        // NAT64 with a local prefix (RFC 8215), which may have any length from 48 on; RFC 6052 skips bits 64 to 71.
        [0x64, 0xFF9B, 1, ..] => {
            let without_octet_8 = (bits >> 64 << 56) | (bits & ((1 << 56) - 1));
            let after = |prefix: u32| Ipv4Addr::from_bits(low_32(without_octet_8 >> (88 - prefix)));
            vec![after(48), after(56), after(64), at(0)]
        }
        // 6to4 (RFC 3056).
        [0x2002, ..] => vec![at(80)],
        // Teredo (RFC 4380): the server, and the client with its bits inverted.
        [0x2001, 0, ..] => vec![at(64), Ipv4Addr::from_bits(!at(0).to_bits())],
        _ => Vec::new(),
    };
    found.into_iter()
}

fn low_32(bits: u128) -> u32 {
    #[expect(clippy::cast_possible_truncation, reason = "only the low 32 bits are wanted")]
    let low = bits as u32;
    low
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(address: &str, expected: &[&str]) {
        let found: Vec<String> = embedded_ipv4(address.parse().unwrap())
            .map(|ip| ip.to_string())
            .collect();
        assert_eq!(found, expected, "{address}");
    }

    #[test]
    fn every_scheme() {
        check("::192.0.2.33", &["192.0.2.33"]);
        check("::ffff:192.0.2.33", &["192.0.2.33"]);
        check("::ffff:0:192.0.2.33", &["192.0.2.33"]);
        check("64:ff9b::192.0.2.33", &["192.0.2.33"]);
        check("2002:c000:221::1", &["192.0.2.33"]);
        check("2001:0:c000:221::3fff:fdde", &["192.0.2.33", "192.0.2.33"]);
        check("2001:db8::192.0.2.33", &[]);
    }

    /// The examples of RFC 6052 section 2.4, under the local prefix.
    #[test]
    fn local_nat64_prefixes_of_every_length() {
        for (address, length) in [
            ("64:ff9b:1:c000:2:2100::", 48),
            ("64:ff9b:1:3c0:0:221::", 56),
            ("64:ff9b:1:344:c0:2:2100::", 64),
            ("64:ff9b:1:344::192.0.2.33", 96),
        ] {
            let found: Vec<_> = embedded_ipv4(address.parse().unwrap()).collect();
            assert!(
                found.contains(&Ipv4Addr::new(192, 0, 2, 33)),
                "{length}: {found:?}"
            );
        }
    }
}
