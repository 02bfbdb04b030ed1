//! The addresses to which callbacks may be sent (design.md, "Callback target policy").
//!
//! The URL comes from a stranger, who without a policy could make this program call anything that it can reach. The
//! policy applies to the address that is dialled, after every name resolution and on every redirect.

mod embedded;
mod scope;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use ipnet::IpNet;

use self::embedded::embedded_ipv4;
use self::scope::is_public;

/// The addresses to which callbacks may be sent: all, public ones, or those of some networks. Link-local addresses and
/// those under which clouds hand out credentials are never permitted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum TargetPolicy {
    /// All addresses.
    #[default]
    Any,
    /// Globally routable unicast addresses.
    Public,
    /// Addresses of these networks.
    Networks(Vec<IpNet>),
}

/// The reason why a policy cannot be parsed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// A text is neither a keyword nor a network.
    #[error("{0:?} is not a network; expected \"any\", \"public\" or networks such as 10.0.0.0/8,fd00::/8")]
    NotANetwork(String),
    /// A text is an address within a network instead of the network.
    #[error("{network} has bits set beyond its prefix; did you mean {}?", .network.trunc())]
    HostBits {
        /// The network as given.
        network: IpNet,
    },
}

impl TargetPolicy {
    /// Returns whether a callback may be sent to `address`. An IPv6 address that embeds an IPv4 address (mapped,
    /// compatible, translated, NAT64, 6to4, Teredo) is never permitted if that address is always refused.
    pub fn permits(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        if is_refused_always(address) {
            return false;
        }
        match self {
            Self::Any => true,
            Self::Public => is_public(address),
            Self::Networks(networks) => networks.iter().any(|network| network.contains(&address)),
        }
    }
}

