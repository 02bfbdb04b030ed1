//! The authority of a URL: user part, host and port (behaviour 1.5).

use std::net::Ipv4Addr;

use super::domain;
use super::split::ipv6_and_zone;
use super::user_info;

/// Maximum length of a host in characters, that of a domain name. Longer hosts are not examined.
const LONGEST_HOST: usize = 253;

/// A valid authority.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Authority<'a> {
    /// The text before the `@`; empty if there is none.
    pub(super) user_info: &'a str,
    /// The text after the `@`, as written.
    pub(super) host_port: &'a str,
    pub(super) host: Host<'a>,
    /// The port; `None` if there is none.
    pub(super) port: Option<u16>,
}

/// A host that is valid by behaviour 1.5, as written.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Host<'a> {
    Domain(&'a str),
    Ipv4(&'a str),
    Ipv6 { address: &'a str, zone: Option<&'a str> },
}

impl<'a> Authority<'a> {
    /// Reads an authority; returns `None` if it is not valid. Unlike in Python, a backslash makes it invalid:
    /// `requests` ends the authority there and would dial a host other than the one that was judged.
    pub(super) fn read(authority: &'a str) -> Option<Self> {
        if authority.contains('\\') {
            return None;
        }
        let (user_info, host_port) = match authority.split_once('@') {
            Some((_, rest)) if rest.contains('@') => return None,
            Some(parts) => parts,
            None => ("", authority),
        };
        if !user_info::is_valid(user_info) {
            return None;
        }
        let is_ipv6 = host_port.starts_with('[') && host_port.matches(':').nth(1).is_some();
        let unbracketed = if is_ipv6 && !authority.contains("]:") {
            host_port.trim_start_matches('[').strip_suffix(']')?
        } else {
            host_port
        };
        let (host, port) = split_port(unbracketed);
        let host = valid_host(host, is_ipv6)?;
        Some(Self {
            user_info,
            host_port,
            host,
            port,
        })
    }
}

/// Returns the host, and the port if the text after the colon is one.
fn split_port(host_port: &str) -> (&str, Option<u16>) {
    let is_one = |pattern| host_port.matches(pattern).take(2).count() == 1;
    if let Some((host, port)) = host_port.rsplit_once(':')
        && let Some(port) = port_number(port)
    {
        if is_one("]:") {
            return (host.trim_start_matches('[').trim_end_matches(']'), Some(port));
        }
        if is_one(":") {
            return (host, Some(port));
        }
    }
    (host_port, None)
}

/// Parses a port: 1 to 65535 without a leading zero.
fn port_number(text: &str) -> Option<u16> {
    let is_plain = !text.starts_with('0') && text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|_| is_plain)
}

/// Returns the host, if it is valid. Only an IPv6 address may contain a colon.
fn valid_host(host: &str, is_ipv6: bool) -> Option<Host<'_>> {
    if host.chars().nth(LONGEST_HOST).is_some() {
        None
    } else if host.contains(':') {
        let (_, zone) = ipv6_and_zone(host).filter(|_| is_ipv6)?;
        Some(Host::Ipv6 {
            address: host.split('%').next()?,
            zone,
        })
    } else if domain::is_valid(host) {
        Some(Host::Domain(host))
    } else {
        host.parse::<Ipv4Addr>().is_ok().then_some(Host::Ipv4(host))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(authority: &str, host: Host<'_>, port: Option<u16>) {
        let read = Authority::read(authority).map(|authority| (authority.host, authority.port));
        assert_eq!(read, Some((host, port)), "{authority}");
    }

    #[test]
    fn hosts_and_ports() {
        check("example.com", Host::Domain("example.com"), None);
        check("u:p@example.com:8080", Host::Domain("example.com"), Some(8080));
        check("127.0.0.1:9000", Host::Ipv4("127.0.0.1"), Some(9000));
        check(
            "[::1]",
            Host::Ipv6 {
                address: "::1",
                zone: None,
            },
            None,
        );
        check(
            "[fe80::1%eth0]:80",
            Host::Ipv6 {
                address: "fe80::1",
                zone: Some("eth0"),
            },
            Some(80),
        );
        check("[v1.example]:80", Host::Domain("v1.example"), Some(80));
    }

    #[test]
    fn what_no_host_form_allows() {
        for bad in [
            "",
            "@",
            "localhost",
            "a.b:",
            "a.b:0",
            "a.b:080",
            "a.b:65536",
            "a.b:+1",
            "a.b:1:2",
            "a@b@c.de",
            "a]:b@[::1]",
            "[::1]:",
            "1.2.3.4.5",
            "01.2.3.4",
            "a_b.c_d",
            "u\\.@example.com",
        ] {
            assert_eq!(Authority::read(bad), None, "{bad}");
        }
    }

    #[test]
    fn long_hosts_are_not_looked_at() {
        let host = |labels: usize| format!("{}com", "a.".repeat(labels));
        assert!(Authority::read(&host(125)).is_some());
        assert!(Authority::read(&host(126)).is_none());
        assert!(Authority::read(&"é.".repeat(100_000)).is_none());
    }
}
