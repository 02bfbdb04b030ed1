//! The host to dial, as normalised by urllib3.

use super::escape::{escaped_byte, is_unreserved};
use super::idna2008;
use super::unsendable::Unsendable;
use crate::python_text::repr;

/// Returns the host, in lower case except for an IPv6 zone, and the port of an authority (`urlparse(url).hostname` and
/// `.port`).
pub(super) fn host_and_port(authority: &str) -> Result<(String, Option<u16>), Unsendable> {
    let host_port = authority.rsplit('@').next().unwrap_or(authority);
    let (host, port) = match host_port.split_once('[') {
        Some((_, bracketed)) => {
            let (host, rest) = bracketed.split_once(']').unwrap_or((bracketed, ""));
            (host, rest.split_once(':').map_or("", |(_, port)| port))
        }
        None => host_port.split_once(':').unwrap_or((host_port, "")),
    };
    let port = match port {
        "" => None,
        digits if digits.bytes().all(|b| b.is_ascii_digit()) => {
            let port = digits.trim_start_matches('0');
            let port = if port.is_empty() { Ok(0) } else { port.parse() };
            Some(port.map_err(|_| Unsendable {
                text: "Port out of range 0-65535".to_owned(),
            })?)
        }
        other => {
            let text = format!("Port could not be cast to integer value as {}", repr(other));
            return Err(Unsendable { text });
        }
    };
    if host.is_empty() {
        return Err(Unsendable {
            text: "No host specified.".to_owned(),
        });
    }
    let (name, zone) = host.split_at(host.find('%').unwrap_or(host.len()));
    Ok((name.to_lowercase() + zone, port))
}

/// Returns the normal form of a host without brackets (urllib3's `_normalize_host`): lower case, A-labels, escapes of
/// unreserved characters decoded. A host that consists of numbers, such as `127.1` or `0x7f000001`, stays as it is: the
/// system's resolver reads it as an IPv4 address.
pub(super) fn normalise(host: &str) -> Result<String, Unsendable> {
    if let Some(control) = host.chars().find(|&c| c <= ' ' || c == '\x7F') {
        return Err(invalid_character(host, control));
    }
    if is_ipv4_like(host) {
        return Ok(host.to_owned());
    }
    let host = undo_escapes(host)?;
    let labels: Vec<String> = host.split('.').map(normalise_label).collect::<Result<_, _>>()?;
    Ok(labels.join("."))
}

/// Returns urllib3's refusal of a control character.
pub(super) fn invalid_character(host: &str, control: char) -> Unsendable {
    let (host, control) = (repr(host), repr(control.encode_utf8(&mut [0; 4])));
    Unsendable::unparsable(&format!("Host {host} contains invalid character {control}"))
}

/// Returns whether the host consists of one to four decimal or hexadecimal numbers.
fn is_ipv4_like(host: &str) -> bool {
    let is_number = |part: &str| match part.strip_prefix("0x").or_else(|| part.strip_prefix("0X")) {
        Some(digits) => !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_hexdigit()),
        None => !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()),
    };
    host.split('.').take(5).count() <= 4 && host.split('.').all(is_number)
}

fn undo_escapes(host: &str) -> Result<String, Unsendable> {
    let mut parts = host.split('%');
    let mut undone = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let Some(byte) = escaped_byte(format!("%{part}").as_bytes()) else {
            return Err(Unsendable::unparsable(&format!(
                "{} is not a valid host",
                repr(host)
            )));
        };
        let (digits, rest) = part.split_at(2);
        if byte.is_ascii_control() {
            let (host, escape) = (repr(host), repr(&format!("%{digits}")));
            return Err(Unsendable::unparsable(&format!(
                "Host {host} contains invalid percent-encoded control character {escape}"
            )));
        }
        if is_unreserved(byte) {
            undone.push(char::from(byte));
        } else {
            undone.push('%');
            undone.push_str(&digits.to_ascii_uppercase());
        }
        undone.push_str(rest);
    }
    Ok(undone)
}

fn normalise_label(label: &str) -> Result<String, Unsendable> {
    if !label.is_ascii() {
        return idna2008::to_a_label(label)
            .ok_or_else(|| Unsendable::unparsable(&format!("Name '{label}' is not a valid IDNA label")));
    }
    let mut parts = label.split('%');
    let mut normal = parts.next().unwrap_or_default().to_ascii_lowercase();
    for part in parts {
        let (digits, rest) = part.split_at_checked(2).unwrap_or((part, ""));
        normal.push('%');
        normal.push_str(&digits.to_ascii_uppercase());
        normal.push_str(&rest.to_ascii_lowercase());
    }
    Ok(normal)
}

/// Returns the `Host` header for a normalised host: an IPv6 address in brackets and without its zone, and no trailing
/// dots.
pub(super) fn header(host: &str, port: Option<u16>) -> String {
    let host = host.trim_end_matches('.');
    let host = if host.contains(':') {
        format!("[{}]", host.split('%').next().unwrap_or(host))
    } else {
        host.to_owned()
    };
    match port {
        Some(port) => format!("{host}:{port}"),
        None => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(host: &str, expected: &str) {
        let normal = normalise(host).unwrap_or_else(|unsendable| unsendable.text);
        assert_eq!(normal, expected, "{host}");
    }

    #[test]
    fn hosts() {
        check("EXAMPLE.com.", "example.com.");
        check("Bücher.DE", "xn--bcher-kva.de");
        check("127.1", "127.1");
        check("1.2.3.0xA", "1.2.3.0xA");
        check("0XG.1", "0xg.1");
        check("1.2.3.4.5", "1.2.3.4.5");
        check("ex%61mple%2d%c3.com", "example-%C3.com");
        check("2001:DB8::1", "2001:db8::1");
    }

    #[test]
    fn what_urllib3_refuses() {
        check("☃.net", "Failed to parse: Name '☃' is not a valid IDNA label");
        check("a%zz", "Failed to parse: 'a%zz' is not a valid host");
        check(
            "a%0a",
            "Failed to parse: Host 'a%0a' contains invalid percent-encoded control character '%0a'",
        );
        check(
            "a\u{1}",
            "Failed to parse: Host 'a\\x01' contains invalid character '\\x01'",
        );
    }
}