/// The addresses of instance metadata: AWS (also over IPv6), Google (over IPv6), Alibaba, Azure's `WireServer`, Oracle.
/// Most others are link-local.
const METADATA: [IpAddr; 5] = [
    IpAddr::V6(Ipv6Addr::new(0xFD00, 0xEC2, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V6(Ipv6Addr::new(0xFD20, 0xCE, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
];

fn is_refused_always(address: IpAddr) -> bool {
    METADATA.contains(&address)
        || match address {
            IpAddr::V4(address) => address.is_link_local(),
            IpAddr::V6(address) => {
                address.is_unicast_link_local()
                    || embedded_ipv4(address).any(|embedded| is_refused_always(IpAddr::V4(embedded)))
            }
        }
}

impl FromStr for TargetPolicy {
    type Err = PolicyError;

    fn from_str(text: &str) -> Result<Self, PolicyError> {
        match text.trim() {
            "any" => Ok(Self::Any),
            "public" => Ok(Self::Public),
            networks => networks
                .split(',')
                .map(|network| parse_network(network.trim()))
                .collect(),
        }
    }
}

impl FromIterator<IpNet> for TargetPolicy {
    fn from_iter<T: IntoIterator<Item = IpNet>>(networks: T) -> Self {
        Self::Networks(networks.into_iter().collect())
    }
}

/// Parses a network or a single address.
fn parse_network(text: &str) -> Result<IpNet, PolicyError> {
    let network: IpNet = text
        .parse()
        .or_else(|_| text.parse::<IpAddr>().map(IpNet::from))
        .map_err(|_| PolicyError::NotANetwork(text.to_owned()))?;
    if network == network.trunc() {
        Ok(network)
    } else {
        Err(PolicyError::HostBits { network })
    }
}

/// Writes the form that can be parsed.
impl fmt::Display for TargetPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("any"),
            Self::Public => f.write_str("public"),
            Self::Networks(networks) => {
                for (at, network) in networks.iter().enumerate() {
                    write!(f, "{}{network}", if at == 0 { "" } else { "," })?;
                }
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(policy: &str, permitted: &[&str], refused: &[&str]) {
        let policy: TargetPolicy = policy.parse().unwrap();
        let permits = |address: &&&str| policy.permits(address.parse().unwrap());
        assert_eq!(
            permitted.iter().find(|address| !permits(address)),
            None,
            "refused by {policy}"
        );
        assert_eq!(refused.iter().find(permits), None, "permitted by {policy}");
    }

    const REFUSED_ALWAYS: [&str; 24] = [
        "169.254.169.254",
        "169.254.0.1",
        "100.100.100.200",
        "168.63.129.16",
        "192.0.0.192",
        "fe80::1",
        "febf::1",
        "fd00:ec2::254",
        "fd20:ce::254",
        "::ffff:169.254.169.254",
        "::ffff:100.100.100.200",
        "::169.254.169.254",
        "::ffff:0:169.254.169.254",
        "64:ff9b::169.254.169.254",
        "64:ff9b:1::169.254.169.254",
        "64:ff9b:1:a9fe:a9:fe00::",
        "64:ff9b:1:a9:fe:a9fe::",
        "64:ff9b:1:0:a9:fea9:fe00:0",
        "64:ff9b:1:1234::169.254.169.254",
        "2002:a9fe:a9fe::1",
        "2001:0:a9fe:a9fe::1",
        "2001:0:0102:0304::5601:5601",
        "2002:6464:64c8::",
        "64:ff9b::100.100.100.200",
    ];

    #[test]
    fn some_addresses_are_refused_always() {
        for policy in [
            "any",
            "public",
            "0.0.0.0/0,::/0",
            "169.254.0.0/16,fe80::/10,fd00::/8",
        ] {
            check(policy, &[], &REFUSED_ALWAYS);
        }
    }

    #[test]
    fn any_permits_all_others() {
        check(
            "any",
            &[
                "127.0.0.1",
                "10.0.0.1",
                "8.8.8.8",
                "0.0.0.0",
                "::1",
                "fd00::1",
                "::ffff:10.0.0.1",
            ],
            &[],
        );
    }

    #[test]
    fn public_permits_no_others_than_public_ones() {
        let public = ["8.8.8.8", "2606:4700:4700::1111", "::ffff:8.8.8.8"];
        check(
            "public",
            &public,
            &[
                "127.0.0.1",
                "10.0.0.1",
                "::1",
                "fd00::1",
                "::ffff:10.0.0.1",
                "224.0.0.1",
            ],
        );
    }

    #[test]
    fn networks_permit_their_own() {
        check(
            "10.0.0.0/8, 192.0.2.1,fd00::/8",
            &["10.1.2.3", "192.0.2.1", "fd12::1", "::ffff:10.1.2.3"],
            &["11.0.0.1", "192.0.2.2", "fe00::1", "::1", "64:ff9b::10.1.2.3"],
        );
    }

    #[test]
    fn reads_what_it_shows() {
        for text in ["any", "public", "10.0.0.0/8", "10.0.0.0/8,192.0.2.1/32,fd00::/8"] {
            assert_eq!(text.parse::<TargetPolicy>().unwrap().to_string(), text);
        }
        assert_eq!(
            " 10.0.0.1 , ::1".parse::<TargetPolicy>().unwrap().to_string(),
            "10.0.0.1/32,::1/128"
        );
        assert_eq!(TargetPolicy::default(), TargetPolicy::Any);
    }

    #[test]
    fn errors_name_the_mistake() {
        let error = |text: &str| text.parse::<TargetPolicy>().unwrap_err().to_string();
        let expected = "expected \"any\", \"public\" or networks such as 10.0.0.0/8,fd00::/8";
        assert_eq!(
            error("10.0.0.0/33"),
            format!("\"10.0.0.0/33\" is not a network; {expected}")
        );
        assert_eq!(
            error("private"),
            format!("\"private\" is not a network; {expected}")
        );
        assert_eq!(error("10.0.0.0/8,"), format!("\"\" is not a network; {expected}"));
        assert_eq!(
            error("public,10.0.0.0/8"),
            format!("\"public\" is not a network; {expected}")
        );
        assert_eq!(
            error("10.0.0.1/8"),
            "10.0.0.1/8 has bits set beyond its prefix; did you mean 10.0.0.0/8?"
        );
    }
}
