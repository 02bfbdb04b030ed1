//! Callback URLs: which are valid, and the request for each (behaviour 1 and 3).
//!
//! The rules are those of Python's `validators` 0.36 and `requests` 2.34, which no URL crate shares (behaviour 1.10).
//! All operations take time linear in the length of the URL.

mod authority;
mod credentials;
mod derived_property;
mod destination;
mod domain;
mod escape;
mod host;
mod idna2003;
mod idna2008;
mod join;
mod nameprep;
mod prepared;
mod redirect;
mod remainder;
mod split;
mod unsendable;
mod user_info;

#[cfg(test)]
mod characters;
#[cfg(test)]
mod corpus;
#[cfg(test)]
mod properties;

pub use self::destination::CallbackUrl;
pub use self::redirect::RedirectError;
pub use self::split::SplitError;
pub use self::unsendable::Unsendable;

use self::authority::Authority;
use self::split::split;

/// The judgement of a callback URL: whether it is valid, and whether a request can be sent to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Judgement {
    /// The URL is not valid: nothing may be sent to it.
    Invalid,
    /// The URL is valid, but Python's `requests` cannot send to it.
    Unsendable {
        /// The text of its exception.
        text: String,
    },
    /// The URL is valid, and a request can be sent to it.
    Sendable(CallbackUrl),
}

/// Judges a callback URL by the rules of `validators` (behaviour 1).
pub fn judge(url: &str) -> Judgement {
    judge_wtf8(url.as_bytes())
}

/// Judges a callback URL that may contain lone surrogates, as a Python `str` may.
pub fn judge_wtf8(url: &[u8]) -> Judgement {
    let text = String::from_utf8_lossy(url);
    let Some(authority) = validate(&text) else {
        return Judgement::Invalid;
    };
    match prepared::prepare(url, &authority).and_then(CallbackUrl::read) {
        Ok(url) if !url.dials(&authority.host) => Judgement::Invalid,
        Ok(url) => Judgement::Sendable(url.with_own_credentials()),
        Err(Unsendable { text }) => Judgement::Unsendable { text },
    }
}

/// Returns the authority of a URL, if the URL is valid (behaviour 1). Lone surrogates may be replaced by U+FFFD: both
/// are allowed in the same places.
fn validate(url: &str) -> Option<Authority<'_>> {
    let is_web = url
        .as_bytes()
        .get(..4)
        .is_some_and(|start| start.eq_ignore_ascii_case(b"http"));
    if !is_web || url.contains(is_white_space) {
        return None;
    }
    let parts = split(url)
        .ok()
        .filter(|parts| matches!(parts.scheme.as_str(), "http" | "https"))?;
    let is_valid = remainder::is_valid_path(parts.path)
        && remainder::is_valid_query(parts.query)
        && remainder::is_valid_fragment(parts.fragment);
    if is_valid {
        Authority::read(parts.authority)
    } else {
        None
    }
}

/// Returns whether Python's `\s` matches the character.
fn is_white_space(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\u{1C}'..='\u{1F}')
}

#[cfg(test)]
fn sendable(url: &str) -> CallbackUrl {
    match judge(url) {
        Judgement::Sendable(url) => url,
        other => panic!("{url}: {other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_request() {
        let url = sendable("HTTP://user:p%40ss@EXAMPLE.com:8080/a/../%41?x=%c3#f");
        assert_eq!(
            (url.scheme(), url.host(), url.port()),
            ("http", "example.com", 8080)
        );
        assert_eq!(
            (url.host_header(), url.request_target()),
            ("example.com:8080", "/A?x=%C3")
        );
        assert_eq!(url.authorization(), Some("Basic dXNlcjpwQHNz"));
    }

    #[test]
    fn default_ports_are_not_in_the_host_header() {
        assert_eq!(sendable("http://a.bc:80/").host_header(), "a.bc");
        assert_eq!(sendable("https://a.bc:443/").host_header(), "a.bc");
        assert_eq!(sendable("https://a.bc:80/").host_header(), "a.bc:80");
        assert_eq!(sendable("https://a.bc").port(), 443);
    }

    #[test]
    fn ipv6_addresses_stay_as_written() {
        let url = sendable("http://[2001:DB8:0::1]:81");
        assert_eq!(
            (url.host(), url.host_header(), url.request_target()),
            ("2001:db8:0::1", "[2001:db8:0::1]:81", "/")
        );
    }

    #[test]
    fn what_dials_another_host_is_invalid() {
        for url in [
            "http://localhost:21001\\.@example.com/",
            "http://u:p\\w@a.bc/",
            "http://[::1%61]/",
        ] {
            assert_eq!(judge(url), Judgement::Invalid, "{url}");
        }
    }

    #[test]
    fn names_that_requests_cannot_send_to() {
        let text = "Failed to parse: Name '☃' is not a valid IDNA label".to_owned();
        assert_eq!(judge("http://☃.net/"), Judgement::Unsendable { text });
    }

    #[test]
    fn debug_hides_credentials_and_query() {
        let url = sendable("http://user:secret@a.bc:81/x?token=secret");
        assert_eq!(format!("{url:?}"), "CallbackUrl(http://a.bc:81)");
    }
}
