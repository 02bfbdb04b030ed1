//! The preparation of a valid URL by `requests` before it sends anything (`PreparedRequest.prepare_url`).

use super::authority::{Authority, Host};
use super::escape::{escape, is_path_byte, is_query_byte, is_unreserved, is_user_info_byte, requote};
use super::host;
use super::unsendable::Unsendable;
use crate::python_text::repr;

/// Prepares a valid `url`, whose lone surrogates count as bytes; `authority` is its authority.
pub(super) fn prepare(url: &[u8], authority: &Authority<'_>) -> Result<String, Unsendable> {
    let parts = Parts::of(url);
    let mut prepared = String::with_capacity(url.len());
    prepared.push_str(if parts.scheme.eq_ignore_ascii_case(b"https") {
        "https://"
    } else {
        "http://"
    });
    if !parts.user_info.is_empty() {
        prepared.push_str(&escape(parts.user_info, is_user_info_byte));
        prepared.push('@');
    }
    prepared.push_str(&host_text(authority)?);
    if let Some(port) = authority.port {
        prepared.push(':');
        prepared.push_str(&port.to_string());
    }
    prepared.push_str(&escape(&without_dot_segments(parts.path), is_path_byte));
    for (delimiter, part) in [('?', parts.query), ('#', parts.fragment)] {
        if !part.is_empty() {
            prepared.push(delimiter);
            prepared.push_str(&escape(part, is_query_byte));
        }
    }
    Ok(requote(&prepared))
}

/// A valid URL, split as by urllib3.
struct Parts<'a> {
    scheme: &'a [u8],
    user_info: &'a [u8],
    path: &'a [u8],
    query: &'a [u8],
    fragment: &'a [u8],
}

impl<'a> Parts<'a> {
    fn of(url: &'a [u8]) -> Self {
        let (scheme, rest) = cut(url, |b| b == b':');
        let rest = rest.strip_prefix(b"//").unwrap_or(rest);
        let path_at = rest.iter().position(|b| b"/?#".contains(b)).unwrap_or(rest.len());
        let (authority, rest) = rest.split_at(path_at);
        let user_info = authority
            .iter()
            .position(|&b| b == b'@')
            .map_or(&[][..], |at| &authority[..at]);
        let (rest, fragment) = cut(rest, |b| b == b'#');
        let (path, query) = cut(rest, |b| b == b'?');
        Self {
            scheme,
            user_info,
            path,
            query,
            fragment,
        }
    }
}

/// Returns the parts before and after the first byte that is a `delimiter`.
fn cut(text: &[u8], delimiter: fn(u8) -> bool) -> (&[u8], &[u8]) {
    match text.iter().position(|&b| delimiter(b)) {
        Some(at) => (&text[..at], &text[at + 1..]),
        None => (text, &[]),
    }
}

fn host_text(authority: &Authority<'_>) -> Result<String, Unsendable> {
    match authority.host {
        Host::Domain(name) if !authority.host_port.starts_with('[') => host::normalise(name),
        Host::Ipv4(address) => Ok(address.to_owned()),
        Host::Ipv6 { address, zone: None } => Ok(format!("[{}]", address.to_ascii_lowercase())),
        Host::Ipv6 {
            address,
            zone: Some(zone),
        } if zone.bytes().all(is_unreserved) => {
            let zone = zone
                .strip_prefix("25")
                .filter(|zone| !zone.is_empty())
                .unwrap_or(zone);
            Ok(format!("[{}%{zone}]", address.to_ascii_lowercase()))
        }
        _ => Err(no_host(authority.host_port)),
    }
}

fn no_host(host_port: &str) -> Unsendable {
    match host_port.chars().find(|&c| c <= ' ' || c == '\x7F') {
        Some(control) => host::invalid_character(host_port, control),
        None => Unsendable::unparsable(&format!("{} is not a valid host or port", repr(host_port))),
    }
}

/// Applies RFC 3986 section 5.2.4, before any escape is decoded. A path without segments becomes `/`.
fn without_dot_segments(path: &[u8]) -> Vec<u8> {
    let mut kept: Vec<&[u8]> = Vec::new();
    for segment in path.split(|&b| b == b'/') {
        match segment {
            b"." => {}
            b".." => {
                kept.pop();
            }
            _ => kept.push(segment),
        }
    }
    if kept.first().is_none_or(|first| !first.is_empty()) {
        kept.insert(0, b"");
    }
    if path.ends_with(b"/.") || path.ends_with(b"/..") {
        kept.push(b"");
    }
    let path = kept.join(&b'/');
    if path.is_empty() { b"/".to_vec() } else { path }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dot_segments() {
        for (path, expected) in [
            ("", "/"),
            ("/", "/"),
            ("/a/./b", "/a/b"),
            ("/a/../b", "/b"),
            ("/..", "/"),
            ("/../../x", "/x"),
            ("/a/..", "/"),
            ("/a/b/.", "/a/b/"),
            ("//a/..", "//"),
            ("/a/%2e%2e/b", "/a/%2e%2e/b"),
        ] {
            assert_eq!(
                without_dot_segments(path.as_bytes()),
                expected.as_bytes(),
                "{path}"
            );
        }
    }
}
