//! Callback URLs: which are valid, and the request that each becomes (behaviour 1 and 3).
//!
//! The rules are those of Python's `validators` 0.36 and `requests` 2.34, which no URL crate shares (behaviour 1.10).
//! Everything takes time linear in the length of the URL.

mod authority;
mod credentials;
mod derived_property;
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
mod user_info;

#[cfg(test)]
mod characters;
#[cfg(test)]
mod corpus;
#[cfg(test)]
mod properties;

use std::fmt;
use std::net::Ipv6Addr;

pub use self::redirect::RedirectError;
pub use self::split::SplitError;

use self::authority::{Authority, Host};
use self::escape::{escape, is_path_byte, is_query_byte};
use self::split::split;

/// What a callback URL is worth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Judgement {
    /// Not valid: the request is answered with status `invalid`, and nobody is called back.
    Invalid,
    /// Valid, but Python's `requests` cannot send to it. `text` is its word for that, which the audit record holds as
    /// `callback_status`.
    Unsendable {
        text: String,
    },
    Sendable(CallbackUrl),
}

/// A URL that `requests` cannot send to, in its words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct Unsendable {
    text: String,
}

impl Unsendable {
    fn unparsable(why: &str) -> Self {
        Self {
            text: format!("Failed to parse: {why}"),
        }
    }
}

/// A URL as it is sent to, every part in the form in which it goes onto the wire.
#[derive(Clone, PartialEq, Eq)]
pub struct CallbackUrl {
    /// The whole URL, escaped.
    url: String,
    is_https: bool,
    host: String,
    port: u16,
    host_header: String,
    request_target: String,
    authorization: Option<String>,
}

/// Judges a callback URL.
pub fn judge(url: &str) -> Judgement {
    judge_wtf8(url.as_bytes())
}

/// Judges a callback URL that may hold lone surrogates, as a Python `str` may.
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

/// The authority of a URL that is valid (behaviour 1). A lone surrogate may stand as U+FFFD: both are allowed in the
/// same places.
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

/// Python's `\s`.
fn is_white_space(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\u{1C}'..='\u{1F}')
}

impl CallbackUrl {
    /// `http` or `https`.
    pub fn scheme(&self) -> &str {
        if self.is_https { "https" } else { "http" }
    }

    /// What is to be resolved and dialled: a name, an IPv4 address, an IPv6 address without brackets, or what only the
    /// system's resolver may know how to read, such as `127.1` or `fe80::1%25eth0`.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port to dial.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The `Host` header: without the port if it is the scheme's own.
    pub fn host_header(&self) -> &str {
        &self.host_header
    }

    /// Path and query, escaped.
    pub fn request_target(&self) -> &str {
        &self.request_target
    }

    /// The `Authorization` header that the URL's own credentials make.
    pub fn authorization(&self) -> Option<&str> {
        self.authorization.as_deref()
    }

    fn fragment(&self) -> &str {
        self.url.split_once('#').map_or("", |(_, fragment)| fragment)
    }

    /// Reads a web URL that `requests` has prepared, the way it then connects.
    fn read(url: String) -> Result<Self, Unsendable> {
        let parts = split(&url).map_err(|error| Unsendable {
            text: error.to_string(),
        })?;
        let is_https = parts.scheme == "https";
        let default_port = if is_https { 443 } else { 80 };
        let (host, port) = host::host_and_port(parts.authority)?;
        let host = host::normalise(&host)?;
        let port = port.unwrap_or(default_port);
        let host_header = host::header(&host, Some(port).filter(|&port| port != default_port));
        let request_target = request_target(parts.path, parts.query);
        Ok(Self {
            is_https,
            host,
            port,
            host_header,
            request_target,
            authorization: None,
            url,
        })
    }

    fn with_own_credentials(mut self) -> Self {
        let authority = split(&self.url).map_or("", |parts| parts.authority);
        self.authorization = credentials::basic_authorization(authority);
        self
    }

    /// Whether this dials the host that was found valid. Escaping may make another address of an IPv6 zone: `[::1%61]`
    /// becomes `[::1a]`.
    fn dials(&self, valid: &Host<'_>) -> bool {
        match valid {
            Host::Domain(_) | Host::Ipv4(_) => true,
            Host::Ipv6 { address, .. } => {
                let dialled = self.host.split('%').next().unwrap_or_default();
                dialled.parse::<Ipv6Addr>() == address.parse()
            }
        }
    }
}

/// Shows neither credentials nor the query.
impl fmt::Debug for CallbackUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CallbackUrl({}://{})", self.scheme(), self.host_header)
    }
}

fn request_target(path: &str, query: &str) -> String {
    let mut target = escape(if path.is_empty() { b"/" } else { path.as_bytes() }, is_path_byte);
    if !query.is_empty() {
        target.push('?');
        target.push_str(&escape(query.as_bytes(), is_query_byte));
    }
    target
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
