//! The parts of a URL, split as by Python's `urllib.parse.urlsplit` (behaviour 1.2 to 1.4).

use std::borrow::Cow;
use std::net::Ipv6Addr;

use unicode_normalization::char::decompose_compatible;

/// The parts of a URL. All except the scheme are as written, without their delimiters; an absent part is empty.
pub(super) struct Split<'a> {
    /// The scheme in lower case.
    pub(super) scheme: String,
    pub(super) authority: &'a str,
    pub(super) path: &'a str,
    pub(super) query: &'a str,
    pub(super) fragment: &'a str,
}

/// The reason why a URL cannot be split into its parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SplitError {
    /// Brackets of an IPv6 address are missing or in the wrong place.
    #[error("Invalid IPv6 URL")]
    Brackets,
    /// A character of the authority is a delimiter after normalisation.
    #[error("netloc contains invalid characters under NFKC normalization")]
    LookAlikeDelimiter,
}

/// Splits `url`, which must not contain characters that [`cleaned`] removes.
pub(super) fn split(url: &str) -> Result<Split<'_>, SplitError> {
    let (scheme, rest) = split_scheme(url);
    let (authority, rest) = match rest.strip_prefix("//") {
        Some(rest) => rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len())),
        None => ("", rest),
    };
    check_brackets(authority)?;
    check_look_alikes(authority)?;
    let (rest, fragment) = rest.split_once('#').unwrap_or((rest, ""));
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    Ok(Split {
        scheme: scheme.to_ascii_lowercase(),
        authority,
        path,
        query,
        fragment,
    })
}

/// Returns `url` without the characters that `urlsplit` drops: leading controls and spaces; tabs and line ends
/// everywhere.
pub(super) fn cleaned(url: &str) -> Cow<'_, str> {
    const DROPPED: [char; 3] = ['\t', '\r', '\n'];
    let url = url.trim_start_matches(|c| c <= ' ');
    if url.contains(DROPPED) {
        Cow::Owned(url.replace(DROPPED, ""))
    } else {
        Cow::Borrowed(url)
    }
}

fn split_scheme(url: &str) -> (&str, &str) {
    let is_scheme = |scheme: &str| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'))
    };
    url.split_once(':')
        .filter(|(scheme, _)| is_scheme(scheme))
        .unwrap_or(("", url))
}

/// Applies Python's stricter check (behaviour 1.9, `_check_bracketed_netloc`): only the host may be in brackets, and
/// only as a whole.
fn check_brackets(authority: &str) -> Result<(), SplitError> {
    if authority.contains('[') != authority.contains(']') {
        return Err(SplitError::Brackets);
    }
    if !authority.contains('[') {
        return Ok(());
    }
    let host_port = authority.rsplit('@').next().unwrap_or(authority);
    let is_right = match host_port.split_once('[') {
        Some((before, bracketed)) => {
            let (host, after) = bracketed.split_once(']').unwrap_or((bracketed, ""));
            before.is_empty() && (after.is_empty() || after.starts_with(':')) && is_bracketed_host(host)
        }
        None => is_bracketed_host(host_port.split(':').next().unwrap_or(host_port)),
    };
    if is_right {
        Ok(())
    } else {
        Err(SplitError::Brackets)
    }
}

fn is_bracketed_host(host: &str) -> bool {
    match host.strip_prefix('v') {
        Some(future) => future.split_once('.').is_some_and(|(version, address)| {
            !version.is_empty() && version.bytes().all(|b| b.is_ascii_hexdigit()) && !address.is_empty()
        }),
        None => ipv6_and_zone(host).is_some(),
    }
}

/// Reads `address` or `address%zone` as Python's `ipaddress.IPv6Address` does (behaviour 1.6).
pub(super) fn ipv6_and_zone(host: &str) -> Option<(Ipv6Addr, Option<&str>)> {
    let (address, zone) = match host.split_once('%') {
        Some((address, zone)) => (address, Some(zone)),
        None => (host, None),
    };
    let zone_is_right = zone.is_none_or(|zone| !zone.is_empty() && !zone.contains('%'));
    let address = address.parse().ok()?;
    zone_is_right.then_some((address, zone))
}

/// Refuses characters that NFKC turns into delimiters (behaviour 1.4).
fn check_look_alikes(authority: &str) -> Result<(), SplitError> {
    let mut becomes_delimiter = false;
    for c in authority.chars().filter(|c| !c.is_ascii()) {
        decompose_compatible(c, |part| {
            becomes_delimiter |= matches!(part, '/' | '?' | '#' | '@' | ':');
        });
    }
    if becomes_delimiter {
        Err(SplitError::LookAlikeDelimiter)
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_at_the_first_delimiters() {
        let parts = split("HTTP://u:p@h:1/p;x?q?r#f#g").unwrap();
        assert_eq!(parts.scheme, "http");
        assert_eq!(
            (parts.authority, parts.path, parts.query, parts.fragment),
            ("u:p@h:1", "/p;x", "q?r", "f#g")
        );
        let relative = split("a/b?x:y").unwrap();
        assert_eq!(
            (relative.scheme.as_str(), relative.authority, relative.path),
            ("", "", "a/b")
        );
    }

    #[test]
    fn brackets_belong_to_the_host_alone() {
        for good in ["[::1]", "[::1]:80", "u@[fe80::1%eth0]:80", "[v1.x]", "u]@[::1]"] {
            assert!(check_brackets(good).is_ok(), "{good}");
        }
        for bad in [
            "[::1",
            "::1]",
            "[::1]80",
            "x[::1]",
            "[::1]@h",
            "[1.2.3.4]",
            "[v.x]",
            "[v1.]",
            "[::1%]",
            "[]",
        ] {
            assert_eq!(check_brackets(bad), Err(SplitError::Brackets), "{bad}");
        }
    }

    #[test]
    fn look_alikes_are_refused() {
        assert_eq!(
            check_look_alikes("a.b\u{2100}c"),
            Err(SplitError::LookAlikeDelimiter)
        );
        assert_eq!(check_look_alikes("é:p@h:80"), Ok(()));
    }

    #[test]
    fn tabs_and_line_ends_are_dropped() {
        assert_eq!(cleaned("\u{1} h\tt\r\ntp://x y"), "http://x y");
        assert_eq!(cleaned("http://x"), "http://x");
    }
}
